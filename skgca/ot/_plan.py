"""The result of Sinkhorn: potentials and status, and the plan computed when asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ._autograd import Solver
from ._marginals import Marginals, power

__all__ = ["TransportPlan"]


@dataclass(frozen=True, eq=False)
class TransportPlan:
    """An entropic transport plan in log form, ``log P = f[:, None] + scores + g[None, :]``.

    Potentials are in units of epsilon. What is a matrix is made only when it is read: ``scores``, ``log_plan`` and
    ``plan``. Masses, entries and marginal error are made without one. All that comes from potentials that carry
    gradients is differentiable.

    Parameters
    ----------
    solver : Solver
        What solved for the potentials, and knows the scores.
    f : Tensor of shape (n,)
        Row potential; -inf where a row has no mass.
    g : Tensor of shape (m,)
        Column potential; likewise.
    a : Tensor of shape (n,)
        Prescribed row mass.
    b : Tensor of shape (m,)
        Prescribed column mass.
    marginals : Marginals
        How hard ``a`` and ``b`` bind.
    epsilon : float or Tensor
        Entropic regularisation, in units of the cost; a tensor where it is learned.
    n_iter : int
        Iterations that ran. Fewer than were asked for if a tolerance was met, or if more would have changed nothing
        beyond rounding.
    tol : float, default=None
        Marginal error that was asked for.
    similarity : float, default=0.0
        Similarity at cost zero, for losses that are stated with the kernel ``exp(similarity / epsilon)``: 1 for the
        cosine, whose cost is 1 less the similarity.

    Examples
    --------
    >>> import torch
    >>> from skgca.ot import sinkhorn
    >>> plan = sinkhorn(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), marginals="balanced", epsilon=1.0)
    >>> plan.plan
    tensor([[0.4404, 0.0596],
            [0.0596, 0.4404]])
    >>> plan.row_mass, plan.converged
    (tensor([0.5000, 0.5000]), True)
    """

    solver: Solver = field(repr=False)
    f: Tensor
    g: Tensor
    a: Tensor
    b: Tensor
    marginals: Marginals
    epsilon: float | Tensor
    n_iter: int
    tol: float | None = None
    similarity: float = 0.0

    @cached_property
    def scores(self) -> Tensor:
        """``-cost / epsilon`` of shape (n, m), with ``-inf`` where no mass may go."""
        return self.solver.source.dense()

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
        if self._rows_were_last:
            return _mass_at_solution(self.a, self.f, self.marginals.rho_row, self.epsilon)
        return self.solver.mass(self.f, self.g, axis=0)

    @cached_property
    def col_mass(self) -> Tensor:
        """Mass that reaches each column, of shape (m,)."""
        if self._cols_were_last:
            return _mass_at_solution(self.b, self.g, self.marginals.rho_col, self.epsilon)
        return self.solver.mass(self.f, self.g, axis=1)

    @cached_property
    def mass(self) -> Tensor:
        """Total mass, a scalar."""
        return self.col_mass.sum() if self._cols_were_last else self.row_mass.sum()

    # The half step that ran last holds its marginal exactly, whose mass therefore follows from its potential alone.
    # With the potentials detached that is no longer the gradient of the plan's mass.

    @property
    def _cols_were_last(self) -> bool:
        return self.marginals.rho_col > 0 and self.solver.gradient != "envelope"

    @property
    def _rows_were_last(self) -> bool:
        return self.marginals.rho_col == 0 < self.marginals.rho_row and self.solver.gradient != "envelope"

    def log_plan_at(self, rows: Tensor, cols: Tensor) -> Tensor:
        """Log of the plan at the entries ``(rows[k], cols[k])``, of shape (len(rows),)."""
        return self.f.index_select(0, rows) + self.solver.source.at(rows, cols) + self.g.index_select(0, cols)

    @cached_property
    def log_row_sum(self) -> Tensor:
        """Log of the row sums of ``exp(scores + g)`` that the last row step was made from, of shape (n,).

        Those of InfoNCE's denominator, for its marginals. Where rows are free there was no step, and they are those of
        the plan.
        """
        if self.marginals.rho_row == 0.0:
            return self.row_mass.log()
        step: Tensor = self.f / power(self.marginals.rho_row, self.epsilon)  # log a - log sum
        return self.a.log() - step

    @cached_property
    def marginal_error(self) -> float:
        """Distance of the marginals from what they must be at the solution, in mass (L1, rows plus columns).

        At the solution the row mass is ``a * exp(-f * epsilon / rho_row)``: ``a`` itself for a hard marginal; a free
        marginal asks for nothing. Likewise for columns. Zero means that the potentials solve the problem.
        """
        if self.solver.error is not None:
            return self.solver.error
        with torch.no_grad():  # columns were last, and are as they must be
            mass = self.solver.mass(self.f, self.g, axis=0)
            due = _mass_at_solution(self.a, self.f, self.marginals.rho_row, self.epsilon)
            return float((mass - due).abs().sum())

    @cached_property
    def converged(self) -> bool:
        """Whether the marginal error is within ``tol``; without a ``tol`` nothing was asked for, and this is True."""
        return self.tol is None or self.marginal_error <= self.tol


def _mass_at_solution(prescribed: Tensor, potential: Tensor, rho: float, epsilon: float | Tensor) -> Tensor:
    """Return ``a * exp(-f * epsilon / rho)``, and 0 where there is no mass, whose potential is -inf."""
    if math.isinf(rho):
        return prescribed
    held = prescribed > 0
    return prescribed * torch.exp(torch.where(held, potential, 0.0) * (-epsilon / rho))
