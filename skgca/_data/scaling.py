"""Columns of numbers to a common scale, and to float32."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from .rows import Rows, spaced

__all__ = ["Scaler", "squash", "to_float32"]

_NORMAL_IQR = 1.3489795  # interquartile range of the standard normal distribution
_SQUASH = 3.0  # largest size of a scaled value, in robust deviations
_LARGEST = 1e150  # beyond, squares overflow
_FAR = 1e15  # scaled values beyond are squashed as this one is, and its square is a float32
_BLOCK = 2**15  # entries
_SAMPLE, _SAMPLE_BYTES = 100_000, 2**26  # most rows that scales are learned from


def to_float32(X: np.ndarray, names: list[Any]) -> Tensor:
    """Copy an array of shape (n, n_columns) without infinite values to a contiguous float32 tensor; NaN stays.

    Raises
    ------
    ValueError
        If a value is too large for float32; the message names its column.
    """
    with np.errstate(over="ignore"):
        X32 = np.array(X, dtype=np.float32, order="C")  # a copy, since a tensor cannot guard a read-only array
    overflow = np.isinf(X32)
    if overflow.any():
        row, column = np.argwhere(overflow)[0]
        raise ValueError(
            f"X[{row}, {names[column]!r}] = {X[row, column]!r} is too large for float32; scale column "
            f"{names[column]!r} (standardize=True, or a StandardScaler before) or take its logarithm."
        )
    return torch.from_numpy(X32)


def squash(scaled: Any, xp: Any) -> Any:
    """Return x / sqrt(1 + (x / 3)^2) of values in double precision, computed and returned in single precision.

    The reader calls it with numpy, and the ONNX graph with torch.

    Parameters
    ----------
    scaled : ndarray or Tensor
        Values in robust deviations; NaN stays.
    xp : module
        numpy or torch, as the values are.
    """
    near = xp.asarray(xp.clip(scaled, -_FAR, _FAR), dtype=xp.float32)
    root = near * (1 / _SQUASH)
    root *= root  # in place, to spare the time of temporary arrays
    root += 1
    return near / xp.sqrt(root)


class Scaler:
    """Brings columns of numbers to mean 0 and deviation 1, robustly: outliers neither set the scale nor stay far away.

    Median and interquartile range go to 0 and that of a normal distribution; mean and standard deviation instead where
    the quartiles are one value. Then :func:`squash` hardly moves what lies within one unit and keeps all within 3, and
    what comes out is standardised. All is learned from evenly spaced rows where there are many.

    Parameters
    ----------
    names : list
        Of the columns, for messages.
    standardize : bool, default=True
        False leaves the values as they are, and only looks at what is missing.

    Attributes
    ----------
    has_missing : ndarray of shape (n_columns,), bool
        Which columns missed some values.
    robust : StandardScaler
        Its ``mean_`` and ``scale_`` are the robust ones.
    final : StandardScaler
        Of what was squashed.
    """

    def __init__(self, names: list[Any], *, standardize: bool = True) -> None:
        self.names = names
        self.standardize = standardize

    def fit(self, numbers: Callable[[Any], np.ndarray], rows: Rows) -> Scaler:
        """Learn from all rows, read chunk by chunk through ``numbers``.

        Raises
        ------
        ValueError
            If a column holds infinite values, or its squares overflow; the message names it.
        """
        self.has_missing = np.zeros(len(self.names), dtype=bool)
        largest = np.zeros(len(self.names))
        wanted = spaced(len(rows), min(_SAMPLE, max(1000, _SAMPLE_BYTES // (8 * max(1, len(self.names))))))
        sample, start = [], 0
        for chunk in rows.chunks():
            block = numbers(chunk)
            self._check_finite(block)
            self.has_missing |= np.isnan(block).any(axis=0)
            largest = np.fmax(largest, np.fmax.reduce(np.abs(block), axis=0, initial=0))
            sample.append(block[wanted[(wanted >= start) & (wanted < start + len(block))] - start])
            start += len(block)
        if self.standardize and self.names:
            if (largest > _LARGEST).any():
                column = (largest > _LARGEST).argmax()
                name = self.names[column]
                raise ValueError(
                    f"Column {name!r} of X holds values up to {largest[column]:.3g} in size, too large to standardise; "
                    f"divide column {name!r} by a constant, or take its logarithm."
                )
            self._fit_scales(np.concatenate(sample))
        return self

    def read(self, numbers: np.ndarray) -> Tensor:
        """Scale numbers of shape (n, n_columns), in double precision so that float32 rows train alike; NaN stays.

        Raises
        ------
        ValueError
            If a value is infinite, or too large for float32 where it is not scaled; the message names its column.
        """
        self._check_finite(numbers)
        if not (self.standardize and self.names):
            return to_float32(numbers, self.names)
        scaled = self._squashed(numbers)
        scaled -= self.final.mean_.astype(np.float32)
        scaled /= self.final.scale_.astype(np.float32)
        return torch.from_numpy(scaled)

    def _fit_scales(self, sample: np.ndarray) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a column without a value
            low, median, high = np.nanquantile(sample, [0.25, 0.5, 0.75], axis=0)
            self.robust = StandardScaler().fit(sample)
            spread = (high - low) / _NORMAL_IQR
            is_spread = spread > 1e-9 * np.abs(median)  # False where the quartiles are one value, or its rounding
            self.robust.mean_ = np.nan_to_num(np.where(is_spread, median, self.robust.mean_))
            self.robust.scale_ = np.nan_to_num(np.where(is_spread, spread, self.robust.scale_), nan=1.0)
            self.final = StandardScaler().fit(self._squashed(sample))
            self.final.mean_ = np.nan_to_num(self.final.mean_)
            self.final.scale_ = np.nan_to_num(self.final.scale_, nan=1.0)

    def _squashed(self, numbers: np.ndarray) -> np.ndarray:
        """Scale robustly, in double precision, and squash, in single: (n, n_columns), float32."""
        squashed = np.empty(numbers.shape, dtype=np.float32)
        step = max(1, _BLOCK // max(1, numbers.shape[1]))  # rows that stay in the cache through all that follows
        for start in range(0, len(numbers), step):
            block = numbers[start : start + step] - self.robust.mean_
            block /= self.robust.scale_
            squashed[start : start + step] = squash(block, np)
        return squashed

    def _check_finite(self, numbers: np.ndarray) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(numbers.sum()):  # quicker than to look at each, and true of most
                return
        if np.isinf(numbers).any():
            name = self.names[np.isinf(numbers).any(axis=0).argmax()]
            raise ValueError(
                f"Input X contains infinity in column {name!r}; replace it by a number, or "
                "by NaN where it stands for none."
            )
