"""An encoder together with what only training uses."""

from torch import Tensor, nn

__all__ = ["EncoderWithHead"]


class EncoderWithHead(nn.Module):
    """An encoder, and the heads that only training uses.

    Parameters
    ----------
    encoder : Module
        Batch of inputs -> (n, n_components); what ``transform`` keeps.
    head : Module
        (n, n_components) -> (n, d); the loss compares its outputs.
    predictor : Module, default=None
        (n, d) -> (n, d): from a projection to that of another view, for losses that need a target network.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module, predictor: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.predictor = predictor

    def forward(self, batch: Tensor) -> Tensor:
        """Project a batch."""
        return self.head(self.encoder(batch))
