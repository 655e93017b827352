"""Group rows by class or by domain, for the displays and reports.

Only classes make groups. Measurements, which have fractions, make none, and then the reports leave out the tables of
classes and the displays draw no bounds between groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import column_or_1d

from .._utils.classes import class_codes, fractions_in, labelled

__all__ = ["Groups", "groups_of", "one_column", "unknown"]


@dataclass(frozen=True)
class Groups:
    """The group that each row belongs to.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Number of the group of each row; -1 for a row that belongs to none.
    names : list
        Name of each group, in the order of the numbers.
    """

    codes: np.ndarray
    names: list[Any]

    def indicators(self) -> np.ndarray:
        """Return a matrix (n, n_groups) that is 1.0 where a row belongs to a group, else 0.0."""
        is_member: np.ndarray = self.codes[:, None] == np.arange(len(self.names))
        return is_member.astype(float)


def groups_of(values: np.ndarray | None) -> Groups | None:
    """Return the groups that ``values`` (n,) name; None if there are none, all are unknown, or some are fractions."""
    if values is None or fractions_in(values):
        return None
    codes, classes = class_codes(values)
    return Groups(codes, classes) if classes else None


def one_column(name: str, values: Any, n_rows: int) -> np.ndarray | None:
    """Return the value for each row, (n,); None if there are no values, or several for each row.

    Raises
    ------
    ValueError
        If there is not one entry for each row; the message gives the name.
    """
    if values is None:
        return None
    if len(values) != n_rows:
        raise ValueError(f"{name} has {len(values)} entries, but X has {n_rows} rows; pass one entry for each row.")
    if np.ndim(values) > 1 and np.shape(values)[1] > 1:
        return None
    column: np.ndarray = column_or_1d(values)
    return column


def unknown(values: np.ndarray) -> np.ndarray:
    """Return which values (n,) are unknown: missing ones, and -1 unless the values have fractions, as in ``fit``."""
    return ~labelled(values)
