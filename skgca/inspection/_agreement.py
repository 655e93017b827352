"""How well several embeddings of the same rows agree, measured for each row.

:func:`neighbor_overlap` compares the nearest neighbours of a row in two embeddings, :func:`place_agreement` compares
its place, and :func:`votes` counts the classes among its nearest labelled rows. ``_fit_comparison.py`` combines them
over the fits of a stability report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import gen_batches

from ..metrics._checks import chunk_rows
from ..metrics._consistency import _standard
from ..metrics._neighbors import _comparable, _distances, _slack

__all__ = ["neighbor_overlap", "place_agreement", "votes"]

Pair = tuple[int, int]


def neighbor_overlap(
    embeddings: Sequence[np.ndarray], n_neighbors: int, metric: str
) -> Iterator[tuple[slice, Pair, np.ndarray]]:
    """Measure which share of its neighbours each row has in common in two embeddings, for all pairs of embeddings.

    The neighbours of a row have weights that sum to ``n_neighbors``. Rows nearer than the last neighbour have weight 1.
    Rows at the distance of the last neighbour share the remaining weight equally. Two neighbourhoods have in common the
    sum, over rows, of the smaller of both weights. The share is adjusted for chance, which is the expected common
    weight after the neighbours in one embedding are permuted at random.

    Because ties share weight, copies of a row, which are frequent in tables, do not lower the overlap of equal
    embeddings. In a collapsed embedding all rows are at one distance, and the overlap with any embedding is 0.

    Parameters
    ----------
    embeddings : sequence of ndarray of shape (n, n_components)
    n_neighbors : int
        Less than n - 1.
    metric : {"cosine", "euclidean"}

    Yields
    ------
    rows : slice
        A chunk of rows.
    pair : tuple of int
        Positions of two embeddings, in ascending order.
    overlap : ndarray of shape (n_rows,)
        ``(common - chance) / (n_neighbors - chance)``: 1 for equal neighbourhoods, about 0 for unrelated ones, and 0
        where a neighbourhood consists of all rows.
    """
    points = [_comparable(Z, metric) for Z in embeddings]
    n = len(points[0])
    # Chunks are the outer loop, so that the distances of one chunk are computed once for all pairs of embeddings.
    for rows in gen_batches(n, chunk_rows(n)):
        weights = [_neighbors(Z, rows, n_neighbors, metric) for Z in points]
        for pair in combinations(range(len(points)), 2):
            first, second = (weights[k] for k in pair)
            common = np.asarray(first.minimum(second).sum(axis=1)).ravel()
            chance = _chance(_profile(first, n_neighbors), _profile(second, n_neighbors), n)
            room = n_neighbors - chance
            # A neighbourhood of all rows has no room above chance, and the quotient would be rounding over rounding.
            has_room = room > 1e-9 * n_neighbors
            yield rows, pair, np.where(has_room, (common - chance) / np.where(has_room, room, 1), 0.0)


def place_agreement(Z_1: np.ndarray, Z_2: np.ndarray) -> np.ndarray:
    """Measure how well the places of each row agree, once one embedding is rotated and scaled onto the other.

    Parameters
    ----------
    Z_1, Z_2 : ndarray of shape (n, n_components_1) and (n, n_components_2)

    Returns
    -------
    ndarray of shape (n,)
        1 less a quotient: the squared distance between the two places, over the squared distances of both from the
        centre. Numerator and denominator are summed over both directions, ``Z_1`` onto ``Z_2`` and back. It is 1 where
        the places agree, and negative where they are farther apart than from the centre. Its mean over rows, weighted
        by the denominator, is :func:`skgca.metrics.consistency_score`. 0 if all rows of an embedding are equal.
    """
    first, second = _standard(Z_1), _standard(Z_2)  # mean 0, Frobenius norm 1
    if not (first.any() and second.any()):
        return np.zeros(len(first))
    width = max(first.shape[1], second.shape[1])
    first, second = (np.pad(Z, ((0, 0), (0, width - Z.shape[1]))) for Z in (first, second))  # a rotation is square
    # Orthogonal Procrustes: the best rotation comes from the singular vectors, the best scale is the sum of the
    # singular values. Both embeddings have norm 1, so the scale is the same in both directions.
    left, singular, right = np.linalg.svd(first.T @ second)
    rotation, scale = left @ right, singular.sum()
    apart = ((scale * first @ rotation - second) ** 2).sum(axis=1)
    apart += ((scale * second @ rotation.T - first) ** 2).sum(axis=1)
    size: np.ndarray = (first**2).sum(axis=1) + (second**2).sum(axis=1)
    # A row at the centre of both embeddings has size 0; its places agree, so the quotient is 0.
    quotient: np.ndarray = np.divide(apart, size, out=np.zeros(len(size)), where=size > 0)
    return 1 - quotient


def votes(embedding: np.ndarray, y: np.ndarray, known: np.ndarray, n_neighbors: int, metric: str) -> np.ndarray:
    """Return the share of each class among the nearest labelled rows of each row, without the row itself.

    Parameters
    ----------
    embedding : ndarray of shape (n, n_components)
    y : ndarray of int of shape (n,)
        Numbers of classes, from 0. Only those of labelled rows are used.
    known : ndarray of bool of shape (n,)
        Which rows have a label.
    n_neighbors : int
        How many labelled rows vote; less than the number of labelled rows.
    metric : {"cosine", "euclidean"}

    Returns
    -------
    ndarray of shape (n, n_classes)
    """
    points = _comparable(embedding, metric)
    n = len(points)
    is_class = np.zeros((n, int(y[known].max()) + 1))
    is_class[np.flatnonzero(known), y[known]] = 1
    chunks = [_neighbors(points, rows, n_neighbors, metric, known) @ is_class for rows in gen_batches(n, chunk_rows(n))]
    return np.concatenate(chunks) / n_neighbors


def _neighbors(
    points: np.ndarray, rows: slice, n_neighbors: int, metric: str, candidates: np.ndarray | None = None
) -> csr_array:
    """Return the weights that all rows have as neighbours of some, (n_rows, n); each line sums to ``n_neighbors``.

    ``candidates`` (n,) says which rows may be neighbours; None allows all.
    """
    distance, square = _distances(points[rows], points, metric)
    np.put_along_axis(distance, np.arange(len(points))[rows, None], np.inf, axis=1)  # a row is no neighbour of itself
    if candidates is not None:
        distance[:, ~candidates] = np.inf
    last = np.partition(distance, n_neighbors - 1, axis=1)[:, n_neighbors - 1, None]
    slack = _slack(last, square)  # distances that differ only by rounding are equal
    within, nearer = csr_array(distance <= last + slack), distance < last - slack
    n_nearer = nearer.sum(axis=1)
    n_within = np.diff(within.indptr)
    share = (n_neighbors - n_nearer) / (n_within - n_nearer)  # of each row at the distance of the last neighbour
    row = np.repeat(np.arange(len(distance)), n_within)
    weight = np.where(nearer[row, within.indices], 1.0, share[row])
    return csr_array((weight, within.indices, within.indptr), shape=distance.shape)


def _profile(weights: csr_array, n_neighbors: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each row the number of neighbours of weight 1, the number of those of less, and their weight."""
    counts = np.diff(weights.indptr)
    whole = np.asarray((weights >= 1).sum(axis=1)).ravel()
    shared = counts - whole
    return whole, shared, (n_neighbors - whole) / np.maximum(shared, 1)


def _chance(first: tuple[np.ndarray, ...], second: tuple[np.ndarray, ...], n: int) -> np.ndarray:
    """Return the expected common weight of two neighbourhoods, by their profiles, if one is permuted at random."""
    # A permutation pairs any two of the n - 1 other rows equally often, so the expectation is the sum of the smaller
    # weight over all pairs, divided by n - 1.
    (whole_1, shared_1, share_1), (whole_2, shared_2, share_2) = first, second
    one_whole = whole_1 * whole_2 + whole_1 * shared_2 * share_2 + shared_1 * whole_2 * share_1
    expected: np.ndarray = (one_whole + shared_1 * shared_2 * np.minimum(share_1, share_2)) / (n - 1)
    return expected
