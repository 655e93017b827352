"""The result of Sinkhorn: potentials and status, and the plan computed when asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ._marginals import Marginals

__all__ = ["TransportPlan"]


@dataclass(frozen=True, eq=False)
class TransportPlan:
    """An entropic transport plan in log form, ``log P = f[:, None] + scores + g[None, :]``.

    Potentials are in units of epsilon. Mass, plan and marginal error are computed on first use and kept; whatever is
    computed from potentials that carry gradients is differentiable.

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        ``-cost / epsilon``, with ``-inf`` where no mass may go.
    f : Tensor of shape (n,)
        Row potential.
    g : Tensor of shape (m,)
        Column potential.
    a : Tensor of shape (n,)
        Prescribed row mass.
    b : Tensor of shape (m,)
        Prescribed column mass.
    marginals : Marginals
        How hard ``a`` and ``b`` bind.
    epsilon : float
        Entropic regularisation, in units of the cost.
    n_iter : int
        Iterations that ran.
    tol : float or None
        Marginal error that was asked for.
    """

    scores: Tensor
    f: Tensor
    g: Tensor
    a: Tensor
    b: Tensor
    marginals: Marginals
    epsilon: float
    n_iter: int
    tol: float | None = None

    @cached_property
    def log_plan(self) -> Tensor:
        """Log of the plan, of shape (n, m)."""
        return self.f[:, None] + self.scores + self.g[None, :]

    @cached_property
    def plan(self) -> Tensor:
        """The plan, of shape (n, m), entries >= 0."""
        return self.log_plan.exp()

    @cached_property
    def row_mass(self) -> Tensor:
        """Mass that leaves each row, of shape (n,)."""
        return self.plan.sum(1)

    @cached_property
    def col_mass(self) -> Tensor:
        """Mass that reaches each column, of shape (m,)."""
        return self.plan.sum(0)

    @cached_property
    def mass(self) -> Tensor:
        """Total mass, a scalar."""
        return self.row_mass.sum()

    def log_plan_at(self, rows: Tensor, cols: Tensor) -> Tensor:
        """Log of the plan at the entries ``(rows[k], cols[k])``, of shape (len(rows),)."""
        return self.f[rows] + self.scores[rows, cols] + self.g[cols]

    @cached_property
    def marginal_error(self) -> float:
        """Distance of the marginals from what they must be at the solution, in mass (L1, rows plus columns).

        At the solution the row mass is ``a * exp(-f * epsilon / rho_row)``: ``a`` itself for a hard marginal; a free
        marginal asks for nothing. Likewise for columns. Zero means that the potentials solve the problem.
        """
        row = _residual(self.row_mass.detach(), self.a, self.f.detach(), self.marginals.rho_row, self.epsilon)
        col = _residual(self.col_mass.detach(), self.b, self.g.detach(), self.marginals.rho_col, self.epsilon)
        return float(row + col)

    @cached_property
    def converged(self) -> bool:
        """Whether the marginal error is within ``tol``; without a ``tol`` nothing was asked for, and this is True."""
        return self.tol is None or self.marginal_error <= self.tol


def _residual(mass: Tensor, prescribed: Tensor, potential: Tensor, rho: float, epsilon: float) -> Tensor:
    if rho == 0.0:
        return mass.new_zeros(())
    if math.isinf(rho):
        return (mass - prescribed).abs().sum()
    return (mass - prescribed * torch.exp(-potential * (epsilon / rho))).abs().sum()
