"""Sinkhorn in the kernel domain, on scalings u and v: the quickest form, and the one that is tried first.

With the kernel ``K = exp(S)`` the plan is ``P = diag(u) K diag(v)``. One iteration multiplies K by a vector twice::

        v  -- K v -->    row  -- base_u * row^-phi_row -->  u        row half step
        u  -- K^T u -->  col  -- base_v * col^-phi_col -->  v        column half step

No iteration takes the exponential of a matrix, which makes this form quick. The price is range: u, v and the sums must
fit the floating-point type, and for a small epsilon they do not. ``run`` checks this at the end and returns None if
they do not fit. The solver then starts again in the log domain (:mod:`._log_domain`). The products are those of
:mod:`._tiled_kernel`. Whether it keeps K or recomputes it makes no difference here.

The reverse pass goes through the same iterations backwards::

        dL/dg  -->  h = -phi_col * dL/dg / col    the column half step adds (u h^T) * K to dL/dS
        dL/df  -->  w = -phi_row * dL/df / row    the row half step adds (w v^T) * K to dL/dS

Each half step adds the outer product of two vectors, times K entry by entry. The pass therefore keeps vectors only.
:meth:`.TiledKernel.pull` adds up all outer products at the end, tile by tile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from .._utils.device import reading_is_free
from ._early_exit import largest_change, negligible, settled
from ._problem import Problem
from ._sharded import ALONE, agreed
from ._tiled_kernel import ALL_ROWS, TiledKernel

__all__ = ["KernelSinkhorn", "KernelTrace"]

# Entries of K below exp(-87) count as zero (exp(-708) in float64), but a large scaling could make such an entry count
# again. If no scaling exceeds exp(60) times the smallest sum, the entry is at most exp(60 - 87) of a sum: rounding.
_LOG_RANGE = {torch.float32: 60.0, torch.float64: 640.0}


@dataclass
class KernelTrace:
    """The scalings of each iteration, and the sums that they were computed from, for the reverse pass."""

    u: list[Tensor] = field(default_factory=list)
    row: list[Tensor] = field(default_factory=list)
    v: list[Tensor] = field(default_factory=list)  # one longer than the others: v[t] starts iteration t
    col: list[Tensor] = field(default_factory=list)
    error: float | None = None

    @property
    def n_iter(self) -> int:
        return max(len(self.u), len(self.col))


class KernelSinkhorn:
    """Sinkhorn in the kernel domain: ``u = exp(f + shift_row - level_row)``, and ``v`` likewise from ``g``.

    The levels are the potentials that solve the problem for a uniform kernel and uniform masses. They keep the scalings
    near 1 for any number of rows.

    Parameters
    ----------
    kernel : TiledKernel
    problem : Problem
    """

    def __init__(self, kernel: TiledKernel, problem: Problem) -> None:
        self.kernel, self.problem = kernel, problem
        n, m = kernel.source.shape
        phi_row, phi_col = problem.phi_row, problem.phi_col
        # For uniform masses and scores all equal to the offset, the half steps are f = phi_row (size - g) and
        # g = phi_col (size - f). With both marginals hard, any f solves them; f = size is chosen.
        size = -math.log(n) - math.log(m) - kernel.offset
        hard = phi_row == phi_col == 1.0
        self.level_row = size if hard else phi_row * size * (1.0 - phi_col) / (1.0 - phi_row * phi_col)
        self.level_col = phi_col * (size - self.level_row)
        self.shift_row, self.shift_col = kernel.shift_row, kernel.shift_col
        self.base_u = self._base(problem.log_a, phi_row, self.level_row, self.level_col, self.shift_row)
        if phi_row == phi_col and problem.log_b is problem.log_a and self.shift_col is self.shift_row:
            self.base_v = self.base_u  # both sides have the same masses, powers and shifts
        else:
            self.base_v = self._base(problem.log_b, phi_col, self.level_col, self.level_row, self.shift_col)

    def _base(self, log_mass: Tensor, phi: float, level: float, other: float, shift: Tensor | None) -> Tensor:
        """Return the constant factor of a half step, from ``f = phi (log a - logsumexp(S + g))``."""
        # What the sums leave out of logsumexp(S + g): the offset of S, the level of g, and the shift of the row.
        constant = -phi * (self.kernel.offset + other) - level
        log_base = log_mass
        if phi != 1.0:  # for a hard marginal, the shift cancels
            log_base = phi * log_mass if shift is None else phi * log_mass + (1.0 - phi) * shift
        return torch.exp(log_base + constant)

    def u_of(self, f: Tensor) -> Tensor:
        """Return the row scaling of a potential."""
        return torch.exp((f if self.shift_row is None else f + self.shift_row) - self.level_row)

    def v_of(self, g: Tensor) -> Tensor:
        """Return the column scaling of a potential."""
        return torch.exp((g if self.shift_col is None else g + self.shift_col) - self.level_col)

    def f_of(self, u: Tensor) -> Tensor:
        """Return the potential of a row scaling."""
        return (u.log() if self.shift_row is None else u.log() - self.shift_row) + self.level_row

    def g_of(self, v: Tensor) -> Tensor:
        """Return the potential of a column scaling."""
        return (v.log() if self.shift_col is None else v.log() - self.shift_col) + self.level_col

    def with_cache(self, cache: list[Tensor]) -> KernelSinkhorn:
        """Return a copy whose kernel has its tiles in another list."""
        other = object.__new__(KernelSinkhorn)  # copy.copy takes ten times as long
        other.__dict__.update(self.__dict__, kernel=self.kernel.with_cache(cache))
        return other

    @property
    def plan_factor(self) -> float:
        """Factor that turns ``u_i K_ij v_j`` into the plan: levels and offset; the shifts cancel."""
        return math.exp(self.level_row + self.level_col + self.kernel.offset)

    def run(self) -> tuple[Tensor, Tensor, KernelTrace] | None:
        """Return f, g and the trace, or None if a scaling or a sum left the range in which it can be trusted."""
        p = self.problem
        trace = KernelTrace(v=[self._start()])
        if p.one_sided:
            self._half_step(trace)
        else:
            self._iterate(trace)
        if not self._trusted(trace):
            return None
        f = torch.zeros_like(p.log_a) if p.phi_row == 0.0 else self.f_of(trace.u[-1])
        g = torch.zeros_like(p.log_b) if p.phi_col == 0.0 else self.g_of(trace.v[-1])
        return f, g, trace

    def _start(self) -> Tensor:
        """Return the column scaling of the initial potential."""
        start = self.problem.g_start
        if start is None and self.shift_col is None:
            return torch.full_like(self.problem.log_b, math.exp(-self.level_col))
        return self.v_of(torch.zeros_like(self.problem.log_b) if start is None else start)

    def _half_step(self, trace: KernelTrace) -> None:
        """Run the one half step that solves a problem with a free marginal."""
        p = self.problem
        if p.phi_row:
            trace.row.append(self.kernel.rows(trace.v[0]))
            trace.u.append(self._u(trace.row[0], ALL_ROWS))
        else:
            u = self.u_of(torch.zeros_like(p.log_a))
            trace.u.append(u)
            trace.col.append(self.kernel.cols(u))
            trace.v.append(self._v(trace.col[0]))
        trace.error = 0.0

    def _iterate(self, trace: KernelTrace) -> None:
        """Run iterations until ``n_iter`` or an early exit, and record each of them."""
        p = self.problem
        row, change, may_exit = None, math.inf, reading_is_free(p.log_a.device)
        for done in range(1, p.n_iter + 1):
            v = trace.v[-1]
            if row is None:
                row, u, col = self.kernel.sweep(v, self._u)
            else:  # the marginal error of the last iteration needed this product already
                u = self._u(row, ALL_ROWS)
                col = self.kernel.cols(u)
            trace.row.append(row)
            trace.u.append(u)
            trace.col.append(col)
            trace.v.append(self._v(col))
            if p.tol is not None:
                # Columns ran last and have no error. Rows had none before v changed.
                row = self.kernel.rows(trace.v[-1])
                error = float((u * (row - trace.row[-1])).abs().sum())
                trace.error = self._agreed(error) * self.plan_factor
                if not trace.error > p.tol:  # NaN stops too, and _trusted rejects it
                    break
                continue
            row = None
            # On an accelerator, reading the number would wait. One iteration is too few to predict the changes left.
            if may_exit and 1 < done < p.n_iter:
                change, before = self._agreed(largest_change(trace.v[-1], v)), change
                # inf does not stop: a shift may have flushed the initial v to zero, and any change from zero is inf
                if math.isnan(change) or settled(change, before, p.n_iter - done, u.dtype):
                    break

    def _agreed(self, number: float) -> float:
        """Return a number on which all ranks agree."""
        ranks = self.kernel.source.ranks
        return number if ranks is ALONE else agreed(ranks, number, self.problem.log_a.device)

    def _u(self, sums: Tensor, rows: slice) -> Tensor:
        """Return the scalings of ``rows`` from their sums."""
        return _power_step(_part(self.base_u, rows), sums, self.problem.phi_row)

    def _v(self, sums: Tensor) -> Tensor:
        """Return the scalings of all columns from their sums."""
        return _power_step(self.base_v, sums, self.problem.phi_col)

    @property
    def _is_bounded(self) -> bool:
        """Whether the range is known to hold, so that nothing has to be read from the device.

        For equal masses and scores in [-bound, bound], a half step leaves scalings whose logs differ by at most
        2 bound, and sums that differ from the total of the scalings by at most a factor of exp(bound).
        """
        bound = self.kernel.source.bound
        if self.kernel.shift_row is not None or bound is None or not self.problem.equal_masses:
            return False
        return self.problem.g_start is None and 6.0 * bound <= _LOG_RANGE[self.base_u.dtype]

    def _trusted(self, trace: KernelTrace) -> bool:
        """Whether no sum and no scaling overflowed, vanished or became NaN."""
        return self._is_bounded or not self._agreed(0.0 if self._in_range(trace) else 1.0)

    def _in_range(self, trace: KernelTrace) -> bool:
        """Whether this rank finds the scalings and sums in range."""
        n_u, n_v = len(trace.u), len(trace.v)
        # Vectors over the rows, then over the columns: (number of vectors, n) and (number, m).
        of_rows, of_cols = torch.stack(trace.u + trace.row), torch.stack(trace.v + trace.col)
        (low_u, high_u), (low_v, high_v) = _extremes(of_rows, of_cols)
        edge = math.exp(_LOG_RANGE[of_rows.dtype])
        # Sums over the columns are weighted by v, and sums over the rows by u.
        if trace.row and not _fits(min(low_u[n_u:]), max(high_v[:n_v]), edge):
            return False
        if trace.col and not _fits(min(low_v[n_v:]), max(high_u[:n_u]), edge):
            return False
        # A scaling of zero has lost its potential, except in a row of prescribed mass zero. The start of v may be zero:
        # a shift may have flushed it.
        u_is_alive = _all_positive(low_u[:n_u], high_u[:n_u]) or _alive(of_rows[:n_u], self.problem.log_a)
        v_is_alive = _all_positive(low_v[1:n_v], high_v[1:n_v]) or _alive(of_cols[1:n_v], self.problem.log_b)
        return u_is_alive and v_is_alive

    def reverse(
        self,
        trace: KernelTrace,
        grad_f: Tensor,
        grad_g: Tensor,
        to_powers: Tensor | None = None,
        *,
        to_masses: bool = True,
    ) -> tuple[list[Tensor], list[Tensor], Tensor | None, Tensor | None]:
        """Pull gradients back through the iterations, and add those of the powers to ``to_powers``.

        Returns
        -------
        left, right : list of Tensor
            dL/dS is ``(sum_k left_k right_k^T) * K`` entry by entry.
        grad_log_a, grad_log_b : Tensor, or None without ``to_masses``
        """
        p = self.problem
        if p.one_sided:
            return self._reverse_half_step(trace, grad_f, grad_g, to_powers, to_masses=to_masses)
        left: list[Tensor] = []
        right: list[Tensor] = []
        pulled: list[Tensor] = []  # h and w of each iteration, which are in ``left`` and ``right`` too
        factors: list[float] = []  # that these lack: their signs and powers
        sum_a, sum_b = (torch.zeros_like(p.log_a), torch.zeros_like(p.log_b)) if to_masses else (None, None)
        direct: Tensor | None = grad_f  # what reaches f other than through g
        factor = 1.0  # that grad_g lacks
        reference, may_exit = 0.0, reading_is_free(grad_g.device)
        for t in range(trace.n_iter - 1, -1, -1):
            u, v = trace.u[t], trace.v[t]
            h, factor_h = grad_g / trace.col[t], -p.phi_col * factor
            product, w, back = self._reverse_sweep(trace, t, h, factor_h, direct)
            factor_u = factor_h if direct is None else 1.0
            if to_masses or to_powers is not None:
                grad_u = _add_product(direct, u, product, factor_h) * factor_u
                if sum_a is not None and sum_b is not None:
                    sum_a += p.phi_row * grad_u
                    sum_b.add_(grad_g, alpha=p.phi_col * factor)
                if to_powers is not None:
                    p.add_to_power(to_powers, 0, grad_u, self.f_of(u))
                    p.add_to_power(to_powers, 1, grad_g * factor, self.g_of(trace.v[t + 1]))
            left += [u, w]
            right += [h, v]
            pulled += [h, w]
            factors += [factor_h, -p.phi_row * factor_u]
            if t == 0:
                break
            if may_exit:
                reference = reference or self._agreed(abs(factor) * _largest(grad_g))
            # Only the last f reaches the loss directly. An earlier f acts through the g of its iteration alone.
            direct, grad_g, factor = None, v * back, factors[-1]
            # none of the t steps left pulls back more than the last
            if may_exit and negligible(self._agreed(abs(factor) * t * _largest(grad_g)), reference, grad_g.dtype):
                break
        torch._foreach_mul_(pulled, factors)  # in one call, where each iteration would take two
        return left, right, sum_a, sum_b

    def _reverse_half_step(
        self, trace: KernelTrace, grad_f: Tensor, grad_g: Tensor, to_powers: Tensor | None, *, to_masses: bool
    ) -> tuple[list[Tensor], list[Tensor], Tensor | None, Tensor | None]:
        """:meth:`reverse` of the one half step of a problem with a free marginal."""
        p = self.problem
        # phi is 0 for the free marginal
        sum_a, sum_b = (p.phi_row * grad_f, p.phi_col * grad_g) if to_masses else (None, None)
        if p.phi_row:
            if to_powers is not None:
                p.add_to_power(to_powers, 0, grad_f, self.f_of(trace.u[0]))
            return [(grad_f / trace.row[0]).mul_(-p.phi_row)], [trace.v[0]], sum_a, sum_b
        if to_powers is not None:
            p.add_to_power(to_powers, 1, grad_g, self.g_of(trace.v[1]))
        return [trace.u[0]], [(grad_g / trace.col[0]).mul_(-p.phi_col)], sum_a, sum_b

    def _reverse_sweep(
        self, trace: KernelTrace, t: int, h: Tensor, factor: float, direct: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return ``K h``, ``w`` of the row half step, and ``K^T w``.

        ``direct`` is dL/df without ``factor u K h``, which the column half step adds. Without ``direct``, ``w`` lacks
        the factor. It always lacks the sign and the power of its own half step. At t = 0 nothing uses ``K^T w``, so the
        product is left out and ``h`` stands in its place.
        """
        u, row = trace.u[t], trace.row[t]

        def step(product: Tensor, rows: slice) -> Tensor:
            grad_u = _add_product(None if direct is None else _part(direct, rows), _part(u, rows), product, factor)
            return grad_u.div_(_part(row, rows))

        if t == 0:
            product = self.kernel.rows(h)
            return product, step(product, ALL_ROWS), h
        return self.kernel.sweep(h, step)


def _part(vector: Tensor, rows: slice) -> Tensor:
    """Return the entries of some rows, without a call where these are all."""
    return vector if rows is ALL_ROWS else vector[rows]


def _add_product(start: Tensor | None, x: Tensor, y: Tensor, factor: float) -> Tensor:
    """Return ``start + factor * x * y``, or ``x * y`` without a start."""
    return x * y if start is None else torch.addcmul(start, x, y, value=factor)


def _largest(vector: Tensor) -> float:
    """Return the largest magnitude of the entries."""
    return float(torch.linalg.vector_norm(vector, math.inf))


def _power_step(base: Tensor, sums: Tensor, phi: float) -> Tensor:
    # phi = 1 is the common case, and a division is quicker than a power.
    return base / sums if phi == 1.0 else base * sums.pow(-phi)


def _fits(lowest_sum: float, highest_scaling: float, edge: float) -> bool:
    """Whether sums, and the scalings that they are weighted by, stay within the range; see ``_LOG_RANGE``."""
    # Every comparison with NaN is False.
    return 0.0 < lowest_sum < edge and highest_scaling < edge and highest_scaling < lowest_sum * edge


def _extremes(*groups: Tensor) -> list[tuple[list[float], list[float]]]:
    """Return the smallest and the largest entry of the vectors (k, n) of each group, NaN if a vector has NaN.

    All of them are one read from the device.
    """
    lowest, highest = torch.cat([torch.stack(torch.aminmax(vectors, dim=1)) for vectors in groups], 1).tolist()
    ends = [0, *accumulate(len(vectors) for vectors in groups)]
    return [(lowest[start:stop], highest[start:stop]) for start, stop in pairwise(ends)]


def _all_positive(low: list[float], high: list[float]) -> bool:
    """Whether scalings with these extremes are positive and finite."""
    return all(0.0 < smallest <= largest < math.inf for smallest, largest in zip(low, high, strict=True))


def _alive(scalings: Tensor, log_mass: Tensor) -> bool:
    """Whether all scalings (number of iterations, n) are finite, and positive in every row with mass."""
    return bool((((scalings > 0) | torch.isneginf(log_mass)) & torch.isfinite(scalings)).all())
