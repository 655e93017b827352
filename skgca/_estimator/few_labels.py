"""Estimators that predict from few labels: an embedding of all rows, and a head fitted to the labelled ones."""

from __future__ import annotations

import os
import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, StratifiedKFold, check_cv
from sklearn.utils import check_array, check_random_state, column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length, check_is_fitted
from tqdm.auto import tqdm

from .._data import Rows, check_rows, spaced
from .._data.conversion import plain_values
from .._inference.embedding import embed
from .._persistence.heads import export_model, load_model, save_model
from .._utils.classes import check_minus_one, class_codes, fractions_in, without_objects
from .._utils.compat import HasMethods, Interval, StrOptions, check_sample_weight, fit_context, safe_indexing
from .._utils.random import RandomStreams
from .._utils.torch_state import known_settings
from ..metrics._checks import known_labels
from .embedder import GCAEmbedder
from .fine_tuning import FineTuner, LabelledRows, Task, classification, regression
from .fitting import threads_of
from .heads import GivenHead, Heads, UsualHeads, usual_head

__all__ = ["GCAClassifier", "GCARegressor"]

_PARTS = ("embedder", "head")
_MOST_OTHERS = 2000  # rows without a label that heads read


class _FewLabels(BaseEstimator):
    """What :class:`GCAClassifier` and :class:`GCARegressor` share."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "embedder": [None, GCAEmbedder, FrozenEstimator],
        "head": [None, HasMethods(["fit", "predict"])],
        "fine_tune": [StrOptions({"auto"}), "boolean"],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "cv": ["cv_object"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        embedder: GCAEmbedder | FrozenEstimator | None = None,
        *,
        head: Any = None,
        fine_tune: bool | str = "auto",
        n_steps: int = 120,
        lr: float = 5e-4,
        cv: Any = 5,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.embedder = embedder
        self.head = head
        self.fine_tune = fine_tune
        self.n_steps = n_steps
        self.lr = lr
        self.cv = cv
        self.random_state = random_state
        self.verbose = verbose

    # Parameters

    @abstractmethod
    def _default_head(self) -> Any:
        """Return the head of ``head=None``."""

    def _part(self, name: str) -> Any:
        """Return the embedder or the head that a parameter stands for."""
        given = getattr(self, name)
        return self._default(name) if given is None else given

    def _default(self, name: str) -> Any:
        """Return what None stands for as the embedder or the head."""
        return GCAEmbedder() if name == "embedder" else self._default_head()

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; with ``deep``, those of the embedder and of the head too, also if these are None."""
        params: dict[str, Any] = super().get_params(deep=deep)
        if deep:
            for part in _PARTS:
                if params[part] is None:
                    params |= {f"{part}__{name}": value for name, value in self._default(part).get_params().items()}
        return params

    def set_params(self, **params: Any) -> Any:
        """Set parameters; ``embedder__epsilon`` and the like also set the default embedder or head."""
        for part in _PARTS:
            is_nested = any(name.startswith(f"{part}__") for name in params)
            if is_nested and params.get(part, getattr(self, part)) is None:
                params = {**params, part: self._default(part)}
        return super().set_params(**params)

    # Fit

    @abstractmethod
    def _read_labels(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return labels as the head gets them, (n,) or (n, k), and a mask (n,) of the rows that have one."""

    @abstractmethod
    def _heads(self, seed: int) -> Heads:
        """Return the heads to choose from."""

    @abstractmethod
    def _task(self) -> Task:
        """Return what the labels ask for."""

    @abstractmethod
    def _folds(self, y: np.ndarray, seed: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        """Return folds of the labelled rows; none if there are too few."""

    def _fit(self, X: Any, y: Any, sample_weight: Any, **metadata: Any) -> Any:
        name = type(self).__name__
        if y is None:
            raise ValueError(
                f"This {name} estimator requires y to be passed, but the target y is None; mark rows without a label "
                "in it."
            )
        y = plain_values(y)
        # Labels come first, since the embedder may train for minutes.
        codes, known = self._read_labels(y)
        length = np.broadcast_to(0.0, len(codes))
        if isinstance(X, np.ndarray | list):
            check_consistent_length(X, length)
        weight = check_sample_weight(sample_weight, length)
        known &= weight > 0
        numbers, others = np.flatnonzero(known), np.flatnonzero(~known & (weight > 0))
        self._check_labels(codes[numbers])
        entropy = RandomStreams.of(check_random_state(self.random_state))
        given = {key: value for key, value in {"sample_weight": sample_weight, **metadata}.items() if value is not None}
        embedder = self._fitted_embedder(X, y, entropy, given)
        rows = check_rows(embedder, X, reset=False)
        check_consistent_length(np.broadcast_to(0.0, len(rows)), length)
        labelled = LabelledRows(
            rows.only(numbers),
            codes[numbers],
            weight[numbers],
            rows.only(others[spaced(len(others), _MOST_OTHERS)]),
        )
        tuner = FineTuner(
            embedder,
            self._heads(entropy.seed("trees") % 2**32),
            self._task(),
            n_steps=self.n_steps,
            lr=self.lr,
            random_streams=entropy,
        )
        with known_settings(embedder.n_threads), threads_of(embedder, embedder.net_, embedder.reader_):
            self.ways_, self.n_steps_, head = self._chosen(tuner, labelled, entropy.seed("folds") % 2**32)
            if self.n_steps_:
                embedder = tuner.tuned(labelled)
                embedder.reference_ = self._reference(embedder, rows)
            self.head_ = tuner.fitted_head(embedder.encoder_, labelled, head)
        self.embedder_ = embedder
        self.n_features_in_ = embedder.n_features_in_
        if hasattr(embedder, "feature_names_in_"):
            self.feature_names_in_ = embedder.feature_names_in_
        return self

    def _check_labels(self, y: np.ndarray) -> None:
        """Raise ValueError if the labels of the labelled rows are too few to fit a head."""
        if not len(y):
            raise ValueError("y holds no label: all entries are -1, None or NaN, or have weight 0. Label some rows.")

    def _fitted_embedder(self, X: Any, y: Any, streams: RandomStreams, metadata: dict[str, Any]) -> GCAEmbedder:
        """Return the given embedder if it is fitted, else a copy of it that is fitted to all rows."""
        embedder = self._part("embedder")
        if isinstance(embedder, FrozenEstimator):
            embedder = embedder.estimator
            check_is_fitted(embedder)
        if not isinstance(embedder, GCAEmbedder):
            raise TypeError(f"embedder holds a {type(embedder).__name__}; give a GCAEmbedder.")
        if hasattr(embedder, "net_"):
            return embedder
        embedder = clone(embedder)
        if embedder.random_state is None and self.random_state is not None:
            embedder.set_params(random_state=streams.seed("weights") % 2**32)
        if self.verbose and not embedder.verbose:
            embedder.set_params(verbose=self.verbose)
        fitted: GCAEmbedder = embedder.fit(X, y, **metadata)
        return fitted

    def _chosen(self, tuner: FineTuner, rows: LabelledRows, seed: int) -> tuple[list[dict[str, Any]], int, str]:
        """Return how the ways compare, and the number of steps and the name of the head that are chosen."""
        n_steps = self.n_steps if self.fine_tune is True else 0
        if self.fine_tune != "auto" and isinstance(tuner.heads, GivenHead):
            return [], n_steps, tuner.heads.first  # nothing to choose
        if isinstance(self.cv, Integral):
            folds = self._folds(rows.y, seed)
        elif hasattr(self.cv, "split"):
            folds = list(self.cv.split(np.zeros(len(rows)), rows.y))
        else:
            assert rows.rows.kept is not None  # they are some of the rows of X
            folds = _among(rows.rows.kept, check_cv(self.cv).split())
        if not folds:
            return [], n_steps, tuner.heads.first
        numbers_of_steps = {"auto": (0, self.n_steps), False: (0,), True: (self.n_steps,)}[self.fine_tune]
        ways = tuner.compared(rows, folds, numbers_of_steps)
        best = min(ways, key=lambda way: way.loss)  # the first of equal ones: frozen, and the simplest head
        records = [
            {"n_steps": way.n_steps, "head": way.head, "loss": way.loss, "error": float(np.mean(way.errors))}
            for way in ways
        ]
        if self.verbose:
            lines = [f"  {record['n_steps']:5d}  {record['loss']:.4f}  {record['head']}" for record in records]
            tqdm.write("\n".join(["Loss of held-out labelled rows by steps of fine-tuning and head:", *lines]))
        return records, best.n_steps, best.head

    def _reference(self, embedder: GCAEmbedder, rows: Rows) -> np.ndarray:
        """Embed the reference rows of an embedder anew."""
        kept = rows.only(spaced(len(rows), max(1, embedder.n_reference_rows)))
        Z = embed(embedder.encoder_, embedder.reader_, kept, embedder._n_features_out, embedder.net_.device)
        return Z[: embedder.n_reference_rows].astype(np.float32)

    # Prediction

    def _embed(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        embedding: np.ndarray = self.embedder_._embed(X)
        return embedding

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator, embedder and head, to one file without pickles.

        Parameters
        ----------
        path : str or path
            Path of the file. An existing file is replaced once the new one is complete.

        Raises
        ------
        SavedFileError
            If the head is neither one that ``head=None`` chooses, nor a linear model of scikit-learn.
        """
        check_is_fitted(self)
        with known_settings(self.embedder_.n_threads):
            save_model(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        custom: dict[str, Any] | None = None,
        device: str | torch.device | None = None,
    ) -> Any:
        """Open a file that :meth:`save` wrote. No code in the file is run.

        Parameters
        ----------
        path : str or path
            Path of the file.
        custom, device
            As in :meth:`GCAEmbedder.load`.

        Returns
        -------
        GCAClassifier or GCARegressor
            The fitted estimator.

        Raises
        ------
        SavedFileError
            If the file is damaged, or holds something else.
        """
        with known_settings():
            return load_model(cls, GCAEmbedder, path, custom=custom, device=device)

    def export_onnx(self, path: str | os.PathLike[str]) -> None:
        """Export preprocessing, encoder and head as an ONNX graph, and verify it with onnxruntime.

        The graph is that of :meth:`GCAEmbedder.export_onnx` with a second output: ``probabilities`` of a classifier,
        whose metadata have the "classes", or ``predicted`` of a regressor, of shape (n, k).

        Parameters
        ----------
        path : str or path
            Path of the file.

        Raises
        ------
        ImportError
            If onnx, onnxscript or onnxruntime is missing.
        SavedFileError
            If a file cannot hold the head either, or as in :meth:`GCAEmbedder.export_onnx`.
        """
        check_is_fitted(self)
        with known_settings(self.embedder_.n_threads):
            export_model(self, path)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: those of the input are those of the embedder."""
        tags = super().__sklearn_tags__()
        tags.input_tags = GCAEmbedder().__sklearn_tags__().input_tags
        tags.target_tags.required = True
        return tags


def _among(numbers: np.ndarray, folds: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return folds that hold numbers of rows of X as places in ``numbers``, the labelled rows; others are left out."""
    found = []
    for fold in folds:
        train, test = (np.flatnonzero(np.isin(numbers, part)) for part in fold)
        if not len(train) or not len(test):
            raise ValueError("cv holds a fold without labelled rows in one of its parts; leave it out, or set cv=5.")
        found.append((train, test))
    return found


def _head_has(method: str) -> Callable[[Any], bool]:
    return lambda self: hasattr(getattr(self, "head_", None) or self._part("head"), method)


class GCAClassifier(ClassifierMixin, _FewLabels):
    """Classifier for few labels: learns an embedding of all rows, and predicts from those with a label.

    ``fit`` learns the embedding without labels, by :class:`GCAEmbedder`, and fits a head to the embeddings of the
    labelled rows. If that pays, it first fine-tunes the encoder on the labelled rows: a linear output takes the place
    of the loss, and is trained with the encoder on views of these rows. Whether it pays, and which head is best, is
    found by cross-validation on the labelled rows.

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
        Folds of the labelled rows, as for :func:`sklearn.model_selection.cross_val_score`. There are fewer than an int
        says if a class has fewer labelled rows. A splitter gets the labelled rows only. An iterable yields numbers of
        rows of X, of which those without a label do not count.
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
        """Learn the embedding of all rows, and to predict from the labelled ones.

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
        X, y, sample_weight = _labelled_only(X, y, sample_weight, measured=False)
        return float(super().score(X, y, sample_weight))


class GCARegressor(RegressorMixin, _FewLabels):
    """Regressor for few labels: learns an embedding of all rows, and predicts from those with a value.

    See :class:`GCAClassifier`, from which it differs in the head and in its loss, the squared error.

    Parameters
    ----------
    embedder : GCAEmbedder, default=None
        As in :class:`GCAClassifier`.
    head : regressor, default=None
        Fitted to the embeddings of the rows with a value, which are standardised. None is ``Ridge()``.
    fine_tune, n_steps, lr, cv, random_state, verbose
        As in :class:`GCAClassifier`.

    Attributes
    ----------
    embedder_ : GCAEmbedder
        Fitted embedder, after fine-tuning if there was any.
    head_ : regressor
        Fitted head, which predicts standardised values.
    mean_, scale_ : ndarray of shape () or (k,)
        Mean and deviation of the values.
    n_steps_ : int
        Number of steps of fine-tuning; 0 if the encoder was left as it was.
    ways_ : list of dict
        Mean squared error of held-out rows with and without fine-tuning, in units of ``scale_ ** 2``, as in
        :class:`GCAClassifier`; empty if nothing was compared.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of features seen during ``fit``. Defined only if X was a data frame whose column names are all strings.

    See Also
    --------
    GCAClassifier : The same for classes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from skgca import GCARegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> few = np.where(np.arange(len(y)) % 8 == 0, y, np.nan)
    >>> model = GCARegressor(random_state=0, fine_tune=False).set_params(embedder__max_epochs=20)
    >>> model.fit(X, few).predict(X[:3]).shape
    (3,)
    """

    def _default_head(self) -> Any:
        return Ridge()

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        sample_domain: ArrayLike | None = None,
        sample_group: ArrayLike | None = None,
    ) -> GCARegressor:
        """Learn the embedding of all rows, and to predict from those with a value.

        Parameters
        ----------
        X : as in :meth:`GCAEmbedder.fit`
            All rows, with and without a value.
        y : array-like of shape (n_samples,) or (n_samples, k)
            Values. NaN marks rows without one.
        sample_weight, sample_domain, sample_group
            As in :meth:`GCAClassifier.fit`.

        Returns
        -------
        GCARegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If y has no value, or holds an infinite one.
        """
        fitted: GCARegressor = self._fit(X, y, sample_weight, sample_domain=sample_domain, sample_group=sample_group)
        return fitted

    def _read_labels(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        y = check_array(y, ensure_2d=False, dtype=np.float64, ensure_all_finite="allow-nan", input_name="y")
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        known = ~np.isnan(y) if y.ndim == 1 else ~np.isnan(y).any(axis=1)
        if not known.any():
            raise ValueError("y holds no value: all of its entries are NaN. Give some rows a value.")
        self.mean_ = y[known].mean(axis=0)
        deviation = y[known].std(axis=0)
        self.scale_ = np.where(deviation > 0, deviation, 1.0)
        return (y - self.mean_) / self.scale_, known

    def _heads(self, seed: int) -> Heads:
        return GivenHead(self._part("head"))

    def _task(self) -> Task:
        return regression()

    def _folds(self, y: np.ndarray, seed: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        n_splits = min(self.cv, len(y) // 2)
        return list(KFold(n_splits, shuffle=True, random_state=seed).split(y)) if n_splits >= 2 else []

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict values.

        Parameters
        ----------
        X : as in :meth:`GCAEmbedder.transform`

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, k)
        """
        Z = self._embed(X)
        predicted: np.ndarray = self.head_.predict(Z) * self.scale_ + self.mean_
        return predicted

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the coefficient of determination on rows with a value.

        Parameters
        ----------
        X : as in :meth:`GCAEmbedder.transform`
        y : array-like of shape (n_samples,) or (n_samples, k)
            Values. Rows of NaN are left out.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float

        Warns
        -----
        UserWarning
            If rows were left out.
        """
        X, y, sample_weight = _labelled_only(X, y, sample_weight, measured=True)
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


def _labelled_only(X: Any, y: Any, sample_weight: Any, *, measured: bool) -> tuple[Any, Any, Any]:
    """Leave out the rows without a label, with a warning if there are any."""
    values = np.asarray(plain_values(y))
    known = known_labels(values, "y", "regression" if measured else None)
    if known.all():
        return X, without_objects(values), sample_weight
    warnings.warn(
        f"{int((~known).sum())} of {len(known)} rows have no label and are left out of the score. In cross-validation, "
        "use cv=skgca.model_selection.LabelledKFold(5), which keeps such rows in every training part.",
        stacklevel=3,
    )
    rows = np.flatnonzero(known)
    weight = None if sample_weight is None else safe_indexing(sample_weight, rows)
    return safe_indexing(X, rows), without_objects(values[rows]), weight
