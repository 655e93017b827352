"""Implicit differentiation: the gradient of the solution, from one linear system.

At the solution both half steps leave f and g unchanged. The implicit function theorem differentiates these two
equations instead of the iterations that led there::

    dL/df, dL/dg  --conjugate gradients on the plan-->  x, y  -->  dL/dS_ij = P_ij (x_i + y_j)

Each step of conjugate gradients costs two products with the plan, however many iterations ran before. The result is the
gradient only if the iterations converged: the plan that stands in the system must be the solution.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ._log_kernel import Pairs
from ._problem import Problem
from ._sharded import Communicator, agreed
from ._tiled_kernel import TiledPlan

__all__ = ["implicit_gradient"]

_MAX_STEPS = 1000  # of conjugate gradients, which stop earlier at rounding
Apply = Callable[[Tensor], Tensor]


def implicit_gradient(
    plan: TiledPlan, problem: Problem, grad_f: Tensor, grad_g: Tensor, pairs: Pairs | None = None
) -> tuple[Tensor, ...]:
    r"""Return the gradients of ``log_a``, ``log_b`` and the source's tensors, at a fixed point of the iterations.

    Let r and c be the row mass and the column mass. Differentiating both half steps at the fixed point gives

    .. math:: \begin{pmatrix} r / \phi_{row} & P \\ P^T & c / \phi_{col} \end{pmatrix}
        \begin{pmatrix} x \\ y \end{pmatrix} = -\begin{pmatrix} dL/df \\ dL/dg \end{pmatrix}, \qquad
        \frac{dL}{dS_{ij}} = P_{ij} (x_i + y_j)

    The matrix is symmetric and positive semidefinite, and definite if a marginal is relaxed. Conjugate gradients solve
    the system, with the diagonal as preconditioner. For two hard marginals, ``(1, -1)`` spans the null space: adding a
    constant to f and subtracting it from g does not change the plan, so a loss of the plan has no gradient along it.

    ``pairs`` are gradients of single scores, which are added to dL/dS.
    """
    row, col = plan.rows(torch.ones_like(plan.v)), plan.cols(torch.ones_like(plan.u))
    top, bottom = row / problem.phi_row, col / problem.phi_col
    diagonal = torch.cat([top, bottom])
    diagonal = torch.where(diagonal > 0, diagonal, 1.0)  # a row without mass is a row of zeros, which cannot divide
    n = len(row)

    def apply(z: Tensor) -> Tensor:
        x, y = z[:n], z[n:]  # (n + m,) -> (n,), (m,)
        return torch.cat([top * x + plan.rows(y), plan.cols(x) + bottom * y])

    right = -torch.cat([grad_f, grad_g])
    if problem.phi_row == problem.phi_col == 1.0:
        null = torch.cat([(row > 0).to(row), -(col > 0).to(col)])
        # Rounding leaves a part of the right side in the null space, on which conjugate gradients would diverge.
        right = right - null * (null @ right) / (null @ null)
    z = _conjugate_gradients(apply, right, diagonal, plan.kernel.source.ranks)
    x, y = z[:n], z[n:]
    return (-row * x, -col * y, *plan.pull(x, y, pairs))


def _conjugate_gradients(apply: Apply, right: Tensor, diagonal: Tensor, ranks: Communicator) -> Tensor:
    """Solve ``apply(z) = right`` with the preconditioner ``diagonal``; all ranks take the same number of steps."""
    z, residual = torch.zeros_like(right), right
    direction = residual / diagonal
    squared_norm = residual @ direction  # of the residual, in the metric of the preconditioner
    limit = agreed(ranks, float(squared_norm), right.device) * (4 * torch.finfo(right.dtype).eps) ** 2
    for _ in range(_MAX_STEPS):
        if not agreed(ranks, float(squared_norm), right.device) > limit:  # NaN stops too
            break
        image = apply(direction)
        step = squared_norm / (direction @ image)
        z = z + step * direction
        residual = residual - step * image
        preconditioned = residual / diagonal
        squared_norm, before = residual @ preconditioned, squared_norm
        direction = preconditioned + (squared_norm / before) * direction
    return z
