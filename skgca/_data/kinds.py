"""Which kind of data X is: a table, images or series."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .images import ImageReader
from .ranges import bulk
from .reader import Reader
from .rows import Rows
from .series import SeriesReader
from .tables import TableReader

__all__ = ["READERS", "kind_of", "make_reader"]

_LONG = 3  # images are seldom so many times longer than wide
_LEAST_SIDE = 8  # fewer rows are channels
_LOOKED_AT, _VALUES, _ALIKE, _UNALIKE = 64, 2**17, 0.5, 0.2

READERS: dict[str, type[Reader]] = {reader.kind: reader for reader in (TableReader, ImageReader, SeriesReader)}


def kind_of(rows: Rows, *, image_shape: Sequence[int] | None, encoded: type[Reader] | None = None) -> type[Reader]:
    """Return the class that reads such rows.

    Parameters
    ----------
    rows : Rows
        Two dimensions are a table, or flat images if there is an ``image_shape``. Three are images if they are square
        or of 8 bits, and series otherwise. Four are images.
    image_shape : sequence of int or None
        As in :class:`ImageReader`.
    encoded : type of Reader, default=None
        The one kind that the encoder is for, if it is for one only: it decides what three dimensions are.

    Raises
    ------
    ValueError
        If the number of dimensions is none of these.
    """
    if rows.is_series:
        if image_shape is not None or encoded is ImageReader:
            raise ValueError(
                "X holds arrays of unequal lengths, which are read as series (channels, length); images must be of one "
                "size: resize or crop them, then numpy.stack."
            )
        return SeriesReader
    n_dimensions = len(rows.shape)
    if n_dimensions > 4:
        raise ValueError(
            f"Found array with dim {n_dimensions}, of shape {rows.shape}; GCAEmbedder takes tables (n, columns), "
            "series (n, channels, length) and images (n, h, w), (n, c, h, w) or (n, h, w, c)."
        )
    if n_dimensions == 4 or image_shape is not None:
        return ImageReader
    if n_dimensions == 2:
        return TableReader
    if encoded is not None:
        return SeriesReader if encoded is SeriesReader else ImageReader
    return ImageReader if rows.dtype.name == "uint8" or rows.shape[1] == rows.shape[2] else SeriesReader


def make_reader(
    rows: Rows,
    *,
    categorical_features: str | ArrayLike | None,
    standardize: bool,
    image_shape: Sequence[int] | None,
    encoded: type[Reader] | None = None,
) -> Reader:
    """Return what reads such rows, not fitted yet.

    Parameters
    ----------
    rows, image_shape, encoded
        As in :func:`kind_of`.
    categorical_features, standardize
        As in :class:`TableReader`.

    Raises
    ------
    ValueError
        If the rows are of no kind that is known.

    Warns
    -----
    UserWarning
        If three dimensions can be images as well as series.
    """
    kind = kind_of(rows, image_shape=image_shape, encoded=encoded)
    if len(rows.shape) == 3 and encoded is None and image_shape is None:
        _warn_if_doubtful(rows, kind)
    if kind is TableReader:
        return TableReader(categorical_features=categorical_features, standardize=standardize)
    return ImageReader(image_shape) if kind is ImageReader else SeriesReader()


def _warn_if_doubtful(rows: Rows, kind: type[Reader]) -> None:
    """Warn if rows of two axes (a, b) that were taken for images may be series, or the other way round."""
    a, b = rows.shape[1:]
    if kind is ImageReader:
        if (rows.dtype.name == "uint8" and a * _LONG < b) or _is_smooth_along_rows_only(rows):
            warnings.warn(
                f"X is read as images of {a} x {b} pixels. If they are series of {a} channels and {b} steps, use "
                f"encoder='rocket'; image_shape={(a, b)} says that they are images.",
                stacklevel=2,
            )
    elif _LEAST_SIDE <= a <= b <= _LONG * a:
        remedy = f"resize them, then use image_shape={(a, b)}" if rows.is_series else f"use image_shape={(a, b)}"
        warnings.warn(
            f"X is read as series of {a} channels and {b} steps. If they are images, {remedy}; encoder='rocket' says "
            "that they are series.",
            stacklevel=2,
        )


def _is_smooth_along_rows_only(rows: Rows) -> bool:
    """Whether neighbours along the last axis are alike, and those along the other are not, as in series."""
    sample = np.asarray(rows.sample(_LOOKED_AT))
    if sample.dtype.kind not in "iuf" or not np.isfinite(sample).all() or min(sample.shape[1:]) < 2:
        return False
    values = sample.astype(np.float64)
    values = np.clip(values, *bulk(values.ravel()[:: max(1, values.size // _VALUES)]))
    values -= values.mean(axis=0)  # what all rows share says nothing
    return _likeness(values) > _ALIKE and abs(_likeness(values.swapaxes(1, 2))) < _UNALIKE


def _likeness(values: np.ndarray) -> float:
    """Return the mean correlation of neighbours along the last axis, over pixels that vary: (n, a, b) -> float."""
    scaled = values / np.maximum(np.sqrt(np.square(values).mean(axis=0)), np.finfo(np.float64).tiny)
    products = (scaled[:, :, 1:] * scaled[:, :, :-1]).mean(axis=0)
    varies = (values[:, :, 1:] != 0).any(axis=0) & (values[:, :, :-1] != 0).any(axis=0)
    return float(products[varies].mean()) if varies.any() else 0.0
