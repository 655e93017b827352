"""Recovery from NaN: restore the last good state of a training, and continue at half the learning rate."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from ..exceptions import TrainingDivergedError

if TYPE_CHECKING:
    from .net import ContrastiveNet

__all__ = ["Guard", "NotFiniteError", "check_finite", "copied"]

_MAX_RETRIES = 5  # the last is at 1/32 of the rate
_logger = logging.getLogger("skgca")


class NotFiniteError(ArithmeticError):
    """A step whose loss or gradient is not finite; raised before the weights are updated.

    Parameters
    ----------
    what : {"loss", "gradient"}
    value : float
        NaN or infinity.
    """

    def __init__(self, what: str, value: float) -> None:
        super().__init__(f"The {what} became {value}")


class Guard:
    """Keeps the last good state of a net, and restores it when a loss or gradient is not finite.

    Each roll-back halves the learning rate. The state is kept at the end of each epoch, and also within long epochs, so
    that little work is repeated. The order of batches and the views are not rolled back: the same ones would fail
    again.

    Attributes
    ----------
    rate : float
        Factor of the learning rate; 1 before the first roll-back.
    n_retries : int
        Number of roll-backs.
    """

    def __init__(self) -> None:
        self.rate = 1.0
        self.n_retries = 0
        self._good: dict[str, Any] = {}
        self._has_learned = False

    def keep(self, net: ContrastiveNet, *, learned: bool = True) -> None:
        """Keep the state of a net; ``learned`` is whether training has changed it."""
        self._good = copied(net.training_state())
        self._has_learned |= learned

    def forget(self) -> None:
        """Drop the state; the number of roll-backs stays."""
        self._good = {}

    def roll_back(self, net: ContrastiveNet, error: NotFiniteError) -> None:
        """Restore the last good state, and halve the rate.

        Raises
        ------
        TrainingDivergedError
            If no retries are left and nothing was learned.
        KeyboardInterrupt
            If no retries are left but something was learned. skorch then ends training and keeps the weights.
        """
        # the state of the optimizer holds the rates of an earlier step, but the schedule has moved on
        rates = [group["lr"] for group in net.optimizer_.param_groups]
        net.load_training_state(self._good)
        _set_rates(net.optimizer_, rates)
        where = f"{error} in epoch {len(net.history)} with lr={net.lr}"
        if self.n_retries < _MAX_RETRIES:
            self.n_retries += 1
            self.rate /= 2
            if net.ranks.first:
                _logger.warning("%s; back to the last good weights, at lr=%g.", where, net.lr * self.rate)
            return
        if self._has_learned:
            net.stop("diverged")
        raise TrainingDivergedError(
            f"{where}; try a lower lr (such as a tenth), and check that features are of similar scale and that views "
            f"and encoder return finite values. {_MAX_RETRIES} retries, each at half the rate, did not help."
        ) from error

    @contextmanager
    def slowed(self, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Scale the learning rate inside the block; outside, it is that of the schedule."""
        if self.rate == 1:
            yield
            return
        rates = [group["lr"] for group in optimizer.param_groups]
        _set_rates(optimizer, [rate * self.rate for rate in rates])
        try:
            yield
        finally:
            _set_rates(optimizer, rates)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs, except the state of the net, which checkpoints hold anyway."""
        return {"rate": self.rate, "n_retries": self.n_retries}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        self.rate, self.n_retries = state["rate"], state["n_retries"]


def _set_rates(optimizer: torch.optim.Optimizer, rates: list[float]) -> None:
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate


def check_finite(loss: torch.Tensor, gradient_norm: torch.Tensor, *others: torch.Tensor) -> list[float]:
    """Return scalars as numbers, by one read from the device.

    Raises
    ------
    NotFiniteError
        If the loss or the norm is NaN or infinite. A loss that is not finite has such a gradient too, so the loss is
        named first.
    """
    scalars = [loss.detach(), gradient_norm.to(loss.device), *others]
    numbers: list[float] = torch.stack(scalars).tolist()
    for what, number in zip(("loss", "gradient"), numbers, strict=False):
        if not math.isfinite(number):
            raise NotFiniteError(what, number)
    return numbers


def copied(state: Any) -> Any:
    """Copy a ``state_dict`` with its tensors, ten times as fast as ``copy.deepcopy``."""
    if isinstance(state, torch.Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return {key: copied(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(copied(value) for value in state)
    return state
