"""Encoders and projection heads: torch modules from a batch of inputs to a batch of vectors."""

from ._head import EncoderWithHead
from ._images import ConvEncoder, ResNet18
from ._mlp import MLP

__all__ = ["MLP", "ConvEncoder", "EncoderWithHead", "ResNet18"]
