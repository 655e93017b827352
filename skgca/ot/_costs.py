"""Ground costs between rows of two embeddings: (n, d), (m, d) -> (n, m)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["cosine_cost", "squared_euclidean_cost", "student_t_cost"]


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

    Examples
    --------
    >>> import torch
    >>> from skgca.ot import cosine_cost
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> cosine_cost(x, x)
    tensor([[0., 1.],
            [1., 0.]])
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

    Examples
    --------
    >>> import torch
    >>> from skgca.ot import squared_euclidean_cost
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> squared_euclidean_cost(x, x)
    tensor([[0., 5.],
            [5., 0.]])
    """
    return torch.addmm((x * x).sum(1, keepdim=True) + (y * y).sum(1), x, y.T, alpha=-2.0)


def student_t_cost(x: Tensor, y: Tensor) -> Tensor:
    """Cost whose kernel ``exp(-cost / epsilon)`` is Student's t, ``log(1 + ||x_i - y_j||^2)``.

    The kernel is ``(1 + d^2)^(-1 / epsilon)``: at epsilon 1 that of t-SNE [1]_, with one degree of freedom, in general
    with ``2 / epsilon - 1`` of them. Its heavy tail lets rows that do not match stay far apart at little cost.

    Parameters
    ----------
    x : Tensor of shape (n, d)
    y : Tensor of shape (m, d)

    Returns
    -------
    Tensor of shape (n, m)

    References
    ----------
    .. [1] L. van der Maaten, G. Hinton, "Visualizing data using t-SNE", JMLR 9, 2008.

    Examples
    --------
    >>> import torch
    >>> from skgca.ot import student_t_cost
    >>> x = torch.tensor([[0.0], [1.0], [2.0]])
    >>> (-student_t_cost(x[:1], x)).exp()  # the kernel at epsilon 1
    tensor([[1.0000, 0.5000, 0.2000]])
    """
    return torch.log1p(squared_euclidean_cost(x, y).clamp_min(0.0))
