"""Multilayer perceptrons, plain and residual: the encoders of tables, and the projection heads.

They can return the activations of all layers, from which a readout makes the embedding. The initial weights for a seed
depend on the order in which layers are made, since each layer draws its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from .._utils.config import Configured

__all__ = ["MLP", "ResNetMLP"]

_NORMALIZATIONS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, None: None}
_ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "selu": nn.SELU}


def _block_parts(normalization: str | None, activation: str, dropout: float) -> tuple[type | None, type]:
    """Return the classes of normalisation and activation, and check the rate of dropout.

    Raises
    ------
    ValueError
        If a name is not known, or the rate is out of range.
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
    """Base of the perceptrons, which have the same constructor."""

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

    Use it for tables, and for features from another model, whose columns have no order. For images and series, use
    :class:`ConvEncoder` and :class:`RocketEncoder`, which know which values are neighbours.

    The default is batch normalisation. With layer normalisation, embeddings were worse on the data sets of
    ``docs/develop/decisions.md``. In evaluation mode, batch normalisation uses running statistics, so the encoding of a
    row does not depend on the other rows of its batch.

    Parameters
    ----------
    n_inputs : int
        Number of input features.
    hidden_layer_sizes : sequence of int
        Widths of the hidden layers. Without any, the network is a single linear layer.
    n_outputs : int
        Number of output features.
    dropout : float, default=0.0
        Share of activations set to 0 in training, in [0, 1).
    normalization : {"batch", "layer", None}, default="batch"
        Normalisation of each hidden layer, before its activation.
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
        """Return the outputs of each hidden layer, (n, width), and at the end those of the network, (n, n_outputs)."""
        inputs: list[Tensor] = []  # of each linear layer; those of the first are the batch
        for layer in self:
            if isinstance(layer, nn.Linear):
                inputs.append(batch)
            batch = layer(batch)
        return [*inputs[1:], batch]


class ResNetMLP(_Perceptron, nn.Module):
    """Residual multilayer perceptron: each block adds its output to a trunk of fixed width.

    Use it for tables if the network should be deep, with four hidden layers or more. For fewer layers, :class:`MLP` is
    simpler, and is the default.

    This is the ResNet of Gorishniy et al. [1]_ with one dropout per block instead of two. A linear layer maps the
    inputs to the trunk. A block consists of normalisation, linear layer, activation, dropout and linear layer. The last
    block is followed by normalisation, activation and a linear layer.

    Parameters
    ----------
    n_inputs : int
        Number of input features.
    hidden_layer_sizes : sequence of int
        Width of the trunk, then the hidden width of each block, such as (128, 256, 256) for two blocks. A single entry
        is the width of the trunk and the hidden width of one block.
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
        """Return the trunk after each block, (n, width), and at the end the outputs (n, n_outputs)."""
        trunk = self.first(batch)
        trunks = []
        for block in self.blocks:
            trunk = trunk + block(trunk)  # not in place: each state of the trunk is returned
            trunks.append(trunk)
        return [*trunks, self.last(trunk)]
