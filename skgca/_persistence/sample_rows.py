"""Made-up rows that a fitted reader can read. They resemble the training rows, but are none of them."""

from __future__ import annotations

from datetime import time, timezone
from functools import singledispatch
from typing import Any

import numpy as np

from .._data import ImageReader, Reader, SeriesReader, TableReader
from .._data.dates import DateColumn
from .._utils.missing import is_missing

__all__ = ["example_rows"]

_N_ROWS, _FEWEST_ROWS, _MOST_ENTRIES = 4, 2, 2**16
_LONGEST = 1e12  # seconds; microseconds in 64 bits hold nine times as many
_DATETIMES = (np.datetime64("0001-01-02", "us"), np.datetime64("9999-12-30", "us"))  # what Python's datetime holds


def example_rows(reader: Reader) -> np.ndarray:
    """Make up rows that a reader can read, the same ones each time.

    Parameters
    ----------
    reader : Reader
        Fitted.

    Returns
    -------
    ndarray of shape (n, ...)
        Four rows, or fewer if rows are large. Numbers have the location and scale of those in ``fit``. Categories are
        known ones. In the last row all categories are missing, and so are the numbers of columns in which ``fit`` found
        missing values. A table with categories or dates is an array of objects.
    """
    n_entries = max(1, int(np.prod(reader.shape)))
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(max(_FEWEST_ROWS, min(_N_ROWS, _MOST_ENTRIES // n_entries)), *reader.shape))
    return _rows_like(reader, draws)


@singledispatch
def _rows_like(reader: Reader, draws: np.ndarray) -> np.ndarray:
    """Turn draws of the standard normal distribution, (n, ...), into rows of a kind."""
    raise TypeError(f"No rows can be made up for {type(reader).__name__}; register a function for it.")


@_rows_like.register
def _(reader: TableReader, draws: np.ndarray) -> np.ndarray:
    is_category, scaler = reader.is_category, reader.scaler
    numbers: np.ndarray = draws[:, ~is_category]
    if scaler.standardize and scaler.names:
        k = numbers.shape[1]  # further scales are of columns that are derived from dates
        numbers = scaler.robust.mean_[:k] + scaler.robust.scale_[:k] * numbers
    numbers[-1, reader.has_missing[~is_category]] = np.nan
    if not is_category.any() and not reader.dates:
        return numbers
    rows = np.empty(draws.shape, dtype=object)
    rows[:, ~is_category] = numbers
    for j, column in reader.dates.items():
        rows[:, j] = [None if np.isnan(number) else _as_date(number, column) for number in rows[:, j].tolist()]
    n_known = len(draws) - 1  # rows with known categories, spread from the first category to the last
    for j, known in reader.categories().items():
        present = [value for value in known if not is_missing(value)] or [None]
        rows[:, j] = [present[k * len(present) // n_known] for k in range(n_known)] + [None]
    return rows


def _as_date(number: float, column: DateColumn) -> Any:
    """Return a date so many seconds behind the reference, a duration of them, or a time of day, in microseconds."""
    if column.held == "time":
        return time(microsecond=int(1e6 * abs(number)) % 10**6, hour=int(12 * abs(number)) % 24)
    duration = np.timedelta64(round(min(max(number, -_LONGEST), _LONGEST) * 1e6), "us")
    if column.held == "duration":
        return duration
    instant = np.datetime64(column.reference, "s") + duration
    if column.zone is None:
        return instant
    return instant.clip(*_DATETIMES).item().replace(tzinfo=timezone.utc)


@_rows_like.register
def _(reader: ImageReader, draws: np.ndarray) -> np.ndarray:
    shares = np.abs(draws) % 1  # in [0, 1)
    low, span = reader.low, reader.span
    if isinstance(span, float) and (low, span) == (0.0, 255.0):
        rows: np.ndarray = (256 * shares).astype(np.uint8)
    else:
        if not isinstance(span, float):  # one for each channel: (c,) -> (c, 1, 1), or (c,) if channels are last
            low, span = (np.reshape(value, (-1,) if reader.last else (-1, 1, 1)) for value in (low, span))
            shares = shares.reshape(len(shares), *reader.layout)
        rows = (low + span * shares).astype(np.float32).reshape(draws.shape)
    return rows


@_rows_like.register
def _(reader: SeriesReader, draws: np.ndarray) -> np.ndarray:
    low, span = (np.reshape(value, (-1, 1)) for value in (reader.low, reader.span))
    rows: np.ndarray = low + span * (reader.mean[:, None] + reader.std[:, None] * draws)
    if reader.has_gaps is not None:
        rows[0, reader.has_gaps, 0] = np.nan
    if reader.is_ragged:
        rows[-1, :, -1] = np.nan
    return rows if isinstance(reader.span, np.ndarray) else rows.astype(np.float32)
