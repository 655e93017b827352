"""Agreement of two embeddings of the same rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import orth, svdvals
from sklearn.utils import check_consistent_length

from .._utils.compat import StrOptions, validate_params
from ._checks import centered, checked_rows


@validate_params({"mapping": [StrOptions({"rotation", "linear"})]}, prefer_skip_nested_validation=True)
def consistency_score(Z_1: ArrayLike, Z_2: ArrayLike, *, mapping: str = "rotation") -> float:
    """Score how well two embeddings of the same rows agree: the R^2 of the best map from one to the other.

    Use it to compare fits with different seeds, on different parts of the rows, or with one option changed. Both
    embeddings are first centred and scaled to the same size. The score therefore ignores shift and scale, and does not
    depend on the order of the two.

    Parameters
    ----------
    Z_1, Z_2 : array-like of shape (n_samples, n_components_1) and (n_samples, n_components_2)
        Embeddings of at least 2 rows; row i of both belongs to the same sample. The numbers of columns may differ: the
        narrower embedding counts as if it had further columns of zeros.
    mapping : {"rotation", "linear"}, default="rotation"
        Class of maps.

        - "rotation": rotations and reflections times a scale, by orthogonal Procrustes analysis [1]_. The R^2 is the
          same in both directions.
        - "linear": all linear maps, as in the consistency of CEBRA [2]_. The R^2 is computed over all columns together,
          and the score is its mean over both directions. It is never below the score of "rotation".

    Returns
    -------
    score : float
        Between 0 and 1; 1 means that the embeddings agree. If all rows of one embedding are equal, the score is 0, so
        that a collapsed embedding does not stop a search with an error.

    Raises
    ------
    ValueError
        If the numbers of rows differ, if there are fewer than 2, or if a value is out of range or not finite.

    Notes
    -----
    Maps are fitted and scored on the same rows. For independent embeddings of d uncorrelated columns of equal variance,
    the expected score is about ``0.72 * d / n_samples`` with "rotation" and ``d / n_samples`` with "linear". Use many
    more rows than columns.

    Linear CKA [3]_ ignores the same maps as "rotation". It is not offered, because it weighs directions by the square
    of their variance: it hardly notices the loss of directions of small variance, which lowers the score of a probe
    [4]_.

    References
    ----------
    .. [1] P. H. Schönemann, "A generalized solution of the orthogonal Procrustes problem", Psychometrika 31, 1966.
    .. [2] S. Schneider, J. H. Lee, M. W. Mathis, "Learnable latent embeddings for joint behavioural and neural
       analysis", Nature 617, 2023.
    .. [3] S. Kornblith, M. Norouzi, H. Lee, G. Hinton, "Similarity of neural network representations revisited",
       ICML 2019.
    .. [4] F. Ding, J.-S. Denain, J. Steinhardt, "Grounding representation similarity through statistical testing",
       NeurIPS 2021.

    Examples
    --------
    >>> from skgca.metrics import consistency_score
    >>> Z = [[0, 0], [4, 0], [0, 3]]
    >>> rotated = [[1, 1], [1, 9], [7, 1]]  # and moved and doubled
    >>> round(consistency_score(Z, rotated), 6)
    1.0
    >>> round(consistency_score(Z, [[0], [4], [0]]), 6)
    0.73
    >>> consistency_score(Z, [[5, 5]] * 3)
    0.0
    """
    # The memory order is fixed because rounding in BLAS depends on it, and that of a frame on the version of pandas.
    Z_1 = checked_rows(Z_1, "Z_1", order="C", ensure_min_samples=2)
    Z_2 = checked_rows(Z_2, "Z_2", order="C")
    check_consistent_length(Z_1, Z_2)
    Z_1, Z_2 = _standard(Z_1), _standard(Z_2)
    if mapping == "rotation":
        # The best rotation Q reaches trace(Q^T Z_1^T Z_2) = sum of singular values. With Frobenius norms of 1, its
        # square is the R^2 of rotation times scale. Columns of zeros, to make widths equal, would not change the sum.
        score = svdvals(Z_1.T @ Z_2).sum() ** 2
    else:
        # With Frobenius norms of 1, the R^2 of a linear map is the share of Z_2 in the column space of Z_1.
        score = (((orth(Z_1).T @ Z_2) ** 2).sum() + ((orth(Z_2).T @ Z_1) ** 2).sum()) / 2
    return min(1.0, float(score))  # rounding may exceed 1


def _standard(Z: np.ndarray) -> np.ndarray:
    """Return rows with mean 0 and Frobenius norm 1, or zeros if all rows are equal."""
    size = np.abs(Z).max()  # entries of at most 1, so that their squares neither overflow nor vanish
    Z = centered(Z / size if size else Z)
    norm = np.linalg.norm(Z)
    return Z / norm if norm else Z
