"""Encoder of time series (n, channels, length) by fixed convolution kernels, as in ROCKET and MiniRocket.

The kernels are not trained. What they find is: a perceptron behind them learns which of their features belong together.
So an epoch costs the features of the views, whose gradient is not needed, and the steps of a small perceptron.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._utils.config import Configured
from ._mlp import MLP

__all__ = ["ConvolutionKernels", "RocketEncoder"]

_TAPS = 9
_LARGE_TAPS = tuple(combinations(range(_TAPS), 3))  # the taps of weight 2 of each kernel, which are 84
_N_KERNELS = len(_LARGE_TAPS)
_GROUPS = (1, 2, 3, 4, 6, 7, 12)  # numbers of groups of channels at a dilation; they divide 84
_MOST_CHANNELS = 9  # that a kernel reads
_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2
_RAMP = 0.02  # share of the responses on either side of a bias that count in part
_NARROWEST = 1e-3  # width of a ramp, in deviations of the channels: below it there is rounding
_SMALLEST_DEVIATION = 0.02  # of a share
_N_SEGMENTS, _MOST_SEGMENTS = 32, 512  # of a channel, and of all channels
_QUANTILE_ROWS, _QUANTILE_VALUES, _MOMENT_ROWS, _PART = 64, 4096, 1024, 256


class ConvolutionKernels(Configured, nn.Module):
    """Shares of the places of a series at which fixed kernels respond by more than a bias.

    Use it to make features of series for a model of your own, without training a network. :class:`RocketEncoder` adds a
    network that is trained on these features.

    These are features of MiniRocket [1]_, fewer and with a soft threshold. There are 84 kernels of nine taps: three
    taps weigh 2 and six weigh -1, so that an offset of the series changes nothing. Each kernel is used once with each
    of ``n_dilations`` dilations, which grow by a constant factor up to a window of the length of the series. Its bias
    is a quantile of its responses to training rows, another one for each dilation. A feature is the mean over
    places of a ramp, which rises from 0 to 1 around the bias. A hard threshold would turn the rounding of a response
    into a jump of the feature; on the ramp are about 4% of the places.

    Beyond the ends of a series, every second dilation reads the nearest sample, and the others 0, the mean: the latter
    also respond to the level of a series, and to how it ends. In long series, only ``n_places`` evenly
    spaced places are read. With several channels, a kernel reads the sum of a random subset of up to nine of them; at
    one dilation, groups of kernels share a subset. :meth:`fit` learns biases, and mean and deviation by which the
    features are standardised.

    Parameters
    ----------
    n_channels : int
        Channels of the series, which should have mean 0 and deviation 1 over all rows and places.
    length : int
        Number of samples of each series, at least 2.
    n_dilations : int, default=11
        Number of features of each kernel.
    n_places : int, default=256
        Largest number of places of a series of this length that are read.
    n_training_places : int, default=64
        The same in training mode, which saves time.
    masked : bool, default=False
        Whether the input has a mask as an additional last channel, 1 within each series and 0 after its end.

    Raises
    ------
    ValueError
        If a size is too small.

    Attributes
    ----------
    n_features : int
        Number of features, ``84 * n_dilations``.
    dilations : list of int
        Distance of two taps, for each of the dilations.

    References
    ----------
    .. [1] A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: a very fast (almost) deterministic transform for time
       series classification", KDD 2021.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import ConvolutionKernels
    >>> rows = torch.randn(20, 2, 50, generator=torch.Generator().manual_seed(0))
    >>> kernels = ConvolutionKernels(2, 50, n_dilations=3).fit(rows)
    >>> kernels.dilations, kernels(rows).shape
    ([1, 2, 6], torch.Size([20, 252]))
    """

    kernels: Tensor
    subsets: Tensor
    slope: Tensor
    offset: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        n_channels: int,
        length: int,
        *,
        n_dilations: int = 11,
        n_places: int = 256,
        n_training_places: int = 64,
        masked: bool = False,
    ) -> None:
        super().__init__()
        if length < 2:
            raise ValueError(f"length={length!r} is no series; give 2 samples or more, or use an MLP.")
        sizes = {"n_channels": n_channels, "n_dilations": n_dilations, "n_places": n_places}
        for name, value in {**sizes, "n_training_places": n_training_places}.items():
            if value < 1:
                raise ValueError(f"{name}={value!r} must be at least 1, such as 11.")
        self.n_channels, self.length, self.masked = n_channels, length, masked
        self.n_dilations, self.n_places, self.n_training_places = n_dilations, n_places, n_training_places
        self.n_features = _N_KERNELS * n_dilations
        largest = max(1.0, (length - 1) / (_TAPS - 1))
        powers = [largest ** (k / max(1, n_dilations - 1)) for k in range(n_dilations)]
        self.dilations = [int(power + 1e-9) for power in powers]  # 7.999... is 8
        n_groups = max(groups for groups in _GROUPS if groups <= n_channels)
        self.register_buffer("kernels", _kernels().view(n_groups, -1, _TAPS), persistent=False)
        self.register_buffer("subsets", _random_subsets(n_dilations, n_groups, n_channels))
        self.register_buffer("slope", torch.ones(n_dilations, n_groups, _N_KERNELS // n_groups, 1))
        self.register_buffer("offset", torch.zeros(n_dilations, n_groups, _N_KERNELS // n_groups, 1))
        self.register_buffer("mean", torch.zeros(self.n_features))
        self.register_buffer("deviation", torch.ones(self.n_features))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        names = ("n_channels", "length", "n_dilations", "n_places", "n_training_places", "masked")
        return {name: getattr(self, name) for name in names}

    def extra_repr(self) -> str:
        """Return what ``repr`` shows: the arguments of the constructor, except the length, which the data determine."""
        return ", ".join(f"{name}={value}" for name, value in self.get_config().items() if name != "length")

    @property
    def stride(self) -> int:
        """Distance of two places that are read."""
        n_places = min(self.n_places, self.n_training_places) if self.training else self.n_places
        return -(-self.length // n_places)

    def fit(self, rows: Tensor) -> ConvolutionKernels:
        """Learn biases, and the scale of the features, from training rows (n, n_channels or one more, length).

        At most 64 evenly spaced rows determine the biases, and 1,024 the scale.
        """
        mode = self.training
        self.eval()
        with torch.no_grad():
            series, inside = self._series(_evenly_spaced(rows, _QUANTILE_ROWS))
            for k in range(self.n_dilations):
                responses = self._responses(series, k, torch.ones_like(self.slope[k]), torch.zeros_like(self.offset[k]))
                responses = responses.transpose(0, 1)
                responses = responses.flatten(1) if inside is None else responses[:, inside > 0]
                bias, width = self._thresholds(responses, k)
                self.slope[k] = (1 / width).view_as(self.slope[k])
                self.offset[k] = (0.5 - bias / width).view_as(self.offset[k])
            parts = _evenly_spaced(rows, _MOMENT_ROWS).split(_PART)
            shares = torch.cat([self.shares(part) for part in parts]).double()
            deviation, mean = torch.std_mean(shares, 0, correction=0)
        self.mean, self.deviation = mean.to(self.mean), deviation.clamp(min=_SMALLEST_DEVIATION).to(self.deviation)
        return self.train(mode)

    def forward(self, batch: Tensor) -> Tensor:
        """Return standardised features: (n, n_channels or one more, length) -> (n, n_features)."""
        features: Tensor = (self.shares(batch) - self.mean) / self.deviation
        return features

    def shares(self, batch: Tensor) -> Tensor:
        """Return the shares of places, in [0, 1]: (n, n_channels or one more, length) -> (n, n_features)."""
        kind = batch.device.type
        if torch.is_autocast_enabled(kind):
            # half precision has too few digits for the difference of a response and a bias
            with torch.autocast(kind, enabled=False):
                return self.shares(batch.to(self.mean.dtype))
        series, inside = self._series(batch)
        shares = []
        for k in range(self.n_dilations):
            above = self._responses(series, k, self.slope[k], self.offset[k]).clamp_(0, 1)  # (n, 84, places)
            if inside is None:
                shares.append(above.mean(2))
            else:
                n_inside = inside.sum(1, keepdim=True).clamp(min=1)
                shares.append(torch.matmul(above, inside[:, :, None])[:, :, 0] / n_inside)
        return torch.cat(shares, dim=1)

    def _series(self, batch: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor | None]:
        """Return series with 0 after their end and with their last sample there, and which places are inside.

        Both series are (n, n_channels, length), and the places (n, places); None means that all are inside.
        """
        if not self.masked:
            return (batch, batch), None
        values, mask = batch[:, :-1], batch[:, -1]
        last = (mask.sum(1, keepdim=True) - 1).clamp(min=0).long()  # (n, 1)
        steps = torch.arange(batch.shape[2], device=batch.device).minimum(last)
        extended = values.gather(2, steps[:, None].expand_as(values))
        return (values, extended), mask[:, :: self.stride]

    def _responses(self, series: tuple[Tensor, Tensor], k: int, slope: Tensor, offset: Tensor) -> Tensor:
        """Return slope * response + offset of all kernels at dilation number k: (n, 84, places)."""
        reads_nearest = k % 2 == 0
        values = series[int(reads_nearest)]
        n, _, length = values.shape
        places = torch.arange(0, length, self.stride, device=values.device)
        taps = self.dilations[k] * (torch.arange(_TAPS, device=values.device) - _TAPS // 2)
        index = places + taps[:, None]  # (9, places)
        if reads_nearest:
            index = index.clamp(0, length - 1)
        else:
            values = F.pad(values, (0, 1))  # the 0 that is read outside
            index = torch.where((index < 0) | (index >= length), length, index)
        index = index.flatten()
        if length <= len(index):
            read = self._mixed(values, k).index_select(2, index)
        else:
            read = self._mixed(values.index_select(2, index), k)
        read = read.view(n, -1, _TAPS, len(places))  # (n, groups, 9, places)
        # The offset is a tenth tap that reads ones: adding it afterwards would be another pass through the responses.
        read = F.pad(read, (0, 0, 0, 1), value=1.0)
        weights = torch.cat([self.kernels * slope, offset], dim=2)  # (groups, kernels of a group, 10)
        return torch.matmul(weights, read).flatten(1, 2)

    def _mixed(self, values: Tensor, k: int) -> Tensor:
        """Return the sums of the subsets of channels: (n, n_channels, length) -> (n, groups, length)."""
        return values if self.n_channels == 1 else torch.matmul(self.subsets[k], values)

    def _thresholds(self, responses: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return bias and width of the ramp of each kernel at dilation number k: (84, values) -> (84,), (84,)."""
        ordered = responses[:, :: -(-responses.shape[1] // _QUANTILE_VALUES)].sort(dim=1).values
        last = ordered.shape[1] - 1
        # multiples of the golden ratio, modulo 1, spread evenly however many there are
        number = torch.arange(_N_KERNELS, device=ordered.device, dtype=torch.float64) * self.n_dilations + k + 1
        share = (number * _GOLDEN_RATIO) % 1

        def quantile(at: Tensor) -> Tensor:
            return ordered.gather(1, (at.clamp(0, 1) * last).round().long()[:, None])[:, 0]

        width = quantile(share + _RAMP) - quantile(share - _RAMP)
        return quantile(share), width.clamp(min=_NARROWEST)


class RocketEncoder(Configured, nn.Module):
    """Features of fixed convolution kernels, and a multilayer perceptron that is trained on them.

    Use it for series; it is the default for them. To train the convolutions themselves, use :class:`Conv1dEncoder`.

    Kernels hardly say when a pattern appears. So :meth:`activations` also returns the series itself, as means of up
    to 32 segments: where series are short, times often matter.

    :meth:`fit` must see training rows before the encoder is trained, since biases and scale of the features come from
    them; :class:`skgca.GCAEmbedder` calls it.

    Parameters
    ----------
    n_channels, length
        As in :class:`ConvolutionKernels`.
    n_outputs : int
        Number of output features.
    hidden_layer_sizes, dropout, normalization
        As in :class:`MLP`; by default two layers of 256.
    n_dilations, n_places, n_training_places, masked
        As in :class:`ConvolutionKernels`.

    Raises
    ------
    ValueError
        If a size is too small, or an option is not known or out of range.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import RocketEncoder
    >>> rows = torch.randn(20, 3, 100, generator=torch.Generator().manual_seed(0))
    >>> encoder = RocketEncoder(3, 100, 8).fit(rows)
    >>> encoder(rows).shape, [layer.shape[1] for layer in encoder.activations(rows)]
    (torch.Size([20, 8]), [75, 924, 256, 256, 8])
    """

    def __init__(
        self,
        n_channels: int,
        length: int,
        n_outputs: int,
        *,
        hidden_layer_sizes: Sequence[int] = (256, 256),
        dropout: float = 0.0,
        normalization: str | None = "batch",
        n_dilations: int = 11,
        n_places: int = 256,
        n_training_places: int = 64,
        masked: bool = False,
    ) -> None:
        super().__init__()
        self.kernels = ConvolutionKernels(
            n_channels,
            length,
            n_dilations=n_dilations,
            n_places=n_places,
            n_training_places=n_training_places,
            masked=masked,
        )
        self.perceptron = MLP(
            self.kernels.n_features, hidden_layer_sizes, n_outputs, dropout=dropout, normalization=normalization
        )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        config = self.perceptron.get_config()
        names = ("n_outputs", "hidden_layer_sizes", "dropout", "normalization")
        return {**self.kernels.get_config(), **{name: config[name] for name in names}}

    def fit(self, rows: Tensor) -> RocketEncoder:
        """Fit the kernels to training rows; see :meth:`ConvolutionKernels.fit`."""
        self.kernels.fit(rows)
        return self

    def forward(self, batch: Tensor) -> Tensor:
        """Encode series: (n, n_channels, length), or n_channels + 1 with a mask -> (n, n_outputs)."""
        encoded: Tensor = self.perceptron(self.kernels(batch))
        return encoded

    def activations(self, batch: Tensor) -> list[Tensor]:
        """Return means of segments, features of the kernels, outputs of each hidden layer, and those of the network."""
        features = self.kernels(batch)
        return [self.segments(batch), features, *self.perceptron.activations(features)]

    def segments(self, batch: Tensor) -> Tensor:
        """Return the means of segments of equal length: (n, n_channels, length) -> (n, n_segments * n_channels).

        They are at the same times in all series, and 0 after the end of a series. There are none with more than 512
        channels.
        """
        n_channels, length = self.kernels.n_channels, self.kernels.length
        most = min(_N_SEGMENTS, _MOST_SEGMENTS // n_channels)
        if most == 0:
            return batch.new_zeros(len(batch), 0)
        step = -(-length // most)
        n_segments = -(-length // step)
        values = batch[:, :n_channels, : n_segments * step]
        values = F.pad(values, (0, n_segments * step - values.shape[2]))
        means: Tensor = values.unflatten(2, (n_segments, step)).mean(3)
        return means.flatten(1)


def _kernels() -> Tensor:
    """Return the weights of all kernels: (84, 9)."""
    kernels = torch.full((_N_KERNELS, _TAPS), -1.0)
    return kernels.scatter_(1, torch.tensor(_LARGE_TAPS), 2.0)


def _random_subsets(n_dilations: int, n_groups: int, n_channels: int) -> Tensor:
    """Return the channels of each subset, as 0 or 1: (n_dilations, n_groups, n_channels).

    Sizes are powers of 2 of uniform exponents, as in MiniRocket. Channels are dealt from shuffled decks, so that all
    are used about equally often.
    """
    subsets = torch.zeros(n_dilations * n_groups, n_channels)
    most = min(n_channels, _MOST_CHANNELS)
    sizes = (2 ** (math.log2(most + 1) * torch.rand(len(subsets)))).long().clamp(1, most)
    deck: list[int] = []
    for subset, size in zip(subsets, sizes.tolist(), strict=True):
        while int(subset.sum()) < size:
            deck = deck or torch.randperm(n_channels).tolist()
            subset[deck.pop()] = 1.0
    return subsets.view(n_dilations, n_groups, n_channels)


def _evenly_spaced(rows: Tensor, most: int) -> Tensor:
    """Return at most so many rows."""
    return rows[:: -(-len(rows) // most)]
