"""Encoders of images (n, channels, height, width).

:class:`ConvEncoder` is small and keeps where in the image something is. :class:`ResNet18` is large, pools over the
image, and is the network with which GCA was published.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._utils.config import Configured

__all__ = ["ConvEncoder", "ResNet18"]

_MIN_SIZE = 4  # height and width; two convolutions of stride 2 reduce 4 pixels to one
_WIDTHS = (32, 64, 128)
# Bounds for large images; docs/develop/decisions.md describes how they were chosen.
_USUAL_SIDE = 72  # pixels; images of more than 1.5 times this side are averaged down to about this side
_NARROW = 32  # pixels; a side is not averaged down to fewer
_MOST_CELLS, _FEWEST_CELLS = 64, 16  # height x width of the maps that are flattened
_FLAT_WEIGHTS = 2**20  # of the linear layer


class ConvEncoder(Configured, nn.Sequential):
    """Small convolutional encoder: 3 x 3 convolutions of stride 2 with batch normalisation and ReLU, then linear.

    Use it for images of equal size in which positions matter, such as digits, scans or spectrograms. For photographs of
    objects that may be anywhere in the image, :class:`ResNet18` is an alternative that takes more time.

    The features of the last convolution are flattened, not pooled, so the encoding contains where in the image
    something is. This suits images that fill their frame, such as digits. It also means that all images must have the
    same size.

    By default the network has fewer than two million weights, and takes about the same time, for images of any size.
    Large images are first reduced to a side of about 72 pixels, by the mean of blocks of ``pooling`` pixels. Further
    convolutions follow until at most 8 x 8 places are flattened. Images of up to 64 x 64 pixels are left as they are.

    Parameters
    ----------
    n_channels : int
        Number of channels of the images.
    image_size : (int, int)
        Height and width of the images, each at least 4.
    n_outputs : int
        Number of output features.
    widths : sequence of int, default=None
        Number of output channels of each convolution. Each convolution halves height and width, rounded up. None is
        (32, 64, 128), followed by as many convolutions of 128 channels as a large image needs.
    pooling : (int, int), default=None
        Height and width in pixels of the blocks that become one pixel, before the first convolution. (1, 1) does not
        reduce the image. None depends on the size: (1, 1) up to about 108 x 108 pixels, (3, 3) for 224 x 224.

    Attributes
    ----------
    pooled_size : (int, int)
        Height and width of the images after pooling. Images of this size are accepted too, and are not pooled again.

    Raises
    ------
    ValueError
        If height or width is below 4.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import ConvEncoder
    >>> ConvEncoder(1, (28, 28), 128)(torch.rand(5, 1, 28, 28)).shape
    torch.Size([5, 128])
    >>> large = ConvEncoder(3, (224, 224), 128)
    >>> large.pooling, large.pooled_size, large.widths
    ((3, 3), (75, 75), (32, 64, 128, 128))
    """

    def __init__(
        self,
        n_channels: int,
        image_size: tuple[int, int],
        n_outputs: int,
        *,
        widths: Sequence[int] | None = None,
        pooling: tuple[int, int] | None = None,
    ) -> None:
        height, width = image_size
        if min(height, width) < _MIN_SIZE:
            raise ValueError(
                f"Images of {height} x {width} pixels are too small to convolve; they need {_MIN_SIZE} x {_MIN_SIZE} "
                "at least. Flatten smaller images to rows and use an MLP."
            )
        down, across = usual_pooling(height, width) if pooling is None else pooling
        height, width = pooled_size = -(-height // down), -(-width // across)
        if widths is None:
            widths = _usual_widths(height, width, n_outputs)
        layers: list[nn.Module] = [] if (down, across) == (1, 1) else [_MeanOfBlocks((down, across), pooled_size)]
        for fan_in, fan_out in pairwise((n_channels, *widths)):
            layers += [_convolution(fan_in, fan_out, stride=2), nn.BatchNorm2d(fan_out), nn.ReLU()]
            height, width = _halved(height, width)
        n_features = (n_channels, *widths)[-1] * height * width
        super().__init__(*layers, nn.Flatten(), nn.Linear(n_features, n_outputs))
        self.n_channels = n_channels
        self.image_size = tuple(image_size)
        self.n_outputs = n_outputs
        self.widths = tuple(widths)
        self.pooling = (down, across)
        self.pooled_size = pooled_size

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor. ``pooling`` is left out if it does not reduce the image."""
        return {
            "n_channels": self.n_channels,
            "image_size": list(self.image_size),
            "n_outputs": self.n_outputs,
            "widths": list(self.widths),
            **({} if self.pooling == (1, 1) else {"pooling": list(self.pooling)}),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ConvEncoder":
        """Make the network that :meth:`get_config` described. Version 0.1 did not pool."""
        return cls(**{"pooling": (1, 1), **config})


class _MeanOfBlocks(nn.Module):
    """Reduce images to the means of blocks of pixels; images that are reduced already stay as they are.

    Training reduces the rows when it reads them, so that views are made of few pixels.
    """

    def __init__(self, block: tuple[int, int], pooled_size: tuple[int, int]) -> None:
        super().__init__()
        self.block = block
        self.pooled_size = pooled_size

    def forward(self, batch: Tensor) -> Tensor:
        """Reduce a batch, (n, c, h, w) -> (n, c, *pooled_size)."""
        return batch if batch.shape[2:] == self.pooled_size else mean_of_blocks(batch, self.block)

    def extra_repr(self) -> str:
        return f"block={self.block}"


def mean_of_blocks(images: Tensor, block: tuple[int, int]) -> Tensor:
    """Return the means of blocks of pixels: (n, c, h, w) -> (n, c, ceil(h / down), ceil(w / across)).

    The last blocks are smaller if the size is not a multiple of ``block``, which is (down, across). Blocks of one pixel
    leave rows of any kind as they are.
    """
    return images if block == (1, 1) else F.avg_pool2d(images, block, ceil_mode=True)


def usual_pooling(height: int, width: int) -> tuple[int, int]:
    """Return the blocks (down, across) that reduce an image to about as many pixels as one of the usual side has."""
    block = max(1, round(math.sqrt(height * width) / _USUAL_SIDE))
    down, across = (max(1, min(block, side // _NARROW)) for side in (height, width))
    # A long narrow image is reduced along its length until it has at most four times as many pixels.
    most_pixels = 4 * _USUAL_SIDE**2
    if height >= width:
        down = max(down, math.ceil(height * width / (across * most_pixels)))
    else:
        across = max(across, math.ceil(height * width / (down * most_pixels)))
    return down, across


def _usual_widths(height: int, width: int, n_outputs: int) -> tuple[int, ...]:
    """Return the channels of as many convolutions as bound the linear layer that follows the last one."""
    widths: tuple[int, ...] = _WIDTHS
    most_cells = min(_MOST_CELLS, max(_FEWEST_CELLS, _FLAT_WEIGHTS // (widths[-1] * n_outputs)))
    for _ in widths:
        height, width = _halved(height, width)
    while height * width > most_cells:
        widths = (*widths, widths[-1])
        height, width = _halved(height, width)
    return widths


def _halved(height: int, width: int) -> tuple[int, int]:
    """Return the size after a convolution of stride 2 and padding 1, which rounds up."""
    return (height + 1) // 2, (width + 1) // 2


class ResNet18(Configured, nn.Module):
    """Residual network of 18 layers with a stem for small images: a 3 x 3 convolution of stride 1 without pooling.

    Use it for small photographs, of about 32 x 32 pixels, if there is a GPU to train on. On a CPU, and for large
    images, use :class:`ConvEncoder`, which takes much less time.

    The stem is followed by four stages of two basic blocks each [1]_, the mean over the image, and a linear layer.
    Images can have any size. The losses of this package were published with this network on CIFAR [2]_.

    Parameters
    ----------
    n_channels : int
        Number of channels of the images.
    n_outputs : int
        Number of output features.
    width : int, default=64
        Number of channels of the first stage. Each later stage has twice as many as the one before.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016.
    .. [2] Z. Chen, C.-H. Lin, R. Liu, J. Xiao, E. L. Dyer, "Your contrastive learning problem is secretly a
       distribution alignment problem", NeurIPS 2024.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import ResNet18
    >>> ResNet18(3, 128, width=8)(torch.rand(5, 3, 32, 32)).shape
    torch.Size([5, 128])
    """

    def __init__(self, n_channels: int, n_outputs: int, *, width: int = 64) -> None:
        super().__init__()
        self.n_channels, self.n_outputs, self.width = n_channels, n_outputs, width
        self.stem = nn.Sequential(_convolution(n_channels, width), nn.BatchNorm2d(width), nn.ReLU())
        widths = [width * 2**stage for stage in range(4)]
        blocks: list[nn.Module] = []
        # The first stage keeps the resolution, each later stage halves it.
        for stage, (fan_in, fan_out) in enumerate(pairwise((width, *widths))):
            blocks += [_BasicBlock(fan_in, fan_out, stride=1 if stage == 0 else 2), _BasicBlock(fan_out, fan_out)]
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(widths[-1], n_outputs)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"n_channels": self.n_channels, "n_outputs": self.n_outputs, "width": self.width}

    def forward(self, batch: Tensor) -> Tensor:
        """Embed a batch of images, (n, c, h, w) -> (n, n_outputs)."""
        pooled = self.blocks(self.stem(batch)).mean((2, 3))  # (n, 8 * width)
        encoded: Tensor = self.linear(pooled)
        return encoded


class _BasicBlock(nn.Module):
    """Two convolutions, added to a shortcut. The shortcut is a 1 x 1 convolution if the shape changes."""

    def __init__(self, fan_in: int, fan_out: int, *, stride: int = 1) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _convolution(fan_in, fan_out, stride=stride),
            nn.BatchNorm2d(fan_out),
            nn.ReLU(),
            _convolution(fan_out, fan_out),
            nn.BatchNorm2d(fan_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or fan_in != fan_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(fan_in, fan_out, 1, stride=stride, bias=False), nn.BatchNorm2d(fan_out)
            )

    def forward(self, batch: Tensor) -> Tensor:
        return torch.relu(self.shortcut(batch) + self.residual(batch))


def _convolution(fan_in: int, fan_out: int, *, stride: int = 1) -> nn.Conv2d:
    """Return a 3 x 3 convolution without a bias, which the batch normalisation after it would cancel."""
    convolution = nn.Conv2d(fan_in, fan_out, 3, stride=stride, padding=1, bias=False)
    # This order of the weights is a fifth faster on a CPU. torch's stubs lack the argument, hence the cast.
    cast(Any, convolution).to(memory_format=torch.channels_last)
    return convolution
