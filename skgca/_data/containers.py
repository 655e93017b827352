"""What X can be: arrays, data frames, and array-likes that stay on disk; how each is sliced and split into columns.

This is the one place that knows the types of X. A new one is a subclass of :class:`Container` and an entry of
``_CONTAINERS``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
import torch
from torch.utils.data import Dataset

from .series_lists import as_series, holds_series

__all__ = ["Chunk", "Container", "Frame", "container_of", "find_container"]


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
        types = {str(dtype).lower() for dtype in self.X.dtypes}  # polars writes Float32
        return np.dtype(types.pop() if types in ({"float32"}, {"float64"}) else object)

    def names(self) -> list[Any]:
        return list(self.X.columns)


class _PandasFrame(_Frame):
    @classmethod
    def takes(cls, X: Any) -> bool:
        return hasattr(X, "columns") and hasattr(X, "iloc")

    def take(self, rows: np.ndarray | slice) -> Chunk:
        taken: Frame = self.X.iloc[rows]  # X[rows] would look for labels
        return taken

    def columns(self) -> list[np.ndarray]:
        # by position, as two columns may have one name; categories become the objects that they stand for
        series = [self.X.iloc[:, k] for k in range(self.X.shape[1])]
        return [np.asarray(column.astype(object) if column.dtype.name == "category" else column) for column in series]


class _PolarsFrame(_Frame):
    @classmethod
    def takes(cls, X: Any) -> bool:
        return hasattr(X, "columns") and hasattr(X, "get_column")

    def take(self, rows: np.ndarray | slice) -> Chunk:
        taken: Frame = self.X[rows]
        return taken

    def columns(self) -> list[np.ndarray]:
        return [self.X.get_column(name).to_numpy() for name in self.X.columns]


class _Dataset(Container):
    """A map-style dataset of torch. An item is the inputs of a row, or a tuple that begins with them."""

    is_lazy = True

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
        numbers = list(range(*rows.indices(len(self.X)))) if isinstance(rows, slice) else rows.tolist()
        fetch = getattr(self.X, "__getitems__", lambda numbers: [self.X[number] for number in numbers])
        return np.stack([self._inputs(item) for item in fetch(numbers)])

    @property
    def _first(self) -> np.ndarray:
        return self._inputs(self.X[0])

    @staticmethod
    def _inputs(item: Any) -> np.ndarray:
        return np.asarray(item[0] if isinstance(item, tuple | list) else item)


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

    @classmethod
    def takes(cls, X: Any) -> bool:
        return holds_series(X)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.series), len(self.series[0]), max(item.shape[1] for item in self.series))

    @property
    def dtype(self) -> np.dtype:
        return self.series[0].dtype

    def take(self, rows: np.ndarray | slice) -> Chunk:
        numbers = np.arange(len(self.series))[rows]
        padded = np.full((len(numbers), *self.shape[1:]), np.nan, dtype=self.dtype)
        for place, number in enumerate(numbers):
            padded[place, :, : self.series[number].shape[1]] = self.series[number]
        return padded


# The first that takes X reads it. polars' frames have no iloc, and pandas' no get_column.
_CONTAINERS: tuple[type[Container], ...] = (
    _Series,
    _MappedArray,
    _Array,
    _PandasFrame,
    _PolarsFrame,
    _Dataset,
    _Sliceable,
)


def find_container(X: Any) -> Container | None:
    """Return X in the container of its type; None if it must become an array first, as a list or a tensor."""
    return next((container(X) for container in _CONTAINERS if container.takes(X)), None)


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
