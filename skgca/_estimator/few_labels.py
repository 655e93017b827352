"""What estimators of few labels have in common: an embedding of all rows, and a head fitted to the labelled ones."""

from __future__ import annotations

import os
import warnings
from abc import abstractmethod
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted
from tqdm.auto import tqdm

from .._data import Rows, check_rows, spaced
from .._data.conversion import plain_values
from .._inference.embedding import embed
from .._persistence.heads import export_model, load_model, save_model
from .._utils.classes import without_objects
from .._utils.compat import HasMethods, Interval, StrOptions, check_sample_weight, safe_indexing
from .._utils.random import RandomStreams
from .._utils.torch_state import known_settings
from ..metrics._checks import known_labels
from .embedder import GCAEmbedder
from .fine_tuning import FineTuner, LabelledRows, Task
from .fitting import threads_of
from .heads import GivenHead, Heads
from .parts import WithParts, fitted_embedder

__all__ = ["FewLabels", "labelled_only"]

_MOST_OTHERS = 2000  # rows without a label that heads read


class FewLabels(WithParts):
    """What :class:`GCAClassifier` and :class:`GCARegressor` share."""

    _parts = ("embedder", "head")

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

    def _default(self, name: str) -> Any:
        """Return what None stands for as the embedder or the head."""
        return GCAEmbedder() if name == "embedder" else self._default_head()

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
        seed = None if self.random_state is None else entropy.seed("weights") % 2**32
        embedder = fitted_embedder(self._part("embedder"), X, y, seed=seed, verbose=self.verbose, **given)
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


def labelled_only(X: Any, y: Any, sample_weight: Any, *, measured: bool) -> tuple[Any, Any, Any]:
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
