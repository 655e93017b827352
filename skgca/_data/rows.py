"""Rows of X fetched by number, and the first checks of X, which need no look at all of its values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import validate_data

from .by_parts import ByParts, between
from .columns import check_order
from .containers import Chunk, Container, container_of, find_container
from .conversion import converted
from .series_lists import as_stack

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

__all__ = ["LOOKED_AT", "N_MEASURED", "Rows", "affordable_rows", "check_rows", "spaced"]

_CHUNK_BYTES = 2**25  # of rows in double precision that are read at a time
_TOGETHER, _TOGETHER_BYTES, _LEAST_TOGETHER = 10_000, 2**27, 256  # of a sample: most rows, most bytes, fewest rows
N_MEASURED = 256  # rows that the measures of ``history_`` are computed on
LOOKED_AT = 256  # rows that are compared with those of fit
_SAMPLES = (N_MEASURED,)  # sizes of other samples of training rows


class Rows:
    """Rows of a table, or of stacked images or series, fetched by number.

    Parameters
    ----------
    X : ndarray, data frame, array-like that slices, or Container
        As :func:`check_rows` accepts it.
    kept : ndarray of int, default=None
        Numbers of the rows of X to keep. None keeps all rows.

    Attributes
    ----------
    shape : tuple of int
        Number of rows, then the shape of one row.
    dtype : dtype
        Type of the values; object for a frame whose columns are of several types.
    is_frame : bool
        Whether X is a data frame.
    is_sparse : bool
        Whether X holds only values other than zero.
    is_series : bool
        Whether X can be nothing but series, such as a list of arrays of unequal lengths.

    Raises
    ------
    TypeError
        If X is of a type that must become an array first, such as a list.
    """

    def __init__(self, X: Any, kept: np.ndarray | None = None) -> None:
        self.kept = kept
        self._container = X if isinstance(X, Container) else container_of(X)
        n_rows, *row_shape = self._container.shape
        self.shape = (n_rows if kept is None else len(kept), *row_shape)
        self.dtype = self._container.dtype
        self.is_frame = self._container.is_frame
        self.is_sparse = self._container.is_sparse
        self.is_series = self._container.is_series

    def __len__(self) -> int:
        return self.shape[0]

    def only(self, kept: np.ndarray) -> Rows:
        """Return some of the rows, renumbered from 0."""
        return Rows(self._container, kept if self.kept is None else self.kept[kept])

    def take(self, rows: np.ndarray | slice) -> Chunk:
        """Fetch rows by number, in the given order: an array (n, ...), or a data frame."""
        if self.kept is not None:
            rows = self.kept[rows]
        return self._container.take(rows)

    def chunks(self, n_rows: int | None = None) -> Iterator[Chunk]:
        """Fetch all rows, ``n_rows`` at a time; by default, :meth:`chunk_size` of them."""
        n_rows = n_rows or self.chunk_size()
        if isinstance(self._container, ByParts):
            yield from self._chunks_by_parts(self._container, n_rows)
            return
        for start in range(0, len(self), n_rows):
            yield self.take(slice(start, min(start + n_rows, len(self))))

    def _chunks_by_parts(self, container: ByParts, n_rows: int) -> Iterator[Chunk]:
        """Fetch all rows in their order, each part once, and remember the rows that samples are made of."""
        kept = np.arange(len(self)) if self.kept is None else self.kept
        spread = [spaced(len(self), most) for most in (affordable_rows(self.shape), *_SAMPLES)]
        start = 0
        for frame in container.chunks(n_rows, remember=kept[np.unique(np.concatenate(spread))]):
            inside = frame if self.kept is None else between(frame, kept, start)
            if inside.shape[0]:
                yield inside
            start += frame.shape[0]

    @property
    def part_sizes(self) -> np.ndarray | None:
        """Number of rows of X in each part, if X is read part by part."""
        return self._container.part_sizes

    def read_part(self, part: int) -> Iterator[Chunk]:
        """Fetch all rows of a part of X in their order, those that are not kept too."""
        assert isinstance(self._container, ByParts)  # it has part_sizes
        return self._container.read_part(part, self.chunk_size())

    def remembers(self, rows: np.ndarray) -> bool:
        """Whether rows of a table that is read by parts can be fetched without reading a part."""
        numbers = rows if self.kept is None else self.kept[rows]
        return isinstance(self._container, ByParts) and self._container.remembers(numbers)

    def showing_types(self) -> Chunk:
        """Fetch rows that show what each column holds: all rows, or fewer where these tell it."""
        if isinstance(self._container, ByParts):
            return self._container.showing_types()
        # All rows are needed to tell the types of columns, except in an array of numbers, where one row does.
        one_type = not self.is_frame and self.dtype.kind not in "OUTbmM"
        return self.take(slice(0, 1 if one_type else len(self)))

    def chunk_size(self) -> int:
        """Return how many rows to read at a time, so that memory stays bounded."""
        return max(1, _CHUNK_BYTES // (8 * max(1, int(np.prod(self.shape[1:])))))

    def sample(self, n_rows: int) -> Chunk:
        """Fetch ``n_rows`` evenly spaced rows, or all rows if there are fewer."""
        if len(self) <= n_rows:
            return self.take(slice(0, len(self)))
        return self.take(spaced(len(self), n_rows))


def affordable_rows(shape: Sequence[int]) -> int:
    """Return how many rows, 10,000 at most, memory has room for at once; ``shape`` is that of all rows."""
    return min(_TOGETHER, max(_LEAST_TOGETHER, _TOGETHER_BYTES // (4 * int(np.prod(shape[1:])))))


def spaced(n_rows: int, most: int) -> np.ndarray:
    """Return the numbers of evenly spaced rows, ``most`` at most, the first and the last row among them."""
    return np.linspace(0, n_rows - 1, min(n_rows, most)).astype(np.int64)


def check_rows(estimator: BaseEstimator, X: Any, *, reset: bool, min_rows: int = 1) -> Rows:
    """Check X as scikit-learn does, except for single values, and record its width and the names of its columns.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and ``feature_names_in_``, or has them from the first fit.
    X : array-like or data frame of shape (n, ...)
        scikit-learn validates arrays and lists. Frames keep the types of their columns. Array-likes that slice
        (``numpy.memmap``, zarr, h5py, a map-style :class:`torch.utils.data.Dataset`), sparse matrices and tables that
        are read by parts are not copied into memory.
    reset : bool
        Whether this is a first fit.
    min_rows : int, default=1
        Minimum number of rows.

    Raises
    ------
    ValueError, TypeError
        If X is neither a table nor a stack of arrays, has too few rows, or has other columns than in ``fit``.
    """
    if isinstance(X, list | tuple) and getattr(getattr(estimator, "reader_", None), "is_ragged", False) and not reset:
        X = as_stack(X)
    X = converted(X)
    container = find_container(X)
    if container is None or not (container.is_frame or container.is_lazy):
        X = validate_data(
            estimator,
            X,
            reset=reset,
            dtype=None,
            allow_nd=True,
            ensure_all_finite=False,  # readers check the values, and can name the column of a bad one
            ensure_min_samples=min_rows,
        )
        return Rows(X)
    if len(container.shape) < 2:
        raise ValueError(
            f"X has shape {container.shape}, but rows are needed; X[:].reshape(-1, 1) makes a table of one column."
        )
    rows = Rows(container)
    if len(rows) < min_rows:
        # in scikit-learn's words, which its checks look for
        raise ValueError(
            f"Found array with {len(rows)} sample(s) (shape={rows.shape}) while a minimum of {min_rows} is required by "
            f"{type(estimator).__name__}."
        )
    if rows.shape[1] == 0:
        raise ValueError(f"Found array with 0 feature(s) (shape={rows.shape}) while a minimum of 1 is required.")
    names = container.names() if rows.is_frame else []
    if rows.is_frame and not reset:
        check_order(names, getattr(estimator, "feature_names_in_", []))
    # scikit-learn looks at the names and the number of columns, for which a frame without rows is enough
    has_names = rows.is_frame and len(set(names)) == len(names)  # names that repeat name nothing
    named = rows.take(slice(0, 0)) if has_names else _Shape(rows.shape)
    validate_data(estimator, named, skip_check_array=True, reset=reset)
    return rows


class _Shape:
    """Stands for rows on disk in scikit-learn's checks of width and names, which look at the shape only."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
