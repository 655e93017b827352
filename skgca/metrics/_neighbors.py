"""Measures of who is near whom: across two views, and across input and embedding."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import pairwise_distances
from sklearn.utils import check_array, check_consistent_length, gen_batches

from .._utils.compat import Interval, StrOptions, validate_params
from ._checks import check_views, chunk_rows, directions

_COUNT = [Interval(Integral, 1, None, closed="left")]
_EMBEDDING_METRIC = [StrOptions({"cosine", "euclidean"})]
_ROUNDING = 64 * np.finfo(np.float64).eps  # a sum of products rounds by a few eps, differently at each place of a chunk


@validate_params(
    {"k": _COUNT, "metric": _EMBEDDING_METRIC, "adjusted": ["boolean"]}, prefer_skip_nested_validation=True
)
def view_retrieval_score(
    Z_a: ArrayLike, Z_b: ArrayLike, *, k: int = 1, metric: str = "cosine", adjusted: bool = False
) -> float:
    """Score how many rows find their other view among all rows: top-k accuracy of retrieval, as in [1]_.

    The share of rows of ``Z_a`` whose partner is among the k nearest rows of ``Z_b``, and the same from ``Z_b`` to
    ``Z_a``: the mean of both. Unlike :func:`alignment_score` it sees collapse.

    Parameters
    ----------
    Z_a, Z_b : array-like of shape (n_samples, n_components)
        Embeddings; row i of one is paired with row i of the other. At least 2 rows.
    k : int, default=1
        How many of the nearest rows count, from 1 to ``n_samples - 1``.
    metric : {"cosine", "euclidean"}, default="cosine"
        What near means. By "cosine" a row of zeros is as far from all rows as orthogonal ones are.
    adjusted : bool, default=False
        Whether to put chance at 0: ``(score - k / n_samples) / (1 - k / n_samples)``.

    Returns
    -------
    score : float
        Between 0 and 1, where all rows find their partner; ``k / n_samples`` by chance. Adjusted, 0 by chance, and less
        where partners are farther than that.

    Raises
    ------
    ValueError
        If ``k`` is not below ``n_samples``, if the shapes of ``Z_a`` and ``Z_b`` differ, or if a value is out of range
        or not finite.

    Notes
    -----
    Rows as near as the partner, up to rounding, are taken in random order, and the score is the mean over such orders.
    So an embedding that gives all rows one point scores chance exactly.

    Only the order of distances counts, so embeddings of different width compare. Numbers of rows do not: among more
    rows the partner is harder to find, adjusted or not. Compare on the same rows.

    Time grows with the square of ``n_samples``, memory does not: distances are taken in chunks as in
    :func:`uniformity_score`.

    References
    ----------
    .. [1] A. Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021, whose
       zero-shot retrieval is scored so.

    Examples
    --------
    >>> from skgca.metrics import view_retrieval_score
    >>> Z = [[1, 0], [0, 1], [-1, 0], [0, -1]]
    >>> view_retrieval_score(Z, [[3, 1], [0, 1], [-1, 0], [0, -2]])
    1.0
    >>> view_retrieval_score([[1, 2]] * 4, [[1, 2]] * 4, k=2)
    0.5
    """
    rows_a: np.ndarray = check_array(Z_a, dtype=np.float64, input_name="Z_a", ensure_min_samples=2)
    rows_b: np.ndarray = check_array(Z_b, dtype=np.float64, input_name="Z_b")
    check_views(rows_a, rows_b)
    n = len(rows_a)
    if k >= n:
        raise ValueError(f"k={k} of {n} rows would always hold the partner; give k from 1 to {n - 1}.")
    rows_a, rows_b = np.split(_comparable(np.concatenate([rows_a, rows_b]), metric), 2)
    score = (_share_found(rows_a, rows_b, k, metric) + _share_found(rows_b, rows_a, k, metric)) / 2
    return _above_chance(score, k / n) if adjusted else score


@validate_params(
    {
        "n_neighbors": _COUNT,
        "metric": [str, callable],
        "embedding_metric": _EMBEDDING_METRIC,
        "adjusted": ["boolean"],
    },
    prefer_skip_nested_validation=False,  # scikit-learn is to say which metrics there are
)
def neighborhood_preservation(
    X: ArrayLike,
    Z: ArrayLike,
    *,
    n_neighbors: int = 15,
    metric: str | Callable[..., float] = "euclidean",
    embedding_metric: str = "euclidean",
    adjusted: bool = False,
) -> float:
    """Score how many of a row's nearest neighbours in the input are so in the embedding.

    The mean share that the two neighbourhoods of a row have in common: the co-ranking measure Q_NX of [1]_, there for
    K = ``n_neighbors``; adjusted, less what chance gives, R_NX of [2]_. Where an embedding is to add something to the
    distances of its input, a high score is no aim of itself.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Input. Its distances are taken as it stands: bring columns of different units to one scale first. For
        ``metric="precomputed"``, distances of shape (n_samples, n_samples). NaN may be in it for "nan_euclidean".
    Z : array-like of shape (n_samples, n_components)
        Embedding of the same rows.
    n_neighbors : int, default=15
        Size of the neighbourhoods, from 1 to ``n_samples - 2``; the row itself is not counted.
    metric : str or callable, default="euclidean"
        What near means in ``X``, as in :func:`sklearn.metrics.pairwise_distances`.
    embedding_metric : {"cosine", "euclidean"}, default="euclidean"
        What near means in ``Z``. By "cosine" a row of zeros is as far from all rows as orthogonal ones are.
    adjusted : bool, default=False
        Whether to put chance at 0: ``(score - chance) / (1 - chance)``. Makes different ``n_neighbors`` and
        ``n_samples`` comparable.

    Returns
    -------
    score : float
        Between 0 and 1, where all neighbourhoods are kept; by chance ``n_neighbors / (n_samples - 1)``, if ``X`` has no
        ties. Adjusted, 0 by chance, and less where neighbours were driven apart.

    Raises
    ------
    ValueError
        If ``n_neighbors`` is more than ``n_samples - 2``, if the numbers of rows differ, if a value is out of range or
        not finite, or, adjusted, if all rows of ``X`` are as near as each other, so that chance is 1.

    Notes
    -----
    In ``X`` all rows as near as the last neighbour are neighbours, so the copies and equal categories that tables are
    full of do not count against an embedding that keeps them, and chance is their mean share among the other rows. In
    ``Z`` rows as near as the last neighbour, up to rounding, are taken in random order, and the score is the mean over
    such orders: an embedding that gives all rows one point scores chance exactly.

    Time grows with the square of ``n_samples``, memory does not: distances are taken in chunks as in
    :func:`uniformity_score`.

    References
    ----------
    .. [1] J. A. Lee, M. Verleysen, "Quality assessment of dimensionality reduction: rank-based criteria",
       Neurocomputing 72, 2009.
    .. [2] J. A. Lee, E. Renard, G. Bernard, P. Dupont, M. Verleysen, "Type 1 and 2 mixtures of Kullback-Leibler
       divergences as cost functions in dimensionality reduction based on similarity preservation", Neurocomputing 112,
       2013.

    Examples
    --------
    >>> from skgca.metrics import neighborhood_preservation
    >>> X = [[0], [1], [10], [12], [30]]
    >>> neighborhood_preservation(X, [[0], [-1], [5], [6], [9]], n_neighbors=1)
    1.0
    >>> neighborhood_preservation(X, [[7]] * 5, n_neighbors=1)
    0.25
    """
    embedded: np.ndarray = check_array(Z, dtype=np.float64, input_name="Z", ensure_min_samples=3)
    finite = "allow-nan" if metric == "nan_euclidean" else True
    original: np.ndarray = check_array(X, dtype=np.float64, input_name="X", ensure_all_finite=finite)
    check_consistent_length(original, embedded)
    n = len(embedded)
    if n_neighbors > n - 2:
        raise ValueError(
            f"n_neighbors={n_neighbors} of {n - 1} other rows leaves none to mistake for neighbours; give 1 to {n - 2}."
        )
    original, embedded = _comparable(original, metric), _comparable(embedded, embedding_metric)
    kept = within = 0.0
    for rows in gen_batches(n, chunk_rows(n)):
        nearer, level = _nearest(original, rows, metric, n_neighbors)
        near = nearer | level
        nearer, level = _nearest(embedded, rows, embedding_metric, n_neighbors)
        places = (n_neighbors - nearer.sum(axis=1)) / level.sum(axis=1)  # for each of those that are level
        kept += ((near & nearer).sum(axis=1) + places * (near & level).sum(axis=1)).sum()
        within += near.sum()
    score, chance = float(kept / (n * n_neighbors)), float(within / (n * (n - 1)))
    if not adjusted:
        return score
    if chance == 1:
        raise ValueError(
            f"All {n} rows of X are as near as each other, so that there is no neighbourhood to keep; "
            "give another metric, or adjusted=False."
        )
    return _above_chance(score, chance)


def _above_chance(score: float, chance: float) -> float:
    return (score - chance) / (1 - chance)


def _comparable(rows: np.ndarray, metric: str | Callable[..., float]) -> np.ndarray:
    """Bring rows to where products tell distances well, without a change of their order."""
    if metric == "cosine":
        return directions(rows)
    if metric == "euclidean":
        size = np.abs(rows).max()
        rows = rows / size if size else rows  # whose squares neither overflow nor vanish
        rows = rows - np.median(rows, axis=0)  # distances from far away would cancel
    return rows


def _distances(
    rows: np.ndarray, others: np.ndarray, metric: str | Callable[..., float]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what grows with the distances of :func:`_comparable` rows.

    Returns
    -------
    distance : ndarray of shape (n_rows, n_others)
        Its own, not a part of ``others``.
    square : ndarray of shape (n_rows, 1)
        What rounds with it: squared norms of the rows where products tell the distances.
    """
    if metric not in ("cosine", "euclidean"):
        distance = np.array(pairwise_distances(rows, others, metric=metric), dtype=np.float64)
        return distance, np.zeros((len(rows), 1))
    distance = rows @ others.T
    # Squared distances are twice the half squares, less twice the products, plus what a row has in common. Directions
    # have equal half squares, but for those of zeros, which are to be as orthogonal ones.
    half_square = 0 if metric == "cosine" else (others**2).sum(axis=1) / 2
    np.subtract(half_square, distance, out=distance)
    return distance, (rows**2).sum(axis=1, keepdims=True)


def _slack(distance: np.ndarray, square: np.ndarray) -> np.ndarray:
    """Return how far rounding may part a distance of :func:`_distances` from those that are level with it."""
    slack: np.ndarray = _ROUNDING * (square + 2 * np.abs(distance))
    return slack  # no less than the squared distance, and the row's own square


def _share_found(Z_a: np.ndarray, Z_b: np.ndarray, k: int, metric: str) -> float:
    """Return the share of rows of Z_a whose partner is among the k nearest of Z_b."""
    n, found = len(Z_a), 0.0
    for rows in gen_batches(n, chunk_rows(n)):
        distance, square = _distances(Z_a[rows], Z_b, metric)
        partner = np.take_along_axis(distance, np.arange(n)[rows, None], axis=1)
        slack = _slack(partner, square)
        nearer = (distance < partner - slack).sum(axis=1)
        level = (distance <= partner + slack).sum(axis=1) - nearer  # the partner is one of them
        found += np.clip((k - nearer) / level, 0, 1).sum()
    return float(found / n)


def _nearest(
    points: np.ndarray, rows: slice, metric: str | Callable[..., float], n_neighbors: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return masks (n_rows, n_points): who is nearer than the last neighbour, and who is as near as it."""
    distance, square = _distances(points[rows], points, metric)
    np.put_along_axis(distance, np.arange(len(points))[rows, None], np.inf, axis=1)
    last = np.partition(distance, n_neighbors - 1, axis=1)[:, n_neighbors - 1, None]
    slack = _slack(last, square)
    nearer = distance < last - slack
    return nearer, (distance <= last + slack) & ~nearer
