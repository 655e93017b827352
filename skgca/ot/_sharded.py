"""The ranks of a process group share the tiles of one kernel: each holds some of them.

All ranks have the same embeddings and take the same steps. The kernel (n, m) takes the memory, so it is divided. A
product with the kernel is then a sum over ranks::

    vectors (n,), (m,)  -->  products with the own tiles  -->  sum over ranks  -->  the same vectors on every rank
    dL/dS at own tiles  -->  gradients (n, d) from these  -->  sum over ranks  -->  the same gradients on every rank

So potentials, masses and the loss are the same on every rank, and losses are not aware of ranks. A log kernel names its
ranks (:attr:`.LogKernel.ranks`), and whoever reads its tiles adds up what came of them. In one process these are
:data:`ALONE`, whose sums return what they are given.

Every rank must call the same functions in the same order, or the ranks wait for each other forever. That includes
backward passes, and what a plan computes from its kernel when it is read, such as
:attr:`.TransportPlan.marginal_error`. Whether tiles are kept or recomputed is the choice of each rank, since it adds no
sum. Matrices of a plan and second derivatives are computed whole on every rank.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

import torch
from torch import Tensor

__all__ = [
    "ALONE",
    "Communicator",
    "agreed",
    "height_among",
    "log_sums_over",
    "own_tiles",
    "ranks_here",
    "shared_among",
]

Tile = TypeVar("Tile")


class Communicator(Protocol):
    """What the kernel needs of a process group: sums and maxima of contiguous tensors over all ranks."""

    @property
    def n_ranks(self) -> int:
        """Number of ranks."""

    @property
    def n_local(self) -> int:
        """Number of ranks on this machine. On a CPU they share its free memory."""

    @property
    def rank(self) -> int:
        """Number of this rank, from 0."""

    def sum(self, tensor: Tensor) -> Tensor:
        """Replace a tensor by its sum over ranks, with the same bits on each of them, and return it."""

    def maximum(self, tensor: Tensor) -> Tensor:
        """Replace each entry of a tensor by the largest over ranks, and return the tensor."""


class _Alone:
    """One process, which has all tiles."""

    n_ranks = 1
    n_local = 1
    rank = 0

    def sum(self, tensor: Tensor) -> Tensor:
        return tensor

    def maximum(self, tensor: Tensor) -> Tensor:
        return tensor


#: The communicator of one process. It is compared by identity, since small batches would notice a call.
ALONE: Communicator = _Alone()

_ranks_here: ContextVar[Communicator] = ContextVar("ranks_here", default=ALONE)


@contextmanager
def shared_among(communicator: Communicator) -> Iterator[None]:
    """Share the kernels of the plans that are computed in the block among ranks, if that saves memory.

    Kernels of embeddings are shared if they are larger than 64 MiB. Matrices that exist as a whole are not: given
    scores, the cost "student_t", related rows, and the matrices of a plan. A kernel stays shared after the block, so
    the backward pass may run outside.

    Parameters
    ----------
    communicator : Communicator
        All its ranks must enter the block, and compute the same plans there from the same embeddings.
    """
    token = _ranks_here.set(communicator)
    try:
        yield
    finally:
        _ranks_here.reset(token)


def ranks_here() -> Communicator:
    """Return the communicator of the innermost :func:`shared_among`, else :data:`ALONE`."""
    return _ranks_here.get()


def height_among(ranks: Communicator, n: int, highest: int) -> int:
    """Return the number of rows of a tile, at most ``highest``, for which the tiles of n rows can be dealt out evenly.

    Their number is a multiple of twice the number of ranks, except for rounding.
    """
    round_trip = 2 * ranks.n_ranks
    n_tiles = round_trip * -(-n // (highest * round_trip))
    return -(-n // n_tiles)


def own_tiles(tiles: list[Tile], ranks: Communicator) -> list[Tile]:
    """Return the tiles of this rank, in order.

    Tiles are dealt out there and back: to ranks 0, 1, 2, 2, 1, 0, 0, 1, ... The tiles of a triangle become shorter by
    the same amount from one to the next, so each round trip gives all ranks the same area.
    """
    there_and_back = [*range(ranks.n_ranks), *reversed(range(ranks.n_ranks))]
    return [tile for i, tile in enumerate(tiles) if there_and_back[i % len(there_and_back)] == ranks.rank]


def log_sums_over(ranks: Communicator, row: Tensor, col: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log sums of all tiles, from those of the tiles of each rank.

    Parameters
    ----------
    ranks : Communicator
    row : Tensor of shape (n,)
        Log sums of the rows of this rank, and 0 at other rows: a row has all its entries in one tile.
    col : Tensor of shape (m,)
        Log sums of the entries of each column in the tiles of this rank; -inf without any.
    """
    largest = ranks.maximum(col.clone())
    largest = largest.masked_fill_(torch.isneginf(largest), 0.0)  # a column without any mass: -inf - -inf would be NaN
    row, sums = ranks.sum(torch.cat([row, torch.exp(col - largest)])).split([len(row), len(col)])
    return row, largest + sums.log()


def agreed(ranks: Communicator, number: float, device: torch.device) -> float:
    """Return the largest of a number over ranks, from which all of them then decide alike whether to stop.

    The numbers are sums over vectors that all ranks have. But ranks may add in another order, on another number of
    threads or another kind of processor. If one stopped and the others did not, they would wait for it forever.
    """
    if ranks is ALONE:
        return number
    return float(ranks.maximum(torch.tensor(number, dtype=torch.float64, device=device)))
