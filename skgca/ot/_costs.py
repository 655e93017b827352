"""Ground costs between the rows of two embeddings: (n, d), (m, d) -> (n, m).

These functions form the whole matrix, for users. The solvers use :mod:`._log_kernel` instead, which forms the scores
``-cost / epsilon`` of the same costs tile by tile.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .._utils.torch_state import in_full_precision

__all__ = ["cosine_cost", "squared_euclidean_cost", "student_t_cost"]


@in_full_precision
def cosine_cost(x: Tensor, y: Tensor) -> Tensor:
    """Cosine cost, ``1 - cos(x_i, y_j)``.

    Use it if only the direction of embeddings matters, which is the default of the losses. If their length matters, use
    :func:`squared_euclidean_cost`.

    Parameters
    ----------
    x : Tensor of shape (n, d)
    y : Tensor of shape (m, d)
        Rows are normalised here. A row of zeros has cosine 0 with every row.

    Returns
    -------
    Tensor of shape (n, m)
        Between 0 (same direction) and 2 (opposite), up to rounding. The cost is never clipped, because a clipped entry
        has gradient zero. The released code of the paper clips the cost of every obtuse pair.

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


@in_full_precision
def squared_euclidean_cost(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean cost, ``||x_i - y_j||^2``.

    Use it if distances between rows matter, such as for plans between points. If only the direction of a row matters,
    use :func:`cosine_cost`.

    Parameters
    ----------
    x : Tensor of shape (n, d)
    y : Tensor of shape (m, d)

    Returns
    -------
    Tensor of shape (n, m)
        Computed as ``|x|^2 - 2 x.y + |y|^2``. An entry near zero therefore has the rounding error of the norms, and may
        be slightly negative.

    Examples
    --------
    >>> import torch
    >>> from skgca.ot import squared_euclidean_cost
    >>> x = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> squared_euclidean_cost(x, x)
    tensor([[0., 5.],
            [5., 0.]])
    """
    # (n, 1) + (m,) broadcasts to the (n, m) matrix of squared norms, to which addmm adds -2 x y^T in the same pass.
    return torch.addmm((x * x).sum(1, keepdim=True) + (y * y).sum(1), x, y.T, alpha=-2.0)


def student_t_cost(x: Tensor, y: Tensor) -> Tensor:
    """Cost whose kernel ``exp(-cost / epsilon)`` is Student's t, ``log(1 + ||x_i - y_j||^2)``.

    Use it for maps of two or three dimensions, as :class:`skgca.GCAMap` does. For wider embeddings, use
    :func:`cosine_cost`.

    With d the distance, the kernel is ``(1 + d^2)^(-1 / epsilon)``. It has ``2 / epsilon - 1`` degrees of freedom: one
    at epsilon 1, as in t-SNE [1]_. Its heavy tail lets rows that do not match stay far apart at little cost.

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
    # Rounding can leave the squared distance of two equal rows slightly below zero.
    return torch.log1p(squared_euclidean_cost(x, y).clamp_min(0.0))
