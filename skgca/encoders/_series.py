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

    Use it for series if the convolutions should be trained. The default for series is :class:`RocketEncoder`, whose
    convolutions are fixed.

    Every convolution is followed by batch normalisation and ReLU. The remaining time steps are pooled by their mean and
    their maximum: how much of a feature there is, and how clearly it appears, whenever it does. Mean and maximum are as
    many numbers as two time steps hold. So if at most two steps remain, they are not pooled, which keeps their order.

    With ``masked=True``, series have unequal lengths: a last channel of the input is 1 within each series and 0 after
    its end. A series is then encoded as it would be without its padding. Series may be longer than ``length``.

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
    masked : bool, default=False
        Whether the input has a mask as an additional last channel. Time steps are then always pooled.

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
        masked: bool = False,
    ) -> None:
        super().__init__()
        if length < 2:
            raise ValueError(f"length={length!r} is no series; give 2 samples or more, or use an MLP.")
        if len(widths) == 0:
            raise ValueError(f"widths={widths!r} has no convolution; give one or more, such as (32, 64, 128).")
        if kernel_size < _STRIDE:
            raise ValueError(f"kernel_size={kernel_size!r} must be at least {_STRIDE}, or samples are skipped; take 5.")
        self.n_channels, self.length, self.n_outputs = n_channels, length, n_outputs
        self.widths, self.kernel_size, self.masked = tuple(widths), kernel_size, masked
        padding = kernel_size // 2
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise((n_channels, *widths)):
            # no bias: the batch normalisation subtracts the mean, and a bias with it
            layers.append(nn.Conv1d(fan_in, fan_out, kernel_size, stride=_STRIDE, padding=padding, bias=False))
            layers += [nn.BatchNorm1d(fan_out), nn.ReLU()]
            length = (length + 2 * padding - kernel_size) // _STRIDE + 1
        self.convolutions = nn.Sequential(*layers)
        self.pools = masked or length > 2  # length is now the number of remaining time steps
        self.last = nn.Linear((2 if self.pools else length) * widths[-1], n_outputs)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            "n_channels": self.n_channels,
            "length": self.length,
            "n_outputs": self.n_outputs,
            "widths": list(self.widths),
            "kernel_size": self.kernel_size,
            "masked": self.masked,
        }

    def forward(self, batch: Tensor) -> Tensor:
        """Encode series, (n, n_channels, length), or n_channels + 1 with a mask -> (n, n_outputs)."""
        if self.masked:
            return self._encode_masked(batch[:, :-1], batch[:, -1].sum(1))
        features = self.convolutions(batch)  # (n, widths[-1], steps)
        # (n, 2 * widths[-1]) if pooled, otherwise (n, steps * widths[-1])
        pooled = torch.cat([features.mean(2), features.amax(2)], 1) if self.pools else features.flatten(1)
        encoded: Tensor = self.last(pooled)
        return encoded

    def _encode_masked(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Encode padded series (n, n_channels, length) whose own lengths are (n,)."""
        lengths = lengths.long()
        layers = iter(self.convolutions)
        for convolution, normalization, activation in zip(layers, layers, layers, strict=True):
            # Padding is 0 before each convolution, as are the zeros that a convolution adds at the ends of a series.
            values = convolution(values)
            lengths = (lengths + 2 * (self.kernel_size // 2) - self.kernel_size) // _STRIDE + 1
            inside = torch.arange(values.shape[2], device=values.device) < lengths[:, None]  # (n, steps)
            if self.training:
                # statistics of the batch are those of what is inside; (k, width) is normalised as (k, width, 1)
                steps = activation(normalization(values.movedim(1, 2)[inside]))
                values = steps.new_zeros(*inside.shape, values.shape[1]).index_put((inside,), steps).movedim(2, 1)
            else:
                values = activation(normalization(values)) * inside[:, None]
        mean = values.sum(2) / lengths[:, None]
        encoded: Tensor = self.last(torch.cat([mean, values.amax(2)], 1))  # no feature is below 0, the padding
        return encoded
