"""GCAEmbedder: the scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from ._annotations import annotations, reads_y
from ._build import effective_target, last_module, make_criterion, make_module, make_net
from ._compat import Interval, StrOptions, check_sample_weight, fit_context
from ._inputs import RowDataset, fit_scaler, standardized
from ._runtime import fixed_threads, resolve_device
from .losses import PRESETS, VIEW_PAIRS, LearnableEpsilon
from .losses._alignment import LAYOUTS
from .losses._targets import TARGETS
from .ot._gradient import GRADIENTS
from .ot._scores import SOURCES

__all__ = ["GCAEmbedder"]

_SEED_END = np.iinfo(np.int32).max - 1
_CHUNK = 1024  # rows that transform encodes at a time
_CHUNK_STEP = 32  # a chunk is padded to a multiple of this many rows, see _encode


class GCAEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Embedding learned from unlabelled rows by generalized contrastive alignment.

    Two corrupted views of each row go through an encoder and a projection head. A transport plan between all views of
    a batch is computed by Sinkhorn, and training moves the plan towards one in which each view goes to the other view
    of the same row [1]_. ``transform`` gives the output of the encoder, without views and without head.

    Parameters
    ----------
    n_components : int, default=128
        Dimension of the embedding.
    loss : str, default="gca_ince"
        Named loss, a key of :data:`skgca.losses.PRESETS`: "ince" is InfoNCE, "rince" its form for pairs of which some
        are wrong; "gca_ince", "gca_rince", "iot" and "iot_uni" balance the plan; "gca_uot" relaxes its marginals;
        "byol" trains against a moving average of the network instead of against other rows; "supcon" reads labels.
    epsilon : float or LearnableEpsilon, default=0.5
        Entropic regularisation, the temperature of the softmax, in units of the cost; the cosine cost lies in [0, 2].
        Smaller values look at the nearest rows only. A :class:`skgca.losses.LearnableEpsilon` is trained.
    cost : {"cosine", "sqeuclidean", "student_t"}, default="cosine"
        Ground cost between projections; see :func:`skgca.ot.sinkhorn_embeddings`.
    marginals : {"row", "balanced"}, float or pair of float, default=None
        Which marginals of the plan bind, and how hard: "row" as in InfoNCE, "balanced" for both, or strengths
        ``(rho_row, rho_col)`` in units of the cost, where 0 is free and inf is hard. None takes what the loss says.
    n_iter : int, default=None
        Sinkhorn iterations in each step; the passes over the data are ``max_epochs``. None takes what the loss says.
    q, lam : float, default=None
        Robustness and weight of all pairs in "rince", "gca_rince", and "gca_uot" with a ``rince_weight``; see
        :func:`skgca.losses.rince`. This and each option of a loss that follows: None takes what the loss says, and
        setting one that the loss does not use is an error.
    kl : {"mass", "rows"}, default=None
        Form of the divergence of "gca_uot"; see :func:`skgca.losses.gca_uot`.
    kl_weight, rince_weight, marginal_weight, entropy_weight : float, default=None
        Weights of the terms of "gca_uot", likewise.
    uniformity_weight : float, default=None
        Weight of the penalty of "iot_uni"; see :func:`skgca.losses.iot_uni`.
    sinkhorn_tol : float, default=None
        Stop iterating once the marginals of a plan are off by at most this share of the mass, and warn after training
        if ``n_iter`` iterations were too few for some plan. None asks for nothing.
    sinkhorn_gradient : {"unrolled", "envelope", "implicit"}, default="unrolled"
        How Sinkhorn is differentiated, see :func:`skgca.ot.sinkhorn`. "unrolled" is exact for any number of iterations;
        the others are exact at the solution and need ``sinkhorn_tol``.
    memory_limit : float, default=None
        Most bytes for the kernel of a batch, beyond which it is recomputed tile by tile. None is a quarter of the
        memory that is free.
    layout : {"joint", "cross"}, default="joint"
        "joint" contrasts all views of a batch with each other, "cross" the first views with the second.
    target : str, callable, or array-like or sparse matrix of shape (n_samples, n_samples), default=None
        Which rows ought to match. None is what the loss says: "labels" for "supcon", else "pairs".

        - "pairs": each view with the other view of its row; ``y`` is not read.
        - "labels": rows of one class, from ``y``. Rows without a class, which are -1, None or NaN there, match
          themselves only, so partly labelled data will do.
        - "continuous": rows of close ``y``, numbers of shape (n_samples,) or (n_samples, k), NaN where unknown.
        - "domains": rows of the same or of another domain, from ``sample_domain``.
        - a callable ``(y_batch) -> affinity``: gets a tensor, and returns a matrix (n, n) of values >= 0.
        - a matrix: the affinity of all rows that ``fit`` gets.

        Affinities are scaled to the marginals of the plan. In the last two, the diagonal is how much the views of a row
        match each other, and a row without a match in its batch falls back to that.
    sigma : float, default=None
        Of target "continuous": the affinity is ``exp(-|y_i - y_j| / sigma)``. None is 1.0.
    alpha, beta : float, default=None
        Of target "domains": affinity of two rows of the same, and of different domains, beside 1 for the views of one
        row. None is 0.01 and 0.0.
    related : callable, default=None
        Which rows are no evidence against each other: ``(sample_group_batch) -> related`` gets a tensor, and returns a
        boolean matrix (n, n). None takes rows of equal ``sample_group``.
    encoder : {"auto", "mlp"}, default="auto"
        Network from features to embedding. "auto" is "mlp" for tables.
    hidden_layer_sizes : sequence of int, default=(256, 256)
        Widths of the hidden layers of the encoder.
    projection_sizes : sequence of int, default=(128, 128)
        Widths of the projection head: hidden layers, then its output, which the loss compares. The predictor that
        "byol" has besides is as wide.
    ema_decay : float, default=None
        Decay of the moving average that is the target network of "byol", in the first step; it rises to 1 by half a
        cosine. None is 0.99.
    views : {"auto", "corruption"}, callable or sequence of callable, default="auto"
        How a view of a batch is made. "corruption", which "auto" stands for, is
        :class:`skgca.views.ColumnCorruption`. A callable ``(batch, generator) -> batch`` gets and returns a tensor of
        shape (n, n_features), standardised if ``standardize``. Of a sequence, each makes one view.
    n_views : int, default=None
        Views of each row. None is 2, or as many as ``views`` holds.
    view_pairs : {"all", "worst"}, default="all"
        Which pairs of more than two views the loss compares: all of them, or for each row those that are furthest
        apart; see :func:`skgca.losses.multiview_loss`.
    corruption_rate : float, default=0.2
        Share of cells that "corruption" replaces, in [0, 1].
    standardize : bool, default=True
        Whether to bring each feature to zero mean and unit variance first.
    max_epochs : int or "auto", default="auto"
        Passes over the training data. "auto" is as many as make about 2,000 steps, at least 20 and at most 300. With 0
        the encoder keeps its random initial weights.
    batch_size : int, default=128
        Most rows in a batch; the plan of the joint layout has twice as many. Batches are of near-equal size.
    lr : float, default=2e-3
        Peak learning rate of AdamW, reached after a linear warm-up and followed by a cosine decay to zero.
    weight_decay : float, default=1e-4
        Decoupled weight decay of AdamW.
    warmup_fraction : float, default=0.1
        Share of the steps until the peak rate, in [0, 1].
    device : str or torch.device, default="auto"
        Where to compute. "auto" is CUDA if there is one, else MPS, else the CPU.
    n_threads : int, default=1
        CPU threads of ``fit`` and ``transform``. The last bits of a result depend on it, so it does not follow the
        surroundings: the same value gives the same bits in the main process and in a worker of joblib.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights, the order of batches and the views. Pass an int for the same bits on each call.
    verbose : int, default=0
        With 1, print a line an epoch.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the last ``fit``, with its standardisation.

    Attributes
    ----------
    encoder_ : torch.nn.Module
        Fitted encoder.
    net_ : ContrastiveNet
        The skorch net that trained it.
    history_ : list of dict
        For each epoch its number, mean loss, last learning rate and seconds.
    n_epochs_ : int
        Epochs of the last ``fit``.
    epsilon_ : float
        Epsilon at the end of training: ``epsilon``, or what was learned.
    scaler_ : StandardScaler or None
        Standardisation of the features.
    n_features_in_ : int
        Number of features seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where ``fit`` got a dataframe with string names.

    See Also
    --------
    sklearn.neighbors.NeighborhoodComponentsAnalysis : Linear embedding learned from labels.
    sklearn.decomposition.PCA : Linear embedding that keeps variance.

    References
    ----------
    .. [1] Z. Chen, C.-H. Lin, R. Liu, J. Xiao, E. L. Dyer, "Your contrastive learning problem is secretly a
       distribution alignment problem", NeurIPS 2024. https://arxiv.org/abs/2502.20141

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skgca import GCAEmbedder
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(GCAEmbedder(n_components=16, max_epochs=5, random_state=0), LogisticRegression())
    >>> model.fit(X, y).predict(X).shape
    (150,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "loss": [StrOptions(set(PRESETS))],
        "epsilon": [Interval(Real, 0, None, closed="neither"), LearnableEpsilon],
        "cost": [StrOptions(set(SOURCES))],
        "marginals": [None, StrOptions({"row", "balanced"}), Interval(Real, 0, np.inf, closed="both"), tuple, list],
        "n_iter": [None, Interval(Integral, 1, None, closed="left")],
        **{option: [None, Real] for option in ("q", "lam", "sigma", "alpha", "beta")},  # in the ranges of the loss
        "kl": [None, str],
        **{f"{term}_weight": [None, Real] for term in ("kl", "rince", "marginal", "entropy", "uniformity")},
        "sinkhorn_tol": [None, Interval(Real, 0, None, closed="neither")],
        "sinkhorn_gradient": [StrOptions(set(GRADIENTS))],
        "memory_limit": [None, Interval(Real, 0, None, closed="left")],
        "layout": [StrOptions(set(LAYOUTS))],
        "target": [None, StrOptions(set(TARGETS) - {"affinity"}), callable, "array-like", "sparse matrix"],
        "related": [None, callable],
        "encoder": [StrOptions({"auto", "mlp"})],
        "hidden_layer_sizes": ["array-like"],
        "projection_sizes": ["array-like"],
        "ema_decay": [None, Interval(Real, 0, 1, closed="both")],
        "views": [StrOptions({"auto", "corruption"}), callable, list, tuple],
        "n_views": [None, Interval(Integral, 2, None, closed="left")],
        "view_pairs": [StrOptions(set(VIEW_PAIRS))],
        "corruption_rate": [Interval(Real, 0, 1, closed="both")],
        "standardize": ["boolean"],
        "max_epochs": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "warmup_fraction": [Interval(Real, 0, 1, closed="both")],
        "device": [str, torch.device],
        "n_threads": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
    }

    def __init__(
        self,
        n_components: int = 128,
        *,
        loss: str = "gca_ince",
        epsilon: float | LearnableEpsilon = 0.5,
        cost: str = "cosine",
        marginals: str | float | tuple[float, float] | None = None,
        n_iter: int | None = None,
        q: float | None = None,
        lam: float | None = None,
        kl: str | None = None,
        kl_weight: float | None = None,
        rince_weight: float | None = None,
        marginal_weight: float | None = None,
        entropy_weight: float | None = None,
        uniformity_weight: float | None = None,
        sinkhorn_tol: float | None = None,
        sinkhorn_gradient: str = "unrolled",
        memory_limit: float | None = None,
        layout: str = "joint",
        target: str | Callable | ArrayLike | None = None,
        sigma: float | None = None,
        alpha: float | None = None,
        beta: float | None = None,
        related: Callable | None = None,
        encoder: str = "auto",
        hidden_layer_sizes: Sequence[int] = (256, 256),
        projection_sizes: Sequence[int] = (128, 128),
        ema_decay: float | None = None,
        views: str | Callable | Sequence[Callable] = "auto",
        n_views: int | None = None,
        view_pairs: str = "all",
        corruption_rate: float = 0.2,
        standardize: bool = True,
        max_epochs: int | str = "auto",
        batch_size: int = 128,
        lr: float = 2e-3,
        weight_decay: float = 1e-4,
        warmup_fraction: float = 0.1,
        device: str | torch.device = "auto",
        n_threads: int = 1,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        warm_start: bool = False,
    ) -> None:
        self.n_components = n_components
        self.loss = loss
        self.epsilon = epsilon
        self.cost = cost
        self.marginals = marginals
        self.n_iter = n_iter
        self.q = q
        self.lam = lam
        self.kl = kl
        self.kl_weight = kl_weight
        self.rince_weight = rince_weight
        self.marginal_weight = marginal_weight
        self.entropy_weight = entropy_weight
        self.uniformity_weight = uniformity_weight
        self.sinkhorn_tol = sinkhorn_tol
        self.sinkhorn_gradient = sinkhorn_gradient
        self.memory_limit = memory_limit
        self.layout = layout
        self.target = target
        self.sigma = sigma
        self.alpha = alpha
        self.beta = beta
        self.related = related
        self.encoder = encoder
        self.hidden_layer_sizes = hidden_layer_sizes
        self.projection_sizes = projection_sizes
        self.ema_decay = ema_decay
        self.views = views
        self.n_views = n_views
        self.view_pairs = view_pairs
        self.corruption_rate = corruption_rate
        self.standardize = standardize
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.warmup_fraction = warmup_fraction
        self.device = device
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start

    @property
    def encoder_(self) -> nn.Module:
        """Fitted encoder."""
        return self.net_.module_.encoder

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        sample_domain: ArrayLike | None = None,
        sample_group: ArrayLike | None = None,
    ) -> GCAEmbedder:
        """Learn the embedding. An interrupt from the keyboard ends training early, with what was learned so far.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, at least 2 of them.
        y : array-like of shape (n_samples,) or (n_samples, k), default=None
            What ``target`` reads, if it does. Otherwise ignored, so that a Pipeline may pass labels on.
        sample_weight : array-like of shape (n_samples,), default=None
            Mass of each row in the transport plan, finite and >= 0. A row of weight 0 is left out.
        sample_domain : array-like of shape (n_samples,), default=None
            Domain that each row comes from, numbers or text, for ``target="domains"``; -1, None or NaN is none.
        sample_group : array-like of shape (n_samples,) or (n_samples, k), default=None
            Groups of related rows, such as subjects or documents: within a group, rows are no evidence against each
            other. -1, None or NaN is none. With ``related``, whatever that reads.

        Returns
        -------
        GCAEmbedder
            The fitted estimator.

        Raises
        ------
        InvalidParameterError
            If a parameter is out of range, or has no effect.
        ValueError
            If X or what belongs to it cannot be trained on, or the loss stops being finite.
        """
        continues = self.warm_start and hasattr(self, "net_")
        X = validate_data(self, X, dtype=(np.float64, np.float32), ensure_min_samples=2, reset=not continues)
        weight = check_sample_weight(sample_weight, X)
        kept = weight > 0
        if kept.sum() < 2:
            raise ValueError(f"sample_weight leaves {kept.sum()} row with weight above 0; at least 2 are needed.")
        criterion = make_criterion(self, self.epsilon_ if continues else None)
        target = effective_target(self.loss, self.target)
        beside = {"y": y, "sample_domain": sample_domain, "sample_group": sample_group}
        extras = annotations(X, kept, target=target, related=self.related, **beside)
        X, weight = (X, weight) if kept.all() else (X[kept], weight[kept])
        device = resolve_device(self.device)
        rng = check_random_state(self.random_state)
        with fixed_threads(self.n_threads):
            predicts = not criterion.repels
            if continues:
                scaler, module = self.scaler_, last_module(self, with_predictor=predicts)
            else:
                scaler = fit_scaler(X) if self.standardize else None
                module = make_module(self, X.shape[1], with_predictor=predicts, seed=rng.randint(_SEED_END))
            inputs = standardized(X, scaler)
            if not (weight == weight[0]).all():  # equal weights are none, and spare the loss looking at them
                extras["weight"] = torch.as_tensor(weight, dtype=inputs.dtype)
            dataset = RowDataset(inputs, **extras)
            net = make_net(self, module, criterion, len(X), seed=rng.randint(_SEED_END), device=device)
            net.fit(dataset, y=None)
            net.module_.eval()
        self.scaler_ = scaler
        self.net_ = net
        self._n_features_out = self.n_components  # of this fit, whatever the parameter may become
        self.epsilon_ = net.criterion_.epsilon
        self.history_ = net.epochs()
        self.n_epochs_ = len(self.history_)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Embed rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows with the features seen in ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Output of the encoder; float32 for float32 input, else float64.

        Raises
        ------
        ValueError
            If X does not have the features seen in ``fit``, or holds NaN or infinite values.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        embedding = np.empty((len(X), self._n_features_out), dtype=X.dtype)
        with fixed_threads(self.n_threads):
            for start in range(0, len(X), _CHUNK):
                rows = slice(start, start + _CHUNK)
                embedding[rows] = self._encode(X[rows])
        bad = ~np.isfinite(embedding).all(axis=1)
        if bad.any():
            raise ValueError(
                f"The embedding of row {bad.argmax()} is not finite: its values, up to {np.abs(X[bad]).max():.3g} in "
                "size, are too large for the encoder. Use standardize=True, or scale the features before."
            )
        return embedding

    def __sklearn_tags__(self):
        """Return scikit-learn's tags: float32 input gives float32 output, and a target plan may need y."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.target_tags.required = reads_y(effective_target(self.loss, self.target))
        return tags

    def _encode(self, X: np.ndarray) -> np.ndarray:
        """Embed one chunk of rows.

        Torch multiplies matrices of few rows by other kernels, which round otherwise. Padding to a multiple of
        _CHUNK_STEP rows makes the embedding of a row independent of the rows it came with.
        """
        inputs = standardized(X, self.scaler_)
        padding = inputs.new_zeros((-len(inputs) % _CHUNK_STEP, *inputs.shape[1:]))
        with torch.inference_mode():
            batch = torch.cat([inputs, padding]).to(self.net_.device)
            return self.encoder_(batch)[: len(inputs)].cpu().numpy()
