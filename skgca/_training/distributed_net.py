"""Nets that train over the ranks of a process group, with the gradient of the whole batch."""

from __future__ import annotations

import signal
import threading
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .._data import RowDataset
from .._data.batches import Batch
from .._utils.compat import InvalidParameterError
from ..ot._sharded import shared_among
from .gradient_cache import CachedForward
from .net import ContrastiveNet, MomentumNet
from .process_group import GroupRanks
from .ranks import Ranks
from .rollback import check_finite

__all__ = ["DistributedContrastiveNet", "DistributedMomentumNet"]

_STOPS = ("interrupted", "callback", "no_change")  # reasons for which a single rank may want to stop


class _OwnRows(RowDataset):
    """The rows of a dataset, of which this rank fetches the inputs of its part of a batch.

    What the loss reads besides the embeddings is fetched for the whole batch, and so is its size, ``n_rows``.

    Parameters
    ----------
    dataset : RowDataset
    ranks : GroupRanks
    """

    def __init__(self, dataset: RowDataset, ranks: GroupRanks) -> None:
        super().__init__(len(dataset), *dataset.inputs, **dataset.extras)
        self.ranks = ranks

    def __getitem__(self, rows: Tensor) -> Batch:
        """Return the inputs of the own rows, and the extras of all rows."""
        own = self.ranks.own(rows)
        inputs = tuple(fetch(own) for fetch in self.inputs)
        extras = {name: value[rows] for name, value in self.extras.items()}
        return inputs, {**extras, "n_rows": torch.tensor(len(rows))}


class _OverRanks(ContrastiveNet):
    """Steps of a net that all ranks take together. After each of them they have the same weights, to the bit.

    Parameters
    ----------
    *args, **kwargs
        As in :class:`ContrastiveNet`.
    ranks : GroupRanks
    """

    ranks: GroupRanks

    def __init__(self, *args: Any, ranks: GroupRanks, **kwargs: Any) -> None:
        self.ranks = ranks
        self._stop: str | None = None  # why this rank wants to stop
        self._wanted: list[float] = []  # for each reason, whether some rank wants to stop
        self._n_rows = 0  # rows of the batch, of all ranks together
        super().__init__(*args, **kwargs)

    def join(self, ranks: Ranks) -> None:
        """Train with the processes of this call of ``partial_fit``.

        Raises
        ------
        InvalidParameterError
            If this is a single process, and those of the first call were several.
        """
        if not isinstance(ranks, GroupRanks):
            raise InvalidParameterError(
                "distributed=True was set in the first call of partial_fit, and must stay; clone the estimator to "
                "start anew."
            )
        self.ranks = ranks

    def get_iterator(self, dataset: RowDataset, training: bool = False) -> DataLoader[Batch]:
        """Return the same batches as in a single process; of those for training, only the own rows are fetched."""
        return super().get_iterator(_OwnRows(dataset, self.ranks) if training else dataset, training)

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> ContrastiveNet:
        """Train, from the weights and buffers of rank 0.

        Raises
        ------
        KeyboardInterrupt
            If an interrupt ended the training of this rank while the others went on, such as a second Ctrl-C.
        """
        self.ranks.make_same(
            tensor for part in (self.module_, self.criterion_) for tensor in (*part.parameters(), *part.buffers())
        )
        trained = super().partial_fit(X, y, classes, **fit_params)
        if self.stop_reason == "interrupted" and not any(self._wanted):  # skorch takes it for the end of the training
            raise KeyboardInterrupt
        return trained

    def release(self) -> None:
        """Drop what only training needs, with the process group, which cannot be pickled."""
        super().release()
        del self.ranks

    def on_train_begin(self, net: ContrastiveNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Let an interrupt from the keyboard stop all ranks together."""
        super().on_train_begin(net, X=X, y=y, **kwargs)
        self._stop, self._wanted = None, []
        if threading.current_thread() is threading.main_thread():
            handler = signal.signal(signal.SIGINT, self._stop_later)
            self._run.cleanup.callback(signal.signal, signal.SIGINT, handler)

    def _stop_later(self, *args: Any) -> None:
        """Stop after the step, with the other ranks. A second interrupt stops this rank at once."""
        if self._stop == "interrupted":
            raise KeyboardInterrupt
        self._stop = "interrupted"

    def on_batch_end(self, net: ContrastiveNet, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        """Record the size of the whole batch, in place of that of the own part."""
        if training:
            self.history.record_batch("train_batch_size", self._n_rows)
        super().on_batch_end(net, batch=batch, training=training, **kwargs)

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call a method of all callbacks; if one of them ends the training, all ranks stop after the same step."""
        try:
            super().notify(method_name, **kwargs)
        except KeyboardInterrupt:
            if method_name in ("on_train_begin", "on_train_end"):  # not between steps: an error of this rank
                raise
            # the other ranks will wait for this one in the next step
            self._stop, self.stop_reason = self.stop_reason, None
        if method_name == "on_epoch_end":
            self._wanted = self.ranks.maximum(self._own_stop()).tolist()
        if method_name in ("on_epoch_end", "on_batch_end"):
            for reason, is_wanted in zip(_STOPS, self._wanted, strict=False):  # nothing is wanted before the first step
                if is_wanted:
                    self.stop(reason)

    def _own_stop(self) -> Tensor:
        """Return 1 for the reason for which this rank wants to stop, and 0 for the others."""
        return torch.tensor([float(self._stop == reason) for reason in _STOPS], device=self.device)

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """Take a step. It draws from streams of this rank, which any number of ranks finds again after a resume."""
        self._n_rows = int(batch[1]["n_rows"])
        place = (self.ranks.rank, len(self.history), len(self.history[-1]["batches"]))
        for name in ("views", "dropout"):
            getattr(self._run, name).manual_seed(self.random_streams.seed(name, *place))
        return super().train_step(batch, **fit_params)

    def loss_and_gradient(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the loss of the batch of all ranks, and add up the gradients."""
        self._set_training()  # after an evaluation, batch normalisations would not be recognised
        # passed through in parts, a batch needs nothing: the gradient cache merges the statistics of parts and ranks
        modules = self.in_step() if self.micro_batch_size is None else []
        with self.ranks.one_batch(modules):
            step = super().loss_and_gradient(batch, **fit_params)
        own = step["loss"].detach()[None] if self.ranks.first else step["loss"].new_zeros(1)
        numbers = torch.cat([own, self._own_stop().to(own)])
        loss, *self._asked = self.ranks.sum_gradients(
            self._run.learnable, whole=list(self.criterion_.parameters()), numbers=numbers
        )
        return {**step, "loss": loss}

    def checked(self, loss: Tensor, gradient_norm: Tensor) -> tuple[float, float]:
        """Return the loss and the norm as numbers; all ranks have the same, and so go on or go back together."""
        self.ranks.before_reading()
        loss_read, norm, *self._wanted = check_finite(loss, gradient_norm, *self._asked)
        return loss_read, norm

    def in_step(self) -> list[nn.Module]:
        """Return the networks that a batch passes through in a step."""
        return [self.module_]

    def in_parts(self, *args: Any, **settings: Any) -> CachedForward:
        """Pass views through a module by parts, with the statistics of the batch of all ranks."""
        return super().in_parts(*args, ranks=self.ranks, **settings)

    def get_loss(self, y_pred: Tensor, y_true: dict[str, Tensor], X: Any = None, training: bool = False) -> Tensor:
        """Loss of the batch of all ranks in training, and else of the given projections."""
        if not training:
            return super().get_loss(y_pred, y_true, X=X)
        extras = {name: value for name, value in y_true.items() if name != "n_rows"}
        with shared_among(self.ranks):
            return super().get_loss(self.ranks.gather(y_pred, self._n_rows), extras, X=X, training=True)

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the validation criterion, of which all ranks take that of rank 0."""
        step = super().validation_step(batch, **fit_params)
        self.ranks.make_same([step["loss"]])
        return step


class DistributedContrastiveNet(_OverRanks):
    """:class:`ContrastiveNet` over the ranks of a process group."""


class DistributedMomentumNet(_OverRanks, MomentumNet):
    """:class:`MomentumNet` over the ranks of a process group."""

    def in_step(self) -> list[nn.Module]:
        """Return the networks that a batch passes through in a step, including the target network."""
        return [*super().in_step(), self._target.module]
