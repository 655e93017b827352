"""The levels of a training's loss: what its mean over the batches of an epoch is by chance, and at best."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from skorch.callbacks import Callback

from .._data import RowDataset, n_even_batches
from ..losses._levels import LossLevels, loss_levels

if TYPE_CHECKING:
    from ..losses import AlignmentLoss
    from .net import ContrastiveNet

__all__ = ["RecordLevels", "levels_in_words", "levels_of_epoch"]

_ARGUMENTS = {"weight": "sample_weight", "related": "sample_group"}  # of fit, by what the loss reads


class RecordLevels(Callback):
    """Record with each epoch what its loss is by chance and at best, NaN where that is not known."""

    def on_train_begin(self, net: ContrastiveNet, X: Any = None, **kwargs: Any) -> None:
        """Compute the levels."""
        self.levels_ = levels_of_epoch(net.criterion_, X, net.batch_size)
        self.epsilon_ = net.criterion_.epsilon

    def on_epoch_end(self, net: ContrastiveNet, dataset_train: Any = None, **kwargs: Any) -> None:
        """Record the levels, computed again if epsilon was learned."""
        if net.criterion_.epsilon != self.epsilon_:
            self.on_train_begin(net, X=dataset_train)
        net.history.record("loss_by_chance", self.levels_.by_chance)
        net.history.record("loss_at_best", self.levels_.at_best)


def levels_of_epoch(loss: AlignmentLoss, dataset: RowDataset, batch_size: int) -> LossLevels:
    """Return the levels of the mean loss of an epoch; see :func:`skgca.losses._levels.loss_levels`.

    They are NaN if rows have weights, relatives or what a target reads, since the levels of a batch then depend on
    which rows are in it.
    """
    if dataset.extras:
        return LossLevels()
    n_rows = len(dataset)
    n_batches = n_even_batches(n_rows, batch_size)
    smaller, n_larger = divmod(n_rows, n_batches)  # batches of two sizes, each weighted by its rows
    of_smaller = loss_levels(loss, smaller)
    of_larger = loss_levels(loss, smaller + 1) if n_larger else of_smaller
    share = n_larger * (smaller + 1) / n_rows
    return LossLevels(
        (1 - share) * of_smaller.by_chance + share * of_larger.by_chance,
        (1 - share) * of_smaller.at_best + share * of_larger.at_best,
    )


def levels_in_words(levels: LossLevels, loss: AlignmentLoss, dataset: RowDataset, batch_size: int) -> str:
    """Return a sentence that says what the loss is by chance and at best, or why that is not known."""
    if not loss.repels:
        return "This loss does not compare rows with each other, so it has no chance level."
    if math.isnan(levels.by_chance):
        return f"The chance level of the loss is not known: it depends on {_what_decides(loss, dataset)}."
    best = "" if math.isnan(levels.at_best) else f" Lowest possible loss: {levels.at_best:.4f} (best)."
    n_rows = -(-len(dataset) // n_even_batches(len(dataset), batch_size))
    return (
        f"Loss of an embedding that does not distinguish rows: {levels.by_chance:.4f} (chance).{best} "
        f"Batches of {n_rows} rows, epsilon {loss.epsilon:g}."
    )


def _what_decides(loss: AlignmentLoss, dataset: RowDataset) -> str:
    given = [argument for name, argument in _ARGUMENTS.items() if name in dataset.extras]
    if loss.target.reads is not None or loss.target.reads_embeddings:
        return f"which rows of a batch match under target={loss.target!r}"
    if given:
        return f"the {' and '.join(given)} of the rows in a batch"
    return "the costs, which these marginals, epsilon or cost leave open"
