"""What the measures share: checked pairs, rows brought to a size that neither overflows nor vanishes, chunks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.utils import check_array, check_consistent_length

MAX_CHUNK_MIB = 16  # larger ones leave the caches, and were no quicker


def unit_rows(Z: ArrayLike, name: str, **checks: int) -> np.ndarray:
    """Return checked rows over their norms, in float64; a row of zeros is a ValueError."""
    rows: np.ndarray = check_array(Z, dtype=np.float64, input_name=name, **checks)
    zero = np.flatnonzero(~rows.any(axis=1))
    if len(zero):
        raise ValueError(
            f"Row {zero[0]} of {name} is zero and so has no direction ({len(zero)} of {len(rows)} rows are); leave "
            "such rows out, or use effective_rank, which takes them."
        )
    return directions(rows)


def directions(Z: np.ndarray) -> np.ndarray:
    """Return rows over their norms; rows of zeros stay."""
    largest = np.abs(Z).max(axis=1, keepdims=True)
    largest[largest == 0] = 1
    Z = Z / largest  # whose squares neither overflow nor vanish
    norm = np.linalg.norm(Z, axis=1, keepdims=True)
    norm[norm == 0] = 1
    Z /= norm
    return Z


def centered(Z: np.ndarray) -> np.ndarray:
    """Return rows less their mean; equal rows become zeros."""
    Z = Z - Z[0]  # before the mean, whose rounding would leave something of equal rows
    Z -= Z.mean(axis=0)
    return Z


def check_views(Z_a: np.ndarray, Z_b: np.ndarray) -> None:
    """Refuse two views that have not the same shape."""
    check_consistent_length(Z_a, Z_b)
    if Z_a.shape[1] != Z_b.shape[1]:
        raise ValueError(
            f"Z_a has {Z_a.shape[1]} columns and Z_b has {Z_b.shape[1]}; two views of the same rows have the same "
            "number, as one embedder's transform gives."
        )


def chunk_rows(n: int) -> int:
    """Return how many rows of n float64 make a chunk."""
    return max(1, int(min(get_config()["working_memory"], MAX_CHUNK_MIB) * 2**20 / (8 * n)))
