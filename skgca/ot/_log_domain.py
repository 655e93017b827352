"""Sinkhorn in the log domain, on potentials f and g: the form that runs where scalings would overflow.

The iterations are those of :mod:`._kernel_domain` with ``u = exp(f)`` and ``v = exp(g)``. The plan is
``P = exp(f + S + g)``. One iteration takes a log-sum-exp of every row, then of every column::

        g  -- logsumexp_j(S + g) -->  row  -- phi_row * (log a - row) -->  f        row half step
        f  -- logsumexp_i(S + f) -->  col  -- phi_col * (log b - col) -->  g        column half step

No epsilon is too small for this form. The price is time: each half step takes the exponential of every entry. That is
why :mod:`._kernel_domain` is tried first.

Both half steps share one pass over the tiles of S, which are kept or recomputed. A tile holds whole rows, so its row
sums give the new f of these rows. With that f the tile can add to the column sums before it is dropped. If several
ranks share S, each has some of the tiles, and sums are added over ranks (:mod:`._sharded`).

The reverse pass goes through the iterations backwards. The gradient of a half step with respect to S is
``exp(left + S + right)`` times a weight for each row or column. The pass keeps these three vectors for every half step.
One pass over the tiles at the end adds all of them up to dL/dS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .._utils.device import reading_is_free
from ._early_exit import still
from ._log_kernel import LogKernel, Pairs, Span
from ._problem import Problem
from ._sharded import ALONE, agreed, log_sums_over
from ._tiled_kernel import spans, window, workspace

__all__ = ["LogSinkhorn", "LogTrace"]


@dataclass
class LogTrace:
    """Potentials and log sums of every iteration; iteration t starts from ``g[t]``."""

    f: list[Tensor] = field(default_factory=list)
    row: list[Tensor] = field(default_factory=list)
    g: list[Tensor] = field(default_factory=list)
    col: list[Tensor] = field(default_factory=list)
    error: float | None = None

    @property
    def n_iter(self) -> int:
        return max(len(self.row), len(self.col))


class LogSinkhorn:
    """The iterations of :class:`._kernel_domain.KernelSinkhorn` on potentials, tile by tile.

    Parameters
    ----------
    source : LogKernel
        Its tensors have no gradient.
    problem : Problem
    keep : bool
        Whether tiles of scores stay in memory; otherwise every pass forms them again.
    """

    def __init__(self, source: LogKernel, problem: Problem, *, keep: bool) -> None:
        self.source, self.problem, self.keep = source, problem, keep
        self.cache: list[Tensor] = []

    def tiles(self) -> Iterator[tuple[Span, Tensor]]:
        """Yield the tiles of this rank, of whole rows, in turn. Callers must not write to a tile."""
        layout = spans(self.source, half=False)
        if len(self.cache) == len(layout):
            yield from zip(layout, self.cache, strict=True)
            return
        self.cache.clear()  # a pass that its caller left early may have filled a part
        # Recomputed tiles share one buffer, which the next tile overwrites. Kept tiles need memory of their own.
        scratch = None if self.keep else workspace(self.source)
        for span in layout:
            tile = self.source.tile(span, window(self.source, span, scratch))
            if self.keep:
                self.cache.append(tile)
            yield span, tile

    def run(self) -> tuple[Tensor, Tensor, LogTrace]:
        """Return f, g and the trace."""
        p = self.problem
        f, g = torch.zeros_like(p.log_a), torch.zeros_like(p.log_b) if p.g_start is None else p.g_start
        trace = LogTrace(g=[g])
        for done in range(1, (1 if p.one_sided else p.n_iter) + 1):
            f, row, col = self._sweep(f, g)
            if p.phi_row:
                trace.row.append(row)
            trace.f.append(f)
            if p.phi_col:
                g = p.phi_col * (p.log_b - col)
                trace.col.append(col)
                trace.g.append(g)
            if p.one_sided:  # one half step is the solution
                trace.error = 0.0
            elif p.tol is not None:
                trace.error = self._error(f, g, row)
                if trace.error <= p.tol:
                    break
            elif reading_is_free(f.device) and done < p.n_iter and self._is_still(trace.g[-2], g):
                break
        return f, g, trace

    def _is_still(self, old: Tensor, new: Tensor) -> bool:
        """Whether the last iteration moved no potential, on any rank."""
        return not agreed(self.source.ranks, 0.0 if still(old, new) else 1.0, new.device)

    def _sweep(self, f: Tensor, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the new f, the log row sums that it was made from, and the log column sums with it, in one pass."""
        p = self.problem
        row, col, f_new = torch.zeros_like(f), torch.full_like(g, -torch.inf), f.clone()
        for (start, stop, _), tile in self.tiles():
            if p.phi_row:
                row[start:stop] = torch.logsumexp(tile + g, 1)
                f_new[start:stop] = p.phi_row * (p.log_a[start:stop] - row[start:stop])
            if p.phi_col:
                # The max-shift of logsumexp holds within a tile, logaddexp's between tiles: no exponential overflows.
                col = torch.logaddexp(col, torch.logsumexp(tile + f_new[start:stop, None], 0))
        if self.source.ranks is not ALONE:  # the loop has changed the rows of this rank only
            row, col = log_sums_over(self.source.ranks, row, col)
            f_new = p.phi_row * (p.log_a - row) if p.phi_row else f
        return f_new, row, col

    def _error(self, f: Tensor, g: Tensor, row: Tensor) -> float:
        """Return the marginal error of the rows. The columns ran last and have none."""
        # Row masses with the new g, minus what they must be: the masses with ``row``, the log sums that gave this f.
        error = f.new_zeros(())
        for (start, stop, _), tile in self.tiles():
            rows = slice(start, stop)
            error += ((f[rows] + torch.logsumexp(tile + g, 1)).exp() - (f[rows] + row[rows]).exp()).abs().sum()
        return float(self.source.ranks.sum(error))

    def reverse(
        self,
        trace: LogTrace,
        grad_f: Tensor,
        grad_g: Tensor,
        to_powers: Tensor | None = None,
        pairs: Pairs | None = None,
    ) -> tuple[Tensor, ...]:
        """Return gradients of ``log_a``, ``log_b``, the source's tensors; add those of the powers to ``to_powers``.

        ``pairs`` are gradients of single scores, which are added to dL/dS.
        """
        p = self.problem
        sum_a, sum_b = torch.zeros_like(p.log_a), torch.zeros_like(p.log_b)
        terms: list[tuple[Tensor, Tensor, Tensor]] = []  # weight, left and right of exp(left + S + right)
        for t in range(trace.n_iter - 1, -1, -1):
            if p.phi_col:
                h, log_col = -p.phi_col * grad_g, _finite(trace.col[t])
                p.add_to_power(to_powers, 1, grad_g, trace.g[t + 1])
                sum_b -= h
                # exp(f + S - log_col) is the softmax of each column: the derivative of its log-sum-exp.
                terms.append((h[None, :], trace.f[t], -log_col))  # weight (1, m): one for each column
                grad_f = grad_f + self._product(trace.f[t], -log_col, h, rows=True)
            if p.phi_row:
                w, log_row = -p.phi_row * grad_f, _finite(trace.row[t])
                p.add_to_power(to_powers, 0, grad_f, trace.f[t])
                sum_a -= w
                terms.append((w[:, None], -log_row, trace.g[t]))  # weight (n, 1): one for each row
                grad_g = self._product(-log_row, trace.g[t], w, rows=False)
            grad_f = torch.zeros_like(grad_f)  # only the last f reaches the loss directly
        return (sum_a, sum_b, *self.source.pullback(self._cotangents(terms), half=False, pairs=pairs))

    def _product(self, left: Tensor, right: Tensor, x: Tensor, *, rows: bool) -> Tensor:
        """Return ``E x`` (``rows``) or ``E^T x`` for ``E = exp(left + S + right)``."""
        out = torch.zeros_like(left if rows else right)
        for (start, stop, _), tile in self.tiles():
            weights = (tile + left[start:stop, None]).add_(right).exp_()  # a new matrix: the tile may be kept
            if rows:
                out[start:stop] = torch.mv(weights, x)
            else:
                out.addmv_(weights.t(), x[start:stop])
        return self.source.ranks.sum(out)

    def _cotangents(self, terms: list[tuple[Tensor, Tensor, Tensor]]) -> Iterator[tuple[Span, Tensor]]:
        """Yield the tiles of dL/dS: the sum of ``weight * exp(left + S + right)`` over all half steps."""
        for (start, stop, first), tile in self.tiles():
            out = torch.zeros_like(tile)
            for weight, left, right in terms:
                of_tile = weight if weight.shape[0] == 1 else weight[start:stop]  # (1, m) or (rows, 1)
                out.addcmul_((tile + left[start:stop, None]).add_(right).exp_(), of_tile)
            yield (start, stop, first), out


def _finite(log_sums: Tensor) -> Tensor:
    """Replace the log sums of rows without any mass to sum, -inf. They have no gradient, and -inf would make it NaN."""
    return log_sums.masked_fill(torch.isneginf(log_sums), 0.0)
