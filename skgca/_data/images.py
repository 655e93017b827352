"""Stacked images to float32 tensors (n, c, h, w)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from .containers import Chunk
from .image_measures import FEWEST, MOST, colour_agreement, mirror_objection, reduced
from .ranges import Moments
from .rows import Rows, spaced
from .stacks import Scale, StackReader

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ImageReader"]

_FEW_CHANNELS = 4
_SMALLEST_SIDE = 4
_NEGATIVE = -0.25  # resizing makes small negative values of images in [0, 1], and no smaller ones
_SMALLEST_SPAN = 0.01  # of images within [0, 1], and of a channel relative to all
_AT_A_TIME = 64  # images that are read to choose the views
# Above the first, images are not mirrored; below the second, their colours change. docs/develop/decisions.md has what
# several data sets measure.
_MIRROR_OBJECTS, _COLOURS_AGREE = 0.6, 0.55


class ImageReader(StackReader):
    """Reads images as (n, c, h, w), in [0, 1].

    Whole numbers of 8 bits are divided by 255. Other values within [0, 1] are left unchanged, unless they fill less
    than a hundredth of it. Any others are mapped so that the smallest and the largest value of ``fit``, apart from a
    few far ones, become 0 and 1. Channels whose ranges differ a hundredfold, such as temperature and reflectance, are
    mapped each by itself.

    Parameters
    ----------
    image_shape : sequence of int, default=None
        Shape of one image, two or three numbers, if rows are flat. Two numbers also say which axes of (n, c, h, w) or
        (n, h, w, c) are the sides.

    Attributes
    ----------
    given : tuple of int or None
        The parameter ``image_shape``.
    layout : tuple of int
        Shape of one image as it comes: (h, w), (c, h, w) or (h, w, c).
    last : bool
        Whether its last axis are the channels.
    image_shape : tuple of int
        (c, h, w).
    chosen_views : str
        Name of the views of images of several channels, as chosen by measures of the training images; "" in files of
        earlier versions, and for one channel.
    """

    kind = "images"
    noun = "images"
    auto_encoder = "conv"
    auto_steps = 800
    n_dimensions = 2
    _state = ("given", "shape", "layout", "last", "image_shape", "low", "span", "mean", "std")
    _later_state: ClassVar[dict[str, Any]] = {**StackReader._later_state, "chosen_views": ""}

    layout: tuple[int, ...]
    last: bool
    image_shape: tuple[int, ...]

    def __init__(self, image_shape: Sequence[int] | None = None) -> None:
        self.given = None if image_shape is None else tuple(int(side) for side in image_shape)
        self.chosen_views = ""

    def fit(self, rows: Rows) -> Self:
        """Learn the layout and the scale as all stacks do, and choose the views of images of several channels."""
        super().fit(rows)
        self.chosen_views = self._choose_views(rows) if self.image_shape[0] > 1 else ""
        return self

    def _choose_views(self, rows: Rows) -> str:
        """Return the name of the views that change what does not matter, as far as images without labels tell."""
        if len(rows) < FEWEST:
            return "geometric"  # the safe side: nothing is mirrored, and colours stay
        numbers = spaced(len(rows), MOST)
        parts = np.array_split(numbers, -(-len(numbers) // _AT_A_TIME))
        images = torch.cat([reduced(self.read(rows.take(part))) for part in parts])
        views = "geometric" if mirror_objection(images) > _MIRROR_OBJECTS else "crop"
        return views if colour_agreement(images) > _COLOURS_AGREE else f"{views}+photometric"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one image: (c, h, w)."""
        return self.image_shape

    @property
    def auto_views(self) -> str:
        """Views that :meth:`fit` chose; of one channel, those of digits, since few such images may be mirrored."""
        if self.image_shape[0] == 1:
            return "geometric"
        return self.chosen_views or "standard"  # the latter as in the version that wrote the file

    @property
    def summary(self) -> str:
        """What a row is read as, in words."""
        c, h, w = self.image_shape
        order = "" if len(self.layout) == 2 else ", channels last" if self.last else ", channels first"
        return f"images of {h} x {w} pixels and {c} channel{'' if c == 1 else 's'}{order}"

    def output_dtype(self, dtype: np.dtype) -> type[np.floating]:
        """Return single precision for 8 bits too, which it holds exactly."""
        return np.float32 if dtype == np.uint8 else super().output_dtype(dtype)

    def _set_layout(self, shape: tuple[int, ...]) -> None:
        given = self.given
        if given is not None and (len(given) not in (2, 3) or min(given) < 1):
            raise ValueError(f"image_shape={given} must be (h, w), (c, h, w) or (h, w, c), such as (28, 28).")
        if len(shape) == 1:
            self.layout = self._layout_of_flat(shape[0])
        elif given is not None and given not in (shape, *_possible_sides(shape)):
            raise ValueError(f"image_shape={given}, but X holds images of shape {shape}; leave it out.")
        else:
            self.layout = shape
        self.last = len(self.layout) == 3 and self._channels_last(self.layout)
        c, h, w = (1, *self.layout) if len(self.layout) == 2 else _first(self.layout) if self.last else self.layout
        self.image_shape = (c, h, w)
        if min(h, w) < _SMALLEST_SIDE:
            raise ValueError(
                f"Images of {h} x {w} pixels are too small: sides must be at least {_SMALLEST_SIDE}. "
                "X.reshape(len(X), -1) makes them rows of a table; encoder='rocket' reads (n, channels, length) as "
                "series."
            )

    def _layout_of_flat(self, n_values: int) -> tuple[int, ...]:
        """Return the shape of images whose rows are flat."""
        given = self.given
        assert given is not None
        n_given = int(np.prod(given))
        if n_given == n_values:
            return given
        n_channels, rest = divmod(n_values, n_given)
        remedy = ""
        if len(given) == 2 and rest == 0 and n_channels > 1:
            first, last = (n_channels, *given), (*given, n_channels)
            remedy = (
                f", {n_channels} times as many; use image_shape={first} if the channels of an image follow each other, "
                f"or image_shape={last} if those of a pixel do"
            )
        raise ValueError(f"image_shape={given} makes {n_given} values, but the rows of X have {n_values}{remedy}.")

    def _channels_last(self, shape: tuple[int, ...]) -> bool:
        """Whether the channels of an image are its last axis, as given, or as the sizes of the axes tell."""
        if self.given is not None and len(self.given) == 2:
            is_first, is_last = self.given == shape[1:], self.given == shape[:2]
            if is_first or is_last:
                return not is_first
        # Sides are large enough, or equal; channels are few.
        for tells in (
            (min(shape[1:]) >= _SMALLEST_SIDE, min(shape[:2]) >= _SMALLEST_SIDE),
            (shape[1] == shape[2], shape[0] == shape[1]),
            (shape[0] <= _FEW_CHANNELS, shape[2] <= _FEW_CHANNELS),
            (4 * shape[0] <= shape[2], 4 * shape[2] <= shape[0]),
        ):
            if tells[0] != tells[1]:
                return tells[1]
        is_last = shape[2] < shape[0]
        c, h, w = _first(shape) if is_last else shape
        other = shape[1:] if is_last else shape[:2]
        remedy = f"use image_shape={other}" if other != (h, w) else "move the channels to the first place"
        reshaped = f", with X.reshape(len(X), *{shape})" if len(self.shape) == 1 else ""
        warnings.warn(
            f"Images of shape {shape} may have their channels first or last; they are read as {c} channels of {h} x "
            f"{w} pixels. If that is wrong, {remedy}{reshaped}; image_shape={(h, w)} says that it is right.",
            stacklevel=2,
        )
        return is_last

    def _eight_bits(self, dtype: np.dtype) -> bool:
        return dtype == np.uint8

    def _set_scale(self, moments: Moments, varies: np.ndarray, dtype: np.dtype) -> None:
        if dtype == np.uint8:
            self.low, self.span = 0.0, 255.0
            return
        low, high = float(moments.low.min()), float(moments.high.max())
        spans = moments.high - moments.low
        is_small = (spans < _SMALLEST_SPAN * (high - low)) & varies
        if is_small.any():
            is_fraction = (moments.low >= 0) & (moments.high <= 1) & ((spans >= _SMALLEST_SPAN) | ~varies)
            self.low = np.where(is_fraction, 0.0, moments.low)
            self.span = np.where(is_fraction | (spans == 0), 1.0, spans)
        elif low >= 0 and high <= 1 and (high - low >= _SMALLEST_SPAN or not varies.any()):
            self.low, self.span = 0.0, 1.0
        else:
            self.low, self.span = low, (high - low) or 1.0

    def _scale_of(self, rows: Rows) -> Scale | None:
        unchanged = isinstance(self.span, float) and (self.low, self.span) == (0.0, 1.0)
        if self.dtype == "uint8" and rows.dtype.kind == "f":
            # Fractions are 8 bits that were divided by 255. All rows are asked, as some may be nearly black.
            is_fraction = all(np.max(self._values(chunk)) <= 1 for chunk in rows.chunks())
            return (0.0, 1.0) if is_fraction else None
        if self.dtype == "uint8" or rows.dtype.kind not in "iu" or not unchanged or rows.dtype.name == self.dtype:
            return None
        largest = max(float(np.max(self._values(chunk))) for chunk in rows.chunks())
        if largest <= 1 and (self.is_whole or rows.dtype != np.uint8):  # masks of 0 and 1 in either type
            return None
        if rows.dtype == np.uint8:
            return (0.0, 255.0)
        raise ValueError(
            f"X holds {rows.dtype.name} up to {largest:.0f}, but fit got images in [0, 1]; divide X by the number that "
            "the images of fit were divided by, such as 255 or 65535."
        )

    def _lowest(self, lower: np.ndarray) -> np.ndarray:
        # 8 bits and fractions have no negative values: images in [-1, 1] are others, even if the extent of fit is kept
        if isinstance(self.span, float) and self.low == 0.0 and self.span in (1.0, 255.0):
            return np.asarray(np.maximum(lower, _NEGATIVE))
        return lower

    def _extent(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        return np.ones(len(low))

    def _together(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(len(values), 1, -1)  # all channels are in [0, 1]

    def _channels_first(self, X: Chunk) -> np.ndarray:
        flat = np.asarray(X)
        images = flat.reshape(len(flat), *self.layout)
        if images.dtype.kind not in "iufb":  # a frame may hold numbers as objects
            images = images.astype(np.float64)
        if images.ndim == 3:
            return images[:, None]  # (n, h, w) -> (n, 1, h, w)
        return np.moveaxis(images, 3, 1) if self.last else images  # (n, h, w, c) -> (n, c, h, w)


def _possible_sides(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return what image_shape=(h, w) may be for images of this shape."""
    return [shape[1:], shape[:2]] if len(shape) == 3 else [(*shape, 1), (1, *shape)]


def _first(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[2], *shape[:2])  # (h, w, c) -> (c, h, w)
