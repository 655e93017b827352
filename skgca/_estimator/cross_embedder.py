"""GCACrossEmbedder: one embedding of two kinds of measurement."""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._data import check_rows
from .._inference.embedding import embed
from .._persistence.cross import load_cross, save_cross
from .._utils.compat import Interval, fit_context
from .._utils.torch_state import known_settings
from ..losses import LearnableEpsilon
from ..metrics import view_retrieval_score
from ..metrics._checks import directions
from .constraints import PARAMETER_CONSTRAINTS
from .cross_fitting import SET, SHARED, as_table, check_pairs, make_sides, naming, train_sides
from .embedder import GCAEmbedder
from .fitting import threads_of, unchanged_on_failure
from .parts import WithParts

__all__ = ["GCACrossEmbedder"]


class GCACrossEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, WithParts):
    """Common embedding of two kinds of measurement of the same rows.

    Use it if each row was measured twice in different ways, such as spectra and assays, images and attributes, or by
    two sensors, and one should be found from the other. If both have the same columns,
    ``GCAEmbedder().fit(X, X_pair=y)`` learns one encoder for both.

    Two encoders, one for each measurement, project into one space. The loss compares the projections of X with those of
    y by a transport plan, in which each row of X is matched to the row of y with the same number. The interface is that
    of :class:`sklearn.cross_decomposition.CCA`, which finds linear projections.

    The parameters below are listed in groups:

    - essentials: ``embedder``, ``embedder_y``, ``n_components``
    - loss: ``loss``, ``epsilon``, ``marginals``, ``q``, ``lam``, ``rince_weight``
    - optimisation: ``max_epochs``, ``batch_size``, ``lr``, ``weight_decay``
    - runtime: ``device``, ``n_threads``, ``random_state``, ``verbose``

    Parameters
    ----------
    embedder, embedder_y : GCAEmbedder, default=None
        How X and y are read, changed and encoded. None is ``GCAEmbedder()``. Their parameters are also set as
        ``embedder__encoder``, ``embedder_y__image_shape`` and so on. Those of a :class:`GCAEmbedder` that are read are
        ``encoder``, ``n_components`` (the width of the encoder), ``views``, ``n_reference_rows``, those of its group
        "network" without ``projection_sizes``, and those of its group "views and input" without ``n_views`` and
        ``view_pairs``. Others must have their defaults. ``views="auto"`` changes cells of tables, and leaves images and
        series as they are: a moved image may no longer match the other measurement. The embedders are cloned, so that
        fitted ones are trained again.
    n_components : int, default=64
        Width of the common space.
    loss : str, default="gca_ince"
        Name of the loss; see :class:`GCAEmbedder`. "byol" and "supcon" do not work with two kinds of measurement.
        If pairs are wrong, "gca_uot" with ``rince_weight=1`` and ``epsilon=0.2``, or "rince" with ``q=0.2`` and
        ``epsilon=0.1``, found more images than "ince", by networks with dropout. With right pairs they found fewer, and
        "gca_uot" alone gained nothing (``docs/evidence/cross.md``).
    epsilon : float or LearnableEpsilon, default=0.15
        Entropic regularisation, which is the temperature of the softmax, in units of the cosine cost.
    marginals : {"row", "balanced"}, float or pair of float, default=None
        Marginal constraints of the plan; see :class:`GCAEmbedder`. None takes those of the loss.
    q, lam, rince_weight : float, default=None
        Options of "rince", "gca_rince" and "gca_uot"; see :class:`GCAEmbedder`. None takes the default of the loss.
    max_epochs : int or "auto", default="auto"
        Number of passes over the pairs. "auto" is that of :class:`GCAEmbedder`; of the two kinds of data, the one that
        needs more steps counts.
    batch_size : int, default=128
        Largest number of pairs in a batch.
    lr : float, default=2e-3
        Peak learning rate of AdamW. It is reached after a linear warm-up, and then decays to zero along a cosine.
    weight_decay : float, default=1e-4
        Weight decay of AdamW.
    device : str or torch.device, default="auto"
        Device of training and ``transform``; see :class:`GCAEmbedder`.
    n_threads : int or "auto", default="auto"
        Number of CPU threads; see :class:`GCAEmbedder`.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the order of batches and the views. Pass an int for reproducible output across
        multiple function calls.
    verbose : int, default=0
        0 prints nothing, 1 prints a line per epoch, and 2 shows a progress bar, as in :class:`GCAEmbedder`.

    Attributes
    ----------
    embedder_, embedder_y_ : GCAEmbedder
        Fitted embedders of X and of y. Their ``transform`` returns the output of the encoder without the projection
        into the common space: more columns, for models of one measurement alone.
    epsilon_ : float
        Epsilon at the end of training.
    history_ : list of dict
        One record per epoch, as in :class:`GCAEmbedder`.
    n_epochs_ : int
        Number of epochs.
    stop_reason_ : str
        Why training ended, as in :class:`GCAEmbedder`.
    n_features_in_ : int
        Number of features of X seen during ``fit``. That of y is ``embedder_y_.n_features_in_``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of features of X seen during ``fit``. Defined only if X was a data frame whose column names are all
        strings.

    See Also
    --------
    GCAEmbedder : Embedding of one kind of measurement.
    sklearn.cross_decomposition.CCA : Linear projections of two tables with the largest correlations.

    Examples
    --------
    The upper and the lower half of digits, where one half should be found from the other:

    >>> from sklearn.datasets import load_digits
    >>> from skgca import GCACrossEmbedder
    >>> X = load_digits().data[:600]
    >>> upper, lower = X[:, :32], X[:, 32:]
    >>> model = GCACrossEmbedder(max_epochs=20, random_state=0)
    >>> model = model.fit(upper[:500], lower[:500])
    >>> Z_upper, Z_lower = model.transform(upper[500:], lower[500:])
    >>> Z_upper.shape, Z_lower.shape
    ((100, 64), (100, 64))
    >>> model.score(upper[500:], lower[500:]) > 0.1  # by chance 0.01
    True
    """

    _parts = ("embedder", "embedder_y")
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "embedder": [None, GCAEmbedder],
        "embedder_y": [None, GCAEmbedder],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        **{name: PARAMETER_CONSTRAINTS[name] for name in (*SHARED, "random_state")},
    }

    def __init__(
        self,
        embedder: GCAEmbedder | None = None,
        embedder_y: GCAEmbedder | None = None,
        *,
        n_components: int = 64,
        loss: str = "gca_ince",
        epsilon: float | LearnableEpsilon = 0.15,
        marginals: str | float | tuple[float, float] | None = None,
        q: float | None = None,
        lam: float | None = None,
        rince_weight: float | None = None,
        max_epochs: int | str = "auto",
        batch_size: int = 128,
        lr: float = 2e-3,
        weight_decay: float = 1e-4,
        device: str | torch.device = "auto",
        n_threads: int | str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.embedder = embedder
        self.embedder_y = embedder_y
        self.n_components = n_components
        self.loss = loss
        self.epsilon = epsilon
        self.marginals = marginals
        self.q = q
        self.lam = lam
        self.rince_weight = rince_weight
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.device = device
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose

    def _default(self, name: str) -> GCAEmbedder:
        return GCAEmbedder()

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> GCACrossEmbedder:
        """Learn the projections of both measurements.

        An interrupt from the keyboard ends training early. The estimator then has the weights learned so far.

        Parameters
        ----------
        X : as in :meth:`GCAEmbedder.fit`
            First measurement of at least 2 rows.
        y : as X, or array-like of shape (n_samples,)
            Second measurement of the same rows in the same order, of any kind. One value for each row is a table of one
            column.
        sample_weight : array-like of shape (n_samples,), default=None
            Mass of each pair in the transport plan, finite and >= 0. Pairs of weight 0 are left out.

        Returns
        -------
        GCACrossEmbedder
            The fitted estimator.

        Raises
        ------
        InvalidParameterError
            If a parameter is out of range, or has no effect.
        ValueError
            If X and y have different numbers of rows, or cannot be read; the message names X or y.
        TrainingDivergedError
            If the loss or its gradient is not finite from the start, at every learning rate that was tried.

        Warns
        -----
        ConvergenceWarning
            If training was rolled back from values that are not finite, learned nothing, or collapsed.
        """
        with unchanged_on_failure(self), known_settings(self.n_threads):
            sides = make_sides(self)
            rows, extras = check_pairs(self, sides, X, y, sample_weight)
            train_sides(self, sides, rows, extras)
            self._take(sides["embedder"], sides["embedder_y"])
        return self

    def _take(self, embedder: GCAEmbedder, embedder_y: GCAEmbedder) -> None:
        """Set the fitted attributes from the fitted sides."""
        self.embedder_, self.embedder_y_ = embedder, embedder_y
        self._n_features_out = self.n_components
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(embedder, name):
                setattr(self, name, getattr(embedder, name))
            elif hasattr(self, name):
                delattr(self, name)  # of an earlier fit
        for name in ("epsilon_", "history_", "n_epochs_", "stop_reason_"):
            setattr(self, name, getattr(embedder, name))

    def transform(self, X: ArrayLike, y: ArrayLike | None = None) -> Any:
        """Project rows into the common space.

        Parameters
        ----------
        X : as in :meth:`fit`
            First measurement.
        y : as in :meth:`fit`, default=None
            Second measurement, of these or of other rows.

        Returns
        -------
        ndarray of shape (n_samples, n_components), or tuple of two such arrays
            Projections of X, or of X and of y. Each row has length 1, so nearest by Euclidean distance is nearest by
            cosine. Single precision if X is in single precision. ``set_output`` makes a frame of those of X.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        TypeError, ValueError
            If there are other columns than in ``fit``, or values that cannot be read; the message names X or y.
        """
        check_is_fitted(self)
        embedding = self._projected("embedder", X)
        return embedding if y is None else (embedding, self._projected("embedder_y", y))

    def transform_y(self, y: ArrayLike) -> np.ndarray:
        """Project rows of the second measurement alone into the common space.

        Parameters
        ----------
        y : as in :meth:`fit`
            Second measurement.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            As those of :meth:`transform`.

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As :meth:`transform`.
        """
        check_is_fitted(self)
        return self._projected("embedder_y", y)

    def fit_transform(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Fit, and project both measurements, as :class:`sklearn.cross_decomposition.CCA` does.

        Parameters
        ----------
        X, y, sample_weight
            As in :meth:`fit`.

        Returns
        -------
        tuple of two ndarray of shape (n_samples, n_components)
            Projections of X and of y.
        """
        return self.fit(X, y, sample_weight=sample_weight).transform(X, y)

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Score how many rows find their other measurement: recall at 1.

        The share of rows of X whose row of y is the nearest one in the common space, averaged with the same share from
        y to X, by :func:`skgca.metrics.view_retrieval_score`. That function with another k is the recall at k.

        Parameters
        ----------
        X, y : as in :meth:`fit`
            Pairs, at least 2, which should be held out from training.

        Returns
        -------
        float
            Between 0 and 1; chance is ``1 / n_samples``. Among more rows the right one is harder to find, so scores of
            different numbers of rows cannot be compared.

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As :meth:`transform`.
        """
        return view_retrieval_score(*self.transform(X, y), k=1)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one file without pickles, as :meth:`GCAEmbedder.save` does.

        Parameters
        ----------
        path : str or path
            Path of the file. An existing file is replaced once the new one is complete.

        Raises
        ------
        SavedFileError
            If the file could not be opened again.
        NotFittedError
            If the estimator is not fitted.
        OSError
            If the file cannot be written.
        """
        check_is_fitted(self)
        with known_settings(self.n_threads):
            save_cross(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        custom: dict[str, dict[str, Any]] | None = None,
        device: str | torch.device | None = None,
    ) -> GCACrossEmbedder:
        """Open a file that :meth:`save` wrote. No code in the file is run.

        Parameters
        ----------
        path : str or path
            Path of the file.
        custom : dict, default=None
            For "embedder" and "embedder_y", what :meth:`GCAEmbedder.load` has as ``custom``.
        device : str or torch.device, default=None
            As in :meth:`GCAEmbedder.load`.

        Returns
        -------
        GCACrossEmbedder
            The fitted estimator.

        Raises
        ------
        SavedFileError
            If the file is damaged, or holds something else.
        OSError
            If the file cannot be read.
        """
        with known_settings():
            return load_cross(cls, GCAEmbedder, SET, path, custom=custom, device=device)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: those of X are those of the embedder, and y is required."""
        tags = super().__sklearn_tags__()
        of_embedder = GCAEmbedder().__sklearn_tags__()
        tags.input_tags = of_embedder.input_tags
        tags.transformer_tags.preserves_dtype = of_embedder.transformer_tags.preserves_dtype
        tags.target_tags.required = True
        tags.target_tags.two_d_labels = True
        return tags

    def _projected(self, name: str, data: Any) -> np.ndarray:
        """Project rows of a side into the common space, as directions (n, n_components)."""
        side: GCAEmbedder = getattr(self, f"{name}_")
        with naming(name):
            rows = check_rows(side, data if name == "embedder" else as_table(data), reset=False)
            with known_settings(side.n_threads), threads_of(side, side.net_, side.reader_):
                projected = embed(side.net_.module_, side.reader_, rows, self._n_features_out, side.net_.device)
        return directions(projected)
