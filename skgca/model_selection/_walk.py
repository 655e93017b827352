"""Train along a path on one fold: each training continues from the weights of the previous one."""

from __future__ import annotations

import copy
from numbers import Integral
from typing import Any

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from .._builders.loss import LossOptions, make_criterion
from .._estimator.embedder import GCAEmbedder
from .._utils.compat import fit_and_score
from ._path import Place, Stage, Variant

__all__ = ["walk"]


def walk(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    path: list[Stage],
    warm_epochs: float,
    split_progress: tuple[int, int],
    n_candidates: int,
    **options: Any,
) -> dict[int, dict[str, Any]]:
    """Train along a path on one fold, and score each setting.

    If a training fails, its settings get the error score, and the next training continues from the last successful
    one.

    Parameters
    ----------
    estimator : GCAEmbedder or Pipeline
        It is cloned.
    X, y
        All rows.
    path : list of Stage
    warm_epochs : int or float
        Number of epochs of each training except the first, or its share of the epochs of the first.
    split_progress : tuple of int
        Number of the fold, and number of folds.
    n_candidates : int
        Number of settings in the grid.
    **options
        Further arguments of scikit-learn's ``_fit_and_score``.

    Returns
    -------
    dict
        The result of that function for each setting, by the number of the setting.
    """
    walker = _Walker(estimator, warm_epochs)
    results: dict[int, dict[str, Any]] = {}
    for stage in path:
        for variant in stage.variants:
            model, parameters = walker.next_model(stage, variant)
            progress = {"split_progress": split_progress, "candidate_progress": (variant.number, n_candidates)}
            results[variant.number] = fit_and_score(model, X, y, parameters=parameters, **progress, **options)
            walker.arrive(stage, model)
    return results


class _Walker:
    """State along a path: the embedder that was trained last, and the fitted steps before it."""

    def __init__(self, estimator: Any, warm_epochs: float) -> None:
        self.estimator = estimator
        self.warm_epochs = warm_epochs
        self.place = Place.of(estimator)
        self.embedder: GCAEmbedder | None = None
        self.stage: Stage | None = None  # the stage that the embedder was trained for
        self.before: list[tuple[str, Any]] = []
        self.n_full = 0  # number of epochs of a training from the start
        self.starts_anew = True

    def next_model(self, stage: Stage, variant: Variant) -> tuple[Any, dict[str, Any]]:
        """Return the estimator to fit for a setting, and the parameters that are still to be set on it."""
        if stage is self.stage:  # the embedder is trained already; only the steps after it are fitted
            return self.place.assembled(self.estimator, self.before, _Trained(self.embedder)), variant.later
        continued = None if self.embedder is None else self._continued(self.embedder, stage)
        self.starts_anew = continued is None
        if continued is None:
            return clone(self.estimator), variant.setting
        return self.place.assembled(self.estimator, self.before, continued), {**stage.warm, **variant.later}

    def arrive(self, stage: Stage, model: Any) -> None:
        """Remember the embedder of a fitted model, unless it was not trained."""
        embedder = self.place.embedder(model)
        net = getattr(embedder, "net_", None)
        # After a failed fit, there is no net, or still the net to continue. A reused embedder has that net too.
        if net is None or (self.embedder is not None and net is self.embedder.net_):
            return
        if self.starts_anew:
            self.before, self.n_full = self.place.before(model), net.max_epochs
        self.embedder, self.stage = embedder, stage

    def _continued(self, embedder: GCAEmbedder, stage: Stage) -> GCAEmbedder | None:
        """Return a copy of an embedder that ``fit`` trains further; None if the loss needs another network."""
        share = self.warm_epochs
        n_epochs = share if isinstance(share, Integral) else max(1, round(share * self.n_full))
        warm = {name.removeprefix(self.place.prefix): value for name, value in stage.warm.items()}
        continued = copy.copy(embedder)  # shares the weights, which a fit with warm_start copies before it trains
        continued.set_params(**clone(warm, safe=False), warm_start=True, max_epochs=min(n_epochs, self.n_full))
        try:
            criterion = make_criterion(LossOptions.of(vars(continued)))
        except (TypeError, ValueError):  # the fit will raise the same error, and error_score applies to it
            return continued
        # Only losses that do not repel have a predictor in their network.
        has_predictor = embedder.net_.module_.predictor is not None
        needs_predictor = not criterion.repels
        return continued if has_predictor == needs_predictor else None


class _Trained(FrozenEstimator):
    """An embedder that is trained already. Unlike a ``FrozenEstimator``, it can be fitted without y."""

    def fit(self, X: Any, y: Any = None, **params: Any) -> _Trained:
        """Do nothing."""
        return self

    def set_params(self, **params: Any) -> _Trained:
        """Do nothing, since a trained embedder has no parameters to set."""
        return self
