"""Monitoring of a training: measures of its embedding, progress in the log and on the screen, and warnings."""

from __future__ import annotations

import logging
import math
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from torch import Tensor
from tqdm.auto import tqdm

from ..exceptions import CollapseWarning
from ..metrics import alignment_score, effective_rank, uniformity_score
from ..metrics._checks import directions
from .ending import duration, ending
from .levels import levels_in_words, levels_of_epoch

if TYPE_CHECKING:
    from .net import ContrastiveNet

__all__ = ["COLUMNS", "Measures", "Progress", "epoch_records"]

_MEASURED_EVERY = 100  # fewest steps between measurements; measuring then takes one or two percent of the time
_COLLAPSED_RANK = 1.5  # an effective rank below this means that embeddings lie almost on one line
_COLLAPSED_SPREAD = 0.02  # so does a mean squared distance of directions below this; unrelated ones have 2
_JUDGED_AFTER = 100  # steps; after fewer, there is no warning of a collapse
_STUCK = 0.98  # above this ratio, two views of a row are as far apart as views of different rows
_MEASURES = ("alignment", "uniformity", "effective_rank", "marginal_error")
_logger = logging.getLogger("skgca")
_logger.addHandler(logging.NullHandler())  # without it, logging prints warnings to stderr if no handler is set up

COLUMNS = (
    "epoch",
    "loss",
    "valid_loss",
    "loss_by_chance",
    "loss_at_best",
    "alignment",
    "uniformity",
    "effective_rank",
    "lr",
    "gradient_norm",
    "marginal_error",
    "seconds",
)


def epoch_records(history: Any) -> list[dict[str, Any]]:
    """Return skorch's history as one flat record for each complete epoch; missing measures are NaN."""
    return [_epoch_record(record) for record in history if "train_loss" in record]


def _epoch_record(record: dict[str, Any]) -> dict[str, Any]:
    losses = {"loss": float(record["train_loss"]), "valid_loss": float(record.get("valid_loss", math.nan))}
    return {name: losses.get(name, record.get(name, math.nan)) for name in COLUMNS}


class Measures(Callback):
    """Measure the projections of some rows at intervals, always with the same rows and the same views.

    Parameters
    ----------
    inputs : tuple of Tensor of shape (m, ...)
        Rows to measure, one tensor or one for each measured view.
    always : bool
        Whether to measure after every epoch.
    """

    def __init__(self, inputs: tuple[Tensor, ...], *, always: bool) -> None:
        self.inputs = inputs
        self.always = always

    def initialize(self) -> Measures:
        """Start without measurements."""
        self.last_: dict[str, float] = {}
        self.measured_at_ = 0
        self.steps_ = 0
        return self

    def on_epoch_end(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Measure if enough steps were taken, or if this is the last epoch."""
        self.steps_ += net.history[-1]["n_steps"]
        due = self.steps_ - self.measured_at_ >= _MEASURED_EVERY or len(net.history) >= net.max_epochs
        if not (self.always or due):
            return
        self.measured_at_ = self.steps_
        self.last_ = self._measure(net)
        for name in _MEASURES:
            net.history.record(name, self.last_[name])

    def on_train_end(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Warn if the projections collapsed or training is stuck, and drop the rows."""
        self.inputs = ()
        if self.measured_at_ >= _JUDGED_AFTER:
            self._warn(net)

    def _measure(self, net: ContrastiveNet) -> dict[str, float]:
        with net.fixed_views():
            projections = net.embed_views(self.inputs)
        z_a, z_b = projections[:2]
        with torch.no_grad():
            marginal_error = net.criterion_.plan(z_a, z_b).marginal_error
        first, second = (z.cpu().double().numpy() for z in (z_a, z_b))
        measured = {"width": z_a.shape[1], "marginal_error": marginal_error, "effective_rank": effective_rank(first)}
        try:
            measured["alignment"] = alignment_score(first, second)
            measured["uniformity"] = uniformity_score(first)
            measured["spread"] = _mean_squared_distance(first, second)
        except ValueError:  # a projection is zero, which has no direction
            measured.update(dict.fromkeys(("alignment", "uniformity", "spread"), math.nan))
        return measured

    def _warn(self, net: ContrastiveNet) -> None:
        width, rank, spread = (self.last_[name] for name in ("width", "effective_rank", "spread"))
        if width > 1 and (rank < _COLLAPSED_RANK or spread < _COLLAPSED_SPREAD):
            warnings.warn(
                f"The embedding collapsed: its projections have an effective rank of {rank:.2f} of {width} and a mean "
                f"squared distance of {spread:.2g} (unrelated directions have 2), so all rows look alike to the "
                f"loss. Lower lr (now {net.lr:g}), use a loss that keeps rows apart, such as 'gca_ince', raise "
                "ema_decay if the loss has it, and check that the rows of X differ.",
                CollapseWarning,
                stacklevel=2,
            )
        elif -self.last_["alignment"] > _STUCK * spread:
            warnings.warn(
                f"The loss is stuck at {net.history[-1].get('train_loss', math.nan):.3g}, the value of an "
                "uninformative embedding (log(N) for InfoNCE): two views of a row are as far apart as any two rows. "
                f"Make the views weaker (corruption_rate, views=), train longer or at a higher lr (now {net.lr:g}), or "
                "lower epsilon.",
                ConvergenceWarning,
                stacklevel=2,
            )

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs."""
        return {"last": self.last_, "measured_at": self.measured_at_, "steps": self.steps_}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        self.last_, self.measured_at_, self.steps_ = state["last"], state["measured_at"], state["steps"]


def _mean_squared_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean squared distance between all directions of the first rows and all those of the second."""
    # |u - v|^2 = 2 - 2 u.v for unit vectors, and the mean of u.v over all pairs is the product of the means
    return 2 - 2 * float(directions(first).mean(axis=0) @ directions(second).mean(axis=0))


class Progress(Callback):
    """Show the progress of a training in the log, and on the screen as one line for each epoch or as a bar.

    The first line says what the loss is by chance and at best, and the last one how training ended.

    Parameters
    ----------
    verbose : int
        0 shows nothing on the screen, 1 one line for each epoch, 2 a bar, which is a widget in a notebook.
    n_steps : int
        Number of steps of the training.
    shown : bool, default=True
        Whether anything is shown at all.
    concludes : bool, default=True
        Whether the end of this run is the end of a training, unlike that of a call of ``partial_fit``.
    """

    def __init__(self, verbose: int, n_steps: int, *, shown: bool = True, concludes: bool = True) -> None:
        self.verbose = verbose if shown else 0
        self.n_steps = n_steps
        self.shown = shown
        self.concludes = concludes

    def initialize(self) -> Progress:
        """Start without a bar."""
        self.bar_ = None
        self.alignment_ = math.nan
        return self

    def on_train_begin(self, net: ContrastiveNet, X: Any = None, **kwargs: Any) -> None:
        """Show what the loss is by chance and at best, and open the bar."""
        self.epochs_before_ = len(net.history)
        self.began_ = time.perf_counter()
        if self._is_told and not net.history:
            levels = levels_of_epoch(net.criterion_, X, net.batch_size)
            self._tell(levels_in_words(levels, net.criterion_, X, net.batch_size))
        if self.verbose >= 2:
            self.bar_ = tqdm(total=self.n_steps, unit="step")

    def on_epoch_begin(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Start the clock of the epoch."""
        self.epoch_began_ = time.perf_counter()

    def on_batch_end(self, net: ContrastiveNet, training: bool = False, **kwargs: Any) -> None:
        """Move the bar."""
        if training and self.bar_ is not None:
            self.bar_.update()

    def on_epoch_end(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Show the epoch."""
        now = time.perf_counter()
        net.history.record("seconds", now - self.epoch_began_)
        if self._is_told:
            self._tell(self._line(net, (now - self.began_) / (len(net.history) - self.epochs_before_)))

    def on_train_end(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Close the bar, and show how training ended."""
        if self.bar_ is not None:
            self.bar_.close()
            self.bar_ = None
        if self._is_told and self.concludes:
            self._tell(ending(net))

    @property
    def _is_told(self) -> bool:
        """Whether anything reads what is told."""
        return bool(self.verbose or (self.shown and _logger.isEnabledFor(logging.INFO)))

    def _tell(self, line: str) -> None:
        _logger.info(line)
        if self.bar_ is not None:
            self.bar_.set_description_str(line)
        elif self.verbose:
            tqdm.write(line)

    def _line(self, net: ContrastiveNet, mean_seconds: float) -> str:
        record = _epoch_record(net.history[-1])
        if not math.isnan(record["alignment"]):
            self.alignment_ = record["alignment"]
        held_out = "" if math.isnan(record["valid_loss"]) else f", held out {record['valid_loss']:.4f}"
        alignment = "" if math.isnan(self.alignment_) else f", alignment {self.alignment_:.3f}"
        left = "" if self.bar_ is not None else f", {duration(mean_seconds * (net.max_epochs - record['epoch']))} left"
        return (
            f"epoch {record['epoch']}/{net.max_epochs}: loss {record['loss']:.4f}{held_out}{alignment}, "
            f"lr {record['lr']:.2g}, {record['seconds']:.2f} s{left}"
        )
