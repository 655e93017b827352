"""From what a trained encoder computes to the embedding: fixed linear maps, set by the training rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .._utils.config import Configured

__all__ = ["RotatedComponents", "Standardization", "participation_ratio"]

_ROWS_OF_GRAM = 1024
_N_MEASURED = 4096  # rows by which dimensions are counted
_CONSTANT = 1e-6  # deviation of an activation, as a share of the largest, below which it tells rounding from rounding


class Standardization(Configured, nn.Module):
    """Bring each output of an encoder to mean 0 and deviation 1, by what the training rows showed.

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
        """Take mean and deviation from outputs (n, n_outputs) of training rows."""
        mean, scale = _mean_and_scale(outputs.double())
        self.mean, self.scale = mean.to(self.mean), scale.to(self.scale)
        return self

    def forward(self, outputs: Tensor) -> Tensor:
        """Standardise a batch: (n, n_outputs) -> (n, n_outputs)."""
        return (outputs - self.mean) * self.scale


class RotatedComponents(Configured, nn.Module):
    """Principal components of all activations of an encoder, spread evenly over the columns of an embedding.

    Hidden activations say more of a row than the last layer, which has learned what to forget; but so many columns are
    more than a linear model can take on few rows. So the activations, each standardised, are reduced to their
    first principal components. These keep their variances, largest first, which is what holds the linear model back
    from the last ones. A random rotation then gives all columns about equal variance, so that a scaler behind the
    embedding does not undo it.

    Parameters
    ----------
    n_activations : int
        Number of activations.
    n_outputs : int
        Number of columns of the embedding.
    n_kept : int
        Components to keep, of which there are ``n_activations``. More than ``n_outputs`` are not.
    seed : int, default=0
        Of the rotation.

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
        """Find the components of activations (n, n_activations) of training rows."""
        mean, scale = _mean_and_scale(activations.double())
        gram = _gram((activations - mean.to(activations)) * scale.to(activations))
        _, vectors = torch.linalg.eigh(gram)  # ascending
        components = vectors.flip(1)[:, : self.n_kept]
        largest = components.gather(0, components.abs().argmax(0, keepdim=True))
        components = components * largest.sign()  # the solver leaves signs to chance
        weight = components @ self._rotation().to(gram)  # (n_activations, n_outputs)
        column_scale = _scale(((gram @ weight) * weight).sum(0).clamp(min=0).sqrt())
        weight = scale[:, None] * weight * column_scale
        self.weight = weight.to(self.weight)
        self.mean = mean.to(self.mean)
        return self

    def forward(self, activations: Tensor) -> Tensor:
        """Embed activations: (n, n_activations) -> (n, n_outputs)."""
        return (activations - self.mean) @ self.weight

    def _rotation(self) -> Tensor:
        """Return random orthonormal rows (n_kept, n_outputs)."""
        generator = torch.Generator().manual_seed(self.seed)
        columns = torch.randn(self.n_outputs, self.n_kept, generator=generator, dtype=torch.float64)
        return torch.linalg.qr(columns).Q.T


def _mean_and_scale(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of each column (n, k), and one over its deviation."""
    deviation, mean = torch.std_mean(outputs, dim=0, correction=0)
    return mean, _scale(deviation)


def _scale(deviation: Tensor) -> Tensor:
    """Return one over the deviation of each column; of a constant one, 1."""
    constant = ~(deviation > _CONSTANT * deviation.max())
    return deviation.masked_fill(constant, 1.0).reciprocal()


def _gram(rows: Tensor) -> Tensor:
    """Return the mean of the outer products of the rows (n, k): in double precision, but for some rows at a time."""
    total = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64, device=rows.device)
    for part in rows.split(_ROWS_OF_GRAM):
        total += part.T @ part
    return total / len(rows)


def participation_ratio(rows: Tensor) -> float:
    """Return how many dimensions some rows (n, d) fill: (sum of variances)^2 / sum of squared variances.

    The variances are those along the principal axes. It is d for uncorrelated columns of equal variance, and 1 for
    rows on a line, or all alike.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import participation_ratio
    >>> corners = torch.tensor([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [-1.0, -1.0, 0.0]])
    >>> participation_ratio(corners)
    2.0
    """
    rows = rows[:_N_MEASURED].double()
    rows = rows - rows.mean(0)
    gram = rows.T @ rows if rows.shape[1] <= len(rows) else rows @ rows.T
    squares = float(gram.square().sum())
    return float(gram.trace()) ** 2 / squares if squares > 0 else 1.0
