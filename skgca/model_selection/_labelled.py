"""Cross-validation where some rows have no label: folds of the labelled rows, and scores of these rows alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring, get_scorer
from sklearn.model_selection import BaseCrossValidator, KFold, StratifiedKFold
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.metadata_routing import MetadataRequest, get_routing_for_object

from .._data.conversion import plain_values
from .._utils.classes import class_codes, fractions_in, labelled, without_objects
from .._utils.compat import safe_indexing
from ..metrics._checks import known_labels

__all__ = ["LabelledKFold", "LabelledScorer"]


class LabelledKFold(BaseCrossValidator):
    """Folds of the labelled rows; the rows without a label are in the training part of each split.

    Use it as ``cv`` if some rows have no label. If all rows have one, use
    :class:`sklearn.model_selection.StratifiedKFold`.

    Ordinary folds take rows without a label from the training parts, where a semi-supervised model needs them, and put
    them into the test parts, where no prediction of them is right.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=True
        Whether the labelled rows are shuffled before they are split.
    random_state : int, RandomState instance or None, default=None
        Order of the rows, if they are shuffled.
    measured : bool, default=False
        Whether y holds measurements. They are split at random, and only None and NaN mark rows without a label.
        Classes are split by :class:`sklearn.model_selection.StratifiedKFold`, and -1 marks such rows, too. Values with
        fractions are measurements in any case.

    Examples
    --------
    >>> import numpy as np
    >>> from skgca.model_selection import LabelledKFold
    >>> y = np.array([0, -1, 1, 0, -1, 1])
    >>> for train, test in LabelledKFold(2, shuffle=False).split(np.zeros((6, 2)), y):
    ...     print(train, test)
    [1 3 4 5] [0 2]
    [0 1 2 4] [3 5]
    """

    n_splits: int
    shuffle: bool
    random_state: int | np.random.RandomState | None
    measured: bool

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        measured: bool = False,
    ) -> None:
        if isinstance(n_splits, bool) or not isinstance(n_splits, Integral) or n_splits < 2:
            raise ValueError(f"n_splits={n_splits!r} must be a whole number of at least 2, such as 5.")
        if random_state is not None and not shuffle:
            raise ValueError(f"random_state={random_state!r} has no effect with shuffle=False; leave it out.")
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state
        self.measured = measured

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits; the arguments are ignored."""
        return int(self.n_splits)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of the training part and of the test part of each split.

        Parameters
        ----------
        X : object
            Ignored.
        y : array-like of shape (n_samples,), or (n_samples, k) for measurements, default=None
            Labels, which are needed. -1, None and NaN mark rows without one.
        groups : object, default=None
            Ignored.

        Yields
        ------
        train, test : ndarray of int
            Numbers of rows, in ascending order.

        Raises
        ------
        ValueError
            If y is missing, or no class has as many labelled rows as there are splits.

        Warns
        -----
        UserWarning
            If some class has fewer labelled rows than there are splits.
        """
        if y is None:
            raise ValueError("y is None, but LabelledKFold splits by the labels; pass y.")
        y = _read(y, self.measured)
        known = labelled(y, measured=self.measured)
        rows, others = np.flatnonzero(known), np.flatnonzero(~known)
        are_classes = not (self.measured or fractions_in(y))
        codes = class_codes(y[rows])[0] if are_classes else np.zeros(len(rows), dtype=np.int64)
        self._check_size(int(np.bincount(codes, minlength=1).max()), "the largest class" if are_classes else "y")
        options = {"n_splits": self.n_splits, "shuffle": self.shuffle, "random_state": self.random_state}
        folds = StratifiedKFold(**options) if are_classes else KFold(**options)
        for train, test in folds.split(np.zeros(len(rows)), codes):
            yield np.sort(np.concatenate([rows[train], others])), rows[test]

    def _check_size(self, n_rows: int, of: str) -> None:
        """Raise ValueError if no class, or y, has a labelled row for each split."""
        if n_rows < self.n_splits:
            remedy = f"label more, or set n_splits={n_rows}" if n_rows > 1 else "label more"
            raise ValueError(f"n_splits={self.n_splits}, but {of} has {n_rows} labelled rows; {remedy}.")


def _read(y: Any, measured: bool) -> np.ndarray:
    """Return labels (n,) or measurements (n, k) as an array."""
    y = plain_values(y)
    if measured and np.ndim(y) == 2 and np.shape(y)[1] > 1:
        return np.asarray(check_array(y, dtype=np.float64, ensure_all_finite=False, input_name="y"))
    return np.asarray(column_or_1d(y))


class LabelledScorer:
    """Scorer for ``scoring=`` that leaves out the rows without a label.

    Use it with folds that put rows without a label into the test part, such as
    :class:`sklearn.model_selection.GroupKFold`. With :class:`LabelledKFold` it is not needed.

    Parameters
    ----------
    scoring : str or callable, default=None
        Scorer of the labelled rows, as for :func:`sklearn.model_selection.cross_val_score`. None is the ``score`` of
        the estimator. With metadata routing, it gets what this scorer requests:
        ``make_scorer(...).set_score_request(sample_weight=True)``.
    measured : bool, default=False
        Whether y holds measurements, so that only None and NaN mark rows without a label. Otherwise -1 does, too.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyClassifier
    >>> from skgca.model_selection import LabelledScorer
    >>> model = DummyClassifier().fit([[0], [1], [2]], [0, 0, 1])
    >>> LabelledScorer("accuracy")(model, [[0], [1], [2]], np.array([0, -1, -1]))
    1.0
    """

    def __init__(self, scoring: str | Callable[..., float] | None = None, *, measured: bool = False) -> None:
        self.scoring = scoring
        self.measured = measured

    def __call__(self, estimator: Any, X: Any, y: Any, **kwargs: Any) -> float:
        """Score an estimator on the labelled rows.

        Parameters
        ----------
        estimator : estimator
            Fitted.
        X : array-like or data frame of shape (n_samples, ...)
            Rows.
        y : array-like of shape (n_samples,), or (n_samples, k) for measurements
            Labels. -1, None and NaN mark rows without one.
        **kwargs
            Metadata of the rows, such as ``sample_weight``; those of rows without a label are left out.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If no row has a label.
        """
        y = _read(y, self.measured)
        known = known_labels(y, "y", "regression" if self.measured else None)
        rows = np.flatnonzero(known)
        kept = {name: value if value is None else safe_indexing(value, rows) for name, value in kwargs.items()}
        scorer = check_scoring(estimator, scoring=self.scoring)
        score: float = scorer(estimator, safe_indexing(X, rows), without_objects(y[rows]), **kept)
        return score

    def get_metadata_routing(self) -> MetadataRequest:
        """Return which metadata the scorer requests, for scikit-learn's metadata routing."""
        return get_routing_for_object(None if self.scoring is None else get_scorer(self.scoring))

    def __repr__(self) -> str:
        measured = ", measured=True" if self.measured else ""
        return f"LabelledScorer({self.scoring!r}{measured})"
