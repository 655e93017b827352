"""Fine-tuning of a fitted embedder on labelled rows, and the comparison of ways to predict from it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.linear_model import Ridge
from torch import Tensor, nn

from .._builders.views import ViewOptions, make_views
from .._data import RowDataset, Rows
from .._inference.embedding import embed
from .._persistence.state import restored_net
from .._training.fine_tuning import FineTuningNet, Output
from .._training.ranks import Ranks
from .._utils.random import RandomStreams
from ..encoders import Encoder, EncoderWithHead
from .fitting import read_rows
from .heads import Embedded, Heads, usual_head
from .inputs import FitInputs

if TYPE_CHECKING:
    from .embedder import GCAEmbedder

__all__ = ["FineTuner", "LabelledRows", "Task", "Way", "classification", "regression"]

_OUTPUT_LR = 1e-3


@dataclass(frozen=True)
class Task:
    """What distinguishes classes from numbers.

    probe : linear model whose coefficients the output starts from; criterion : losses of outputs; losses, errors : of
    the predictions of a head, ``(head, Z, y) -> (n,)``, by which ways are compared.
    """

    probe: Any
    criterion: nn.Module
    losses: Callable[[Any, np.ndarray, np.ndarray], np.ndarray]
    errors: Callable[[Any, np.ndarray, np.ndarray], np.ndarray]

    @property
    def of_classes(self) -> bool:
        """Whether the labels are numbers of classes."""
        return isinstance(self.criterion, nn.CrossEntropyLoss)

    def start(self, Z: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return coefficients (k, n_features_out) and intercept (k,) of a linear model of the embedding."""
        probe = clone(self.probe).fit(Z, y, sample_weight=weight)
        coef, intercept = np.atleast_2d(probe.coef_), np.atleast_1d(probe.intercept_)
        if len(coef) == 1 and self.of_classes:  # two classes
            coef, intercept = np.concatenate([0 * coef, coef]), np.concatenate([0 * intercept, intercept])
        return torch.from_numpy(coef).float(), torch.from_numpy(intercept).float()


def _log_losses(head: Any, Z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the log losses of classes 0, 1, ...; errors, if the head gives no probabilities."""
    if not hasattr(head, "predict_proba"):
        return _mistakes(head, Z, y)
    found = head.predict_proba(Z)
    place = np.searchsorted(head.classes_, y)
    is_known = np.isin(y, head.classes_)
    likelihood = np.where(is_known, found[np.arange(len(y)), np.minimum(place, found.shape[1] - 1)], 0.0)
    losses: np.ndarray = -np.log(np.clip(likelihood, 1e-6, 1.0))
    return losses


def _mistakes(head: Any, Z: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(head.predict(Z) != y, dtype=float)


def _squared_errors(head: Any, Z: np.ndarray, y: np.ndarray) -> np.ndarray:
    errors: np.ndarray = np.square(head.predict(Z).reshape(y.shape) - y)
    return np.asarray(errors.reshape(len(y), -1).mean(axis=1))


class _SquaredError(nn.Module):
    def forward(self, outputs: Tensor, label: Tensor) -> Tensor:
        return (outputs - label.reshape(outputs.shape)).square().mean(dim=1)


def classification() -> Task:
    """Return the task of predicting classes."""
    return Task(usual_head(), nn.CrossEntropyLoss(reduction="none"), _log_losses, _mistakes)


def regression() -> Task:
    """Return the task of predicting numbers, which have variance 1."""
    return Task(Ridge(), _SquaredError(), _squared_errors, _squared_errors)


@dataclass(frozen=True)
class LabelledRows:
    """The labelled rows of a fit: rows of X, labels (n,) or (n, k), and weights (n,); and some rows without a label."""

    rows: Rows
    y: np.ndarray
    weight: np.ndarray
    others: Rows

    def __len__(self) -> int:
        return len(self.y)

    def only(self, kept: np.ndarray) -> LabelledRows:
        """Return some of the labelled rows, by their numbers, and all others."""
        return LabelledRows(self.rows.only(kept), self.y[kept], self.weight[kept], self.others)


@dataclass(frozen=True)
class Way:
    """A number of steps of fine-tuning, a head, and the losses and errors (n,) of the held-out rows of all folds."""

    n_steps: int
    head: str
    losses: np.ndarray
    errors: np.ndarray

    @property
    def loss(self) -> float:
        """Mean loss."""
        return float(np.mean(self.losses))


class FineTuner:
    """Fine-tunes an embedder on labelled rows, and compares ways to predict on held-out rows.

    Parameters
    ----------
    embedder : GCAEmbedder
        Fitted.
    heads : Heads
        Fitted to the embeddings of the labelled rows.
    task : Task
    n_steps : int
        Number of steps.
    lr : float
        Learning rate of the encoder.
    random_streams : RandomStreams
    """

    def __init__(
        self, embedder: GCAEmbedder, heads: Heads, task: Task, *, n_steps: int, lr: float, random_streams: RandomStreams
    ) -> None:
        self.embedder = embedder
        self.heads = heads
        self.task = task
        self.n_steps = n_steps
        self.lr = lr
        self.random_streams = random_streams

    def compared(
        self, labelled: LabelledRows, folds: Sequence[tuple[np.ndarray, np.ndarray]], numbers_of_steps: Sequence[int]
    ) -> list[Way]:
        """Return the ways, each head after each number of steps, with their losses on the held-out rows of folds.

        Parameters
        ----------
        labelled : LabelledRows
        folds : sequence of tuple
            Numbers of labelled rows to learn from, and of those that are held out.
        numbers_of_steps : sequence of int
            0 is the embedder as it is, and ``n_steps`` the fine-tuned one.
        """
        found: dict[tuple[int, str], list[tuple[np.ndarray, np.ndarray]]] = {}
        frozen = self._embedded(self.embedder.encoder_, labelled) if 0 in numbers_of_steps else None
        for train, test in folds:
            for n_steps in numbers_of_steps:
                rows = frozen if n_steps == 0 else self._embedded(self._run(labelled.only(train)), labelled)
                assert rows is not None
                Z, y = rows.Z[test], rows.y[test]
                for name, head in self.heads.fitted(rows.only(train)).items():
                    measured = self.task.losses(head, Z, y), self.task.errors(head, Z, y)
                    found.setdefault((n_steps, name), []).append(measured)
        return [
            Way(n_steps, name, *(np.concatenate(each) for each in zip(*parts, strict=True)))
            for (n_steps, name), parts in found.items()
            if len(parts) == len(folds)
        ]

    def tuned(self, labelled: LabelledRows) -> GCAEmbedder:
        """Return the embedder after fine-tuning."""
        encoder = self._run(labelled)
        trained = self.embedder.net_.module_
        module = EncoderWithHead(encoder, trained.head, trained.predictor)
        tuned = copy.copy(self.embedder)
        tuned.net_ = restored_net(
            vars(tuned), module, epsilon=tuned.epsilon_, device=torch.device(self.embedder.net_.device)
        )
        return tuned

    def fitted_head(self, encoder: Encoder, labelled: LabelledRows, name: str) -> Any:
        """Return one of the heads, fitted to the embeddings of labelled rows."""
        return self.heads.fitted(self._embedded(encoder, labelled), name)[name]

    def _embedded(self, encoder: Encoder, labelled: LabelledRows) -> Embedded:
        Z = self.embed(encoder, labelled.rows)
        others = self.embed(encoder, labelled.others) if self.heads.reads_others else Z[:0]
        return Embedded.of(Z, labelled.y, labelled.weight, others)

    def embed(self, encoder: Encoder, rows: Rows) -> np.ndarray:
        """Embed rows by an encoder."""
        embedder = self.embedder
        return embed(encoder, embedder.reader_, rows, embedder._n_features_out, embedder.net_.device)

    def _run(self, labelled: LabelledRows) -> Encoder:
        """Fine-tune a copy of the encoder, and return it."""
        embedder, device = self.embedder, torch.device(self.embedder.net_.device)
        encoder = copy.deepcopy(embedder.encoder_)
        read = read_rows(embedder, FitInputs([labelled.rows], {}), continues=True, ranks=Ranks())
        extras = {
            "label": torch.from_numpy(labelled.y.astype(np.int64 if self.task.of_classes else np.float32)),
            "weight": torch.from_numpy(labelled.weight.astype(np.float32)),
        }
        views = make_views(
            ViewOptions.of(vars(embedder)), embedder.reader_, paired=False, reference=lambda: read.sample.to(device)
        )
        net = FineTuningNet(
            Output(encoder, *self.task.start(self.embed(encoder, labelled.rows), labelled.y, labelled.weight)),
            self.task.criterion,
            views=views,
            order=self.random_streams.generator("tuning_order"),
            draws=self.random_streams.generator("tuning_views", device),
            n_steps=self.n_steps,
            lr=self.lr,
            output_lr=_OUTPUT_LR,
            device=device,
        )
        net.fit(RowDataset(len(labelled), *read.dataset.inputs, **extras), y=None)
        tuned: Encoder = net.module_.encoder.eval()
        return tuned
