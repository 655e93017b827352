"""What images and series have in common: stacks of arrays to float32 tensors, channels first."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from ..encoders import ChannelStem
from .containers import Chunk, container_of
from .ranges import Moments, measured
from .reader import Reader
from .rows import LOOKED_AT, Rows
from .scaling import LARGEST

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Scale", "StackReader"]

_OFFSET = 100.0  # offsets of more spans than this are subtracted in double precision
_SAMPLE, _SAMPLE_ROWS, _SAMPLE_VALUES = 2**23, 1000, 2**18  # values, rows, and values of a channel, at most
_MARGIN = 3.0  # values farther outside than so many spans are read as this
_FAR_SHARE, _SMALL, _TINY, _SEVERAL = 0.05, 0.1, 0.04, 8  # see StackReader._warn_if_far

Scale: TypeAlias = "tuple[float | np.ndarray, float | np.ndarray]"  # low and span


class StackReader(Reader):
    """Reads arrays of equal shape, maps their values by a fixed affine map, and learns the scale of each channel.

    The affine map brings images to [0, 1], which their views need, and series to numbers that single precision can
    hold. The stem of the encoder standardises the channels behind the views. A few values far from the others, such as
    hot pixels and fill values, do not set the scale: they are read as the nearest of the others.

    Attributes
    ----------
    mean, std : ndarray of shape (n_channels,)
        Of the values that ``read`` returns, over rows and places.
    low, span : float or ndarray of shape (n_channels,)
        ``read`` subtracts the one and divides by the other.
    limits : ndarray of shape (2, n_channels)
        ``read`` clips its values to these. Files of earlier versions do not hold them, nor the following.
    usual : ndarray of shape (4, n_channels)
        By which rows far from those of ``fit`` are recognised: a smallest and a largest value, both with a margin, and
        the smallest and the median deviation within a row. The channels of images are taken together.
    far_share : float
        Largest share of values in ``fit`` that were far from the others.
    dtype : str
        Type of the values in ``fit``.
    is_whole : bool
        Whether ``fit`` saw whole numbers only.
    """

    n_dimensions: ClassVar[int]  # axes that follow the channels
    _state: ClassVar[tuple[str, ...]] = ("shape", "low", "span", "mean", "std")
    _later_state: ClassVar[dict[str, Any]] = {  # not in files of earlier versions
        "limits": None,
        "usual": None,
        "far_share": 0.0,
        "dtype": "",
        "is_whole": False,
    }

    mean: np.ndarray
    std: np.ndarray
    low: float | np.ndarray
    span: float | np.ndarray
    limits: np.ndarray | None
    usual: np.ndarray | None
    far_share: float
    dtype: str
    is_whole: bool

    def fit(self, rows: Rows) -> Self:
        """Learn the layout, the range of the values, and mean and deviation of the channels, chunk by chunk.

        Raises
        ------
        TypeError, ValueError
            If the rows are not of numbers, hold infinite values, too large values, or NaN where gaps cannot be, or have
            no shape of this kind.

        Warns
        -----
        UserWarning
            If the shape can mean something else.
        """
        if rows.dtype.kind not in "iufb" and not rows.is_frame:
            raise TypeError(f"X holds {rows.dtype}, but {self.noun} are arrays of numbers.")
        self.shape = rows.shape[1:]
        self._set_layout(self.shape)
        self.dtype = rows.dtype.name
        sample = self._sample(rows)
        self.is_whole = bool((sample == np.floor(sample)).all())
        moments, share = measured(lambda: self._blocks(rows), sample, fixed=self._eight_bits(rows.dtype))
        if (moments.count == 0).any():
            empty = int((moments.count == 0).argmax())
            raise ValueError(
                f"Channel {empty} of X holds no value in any row; leave it out: numpy.delete(X, {empty}, axis=1)."
            )
        if not (np.maximum(np.abs(moments.low), np.abs(moments.high)) < LARGEST).all():
            raise ValueError(
                f"X holds values up to {np.max(np.abs([moments.low, moments.high])):.3g} in size, too large to "
                "standardise; divide X by a constant, or take its logarithm."
            )
        # The extremes of a constant channel differ by rounding at most.
        rounding = 2 * np.finfo(rows.dtype).eps if rows.dtype.kind == "f" else 0.0
        varies = moments.high - moments.low > rounding * np.maximum(np.abs(moments.low), np.abs(moments.high))
        self._set_scale(moments, varies, rows.dtype)
        std = np.where(varies & (moments.std > 0), moments.std, self.span)  # 1 after the map where it is constant
        self.mean, self.std = (moments.mean - self.low) / self.span, std / self.span
        low, high = ((values - self.low) / self.span for values in (moments.low, moments.high))
        self._set_usual(low, high, share, sample, len(rows))
        return self

    def _set_usual(self, low: np.ndarray, high: np.ndarray, share: np.ndarray, sample: np.ndarray, n_rows: int) -> None:
        """Learn the limits of values, and what rows far from these are compared with."""
        extent = self._extent(low, high)
        far = _MARGIN * extent
        far[extent == 0] = np.inf  # how far a constant channel may go is not known
        is_cut = share > 0
        self.limits = np.stack([np.where(is_cut, low, low - far), np.where(is_cut, high, high + far)])
        self.far_share = float(share.max())
        within = np.clip(self._mapped(sample), self.limits[0][:, None], self.limits[1][:, None])
        deviations = _deviations(self._together(within))
        wide = 1 + 10 / n_rows  # few rows say little of the range
        margin = np.where(extent == 0, np.inf, wide * extent)
        near = self._together(np.stack([low - margin, high + margin])[:, :, None])  # (2, n_channels or 1, places)
        least, median = (reduce(deviations, axis=0) / wide for reduce in (np.min, np.median))
        self.usual = np.stack([near[0].min(axis=1), near[1].max(axis=1), least, median])

    def at(self, rows: Rows) -> Callable[[Chunk], Tensor]:
        """Return what reads rows that are not those of ``fit``, after a look at some of them.

        Raises
        ------
        ValueError
            If they are in other units than those of ``fit``, and their type does not say in which.

        Warns
        -----
        UserWarning
            If they are far from those of ``fit``.
        """
        of_numbers = rows.dtype.kind in "iufb" or rows.is_frame
        if rows.shape[1:] != self.shape or self.usual is None or not of_numbers or len(rows) == 0:
            return self.read
        scale = self._scale_of(rows)
        self._look_at(rows, scale)
        return self.read if scale is None else partial(self._read, scale=scale)

    def read(self, X: Chunk) -> Tensor:
        """Read rows: (n, channels, ...).

        Raises
        ------
        ValueError
            If they have another shape than in ``fit``, or hold NaN or infinite values.
        """
        return self._read(X)

    def _read(self, X: Chunk, *, scale: Scale | None = None) -> Tensor:
        stack = container_of(X)
        if not stack.is_frame and stack.shape[1:] != self.shape:
            raise ValueError(f"X holds {self.noun} of shape {stack.shape[1:]}, but fit got them of shape {self.shape}.")
        block = self._channels_first(X)
        self._check_finite(block)
        return torch.from_numpy(self._single(block, scale))

    def _single(self, block: np.ndarray, scale: Scale | None) -> np.ndarray:
        """Map values (n, channels, ...) affinely and clip them, in single precision."""
        low, span = (self._broadcast(value) for value in (scale or (self.low, self.span)))
        with np.errstate(over="ignore"):  # values beyond single precision are clipped, or refused as infinite
            if np.any(np.abs(low) > _OFFSET * span) or np.any((span < 1e-30) | (span > 1e30)):
                values = np.ascontiguousarray((block.astype(np.float64) - low) / span, dtype=np.float32)
            else:
                values = np.array(block, dtype=np.float32, order="C")
                if np.any(low != 0):
                    values -= low.astype(np.float32)
                if np.any(span != 1):
                    values /= span.astype(np.float32)
        # 8 bits, divided by 255, are within the limits
        if self.limits is not None and block.dtype != np.uint8 and values.size:
            lower, upper = (self._broadcast(limit.astype(np.float32)) for limit in self.limits)
            if np.fmin.reduce(values, axis=None) < lower.max() or np.fmax.reduce(values, axis=None) > upper.min():
                np.clip(values, lower, upper, out=values)
        return values

    def make_stem(self, *, standardize: bool, numeric_encoding: nn.Module | None = None) -> ChannelStem:
        """Make the stem that standardises channels, or returns them to the units of X."""
        if standardize:
            return ChannelStem(self.mean.tolist(), self.std.tolist(), self.n_dimensions, **self._stem_options())
        mean, std = self._own_units()
        return ChannelStem(mean.tolist(), std.tolist(), self.n_dimensions, **self._stem_options())

    def get_state(self) -> dict[str, Any]:
        """Return what was learned, by name, in plain values and arrays."""
        return {name: getattr(self, name) for name in (*self._state, *self._later_state)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Make the fitted reader whose :meth:`get_state` returned this."""
        reader = cls()
        vars(reader).update({name: state[name] for name in cls._state})
        vars(reader).update({name: state.get(name, default) for name, default in cls._later_state.items()})
        return reader

    def _sample(self, rows: Rows) -> np.ndarray:
        """Return values of evenly spaced rows: (k, channels, places)."""
        affordable = max(1, _SAMPLE // max(1, int(np.prod(rows.shape[1:]))))
        block = self._values(rows.sample(min(_SAMPLE_ROWS, max(16, affordable))))
        step = max(1, -(-block.shape[0] * block.shape[2] // _SAMPLE_VALUES))  # of places
        return block[:, :, ::step]

    def _blocks(self, rows: Rows) -> Iterator[np.ndarray]:
        """Yield all values, chunk by chunk: (n, channels, places), in double precision."""
        for chunk in rows.chunks():
            yield self._values(chunk)

    def _values(self, X: Chunk) -> np.ndarray:
        block = self._channels_first(X)
        self._check_finite(block)
        return block.astype(np.float64, copy=False).reshape(*block.shape[:2], -1)  # (n, channels, places)

    def _mapped(self, values: np.ndarray, scale: Scale | None = None) -> np.ndarray:
        """Map values (n, channels, places) affinely in double precision."""
        low, span = (np.reshape(value, (-1, 1)) for value in (scale or (self.low, self.span)))
        mapped: np.ndarray = (values - low) / span
        return mapped

    def _broadcast(self, value: float | np.ndarray) -> np.ndarray:
        """Return a value for all channels, or for each, in a shape that broadcasts over rows and places."""
        return np.reshape(value, (-1, *[1] * self.n_dimensions))

    def _look_at(self, rows: Rows, scale: Scale | None) -> None:
        """Warn if some of the rows are far from those of ``fit``."""
        self._warn_if_far(self._values(rows.sample(min(LOOKED_AT, rows.chunk_size()))), scale)

    def _warn_if_far(self, values: np.ndarray, scale: Scale | None) -> None:
        """Warn if rows (n, channels, places) are in other units than those of ``fit``.

        Too large are values of which a twentieth lies outside those of ``fit`` by more than their extent. Too small are
        rows that all vary 25 times less than the least varying row of ``fit``, or several rows whose median deviation
        is a tenth of that of ``fit``. Blank rows, such as black images, say nothing.
        """
        assert self.usual is not None
        lower, upper, least, median = self.usual
        lower = self._lowest(lower)
        mapped = self._together(self._mapped(values, scale))
        outside = ((mapped < lower[:, None]) | (mapped > upper[:, None])).mean(axis=(0, 2))
        deviations = _deviations(mapped)
        small = np.zeros(len(lower), dtype=bool)
        for channel, found in enumerate(deviations.T):
            found = found[found > 0]
            small[channel] = len(found) > 0 and (
                found.max() < _TINY * least[channel]
                or (len(found) >= _SEVERAL and np.median(found) < _SMALL * median[channel])
            )
        large = outside > _FAR_SHARE + 2 * self.far_share
        if not (small | large).any():
            return
        where = "" if len(small) == 1 else f" in channel {int((small | large).argmax())}"
        what = (
            f"{outside.max():.0%} of the values lie far outside the range of fit"
            if large.any()
            else "they vary at least ten times less than those of fit"
        )
        warnings.warn(
            f"X holds {self.noun} far from those that fit got: {what}{where}. The values are from "
            f"{np.nanmin(values):.4g} to {np.nanmax(values):.4g}. If they are in other units, such as [0, 1] in place "
            "of 0 to 255, convert X to the units of fit; otherwise, fit on rows like these.",
            stacklevel=2,
        )

    def _lowest(self, lower: np.ndarray) -> np.ndarray:
        """Return the smallest values that later rows may have, of which ``lower`` is the first guess."""
        return lower

    def _check_finite(self, block: np.ndarray) -> None:
        # The sum is faster than a look at each value, and enough for most; it may overflow where all are finite.
        if block.dtype.kind != "f":
            return
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(block.sum()):
                return
        wrong = self._wrong(block)
        if not wrong.any():
            return
        place = tuple(int(k) for k in np.argwhere(wrong)[0])
        found = "NaN" if np.isnan(block[place]) else "infinity"
        raise ValueError(
            f"Input X contains {found}, in the {self.noun} at (row, channel, place) {place} of those that were read; "
            "replace it by a number."
        )

    def _wrong(self, block: np.ndarray) -> np.ndarray:
        """Return which values cannot be read."""
        wrong: np.ndarray = np.logical_not(np.isfinite(block))
        return wrong

    def _stem_options(self) -> dict[str, Any]:
        return {}

    def _own_units(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and deviation by which a stem brings channels to the units that the network sees."""
        return np.zeros(len(self.mean)), np.ones(len(self.mean))

    def _scale_of(self, rows: Rows) -> Scale | None:
        """Return ``low`` and ``span`` of rows in other units than those of ``fit``; None if they are in the same."""
        return None

    @abstractmethod
    def _set_layout(self, shape: tuple[int, ...]) -> None:
        """Learn from the shape of a row which axes are what."""

    @abstractmethod
    def _channels_first(self, X: Chunk) -> np.ndarray:
        """Return rows as (n, channels, ...), with their values unchanged."""

    @abstractmethod
    def _eight_bits(self, dtype: np.dtype) -> bool:
        """Whether the range of the values is that of 8 bits, whatever they are."""

    @abstractmethod
    def _set_scale(self, moments: Moments, varies: np.ndarray, dtype: np.dtype) -> None:
        """Choose ``low`` and ``span`` by the values of channels; ``varies`` says which are not constant."""

    @abstractmethod
    def _extent(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return the extent of the values of channels that lie between these, after the affine map."""

    @abstractmethod
    def _together(self, values: np.ndarray) -> np.ndarray:
        """Return values (n, channels, places) with those channels as one whose units are the same."""


def _deviations(values: np.ndarray) -> np.ndarray:
    """Return the deviation of each channel within each row: (n, channels, places) -> (n, channels)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of channels without a value
        deviations = np.nanstd(values, axis=2)
    filled: np.ndarray = np.nan_to_num(deviations)
    return filled
