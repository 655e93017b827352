"""Encoders of images."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .._utils.config import Configured

__all__ = ["ConvEncoder", "ResNet18"]

_SMALLEST = 4  # height and width; below it all but the first convolution would see a single pixel


class ConvEncoder(Configured, nn.Sequential):
    """Small convolutional encoder: 3 x 3 convolutions of stride 2 with batch normalisation and ReLU, then linear.

    The features of the last convolution are flattened rather than pooled, so the embedding knows where in the image
    something is. That suits images which fill their frame, such as digits, and fixes the size of the images.

    Parameters
    ----------
    n_channels : int
        Channels of the images.
    image_size : (int, int)
        Height and width of the images, 4 at least.
    n_outputs : int
        Number of output features.
    widths : sequence of int, default=(32, 64, 128)
        Channels of each convolution; each halves height and width, rounding up.

    Raises
    ------
    ValueError
        If the images are too small.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import ConvEncoder
    >>> ConvEncoder(1, (28, 28), 128)(torch.rand(5, 1, 28, 28)).shape
    torch.Size([5, 128])
    """

    def __init__(
        self, n_channels: int, image_size: tuple[int, int], n_outputs: int, *, widths: Sequence[int] = (32, 64, 128)
    ) -> None:
        height, width = image_size
        if min(height, width) < _SMALLEST:
            raise ValueError(
                f"Images of {height} x {width} pixels are too small to convolve; they need {_SMALLEST} x {_SMALLEST} "
                "at least. Flatten them to rows, and use an MLP."
            )
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise((n_channels, *widths)):
            layers += [_convolution(fan_in, fan_out, stride=2), nn.BatchNorm2d(fan_out), nn.ReLU()]
            height, width = (height + 1) // 2, (width + 1) // 2
        n_features = (n_channels, *widths)[-1] * height * width
        super().__init__(*layers, nn.Flatten(), nn.Linear(n_features, n_outputs))
        self.n_channels = n_channels
        self.image_size = tuple(image_size)
        self.n_outputs = n_outputs
        self.widths = tuple(widths)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            "n_channels": self.n_channels,
            "image_size": list(self.image_size),
            "n_outputs": self.n_outputs,
            "widths": list(self.widths),
        }


class ResNet18(Configured, nn.Module):
    """Residual network of 18 layers with a stem for small images: a 3 x 3 convolution of stride 1, and no pooling.

    Four stages of two basic blocks [1]_, then the mean over the image, and a linear layer. It takes images of any size,
    and is what the losses of this package were published with on CIFAR [2]_.

    Parameters
    ----------
    n_channels : int
        Channels of the images.
    n_outputs : int
        Number of output features.
    width : int, default=64
        Channels of the first stage; each of the following has twice as many as the one before.

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
        for stage, (fan_in, fan_out) in enumerate(pairwise((width, *widths))):
            blocks += [_BasicBlock(fan_in, fan_out, stride=1 if stage == 0 else 2), _BasicBlock(fan_out, fan_out)]
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(widths[-1], n_outputs)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"n_channels": self.n_channels, "n_outputs": self.n_outputs, "width": self.width}

    def forward(self, batch: Tensor) -> Tensor:
        """Embed a batch of images, (n, c, h, w) -> (n, n_outputs)."""
        return self.linear(self.blocks(self.stem(batch)).mean((2, 3)))


class _BasicBlock(nn.Module):
    """Two convolutions beside a shortcut, which is a 1 x 1 convolution where the shape changes."""

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
    """3 x 3; the batch normalisation behind it makes a bias idle."""
    convolution = nn.Conv2d(fan_in, fan_out, 3, stride=stride, padding=1, bias=False)
    return convolution.to(memory_format=torch.channels_last)  # a fifth faster on a CPU
