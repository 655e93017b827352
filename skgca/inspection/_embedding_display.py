"""An embedding in two dimensions: which rows are close, and whether classes or values separate.

The display is drawn from the output of ``transform``, reduced by PCA, GCAMap, t-SNE or UMAP. It is for a first look. A
reduction to two dimensions may hide structure, and all methods except PCA distort distances.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import type_of_target

from .._estimator.map import GCAMap
from .._utils.classes import sorted_classes, without_objects
from .._utils.optional import import_optional
from ._drawing import COLORS, MOST_STYLES, axes_for, styles
from ._groups import unknown

__all__ = ["EmbeddingDisplay"]


def _umap(random_state: Any) -> Any:
    umap = import_optional("umap", needed_for="method='umap'", package="umap-learn", instead="use 'map' or 'tsne'.")
    return umap.UMAP(n_components=2, random_state=random_state)


_NAMES = {"map": "GCAMap", "pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
_METHODS: dict[str, Callable[[Any], Any]] = {
    "map": lambda random_state: GCAMap(standardize=False, random_state=random_state),
    "pca": lambda random_state: PCA(n_components=2, random_state=random_state),
    "tsne": lambda random_state: TSNE(n_components=2, random_state=random_state),
    "umap": _umap,
}


class EmbeddingDisplay:
    """Rows of an embedding in two dimensions, coloured by class or by value.

    Use it for a first look at an embedding. To place new rows in the same picture, fit a :class:`skgca.GCAMap`.

    Each class in y has a colour of its own, and from the ninth class on, markers differ too. The colours of up to 8
    classes can be told apart with any colour vision. Numbers with fractions have a colour scale. Without y, all rows
    have the same colour.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        Coordinates of the rows.
    y : array-like of shape (n,), default=None
        Classes of the rows, or numbers. None, NaN, and -1 among whole numbers are unknown, and drawn in grey.
    method : str, default="component"
        Name of the axes, which is followed by their number.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgca import GCAEmbedder
    >>> from skgca.inspection import EmbeddingDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = GCAEmbedder(max_epochs=5, random_state=0).fit(X)
    >>> EmbeddingDisplay.from_estimator(embedder, X, y).ax_.get_xlabel()
    'PCA 1'
    """

    def __init__(self, points: np.ndarray, *, y: ArrayLike | None = None, method: str = "component") -> None:
        self.points = points
        self.y = y
        self.method = method

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        method: Any = "auto",
        max_rows: int = 5000,
        random_state: int | np.random.RandomState | None = 0,
        ax: Any = None,
    ) -> EmbeddingDisplay:
        """Embed rows, reduce the embedding to two dimensions, and draw it.

        Parameters
        ----------
        estimator : transformer
            Fitted; a GCAEmbedder, a GCAMap, a pipeline that ends in one, or any other transformer.
        X : as in ``transform``
            Rows.
        y : array-like of shape (n_samples,), default=None
            Classes or numbers that colour the rows.
        method : {"auto", "pca", "map", "tsne", "umap"} or transformer, default="auto"
            Reduces the embedding to two dimensions. "map" is :class:`skgca.GCAMap`. "umap" needs umap-learn. A
            transformer is cloned. "auto" leaves an embedding of two columns as it is, such as that of a GCAMap, and is
            "pca" for a wider one.
        max_rows : int, default=5000
            If X has more rows, this many are drawn at random.
        random_state : int, RandomState instance or None, default=0
            Draws the rows, and is the seed of the method.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        EmbeddingDisplay

        Raises
        ------
        ValueError
            If the method is not known, or ``y`` has another length than X or more than 64 classes.
        """
        if isinstance(method, str) and method not in ("auto", *_METHODS):
            raise ValueError(
                f"method={method!r} is not known; use one of {sorted(['auto', *_METHODS])}, or a transformer."
            )
        rng = check_random_state(random_state)
        embedding = np.asarray(estimator.transform(X))
        values: np.ndarray | None = None if y is None else column_or_1d(y)
        check_consistent_length(embedding, values)
        if len(embedding) > max_rows:
            rows = np.sort(rng.choice(len(embedding), max_rows, replace=False))
            embedding, values = embedding[rows], None if values is None else values[rows]
        if method == "auto":
            if embedding.shape[1] == 2:
                return cls(embedding, y=values).plot(ax=ax)
            method = "pca"
        reducer = _METHODS[method](rng.randint(2**31 - 1)) if isinstance(method, str) else clone(method)
        name = _NAMES[method] if isinstance(method, str) else type(reducer).__name__
        points = np.asarray(reducer.fit_transform(embedding))[:, :2]
        return cls(points, y=values, method=name).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> EmbeddingDisplay:
        """Draw the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        EmbeddingDisplay
        """
        values = None if self.y is None else column_or_1d(self.y)
        known = np.ones(len(self.points), dtype=bool) if values is None else ~unknown(values)
        numeric = (
            values is not None
            and known.any()
            and type_of_target(without_objects(values[known])).startswith("continuous")
        )
        classes = [] if values is None or numeric else sorted_classes(values[known].tolist())
        if len(classes) > MOST_STYLES:
            raise ValueError(
                f"y has {len(classes)} classes, and only {MOST_STYLES} can be told apart; leave y out, or merge "
                "classes. Numbers with fractions are no classes, and are coloured by value."
            )
        (self.ax_,) = axes_for(ax, 1, width=6.5, height=5)
        self.figure_ = self.ax_.figure
        if not known.all():  # first, so that known rows lie on top
            self.ax_.scatter(*self.points[~known].T, s=12, color="0.8", label="unknown")
        if values is None:
            self.ax_.scatter(*self.points.T, s=12, color=COLORS[0])
        elif numeric:
            drawn = self.ax_.scatter(*self.points[known].T, s=12, c=values[known].astype(float), cmap="cividis")
            self.figure_.colorbar(drawn, ax=self.ax_, label="y")
        else:
            self._scatter_classes(values, known, classes)
        self.ax_.set(xlabel=f"{self.method} 1", ylabel=f"{self.method} 2")
        return self

    def _scatter_classes(self, values: np.ndarray, known: np.ndarray, classes: list[Any]) -> None:
        for name, style in zip(classes, styles(len(classes)), strict=True):
            rows = known.copy()  # unknown values, such as None, may not be comparable with a class
            rows[known] = [value == name for value in values[known].tolist()]
            self.ax_.scatter(*self.points[rows].T, s=14, label=str(name), **style)
        self.ax_.legend(title="y", loc="center left", bbox_to_anchor=(1, 0.5), ncols=1 + (len(classes) - 1) // 16)
