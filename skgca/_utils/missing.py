"""Missing values: None, NaN, pandas' NA, and NaT of numpy and pandas. polars converts null to None or NaN."""

from __future__ import annotations

from datetime import datetime
from numbers import Number
from typing import Any

import numpy as np

from .compat import is_pandas_na

__all__ = ["is_missing", "is_unlabelled"]

_COMMON = (str, int, float)
# NaN and NaT of these types differ from themselves. Other types are not compared: arrays would compare entry by entry.
_MAY_DIFFER_FROM_ITSELF = (Number, np.generic, datetime)


def is_missing(value: Any) -> bool:
    """Whether a value is missing."""
    if isinstance(value, _COMMON):  # a short way for most values: the full test takes ten times as long
        return value != value
    return value is None or is_pandas_na(value) or (isinstance(value, _MAY_DIFFER_FROM_ITSELF) and bool(value != value))


def is_unlabelled(value: Any) -> bool:
    """Whether a label, domain or group means "none": missing, or the number -1 as in ``sklearn.semi_supervised``."""
    # A timedelta64 of -1 equals the number -1.
    return is_missing(value) or (not isinstance(value, str | np.timedelta64) and bool(value == -1))
