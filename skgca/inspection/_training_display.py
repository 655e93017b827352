"""The course of a training: whether it converged, and whether the embedding collapsed.

The display is drawn from the history of a fitted embedder. It shows whether training was long enough, which epoch was
kept, and whether views came together while rows spread out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._drawing import COLORS, axes_for, embedder_of

__all__ = ["TrainingDisplay"]


class TrainingDisplay:
    """Loss, alignment, uniformity and effective rank of a training, epoch by epoch.

    Use it after ``fit`` to see whether training converged, overfitted or collapsed. The numbers are in ``history_`` of
    the embedder.

    The left panel has the loss of the training rows and, with early stopping, of the held-out rows. Thin lines show the
    loss of an embedding that does not distinguish rows (chance) and the lowest possible loss (best); ``history_`` of
    :class:`skgca.GCAEmbedder` defines both. The middle panel has alignment against uniformity. In a good training, the
    points move up, as the views of a row come together, and to the right, as rows spread out. The right panel has the
    effective rank of the embedding. If both alignment and uniformity end at 0, the embedding has collapsed, and the
    effective rank is low.

    Parameters
    ----------
    history : list of dict
        ``history_`` of a :class:`skgca.GCAEmbedder`, also of an earlier version.
    best_epoch : int, default=None
        Epoch whose weights were kept; a dotted line marks it.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        The three panels.
    figure_ : matplotlib Figure

    See Also
    --------
    skgca.GCAEmbedder : Its attribute ``history_`` holds the same values.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgca import GCAEmbedder
    >>> from skgca.inspection import TrainingDisplay
    >>> embedder = GCAEmbedder(max_epochs=5, early_stopping=True, random_state=0)
    >>> embedder = embedder.fit(load_iris().data)
    >>> display = TrainingDisplay.from_estimator(embedder)
    >>> [ax.get_xlabel() for ax in display.axes_]
    ['epoch', 'uniformity', 'epoch']
    """

    def __init__(self, history: Sequence[dict[str, Any]], *, best_epoch: int | None = None) -> None:
        self.history = list(history)
        self.best_epoch = best_epoch

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> TrainingDisplay:
        """Draw the training of a fitted embedder.

        Parameters
        ----------
        estimator : GCAEmbedder or Pipeline
            Fitted.
        ax : matplotlib Axes or sequence of three, default=None
            Axes to draw on. One is divided into three panels. None makes a new figure.

        Returns
        -------
        TrainingDisplay

        Raises
        ------
        TypeError
            If the estimator is no embedder, nor a pipeline with one.
        ValueError
            If no epoch was trained, ``ax`` has neither one nor three axes, or a pipeline has several embedders.
        """
        embedder = embedder_of(estimator).embedder
        best = embedder.best_epoch_ if embedder.early_stopping else None
        return cls(embedder.history_, best_epoch=best).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> TrainingDisplay:
        """Draw the three panels.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of three, default=None
            Axes to draw on. One is divided into three panels. None makes a new figure.

        Returns
        -------
        TrainingDisplay
        """
        if not self.history:
            raise ValueError(
                "There is no epoch to show: training had max_epochs=0, or was interrupted in its first epoch."
            )
        self.axes_ = axes_for(ax, 3, width=12, height=3.6)
        self.figure_ = self.axes_[0].figure
        self._plot_loss(self.axes_[0])
        self._plot_geometry(self.axes_[1])
        self._plot_rank(self.axes_[2])
        for panel in (self.axes_[0], self.axes_[2]):
            panel.xaxis.get_major_locator().set_params(integer=True)
        if ax is None:  # else the labels of the colour bar and of the last panel almost touch
            self.figure_.get_layout_engine().set(wspace=0.06)
        return self

    def _column(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the epochs in which a value was measured, and the values."""
        # Long trainings are monitored in some epochs only; in all others the value is missing.
        values = np.array([record.get(name, np.nan) for record in self.history], dtype=float)
        epochs = np.array([record["epoch"] for record in self.history])
        is_measured = ~np.isnan(values)
        return epochs[is_measured], values[is_measured]

    def _plot_loss(self, ax: Any) -> None:
        ax.plot(*self._column("loss"), color=COLORS[0], label="training")
        epochs, held_out = self._column("valid_loss")
        if len(epochs):
            ax.plot(epochs, held_out, color=COLORS[3], linestyle="--", label="held out")
        for name, label, style in (("loss_by_chance", "by chance", (0, (1, 2))), ("loss_at_best", "at best", "-.")):
            epochs, level = self._column(name)
            if len(epochs):
                ax.plot(epochs, level, color="0.4", linewidth=0.8, linestyle=style, label=label)
        self._mark_best(ax)
        ax.set(xlabel="epoch", ylabel="loss", title="Loss")
        ax.legend()

    def _plot_geometry(self, ax: Any) -> None:
        epochs, alignment = self._column("alignment")
        _, uniformity = self._column("uniformity")
        ax.plot(uniformity, alignment, color="0.7", zorder=1)
        points = ax.scatter(uniformity, alignment, c=epochs, cmap="cividis", zorder=2)
        colorbar = ax.figure.colorbar(points, ax=ax, label="epoch")
        colorbar.locator.set_params(integer=True)
        colorbar.update_ticks()
        ax.set(xlabel="uniformity", ylabel="alignment", title="Up: views agree; right: rows spread")

    def _plot_rank(self, ax: Any) -> None:
        ax.plot(*self._column("effective_rank"), color=COLORS[0], marker=".")
        self._mark_best(ax)
        ax.set(xlabel="epoch", ylabel="dimensions", title="Effective rank")
        ax.set_ylim(bottom=0)

    def _mark_best(self, ax: Any) -> None:
        if self.best_epoch is not None:
            ax.axvline(self.best_epoch, color="0.4", linestyle=":", label="epoch kept")
