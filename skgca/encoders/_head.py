"""An encoder as it is trained and as it is used: with heads, and with what reads the embedding out of it."""

from typing import Any

import torch
from torch import Tensor, nn

from .._utils.config import Configured
from ._readout import RotatedComponents, Standardization

__all__ = ["Encoder", "EncoderWithHead"]


class Encoder(Configured, nn.Module):
    """Stem, body, and the readout of the embedding; what ``transform`` runs.

    Parameters
    ----------
    stem : Module
        What a reader gives -> what the body takes; its ``plain`` gives the inputs as features.
    body : Module
        -> (n, n_outputs). With the readout :class:`RotatedComponents`, it has ``activations(batch)``, which gives those
        of each layer, the outputs last.
    readout : Standardization or RotatedComponents
        From the outputs of the body, or from all activations, to the columns of the embedding.
    passthrough : bool, default=False
        Whether the embedding has the inputs beside it.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import MLP, Encoder, Standardization, TableStem
    >>> stem = TableStem([0, 0], has_missing=[False, False])
    >>> encoder = Encoder(stem, MLP(2, (8,), 3), Standardization(3), passthrough=True).eval()
    >>> encoder(torch.zeros(5, 2)).shape, encoder.features(torch.zeros(5, 2)).shape
    (torch.Size([5, 5]), torch.Size([5, 3]))
    """

    def __init__(
        self,
        stem: nn.Module,
        body: nn.Module,
        readout: Standardization | RotatedComponents,
        *,
        passthrough: bool = False,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.body = body
        self.readout = readout
        self.passthrough = passthrough

    def get_config(self) -> dict[str, Any]:
        """Return the parts, which have configurations of their own, and whether the inputs are passed through."""
        return {"stem": self.stem, "body": self.body, "readout": self.readout, "passthrough": self.passthrough}

    def forward(self, batch: Tensor) -> Tensor:
        """Embed a batch: what is read out of the body, then the inputs if they are passed through."""
        embedding = self.readout(self.activations(batch))
        return torch.cat([embedding, self.stem.plain(batch)], dim=1) if self.passthrough else embedding

    def features(self, batch: Tensor) -> Tensor:
        """Return the outputs of the body, which training works on: (n, ...) -> (n, n_outputs)."""
        return self.body(self.stem(batch))

    def activations(self, batch: Tensor) -> Tensor:
        """Return what the embedding is read from: (n, ...) -> (n, n_activations)."""
        if isinstance(self.readout, RotatedComponents):
            return torch.cat(self.body.activations(self.stem(batch)), dim=1)
        return self.features(batch)


class EncoderWithHead(Configured, nn.Module):
    """An encoder, and the heads that only training uses.

    Parameters
    ----------
    encoder : Encoder
        What is kept.
    head : Module
        (n, n_outputs) -> (n, d); the loss compares its outputs.
    predictor : Module, default=None
        (n, d) -> (n, d): from a projection to that of another view, for losses that need a target network.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import MLP, Encoder, EncoderWithHead, Standardization, TableStem
    >>> stem = TableStem([0, 0], has_missing=[False, False])
    >>> encoder = Encoder(stem, MLP(2, (8,), 3), Standardization(3), passthrough=True).eval()
    >>> EncoderWithHead(encoder, MLP(3, (8,), 4))(torch.zeros(5, 2)).shape
    torch.Size([5, 4])
    """

    def __init__(self, encoder: Encoder, head: nn.Module, predictor: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.predictor = predictor

    def get_config(self) -> dict[str, Any]:
        """Return the parts, which have configurations of their own."""
        return {"encoder": self.encoder, "head": self.head, "predictor": self.predictor}

    def forward(self, batch: Tensor) -> Tensor:
        """Project a batch."""
        return self.head(self.encoder.features(batch))
