"""Range, mean and deviation of each channel, chunk by chunk, which a few values far from the others do not set.

A hot pixel or a fill value such as -9999 may lie a thousand times farther out than all other values. Such values are
recognised by the empty interval between them and the bulk of the values; see :func:`bulk`. A long tail has no such
interval, and belongs to the bulk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

__all__ = ["Moments", "bulk", "measured"]

_GAP, _WIDE_GAP = 3.0, 10.0  # empty interval before values that are cut, relative to the extent of the bulk
_FEW, _SOME = 0.001, 0.02  # shares of the values that may be cut behind such intervals
_LEVELS = 8  # of a bulk beside which one value, however frequent, is a fill value and no label
_ROUNDS = 8


def bulk(values: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest of the values that lie together.

    Values at an end are left out behind an empty interval of 3 times the extent of the bulk if they are at most a
    thousandth of all, and of 10 times if they are at most 2 %, or all the same value and fewer than half.

    Parameters
    ----------
    values : ndarray of shape (k,)
        Finite, at least one.
    """
    values = np.sort(values)
    for _ in range(_ROUNDS):  # an interval may be hidden by a larger one behind it
        above, below = _n_cut(values), _n_cut(-values[::-1])
        if not above and not below:
            break
        values = values[below : len(values) - above]
    return float(values[0]), float(values[-1])


def _n_cut(values: np.ndarray) -> int:
    """Return how many of the largest values lie apart from the others; ``values`` are sorted."""
    n = len(values)
    upper = values[n // 2 :]
    if n < 3 or upper[0] == upper[-1]:
        return 0
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        gap = np.diff(upper)
        # From the lower quartile, so that values far below do not count. It is 0 where all values below the gap are
        # one, as in sparse and in binary images: any gap would then be infinitely wide.
        extent = upper[:-1] - values[n // 4]
        width = np.where(extent > 0, gap / extent, 0.0)
    n_above = np.arange(len(gap), 0, -1)
    cut = ((width >= _GAP) & (n_above <= _FEW * n)) | ((width >= _WIDE_GAP) & (n_above <= _SOME * n))
    last = len(upper) - np.searchsorted(upper, upper[-1])  # how many equal the largest
    if width[-last] >= _WIDE_GAP and not cut[-last]:
        cut[-last] = len(np.unique(values[: n - last])) >= _LEVELS
    return int(n_above[np.where(cut, width, -1.0).argmax()]) if cut.any() else 0


class Moments:
    """Counts, extremes, mean and squared deviations of channels, in double precision and merged chunk by chunk.

    The update is that of Chan, Golub and LeVeque (1979). A difference of two large sums would lose the deviation of
    channels with a large offset.

    Parameters
    ----------
    lower, upper : ndarray of shape (n_channels,)
        Values outside are counted apart.

    Attributes
    ----------
    n_outside, low, high, inner_low, inner_high : ndarray of shape (n_channels,)
        How many values are outside; extremes of all values, and of those that are not outside.
    """

    def __init__(self, lower: np.ndarray, upper: np.ndarray) -> None:
        self.lower, self.upper = lower, upper
        zeros, infinite = np.zeros(len(lower)), np.full(len(lower), np.inf)
        self.count, self.mean, self.squares, self.n_outside = zeros, zeros, zeros, zeros
        self.low, self.high = infinite, -infinite
        self.inner_low, self.inner_high = infinite, -infinite

    @property
    def std(self) -> np.ndarray:
        """Standard deviation of each channel."""
        deviation: np.ndarray = np.sqrt(self.squares / np.maximum(self.count, 1))
        return deviation

    def add(self, block: np.ndarray) -> None:
        """Add values of shape (n, n_channels, places), in double precision; NaN is left out."""
        with np.errstate(over="ignore", invalid="ignore"):  # of fill values near the largest number
            has_missing = bool(np.isnan(block.sum())) and bool(np.isnan(block).any())
            smallest, largest = (reduce(block, axis=(0, 2)) for reduce in (np.fmin.reduce, np.fmax.reduce))
            self.low, self.high = np.fmin(self.low, smallest), np.fmax(self.high, largest)
            if (smallest < self.lower).any() or (largest > self.upper).any():
                outside = (block < self.lower[:, None]) | (block > self.upper[:, None])
                self.n_outside = self.n_outside + outside.sum(axis=(0, 2))
                inside = np.where(outside, np.nan, block)
                smallest, largest = (reduce(inside, axis=(0, 2)) for reduce in (np.fmin.reduce, np.fmax.reduce))
            self.inner_low, self.inner_high = np.fmin(self.inner_low, smallest), np.fmax(self.inner_high, largest)
            if has_missing:
                count = (~np.isnan(block)).sum(axis=(0, 2))
                mean = np.nansum(block, axis=(0, 2)) / np.maximum(count, 1)
                squares = np.nansum(np.square(block - mean[:, None]), axis=(0, 2))
            else:
                count = np.full(block.shape[1], block.shape[0] * block.shape[2])
                mean = block.mean(axis=(0, 2))
                squares = np.square(block - mean[:, None]).sum(axis=(0, 2))
            total, apart = self.count + count, mean - self.mean
            share = count / np.maximum(total, 1)
            self.squares = self.squares + squares + np.square(apart) * self.count * share
            self.mean = self.mean + apart * share
            self.count = total


def measured(
    blocks: Callable[[], Iterable[np.ndarray]], sample: np.ndarray, *, fixed: bool
) -> tuple[Moments, np.ndarray]:
    """Return the moments of all values, where those far from the others count as the nearest of the others.

    Parameters
    ----------
    blocks : callable ``() -> iterable of ndarray (n, n_channels, places)``
        Passes over all values, in double precision.
    sample : ndarray of shape (k, n_channels, places)
        Some of the values, by which it is decided what is far.
    fixed : bool
        Whether the range is known, so that nothing is far.

    Returns
    -------
    moments : Moments
        Its ``low`` and ``high`` are those of the bulk.
    share : ndarray of shape (n_channels,)
        Share of the values that were far.
    """
    n_channels = sample.shape[1]
    lower, upper = np.full(n_channels, -np.inf), np.full(n_channels, np.inf)
    is_cut = np.zeros(n_channels, dtype=bool)
    for channel in range(0 if fixed else n_channels):
        values = sample[:, channel].ravel()
        values = values[~np.isnan(values)]
        if len(values):
            low, high = bulk(values)
            is_cut[channel] = low > values.min() or high < values.max()
            if high > low:
                lower[channel], upper[channel] = low - _GAP * (high - low), high + _GAP * (high - low)
    moments = Moments(lower, upper)
    for block in blocks():
        moments.add(block)
    # Values that are not in the sample may be far too. If they are many, the sample does not stand for all rows.
    is_cut |= (moments.n_outside > 0) & (moments.n_outside <= _FEW * moments.count)
    share = np.where(is_cut, moments.n_outside / np.maximum(moments.count, 1), 0.0)
    if not is_cut.any():
        return moments, share
    lower = np.where(is_cut, moments.inner_low, -np.inf)
    upper = np.where(is_cut, moments.inner_high, np.inf)
    again = Moments(lower, upper)
    for block in blocks():
        again.add(np.clip(block, lower[:, None], upper[:, None]))
    return again, share
