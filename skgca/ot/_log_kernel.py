"""The log kernel ``S = -cost / epsilon``, a matrix (n, m) of scores that need not exist as a whole.

There are two sources of scores::

    DenseLogKernel        a matrix that is given
    EmbeddingLogKernel    two embeddings; any tile of the matrix is made when it is asked for

The solvers ask for tiles of S on the way forward. On the way back they hand over tiles of dL/dS, and the log kernel
turns those into gradients of what it was made from.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "LOG_KERNELS",
    "DenseLogKernel",
    "EmbeddingLogKernel",
    "LogKernel",
    "Span",
    "cosine_log_kernel",
    "squared_euclidean_log_kernel",
    "student_t_log_kernel",
]

Span = tuple[int, int, int]  # rows start:stop of the scores, columns first:
Cotangents = Iterator[tuple[Span, Tensor]]


class LogKernel(ABC):
    """The matrix S = -cost / epsilon of shape (n, m), with -inf where no mass may go.

    A tile has the rows ``start:stop`` and the columns ``first:``. If the matrix is symmetric, its upper triangle is
    enough: these are the tiles whose ``first`` is their ``start``.
    """

    symmetric = False
    #: Largest magnitude of what :meth:`raw_tile` returns, where it is known without looking; else None.
    bound: float | None = None
    #: What is added to :meth:`raw_tile` to make scores, where ``bound`` is known.
    offset = 0.0

    @property
    @abstractmethod
    def tensors(self) -> tuple[Tensor, ...]:
        """What the scores are computed from, and gradients flow to."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the scores."""

    @abstractmethod
    def rebuild(self, tensors: tuple[Tensor, ...]) -> LogKernel:
        """Return the same source over other tensors."""

    @abstractmethod
    def tile(self, span: Span, out: Tensor) -> Tensor:
        """Write the scores of a span to ``out``, which has its shape."""

    def raw_tile(self, span: Span, out: Tensor) -> Tensor:
        """Write scores less ``offset`` to ``out``, in fewer passes; masks are -inf here too."""
        raise NotImplementedError

    @abstractmethod
    def at(self, rows: Tensor, cols: Tensor) -> Tensor:
        """Scores at the entries ``(rows[k], cols[k])``; differentiable."""

    @abstractmethod
    def dense(self) -> Tensor:
        """Make the scores as one matrix; differentiable."""

    @abstractmethod
    def scaled(self, factor: float) -> LogKernel:
        """Return the scores times a factor; not differentiable."""

    @abstractmethod
    def pullback(self, cotangents: Cotangents, *, half: bool) -> tuple[Tensor, ...]:
        """Gradients of ``tensors`` from tiles of dL/dS, or, where ``half``, from panels of dL/dS + its transpose."""


@dataclass(frozen=True, eq=False)
class DenseLogKernel(LogKernel):
    """Scores that are given, of shape (n, m)."""

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

    def pullback(self, cotangents: Cotangents, *, half: bool) -> tuple[Tensor, ...]:
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
        None stands for ``x`` itself with self pairs masked: the joint layout, whose scores are symmetric.
    scale, offset : float
    bias_x, bias_y : Tensor of shape (n,) and (m,), or None
        ``bias_y`` is not read where ``y`` is None.
    bound : float or None
        Largest magnitude of ``scale * x_i . y_j``, where it is known and there are no biases.
    """

    x: Tensor
    y: Tensor | None
    scale: float
    offset: float = 0.0
    bias_x: Tensor | None = None
    bias_y: Tensor | None = None
    bound: float | None = None

    @property
    def symmetric(self) -> bool:  # type: ignore[override]
        return self.y is None

    @property
    def _columns(self) -> tuple[Tensor, Tensor | None]:
        """Embedding of the columns and its bias: those of the rows where ``y`` is None."""
        return (self.x, self.bias_x) if self.y is None else (self.y, self.bias_y)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(t for t in (self.x, self.y, self.bias_x, self.bias_y) if t is not None)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.x), len(self._columns[0])

    def rebuild(self, tensors: tuple[Tensor, ...]) -> EmbeddingLogKernel:
        left = iter(tensors)
        x, y, bias_x, bias_y = (
            None if old is None else next(left) for old in (self.x, self.y, self.bias_x, self.bias_y)
        )
        assert x is not None
        return EmbeddingLogKernel(x, y, self.scale, self.offset, bias_x, bias_y, self.bound)

    def raw_tile(self, span: Span, out: Tensor) -> Tensor:
        start, stop, first = span
        torch.mm(self.x[start:stop] * self.scale, self._columns[0][first:].t(), out=out)
        if self.y is None:
            out[:, start - first : stop - first].fill_diagonal_(-torch.inf)
        return out

    def tile(self, span: Span, out: Tensor) -> Tensor:
        start, stop, first = span
        self.raw_tile(span, out).add_(self.offset)
        bias_y = self._columns[1]
        if self.bias_x is not None and bias_y is not None:
            out.add_(self.bias_x[start:stop, None]).add_(bias_y[first:])
        return out

    def at(self, rows: Tensor, cols: Tensor) -> Tensor:
        y, bias_y = self._columns
        # index_select, since the gradient of plain indexing is several times slower
        scores = (self.x.index_select(0, rows) * y.index_select(0, cols)).sum(1) * self.scale + self.offset
        if self.bias_x is not None and bias_y is not None:
            scores = scores + self.bias_x.index_select(0, rows) + bias_y.index_select(0, cols)
        return scores.masked_fill(rows == cols, -torch.inf) if self.y is None else scores

    def dense(self) -> Tensor:
        y, bias_y = self._columns
        scores = (self.x * self.scale) @ y.T + self.offset
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
        return EmbeddingLogKernel(x, y, self.scale * factor, self.offset * factor, bias_x, bias_y, bound)

    def pullback(self, cotangents: Cotangents, *, half: bool) -> tuple[Tensor, ...]:
        if half:
            return self._pull_half(cotangents)
        if self.y is not None:
            return self._pull_pair(cotangents, self.y)
        both = self._pull_pair(cotangents, self.x)
        return tuple(as_row + as_col for as_row, as_col in zip(both[::2], both[1::2], strict=True))

    def _pull_half(self, cotangents: Cotangents) -> tuple[Tensor, ...]:
        # dL/dx_i = scale * sum_j (G + G^T)_ij x_j: one product where two would be needed for G and G^T by themselves
        grad_x = torch.zeros_like(self.x)
        grad_bias = None if self.bias_x is None else torch.zeros_like(self.bias_x)
        for (start, stop, first), tile in cotangents:
            beyond = tile[:, stop - first :]  # right of the diagonal block: it stands for its mirror image too
            grad_x[start:stop].addmm_(tile, self.x[first:], alpha=self.scale)
            grad_x[stop:].addmm_(beyond.t(), self.x[start:stop], alpha=self.scale)
            if grad_bias is not None:
                grad_bias[start:stop] += tile.sum(1)
                grad_bias[stop:] += beyond.sum(0)
        return (grad_x,) if grad_bias is None else (grad_x, grad_bias)

    def _pull_pair(self, cotangents: Cotangents, y: Tensor) -> tuple[Tensor, ...]:
        grad_x, grad_y = torch.empty_like(self.x), torch.zeros_like(y)
        biased = self.bias_x is not None
        sums_x, sums_y = self.x.new_empty(len(self.x)), y.new_zeros(len(y))
        for (start, stop, _), tile in cotangents:
            torch.mm(tile, y, out=grad_x[start:stop])
            grad_y.addmm_(tile.t(), self.x[start:stop], alpha=self.scale)
            if biased:
                sums_x[start:stop] = tile.sum(1)
                sums_y += tile.sum(0)
        grad_x.mul_(self.scale)
        return (grad_x, grad_y, sums_x, sums_y) if biased else (grad_x, grad_y)


def cosine_log_kernel(
    z_a: Tensor, z_b: Tensor | None, *, epsilon: float | Tensor, log_weight: Tensor | None = None
) -> EmbeddingLogKernel:
    """Scores ``(cos - 1) / epsilon``; ``z_b`` None is ``z_a`` against itself, self pairs masked.

    ``log_weight`` of shape (n,) is added to the rows, and to the columns as well, of which there are as many then. A
    gradient flows to ``epsilon`` if it is a tensor.
    """
    x = F.normalize(_working(z_a), dim=1)
    y = None if z_b is None else F.normalize(_working(z_b), dim=1)
    if isinstance(epsilon, Tensor):
        half = (-0.5 / epsilon.to(x)).expand(len(x))  # of the offset; rows and columns each carry one
        bias = half if log_weight is None else half + log_weight
        x, y = _divided(x, y, epsilon)
        return EmbeddingLogKernel(x, y, 1.0, bias_x=bias, bias_y=None if y is None else bias)
    bound = 1.0 / epsilon if log_weight is None else None
    return EmbeddingLogKernel(x, y, 1.0 / epsilon, -1.0 / epsilon, log_weight, None if y is None else log_weight, bound)


def squared_euclidean_log_kernel(
    z_a: Tensor, z_b: Tensor | None, *, epsilon: float | Tensor, log_weight: Tensor | None = None
) -> EmbeddingLogKernel:
    """Scores ``-|a_i - b_j|^2 / epsilon``; the rest is as for :func:`cosine_log_kernel`."""
    x, y = _working(z_a), None if z_b is None else _working(z_b)
    if isinstance(epsilon, Tensor):
        (x, y), epsilon = _divided(x, y, epsilon), 1.0
    weight = 0.0 if log_weight is None else log_weight
    bias_x = (x * x).sum(1) / -epsilon + weight
    bias_y = None if y is None else (y * y).sum(1) / -epsilon + weight
    return EmbeddingLogKernel(x, y, 2.0 / epsilon, bias_x=bias_x, bias_y=bias_y)


def student_t_log_kernel(
    z_a: Tensor, z_b: Tensor | None, *, epsilon: float | Tensor, log_weight: Tensor | None = None
) -> DenseLogKernel:
    """Scores ``-log(1 + |a_i - b_j|^2) / epsilon``; the rest is as for :func:`cosine_log_kernel`.

    They are no product of embeddings, so they are made as one matrix.
    """
    x, y = _working(z_a), None if z_b is None else _working(z_b)
    # rounding may leave the distance of two equal rows below zero
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


def _divided(x: Tensor, y: Tensor | None, epsilon: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return embeddings whose products are divided by epsilon, through which its gradient flows."""
    root = epsilon.to(x).rsqrt()
    return x * root, None if y is None else y * root


def _working(z: Tensor) -> Tensor:
    """Half precision would lose the plan: exponents are differences of numbers of the size of 1 / epsilon."""
    return z if z.dtype == torch.float64 else z.float()
