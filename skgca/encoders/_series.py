"""Encoders of time series (n, channels, length).

Each convolution of stride 2 doubles the window that the next one sees. Pooling over time then makes the encoding
independent of when a pattern appears, which suits series that are not aligned.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .._utils.config import Configured

__all__ = ["Conv1dEncoder"]

_STRIDE = 2


class Conv1dEncoder(Configured, nn.Module):
    """Convolutions along time, each of which halves the length, then pooling over time and a linear layer.

    Every convolution is followed by batch normalisation and ReLU. The remaining time steps are pooled by their mean and
    their maximum: how much of a feature there is, and how clearly it appears, whenever it does. Mean and maximum are as
    many numbers as two time steps hold. So if at most two steps remain, they are not pooled, which keeps their order.

    Parameters
    ----------
    n_channels : int
        Channels of the series.
    length : int
        Number of samples of each series, at least 2.
    n_outputs : int
        Number of output features.
    widths : sequence of int, default=(32, 64, 128)
        Number of output channels of each convolution; at least one convolution.
    kernel_size : int, default=5
        Number of time steps in the window of a convolution, at least its stride of 2.

    Raises
    ------
    ValueError
        If a size is too small.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import Conv1dEncoder
    >>> Conv1dEncoder(3, 100, 8)(torch.ones(4, 3, 100)).shape
    torch.Size([4, 8])
    """

    def __init__(
        self,
        n_channels: int,
        length: int,
        n_outputs: int,
        *,
        widths: Sequence[int] = (32, 64, 128),
        kernel_size: int = 5,
    ) -> None:
        super().__init__()
        if length < 2:
            raise ValueError(f"length={length!r} is no series; give 2 samples or more, or use an MLP.")
        if len(widths) == 0:
            raise ValueError(f"widths={widths!r} has no convolution; give one or more, such as (32, 64, 128).")
        if kernel_size < _STRIDE:
            raise ValueError(f"kernel_size={kernel_size!r} must be at least {_STRIDE}, or samples are skipped; take 5.")
        self.n_channels, self.length, self.n_outputs = n_channels, length, n_outputs
        self.widths, self.kernel_size = tuple(widths), kernel_size
        padding = kernel_size // 2
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise((n_channels, *widths)):
            # no bias: the batch normalisation subtracts the mean, and a bias with it
            layers.append(nn.Conv1d(fan_in, fan_out, kernel_size, stride=_STRIDE, padding=padding, bias=False))
            layers += [nn.BatchNorm1d(fan_out), nn.ReLU()]
            length = (length + 2 * padding - kernel_size) // _STRIDE + 1
        self.convolutions = nn.Sequential(*layers)
        self.pools = length > 2  # length is now the number of remaining time steps
        self.last = nn.Linear((2 if self.pools else length) * widths[-1], n_outputs)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            "n_channels": self.n_channels,
            "length": self.length,
            "n_outputs": self.n_outputs,
            "widths": list(self.widths),
            "kernel_size": self.kernel_size,
        }

    def forward(self, batch: Tensor) -> Tensor:
        """Encode series, (n, n_channels, length) -> (n, n_outputs)."""
        features = self.convolutions(batch)  # (n, widths[-1], steps)
        # (n, 2 * widths[-1]) if pooled, otherwise (n, steps * widths[-1])
        pooled = torch.cat([features.mean(2), features.amax(2)], 1) if self.pools else features.flatten(1)
        encoded: Tensor = self.last(pooled)
        return encoded
