"""Torch modules that turn a batch of inputs into a batch of vectors.

An :class:`Encoder` has three parts. The stem turns what the reader gives into features or channels. The body, such as
:class:`MLP` or :class:`ConvEncoder`, is the network proper. The readout turns activations of the body into the columns
of the embedding. :class:`EncoderWithHead` adds the projection head, which only training uses.
"""

from ._head import Encoder, EncoderWithHead
from ._images import ConvEncoder, ResNet18
from ._mlp import MLP, ResNetMLP
from ._numeric import PeriodicEmbedding, PiecewiseLinearEncoding
from ._readout import GroupedComponents, RotatedComponents, Standardization, participation_ratio
from ._rocket import ConvolutionKernels, RocketEncoder
from ._series import Conv1dEncoder
from ._stems import ChannelStem, TableStem

__all__ = [
    "MLP",
    "ChannelStem",
    "Conv1dEncoder",
    "ConvEncoder",
    "ConvolutionKernels",
    "Encoder",
    "EncoderWithHead",
    "GroupedComponents",
    "PeriodicEmbedding",
    "PiecewiseLinearEncoding",
    "ResNet18",
    "ResNetMLP",
    "RocketEncoder",
    "RotatedComponents",
    "Standardization",
    "TableStem",
    "participation_ratio",
]
