"""From what a trained encoder computes to the embedding: fixed linear maps, set by the training rows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["RotatedComponents", "Standardization"]

_CONSTANT = 1e-6  # deviation of an activation, as a share of the largest, below which it tells rounding from rounding


class Standardization(nn.Module):
    """Bring each output of an encoder to mean 0 and deviation 1, by what the training rows showed.

    Parameters
    ----------
    n_outputs : int
        Number of outputs.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_outputs))
        self.register_buffer("scale", torch.ones(n_outputs))

    def fit(self, outputs: Tensor, n_kept: int | None = None) -> Standardization:
        """Take mean and deviation from outputs (n, n_outputs) of training rows; ``n_kept`` is ignored."""
        mean, scale = _mean_and_scale(outputs.double())
        self.mean, self.scale = mean.to(self.mean), scale.to(self.scale)
        return self

    def forward(self, outputs: Tensor) -> Tensor:
        """Standardise a batch: (n, n_outputs) -> (n, n_outputs)."""
        return (outputs - self.mean) * self.scale


class RotatedComponents(nn.Module):
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

    Notes
    -----
    The seed of the rotation is drawn where the module is made, from torch's global generator.
    """

    mean: Tensor
    weight: Tensor

    def __init__(self, n_activations: int, n_outputs: int) -> None:
        super().__init__()
        self.n_outputs = n_outputs
        self.seed = int(torch.randint(2**62, ()))
        self.register_buffer("mean", torch.zeros(n_activations))
        self.register_buffer("weight", torch.zeros(n_activations, n_outputs))

    def fit(self, activations: Tensor, n_kept: int) -> RotatedComponents:
        """Find the components.

        Parameters
        ----------
        activations : Tensor of shape (n, n_activations)
            Of training rows.
        n_kept : int
            Components to keep; at most ``n_outputs`` and ``n_activations`` are.

        Returns
        -------
        RotatedComponents
            The module itself.
        """
        rows = activations.double()
        mean, scale = _mean_and_scale(rows)
        rows = (rows - mean) * scale
        _, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))  # ascending
        n_kept = min(n_kept, self.n_outputs, rows.shape[1])
        components = vectors.flip(1)[:, :n_kept]
        largest = components.gather(0, components.abs().argmax(0, keepdim=True))
        components = components * largest.sign()  # the solver leaves signs to chance
        weight = components @ self._rotation(n_kept).to(rows)  # (n_activations, n_outputs)
        _, column_scale = _mean_and_scale(rows @ weight)
        self.mean = mean.to(self.mean)
        self.weight = (scale[:, None] * weight * column_scale).to(self.weight)
        return self

    def forward(self, activations: Tensor) -> Tensor:
        """Embed activations: (n, n_activations) -> (n, n_outputs)."""
        return (activations - self.mean) @ self.weight

    def _rotation(self, n_kept: int) -> Tensor:
        """Return random orthonormal rows (n_kept, n_outputs)."""
        generator = torch.Generator().manual_seed(self.seed)
        columns = torch.randn(self.n_outputs, n_kept, generator=generator, dtype=torch.float64)
        return torch.linalg.qr(columns).Q.T


def _mean_and_scale(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean of each column (n, k), and one over its deviation; of a constant one, 1."""
    deviation, mean = torch.std_mean(outputs, dim=0, correction=0)
    constant = ~(deviation > _CONSTANT * deviation.max())
    return mean, deviation.masked_fill(constant, 1.0).reciprocal()
