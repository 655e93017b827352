"""Tables that are read part by part: parquet files, Arrow tables, and the lazy frames of dask and polars.

A part is a row group of a file, or a partition. It is the least that is read at a time, so rows are not fetched one by
one. Memory holds a few parts, whatever the size of the table.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .._utils.missing import is_missing
from .._utils.optional import import_optional
from .containers import Chunk, Container, Frame, container_of, row_numbers
from .conversion import is_parquet_path

__all__ = ["BY_PARTS", "ByParts", "between"]

_SLICE = 2**16  # rows of a part of a table that has no parts of its own
_READ_LITTLE = {"batch_readahead": 1, "fragment_readahead": 0}  # by default, pyarrow reads far ahead


class ByParts(Container):
    """A table whose rows are fetched a part at a time, as frames.

    Attributes
    ----------
    part_sizes : ndarray of int
        Number of rows of each part.
    """

    is_frame = True
    is_lazy = True
    part_sizes: np.ndarray

    def __init__(self, X: Any) -> None:
        super().__init__(X)
        self._remembered: tuple[np.ndarray, Frame] | None = None  # sorted numbers of rows, and these rows

    @abstractmethod
    def read_part(self, part: int, n_rows: int) -> Iterator[Frame]:
        """Read the rows of a part in their order, about ``n_rows`` at a time."""

    @abstractmethod
    def empty(self) -> Frame:
        """Return a frame of the same columns without rows."""

    @property
    def shape(self) -> tuple[int, ...]:
        return (int(self.part_sizes.sum()), len(self.names()))

    @property
    def dtype(self) -> np.dtype:
        return container_of(self.empty()).dtype

    def names(self) -> list[Any]:
        return container_of(self.empty()).names()

    def chunks(self, n_rows: int, remember: np.ndarray | None = None) -> Iterator[Frame]:
        """Read all rows in their order, each part once.

        Parameters
        ----------
        n_rows : int
            About the number of rows that are read at a time; a chunk ends where a part ends.
        remember : ndarray of int, default=None
            Sorted numbers of rows that :meth:`take` then returns without reading their parts again.
        """
        samples, start = [], 0
        for part in np.flatnonzero(self.part_sizes).tolist():
            for frame in self.read_part(part, n_rows):
                if remember is not None:
                    samples.append(between(frame, remember, start))
                start += frame.shape[0]
                yield frame
        if remember is not None:
            self._remembered = remember, _joined(samples)

    def remembers(self, numbers: np.ndarray) -> bool:
        """Whether rows can be fetched without reading a part."""
        if self._remembered is None or len(numbers) == 0:
            return False
        known = self._remembered[0]
        # A few numbers come first: this is asked for each batch, and most batches are not remembered.
        return all(
            bool((known[np.searchsorted(known, some).clip(max=len(known) - 1)] == some).all())
            for some in (numbers[:8], numbers)
        )

    def take(self, rows: np.ndarray | slice) -> Chunk:
        numbers = np.array(row_numbers(rows, int(self.part_sizes.sum())), dtype=np.int64)
        if not len(numbers):
            return self.empty()
        if self._remembered is not None and self.remembers(numbers):
            known, frame = self._remembered
            return container_of(frame).take(np.searchsorted(known, numbers))
        unique, place = np.unique(numbers, return_inverse=True)
        found = []
        for part, (start, end) in enumerate(pairwise(self.bounds)):
            first, last = np.searchsorted(unique, [start, end])
            if first == last:
                continue
            for frame in self.read_part(part, _SLICE):
                found.append(between(frame, unique[first:last], start))
                start += frame.shape[0]
        return container_of(_joined(found)).take(place)

    def showing_types(self) -> Frame:
        """Return the first rows in which each column has a value, by which the types of the columns can be told."""
        unseen: set[int] = set(range(self.shape[1]))
        found = [self.empty()]
        for frame in self.chunks(_SLICE):
            columns = container_of(frame).columns()
            first = {j: _first_value(columns[j]) for j in unseen}
            rows = sorted({row for row in first.values() if row is not None})
            found.append(between(frame, np.array(rows, dtype=np.int64), 0))
            unseen -= {j for j, row in first.items() if row is not None}
            if not unseen:
                break
        return _joined(found)

    @property
    def bounds(self) -> list[int]:
        """Numbers of the rows at which parts begin, and the number of rows."""
        return [0, *np.cumsum(self.part_sizes).tolist()]


class _Arrow(ByParts):
    """Rows that are read as Arrow tables."""

    schema: Any

    @abstractmethod
    def read_arrow(self, part: int, n_rows: int) -> Iterator[Any]:
        """Read the rows of a part as Arrow tables."""

    def read_part(self, part: int, n_rows: int) -> Iterator[Frame]:
        return map(_as_frame, self.read_arrow(part, n_rows))

    def empty(self) -> Frame:
        return _as_frame(self.schema.empty_table())


class _ArrowTable(_Arrow):
    """A table of pyarrow in memory or mapped from a file, or a dataset of Hugging Face, which gives such tables."""

    def __init__(self, X: Any) -> None:
        super().__init__(X)
        n_rows = len(X)
        self.part_sizes = np.diff([*range(0, n_rows, _SLICE), n_rows])
        self.schema = self._slice(0, min(1, n_rows)).schema

    @classmethod
    def takes(cls, X: Any) -> bool:
        return hasattr(X, "column_names") and (hasattr(X, "to_pydict") or hasattr(X, "with_format"))

    def read_arrow(self, part: int, n_rows: int) -> Iterator[Any]:
        end = part * _SLICE + int(self.part_sizes[part])
        for start in range(part * _SLICE, end, n_rows):
            yield self._slice(start, min(start + n_rows, end))

    def _slice(self, start: int, end: int) -> Any:
        return self.X.with_format("arrow")[start:end] if hasattr(self.X, "with_format") else self.X[start:end]


class _Dataset(_Arrow):
    """A dataset of pyarrow, a parquet file or a folder of them; the parts are the row groups."""

    def __init__(self, X: Any) -> None:
        super().__init__(X)
        arrow = import_optional("pyarrow.dataset", needed_for="X as a parquet file", instead="pass a data frame")
        dataset = X if isinstance(X, arrow.Dataset) else arrow.dataset(X, format="parquet", partitioning="hive")
        self.schema = dataset.schema
        self._parts: list[Any] = []
        try:
            fragments = list(dataset.get_fragments())
        except ValueError as error:
            raise ValueError(
                "X is a pyarrow dataset with a filter or a projection, which has no row groups; pass X.to_table(), or "
                "write its rows to a file."
            ) from error
        if not isinstance(X, arrow.Dataset):  # its schema is that of the first file
            self.schema = _common_schema(self.schema, [fragment.physical_schema for fragment in fragments])
        for fragment in fragments:
            # other formats have no row groups: one file is one part
            self._parts += fragment.split_by_row_group() if hasattr(fragment, "split_by_row_group") else [fragment]
        self.part_sizes = np.array([_n_rows(part) for part in self._parts], dtype=np.int64)

    @classmethod
    def takes(cls, X: Any) -> bool:
        return is_parquet_path(X) or (hasattr(X, "get_fragments") and hasattr(X, "count_rows"))

    def read_arrow(self, part: int, n_rows: int) -> Iterator[Any]:
        pa = import_optional("pyarrow", needed_for="X as a parquet file")
        for batch in self._parts[part].to_batches(schema=self.schema, batch_size=n_rows, **_READ_LITTLE):
            if len(batch):
                yield pa.Table.from_batches([batch])


def _n_rows(fragment: Any) -> int:
    """Return the number of rows of a row group, or of a file without row groups."""
    groups = getattr(fragment, "row_groups", None)
    return sum(group.num_rows for group in groups) if groups else int(fragment.count_rows())


class _PolarsLazy(_Dataset):
    """A lazy frame of polars, which is computed once, into a parquet file in a temporary folder."""

    def __init__(self, X: Any) -> None:
        import_optional("pyarrow", needed_for="X as a LazyFrame", instead="pass X.collect()")
        folder = tempfile.mkdtemp(prefix="skgca-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)  # also when Python ends
        path = os.path.join(folder, "X.parquet")
        X.sink_parquet(path, row_group_size=_SLICE, compression="lz4")
        super().__init__(path)

    @classmethod
    def takes(cls, X: Any) -> bool:
        return hasattr(X, "collect_schema") and hasattr(X, "sink_parquet")


class _Dask(ByParts):
    """A data frame of dask; the parts are its partitions."""

    def __init__(self, X: Any) -> None:
        super().__init__(X)
        self.part_sizes = np.asarray(X.map_partitions(len).compute(), dtype=np.int64)

    @classmethod
    def takes(cls, X: Any) -> bool:
        return hasattr(X, "get_partition") and hasattr(X, "map_partitions") and hasattr(X, "columns")

    def read_part(self, part: int, n_rows: int) -> Iterator[Frame]:
        frame = self.X.get_partition(part).compute()
        for start in range(0, len(frame), n_rows):
            yield frame.iloc[start : start + n_rows]

    def empty(self) -> Frame:
        frame: Frame = self.X._meta
        return frame


BY_PARTS: tuple[type[ByParts], ...] = (_PolarsLazy, _Dataset, _ArrowTable, _Dask)


def _as_frame(table: Any) -> Frame:
    """Return an Arrow table as a frame of pandas, or of polars without pandas."""
    try:
        pd = import_optional("pandas", needed_for="X as an Arrow table")
    except ImportError:
        return import_optional("polars", needed_for="X as an Arrow table", instead="pandas").from_arrow(table)  # type: ignore[no-any-return]
    # whole numbers with gaps would become floats, and merge beyond 2**53
    whole = {"int64": pd.Int64Dtype(), "uint64": pd.UInt64Dtype()}
    frame: Frame = table.to_pandas(types_mapper=lambda dtype: whole.get(str(dtype)), date_as_object=False)
    return frame


def between(frame: Frame, numbers: np.ndarray, start: int) -> Frame:
    """Return the rows of a frame that have some of the sorted numbers, where its first row has number ``start``."""
    first, last = np.searchsorted(numbers, [start, start + frame.shape[0]])
    return container_of(frame).take(numbers[first:last] - start)  # type: ignore[return-value]


def _joined(frames: Sequence[Frame]) -> Frame:
    """Return frames of the same columns as one."""
    filled = [frame for frame in frames if frame.shape[0]] or list(frames[:1])
    if len(filled) == 1:
        return filled[0]
    if not hasattr(filled[0], "iloc"):
        return import_optional("polars", needed_for="X in parts").concat(filled)  # type: ignore[no-any-return]
    joined: Any = import_optional("pandas", needed_for="X in parts").concat(filled, ignore_index=True)
    # a column of categories becomes one of objects where its parts have other categories
    kinds = {name: "category" for name, dtype in filled[0].dtypes.items() if str(dtype) == "category"}  # type: ignore[attr-defined]
    result: Frame = joined.astype(kinds) if kinds else joined
    return result


def _first_value(values: np.ndarray) -> int | None:
    """Return the place of the first value that is not missing."""
    return next((place for place, value in enumerate(values.tolist()) if not is_missing(value)), None)


def _common_schema(schema: Any, schemas: Sequence[Any]) -> Any:
    """Return the schema of all files of a folder: a column may lack values in one file, or have a narrower type.

    Raises
    ------
    TypeError
        If a column has types that cannot be read as one; the message names it.
    """
    pa = import_optional("pyarrow", needed_for="X as a parquet file")
    distinct: list[Any] = []
    for other in schemas:
        if not any(other.equals(known) for known in distinct):
            distinct.append(other)
    for other in distinct:
        for name in sorted(set(other.names) - set(schema.names), key=other.names.index):
            schema = schema.append(other.field(name))
    for place, field in enumerate(schema):
        types = [other.field(field.name).type for other in distinct if field.name in other.names]
        kinds = list(dict.fromkeys([field.type, *types]))
        if len(kinds) == 1 or any(pa.types.is_dictionary(kind) for kind in kinds):
            continue
        try:
            unified = pa.unify_schemas(
                [pa.schema([(field.name, kind)]) for kind in kinds], promote_options="permissive"
            )
        except pa.ArrowTypeError as error:
            raise TypeError(
                f"Column {field.name!r} has the types {', '.join(map(str, kinds[:3]))} in different files of X; write "
                "it with one type in all files."
            ) from error
        schema = schema.set(place, field.with_type(unified.field(0).type))
    return schema
