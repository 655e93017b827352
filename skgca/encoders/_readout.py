"""Readouts: linear maps from the activations of a trained encoder to the columns of the embedding.

A readout is fitted once, after training, on activations of training rows. Both readouts give columns of variance 1,
which regularised linear models expect; beside inputs that pass through, they may be multiplied by a smaller number.

:class:`RotatedComponents` reads all layers, because the last one discards what the loss does not need. All activations
together are too many columns for a linear model on few rows, hence the principal components. Their variances differ
much, and a scaler after the embedding would make the last components as important as the first. A random rotation
mixes them, so that each column contains all components. To fit it takes n k^2 operations for the Gram matrix of n rows
of k activations, and k^3 for its eigenvectors. To embed a batch takes one more matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._utils.config import Configured

__all__ = ["GroupedComponents", "RotatedComponents", "Standardization", "participation_ratio"]

_GRAM_ROWS = 1024  # rows of a product in float32; products are added in double precision
_MAX_ROWS = 4096  # rows that the participation ratio is computed from
_COMPONENT_ROWS = 1024  # that the components of groups are computed from
_CONSTANT = 1e-6  # a deviation below this share of the largest is rounding: the column is constant


class Standardization(Configured, nn.Module):
    """Standardise each output of an encoder to mean 0 and standard deviation 1 over the training rows.

    Use it as the readout of an :class:`Encoder` if the embedding should be the output of the last layer. To keep more
    of a row, read all layers by :class:`RotatedComponents`.

    Parameters
    ----------
    n_outputs : int
        Number of outputs.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import Standardization
    >>> outputs = torch.tensor([[0.0, 10.0], [2.0, 30.0]])
    >>> Standardization(2).fit(outputs)(outputs)
    tensor([[-1., -1.],
            [ 1.,  1.]])
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.n_outputs = n_outputs
        self.register_buffer("mean", torch.zeros(n_outputs))
        self.register_buffer("scale", torch.ones(n_outputs))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"n_outputs": self.n_outputs}

    def fit(self, outputs: Tensor) -> Standardization:
        """Learn mean and deviation from the outputs (n, n_outputs) of training rows."""
        mean, scale = _mean_and_scale(outputs.double())
        self.mean, self.scale = mean.to(self.mean), scale.to(self.scale)
        return self

    def multiply(self, factor: float) -> None:
        """Multiply all columns by a factor."""
        self.scale = self.scale * factor

    def forward(self, outputs: Tensor) -> Tensor:
        """Standardise a batch: (n, n_outputs) -> (n, n_outputs)."""
        return (outputs - self.mean) * self.scale


class RotatedComponents(Configured, nn.Module):
    """Principal components of all activations of an encoder, spread evenly over the columns of an embedding.

    Use it as the readout of an :class:`Encoder` if a linear model or nearest neighbours should read all layers. For the
    last layer alone, use :class:`Standardization`.

    The activations of hidden layers contain more of a row than those of the last layer, which learns to discard what
    the loss does not need. But all of them are too many columns for a linear model on few rows. So each activation is
    standardised, and all are reduced to their first principal components. The components are not whitened: they keep
    their variances, so that a regularised linear model relies less on the last ones. A random rotation then gives all
    columns about equal variance, so that a scaler after the embedding does not whiten the components either. At the
    end each column is scaled to variance 1.

    Parameters
    ----------
    n_activations : int
        Number of activations.
    n_outputs : int
        Number of columns of the embedding.
    n_kept : int
        Number of principal components to keep. At most ``n_outputs`` and ``n_activations`` are kept.
    seed : int, default=0
        Seed of the rotation.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import RotatedComponents
    >>> activations = torch.randn(50, 20, generator=torch.Generator().manual_seed(0))
    >>> readout = RotatedComponents(20, n_outputs=8, n_kept=4).fit(activations)
    >>> readout(activations).shape, int(torch.linalg.matrix_rank(readout.weight))
    (torch.Size([50, 8]), 4)
    """

    mean: Tensor
    weight: Tensor

    def __init__(self, n_activations: int, n_outputs: int, n_kept: int, *, seed: int = 0) -> None:
        super().__init__()
        self.n_outputs = n_outputs
        self.n_kept = min(n_kept, n_outputs, n_activations)
        self.seed = seed
        self.register_buffer("mean", torch.zeros(n_activations))
        self.register_buffer("weight", torch.zeros(n_activations, n_outputs))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        n_activations, n_outputs = self.weight.shape
        return {"n_activations": n_activations, "n_outputs": n_outputs, "n_kept": self.n_kept, "seed": self.seed}

    def fit(self, activations: Tensor) -> RotatedComponents:
        """Learn the components from the activations (n, n_activations) of training rows."""
        # Sums over many rows lose digits in float32, so mean and deviation are computed in double precision.
        mean, scale = _mean_and_scale(activations.double())
        gram = _gram((activations - mean.to(activations)) * scale.to(activations))  # (n_activations, n_activations)
        _, vectors = torch.linalg.eigh(gram)  # eigenvalues in ascending order
        components = _with_signs(vectors.flip(1)[:, : self.n_kept])  # (n_activations, n_kept), largest variance first
        weight = components @ self._rotation().to(gram)  # (n_activations, n_outputs)
        # The variance of column w is w^T gram w. Rounding can make it negative where it is 0.
        column_scale = _scale(((gram @ weight) * weight).sum(0).clamp(min=0).sqrt())
        # One matrix does it all: standardise the activations, project, rotate, scale the columns.
        weight = scale[:, None] * weight * column_scale
        self.weight = weight.to(self.weight)
        self.mean = mean.to(self.mean)
        return self

    def multiply(self, factor: float) -> None:
        """Multiply all columns by a factor."""
        self.weight = self.weight * factor

    def forward(self, activations: Tensor) -> Tensor:
        """Embed activations: (n, n_activations) -> (n, n_outputs)."""
        embedding: Tensor = (activations - self.mean) @ self.weight
        return embedding

    def _rotation(self) -> Tensor:
        """Return a random matrix (n_kept, n_outputs) of orthonormal rows, in double precision on the CPU."""
        generator = torch.Generator().manual_seed(self.seed)
        columns = torch.randn(self.n_outputs, self.n_kept, generator=generator, dtype=torch.float64)
        rotation: Tensor = torch.linalg.qr(columns).Q.T
        return rotation


class GroupedComponents(RotatedComponents):
    """Principal components of groups of activations, in which each group has a given total variance.

    Use it instead of :class:`RotatedComponents` if activations of several kinds differ in number, as those of fixed
    kernels and of hidden layers do, and each kind should have a given weight.

    The rest is as in :class:`RotatedComponents`, in which each activation has the same variance, so that a group of
    many activations outweighs one of few. The components are those of at most 1,024 evenly spaced rows.

    Parameters
    ----------
    groups : sequence of int
        Sizes of groups of successive activations, which together are all activations.
    n_outputs, n_kept, seed
        As in :class:`RotatedComponents`.
    weights : sequence of float, default=()
        Factors for the deviations of the groups. Empty means 1 for all.

    Raises
    ------
    ValueError
        If there is not one weight for each group.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import GroupedComponents
    >>> activations = torch.randn(50, 20, generator=torch.Generator().manual_seed(0))
    >>> readout = GroupedComponents([15, 5], n_outputs=8, n_kept=4).fit(activations)
    >>> readout(activations).shape, int(torch.linalg.matrix_rank(readout.weight))
    (torch.Size([50, 8]), 4)
    """

    def __init__(
        self, groups: Sequence[int], n_outputs: int, n_kept: int, *, seed: int = 0, weights: Sequence[float] = ()
    ) -> None:
        super().__init__(sum(groups), n_outputs, n_kept, seed=seed)
        if weights and len(weights) != len(groups):
            raise ValueError(f"weights={weights!r} must have one number for each of {len(groups)} groups.")
        self.groups, self.weights = tuple(groups), tuple(weights)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        config = {name: value for name, value in super().get_config().items() if name != "n_activations"}
        return {**config, "groups": list(self.groups), "weights": list(self.weights)}

    def fit(self, activations: Tensor) -> GroupedComponents:
        """Learn the components from the activations (n, n_activations) of training rows, in double precision."""
        activations = activations.double()
        mean, scale = _mean_and_scale(activations)
        sizes = torch.tensor(self.groups)
        of_group = torch.tensor(self.weights or [1.0] * len(sizes), dtype=torch.float64) * sizes.double().rsqrt()
        scale = scale * of_group.repeat_interleave(sizes).to(scale)
        rows = (activations - mean) * scale
        few = rows[:: -(-len(rows) // _COMPONENT_ROWS)]
        if len(few) < few.shape[1]:
            # the products of few rows have the same components as those of many activations, and are fewer
            _, vectors = torch.linalg.eigh(few @ few.T)
            components = few.T @ vectors.flip(1)[:, : self.n_kept]  # (n_activations, n_kept or len(few))
            # centred rows have one component less than there are rows
            components = components * _scale(components.norm(dim=0))
        else:
            _, vectors = torch.linalg.eigh(few.T @ few)
            components = vectors.flip(1)[:, : self.n_kept]
        weight = _with_signs(components) @ self._rotation()[: components.shape[1]].to(components)
        weight = scale[:, None] * weight * _scale((rows @ weight).square().mean(0).sqrt())
        self.weight, self.mean = weight.to(self.weight), mean.to(self.mean)
        return self


def _mean_and_scale(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the reciprocal of the standard deviation of each column: (n, k) -> (k,), (k,)."""
    deviation, mean = torch.std_mean(outputs, dim=0, correction=0)
    return mean, _scale(deviation)


def _scale(deviation: Tensor) -> Tensor:
    """Return the reciprocal of the standard deviation of each column, 1 for a constant column: (k,) -> (k,)."""
    constant = ~(deviation > _CONSTANT * deviation.max())
    return deviation.masked_fill(constant, 1.0).reciprocal()


def _with_signs(components: Tensor) -> Tensor:
    """Return eigenvectors (k, n_kept) whose largest entry is positive: their sign depends on the solver otherwise."""
    largest = components.gather(0, components.abs().argmax(0, keepdim=True))
    return components * largest.sign()


def _gram(rows: Tensor) -> Tensor:
    """Return the mean of the outer products of the rows: (n, k) -> (k, k) in double precision.

    Products of some rows are computed in the dtype of the rows, which is faster, and added in double precision, so that
    the error does not grow with n.
    """
    total = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64, device=rows.device)
    for part in torch.split(rows, _GRAM_ROWS):
        total += part.T @ part
    return total / len(rows)


def participation_ratio(rows: Tensor) -> float:
    """Return the effective number of dimensions of rows (n, d): (sum of variances)^2 / sum of squared variances.

    Use it to choose how many components of some rows to keep. To compare embeddings of the same rows, use
    :func:`skgca.metrics.effective_rank`.

    The variances are those along the principal axes of at most the first 4,096 rows. The ratio is d for uncorrelated
    columns of equal variance, and 1 for rows on a line or equal rows.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import participation_ratio
    >>> corners = torch.tensor(
    ...     [[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [-1.0, -1.0, 0.0]]
    ... )
    >>> participation_ratio(corners)
    2.0
    """
    rows = rows[:_MAX_ROWS].double()
    rows = rows - rows.mean(0)
    # Both products have the same nonzero eigenvalues. Their sum is the trace, and the sum of their squares is that of
    # all entries, so no decomposition is needed.
    gram = rows.T @ rows if rows.shape[1] <= len(rows) else rows @ rows.T
    squares = float(gram.square().sum())
    return float(gram.trace()) ** 2 / squares if squares > 0 else 1.0
