"""Measures of the directions and dimensions that an embedding uses."""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import svdvals
from scipy.special import entr
from sklearn.utils import check_array, gen_batches

from .._utils.compat import Interval, check_sample_weight, validate_params
from ._checks import centered, check_views, chunk_rows, unit_rows

__all__ = ["alignment_score", "effective_rank", "uniformity_score"]

_POSITIVE = [Interval(Real, 0, None, closed="neither")]


@validate_params({"alpha": _POSITIVE}, prefer_skip_nested_validation=True)
def alignment_score(
    Z_a: ArrayLike, Z_b: ArrayLike, *, alpha: float = 2, sample_weight: ArrayLike | None = None
) -> float:
    """Score how close the two views of each row are: minus the alignment loss of [1]_.

    With x and y the rows of a pair, each divided by its Euclidean norm, this is ``-mean(||x - y||^alpha)``. It does not
    see collapse, which aligns everything: read it next to :func:`uniformity_score` or :func:`effective_rank`.

    Parameters
    ----------
    Z_a, Z_b : array-like of shape (n_samples, n_components)
        Embeddings; row i of one is paired with row i of the other.
    alpha : float, default=2
        Power of the distance, above 0. With 2 the score is twice the mean cosine, less 2.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the pairs in the mean, at least 0; None weighs all alike.

    Returns
    -------
    score : float
        Between ``-2**alpha``, where views are opposite, and 0, where they point the same way.

    Raises
    ------
    ValueError
        If a row is zero and so has no direction, if the shapes of ``Z_a`` and ``Z_b`` differ, or if a value is out of
        range or not finite.

    References
    ----------
    .. [1] T. Wang, P. Isola, "Understanding contrastive representation learning through alignment and uniformity on
       the hypersphere", ICML 2020, section 4.1.

    Examples
    --------
    >>> from skgca.metrics import alignment_score
    >>> alignment_score([[1, 0], [0, 2]], [[3, 0], [1, 0]])
    -1.0
    """
    Z_a, Z_b = unit_rows(Z_a, "Z_a"), unit_rows(Z_b, "Z_b")
    check_views(Z_a, Z_b)
    weight = check_sample_weight(sample_weight, Z_a)
    squared = ((Z_a - Z_b) ** 2).sum(axis=1)
    return float(0.0 - np.average(squared ** (alpha / 2), weights=weight))  # 0 - 0 is 0, where -0 prints as -0.0


@validate_params({"t": _POSITIVE}, prefer_skip_nested_validation=True)
def uniformity_score(Z: ArrayLike, *, t: float = 2) -> float:
    """Score how evenly the directions of the rows spread: minus the uniformity loss of [1]_.

    With x and y two rows, each divided by its Euclidean norm, this is ``-log(mean(exp(-t * ||x - y||^2)))`` over all
    pairs of distinct rows. It does not see whether views agree: noise spreads evenly, so read it next to
    :func:`alignment_score`.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Embedding, of at least 2 rows.
    t : float, default=2
        Sharpness of the Gaussian kernel, above 0: the larger, the more only the closest pairs count.

    Returns
    -------
    score : float
        0 where all rows point the same way, else above. ``2 * t`` where all are orthogonal; never above ``4 * t``,
        which two opposite rows have.

    Raises
    ------
    ValueError
        If a row is zero and so has no direction, if there are fewer than 2 rows, or if a value is out of range or not
        finite.

    Notes
    -----
    Time grows with the square of ``n_samples``; a random part of the rows estimates the same. Memory does not: pairs
    are taken in chunks of 16 MiB, or of the ``working_memory`` of :func:`sklearn.set_config` if that is less, but of
    one row at least.

    References
    ----------
    .. [1] T. Wang, P. Isola, "Understanding contrastive representation learning through alignment and uniformity on
       the hypersphere", ICML 2020, section 4.1.

    Examples
    --------
    >>> from skgca.metrics import uniformity_score
    >>> uniformity_score([[1, 0], [0, 3]])
    4.0
    >>> uniformity_score([[1, 0], [2, 0]])
    0.0
    """
    Z = unit_rows(Z, "Z", ensure_min_samples=2)
    n = len(Z)
    log_sum = -np.inf
    for rows in gen_batches(n - 1, chunk_rows(n)):
        exponent = Z[rows] @ Z[rows.start + 1 :].T  # (rows, all later ones), cosines as yet
        exponent -= 1
        np.minimum(exponent, 0, out=exponent)  # a cosine may round to more than 1
        exponent *= 2 * t  # ||x - y||^2 = 2 - 2 cos
        exponent[np.tril_indices(len(exponent), k=-1)] = -np.inf  # each pair once, no row with itself
        peak = exponent.max()
        exponent -= peak
        log_sum = np.logaddexp(log_sum, peak + np.log(np.exp(exponent, out=exponent).sum()))
    return max(0.0, float(np.log(n * (n - 1) / 2) - log_sum))


@validate_params({"center": ["boolean"]}, prefer_skip_nested_validation=True)
def effective_rank(Z: ArrayLike, *, center: bool = False) -> float:
    """Count the dimensions that an embedding uses, by how evenly its singular values spread [1]_.

    ``exp(-sum(p * log(p)))`` with p the singular values over their sum. As RankMe [2]_ it ranks embeddings without
    labels; RankMe adds 1e-7 to each p, which this does not.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Embedding.
    center : bool, default=False
        Whether to subtract the mean row first. Without, as in [2]_, a mean that is large against the variation brings
        the rank near 1. With it, only variation counts, however small: where it is mere rounding about a constant, that
        counts as well.

    Returns
    -------
    rank : float
        Between 1 and ``min(n_samples, n_components)``. 0 where all that is left is zero, as
        :func:`numpy.linalg.matrix_rank` has it: for an embedding of zeros and, centred, for one of equal rows. So an
        embedding that collapsed for good ranks below all others, and does not stop a search with an error.

    Raises
    ------
    ValueError
        If ``Z`` is not a matrix of finite numbers with at least one row and column.

    References
    ----------
    .. [1] O. Roy, M. Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007.
    .. [2] Q. Garrido, R. Balestriero, L. Najman, Y. LeCun, "RankMe: assessing the downstream performance of pretrained
       self-supervised representations by their rank", ICML 2023.

    Examples
    --------
    >>> from skgca.metrics import effective_rank
    >>> round(effective_rank([[3, 0, 0], [0, 3, 0]]), 6)
    2.0
    >>> effective_rank([[1, 2], [1, 2]], center=True)
    0.0
    """
    rows: np.ndarray = check_array(Z, dtype=np.float64, input_name="Z")
    if center:
        rows = centered(rows)
    singular = svdvals(rows, check_finite=False)  # squared in a Gram matrix, the small ones would be lost
    if singular[0] == 0:
        return 0.0
    share = singular / singular[0]  # first, as the sum may overflow
    return float(np.exp(entr(share / share.sum()).sum()))
