"""What ties the solvers to autograd: potentials and masses as functions that can be differentiated.

Autograd sees one node for the potentials, whatever ran inside it, so it keeps vectors instead of matrices::

    forward     kernel domain, else log domain                 -->  f, g
    backward    gradient="unrolled"   reverse pass of the domain that ran, through its iterations
                gradient="implicit"   implicit differentiation of the solution
                gradient="envelope"   none: f and g count as constants
                create_graph=True     the iterations again by plain operations, which autograd records

The masses of the plan are a second kind of node.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ._implicit_gradient import implicit_gradient
from ._kernel_domain import KernelSinkhorn, KernelTrace
from ._log_domain import LogSinkhorn, LogTrace
from ._log_kernel import LogKernel
from ._plain import plain_sinkhorn
from ._problem import Problem
from ._tiled_kernel import TiledKernel, TiledPlan

__all__ = ["GRADIENTS", "Solver"]

GRADIENTS = ("unrolled", "envelope", "implicit")

# Scores up to this size need no shift: their exp, times that of a potential of the same size, is far from overflow.
_SAFE_BOUND = {torch.float32: 30.0, torch.float64: 300.0}


@dataclass(eq=False)
class Solver:
    """One transport problem, from scores to differentiable potentials and masses.

    Parameters
    ----------
    source : LogKernel
    problem : Problem
    keep : bool
        Whether the kernel stays in memory; otherwise its tiles are formed again for every use.
    gradient : {"unrolled", "envelope", "implicit"}
    """

    source: LogKernel
    problem: Problem
    keep: bool
    gradient: str = "unrolled"
    n_iter: int = 0
    error: float | None = None
    kernel_sinkhorn: KernelSinkhorn | None = None

    def potentials(self) -> tuple[Tensor, Tensor]:
        """Solve for f and g, with the gradient that was asked for."""
        p = self.problem
        if p.phi_row == p.phi_col == 0.0:
            self.error = 0.0
            return torch.zeros_like(p.log_a), torch.zeros_like(p.log_b)
        if self.gradient == "envelope":
            with torch.no_grad():
                f, g = _Potentials.apply(self, p.powers, p.log_a, p.log_b, *self.source.tensors)
        else:
            f, g = _Potentials.apply(self, p.powers, p.log_a, p.log_b, *self.source.tensors)
        return f, g

    def mass(self, f: Tensor, g: Tensor, *, axis: int) -> Tensor:
        """Row mass (axis 0) or column mass (axis 1) of the plan that two potentials make."""
        out: Tensor = _Mass.apply(self, axis, f, g, *self.source.tensors)
        return out

    def run(self, source: LogKernel, problem: Problem) -> tuple[Tensor, Tensor, KernelTrace | LogTrace]:
        """Solve in the kernel domain; if that cannot hold the potentials, solve in the log domain."""
        bound = _SAFE_BOUND[problem.log_a.dtype]
        self.kernel_sinkhorn = KernelSinkhorn(TiledKernel.of(source, keep=self.keep, safe_bound=bound), problem)
        solved: tuple[Tensor, Tensor, KernelTrace | LogTrace] | None = self.kernel_sinkhorn.run()
        if solved is None:
            self.kernel_sinkhorn = None  # frees its kernel as well
            solved = LogSinkhorn(source, problem, keep=self.keep).run()
        self.n_iter, self.error = solved[2].n_iter, solved[2].error
        return solved

    def tiled_plan(self, source: LogKernel, f: Tensor, g: Tensor) -> TiledPlan:
        """Return the plan of two potentials, as tiles that multiply vectors."""
        return _tiled_plan(self.kernel_sinkhorn, source, f, g, keep=self.keep)


def _tiled_plan(in_kernel: KernelSinkhorn | None, source: LogKernel, f: Tensor, g: Tensor, *, keep: bool) -> TiledPlan:
    if in_kernel is not None:
        return TiledPlan(in_kernel.kernel, in_kernel.u_of(f) * in_kernel.unit, in_kernel.v_of(g))
    # Where scalings would not fit, the potentials themselves are the shifts, and the kernel is the plan.
    kernel = TiledKernel(source, keep, False, -f, -g)
    return TiledPlan(kernel, torch.ones_like(f), torch.ones_like(g))


class _Potentials(torch.autograd.Function):
    """``(powers, log_a, log_b, *tensors) -> (f, g)``."""

    @staticmethod
    def forward(
        ctx: Any, solver: Solver, powers: Tensor | None, log_a: Tensor, log_b: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        source = solver.source.rebuild(tuple(t.detach() for t in tensors))
        problem = replace(solver.problem, log_a=log_a.detach(), log_b=log_b.detach())
        with _full_precision(log_a):
            f, g, trace = solver.run(source, problem)
        ctx.source, ctx.problem, ctx.trace = source, problem, trace
        ctx.gradient, ctx.keep, ctx.n_iter = solver.gradient, solver.keep, solver.n_iter
        ctx.kernel_sinkhorn, cache = _without_cache(solver.kernel_sinkhorn)
        # The kernel goes where autograd frees it after the backward pass, also if someone keeps the loss.
        ctx.save_for_backward(powers, log_a, log_b, f, g, *tensors, *cache)
        return f, g

    @staticmethod
    def backward(ctx: Any, grad_f: Tensor, grad_g: Tensor) -> tuple[Tensor | None, ...]:
        powers, log_a, log_b, f, g, *rest = ctx.saved_tensors
        tensors, cache = rest[: len(ctx.source.tensors)], rest[len(ctx.source.tensors) :]
        # A row without mass has the potential -inf, which nothing moves.
        grad_f = grad_f.masked_fill(torch.isneginf(log_a), 0.0)
        grad_g = grad_g.masked_fill(torch.isneginf(log_b), 0.0)
        with _full_precision(log_a):
            if torch.is_grad_enabled():  # create_graph=True
                return (None, *_again(ctx, (powers, log_a, log_b, *tensors), grad_f, grad_g))
            in_kernel = None if ctx.kernel_sinkhorn is None else ctx.kernel_sinkhorn.with_cache(cache)
            to_powers = None if powers is None else torch.zeros_like(powers)
            if ctx.gradient == "implicit" and not ctx.problem.one_sided:
                plan = _tiled_plan(in_kernel, ctx.source, f.detach(), g.detach(), keep=ctx.keep)
                grad_a, grad_b, *grads = implicit_gradient(plan, ctx.problem, grad_f, grad_g)
                # The half step phi * (log a - log sum) changes by f / phi^2 as much with phi as with log a.
                ctx.problem.add_to_power(to_powers, 0, grad_a / ctx.problem.phi_row, f)
                ctx.problem.add_to_power(to_powers, 1, grad_b / ctx.problem.phi_col, g)
            elif in_kernel is None:
                in_log = LogSinkhorn(ctx.source, ctx.problem, keep=ctx.keep)
                grad_a, grad_b, *grads = in_log.reverse(ctx.trace, grad_f, grad_g, to_powers)
            else:
                left, right, grad_a, grad_b = in_kernel.reverse(ctx.trace, grad_f, grad_g, to_powers)
                grads = list(in_kernel.kernel.pull(left, right))
            return (None, to_powers, grad_a, grad_b, *grads)


class _Mass(torch.autograd.Function):
    """``(f, g, *tensors) -> row or column sums of exp(f + S + g)``."""

    @staticmethod
    def forward(ctx: Any, solver: Solver, axis: int, f: Tensor, g: Tensor, *tensors: Tensor) -> Tensor:
        source = solver.source.rebuild(tuple(t.detach() for t in tensors))
        with _full_precision(f):
            plan = solver.tiled_plan(source, f.detach(), g.detach())
            mass = plan.rows(torch.ones_like(g)) if axis == 0 else plan.cols(torch.ones_like(f))
        ctx.source, ctx.axis, ctx.keep = source, axis, solver.keep
        ctx.kernel_sinkhorn, cache = _without_cache(solver.kernel_sinkhorn)
        ctx.save_for_backward(f, g, mass, *tensors, *cache)
        return mass

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        f, g, mass, *rest = ctx.saved_tensors
        tensors, cache = rest[: len(ctx.source.tensors)], rest[len(ctx.source.tensors) :]
        with _full_precision(f):
            if torch.is_grad_enabled():
                return (None, None, *_mass_again(ctx, (f, g, *tensors), grad))
            in_kernel = None if ctx.kernel_sinkhorn is None else ctx.kernel_sinkhorn.with_cache(cache)
            plan = _tiled_plan(in_kernel, ctx.source, f, g, keep=ctx.keep)
            if ctx.axis == 0:
                return (None, None, grad * mass, plan.cols(grad), *plan.pull(grad, torch.zeros_like(g)))
            return (None, None, plan.rows(grad), grad * mass, *plan.pull(torch.zeros_like(f), grad))


def _again(ctx: Any, inputs: tuple[Any, ...], grad_f: Tensor, grad_g: Tensor) -> tuple[Tensor | None, ...]:
    """Compute the gradient by plain operations, which can be differentiated again."""
    if ctx.gradient == "implicit":
        raise RuntimeError(
            "gradient='implicit' has no second derivative; use gradient='unrolled' where create_graph=True."
        )
    powers, log_a, log_b, *tensors = inputs
    with torch.enable_grad():
        problem = replace(ctx.problem, log_a=log_a, log_b=log_b)
        if powers is not None:
            problem = replace(problem, phi_row=powers[0], phi_col=powers[1])
        potentials = plain_sinkhorn(ctx.source.rebuild(tuple(tensors)).dense(), problem, ctx.n_iter)
        moving = [(p, grad) for p, grad in zip(potentials, (grad_f, grad_g), strict=True) if p.requires_grad]
        return _differentiate([p for p, _ in moving], inputs, [grad for _, grad in moving])


def _mass_again(ctx: Any, inputs: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor | None, ...]:
    f, g, *tensors = inputs
    with torch.enable_grad():
        log_plan = f[:, None] + ctx.source.rebuild(tuple(tensors)).dense() + g
        return _differentiate([log_plan.exp().sum(1 - ctx.axis)], inputs, [grad])


def _differentiate(
    outputs: list[Tensor], inputs: tuple[Tensor | None, ...], grads: list[Tensor]
) -> tuple[Tensor | None, ...]:
    asked = [t for t in inputs if t is not None and t.requires_grad]
    found = iter(torch.autograd.grad(outputs, asked, grads, create_graph=True, allow_unused=True))
    return tuple(next(found) if t is not None and t.requires_grad else None for t in inputs)


def _without_cache(in_kernel: KernelSinkhorn | None) -> tuple[KernelSinkhorn | None, list[Tensor]]:
    return (None, []) if in_kernel is None else (in_kernel.with_cache([]), in_kernel.kernel.cache)


def _full_precision(like: Tensor) -> AbstractContextManager[Any]:
    """Products in the type of the tensors, also where autocast would take a shorter one."""
    kind = like.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()
