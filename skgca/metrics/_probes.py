"""What a simple model reads out of a frozen embedding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import check_cv, cross_val_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import type_of_target

from .._utils.compat import Interval, StrOptions, validate_params

Splits = list[tuple[np.ndarray, np.ndarray]]

_COUNT = [Interval(Integral, 1, None, closed="left")]
_PROTOCOL = {
    "cv": ["cv_object"],
    "n_per_class": [*_COUNT, None],
    "n_draws": _COUNT,
    "task": [StrOptions({"auto", "classification", "regression"})],
    "scoring": [str, callable, None],
    "random_state": ["random_state"],
    "return_scores": ["boolean"],
}
_TASKS = {"binary": "classification", "multiclass": "classification", "continuous": "regression"}
_MAX_ITER = 2000  # of the logistic regression


@validate_params(_PROTOCOL, prefer_skip_nested_validation=False)
def linear_probe_score(
    Z: ArrayLike,
    y: ArrayLike,
    *,
    Z_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    cv: Any = 5,
    n_per_class: int | None = None,
    n_draws: int = 5,
    task: str = "auto",
    scoring: str | Callable[..., Any] | None = None,
    random_state: int | np.random.RandomState | None = None,
    return_scores: bool = False,
) -> float | np.ndarray:
    """Score what a linear model reads out of a frozen embedding, on rows that it was not fitted on [1]_.

    A logistic regression for classes, a ridge regression for values, both with scikit-learn's defaults behind a
    ``StandardScaler``, so neither shift nor scale of a column counts.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Embedding to fit on and, without ``Z_test``, to score on by cross-validation.
    y : array-like of shape (n_samples,)
        Classes, or values.
    Z_test, y_test : array-like of shape (n_test, n_components) and (n_test,), default=None
        Rows to score on; then all of ``Z`` is to fit on, and ``cv`` is not used. To see what an embedder learned, give
        rows that it was not fitted on either.
    cv : int, cross-validation generator or iterable, default=5
        Splits of ``Z``, as in :func:`sklearn.model_selection.cross_val_score`. An int does not shuffle.
    n_per_class : int, default=None
        How many labels of each class the model gets, at random out of the rows to fit on; of a class that has fewer,
        all. None gives it all.
    n_draws : int, default=5
        How often they are drawn, for each split. Not used without ``n_per_class``.
    task : {"auto", "classification", "regression"}, default="auto"
        Whether ``y`` holds classes or values. "auto" asks :func:`sklearn.utils.multiclass.type_of_target`, for which
        whole numbers are classes: say "regression" for counts.
    scoring : str or callable, default=None
        As in :func:`sklearn.model_selection.cross_val_score`; None means accuracy or R^2.
    random_state : int, RandomState instance or None, default=None
        Draws the labels of ``n_per_class``. An int draws the same rows each time, so give one where embeddings of the
        same rows are compared. The splits do not depend on it.
    return_scores : bool, default=False
        Whether to return all scores instead of their mean, for a standard deviation.

    Returns
    -------
    score : float or ndarray of shape (n_scores,)
        Mean score; or all, those of the draws of one split in a row.

    Raises
    ------
    ValueError
        If only one of ``Z_test`` and ``y_test`` is given, if shapes do not fit, if ``y`` is neither classes nor values,
        if ``n_per_class`` is given for values, or if a value is out of range or not finite.

    See Also
    --------
    knn_probe_score : The same with nearest neighbours, which see bends that a linear model cannot follow.

    References
    ----------
    .. [1] G. Alain, Y. Bengio, "Understanding intermediate layers using linear classifier probes", ICLR 2017 workshop.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgca.metrics import linear_probe_score
    >>> Z, y = load_iris(return_X_y=True)
    >>> round(linear_probe_score(Z, y), 2)
    0.96
    >>> scores = linear_probe_score(Z, y, n_per_class=3, n_draws=4, random_state=0, return_scores=True)
    >>> scores.shape  # 5 splits of 4 draws
    (20,)
    """
    Z, y, splits, task = _prepare(Z, y, Z_test, y_test, cv=cv, task=task)
    if n_per_class is not None:
        splits = _few_labels(y, splits, task, n_per_class, n_draws, random_state)
    model = LogisticRegression(max_iter=_MAX_ITER) if task == "classification" else Ridge()
    return _score(make_pipeline(StandardScaler(), model), Z, y, splits, scoring, return_scores)


@validate_params(
    {"n_neighbors": _COUNT, "metric": [StrOptions({"cosine", "euclidean"})], **_PROTOCOL},
    prefer_skip_nested_validation=False,
)
def knn_probe_score(
    Z: ArrayLike,
    y: ArrayLike,
    *,
    n_neighbors: int = 5,
    metric: str = "cosine",
    Z_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    cv: Any = 5,
    n_per_class: int | None = None,
    n_draws: int = 5,
    task: str = "auto",
    scoring: str | Callable[..., Any] | None = None,
    random_state: int | np.random.RandomState | None = None,
    return_scores: bool = False,
) -> float | np.ndarray:
    """Score what nearest neighbours read out of a frozen embedding, on rows that are not among them [1]_.

    The class that most of the nearest labelled rows have, or the mean of their values. Rotations and a scale of the
    whole embedding do not count.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Embedding to take neighbours from and, without ``Z_test``, to score on by cross-validation.
    y : array-like of shape (n_samples,)
        Classes, or values.
    n_neighbors : int, default=5
        How many labelled rows vote.
    metric : {"cosine", "euclidean"}, default="cosine"
        What near means. By "cosine" the length of a row does not count, and a row of zeros is as far from all rows as
        orthogonal ones are.
    Z_test, y_test, cv, n_per_class, n_draws, task, scoring, random_state, return_scores
        As in :func:`linear_probe_score`.

    Returns
    -------
    score : float or ndarray of shape (n_scores,)
        Mean score; or all, those of the draws of one split in a row.

    Raises
    ------
    ValueError
        As :func:`linear_probe_score`, and if there are fewer labelled rows than ``n_neighbors``.

    References
    ----------
    .. [1] Z. Wu, Y. Xiong, S. X. Yu, D. Lin, "Unsupervised feature learning via non-parametric instance
       discrimination", CVPR 2018; here without weights for the neighbours.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgca.metrics import knn_probe_score
    >>> Z, y = load_iris(return_X_y=True)
    >>> round(knn_probe_score(Z, y), 2)
    0.98
    >>> round(knn_probe_score(Z[::2], y[::2], Z_test=Z[1::2], y_test=y[1::2], metric="euclidean"), 2)
    0.99
    """
    Z, y, splits, task = _prepare(Z, y, Z_test, y_test, cv=cv, task=task)
    if n_per_class is not None:
        splits = _few_labels(y, splits, task, n_per_class, n_draws, random_state)
    fewest = min(len(train) for train, _ in splits)
    if n_neighbors > fewest:
        raise ValueError(f"n_neighbors={n_neighbors} of only {fewest} labelled rows; give 1 to {fewest}.")
    # Unit rows have the same order by both distances, and by the Euclidean one scikit-learn holds no matrix of pairs.
    scaler = Normalizer() if metric == "cosine" else FunctionTransformer()
    model = KNeighborsClassifier if task == "classification" else KNeighborsRegressor
    return _score(make_pipeline(scaler, model(n_neighbors)), Z, y, splits, scoring, return_scores)


def _prepare(
    Z: ArrayLike, y: ArrayLike, Z_test: ArrayLike | None, y_test: ArrayLike | None, *, cv: Any, task: str
) -> tuple[np.ndarray, np.ndarray, Splits, str]:
    """Return checked rows and labels, those to score on among them, the splits, and the task."""
    Z, y = _checked(Z, y, "Z", "y")
    if task == "auto":
        kind = type_of_target(y, input_name="y")
        if kind not in _TASKS:
            raise ValueError(f"y is {kind!r}; a probe reads a vector of classes or of values ({', '.join(_TASKS)}).")
        task = _TASKS[kind]
    if Z_test is None and y_test is None:
        splitter = check_cv(cv, y, classifier=task == "classification")
        return Z, y, list(splitter.split(Z, y)), task
    if Z_test is None or y_test is None:
        given, missing = ("Z_test", "y_test") if y_test is None else ("y_test", "Z_test")
        raise ValueError(f"{given} is given, but not {missing}; give both, or neither for cross-validation.")
    Z_test, y_test = _checked(Z_test, y_test, "Z_test", "y_test")
    if Z_test.shape[1] != Z.shape[1]:
        raise ValueError(f"Z_test has {Z_test.shape[1]} columns and Z has {Z.shape[1]}; give rows of one embedding.")
    rows = np.arange(len(Z) + len(Z_test))
    return np.concatenate([Z, Z_test]), np.concatenate([y, y_test]), [(rows[: len(Z)], rows[len(Z) :])], task


def _checked(Z: ArrayLike, y: ArrayLike, Z_name: str, y_name: str) -> tuple[np.ndarray, np.ndarray]:
    rows: np.ndarray = check_array(Z, dtype=np.float64, input_name=Z_name)
    labels: np.ndarray = column_or_1d(check_array(y, dtype=None, ensure_2d=False, input_name=y_name))
    check_consistent_length(rows, labels)
    return rows, labels


def _few_labels(
    y: np.ndarray,
    splits: Iterable[tuple[np.ndarray, np.ndarray]],
    task: str,
    n_per_class: int,
    n_draws: int,
    random_state: int | np.random.RandomState | None,
) -> Splits:
    """Replace each split by draws of a few of its rows to fit on, the rows to score on unchanged."""
    if task == "regression":
        raise ValueError(
            f"n_per_class={n_per_class} needs classes, but y holds values; give None, or task='classification'."
        )
    rng = check_random_state(random_state)
    drawn = []
    for train, test in splits:
        train = np.arange(len(y))[train]  # a splitter may give masks
        of_class = [train[y[train] == label] for label in np.unique(y[train])]
        for _ in range(n_draws):
            few = np.concatenate([rng.permutation(members)[:n_per_class] for members in of_class])
            drawn.append((few, test))
    return drawn


def _score(
    model: Any,
    Z: np.ndarray,
    y: np.ndarray,
    splits: Splits,
    scoring: str | Callable[..., Any] | None,
    return_scores: bool,
) -> float | np.ndarray:
    # scikit-learn 1.6 fails with params=None where metadata routing is on
    scores = cross_val_score(model, Z, y, cv=splits, scoring=scoring, params={}, error_score="raise")
    return scores if return_scores else float(scores.mean())
