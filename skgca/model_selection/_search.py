"""GCASearchCV: a grid search along which the encoder is trained on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.utils import get_tags, indexable
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed

from .._utils.compat import Interval, check_method_params, fit_context, insert_error_scores, report_failures
from ._path import make_paths, walk

__all__ = ["GCASearchCV"]

_CONSTRAINTS = {name: value for name, value in GridSearchCV._parameter_constraints.items() if name != "pre_dispatch"}


class GCASearchCV(GridSearchCV):
    """Grid search in which the encoder of a setting goes on from the weights of the setting beside it.

    It takes what :class:`sklearn.model_selection.GridSearchCV` takes and has the attributes that it has, in less time:
    on each fold, the first setting is trained in full, and each next one for ``warm_epochs``, starting from the last.
    The path goes from large to small epsilon, and back and forth through the other parameters. Some parameters change
    more than what is learned; each combination of their values has a path of its own.

    Parameters
    ----------
    estimator : GCAEmbedder or Pipeline
        A pipeline has one embedder among its steps; others must be frozen, by
        :class:`sklearn.frozen.FrozenEstimator`. Steps before it are fitted once a fold and path.
    param_grid : dict or list of dict
        Names of parameters, and the values to try, as for GridSearchCV. The path leads along ``epsilon``,
        ``marginals``, ``loss`` and the options of losses, ``layout`` and ``corruption_rate`` of the embedder.
        Parameters of later steps, such as ``logisticregression__C``, need no training of their own. Any others, such as
        ``n_components`` or ``lr``, are trained in full for each combination of their values.
    scoring : str, callable, list, tuple or dict, default=None
        As for GridSearchCV. None is the estimator's ``score``, which for an embedder needs no labels;
        :data:`skgca.metrics.SCORERS` has others.
    warm_epochs : int or float, default=0.25
        Epochs of each training but the first of a path, or their share of its epochs, in (0, 1]. They are never more
        than those.
    cv : int, cross-validation generator or iterable, default=None
        As for GridSearchCV: None is 5 folds, stratified if the estimator is a classifier.
    refit : bool, str or callable, default=True
        As for GridSearchCV. The best setting is fitted from the start and in full, so ``best_estimator_`` is what it
        would be without a search.
    n_jobs : int, default=None
        Paths that are walked at the same time, of all folds. The result is the same.
    verbose : int, default=0
        From 2 on, each fit is told of.
    error_score : "raise" or float, default=nan
        Score of a setting whose fit fails. The next setting goes on from the last one that was trained.
    return_train_score : bool, default=False
        Whether ``cv_results_`` has scores of training rows.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        As of GridSearchCV, in the order of the grid. Times are those of each setting on the path.
    best_estimator_ : estimator
        Fitted on all rows.
    best_score_ : float
        Mean score of the best setting over the folds, on its path.
    best_params_ : dict
        The best setting.
    best_index_ : int
        Its place in ``cv_results_``.
    scorer_ : callable or dict
        What scored.
    n_splits_ : int
        Folds.
    refit_time_ : float
        Seconds of the last fit.
    multimetric_ : bool
        Whether there is more than one score.
    n_features_in_ : int
        Of ``best_estimator_``.
    feature_names_in_ : ndarray
        Likewise, where X has names of columns.
    classes_ : ndarray
        Likewise, of a classifier.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : Trains each setting in full.

    Notes
    -----
    Each fold has its own path, so that no held-out row is trained on. Settings late on a path have been trained for
    longer in all; ``docs/guide/searching.md`` has measurements of what that does to the choice.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgca import GCAEmbedder
    >>> from skgca.model_selection import GCASearchCV
    >>> embedder = GCAEmbedder(max_epochs=8, random_state=0)
    >>> grid = {"epsilon": [0.2, 0.5], "marginals": ["row", "balanced"]}
    >>> search = GCASearchCV(embedder, grid, cv=3).fit(load_iris().data)
    >>> sorted(search.best_params_)
    ['epsilon', 'marginals']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **_CONSTRAINTS,
        "warm_epochs": [Interval(Integral, 1, None, closed="left"), Interval(Real, 0, 1, closed="right")],
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: dict[str, Iterable] | Sequence[dict[str, Iterable]],
        *,
        scoring: Any = None,
        warm_epochs: float = 0.25,
        cv: Any = None,
        refit: bool | str | Callable = True,
        n_jobs: int | None = None,
        verbose: int = 0,
        error_score: str | float = np.nan,
        return_train_score: bool = False,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.scoring = scoring
        self.warm_epochs = warm_epochs
        self.cv = cv
        self.refit = refit
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.error_score = error_score
        self.return_train_score = return_train_score

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: Any = None, **params: Any) -> GCASearchCV:
        """Try all settings, and fit the best one on all rows.

        Parameters
        ----------
        X : as in the estimator's ``fit``
            Rows.
        y : array-like of shape (n_samples,), default=None
            Labels, for what reads them.
        **params
            What goes to ``fit`` of the estimator, to the scorer and to ``cv``, as for GridSearchCV: ``groups``,
            ``sample_weight`` and the like.

        Returns
        -------
        GCASearchCV
            Fitted.

        Raises
        ------
        TypeError
            If the estimator has no embedder, or one in a pipeline within a pipeline.
        ValueError
            If the estimator has several embedders; if the grid has no settings, a parameter that does not exist, or one
            that replaces the embedder; or if each fit fails.
        """
        candidates = list(ParameterGrid(self.param_grid))
        paths = make_paths(self.estimator, candidates)
        scorers, metric = self._get_scorers()
        X, y = indexable(X, y)
        routed = self._get_routed_params_for_fit(check_method_params(X, params=params))
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits = list(cv.split(X, y, **routed.splitter.split))
        options = {
            "scorer": scorers,
            "fit_params": routed.estimator.fit,
            "score_params": routed.scorer.score,
            "warm_epochs": self.warm_epochs,
            "n_candidates": len(candidates),
            "return_train_score": self.return_train_score,
            "return_n_test_samples": True,
            "return_times": True,
            "error_score": self.error_score,
            "verbose": self.verbose,
        }
        outcomes = self._walk_all(X, y, paths, splits, options)
        self._conclude(candidates, outcomes, len(splits), metric)
        if self.refit:
            self._refit(X, y, routed.estimator.fit)
        self.scorer_ = getattr(scorers, "_scorers", scorers)  # of several, by their names
        return self

    @available_if(lambda self: hasattr(self, "transform"))
    def fit_transform(self, X: ArrayLike, y: Any = None, **params: Any) -> np.ndarray:
        """Fit, and transform the same rows by the best estimator, if that is a transformer.

        Parameters
        ----------
        X, y, **params
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
        """
        return self.fit(X, y, **params).transform(X)

    def __sklearn_tags__(self):
        """Return scikit-learn's tags: those of the estimator, also where GridSearchCV does not pass them on."""
        tags = super().__sklearn_tags__()
        own = get_tags(self.estimator)
        tags.transformer_tags, tags.input_tags, tags.target_tags = own.transformer_tags, own.input_tags, own.target_tags
        return tags

    def _walk_all(self, X: Any, y: Any, paths: list, splits: list, options: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what came of each setting and fold, setting by setting."""
        if not splits:
            raise ValueError(f"cv={self.cv!r} makes no split; at least one is needed.")
        jobs = list(product(paths, enumerate(splits)))
        walked = Parallel(n_jobs=self.n_jobs)(
            delayed(walk)(
                clone(self.estimator),
                X,
                y,
                path=path,
                train=train,
                test=test,
                split_progress=(fold, len(splits)),
                **options,
            )
            for path, (fold, (train, test)) in jobs
        )
        found = {
            (number, fold): outcome
            for (_, (fold, _)), results in zip(jobs, walked, strict=True)
            for number, outcome in results.items()
        }
        return [found[key] for key in sorted(found)]

    def _conclude(self, candidates: list, outcomes: list[dict[str, Any]], n_splits: int, metric: Any) -> None:
        """Set what the search found."""
        report_failures(outcomes, self.error_score)
        if callable(self.scoring):  # what it returns is known only now
            insert_error_scores(outcomes, self.error_score)
        self.multimetric_ = isinstance(outcomes[0]["test_scores"], dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(outcomes[0]["test_scores"])
            metric = self.refit
        results = self._format_results(candidates, n_splits, outcomes)
        self.n_splits_ = n_splits
        self.cv_results_ = results
        if self.refit or not self.multimetric_:
            self.best_index_ = self._select_best_index(self.refit, metric, results)
            if not callable(self.refit):
                self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
            self.best_params_ = results["params"][self.best_index_]

    def _refit(self, X: Any, y: Any, fit_params: dict[str, Any]) -> None:
        """Fit the best setting on all rows, from the start."""
        self.best_estimator_ = clone(self.estimator).set_params(**clone(self.best_params_, safe=False))
        began = time.time()
        self.best_estimator_.fit(X, **({} if y is None else {"y": y}), **fit_params)
        self.refit_time_ = time.time() - began
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_
