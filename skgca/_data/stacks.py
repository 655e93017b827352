"""Stacked images and series to float32 tensors, channels first."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from .rows import Rows, is_frame

__all__ = ["ImageReader", "SeriesReader"]

_FEW_CHANNELS = 4
_SMALLEST_SIDE = 4


class _StackReader:
    """Reads arrays of equal shape, with a fixed affine map of their values, and learns what the channels look like.

    Attributes
    ----------
    shape : tuple of int
        Of one row as ``fit`` got it.
    mean, std : ndarray of shape (n_channels,)
        Of the values that ``read`` gives, over rows and places.
    """

    kind: ClassVar[str]
    low, span = 0.0, 1.0

    def fit(self, rows: Rows) -> Any:
        """Learn the layout, the range and the channels' mean and deviation, chunk by chunk."""
        if rows.dtype.kind not in "iufb" and not is_frame(rows.X):
            raise TypeError(f"X holds {rows.dtype}, but {self.kind} are arrays of numbers.")
        self.shape = rows.shape[1:]
        self._set_layout(self.shape, rows.dtype)
        count, total, squares, low, high = 0, 0.0, 0.0, np.inf, -np.inf
        for chunk in rows.chunks():
            block = self._channels_first(chunk)
            self._check_finite(block)
            low, high = min(low, block.min()), max(high, block.max())
            block = block.astype(np.float64, copy=False).reshape(*block.shape[:2], -1)
            count += block.shape[0] * block.shape[2]
            total = total + block.sum(axis=(0, 2))
            squares = squares + np.square(block).sum(axis=(0, 2))
        self._set_range(float(low), float(high), rows.dtype)
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - np.square(mean), 0))
        self.mean = (mean - self.low) / self.span
        self.std = np.where(std > 1e-6 * self.span, std, self.span) / self.span  # 1 where a channel is constant
        return self

    def read(self, X: Any) -> Tensor:
        """Read rows: (n, channels, ...).

        Raises
        ------
        ValueError
            If they are of another shape than in ``fit``, or hold NaN or infinite values.
        """
        if not is_frame(X) and X.shape[1:] != self.shape:
            raise ValueError(f"X holds {self.kind} of shape {X.shape[1:]}, but fit got them of shape {self.shape}.")
        block = self._channels_first(X)
        self._check_finite(block)
        values = np.array(block, dtype=np.float32, order="C")
        if self.low != 0:
            values -= np.float32(self.low)
        if self.span != 1:
            values /= np.float32(self.span)
        return torch.from_numpy(values)

    def _check_finite(self, block: np.ndarray) -> None:
        if block.dtype.kind != "f" or np.isfinite(block.sum()) or np.isfinite(block).all():
            return
        place = tuple(int(k) for k in np.argwhere(~np.isfinite(block))[0])
        what = "NaN" if np.isnan(block[place]) else "infinity"
        raise ValueError(
            f"Input X contains {what}, in the {self.kind} at (row, channel, place) {place} of what was read; fill it "
            "in before."
        )

    def _set_layout(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        raise NotImplementedError

    def _set_range(self, low: float, high: float, dtype: np.dtype) -> None:
        """Nothing to do where any range will do."""

    def _channels_first(self, X: Any) -> np.ndarray:
        raise NotImplementedError


class ImageReader(_StackReader):
    """Reads images as (n, c, h, w), in [0, 1].

    Whole numbers of 8 bits are divided by 255. Other values within [0, 1] stay; otherwise the smallest and largest of
    ``fit`` go to 0 and 1.

    Parameters
    ----------
    image_shape : tuple of int, default=None
        Shape of one image, two or three numbers, where rows are flat or their layout is not plain.

    Attributes
    ----------
    image_shape : tuple of int
        (c, h, w).
    """

    kind = "images"

    def __init__(self, image_shape: Any = None) -> None:
        self.given = None if image_shape is None else tuple(int(side) for side in image_shape)

    def _set_layout(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        layout = self.given or shape
        if self.given is not None and (len(layout) not in (2, 3) or min(layout) < 1):
            raise ValueError(f"image_shape={self.given} must be (h, w), (c, h, w) or (h, w, c), such as (28, 28).")
        if len(shape) == 1 and np.prod(layout) != shape[0]:
            raise ValueError(
                f"image_shape={self.given} makes {np.prod(layout)} values, but the rows of X have {shape[0]}."
            )
        if len(shape) > 1 and self.given is not None and shape not in (layout, (*layout, 1), (1, *layout)):
            raise ValueError(f"image_shape={self.given}, but X holds images of shape {shape}; leave it out.")
        if len(shape) > 1:
            layout = shape
        self.layout = layout
        self.last = len(layout) == 3 and _channels_last(layout)
        self.image_shape = (1, *layout) if len(layout) == 2 else (layout[2], *layout[:2]) if self.last else layout
        if min(self.image_shape[1:]) < _SMALLEST_SIDE:
            raise ValueError(
                f"Images of {self.image_shape[1]} x {self.image_shape[2]} pixels are too small, the sides must be at "
                f"least {_SMALLEST_SIDE}; X.reshape(len(X), -1) makes them rows of a table."
            )

    def _set_range(self, low: float, high: float, dtype: np.dtype) -> None:
        if dtype == np.uint8:
            self.low, self.span = 0.0, 255.0
        elif low < 0 or high > 1:
            self.low, self.span = low, (high - low) or 1.0

    def _channels_first(self, X: Any) -> np.ndarray:
        images = np.asarray(X).reshape(len(X), *self.layout)
        if images.dtype.kind not in "iufb":
            images = images.astype(np.float64)
        if images.ndim == 3:
            return images[:, None]
        return np.moveaxis(images, 3, 1) if self.last else images


class SeriesReader(_StackReader):
    """Reads series as (n, channels, length), each channel standardised by its mean and deviation."""

    kind = "series"

    def _set_layout(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        if len(shape) != 2 or shape[1] < 2:
            raise ValueError(f"Series are (n, channels, length) with a length of 2 or more, but X has rows of {shape}.")

    def _channels_first(self, X: Any) -> np.ndarray:
        return np.asarray(X)


def _channels_last(shape: tuple[int, ...]) -> bool:
    """Whether the channels of an image are its last axis: the one of the outer two that has few, or fewer."""
    first, last = shape[0] <= _FEW_CHANNELS, shape[2] <= _FEW_CHANNELS
    return last if first != last else shape[2] < shape[0]
