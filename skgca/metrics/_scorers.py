"""Scorers for scikit-learn's ``scoring=``: a measure of the embedding that an estimator's transform gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_random_state

from .._utils.compat import Interval, StrOptions, validate_params
from ._geometry import alignment_score, effective_rank, uniformity_score
from ._information import view_information_score
from ._neighbors import neighborhood_preservation, view_retrieval_score
from ._probes import knn_probe_score, linear_probe_score

Views = Callable[[Any, np.random.RandomState], Any]


@validate_params(
    {"random_state": ["random_state"], "rate": [Interval(Real, 0, 1, closed="both")]},
    prefer_skip_nested_validation=True,
)
def corrupt_cells(
    X: Any, random_state: int | np.random.RandomState | None = None, *, rate: float = 0.2
) -> np.ndarray | Any:
    """Return a copy of a table in which random cells have the value of a random other row, in the same column.

    The corruption of SCARF [1]_, as :class:`skgca.views.ColumnCorruption` has it, for arrays and dataframes of held-out
    rows: each cell is corrupted with probability ``rate``, and so keeps the distribution of its column. Missing cells
    change places like any others.

    Parameters
    ----------
    X : array-like or pandas DataFrame of shape (n_samples, n_features)
        Table, of any types.
    random_state : int, RandomState instance or None, default=None
        Draws which cells, and whose values.
    rate : float, default=0.2
        Share of cells to corrupt, in [0, 1].

    Returns
    -------
    X : ndarray or pandas DataFrame of shape (n_samples, n_features)
        Corrupted copy; a dataframe for a dataframe, of the same types. A single row has no other, and stays.

    Raises
    ------
    ValueError
        If ``rate`` is out of range, or if ``X`` is not a table.

    References
    ----------
    .. [1] D. Bahri, H. Jiang, Y. Tay, D. Metzler, "SCARF: Self-supervised contrastive learning using random feature
       corruption", ICLR 2022.

    Examples
    --------
    >>> from skgca.metrics import corrupt_cells
    >>> corrupt_cells([[1, 10], [2, 20], [3, 30]], random_state=0, rate=0.5)
    array([[ 1, 10],
           [ 2, 20],
           [ 1, 30]])
    """
    frame = hasattr(X, "isetitem")  # of pandas, which need not be installed
    if not frame:
        X = check_array(X, dtype=None, ensure_all_finite=False, allow_nd=True, input_name="X")
        if X.ndim > 2:
            raise ValueError(
                f"X has shape {X.shape}, but cells are those of a table; noise for images or series is "
                "to be a function of your own, as views= of make_view_scorer takes."
            )
    rng = check_random_state(random_state)
    n = len(X)
    corrupt = rng.random_sample(X.shape) < rate
    if n < 2:
        return X.copy()
    shift = rng.randint(1, n, X.shape)  # so never the row itself
    source = np.arange(n)[:, None] + np.where(corrupt, shift, 0)
    source %= n
    if not frame:
        return np.take_along_axis(X, source, axis=0)
    X = X.copy()
    for column in range(X.shape[1]):
        X.isetitem(column, X.iloc[:, column].array.take(source[:, column]))
    return X


@dataclass(frozen=True, eq=False)
class _Scorer:
    """What the scorers share: the measure, its options, and the estimator's transform."""

    score_func: Callable[..., float | np.ndarray]
    options: dict[str, Any]

    @staticmethod
    def _embed(estimator: Any, X: Any) -> Any:
        if not hasattr(estimator, "transform"):
            raise TypeError(
                f"{type(estimator).__name__} has no transform, and so no embedding to score; "
                "a pipeline must end in a transformer."
            )
        return estimator.transform(X)


@dataclass(frozen=True, eq=False)
class _EmbeddingScorer(_Scorer):
    inputs: str

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        if y is None and "y" in self.inputs:
            raise ValueError(f"{self.score_func.__name__} reads labels; give y to the search or cross-validation.")
        given = {"X": X, "y": y, "Z": self._embed(estimator, X)}
        return float(self.score_func(*(given[name] for name in self.inputs), **self.options))


@dataclass(frozen=True, eq=False)
class _ViewScorer(_Scorer):
    views: Views
    random_state: int

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        rng = check_random_state(self.random_state)
        Z_a, Z_b = (self._embed(estimator, self.views(X, rng)) for _ in range(2))
        return float(self.score_func(Z_a, Z_b, **self.options))


@validate_params(
    {"score_func": [callable], "inputs": [StrOptions({"Z", "Zy", "XZ"})]}, prefer_skip_nested_validation=True
)
def make_embedding_scorer(
    score_func: Callable[..., float | np.ndarray], *, inputs: str = "Z", **options: Any
) -> Callable[..., float]:
    """Make a scorer of a measure of an embedding, as :func:`sklearn.metrics.make_scorer` does of predictions.

    The scorer is called with a fitted estimator and held-out rows, and scores what ``estimator.transform`` makes of
    them: of :class:`skgca.GCAEmbedder`, of any other transformer, or of a pipeline that ends in one.

    Parameters
    ----------
    score_func : callable
        Measure of which more is better, of this module or of others.
    inputs : {"Z", "Zy", "XZ"}, default="Z"
        What it takes, in this order: the embedding Z, the labels y, the rows X as they are given to the estimator.
    **options
        Its other arguments.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)``, a float; for ``scoring=`` of GridSearchCV, cross_validate and the like. It
        can be pickled if ``score_func`` can.

    Raises
    ------
    ValueError
        If ``inputs`` is not one of these. Called, if labels are missing, and what ``score_func`` raises.
    TypeError
        If ``score_func`` has no such argument. Called, if the estimator has no transform.

    See Also
    --------
    make_view_scorer : The same for measures of two views.

    Notes
    -----
    In a search, compare candidates by what does not grow with a mere setting: :func:`effective_rank` does with
    ``n_components``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.manifold import trustworthiness
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skgca.metrics import make_embedding_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> scorer = make_embedding_scorer(trustworthiness, inputs="XZ", n_neighbors=3)
    >>> GridSearchCV(PCA(), {"n_components": [1, 3]}, scoring=scorer).fit(X).best_params_
    {'n_components': 3}
    """
    inspect.signature(score_func).bind(*inputs, **options)  # a wrong name is told before anything is trained
    return _EmbeddingScorer(score_func, options, inputs)


@validate_params(
    {
        "score_func": [callable],
        "views": [callable],
        "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both")],
    },
    prefer_skip_nested_validation=True,
)
def make_view_scorer(
    score_func: Callable[..., float] = view_retrieval_score,
    *,
    views: Views = corrupt_cells,
    random_state: int = 0,
    **options: Any,
) -> Callable[..., float]:
    """Make a scorer of a measure of two views, for any transformer.

    The scorer makes two noisy copies of the held-out rows and scores what ``estimator.transform`` makes of both, such
    as whether each row still finds its other copy.

    Parameters
    ----------
    score_func : callable, default=view_retrieval_score
        Measure of ``(Z_a, Z_b)`` of which more is better, such as :func:`alignment_score`.
    views : callable, default=corrupt_cells
        ``views(X, random_state)``, with X the rows as they are given to the estimator and a RandomState, gives a noisy
        copy of X. It is called twice. For another rate, ``functools.partial(corrupt_cells, rate=0.6)``; for images or
        series, a function of your own.
    random_state : int, default=0
        Draws the views, the same ones at each call, so that candidates are told apart by their embedding alone.
    **options
        Other arguments of ``score_func``.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)``, a float; for ``scoring=`` of GridSearchCV, cross_validate and the like. It
        can be pickled if ``score_func`` and ``views`` can.

    Raises
    ------
    ValueError
        If ``random_state`` is not an int of the range that numpy takes. Called, what ``views`` and ``score_func``
        raise.
    TypeError
        If ``score_func`` has no such argument. Called, if the estimator has no transform.

    Notes
    -----
    The views are a choice: an embedding scores well that ignores what they change and keeps what they leave. The copies
    have much in common as such, so raw features may find each other with ease; choose a rate at which they do not.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import cross_val_score
    >>> from skgca.metrics import make_view_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> scorer = make_view_scorer(k=3, metric="euclidean")
    >>> bool(cross_val_score(PCA(), X, scoring=scorer).mean() > 3 / 30)  # chance among 30 held-out rows
    True
    """
    inspect.signature(score_func).bind("Z_a", "Z_b", **options)
    return _ViewScorer(score_func, options, views, random_state)


#: Scorers with default options, by name; those of the probes read y.
SCORERS: dict[str, Callable[..., float]] = {
    "alignment": make_view_scorer(alignment_score),
    "effective_rank": make_embedding_scorer(effective_rank),
    "knn_probe": make_embedding_scorer(knn_probe_score, inputs="Zy"),
    "linear_probe": make_embedding_scorer(linear_probe_score, inputs="Zy"),
    "neighborhood_preservation": make_embedding_scorer(neighborhood_preservation, inputs="XZ"),
    "uniformity": make_embedding_scorer(uniformity_score),
    "view_information": make_view_scorer(view_information_score),
    "view_retrieval": make_view_scorer(view_retrieval_score),
}
