"""Probes: how well a simple model predicts labels from a frozen embedding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import PredefinedSplit, check_cv, cross_val_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import type_of_target

from .._utils.classes import check_minus_one, marked_minus_one, without_objects
from .._utils.compat import Interval, StrOptions, validate_params
from ._checks import checked_rows, known_labels

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
_MAX_ITER = 2000  # of the logistic regression, which does not always converge in its default of 100


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
    """Score how well a linear model predicts ``y`` from a frozen embedding, on rows that it was not fitted on [1]_.

    Use it to compare embeddings by labels, if a linear model will read them. If the embedding is for neighbours, use
    :func:`knn_probe_score`; without labels, use :func:`view_information_score`.

    The model is a logistic regression for classes (up to 2000 iterations) and a ridge regression for values, otherwise
    with scikit-learn's defaults. A ``StandardScaler`` comes first, so shift and scale of a column do not count.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Embedding on which the model is fitted. Without ``Z_test`` it is scored on ``Z`` as well, by cross-validation.
    y : array-like of shape (n_samples,)
        Classes, or values. Rows of None or NaN have no label and are left out, as are rows of -1 among classes.
    Z_test, y_test : array-like of shape (n_test, n_components) and (n_test,), default=None
        Rows to score on. The model is then fitted on all of ``Z``, and ``cv`` is not used. Rows without a label are
        left out of both. To judge an embedder, give rows that it was not fitted on either.
    cv : int, cross-validation generator or iterable, default=5
        Splits of the labelled rows of ``Z``, as in :func:`sklearn.model_selection.cross_val_score`. An int does not
        shuffle. Row numbers in an iterable are those of all rows.
    n_per_class : int, default=None
        Number of labelled rows of each class that the model is fitted on, drawn at random from the rows of the split. A
        class with fewer rows gives all of them. None fits the model on all rows.
    n_draws : int, default=5
        Number of draws for each split. Only used with ``n_per_class``.
    task : {"auto", "classification", "regression"}, default="auto"
        Whether ``y`` holds classes or values. "auto" uses :func:`sklearn.utils.multiclass.type_of_target`, which takes
        whole numbers for classes: give "regression" for counts, among which -1 is a value.
    scoring : str or callable, default=None
        As in :func:`sklearn.model_selection.cross_val_score`; None means accuracy or R^2.
    random_state : int, RandomState instance or None, default=None
        Draws the rows of ``n_per_class``. An int draws the same rows at each call: give one to compare embeddings of
        the same rows. The splits do not depend on it.
    return_scores : bool, default=False
        Whether to return all scores instead of their mean, such as for a standard deviation.

    Returns
    -------
    score : float or ndarray of shape (n_scores,)
        Mean score. With ``return_scores=True`` all scores; those of the draws of one split follow each other.

    Raises
    ------
    ValueError
        If only one of ``Z_test`` and ``y_test`` is given, if shapes do not agree, if ``y`` holds neither classes nor
        values, or no label, if -1 looks like a class (the other labels are of one class, or negative too), if
        ``n_per_class`` is given for values, or if a value is out of range or infinite.

    See Also
    --------
    knn_probe_score : The same with nearest neighbours, which also follow curved boundaries.

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
    >>> scores = linear_probe_score(
    ...     Z, y, n_per_class=3, n_draws=4, random_state=0, return_scores=True
    ... )
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
    """Score how well nearest neighbours predict ``y`` from a frozen embedding, on rows that are not among them [1]_.

    Use it if the embedding is for neighbours, such as retrieval or a clustering. If a linear model will read it, use
    :func:`linear_probe_score`.

    The prediction is the most frequent class of the nearest labelled rows, or the mean of their values. Rotations and a
    scale of the whole embedding do not count.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Embedding of the labelled rows. Without ``Z_test`` the score is computed on ``Z`` as well, by cross-validation.
    y : array-like of shape (n_samples,)
        As in :func:`linear_probe_score`.
    n_neighbors : int, default=5
        Number of labelled rows that vote.
    metric : {"cosine", "euclidean"}, default="cosine"
        Distance. With "cosine", the length of a row does not count, and a row of zeros is as far from every row as an
        orthogonal row.
    Z_test, y_test, cv, n_per_class, n_draws, task, scoring, random_state, return_scores
        As in :func:`linear_probe_score`.

    Returns
    -------
    score : float or ndarray of shape (n_scores,)
        As in :func:`linear_probe_score`.

    Raises
    ------
    ValueError
        As in :func:`linear_probe_score`, and if there are fewer labelled rows than ``n_neighbors``.

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
    >>> test = {"Z_test": Z[1::2], "y_test": y[1::2]}
    >>> round(knn_probe_score(Z[::2], y[::2], **test, metric="euclidean"), 2)
    0.99
    """
    Z, y, splits, task = _prepare(Z, y, Z_test, y_test, cv=cv, task=task)
    if n_per_class is not None:
        splits = _few_labels(y, splits, task, n_per_class, n_draws, random_state)
    fewest = min(len(train) for train, _ in splits)
    if n_neighbors > fewest:
        raise ValueError(f"n_neighbors={n_neighbors} of only {fewest} labelled rows; give 1 to {fewest}.")
    # Between unit rows, both distances have the same order. With the Euclidean, scikit-learn forms no matrix of pairs.
    scaler = Normalizer() if metric == "cosine" else FunctionTransformer()
    model = KNeighborsClassifier if task == "classification" else KNeighborsRegressor
    return _score(make_pipeline(scaler, model(n_neighbors)), Z, y, splits, scoring, return_scores)


def _prepare(
    Z: ArrayLike, y: ArrayLike, Z_test: ArrayLike | None, y_test: ArrayLike | None, *, cv: Any, task: str
) -> tuple[np.ndarray, np.ndarray, Splits, str]:
    """Return checked rows that have a label, and their labels (test rows last), the splits, and the task."""
    Z, y = _checked(Z, y, "Z", "y")
    known = known_labels(y, "y", task)
    if task == "auto":
        kind = type_of_target(without_objects(y[known]), input_name="y")
        if kind not in _TASKS:
            raise ValueError(f"y is {kind!r}; give a vector of classes or of values ({', '.join(_TASKS)}).")
        task = _TASKS[kind]
    if task == "classification":
        _check_classes(y, known)
    if Z_test is None and y_test is None:
        splits = _splits(Z, y, known, cv, task)
        return Z[known], without_objects(y[known]), splits, task
    if Z_test is None or y_test is None:
        given, missing = ("Z_test", "y_test") if y_test is None else ("y_test", "Z_test")
        raise ValueError(f"{given} is given, but not {missing}; give both, or neither for cross-validation.")
    Z_test, y_test = _checked(Z_test, y_test, "Z_test", "y_test")
    if Z_test.shape[1] != Z.shape[1]:
        raise ValueError(f"Z_test has {Z_test.shape[1]} columns and Z has {Z.shape[1]}; give rows of one embedding.")
    known_test = known_labels(y_test, "y_test", task)
    # One split of both parts together, so that the rest of a probe is the same as in cross-validation.
    rows, n_train = np.arange(known.sum() + known_test.sum()), known.sum()
    y = without_objects(np.concatenate([y[known], y_test[known_test]]))
    return np.concatenate([Z[known], Z_test[known_test]]), y, [(rows[:n_train], rows[n_train:])], task


def _checked(Z: ArrayLike, y: ArrayLike, Z_name: str, y_name: str) -> tuple[np.ndarray, np.ndarray]:
    Z = checked_rows(Z, Z_name)
    checked = check_array(y, dtype=None, ensure_2d=False, ensure_all_finite="allow-nan", input_name=y_name)
    labels: np.ndarray = column_or_1d(checked)
    check_consistent_length(Z, labels)
    return Z, labels


def _check_classes(y: np.ndarray, known: np.ndarray) -> None:
    """Raise ValueError if -1, which marks rows without a label, looks like a class."""
    classes = np.unique(y[known]).tolist()
    check_minus_one("y", y, classes)
    if len(classes) == 1 and marked_minus_one(y).any():
        raise ValueError(
            f"y holds one class only, {classes[0]!r}; -1 marks rows without a label. Encode classes from 0 "
            "(sklearn.preprocessing.LabelEncoder), or label rows of a second class."
        )


def _splits(Z: np.ndarray, y: np.ndarray, known: np.ndarray, cv: Any, task: str) -> Splits:
    """Return splits of the labelled rows, in which these rows are numbered from 0.

    Splits that are given as row numbers, as in a list, mean the rows of Z, and lose those without a label.
    """
    classifier = task == "classification"
    labels = without_objects(y[known])
    has_numbers = isinstance(cv, PredefinedSplit) or not (isinstance(cv, Integral | None) or hasattr(cv, "split"))
    if known.all() or not has_numbers:
        return list(check_cv(cv, labels, classifier=classifier).split(Z[known], labels))
    splits: Splits = []
    number = np.cumsum(known) - 1  # of each labelled row among the labelled rows
    for split in check_cv(cv, labels, classifier=classifier).split(Z, y):
        # a splitter may give masks instead of row numbers
        train, test = (number[rows[known[rows]]] for rows in (np.arange(len(y))[part] for part in split))
        if not (len(train) and len(test)):
            part = "test" if len(train) else "training"
            raise ValueError(f"Split {len(splits)} of cv has no labelled row among its {part} rows; give other splits.")
        splits.append((train, test))
    return splits


def _few_labels(
    y: np.ndarray,
    splits: Iterable[tuple[np.ndarray, np.ndarray]],
    task: str,
    n_per_class: int,
    n_draws: int,
    random_state: int | np.random.RandomState | None,
) -> Splits:
    """Replace each split by ``n_draws`` splits that fit on a few rows of each class. Test rows stay the same."""
    if task == "regression":
        raise ValueError(
            f"n_per_class={n_per_class} needs classes, but y holds values; give None, or task='classification'."
        )
    rng = check_random_state(random_state)
    drawn = []
    for train, test in splits:
        train = np.arange(len(y))[train]  # a splitter may give masks instead of row numbers
        rows_by_class = [train[y[train] == label] for label in np.unique(y[train])]
        for _ in range(n_draws):
            few = np.concatenate([rng.permutation(rows)[:n_per_class] for rows in rows_by_class])
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
    # params={}: scikit-learn 1.6 fails with params=None if metadata routing is on
    scores = cross_val_score(model, Z, y, cv=splits, scoring=scoring, params={}, error_score="raise")
    return scores if return_scores else float(scores.mean())
