"""What is missing: None, NaN, pandas' NA, and the NaT of numpy and pandas. polars gives its null as None or NaN."""

from __future__ import annotations

from datetime import datetime
from numbers import Number
from typing import Any

import numpy as np

from .compat import is_pandas_na

__all__ = ["is_missing", "is_unlabelled"]

_COMMON = (str, int, float)
_MAY_DIFFER_FROM_ITSELF = (Number, np.generic, datetime)  # NaN and NaT do; arrays compare entry by entry


def is_missing(value: Any) -> bool:
    """Whether a value stands for nothing."""
    if isinstance(value, _COMMON):  # most are, and the rest takes ten times as long
        return value != value
    return value is None or is_pandas_na(value) or (isinstance(value, _MAY_DIFFER_FROM_ITSELF) and bool(value != value))


def is_unlabelled(value: Any) -> bool:
    """Whether a label, domain or group is none: it is missing, or the number -1 of ``sklearn.semi_supervised``."""
    return is_missing(value) or (not isinstance(value, str) and bool(value == -1))
