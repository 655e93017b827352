"""Implicit differentiation: the gradient of the solution, from one linear system for any number of iterations."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ._problem import Problem
from ._tiled_kernel import TiledPlan

__all__ = ["implicit_gradient"]

_MAX_STEPS = 1000
Apply = Callable[[Tensor], Tensor]


def implicit_gradient(plan: TiledPlan, problem: Problem, grad_f: Tensor, grad_g: Tensor) -> tuple[Tensor, ...]:
    r"""Gradients of ``log_a``, ``log_b`` and the source's tensors, at a fixed point of the iterations.

    Differentiating both half steps at the fixed point, with r and c the row and column mass, leaves

    .. math:: \begin{pmatrix} r / \phi_{row} & P \\ P^T & c / \phi_{col} \end{pmatrix}
        \begin{pmatrix} x \\ y \end{pmatrix} = -\begin{pmatrix} dL/df \\ dL/dg \end{pmatrix}, \qquad
        \frac{dL}{dS_{ij}} = P_{ij} (x_i + y_j)

    which is symmetric and positive (definite for a relaxed marginal), and solved by conjugate gradients with the
    diagonal as preconditioner. For two hard marginals ``(1, -1)`` is its null space: adding a constant to f and
    taking it from g leaves the plan as it is, so a loss of the plan has no gradient along it.
    """
    row, col = plan.rows(torch.ones_like(plan.v)), plan.cols(torch.ones_like(plan.u))
    top, bottom = row / problem.phi_row, col / problem.phi_col
    diagonal = torch.cat([top, bottom])
    diagonal = torch.where(diagonal > 0, diagonal, 1.0)  # no mass: there is nothing to solve for
    n = len(row)

    def apply(z: Tensor) -> Tensor:
        x, y = z[:n], z[n:]
        return torch.cat([top * x + plan.rows(y), plan.cols(x) + bottom * y])

    right = -torch.cat([grad_f, grad_g])
    if problem.phi_row == problem.phi_col == 1.0:
        null = torch.cat([(row > 0).to(row), -(col > 0).to(col)])
        right = right - null * (null @ right) / (null @ null)
    z = _conjugate_gradients(apply, right, diagonal)
    x, y = z[:n], z[n:]
    return (-row * x, -col * y, *plan.pull(x, y))


def _conjugate_gradients(apply: Apply, right: Tensor, diagonal: Tensor) -> Tensor:
    z, residual = torch.zeros_like(right), right
    direction = residual / diagonal
    size = residual @ direction
    enough = float(size) * (4 * torch.finfo(right.dtype).eps) ** 2
    for _ in range(_MAX_STEPS):
        if not float(size) > enough:
            break
        image = apply(direction)
        length = size / (direction @ image)
        z = z + length * direction
        residual = residual - length * image
        scaled = residual / diagonal
        size, before = residual @ scaled, size
        direction = scaled + (size / before) * direction
    return z
