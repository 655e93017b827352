"""Classes, domains and groups of rows: their codes, and which rows share the same one."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from torch import Tensor

from .missing import is_unlabelled

__all__ = ["class_codes", "fractions_in", "same_class", "sorted_classes"]

Codes = TypeVar("Codes", np.ndarray, Tensor)


def class_codes(values: np.ndarray) -> tuple[np.ndarray, list[Any]]:
    """Return the code of each row's class.

    Parameters
    ----------
    values : ndarray of shape (n,)
        A class for each row. None, NaN and -1 mark rows of no class.

    Returns
    -------
    codes : ndarray of shape (n,), int64
        Codes of the classes from 0, and -1 for rows of no class.
    classes : list
        The classes in the order of their codes. It is empty if no row has a class.
    """
    labels = [None if is_unlabelled(value) else value for value in values.tolist()]
    classes = sorted_classes(label for label in labels if label is not None)
    code_of = {label: code for code, label in enumerate(classes)} | {None: -1}
    return np.array([code_of[label] for label in labels], dtype=np.int64), classes


def sorted_classes(labels: Any) -> list[Any]:
    """Return the distinct labels, sorted, or sorted by their text if they cannot be compared."""
    distinct = set(labels)
    try:
        return sorted(distinct)
    except TypeError:
        return sorted(distinct, key=str)


def fractions_in(values: np.ndarray) -> list[float]:
    """Return the entries that are not whole numbers, which are a sign of measurements rather than classes."""
    floats = (value for value in values.tolist() if isinstance(value, float | np.floating))
    return [value for value in floats if math.isfinite(value) and not value.is_integer()]


def same_class(codes: Codes) -> Codes:
    """Return which rows have the same class, (n, n), from codes (n,), in which -1 is no class."""
    return (codes[:, None] == codes) & (codes != -1)
