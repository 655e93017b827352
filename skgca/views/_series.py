"""Views of time series (n, channels, length): shifted, stretched and warped in time, and scaled.

The views of time read each series at new times, which lie between samples, and interpolate linearly. All channels of a
series are read at the same times, so that events in different channels stay simultaneous. Padding behind the end of a
shorter series, NaN in all channels, stays padding.
"""

import math
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from .._utils.config import Configured
from .._utils.device import reading_is_free

__all__ = ["MagnitudeScaling", "TimeCrop", "TimeJitter", "TimeWarp"]


class TimeJitter(Configured):
    """Shift each series in time by a random amount, the same for all its channels.

    Use it for series that are not aligned, so that the time at which something happens does not matter.
    :class:`TimeWarp` crops, shifts and warps in one step.

    The shift is drawn uniformly from both directions and need not be a whole number of samples: values between samples
    are interpolated linearly. Times before the first or after the last sample take its value. Values that are
    interpolated between a missing value (NaN) and another are missing.

    Noise on the values, which is also called jitter, is :class:`GaussianNoise`.

    Parameters
    ----------
    max_shift : float, default=0.1
        Largest shift in either direction, as a share of the length, in [0, 1].

    Raises
    ------
    ValueError
        If ``max_shift`` is outside [0, 1].

    Examples
    --------
    >>> import torch
    >>> from skgca.views import TimeJitter
    >>> batch = torch.arange(5.0).expand(2, 1, 5)
    >>> TimeJitter(0.2)(batch, torch.Generator().manual_seed(0))
    tensor([[[0.0075, 1.0075, 2.0075, 3.0075, 4.0000]],
    <BLANKLINE>
            [[0.0000, 0.4636, 1.4636, 2.4636, 3.4636]]])
    """

    independent_rows = True

    def __init__(self, max_shift: float = 0.1) -> None:
        if not 0 <= max_shift <= 1:
            raise ValueError(f"max_shift={max_shift!r} must lie in [0, 1], such as 0.1.")
        self.max_shift = max_shift

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"max_shift": self.max_shift}

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Return a shifted copy of a batch of shape (n, channels, length)."""
        _check_series(self, batch)
        n, _, length = batch.shape
        own = _own_lengths(batch)
        draw = torch.rand(n, 1, generator=generator, device=batch.device, dtype=torch.float32)
        shift = (2 * draw - 1) * (self.max_shift * own)  # (n, 1), in samples
        return _interpolate(batch, torch.arange(length, device=batch.device) - shift, own)

    def __repr__(self) -> str:
        return f"TimeJitter(max_shift={self.max_shift})"


class TimeCrop(Configured):
    """Cut a random window out of each series and stretch it to the full length, the same for all its channels.

    Use it for series in which a part tells as much as the whole, such as recordings of a repeated event.
    :class:`TimeWarp` crops, shifts and warps in one step.

    The length of the window, as a share of the series, is drawn uniformly from [``low``, 1]. Its start is drawn
    uniformly from the positions at which it fits. Values between samples are interpolated linearly. Values that are
    interpolated between a missing value (NaN) and another are missing.

    Parameters
    ----------
    low : float, default=0.6
        Smallest length of the window, as a share of the series, in (0, 1].

    Raises
    ------
    ValueError
        If ``low`` is outside (0, 1].

    Examples
    --------
    >>> import torch
    >>> from skgca.views import TimeCrop
    >>> TimeCrop(0.5)(torch.arange(5.0).expand(2, 1, 5), torch.Generator().manual_seed(0))
    tensor([[[0.0891, 0.8373, 1.5854, 2.3335, 3.0817]],
    <BLANKLINE>
            [[0.0612, 0.9453, 1.8294, 2.7135, 3.5976]]])
    """

    independent_rows = True

    def __init__(self, low: float = 0.6) -> None:
        if not 0 < low <= 1:
            raise ValueError(f"low={low!r} must lie in (0, 1], such as 0.6.")
        self.low = low

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"low": self.low}

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Return a stretched copy of a batch of shape (n, channels, length)."""
        _check_series(self, batch)
        n, _, length = batch.shape
        own = _own_lengths(batch)
        draw_share, draw_start = torch.rand(2, n, 1, generator=generator, device=batch.device, dtype=torch.float32)
        share = self.low + (1 - self.low) * draw_share
        start = draw_start * (1 - share) * (own - 1)  # the window ends at the last sample at most
        return _interpolate(batch, start + share * torch.arange(length, device=batch.device), own)

    def __repr__(self) -> str:
        return f"TimeCrop(low={self.low})"


class TimeWarp(Configured):
    """Crop, shift and warp each series in time, the same for all its channels.

    Use it for series in which the same thing may happen faster or slower, such as gestures or heartbeats. For a crop or
    a shift alone, use :class:`TimeCrop` or :class:`TimeJitter`.

    A window of a random share of the series is read, as in :class:`TimeCrop`, and shifted, as in :class:`TimeJitter`.
    Within it, time runs at a random speed in each of some pieces of equal length: a piecewise linear time warp. All of
    it is one map of times, so values between samples are interpolated once, linearly. Times outside the series take the
    value of the nearest sample. Values that are interpolated between a missing value (NaN) and another are missing.

    Parameters
    ----------
    low : float, default=0.9
        Smallest length of the window, as a share of the series, in (0, 1]. It is drawn uniformly from [``low``, 1].
    max_shift : float, default=0.05
        Largest shift of the window in either direction, as a share of the length, in [0, 1].
    strength : float, default=0.2
        Standard deviation of the logarithm of the speed in a piece, at least 0.
    n_pieces : int, default=4
        Number of pieces, at least 1.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> import torch
    >>> from skgca.views import TimeWarp
    >>> TimeWarp(n_pieces=2)(
    ...     torch.arange(5.0).expand(2, 1, 5), torch.Generator().manual_seed(0)
    ... )
    tensor([[[0.0000, 1.0735, 2.2061, 2.9727, 3.7393]],
    <BLANKLINE>
            [[0.0659, 1.1175, 2.1690, 3.0711, 3.9732]]])
    """

    independent_rows = True

    def __init__(self, low: float = 0.9, max_shift: float = 0.05, *, strength: float = 0.2, n_pieces: int = 4) -> None:
        if not 0 < low <= 1:
            raise ValueError(f"low={low!r} must lie in (0, 1], such as 0.9.")
        if not 0 <= max_shift <= 1:
            raise ValueError(f"max_shift={max_shift!r} must lie in [0, 1], such as 0.05.")
        if not 0 <= strength < math.inf:
            raise ValueError(f"strength={strength!r} must be finite and at least 0, such as 0.2.")
        if n_pieces < 1:
            raise ValueError(f"n_pieces={n_pieces!r} must be at least 1, such as 4.")
        self.low, self.max_shift, self.strength, self.n_pieces = low, max_shift, strength, n_pieces

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            "low": self.low,
            "max_shift": self.max_shift,
            "strength": self.strength,
            "n_pieces": self.n_pieces,
        }

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Return a warped copy of a batch of shape (n, channels, length)."""
        _check_series(self, batch)
        n, _, length = batch.shape
        own = _own_lengths(batch)
        draw = partial(torch.rand, generator=generator, device=batch.device, dtype=torch.float32)
        draw_normal = partial(torch.randn, generator=generator, device=batch.device, dtype=torch.float32)
        draw_share, draw_start, draw_shift = draw(3, n, 1)
        speeds = (self.strength * draw_normal(n, self.n_pieces)).exp()
        share = self.low + (1 - self.low) * draw_share
        start = draw_start * (1 - share) + (2 * draw_shift - 1) * self.max_shift  # (n, 1), as a share of the series
        steps = torch.arange(length, device=batch.device)
        last = torch.as_tensor(own - 1, device=batch.device)
        times = start + share * _warped((steps / last.clamp(min=1)).clamp(max=1).expand(n, length), speeds)
        return _interpolate(batch, times * last, own)

    def __repr__(self) -> str:
        return (
            f"TimeWarp(low={self.low}, max_shift={self.max_shift}, strength={self.strength}, n_pieces={self.n_pieces})"
        )


class MagnitudeScaling(Configured):
    """Multiply each channel of each series by a random positive factor.

    Use it for series whose amplitude does not matter, such as those of sensors with different gains. To change the time
    axis, use :class:`TimeWarp`.

    Parameters
    ----------
    std : float, default=0.1
        Standard deviation of the logarithm of the factor, which is normal, at least 0.

    Raises
    ------
    ValueError
        If ``std`` is negative or not finite.

    Examples
    --------
    >>> import torch
    >>> from skgca.views import MagnitudeScaling
    >>> MagnitudeScaling(0.1)(torch.ones(2, 1, 3), torch.Generator().manual_seed(0))
    tensor([[[1.1666, 1.1666, 1.1666]],
    <BLANKLINE>
            [[0.9711, 0.9711, 0.9711]]])
    """

    independent_rows = True

    def __init__(self, std: float = 0.1) -> None:
        if not 0 <= std < math.inf:
            raise ValueError(f"std={std!r} must be finite and at least 0, such as 0.1.")
        self.std = std

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"std": self.std}

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Return a scaled copy of a batch of shape (n, channels, length)."""
        _check_series(self, batch)
        draws = torch.randn(*batch.shape[:2], 1, generator=generator, device=batch.device, dtype=torch.float32)
        return batch * (self.std * draws).exp().to(batch.dtype)

    def __repr__(self) -> str:
        return f"MagnitudeScaling(std={self.std})"


def _check_series(view: object, batch: Tensor) -> None:
    """Raise ValueError if a batch is not floating-point or not of three dimensions."""
    if batch.ndim != 3 or not batch.is_floating_point():
        raise ValueError(
            f"{type(view).__name__} takes floating-point batches (n, channels, length), not {batch.dtype} of shape "
            f"{tuple(batch.shape)}; for a single channel, use batch[:, None].float()."
        )


def _own_lengths(batch: Tensor) -> int | Tensor:
    """Return the length of the series of a batch, or of each, (n, 1), if some are padded.

    Where a look at the values would wait for the device, any may be padded.
    """
    length = batch.shape[2]
    if length == 0 or (reading_is_free(batch.device) and not batch[:, :, -1].isnan().all(1).any()):
        return length
    steps = torch.arange(1, length + 1, device=batch.device)
    known = ~batch.isnan().all(1)  # (n, length)
    return (known * steps).amax(1, keepdim=True).clamp(min=1)


def _warped(times: Tensor, speeds: Tensor) -> Tensor:
    """Map times in [0, 1] to [0, 1], with a speed for each piece of equal length: (n, k), (n, pieces) -> (n, k)."""
    n_pieces = speeds.shape[1]
    ends = (speeds / speeds.sum(1, keepdim=True)).cumsum(1)
    knots = torch.cat([torch.zeros_like(ends[:, :1]), ends], 1)  # (n, pieces + 1)
    piece = (times * n_pieces).long().clamp(max=n_pieces - 1)
    left, right = knots.gather(1, piece), knots.gather(1, piece + 1)
    return left + (times * n_pieces - piece) * (right - left)


def _interpolate(batch: Tensor, times: Tensor, own: int | Tensor) -> Tensor:
    """Return the values of series at times in samples: (n, channels, length), (n, k) -> (n, channels, k).

    Times outside a series, of the length ``own``, take the value of the nearest sample.
    """
    times = times.clamp(min=0).minimum(torch.as_tensor(own - 1, device=times.device))
    before = times.floor()
    fraction = (times - before).to(batch.dtype)[:, None]  # (n, 1, k)
    before = before.long()[:, None].expand(-1, batch.shape[1], -1)  # (n, channels, k)
    left = batch.gather(2, before)
    right = batch.gather(2, (before + 1).clamp(max=batch.shape[2] - 1))
    # At the time of a sample, the result is that sample. The formula would give NaN if the next sample is missing,
    # since 0 times NaN is NaN.
    values = torch.where(fraction == 0, left, left + fraction * (right - left))
    if isinstance(own, int):
        return values
    return values.masked_fill((torch.arange(times.shape[1], device=times.device) >= own)[:, None], torch.nan)
