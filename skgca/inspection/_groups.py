"""Classes and domains of rows, as the displays and reports read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._utils.classes import class_codes, fractions_in
from .._utils.missing import is_missing, is_unlabelled

__all__ = ["Groups", "groups_of", "unknown"]


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
    if values is None or fractions_in(values):
        return None
    codes, classes = class_codes(values)
    return Groups(codes, classes) if classes else None


def unknown(values: np.ndarray) -> np.ndarray:
    """Whether each value stands for nothing, as in ``fit``; among floats -1 may be a measurement, and does not."""
    return np.array([is_missing(v) or (is_unlabelled(v) and not isinstance(v, float)) for v in values.tolist()], bool)
