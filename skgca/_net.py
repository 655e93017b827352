"""The skorch net: views before the module, and the loss of two embeddings after it."""

from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor
from torch.utils.data import DataLoader

from ._inputs import shuffled_batches
from .exceptions import TrainingDivergedError

__all__ = ["ContrastiveNet"]


class ContrastiveNet(NeuralNet):
    """A skorch net whose prediction for a batch is the projections of two views of it.

    Parameters
    ----------
    module : Module
        (n, ...) -> (n, d): encoder and projection head.
    criterion : Module
        ``(z_a, z_b, **what the dataset gives beside its inputs) -> scalar``.
    views : ViewPair
        Makes the two views of a batch.
    seed : int
        Seed of the order of batches and of the views.
    **kwargs
        As in :class:`skorch.NeuralNet`.
    """

    def __init__(self, module: Any, criterion: Any, *, views: Any, seed: int, **kwargs: Any) -> None:
        self.views = views
        self.seed = seed
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

    def infer(self, x: Tensor, **fit_params: Any) -> Tensor:
        """Project two views of a batch: (n, ...) -> (2, n, d)."""
        x = x.to(self.device)
        views = torch.cat(self.views(x, self._view_generator))  # (2n, ...): one pass through the module
        return self.module_(views, **fit_params).unflatten(0, (2, len(x)))

    def get_loss(self, y_pred: Tensor, y_true: dict[str, Tensor], X: Any = None, training: bool = False) -> Tensor:
        """Loss of a batch of paired projections.

        Raises
        ------
        TrainingDivergedError
            If the loss is NaN or infinite, as it is for projections that are.
        """
        z_a, z_b = y_pred
        loss = self.criterion_(z_a, z_b, **{name: value.to(self.device) for name, value in y_true.items()})
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
