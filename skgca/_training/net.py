"""The skorch nets. A step makes views, projects them and compares the projections; it is repeated if not finite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .._data import RowDataset, fixed_batches, shuffled_batches
from .._data.batches import Batch, EvenBatches
from .._utils.compat import InvalidParameterError
from .._utils.device import on_device
from .._utils.random import RandomStreams, seeded_by
from ..encoders import EncoderWithHead
from ..losses import multiview_loss
from ..views import MultiView
from .gradient_cache import CachedForward
from .momentum import MomentumSchedule, MomentumTarget
from .ranks import Ranks
from .rollback import Guard, NotFiniteError, check_finite, copied

__all__ = ["ContrastiveNet", "MomentumNet", "at_least_float32"]

_KEPT_EVERY = 100  # batches within an epoch between states that are kept for a roll-back


@dataclass
class _Run:
    """State of a net that exists only while it trains.

    order, views, dropout : generators for the order of batches, for the views, and for what the module draws;
    forward : the module, compiled if that was asked for; learnable : the parameters that the optimizer updates;
    modules : the module and the criterion, with all their parts; mode : the mode that they were set to;
    batches : the sampler of the epoch; cleanup : functions to call when the run ends, also if it fails.
    """

    order: torch.Generator
    views: torch.Generator
    dropout: torch.Generator
    forward: Callable[[Tensor], Tensor]
    learnable: list[nn.Parameter]
    modules: list[nn.Module]
    mode: bool | None = None
    batches: EvenBatches | None = None
    cleanup: ExitStack = field(default_factory=ExitStack)


class ContrastiveNet(NeuralNet):
    """A skorch net whose prediction for a batch is the projections of its views.

    Parameters
    ----------
    module : Module
        (n, ...) -> (n, d): encoder and projection head.
    criterion : Module
        ``(z_a, z_b, **extras) -> scalar``, with the extras that the dataset returns besides its inputs.
    views : MultiView
        Makes the views of a batch.
    view_pairs : {"all", "worst"}
        As in :func:`skgca.losses.multiview_loss`.
    random_streams : RandomStreams
        Source of the order of batches, of the views, and of the random numbers that the module draws.
    yardstick : Module
        Validation criterion: loss of held-out rows, whose values are comparable between epochs.
    draws : bool, default=False
        Whether the module draws random numbers in training, as dropout does. It draws them from torch's global
        generators, which are seeded for each step and restored afterwards.
    precision : torch.dtype, default=torch.float32
        Precision of the module in training. The loss is always computed in single precision.
    compiled : bool, default=False
        Whether training compiles the module by ``torch.compile``.
    micro_batch_size : int, default=None
        Rows that go through the module at a time, for batches larger than memory; see :class:`CachedForward`.
    **kwargs
        As in :class:`skorch.NeuralNet`.

    Attributes
    ----------
    stop_reason : str or None
        Why training ended: "max_epochs", "no_change", "diverged", "callback" or "interrupted".
    """

    _run: Any = None  # a _Run while the net trains
    ranks = Ranks()  # a single process

    def __init__(
        self,
        module: nn.Module,
        criterion: nn.Module,
        *,
        views: MultiView | None,
        view_pairs: str,
        random_streams: RandomStreams,
        yardstick: nn.Module,
        draws: bool = False,
        precision: torch.dtype = torch.float32,
        compiled: bool = False,
        micro_batch_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.views = views
        self.view_pairs = view_pairs
        self.random_streams = random_streams
        self.yardstick = yardstick
        self.draws = draws
        self.precision = precision
        self.compiled = compiled
        self.micro_batch_size = micro_batch_size
        super().__init__(module, criterion, **kwargs)

    def join(self, ranks: Ranks) -> None:
        """Train with the processes of this call of ``partial_fit``.

        Raises
        ------
        InvalidParameterError
            If these are several, and those of the first call were not.
        """
        if ranks.n_ranks > 1:
            raise InvalidParameterError(
                "distributed=True needs to be set from the first call of partial_fit, which was in a single process; "
                "clone the estimator to start anew."
            )

    # Training

    def get_iterator(self, dataset: RowDataset, training: bool = False) -> DataLoader[Batch]:
        """Return batches of nearly equal size: in random order for training, otherwise always the same ones."""
        if not training:
            return fixed_batches(dataset, batch_size=self.batch_size)
        loader = shuffled_batches(dataset, batch_size=self.batch_size, generator=self._run.order)
        self._run.batches = loader.sampler
        return loader

    def on_train_begin(self, net: ContrastiveNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Start the random generators, and the guard that keeps good weights."""
        super().on_train_begin(net, X=X, y=y, **kwargs)
        self.stop_reason: str | None = None
        self.guard = Guard()
        self.guard.keep(self, learned=False)
        forward = self.module_.__call__
        self._run = _Run(
            order=self.random_streams.generator("order"),
            views=self.random_streams.generator("views", self.device),
            dropout=self.random_streams.generator("dropout"),  # on the CPU: it only makes seeds, which the host reads
            forward=torch.compile(forward) if self.compiled else forward,
            learnable=[parameter for _, parameter in self.get_all_learnable_params()],
            modules=[*self.module_.modules(), *self.criterion_.modules()],
        )

    def on_epoch_begin(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Drop the records of the batches of the last epoch, which would grow to gigabytes in long trainings."""
        super().on_epoch_begin(net, **kwargs)  # which begins a new record
        if len(self.history) > 1:
            self.history[-2]["batches"] = []

    def on_epoch_end(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Summarise the steps of the epoch, and keep the state at its end for a roll-back."""
        super().on_epoch_end(net, **kwargs)
        steps = [batch for batch in self.history[-1]["batches"] if "grad_norm" in batch]  # not the held-out batches
        self.history.record("n_steps", len(steps))
        self.history.record("gradient_norm", sum(batch["grad_norm"] for batch in steps) / len(steps))
        self.history.record("lr", steps[-1]["lr"])
        self.guard.keep(self)

    def on_batch_end(self, net: ContrastiveNet, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        """Keep the state within a long epoch too."""
        super().on_batch_end(net, batch=batch, training=training, **kwargs)
        if training and self.keeps_state_after_batch():
            self.guard.keep(self)

    def keeps_state_after_batch(self) -> bool:
        """Whether the state is kept after the batch that was just trained on."""
        return len(self.history[-1]["batches"]) % _KEPT_EVERY == 0

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **kwargs: Any) -> Any:
        """Train until the history has ``max_epochs`` epochs, and record why training ended."""
        left = 0 if self.stop_reason else max(0, self.max_epochs - len(self.history))
        try:
            super().fit_loop(X, y, epochs=left, **kwargs)
        except KeyboardInterrupt:
            self.stop_reason = self.stop_reason or "interrupted"
            raise
        self.stop_reason = self.stop_reason or "max_epochs"
        return self

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call a method of all callbacks. A KeyboardInterrupt, by which one ends training, is recorded."""
        try:
            super().notify(method_name, **kwargs)
        except KeyboardInterrupt:
            self.stop_reason = self.stop_reason or "callback"
            raise

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> ContrastiveNet:
        """Train, and then drop what only training needs, also after an error."""
        try:
            trained: ContrastiveNet = super().partial_fit(X, y, classes, **fit_params)
            return trained
        finally:
            if self._run is not None:
                self.release()

    def release(self) -> None:
        """Drop what only training needs, so that the fitted net does not hold it."""
        self._run.cleanup.close()
        self._run = None
        self.module_.eval()
        self.train_split = None  # holds the rows that were held out
        self.guard.forget()

    def at_release(self, undo: Callable[[], None]) -> None:
        """Register a function to call at the end of the run, also if it fails or is interrupted."""
        self._run.cleanup.callback(undo)

    def stop(self, reason: str) -> None:
        """End training by an interrupt, as skorch's own callbacks do."""
        self.stop_reason = reason
        raise KeyboardInterrupt

    def training_state(self) -> dict[str, Any]:
        """Return everything that a step changes, without a copy."""
        return {
            "module": self.module_.state_dict(),
            "criterion": self.criterion_.state_dict(),
            "optimizer": self.optimizer_.state_dict(),
        }

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Load a copy of what :meth:`training_state` returned."""
        self.module_.load_state_dict(state["module"])
        self.criterion_.load_state_dict(state["criterion"])
        self.optimizer_.load_state_dict(copied(state["optimizer"]))

    def order_state(self) -> Tensor:
        """Return the state of the generator of the order. At the start of an epoch it determines all its batches."""
        state: Tensor = self._run.order.get_state()
        return state

    def drawing_states(self) -> dict[str, Tensor]:
        """Return the states of the generators that each step draws from."""
        return {name: getattr(self._run, name).get_state() for name in ("views", "dropout")}

    def begin_from(self, order: Tensor, drawing: dict[str, Tensor]) -> None:
        """Continue drawing from the states that :meth:`order_state` and :meth:`drawing_states` returned."""
        self._run.order.set_state(order)
        for name, state in drawing.items():
            getattr(self._run, name).set_state(state)

    def skip_batches(self, n_batches: int) -> None:
        """Skip the first batches of the epoch that begins."""
        self._run.batches.skip = n_batches

    # A step

    def _set_training(self, training: bool = True) -> None:
        """Set the mode of all modules, unless they are in it: to set it takes longer than to look."""
        run = self._run
        # a module decides itself in which mode its parts are, as an encoder with frozen ones does
        if run is None or run.mode != training or any(module.training != training for module in run.modules):
            super()._set_training(training)
            if run is not None:
                run.mode = training

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """Take a step. If the loss or its gradient is not finite, restore the last good weights and try again."""
        while True:
            try:
                with self.guard.slowed(self.optimizer_):
                    return super().train_step(batch, **fit_params)
            except NotFiniteError as error:
                self.guard.roll_back(self, error)

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the loss of a batch and its gradient, and check that both are finite.

        Records the norm of the gradient before any callback clips it. The loss that is returned is a number on the CPU,
        so that skorch, which records it, does not wait for the device a second time.

        Raises
        ------
        NotFiniteError
            If the loss or the norm of its gradient is NaN or infinite, for example because a projection is.
        """
        step = self.loss_and_gradient(batch, **fit_params)
        gradients = [parameter.grad for parameter in self._run.learnable if parameter.grad is not None]
        norms = torch._foreach_norm(gradients)  # in one call; torch.nn.utils.get_total_norm takes longer to start it
        loss, norm = self.checked(step["loss"], torch.linalg.vector_norm(torch.stack(norms)))
        self.history.record_batch("grad_norm", norm)
        self.history.record_batch("lr", self.optimizer_.param_groups[0]["lr"])
        return {**step, "loss": torch.tensor(loss, dtype=step["loss"].dtype)}

    def loss_and_gradient(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the loss of a batch and its gradient."""
        if self.micro_batch_size is not None:
            return self._step_in_parts(batch)
        step: dict[str, Tensor] = super().train_step_single(batch, **fit_params)
        return step

    def checked(self, loss: Tensor, gradient_norm: Tensor) -> tuple[float, float]:
        """Return the loss and the norm of its gradient as numbers; raise NotFiniteError if one is not finite."""
        loss_read, norm = check_finite(loss, gradient_norm)
        return loss_read, norm

    def _step_in_parts(self, batch: Any) -> dict[str, Tensor]:
        """Compute the loss of a batch and its gradient by parts of ``micro_batch_size`` rows."""
        inputs, extras = batch
        self.module_.train()
        self.criterion_.train()
        views = self.make_views(inputs)
        stacked = torch.cat(views)  # (v n, ...)
        with self._autocast():
            cached = self.in_parts(self.online, self.module_, stacked)
            projections = at_least_float32(cached.outputs).requires_grad_()
            compared = self.joined(projections, stacked)
        loss = self.get_loss(self._by_view(compared, views), extras, X=inputs, training=True)
        loss.backward()
        assert projections.grad is not None
        with self._autocast():
            cached.backward(projections.grad.to(cached.outputs.dtype))
        return {"loss": loss, "y_pred": projections}

    def make_views(self, x: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the views of a batch, which has one input (n, ...), or one for each measured view."""
        assert self.views is not None  # None only in a net from a file, which does not train
        measured = [on_device(part, self.device) for part in x]
        return self.views(measured[0] if len(measured) == 1 else measured, self._run.views)

    def infer(self, x: tuple[Tensor, ...], **fit_params: Any) -> Tensor:
        """Project the views of a batch: -> (v, n, d)."""
        views = self.make_views(x)
        stacked = torch.cat(views)  # (v n, ...): one pass for all views, which share the statistics of batch norm
        with self._lent_generator(), self._autocast():
            compared = self.joined(at_least_float32(self.online(stacked)), stacked)
        return self._by_view(compared, views)

    def online(self, views: Tensor) -> Tensor:
        """Project views by the network that is trained, (v n, ...) -> (v n, d)."""
        projections: Tensor = self._run.forward(views)
        return projections

    def joined(self, projections: Tensor, views: Tensor) -> Tensor:
        """Return the projections (v n, d); a subclass may add those of another network to compare them with."""
        return projections

    def compare(self, projections: Tensor, **kwargs: Any) -> Tensor:
        """Loss of the projections (v, n, d) of a batch."""
        return multiview_loss(self.criterion_, projections, pairs=self.view_pairs, **kwargs)

    def get_loss(self, y_pred: Tensor, y_true: dict[str, Tensor], X: Any = None, training: bool = False) -> Tensor:
        """Loss of a batch of projections."""
        return self.compare(y_pred, **self._on_device(y_true))

    # Rows that are not trained on

    def run_single_epoch(self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any) -> None:
        """Go through the batches once. Held-out rows get the same views in each epoch."""
        with nullcontext() if training or iterator is None else self.fixed_views():
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        """Compute the validation criterion of a held-out batch."""
        inputs, extras = batch
        projections = self.embed_views(inputs)
        loss = multiview_loss(self.yardstick, projections, pairs=self.view_pairs, **self._on_device(extras))
        return {"loss": loss, "y_pred": projections}

    def embed_views(self, x: tuple[Tensor, ...]) -> Tensor:
        """Project the views of rows in evaluation mode, without a gradient: -> (v, n, d)."""
        self.module_.eval()
        with torch.no_grad():
            views = self.make_views(x)
            return self._by_view(self.module_(torch.cat(views)), views)

    @contextmanager
    def fixed_views(self) -> Iterator[None]:
        """Draw the views inside the block from the same random numbers each time, apart from those of training."""
        generator_of_training = self._run.views
        self._run.views = self.random_streams.generator("fixed_views", self.device)
        try:
            yield
        finally:
            self._run.views = generator_of_training

    # Helpers

    def in_parts(
        self, function: Callable[[Tensor], Tensor], module: nn.Module, views: Tensor, **settings: Any
    ) -> CachedForward:
        """Pass views through a module by parts; ``settings`` are further ones of :class:`CachedForward`."""
        assert self.micro_batch_size is not None
        return CachedForward(
            function, module, views, self.micro_batch_size, draws=self.draws, generator=self._run.dropout, **settings
        )

    @contextmanager
    def _autocast(self) -> Iterator[None]:
        if self.precision == torch.float32:
            yield
            return
        with torch.autocast(torch.device(self.device).type, dtype=self.precision):
            yield
        # Torch forgets the cast weights when the outermost autocast ends, which may be one around the fit.
        torch.clear_autocast_cache()

    def _lent_generator(self) -> AbstractContextManager[Any]:
        return seeded_by(self._run.dropout, torch.device(self.device)) if self.draws else nullcontext()

    def _on_device(self, extras: dict[str, Tensor]) -> dict[str, Tensor]:
        # The loss reads weights to check them, so it gets these on the CPU.
        return {name: value if name == "weight" else on_device(value, self.device) for name, value in extras.items()}

    @staticmethod
    def _by_view(projections: Tensor, views: tuple[Tensor, ...]) -> Tensor:
        by_view: Tensor = projections.unflatten(-2, (len(views), len(views[0])))
        return by_view


def at_least_float32(projections: Tensor) -> Tensor:
    """Return projections of half precision as float32, and others unchanged."""
    return projections.to(torch.promote_types(projections.dtype, torch.float32))


class MomentumNet(ContrastiveNet):
    """A net for losses without repulsion, which compares predictions with the projections of a target network.

    The projections of a view go through a predictor, ``module.predictor``. The result is compared with the projection
    of another view by the target network, an exponential moving average of encoder and head that has no gradient [1]_.
    Predictor and target network together keep training from the trivial minimum at which all embeddings are equal.

    Parameters
    ----------
    ema_decay : float
        Decay of the average in the first step. It rises to 1 by half a cosine.
    n_steps : float
        Number of steps of the training; inf if unknown.
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
        if self._target is None:  # otherwise partial_fit continues with the target network of the last call
            self._target = MomentumTarget(self._followed(), MomentumSchedule(self.ema_decay, self.n_steps))
        super().on_train_begin(net, X=X, y=y, **kwargs)

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> MomentumNet:
        """Train, and drop the target network afterwards. ``partial_fit`` keeps it for the next call."""
        try:
            trained: MomentumNet = super().fit(X, y, **fit_params)
            return trained
        finally:
            self._target = None

    def training_state(self) -> dict[str, Any]:
        """Return everything that a step changes, including the target network."""
        return {**super().training_state(), "target": self._target.state_dict()}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Load what :meth:`training_state` returned."""
        super().load_training_state(state)
        self._target.load_state_dict(state["target"])

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """Take a step, and update the target network."""
        step = super().train_step(batch, **fit_params)
        self._target.follow(self._followed())
        return step

    def online(self, views: Tensor) -> Tensor:
        """Predict from views, (v n, ...) -> (v n, d)."""
        predictions: Tensor = self.module_.predictor(self._run.forward(views))
        return predictions

    def joined(self, projections: Tensor, views: Tensor) -> Tensor:
        """Stack predictions with the projections of the target network: -> (2, v n, d)."""
        if self.micro_batch_size is None:
            targets = self._target(views)
        else:
            targets = self.in_parts(self._target, self._target.module, views).outputs
        return torch.stack([projections, at_least_float32(targets)])

    def compare(self, projections: Tensor, **kwargs: Any) -> Tensor:
        """Compute the loss between the predictions of each view and the targets of the others, (2, v, n, d)."""
        predictions, targets = projections
        return multiview_loss(self.criterion_, predictions, targets, pairs=self.view_pairs, **kwargs)

    def _followed(self) -> nn.Module:
        """Return the part that the target network follows: encoder and head, sharing their weights with the module."""
        return EncoderWithHead(self.module_.encoder, self.module_.head)
