"""GCACrossEmbedder: one embedding of two kinds of measurement."""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._data import check_rows
from .._inference.embedding import embed
from .._utils.compat import Interval, fit_context
from .._utils.torch_state import known_settings
from ..metrics import view_retrieval_score
from ..metrics._checks import directions
from .constraints import PARAMETER_CONSTRAINTS
from .cross_fitting import SHARED, as_table, check_pairs, make_sides, naming, train_sides
from .embedder import GCAEmbedder
from .fitting import threads_of, unchanged_on_failure
from .parts import WithParts

__all__ = ["GCACrossEmbedder"]


class GCACrossEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, WithParts):
    """Common embedding of two kinds of measurement of the same rows.
    """

    _parts = ("embedder", "embedder_y")
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "embedder": [None, GCAEmbedder],
        "embedder_y": [None, GCAEmbedder],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        **{name: PARAMETER_CONSTRAINTS[name] for name in (*SHARED, "random_state")},
    }

    def __init__(
        self,
        embedder: GCAEmbedder | None = None,
        embedder_y: GCAEmbedder | None = None,
        *,
        n_components: int = 64,
        loss: str = "gca_ince",
        epsilon: float = 0.2,
        marginals: str | float | tuple[float, float] | None = None,
        q: float | None = None,
        lam: float | None = None,
        rince_weight: float | None = None,
        max_epochs: int | str = "auto",
        batch_size: int = 128,
        lr: float = 2e-3,
        weight_decay: float = 1e-4,
        device: str | torch.device = "auto",
        n_threads: int | str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.embedder = embedder
        self.embedder_y = embedder_y
        self.n_components = n_components
        self.loss = loss
        self.epsilon = epsilon
        self.marginals = marginals
        self.q = q
        self.lam = lam
        self.rince_weight = rince_weight
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.device = device
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose

    def _default(self, name: str) -> GCAEmbedder:
        return GCAEmbedder()

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, Y: ArrayLike, sample_weight: ArrayLike | None = None) -> GCACrossEmbedder:
        """Learn."""
        with unchanged_on_failure(self), known_settings(self.n_threads):
            sides = make_sides(self)
            rows, extras = check_pairs(self, sides, X, Y, sample_weight)
            train_sides(self, sides, rows, extras)
            self._take(sides["embedder"], sides["embedder_y"])
        return self

    def _take(self, embedder: GCAEmbedder, embedder_y: GCAEmbedder) -> None:
        """Set the fitted attributes from the fitted sides."""
        self.embedder_, self.embedder_y_ = embedder, embedder_y
        self._n_features_out = self.n_components
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(embedder, name):
                setattr(self, name, getattr(embedder, name))
            elif hasattr(self, name):
                delattr(self, name)  # of an earlier fit
        for name in ("epsilon_", "history_", "n_epochs_", "stop_reason_"):
            setattr(self, name, getattr(embedder, name))

    def transform(self, X: ArrayLike, Y: ArrayLike | None = None) -> Any:
        """Transform."""
        check_is_fitted(self)
        embedding = self._projected("embedder", X)
        return embedding if Y is None else (embedding, self._projected("embedder_y", as_table(Y)))

    def transform_y(self, Y: ArrayLike) -> np.ndarray:
        """Transform Y."""
        check_is_fitted(self)
        return self._projected("embedder_y", as_table(Y))

    def fit_transform(self, X: ArrayLike, Y: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Fit, and transform."""
        return self.fit(X, Y, sample_weight=sample_weight).transform(X, Y)

    def score(self, X: ArrayLike, Y: ArrayLike) -> float:
        """Score."""
        check_is_fitted(self)
        return float(
            view_retrieval_score(self._projected("embedder", X), self._projected("embedder_y", as_table(Y)), k=1)
        )

    def _projected(self, name: str, data: Any) -> np.ndarray:
        """Project rows of a side into the common space, as directions (n, n_components)."""
        side: GCAEmbedder = getattr(self, f"{name}_")
        with naming(name):
            rows = check_rows(side, data, reset=False)
            with known_settings(side.n_threads), threads_of(side, side.net_, side.reader_):
                projected = embed(side.net_.module_, side.reader_, rows, self._n_features_out, side.net_.device)
        return directions(projected)
