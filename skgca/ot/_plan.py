"""The result of Sinkhorn: potentials and status. The matrices of the plan are computed when they are read.

The iterations leave f, g and the solver. Everything else follows from these, with or without a matrix (n, m)::

    matrix       scores, log_plan, plan                      formed whole on first use, then kept
    no matrix    row_mass, col_mass, mass, marginal_error    products with the tiles of the kernel, or from a potential
    no matrix    log_plan_at                                 single entries, such as the positive pairs
"""

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

    Use it to read a plan that :func:`sinkhorn`, :func:`sinkhorn_embeddings` or a loss returned; there is no need to
    make one yourself. For tables of a plan between the rows of a data set, use :func:`skgca.inspection.plan_report`.

    Potentials are in units of epsilon. The matrices ``scores``, ``log_plan`` and ``plan`` are formed only when they are
    read. Masses, single entries and the marginal error need no matrix. Everything except the marginal error is
    differentiable, if the potentials are.

    Parameters
    ----------
    solver : Solver
        The solver of the potentials. It holds the scores.
    f : Tensor of shape (n,)
        Row potential; -inf for a row without mass.
    g : Tensor of shape (m,)
        Column potential; -inf for a column without mass.
    a : Tensor of shape (n,)
        Prescribed row mass.
    b : Tensor of shape (m,)
        Prescribed column mass.
    marginals : Marginals
        How strongly ``a`` and ``b`` are enforced.
    epsilon : float or Tensor
        Entropic regularisation, in units of the cost; a tensor if it is learned.
    n_iter : int
        Number of iterations that ran. It is below the limit if the tolerance was reached, or if more iterations would
        have changed nothing beyond rounding.
    tol : float, default=None
        Tolerance of the marginal error.
    similarity : float, default=0.0
        Similarity at cost zero, for losses that are defined with the kernel ``exp(similarity / epsilon)``. It is 1 for
        the cosine, because the cosine cost is 1 minus the similarity.

    Examples
    --------
    >>> import torch
    >>> from skgca.ot import sinkhorn
    >>> plan = sinkhorn(
    ...     torch.tensor([[2.0, 0.0], [0.0, 2.0]]), marginals="balanced", epsilon=1.0
    ... )
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
        """``-cost / epsilon`` of shape (n, m), with ``-inf`` at entries that are masked."""
        return self.solver.source.dense()

    @cached_property
    def log_plan(self) -> Tensor:
        """Log of the plan, of shape (n, m)."""
        return self.f[:, None] + self.scores + self.g[None, :]

    @cached_property
    def plan(self) -> Tensor:
        """The plan, of shape (n, m), with entries >= 0."""
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

    # The half step that ran last leaves its marginal exact, so the potential alone gives the mass, without a product.
    # With gradient="envelope" the potentials are constants, and such a mass would lose its gradient through the scores.

    @property
    def _cols_were_last(self) -> bool:
        return self.marginals.rho_col > 0 and self.solver.gradient != "envelope"

    @property
    def _rows_were_last(self) -> bool:
        return self.marginals.rho_col == 0 < self.marginals.rho_row and self.solver.gradient != "envelope"

    def log_plan_at(self, rows: Tensor, cols: Tensor) -> Tensor:
        """Log of the plan at the entries ``(rows[k], cols[k])``, of shape (len(rows),)."""
        return self.f.index_select(0, rows) + self.solver.source.at(rows, cols) + self.g.index_select(0, cols)

    def log_plan_shifted(self, shift: int) -> Tensor:
        """Log of the plan at the entries ``(i, (i + shift) % n)`` of a square plan, of shape (n,)."""
        return self.solver.log_plan_shifted(self.f, self.g, shift)

    @cached_property
    def log_row_sum(self) -> Tensor:
        """Log of the row sums of ``exp(scores + g)`` that the last row half step divided by, of shape (n,).

        For the marginals of InfoNCE, this is the log of its denominator. If rows are free, no row half step ran, and
        these are the row sums of the plan.
        """
        if self.marginals.rho_row == 0.0:
            return self.row_mass.log()
        step: Tensor = self.f / power(self.marginals.rho_row, self.epsilon)  # f = phi (log a - log sum)
        return self.a.log() - step

    @cached_property
    def marginal_error(self) -> float:
        """L1 distance between the marginals and what they must be at the solution, rows plus columns, in mass.

        At the solution the row mass is ``a * exp(-f * epsilon / rho_row)``, which is ``a`` for a hard marginal. A free
        marginal has no error. Columns likewise. Zero means that the potentials solve the problem.
        """
        if self.solver.error is not None:
            return self.solver.error
        with torch.no_grad():  # the column half step ran last, so columns have no error
            mass = self.solver.mass(self.f, self.g, axis=0)
            due = _mass_at_solution(self.a, self.f, self.marginals.rho_row, self.epsilon)
            return float((mass - due).abs().sum())

    @cached_property
    def converged(self) -> bool:
        """Whether the marginal error is at most ``tol``; True without a ``tol``."""
        return self.tol is None or self.marginal_error <= self.tol


def _mass_at_solution(prescribed: Tensor, potential: Tensor, rho: float, epsilon: float | Tensor) -> Tensor:
    """Return ``a * exp(-f * epsilon / rho)``."""
    if math.isinf(rho):
        return prescribed
    # A row without mass has the potential -inf, and exp(inf) * 0 would be NaN instead of 0.
    has_mass = prescribed > 0
    return prescribed * torch.exp(torch.where(has_mass, potential, 0.0) * (-epsilon / rho))
