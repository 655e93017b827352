"""What a classifier of few labels fits to an embedding: a given head, or the best of several."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import SelfTrainingClassifier

from .._inference.heads import ForestArrays, SoftVote

__all__ = ["Embedded", "GivenHead", "Heads", "UsualHeads", "usual_head"]

_MOST_FOR_TREES = 10_000  # labelled rows


@dataclass(frozen=True)
class Embedded:
    """Rows as heads get them: embeddings Z (n, d), labels (n,) or (n, k), weights (n,), and others without a label."""

    Z: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    others: np.ndarray  # (m, d)
    is_weighted: bool  # whether weights differ, here or among the rows that these were taken from

    @classmethod
    def of(cls, Z: np.ndarray, y: np.ndarray, weight: np.ndarray, others: np.ndarray) -> Embedded:
        """Return all rows of a fit."""
        return cls(Z, y, weight, others, is_weighted=bool((weight != weight[0]).any()))

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The argument of ``fit`` for the weights, if they differ."""
        return {"sample_weight": self.weight} if self.is_weighted else {}

    def only(self, kept: np.ndarray) -> Embedded:
        """Return some of the labelled rows, by their places, and all others."""
        return replace(self, Z=self.Z[kept], y=self.y[kept], weight=self.weight[kept])


class Heads(Protocol):
    """One or more heads, which are fitted to the same rows."""

    reads_others: bool  # rows without a label
    first: str  # the name of the head to prefer among equals

    def fitted(self, rows: Embedded, name: str | None = None) -> dict[str, Any]:
        """Return the fitted heads by name, :attr:`first` first; or only the one of this name."""


class GivenHead:
    """The head of ``head=``."""

    reads_others = False

    def __init__(self, head: Any) -> None:
        self.head = head
        self.first = type(head).__name__

    def fitted(self, rows: Embedded, name: str | None = None) -> dict[str, Any]:
        """Return the fitted head."""
        return {self.first: clone(self.head).fit(rows.Z, rows.y, **rows.weights)}


def usual_head() -> LogisticRegression:
    """Return the logistic regression that is a part of all heads of ``head=None``."""
    return LogisticRegression(max_iter=1000)


class UsualHeads:
    """The heads of ``head=None``: a logistic regression, and its averages with trees and with one that trains itself.

    Trees see what is not linear in the embedding, or in the inputs beside it. Self-training learns from the rows
    without a label, whose classes it predicts with confidence; it needs equal weights.

    Parameters
    ----------
    seed : int
        Seed of the trees.
    """

    reads_others = True
    first = "linear"
    _parts = (("linear",), ("linear", "trees"), ("linear", "self-trained"), ("linear", "self-trained", "trees"))

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fitted(self, rows: Embedded, name: str | None = None) -> dict[str, Any]:
        """Return the fitted heads: ``linear``, and ``linear + ...``; or only the one of this name."""
        trains_itself = len(rows.others) > 0 and not rows.is_weighted
        wanted = {" + ".join(parts): parts for parts in self._parts if trains_itself or "self-trained" not in parts}
        if name is not None:
            wanted = {name: wanted[name]}
        fit = {"linear": self._linear, "trees": self._trees, "self-trained": self._self_trained}
        fitted = {part: fit[part](rows) for part in dict.fromkeys(part for parts in wanted.values() for part in parts)}
        return {
            name: fitted["linear"] if len(parts) == 1 else SoftVote([fitted[part] for part in parts])
            for name, parts in wanted.items()
        }

    def _linear(self, rows: Embedded) -> LogisticRegression:
        return usual_head().fit(rows.Z, rows.y, **rows.weights)

    def _trees(self, rows: Embedded) -> ForestArrays:
        forest = ExtraTreesClassifier(random_state=self.seed, n_jobs=1)
        some = np.random.RandomState(self.seed).permutation(len(rows.y))[:_MOST_FOR_TREES]
        weights = {name: weight[some] for name, weight in rows.weights.items()}
        return ForestArrays.of(forest.fit(rows.Z[some], rows.y[some], **weights))

    def _self_trained(self, rows: Embedded) -> Any:
        labels = np.concatenate([rows.y, np.full(len(rows.others), -1)])
        model = SelfTrainingClassifier(usual_head()).fit(np.concatenate([rows.Z, rows.others]), labels)
        return model.estimator_
