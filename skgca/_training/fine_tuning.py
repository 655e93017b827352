"""The skorch net that fine-tunes a trained encoder on labelled rows, with a linear output in place of the loss."""

from __future__ import annotations

from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Generator, Tensor, nn
from torch.utils.data import DataLoader

from .._data import RowDataset, shuffled_batches
from .._data.batches import Batch
from .._utils.device import on_device
from ..encoders import Encoder
from ..views import MultiView
from .callbacks import warmup_cosine

__all__ = ["FineTuningNet", "Output"]

_WARMUP = 0.1  # share of the steps
_BATCH_SIZE = 128


class Output(nn.Module):
    """An encoder with a linear output, whose weights start from those of a linear model of the embedding.

    Parameters
    ----------
    encoder : Encoder
        Its weights are trained; the readout stays as it is.
    coef : Tensor of shape (k, n_features_out)
    intercept : Tensor of shape (k,)
    """

    def __init__(self, encoder: Encoder, coef: Tensor, intercept: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        # Random initial weights would draw from torch's global generator, which is left as it was.
        self.output = nn.utils.skip_init(nn.Linear, coef.shape[1], coef.shape[0])
        with torch.no_grad():
            self.output.weight.copy_(coef)
            self.output.bias.copy_(intercept)

    def forward(self, batch: Tensor) -> Tensor:
        """Return the outputs of a batch: (n, ...) -> (n, k)."""
        outputs: Tensor = self.output(self.encoder(batch))
        return outputs

    def train(self, mode: bool = True) -> Output:
        """Stay in evaluation mode: labelled rows are too few for statistics of batch normalisation."""
        super().train(False)
        return self


class FineTuningNet(NeuralNet):
    """Trains an encoder and its output on views of labelled rows.

    Parameters
    ----------
    module : Output
    criterion : Module
        ``(outputs (n, k), targets (n, ...)) -> losses (n,)``.
    views : MultiView
        Makes the views of a batch.
    order, draws : torch.Generator
        Sources of the order of batches, and of the views.
    n_steps : int
        Number of steps. The learning rate rises at first, and then falls to 0.
    lr, output_lr : float
        Learning rates of the encoder and of the output.
    device : torch.device
    """

    def __init__(
        self,
        module: Output,
        criterion: nn.Module,
        *,
        views: MultiView,
        order: Generator,
        draws: Generator,
        n_steps: int,
        lr: float,
        output_lr: float,
        device: torch.device | str,
    ) -> None:
        self.views = views
        self.order = order
        self.draws = draws
        self.n_steps = n_steps
        super().__init__(
            module,
            criterion,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=1e-4,
            optimizer__param_groups=[("output.*", {"lr": output_lr})],
            lr=lr,
            max_epochs=n_steps,  # it ends after the last step
            batch_size=_BATCH_SIZE,
            train_split=None,
            callbacks=[warmup_cosine(n_steps, _WARMUP), ("last_step", _LastStep())],
            callbacks__print_log=None,
            verbose=0,
            device=device,
        )

    def get_iterator(self, dataset: RowDataset, training: bool = False) -> DataLoader[Batch]:
        """Return batches of labelled rows in random order."""
        return shuffled_batches(dataset, batch_size=self.batch_size, generator=self.order)

    def infer(self, x: tuple[Tensor, ...], **fit_params: Any) -> Tensor:
        """Return the outputs of all views: (v n, k)."""
        outputs: Tensor = self.module_(torch.cat(self.views(on_device(x[0], self.device), self.draws)))
        return outputs

    def get_loss(self, y_pred: Tensor, y_true: dict[str, Tensor], X: Any = None, training: bool = False) -> Tensor:
        """Return the mean loss of the views, weighted by the rows."""
        n_views = len(y_pred) // len(y_true["label"])
        label, weight = (
            on_device(y_true[name], self.device).repeat(n_views, *[1] * (y_true[name].ndim - 1))
            for name in ("label", "weight")
        )
        losses: Tensor = self.criterion_(y_pred, label)
        return (weight * losses).sum() / weight.sum()


class _LastStep(Callback):
    """Ends the training after the last step."""

    def on_train_begin(self, net: FineTuningNet, **kwargs: Any) -> None:
        self.n_done_ = 0

    def on_batch_end(self, net: FineTuningNet, training: bool = False, **kwargs: Any) -> None:
        self.n_done_ += 1
        if self.n_done_ >= net.n_steps:
            raise KeyboardInterrupt  # by which skorch ends a training
