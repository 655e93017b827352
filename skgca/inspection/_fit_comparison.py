"""Compare the embeddings of several fits: the measures of the stability report, by row and by pair of fits."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from ..metrics import consistency_score
from ._agreement import neighbor_overlap, place_agreement, votes
from ._groups import Groups

__all__ = ["compare_fits", "label_votes"]


def compare_fits(
    embeddings: list[np.ndarray], trained_on: np.ndarray, n_neighbors: int, metric: str
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Compare all pairs of fits.

    Parameters
    ----------
    embeddings : list of ndarray of shape (n, n_components)
        The embedding of all rows by each fit.
    trained_on : ndarray of bool of shape (n_fits, n)
        Which rows each fit was trained on.
    n_neighbors : int
        Size of the neighbourhoods.
    metric : {"cosine", "euclidean"}

    Returns
    -------
    rows : dict of ndarray of shape (n,)
        Measures of each row, averaged over pairs of fits: columns of ``StabilityReport.rows``.
    pairs : list of dict
        Measures of each pair of fits, averaged over rows: lines of ``StabilityReport.pairs``.
    """
    n = len(embeddings[0])
    pairs = list(combinations(range(len(embeddings)), 2))
    overlap_of_pair = dict.fromkeys(pairs, 0.0)
    # Line 0 adds up the pairs in which both fits were trained on the row, line 1 the pairs in which one or both were
    # not.
    sums, counts = np.zeros((2, n)), np.zeros((2, n))
    for rows, pair, overlap in neighbor_overlap(embeddings, n_neighbors, metric):
        overlap_of_pair[pair] += float(overlap.sum())
        is_held_out = (~trained_on[list(pair), rows].all(axis=0)).astype(int)
        position = np.arange(n)[rows]
        sums[is_held_out, position] += overlap
        counts[is_held_out, position] += 1
    by_kind = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    position_r2 = np.mean([place_agreement(embeddings[a], embeddings[b]) for a, b in pairs], axis=0)
    measures = {
        # 1 - position_r2 is a squared distance relative to that from the centre: its root is the relative distance.
        "confidence": 1 - np.sqrt(np.clip(1 - position_r2, 0, 1)),
        "neighbor_overlap": sums.sum(axis=0) / len(pairs),
        "position_r2": position_r2,
        "neighbor_overlap_seen": by_kind[0],
        "neighbor_overlap_held_out": by_kind[1],
    }
    of_pairs = [
        {
            "fit_1": a,
            "fit_2": b,
            "consistency": consistency_score(embeddings[a], embeddings[b]),
            "neighbor_overlap": overlap_of_pair[a, b] / n,
        }
        for a, b in pairs
    ]
    return measures, of_pairs


def label_votes(embeddings: list[np.ndarray], groups: Groups, n_neighbors: int, metric: str) -> dict[str, np.ndarray]:
    """Let the nearest labelled rows of each row vote on its class, in each fit.

    Parameters
    ----------
    embeddings, n_neighbors, metric
        As in :func:`compare_fits`.
    groups : Groups
        Classes of the rows.

    Returns
    -------
    dict of ndarray of shape (n,)
        "label", "label_confidence" and "label_agreement": columns of ``StabilityReport.rows``.
    """
    known = groups.codes >= 0
    n_known = int(known.sum())
    # No more voters than a class has labels on average: with more, rows of other classes outvote a class everywhere.
    n_voters = min(n_neighbors, max(1, n_known // len(groups.names)), n_known - 1)
    shares = np.array([votes(Z, groups.codes, known, n_voters, metric) for Z in embeddings])  # (n_fits, n, n_classes)
    mean = shares.mean(axis=0)
    winner = mean.argmax(axis=1)
    share_of_winner = np.take_along_axis(shares, winner[None, :, None], axis=2)[..., 0]  # (n_fits, n)
    wins = share_of_winner >= shares.max(axis=2) - 1e-9  # a tie up to rounding counts as a win
    return {
        "label": np.array(groups.names)[winner],
        "label_confidence": np.take_along_axis(mean, winner[:, None], axis=1)[:, 0],
        "label_agreement": wins.mean(axis=0),
    }
