"""GCAEmbedder: the scikit-learn estimator."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .._builders.loss import effective_target
from .._data import check_rows
from .._data.metadata import reads_y
from .._inference.embedding import embed, plain_names
from .._inference.outlier_score import lost_mass
from .._inference.view_score import information_of_views
from .._persistence.onnx_graph import export_onnx
from .._persistence.saving import load, save
from .._persistence.state import pickled_state, unpickled_state
from .._training.callbacks import copied_callback
from .._training.monitoring import COLUMNS, epoch_records
from .._utils.compat import (
    Interval,
    check_feature_names_in,
    clone_parametrized,
    fit_context,
    validate_params,
)
from .._utils.optional import import_optional
from .._utils.threads import fixed_threads
from ..losses import LearnableEpsilon
from .constraints import PARAMETER_CONSTRAINTS
from .cost import CostEstimate, estimate_cost
from .description import html_table, visual_block
from .fitting import Trained, check_given, train, train_on_part, unchanged_on_failure

__all__ = ["GCAEmbedder"]

_STRENGTH = [Interval(Real, 0, np.inf, closed="neither")]


class GCAEmbedder(TransformerMixin, BaseEstimator):
    """Embedding of tables, images and series learned from unlabelled rows by generalized contrastive alignment.

    Two corrupted views of each row go through an encoder and a projection head. A transport plan between all views of
    a batch is computed by Sinkhorn, and training moves the plan towards one in which each view goes to the other view
    of the same row [1]_. ``transform`` gives what the encoder makes of a row, without views and without head, and of a
    table its columns beside that.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Columns of the embedding, beside what is passed through. "auto" is 128; where ``layers`` are all read, it is one
        for each component that the rows bear, or twice the number of columns passed through, up to 256.
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
        - an object with its own options, such as ``DomainsTarget(alpha=0.1)``: as its name; or a
          :class:`skgca.losses.Target` of your own.
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
    encoder : str, Module, or callable, default="auto"
        Network from inputs to embedding.

        - "mlp", "resnet_mlp": multilayer perceptrons; "auto" is "mlp" for tables. They take images and series too,
          flattened.
        - "conv": three convolutions, for small images, of which it knows what is where; "auto" for images.
        - "resnet18": ResNet-18 with the stem for small images.
        - "conv1d": convolutions over time; "auto" for series.
        - a Module class, or a callable: called with ``(n_inputs, n_components)``, where n_inputs is the number of
          features, or of channels.
        - a Module: copied with its weights, of which training starts; it fixes the width of the embedding.
    hidden_layer_sizes : sequence of int, default=None
        Widths of the hidden layers of the encoder, or channels of its convolutions. None is (256, 256) for
        perceptrons, (32, 64, 128) for convolutions.
    dropout : float, default=0.0
        Share of hidden activations of "mlp" and "resnet_mlp" set to 0 in training, in [0, 1).
    normalization : {"batch", "layer"}, default="batch"
        What normalises the hidden layers of "mlp" and "resnet_mlp"; None is nothing.
    numeric_embedding : {"periodic", "piecewise_linear"}, default=None
        What columns of numbers go through before the network: :class:`skgca.encoders.PeriodicEmbedding` or
        :class:`skgca.encoders.PiecewiseLinearEncoding` with 16 bins of equally many rows.
    layers : {"auto", "all", "last"}, default="auto"
        Which layers of the encoder the embedding is read from. "last" gives its outputs; "all" the principal components
        of all activations, rotated, as :class:`skgca.encoders.RotatedComponents` does. "auto" takes "all" where "mlp"
        or "resnet_mlp" reads a table. Either way the columns have mean 0 and deviation 1 on training rows.
    passthrough : bool or "auto", default="auto"
        Whether the embedding has the inputs beside it, as in scikit-learn's StackingClassifier: numbers standardised
        and gaps filled, with indicators, categories one-hot. "auto" does so for tables.
    projection_sizes : sequence of int, default=(128, 128)
        Widths of the projection head: hidden layers, then its output, which the loss compares. The predictor that
        "byol" has besides is as wide.
    ema_decay : float, default=None
        Decay of the moving average that is the target network of "byol", in the first step; it rises to 1 by half a
        cosine. None is 0.99.
    views : str, callable, or sequence of them, default="auto"
        How a view of a batch is made. Of a sequence, each makes one view.

        - "corruption", for tables, which "auto" takes: :class:`skgca.views.ColumnCorruption`.
        - "noise", "dropout", "mixup", for tables and series: :class:`skgca.views.GaussianNoise`,
          :class:`skgca.views.FeatureDropout`, :class:`skgca.views.NeighborMixup`.
        - "time", for series, which "auto" takes: windows, shifts and noise.
        - "digits", "standard", "strong", for images: :class:`skgca.views.ImageAugmentation`, by kornia. "auto" takes
          "digits" for images of one channel, where mirroring may change what is seen, else "standard".
        - "clean": the rows as they are.
        - a callable ``(batch, generator) -> batch`` or ``(batch) -> batch``, such as a kornia module: gets and returns
          a tensor. Tables have one column for each original column, numbers standardised if ``standardize`` and NaN
          where missing, categories numbered from 1; images are (n, c, h, w) in [0, 1]; series (n, channels, length).
    n_views : int, default=None
        Views of each row. None is 2, or as many as ``views`` holds.
    view_pairs : {"all", "worst"}, default="all"
        Which pairs of more than two views the loss compares: all of them, or for each row those that are furthest
        apart; see :func:`skgca.losses.multiview_loss`.
    corruption_rate : float, default=0.2
        Share of cells that "corruption" replaces, in [0, 1].
    standardize : bool, default=True
        Whether to bring columns of numbers to a common scale first, by median and interquartile range, and to squash
        outliers.
    categorical_features : "from_dtype", array-like of bool, int or str, or None, default="from_dtype"
        Which columns are categories: as a mask, by number or name. "from_dtype" takes text, categories and booleans of
        data frames, and text in arrays; None takes none, and refuses text.
    image_shape : tuple of int, default=None
        Shape of one image, (h, w), (c, h, w) or (h, w, c), where rows of X are flat.
    max_epochs : int or "auto", default="auto"
        Passes over the training data. "auto" is as many as make about 2,000 steps, or 800 with images, at least 20 and
        at most 300. With 0 the encoder keeps its random initial weights.
    batch_size : int, default=128
        Most rows in a batch; the plan of the joint layout has twice as many. Batches are of near-equal size.
    lr : float, default=2e-3
        Peak learning rate of AdamW, reached after a linear warm-up and followed by a cosine decay to zero.
    weight_decay : float, default=1e-4
        Decoupled weight decay of AdamW.
    warmup_fraction : float, default=0.1
        Share of the steps until the peak rate, in [0, 1].
    early_stopping : bool, default=False
        Whether to hold out rows, and to end training once their loss falls no more. Their views are the same in each
        epoch. It is the loss with the ``epsilon`` of the start, and InfoNCE for "byol", whose own loss is least where
        all embeddings are equal. The rate still follows ``max_epochs``.
    validation_fraction : float, default=0.1
        Share of the rows to hold out for that, in (0, 1); at least 2 rows, and whole groups of ``sample_group``.
    n_iter_no_change : int, default=10
        Epochs without a loss that is lower by ``tol`` until training ends.
    tol : float, default=1e-4
        Fall of the held-out loss that counts, in units of the loss.
    restore_best : bool, default=True
        Whether the weights of the best epoch are kept then, instead of the last.
    max_grad_norm : float, default=None
        Gradients with a longer Euclidean norm are scaled down to it. None leaves them.
    micro_batch_size : int, default=None
        Rows of all views that go through the network at a time. The gradient is that of the whole batch, so that a
        ``batch_size`` which memory does not hold can be used, at the cost of more passes; see
        ``docs/guide/training.md``. None is all at once.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the network in training; loss, weights and ``transform`` are in single precision. "auto" is bfloat16 on CUDA
        devices that compute in it, else float32.
    compile : bool, default=False
        Whether to train through :func:`torch.compile`, which takes a minute and pays in long trainings on a GPU.
    callbacks : list of skorch callbacks, default=None
        What else training does: callbacks, classes or callables that make one, or pairs (name, callback). Copies are
        used, and are afterwards in ``net_.callbacks_``. A skorch ``LRScheduler`` takes the place of warm-up and decay.
    checkpoint_dir : str or path, default=None
        Folder for the checkpoint of this training, which ``resume`` goes on from. One training at a time uses it.
    checkpoint_epochs : int, default=10
        Epochs from one checkpoint to the next.
    checkpoint_minutes : float, default=5.0
        Minutes after which one is written anyway, even amid an epoch, after every hundredth batch.
    resume : bool, default=False
        Whether ``fit`` goes on from the checkpoint in ``checkpoint_dir``, if there is one, and ends with the same bits
        as if it had not been broken off. Parameters and data must be the same.
    n_reference_rows : int, default=1000
        Training rows, evenly spaced, whose embeddings are kept for :meth:`outlier_score` to compare with, and are in
        pickles and saved files. With 0 none are.
    device : str or torch.device, default="auto"
        Where to compute. "auto" is CUDA if there is one, else MPS, else the CPU.
    n_threads : int or "auto", default=1
        CPU threads of ``fit`` and ``transform``. The last bits of a result depend on it, so a number does not follow
        the surroundings: it gives the same bits in the main process and in a worker of joblib. "auto" leaves what torch
        is set to, which joblib limits in its workers to their share of the cores.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights, the order of batches and the views. Pass an int for the same bits on each call.
    verbose : int, default=0
        0 prints nothing, 1 a line an epoch, 2 shows a progress bar. The lines also go to the logger "skgca", at level
        INFO.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the last ``fit``, with its standardisation.

    Attributes
    ----------
    encoder_ : torch.nn.Module
        Fitted encoder.
    net_ : ContrastiveNet
        The skorch net that trained it.
    history_ : list of dict
        For each epoch its number "epoch", mean "loss", held-out loss "valid_loss", last rate "lr", mean
        "gradient_norm", and "seconds"; and of the projections of up to 256 rows, held out or else of training,
        "alignment" and "uniformity" as in :mod:`skgca.metrics`, "effective_rank", and the "marginal_error" of their
        plan. Those are measured every 100 steps or more and in the last epoch, or in every epoch with
        ``early_stopping``, and NaN elsewhere. :meth:`history_frame` makes a data frame of it.
    n_epochs_ : int
        Epochs of the last ``fit``, or passes of ``partial_fit``.
    best_epoch_ : int
        With ``early_stopping`` the epoch of the lowest held-out loss, else the last.
    stop_reason_ : str
        Why training ended: "max_epochs", "no_change" (early stopping), "callback", "interrupted" from the keyboard, or
        "diverged", for a loss that kept being NaN or infinite.
    epsilon_ : float
        Epsilon at the end of training: ``epsilon``, or what was learned.
    reference_ : ndarray of shape (n_reference_rows, n_features_out)
        Embeddings of training rows; fewer, if there are no more.
    reader_ : TableReader, ImageReader or SeriesReader
        What was learned of the columns: scales, categories, gaps; or of the layout and range of images and series.
    n_features_in_ : int
        Number of features seen in ``fit``; the length of the second axis.
    feature_names_in_ : ndarray of shape (n_features,)
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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = PARAMETER_CONSTRAINTS

    def __init__(
        self,
        n_components: int | str = "auto",
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
        encoder: str | nn.Module | Callable[..., nn.Module] = "auto",
        hidden_layer_sizes: Sequence[int] | None = None,
        dropout: float = 0.0,
        normalization: str | None = "batch",
        numeric_embedding: str | None = None,
        layers: str = "auto",
        passthrough: bool | str = "auto",
        projection_sizes: Sequence[int] = (128, 128),
        ema_decay: float | None = None,
        views: str | Callable | Sequence[str | Callable] = "auto",
        n_views: int | None = None,
        view_pairs: str = "all",
        corruption_rate: float = 0.2,
        standardize: bool = True,
        categorical_features: ArrayLike | str | None = "from_dtype",
        image_shape: Sequence[int] | None = None,
        max_epochs: int | str = "auto",
        batch_size: int = 128,
        lr: float = 2e-3,
        weight_decay: float = 1e-4,
        warmup_fraction: float = 0.1,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        restore_best: bool = True,
        max_grad_norm: float | None = None,
        micro_batch_size: int | None = None,
        precision: str = "auto",
        compile: bool = False,
        callbacks: Sequence[Any] | None = None,
        checkpoint_dir: str | os.PathLike | None = None,
        checkpoint_epochs: int = 10,
        checkpoint_minutes: float = 5.0,
        resume: bool = False,
        n_reference_rows: int = 1000,
        device: str | torch.device = "auto",
        n_threads: int | str = 1,
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
        self.dropout = dropout
        self.normalization = normalization
        self.numeric_embedding = numeric_embedding
        self.layers = layers
        self.passthrough = passthrough
        self.projection_sizes = projection_sizes
        self.ema_decay = ema_decay
        self.views = views
        self.n_views = n_views
        self.view_pairs = view_pairs
        self.corruption_rate = corruption_rate
        self.standardize = standardize
        self.categorical_features = categorical_features
        self.image_shape = image_shape
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.warmup_fraction = warmup_fraction
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.restore_best = restore_best
        self.max_grad_norm = max_grad_norm
        self.micro_batch_size = micro_batch_size
        self.precision = precision
        self.compile = compile
        self.callbacks = callbacks
        self.checkpoint_dir = checkpoint_dir
        self.checkpoint_epochs = checkpoint_epochs
        self.checkpoint_minutes = checkpoint_minutes
        self.resume = resume
        self.n_reference_rows = n_reference_rows
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
        X_pair: ArrayLike | None = None,
    ) -> GCAEmbedder:
        """Learn the embedding. An interrupt from the keyboard ends training early, with what was learned so far.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features), or array-like of shape (n_samples, ...)
            Training rows, at least 2 of them. A table: an array, or a pandas or polars data frame. Images: (n, h, w),
            (n, c, h, w) or (n, h, w, c), or flat with ``image_shape``. Series: (n, channels, length). Three dimensions
            are images where they are square or of 8 bits; ``encoder`` or ``image_shape`` says otherwise. What slices
            but is not in memory is read batch by batch: ``numpy.memmap``, zarr, h5py, a map-style
            :class:`torch.utils.data.Dataset`.
        y : array-like of shape (n_samples,) or (n_samples, k), default=None
            What ``target`` reads, if it does. Otherwise ignored, so that a Pipeline may pass labels on.
        sample_weight : array-like of shape (n_samples,), default=None
            Mass of each row in the transport plan, finite and >= 0. A row of weight 0 is left out.
        sample_domain : array-like of shape (n_samples,), default=None
            Domain that each row comes from, numbers or text, for ``target="domains"``; -1, None or NaN is none.
        sample_group : array-like of shape (n_samples,) or (n_samples, k), default=None
            Groups of related rows, such as subjects or documents: within a group, rows are no evidence against each
            other. -1, None or NaN is none. With ``related``, whatever that reads.
        X_pair : as X, default=None
            Another measurement of the same things, row by row. It takes the place of augmentation: one view is of X,
            the other of X_pair, unchanged unless ``views`` is set.

        Returns
        -------
        GCAEmbedder
            The fitted estimator.

        Raises
        ------
        InvalidParameterError
            If a parameter is out of range, or has no effect.
        ValueError
            If X or what belongs to it cannot be trained on.
        TrainingDivergedError
            If the loss or its gradient is not finite from the start on, at any rate that was tried.
        CheckpointError
            If ``checkpoint_dir`` cannot be written to, or holds what cannot be gone on from.

        Warns
        -----
        ConvergenceWarning
            If training went back from values that are not finite, learned nothing, or collapsed.
        UserWarning
            If it was interrupted from the keyboard.
        """
        continues = self.warm_start and hasattr(self, "net_")
        with unchanged_on_failure(self), fixed_threads(self.n_threads):
            given = check_given(
                self,
                X,
                y,
                sample_weight=sample_weight,
                sample_domain=sample_domain,
                sample_group=sample_group,
                X_pair=X_pair,
                reset=not continues,
            )
            trained = train(self, given, continues=continues)
            self._stream = None
            self._take(trained)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        sample_domain: ArrayLike | None = None,
        sample_group: ArrayLike | None = None,
        X_pair: ArrayLike | None = None,
    ) -> GCAEmbedder:
        """Go on learning from some more rows, in one pass over them, at the steady rate ``lr``.

        The first call learns scales, categories and gaps from its rows, for good: a category that comes later is
        unknown. The readout is fitted anew each time on up to 2,048 random rows of all seen, so the columns of the
        embedding change, and what was fitted on them must be fitted again. After ``fit``, it goes on from there. Of the
        parameters, ``lr`` and ``batch_size`` may change between calls.

        Parameters
        ----------
        X, y, sample_weight, sample_domain, sample_group, X_pair
            As in ``fit``; the more rows in a call, the more there are to contrast, up to ``batch_size``.

        Returns
        -------
        GCAEmbedder
            The fitted estimator.

        Raises
        ------
        InvalidParameterError
            If a parameter is out of range, or has no effect.
        ValueError
            If X or what belongs to it cannot be trained on, or has other columns than before; the estimator stays as it
            was.
        """
        self._validate_params()  # which scikit-learn leaves out once an estimator is fitted
        with unchanged_on_failure(self), fixed_threads(self.n_threads):
            given = check_given(
                self,
                X,
                y,
                sample_weight=sample_weight,
                sample_domain=sample_domain,
                sample_group=sample_group,
                X_pair=X_pair,
                reset=not hasattr(self, "net_"),
            )
            trained, self._stream = train_on_part(self, given, getattr(self, "_stream", None))
            self._take(trained)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Embed rows.

        Parameters
        ----------
        X : as in ``fit``
            Rows with the columns seen in ``fit``, or of the same shape.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            The ``n_components`` columns of the embedding, then what is passed through; float32 for float32 input and
            images of 8 bits, else float64.

        Raises
        ------
        TypeError, ValueError
            If X does not have the columns seen in ``fit``, or holds infinite values, or a stack holds NaN.
        """
        return self._embed(X)

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Score the embedding without labels: how much of held-out rows survives views of them, in nats.

        Ten views of each row are embedded, and :func:`skgca.metrics.view_information_score` tells how far they say
        which row they are of. It is not the loss: values compare across losses, epsilons, marginals, targets, widths
        and views of training, as all embedders are seen through the same views, those of ``views="auto"`` with the
        default ``corruption_rate``. What is passed through is left out. It tells bad settings from good ones better
        than good ones from the best; ``docs/guide/scores.md`` has how well it ranks them.

        Parameters
        ----------
        X : as in ``transform``
            Rows, at least 2, best some that were not trained on; of more than 1,000, so many evenly spaced ones count.
        y : object, default=None
            Ignored, there for scikit-learn's searches.

        Returns
        -------
        float
            The more, the better; 0 for an embedding that tells no row from another. Compare on the same rows.

        Raises
        ------
        ValueError
            If X has fewer than 2 rows.
        TypeError, ValueError
            As ``transform``.

        See Also
        --------
        skgca.metrics.make_view_scorer : Scorers by other measures and views.
        """
        check_is_fitted(self)
        rows = check_rows(self, X, reset=False, min_rows=2)
        with fixed_threads(self.n_threads):
            return information_of_views(self.encoder_, self.reader_, rows, self.net_.device)

    @validate_params({"epsilon": _STRENGTH, "rho": _STRENGTH}, prefer_skip_nested_validation=True)
    def outlier_score(self, X: ArrayLike, *, epsilon: float = 0.2, rho: float = 1.0) -> np.ndarray:
        """Score how far rows are from what was trained on: the share of their mass that relaxed transport loses.

        The embeddings of ``n_reference_rows`` training rows are transported to each other, no row to itself, with the
        cosine cost and marginals that may be missed at a price [2]_. A row of X then sends what it is worth it, by
        itself, so its score does not depend on the rows that come with it. A row that was trained on is not compared
        with itself, so scores of training rows and of new ones are comparable.

        Parameters
        ----------
        X : as in ``transform``
            Rows.
        epsilon : float, default=0.2
            Entropic regularisation, in units of the cosine cost, which lies in [0, 2]. Smaller values ask for nearer
            rows. It is not that of training, which compares projections.
        rho : float, default=1.0
            Price of a mass that is missed, likewise. It stretches the scores and hardly changes their order.

        Returns
        -------
        ndarray of shape (n_samples,)
            At most 1, which is most outlying: nothing of the row's mass was worth its way. 0 where all was sent, and
            below 0 where rows are many and near, and more was asked for.

        Raises
        ------
        ValueError
            If ``epsilon`` or ``rho`` is not finite and above 0, or no rows were kept.
        TypeError, ValueError
            As ``transform``.

        References
        ----------
        .. [2] L. Chizat, G. Peyre, B. Schmitzer, F.-X. Vialard, "Scaling algorithms for unbalanced optimal transport
           problems", Mathematics of Computation 87, 2018.
        """
        check_is_fitted(self)
        reference = getattr(self, "reference_", np.empty((0, 0)))  # which files of earlier versions do not hold
        if len(reference) < 2:
            raise ValueError(
                f"outlier_score compares with training rows, of which {len(reference)} are kept; fit with "
                "n_reference_rows=1000, or 2 at least."
            )
        embedding = self._embed(X)
        with fixed_threads(self.n_threads):
            return lost_mass(embedding, reference, epsilon=epsilon, rho=rho)

    @fit_context(prefer_skip_nested_validation=True)
    def estimate_cost(
        self,
        X: ArrayLike,
        y: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
        sample_domain: ArrayLike | None = None,
        sample_group: ArrayLike | None = None,
        X_pair: ArrayLike | None = None,
    ) -> CostEstimate:
        """Tell what ``fit`` would take, from nine steps on a copy; the estimator stays as it is.

        Reading X, which is part of a fit, is done in full. Files and callbacks are left out.

        Parameters
        ----------
        X, y, sample_weight, sample_domain, sample_group, X_pair
            As in ``fit``.

        Returns
        -------
        CostEstimate
            With attributes ``seconds``, ``bytes``, ``n_epochs``, ``n_steps`` and ``seconds_per_step``. As text it is a
            sentence.

        Raises
        ------
        InvalidParameterError, ValueError, TypeError
            Where ``fit`` would, before training.
        """
        continues = self.warm_start and hasattr(self, "net_")
        tried = copy.copy(self)
        with fixed_threads(self.n_threads):
            given = check_given(
                tried,
                X,
                y,
                sample_weight=sample_weight,
                sample_domain=sample_domain,
                sample_group=sample_group,
                X_pair=X_pair,
                reset=not continues,
            )
            return estimate_cost(tried, given, continues=continues)

    def history_frame(self) -> Any:
        """Return ``history_`` as a data frame.

        Returns
        -------
        pandas.DataFrame
            One row an epoch, with the columns that ``history_`` has.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        check_is_fitted(self)
        pd = import_optional("pandas", needed_for="history_frame", instead="use history_.")
        return pd.DataFrame(self.history_, columns=list(COLUMNS))

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return names for the columns of the embedding, then for what is passed through.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input columns, of which those passed through keep theirs. None is ``feature_names_in_``, or
            "x0" and so on.

        Returns
        -------
        ndarray of str
            "gcaembedder0" and so on; of a column of categories "name_category", of an indicator of missing values
            "missingindicator_name".
        """
        check_is_fitted(self)
        input_names = check_feature_names_in(self, input_features)
        passed = plain_names(self.encoder_, self.reader_, input_names) if self.encoder_.passthrough else []
        prefix = type(self).__name__.lower()
        names = [f"{prefix}{k}" for k in range(self._n_features_out - len(passed))]
        return np.array(names + passed, dtype=object)

    def __sklearn_clone__(self) -> GCAEmbedder:
        """Clone as any estimator, but let callbacks share what cannot be copied, such as a writer."""
        bare = copy.copy(self)
        bare.callbacks = None
        other = clone_parametrized(bare)
        if self.callbacks is not None:
            other.callbacks = [copied_callback(callback) for callback in self.callbacks]
        return other

    def save(self, path: str | os.PathLike) -> None:
        """Write the fitted embedder to one file: safetensors with JSON in its header, and no pickle inside.

        It holds parameters, weights, what was learned of the columns, versions, and a few rows that are made up from
        the scales and categories of the columns, with their embeddings. Of the training data it holds the categories
        and the names of columns, and the embeddings of ``n_reference_rows`` rows, which have what is passed through
        beside them. What only training needs and is of a class of your own, such as a view, is left out.

        Parameters
        ----------
        path : str or path
            Of the file. One that is there is replaced, once the new one is complete.

        Raises
        ------
        SavedFileError
            If what was written could not be opened.
        NotFittedError
            If it is not fitted.
        OSError
            If the file cannot be written.
        """
        check_is_fitted(self)
        save(self, path)

    @classmethod
    def load(
        cls, path: str | os.PathLike, *, custom: dict[str, Any] | None = None, device: str | torch.device | None = None
    ) -> GCAEmbedder:
        """Open a file that :meth:`save` wrote. No code in it is run, nor a class looked up by its name.

        Parameters
        ----------
        path : str or path
            Of the file.
        custom : dict, default=None
            What the file does not hold, as it is of classes of your own, by the names of the parameters. If a class has
            ``get_config``, give the class, and the file says how to make the object; the key may be the name of the
            class instead. Else give the value. An ``encoder`` of your own is needed to open the file, and gets its
            weights from there; a Module must be of the same architecture. Other parameters are needed by ``fit`` only,
            which asks for them.
        device : str or torch.device, default=None
            The parameter, set anew. None leaves what it was, and takes the CPU where that device is not here, with a
            warning.

        Returns
        -------
        GCAEmbedder
            Which embeds as the one that was saved; a few rows are tried.

        Raises
        ------
        SavedFileError
            If the file is damaged, none of ours, of a later version, or needs a class that is not given.
        OSError
            If the file cannot be read.
        """
        return load(cls, path, custom=custom, device=device)

    def export_onnx(self, path: str | os.PathLike) -> None:
        """Write preprocessing and encoder as an ONNX graph from ``X`` to ``embedded``, and try it with onnxruntime.

        Its input is float32 of shape (n, ...), as ``transform`` takes it: tables with NaN where a value is missing,
        images and series in the layout of ``fit``. Numbers are scaled in double precision. A column of text holds the
        number of its category instead, counted from 1, in the order of "categories" in the metadata of the file; 0 is
        a category that is not among them. The metadata also have "feature_names" and "output_names", as JSON.

        Needs ``pip install "skgca[onnx]"``.

        Parameters
        ----------
        path : str or path
            Of the file.

        Raises
        ------
        ImportError
            If onnx, onnxscript or onnxruntime is missing.
        SavedFileError
            If the encoder cannot be exported, or onnxruntime embeds otherwise, by more than 1e-5 of the scale.
        """
        check_is_fitted(self)
        export_onnx(self, path)

    def __getstate__(self) -> dict[str, Any]:
        """Return plain values and arrays: weights on the CPU, and no more of the net than the trained module."""
        return pickled_state(self, super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(unpickled_state(self, state))

    def __copy__(self) -> GCAEmbedder:
        """Share all attributes; the way of pickles would copy the weights."""
        other = type(self).__new__(type(self))
        vars(other).update(vars(self))
        return other

    def _sk_visual_block_(self) -> Any:
        return visual_block(self)

    def _repr_html_inner(self) -> str:
        return super()._repr_html_inner() + html_table(self)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "text/html": self._repr_html_inner()} if "text/html" in bundle else bundle

    def __sklearn_tags__(self):
        """Return scikit-learn's tags: tables may have categories and gaps, and a target plan may need y."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.target_tags.required = reads_y(effective_target(self.loss, self.target))
        return tags

    def _embed(self, X: ArrayLike) -> np.ndarray:
        """Embed rows into an array, whatever output is set."""
        check_is_fitted(self)
        rows = check_rows(self, X, reset=False)
        with fixed_threads(self.n_threads):
            return embed(self.encoder_, self.reader_, rows, self._n_features_out, self.net_.device)

    def _take(self, trained: Trained) -> None:
        """Become what was trained."""
        net = trained.net
        self.reader_ = trained.reader
        self.net_ = net
        self.reference_ = trained.reference
        self._n_features_out = trained.reference.shape[1]
        self.epsilon_ = net.criterion_.epsilon
        self.history_ = epoch_records(net.history)
        self.n_epochs_ = len(self.history_)
        self.stop_reason_ = net.stop_reason
        self.best_epoch_ = dict(net.callbacks_)["stopping"].best_epoch_ if self.early_stopping else self.n_epochs_
