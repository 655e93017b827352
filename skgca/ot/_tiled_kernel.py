"""The Gibbs kernel ``K = exp(S)`` as tiles: a few whole rows at a time, which fit into the cache of a core.

::

        S (log kernel)  --shift, exp-->  K, tile by tile  --products-->  K v, K^T u
                                                |
                                kept in memory, or formed again for every use

The kernel domain needs only these products, so its iterations are the same whether tiles are kept or recomputed.
Recomputed tiles share one buffer. Memory then grows with n + m instead of n m, and every use of K costs its
exponentials again.

A symmetric S needs the tiles of its upper triangle only. Each tile also serves as its mirror image, which halves the
memory and the number of exponentials.

If several ranks share S, each has some of the tiles, and products are summed over ranks (:mod:`._sharded`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ._log_kernel import LogKernel, Pairs, Span
from ._sharded import ALONE, height_among, own_tiles

__all__ = ["ALL_ROWS", "TiledKernel", "TiledPlan", "spans", "window", "workspace"]

# The rows of a kernel of one tile. It is compared by identity: to slice all of a small vector costs a call.
ALL_ROWS = slice(None)
_TILE_BYTES = 2**22  # a tile of this size stays in the cache of a core between its two uses


@dataclass(frozen=True, eq=False)
class TiledKernel:
    """The matrix ``K = exp(S - offset - shift_row - shift_col)``, tile by tile, those of this rank.

    Shifts take the size of the scores out of the exponent, as in a softmax. Without them, large scores overflow. With
    them, only the potentials must fit the range of the floating-point type. A symmetric source has equal shifts, and
    tiles of its upper triangle only.

    Parameters
    ----------
    source : LogKernel
        Its tensors have no gradient.
    keep : bool
        Whether tiles stay in ``cache``; otherwise every use forms them again.
    half : bool
        Whether tiles cover the upper triangle only, for a symmetric source and equal shifts.
    shift_row, shift_col : Tensor of shape (n,) and (m,), or None
        None for both means no shifts, for a source with a known bound.
    cache : list of Tensor
        Tiles formed so far.
    """

    source: LogKernel
    keep: bool
    half: bool
    shift_row: Tensor | None = None
    shift_col: Tensor | None = None
    cache: list[Tensor] = field(default_factory=list)

    @property
    def offset(self) -> float:
        """Number that all scores have in common and that K leaves out. With shifts, the shifts contain it."""
        return self.source.offset if self.shift_row is None else 0.0

    def with_cache(self, cache: list[Tensor]) -> TiledKernel:
        """Return a copy with its tiles in another list."""
        return TiledKernel(self.source, self.keep, self.half, self.shift_row, self.shift_col, cache)

    @classmethod
    def from_log_kernel(cls, source: LogKernel, *, keep: bool, safe_bound: float) -> TiledKernel:
        """Choose the shifts: none if scores are known to be small, else the largest score of each row and column."""
        if source.bound is not None and source.bound <= safe_bound:
            return cls(source, keep, source.symmetric)
        if source.symmetric:
            largest = source.tensors[0].new_full((source.shape[0],), -torch.inf)
            for (start, stop, first), tile in _score_tiles(source):
                torch.maximum(largest[start:stop], tile.amax(1), out=largest[start:stop])
                torch.maximum(largest[first:], tile.amax(0), out=largest[first:])
            largest = source.ranks.maximum(largest)
            # S_ij is at most the largest score of row i and, by symmetry, of row j, so at most their mean: K <= 1.
            return cls(source, keep, True, largest / 2, largest / 2)
        n, m = source.shape
        row, col = (source.tensors[0].new_full((size,), -torch.inf) for size in (n, m))
        for (start, stop, _), tile in _score_tiles(source):
            row[start:stop] = tile.amax(1)
            # In place: the tile is scratch. Columns are shifted after rows, so each row and column has an entry of 1.
            torch.maximum(col, tile.sub_(row[start:stop, None]).amax(0), out=col)
        return cls(source, keep, False, source.ranks.maximum(row), source.ranks.maximum(col))

    @cached_property
    def layout(self) -> list[Span]:
        """Spans of the tiles, in order."""
        return spans(self.source, half=self.half)

    @cached_property
    def _is_one_tile(self) -> bool:
        return len(self.layout) == 1 and self.source.ranks is ALONE

    def tiles(self) -> Iterator[tuple[Span, Tensor]]:
        """Yield the tiles in turn. Callers must not write to a tile. Without ``keep``, the next tile overwrites it."""
        if len(self.cache) == len(self.layout):
            yield from zip(self.layout, self.cache, strict=True)
            return
        self.cache.clear()  # a pass that its caller left early may have filled a part
        scratch = None if self.keep else workspace(self.source)
        for span in self.layout:
            tile = self._form(span, window(self.source, span, scratch))
            if self.keep:
                self.cache.append(tile)
            yield span, tile

    def _single_tile(self) -> Tensor | None:
        """Return the kernel if it is one tile, else None.

        A small batch is one tile, and its time goes into calls rather than into arithmetic. So each product has a form
        for one tile that is a single call.
        """
        if not self._is_one_tile:
            return None
        if self.cache:
            return self.cache[0]
        ((_, tile),) = self.tiles()
        return tile

    def _form(self, span: Span, out: Tensor) -> Tensor:
        """Write the tile of a span to ``out``, in place at every step."""
        start, stop, first = span
        if self.shift_row is None or self.shift_col is None:
            return self.source.raw_tile(span, out).exp_()
        tile = self.source.tile(span, out).sub_(self.shift_row[start:stop, None]).sub_(self.shift_col[first:])
        # Denormal numbers are too small to matter here, and are slow to multiply.
        return torch.threshold_(tile.exp_(), torch.finfo(tile.dtype).tiny, 0.0)

    def rows(self, v: Tensor) -> Tensor:
        """Return ``K v``, of shape (n,)."""
        single = self._single_tile()
        if single is not None:
            return torch.mv(single, v)
        if self.half:
            return self._symmetric(v)
        out = v.new_zeros(self.source.shape[0])
        for (start, stop, _), tile in self.tiles():
            out[start:stop] = torch.mv(tile, v)
        return self.source.ranks.sum(out)

    def cols(self, u: Tensor) -> Tensor:
        """Return ``K^T u``, of shape (m,)."""
        single = self._single_tile()
        if single is not None:
            return torch.mv(single if self.half else single.t(), u)
        if self.half:
            return self._symmetric(u)
        out = u.new_zeros(self.source.shape[1])
        for (start, stop, _), tile in self.tiles():
            out.addmv_(tile.t(), u[start:stop])  # (m, rows) times (rows,)
        return self.source.ranks.sum(out)

    def _symmetric(self, v: Tensor) -> Tensor:
        """Return ``K v`` from the upper triangle."""
        n = len(v)
        out = torch.zeros_like(v)
        for (start, stop, first), tile in self.tiles():
            out[start:stop].addmv_(tile, v[first:])
            if stop < n:  # the mirror image of what is right of the diagonal block
                out[stop:].addmv_(tile[:, stop - first :].t(), v[start:stop])
        return self.source.ranks.sum(out)

    def sweep(self, v: Tensor, step: Callable[[Tensor, slice], Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return ``row = K v``, ``u = step(row)`` and ``K^T u``.

        One pass is enough, because a tile holds whole rows: its row sums give its part of u. ``step`` takes a part of
        ``row`` and the slice of rows that it covers. A symmetric kernel takes two passes over half as many entries.
        """
        single = self._single_tile()
        if single is not None:
            row = torch.mv(single, v)
            u = step(row, ALL_ROWS)
            return row, u, torch.mv(single if self.half else single.t(), u)
        n, m = self.source.shape
        if self.half:
            row = self._symmetric(v)
            u = step(row, ALL_ROWS)
            return row, u, self._symmetric(u)
        row, u, col = v.new_zeros(n), v.new_empty(n), v.new_zeros(m)
        for (start, stop, _), tile in self.tiles():
            rows = slice(start, stop)
            row[rows] = torch.mv(tile, v)
            u[rows] = step(row[rows], rows)
            col.addmv_(tile.t(), u[rows])
        if self.source.ranks is not ALONE:  # u has the rows of this rank only
            row, col = self.source.ranks.sum(torch.cat([row, col])).split([n, m])
            u = step(row, ALL_ROWS)
        return row, u, col

    def pull(self, left: list[Tensor], right: list[Tensor], pairs: Pairs | None = None) -> tuple[Tensor, ...]:
        """Return gradients of the source's tensors, for dL/dS = ``(sum_k left_k right_k^T) * K`` entry by entry.

        ``pairs`` are gradients of single scores, which are added to dL/dS.
        """
        if self.half:  # x y + (x y)^T as one product
            left, right = left + right, right + left
        x, y = torch.stack(left).t(), torch.stack(right)  # (n, k), (k, m), with twice as many k if half

        def cotangents() -> Iterator[tuple[Span, Tensor]]:
            single = self._single_tile()
            if single is not None:
                yield self.layout[0], torch.mm(x, y).mul_(single)
                return
            scratch = workspace(self.source)  # not the buffer of the tiles, since each tile is a factor here
            for span, tile in self.tiles():
                start, stop, first = span
                out = window(self.source, span, scratch)
                yield span, torch.mm(x[start:stop], y[:, first:], out=out).mul_(tile)

        return self.source.pullback(cotangents(), half=self.half, pairs=pairs)


@dataclass(frozen=True, eq=False)
class TiledPlan:
    """A plan ``P = diag(u) K diag(v)`` that is never formed: it multiplies vectors, tile by tile."""

    kernel: TiledKernel
    u: Tensor
    v: Tensor

    def rows(self, x: Tensor) -> Tensor:
        """Return ``P x``, of shape (n,)."""
        return self.u * self.kernel.rows(self.v * x)

    def cols(self, x: Tensor) -> Tensor:
        """Return ``P^T x``, of shape (m,)."""
        return self.v * self.kernel.cols(self.u * x)

    def pull(self, x: Tensor, y: Tensor, pairs: Pairs | None = None) -> tuple[Tensor, ...]:
        """Return gradients of the source's tensors, for dL/dS_ij = ``P_ij (x_i + y_j)``, plus those of ``pairs``."""
        return self.kernel.pull([self.u * x, self.u], [self.v, self.v * y], pairs)


def spans(source: LogKernel, *, half: bool) -> list[Span]:
    """List the spans that cover a source, or its upper triangle for ``half``; of a shared one, those of this rank."""
    n = source.shape[0]
    height = _height(source)
    cover = [(start, min(start + height, n), start if half else 0) for start in range(0, n, height)]
    return cover if source.ranks is ALONE else own_tiles(cover, source.ranks)


def workspace(source: LogKernel) -> Tensor:
    """Allocate memory for the largest tile."""
    return source.tensors[0].new_empty(min(_height(source), source.shape[0]) * source.shape[1])


def _height(source: LogKernel) -> int:
    """Return the number of rows of a tile."""
    n, m = source.shape
    like = source.tensors[0]
    # An accelerator is quickest with few large products. There, tiles only save memory.
    budget = _TILE_BYTES if like.device.type == "cpu" else 64 * _TILE_BYTES
    height = min(n, max(32, budget // (m * like.element_size())))
    return height if source.ranks is ALONE else height_among(source.ranks, n, height)


def window(source: LogKernel, span: Span, scratch: Tensor | None) -> Tensor:
    """Return memory of the shape of a span: the start of ``scratch``, or a new tensor."""
    start, stop, first = span
    height, width = stop - start, source.shape[1] - first
    if scratch is None:
        return source.tensors[0].new_empty(height, width)
    return scratch[: height * width].view(height, width)


def _score_tiles(source: LogKernel) -> Iterator[tuple[Span, Tensor]]:
    """Yield the tiles of scores of this rank, all in one buffer that the caller may write to."""
    scratch = workspace(source)
    for span in spans(source, half=source.symmetric):
        yield span, source.tile(span, window(source, span, scratch))
