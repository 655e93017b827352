"""Classes, domains and groups of rows: integer codes, and which rows share a code.

"Class" stands for all three here. Labels may be any hashable values; -1, None and NaN mean that a row has none.
"""

from __future__ import annotations

import math
from numbers import Number
from typing import Any, TypeVar

import numpy as np
from torch import Tensor

from .missing import is_missing, is_unlabelled

__all__ = [
    "check_minus_one",
    "class_codes",
    "fractions_in",
    "labelled",
    "marked_minus_one",
    "same_class",
    "sorted_classes",
    "without_objects",
]

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
    # Unlabelled rows become None: NaN is no key.
    labels = [None if is_unlabelled(value) else value for value in _scalars(values)]
    classes = sorted_classes(label for label in labels if label is not None)
    code_of = {label: code for code, label in enumerate(classes)} | {None: -1}
    return np.array([code_of[label] for label in labels], dtype=np.int64), classes


def labelled(values: np.ndarray, *, measured: bool = False) -> np.ndarray:
    """Return a mask (n,) of the rows that have a label, the opposite of None, NaN and -1.

    Parameters
    ----------
    values : ndarray of shape (n,), or (n, k) for numbers
        Classes or measurements. A row of k numbers has a label if none of them is NaN.
    measured : bool, default=False
        Whether -1 is a measurement in any case. Values with fractions are measurements without being told.
    """
    if values.ndim == 2:
        return np.asarray(~np.isnan(values).any(axis=1))
    is_unknown = is_missing if measured or fractions_in(values) else is_unlabelled
    return np.array([not is_unknown(value) for value in _scalars(values)], dtype=bool)


def marked_minus_one(values: np.ndarray) -> np.ndarray:
    """Return a mask (n,) of the rows without a class that are marked -1, not None or NaN."""
    return np.array([is_unlabelled(value) and not is_missing(value) for value in _scalars(values)], dtype=bool)


def check_minus_one(name: str, values: np.ndarray, classes: list[Any]) -> None:
    """Raise ValueError if rows are marked -1 among other negative classes: it may then be a class.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    values : ndarray of shape (n,)
        The class of each row, as given.
    classes : list
        The classes in ``values``, without -1.
    """
    others = [value for value in classes if isinstance(value, Number) and value < 0]  # type: ignore[operator]
    if others and marked_minus_one(values).any():
        raise ValueError(
            f"{name} holds -1 and other negative numbers, such as {others[0]!r}, but -1 marks rows of no class. If -1 "
            "is a class, encode the classes from 0 (sklearn.preprocessing.LabelEncoder). If not, mark these rows by "
            "NaN or None."
        )


def without_objects(values: np.ndarray) -> np.ndarray:
    """Return numbers or text of type object as an array of their own type, where rows of None made them objects."""
    kinds = {str if isinstance(value, str) else isinstance(value, Number) for value in values.tolist()}
    return np.array(values.tolist()) if values.dtype == object and kinds in ({str}, {True}) else values


def _scalars(values: np.ndarray) -> list[Any]:
    """Return the entries as Python values, but dates as scalars of numpy: tolist turns nanoseconds into integers."""
    return list(values) if values.dtype.kind in "mM" else values.tolist()


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
