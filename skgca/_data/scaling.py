"""Columns of numbers to a common scale, and to float32.

Neural networks train well on inputs of mean 0 and deviation 1. One outlier would set the deviation of a column, and
leave the other values close together. So scales are robust, and outliers are squashed: see :class:`Scaler`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import scipy.sparse
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from .containers import Chunk
from .rows import Rows, spaced

__all__ = ["LARGEST", "Scaler", "squash", "to_float32"]

_NORMAL_IQR = 1.3489795  # interquartile range of the standard normal distribution
_SQUASH = 3.0  # limit of squashed values, in robust deviations
LARGEST = 1e150  # squares of larger values overflow
_FAR = 1e15  # larger scaled values are squashed like this one, whose square float32 can hold
_BLOCK = 2**15  # entries
_ROUNDING = 2e-14  # relative error of numbers in double precision that were computed
_SEVERAL, _DISTANT, _APART = 8, 4.0, 10.0  # see warn_if_far
_SAMPLE, _SAMPLE_BYTES = 100_000, 2**26  # rows that scales are learned from, at most
_WIDE = 4096  # columns of a sample that are looked at together
_FITTED = ("mean_", "scale_", "var_", "n_samples_seen_")  # attributes of a StandardScaler

Values = TypeVar("Values", np.ndarray, Tensor)


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


def squash(scaled: Values, xp: Any) -> Values:
    """Return x / sqrt(1 + (x / 3)^2) of values in double precision, computed and returned in single precision.

    The reader calls it with numpy, and the ONNX graph with torch, so that both compute the same.

    Parameters
    ----------
    scaled : ndarray or Tensor
        Values in robust deviations; NaN stays.
    xp : module
        numpy or torch, as the values are.
    """
    near = xp.asarray(xp.clip(scaled, -_FAR, _FAR), dtype=xp.float32)
    root = near * (1 / _SQUASH)
    root *= root  # in place, as temporary arrays take time
    root += 1
    squashed: Values = near / xp.sqrt(root)
    return squashed


class Scaler:
    """Scales columns of numbers to mean 0 and deviation 1, robustly: outliers neither set the scale nor stay far away.

    There are three steps. First, the median is subtracted, and values are divided by the interquartile range as a share
    of that of the standard normal distribution. If both quartiles are one value, mean and standard deviation are used
    instead. Second, :func:`squash` hardly moves values within one unit, and brings all within 3. Third, the squashed
    values are standardised. If there are many rows, scales are learned from evenly spaced ones.

    Parameters
    ----------
    names : list
        Names of the columns, for messages.
    standardize : bool, default=True
        False leaves the values unchanged, and only records which columns have missing values.

    Attributes
    ----------
    has_missing : ndarray of shape (n_columns,), bool
        Which columns had missing values.
    robust : StandardScaler
        The first step: its ``mean_`` and ``scale_`` are the robust ones. Only if values are standardised.
    final : StandardScaler
        The third step. Only if values are standardised.
    """

    has_missing: np.ndarray
    robust: StandardScaler
    final: StandardScaler

    def __init__(self, names: list[Any], *, standardize: bool = True) -> None:
        self.names = names
        self.standardize = standardize

    def fit(self, numbers: Callable[[Chunk], np.ndarray], rows: Rows) -> Scaler:
        """Learn from all rows, chunk by chunk; ``numbers`` returns the columns of numbers of a chunk.

        Raises
        ------
        ValueError
            If a column holds infinite values, or its squares overflow; the message names it.
        """
        self.has_missing = np.zeros(len(self.names), dtype=bool)
        has_values = np.zeros(len(self.names), dtype=bool)
        largest = np.zeros(len(self.names))
        affordable = max(1000, _SAMPLE_BYTES // (8 * max(1, len(self.names))))
        wanted = spaced(len(rows), min(_SAMPLE, affordable))
        sample, start = [], 0
        for chunk in rows.chunks():
            block = numbers(chunk)
            self._check_finite(block)
            missing = np.isnan(block)
            self.has_missing |= missing.any(axis=0)
            has_values |= ~missing.all(axis=0)
            largest = np.fmax(largest, np.fmax.reduce(np.abs(block), axis=0, initial=0))
            chosen = block[wanted[(wanted >= start) & (wanted < start + len(block))] - start]
            sample.append(scipy.sparse.csr_array(chosen) if rows.is_sparse else chosen)
            start += len(block)
        if self.standardize and self.names:
            if (largest > LARGEST).any():
                column = (largest > LARGEST).argmax()
                name = self.names[column]
                raise ValueError(
                    f"Column {name!r} of X holds values up to {largest[column]:.3g} in size, too large to standardise; "
                    f"divide column {name!r} by a constant, or take its logarithm."
                )
            self._fit_scales(scipy.sparse.vstack(sample).tocsc() if rows.is_sparse else np.concatenate(sample))
            self.robust.scale_[~has_values] = np.nan  # so what such a column holds later is read as missing
        return self

    def read(self, numbers: np.ndarray) -> Tensor:
        """Scale numbers of shape (n, n_columns); NaN stays.

        They are in double precision, so that the same rows in single and double precision are scaled alike.

        Raises
        ------
        ValueError
            If a value is infinite, or is not scaled and too large for float32; the message names its column.
        """
        self._check_finite(numbers)
        if not (self.standardize and self.names):
            return to_float32(numbers, self.names)
        scaled = _squashed(numbers, self.robust)  # float32, in memory of its own: the rest is done in place
        scaled -= self.final.mean_.astype(np.float32)
        scaled /= self.final.scale_.astype(np.float32)
        return torch.from_numpy(scaled)

    def warn_if_far(self, numbers: np.ndarray) -> None:
        """Warn if rows (n, n_columns) seem to be in other units than those of ``fit``.

        That is so if, in a third of the columns and more than one, the quartiles are ten times farther apart, or ten
        times nearer to each other and to 0. It is also so if the medians are distant in all columns, or in a third
        where either rows look standardised and the others do not. Other rows may be of another class, and one column a
        date. Few rows and constant columns say nothing.
        """
        if not (self.standardize and self.names) or len(numbers) < _SEVERAL:
            return
        centre, scale = self.robust.mean_, self.robust.scale_
        with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)  # a column without a value
            # nanquantile loops over the columns, and this is asked for in each call of transform
            quantile = np.nanquantile if np.isnan(numbers).any() else np.quantile
            low, median, high = quantile(numbers, [0.25, 0.5, 0.75], axis=0)
            largest = quantile(np.abs(numbers), 0.9, axis=0)
        spread = (high - low) / _NORMAL_IQR
        ratio = np.where(spread > 0, spread / scale, 1.0)
        is_near_zero = (largest > 0) & (largest < 0.05 * (np.abs(centre) + scale))
        is_scaled = (ratio > _APART) | ((ratio < 1 / _APART) & is_near_zero)
        distance = np.abs(median - centre) / scale
        is_far = is_scaled | (distance > _DISTANT)
        many = max(min(2, len(self.names)), len(self.names) / 3)
        one_is_standardized = _is_standardized(centre, scale) != _is_standardized(median, spread)
        if not (is_scaled.sum() >= many or (distance > _APART).all() or (one_is_standardized and is_far.sum() >= many)):
            return
        column = int(is_far.argmax())
        warnings.warn(
            f"X holds rows far from those that fit got, in {is_far.sum()} of {len(self.names)} columns of numbers: "
            f"half of column {self.names[column]!r} lies from {low[column]:.4g} to {high[column]:.4g}, and the median "
            f"of fit was {centre[column]:.4g}. If the columns are in other units, such as standardised, convert them "
            "to those of fit; otherwise, fit on rows like these.",
            stacklevel=2,
        )

    def get_state(self) -> dict[str, dict[str, Any]]:
        """Return the learned scales in plain values and arrays; an empty dict if values are not standardised."""
        parts = [part for part in ("robust", "final") if hasattr(self, part)]
        return {part: {name: vars(getattr(self, part))[name] for name in _FITTED} for part in parts}

    def set_state(self, state: dict[str, dict[str, Any]], *, has_missing: np.ndarray) -> None:
        """Take the scales that :meth:`get_state` returned."""
        self.has_missing = has_missing
        for part, scales in state.items():
            scaler = StandardScaler()
            vars(scaler).update(scales)
            scaler.n_features_in_ = len(self.names)
            setattr(self, part, scaler)

    def _fit_scales(self, sample: np.ndarray | scipy.sparse.csc_array) -> None:
        """Learn the scales of all columns; a sample of many columns is looked at in groups, to save memory."""
        n_groups = -(-sample.shape[1] // _WIDE)
        groups = [columns for columns in np.array_split(np.arange(sample.shape[1]), n_groups) if len(columns)]
        fitted = [self._scales(_dense(sample[:, columns] if n_groups > 1 else sample)) for columns in groups]
        self.robust, self.final = (_joined(part) for part in zip(*fitted, strict=True))

    def _scales(self, sample: np.ndarray) -> tuple[StandardScaler, StandardScaler]:
        """Return the scales of the first and of the third step."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a column without a value
            low, median, high = np.nanquantile(sample, [0.25, 0.5, 0.75], axis=0)
            robust = StandardScaler().fit(sample)
            spread = (high - low) / _NORMAL_IQR
            # False if the quartiles are one value, up to rounding; timestamps differ by 1e-9 of their size and less
            is_spread = spread > _ROUNDING * np.abs(median)
            robust.mean_ = np.nan_to_num(np.where(is_spread, median, robust.mean_))
            robust.scale_ = np.nan_to_num(np.where(is_spread, spread, robust.scale_), nan=1.0)
            final = StandardScaler().fit(_squashed(sample, robust))
            final.mean_ = np.nan_to_num(final.mean_)
            final.scale_ = np.nan_to_num(final.scale_, nan=1.0)
        return robust, final

    def _check_finite(self, numbers: np.ndarray) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(numbers.sum()):  # faster than a look at each value, and enough for most tables
                return
        if np.isinf(numbers).any():
            name = self.names[np.isinf(numbers).any(axis=0).argmax()]
            raise ValueError(
                f"Input X contains infinity in column {name!r}; replace it by a number, or by NaN if it marks a "
                "missing value."
            )


def _squashed(numbers: np.ndarray, robust: StandardScaler) -> np.ndarray:
    """Scale robustly in double precision, then squash in single precision: (n, n_columns), float32."""
    squashed = np.empty(numbers.shape, dtype=np.float32)
    step = max(1, _BLOCK // max(1, numbers.shape[1]))  # so few rows stay in the processor's cache for all steps
    for start in range(0, len(numbers), step):
        block = numbers[start : start + step] - robust.mean_
        block /= robust.scale_
        squashed[start : start + step] = squash(block, np)
    return squashed


def _dense(sample: Any) -> np.ndarray:
    """Return a sample as an array in the order of rows, as column sums must not depend on the order in memory."""
    return np.ascontiguousarray(sample.toarray() if scipy.sparse.issparse(sample) else sample)


def _joined(scalers: Sequence[StandardScaler]) -> StandardScaler:
    """Return one scaler of the columns of several."""
    if len(scalers) == 1:
        return scalers[0]
    joined = StandardScaler()
    for name in ("mean_", "scale_", "var_"):
        setattr(joined, name, np.concatenate([getattr(scaler, name) for scaler in scalers]))
    # one number for all columns, or one for each where a column has gaps
    seen = [np.broadcast_to(scaler.n_samples_seen_, scaler.mean_.shape) for scaler in scalers]
    joined.n_samples_seen_ = np.concatenate(seen)
    joined.n_features_in_ = len(joined.mean_)
    return joined


def _is_standardized(centre: np.ndarray, scale: np.ndarray) -> bool:
    """Whether the centres and scales of all columns are near 0 and 1."""
    return bool((np.abs(centre) < 1).all() and ((scale > 0.3) & (scale < 3)).all())
