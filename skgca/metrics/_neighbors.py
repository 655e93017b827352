"""Measures of nearest neighbours: between two views, and between input and embedding.

Both measures have to decide whether two distances are equal up to rounding ("level"). Level rows share the places that
are left among the nearest, so the scores are means over all orders of tied rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.metrics import pairwise_distances
from sklearn.utils import check_consistent_length, gen_batches

from .._utils.classes import class_codes
from .._utils.compat import Interval, StrOptions, validate_params
from .._utils.missing import is_missing
from ._checks import check_equal_shapes, check_in_memory, check_views, checked_rows, chunk_rows, directions

Metric = str | Callable[..., Any]

_COUNT = [Interval(Integral, 1, None, closed="left")]
_CATEGORICAL = ("category", "dictionary", "Categorical", "Enum")  # types of columns of pandas, Arrow and polars
_EMBEDDING_METRIC = [StrOptions({"cosine", "euclidean"})]
# A sum of products rounds by a few eps. The same pair may round differently at different places of a chunk.
_ROUNDING = 64 * np.finfo(np.float64).eps


@validate_params(
    {"k": _COUNT, "metric": _EMBEDDING_METRIC, "adjusted": ["boolean"]}, prefer_skip_nested_validation=True
)
def view_retrieval_score(
    Z_a: ArrayLike, Z_b: ArrayLike, *, k: int = 1, metric: str = "cosine", adjusted: bool = False
) -> float:
    """Score how many rows find their other view among all rows: top-k accuracy of retrieval, as in [1]_.

    Use it if a row should be found by a changed copy of it, such as duplicates or two measurements. If
    nearly all rows are found, :func:`view_information_score` still tells embeddings apart.

    The score is the share of rows of ``Z_a`` whose partner is among the k nearest rows of ``Z_b``, averaged with the
    same share from ``Z_b`` to ``Z_a``. Unlike :func:`alignment_score`, it detects collapse.

    Parameters
    ----------
    Z_a, Z_b : array-like of shape (n_samples, n_components)
        Embeddings of two views, of at least 2 rows; row i of both is a view of the same sample.
    k : int, default=1
        Number of nearest rows that count, from 1 to ``n_samples - 1``.
    metric : {"cosine", "euclidean"}, default="cosine"
        Distance. With "cosine", a row of zeros is as far from every row as an orthogonal row.
    adjusted : bool, default=False
        Whether to adjust for chance: ``(score - k / n_samples) / (1 - k / n_samples)``.

    Returns
    -------
    score : float
        Between 0 and 1; 1 means that all rows find their partner. Chance level is ``k / n_samples``. The adjusted score
        is 0 at chance level, and negative if partners are farther apart than that.

    Raises
    ------
    ValueError
        If ``k`` is not below ``n_samples``, if the shapes of ``Z_a`` and ``Z_b`` differ, or if a value is out of range
        or not finite.

    Notes
    -----
    Rows that are as near as the partner, up to rounding, count in random order, and the score is the mean over all such
    orders. An embedding that maps all rows to one point therefore scores exactly at chance level.

    Only the order of distances counts, so embeddings of different widths can be compared. Scores on different numbers
    of rows cannot: among more rows the partner is harder to find, adjusted or not. Compare on the same rows.

    Time grows with the square of ``n_samples``. Memory does not: distances are computed in chunks, as in
    :func:`uniformity_score`.

    References
    ----------
    .. [1] A. Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021
       (zero-shot retrieval).

    Examples
    --------
    >>> from skgca.metrics import view_retrieval_score
    >>> Z = [[1, 0], [0, 1], [-1, 0], [0, -1]]
    >>> view_retrieval_score(Z, [[3, 1], [0, 1], [-1, 0], [0, -2]])
    1.0
    >>> view_retrieval_score([[1, 2]] * 4, [[1, 2]] * 4, k=2)
    0.5
    """
    Z_a = checked_rows(Z_a, "Z_a", ensure_min_samples=2)
    Z_b = checked_rows(Z_b, "Z_b")
    check_views(Z_a, Z_b)
    n = len(Z_a)
    if k >= n:
        raise ValueError(f"k={k} of {n} rows always include the partner; give k from 1 to {n - 1}.")
    # Both views get one scale and one centre, so that distances between them keep their order.
    Z_a, Z_b = np.split(_comparable(np.concatenate([Z_a, Z_b]), metric), 2)
    score = (_share_found(Z_a, Z_b, k, metric) + _share_found(Z_b, Z_a, k, metric)) / 2
    return _above_chance(score, k / n) if adjusted else score


@validate_params(
    {
        "n_neighbors": _COUNT,
        "metric": [str, callable],
        "embedding_metric": _EMBEDDING_METRIC,
        "adjusted": ["boolean"],
    },
    prefer_skip_nested_validation=False,  # so that scikit-learn lists its metrics in the error of a wrong one
)
def neighborhood_preservation(
    X: ArrayLike,
    Z: ArrayLike,
    *,
    n_neighbors: int = 15,
    metric: str | Callable[..., Any] = "euclidean",
    embedding_metric: str = "euclidean",
    adjusted: bool = False,
) -> float:
    """Score how many nearest neighbours of a row in the input are also its nearest neighbours in the embedding.

    Use it for maps and other embeddings that should keep the distances of their input. For an embedding that should
    improve on these distances, use :func:`knn_probe_score`.

    The score is the mean share that the two neighbourhoods of a row have in common. This is the co-ranking measure Q_NX
    of [1]_ with K = ``n_neighbors``. Adjusted for chance, it is R_NX of [2]_. A high score is not an aim in itself if
    the embedding should improve on the distances of its input.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Input. It is not scaled here: bring columns of different units to one scale first. With
        ``metric="precomputed"``, distances of shape (n_samples, n_samples). With "nan_euclidean", it may contain NaN.
        With "euclidean", columns may be text or of a categorical type: each in which two rows differ adds 1 to their
        squared distance.
    Z : array-like of shape (n_samples, n_components)
        Embedding of the same rows.
    n_neighbors : int, default=15
        Size of the neighbourhoods without the row itself, from 1 to ``n_samples - 2``.
    metric : str or callable, default="euclidean"
        Distance in ``X``, as in :func:`sklearn.metrics.pairwise_distances`.
    embedding_metric : {"cosine", "euclidean"}, default="euclidean"
        Distance in ``Z``. With "cosine", a row of zeros is as far from every row as an orthogonal row.
    adjusted : bool, default=False
        Whether to adjust for chance: ``(score - chance) / (1 - chance)``. Scores of different ``n_neighbors`` and
        ``n_samples`` can then be compared.

    Returns
    -------
    score : float
        Between 0 and 1; 1 means that all neighbourhoods are kept. Chance level is ``n_neighbors / (n_samples - 1)`` if
        ``X`` has no ties. The adjusted score is 0 at chance level, and negative if neighbours were driven apart.

    Raises
    ------
    TypeError
        If ``X`` is a path or a lazy frame.
    ValueError
        If ``n_neighbors`` is above ``n_samples - 2``, if the numbers of rows differ, or if a value is out of range or
        not finite. With ``adjusted=True`` also if all rows of ``X`` are equally near, so that chance level is 1.

    Notes
    -----
    In ``X``, all rows as near as the last neighbour are neighbours. Tables are full of copies and equal categories, and
    this way an embedding that keeps them loses nothing. Chance level is the mean share of neighbours among the other
    rows. In ``Z``, rows as near as the last neighbour, up to rounding, count in random order, and the score is the mean
    over all such orders. An embedding that maps all rows to one point therefore scores exactly at chance level.

    Time grows with the square of ``n_samples``. Memory does not: distances are computed in chunks, as in
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
    Z = checked_rows(Z, "Z", ensure_min_samples=3)
    X, codes = _numbers_and_codes(X, metric)
    X = checked_rows(X, "X", ensure_all_finite="allow-nan" if metric == "nan_euclidean" else True)
    check_consistent_length(X, Z)
    n = len(Z)
    if n_neighbors > n - 2:
        raise ValueError(
            f"n_neighbors={n_neighbors} of {n - 1} other rows makes every row a neighbour; give 1 to {n - 2}."
        )
    one = 1 / (np.abs(X).max() or 1) if metric == "euclidean" else 1.0  # what a distance of 1 becomes in _comparable
    X, Z = _comparable(X, metric), _comparable(Z, embedding_metric)
    kept = n_neighbor_pairs = 0.0
    for rows in gen_batches(n, chunk_rows(n)):
        # masks (rows of the chunk, n)
        nearer, level = _nearest(X, rows, metric, n_neighbors, codes=codes, mismatch=one**2 / 2)
        neighbors = nearer | level
        nearer, level = _nearest(Z, rows, embedding_metric, n_neighbors)
        # The places that nearer rows leave go to the level rows at random: each gets this share of a place on average.
        place = (n_neighbors - nearer.sum(axis=1)) / level.sum(axis=1)
        kept += ((neighbors & nearer).sum(axis=1) + place * (neighbors & level).sum(axis=1)).sum()
        n_neighbor_pairs += neighbors.sum()
    score, chance = float(kept / (n * n_neighbors)), float(n_neighbor_pairs / (n * (n - 1)))
    if not adjusted:
        return score
    if chance == 1:
        raise ValueError(
            f"All {n} rows of X are as near as each other, so there are no neighbourhoods to keep; "
            "give another metric, or adjusted=False."
        )
    return _above_chance(score, chance)


def _above_chance(score: float, chance: float) -> float:
    """Rescale a score so that chance level becomes 0 and 1 stays 1."""
    return (score - chance) / (1 - chance)


def _numbers_and_codes(X: Any, metric: Metric) -> tuple[Any, list[np.ndarray]]:
    """Return the columns of numbers (n, k), and codes (n,) of each column of text or of a categorical type.

    Raises
    ------
    ValueError
        If there are such columns, and the metric cannot compare them; the message names one.
    """
    if hasattr(X, "itercolumns"):  # pyarrow
        X = X.to_pandas()
    check_in_memory(X, "neighborhood_preservation")
    check_equal_shapes(X, "neighborhood_preservation")
    is_frame = hasattr(X, "columns")
    if not is_frame:
        shape = np.shape(X)
        if len(shape) > 2:
            raise ValueError(
                f"X has shape {shape}, but neighborhood_preservation takes a table; X.reshape(len(X), -1) makes one of "
                "images or series."
            )
    if issparse(X) or (not is_frame and np.asarray(X).dtype.kind not in "OUT"):
        return X, []
    if hasattr(X, "get_columns"):  # polars
        columns = dict(zip(X.columns, X.get_columns(), strict=True))
    elif is_frame:
        columns = {name: X.iloc[:, k] for k, name in enumerate(X.columns)}
    else:
        columns = dict(enumerate(np.asarray(X, dtype=object).T))
    numbers, codes = [], []
    for name, column in columns.items():
        of_column = None if str(column.dtype).startswith(_CATEGORICAL) else _as_numbers(column)
        if of_column is not None:
            numbers.append(of_column)
        elif metric == "euclidean":
            texts = [None if is_missing(value) else str(value) for value in column]
            codes.append(class_codes(np.array(texts, dtype=object))[0])
        else:
            raise ValueError(
                f"X has text or categories in column {name!r}, which metric={metric!r} cannot compare; use "
                "metric='euclidean', or turn the column into numbers."
            )
    return np.column_stack(numbers) if numbers else np.zeros((len(X), 1)), codes


def _as_numbers(column: Any) -> np.ndarray | None:
    """Return a column in double precision, with NaN for missing values; None if it holds text."""
    values = np.asarray(column)
    try:
        if values.dtype.kind != "O":
            return values.astype(np.float64) if values.dtype.kind in "iufb" else None
        if any(isinstance(value, str) for value in values):
            return None
        return np.array([np.nan if is_missing(value) else value for value in values], dtype=np.float64)
    except (TypeError, ValueError):
        return None


def _comparable(rows: np.ndarray, metric: Metric) -> np.ndarray:
    """Scale and shift rows so that products give exact distances. The order of distances does not change."""
    if metric == "cosine":
        return directions(rows)
    if metric == "euclidean":
        size = np.abs(rows).max()
        rows = rows / size if size else rows  # entries of at most 1: their squares neither overflow nor vanish
        # |x|^2 - 2 x.y + |y|^2 cancels if rows are far from the origin. The median is not moved by outliers.
        rows = rows - np.median(rows, axis=0)
    return rows


def _distances(rows: np.ndarray, others: np.ndarray, metric: Metric) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers that have the order of the distances between :func:`_comparable` rows.

    Returns
    -------
    distance : ndarray of shape (n_rows, n_others)
        A new array, which the caller may write to.
    square : ndarray of shape (n_rows, 1)
        Squared norms of the rows, on which the rounding of ``distance`` depends; zeros if it is no product of rows.
    """
    if metric not in ("cosine", "euclidean"):
        distance = np.array(pairwise_distances(rows, others, metric=metric), dtype=np.float64)
        return distance, np.zeros((len(rows), 1))
    distance = rows @ others.T
    # |x - y|^2 / 2 = |y|^2 / 2 - x.y + |x|^2 / 2, and the last term is the same for all y. Directions all have the same
    # |y|^2, except rows of zeros: without the term these are as far as orthogonal rows.
    half_square = 0 if metric == "cosine" else (others**2).sum(axis=1) / 2
    np.subtract(half_square, distance, out=distance)
    return distance, (rows**2).sum(axis=1, keepdims=True)


def _slack(distance: np.ndarray, square: np.ndarray) -> np.ndarray:
    """Return by how much two equal distances of :func:`_distances` may differ through rounding."""
    slack: np.ndarray = _ROUNDING * (square + 2 * np.abs(distance))  # at least the squared distance, times rounding
    return slack


def _share_found(Z_a: np.ndarray, Z_b: np.ndarray, k: int, metric: str) -> float:
    """Return the share of rows of Z_a whose partner is among the k nearest rows of Z_b."""
    n, n_found = len(Z_a), 0.0
    for rows in gen_batches(n, chunk_rows(n)):
        distance, square = _distances(Z_a[rows], Z_b, metric)
        partner = np.take_along_axis(distance, np.arange(n)[rows, None], axis=1)  # (rows of the chunk, 1)
        slack = _slack(partner, square)
        n_nearer = (distance < partner - slack).sum(axis=1)
        n_level = (distance <= partner + slack).sum(axis=1) - n_nearer  # at least 1: the partner itself
        n_found += np.clip((k - n_nearer) / n_level, 0, 1).sum()  # probability of one of the places left
    return float(n_found / n)


def _nearest(
    points: np.ndarray,
    rows: slice,
    metric: Metric,
    n_neighbors: int,
    *,
    codes: Sequence[np.ndarray] = (),
    mismatch: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return masks (n_rows, n_points) of the points nearer than the last neighbour, and of those as near as it.

    ``mismatch`` is what two points are farther apart for each column of ``codes`` in which they differ.
    """
    distance, square = _distances(points[rows], points, metric)
    for column in codes:
        distance += mismatch * (column[rows, None] != column)
    # A row is not its own neighbour.
    np.put_along_axis(distance, np.arange(len(points))[rows, None], np.inf, axis=1)
    last = np.partition(distance, n_neighbors - 1, axis=1)[:, n_neighbors - 1, None]
    slack = _slack(last, square)
    nearer = distance < last - slack
    return nearer, (distance <= last + slack) & ~nearer
