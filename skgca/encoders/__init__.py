"""Encoders and projection heads: torch modules from a batch of inputs to a batch of vectors."""

from ._head import Encoder, EncoderWithHead
from ._images import ConvEncoder, ResNet18
from ._mlp import MLP, PeriodicEmbedding, PiecewiseLinearEncoding, ResNetMLP
from ._readout import RotatedComponents, Standardization, participation_ratio
from ._series import Conv1dEncoder
from ._stems import ChannelStem, TableStem

__all__ = [
    "MLP",
    "ChannelStem",
    "Conv1dEncoder",
    "ConvEncoder",
    "Encoder",
    "EncoderWithHead",
    "PeriodicEmbedding",
    "PiecewiseLinearEncoding",
    "ResNet18",
    "ResNetMLP",
    "RotatedComponents",
    "Standardization",
    "TableStem",
    "participation_ratio",
]
