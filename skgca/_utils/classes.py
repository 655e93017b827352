"""Classes, domains and groups of rows: integer codes, and which rows share a code.

"Class" stands for all three here. Labels may be any hashable values; -1, None and NaN mean that a row has none.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from torch import Tensor

from .missing import is_unlabelled

__all__ = ["class_codes", "fractions_in", "same_class", "sorted_classes"]

Codes = TypeVar("Codes", np.ndarray, Tensor)


def class_codes(values: np.ndarray) -> tuple[np.ndarray, list[Any]]:
    """Assign a number to the class of each row.

    Parameters
    ----------
    values : ndarray of shape (n,)
        The class of each row. None, NaN and -1 mark rows without a class.

    Returns
    -------
    codes : ndarray of shape (n,), int64
        Number of the class of each row, from 0, and -1 for rows without a class.
    classes : list
        The classes in the order of their codes. Empty if no row has a class.
    """
    # tolist gives Python values, so the classes are plain values too. Unlabelled rows become None: NaN is no key.
    labels = [None if is_unlabelled(value) else value for value in values.tolist()]
    classes = sorted_classes(label for label in labels if label is not None)
    code_of = {label: code for code, label in enumerate(classes)} | {None: -1}
    return np.array([code_of[label] for label in labels], dtype=np.int64), classes


def sorted_classes(labels: Any) -> list[Any]:
    """Return the distinct labels in order. Labels that cannot be compared are sorted as text."""
    distinct = set(labels)
    try:
        return sorted(distinct)
    except TypeError:  # such as numbers and strings together
        return sorted(distinct, key=str)


def fractions_in(values: np.ndarray) -> list[float | np.floating]:
    """Return the entries that are not whole numbers. If there are any, the values are measurements, not classes."""
    floats = (value for value in values.tolist() if isinstance(value, float | np.floating))
    return [value for value in floats if math.isfinite(value) and not value.is_integer()]


def same_class(codes: Codes) -> Codes:
    """Return a mask (n, n) of the pairs of rows that share a class, from codes (n,) in which -1 means no class."""
    # (n, 1) == (n,) compares all pairs. Checking one side for -1 is enough, because the other side is equal.
    same: Codes = (codes[:, None] == codes) & (codes != -1)
    return same
