"""Batches of rows, fetched by number, a whole batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import TypeAlias

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from .containers import Chunk
from .metadata import Pairwise, only_rows
from .rows import Rows, affordable_rows, spaced

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
_PARTS_BYTES = 2**26  # inputs of parts that are in memory together


def read_ahead(rows: Rows, read: Callable[[Chunk], Tensor], *, reduced: int = 1) -> Fetch:
    """Return what fetches the inputs of some rows: from memory if all of them are small enough, else from X.

    Parameters
    ----------
    rows : Rows
    read : callable ``(array or frame of n rows) -> Tensor (n, ...)``
        Reads a row as it does without the other rows.
    reduced : int, default=1
        Number of values of X that become one value of an input.

    Returns
    -------
    callable ``(numbers (k,)) -> Tensor (k, ...)``
    """
    if rows.part_sizes is not None and 4 * np.prod(rows.shape) > _PARTS_BYTES:
        return PartFetch(rows, read)
    if not bytes_ahead(rows, reduced=reduced):
        return lambda numbers: read(rows.take(numbers.numpy()))
    return _gathered(rows.chunks(), read, len(rows)).__getitem__


def bytes_ahead(rows: Rows, *, reduced: int = 1) -> int:
    """Return how many bytes of inputs are in memory during training, 0 if the rows stay in their source."""
    size = 4 * int(np.prod(rows.shape)) // reduced
    if rows.part_sizes is not None:
        return min(size, _PARTS_BYTES)
    return size if size <= _READ_AHEAD_BYTES else 0


def evenly_spaced(rows: Rows) -> Tensor:
    """Return the numbers of evenly spaced rows, as many as memory has room for at once, and 10,000 at most."""
    return torch.from_numpy(spaced(len(rows), affordable_rows(rows.shape)))


@dataclass(frozen=True)
class Parts:
    """The parts in which rows are read.

    counts : rows of each part that are in the dataset, (n_parts,); sizes : rows that are read with each part;
    capacity : rows that are in memory together.
    """

    counts: Tensor
    sizes: Tensor
    capacity: int

    def groups(self, generator: Generator) -> Iterator[Tensor]:
        """Return the parts in random order, in groups (k,) that fit into memory together."""
        group: list[int] = []
        taken = 0
        for part in torch.randperm(len(self.sizes), generator=generator).tolist():
            size = int(self.sizes[part])
            if group and taken + size > self.capacity:
                yield torch.tensor(group)
                group, taken = [], 0
            group.append(part)
            taken += size
        yield torch.tensor(group)


class PartFetch:
    """Fetches the inputs of rows that are read by parts, and keeps the parts that were used last in memory.

    Each part is read once if batches use the parts of one group of :class:`Parts` after those of another.

    Parameters
    ----------
    rows : Rows
        Read by parts.
    read : callable ``(frame of n rows) -> Tensor (n, ...)``
        Reads a row as it does without the other rows.
    """

    def __init__(self, rows: Rows, read: Callable[[Chunk], Tensor]) -> None:
        assert rows.part_sizes is not None
        if not rows.remembers(np.zeros(1, dtype=np.int64)):  # nothing was learned from these rows, as in a later call
            for _ in rows.chunks():  # one pass for all samples of the rows
                pass
        self.rows = rows
        self.read = read
        sizes = torch.from_numpy(rows.part_sizes)
        self._bounds = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
        self._numbers = None if rows.kept is None else torch.from_numpy(rows.kept)
        capacity = max(1, _PARTS_BYTES // (4 * int(np.prod(rows.shape[1:]))))
        counts = sizes if self._numbers is None else self._part_of(self._numbers).bincount(minlength=len(sizes))
        self.parts: Parts = Parts(counts, sizes, capacity)
        self._loaded: dict[int, Tensor] = {}  # the part that was used last comes last

    def __call__(self, numbers: Tensor) -> Tensor:
        """Return the inputs of some rows."""
        if self.rows.remembers(numbers.numpy()):
            return self.read(self.rows.take(numbers.numpy()))
        if self._numbers is not None:
            numbers = self._numbers[numbers]
        numbers, order = numbers.sort()
        parts, counts = self._part_of(numbers).unique_consecutive(return_counts=True)
        places = dict(zip(parts.tolist(), numbers.split(counts.tolist()), strict=True))
        # Parts in memory come first: a part that is loaded may take their place.
        fetched = {part: self._load(part)[places[part] - self._bounds[part]] for part in self._sorted_by_use(places)}
        inputs = torch.cat([fetched[part] for part in places])
        return torch.empty_like(inputs).index_copy_(0, order, inputs)

    def _part_of(self, numbers: Tensor) -> Tensor:
        return torch.searchsorted(self._bounds, numbers, right=True) - 1

    def _sorted_by_use(self, parts: Iterable[int]) -> list[int]:
        return sorted(parts, key=lambda part: part not in self._loaded)

    def _load(self, part: int) -> Tensor:
        """Return the inputs of a part, from memory or from X."""
        inputs = self._loaded.pop(part, None)
        if inputs is None:
            size = int(self.parts.sizes[part])
            while self._loaded and size + sum(map(len, self._loaded.values())) > self.parts.capacity:
                del self._loaded[next(iter(self._loaded))]
            inputs = _gathered(self.rows.read_part(part), self.read, size)
        self._loaded[part] = inputs
        return inputs


def _gathered(chunks: Iterator[Chunk], read: Callable[[Chunk], Tensor], n_rows: int) -> Tensor:
    """Read chunks of rows into one tensor, which is made first: to concatenate them would take twice the memory."""
    first = read(next(chunks))
    inputs, done = first.new_empty((n_rows, *first.shape[1:])), 0
    for chunk in chain([first], (read(chunk) for chunk in chunks)):
        inputs[done : done + len(chunk)] = chunk
        done += len(chunk)
    return inputs


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

    @property
    def parts(self) -> Parts | None:
        """The parts in which the rows are read; None if they are fetched one by one."""
        return next((fetch.parts for fetch in self.inputs if isinstance(fetch, PartFetch | _Kept)), None)

    def only(self, kept: Tensor) -> RowDataset:
        """Return some of the rows, renumbered from 0."""
        inputs = [_only(fetch, kept) for fetch in self.inputs]
        return RowDataset(len(kept), *inputs, **only_rows(self.extras, kept))


class _Kept:
    """Fetches some of the rows of a :class:`PartFetch`."""

    def __init__(self, fetch: PartFetch | _Kept, kept: Tensor) -> None:
        self.fetch = fetch
        self.kept = kept
        ends = fetch.parts.counts.cumsum(0)
        part = torch.searchsorted(ends, kept, right=True)
        self.parts: Parts = replace(fetch.parts, counts=part.bincount(minlength=len(ends)))

    def __call__(self, rows: Tensor) -> Tensor:
        return self.fetch(self.kept[rows])


def _only(fetch: Fetch, kept: Tensor) -> Fetch:
    """Return what fetches some of the rows, renumbered from 0."""
    if not isinstance(fetch, PartFetch | _Kept):
        return partial(_fetch_kept, fetch, kept)
    if len(kept) <= fetch.parts.capacity // 4:  # such as held-out rows, which would be read again in each epoch
        return fetch(kept).__getitem__
    return _Kept(fetch, kept)


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


class PartBatches(EvenBatches):
    """Random batches of the same sizes, for rows that are read by parts.

    The parts are shuffled, and then the rows of each group of parts that fits into memory. So each part is read once.

    Parameters
    ----------
    parts : Parts
    n_rows, batch_size, generator
        As in :class:`EvenBatches`.
    """

    def __init__(self, parts: Parts, n_rows: int, batch_size: int, generator: Generator) -> None:
        super().__init__(n_rows, batch_size, generator)
        self.parts = parts

    def __iter__(self) -> Iterator[Tensor]:
        skip, self.skip = self.skip, 0
        # The groups are drawn while training goes on, from a generator of their own: nothing else moves it meanwhile.
        seed = torch.randint(2**62, (), generator=self.generator)
        return islice(self._batches(Generator().manual_seed(int(seed))), skip, None)

    def _batches(self, generator: Generator) -> Iterator[Tensor]:
        ends = self.parts.counts.cumsum(0)
        sizes = [len(batch) for batch in torch.empty(self.n_rows, 0).tensor_split(self.n_batches)][::-1]
        waiting = torch.arange(0)
        for group in self.parts.groups(generator):
            rows = torch.cat([torch.arange(int(ends[k] - self.parts.counts[k]), int(ends[k])) for k in group])
            waiting = torch.cat([waiting, rows[torch.randperm(len(rows), generator=generator)]])
            while sizes and len(waiting) >= sizes[-1]:
                batch, waiting = waiting.split([sizes[-1], len(waiting) - sizes.pop()])
                yield batch


def n_even_batches(n_rows: int, batch_size: int) -> int:
    """Return the number of batches of near-equal size, each of 2 rows at least."""
    return max(1, min(-(-n_rows // batch_size), n_rows // 2))


def fixed_batches(dataset: RowDataset, *, batch_size: int) -> DataLoader[Batch]:
    """Return a loader of batches of near-equal size in the order of the rows, the same in each pass."""
    batches = torch.arange(len(dataset)).tensor_split(n_even_batches(len(dataset), batch_size))
    return DataLoader(dataset, sampler=batches, batch_size=None, generator=Generator())


def shuffled_batches(dataset: RowDataset, *, batch_size: int, generator: Generator) -> DataLoader[Batch]:
    """Return a loader of :class:`EvenBatches` that indexes the dataset once for each batch."""
    sampler = (
        EvenBatches(len(dataset), batch_size, generator)
        if dataset.parts is None
        else PartBatches(dataset.parts, len(dataset), batch_size, generator)
    )
    # The loader draws a seed even without workers. Without a generator it would draw from torch's global one.
    return DataLoader(dataset, sampler=sampler, batch_size=None, generator=generator)
