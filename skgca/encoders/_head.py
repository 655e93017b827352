"""An encoder as it is trained and as it is used: with heads, and with what makes its outputs an embedding."""

import torch
from torch import Tensor, nn

from ._stems import Standardization

__all__ = ["Encoder", "EncoderWithHead"]


class Encoder(nn.Module):
    """Stem, body, and the standardisation of the outputs; what ``transform`` runs.

    Parameters
    ----------
    stem : Module
        What a reader gives -> what the body takes; its ``plain`` gives the inputs as features.
    body : Module
        -> (n, n_outputs).
    n_outputs : int
        Number of outputs of the body.
    passthrough : bool, default=False
        Whether the embedding has the inputs beside it.
    """

    def __init__(self, stem: nn.Module, body: nn.Module, n_outputs: int, *, passthrough: bool = False) -> None:
        super().__init__()
        self.stem = stem
        self.body = body
        self.output = Standardization(n_outputs)
        self.passthrough = passthrough

    def forward(self, batch: Tensor) -> Tensor:
        """Embed a batch: standardised outputs of the body, then the inputs if they are passed through."""
        embedding = self.output(self.features(batch))
        return torch.cat([embedding, self.stem.plain(batch)], dim=1) if self.passthrough else embedding

    def features(self, batch: Tensor) -> Tensor:
        """Return the outputs of the body, which training works on: (n, ...) -> (n, n_outputs)."""
        return self.body(self.stem(batch))


class EncoderWithHead(nn.Module):
    """An encoder, and the heads that only training uses.

    Parameters
    ----------
    encoder : Encoder
        What is kept.
    head : Module
        (n, n_outputs) -> (n, d); the loss compares its outputs.
    predictor : Module, default=None
        (n, d) -> (n, d): from a projection to that of another view, for losses that need a target network.
    """

    def __init__(self, encoder: Encoder, head: nn.Module, predictor: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.predictor = predictor

    def forward(self, batch: Tensor) -> Tensor:
        """Project a batch."""
        return self.head(self.encoder.features(batch))
