"""Sinkhorn in the kernel domain: on scalings u and v. It is the quickest of the three forms.

The plan is ``P = diag(u) K diag(v)``. One iteration multiplies K by a vector twice::

        v  -- K v -->    row  -- base_u * row^-phi_row -->  u        row half step
        u  -- K^T u -->  col  -- base_v * col^-phi_col -->  v        column half step

No iteration takes an exponential of a matrix, which makes this form quick. The price is range: u, v and the sums must
fit into the floating-point type, and for a small epsilon they do not. ``run`` checks this at the end and returns None
if they do not fit. The solver then starts again in the log domain (:mod:`._log_domain`).

The reverse pass goes through the same iterations backwards::

        dL/dg  -->  h = -phi_col * dL/dg / col    the column half step adds (u h^T) * K to dL/dS
        dL/df  -->  w = -phi_row * dL/df / row    the row half step adds (w v^T) * K to dL/dS

Each half step adds the outer product of two vectors, times K entry by entry. So the pass keeps vectors only, and
:meth:`.TiledKernel.pull` adds up all outer products at the end, tile by tile.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ._early_exit import largest_change, negligible, settled
from ._problem import Problem
from ._tiled_kernel import TiledKernel

__all__ = ["KernelSinkhorn", "KernelTrace"]

# Sums are dropped below exp(-87). What v, however large, could have brought back must stay under rounding.
_LOG_RANGE = {torch.float32: 60.0, torch.float64: 640.0}


@dataclass
class KernelTrace:
    """What each iteration leaves for the reverse pass: its scalings, and the sums that they were computed from."""

    u: list[Tensor] = field(default_factory=list)
    row: list[Tensor] = field(default_factory=list)
    v: list[Tensor] = field(default_factory=list)  # v[t] is what iteration t starts from; one longer than the others
    col: list[Tensor] = field(default_factory=list)
    error: float | None = None

    @property
    def n_iter(self) -> int:
        return max(len(self.u), len(self.col))


class KernelSinkhorn:
    """Sinkhorn in the kernel domain: ``u = exp(f + shift_row - level_row)``, and ``v`` likewise from ``g``.

    The levels are the potentials that a uniform kernel would have, so that scalings stay near 1 whatever the number
    of rows.

    Parameters
    ----------
    kernel : TiledKernel
    problem : Problem
    """

    def __init__(self, kernel: TiledKernel, problem: Problem) -> None:
        self.kernel, self.problem = kernel, problem
        n, m = kernel.source.shape
        size = -math.log(n) - math.log(m) - kernel.offset
        p, q = problem.phi_row, problem.phi_col
        self.level_row = size if p == q == 1.0 else p * size * (1.0 - q) / (1.0 - p * q)
        self.level_col = q * (size - self.level_row)
        zero = problem.log_a.new_zeros(())
        self.shift_row = zero if kernel.shift_row is None else kernel.shift_row
        self.shift_col = zero if kernel.shift_col is None else kernel.shift_col
        log_base_u = p * (problem.log_a - kernel.offset - self.level_col - self.shift_row)
        log_base_v = q * (problem.log_b - kernel.offset - self.level_row - self.shift_col)
        self.base_u = torch.exp(log_base_u + self.shift_row - self.level_row)
        self.base_v = torch.exp(log_base_v + self.shift_col - self.level_col)

    def u_of(self, f: Tensor) -> Tensor:
        """Row scaling of a potential."""
        return torch.exp(f + self.shift_row - self.level_row)

    def v_of(self, g: Tensor) -> Tensor:
        """Column scaling of a potential."""
        return torch.exp(g + self.shift_col - self.level_col)

    def f_of(self, u: Tensor) -> Tensor:
        """Potential of a row scaling."""
        return u.log() - self.shift_row + self.level_row

    def g_of(self, v: Tensor) -> Tensor:
        """Potential of a column scaling."""
        return v.log() - self.shift_col + self.level_col

    def with_cache(self, cache: list[Tensor]) -> KernelSinkhorn:
        """Return the same scaling over a kernel whose tiles are in another list."""
        other = copy.copy(self)
        other.kernel = self.kernel.with_cache(cache)
        return other

    @property
    def unit(self) -> float:
        """Factor that makes ``u K v`` the plan."""
        return math.exp(self.level_row + self.level_col + self.kernel.offset)

    def run(self) -> tuple[Tensor, Tensor, KernelTrace] | None:
        """Iterate; None if potentials left the range in which the kernel can be trusted."""
        p = self.problem
        trace = KernelTrace(v=[self.v_of(torch.zeros_like(p.log_b) if p.g_start is None else p.g_start)])
        if p.one_sided:
            self._half_step(trace)
        else:
            self._iterate(trace)
        if not self._trusted(trace):
            return None
        f = torch.zeros_like(p.log_a) if p.phi_row == 0.0 else self.f_of(trace.u[-1])
        g = torch.zeros_like(p.log_b) if p.phi_col == 0.0 else self.g_of(trace.v[-1])
        return f, g, trace

    def _half_step(self, trace: KernelTrace) -> None:
        p = self.problem
        if p.phi_row:
            trace.row.append(self.kernel.rows(trace.v[0]))
            trace.u.append(self._u(trace.row[0], slice(None)))
        else:
            u = self.u_of(torch.zeros_like(p.log_a))
            trace.u.append(u)
            trace.col.append(self.kernel.cols(u))
            trace.v.append(self._v(trace.col[0]))
        trace.error = 0.0

    def _iterate(self, trace: KernelTrace) -> None:
        p = self.problem
        row, change = None, math.inf
        for done in range(1, p.n_iter + 1):
            v = trace.v[-1]
            if row is None:
                row, u, col = self.kernel.sweep(v, self._u)
            else:
                u = self._u(row, slice(None))
                col = self.kernel.cols(u)
            trace.row.append(row)
            trace.u.append(u)
            trace.col.append(col)
            trace.v.append(self._v(col))
            if p.tol is not None:
                row = self.kernel.rows(trace.v[-1])
                trace.error = float((u * (row - trace.row[-1])).abs().sum()) * self.unit
                if not trace.error > p.tol:  # NaN stops as well; it is found out below
                    break
                continue
            row = None
            if u.device.type == "cpu" and done < p.n_iter:  # elsewhere the answer would have to be waited for
                change, before = largest_change(trace.v[-1], v), change
                # inf is no reason to stop: it also comes of a start that a shift has brought to zero
                if math.isnan(change) or settled(change, before, p.n_iter - done, u.dtype):
                    break

    def _u(self, row: Tensor, here: slice) -> Tensor:
        return _power_step(self.base_u[here], row, self.problem.phi_row)

    def _v(self, col: Tensor) -> Tensor:
        return _power_step(self.base_v, col, self.problem.phi_col)

    def _trusted(self, trace: KernelTrace) -> bool:
        limit = _LOG_RANGE[self.base_u.dtype]
        fits = [_fits(sums, scaling, limit) for sums, scaling in ((trace.row, trace.v), (trace.col, trace.u)) if sums]
        # A scaling that falls to zero has lost its potential, unless its row was to have no mass in the first place.
        if trace.u:
            fits.append(_alive(trace.u, self.problem.log_a))
        if trace.col:
            fits.append(_alive(trace.v[1:], self.problem.log_b))
        return bool(torch.stack(fits).all())

    def reverse(
        self, trace: KernelTrace, grad_f: Tensor, grad_g: Tensor, to_powers: Tensor | None = None
    ) -> tuple[list[Tensor], list[Tensor], Tensor, Tensor]:
        """Pull gradients back through the iterations; those of the powers are added to ``to_powers``.

        Returns
        -------
        left, right : list of Tensor
            dL/dS is ``(sum_k left_k right_k^T) * K`` entry by entry.
        grad_log_a, grad_log_b : Tensor
        """
        p = self.problem
        left: list[Tensor] = []
        right: list[Tensor] = []
        sum_a, sum_b = torch.zeros_like(p.log_a), torch.zeros_like(p.log_b)
        if p.one_sided:
            if p.phi_row:
                left, right = [-p.phi_row * grad_f / trace.row[0]], [trace.v[0]]
                sum_a = p.phi_row * grad_f
                p.add_to_power(to_powers, 0, grad_f, self.f_of(trace.u[0]))
            elif p.phi_col:
                left, right = [trace.u[0]], [-p.phi_col * grad_g / trace.col[0]]
                sum_b = p.phi_col * grad_g
                p.add_to_power(to_powers, 1, grad_g, self.g_of(trace.v[1]))
            return left, right, sum_a, sum_b
        reference = 0.0
        for t in range(trace.n_iter - 1, -1, -1):
            h = -p.phi_col * grad_g / trace.col[t]
            sum_b += p.phi_col * grad_g
            w, grad_u, back = self._reverse_sweep(trace, t, h, grad_f)
            sum_a += p.phi_row * grad_u
            if to_powers is not None:
                p.add_to_power(to_powers, 0, grad_u, self.f_of(trace.u[t]))
                p.add_to_power(to_powers, 1, grad_g, self.g_of(trace.v[t + 1]))
            left += [trace.u[t], w]
            right += [h, trace.v[t]]
            if t == 0:
                break
            grad_f, grad_g = torch.zeros_like(grad_f), trace.v[t] * back
            if grad_g.device.type == "cpu":
                reference = reference or float(grad_u.abs().max())
                rest = float(grad_g.abs().max()) * t  # what is left to pull back decays as the iterations did
                if negligible(rest, reference, grad_g.dtype):
                    break
        return left, right, sum_a, sum_b

    def _reverse_sweep(self, trace: KernelTrace, t: int, h: Tensor, grad_f: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``w`` of the row step, the gradient of its potential, and ``K^T w``, which no one needs at the first step."""
        phi, u, row = self.problem.phi_row, trace.u[t], trace.row[t]

        def step(product: Tensor, here: slice) -> Tensor:
            return -phi * (grad_f[here] + u[here] * product) / row[here]

        if t == 0:
            product = self.kernel.rows(h)
            return step(product, slice(None)), grad_f + u * product, h
        product, w, back = self.kernel.sweep(h, step)
        return w, grad_f + u * product, back


def _power_step(base: Tensor, sums: Tensor, phi: float) -> Tensor:
    return base / sums if phi == 1.0 else base * sums.pow(-phi)


def _fits(sums: list[Tensor], scalings: list[Tensor], limit: float) -> Tensor:
    low = torch.stack(sums).amin()
    high = torch.stack(scalings).amax() if scalings else low.new_ones(())
    edge = math.exp(limit)
    return (low > 0) & (low < edge) & (high < edge) & (high < low * edge)


def _alive(scalings: list[Tensor], log_mass: Tensor) -> Tensor:
    stacked = torch.stack(scalings)
    return ((stacked > 0) | torch.isneginf(log_mass)).all() & torch.isfinite(stacked).all()
