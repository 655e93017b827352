"""Batches of rows, fetched by number, a whole batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import TypeAlias

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from .containers import Chunk
from .metadata import Pairwise
from .rows import Rows, spaced

__all__ = [
    "Batch",
    "EvenBatches",
    "RowDataset",
    "bytes_ahead",
    "evenly_spaced",
    "fixed_batches",
    "n_even_batches",
    "read_ahead",
    "shuffled_batches",
]

Fetch: TypeAlias = "Callable[[Tensor], Tensor]"  # numbers of rows (k,) -> their inputs (k, ...)
Batch: TypeAlias = "tuple[tuple[Tensor, ...], dict[str, Tensor]]"  # inputs, and what the loss reads besides embeddings

_READ_AHEAD_BYTES = 2**29  # inputs of at most this size are read before training
_TOGETHER, _TOGETHER_BYTES, _LEAST_TOGETHER = 10_000, 2**27, 256  # of a sample: most rows, most bytes, fewest rows


def read_ahead(rows: Rows, read: Callable[[Chunk], Tensor]) -> Fetch:
    """Return what fetches the inputs of some rows: from memory if all of them are small enough, else from X.

    Parameters
    ----------
    rows : Rows
    read : callable ``(array or frame of n rows) -> Tensor (n, ...)``
        Reads a row as it does without the other rows.

    Returns
    -------
    callable ``(numbers (k,)) -> Tensor (k, ...)``
    """
    if not bytes_ahead(rows):
        return lambda numbers: read(rows.take(numbers.numpy()))
    chunks = rows.chunks()
    first = read(next(chunks))
    # one tensor for all rows is filled chunk by chunk: to concatenate the chunks would take twice the memory
    inputs, done = first.new_empty((len(rows), *first.shape[1:])), 0
    for chunk in chain([first], map(read, chunks)):
        inputs[done : done + len(chunk)] = chunk
        done += len(chunk)
    return inputs.__getitem__


def bytes_ahead(rows: Rows) -> int:
    """Return how many bytes the rows take in memory, 0 if they stay in their source."""
    size = 4 * int(np.prod(rows.shape))
    return size if size <= _READ_AHEAD_BYTES else 0


def evenly_spaced(rows: Rows) -> Tensor:
    """Return the numbers of evenly spaced rows, as many as memory has room for at once, and 10,000 at most."""
    affordable = max(_LEAST_TOGETHER, _TOGETHER_BYTES // (4 * int(np.prod(rows.shape[1:]))))
    return torch.from_numpy(spaced(len(rows), min(_TOGETHER, affordable)))


class RowDataset(Dataset[Batch]):
    """Rows with their metadata, fetched a whole batch at a time.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    inputs : sequence of callable ``(numbers (k,)) -> Tensor (k, ...)``
        Fetch the inputs of some rows. One, or one for each measured view.
    **extras : Tensor of shape (n, ...) or Pairwise
        What the loss reads besides the embeddings, by name, such as the weight of the rows.
    """

    def __init__(self, n_rows: int, *inputs: Fetch, **extras: Tensor | Pairwise) -> None:
        self.n_rows = n_rows
        self.inputs = inputs
        self.extras = extras

    def __len__(self) -> int:
        return self.n_rows

    def __getitem__(self, rows: Tensor) -> Batch:
        """Return the inputs and the extras of some rows."""
        inputs = tuple(fetch(rows) for fetch in self.inputs)
        return inputs, {name: value[rows] for name, value in self.extras.items()}

    def only(self, kept: Tensor) -> RowDataset:
        """Return some of the rows, renumbered from 0."""
        inputs = [partial(_fetch_kept, fetch, kept) for fetch in self.inputs]
        extras = {
            name: value[kept] if isinstance(value, Tensor) else value.of(kept) for name, value in self.extras.items()
        }
        return RowDataset(len(kept), *inputs, **extras)


def _fetch_kept(fetch: Fetch, kept: Tensor, rows: Tensor) -> Tensor:
    return fetch(kept[rows])


class EvenBatches(Sampler[Tensor]):
    """Random batches that differ in size by one row at most.

    Batches of exactly ``batch_size`` would leave a smaller last batch. If that has one row, the row has nothing to be
    contrasted with; if it is dropped and there are fewer rows than ``batch_size``, nothing is left. Here every row is
    in one batch, and every batch has two rows or more.

    Parameters
    ----------
    n_rows : int
        Number of rows, at least 2.
    batch_size : int
        Maximum number of rows in a batch, at least 2. One batch has a row more if that row would be left alone.
    generator : torch.Generator
        Draws the order.

    Attributes
    ----------
    skip : int
        Number of batches that the next pass leaves out at its start. It is 0 again for the passes that follow.
    """

    def __init__(self, n_rows: int, batch_size: int, generator: Generator) -> None:
        self.n_rows = n_rows
        self.n_batches = n_even_batches(n_rows, batch_size)
        self.generator = generator
        self.skip = 0

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Tensor]:
        skip, self.skip = self.skip, 0
        return iter(torch.randperm(self.n_rows, generator=self.generator).tensor_split(self.n_batches)[skip:])


def n_even_batches(n_rows: int, batch_size: int) -> int:
    """Return the number of batches of near-equal size, each of 2 rows at least."""
    return max(1, min(-(-n_rows // batch_size), n_rows // 2))


def fixed_batches(dataset: RowDataset, *, batch_size: int) -> DataLoader[Batch]:
    """Return a loader of batches of near-equal size in the order of the rows, the same in each pass."""
    batches = torch.arange(len(dataset)).tensor_split(n_even_batches(len(dataset), batch_size))
    return DataLoader(dataset, sampler=batches, batch_size=None, generator=Generator())


def shuffled_batches(dataset: RowDataset, *, batch_size: int, generator: Generator) -> DataLoader[Batch]:
    """Return a loader of :class:`EvenBatches` that indexes the dataset once for each batch."""
    sampler = EvenBatches(len(dataset), batch_size, generator)
    # The loader draws a seed even without workers. Without a generator it would draw from torch's global one.
    return DataLoader(dataset, sampler=sampler, batch_size=None, generator=generator)
