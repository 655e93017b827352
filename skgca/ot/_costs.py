"""Ground costs between rows of two embeddings: (n, d), (m, d) -> (n, m)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["cosine_cost", "squared_euclidean_cost"]


def cosine_cost(x: Tensor, y: Tensor) -> Tensor:
    """Cosine cost, ``1 - cos(x_i, y_j)``.

    Parameters
    ----------
    x : Tensor of shape (n, d)
    y : Tensor of shape (m, d)
        Rows need not be normalised. A row of zeros has cosine 0 with every other row.

    Returns
    -------
    Tensor of shape (n, m)
        Between 0 (same direction) and 2 (opposite), up to rounding. It is never clipped: a clip has gradient zero,
        which the released code of the paper applied to every obtuse pair.
    """
    return 1.0 - F.normalize(x, dim=1) @ F.normalize(y, dim=1).T


def squared_euclidean_cost(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean cost, ``||x_i - y_j||^2``.

    Parameters
    ----------
    x : Tensor of shape (n, d)
    y : Tensor of shape (m, d)

    Returns
    -------
    Tensor of shape (n, m)
        Computed as ``|x|^2 - 2 x.y + |y|^2``, so entries near zero carry the rounding of the norms.
    """
    return torch.addmm((x * x).sum(1, keepdim=True) + (y * y).sum(1), x, y.T, alpha=-2.0)
