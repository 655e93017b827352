"""What a classifier of few labels fits to an embedding: a given head, or the best of several."""

from __future__ import annotations

from dataclasses import dataclass
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

    @property
    def is_weighted(self) -> bool:
        """Whether the weights differ."""
        return bool((self.weight != self.weight[0]).any())

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The argument of ``fit`` for the weights, if they differ."""
        return {"sample_weight": self.weight} if self.is_weighted else {}


class Heads(Protocol):
    """One or more heads, which are fitted to the same rows."""

    reads_others: bool  # rows without a label

    def fitted(self, rows: Embedded) -> dict[str, Any]:
        """Return the fitted heads by name, the one to prefer among equals first."""


class GivenHead:
    """The head of ``head=``."""

    reads_others = False

    def __init__(self, head: Any) -> None:
        self.head = head

    def fitted(self, rows: Embedded) -> dict[str, Any]:
        """Return the fitted head."""
        return {type(self.head).__name__: clone(self.head).fit(rows.Z, rows.y, **rows.weights)}


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

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fitted(self, rows: Embedded) -> dict[str, Any]:
        """Return the fitted heads: ``linear``, and ``linear + ...``."""
        linear = usual_head().fit(rows.Z, rows.y, **rows.weights)
        trees = self._trees(rows)
        heads = {"linear": linear, "linear + trees": SoftVote([linear, trees])}
        if len(rows.others) and not rows.is_weighted:
            itself = self._self_trained(rows)
            heads["linear + self-trained"] = SoftVote([linear, itself])
            heads["linear + self-trained + trees"] = SoftVote([linear, itself, trees])
        return heads

    def _trees(self, rows: Embedded) -> ForestArrays:
        forest = ExtraTreesClassifier(random_state=self.seed, n_jobs=1)
        some = np.random.RandomState(self.seed).permutation(len(rows.y))[:_MOST_FOR_TREES]
        weights = {name: weight[some] for name, weight in rows.weights.items()}
        return ForestArrays.of(forest.fit(rows.Z[some], rows.y[some], **weights))

    def _self_trained(self, rows: Embedded) -> Any:
        labels = np.concatenate([rows.y, np.full(len(rows.others), -1)])
        model = SelfTrainingClassifier(usual_head()).fit(np.concatenate([rows.Z, rows.others]), labels)
        return model.estimator_
