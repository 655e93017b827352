"""GCAMap: a picture of the rows in two dimensions, with a network that places new rows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._data import RowDataset, TableReader, check_rows, n_even_batches
from .._data.kinds import kind_of
from .._persistence.maps import load_map, save_map
from .._training.coordinates import CoordinateNet
from .._utils.compat import DocumentationLinkMixin, Interval, StrOptions, fit_context
from .._utils.random import RandomStreams
from .._utils.torch_state import known_settings
from ..encoders import Encoder, Standardization
from ..losses import PRESETS
from .embedder import GCAEmbedder
from .fitting import Prepared, finish, in_training, prepare, unchanged_on_failure
from .inputs import check_inputs
from .parts import fitted_embedder

__all__ = ["GCAMap"]

# What "auto" stands for; docs/develop/decisions.md says why. Pairs hold a number of rows, and a value for fewer rows.
_EPOCHS, _MOST_EPOCHS, _MOST_STEPS = ((1000, 100),), 160, 10_000
_BATCH_SIZES, _LARGEST_BATCH = ((3000, 256),), 512
_WIDTHS, _LARGEST_WIDTH, _DEPTH = ((3000, 128),), 256, 4
_N_STARTING_STEPS = 100
# Shares of the cells that are corrupted: of few rows, and of rows that are few for their number of columns.
_FEW_ROWS, _RATE_OF_FEW = 2500, 0.1
_PER_COLUMN, _LARGEST_RATE = 1.5, 0.3


class GCAMap(DocumentationLinkMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Map of the rows in two dimensions, in which rows that are alike are near each other.

    Use it to look at data, as t-SNE and UMAP are used, if new rows are to be placed in the same map: ``transform`` is
    one pass through a small network. To train a model, use :class:`GCAEmbedder` instead, whose embedding is wider.

    Rows are linked to their nearest neighbours. The network starts from the principal components, so that maps of
    different seeds have the same broad shape. It learns to place a row near a random neighbour and away from other
    rows, by the same losses as :class:`GCAEmbedder`. Their cost is ``log(1 + distance ** 2)``, so that the kernel is
    Student's t, as in t-SNE [1]_ and in contrastive neighbour embeddings [2]_. With "gca_ince", the plan between the
    rows of a batch and their neighbours is balanced.

    The parameters below are listed in groups:

    - essentials: ``n_components``, ``embedder``, ``n_neighbors``
    - loss: ``loss``, ``epsilon``
    - views and network: ``corruption_rate``, ``hidden_layer_sizes``
    - optimisation: ``max_epochs``, ``batch_size``, ``lr``
    - input: ``standardize``, ``categorical_features``
    - runtime: ``device``, ``n_threads``, ``random_state``, ``verbose``

    Parameters
    ----------
    n_components : int, default=2
        Number of dimensions of the map.
    embedder : GCAEmbedder, default=None
        Embeds the rows before their neighbours are found. A fitted one is used as it is. None uses the columns of a
        table as they are read, and embeds images and series by ``GCAEmbedder()``, since the neighbours of a row in the
        embedding are more alike than those in pixels.
    n_neighbors : int, default=5
        Number of nearest neighbours to which a row is linked, by the Euclidean distance of standardised columns. A
        larger number shows less detail.
    loss : str, default="gca_ince"
        Name of a loss, as in :class:`GCAEmbedder`, without "byol" and "supcon".
    epsilon : float, default=1.0
        Entropic regularisation. The kernel is ``(1 + distance ** 2) ** (-1 / epsilon)``.
    corruption_rate : float or "auto", default="auto"
        Share of the cells that :class:`skgca.views.ColumnCorruption` replaces while the network learns, in [0, 1]. It
        helps to place new rows if there are few rows to learn from, and blurs the map if there are many. "auto" is 0.1
        up to 2,500 rows, and ``250 / n_samples`` for more, or ``1.5 * n_columns / n_samples`` if that is larger, up to
        0.3.
    hidden_layer_sizes : sequence of int, default=None
        Widths of the hidden layers of the network. None is four layers of 128, or of 256 from 3,000 rows on.
    max_epochs : int or "auto", default="auto"
        Number of passes over the rows. "auto" is 100 up to 1,000 rows, and 160 for more, or fewer if that is more than
        10,000 steps.
    batch_size : int or "auto", default="auto"
        Number of rows that are compared with each other. "auto" is 256, and 512 from 3,000 rows on.
    lr : float, default=2e-3
        Peak learning rate.
    standardize : bool, default=True
        Whether to scale numeric columns of a table by median and interquartile range. Columns of an ``embedder`` are
        left as they are.
    categorical_features : "from_dtype", array-like of bool, int or str, or None, default="from_dtype"
        Categorical columns of a table, as in :class:`GCAEmbedder`. They become one-hot columns.
    device : str or torch.device, default="auto"
        Device of training and ``transform``, as in :class:`GCAEmbedder`.
    n_threads : int, default=1
        Number of CPU threads. The last bits of a map depend on it.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same map in each call.
    verbose : int, default=0
        1 prints a line per epoch, and 2 shows a progress bar.

    Attributes
    ----------
    embedder_ : GCAEmbedder or None
        Fitted embedder of the rows, if there is one.
    map_ : GCAEmbedder
        Fitted network: its ``transform`` makes the map from a table, or from the output of ``embedder_``. It can be
        exported by ``map_.export_onnx``.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of features seen during ``fit``. Defined only if X was a data frame whose column names are all strings.

    See Also
    --------
    skgca.inspection.EmbeddingDisplay : Draws a map.
    sklearn.manifold.TSNE : A map that cannot place new rows.

    References
    ----------
    .. [1] L. van der Maaten, G. Hinton, "Visualizing data using t-SNE", JMLR 9, 2008.
    .. [2] S. Damrich, J. N. Böhm, F. A. Hamprecht, D. Kobak, "From t-SNE to UMAP with contrastive learning", ICLR 2023.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgca import GCAMap
    >>> X, y = load_iris(return_X_y=True)
    >>> points = GCAMap(max_epochs=20, random_state=0).fit_transform(X)
    >>> points.shape
    (150, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "embedder": [None, GCAEmbedder, FrozenEstimator],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "loss": [StrOptions(set(PRESETS) - {"byol", "supcon"})],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "corruption_rate": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
        "hidden_layer_sizes": [None, "array-like"],
        "max_epochs": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 2, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "standardize": ["boolean"],
        "categorical_features": [None, StrOptions({"from_dtype"}), "array-like"],
        "device": [str, torch.device],
        "n_threads": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components: int = 2,
        *,
        embedder: GCAEmbedder | FrozenEstimator | None = None,
        n_neighbors: int = 5,
        loss: str = "gca_ince",
        epsilon: float = 1.0,
        corruption_rate: float | str = "auto",
        hidden_layer_sizes: Sequence[int] | None = None,
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        lr: float = 2e-3,
        standardize: bool = True,
        categorical_features: ArrayLike | str | None = "from_dtype",
        device: str | torch.device = "auto",
        n_threads: int = 1,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.embedder = embedder
        self.n_neighbors = n_neighbors
        self.loss = loss
        self.epsilon = epsilon
        self.corruption_rate = corruption_rate
        self.hidden_layer_sizes = hidden_layer_sizes
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.standardize = standardize
        self.categorical_features = categorical_features
        self.device = device
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: Any = None) -> GCAMap:
        """Learn the map.

        Parameters
        ----------
        X : as in :meth:`GCAEmbedder.fit`
            A table, images or series, at least 2 rows.
        y : object, default=None
            Ignored. It exists for API consistency with scikit-learn's pipelines.

        Returns
        -------
        GCAMap
            The fitted estimator.

        Raises
        ------
        InvalidParameterError, ValueError, TypeError
            If a parameter is out of range, or the rows cannot be read.
        """
        with unchanged_on_failure(self):
            rows = check_rows(self, X, reset=True, min_rows=2)
            streams = RandomStreams.of(check_random_state(self.random_state))
            given = self.embedder
            if given is None and kind_of(rows, image_shape=None) is not TableReader:
                given = GCAEmbedder(device=self.device)
            is_seeded = self.random_state is not None
            seed, seed_of_map = (streams.seed(name) % 2**32 if is_seeded else None for name in ("weights", "neighbors"))
            self.embedder_ = None if given is None else fitted_embedder(given, X, None, seed=seed, verbose=self.verbose)
            embedding = None if self.embedder_ is None else self.embedder_._embed(X)
            n_columns = (rows if embedding is None else embedding).shape[1]
            self.map_ = self._network(len(rows), n_columns, seed_of_map)
            with in_training(self.map_) as ranks:
                inputs = check_inputs(
                    self.map_, X if embedding is None else embedding, None, None, None, None, None, reset=True
                )
                inputs = replace(inputs, n_neighbors=int(self.n_neighbors))
                prepared = prepare(self.map_, inputs, continues=False, ranks=ranks)
                _start_from_principal_components(prepared)
                prepared.net.fit(prepared.training, y=None)
                self.map_._take(finish(self.map_, prepared.rows, prepared.net, ranks))
                _turn_to_principal_axes(self.map_)
        return self

    def _network(self, n_rows: int, n_columns: int, seed: int | None) -> GCAEmbedder:
        """Return the embedder that becomes the map of a table of so many rows and columns."""
        batch_size, widths, rate = self.batch_size, self.hidden_layer_sizes, self.corruption_rate
        if isinstance(batch_size, str):
            batch_size = _of_size(n_rows, _BATCH_SIZES, _LARGEST_BATCH)
        if widths is None:
            widths = (_of_size(n_rows, _WIDTHS, _LARGEST_WIDTH),) * _DEPTH
        if isinstance(rate, str):
            rate = max(
                _RATE_OF_FEW * min(1.0, _FEW_ROWS / n_rows), min(_LARGEST_RATE, _PER_COLUMN * n_columns / n_rows)
            )
        max_epochs = self.max_epochs
        if isinstance(max_epochs, str):
            n_epochs = _of_size(n_rows, _EPOCHS, _MOST_EPOCHS)
            max_epochs = max(1, min(n_epochs, _MOST_STEPS // n_even_batches(n_rows, batch_size)))
        of_table = self.embedder_ is None
        return GCAEmbedder(
            self.n_components,
            loss=self.loss,
            epsilon=self.epsilon,
            cost="student_t",
            layout="cross",
            encoder="mlp",
            hidden_layer_sizes=widths,
            layers="last",
            passthrough=False,
            projection_sizes=(),
            views=["corruption", "corruption"],
            corruption_rate=rate,
            standardize=self.standardize and of_table,
            categorical_features=self.categorical_features if of_table else "from_dtype",
            max_epochs=max_epochs,
            batch_size=batch_size,
            lr=self.lr,
            device=self.device,
            n_threads=self.n_threads,
            random_state=seed,
            verbose=self.verbose,
        )

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Place rows in the map.

        Parameters
        ----------
        X : as in ``fit``

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Coordinates. The first axis is that of the largest variance of training rows. float32 for input of type
            float32, else float64.

        Raises
        ------
        TypeError, ValueError
            If X does not have the columns seen in ``fit``, or holds infinite values.
        """
        check_is_fitted(self)
        if self.embedder_ is None:
            check_rows(self, X, reset=False)
            return self.map_._embed(X)
        return self.map_._embed(self.embedder_._embed(X))

    @property
    def _n_features_out(self) -> int:
        return int(self.map_._n_features_out)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted map to one file without pickles, with its embedder if there is one.

        Parameters
        ----------
        path : str or path
            Path of the file. An existing file is replaced once the new one is complete.

        Raises
        ------
        SavedFileError
            If the file could not be opened again.
        """
        check_is_fitted(self)
        with known_settings(self.n_threads):
            save_map(self, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        custom: dict[str, Any] | None = None,
        device: str | torch.device | None = None,
    ) -> GCAMap:
        """Open a file that :meth:`save` wrote. No code in the file is run.

        Parameters
        ----------
        path : str or path
            Path of the file.
        custom, device
            As in :meth:`GCAEmbedder.load`; ``custom`` is for the embedder.

        Returns
        -------
        GCAMap
            The fitted map.

        Raises
        ------
        SavedFileError
            If the file is damaged, or holds something else.
        """
        with known_settings():
            return load_map(cls, GCAEmbedder, path, custom=custom, device=device)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: those of the input are those of the embedder."""
        tags = super().__sklearn_tags__()
        of_embedder = GCAEmbedder().__sklearn_tags__()
        tags.input_tags = of_embedder.input_tags
        tags.transformer_tags.preserves_dtype = of_embedder.transformer_tags.preserves_dtype
        return tags


def _of_size(n_rows: int, values: Sequence[tuple[int, int]], largest: int) -> int:
    """Return the value for a number of rows, from pairs of a number and the value for fewer rows."""
    return next((value for n, value in values if n_rows < n), largest)


def _start_from_principal_components(prepared: Prepared) -> None:
    """Teach the network of a map the first principal components, so that maps of all seeds have the same broad shape.

    Without it, the place of each group of rows would be a matter of chance, as in t-SNE with a random start [1]_.

    References
    ----------
    .. [1] D. Kobak, G. C. Linderman, "Initialization is critical for preserving global data structure in both t-SNE and
       UMAP", Nature Biotechnology 39, 2021.
    """
    net, dataset = prepared.net, prepared.rows.dataset
    assert prepared.rows.features is not None  # of inputs with n_neighbors
    features = prepared.rows.features.astype(np.float64)
    if (features == features[0]).all():
        return
    n_components = min(net.module.encoder.body.n_outputs, *features.shape)
    found = PCA(n_components, random_state=0).fit_transform(features)  # the same components in each fit
    points = torch.zeros(len(features), net.module.encoder.body.n_outputs)
    points[:, :n_components] = torch.from_numpy(found / found[:, 0].std())
    CoordinateNet(
        net.module,
        order=net.random_streams.generator("start"),
        n_steps=min(_N_STARTING_STEPS, net.max_epochs * prepared.n_batches),
        batch_size=net.batch_size,
        lr=net.lr,
        device=net.device,
    ).fit(RowDataset(len(features), dataset.inputs[0], coordinates=points))


@torch.no_grad()
def _turn_to_principal_axes(fitted: GCAEmbedder) -> None:
    """Centre a fitted map, turn its axes to those of the largest variance, and leave distances as they are.

    The orientation and the place of a map have no meaning to the loss. The last layer gets both, and the readout, which
    standardises each axis on its own, is set to leave them. Distances are in the units of the kernel.
    """
    encoder: Encoder = fitted.encoder_
    last, readout = encoder.body[-1], encoder.readout
    assert isinstance(readout, Standardization)  # of layers="last"
    points = torch.from_numpy(fitted.reference_).to(readout.scale) / readout.scale  # (k, d), centred
    _, axes = torch.linalg.eigh((points.T @ points).double().cpu())
    axes = axes.flip(1).to(points)  # (d, d): one axis in each column, the largest variance first
    skewed = ((points @ axes) ** 3).sum(dim=0)
    axes = axes * torch.where(skewed < 0, -1.0, 1.0)  # signs too are the same in each fit
    last.bias.copy_(axes.T @ (last.bias - readout.mean))
    last.weight.copy_(axes.T @ last.weight)
    readout.mean.zero_()
    readout.scale.fill_(1.0)
    fitted.reference_ = (points @ axes).cpu().numpy()
