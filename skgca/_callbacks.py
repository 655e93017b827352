"""What training does besides stepping."""

import math
from typing import Any

import torch
from skorch.callbacks import Callback, LRScheduler

from .exceptions import TrainingDivergedError

__all__ = ["StopOnNonFiniteLoss", "WarmupCosine", "warmup_cosine"]


class WarmupCosine:
    """Factor of the learning rate at a step: linear warm-up, then half a cosine down to zero.

    Parameters
    ----------
    n_steps : int
        Steps of the whole training.
    n_warmup : int
        Steps until the full rate.
    """

    def __init__(self, n_steps: int, n_warmup: int) -> None:
        self.n_steps = n_steps
        self.n_warmup = n_warmup

    def __call__(self, step: int) -> float:
        """Return the factor at a step that counts from 0; it is above 0 at every step taken."""
        if step < self.n_warmup:
            return (step + 1) / (self.n_warmup + 1)
        progress = (step - self.n_warmup) / max(1, self.n_steps - self.n_warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def warmup_cosine(n_steps: int, warmup_fraction: float) -> LRScheduler:
    """Return the skorch callback of :class:`WarmupCosine`, stepped after every batch."""
    factor = WarmupCosine(n_steps, round(warmup_fraction * n_steps))
    return LRScheduler(torch.optim.lr_scheduler.LambdaLR, lr_lambda=factor, step_every="batch", event_name="lr")


class StopOnNonFiniteLoss(Callback):
    """Raise :class:`skgca.exceptions.TrainingDivergedError` at the first loss that is NaN or infinite."""

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        """Check the loss of the batch that was just recorded."""
        loss = net.history[-1, "batches", -1, "train_loss"]
        if not math.isfinite(loss):
            raise TrainingDivergedError(
                f"The loss became {loss} in epoch {len(net.history)} with lr={net.lr}; "
                "try a lower lr (a tenth, say), and check for features of very different scale."
            )
