"""What reading, training and saving ask of the processes that take part, for a single process.

:mod:`.process_group` has the processes of torch.distributed, and :mod:`.distributed_net` the steps that they take
together. Nothing else in the package knows whether there are any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor

from .batch_statistics import BatchStatistics

__all__ = ["Ranks"]

Value = TypeVar("Value")


class Ranks:
    """The processes of a training. This class is a single process, for which there is nothing to do.

    Attributes
    ----------
    n_ranks : int
        Number of processes.
    rank : int
        Number of this process, from 0.
    """

    n_ranks = 1
    rank = 0

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which writes checkpoints and reports progress."""
        return self.rank == 0

    def place(self, device: torch.device) -> torch.device:
        """Return the device of this rank."""
        return device

    def same(self, value: Callable[[], Value]) -> Value:
        """Return what the callable returns on rank 0. It is pickled for the other ranks, which do not call it."""
        return value()

    def check_same(self, values: Callable[[], dict[str, str]]) -> None:
        """Raise ValueError unless the callable returns the same on all ranks."""

    def make_same(self, tensors: Iterable[Tensor]) -> None:
        """Give tensors the values that they have on rank 0, in place."""

    def merged(self, statistics: BatchStatistics) -> BatchStatistics:
        """Return the statistics of the whole batch from those of the own rows."""
        return statistics

    def sum(self, tensor: Tensor) -> Tensor:
        """Add up a tensor over ranks, in place."""
        return tensor
