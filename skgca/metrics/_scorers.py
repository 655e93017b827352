"""Scorers for scikit-learn's ``scoring=``: measures of the embedding that ``transform`` of an estimator returns."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_random_state

from .._utils.classes import without_objects
from .._utils.compat import Interval, StrOptions, safe_indexing, validate_params
from ._checks import check_equal_shapes, check_in_memory, known_labels
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
    """Return a copy of a table with random cells replaced by the value of a random other row in the same column.

    Use it to make noisy copies of a table for :func:`make_view_scorer` or a test of your own. In a torch loop, use
    :class:`skgca.views.ColumnCorruption`.

    This is the corruption of SCARF [1]_, as in :class:`skgca.views.ColumnCorruption`, for arrays and data frames of
    held-out rows. Each cell is replaced with probability ``rate``. The distribution of each column stays the same,
    missing values included.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_features)
        Table with columns of any type. Data frames are those of pandas and polars, and tables of pyarrow.
    random_state : int, RandomState instance or None, default=None
        Draws the cells, and the rows that their new values come from.
    rate : float, default=0.2
        Share of cells to replace, in [0, 1].

    Returns
    -------
    X : ndarray or data frame of shape (n_samples, n_features)
        Corrupted copy. For a data frame, one with the same columns and column types. A single row is not changed.

    Raises
    ------
    TypeError
        If ``X`` is a path or a lazy frame.
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
    take = next((take for mark, take in _FRAMES.items() if hasattr(X, mark)), None)
    if take is None:
        check_in_memory(X, "corrupt_cells")
        check_equal_shapes(X, "corrupt_cells")
        X = check_array(X, dtype=None, ensure_all_finite=False, allow_nd=True, input_name="X")
        if X.ndim > 2:
            raise ValueError(
                f"X has shape {X.shape}, but corrupt_cells takes a table; for images or series, give a function of "
                "your own to views= of make_view_scorer."
            )
    rng = check_random_state(random_state)
    n = len(X)
    corrupt = rng.random_sample(X.shape) < rate
    # At least 1 row on, so never the row itself. A single row has no other.
    shift = rng.randint(1, n, X.shape) if n > 1 else 0
    source = np.arange(n)[:, None] + np.where(corrupt, shift, 0)  # (n, columns): row that each value comes from
    source %= max(n, 1)
    return np.take_along_axis(X, source, axis=0) if take is None else take(X, source)


def _take_pandas(X: Any, source: np.ndarray) -> Any:
    X = X.copy()
    for column in range(X.shape[1]):
        # By position, because names may repeat. `take` of the extension array keeps the column type.
        X.isetitem(column, X.iloc[:, column].array.take(source[:, column]))
    return X


def _take_polars(X: Any, source: np.ndarray) -> Any:
    return type(X)([series[rows] for series, rows in zip(X.get_columns(), source.T, strict=True)])


def _take_arrow(X: Any, source: np.ndarray) -> Any:
    columns = [column.take(rows) for column, rows in zip(X.itercolumns(), source.T, strict=True)]
    return type(X).from_arrays(columns, schema=X.schema)


# By a method that only data frames of one library have, since none of these may be installed: a function that takes the
# value of each cell from another row, by row numbers (n, columns), and keeps names and types of columns.
_FRAMES = {"isetitem": _take_pandas, "get_columns": _take_polars, "itercolumns": _take_arrow}


@dataclass(frozen=True, eq=False)
class _Scorer:
    """A measure, its options, and the call of ``transform``. Unlike a closure, it can be pickled."""

    score_func: Callable[..., Any]
    options: dict[str, Any]

    @staticmethod
    def _embed(estimator: Any, X: Any) -> Any:
        if not hasattr(estimator, "transform"):
            raise TypeError(
                f"{type(estimator).__name__} has no transform, so there is no embedding to score; "
                "give a transformer (a pipeline must end in a transformer)."
            )
        return estimator.transform(X)


@dataclass(frozen=True, eq=False)
class _EmbeddingScorer(_Scorer):
    """Scorer of ``make_embedding_scorer``."""

    inputs: str

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        if y is None and "y" in self.inputs:
            raise ValueError(f"{self.score_func.__name__} reads labels; give y to the search or cross-validation.")
        values = {"X": X, "y": y, "Z": self._embed(estimator, X)}
        if "y" in self.inputs and not self._leaves_out_itself():
            values["Z"], values["y"] = _with_labels(values["Z"], y, self.options.get("task"))
        return float(self.score_func(*(values[name] for name in self.inputs), **self.options))

    def _leaves_out_itself(self) -> bool:
        """Whether the measure is a probe, which leaves out rows without a label by its own options."""
        function: Any = self.score_func
        while isinstance(function, partial):
            function = function.func
        return function in (knn_probe_score, linear_probe_score)


def _with_labels(Z: Any, y: Any, task: str | None) -> tuple[Any, Any]:
    """Return the rows of an embedding that have a label, and the labels; labels of several columns as they are."""
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        return Z, y
    known = known_labels(labels, "y", task)
    if known.all():
        return Z, y
    return safe_indexing(Z, np.flatnonzero(known)), without_objects(labels[known])


@dataclass(frozen=True, eq=False)
class _ViewScorer(_Scorer):
    """Scorer of ``make_view_scorer``."""

    views: Views
    random_state: int

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> float:
        rng = check_random_state(self.random_state)  # new at each call, so that all candidates get the same views
        Z_a, Z_b = (self._embed(estimator, self.views(X, rng)) for _ in range(2))
        return float(self.score_func(Z_a, Z_b, **self.options))


@validate_params(
    {"score_func": [callable], "inputs": [StrOptions({"Z", "Zy", "XZ"})]}, prefer_skip_nested_validation=True
)
def make_embedding_scorer(score_func: Callable[..., Any], *, inputs: str = "Z", **options: Any) -> Callable[..., float]:
    """Make a scorer from a measure of an embedding, as :func:`sklearn.metrics.make_scorer` does for predictions.

    Use it to pass a measure of this module to a search or to ``cross_val_score``. A measure of two views needs
    :func:`make_view_scorer`.

    The scorer takes a fitted estimator and held-out rows, and scores what ``estimator.transform`` returns. The
    estimator may be a :class:`skgca.GCAEmbedder`, any other transformer, or a pipeline that ends in one.

    Parameters
    ----------
    score_func : callable
        Measure for which higher is better, from this module or another.
    inputs : {"Z", "Zy", "XZ"}, default="Z"
        Positional arguments of ``score_func`` in order: the embedding Z, the labels y, the rows X that the estimator
        gets. With y, rows without a label are left out: None, NaN, and -1 unless y has fractions or the option ``task``
        is "regression".
    **options
        Further arguments of ``score_func``.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)`` returns a float. Use it as ``scoring=`` of GridSearchCV, cross_validate and the
        like. It can be pickled if ``score_func`` can.

    Raises
    ------
    ValueError
        If ``inputs`` is not one of these. The scorer raises it if no row has a label, or if ``score_func`` does.
    TypeError
        If ``score_func`` does not take these arguments. The scorer raises it if the estimator has no transform.

    See Also
    --------
    make_view_scorer : The same for measures of two views.

    Notes
    -----
    In a search, use a measure that does not grow with a searched parameter on its own. :func:`effective_rank`, for
    instance, grows with ``n_components``.

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
    inspect.signature(score_func).bind(*inputs, **options)  # a wrong name raises before any training
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
    score_func: Callable[..., Any] = view_retrieval_score,
    *,
    views: Views = corrupt_cells,
    random_state: int = 0,
    **options: Any,
) -> Callable[..., float]:
    """Make a scorer from a measure of two views, for any transformer.

    Use it to detect bad settings of a transformer without labels. For a measure of one embedding, use
    :func:`make_embedding_scorer`.

    The scorer makes two noisy copies of the held-out rows, embeds both with ``estimator.transform`` and compares the
    embeddings. By default it scores whether each row finds its other copy.

    Parameters
    ----------
    score_func : callable, default=view_retrieval_score
        Measure of ``(Z_a, Z_b)`` for which higher is better, such as :func:`alignment_score`.
    views : callable, default=corrupt_cells
        ``views(X, random_state)`` returns a noisy copy of X, the rows that the estimator gets, and draws from a
        RandomState. It is called twice. For another rate use ``functools.partial(corrupt_cells, rate=0.6)``, for images
        or series a function of your own.
    random_state : int, default=0
        Draws the views. They are the same at each call, so that candidates differ in their embedding only.
    **options
        Further arguments of ``score_func``.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y=None)`` returns a float. Use it as ``scoring=`` of GridSearchCV, cross_validate and the
        like. It can be pickled if ``score_func`` and ``views`` can.

    Raises
    ------
    ValueError
        If ``random_state`` is not an int in the range of numpy. The scorer raises it if ``views`` or ``score_func``
        does.
    TypeError
        If ``score_func`` does not take these arguments. The scorer raises it if the estimator has no transform.

    Notes
    -----
    The choice of views matters: an embedding scores well if it ignores what the views change and keeps the rest. The
    two copies share many cells, so even raw features may find each other. Choose a rate at which they do not.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import cross_val_score
    >>> from skgca.metrics import make_view_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> scorer = make_view_scorer(k=3, metric="euclidean")
    >>> chance = 3 / 30  # among 30 held-out rows
    >>> bool(cross_val_score(PCA(), X, scoring=scorer).mean() > chance)
    True
    """
    inspect.signature(score_func).bind("Z_a", "Z_b", **options)
    return _ViewScorer(score_func, options, views, random_state)


#: Scorers with default options, by name; those of the probes read y, and leave out rows without a label.
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
