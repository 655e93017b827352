"""Stacked images and series to float32 tensors, channels first."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..encoders import ChannelStem
from .containers import Chunk, container_of
from .reader import Reader
from .rows import Rows

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ImageReader", "SeriesReader"]

_FEW_CHANNELS = 4
_SMALLEST_SIDE = 4


class _StackReader(Reader):
    """Reads arrays of equal shape, maps their values by a fixed affine map, and learns the scale of each channel.

    The affine map brings images to [0, 1], which their views need. The stem of the encoder standardises the channels
    behind the views.

    Attributes
    ----------
    mean, std : ndarray of shape (n_channels,)
        Of the values that ``read`` returns, over rows and places.
    low, span : float
        ``read`` subtracts the one and divides by the other.
    """

    n_dimensions: ClassVar[int]  # axes that follow the channels
    _state: ClassVar[tuple[str, ...]] = ("shape", "low", "span", "mean", "std")

    mean: np.ndarray
    std: np.ndarray
    low: float
    span: float

    def fit(self, rows: Rows) -> Self:
        """Learn the layout, the range of the values, and mean and deviation of the channels, chunk by chunk.

        Raises
        ------
        TypeError, ValueError
            If the rows are not of numbers, hold NaN or infinite values, or have no shape of this kind.
        """
        if rows.dtype.kind not in "iufb" and not rows.is_frame:
            raise TypeError(f"X holds {rows.dtype}, but {self.noun} are arrays of numbers.")
        self.shape = rows.shape[1:]
        self._set_layout(self.shape)
        count, total, squares = 0, np.zeros(()), np.zeros(())
        low, high = np.inf, -np.inf
        for chunk in rows.chunks():
            block = self._channels_first(chunk)
            self._check_finite(block)
            low, high = min(low, block.min()), max(high, block.max())
            block = block.astype(np.float64, copy=False).reshape(*block.shape[:2], -1)  # (n, channels, places)
            count += block.shape[0] * block.shape[2]
            total = total + block.sum(axis=(0, 2))
            squares = squares + np.square(block).sum(axis=(0, 2))
        self.low, self.span = self._range(float(low), float(high), rows.dtype)
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - np.square(mean), 0))  # rounding may take the difference below 0
        self.mean = (mean - self.low) / self.span
        self.std = np.where(std > 1e-6 * self.span, std, self.span) / self.span  # 1 where a channel is constant
        return self

    def read(self, X: Chunk) -> Tensor:
        """Read rows: (n, channels, ...).

        Raises
        ------
        ValueError
            If they have another shape than in ``fit``, or hold NaN or infinite values.
        """
        stack = container_of(X)
        if not stack.is_frame and stack.shape[1:] != self.shape:
            raise ValueError(f"X holds {self.noun} of shape {stack.shape[1:]}, but fit got them of shape {self.shape}.")
        block = self._channels_first(X)
        self._check_finite(block)
        values = np.array(block, dtype=np.float32, order="C")
        if self.low != 0:
            values -= np.float32(self.low)
        if self.span != 1:
            values /= np.float32(self.span)
        return torch.from_numpy(values)

    def make_stem(self, *, standardize: bool, numeric_encoding: nn.Module | None = None) -> ChannelStem:
        """Make the stem that standardises channels."""
        n_channels = len(self.mean)
        mean, std = (self.mean.tolist(), self.std.tolist()) if standardize else ([0.0] * n_channels, [1.0] * n_channels)
        return ChannelStem(mean, std, self.n_dimensions)

    def get_state(self) -> dict[str, Any]:
        """Return what was learned, by name, in plain values and arrays."""
        return {name: getattr(self, name) for name in self._state}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Make the fitted reader whose :meth:`get_state` returned this."""
        reader = cls()
        vars(reader).update({name: state[name] for name in cls._state})
        return reader

    def _check_finite(self, block: np.ndarray) -> None:
        # The sum is faster than a look at each value, and enough for most; it may overflow where all are finite.
        if block.dtype.kind != "f" or np.isfinite(block.sum()) or np.isfinite(block).all():
            return
        place = tuple(int(k) for k in np.argwhere(~np.isfinite(block))[0])
        found = "NaN" if np.isnan(block[place]) else "infinity"
        raise ValueError(
            f"Input X contains {found}, in the {self.noun} at (row, channel, place) {place} of those that were read; "
            "replace it by a number."
        )

    @abstractmethod
    def _set_layout(self, shape: tuple[int, ...]) -> None:
        """Learn from the shape of a row which axes are what."""

    @abstractmethod
    def _channels_first(self, X: Chunk) -> np.ndarray:
        """Return rows as (n, channels, ...), with their values unchanged."""

    def _range(self, low: float, high: float, dtype: np.dtype) -> tuple[float, float]:
        """Choose ``low`` and ``span`` by the smallest and the largest value; by default the values are unchanged."""
        return 0.0, 1.0


class ImageReader(_StackReader):
    """Reads images as (n, c, h, w), in [0, 1].

    Whole numbers of 8 bits are divided by 255. Other values within [0, 1] are left unchanged. Any others are mapped so
    that the smallest and the largest value of ``fit`` become 0 and 1.

    Parameters
    ----------
    image_shape : sequence of int, default=None
        Shape of one image, two or three numbers, if rows are flat.

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
    """

    kind = "images"
    noun = "images"
    auto_encoder = "conv"
    auto_steps = 800
    n_dimensions = 2
    _state = ("given", "shape", "layout", "last", "image_shape", "low", "span", "mean", "std")

    layout: tuple[int, ...]
    last: bool
    image_shape: tuple[int, ...]

    def __init__(self, image_shape: Sequence[int] | None = None) -> None:
        self.given = None if image_shape is None else tuple(int(side) for side in image_shape)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one image: (c, h, w)."""
        return self.image_shape

    @property
    def auto_views(self) -> str:
        """Views of colour images, or of digits: of images with one channel, few may be mirrored."""
        return "standard" if self.image_shape[0] > 1 else "digits"

    def output_dtype(self, dtype: np.dtype) -> type[np.floating]:
        """Return single precision for 8 bits too, which it holds exactly."""
        return np.float32 if dtype == np.uint8 else super().output_dtype(dtype)

    def _set_layout(self, shape: tuple[int, ...]) -> None:
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
                f"Images of {self.image_shape[1]} x {self.image_shape[2]} pixels are too small: sides must be at least "
                f"{_SMALLEST_SIDE}. X.reshape(len(X), -1) makes them rows of a table."
            )

    def _range(self, low: float, high: float, dtype: np.dtype) -> tuple[float, float]:
        if dtype == np.uint8:
            return 0.0, 255.0
        return (low, (high - low) or 1.0) if low < 0 or high > 1 else (0.0, 1.0)

    def _channels_first(self, X: Chunk) -> np.ndarray:
        flat = np.asarray(X)
        images = flat.reshape(len(flat), *self.layout)
        if images.dtype.kind not in "iufb":  # a frame may hold numbers as objects
            images = images.astype(np.float64)
        if images.ndim == 3:
            return images[:, None]  # (n, h, w) -> (n, 1, h, w)
        return np.moveaxis(images, 3, 1) if self.last else images  # (n, h, w, c) -> (n, c, h, w)


class SeriesReader(_StackReader):
    """Reads series as (n, channels, length), in their own units."""

    kind = "series"
    noun = "series"
    auto_encoder = "conv1d"
    auto_steps = 2000
    auto_views = "time"
    n_dimensions = 1

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one series: (channels, length)."""
        return self.shape

    @property
    def view_units(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation (channels, 1) of the series."""
        mean, std = (torch.as_tensor(values, dtype=torch.float32) for values in (self.mean, self.std))
        return mean[:, None], std[:, None]

    def _set_layout(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 2 or shape[1] < 2:
            raise ValueError(f"Series are (n, channels, length) with a length of 2 or more, but X has rows of {shape}.")

    def _channels_first(self, X: Chunk) -> np.ndarray:
        return np.asarray(X)


def _channels_last(shape: tuple[int, ...]) -> bool:
    """Whether the channels of an image are its last axis: the one of the outer two that has few entries, or fewer."""
    first, last = shape[0] <= _FEW_CHANNELS, shape[2] <= _FEW_CHANNELS
    return last if first != last else shape[2] < shape[0]
