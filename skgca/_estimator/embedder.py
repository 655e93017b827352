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
from skorch.callbacks import EarlyStopping
from torch import nn

from .._builders.loss import effective_target
from .._data import check_rows
from .._data.metadata import reads_y
from .._inference.embedding import embed
from .._inference.outlier_score import lost_mass
from .._inference.view_score import information_of_views
from .._persistence.onnx_graph import export_onnx
from .._persistence.saving import load, save
from .._persistence.state import pickled_state, unpickled_state
from .._training.callbacks import copied_callback
from .._training.monitoring import COLUMNS, epoch_records
from .._utils.compat import (
    DocumentationLinkMixin,
    Interval,
    check_feature_names_in,
    clone_parametrized,
    fit_context,
    validate_params,
)
from .._utils.optional import import_optional
from .._utils.torch_state import known_settings
from ..encoders import Encoder
from ..losses import LearnableEpsilon
from .constraints import PARAMETER_CONSTRAINTS
from .cost import CostEstimate, estimate_cost
from .deprecated import DEPRECATED_CONSTRAINTS, warn_of_history_frame
from .description import html_table, visual_block
from .fitting import Trained, in_training, threads_of, train
from .inputs import check_inputs
from .names import output_names
from .streaming import Stream, parts_of, train_on_part

__all__ = ["GCAEmbedder"]

_STRENGTH = [Interval(Real, 0, np.inf, closed="neither")]


class GCAEmbedder(DocumentationLinkMixin, TransformerMixin, BaseEstimator):
    """Embedding of tables, images and series, learned from unlabelled rows by generalized contrastive alignment.

    Use it to turn rows, images or series without labels into features for another model: a classifier, a regressor, a
    clustering, or a search for nearest neighbours. :class:`GCAClassifier` and :class:`GCARegressor` include the model,
    and :class:`GCAMap` draws rows in two dimensions.

    In training, an encoder and a projection head map two augmented views of each row to projections. Sinkhorn's
    algorithm computes a transport plan between all views of a batch. The loss compares this plan with a target plan in
    which each view is matched to the other view of the same row [1]_. ``transform`` returns the output of the encoder
    for each row, without augmentation and without the projection head. For tables, the input columns are appended.

    The parameters below are listed in groups:

    - essentials: ``n_components``, ``loss``, ``epsilon``, ``marginals``, ``encoder``, ``views``, ``max_epochs``,
      ``batch_size``, ``lr``, ``random_state``
    - loss: ``cost``, ``layout``, ``q``, ``lam``, ``kl``, ``kl_weight``, ``rince_weight``, ``marginal_weight``,
      ``entropy_weight``, ``uniformity_weight``, ``ema_decay``, ``sinkhorn_n_iter``, ``sinkhorn_tol``,
      ``sinkhorn_gradient``, ``sinkhorn_memory_limit``
    - target: ``target``, ``sigma``, ``alpha``, ``beta``, ``related``
    - network: ``hidden_layer_sizes``, ``dropout``, ``normalization``, ``numeric_embedding``, ``layers``,
      ``passthrough``, ``projection_sizes``
    - views and input: ``n_views``, ``view_pairs``, ``corruption_rate``, ``standardize``, ``categorical_features``,
      ``image_shape``
    - optimisation and stopping: ``weight_decay``, ``warmup_fraction``, ``early_stopping``, ``validation_fraction``,
      ``n_iter_no_change``, ``tol``, ``callbacks``, ``warm_start``
    - checkpoints: ``checkpoint_dir``, ``checkpoint_epochs``, ``checkpoint_minutes``, ``resume``
    - runtime: ``micro_batch_size``, ``precision``, ``compile``, ``device``, ``n_threads``, ``distributed``,
      ``n_reference_rows``, ``verbose``
    - deprecated: ``n_iter``, ``memory_limit``, ``restore_best``, ``max_grad_norm``

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Number of columns of the embedding, without the passthrough columns. "auto" is 128 if the embedding is read from
        the last layer. If it is read from all ``layers`` of a table's encoder, "auto" is the number of principal
        components that are kept, or twice the number of passthrough columns if that is larger, and at most 256. It is
        256 if series are read from all layers of "rocket".
    loss : str, default="gca_ince"
        Name of the loss, a key of :data:`skgca.losses.PRESETS`. "ince" is InfoNCE, and "rince" its variant that is
        robust to false positive pairs. "gca_ince", "gca_rince", "iot" and "iot_uni" balance the plan. "gca_uot" relaxes
        its marginals. "byol" has no negatives and trains against a moving average of the network. "supcon" reads
        labels.
    epsilon : float or LearnableEpsilon, default=0.5
        Entropic regularisation, which is the temperature of the softmax, in units of the cost. The cosine cost lies in
        [0, 2]. The smaller epsilon is, the more the nearest rows dominate. A :class:`skgca.losses.LearnableEpsilon` is
        trained with the network.
    marginals : {"row", "balanced"}, float or pair of float, default=None
        Marginal constraints of the plan. "row" constrains the rows only, as InfoNCE does, and "balanced" constrains
        rows and columns. A pair ``(rho_row, rho_col)`` gives the strength of each constraint in units of the cost,
        where 0 is free and inf is hard. A number is the strength of both. None takes the marginals of the loss.
    encoder : str, Module, or callable, default="auto"
        Network that maps inputs to the embedding.

        - "mlp", "resnet_mlp": multilayer perceptrons. "auto" is "mlp" for tables. They accept images and series too,
          which are flattened.
        - "conv": :class:`skgca.encoders.ConvEncoder`, a few convolutions, for images in which positions matter. Large
          images, such as 224 x 224, are reduced to a side of about 72 pixels first. "auto" for images.
        - "resnet18": ResNet-18 with the first layers for small images. It does not reduce large ones, and is slow on
          them.
        - "rocket": :class:`skgca.encoders.RocketEncoder`, features of fixed convolution kernels over time, and a
          perceptron that is trained on them. "auto" for series.
        - "conv1d": :class:`skgca.encoders.Conv1dEncoder`, trained convolutions over time, for series.
        - a Module class or a callable: called with ``(n_inputs, n_components)``, where n_inputs is the number of
          features, or of channels for images and series.
        - a Module: copied, and trained from its weights. It determines the width of the embedding.
    views : str, callable, or sequence of them, default="auto"
        Augmentation that makes a view of a batch. A sequence has one entry for each view.

        - "corruption": :class:`skgca.views.ColumnCorruption`, for tables. "auto" for tables.
        - "noise", "dropout", "mixup": :class:`skgca.views.GaussianNoise`, :class:`skgca.views.FeatureDropout`,
          :class:`skgca.views.NeighborMixup`, for tables and series.
        - "time": :class:`skgca.views.TimeWarp`, :class:`skgca.views.MagnitudeScaling` and a little noise, for series.
          "auto" for series.
        - "geometric", "crop", "photometric", "geometric+photometric", "crop+photometric", "strong":
          :class:`skgca.views.ImageAugmentation`, for images; needs kornia. "auto" is "geometric" for images of one
          channel, since a mirrored digit may be another one. For others it is "crop" or "geometric", alone or with
          "+photometric", chosen by measures of the training images, without labels. "digits" and "standard" are
          earlier names.
        - "clean": the rows without augmentation.
        - a callable ``(batch, generator) -> batch`` or ``(batch) -> batch``, such as a kornia module. It gets and
          returns a tensor. A table has one column for each original column: numbers, standardised if ``standardize``,
          with NaN where missing, and categories as codes from 1. Sines and cosines of dates are further columns at the
          end. Images are (n, c, h, w) in [0, 1], and series are (n, channels, length). Named views change
          images after "conv" has reduced them. A callable gets them in full size.
    max_epochs : int or "auto", default="auto"
        Number of passes over the training data. "auto" is the number of epochs that makes about 1,000 steps, 800
        for images, 400 for series by "rocket" and 2,000 for series by another encoder. It is 20 epochs if that is more,
        but then at most about 10,000 steps. It is at least 1 epoch and at most 300. With 0, the encoder keeps its
        random initial weights.
    batch_size : int, default=128
        Largest number of rows in a batch. All batches have nearly the same size.
    lr : float, default=2e-3
        Peak learning rate of AdamW. It is reached after a linear warm-up, and then decays to zero along a cosine.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the order of batches and the views. Pass an int for reproducible output across
        multiple function calls.
    cost : {"cosine", "sqeuclidean", "student_t"}, default="cosine"
        Ground cost between projections; see :func:`skgca.ot.sinkhorn_embeddings`.
    layout : {"joint", "cross"}, default="joint"
        "joint" compares all views of a batch with each other, in a plan of 2n x 2n for n rows. "cross" compares the
        first views with the second views, in a plan of n x n.
    q, lam : float, default=None
        Robustness q and weight lam of the sum over all pairs in "rince" and "gca_rince", and in "gca_uot" with a
        ``rince_weight``; see :func:`skgca.losses.rince`. For these and the following options of a loss, None takes the
        default of the loss. Setting an option that the loss does not use is an error.
    kl : {"mass", "rows"}, default=None
        Form of the divergence of "gca_uot"; see :func:`skgca.losses.gca_uot`.
    kl_weight, rince_weight, marginal_weight, entropy_weight : float, default=None
        Weights of the terms of "gca_uot"; see :func:`skgca.losses.gca_uot`.
    uniformity_weight : float, default=None
        Weight of the penalty of "iot_uni"; see :func:`skgca.losses.iot_uni`.
    ema_decay : float, default=None
        Initial decay of the moving average that is the target network of "byol". It rises to 1 along half a cosine.
        None is 0.99.
    sinkhorn_n_iter : int, default=None
        Number of Sinkhorn iterations in each step. None takes the number of the loss: 10, or 100 for "iot" and
        "iot_uni".
    sinkhorn_tol : float, default=None
        Stop the Sinkhorn iterations once the marginal error of a plan is at most this share of the mass. After
        training, warn if some plans needed more than ``sinkhorn_n_iter`` iterations. None runs all iterations.
    sinkhorn_gradient : {"unrolled", "envelope", "implicit"}, default="unrolled"
        How the plan is differentiated; see :func:`skgca.ot.sinkhorn`. "unrolled" is exact for any number of iterations.
        The others are exact only at the solution and need ``sinkhorn_tol``.
    sinkhorn_memory_limit : float, default=None
        Largest size in bytes of the kernel of a batch that is kept in memory. A larger kernel is recomputed tile by
        tile. None is a quarter of the free memory. With ``distributed``, it is the size of the part of each process.
    target : str, callable, or array-like or sparse matrix of shape (n_samples, n_samples), default=None
        Target plan: which rows should match. None is "labels" for the loss "supcon", and "pairs" for others.

        - "pairs": each view matches the other view of its row. ``y`` is not read.
        - "labels": rows of the same class in ``y`` match. Rows without a class, marked by -1, None or NaN, match only
          themselves, so partly labelled data can be used.
        - "continuous": rows with similar ``y`` match. ``y`` holds numbers of shape (n_samples,) or (n_samples, k), NaN
          where unknown.
        - "domains": whether two rows match depends on whether their ``sample_domain`` is the same.
        - an object with options of its own, such as ``DomainsTarget(alpha=0.1)``: the same as its name, with these
          options. :class:`skgca.losses.TransportTarget`, :class:`skgca.losses.LabelledTransportTarget` and
          :class:`skgca.losses.RelationalTarget` have no name, and also read the embeddings of the batch. It may also be
          a :class:`skgca.losses.Target` of your own.
        - a callable ``(y_batch) -> affinity``: gets a tensor and returns a matrix (n, n) of values >= 0.
        - a matrix: the affinity between all rows passed to ``fit``.

        Affinities are rescaled to the marginals of the plan. In the affinity of a callable or a matrix, the diagonal is
        the affinity between the views of a row. A row without a match in its batch is matched to its own views.
    sigma : float, default=None
        Scale of the target "continuous", whose affinity is ``exp(-|y_i - y_j| / sigma)``. None is 1.0. Dates and
        durations in y are read in seconds.
    alpha, beta : float, default=None
        Affinity of two rows of the same domain and of two rows of different domains, for the target "domains". The
        affinity between the views of a row is 1. None is 0.01 and 0.0.
    related : callable, default=None
        Which rows are not negatives of each other. ``(sample_group_batch) -> related`` gets a tensor and returns a
        boolean matrix (n, n). None relates the rows of the same ``sample_group``.
    hidden_layer_sizes : sequence of int, default=None
        Widths of the hidden layers of the encoder, or numbers of channels of its convolutions. None is (256, 256) for
        perceptrons and "rocket", and (32, 64, 128) for convolutions; for images of more than 64 x 64 pixels, "conv"
        adds what they need.
    dropout : float, default=0.0
        Dropout rate of the hidden layers of "mlp", "resnet_mlp" and "rocket", in [0, 1).
    normalization : {"batch", "layer"}, default="batch"
        Normalisation of the hidden layers of "mlp", "resnet_mlp" and "rocket". None applies no normalisation.
    numeric_embedding : {"periodic", "piecewise_linear"}, default=None
        Embedding of numeric columns before the first layer: :class:`skgca.encoders.PeriodicEmbedding`, or
        :class:`skgca.encoders.PiecewiseLinearEncoding` with 16 quantile bins.
    layers : {"auto", "all", "last"}, default="auto"
        Layers of the encoder that the embedding is read from. "last" reads its output. "all" reads the principal
        components of all activations, rotated; see :class:`skgca.encoders.RotatedComponents`. "auto" is "all" if "mlp"
        or "resnet_mlp" encodes a table or "rocket" encodes series, and else "last". In any case, each column has mean 0
        and standard deviation 1 on training rows, except as ``passthrough`` says.
    passthrough : bool or "auto", default="auto"
        Whether to append the inputs to the embedding, as scikit-learn's StackingClassifier does. Numbers are
        standardised, missing values are filled and marked by indicator columns, and categories are one-hot encoded.
        "auto" is True for tables, except sparse ones. Beside the inputs, the columns of the embedding are multiplied by
        one number, at most 1. It is smaller the less the inputs depend on each other beyond a linear model, so that the
        embedding does not outweigh inputs which say more.
    projection_sizes : sequence of int, default=(128, 128)
        Widths of the layers of the projection head. The last one is its output, which the loss compares. The predictor
        of "byol" has the same widths. Without any, there is no head, and the loss compares the outputs of the encoder.
    n_views : int, default=None
        Number of views of each row. None is the length of ``views`` if that is a sequence, and else 2.
    view_pairs : {"all", "worst"}, default="all"
        Which pairs the loss compares if there are more than two views: all of them, or for each row the two views that
        are furthest apart; see :func:`skgca.losses.multiview_loss`.
    corruption_rate : float, default=0.2
        Share of the cells that the view "corruption" replaces, in [0, 1].
    standardize : bool, default=True
        Whether to scale numeric columns by median and interquartile range, and to bound outliers.
    categorical_features : "from_dtype", array-like of bool, int or str, or None, default="from_dtype"
        Categorical columns: a boolean mask, positions or names. "from_dtype" selects text, categorical and boolean
        columns of data frames, and text in arrays. None selects no column, and text is then an error.
    image_shape : tuple of int, default=None
        Shape of an image, (h, w), (c, h, w) or (h, w, c), if the rows of X are flattened images.
    weight_decay : float, default=1e-4
        Decoupled weight decay of AdamW.
    warmup_fraction : float, default=0.1
        Share of the steps in which the learning rate rises to its peak, in [0, 1].
    early_stopping : bool, default=False
        Whether to hold out rows for validation and to stop training when their loss no longer improves. The weights of
        the best epoch are then restored. Held-out rows get the same views in each epoch. Their loss is the training
        loss with the initial ``epsilon``. It is InfoNCE for "byol", whose own loss is lowest if all embeddings are
        equal. The learning rate still decays over ``max_epochs``.
    validation_fraction : float, default=0.1
        Share of the rows to hold out for early stopping, in (0, 1). At least 2 rows are held out, and groups of
        ``sample_group`` are not split.
    n_iter_no_change : int, default=10
        Number of epochs without an improvement by ``tol`` after which early stopping ends training. If
        ``max_epochs="auto"`` makes no more epochs than that, as with very many rows, there is a warning.
    tol : float, default=1e-4
        Smallest decrease of the held-out loss that counts as an improvement, in units of the loss.
    callbacks : list of skorch callbacks, default=None
        Callbacks, classes or callables that return one, or pairs (name, callback). Training uses copies, which are in
        ``net_.callbacks_`` afterwards. A skorch ``LRScheduler`` replaces warm-up and decay. With ``early_stopping``, a
        skorch ``EarlyStopping`` replaces ``n_iter_no_change`` and ``tol``.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights of the previous ``fit``, and keeps its preprocessing.
    checkpoint_dir : str or path, default=None
        Folder for the checkpoint of a training, which ``resume`` needs. It can be used by one training at a time.
    checkpoint_epochs : int, default=10
        Number of epochs between two checkpoints.
    checkpoint_minutes : float, default=5.0
        Minutes after which a checkpoint is written even if fewer epochs have passed. Within an epoch, it is written
        only after every hundredth batch.
    resume : bool, default=False
        Whether ``fit`` resumes from the checkpoint in ``checkpoint_dir`` if there is one. The result has the same bits
        as that of an uninterrupted training. Parameters and data must be the same as before.
    micro_batch_size : int, default=None
        Number of rows, counted over all views, that go through the network at a time. The gradient is that of the
        whole batch, so a ``batch_size`` that does not fit into memory can be used, at the cost of more passes; see
        ``docs/guide/training.md``. None processes the whole batch at once.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of the network in training. Loss, weights and ``transform`` use single precision. "auto" is bfloat16
        on CUDA devices that support it, and float32 elsewhere.
    compile : bool, default=False
        Whether to compile the network by :func:`torch.compile`. Compiling takes about a minute, so it pays off in long
        trainings on a GPU.
    device : str or torch.device, default="auto"
        Device of training and ``transform``. "auto" is CUDA if available, else MPS if available, else the CPU.
    n_threads : int or "auto", default="auto"
        Number of CPU threads of ``fit`` and ``transform``. The last bits of a result depend on it. "auto" is one thread
        for a network whose batches are small, such as those of most tables. Other networks, such as those of images,
        train and embed on up to as many threads as torch is set to, which joblib limits in its workers. So the
        embedding of a table has the same bits in the main process and in a worker. For images, give a number.
    distributed : bool, default=None
        True trains one embedder with the other processes of torch.distributed's default process group. Each must call
        ``fit`` with the same X, and gets the same embedder. Without a group, one is made from the environment of a
        launcher such as torchrun. ``batch_size`` counts the rows of all processes together. None and False train in
        this process alone; None warns if there are others. See ``docs/guide/distributed.md``.
    n_reference_rows : int, default=1000
        Number of evenly spaced training rows whose embeddings are kept. :meth:`outlier_score` compares with them. They
        are part of pickles and saved files. With 0, no rows are kept.
    verbose : int, default=0
        0 prints nothing, 1 prints a line per epoch, and 2 shows a progress bar. Before and after ``fit``, a sentence
        says what the loss is by chance and at best (see ``history_``), and how training ended. All lines are also
        logged by the logger "skgca" at level INFO.
    n_iter : int, default="deprecated"
        Number of Sinkhorn iterations.

        .. deprecated:: 0.2
            Use ``sinkhorn_n_iter``. ``n_iter`` will be removed in 0.4.
    memory_limit : float, default="deprecated"
        Largest size in bytes of the kernel of a batch that is kept in memory.

        .. deprecated:: 0.2
            Use ``sinkhorn_memory_limit``. ``memory_limit`` will be removed in 0.4.
    restore_best : bool, default="deprecated"
        Whether early stopping restores the weights of the best epoch.

        .. deprecated:: 0.2
            Early stopping always restores them. To keep the last weights, use ``early_stopping=True`` and add
            ``skorch.callbacks.EarlyStopping(load_best=False)`` to ``callbacks``. ``restore_best`` will be removed in
            0.4.
    max_grad_norm : float, default="deprecated"
        Largest Euclidean norm of the gradient. Longer gradients are scaled down to it.

        .. deprecated:: 0.2
            Add ``skorch.callbacks.GradientNormClipping(max_grad_norm)`` to ``callbacks``. ``max_grad_norm`` will be
            removed in 0.4.

    Attributes
    ----------
    encoder_ : torch.nn.Module
        Fitted encoder.
    net_ : ContrastiveNet
        The skorch net that trained the encoder.
    history_ : list of dict
        One record per epoch: its number "epoch", mean "loss", held-out loss "valid_loss", last learning rate "lr", mean
        "gradient_norm", and duration in "seconds". "loss_by_chance" is the loss of projections that do not
        distinguish rows: each pair of views has cosine 0. "loss_at_best" is the loss if the views of a row are equal
        and the n rows of a batch have cosine -1 / (n - 1), which is a lower bound. Both are NaN where they are not
        known, as with ``sample_weight``, ``sample_group`` or another target than "pairs"; "loss_at_best" is NaN also
        with relaxed marginals and for "gca_rince". The projections of up to 256 rows, held out if there are any, are
        measured by "alignment" and "uniformity" as in :mod:`skgca.metrics`, "effective_rank", and the "marginal_error"
        of their plan. They are measured in every epoch with ``early_stopping``, else in the last epoch and whenever 100
        steps have passed, and are NaN in other epochs. ``pandas.DataFrame(embedder.history_)`` makes a table.
    n_epochs_ : int
        Number of epochs of the last ``fit``, or of passes of ``partial_fit``.
    best_epoch_ : int
        With ``early_stopping``, the epoch with the lowest held-out loss. Otherwise the last epoch.
    stop_reason_ : str
        Why training ended: "max_epochs", "no_change" (early stopping), "callback", "interrupted" from the keyboard, or
        "diverged" if the loss or its gradient was NaN or infinite repeatedly.
    epsilon_ : float
        Epsilon at the end of training: ``epsilon``, or its learned value.
    reference_ : ndarray of shape (n_reference_rows, n_features_out)
        Embeddings of training rows. There are fewer if there were fewer training rows.
    reader_ : TableReader, ImageReader or SeriesReader
        Preprocessing learned from the training rows: scales, categories and missing values of tables, or layout and
        range of images and series.
    n_features_in_ : int
        Number of features seen during ``fit``; the length of the second axis of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of features seen during ``fit``. Defined only if X was a data frame whose column names are all strings.

    See Also
    --------
    GCACrossEmbedder : Embedding of two kinds of measurement, such as images and attributes.
    sklearn.neighbors.NeighborhoodComponentsAnalysis : Linear embedding learned from labels.
    sklearn.decomposition.PCA : Linear embedding that preserves variance.

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
    >>> embedder = GCAEmbedder(n_components=16, max_epochs=5, random_state=0)
    >>> model = make_pipeline(embedder, LogisticRegression())
    >>> model.fit(X, y).predict(X).shape
    (150,)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = PARAMETER_CONSTRAINTS | DEPRECATED_CONSTRAINTS

    def __init__(
        self,
        n_components: int | str = "auto",
        *,
        loss: str = "gca_ince",
        epsilon: float | LearnableEpsilon = 0.5,
        marginals: str | float | tuple[float, float] | None = None,
        encoder: str | nn.Module | Callable[..., nn.Module] = "auto",
        views: str | Callable[..., torch.Tensor] | Sequence[str | Callable[..., torch.Tensor]] = "auto",
        max_epochs: int | str = "auto",
        batch_size: int = 128,
        lr: float = 2e-3,
        random_state: int | np.random.RandomState | None = None,
        cost: str = "cosine",
        layout: str = "joint",
        q: float | None = None,
        lam: float | None = None,
        kl: str | None = None,
        kl_weight: float | None = None,
        rince_weight: float | None = None,
        marginal_weight: float | None = None,
        entropy_weight: float | None = None,
        uniformity_weight: float | None = None,
        ema_decay: float | None = None,
        sinkhorn_n_iter: int | None = None,
        sinkhorn_tol: float | None = None,
        sinkhorn_gradient: str = "unrolled",
        sinkhorn_memory_limit: float | None = None,
        target: str | Callable[[torch.Tensor], Any] | ArrayLike | None = None,
        sigma: float | None = None,
        alpha: float | None = None,
        beta: float | None = None,
        related: Callable[[torch.Tensor], Any] | None = None,
        hidden_layer_sizes: Sequence[int] | None = None,
        dropout: float = 0.0,
        normalization: str | None = "batch",
        numeric_embedding: str | None = None,
        layers: str = "auto",
        passthrough: bool | str = "auto",
        projection_sizes: Sequence[int] = (128, 128),
        n_views: int | None = None,
        view_pairs: str = "all",
        corruption_rate: float = 0.2,
        standardize: bool = True,
        categorical_features: ArrayLike | str | None = "from_dtype",
        image_shape: Sequence[int] | None = None,
        weight_decay: float = 1e-4,
        warmup_fraction: float = 0.1,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        callbacks: Sequence[Any] | None = None,
        warm_start: bool = False,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        checkpoint_epochs: int = 10,
        checkpoint_minutes: float = 5.0,
        resume: bool = False,
        micro_batch_size: int | None = None,
        precision: str = "auto",
        compile: bool = False,
        device: str | torch.device = "auto",
        n_threads: int | str = "auto",
        distributed: bool | None = None,
        n_reference_rows: int = 1000,
        verbose: int = 0,
        n_iter: int | str | None = "deprecated",
        memory_limit: float | str | None = "deprecated",
        restore_best: bool | str = "deprecated",
        max_grad_norm: float | str | None = "deprecated",
    ) -> None:
        self.n_components = n_components
        self.loss = loss
        self.epsilon = epsilon
        self.marginals = marginals
        self.encoder = encoder
        self.views = views
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.random_state = random_state
        self.cost = cost
        self.layout = layout
        self.q = q
        self.lam = lam
        self.kl = kl
        self.kl_weight = kl_weight
        self.rince_weight = rince_weight
        self.marginal_weight = marginal_weight
        self.entropy_weight = entropy_weight
        self.uniformity_weight = uniformity_weight
        self.ema_decay = ema_decay
        self.sinkhorn_n_iter = sinkhorn_n_iter
        self.sinkhorn_tol = sinkhorn_tol
        self.sinkhorn_gradient = sinkhorn_gradient
        self.sinkhorn_memory_limit = sinkhorn_memory_limit
        self.target = target
        self.sigma = sigma
        self.alpha = alpha
        self.beta = beta
        self.related = related
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.normalization = normalization
        self.numeric_embedding = numeric_embedding
        self.layers = layers
        self.passthrough = passthrough
        self.projection_sizes = projection_sizes
        self.n_views = n_views
        self.view_pairs = view_pairs
        self.corruption_rate = corruption_rate
        self.standardize = standardize
        self.categorical_features = categorical_features
        self.image_shape = image_shape
        self.weight_decay = weight_decay
        self.warmup_fraction = warmup_fraction
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.callbacks = callbacks
        self.warm_start = warm_start
        self.checkpoint_dir = checkpoint_dir
        self.checkpoint_epochs = checkpoint_epochs
        self.checkpoint_minutes = checkpoint_minutes
        self.resume = resume
        self.micro_batch_size = micro_batch_size
        self.precision = precision
        self.compile = compile
        self.device = device
        self.n_threads = n_threads
        self.distributed = distributed
        self.n_reference_rows = n_reference_rows
        self.verbose = verbose
        self.n_iter = n_iter
        self.memory_limit = memory_limit
        self.restore_best = restore_best
        self.max_grad_norm = max_grad_norm

    @property
    def encoder_(self) -> Encoder:
        """Fitted encoder."""
        encoder: Encoder = self.net_.module_.encoder
        return encoder

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
        """Learn the embedding.

        An interrupt from the keyboard ends training early. The embedder then has the weights learned so far.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features), or array-like of shape (n_samples, ...)
            Training rows, at least 2. A table is an array, a sparse matrix, or a pandas or polars data frame; its
            columns hold numbers, categories, dates, durations or times of day. Parquet files (by their path), Arrow
            tables, and lazy frames of dask and polars are read part by part. Masked values are missing values.
            Images have shape (n, h, w), (n, c, h, w) or (n, h, w, c), or are flattened if ``image_shape`` is set.
            Series have shape (n, channels, length), or are a list of arrays (channels, length) of unequal lengths, and
            may have gaps (NaN). An array of three dimensions holds images if they are square or of type uint8, and else
            series, unless ``encoder`` or ``image_shape`` determines the kind. Data outside of memory are read batch by
            batch: ``numpy.memmap``, zarr, h5py, or a map-style :class:`torch.utils.data.Dataset`.
        y : array-like of shape (n_samples,) or (n_samples, k), default=None
            Labels or values for the ``target`` if that reads y. Otherwise ignored, so that a Pipeline can pass y.
        sample_weight : array-like of shape (n_samples,), default=None
            Mass of each row in the transport plan, finite and >= 0. Rows of weight 0 are left out.
        sample_domain : array-like of shape (n_samples,), default=None
            Domain of each row, a number or text, for ``target="domains"``. -1, None and NaN mark rows without a domain.
        sample_group : array-like of shape (n_samples,) or (n_samples, k), default=None
            Groups of related rows, such as subjects or documents. Rows of the same group are not negatives of each
            other. -1, None and NaN mark rows without a group. With ``related``, any values that it can read.
        X_pair : as X, default=None
            A second measurement of each row of X. It replaces augmentation: the first view is made from X and the
            second from X_pair. Both are left unchanged unless ``views`` is set.

        Returns
        -------
        GCAEmbedder
            The fitted estimator.

        Raises
        ------
        InvalidParameterError
            If a parameter is out of range, or has no effect.
        ValueError
            If X, y or the metadata are invalid.
        TrainingDivergedError
            If the loss or its gradient is not finite from the start, at every learning rate that was tried.
        CheckpointError
            If ``checkpoint_dir`` cannot be written to, or holds a checkpoint that training cannot resume from.

        Warns
        -----
        ConvergenceWarning
            If training was rolled back from values that are not finite, learned nothing, or collapsed.
        UserWarning
            If training was interrupted from the keyboard, or if the shape of X can mean something else than it was read
            as.
        FutureWarning
            If a deprecated parameter is set.
        """
        continues = self.warm_start and hasattr(self, "net_")
        with in_training(self) as ranks:
            inputs = check_inputs(self, X, y, sample_weight, sample_domain, sample_group, X_pair, reset=not continues)
            trained = train(self, inputs, continues=continues, ranks=ranks)
            self._stream: Stream | None = None
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
        """Continue training in one pass over the given rows, at the constant learning rate ``lr``.

        The first call learns scales, categories and missing values from its rows. Later calls do not change them, so a
        category that first appears later is unknown. After ``fit``, training continues from the fitted network.

        Each call refits the columns of the embedding on up to 2,048 random rows of all rows seen so far. So estimators
        that were fitted on the embedding must be fitted again. Of the parameters, ``lr`` and ``batch_size`` may change
        between calls.

        Parameters
        ----------
        X, y, sample_weight, sample_domain, sample_group, X_pair
            As in ``fit``. Rows are contrasted with other rows of the same call only, up to ``batch_size``. X may also
            be a :class:`torch.utils.data.IterableDataset`, without metadata. It is read once, in parts of up to 16
            batches, and each part is trained on as in a call of its own.

        Returns
        -------
        GCAEmbedder
            The fitted estimator.

        Raises
        ------
        InvalidParameterError
            If a parameter is out of range, or has no effect.
        ValueError
            If X, y or the metadata are invalid, or X has other columns than before. The estimator is then left
            unchanged.
        """
        self._validate_params()  # fit_context skips this once an estimator is fitted
        is_first = not hasattr(self, "net_")
        with in_training(self) as ranks:
            for part in parts_of(X, self.batch_size):
                inputs = check_inputs(self, part, y, sample_weight, sample_domain, sample_group, X_pair, reset=is_first)
                trained, self._stream = train_on_part(self, inputs, getattr(self, "_stream", None), ranks)
                self._take(trained)
                is_first = False
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Embed rows.

        Parameters
        ----------
        X : as in ``fit``
            Rows with the columns seen in ``fit``; images and series of the same shape as in ``fit``, except for series
            of unequal lengths. Images of 8 bits may be divided by 255 where those of ``fit`` were not, and conversely.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out)
            The ``n_components`` columns of the embedding, followed by the passthrough columns. float32 for input of
            type float32 and for images of type uint8, otherwise float64.

        Raises
        ------
        TypeError, ValueError
            If X does not have the columns seen in ``fit`` or holds infinite values, or if images hold NaN.

        Warns
        -----
        UserWarning
            If the values are far from those of ``fit``, as in other units.
        """
        return self._embed(X)

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Score the embedding without labels, to detect bad settings. It does not choose among good ones.

        Embeddings that are too narrow, hardly trained or collapsed have a lower score than that of the default, on the
        same rows. The setting with the highest score is not significantly more accurate than the default, nor are those
        that other scores pick: ``docs/evidence/scores.md`` has the figures.

        Ten views of each row are embedded, and :func:`skgca.metrics.view_information_score` measures their information
        in nats. The views are always those of ``views="auto"`` with the default ``corruption_rate``. So scores are
        comparable between embedders that were trained with different losses, epsilons, marginals, targets, widths or
        views. Passthrough columns are not used.

        Parameters
        ----------
        X : as in ``transform``
            Rows, at least 2, preferably held out from training. Of more than 1,000 rows, 1,000 evenly spaced rows are
            used.
        y : object, default=None
            Ignored. It exists for API consistency with scikit-learn's searches.

        Returns
        -------
        float
            Higher is better. It is 0 for an embedding that does not distinguish rows. Compare scores on the same rows.

        Raises
        ------
        ValueError
            If X has fewer than 2 rows.
        TypeError, ValueError
            As ``transform``.

        See Also
        --------
        skgca.metrics.make_view_scorer : Make scorers with other measures and views.
        """
        check_is_fitted(self)
        rows = check_rows(self, X, reset=False, min_rows=2)
        with known_settings(self.n_threads):
            return information_of_views(self.encoder_, self.reader_, rows, self.net_.device)

    @validate_params({"epsilon": _STRENGTH, "rho": _STRENGTH}, prefer_skip_nested_validation=True)
    def outlier_score(self, X: ArrayLike, *, epsilon: float = 0.2, rho: float = 1.0) -> np.ndarray:
        """Score how far rows are from the training rows, by their unmatched mass in relaxed optimal transport.

        The embeddings of ``n_reference_rows`` training rows are transported to each other, with the cosine cost and
        relaxed marginals [2]_. No row is transported to itself. Each row of X is then transported to the training rows
        with the column potentials of that plan, independently of the other rows of X. A training row in X is not
        compared with itself, so scores of training rows and of new rows are comparable.

        Parameters
        ----------
        X : as in ``transform``
            Rows.
        epsilon : float, default=0.2
            Entropic regularisation, in units of the cosine cost, which lies in [0, 2]. The smaller it is, the nearer
            training rows must be to count as close. It is unrelated to the ``epsilon`` of training, which compares
            projections.
        rho : float, default=1.0
            Strength of the marginals, in units of the cosine cost. It changes the scale of the scores, and hardly their
            order.

        Returns
        -------
        ndarray of shape (n_samples,)
            Share of the mass of each row that is not matched, at most 1. The higher, the more outlying. It is 0 if all
            mass is matched, and below 0 if a row in a dense region sends more than its mass.

        Raises
        ------
        ValueError
            If ``epsilon`` or ``rho`` is not finite and above 0, or if fewer than 2 training rows were kept.
        TypeError, ValueError
            As ``transform``.

        References
        ----------
        .. [2] L. Chizat, G. Peyre, B. Schmitzer, F.-X. Vialard, "Scaling algorithms for unbalanced optimal transport
           problems", Mathematics of Computation 87, 2018.
        """
        check_is_fitted(self)
        reference = getattr(self, "reference_", np.empty((0, 0)))  # files of early versions do not hold it
        if len(reference) < 2:
            raise ValueError(
                f"outlier_score compares with training rows, of which {len(reference)} are kept; fit with "
                "n_reference_rows=1000, or at least 2."
            )
        embedding = self._embed(X)
        with known_settings(self.n_threads):
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
        """Estimate time and memory of ``fit`` from nine steps on a copy. The estimator is left unchanged.

        X is read completely, as in ``fit``. Checkpoints and callbacks are not included.

        Parameters
        ----------
        X, y, sample_weight, sample_domain, sample_group, X_pair
            As in ``fit``.

        Returns
        -------
        CostEstimate
            Record with the attributes ``seconds``, ``bytes``, ``n_epochs``, ``n_steps`` and ``seconds_per_step``, which
            ``print`` shows as a sentence.

        Raises
        ------
        InvalidParameterError, ValueError, TypeError
            If ``fit`` would raise it before training.
        """
        continues = self.warm_start and hasattr(self, "net_")
        tried = copy.copy(self)
        with in_training(tried) as ranks:
            inputs = check_inputs(tried, X, y, sample_weight, sample_domain, sample_group, X_pair, reset=not continues)
            return estimate_cost(tried, inputs, continues=continues, ranks=ranks)

    def history_frame(self) -> Any:
        """Return ``history_`` as a data frame.

        .. deprecated:: 0.2
            Use ``pandas.DataFrame(embedder.history_)``. ``history_frame`` will be removed in 0.4.

        Returns
        -------
        pandas.DataFrame
            One row per epoch, with the columns of ``history_``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        warn_of_history_frame()
        check_is_fitted(self)
        pd = import_optional("pandas", needed_for="history_frame", instead="use history_.")
        return pd.DataFrame(self.history_, columns=list(COLUMNS))

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return the names of the output columns: those of the embedding, then the passthrough columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input columns. None is ``feature_names_in_``, or "x0", "x1" and so on if that is not defined.

        Returns
        -------
        ndarray of str
            "gcaembedder0", "gcaembedder1" and so on for the embedding. Numeric passthrough columns keep their input
            names. Indicators of missing values are named "missingindicator_name", and one-hot columns "name_category".
            A date "when" is "when" for elapsed time, and "when_hour_sin" and so on for its cycles.
            A name that would repeat gets a number: "gcaembedder_2_0" if "gcaembedder0" is an input, else "name_2".
        """
        check_is_fitted(self)
        input_names = check_feature_names_in(self, input_features)
        passed = self.reader_.plain_names(self.encoder_.stem, input_names) if self.encoder_.passthrough else []
        names = output_names(type(self).__name__.lower(), self._n_features_out - len(passed), passed)
        return np.array(names, dtype=object)

    def __sklearn_clone__(self) -> GCAEmbedder:
        """Clone as any estimator does, except that callbacks share objects that cannot be copied, such as a writer."""
        bare = copy.copy(self)
        bare.callbacks = None
        other: GCAEmbedder = clone_parametrized(bare)
        if self.callbacks is not None:
            other.callbacks = [copied_callback(callback) for callback in self.callbacks]
        return other

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted embedder to one file in the safetensors format, without pickles.

        The file holds the parameters, the weights, the preprocessing, the versions of packages, and a few made-up rows
        with their embeddings, by which it is verified. Of the training data, it holds column names, categories, and the
        embeddings of ``n_reference_rows`` rows, including their passthrough columns. Objects of your own classes that
        are needed only for training, such as a view, are left out unless they have ``get_config``.

        Parameters
        ----------
        path : str or path
            Path of the file. An existing file is replaced once the new one is complete.

        Raises
        ------
        SavedFileError
            If the file could not be opened again.
        NotFittedError
            If the embedder is not fitted.
        OSError
            If the file cannot be written.
        """
        check_is_fitted(self)
        with known_settings(self.n_threads):
            save(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        custom: dict[str, Any] | None = None,
        device: str | torch.device | None = None,
    ) -> GCAEmbedder:
        """Open a file that :meth:`save` wrote. No code in the file is run, and no class is imported by its name.

        Parameters
        ----------
        path : str or path
            Path of the file.
        custom : dict, default=None
            Classes or values of your own that the file does not hold, by the names of their parameters. For a class
            with ``get_config``, pass the class; the file holds the arguments of its constructor. Its key may also be
            the name of the class. For others, pass the value. An ``encoder`` of your own is required. It gets its
            weights from the file, so a Module must have the same architecture. Other parameters are required by ``fit``
            only.
        device : str or torch.device, default=None
            New value of the parameter ``device``. None keeps the saved value, or takes the CPU, with a warning, if
            this machine does not have that device.

        Returns
        -------
        GCAEmbedder
            The fitted embedder. Its embeddings of a few rows are compared with those of the saved one.

        Raises
        ------
        SavedFileError
            If the file is damaged, was not written by :meth:`save` or was written by a later version, or if it needs a
            class that is not given.
        ValueError
            If this machine does not have ``device``.
        OSError
            If the file cannot be read.
        """
        with known_settings():
            return load(cls, path, custom=custom, device=device)

    def export_onnx(self, path: str | os.PathLike[str]) -> None:
        """Export preprocessing and encoder as an ONNX graph from ``X`` to ``embedded``, and verify it with onnxruntime.

        The input is float32 of shape (n, ...), as in ``transform``: tables with NaN for missing values, images and
        series in the layout of ``fit``. A column of text holds the codes of its categories instead. They count from 1,
        in the order of "categories" in the metadata of the file, and 0 is an unknown category. The metadata also hold
        "feature_names" and "output_names", as JSON. The graph scales numbers in double precision. Tables with dates,
        durations or times of day cannot be exported.

        Needs ``pip install "skgca[onnx]"``.

        Parameters
        ----------
        path : str or path
            Path of the file.

        Raises
        ------
        ImportError
            If onnx, onnxscript or onnxruntime is missing.
        SavedFileError
            If the encoder cannot be exported, if embeddings by onnxruntime differ by more than 1e-5 of their largest
            value, or if series have gaps or unequal lengths.
        """
        check_is_fitted(self)
        with known_settings(self.n_threads):
            export_onnx(self, path)

    def __getstate__(self) -> dict[str, Any]:
        """Return plain values and arrays: of the net, only the weights of its module, on the CPU."""
        with known_settings():
            return pickled_state(self, super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        with known_settings():
            super().__setstate__(unpickled_state(self, state))

    def __copy__(self) -> GCAEmbedder:
        """Share all attributes. The default, which uses __getstate__, would copy the weights."""
        other = type(self).__new__(type(self))
        other.__dict__.update(vars(self))
        return other

    def _sk_visual_block_(self) -> Any:
        return visual_block(self)

    def _repr_html_inner(self) -> str:
        return str(super()._repr_html_inner()) + html_table(self)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**kwargs)
        return {**bundle, "text/html": self._repr_html_inner()} if "text/html" in bundle else bundle

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: tables may have categories and missing values, and a target may need y."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.sparse = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.target_tags.required = reads_y(effective_target(self.loss, self.target))
        return tags

    def _embed(self, X: ArrayLike) -> np.ndarray:
        """Embed rows into an array, regardless of ``set_output``."""
        check_is_fitted(self)
        rows = check_rows(self, X, reset=False)
        with known_settings(self.n_threads), threads_of(self, self.net_, self.reader_):
            return embed(self.encoder_, self.reader_, rows, self._n_features_out, self.net_.device)

    def _take(self, trained: Trained) -> None:
        """Set the fitted attributes from the result of a training."""
        net = trained.net
        self.reader_ = trained.reader
        self.net_ = net
        self.reference_ = trained.reference
        self._n_features_out = trained.reference.shape[1]
        self.epsilon_ = net.criterion_.epsilon
        self.history_ = epoch_records(net.history)
        self.n_epochs_ = len(self.history_)
        self.stop_reason_ = net.stop_reason
        self.best_epoch_ = self.n_epochs_
        if self.early_stopping:  # by our callback, or by that of the user which replaces it
            self.best_epoch_ = next(c.best_epoch_ for _, c in net.callbacks_ if isinstance(c, EarlyStopping))
