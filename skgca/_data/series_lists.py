"""Series of unequal lengths in the forms in which libraries for time series hold them.

These are lists or object arrays of arrays (channels, length), aeon's; lists of data frames (length, channels), data
frames whose cells are series, and data frames with an index (instance, time point), sktime's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .conversion import plain_values

__all__ = ["as_series", "as_stack", "holds_series"]

# Names of the two levels of an index in sktime's data frames. A table may have an index of two levels as well.
_INSTANCES = {"instance", "instances", "case", "cases", "case_id", "series", "series_id"}
_TIMES = {"timepoint", "timepoints", "time", "times", "timestamp", "step", "steps", "reading_id"}

_MOST_CHANNELS = 4  # of 8-bit series; arrays of more rows are images


def holds_series(X: Any) -> bool:
    """Whether X holds series in one of these forms; a look at the first row decides, and at the shapes of a list."""
    if _is_frame(X):
        return _is_long_frame(X) or _is_nested(X)
    if isinstance(X, np.ndarray):
        return X.dtype == object and X.ndim in (1, 2) and X.size > 0 and all(_ndim(item) > 0 for item in X.flat)
    if not isinstance(X, list | tuple) or len(X) == 0:
        return False
    if _is_frame(X[0]):
        return all(map(_is_frame, X))
    return all(_ndim(item) > 0 for item in X) and len({tuple(item.shape) for item in X}) > 1


def as_series(X: Any) -> list[np.ndarray]:
    """Return the series in X as arrays (channels, length).

    Raises
    ------
    TypeError, ValueError
        If they hold no numbers, are empty, or are of unequal numbers of channels.
    """
    if _is_long_frame(X):
        series = [part.to_numpy().T for _, part in X.groupby(level=0, sort=False)]
    elif hasattr(X, "iloc") or (isinstance(X, np.ndarray) and X.ndim == 2):
        series = [_stacked(cells, row) for row, cells in enumerate(X.to_numpy() if hasattr(X, "iloc") else X)]
    elif _is_frame(X[0]):
        series = [frame.to_numpy().T for frame in X]
    else:
        arrays = [_array(item) for item in X]
        series = [item[None] if item.ndim == 1 else item for item in arrays]
    _check(series)
    dtype = np.float32 if all(item.dtype == np.float32 for item in series) else np.float64
    return [item.astype(dtype, copy=False) for item in series]


def as_stack(X: Sequence[Any]) -> Sequence[Any]:
    """Return a list of arrays (length,) of equal length, which would be a table, as series of one channel."""
    return [item[None] for item in X] if all(_ndim(item) == 1 for item in X) else X


def _check(series: Sequence[np.ndarray]) -> None:
    shapes = list(dict.fromkeys(item.shape for item in series))
    for row, item in enumerate(series):
        if item.dtype.kind not in "iufb" and not _is_numeric(item):
            raise TypeError(f"Series {row} of X holds {item.dtype}, but series are arrays of numbers.")
        if item.ndim == 2 and item.shape[1] == 0:
            raise ValueError(f"Series {row} of X is empty: its shape is {item.shape}; leave it out.")
    of_images = all(item.dtype == np.uint8 for item in series) and len(series[0]) > _MOST_CHANNELS
    if of_images or any(len(shape) != 2 for shape in shapes) or len({shape[0] for shape in shapes}) > 1:
        listed = ", ".join(map(str, shapes[:3])) + (", ..." if len(shapes) > 3 else "")
        remedy = "images must be of one size: resize or crop them, then numpy.stack"
        if all(len(shape) == 2 for shape in shapes) and len({shape[1] for shape in shapes}) == 1:
            remedy = "if they are series (length, channels), use [series.T for series in X]; " + remedy
        raise ValueError(
            f"X holds arrays of different shapes: {listed}. Series of unequal lengths are (channels, length), with the "
            f"same number of channels; {remedy}."
        )


def _is_numeric(item: np.ndarray) -> bool:
    try:
        item.astype(np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _stacked(cells: Sequence[Any], row: int) -> np.ndarray:
    """Return the cells of a row, one for each channel, as (channels, length)."""
    channels = [_array(cell) for cell in cells]
    if any(channel.ndim != 1 for channel in channels):
        wrong = next(cell for cell, channel in zip(cells, channels, strict=True) if channel.ndim != 1)
        raise TypeError(f"Series {row} of X holds {wrong!r} in place of a series of numbers; leave that row out.")
    lengths = [len(channel) for channel in channels]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"The channels of series {row} of X have the lengths {lengths}; they must be equal: resample the channels, "
            "or fill the end of shorter ones with NaN."
        )
    return np.stack(channels)


def _array(item: Any) -> np.ndarray:
    return np.asarray(plain_values(item))


def _ndim(item: Any) -> int:
    """Return the number of dimensions of an array, tensor or series, 0 for anything else."""
    return len(item.shape) if hasattr(item, "shape") and hasattr(item, "__array__") and not _is_frame(item) else 0


def _is_frame(item: Any) -> bool:
    return hasattr(item, "iloc") and hasattr(item, "columns")


def _is_long_frame(X: Any) -> bool:
    names = getattr(getattr(X, "index", None), "names", ())
    if not _is_frame(X) or len(names) != 2:
        return False
    first, second = (str(name).lower() for name in names)
    return first in _INSTANCES and second in _TIMES


def _is_nested(X: Any) -> bool:
    if 0 in X.shape or not all(str(dtype) == "object" for dtype in X.dtypes):
        return False
    return all(_ndim(X.iloc[0, column]) == 1 for column in range(X.shape[1]))
