"""Where rows come from: arrays, data frames, and array-likes too big to be copied whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import validate_data
from torch.utils.data import Dataset

__all__ = ["Rows", "check_rows", "is_frame", "spaced"]

_CHUNK_BYTES = 2**25  # of rows in double precision that are read at a time


def is_frame(X: Any) -> bool:
    """Whether X is a pandas or polars data frame."""
    return hasattr(X, "columns") and (hasattr(X, "iloc") or hasattr(X, "get_column"))


def _is_lazy(X: Any) -> bool:
    """Whether X is on disk, or made row by row: it slices, but is not to be copied whole."""
    if isinstance(X, np.memmap | Dataset):
        return True
    if isinstance(X, np.ndarray | torch.Tensor) or is_frame(X) or hasattr(X, "__array_namespace__"):
        return False
    slices = all(hasattr(X, name) for name in ("shape", "dtype", "__getitem__"))
    return slices and not hasattr(X, "tocsr") and not hasattr(X, "iloc")


class Rows:
    """Rows of a table, or of stacked images or series, fetched by number.

    Parameters
    ----------
    X : ndarray, data frame, or array-like that slices
        As :func:`check_rows` takes it.
    kept : ndarray of int, default=None
        Which rows there are. None is all.
    """

    def __init__(self, X: Any, kept: np.ndarray | None = None) -> None:
        self.X = X
        self.kept = kept
        self.shape = (_n_rows(X) if kept is None else len(kept), *_row_shape(X))
        self.dtype = _dtype(X)

    def __len__(self) -> int:
        return self.shape[0]

    def only(self, kept: np.ndarray) -> Rows:
        """Return some of the rows, counted anew from 0."""
        return Rows(self.X, kept if self.kept is None else self.kept[kept])

    def take(self, rows: np.ndarray | slice) -> Any:
        """Fetch rows by number, in their order: an array (n, ...), or a data frame."""
        if isinstance(rows, slice) and (self.kept is not None or isinstance(self.X, Dataset)):
            rows = np.arange(*rows.indices(len(self)))
        if self.kept is not None:
            rows = self.kept[rows]
        if hasattr(self.X, "iloc"):
            return self.X.iloc[rows]
        if isinstance(self.X, np.ndarray) or is_frame(self.X):
            return self.X[rows]
        return _take_lazily(self.X, rows)

    def chunks(self, n_rows: int | None = None) -> Iterator[Any]:
        """Fetch all rows, part by part."""
        n_rows = n_rows or self.chunk_size()
        for start in range(0, len(self), n_rows):
            yield self.take(slice(start, min(start + n_rows, len(self))))

    def chunk_size(self) -> int:
        """Return how many rows to read at a time, so that memory stays bounded."""
        return max(1, _CHUNK_BYTES // (8 * max(1, int(np.prod(self.shape[1:])))))

    def sample(self, n_rows: int) -> Any:
        """Fetch evenly spaced rows, all if they are no more than ``n_rows``."""
        if len(self) <= n_rows:
            return self.take(slice(0, len(self)))
        return self.take(spaced(len(self), n_rows))


def spaced(n_rows: int, most: int) -> np.ndarray:
    """Return the numbers of evenly spaced rows, from the first to the last of them, and ``most`` at most."""
    return np.linspace(0, n_rows - 1, min(n_rows, most)).astype(np.int64)


def check_rows(estimator: Any, X: Any, *, reset: bool, min_rows: int = 1) -> Rows:
    """Check what does not need a look at every value, as scikit-learn does, and remember width and names.

    Parameters
    ----------
    estimator : estimator
        Gets or has ``n_features_in_`` and ``feature_names_in_``.
    X : array-like or data frame of shape (n, ...)
        Arrays and lists are validated by scikit-learn; frames keep their columns' types; array-likes that slice
        (``numpy.memmap``, zarr, h5py, a map-style :class:`torch.utils.data.Dataset`) are left where they are.
    reset : bool
        Whether this is a first fit.
    min_rows : int, default=1
        Fewest rows.

    Raises
    ------
    ValueError, TypeError
        If X is no table or stack, has too few rows, or other columns than in ``fit``.
    """
    if not (is_frame(X) or _is_lazy(X)):
        X = validate_data(
            estimator,
            X,
            reset=reset,
            dtype=None,
            allow_nd=True,
            ensure_all_finite=False,  # by column, when values are read, so that the message may name it
            ensure_min_samples=min_rows,
        )
        return Rows(X)
    if isinstance(X, np.memmap) and X.ndim < 2:
        raise ValueError(f"X has shape {X.shape}, but rows are needed; X.reshape(-1, 1) makes them of one column.")
    rows = Rows(X)
    if len(rows) < min_rows:
        raise ValueError(
            f"Found array with {len(rows)} sample(s) (shape={rows.shape}) while a minimum of {min_rows} is required by "
            f"{type(estimator).__name__}."
        )
    if len(rows.shape) < 2 or rows.shape[1] == 0:
        raise ValueError(f"Found array with 0 feature(s) (shape={rows.shape}) while a minimum of 1 is required.")
    validate_data(estimator, X if is_frame(X) else _Shape(rows.shape), skip_check_array=True, reset=reset)
    return rows


class _Shape:
    """What scikit-learn's checks of width and names look at, for rows that are somewhere else."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape


def _n_rows(X: Any) -> int:
    return X.shape[0] if hasattr(X, "shape") else len(X)  # zarr's arrays have no length, torch's datasets no shape


def _row_shape(X: Any) -> tuple[int, ...]:
    return tuple(_first_item(X).shape) if isinstance(X, Dataset) else tuple(X.shape[1:])


def _dtype(X: Any) -> np.dtype:
    """Type of the values; object for a frame whose columns are of several."""
    if isinstance(X, Dataset):
        return np.asarray(_first_item(X)).dtype
    if not is_frame(X):
        return np.dtype(X.dtype)
    types = {str(dtype).lower() for dtype in X.dtypes}  # polars writes them Float32
    return np.dtype(types.pop()) if types in ({"float32"}, {"float64"}) else np.dtype(object)


def _first_item(dataset: Dataset) -> torch.Tensor:
    return torch.as_tensor(np.asarray(_inputs_of(dataset[0])))


def _inputs_of(item: Any) -> Any:
    """Return the inputs of an item of a torch dataset, which may be a tuple that they come first in."""
    return item[0] if isinstance(item, tuple | list) else item


def _take_lazily(X: Any, rows: np.ndarray | slice) -> np.ndarray:
    if isinstance(X, Dataset):
        fetch = getattr(X, "__getitems__", lambda numbers: [X[number] for number in numbers])
        return np.stack([np.asarray(_inputs_of(item)) for item in fetch(rows.tolist())])
    if isinstance(rows, slice):
        return np.asarray(X[rows])
    unique, place = np.unique(rows, return_inverse=True)  # files are read in order, each row once
    fetched = X.oindex[unique] if hasattr(X, "oindex") else X[unique]
    return np.asarray(fetched)[place]
