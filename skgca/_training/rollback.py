"""What keeps a training from ending on NaN: the last good state, and the way back to it."""

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
    """A step whose loss or gradient is not finite; raised before the weights move.

    Parameters
    ----------
    what : {"loss", "gradient"}
    value : float
        NaN or infinity.
    """

    def __init__(self, what: str, value: float) -> None:
        super().__init__(f"The {what} became {value}")


class Guard:
    """Keeps the last good state of a net, and brings it back where a loss or gradient is not finite.

    Each time the rate is halved. States are kept where an epoch ends, and amid long ones, so that a retry repeats
    little; the order of batches and the views go on, since the same ones would blow up again.

    Attributes
    ----------
    rate : float
        Factor of the learning rate, 1 at first.
    n_retries : int
        How often training went back.
    """

    def __init__(self) -> None:
        self.rate = 1.0
        self.n_retries = 0
        self._good: dict[str, Any] = {}
        self._has_learned = False

    def keep(self, net: ContrastiveNet, *, learned: bool = True) -> None:
        """Remember the state of a net; ``learned`` tells whether training brought it there."""
        self._good = copied(net.training_state())
        self._has_learned |= learned

    def forget(self) -> None:
        """Let go of the state; how often training went back stays known."""
        self._good = {}

    def roll_back(self, net: ContrastiveNet, error: NotFiniteError) -> None:
        """Bring back the last good state, at half the rate.

        Raises
        ------
        TrainingDivergedError
            If that was done often enough, and nothing had been learned.
        KeyboardInterrupt
            If something had been: skorch ends training by it, and keeps the weights.
        """
        rates = [group["lr"] for group in net.optimizer_.param_groups]  # the schedule goes on
        net.load_training_state(self._good)
        _set_rates(net.optimizer_, rates)
        where = f"{error} in epoch {len(net.history)} with lr={net.lr}"
        if self.n_retries < _MAX_RETRIES:
            self.n_retries += 1
            self.rate /= 2
            _logger.warning("%s; back to the last good weights, at lr=%g.", where, net.lr * self.rate)
            return
        if self._has_learned:
            net.stop("diverged")
        raise TrainingDivergedError(
            f"{where}; try a lower lr (a tenth, say), and check for features of very different scale, and views and "
            f"an encoder that give finite values. {_MAX_RETRIES} retries, each at half the rate, did not help."
        ) from error

    @contextmanager
    def slowed(self, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Scale the learning rate for the block, whatever schedule sets it outside."""
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
        """Return what a resumed training needs beside the state of the net, which is a good one."""
        return {"rate": self.rate, "n_retries": self.n_retries}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave."""
        self.rate, self.n_retries = state["rate"], state["n_retries"]


def _set_rates(optimizer: torch.optim.Optimizer, rates: list[float]) -> None:
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate


def check_finite(what: str, value: torch.Tensor) -> float:
    """Return a scalar as a number, or raise NotFiniteError."""
    number = float(value.detach())
    if not math.isfinite(number):
        raise NotFiniteError(what, number)
    return number


def copied(state: Any) -> Any:
    """Copy what a ``state_dict`` gives, tensors and all; ten times as fast as ``copy.deepcopy``."""
    if isinstance(state, torch.Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        return {key: copied(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(copied(value) for value in state)
    return state
