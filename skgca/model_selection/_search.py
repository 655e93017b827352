"""A grid search in which the training of a setting continues from the weights of a similar setting.

The search itself is scikit-learn's ``GridSearchCV``. Only the fits differ: ``_path.py`` puts the settings into an
order, and ``_walk.py`` trains along it on each fold.
"""

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
from sklearn.utils import Tags, get_tags, indexable
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed

from .._utils.compat import (
    DocumentationLinkMixin,
    Interval,
    check_method_params,
    fit_context,
    insert_error_scores,
    report_failures,
)
from ._path import Stage, make_paths
from ._walk import walk

__all__ = ["GCASearchCV"]

# Parameters are checked as in GridSearchCV, except pre_dispatch, which is no parameter here.
_CONSTRAINTS = {name: value for name, value in GridSearchCV._parameter_constraints.items() if name != "pre_dispatch"}


class GCASearchCV(DocumentationLinkMixin, GridSearchCV):
    """Grid search in which the training of a setting continues from the weights of a similar setting.

    Use it to search over ``epsilon``, ``marginals`` and other parameters of a loss in less time. For other parameters,
    :class:`sklearn.model_selection.GridSearchCV` takes the same time and any estimator.

    It has the parameters and attributes of :class:`sklearn.model_selection.GridSearchCV`, and takes less time. The
    settings of the grid form a path. On each fold, the first setting is trained in full, and each further one for
    ``warm_epochs``, from the weights of the previous one. The path goes from large to small epsilon, and back and forth
    through the other parameters. Parameters that change the network or the course of a training, such as
    ``n_components`` or ``lr``, cannot change along a path: each combination of their values has a path of its own.

    Parameters
    ----------
    estimator : GCAEmbedder or Pipeline
        A pipeline has one embedder among its steps; further ones must be in a :class:`sklearn.frozen.FrozenEstimator`.
        Steps before the embedder are fitted once for each fold and path.
    param_grid : dict or list of dict
        Names of parameters and the values to try, as for GridSearchCV. The parameters ``epsilon``, ``marginals``,
        ``loss`` and the options of losses, ``layout`` and ``corruption_rate`` of the embedder change along a path.
        Parameters of later steps, such as ``logisticregression__C``, need no further training of the embedder. All
        other parameters need a path, and so a full training, for each combination of their values.
    scoring : str, callable, list, tuple or dict, default=None
        As for GridSearchCV. None uses the ``score`` of the estimator, which needs no labels for an embedder;
        :data:`skgca.metrics.SCORERS` has other scores.
    warm_epochs : int or float, default=0.25
        Number of epochs of each training on a path except the first. A float in (0, 1] is a share of the epochs of the
        first. No training has more epochs than the first.
    cv : int, cross-validation generator or iterable, default=None
        As for GridSearchCV: None makes 5 folds, stratified if the estimator is a classifier.
    refit : bool, str or callable, default=True
        As for GridSearchCV. The best setting is trained from the start and in full, so ``best_estimator_`` is the same
        as without a search.
    n_jobs : int, default=None
        Number of paths, over all folds, that are trained at the same time. The result does not depend on it.
    verbose : int, default=0
        With 2 or more, a line is printed for each fit.
    error_score : "raise" or float, default=nan
        Score of a setting whose fit fails. The next setting continues from the last one that was trained.
    return_train_score : bool, default=False
        Whether ``cv_results_`` has the scores of the training rows too.

    Attributes
    ----------
    cv_results_ : dict of ndarray
        As for GridSearchCV, in the order of the grid. Times are those of the shortened trainings on the path.
    best_estimator_ : estimator
        The best setting, fitted on all rows.
    best_score_ : float
        Mean score over the folds of the best setting, as trained on its path.
    best_params_ : dict
        The best setting.
    best_index_ : int
        Position of the best setting in ``cv_results_``.
    scorer_ : callable or dict
        The scorer, or all scorers by name.
    n_splits_ : int
        Number of folds.
    refit_time_ : float
        Time of the fit on all rows, in seconds.
    multimetric_ : bool
        Whether there is more than one score.
    n_features_in_ : int
        Number of features of ``best_estimator_``.
    feature_names_in_ : ndarray
        Names of these features, if X has column names.
    classes_ : ndarray
        Classes of ``best_estimator_``, if it is a classifier.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : Trains each setting in full.

    Notes
    -----
    Each fold has its own paths, so that no held-out row is trained on. The weights of settings late on a path have been
    trained for more epochs in total. ``docs/guide/searching.md`` measures how that affects the choice.

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
        param_grid: dict[str, Iterable[Any]] | Sequence[dict[str, Iterable[Any]]],
        *,
        scoring: Any = None,
        warm_epochs: float = 0.25,
        cv: Any = None,
        refit: bool | str | Callable[..., Any] = True,
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
            Labels, for an estimator, scorer or splitter that reads them.
        **params
            Metadata for ``fit`` of the estimator, for the scorer and for ``cv``, such as ``groups`` or
            ``sample_weight``; routed as in GridSearchCV.

        Returns
        -------
        GCASearchCV
            Fitted.

        Raises
        ------
        TypeError
            If the estimator has no embedder, or one in a pipeline within a pipeline.
        ValueError
            If the estimator has several embedders; if the grid has no settings, has a parameter that does not exist, or
            replaces the embedder; or if all fits fail.
        """
        candidates = list(ParameterGrid(self.param_grid))
        paths = make_paths(self.estimator, candidates)  # first, since it refuses wrong grids
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
        self.scorer_ = getattr(scorers, "_scorers", scorers)  # one object holds several scorers by name
        return self

    @available_if(lambda self: hasattr(self, "transform"))  # type: ignore[untyped-decorator]  # of scikit-learn
    def fit_transform(self, X: ArrayLike, y: Any = None, **params: Any) -> np.ndarray:
        """Fit, and transform the same rows by the best estimator; only if it is a transformer.

        Parameters
        ----------
        X, y, **params
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
        """
        embedding: np.ndarray = self.fit(X, y, **params).transform(X)
        return embedding

    def __sklearn_tags__(self) -> Tags:
        """Return scikit-learn's tags, also those of the estimator that GridSearchCV does not pass on."""
        tags = super().__sklearn_tags__()
        own = get_tags(self.estimator)
        tags.transformer_tags, tags.input_tags, tags.target_tags = own.transformer_tags, own.input_tags, own.target_tags
        return tags

    def _walk_all(
        self,
        X: Any,
        y: Any,
        paths: list[list[Stage]],
        splits: list[tuple[np.ndarray, np.ndarray]],
        options: dict[str, Any],
    ) -> list[dict[str, Any]]:
        """Train all paths on all folds; return the outcome of each setting and fold, setting by setting."""
        if not splits:
            raise ValueError(f"cv={self.cv!r} makes no split, and at least one is needed; use cv=5.")
        jobs = list(product(paths, enumerate(splits)))
        walked = Parallel(n_jobs=self.n_jobs)(
            delayed(walk)(
                clone(self.estimator),  # each job has its own, as in GridSearchCV
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
        outcomes = {
            (number, fold): outcome
            for (_, (fold, _)), results in zip(jobs, walked, strict=True)
            for number, outcome in results.items()
        }
        return [outcomes[key] for key in sorted(outcomes)]  # the order that _format_results expects

    def _conclude(
        self, candidates: list[dict[str, Any]], outcomes: list[dict[str, Any]], n_splits: int, metric: Any
    ) -> None:
        """Set the fitted attributes, except those of the fit on all rows; in the order of ``BaseSearchCV.fit``."""
        report_failures(outcomes, self.error_score)
        if callable(self.scoring):  # whether it returns one score or several is known only now
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
        """Train the best setting on all rows, from the start."""
        self.best_estimator_ = clone(self.estimator).set_params(**clone(self.best_params_, safe=False))
        start = time.time()
        self.best_estimator_.fit(X, **({} if y is None else {"y": y}), **fit_params)
        self.refit_time_ = time.time() - start
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_
