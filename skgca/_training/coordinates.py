"""The skorch net that teaches a network given coordinates, from which the training of a map starts."""

from __future__ import annotations

from typing import Any

import torch
from skorch import NeuralNet
from torch import Generator, Tensor, nn
from torch.utils.data import DataLoader

from .._data import RowDataset, shuffled_batches
from .._data.batches import Batch
from .._utils.device import FUSED_ON, on_device

__all__ = ["CoordinateNet"]


class CoordinateNet(NeuralNet):
    """Trains a module to return the coordinates of rows, by the mean squared error.

    Parameters
    ----------
    module : Module
        (n, ...) -> (n, d).
    order : torch.Generator
        Draws the order of batches.
    n_steps : int
        Number of steps, rounded to whole epochs, and at least one epoch.
    batch_size : int
    lr : float
        Learning rate of AdamW.
    device : torch.device
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        order: Generator,
        n_steps: int,
        batch_size: int,
        lr: float,
        device: torch.device | str,
    ) -> None:
        self.order = order
        self.n_steps = n_steps
        super().__init__(
            module,
            nn.MSELoss,
            optimizer=torch.optim.AdamW,
            optimizer__fused=torch.device(device).type in FUSED_ON,
            lr=lr,
            batch_size=batch_size,
            train_split=None,
            callbacks__print_log=None,
            verbose=0,
            device=device,
        )

    def fit(self, X: RowDataset, y: Any = None, **fit_params: Any) -> CoordinateNet:
        """Train on rows with an extra "coordinates" (n, d)."""
        n_batches = len(shuffled_batches(X, batch_size=self.batch_size, generator=self.order))
        self.max_epochs = max(1, round(self.n_steps / n_batches))
        trained: CoordinateNet = super().fit(X, y, **fit_params)
        return trained

    def get_iterator(self, dataset: RowDataset, training: bool = False) -> DataLoader[Batch]:
        """Return batches of rows in random order."""
        return shuffled_batches(dataset, batch_size=self.batch_size, generator=self.order)

    def infer(self, x: tuple[Tensor, ...], **fit_params: Any) -> Tensor:
        """Return the coordinates of a batch: (n, d)."""
        coordinates: Tensor = self.module_(on_device(x[0], self.device))
        return coordinates

    def get_loss(self, y_pred: Tensor, y_true: dict[str, Tensor], X: Any = None, training: bool = False) -> Tensor:
        """Return the mean squared error."""
        loss: Tensor = self.criterion_(y_pred, on_device(y_true["coordinates"], self.device))
        return loss
