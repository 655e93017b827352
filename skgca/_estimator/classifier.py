"""GCAClassifier: predicts classes from few labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if

from .._utils.classes import check_minus_one, class_codes, fractions_in
from .._utils.compat import fit_context
from .few_labels import FewLabels, labelled_only
from .fine_tuning import Task, classification
from .heads import GivenHead, Heads, UsualHeads, usual_head

__all__ = ["GCAClassifier"]


def _head_has(method: str) -> Callable[[Any], bool]:
    return lambda self: hasattr(getattr(self, "head_", None) or self._part("head"), method)


class GCAClassifier(ClassifierMixin, FewLabels):
    """Classifier for few labels: learns an embedding of all rows, and predicts from those with a label.

    Use it to predict classes if few of many rows have a label. If all rows have one, fit an ordinary classifier
    instead, alone or after a :class:`GCAEmbedder` in a pipeline.

    ``fit`` learns the embedding without labels, by :class:`GCAEmbedder`, and fits a head to the embeddings of the
    labelled rows. It may first fine-tune the encoder on the labelled rows: a linear output then replaces the loss, and
    is trained with the encoder on views of these rows. Cross-validation on the labelled rows decides whether to
    fine-tune, and which head to use.

    Parameters
    ----------
    embedder : GCAEmbedder, default=None
        Embedder, whose parameters are also set as ``embedder__epsilon`` and so on. None is ``GCAEmbedder()``. A fitted
        one is used as it is, so that several tasks can share it. Clones of it are not fitted; to keep it in a search,
        pass ``sklearn.frozen.FrozenEstimator(embedder)``.
    head : classifier, default=None
        Fitted to the embeddings of the labelled rows. None chooses by the log loss of held-out labelled rows among
        ``LogisticRegression(max_iter=1000)`` and the averages of its probabilities with those of ``ExtraTrees`` and of
        a second logistic regression, which trains itself on up to 2,000 rows without a label
        (:class:`sklearn.semi_supervised.SelfTrainingClassifier`; not if there are sample weights). It is the logistic
        regression alone if a class has only one labelled row. ``head__C`` and so on set that regression as the head.
    fine_tune : {"auto"} or bool, default="auto"
        Whether to fine-tune the encoder on the labelled rows. "auto" does so if the log loss of held-out labelled rows
        is smaller then. It does not with fewer than two labelled rows of a class.
    n_steps : int, default=120
        Number of steps of fine-tuning.
    lr : float, default=5e-4
        Learning rate of the encoder in fine-tuning.
    cv : int, splitter or iterable, default=5
        Folds of the labelled rows, as for :func:`sklearn.model_selection.cross_val_score`. An int is reduced
        to the number of labelled rows of the smallest class. A splitter gets the labelled rows only. An iterable yields
        numbers of rows of X, of which those without a label do not count.
    random_state : int, RandomState instance or None, default=None
        Source of the folds and of fine-tuning, and of the embedder if that has ``random_state=None``.
    verbose : int, default=0
        1 shows the progress of both stages.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes.
    embedder_ : GCAEmbedder
        Fitted embedder, after fine-tuning if there was any.
    head_ : classifier
        Fitted head. Its classes are the positions in ``classes_``. Averages of probabilities have the ``members``.
    n_steps_ : int
        Number of steps of fine-tuning; 0 if the encoder was left as it was.
    ways_ : list of dict
        Mean log loss and share of errors ("loss", "error") of held-out labelled rows for each number of steps and head
        ("n_steps", "head"); empty if nothing was compared.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of features seen during ``fit``. Defined only if X was a data frame whose column names are all strings.

    See Also
    --------
    GCARegressor : The same for numbers.
    skgca.model_selection.LabelledKFold : Folds that keep rows without a label in every training part.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skgca import GCAClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> few = np.where(np.arange(150) % 10 == 0, y, -1)  # five labels a class
    >>> model = GCAClassifier(random_state=0).set_params(embedder__max_epochs=20)
    >>> model.fit(X, few).score(X, y) > 0.8
    True
    """

    def _default_head(self) -> Any:
        return usual_head()

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        sample_domain: ArrayLike | None = None,
        sample_group: ArrayLike | None = None,
    ) -> GCAClassifier:
        """Learn the embedding from all rows, and the head from the labelled rows.

        Parameters
        ----------
        X : as in :meth:`GCAEmbedder.fit`
            All rows, with and without a label.
        y : array-like of shape (n_samples,)
            Classes, of any type. -1, None and NaN mark rows without a label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in both stages.
        sample_domain, sample_group : array-like of shape (n_samples,), default=None
            Passed to the embedder; see :meth:`GCAEmbedder.fit`.

        Returns
        -------
        GCAClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If y has fewer than two classes, or holds measurements.
        """
        fitted: GCAClassifier = self._fit(X, y, sample_weight, sample_domain=sample_domain, sample_group=sample_group)
        return fitted

    def _read_labels(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        y = column_or_1d(y, warn=True)
        fractions = fractions_in(y)
        if fractions:
            raise ValueError(
                f"Unknown label type: y holds fractions, such as {fractions[0]}; GCAClassifier needs classes. Use "
                "GCARegressor for measurements."
            )
        codes, classes = class_codes(y)
        check_minus_one("y", y, classes)
        self.classes_ = _as_array(classes, y)
        return codes, codes >= 0

    def _check_labels(self, y: np.ndarray) -> None:
        super()._check_labels(y)
        if len(np.unique(y)) < 2:
            raise ValueError(
                f"y holds one class only, {self.classes_[y[0]]!r}, beside rows without a label; GCAClassifier "
                "needs rows of two classes or more. If -1 is a class, encode the classes from 0."
            )

    def _heads(self, seed: int) -> Heads:
        return UsualHeads(seed) if self.head is None else GivenHead(self.head)

    def _task(self) -> Task:
        return classification()

    def _folds(self, y: np.ndarray, seed: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        n_splits = min(self.cv, int(np.bincount(y)[np.unique(y)].min()))
        if n_splits < 2:
            return []
        return list(StratifiedKFold(n_splits, shuffle=True, random_state=seed).split(np.zeros(len(y)), y))

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict classes.

        Parameters
        ----------
        X : as in :meth:`GCAEmbedder.transform`

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        Z = self._embed(X)
        predicted: np.ndarray = self.classes_[self.head_.predict(Z)]
        return predicted

    @available_if(_head_has("predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Predict the probabilities of the classes; available if the head has them.

        Parameters
        ----------
        X : as in :meth:`GCAEmbedder.transform`

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        Z = self._embed(X)
        probabilities: np.ndarray = self.head_.predict_proba(Z)
        return probabilities

    @available_if(_head_has("decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Return the decision values of the head; available if it has them.

        Parameters
        ----------
        X : as in :meth:`GCAEmbedder.transform`

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            A single column for two classes.
        """
        Z = self._embed(X)
        values: np.ndarray = self.head_.decision_function(Z)
        return values

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy on rows with a label.

        Parameters
        ----------
        X : as in :meth:`GCAEmbedder.transform`
        y : array-like of shape (n_samples,)
            Classes. Rows of -1, None or NaN are left out.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float

        Warns
        -----
        UserWarning
            If rows were left out: in cross-validation, ordinary folds take them from the training parts, too.
        """
        X, y, sample_weight = labelled_only(X, y, sample_weight, measured=False)
        return float(super().score(X, y, sample_weight))


def _as_array(classes: list[Any], y: np.ndarray) -> np.ndarray:
    """Return classes as an array of the type of y, or of their own type if y holds objects."""
    if y.dtype != object:
        return np.array(classes, dtype=y.dtype)
    found = np.array(classes)
    if found.ndim == 1 and [type(value) for value in found.tolist()] == [type(value) for value in classes]:
        return found
    objects = np.empty(len(classes), dtype=object)
    objects[:] = classes
    return objects
