"""What X can be: arrays, data frames, and array-likes that stay on disk; how each is sliced and split into columns.

This module and ``by_parts`` are the only places that know the types of X. A new one is a subclass of
:class:`Container` and an entry of ``_CONTAINERS``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
import scipy.sparse
import torch
from torch.utils.data import Dataset

from .conversion import filled, plain_values
from .frame_columns import is_pandas_categorical, pandas_values, polars_values
from .series_lists import as_series, holds_series

__all__ = [
    "Chunk",
    "Container",
    "Frame",
    "container_of",
    "find_container",
    "item_inputs",
    "row_numbers",
    "stacked_items",
]


_FLOATS = {"float32": "float32", "float64": "float64", "float[pyarrow]": "float32", "double[pyarrow]": "float64"}


class Frame(Protocol):
    """What pandas' and polars' data frames have in common, as far as it is used here."""

    @property
    def columns(self) -> Any:
        """Names of the columns."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""


Chunk: TypeAlias = "np.ndarray | Frame"  # some rows of X in memory, as a container fetches them


class Container(ABC):
    """X of one type, left as it is.

    Parameters
    ----------
    X : object
        For which :meth:`takes` is True.
    """

    is_frame: ClassVar[bool] = False  # whether columns have names and types of their own
    is_lazy: ClassVar[bool] = False  # whether rows are on disk or made one by one, so that X is never copied whole
    is_sparse: ClassVar[bool] = False  # whether most values are zeros, which X does not hold
    part_sizes: np.ndarray | None = None  # rows of each part, if X is read part by part; see by_parts.py
    is_series: ClassVar[bool] = False  # whether rows can be nothing but series

    def __init__(self, X: Any) -> None:
        self.X = X

    @classmethod
    @abstractmethod
    def takes(cls, X: Any) -> bool:
        """Whether X is of this type."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows, then the shape of one row."""
        return tuple(self.X.shape)

    @property
    def dtype(self) -> np.dtype:
        """Type of the values; object if columns are of several types."""
        dtype: np.dtype = np.dtype(self.X.dtype)
        return dtype

    @abstractmethod
    def take(self, rows: np.ndarray | slice) -> Chunk:
        """Fetch rows by number, in the given order."""

    def names(self) -> list[Any]:
        """Return the names of the columns, or their numbers if they have none."""
        return list(range(self.shape[1]))

    def columns(self) -> list[np.ndarray]:
        """Return the columns as arrays (n,)."""
        return list(np.asarray(self.X).T)

    def categorical(self) -> list[bool]:
        """Return which columns are of a type for categories, whatever the categories are."""
        return [False] * self.shape[1]


class _Array(Container):
    """An array in memory, or one that numpy maps from a file."""

    @classmethod
    def takes(cls, X: Any) -> bool:
        return isinstance(X, np.ndarray)

    def take(self, rows: np.ndarray | slice) -> Chunk:
        taken: np.ndarray = self.X[rows]
        return taken


class _MappedArray(_Array):
    """An array on disk; it slices as others do, but scikit-learn must not copy it."""

    is_lazy = True

    @classmethod
    def takes(cls, X: Any) -> bool:
        return isinstance(X, np.memmap)


class _Frame(Container):
    """A data frame."""

    is_frame = True

    @property
    def dtype(self) -> np.dtype:
        # Only frames of one type of float have a type, for transform to return float32 for float32.
        types = {_FLOATS.get(str(dtype).lower()) for dtype in self.X.dtypes}  # polars writes Float32
        return np.dtype(types.pop() or object) if len(types) == 1 else np.dtype(object)

    def names(self) -> list[Any]:
        return list(self.X.columns)


class _MaskedMap(_MappedArray):
    """A masked array whose values numpy maps from a file; the masked values of rows become NaN."""

    @classmethod
    def takes(cls, X: Any) -> bool:
        return isinstance(X, np.ma.MaskedArray)

    @property
    def dtype(self) -> np.dtype:
        # as rows are fetched: whole numbers become floats where some are masked
        return filled(np.ma.masked_all(1, dtype=self.X.dtype)).dtype if np.any(self.X.mask) else super().dtype

    def take(self, rows: np.ndarray | slice) -> Chunk:
        return filled(self.X[rows])


class _Sparse(Container):
    """A sparse matrix or array, of which a few rows are made dense at a time."""

    is_lazy = True
    is_sparse = True

    def __init__(self, X: Any) -> None:
        super().__init__(X.tocsr() if X.ndim == 2 else X)  # the format in which rows are fetched quickly
        if X.dtype.kind not in "iufb":
            raise TypeError(f"X is sparse, of type {X.dtype}; X.astype(float) makes numbers of it.")

    @classmethod
    def takes(cls, X: Any) -> bool:
        return bool(scipy.sparse.issparse(X))

    def take(self, rows: np.ndarray | slice) -> Chunk:
        taken: np.ndarray = self.X[rows].toarray()
        return taken


class _PandasFrame(_Frame):
    @classmethod
    def takes(cls, X: Any) -> bool:
        return hasattr(X, "columns") and hasattr(X, "iloc")

    def take(self, rows: np.ndarray | slice) -> Chunk:
        taken: Frame = self.X.iloc[rows]  # X[rows] would look for labels
        return taken

    def columns(self) -> list[np.ndarray]:
        return [pandas_values(column) for column in self._series()]

    def categorical(self) -> list[bool]:
        return [is_pandas_categorical(column.dtype) for column in self._series()]

    def _series(self) -> list[Any]:
        return [self.X.iloc[:, k] for k in range(self.X.shape[1])]  # by position, as two columns may have one name


class _PolarsFrame(_Frame):
    @classmethod
    def takes(cls, X: Any) -> bool:
        return hasattr(X, "columns") and hasattr(X, "get_column")

    def take(self, rows: np.ndarray | slice) -> Chunk:
        taken: Frame = self.X[rows]
        return taken

    def columns(self) -> list[np.ndarray]:
        return [polars_values(self.X.get_column(name)) for name in self.X.columns]

    def categorical(self) -> list[bool]:
        return [type(dtype).__name__ in ("Categorical", "Enum") for dtype in self.X.dtypes]


class _Dataset(Container):
    """A map-style dataset of torch. An item is the inputs of a row, or a tuple that begins with them."""

    is_lazy = True

    def __init__(self, X: Any) -> None:
        super().__init__(X)
        if not hasattr(X, "__len__"):
            raise TypeError(
                f"X is a {type(X).__name__} without __len__; a map-style Dataset says how many rows it has."
            )
        self._first = item_inputs(self._items([0])[0], 0) if len(X) else np.empty(0)

    @classmethod
    def takes(cls, X: Any) -> bool:
        return isinstance(X, Dataset)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.X), *self._first.shape)

    @property
    def dtype(self) -> np.dtype:
        return self._first.dtype

    def take(self, rows: np.ndarray | slice) -> Chunk:
        numbers = row_numbers(rows, len(self.X))
        items = [item_inputs(item, number) for number, item in zip(numbers, self._items(numbers), strict=True)]
        if not items:
            return np.empty((0, *self._first.shape), dtype=self.dtype)
        return stacked_items(items, numbers, self._first.shape)

    def _items(self, numbers: list[int]) -> list[Any]:
        fetch = getattr(self.X, "__getitems__", lambda numbers: [self.X[number] for number in numbers])
        return list(fetch(numbers))


class _Sliceable(Container):
    """An array of another library on disk, such as zarr's or h5py's."""

    is_lazy = True

    @classmethod
    def takes(cls, X: Any) -> bool:
        is_other = isinstance(X, torch.Tensor) or any(
            hasattr(X, name) for name in ("__array_namespace__", "tocsr", "iloc")
        )
        return not is_other and all(hasattr(X, name) for name in ("shape", "dtype", "__getitem__"))

    def take(self, rows: np.ndarray | slice) -> Chunk:
        if isinstance(rows, slice):
            return np.asarray(self.X[rows])
        unique, place = np.unique(rows, return_inverse=True)  # files are read in order, each row once
        fetched = self.X.oindex[unique] if hasattr(self.X, "oindex") else self.X[unique]
        return np.asarray(fetched)[place]


class _Series(Container):
    """Series of unequal lengths, as lists and nested data frames hold them; shorter ones end in NaN."""

    is_lazy = True
    is_series = True

    def __init__(self, X: Any) -> None:
        super().__init__(X)
        self.series = as_series(X)
        self._length = max(item.shape[1] for item in self.series)

    @classmethod
    def takes(cls, X: Any) -> bool:
        return holds_series(X)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.series), len(self.series[0]), self._length)

    @property
    def dtype(self) -> np.dtype:
        return self.series[0].dtype

    def take(self, rows: np.ndarray | slice) -> Chunk:
        numbers = row_numbers(rows, len(self.series))
        padded = np.full((len(numbers), *self.shape[1:]), np.nan, dtype=self.dtype)
        for place, number in enumerate(numbers):
            padded[place, :, : self.series[number].shape[1]] = self.series[number]
        return padded


def item_inputs(item: Any, number: int) -> np.ndarray:
    """Return the inputs of an item of a dataset as an array.

    Raises
    ------
    TypeError
        If they are no array; the message says what an item must be.
    """
    inputs = item[0] if isinstance(item, tuple | list) and len(item) and not _is_scalar(item[0]) else item
    if isinstance(inputs, tuple):
        raise TypeError(
            f"Item {number} of X is a tuple that begins with the number {inputs[0]!r}, so that its inputs cannot "
            "be told from its label; return the inputs as an array, or (inputs, label)."
        )
    if isinstance(inputs, Mapping):
        raise TypeError(
            f"Item {number} of X is a {type(inputs).__name__} with the keys {list(inputs)[:5]}; return its inputs "
            "as an array, or pass pandas.DataFrame([X[k] for k in range(len(X))]) if they are columns."
        )
    inputs = plain_values(inputs)
    has_text = isinstance(inputs, list) and any(isinstance(value, str | None) for value in inputs)
    array = np.asarray(inputs, dtype=object if has_text else None)  # numpy would turn numbers beside text into text
    if array.ndim == 0:
        raise TypeError(f"Item {number} of X is {inputs!r:.60}, but an array is needed for each row.")
    return array


def stacked_items(items: list[np.ndarray], numbers: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
    """Return the inputs of items of a dataset as one array.

    Raises
    ------
    ValueError
        If one has another shape than the first item of the dataset; the message gives its number.
    """
    for number, item in zip(numbers, items, strict=True):
        if item.shape != shape:
            raise ValueError(
                f"Row {number} of X has shape {item.shape}, but row 0 has {shape}; crop or pad the rows to one shape."
            )
    return np.stack(items)


def _is_scalar(value: Any) -> bool:
    """Whether a value is a single number or text."""
    return isinstance(value, Number | str | bytes | None) or getattr(value, "shape", None) == ()


def row_numbers(rows: np.ndarray | slice, n_rows: int) -> list[int]:
    """Return the numbers of rows as a list."""
    numbers: list[int] = list(range(*rows.indices(n_rows))) if isinstance(rows, slice) else rows.tolist()
    return numbers


# The first that takes X reads it. polars' frames have no iloc, and pandas' no get_column.
_CONTAINERS: tuple[type[Container], ...] = (
    _Series,
    _MaskedMap,
    _MappedArray,
    _Array,
    _Sparse,
    _PandasFrame,
    _PolarsFrame,
    _Dataset,
    _Sliceable,
)


def find_container(X: Any) -> Container | None:
    """Return X in the container of its type; None if it must become an array first, as a list or a tensor."""
    from .by_parts import BY_PARTS  # which inherits from Container

    # Those by parts come first: a lazy frame of polars warns if it is asked for its columns.
    return next((container(X) for container in (*BY_PARTS, *_CONTAINERS) if container.takes(X)), None)


def container_of(X: Any) -> Container:
    """Return X in the container of its type.

    Raises
    ------
    TypeError
        If X is of a type that must become an array first.
    """
    container = find_container(X)
    if container is None:
        raise TypeError(f"Rows cannot be fetched from a {type(X).__name__}; numpy.asarray(X) makes an array of it.")
    return container
