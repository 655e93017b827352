"""How far embeddings of the same rows agree, row by row: neighbours, places, and what labels say of them."""

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
    """Compare the neighbourhoods of each row in each two embeddings.

    A row is a neighbour of another with a weight: 1 if nearer than the last one, and an equal share of the places left
    if as near as that. Two neighbourhoods have the sum over rows of the smaller weight in common; by chance, if one of
    them is shuffled, its mean over all pairs of rows. So copies of a row, of which tables are full, do not count
    against equal embeddings, and a collapse, where all rows are as near as each other, is no agreement.

    Parameters
    ----------
    embeddings : sequence of ndarray of shape (n, n_components)
    n_neighbors : int
        Below n - 1.
    metric : {"cosine", "euclidean"}

    Yields
    ------
    rows : slice
        Of some rows.
    pair : tuple of int
        Of embeddings, the lower one first.
    overlap : ndarray of shape (n_rows,)
        Share in common, less chance: 1 for equal neighbourhoods, 0 by chance, and for those of all rows.
    """
    points = [_comparable(Z, metric) for Z in embeddings]
    n = len(points[0])
    for rows in gen_batches(n, chunk_rows(n)):
        weights = [_neighbors(Z, rows, n_neighbors, metric) for Z in points]
        for pair in combinations(range(len(points)), 2):
            first, second = (weights[k] for k in pair)
            common = np.asarray(first.minimum(second).sum(axis=1)).ravel()
            chance = _chance(_profile(first, n_neighbors), _profile(second, n_neighbors), n)
            room = n_neighbors - chance
            told = room > 1e-9 * n_neighbors
            yield rows, pair, np.where(told, (common - chance) / np.where(told, room, 1), 0.0)


def place_agreement(Z_1: np.ndarray, Z_2: np.ndarray) -> np.ndarray:
    """Return how far the places of rows agree, once one embedding is rotated and scaled onto the other.

    Parameters
    ----------
    Z_1, Z_2 : ndarray of shape (n, n_components_1) and (n, n_components_2)

    Returns
    -------
    ndarray of shape (n,)
        1 less the squared distance between the places over their squared distances from the centre, both meant over
        both ways: 1 where they agree, and below 0 where they are farther apart than that. Weighted by those squared
        distances from the centre, the mean is :func:`skgca.metrics.consistency_score`. 0 if all rows of one are equal.
    """
    first, second = _standard(Z_1), _standard(Z_2)
    if not (first.any() and second.any()):
        return np.zeros(len(first))
    width = max(first.shape[1], second.shape[1])
    first, second = (np.pad(Z, ((0, 0), (0, width - Z.shape[1]))) for Z in (first, second))
    left, singular, right = np.linalg.svd(first.T @ second)
    rotation, scale = left @ right, singular.sum()
    apart = ((scale * first @ rotation - second) ** 2).sum(axis=1)
    apart += ((scale * second @ rotation.T - first) ** 2).sum(axis=1)
    size = (first**2).sum(axis=1) + (second**2).sum(axis=1)
    # at the centre of both, where there is nothing to be apart by
    return 1 - np.divide(apart, size, out=np.zeros(len(size)), where=size > 0)


def votes(embedding: np.ndarray, y: np.ndarray, known: np.ndarray, n_neighbors: int, metric: str) -> np.ndarray:
    """Return the share of each class among the nearest labelled rows of each row, itself not among them.

    Parameters
    ----------
    embedding : ndarray of shape (n, n_components)
    y : ndarray of int of shape (n,)
        Numbers of classes, from 0; read where ``known``.
    known : ndarray of bool of shape (n,)
        Which rows have a label.
    n_neighbors : int
        Below the number of those.
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
    points: np.ndarray, rows: slice, n_neighbors: int, metric: str, among: np.ndarray | None = None
) -> csr_array:
    """Return the weights of neighbours (n_rows, n), of which each row has ``n_neighbors`` in sum."""
    distance, square = _distances(points[rows], points, metric)
    np.put_along_axis(distance, np.arange(len(points))[rows, None], np.inf, axis=1)
    if among is not None:
        distance[:, ~among] = np.inf
    last = np.partition(distance, n_neighbors - 1, axis=1)[:, n_neighbors - 1, None]
    slack = _slack(last, square)
    within, nearer = csr_array(distance <= last + slack), distance < last - slack
    n_nearer = nearer.sum(axis=1)
    share = (n_neighbors - n_nearer) / (np.diff(within.indptr) - n_nearer)
    row = np.repeat(np.arange(len(distance)), np.diff(within.indptr))
    weight = np.where(nearer[row, within.indices], 1.0, share[row])
    return csr_array((weight, within.indices, within.indptr), shape=distance.shape)


def _profile(weights: csr_array, n_neighbors: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each row how many neighbours have the weight 1, how many less, and how much that is."""
    counts = np.diff(weights.indptr)
    whole = np.asarray((weights >= 1).sum(axis=1)).ravel()
    shared = counts - whole
    return whole, shared, (n_neighbors - whole) / np.maximum(shared, 1)


def _chance(first: tuple[np.ndarray, ...], second: tuple[np.ndarray, ...], n: int) -> np.ndarray:
    """Return what two neighbourhoods have in common where one is shuffled: the mean smaller weight of two rows."""
    (whole_1, shared_1, share_1), (whole_2, shared_2, share_2) = first, second
    both = whole_1 * whole_2 + whole_1 * shared_2 * share_2 + shared_1 * whole_2 * share_1
    return (both + shared_1 * shared_2 * np.minimum(share_1, share_2)) / (n - 1)
