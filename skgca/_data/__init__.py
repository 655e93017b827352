"""Arrays, data frames, images and series to float32 tensors, and batches of them by number."""

from __future__ import annotations

from typing import Any

from .batches import (
    EvenBatches,
    RowDataset,
    bytes_ahead,
    evenly_spaced,
    fixed_batches,
    n_even_batches,
    read_ahead,
    shuffled_batches,
)
from .rows import Rows, check_rows, spaced
from .stacks import ImageReader, SeriesReader
from .tables import TableReader

__all__ = [
    "EvenBatches",
    "ImageReader",
    "Reader",
    "RowDataset",
    "Rows",
    "SeriesReader",
    "TableReader",
    "bytes_ahead",
    "check_rows",
    "evenly_spaced",
    "fixed_batches",
    "make_reader",
    "n_even_batches",
    "read_ahead",
    "shuffled_batches",
    "spaced",
]

Reader = TableReader | ImageReader | SeriesReader


def make_reader(
    rows: Rows, *, categorical_features: Any, standardize: bool, image_shape: Any, series: bool | None
) -> Reader:
    """Return what reads such rows, not fitted yet.

    Parameters
    ----------
    rows : Rows
        Two dimensions are a table, or flat images where there is an ``image_shape``; four are images. Three are images
        where they are square or of 8 bits, and series otherwise.
    categorical_features, standardize
        As in :class:`TableReader`.
    image_shape : tuple of int or None
        As in :class:`ImageReader`.
    series : bool or None
        Whether three dimensions are series, where it is known.

    Raises
    ------
    ValueError
        If the number of dimensions is none of these.
    """
    n_dimensions = len(rows.shape)
    if n_dimensions == 2 and image_shape is None:
        return TableReader(categorical_features=categorical_features, standardize=standardize)
    if n_dimensions == 3 and image_shape is None:
        looks_like_images = rows.dtype.name == "uint8" or rows.shape[1] == rows.shape[2]
        if series or (series is None and not looks_like_images):
            return SeriesReader()
    if n_dimensions > 4:
        raise ValueError(
            f"Found array with dim {n_dimensions}, of shape {rows.shape}; GCAEmbedder takes tables (n, columns), "
            "series (n, channels, length) and images (n, h, w), (n, c, h, w) or (n, h, w, c)."
        )
    return ImageReader(image_shape)
