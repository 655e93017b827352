"""Measures of the directions and dimensions that an embedding uses."""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import svdvals
from scipy.special import entr
from sklearn.utils import gen_batches

from .._utils.compat import Interval, check_sample_weight, validate_params
from ._checks import centered, check_views, checked_rows, chunk_rows, unit_rows

__all__ = ["alignment_score", "effective_rank", "uniformity_score"]

_POSITIVE = [Interval(Real, 0, None, closed="neither")]


@validate_params({"alpha": _POSITIVE}, prefer_skip_nested_validation=True)
def alignment_score(
    Z_a: ArrayLike, Z_b: ArrayLike, *, alpha: float = 2, sample_weight: ArrayLike | None = None
) -> float:
    """Score how close the two views of each row are: minus the alignment loss of [1]_.

    Use it to see whether an embedding ignores the changes that views make. To choose or detect with one number, use
    :func:`view_information_score`.

    Let x and y be the rows of a pair, each divided by its Euclidean norm. The score is ``-mean(||x - y||^alpha)``. It
    does not detect collapse, since equal rows are all aligned: read it together with :func:`uniformity_score` or
    :func:`effective_rank`.

    Parameters
    ----------
    Z_a, Z_b : array-like of shape (n_samples, n_components)
        Embeddings of two views; row i of both is a view of the same sample.
    alpha : float, default=2
        Power of the distance, above 0. With 2, the score is twice the mean cosine minus 2.
    sample_weight : array-like of shape (n_samples,), default=None
        Non-negative weights of the pairs in the mean. None means equal weights.

    Returns
    -------
    score : float
        Between ``-2**alpha``, for views in opposite directions, and 0, for views in the same direction.

    Raises
    ------
    ValueError
        If a row is zero, which has no direction, if the shapes of ``Z_a`` and ``Z_b`` differ, or if a value is out of
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
    return float(0.0 - np.average(squared ** (alpha / 2), weights=weight))  # 0 - 0 is 0.0, but -0.0 prints its sign


@validate_params({"t": _POSITIVE}, prefer_skip_nested_validation=True)
def uniformity_score(Z: ArrayLike, *, t: float = 2) -> float:
    """Score how evenly the directions of the rows are spread: minus the uniformity loss of [1]_.

    Use it together with :func:`alignment_score`, to see whether the rows of an embedding are spread out. To detect
    collapse with one number, use :func:`effective_rank`.

    Let x and y be two rows, each divided by its Euclidean norm. The score is ``-log(mean(exp(-t * ||x - y||^2)))`` over
    all pairs of distinct rows. It does not measure whether views agree, and noise spreads evenly: read it together with
    :func:`alignment_score`.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Embedding of at least 2 rows.
    t : float, default=2
        Sharpness of the Gaussian kernel, above 0. A larger value gives more weight to the closest pairs.

    Returns
    -------
    score : float
        0 if all rows have the same direction, otherwise above 0. ``2 * t`` if all are orthogonal to each other. At most
        ``4 * t``, the score of two opposite rows.

    Raises
    ------
    ValueError
        If a row is zero, which has no direction, if there are fewer than 2 rows, or if a value is out of range or not
        finite.

    Notes
    -----
    Time grows with the square of ``n_samples``; a random subset of the rows estimates the same score. Memory does not
    grow with the square: pairs are processed in chunks of 16 MiB, or of the ``working_memory`` of
    :func:`sklearn.set_config` if that is less, and at least one row at a time.

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
        exponent = Z[rows] @ Z[rows.start + 1 :].T  # cosines, (rows of the chunk, rows after the first)
        exponent -= 1
        np.minimum(exponent, 0, out=exponent)  # rounding may make a cosine exceed 1
        exponent *= 2 * t  # -t ||x - y||^2 = 2 t (cos - 1)
        exponent[np.tril_indices(len(exponent), k=-1)] = -np.inf  # each pair once, no self pairs
        # log-sum-exp: the largest term is factored out, so that for a large t not all terms vanish
        peak = exponent.max()
        exponent -= peak
        log_sum = np.logaddexp(log_sum, peak + np.log(np.exp(exponent, out=exponent).sum()))
    return max(0.0, float(np.log(n * (n - 1) / 2) - log_sum))


@validate_params({"center": ["boolean"]}, prefer_skip_nested_validation=True)
def effective_rank(Z: ArrayLike, *, center: bool = False) -> float:
    """Estimate how many dimensions an embedding uses, from how evenly its singular values are spread [1]_.

    Use it to detect an embedding that has collapsed to few dimensions. A high value is no sign of a good embedding:
    with labels, use :func:`linear_probe_score`.

    Let p be the singular values divided by their sum. The score is ``exp(-sum(p * log(p)))``. RankMe [2]_ ranks
    embeddings without labels by this score, with 1e-7 added to each p. Here nothing is added.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Embedding.
    center : bool, default=False
        Whether to subtract the mean row first. Without centring, as in [2]_, a mean that is large compared to the
        variation brings the rank near 1. With centring only the variation counts, even if it is only rounding error of
        a constant embedding.

    Returns
    -------
    rank : float
        Between 1 and ``min(n_samples, n_components)``. It is 0 for an embedding of zeros and, with ``center=True``, for
        an embedding of equal rows, like :func:`numpy.linalg.matrix_rank`. A collapsed embedding thus ranks below all
        others, and does not stop a search with an error.

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
    Z = checked_rows(Z, "Z")
    if center:
        Z = centered(Z)
    singular = svdvals(Z, check_finite=False)  # a Gram matrix would square them and lose the small ones
    if singular[0] == 0:
        return 0.0
    share = singular / singular[0]  # before the sum, which could overflow
    return float(np.exp(entr(share / share.sum()).sum()))
