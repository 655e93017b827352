"""GCAEmbedder: the scikit-learn estimator."""

from __future__ import annotations

import copy
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

from ._callbacks import WarnUnconverged, warmup_cosine
from ._compat import Interval, InvalidParameterError, StrOptions, check_sample_weight, fit_context
from ._inputs import EvenBatches, RowDataset, fit_scaler, standardized, weighted_rows
from ._net import ContrastiveNet
from ._runtime import fixed_threads, resolve_device, seeded_global_generator
from .encoders import MLP, EncoderWithHead
from .losses import PRESETS, AlignmentLoss, make_loss
from .losses._alignment import LAYOUTS
from .losses._targets import TARGETS
from .ot._gradient import GRADIENTS
from .views import ColumnCorruption, ViewPair

__all__ = ["GCAEmbedder"]

_SEED_END = np.iinfo(np.int32).max - 1
_AUTO_STEPS = 2000  # of max_epochs="auto"
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
    loss : {"ince", "gca_ince", "gca_uot"}, default="gca_ince"
        Named loss, see :data:`skgca.losses.PRESETS`. "ince" is InfoNCE, "gca_ince" balances the plan, "gca_uot" relaxes
        its marginals.
    epsilon : float, default=0.5
        Entropic regularisation, the temperature of the softmax, in units of the cosine cost, which lies in [0, 2].
        Smaller values look at the nearest rows only.
    marginals : {"row", "balanced"}, float or pair of float, default=None
        Which marginals of the plan bind, and how hard: "row" as in InfoNCE, "balanced" for both, or strengths
        ``(rho_row, rho_col)`` in units of the cost, where 0 is free and inf is hard. None takes what the loss says.
    n_iter : int, default=10
        Sinkhorn iterations in each step; the passes over the data are ``max_epochs``.
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
    target : {"pairs"}, default="pairs"
        Target plan. "pairs" matches each view with the other view of its row, and reads no ``y``.
    encoder : {"auto", "mlp"}, default="auto"
        Network from features to embedding. "auto" is "mlp" for tables.
    hidden_layer_sizes : sequence of int, default=(256, 256)
        Widths of the hidden layers of the encoder.
    projection_sizes : sequence of int, default=(128, 128)
        Widths of the projection head: hidden layers, then its output, which the loss compares.
    views : {"auto", "corruption"} or callable, default="auto"
        How a view of a batch is made. "corruption", which "auto" stands for, is
        :class:`skgca.views.ColumnCorruption`. A callable ``(batch, generator) -> batch`` gets and returns a tensor of
        shape (n, n_features), standardised if ``standardize``.
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
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "marginals": [None, StrOptions({"row", "balanced"}), Interval(Real, 0, np.inf, closed="both"), tuple, list],
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "sinkhorn_tol": [None, Interval(Real, 0, None, closed="neither")],
        "sinkhorn_gradient": [StrOptions(set(GRADIENTS))],
        "memory_limit": [None, Interval(Real, 0, None, closed="left")],
        "layout": [StrOptions(set(LAYOUTS))],
        "target": [StrOptions(set(TARGETS))],
        "encoder": [StrOptions({"auto", "mlp"})],
        "hidden_layer_sizes": ["array-like"],
        "projection_sizes": ["array-like"],
        "views": [StrOptions({"auto", "corruption"}), callable],
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
        epsilon: float = 0.5,
        marginals: str | float | tuple[float, float] | None = None,
        n_iter: int = 10,
        sinkhorn_tol: float | None = None,
        sinkhorn_gradient: str = "unrolled",
        memory_limit: float | None = None,
        layout: str = "joint",
        target: str = "pairs",
        encoder: str = "auto",
        hidden_layer_sizes: Sequence[int] = (256, 256),
        projection_sizes: Sequence[int] = (128, 128),
        views: str | Callable = "auto",
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
        self.marginals = marginals
        self.n_iter = n_iter
        self.sinkhorn_tol = sinkhorn_tol
        self.sinkhorn_gradient = sinkhorn_gradient
        self.memory_limit = memory_limit
        self.layout = layout
        self.target = target
        self.encoder = encoder
        self.hidden_layer_sizes = hidden_layer_sizes
        self.projection_sizes = projection_sizes
        self.views = views
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
    def fit(self, X: ArrayLike, y: Any = None, *, sample_weight: ArrayLike | None = None) -> GCAEmbedder:
        """Learn the embedding. An interrupt from the keyboard ends training early, with what was learned so far.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, at least 2 of them.
        y : Ignored
            Present so that a Pipeline may pass labels on; with ``target="pairs"`` they are not read.
        sample_weight : array-like of shape (n_samples,), default=None
            Mass of each row in the transport plan, finite and >= 0. A row of weight 0 is left out.

        Returns
        -------
        GCAEmbedder
            The fitted estimator.

        Raises
        ------
        InvalidParameterError
            If a parameter is out of range.
        ValueError
            If X or the weights cannot be trained on, or the loss stops being finite.
        """
        continues = self.warm_start and hasattr(self, "net_")
        X = validate_data(self, X, dtype=(np.float64, np.float32), ensure_min_samples=2, reset=not continues)
        weight = check_sample_weight(sample_weight, X)
        X, weight = weighted_rows(X, weight)
        criterion = self._make_loss()
        device = resolve_device(self.device)
        rng = check_random_state(self.random_state)
        with fixed_threads(self.n_threads):
            if continues:
                scaler, module = self.scaler_, self._last_module()
            else:
                scaler = fit_scaler(X) if self.standardize else None
                module = self._make_module(X.shape[1], seed=rng.randint(_SEED_END))
            inputs = standardized(X, scaler)
            # equal weights are none, and spare the loss looking at them
            extras = {} if (weight == weight[0]).all() else {"weight": torch.as_tensor(weight, dtype=inputs.dtype)}
            dataset = RowDataset(inputs, **extras)
            net = self._make_net(module, criterion, len(X), seed=rng.randint(_SEED_END), device=device)
            net.fit(dataset, y=None)
            net.module_.eval()
        self.scaler_ = scaler
        self.net_ = net
        self._n_features_out = self.n_components  # of this fit, whatever the parameter may become
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
        """Return scikit-learn's tags: float32 input gives float32 output."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _make_loss(self) -> AlignmentLoss:
        try:
            return make_loss(
                self.loss,
                epsilon=self.epsilon,
                marginals=self.marginals,
                layout=self.layout,
                n_iter=self.n_iter,
                tol=self.sinkhorn_tol,
                gradient=self.sinkhorn_gradient,
                memory_limit=self.memory_limit,
            )
        except ValueError as error:  # what no constraint can say, such as a pair with one bad number
            raise InvalidParameterError(f"GCAEmbedder cannot make its loss: {error}") from error

    def _architecture(self, n_features: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Widths of the encoder and of the head, input to output."""
        widths = {}
        for name in ("hidden_layer_sizes", "projection_sizes"):
            widths[name] = tuple(np.ravel(getattr(self, name)).tolist())
            if not all(isinstance(width, int) and width >= 1 for width in widths[name]):
                raise InvalidParameterError(
                    f"{name}={getattr(self, name)!r} must hold whole numbers of at least 1, such as (256, 256)."
                )
        if not widths["projection_sizes"]:
            raise InvalidParameterError("projection_sizes is empty; it needs the width of the output, such as (128,).")
        encoder = (n_features, *widths["hidden_layer_sizes"], self.n_components)
        return encoder, (self.n_components, *widths["projection_sizes"])

    def _make_module(self, n_features: int, seed: int) -> EncoderWithHead:
        encoder, head = self._architecture(n_features)
        with seeded_global_generator(seed):  # torch initialises weights from its global generator
            return EncoderWithHead(
                MLP(encoder[0], encoder[1:-1], encoder[-1]),
                nn.Sequential(nn.ReLU(), MLP(head[0], head[1:-1], head[-1])),
            )

    def _last_module(self) -> EncoderWithHead:
        """Copy the module of the last fit, so that one which fails leaves it as it was."""
        module = copy.deepcopy(self.net_.module_)
        fresh = self._make_module(self.n_features_in_, seed=0)
        if [p.shape for p in module.parameters()] != [p.shape for p in fresh.parameters()]:
            raise ValueError(
                "warm_start=True cannot continue with another n_components, hidden_layer_sizes or projection_sizes "
                "than the last fit had; set them back, or fit with warm_start=False."
            )
        return module

    def _make_net(
        self, module: EncoderWithHead, criterion: AlignmentLoss, n_rows: int, *, seed: int, device: torch.device
    ) -> ContrastiveNet:
        view = self.views if callable(self.views) else ColumnCorruption(self.corruption_rate)
        n_batches = len(EvenBatches(n_rows, self.batch_size, generator=torch.Generator()))
        max_epochs = _auto_epochs(n_batches) if self.max_epochs == "auto" else self.max_epochs
        return ContrastiveNet(
            module,
            criterion,
            views=ViewPair(view),
            seed=seed,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=self.weight_decay,
            lr=self.lr,
            max_epochs=max_epochs,
            batch_size=self.batch_size,
            train_split=None,
            callbacks=[
                ("schedule", warmup_cosine(max_epochs * n_batches, self.warmup_fraction)),
                ("unconverged", WarnUnconverged()),
            ],
            verbose=int(self.verbose),
            device=device,
        )

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


def _auto_epochs(n_batches: int) -> int:
    return min(max(round(_AUTO_STEPS / n_batches), 20), 300)
