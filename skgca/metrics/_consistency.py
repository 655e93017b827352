"""Agreement of two embeddings of the same rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import orth, svdvals
from sklearn.utils import check_array, check_consistent_length

from .._utils.compat import StrOptions, validate_params
from ._checks import centered


@validate_params({"mapping": [StrOptions({"rotation", "linear"})]}, prefer_skip_nested_validation=True)
def consistency_score(Z_1: ArrayLike, Z_2: ArrayLike, *, mapping: str = "rotation") -> float:
    """Score how far two embeddings of the same rows agree: the R^2 of the best map from one to the other.

    Say, of fits that differ in their seed, in part of the rows that they saw, or in one option. Both embeddings are
    centred and brought to the same size first, so neither shift nor scale counts, and the score does not change with
    the order of the two.

    Parameters
    ----------
    Z_1, Z_2 : array-like of shape (n_samples, n_components_1) and (n_samples, n_components_2)
        Embeddings; row i of both is the same row. At least 2 rows. Widths may differ: the narrower one is as if it had
        columns of zeros beside.
    mapping : {"rotation", "linear"}, default="rotation"
        Which maps are tried.

        - "rotation": rotations and reflections times a scale, by orthogonal Procrustes analysis [1]_. The R^2 is the
          same both ways.
        - "linear": all linear maps, as for the consistency of CEBRA [2]_. The R^2 is that of all columns together, and
          the score its mean both ways. Never below that of "rotation".

    Returns
    -------
    score : float
        Between 0 and 1, where the embeddings agree. 0 where all rows of one are equal: there is nothing to agree with,
        and a search over embeddings of which some collapsed does not stop with an error.

    Raises
    ------
    ValueError
        If the numbers of rows differ, if there are fewer than 2, or if a value is out of range or not finite.

    Notes
    -----
    Maps are fitted on the rows that they are scored on. For independent embeddings of d columns, as far as these are of
    equal size and not correlated, chance is about ``0.72 * d / n_samples`` with "rotation" and ``d / n_samples`` with
    "linear": have many more rows than columns.

    Linear CKA [3]_ ignores the same maps as "rotation", but weighs directions by the square of their variance: the loss
    of small ones, which a probe notices, it hardly sees [4]_. So it is not among the mappings.

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
    >>> round(consistency_score(Z, [[1, 1], [1, 9], [7, 1]]), 6)  # turned, moved and doubled
    1.0
    >>> round(consistency_score(Z, [[0], [4], [0]]), 6)
    0.73
    >>> consistency_score(Z, [[5, 5]] * 3)
    0.0
    """
    # The order is fixed since BLAS rounds by it, and the one of a data frame depends on the version of pandas.
    rows_1: np.ndarray = check_array(Z_1, dtype=np.float64, order="C", input_name="Z_1", ensure_min_samples=2)
    rows_2: np.ndarray = check_array(Z_2, dtype=np.float64, order="C", input_name="Z_2")
    check_consistent_length(rows_1, rows_2)
    rows_1, rows_2 = _standard(rows_1), _standard(rows_2)
    if mapping == "rotation":
        # With Frobenius norms of 1, the trace that the best rotation reaches; its square is the R^2 of rotation times
        # scale. The sum is the same with columns of zeros, which the narrower one would need for a rotation.
        score = svdvals(rows_1.T @ rows_2).sum() ** 2
    else:
        score = (((orth(rows_1).T @ rows_2) ** 2).sum() + ((orth(rows_2).T @ rows_1) ** 2).sum()) / 2
    return min(1.0, float(score))  # which rounding may pass


def _standard(Z: np.ndarray) -> np.ndarray:
    """Return rows of mean 0 and Frobenius norm 1, or of zeros where all are equal."""
    size = np.abs(Z).max()
    Z = centered(Z / size if size else Z)
    norm = np.linalg.norm(Z)
    return Z / norm if norm else Z
