"""A few rows such as a fitted reader takes, made up from what it learned; none is of the training data."""

from __future__ import annotations

import numpy as np

from .._data import ImageReader, Reader, SeriesReader, TableReader
from .._utils.missing import is_missing

__all__ = ["example_rows"]

_N_ROWS, _FEWEST, _MOST_ENTRIES = 4, 2, 2**16


def example_rows(reader: Reader) -> np.ndarray:
    """Make up rows that a reader takes, the same ones each time.

    Parameters
    ----------
    reader : Reader
        Fitted.

    Returns
    -------
    ndarray of shape (n, ...)
        Four rows, fewer where they are large. Numbers are spread around the median as those of ``fit`` were, and
        missing in the last row where ``fit`` found gaps; categories are known ones, and missing in the last row. A
        table with categories is an array of objects.
    """
    n_entries = max(1, int(np.prod(reader.shape)))
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(max(_FEWEST, min(_N_ROWS, _MOST_ENTRIES // n_entries)), *reader.shape))
    return _MAKERS[reader.kind](reader, draws)


def _table(reader: TableReader, draws: np.ndarray) -> np.ndarray:
    is_category, scaler = reader.is_category, reader.scaler
    numbers = draws[:, ~is_category]
    if scaler.standardize and scaler.names:
        numbers = scaler.robust.mean_ + scaler.robust.scale_ * numbers
    numbers[-1, scaler.has_missing] = np.nan
    if not is_category.any():
        return numbers
    rows = np.empty(draws.shape, dtype=object)
    rows[:, ~is_category] = numbers
    for j, known in zip(np.flatnonzero(is_category), reader.known_categories, strict=True):
        there = [value for value in known if not is_missing(value)] or [None]
        rows[:, j] = [there[(k * len(there)) // (len(draws) - 1)] for k in range(len(draws) - 1)] + [None]
    return rows


def _images(reader: ImageReader, draws: np.ndarray) -> np.ndarray:
    shares = np.abs(draws) % 1  # in [0, 1)
    if (reader.low, reader.span) == (0.0, 255.0):
        return (256 * shares).astype(np.uint8)
    return (reader.low + reader.span * shares).astype(np.float32)


def _series(reader: SeriesReader, draws: np.ndarray) -> np.ndarray:
    return (reader.mean[:, None] + reader.std[:, None] * draws).astype(np.float32)


_MAKERS = {"table": _table, "images": _images, "series": _series}
