"""Batches of rows, fetched by number, whole batches at a time."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from .rows import Rows, spaced

__all__ = [
    "EvenBatches",
    "RowDataset",
    "bytes_ahead",
    "evenly_spaced",
    "fixed_batches",
    "n_even_batches",
    "read_ahead",
    "shuffled_batches",
]

_READ_AHEAD_BYTES = 2**29  # inputs of at most this size are read before training
_TOGETHER, _TOGETHER_BYTES, _LEAST_TOGETHER = 10_000, 2**27, 256


def read_ahead(rows: Rows, read: Callable[[Any], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return what fetches the inputs of some rows: from memory where they are small enough, else from their source.

    Parameters
    ----------
    rows : Rows
        The source.
    read : callable ``(array or frame of n rows) -> Tensor (n, ...)``
        Reads rows one by one, so that it does not matter which come together.

    Returns
    -------
    callable ``(numbers (k,)) -> Tensor (k, ...)``
    """
    if not bytes_ahead(rows):
        return lambda numbers: read(rows.take(numbers.numpy()))
    return torch.cat([read(chunk) for chunk in rows.chunks()]).__getitem__


def bytes_ahead(rows: Rows) -> int:
    """Return how many bytes the rows take in memory, 0 if they stay in their source."""
    size = 4 * int(np.prod(rows.shape))
    return size if size <= _READ_AHEAD_BYTES else 0


def evenly_spaced(rows: Rows) -> Tensor:
    """Return the numbers of rows from the first to the last, of as many as may be looked at together."""
    affordable = max(_LEAST_TOGETHER, _TOGETHER_BYTES // (4 * int(np.prod(rows.shape[1:]))))
    return torch.from_numpy(spaced(len(rows), min(_TOGETHER, affordable)))


class RowDataset(Dataset):
    """Rows and what belongs to them, fetched a whole batch at a time.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    inputs : sequence of callable ``(numbers (k,)) -> Tensor (k, ...)``
        Fetch the inputs of some rows. One, or one for each measured view.
    **extras : Tensor of shape (n, ...) or Pairwise
        What the loss takes beside the embeddings, by name, such as the weight of the rows; anything that is fetched for
        some rows by ``[rows]``.
    """

    def __init__(self, n_rows: int, *inputs: Callable[[Tensor], Tensor], **extras: Any) -> None:
        self.n_rows = n_rows
        self.inputs = inputs
        self.extras = extras

    def __len__(self) -> int:
        return self.n_rows

    def __getitem__(self, rows: Tensor) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """Return the inputs and the extras of some rows."""
        inputs = tuple(fetch(rows) for fetch in self.inputs)
        return inputs, {name: value[rows] for name, value in self.extras.items()}

    def only(self, kept: Tensor) -> "RowDataset":
        """Return some of the rows, counted anew from 0."""
        inputs = [lambda rows, fetch=fetch: fetch(kept[rows]) for fetch in self.inputs]
        extras = {
            name: value[kept] if isinstance(value, Tensor) else value.of(kept) for name, value in self.extras.items()
        }
        return RowDataset(len(kept), *inputs, **extras)


class EvenBatches(Sampler):
    """Random batches that differ in size by one row at most.

    Cutting n rows into batches of exactly ``batch_size`` leaves a last batch that may be of one row, which has nothing
    to be contrasted with, or must be dropped, which with fewer rows than a batch drops everything. Here all rows are in
    a batch, once, and every batch has two rows or more.

    Parameters
    ----------
    n_rows : int
        Number of rows, at least 2.
    batch_size : int
        Most rows in a batch, at least 2. Where an odd row would be left alone, one batch takes it on top.
    generator : torch.Generator
        Source of the order.

    Attributes
    ----------
    skip : int
        Batches that the next pass leaves out at its start; those after it have all.
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
    """Return how many batches of near-equal size, of 2 rows at least, so many rows make."""
    return max(1, min(-(-n_rows // batch_size), n_rows // 2))


def fixed_batches(dataset: RowDataset, *, batch_size: int) -> DataLoader:
    """Return a loader of the same batches of near-equal size each time, in the order of the rows."""
    batches = torch.arange(len(dataset)).tensor_split(n_even_batches(len(dataset), batch_size))
    return DataLoader(dataset, sampler=batches, batch_size=None, generator=Generator())


def shuffled_batches(dataset: RowDataset, *, batch_size: int, generator: Generator) -> DataLoader:
    """Return a loader of :class:`EvenBatches` that indexes the dataset once a batch."""
    sampler = EvenBatches(len(dataset), batch_size, generator)
    # The loader draws a seed of its own even without workers: from our generator, or it would be the global one.
    return DataLoader(dataset, sampler=sampler, batch_size=None, generator=generator)
