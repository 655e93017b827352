"""Multilayer perceptrons, as encoders of tables and as heads."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

__all__ = ["MLP"]


class MLP(nn.Sequential):
    """Multilayer perceptron: linear layers with batch normalisation and ReLU between them.

    Batch rather than layer normalisation, which embedded less well on the sets of ``docs/decisions.md``. In evaluation
    it uses running statistics, so the embedding of a row does not depend on the rows it comes with.

    Parameters
    ----------
    n_inputs : int
        Number of input features.
    hidden_layer_sizes : sequence of int
        Widths of the hidden layers; may be empty.
    n_outputs : int
        Number of output features.
    """

    def __init__(self, n_inputs: int, hidden_layer_sizes: Sequence[int], n_outputs: int) -> None:
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise((n_inputs, *hidden_layer_sizes)):
            layers += [nn.Linear(fan_in, fan_out), nn.BatchNorm1d(fan_out), nn.ReLU()]
        super().__init__(*layers, nn.Linear((n_inputs, *hidden_layer_sizes)[-1], n_outputs))
