"""The skorch nets: views before the module, and the loss of their projections after it."""

import math
from contextlib import nullcontext
from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from ._inputs import shuffled_batches
from ._runtime import seeded_by
from .encoders import EncoderWithHead
from .exceptions import TrainingDivergedError
from .losses import multiview_loss

__all__ = ["ContrastiveNet", "MomentumNet"]


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
    draws : bool, default=False
        Whether the module draws random numbers in training, as dropout does: from torch's global generators, which are
        lent to it and put back.
    **kwargs
        As in :class:`skorch.NeuralNet`.
    """

    def __init__(
        self,
        module: Any,
        criterion: Any,
        *,
        views: Any,
        view_pairs: str,
        seed: int,
        draws: bool = False,
        **kwargs: Any,
    ) -> None:
        self.views = views
        self.view_pairs = view_pairs
        self.seed = seed
        self.draws = draws
        super().__init__(module, criterion, **kwargs)

    def get_iterator(self, dataset: Any, training: bool = False) -> DataLoader:
        """Return batches of near-equal size in random order."""
        generator = torch.Generator().manual_seed(self.seed)
        return shuffled_batches(dataset, batch_size=self.batch_size, generator=generator)

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Start the random numbers of the views, on the device that makes them."""
        super().on_train_begin(net, X=X, y=y, **kwargs)
        self._view_generator = torch.Generator(self.device).manual_seed(self.seed + 1)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Let go of the generator: it belongs to the run, not to the fitted net."""
        super().on_train_end(net, X=X, y=y, **kwargs)
        del self._view_generator

    def infer(self, x: tuple[Tensor, ...], **fit_params: Any) -> Tensor:
        """Project the views of a batch, which is (n, ...) once, or once for each measured view: -> (v, n, d)."""
        measured = [part.to(self.device) for part in x]
        views = self.views(measured[0] if len(measured) == 1 else measured, self._view_generator)
        with seeded_by(self._view_generator) if self.draws else nullcontext():
            projections = self.project(torch.cat(views))  # (..., v n, d): one pass through the module
        return projections.unflatten(-2, (len(views), len(measured[0])))

    def project(self, views: Tensor) -> Tensor:
        """Project views, (v n, ...) -> (v n, d)."""
        return self.module_(views)

    def compare(self, projections: Tensor, **kwargs: Any) -> Tensor:
        """Loss of the projections (v, n, d) of a batch."""
        return multiview_loss(self.criterion_, projections, pairs=self.view_pairs, **kwargs)

    def get_loss(self, y_pred: Tensor, y_true: dict[str, Tensor], X: Any = None, training: bool = False) -> Tensor:
        """Loss of a batch of projections.

        Raises
        ------
        TrainingDivergedError
            If the loss is NaN or infinite, as it is for projections that are.
        """
        loss = self.compare(y_pred, **{name: value.to(self.device) for name, value in y_true.items()})
        if not bool(torch.isfinite(loss)):
            raise TrainingDivergedError(
                f"The loss became {loss.item()} in epoch {len(self.history)} with lr={self.lr}; "
                "try a lower lr (a tenth, say), and check for features of very different scale."
            )
        return loss

    def epochs(self) -> list[dict[str, Any]]:
        """Return the history as one flat record an epoch; one that was interrupted does not count."""
        return [
            {
                "epoch": record["epoch"],
                "loss": float(record["train_loss"]),
                "lr": record["batches"][-1]["lr"],
                "seconds": record["dur"],
            }
            for record in self.history
            if "train_loss" in record
        ]


class MomentumNet(ContrastiveNet):
    """A contrastive net for losses that repel nothing: predictions of each view meet a slow copy's view of another.

    The projections go through a predictor, ``module.predictor``, and are compared with those of a target network,
    which is an exponential moving average of the encoder and head, and has no gradient [1]_. Without either, all
    embeddings could become equal, at no loss.

    Parameters
    ----------
    ema_decay : float
        Decay of the average in the first step. From there it rises by half a cosine to 1.
    n_steps : int
        Steps of the whole training.
    **kwargs
        As in :class:`ContrastiveNet`.

    References
    ----------
    .. [1] J.-B. Grill et al., "Bootstrap your own latent", NeurIPS 2020.
    """

    def __init__(self, module: Any, criterion: Any, *, ema_decay: float, n_steps: int, **kwargs: Any) -> None:
        self.ema_decay = ema_decay
        self.n_steps = n_steps
        super().__init__(module, criterion, **kwargs)

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Start the target network as a copy of the encoder and head."""
        super().on_train_begin(net, X=X, y=y, **kwargs)
        self._target = MomentumTarget(self._online(), MomentumSchedule(self.ema_decay, self.n_steps))

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Let go of the target network: the encoder is what is kept."""
        super().on_train_end(net, X=X, y=y, **kwargs)
        del self._target

    def train_step(self, batch: Any, **fit_params: Any) -> Any:
        """Step, and let the target network follow."""
        step = super().train_step(batch, **fit_params)
        self._target.follow(self._online())
        return step

    def project(self, views: Tensor) -> Tensor:
        """Predictions and targets of views, (v n, ...) -> (2, v n, d)."""
        return torch.stack([self.module_.predictor(self.module_(views)), self._target(views)])

    def compare(self, projections: Tensor, **kwargs: Any) -> Tensor:
        """Loss of the predictions of each view and the targets of the others, (2, v, n, d)."""
        predictions, targets = projections
        return multiview_loss(self.criterion_, predictions, targets, pairs=self.view_pairs, **kwargs)

    def _online(self) -> nn.Module:
        """Return what the target network follows, which shares its weights with the module."""
        return EncoderWithHead(self.module_.encoder, self.module_.head)


class MomentumSchedule:
    """Decay of a moving average at a step: from ``start``, by half a cosine, to 1.

    Parameters
    ----------
    start : float
        Decay at step 0.
    n_steps : int
        Step at which it reaches 1.
    """

    def __init__(self, start: float, n_steps: int) -> None:
        self.start = start
        self.n_steps = n_steps

    def __call__(self, step: int) -> float:
        """Return the decay at a step that counts from 0."""
        progress = min(1.0, step / max(1, self.n_steps))
        return 1 - (1 - self.start) * (1 + math.cos(math.pi * progress)) / 2


class MomentumTarget:
    """A network that follows another as the exponential moving average of its weights.

    It is no module, so that skorch neither trains nor keeps it. Its batch normalisation uses the statistics of the
    batch, as that of the network which it follows does.

    Parameters
    ----------
    online : Module
        The network to copy.
    schedule : callable ``step -> decay``
    """

    def __init__(self, online: nn.Module, schedule: MomentumSchedule) -> None:
        self.step = 0
        self.schedule = schedule
        self._average = AveragedModel(online, avg_fn=self._mean)
        self._average.update_parameters(online)  # the first call copies
        self._average.train()

    def __call__(self, batch: Tensor) -> Tensor:
        """Project a batch, without a gradient."""
        with torch.no_grad():
            return self._average(batch)

    def follow(self, online: nn.Module) -> None:
        """Move towards the network, by the decay of this step."""
        self._average.update_parameters(online)
        self.step += 1

    def _mean(self, average: Tensor, current: Tensor, n_averaged: Any) -> Tensor:
        return current.lerp(average, self.schedule(self.step))
