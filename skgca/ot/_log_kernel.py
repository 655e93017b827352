"""The log kernel ``S = -cost / epsilon``, a matrix (n, m) of scores that need not exist as a whole.

There are three kinds::

    DenseLogKernel        the matrix of scores is given
    EmbeddingLogKernel    two embeddings are given; a tile of the matrix is formed when a solver reads it
    CosineLogKernel       likewise, and the embeddings are normalised first

Forward, the solvers read tiles of S. Backward, they return tiles of dL/dS, and the log kernel turns these into
gradients of its tensors: the scores, or the embeddings. The solvers call their log kernel "source".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .._utils.torch_state import full_precision
from ._sharded import ALONE, Communicator

__all__ = [
    "LOG_KERNELS",
    "CosineLogKernel",
    "DenseLogKernel",
    "EmbeddingLogKernel",
    "LogKernel",
    "Pairs",
    "Span",
    "cosine_log_kernel",
    "squared_euclidean_log_kernel",
    "student_t_log_kernel",
]

_SMALLEST_NORM = 1e-12  # that of torch.nn.functional.normalize
Span = tuple[int, int, int]  # (start, stop, first): rows start:stop and columns first: of the scores
Cotangents = Iterator[tuple[Span, Tensor]]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Gradients of the scores at the entries ``(i, (i + shift) % n)`` of a square matrix.

    Parameters
    ----------
    shift : int
        If the matrix is symmetric, n / 2: the pairs of the joint layout.
    grad : Tensor of shape (n,)
    """

    shift: int
    grad: Tensor

    def added_to(self, cotangents: Cotangents, *, half: bool) -> Cotangents:
        """Add the gradients to tiles of dL/dS, or of dL/dS plus its transpose for ``half``."""
        n, shift = self.grad.shape[0], self.shift
        # Columns i + shift, and i + shift - n from where they wrap around: two diagonals of the matrix.
        above, below = self.grad[: n - shift], self.grad[n - shift :]
        if half:  # row i + n / 2 has the mirror image of the entry of row i, so both get both gradients
            above = below = above + below
        for (start, stop, first), tile in cotangents:
            for offset, values in ((shift, above), (shift - n, below)):
                diagonal = start + offset - first  # of the tile
                if values.shape[0] and -tile.shape[0] < diagonal < tile.shape[1]:
                    entries = tile.diagonal(diagonal)
                    if entries.shape[0] < values.shape[0]:  # in one tile, slices would only cost time
                        skipped = max(start, first - offset) - max(0, -offset)
                        values = values[skipped : skipped + entries.shape[0]]
                    entries.add_(values)
            yield (start, stop, first), tile


class LogKernel(ABC):
    """The matrix S = -cost / epsilon of shape (n, m), with -inf at masked entries.

    A tile has the rows ``start:stop`` and the columns ``first:``. For a symmetric matrix the upper triangle is enough:
    the tiles with ``first == start``.
    """

    symmetric = False
    #: Largest magnitude of the entries of :meth:`raw_tile`, if it is known without computing them; else None.
    bound: float | None = None
    #: Number that turns the entries of :meth:`raw_tile` into scores. Only read if ``bound`` is known.
    offset = 0.0
    #: Ranks that share the tiles. Solvers read those of this rank, and add up over ranks what came of them.
    ranks: Communicator = ALONE

    @property
    @abstractmethod
    def tensors(self) -> tuple[Tensor, ...]:
        """Tensors that the scores are computed from. They receive the gradients."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Shape (n, m) of the scores."""

    @abstractmethod
    def rebuild(self, tensors: tuple[Tensor, ...]) -> LogKernel:
        """Return the same log kernel over other tensors."""

    @abstractmethod
    def tile(self, span: Span, out: Tensor) -> Tensor:
        """Write the scores of a span to ``out``, of the shape of the span, and return it."""

    def raw_tile(self, span: Span, out: Tensor) -> Tensor:
        """Write scores minus ``offset`` to ``out``, in fewer passes. Masked entries are -inf here too."""
        return self.tile(span, out).sub_(self.offset)

    @abstractmethod
    def at(self, rows: Tensor, cols: Tensor) -> Tensor:
        """Return the scores at the entries ``(rows[k], cols[k])``; differentiable."""

    def shifted(self, shift: int) -> Tensor:
        """Return the scores at the entries ``(i, (i + shift) % n)`` of a square matrix; differentiable."""
        rows = torch.arange(self.shape[0], device=self.tensors[0].device)
        return self.at(rows, (rows + shift) % self.shape[0])

    @abstractmethod
    def dense(self) -> Tensor:
        """Return the scores as one matrix; differentiable."""

    @abstractmethod
    def scaled(self, factor: float) -> LogKernel:
        """Return the scores times a factor; not differentiable."""

    def pullback(self, cotangents: Cotangents, *, half: bool, pairs: Pairs | None = None) -> tuple[Tensor, ...]:
        """Return gradients of ``tensors`` from tiles of dL/dS, or of dL/dS plus its transpose for ``half``.

        ``pairs`` are gradients of single scores, which are added to dL/dS. The tiles are those of this rank, and the
        gradients those of all tiles.
        """
        grads = self._pull(cotangents if pairs is None else pairs.added_to(cotangents, half=half), half=half)
        return grads if self.ranks is ALONE else tuple(self.ranks.sum(grad.contiguous()) for grad in grads)

    @abstractmethod
    def _pull(self, cotangents: Cotangents, *, half: bool) -> tuple[Tensor, ...]:
        """Return the gradients of :meth:`pullback` from tiles of this rank that are complete."""


@dataclass(frozen=True, eq=False)
class DenseLogKernel(LogKernel):
    """Given scores of shape (n, m)."""

    scores: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.scores,)

    @property
    def shape(self) -> tuple[int, int]:
        return self.scores.shape[0], self.scores.shape[1]

    def rebuild(self, tensors: tuple[Tensor, ...]) -> DenseLogKernel:
        return DenseLogKernel(tensors[0])

    def tile(self, span: Span, out: Tensor) -> Tensor:
        start, stop, first = span
        return out.copy_(self.scores[start:stop, first:])

    def at(self, rows: Tensor, cols: Tensor) -> Tensor:
        return self.scores[rows, cols]

    def dense(self) -> Tensor:
        return self.scores

    def scaled(self, factor: float) -> DenseLogKernel:
        return DenseLogKernel(self.scores.detach() * factor)

    def _pull(self, cotangents: Cotangents, *, half: bool) -> tuple[Tensor, ...]:
        # The tiles together cover all rows. Scores may be an expanded view, whose layout could not take a gradient.
        grad = torch.empty_like(self.scores, memory_format=torch.contiguous_format)
        for (start, stop, _), tile in cotangents:
            grad[start:stop] = tile
        return (grad,)


@dataclass(frozen=True, eq=False)
class EmbeddingLogKernel(LogKernel):
    """Scores ``scale * x_i . y_j + bias_i + bias_j + offset`` of two embeddings.

    Parameters
    ----------
    x : Tensor of shape (n, d)
    y : Tensor of shape (m, d) or None
        None means ``x`` itself with self pairs masked: the joint layout, whose scores are symmetric.
    scale, offset : float
    bias_x, bias_y : Tensor of shape (n,) and (m,), or None
        ``bias_y`` is not read if ``y`` is None.
    bound : float or None
        Largest magnitude of ``scale * x_i . y_j``, if it is known and there are no biases.
    ranks : Communicator
        Ranks that share the tiles.
    """

    x: Tensor
    y: Tensor | None
    scale: float
    offset: float = 0.0
    bias_x: Tensor | None = None
    bias_y: Tensor | None = None
    bound: float | None = None
    ranks: Communicator = ALONE

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        return self.y is None

    @property
    def _columns(self) -> tuple[Tensor, Tensor | None]:
        """Embedding and bias of the columns, which are those of the rows if ``y`` is None."""
        return (self.x, self.bias_x) if self.y is None else (self.y, self.bias_y)

    @property
    def _given(self) -> tuple[Tensor, Tensor | None]:
        """Embeddings that receive the gradients."""
        return self.x, self.y

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(t for t in (*self._given, self.bias_x, self.bias_y) if t is not None)

    def _by_name(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
        """Return both embeddings and both biases from what has the order of ``tensors``, which leaves out None."""
        first, *rest = tensors
        second = None if self.y is None else rest.pop(0)
        bias_x = None if self.bias_x is None else rest.pop(0)
        return first, second, bias_x, None if self.bias_y is None else rest.pop(0)

    @property
    def shape(self) -> tuple[int, int]:
        return self.x.shape[0], (self.x if self.y is None else self.y).shape[0]  # len of a tensor takes a microsecond

    def rebuild(self, tensors: tuple[Tensor, ...]) -> EmbeddingLogKernel:
        x, y, bias_x, bias_y = self._by_name(tensors)
        return EmbeddingLogKernel(x, y, self.scale, self.offset, bias_x, bias_y, self.bound, self.ranks)

    def raw_tile(self, span: Span, out: Tensor) -> Tensor:
        start, stop, first = span
        x, y = self.x, self._columns[0]
        whole = stop - start == x.shape[0]  # one tile has all rows, and slices would only cost time
        if not whole:
            x, y = x[start:stop], y[first:]
        # (rows, d) times (d, cols), scaled within the product: with beta=0, the content of ``out`` is not read.
        torch.addmm(out, x, y.t(), beta=0.0, alpha=self.scale, out=out)
        if self.y is None:
            # Column j of the tile is column first + j of S, so the self pairs of rows start:stop are on this diagonal.
            (out if whole else out[:, start - first : stop - first]).fill_diagonal_(-torch.inf)
        return out

    def tile(self, span: Span, out: Tensor) -> Tensor:
        start, stop, first = span
        self.raw_tile(span, out).add_(self.offset)
        bias_y = self._columns[1]
        if self.bias_x is not None and bias_y is not None:
            out.add_(self.bias_x[start:stop, None]).add_(bias_y[first:])
        return out

    @property
    def _recorded(self) -> tuple[Tensor, Tensor]:
        """Embeddings of the rows and of the columns, for operations that autograd records."""
        return self.x, self._columns[0]

    def at(self, rows: Tensor, cols: Tensor) -> Tensor:
        (x, y), bias_y = self._recorded, self._columns[1]
        # index_select, because the gradient of plain indexing is several times slower
        scores = (x.index_select(0, rows) * y.index_select(0, cols)).sum(1) * self.scale + self.offset
        if self.bias_x is not None and bias_y is not None:
            scores = scores + self.bias_x.index_select(0, rows) + bias_y.index_select(0, cols)
        return scores.masked_fill(rows == cols, -torch.inf) if self.y is None else scores

    def shifted(self, shift: int) -> Tensor:
        n = self.x.shape[0]
        if self.y is None and shift % n == 0:  # the self pairs, which are masked
            return super().shifted(shift)
        (x, y), bias_y = self._recorded, self._columns[1]
        if self.y is None and 2 * shift == n:  # the second half of the pairs has the scores of the first
            half = (x[:shift] * x[shift:]).sum(1)
            products = torch.cat([half, half])
        else:
            products = (x * (y.roll(-shift, 0) if shift else y)).sum(1)
        scores = products * self.scale + self.offset
        if self.bias_x is not None and bias_y is not None:
            scores = scores + self.bias_x + (bias_y.roll(-shift) if shift else bias_y)
        return scores

    def dense(self) -> Tensor:
        (x, y), bias_y = self._recorded, self._columns[1]
        with full_precision(x):
            scores = (x * self.scale) @ y.T + self.offset
        if self.bias_x is not None and bias_y is not None:
            scores = scores + self.bias_x[:, None] + bias_y
        if self.y is None:
            scores = scores.masked_fill(torch.eye(len(y), dtype=torch.bool, device=y.device), -torch.inf)
        return scores

    def scaled(self, factor: float) -> EmbeddingLogKernel:
        x, y, bias_x, bias_y = (None if t is None else t.detach() for t in (self.x, self.y, self.bias_x, self.bias_y))
        assert x is not None
        bias_x, bias_y = (None if t is None else t * factor for t in (bias_x, bias_y))
        bound = None if self.bound is None else self.bound * factor
        return EmbeddingLogKernel(x, y, self.scale * factor, self.offset * factor, bias_x, bias_y, bound, self.ranks)

    @property
    def _new_like(self) -> Callable[[Tensor], Tensor]:
        """Allocate gradients: empty, if each row has a tile that writes to it, else zero for rows of other ranks."""
        return torch.empty_like if self.ranks is ALONE else torch.zeros_like

    def _pull(self, cotangents: Cotangents, *, half: bool) -> tuple[Tensor, ...]:
        if half:
            return self._pull_half(cotangents)
        if self.y is not None:
            return self._pull_pair(cotangents, self.y)
        # Rows and columns are one embedding, which gets the sum: (x, y, bias_x, bias_y) -> (x + y, bias_x + bias_y).
        both = self._pull_pair(cotangents, self.x)
        return tuple(as_row + as_col for as_row, as_col in zip(both[::2], both[1::2], strict=True))

    def _pull_half(self, cotangents: Cotangents) -> tuple[Tensor, ...]:
        # dL/dx_i = scale * sum_j (G + G^T)_ij x_j with G = dL/dS. G and G^T on their own would need two products.
        grad_x = self._new_like(self.x)
        grad_bias = None if self.bias_x is None else torch.zeros_like(self.bias_x)
        for (start, stop, first), tile in cotangents:
            if stop - start == self.x.shape[0]:  # the only tile, which has no mirror image
                torch.addmm(grad_x, tile, self.x, beta=0.0, alpha=self.scale, out=grad_x)
                return (grad_x,) if grad_bias is None else (grad_x, tile.sum(1))
            if start == 0:
                grad_x.zero_()
            beyond = tile[:, stop - first :]  # right of the diagonal block; its mirror image has no tile of its own
            grad_x[start:stop].addmm_(tile, self.x[first:], alpha=self.scale)
            grad_x[stop:].addmm_(beyond.t(), self.x[start:stop], alpha=self.scale)
            if grad_bias is not None:
                grad_bias[start:stop] += tile.sum(1)
                grad_bias[stop:] += beyond.sum(0)
        return (grad_x,) if grad_bias is None else (grad_x, grad_bias)

    def _pull_pair(self, cotangents: Cotangents, y: Tensor) -> tuple[Tensor, ...]:
        grad_x, grad_y = self._new_like(self.x), torch.zeros_like(y)
        to_biases = () if self.bias_x is None else (self.x.new_zeros(len(self.x)), y.new_zeros(len(y)))
        for (start, stop, _), tile in cotangents:
            torch.mm(tile, y, out=grad_x[start:stop])
            grad_y.addmm_(tile.t(), self.x[start:stop], alpha=self.scale)
            if to_biases:
                to_biases[0][start:stop] = tile.sum(1)
                to_biases[1].add_(tile.sum(0))
        return (grad_x.mul_(self.scale), grad_y, *to_biases)


@dataclass(frozen=True, eq=False)
class CosineLogKernel(EmbeddingLogKernel):
    """Scores of normalised embeddings, whose gradients go to the embeddings before they were normalised.

    Normalised by a node of its own in the graph, a small batch would take a fifth longer.

    Parameters
    ----------
    x, y, scale, offset, bias_x, bias_y, bound, ranks
        As in :class:`EmbeddingLogKernel`. ``x`` and ``y`` are ``z_x / norm_x`` and ``z_y / norm_y``, without a graph.
    z_x, norm_x : Tensor of shape (n, d) and (n, 1)
    z_y, norm_y : Tensor of shape (m, d) and (m, 1), or None
    """

    z_x: Tensor = field(kw_only=True)
    norm_x: Tensor = field(kw_only=True)
    z_y: Tensor | None = field(default=None, kw_only=True)
    norm_y: Tensor | None = field(default=None, kw_only=True)

    @property
    def _given(self) -> tuple[Tensor, Tensor | None]:
        return self.z_x, self.z_y

    def rebuild(self, tensors: tuple[Tensor, ...]) -> CosineLogKernel:
        z_x, z_y, bias_x, bias_y = self._by_name(tensors)
        return CosineLogKernel(
            self.x,
            self.y,
            self.scale,
            self.offset,
            bias_x,
            bias_y,
            self.bound,
            self.ranks,
            z_x=z_x,
            norm_x=self.norm_x,
            z_y=z_y,
            norm_y=self.norm_y,
        )

    @property
    def _recorded(self) -> tuple[Tensor, Tensor]:
        if not torch.is_grad_enabled():
            return super()._recorded
        x = _normalize(self.z_x)
        return x, x if self.z_y is None else _normalize(self.z_y)

    def _pull(self, cotangents: Cotangents, *, half: bool) -> tuple[Tensor, ...]:
        grad_x, *grads = super()._pull(cotangents, half=half)
        if self.y is not None and self.norm_y is not None:
            grads[0] = _before_normalizing(grads[0], self.y, self.norm_y)
        return (_before_normalizing(grad_x, self.x, self.norm_x), *grads)


def cosine_log_kernel(
    z_a: Tensor, z_b: Tensor | None, *, epsilon: float | Tensor, log_weight: Tensor | None = None
) -> EmbeddingLogKernel:
    """Return scores ``(cos - 1) / epsilon``. ``z_b=None`` compares ``z_a`` with itself, self pairs masked.

    ``log_weight`` of shape (n,) is added to the scores of each row and of each column; it requires n = m. A tensor
    ``epsilon`` receives a gradient.
    """
    z_x, z_y = _to_working_precision(z_a), None if z_b is None else _to_working_precision(z_b)
    if isinstance(epsilon, Tensor):
        x, y = _normalize(z_x), None if z_y is None else _normalize(z_y)
        # scale and offset are numbers without a gradient. So the embeddings are divided by sqrt(epsilon), and biases
        # carry the offset -1 / epsilon: half on rows, half on columns.
        half_offset = (-0.5 / epsilon.to(x)).expand(len(x))
        bias = half_offset if log_weight is None else half_offset + log_weight
        x, y = _divide_by_epsilon(x, y, epsilon)
        return EmbeddingLogKernel(x, y, 1.0, bias_x=bias, bias_y=None if y is None else bias)
    x, norm_x = _normalized(z_x.detach())
    y, norm_y = (None, None) if z_y is None else _normalized(z_y.detach())
    return CosineLogKernel(
        x,
        y,
        1.0 / epsilon,
        -1.0 / epsilon,
        bias_x=log_weight,
        bias_y=None if y is None else log_weight,
        bound=1.0 / epsilon if log_weight is None else None,  # |cos| <= 1
        z_x=z_x,
        norm_x=norm_x,
        z_y=z_y,
        norm_y=norm_y,
    )


def squared_euclidean_log_kernel(
    z_a: Tensor, z_b: Tensor | None, *, epsilon: float | Tensor, log_weight: Tensor | None = None
) -> EmbeddingLogKernel:
    """Return scores ``-|a_i - b_j|^2 / epsilon``; otherwise like :func:`cosine_log_kernel`."""
    x, y = _to_working_precision(z_a), None if z_b is None else _to_working_precision(z_b)
    if isinstance(epsilon, Tensor):
        (x, y), epsilon = _divide_by_epsilon(x, y, epsilon), 1.0
    # -|a - b|^2 = 2 a.b - |a|^2 - |b|^2: the squared norms are biases
    weight = 0.0 if log_weight is None else log_weight
    bias_x = (x * x).sum(1) / -epsilon + weight
    bias_y = None if y is None else (y * y).sum(1) / -epsilon + weight
    return EmbeddingLogKernel(x, y, 2.0 / epsilon, bias_x=bias_x, bias_y=bias_y)


def student_t_log_kernel(
    z_a: Tensor, z_b: Tensor | None, *, epsilon: float | Tensor, log_weight: Tensor | None = None
) -> DenseLogKernel:
    """Return scores ``-log(1 + |a_i - b_j|^2) / epsilon``; otherwise like :func:`cosine_log_kernel`.

    Such scores are not a product of embeddings, so they are formed as one matrix.
    """
    x, y = _to_working_precision(z_a), None if z_b is None else _to_working_precision(z_b)
    # Rounding can leave the squared distance of two equal rows below zero.
    scores = -torch.log1p((-squared_euclidean_log_kernel(x, x if y is None else y, epsilon=1.0).dense()).clamp_min(0.0))
    scores = scores / (epsilon.to(x) if isinstance(epsilon, Tensor) else epsilon)
    if log_weight is not None:
        scores = scores + log_weight[:, None] + log_weight
    if y is None:
        scores = scores.masked_fill(torch.eye(len(x), dtype=torch.bool, device=x.device), -torch.inf)
    return DenseLogKernel(scores)


LOG_KERNELS = {
    "cosine": cosine_log_kernel,
    "sqeuclidean": squared_euclidean_log_kernel,
    "student_t": student_t_log_kernel,
}


def _divide_by_epsilon(x: Tensor, y: Tensor | None, epsilon: Tensor) -> tuple[Tensor, Tensor | None]:
    """Divide both embeddings by ``sqrt(epsilon)``, and so their products by ``epsilon``, with its gradient."""
    root = epsilon.to(x).rsqrt()
    return x * root, None if y is None else y * root


class _Normalize(torch.autograd.Function):
    """:func:`torch.nn.functional.normalize` of rows (n, d), with a gradient in four operations instead of fifteen."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        x, norm = _normalized(z)
        ctx.save_for_backward(z, x, norm)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        z, x, norm = ctx.saved_tensors
        grad_z: Tensor
        if torch.is_grad_enabled():  # create_graph=True: operations that autograd can differentiate again
            with torch.enable_grad():
                normalized = F.normalize(z, dim=1)
                (grad_z,) = torch.autograd.grad(normalized, z, grad, create_graph=True)
            return grad_z
        return _before_normalizing(grad, x, norm)


def _normalized(z: Tensor) -> tuple[Tensor, Tensor]:
    """Return the normalised rows of an embedding (n, d), and their norms (n, 1)."""
    norm = torch.linalg.vector_norm(z, dim=1, keepdim=True).clamp_min(_SMALLEST_NORM)
    return z / norm, norm


def _before_normalizing(grad: Tensor, x: Tensor, norm: Tensor) -> Tensor:
    """Return the gradient of an embedding from that of its normalised rows x."""
    # What is parallel to x does not change the direction.
    along = (grad * x).sum(1, keepdim=True)  # (n, 1)
    return torch.addcmul(grad, x, along, value=-1.0).div_(norm)


def _normalize(z: Tensor) -> Tensor:
    out: Tensor = _Normalize.apply(z)
    return out


def _to_working_precision(z: Tensor) -> Tensor:
    """Return float64 unchanged and other types as float32.

    Half precision would lose the plan: exponents are differences of numbers as large as 1 / epsilon.
    """
    return z if z.dtype == torch.float64 else z.float()
