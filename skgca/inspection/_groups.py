"""Classes and domains of rows, as the displays and reports read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._utils.compat import is_pandas_na

__all__ = ["Groups", "classes_of", "groups_of", "has_fractions", "unknown"]


@dataclass(frozen=True)
class Groups:
    """Which of some named groups each row is in.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Number of the group, -1 for a row of none.
    names : list
        Names of the groups, in their order.
    """

    codes: np.ndarray
    names: list[Any]

    def indicators(self) -> np.ndarray:
        """Return 1.0 where a row is in a group, of shape (n, k)."""
        return (self.codes[:, None] == np.arange(len(self.names))).astype(float)


def groups_of(values: np.ndarray | None) -> Groups | None:
    """Return the groups that values (n,) stand for; None where there are no values, none known, or fractions."""
    if values is None:
        return None
    if has_fractions(values):
        return None
    known = ~unknown(values)
    known[known] = [value != -1 for value in values[known].tolist()]  # -1.0 as well
    if not known.any():
        return None
    names = classes_of(values[known])
    number = {name: k for k, name in enumerate(names)}
    codes = np.full(len(values), -1)
    codes[known] = [number[value] for value in values[known].tolist()]
    return Groups(codes, names)


def has_fractions(values: np.ndarray) -> bool:
    """Whether values are measurements rather than classes."""
    known = values[~unknown(values)].tolist()
    return any(isinstance(value, float) and value != np.floor(value) for value in known)


def unknown(values: np.ndarray) -> np.ndarray:
    """Whether each value stands for nothing, as in ``fit``: -1 among whole numbers, None and NaN."""
    return np.array([_is_unknown(value) for value in values.tolist()], dtype=bool)


def classes_of(values: np.ndarray) -> list[Any]:
    """Return the different values, sorted, as text where they cannot be compared."""
    found = set(values.tolist())
    try:
        return sorted(found)
    except TypeError:
        return sorted(found, key=str)


def _is_unknown(value: Any) -> bool:
    if value is None or is_pandas_na(value) or value != value:
        return True
    return value == -1 and not isinstance(value, str | float)
