"""Columns of numbers to a common scale, and to float32."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from ._rows import Rows

__all__ = ["Scaler", "to_float32"]

_SQUASH = 8.0  # largest size of a scaled value
_NORMAL_IQR = 1.3489795  # interquartile range of the standard normal distribution
_SAMPLE = 100_000  # rows that quantiles are taken of
_LARGEST = 1e150  # beyond, squares overflow


def to_float32(X: np.ndarray, names: list[Any]) -> Tensor:
    """Copy an array of shape (n, n_columns) to a contiguous float32 tensor; NaN stays.

    Raises
    ------
    ValueError
        If a value is infinite or too large for float32; the message names its column.
    """
    with np.errstate(over="ignore"):
        X32 = np.array(X, dtype=np.float32, order="C")  # a copy, since a tensor cannot guard a read-only array
    overflow = np.isinf(X32)
    if overflow.any():
        row, column = np.argwhere(overflow)[0]
        if np.isinf(X[row, column]):
            raise ValueError(_infinite(names[column]))
        raise ValueError(
            f"X[{row}, {names[column]!r}] = {X[row, column]!r} is too large for float32; scale column "
            f"{names[column]!r} (standardize=True, or a StandardScaler before) or take its logarithm."
        )
    return torch.from_numpy(X32)


def _infinite(name: Any) -> str:
    return f"Input X contains infinity in column {name!r}; replace it by a number, or by NaN where it stands for none."


class Scaler:
    """Brings columns of numbers to a common scale, robustly: outliers neither set the scale nor leave it far.

    Median and interquartile range, of at most ``_SAMPLE`` rows, go to 0 and that of a normal distribution; mean and
    standard deviation instead where more than half of a column is one value. Beyond a few units values are squashed,
    smoothly and monotonically, to at most ``_SQUASH`` in size.

    Parameters
    ----------
    names : list
        Of the columns, for messages.

    Attributes
    ----------
    center_, scale_ : ndarray of shape (n_columns,)
        What is subtracted, then divided by.
    has_missing : ndarray of shape (n_columns,), bool
        Which columns missed some values.
    """

    def __init__(self, names: list[Any]) -> None:
        self.names = names

    def fit(self, numbers: Callable[[Any], np.ndarray], rows: Rows) -> Scaler:
        """Learn from all rows, read chunk by chunk through ``numbers``.

        Raises
        ------
        ValueError
            If a column holds infinite values, or its squares overflow; the message names it.
        """
        standard = StandardScaler()
        largest = np.zeros(len(self.names))
        self.has_missing = np.zeros(len(self.names), dtype=bool)
        for chunk in rows.chunks():
            block = numbers(chunk)
            if np.isinf(block).any():
                raise ValueError(_infinite(self.names[np.isinf(block).any(axis=0).argmax()]))
            missing = np.isnan(block)
            self.has_missing |= missing.any(axis=0)
            largest = np.fmax(largest, np.abs(np.where(missing, 0, block)).max(axis=0, initial=0))
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                if block.size:
                    standard.partial_fit(block)
        if not self.names:
            self.center_ = self.scale_ = np.empty(0)
            return self
        mean, scale = np.nan_to_num(standard.mean_, posinf=np.inf, neginf=-np.inf), standard.scale_
        overflow = ~np.isfinite(mean) | np.isinf(scale) | (largest > _LARGEST)
        if overflow.any():
            column = overflow.argmax()
            name = self.names[column]
            raise ValueError(
                f"Column {name!r} of X holds values up to {largest[column]:.3g} in size, too large to standardise; "
                f"divide column {name!r} by a constant, or take its logarithm."
            )
        self._set_scale(numbers(rows.sample(_SAMPLE)), mean, scale)
        return self

    def apply(self, numbers: np.ndarray) -> Tensor:
        """Scale numbers of shape (n, n_columns), in double precision so that float32 rows train alike; NaN stays.

        Raises
        ------
        ValueError
            If a value is infinite; the message names its column.
        """
        if np.isinf(numbers).any():
            raise ValueError(_infinite(self.names[np.isinf(numbers).any(axis=0).argmax()]))
        with np.errstate(over="ignore"):
            scaled = (numbers - self.center_) / self.scale_
            squashed = scaled / np.sqrt(1 + np.square(scaled / _SQUASH))
        far = np.isinf(scaled) | (np.abs(scaled) > 1e100)
        return torch.from_numpy(np.where(far, np.copysign(_SQUASH, scaled), squashed).astype(np.float32))

    def _set_scale(self, sample: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a column without a value
            low, median, high = np.nanquantile(sample, [0.25, 0.5, 0.75], axis=0)
        spread = (high - low) / _NORMAL_IQR
        robust = spread > 1e-9 * np.abs(median)  # False where the quartiles are one value, or rounding
        self.center_ = np.where(robust, median, mean)
        self.scale_ = np.where(robust, spread, np.nan_to_num(deviation, nan=1.0))
