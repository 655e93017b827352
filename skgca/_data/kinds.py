"""Which kind of data X is: a table, images or series."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from .reader import Reader
from .rows import Rows
from .stacks import ImageReader, SeriesReader
from .tables import TableReader

__all__ = ["READERS", "kind_of", "make_reader"]

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
    """
    kind = kind_of(rows, image_shape=image_shape, encoded=encoded)
    if kind is TableReader:
        return TableReader(categorical_features=categorical_features, standardize=standardize)
    return ImageReader(image_shape) if kind is ImageReader else SeriesReader()
