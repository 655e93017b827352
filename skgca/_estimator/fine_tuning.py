"""Fine-tuning of a fitted embedder on labelled rows: how long is chosen by cross-validation, or not at all."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, Ridge
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
from .inputs import FitInputs

if TYPE_CHECKING:
    from .embedder import GCAEmbedder

__all__ = ["FineTuner", "LabelledRows", "Task", "Way", "classification", "regression"]

_OUTPUT_LR = 1e-3
_N_LOOKS = 4  # numbers of steps that are compared, evenly spaced, besides none


@dataclass(frozen=True)
class Task:
    """What distinguishes classes from numbers.

    probe : linear model whose coefficients the output starts from; criterion : losses of outputs; losses : losses of
    the predictions of a head, ``(head, Z, y) -> (n,)``, by which ways are compared.
    """

    probe: Any
    criterion: nn.Module
    losses: Callable[[Any, np.ndarray, np.ndarray], np.ndarray]

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
        return np.asarray(head.predict(Z) != y, dtype=float)
    found = head.predict_proba(Z)
    place = np.searchsorted(head.classes_, y)
    is_known = np.isin(y, head.classes_)
    likelihood = np.where(is_known, found[np.arange(len(y)), np.minimum(place, found.shape[1] - 1)], 0.0)
    losses: np.ndarray = -np.log(np.clip(likelihood, 1e-6, 1.0))
    return losses


def _squared_errors(head: Any, Z: np.ndarray, y: np.ndarray) -> np.ndarray:
    errors: np.ndarray = np.square(head.predict(Z).reshape(y.shape) - y)
    return np.asarray(errors.reshape(len(y), -1).mean(axis=1))


class _SquaredError(nn.Module):
    def forward(self, outputs: Tensor, label: Tensor) -> Tensor:
        return (outputs - label.reshape(outputs.shape)).square().mean(dim=1)


def classification() -> Task:
    """Return the task of predicting classes."""
    return Task(LogisticRegression(max_iter=1000), nn.CrossEntropyLoss(reduction="none"), _log_losses)


def regression() -> Task:
    """Return the task of predicting numbers, which have variance 1."""
    return Task(Ridge(), _SquaredError(), _squared_errors)


@dataclass(frozen=True)
class LabelledRows:
    """The labelled rows of a fit: rows of X, labels (n,) or (n, k), and weights (n,)."""

    rows: Rows
    y: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def only(self, kept: np.ndarray) -> LabelledRows:
        """Return some of the rows, by their numbers."""
        return LabelledRows(self.rows.only(kept), self.y[kept], self.weight[kept])


@dataclass(frozen=True)
class Way:
    """A number of steps of fine-tuning, and the losses (n,) of the held-out rows of all folds."""

    n_steps: int
    losses: np.ndarray


class FineTuner:
    """Fine-tunes an embedder on labelled rows, and finds out for how many steps.

    Parameters
    ----------
    embedder : GCAEmbedder
        Fitted.
    head : estimator
        Fitted to embeddings, to compare the ways.
    task : Task
    n_steps : int
        Largest number of steps.
    lr : float
        Learning rate of the encoder.
    random_streams : RandomStreams
    """

    def __init__(
        self, embedder: GCAEmbedder, head: Any, task: Task, *, n_steps: int, lr: float, random_streams: RandomStreams
    ) -> None:
        self.embedder = embedder
        self.head = head
        self.task = task
        self.n_steps = n_steps
        self.lr = lr
        self.random_streams = random_streams

    def compared(self, labelled: LabelledRows, folds: Sequence[tuple[np.ndarray, np.ndarray]]) -> Iterator[Way]:
        """Yield the losses of no fine-tuning, and of each number of steps, on the held-out rows of folds."""
        looks = sorted({round(self.n_steps * k / _N_LOOKS) for k in range(1, _N_LOOKS + 1)})
        losses = {n_steps: np.full(len(labelled), np.nan) for n_steps in (0, *looks)}
        for train, test in folds:
            part, held_out = labelled.only(train), labelled.only(test)

            def look(n_steps: int, encoder: Encoder) -> bool:
                if n_steps in losses:
                    head = self.fitted_head(encoder, part)  # noqa: B023  called before the loop goes on
                    losses[n_steps][test] = self.task.losses(head, self.embed(encoder, held_out), held_out.y)  # noqa: B023
                return False

            look(0, self.embedder.encoder_)
            self._run(part, look)
        held_out_rows = np.concatenate([test for _, test in folds])
        for n_steps, found in losses.items():
            yield Way(n_steps, found[held_out_rows])

    def tuned(self, labelled: LabelledRows, n_steps: int) -> GCAEmbedder:
        """Return the embedder after some steps of fine-tuning."""
        encoder = self._run(labelled, lambda done, _: done >= n_steps)
        trained = self.embedder.net_.module_
        module = EncoderWithHead(encoder, trained.head, trained.predictor)
        tuned = copy.copy(self.embedder)
        tuned.net_ = restored_net(
            vars(tuned), module, epsilon=tuned.epsilon_, device=torch.device(self.embedder.net_.device)
        )
        return tuned

    def fitted_head(self, encoder: Encoder, labelled: LabelledRows) -> Any:
        """Return a head fitted to the embeddings of labelled rows."""
        Z = self.embed(encoder, labelled)
        weights = {} if (labelled.weight == labelled.weight[0]).all() else {"sample_weight": labelled.weight}
        return clone(self.head).fit(Z, labelled.y, **weights)

    def embed(self, encoder: Encoder, labelled: LabelledRows) -> np.ndarray:
        """Embed labelled rows by an encoder."""
        embedder = self.embedder
        return embed(encoder, embedder.reader_, labelled.rows, embedder._n_features_out, embedder.net_.device)

    def _run(self, labelled: LabelledRows, after_step: Callable[[int, Encoder], bool]) -> Encoder:
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
            Output(encoder, *self.task.start(self.embed(encoder, labelled), labelled.y, labelled.weight)),
            self.task.criterion,
            views=views,
            order=self.random_streams.generator("tuning_order"),
            draws=self.random_streams.generator("tuning_views", device),
            n_steps=self.n_steps,
            lr=self.lr,
            output_lr=_OUTPUT_LR,
            after_step=after_step,
            device=device,
        )
        net.fit(RowDataset(len(labelled), *read.dataset.inputs, **extras), y=None)
        tuned: Encoder = net.module_.encoder.eval()
        return tuned
