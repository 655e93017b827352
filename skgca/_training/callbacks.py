"""Callbacks of a training: learning rate, early stopping, and a warning about plans that did not converge."""

from __future__ import annotations

import copy
import math
import warnings
from typing import TYPE_CHECKING, Any

import torch
from skorch.callbacks import Callback, EarlyStopping, LRScheduler

from ..exceptions import SinkhornConvergenceWarning

if TYPE_CHECKING:
    from torch import nn

    from ..ot import TransportPlan
    from .net import ContrastiveNet

__all__ = ["StopWithoutProgress", "WarmupCosine", "WarnUnconverged", "copied_callback", "warmup_cosine"]


def copied_callback(callback: Any) -> Any:
    """Return a deep copy of a callback, or a shallow one if it holds what cannot be copied, such as a file."""
    try:
        return copy.deepcopy(callback)
    except TypeError:
        return copy.copy(callback)


class WarmupCosine:
    """Factor of the learning rate as a function of the step: linear warm-up, then half a cosine to zero.

    Parameters
    ----------
    n_steps : int
        Number of steps of the training.
    n_warmup : int
        Number of steps before the full rate.
    """

    def __init__(self, n_steps: int, n_warmup: int) -> None:
        self.n_steps = n_steps
        self.n_warmup = n_warmup

    def __call__(self, step: int) -> float:
        """Return the factor at a step, counted from 0. It is above 0 at every step of the training."""
        if step < self.n_warmup:
            return (step + 1) / (self.n_warmup + 1)
        progress = (step - self.n_warmup) / max(1, self.n_steps - self.n_warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def warmup_cosine(n_steps: int, warmup_fraction: float) -> LRScheduler:
    """Return a skorch callback that sets the rate by :class:`WarmupCosine` after every batch."""
    factor = WarmupCosine(n_steps, round(warmup_fraction * n_steps))
    return LRScheduler(torch.optim.lr_scheduler.LambdaLR, lr_lambda=factor, step_every="batch", event_name=None)


class WarnUnconverged(Callback):
    """Warn once, after training, if some plans missed the tolerance of the loss.

    Attributes
    ----------
    n_solved_ : int
        Transport plans of training steps, 0 if the loss has no tolerance.
    n_missed_ : int
        Number of these plans that ended above the tolerance.
    worst_error_ : float
        Largest marginal error among them.
    """

    def on_train_begin(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Observe the plans that the loss solves for, until the run ends, fails or is interrupted."""
        self.n_solved_, self.n_missed_, self.worst_error_ = 0, 0, 0.0
        if net.criterion_.tol is not None:
            net.at_release(net.criterion_.solver.register_forward_hook(self._count).remove)

    def _count(self, solver: nn.Module, args: tuple[Any, ...], plan: TransportPlan) -> None:
        """Count a plan of a training step. Measurements solve plans without gradients, which do not count."""
        if not torch.is_grad_enabled():
            return
        self.n_solved_ += 1
        if not plan.converged:
            self.n_missed_ += 1
            self.worst_error_ = max(self.worst_error_, plan.marginal_error)

    def on_train_end(self, net: ContrastiveNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Warn about the plans that missed the tolerance."""
        loss = net.criterion_
        if self.n_missed_:
            warnings.warn(
                f"{self.n_missed_} of {self.n_solved_} transport plans missed sinkhorn_tol={loss.tol} within "
                f"sinkhorn_n_iter={loss.n_iter} iterations; the worst was off by {self.worst_error_:.1e} of the mass. "
                "Raise sinkhorn_n_iter, sinkhorn_tol or epsilon.",
                SinkhornConvergenceWarning,
                stacklevel=2,
            )


class StopWithoutProgress(EarlyStopping):
    """End training once the held-out loss has not fallen for some epochs, and restore the best weights.

    This is skorch's callback, with a state that checkpoints can save.

    Attributes
    ----------
    best_epoch_ : int
        Epoch of the lowest loss.
    """

    _STATE = ("misses_", "dynamic_threshold_", "best_epoch_", "best_model_weights_")

    def on_epoch_end(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Compare the loss with the best one, and end training if it has not fallen for too long."""
        try:
            super().on_epoch_end(net, **kwargs)
        except KeyboardInterrupt:
            net.stop("no_change")

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs."""
        return {name: getattr(self, name) for name in self._STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        for name in self._STATE:
            setattr(self, name, state[name])
