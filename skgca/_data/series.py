"""Stacked series to float32 tensors (n, channels, length)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ..encoders._stems import fill_gaps
from .containers import Chunk
from .ranges import Moments
from .rows import Rows
from .stacks import Scale, StackReader

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["SeriesReader"]

_LARGE_OFFSET = 1e4  # in deviations; single precision has 7 digits


class SeriesReader(StackReader):
    """Reads series as (n, channels, length), in their own units.

    Series may have gaps (NaN), which the stem interpolates, and unequal lengths: NaN in all channels up to the end is
    padding. A channel with a large offset, or of values that single precision hardly holds, is standardised.

    Attributes
    ----------
    is_ragged : bool
        Whether series of ``fit`` had unequal lengths. ``shape`` then has the longest.
    has_gaps : ndarray of shape (n_channels,), bool
        Which channels had gaps in ``fit``.
    takes_any_length : bool
        Whether, if lengths are unequal, others may be longer than those of ``fit``.
    """

    kind = "series"
    noun = "series"
    auto_encoder = "rocket"
    auto_steps = 2000
    auto_views = "time"
    n_dimensions = 1
    _later_state: ClassVar[dict[str, Any]] = {
        **StackReader._later_state,
        "is_ragged": False,
        "has_gaps": None,
        "takes_any_length": True,
    }

    is_ragged: bool
    has_gaps: np.ndarray | None
    takes_any_length: bool

    @property
    def any_gaps(self) -> bool:
        """Whether a channel had gaps in ``fit``."""
        return self.has_gaps is not None and bool(self.has_gaps.any())

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one series: (channels, length)."""
        return self.shape

    @property
    def view_units(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation (channels, 1) of the series."""
        mean, std = (torch.as_tensor(values, dtype=torch.float32) for values in (self.mean, self.std))
        return mean[:, None], std[:, None]

    @property
    def summary(self) -> str:
        """What a row is read as, in words."""
        c, length = self.shape
        most = "up to " if self.is_ragged else ""
        gaps = ", with gaps" if self.any_gaps else ""
        return f"series of {c} channel{'' if c == 1 else 's'} and {most}{length} steps{gaps}"

    def fit(self, rows: Rows) -> Self:
        """Learn lengths and gaps, and the rest as for any stack."""
        self.is_ragged, self.takes_any_length = False, True
        self.has_gaps = np.zeros(rows.shape[1], dtype=bool)
        return super().fit(rows)

    def at(self, rows: Rows) -> Callable[[Chunk], Tensor]:
        """Return what reads rows that are not those of ``fit``, after a look at some; see the base class."""
        if not self.is_ragged or len(rows.shape) != 3 or rows.shape[1] != self.shape[0]:
            return super().at(rows)
        length = max(rows.shape[2], self.shape[1])
        if length > self.shape[1] and not self.takes_any_length:
            raise ValueError(
                f"X holds series of up to {length} steps, but fit got {self.shape[1]} at most, and the encoder takes "
                "no longer ones; use encoder='rocket' or 'conv1d', or fit on rows that are as long."
            )
        if len(rows):
            self._look_at(rows, None)
        return partial(self._read, length=length)

    def _read(self, X: Chunk, *, scale: Scale | None = None, length: int | None = None) -> Tensor:
        block = self._channels_first(X)
        if self.is_ragged and block.ndim == 3 and block.shape[1] == self.shape[0]:
            length = max(length or self.shape[1], block.shape[2])
            if block.shape[2] < length:
                padded = np.full((*block.shape[:2], length), np.nan, dtype=np.result_type(block.dtype, np.float32))
                padded[:, :, : block.shape[2]] = block
                block = padded
            self._check_finite(block)
            values = torch.from_numpy(self._single(block, scale))
        else:
            values = super()._read(X, scale=scale)
        if self.is_ragged or self.any_gaps:
            return values
        return fill_gaps(values) if bool(values.sum().isnan()) else values  # fit saw no gaps: the stem expects none

    def _blocks(self, rows: Rows) -> Iterator[np.ndarray]:
        start = 0
        for block in super()._blocks(rows):
            if np.isnan(block.sum()):
                missing = np.isnan(block)
                inside = _own_steps(missing)
                if not inside[:, 0].any(axis=1).all():
                    raise ValueError(f"Series {start + int((~inside[:, 0].any(axis=1)).argmax())} of X holds no value.")
                self.is_ragged |= not bool(inside.all())
                self.has_gaps = self.has_gaps | (missing & inside).any(axis=(0, 2))
            start += len(block)
            yield block

    def _wrong(self, block: np.ndarray) -> np.ndarray:
        infinite: np.ndarray = np.isinf(block)
        return infinite

    def _stem_options(self) -> dict[str, Any]:
        gaps = self.has_gaps.tolist() if self.has_gaps is not None and self.any_gaps else []
        return {"has_gaps": gaps, "masked": self.is_ragged}

    def _own_units(self) -> tuple[np.ndarray, np.ndarray]:
        low, span = (np.broadcast_to(value, self.mean.shape) for value in (self.low, self.span))
        return -low / span, 1 / span

    def _set_layout(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 2 or shape[1] < 2:
            remedy = "; if the steps come first, use np.swapaxes(X, 1, 2)" if len(shape) == 2 and shape[0] > 1 else ""
            raise ValueError(
                f"Series are (n, channels, length) with a length of 2 or more, but X has rows of {shape}{remedy}."
            )
        if shape[0] > shape[1]:
            warnings.warn(
                f"X is read as series of {shape[0]} channels and {shape[1]} steps. If the steps come first, as in "
                f"(n, time, channels), use np.swapaxes(X, 1, 2); if they are images, use image_shape={shape}.",
                stacklevel=2,
            )

    def _eight_bits(self, dtype: np.dtype) -> bool:
        return False

    def _set_scale(self, moments: Moments, varies: np.ndarray, dtype: np.dtype) -> None:
        std = np.where(varies & (moments.std > 0), moments.std, 1.0)
        largest = np.maximum(np.abs(moments.low), np.abs(moments.high))
        is_odd = (largest > 1e18) | (varies & (std < 1e-18))
        has_offset = np.abs(moments.mean) > _LARGE_OFFSET * std
        if not (is_odd | has_offset).any():
            self.low, self.span = 0.0, 1.0
            return
        with np.errstate(over="ignore"):
            centre = moments.mean.astype(np.float32).astype(np.float64)  # which the ONNX graph can hold exactly
        self.low = np.where(has_offset, np.where(np.isfinite(centre), centre, moments.mean), 0.0)
        self.span = np.where(is_odd, std, 1.0)

    def _extent(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        extent: np.ndarray = high - low
        return extent

    def _together(self, values: np.ndarray) -> np.ndarray:
        return values  # each channel has its own unit

    def _channels_first(self, X: Chunk) -> np.ndarray:
        return np.asarray(X)


def _own_steps(missing: np.ndarray) -> np.ndarray:
    """Return the steps of a series up to the last one with a value: (n, c, length) -> (n, 1, length)."""
    known = np.logical_not(missing.all(axis=1, keepdims=True))
    inside: np.ndarray = np.maximum.accumulate(known[:, :, ::-1], axis=2)[:, :, ::-1]
    return inside
