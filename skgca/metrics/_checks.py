"""Helpers of the measures: checked input, rows scaled so that squares neither overflow nor vanish, sizes of chunks."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.utils import check_array, check_consistent_length

from .._utils.classes import labelled

MAX_CHUNK_MIB = 16  # larger chunks do not fit the caches, and were not quicker


def checked_rows(Z: ArrayLike, name: str, **checks: Any) -> np.ndarray:
    """Return a matrix in float64, checked by :func:`sklearn.utils.check_array` with the options ``checks``."""
    checked: np.ndarray = check_array(Z, dtype=np.float64, input_name=name, **checks)
    return checked


def known_labels(y: np.ndarray, name: str, task: str | None) -> np.ndarray:
    """Return a mask of the rows that have a label, of which there must be one; see :func:`labelled`."""
    known = labelled(y, measured=task == "regression")
    if not known.any():
        marks = "None or NaN" if task == "regression" else "-1, None or NaN"
        raise ValueError(f"{name} holds no label: all of its {len(y)} entries are {marks}. Give labelled rows.")
    return known


def check_in_memory(X: Any, function: str) -> None:
    """Raise TypeError for what GCAEmbedder reads part by part, but a function of rows in memory does not."""
    if isinstance(X, str | PathLike) or hasattr(X, "collect") or hasattr(X, "compute"):
        remedy = "X.collect()" if hasattr(X, "collect") else "X.compute()" if hasattr(X, "compute") else None
        raise TypeError(
            f"X is of type {type(X).__name__}, but {function} takes rows in memory; pass "
            f"{remedy or 'the frame that pandas.read_parquet(X) returns'}."
        )


def check_equal_shapes(X: Any, function: str) -> None:
    """Raise ValueError for series of unequal lengths, which GCAEmbedder reads, but a function of tables does not."""
    of_arrays = isinstance(X, list | tuple) or (isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1)
    if of_arrays and len({getattr(row, "shape", None) for row in X}) > 1:
        raise ValueError(f"X holds arrays of different shapes, but {function} takes a table.")


def unit_rows(Z: ArrayLike, name: str, **checks: int) -> np.ndarray:
    """Return checked rows, each divided by its norm; a row of zeros raises a ValueError."""
    Z = checked_rows(Z, name, **checks)
    zero = np.flatnonzero(~Z.any(axis=1))
    if len(zero):
        raise ValueError(
            f"Row {zero[0]} of {name} is zero and has no direction ({len(zero)} of {len(Z)} rows are zero); leave such "
            "rows out, or use effective_rank, which accepts them."
        )
    return directions(Z)


def directions(Z: np.ndarray) -> np.ndarray:
    """Return rows divided by their norms. Rows of zeros stay as they are."""
    largest = np.abs(Z).max(axis=1, keepdims=True)
    largest[largest == 0] = 1
    Z = Z / largest  # entries of at most 1: their squares neither overflow nor vanish
    norm = np.linalg.norm(Z, axis=1, keepdims=True)  # (n, 1)
    norm[norm == 0] = 1
    Z /= norm
    return Z


def centered(Z: np.ndarray) -> np.ndarray:
    """Return rows minus their mean. Equal rows become exactly zero."""
    Z = Z - Z[0]  # first, because the mean of equal rows rounds and would leave a remainder
    Z -= Z.mean(axis=0)
    return Z


def check_views(Z_a: np.ndarray, Z_b: np.ndarray) -> None:
    """Raise ValueError if two views differ in shape."""
    check_consistent_length(Z_a, Z_b)
    if Z_a.shape[1] != Z_b.shape[1]:
        raise ValueError(
            f"Z_a has {Z_a.shape[1]} columns and Z_b has {Z_b.shape[1]}; give two views of the same rows, embedded by "
            "the same embedder."
        )


def chunk_rows(n: int) -> int:
    """Return the number of rows of a chunk of a float64 matrix with n columns."""
    return max(1, int(min(get_config()["working_memory"], MAX_CHUNK_MIB) * 2**20 / (8 * n)))
