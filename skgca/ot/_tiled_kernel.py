"""The Gibbs kernel ``K = exp(S)`` as tiles: a few whole rows at a time, which fit into the cache of a core.

::

        S (log kernel)  --exp-->  K, tile by tile  --products-->  K v, K^T u
                                         |
                         kept in memory, or formed again for every use

A symmetric S needs the tiles of its upper triangle only. Each tile then serves its mirror image too, which halves the
memory and the exponentials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from ._log_kernel import LogKernel, Span

__all__ = ["TiledKernel", "TiledPlan", "spans", "workspace"]

_TILE_BYTES = 2**22  # a tile that stays in the cache of a core between its two uses


@dataclass(frozen=True, eq=False)
class TiledKernel:
    """The matrix ``K = exp(S - offset - shift_row - shift_col)``, seen tile by tile.

    Shifts take the size of the scores out of the exponent, so that potentials, not scores, have to fit the range of
    the floating-point type. A symmetric source gives its upper triangle only, and equal shifts.

    Parameters
    ----------
    source : LogKernel
        Over tensors without gradient.
    keep : bool
        Whether tiles stay in ``cache`` once formed; otherwise every use forms them again.
    half : bool
        Whether tiles cover the upper triangle only, for a symmetric source and equal shifts.
    shift_row, shift_col : Tensor of shape (n,) and (m,), or None
        None is zero for both, for a source whose bound is known.
    cache : list of Tensor
        The tiles formed so far.
    """

    source: LogKernel
    keep: bool
    half: bool
    shift_row: Tensor | None = None
    shift_col: Tensor | None = None
    cache: list[Tensor] = field(default_factory=list)

    @property
    def offset(self) -> float:
        """Part of the scores that is the same in all entries, and left out of K."""
        return self.source.offset if self.shift_row is None else 0.0

    def with_cache(self, cache: list[Tensor]) -> TiledKernel:
        """Return the same kernel with its tiles in another list."""
        return replace(self, cache=cache)

    @classmethod
    def of(cls, source: LogKernel, *, keep: bool, safe_bound: float) -> TiledKernel:
        """Choose shifts from the scores: none where they are known to fit, else the largest of each row and column."""
        if source.bound is not None and source.bound <= safe_bound:
            return cls(source, keep, source.symmetric)
        if source.symmetric:
            largest = source.tensors[0].new_full((source.shape[0],), -torch.inf)
            for (start, stop, first), tile in _score_tiles(source):
                torch.maximum(largest[start:stop], tile.amax(1), out=largest[start:stop])
                torch.maximum(largest[first:], tile.amax(0), out=largest[first:])
            return cls(source, keep, True, largest / 2, largest / 2)
        n, m = source.shape
        row, col = source.tensors[0].new_empty(n), source.tensors[0].new_full((m,), -torch.inf)
        for (start, stop, _), tile in _score_tiles(source):
            row[start:stop] = tile.amax(1)
            torch.maximum(col, tile.sub_(row[start:stop, None]).amax(0), out=col)
        return cls(source, keep, False, row, col)

    @cached_property
    def layout(self) -> list[Span]:
        """Spans of the tiles."""
        return spans(self.source, half=self.half)

    def tiles(self) -> Iterator[tuple[Span, Tensor]]:
        """Every tile in turn. Do not write to one; without ``keep`` it is gone at the next."""
        if len(self.cache) == len(self.layout):
            yield from zip(self.layout, self.cache, strict=True)
            return
        self.cache.clear()
        scratch = None if self.keep else workspace(self.source)
        for span in self.layout:
            tile = self._form(span, _window(self.source, span, scratch))
            if self.keep:
                self.cache.append(tile)
            yield span, tile

    def _form(self, span: Span, out: Tensor) -> Tensor:
        start, stop, first = span
        if self.shift_row is None or self.shift_col is None:
            return self.source.raw_tile(span, out).exp_()
        tile = self.source.tile(span, out).sub_(self.shift_row[start:stop, None]).sub_(self.shift_col[first:])
        # Denormal numbers hold nothing that counts here, and are slow to multiply.
        return torch.threshold_(tile.exp_(), torch.finfo(tile.dtype).tiny, 0.0)

    def rows(self, v: Tensor) -> Tensor:
        """``K v``, of shape (n,)."""
        if self.half:
            return self._symmetric(v)
        return torch.cat([torch.mv(tile, v) for _, tile in self.tiles()])

    def cols(self, u: Tensor) -> Tensor:
        """``K^T u``, of shape (m,)."""
        if self.half:
            return self._symmetric(u)
        out = u.new_zeros(self.source.shape[1])
        for (start, stop, _), tile in self.tiles():
            out.addmv_(tile.t(), u[start:stop])
        return out

    def _symmetric(self, v: Tensor) -> Tensor:
        n = len(v)
        out = torch.zeros_like(v)
        for (start, stop, first), tile in self.tiles():
            if stop - start == n:  # a small batch is one tile, and calls are what it costs
                return torch.mv(tile, v)
            out[start:stop].addmv_(tile, v[first:])
            if stop < n:
                out[stop:].addmv_(tile[:, stop - first :].t(), v[start:stop])
        return out

    def sweep(self, v: Tensor, step: Callable[[Tensor, slice], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """``row = K v``, ``u = step(row)`` and ``K^T u`` in one pass: a tile's u is known once its row sums are.

        A symmetric kernel takes two passes over half as much instead.
        """
        n, m = self.source.shape
        if self.half:
            row = self._symmetric(v)
            u = step(row, slice(0, n))
            return row, u, self._symmetric(u)
        row, u, col = v.new_empty(n), v.new_empty(n), v.new_zeros(m)
        for (start, stop, _), tile in self.tiles():
            here = slice(start, stop)
            row[here] = torch.mv(tile, v)
            u[here] = step(row[here], here)
            col.addmv_(tile.t(), u[here])
        return row, u, col

    def pull(self, left: list[Tensor], right: list[Tensor]) -> tuple[Tensor, ...]:
        """Gradients of the source's tensors, where dL/dS is ``(sum_k left_k right_k^T) * K`` entry by entry."""
        x, y = torch.stack(left, 1), torch.stack(right, 0)  # (n, k), (k, m)
        if self.half:
            x, y = torch.cat([x, y.t()], 1), torch.cat([y, x.t()], 0)

        def cotangents() -> Iterator[tuple[Span, Tensor]]:
            scratch = workspace(self.source)
            for span, tile in self.tiles():
                start, stop, first = span
                out = _window(self.source, span, scratch)
                yield span, torch.mm(x[start:stop], y[:, first:], out=out).mul_(tile)

        return self.source.pullback(cotangents(), half=self.half)


@dataclass(frozen=True, eq=False)
class TiledPlan:
    """A plan ``P = diag(u) K diag(v)``, as tiles that multiply vectors."""

    kernel: TiledKernel
    u: Tensor
    v: Tensor

    def rows(self, x: Tensor) -> Tensor:
        """``P x``, of shape (n,)."""
        return self.u * self.kernel.rows(self.v * x)

    def cols(self, x: Tensor) -> Tensor:
        """``P^T x``, of shape (m,)."""
        return self.v * self.kernel.cols(self.u * x)

    def pull(self, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """Gradients of the source's tensors, where dL/dS is ``P_ij (x_i + y_j)``."""
        return self.kernel.pull([self.u * x, self.u], [self.v, self.v * y])


def spans(source: LogKernel, *, half: bool) -> list[Span]:
    """List the tiles that cover a source, or its upper triangle."""
    n = source.shape[0]
    height = _height(source)
    return [(start, min(start + height, n), start if half else 0) for start in range(0, n, height)]


def workspace(source: LogKernel) -> Tensor:
    """Memory for the largest tile."""
    return source.tensors[0].new_empty(min(_height(source), source.shape[0]) * source.shape[1])


def _height(source: LogKernel) -> int:
    n, m = source.shape
    like = source.tensors[0]
    # An accelerator wants few large products. There, tiles exist for the sake of memory alone.
    budget = _TILE_BYTES if like.device.type == "cpu" else 64 * _TILE_BYTES
    return min(n, max(32, budget // (m * like.element_size())))


def _window(source: LogKernel, span: Span, scratch: Tensor | None) -> Tensor:
    start, stop, first = span
    height, width = stop - start, source.shape[1] - first
    if scratch is None:
        return source.tensors[0].new_empty(height, width)
    return scratch[: height * width].view(height, width)


def _score_tiles(source: LogKernel) -> Iterator[tuple[Span, Tensor]]:
    scratch = workspace(source)
    for span in spans(source, half=source.symmetric):
        yield span, source.tile(span, _window(source, span, scratch))
