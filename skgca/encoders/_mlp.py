"""Encoders of tables: multilayer perceptrons, plain and residual, and embeddings of numeric columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .._utils.config import Configured

__all__ = ["MLP", "PeriodicEmbedding", "PiecewiseLinearEncoding", "ResNetMLP"]

_NORMALIZATIONS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, None: None}
_ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "selu": nn.SELU}


def _block_parts(normalization: str | None, activation: str, dropout: float) -> tuple[type | None, type]:
    """Look up the classes of normalisation and activation, and check the rate of dropout.

    Raises
    ------
    ValueError
        If one is not known or out of range.
    """
    for name, value, known in (
        ("normalization", normalization, _NORMALIZATIONS),
        ("activation", activation, _ACTIVATIONS),
    ):
        if value not in known:
            raise ValueError(f"{name}={value!r} is not known; use one of {', '.join(map(repr, known))}.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout={dropout!r} must lie in [0, 1), such as 0.1.")
    return _NORMALIZATIONS[normalization], _ACTIVATIONS[activation]


class _Perceptron(Configured):
    """What the perceptrons here share: the arguments of their constructors."""

    n_inputs: int
    hidden_layer_sizes: tuple[int, ...]
    n_outputs: int
    dropout: float
    normalization: str | None
    activation: str

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            "n_inputs": self.n_inputs,
            "hidden_layer_sizes": list(self.hidden_layer_sizes),
            "n_outputs": self.n_outputs,
            "dropout": float(self.dropout),
            "normalization": self.normalization,
            "activation": self.activation,
        }


class MLP(_Perceptron, nn.Sequential):
    """Multilayer perceptron: linear layers with normalisation, activation and dropout between them.

    Batch rather than layer normalisation, which embedded less well on the sets of ``docs/develop/decisions.md``. In
    evaluation it uses running statistics, so the embedding of a row does not depend on the rows it comes with.

    Parameters
    ----------
    n_inputs : int
        Number of input features.
    hidden_layer_sizes : sequence of int
        Widths of the hidden layers; may be empty.
    n_outputs : int
        Number of output features.
    dropout : float, default=0.0
        Share of activations set to 0 in training, in [0, 1).
    normalization : {"batch", "layer", None}, default="batch"
        What normalises each hidden layer before its activation.
    activation : {"relu", "gelu", "silu", "selu"}, default="relu"
        Activation of the hidden layers.

    Raises
    ------
    ValueError
        If an option is not known or out of range.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import MLP
    >>> MLP(4, (8,), 2, dropout=0.1, normalization="layer", activation="gelu")
    MLP(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): LayerNorm((8,), eps=1e-05, elementwise_affine=True, bias=True)
      (2): GELU(approximate='none')
      (3): Dropout(p=0.1, inplace=False)
      (4): Linear(in_features=8, out_features=2, bias=True)
    )
    """

    def __init__(
        self,
        n_inputs: int,
        hidden_layer_sizes: Sequence[int],
        n_outputs: int,
        *,
        dropout: float = 0.0,
        normalization: str | None = "batch",
        activation: str = "relu",
    ) -> None:
        norm, act = _block_parts(normalization, activation, dropout)
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise((n_inputs, *hidden_layer_sizes)):
            layers.append(nn.Linear(fan_in, fan_out))
            layers += [norm(fan_out)] if norm else []
            layers.append(act())
            layers += [nn.Dropout(dropout)] if dropout else []
        super().__init__(*layers, nn.Linear((n_inputs, *hidden_layer_sizes)[-1], n_outputs))
        self.n_inputs, self.hidden_layer_sizes, self.n_outputs = n_inputs, tuple(hidden_layer_sizes), n_outputs
        self.dropout, self.normalization, self.activation = dropout, normalization, activation

    def activations(self, batch: Tensor) -> list[Tensor]:
        """Return what each hidden layer makes of a batch, (n, width) each, and the outputs (n, n_outputs)."""
        found: list[Tensor] = []
        for layer in self:
            if isinstance(layer, nn.Linear):  # begins a layer
                found.append(batch)
            batch = layer(batch)
        return [*found[1:], batch]


class ResNetMLP(_Perceptron, nn.Module):
    """Residual multilayer perceptron: blocks that each add to a trunk of fixed width.

    The ResNet of Gorishniy et al. [1]_, with one dropout a block instead of two. A linear layer leads into the trunk. A
    block is normalisation, linear, activation, dropout, linear. Behind the last are normalisation, activation and a
    linear layer.

    Parameters
    ----------
    n_inputs : int
        Number of input features.
    hidden_layer_sizes : sequence of int
        Width of the trunk, then the hidden width of each block, such as (128, 256, 256) for two blocks. A single entry
        is the width of the trunk and of one block.
    n_outputs : int
        Number of output features.
    dropout, normalization, activation
        As in :class:`MLP`.

    Raises
    ------
    ValueError
        If ``hidden_layer_sizes`` is empty, or an option is not known or out of range.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev, V. Khrulkov, A. Babenko, "Revisiting deep learning models for tabular data",
       NeurIPS 2021.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import ResNetMLP
    >>> ResNetMLP(4, (16, 32, 32), 2)(torch.ones(3, 4)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        n_inputs: int,
        hidden_layer_sizes: Sequence[int],
        n_outputs: int,
        *,
        dropout: float = 0.0,
        normalization: str | None = "batch",
        activation: str = "relu",
    ) -> None:
        super().__init__()
        norm, act = _block_parts(normalization, activation, dropout)
        if len(hidden_layer_sizes) == 0:
            raise ValueError(f"hidden_layer_sizes={hidden_layer_sizes!r} has no width for the trunk; give (128, 256).")
        width, *hidden = hidden_layer_sizes
        hidden = hidden or [width]
        self.n_inputs, self.hidden_layer_sizes, self.n_outputs = n_inputs, (width, *hidden), n_outputs
        self.dropout, self.normalization, self.activation = dropout, normalization, activation
        self.first = nn.Linear(n_inputs, width)
        self.blocks = nn.ModuleList()
        for size in hidden:
            layers = [norm(width)] if norm else []
            layers += [nn.Linear(width, size), act()]
            layers += [nn.Dropout(dropout)] if dropout else []
            self.blocks.append(nn.Sequential(*layers, nn.Linear(size, width)))
        self.last = nn.Sequential(*([norm(width)] if norm else []), act(), nn.Linear(width, n_outputs))

    def forward(self, batch: Tensor) -> Tensor:
        """Encode a batch, (n, n_inputs) -> (n, n_outputs)."""
        return self.activations(batch)[-1]

    def activations(self, batch: Tensor) -> list[Tensor]:
        """Return the trunk behind each block, (n, width) each, and the outputs (n, n_outputs)."""
        trunk = self.first(batch)
        found = []
        for block in self.blocks:
            trunk = trunk + block(trunk)
            found.append(trunk)
        return [*found, self.last(trunk)]


class PiecewiseLinearEncoding(Configured, nn.Module):
    """Numeric columns as how far they fill the bins between given edges.

    Each column becomes one number a bin: 0 for a value below the bin, 1 for one above, and in between the share of the
    bin below the value, as in Gorishniy et al. [1]_. The first and the last bin go on linearly beyond the edges, to
    values below 0 and above 1. A missing value (NaN) is 0 in all bins.

    Equal edges are one edge; a column with fewer bins than others has zeros in the rest. A column of a single value has
    no bin, and is 0 everywhere.

    Parameters
    ----------
    edges : Tensor of shape (n_columns, n_bins + 1)
        Edges of the bins of each column, finite and in ascending order.

    Attributes
    ----------
    n_outputs : int
        Number of output features, n_columns times n_bins.

    Raises
    ------
    ValueError
        If the edges are no such matrix.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev, A. Babenko, "On embeddings for numerical features in tabular deep learning",
       NeurIPS 2022.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import PiecewiseLinearEncoding
    >>> encoding = PiecewiseLinearEncoding(torch.tensor([[0.0, 1.0, 3.0]]))
    >>> encoding(torch.tensor([[-1.0], [0.5], [2.0], [5.0], [torch.nan]]))
    tensor([[-1.0000,  0.0000],
            [ 0.5000,  0.0000],
            [ 1.0000,  0.5000],
            [ 1.0000,  2.0000],
            [ 0.0000,  0.0000]])
    """

    left: Tensor
    width: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, edges: Tensor) -> None:
        super().__init__()
        if edges.ndim != 2 or edges.shape[1] < 2:
            raise ValueError(
                f"edges has shape {tuple(edges.shape)}; it needs (n_columns, n_bins + 1), such as [[0.0, 1.0]]."
            )
        if not (edges.isfinite().all() and (edges.diff() >= 0).all()):
            raise ValueError(f"edges={edges.tolist()} must be finite and ascending in each row, such as [[0.0, 1.0]].")
        n_columns, n_edges = edges.shape
        self.n_outputs = n_columns * (n_edges - 1)
        edges = _distinct_first(edges)
        width = edges.diff()
        used = width > 0
        last = used & (used.cumsum(1) == used.sum(1, keepdim=True))
        lowest, highest = torch.zeros_like(width), torch.ones_like(width)
        lowest[:, 0] = -torch.inf
        self.register_buffer("left", edges[:, :-1].contiguous())
        self.register_buffer("width", width.masked_fill(~used, torch.inf))  # whatever is divided by it is 0
        self.register_buffer("lowest", lowest)
        self.register_buffer("highest", highest.masked_fill(last, torch.inf))

    def get_config(self) -> dict[str, Any]:
        """Return the shape of the edges, which are learned themselves."""
        n_columns, n_bins = self.left.shape
        return {"shape": [n_columns, n_bins + 1]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PiecewiseLinearEncoding:
        """Make an encoding without bins, which takes those of a file."""
        return cls(torch.zeros(config["shape"]))

    @classmethod
    def from_quantiles(cls, X: Tensor, n_bins: int) -> PiecewiseLinearEncoding:
        """Make bins that hold equally many rows.

        Parameters
        ----------
        X : Tensor of shape (n, n_columns)
            Training rows. Missing values (NaN) do not count; a column of nothing else has no bin.
        n_bins : int
            Number of bins of a column, at least 1.

        Returns
        -------
        PiecewiseLinearEncoding
            Its edges are the quantiles 0, 1/n_bins, ..., 1 of the columns, interpolated linearly.

        Raises
        ------
        ValueError
            If ``n_bins`` is below 1, or X has no rows or infinite values.
        """
        if n_bins < 1:
            raise ValueError(f"n_bins={n_bins!r} must be at least 1, such as 16.")
        if X.ndim != 2 or len(X) == 0:
            raise ValueError(f"X has shape {tuple(X.shape)}; quantiles need (n, n_columns) with at least 1 row.")
        if X.isinf().any():
            raise ValueError(f"Columns {X.isinf().any(0).nonzero()[:, 0].tolist()} of X hold inf; leave it out or NaN.")
        return cls(_quantiles(X, n_bins))

    def forward(self, batch: Tensor) -> Tensor:
        """Encode numeric columns, (n, n_columns) -> (n, n_columns * n_bins), the bins of a column side by side."""
        filled = ((batch[..., None] - self.left) / self.width).clamp(self.lowest, self.highest)  # (n, d, n_bins)
        return filled.masked_fill(batch.isnan()[..., None], 0).flatten(1)


def _distinct_first(edges: Tensor) -> Tensor:
    """Bring the distinct edges (d, n_edges) of each row to its beginning, and repeat the last behind them."""
    is_new = torch.cat([torch.zeros_like(edges[:, :1]), edges.diff()], 1) > 0
    place = is_new.cumsum(1)
    return edges[:, -1:].repeat(1, edges.shape[1]).scatter(1, place, edges)


def _quantiles(X: Tensor, n_bins: int) -> Tensor:
    """Return the quantiles of the columns without NaN, (n, d) -> (d, n_bins + 1); torch's own end at 16M entries."""
    ordered = X.sort(dim=0).values.T  # (d, n), NaN last
    n_valid = (~X.isnan()).sum(0)[:, None]
    steps = torch.arange(n_bins + 1, device=X.device) * (n_valid - 1).clamp(min=0)  # n_bins-ths of a row: exact
    below = steps // n_bins
    low, high = ordered.gather(1, below), ordered.gather(1, (steps + n_bins - 1) // n_bins)
    edges = low + (steps % n_bins).to(X.dtype) / n_bins * (high - low)
    return edges.minimum(high).masked_fill(n_valid == 0, 0)  # rounding must not bring an edge above the next


class PeriodicEmbedding(Configured, nn.Module):
    """Numeric columns as waves of trained frequency, each column through a linear layer of its own and ReLU.

    The embedding "PLR" of Gorishniy et al. [1]_: the sines and cosines of 2 pi c x, then linear, then ReLU. A missing
    value (NaN) is 0 in all outputs.

    Parameters
    ----------
    n_columns : int
        Number of numeric columns.
    n_frequencies : int, default=8
        Frequencies of a column.
    scale : float, default=0.1
        Standard deviation of the frequencies c in the beginning, in waves per unit of the column. The paper searches
        from 0.01 to 100; larger values tell closer values of the column apart, and generalise less smoothly.
    n_outputs : int, default=8
        Output features of a column.

    Attributes
    ----------
    n_outputs : int
        Number of output features of all columns together.

    Raises
    ------
    ValueError
        If a size is below 1, or ``scale`` not above 0.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev, A. Babenko, "On embeddings for numerical features in tabular deep learning",
       NeurIPS 2022.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import PeriodicEmbedding
    >>> PeriodicEmbedding(3, n_outputs=4)(torch.ones(5, 3)).shape
    torch.Size([5, 12])
    """

    def __init__(self, n_columns: int, n_frequencies: int = 8, *, scale: float = 0.1, n_outputs: int = 8) -> None:
        super().__init__()
        for name, value in (("n_columns", n_columns), ("n_frequencies", n_frequencies), ("n_outputs", n_outputs)):
            if value < 1:
                raise ValueError(f"{name}={value!r} must be at least 1, such as 8.")
        if not 0 < scale < math.inf:
            raise ValueError(f"scale={scale!r} must be finite and above 0, such as 0.1.")
        self.n_outputs = n_columns * n_outputs
        self.frequencies = nn.Parameter(scale * torch.randn(n_columns, n_frequencies))
        bound = (2 * n_frequencies) ** -0.5  # as nn.Linear
        self.weight = nn.Parameter(torch.empty(n_columns, 2 * n_frequencies, n_outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_columns, n_outputs).uniform_(-bound, bound))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor but ``scale``, on which only initial weights depend."""
        n_columns, n_frequencies = self.frequencies.shape
        return {"n_columns": n_columns, "n_frequencies": n_frequencies, "n_outputs": self.bias.shape[1]}

    def forward(self, batch: Tensor) -> Tensor:
        """Embed numeric columns, (n, n_columns) -> (n, n_columns * n_outputs), a column's outputs side by side."""
        missing = batch.isnan()[..., None]
        # NaN goes before the waves: a gradient through it would be NaN even where the output is masked.
        phase = 2 * math.pi * self.frequencies * batch.nan_to_num(nan=0.0)[..., None]  # (n, d, n_frequencies)
        waves = torch.cat([phase.sin(), phase.cos()], dim=-1)
        outputs = torch.einsum("ndk,dko->ndo", waves, self.weight) + self.bias
        return outputs.relu().masked_fill(missing, 0).flatten(1)
