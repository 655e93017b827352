"""Heads beyond those of scikit-learn: averages of classifiers, and forests as arrays, which files and graphs hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["ForestArrays", "SoftVote"]

_CHUNK = 1024  # rows that go through all trees at a time


class ForestArrays:
    """A fitted forest of classification trees as arrays. It predicts what the forest predicts.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    roots : ndarray of int, of shape (n_trees,)
        Numbers of the nodes at which rows enter.
    feature, left, right : ndarray of int, of shape (n_nodes,)
        Feature that a node compares, and the nodes that follow. A leaf is followed by itself.
    threshold : ndarray of shape (n_nodes,)
        A row goes to the left if its feature, in single precision, is at most that.
    share : ndarray of shape (n_nodes, n_classes)
        Shares of the classes in a node.
    depth : int
        Depth of the deepest tree.
    """

    def __init__(
        self,
        classes: np.ndarray,
        roots: np.ndarray,
        feature: np.ndarray,
        left: np.ndarray,
        right: np.ndarray,
        threshold: np.ndarray,
        share: np.ndarray,
        depth: int,
    ) -> None:
        self.classes_ = classes
        self.roots = roots
        self.feature = feature
        self.left = left
        self.right = right
        self.threshold = threshold
        self.share = share
        self.depth = depth

    def __repr__(self) -> str:
        return f"ForestArrays({len(self.roots)} trees)"

    @classmethod
    def of(cls, forest: Any) -> ForestArrays:
        """Return the arrays of a fitted forest of scikit-learn."""
        trees = [tree.tree_ for tree in forest.estimators_]
        sizes = np.array([tree.node_count for tree in trees])
        roots = sizes.cumsum() - sizes

        def followers(children: str) -> np.ndarray:
            found = []
            for root, tree in zip(roots, trees, strict=True):
                after = getattr(tree, children)
                found.append(root + np.where(after < 0, np.arange(tree.node_count), after))
            return np.concatenate(found)

        counts = np.concatenate([tree.value[:, 0] for tree in trees])
        return cls(
            classes=forest.classes_,
            roots=roots,
            feature=np.concatenate([np.maximum(tree.feature, 0) for tree in trees]),
            left=followers("children_left"),
            right=followers("children_right"),
            threshold=np.concatenate([tree.threshold for tree in trees]),
            share=counts / counts.sum(axis=1, keepdims=True),
            depth=max(tree.max_depth for tree in trees),
        )

    def predict_proba(self, Z: np.ndarray) -> np.ndarray:
        """Return the probabilities of the classes: (n, d) -> (n, n_classes)."""
        rows = np.asarray(Z, dtype=np.float32)
        found = [self._of_chunk(rows[start : start + _CHUNK]) for start in range(0, max(1, len(rows)), _CHUNK)]
        return np.concatenate(found)

    def _of_chunk(self, rows: np.ndarray) -> np.ndarray:
        place = np.broadcast_to(self.roots, (len(rows), len(self.roots)))
        for _ in range(self.depth):
            goes_left = np.take_along_axis(rows, self.feature[place], axis=1) <= self.threshold[place]
            place = np.where(goes_left, self.left[place], self.right[place])
        shares: np.ndarray = self.share[place].mean(axis=1)
        return shares


class SoftVote:
    """Classifier whose probabilities are the means of those of its members, which know the same classes.

    Parameters
    ----------
    members : sequence of classifiers
    """

    def __init__(self, members: Sequence[Any]) -> None:
        self.members = list(members)

    def __repr__(self) -> str:
        return f"SoftVote({self.members})"

    @property
    def classes_(self) -> np.ndarray:
        """Classes, in the order of the probabilities."""
        classes: np.ndarray = self.members[0].classes_
        return classes

    def predict_proba(self, Z: np.ndarray) -> np.ndarray:
        """Return the probabilities of the classes: (n, d) -> (n, n_classes)."""
        mean: np.ndarray = np.mean([member.predict_proba(Z) for member in self.members], axis=0)
        return mean

    def predict(self, Z: np.ndarray) -> np.ndarray:
        """Return the classes of highest probability: (n, d) -> (n,)."""
        predicted: np.ndarray = self.classes_[self.predict_proba(Z).argmax(axis=1)]
        return predicted

    def decision_function(self, Z: np.ndarray) -> np.ndarray:
        """Return the logarithms of the probabilities; of two classes, the log odds of the second: (n,)."""
        logs = np.log(np.maximum(self.predict_proba(Z), np.finfo(float).tiny))
        values: np.ndarray = logs[:, 1] - logs[:, 0] if logs.shape[1] == 2 else logs
        return values
