"""The skorch nets: views before the module, the loss of their projections after it, and steps that stay finite."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .._data import RowDataset, fixed_batches, shuffled_batches
from .._data.batches import EvenBatches
from .._utils.random import seeded_by
from ..encoders import EncoderWithHead
from ..losses import multiview_loss
from ..views import MultiView
from .gradient_cache import CachedForward
from .momentum import MomentumSchedule, MomentumTarget
from .rollback import Guard, NotFiniteError, check_finite, copied

__all__ = ["ContrastiveNet", "MomentumNet"]

_KEPT_EVERY = 100  # batches of an epoch, after which the state is kept to go back to
_HELD_OUT = 2  # added to the seed for the views of rows that are not trained on


@dataclass
class _Run:
    """What a net needs while it trains, and no longer.

    order, view_generator : generators of the order of batches and of the views; forward : the module, compiled if that
    was asked for; learnable : what the optimizer moves; batches : the sampler of the epoch; cleanup : what callbacks
    undo when the run ends, also if it fails.
    """

    order: torch.Generator
    view_generator: torch.Generator
    forward: Callable[[Tensor], Tensor]
    learnable: list[nn.Parameter]
    batches: EvenBatches | None = None
    cleanup: ExitStack = field(default_factory=ExitStack)


class ContrastiveNet(NeuralNet):
    """A skorch net whose prediction for a batch is the projections of the views of it.

    Parameters
    ----------
    module : Module
        (n, ...) -> (n, d): encoder and projection head.
    criterion : Module
        ``(z_a, z_b, **what the dataset gives beside its inputs) -> scalar``.
    views : MultiView
        Makes the views of a batch.
    view_pairs : {"all", "worst"}
        As in :func:`skgca.losses.multiview_loss`.
    seed : int
        Seed of the order of batches, of the views, and of what the module draws.
    yardstick : Module
        Loss of rows that are held out, comparable between epochs.
    draws : bool, default=False
        Whether the module draws random numbers in training, as dropout does: from torch's global generators, which are
        lent to it and put back.
    precision : torch.dtype, default=torch.float32
        Of the module in training; the loss is always computed in single precision.
    compiled : bool, default=False
        Whether ``torch.compile`` is to make the module quicker.
    max_grad_norm : float, default=inf
        Longer gradients are scaled down to this norm.
    micro_batch_size : int, default=None
        Rows that go through the module at a time, for batches that memory does not hold; see :class:`CachedForward`.
    **kwargs
        As in :class:`skorch.NeuralNet`.

    Attributes
    ----------
    stop_reason : str or None
        Why training ended: "max_epochs", "no_change", "diverged", "callback" or "interrupted".
    streams : bool
        Whether training goes on with more rows, in further calls of ``partial_fit``.
    """

    streams = False
    _run: Any = None  # a _Run while the net trains

    def __init__(
        self,
        module: nn.Module,
        criterion: nn.Module,
        *,
        views: MultiView | None,
        view_pairs: str,
        seed: int,
        yardstick: nn.Module,
        draws: bool = False,
        precision: torch.dtype = torch.float32,
        compiled: bool = False,
        max_grad_norm: float = float("inf"),
        micro_batch_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.views = views
        self.view_pairs = view_pairs
        self.seed = seed
        self.yardstick = yardstick
        self.draws = draws
        self.precision = precision
        self.compiled = compiled
        self.max_grad_norm = max_grad_norm
        self.micro_batch_size = micro_batch_size
        super().__init__(module, criterion, **kwargs)

    # The course of a training

    def get_iterator(self, dataset: RowDataset, training: bool = False) -> DataLoader:
        """Return batches of near-equal size: in random order, or always the same ones where nothing is trained."""
        if not training:
            return fixed_batches(dataset, batch_size=self.batch_size)
        loader = shuffled_batches(dataset, batch_size=self.batch_size, generator=self._run.order)
        self._run.batches = loader.sampler
        return loader

    def on_train_begin(self, net: ContrastiveNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Start the random numbers of the views, on the device that makes them, and the guard of the weights."""
        super().on_train_begin(net, X=X, y=y, **kwargs)
        self.stop_reason: str | None = None
        self.guard = Guard()
        self.guard.keep(self, learned=False)
        forward = self.module_.__call__
        self._run = _Run(
            order=torch.Generator().manual_seed(self.seed),
            view_generator=torch.Generator(self.device).manual_seed(self.seed + 1),
            forward=torch.compile(forward) if self.compiled else forward,
            learnable=[parameter for _, parameter in self.get_all_learnable_params()],
        )

    def on_epoch_end(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Keep the state that the epoch led to."""
        super().on_epoch_end(net, **kwargs)
        self.guard.keep(self)

    def on_batch_end(self, net: ContrastiveNet, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        """Keep the state amid a long epoch."""
        super().on_batch_end(net, batch=batch, training=training, **kwargs)
        if training and self.keeps_state_after_batch():
            self.guard.keep(self)

    def keeps_state_after_batch(self) -> bool:
        """Whether the last batch of the epoch is one after which the state is kept."""
        return len(self.history[-1]["batches"]) % _KEPT_EVERY == 0

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> Any:
        """Train, and let go of what belongs to the run if that fails, of which skorch does not tell callbacks."""
        try:
            return super().partial_fit(X, y, classes=classes, **fit_params)
        except BaseException:
            self.release()
            raise

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **kwargs: Any) -> Any:
        """Train until there are ``max_epochs`` in all, and note why it ended."""
        left = 0 if self.stop_reason else max(0, self.max_epochs - len(self.history))
        try:
            super().fit_loop(X, y, epochs=left, **kwargs)
        except KeyboardInterrupt:
            self.stop_reason = self.stop_reason or "interrupted"
            raise
        self.stop_reason = self.stop_reason or "max_epochs"
        return self

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call a method of all callbacks; one that ends training, as skorch's do by KeyboardInterrupt, is noted."""
        try:
            super().notify(method_name, **kwargs)
        except KeyboardInterrupt:
            self.stop_reason = self.stop_reason or "callback"
            raise
        if method_name == "on_train_end":
            self.release()

    def release(self) -> None:
        """Let go of what belongs to the run, not to the fitted net."""
        if self._run is not None:
            self._run.cleanup.close()
        self._run = None
        self.module_.eval()
        self.train_split = None  # it holds the rows that were held out
        self.guard.forget()

    def at_release(self, undo: Callable[[], None]) -> None:
        """Call something at the end of the run, also if it fails or is interrupted."""
        self._run.cleanup.callback(undo)

    def stop(self, reason: str) -> None:
        """End training, in skorch's way."""
        self.stop_reason = reason
        raise KeyboardInterrupt

    def training_state(self) -> dict[str, Any]:
        """Return all that steps change, as it is now, not copied."""
        return {
            "module": self.module_.state_dict(),
            "criterion": self.criterion_.state_dict(),
            "optimizer": self.optimizer_.state_dict(),
        }

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`training_state` gave, by copy."""
        self.module_.load_state_dict(state["module"])
        self.criterion_.load_state_dict(state["criterion"])
        self.optimizer_.load_state_dict(copied(state["optimizer"]))

    def order_state(self) -> Tensor:
        """Return the state of what draws the order of batches; at the start of an epoch, that of its batches."""
        return self._run.order.get_state()

    def views_state(self) -> Tensor:
        """Return the state of what draws the views."""
        return self._run.view_generator.get_state()

    def begin_from(self, order: Tensor, views: Tensor) -> None:
        """Go on drawing from states that :meth:`order_state` and :meth:`views_state` gave."""
        self._run.order.set_state(order)
        self._run.view_generator.set_state(views)

    def skip_batches(self, n_batches: int) -> None:
        """Leave out the first batches of the epoch that begins."""
        self._run.batches.skip = n_batches

    # A step

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """Step. Where the loss or its gradient is not finite, go back to the last good weights and try again."""
        while True:
            try:
                with self.guard.slowed(self.optimizer_):
                    return super().train_step(batch, **fit_params)
            except NotFiniteError as error:
                self.guard.roll_back(self, error)

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the loss of a batch and its gradient, in parts if there is a ``micro_batch_size``."""
        inputs, beside = batch
        if self.micro_batch_size is None:
            return super().train_step_single(batch, **fit_params)
        self.module_.train()
        self.criterion_.train()
        views = self.make_views(inputs)
        stacked = torch.cat(views)  # (v n, ...)
        with self._autocast():
            cached = self._in_parts(self.online, self.module_, stacked)
            projections = cached.outputs.float().requires_grad_()
            compared = self.joined(projections, stacked)
        loss = self.get_loss(self._by_view(compared, views), beside, X=inputs, training=True)
        loss.backward()
        with self._autocast():
            cached.backward(projections.grad.to(cached.outputs.dtype))
        return {"loss": loss, "y_pred": projections}

    def on_grad_computed(self, net: ContrastiveNet, named_parameters: Any, **kwargs: Any) -> None:
        """Look at the length of the gradient, and scale it down if it is too long."""
        super().on_grad_computed(net, named_parameters, **kwargs)
        if math.isinf(self.max_grad_norm):
            lengths = [torch.linalg.vector_norm(p.grad) for p in self._run.learnable if p.grad is not None]
            norm = torch.linalg.vector_norm(torch.stack(lengths))
        else:
            norm = torch.nn.utils.clip_grad_norm_(self._run.learnable, self.max_grad_norm)
        self.history.record_batch("grad_norm", check_finite("gradient", norm))
        self.history.record_batch("lr", self.optimizer_.param_groups[0]["lr"])

    def make_views(self, x: tuple[Tensor, ...]) -> list[Tensor]:
        """Return the views of a batch, which is (n, ...) once, or once for each measured view."""
        measured = [part.to(self.device) for part in x]
        return self.views(measured[0] if len(measured) == 1 else measured, self._run.view_generator)

    def infer(self, x: tuple[Tensor, ...], **fit_params: Any) -> Tensor:
        """Project the views of a batch: -> (v, n, d)."""
        views = self.make_views(x)
        stacked = torch.cat(views)  # (v n, ...), so that there is one pass through the module
        with self._lent_generator(), self._autocast():
            compared = self.joined(self.online(stacked).float(), stacked)
        return self._by_view(compared, views)

    def online(self, views: Tensor) -> Tensor:
        """Project views by what is trained, (v n, ...) -> (v n, d)."""
        return self._run.forward(views)

    def joined(self, projections: Tensor, views: Tensor) -> Tensor:
        """Join projections (v n, d) with whatever else of the views the loss compares: -> (..., v n, d)."""
        return projections

    def compare(self, projections: Tensor, **kwargs: Any) -> Tensor:
        """Loss of the projections (v, n, d) of a batch."""
        return multiview_loss(self.criterion_, projections, pairs=self.view_pairs, **kwargs)

    def get_loss(self, y_pred: Tensor, y_true: dict[str, Tensor], X: Any = None, training: bool = False) -> Tensor:
        """Loss of a batch of projections.

        Raises
        ------
        NotFiniteError
            If the loss is NaN or infinite, as it is for projections that are.
        """
        loss = self.compare(y_pred, **self._on_device(y_true))
        check_finite("loss", loss)
        return loss

    # Rows that are not trained on

    def run_single_epoch(self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any) -> None:
        """Go through the batches once; those that are held out get the same views in each epoch."""
        with nullcontext() if training or iterator is None else self.fixed_views():
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Loss of a batch that is held out, by the yardstick."""
        inputs, beside = batch
        projections = self.embed_views(inputs)
        loss = multiview_loss(self.yardstick, projections, pairs=self.view_pairs, **self._on_device(beside))
        return {"loss": loss, "y_pred": projections}

    def embed_views(self, x: tuple[Tensor, ...]) -> Tensor:
        """Project the views of rows as the trained module does, without a gradient: -> (v, n, d)."""
        self.module_.eval()
        with torch.no_grad():
            views = self.make_views(x)
            return self._by_view(self.module_(torch.cat(views)), views)

    @contextmanager
    def fixed_views(self) -> Iterator[None]:
        """Draw the views of the block from random numbers that are the same each time, and no others."""
        ours = self._run.view_generator
        self._run.view_generator = torch.Generator(self.device).manual_seed(self.seed + _HELD_OUT)
        try:
            yield
        finally:
            self._run.view_generator = ours

    # Small parts of the above

    def _in_parts(self, function: Callable[[Tensor], Tensor], module: nn.Module, views: Tensor) -> CachedForward:
        return CachedForward(
            function, module, views, self.micro_batch_size, draws=self.draws, generator=self._run.view_generator
        )

    def _autocast(self) -> AbstractContextManager:
        if self.precision == torch.float32:
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, dtype=self.precision)

    def _lent_generator(self) -> AbstractContextManager:
        return seeded_by(self._run.view_generator) if self.draws else nullcontext()

    def _on_device(self, beside: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value.to(self.device) for name, value in beside.items()}

    @staticmethod
    def _by_view(projections: Tensor, views: list[Tensor]) -> Tensor:
        return projections.unflatten(-2, (len(views), len(views[0])))


class MomentumNet(ContrastiveNet):
    """A contrastive net for losses that repel nothing: predictions of each view meet a slow copy's view of another.

    The projections go through a predictor, ``module.predictor``, and are compared with those of a target network,
    which is an exponential moving average of the encoder and head, and has no gradient [1]_. Without either, all
    embeddings could become equal, at no loss.

    Parameters
    ----------
    ema_decay : float
        Decay of the average in the first step. From there it rises by half a cosine to 1.
    n_steps : float
        Steps of the whole training; inf if it is not known.
    **kwargs
        As in :class:`ContrastiveNet`.

    References
    ----------
    .. [1] J.-B. Grill et al., "Bootstrap your own latent", NeurIPS 2020.
    """

    _target: Any = None  # a MomentumTarget while the net trains

    def __init__(
        self, module: nn.Module, criterion: nn.Module, *, ema_decay: float, n_steps: float, **kwargs: Any
    ) -> None:
        self.ema_decay = ema_decay
        self.n_steps = n_steps
        super().__init__(module, criterion, **kwargs)

    def on_train_begin(self, net: ContrastiveNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Start the target network as a copy of the encoder and head."""
        if self._target is None:  # a stream keeps it from call to call
            self._target = MomentumTarget(self._followed(), MomentumSchedule(self.ema_decay, self.n_steps))
        super().on_train_begin(net, X=X, y=y, **kwargs)

    def release(self) -> None:
        """Let go of the target network too, unless more rows are to come: the encoder is what is kept."""
        super().release()
        if not self.streams:
            self._target = None

    def training_state(self) -> dict[str, Any]:
        """Return all that steps change, the target network with it."""
        return {**super().training_state(), "target": self._target.state_dict()}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`training_state` gave."""
        super().load_training_state(state)
        self._target.load_state_dict(state["target"])

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """Step, and let the target network follow."""
        step = super().train_step(batch, **fit_params)
        self._target.follow(self._followed())
        return step

    def online(self, views: Tensor) -> Tensor:
        """Predictions of views, (v n, ...) -> (v n, d)."""
        return self.module_.predictor(self._run.forward(views))

    def joined(self, projections: Tensor, views: Tensor) -> Tensor:
        """Stack predictions of views with their targets: -> (2, v n, d)."""
        if self.micro_batch_size is None:
            return torch.stack([projections, self._target(views).float()])
        return torch.stack([projections, self._in_parts(self._target, self._target.module, views).outputs.float()])

    def compare(self, projections: Tensor, **kwargs: Any) -> Tensor:
        """Loss of the predictions of each view and the targets of the others, (2, v, n, d)."""
        predictions, targets = projections
        return multiview_loss(self.criterion_, predictions, targets, pairs=self.view_pairs, **kwargs)

    def _followed(self) -> nn.Module:
        """Return what the target network follows, which shares its weights with the module."""
        return EncoderWithHead(self.module_.encoder, self.module_.head)
