"""The link between the solvers and autograd: potentials and masses as differentiable functions.

If autograd recorded every operation, it would keep a matrix (n, m) for every half step. Here it sees one node for the
potentials, whatever ran inside, and keeps vectors (and the kernel, if there is memory for it). The log of the plan at
the positive pairs comes from the same node::

    forward     kernel domain, else log domain  -->  f, g, log P at the pairs
    backward    gradient="unrolled"   the reverse pass of the domain that ran, through its iterations
                gradient="implicit"   implicit differentiation of the solution (:mod:`._implicit_gradient`)
                gradient="envelope"   no node: f and g count as constants
                create_graph=True     the iterations again, in operations that autograd records (:mod:`._plain`)

"unrolled" is exact for the iterations that ran, converged or not. Its cost grows with their number. "implicit" is exact
at the solution only, at the cost of one linear system. "envelope" costs nothing. It is exact at the solution only, for
losses that are stationary in the potentials there.

The masses of the plan are a second kind of node.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .._utils.torch_state import full_precision
from ._implicit_gradient import implicit_gradient
from ._kernel_domain import KernelSinkhorn, KernelTrace
from ._log_domain import LogSinkhorn, LogTrace
from ._log_kernel import LogKernel, Pairs
from ._plain import plain_sinkhorn
from ._problem import Problem
from ._tiled_kernel import TiledKernel, TiledPlan

__all__ = ["GRADIENTS", "Solver"]

GRADIENTS = ("unrolled", "envelope", "implicit")

# Scores up to this size need no shift: exp(score), times exp of a potential of the same size, is far from overflow.
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
    shift : int or None
        If the loss reads the plan at the entries ``(i, (i + shift) % n)``, such as the positive pairs: they share the
        node of the potentials, since nodes of their own would take as long as the iterations of a small batch.

    Attributes
    ----------
    paired : Tensor of shape (n,) or None
        Log of the plan at these entries, if the potentials have a node.
    n_iter : int
        Number of iterations that ran.
    error : float or None
        Marginal error, if the iterations measured it.
    kernel_sinkhorn : KernelSinkhorn or None
        The kernel domain, with its kernel. None before the run, and if the run had to go to the log domain.
    """

    source: LogKernel
    problem: Problem
    keep: bool
    gradient: str = "unrolled"
    shift: int | None = None
    paired: Tensor | None = None
    n_iter: int = 0
    error: float | None = None
    kernel_sinkhorn: KernelSinkhorn | None = None

    def potentials(self) -> tuple[Tensor, Tensor]:
        """Solve for f and g, with the gradient that ``gradient`` names."""
        p = self.problem
        if p.phi_row == p.phi_col == 0.0:  # both marginals free: the kernel is the plan
            self.error = 0.0
            return torch.zeros_like(p.log_a), torch.zeros_like(p.log_b)
        if self.gradient == "envelope":
            with torch.no_grad():
                f, g, _ = _Potentials.apply(self, p.powers, p.log_a, p.log_b, *self.source.tensors)
        else:
            f, g, self.paired = _Potentials.apply(self, p.powers, p.log_a, p.log_b, *self.source.tensors)
        return f, g

    def log_plan_shifted(self, f: Tensor, g: Tensor, shift: int) -> Tensor:
        """Return the log of the plan of two potentials at the entries ``(i, (i + shift) % n)``; differentiable."""
        if self.paired is not None and shift == self.shift:
            return self.paired
        return _shifted_plan(self.source, f, g, shift)

    def mass(self, f: Tensor, g: Tensor, *, axis: int) -> Tensor:
        """Return the row mass (axis 0) or column mass (axis 1) of the plan of two potentials."""
        out: Tensor = _Mass.apply(self, axis, f, g, *self.source.tensors)
        return out

    def run(self, source: LogKernel, problem: Problem) -> tuple[Tensor, Tensor, KernelTrace | LogTrace]:
        """Solve in the kernel domain. If scalings leave the range there, solve in the log domain."""
        bound = _SAFE_BOUND[problem.log_a.dtype]
        self.kernel_sinkhorn = KernelSinkhorn(
            TiledKernel.from_log_kernel(source, keep=self.keep, safe_bound=bound), problem
        )
        solved: tuple[Tensor, Tensor, KernelTrace | LogTrace] | None = self.kernel_sinkhorn.run()
        if solved is None:
            self.kernel_sinkhorn = None  # frees the kernel before the log domain keeps tiles of its own
            solved = LogSinkhorn(source, problem, keep=self.keep).run()
        self.n_iter, self.error = solved[2].n_iter, solved[2].error
        return solved

    def tiled_plan(self, source: LogKernel, f: Tensor, g: Tensor) -> TiledPlan:
        """Return the plan of two potentials, as tiles that multiply vectors."""
        return _tiled_plan(self.kernel_sinkhorn, source, f, g, keep=self.keep)


def _shifted_plan(source: LogKernel, f: Tensor, g: Tensor, shift: int) -> Tensor:
    return source.shifted(shift) + f + (g.roll(-shift) if shift else g)


def _tiled_plan(domain: KernelSinkhorn | None, source: LogKernel, f: Tensor, g: Tensor, *, keep: bool) -> TiledPlan:
    if domain is not None:
        return TiledPlan(domain.kernel, domain.u_of(f) * domain.plan_factor, domain.v_of(g))
    # Scalings would overflow. With the potentials as shifts, exp(S + f + g) is the plan, and all scalings are 1.
    kernel = TiledKernel(source, keep, False, -f, -g)
    return TiledPlan(kernel, torch.ones_like(f), torch.ones_like(g))


class _Potentials(torch.autograd.Function):
    """``(powers, log_a, log_b, *tensors) -> (f, g, paired)``, where ``paired`` may be None."""

    @staticmethod
    def forward(
        ctx: Any, solver: Solver, powers: Tensor | None, log_a: Tensor, log_b: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        # ctx keeps this source. Over the inputs themselves, it would keep their graph alive.
        source = solver.source.rebuild(tuple(t.detach() for t in tensors))
        problem = solver.problem
        if ctx.needs_input_grad[2] or ctx.needs_input_grad[3]:
            problem = replace(problem, log_a=log_a.detach(), log_b=log_b.detach())
        with full_precision(log_a):
            f, g, trace = solver.run(source, problem)
            paired = None if solver.shift is None else _shifted_plan(source, f, g, solver.shift)
        ctx.set_materialize_grads(False)  # a loss may read some of the outputs only
        ctx.shift = solver.shift
        ctx.source, ctx.problem, ctx.trace = source, problem, trace
        ctx.gradient, ctx.keep, ctx.n_iter = solver.gradient, solver.keep, solver.n_iter
        ctx.kernel_sinkhorn, cache = _without_cache(solver.kernel_sinkhorn)
        # Saved here, the kernel is freed after the backward pass, even if the caller keeps the loss.
        ctx.save_for_backward(powers, log_a, log_b, f, g, *tensors, *cache)
        return f, g, paired

    @staticmethod
    def backward(
        ctx: Any, grad_f: Tensor | None, grad_g: Tensor | None, grad_paired: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        powers, log_a, log_b, f, g, *rest = ctx.saved_tensors
        pairs = None
        if grad_paired is not None:
            pairs = Pairs(ctx.shift, grad_paired)
            grad_f = grad_paired if grad_f is None else grad_f + grad_paired
            to_cols = grad_paired.roll(ctx.shift) if ctx.shift else grad_paired
            grad_g = to_cols if grad_g is None else grad_g + to_cols
        grad_f = torch.zeros_like(f) if grad_f is None else grad_f
        grad_g = torch.zeros_like(g) if grad_g is None else grad_g
        tensors, cache = rest[: len(ctx.source.tensors)], rest[len(ctx.source.tensors) :]
        if not ctx.problem.equal_masses:
            # A row without mass has the potential -inf, a constant, so no gradient passes through it.
            grad_f = grad_f.masked_fill(torch.isneginf(log_a), 0.0)
            grad_g = grad_g.masked_fill(torch.isneginf(log_b), 0.0)
        with full_precision(log_a):
            if torch.is_grad_enabled():  # create_graph=True
                return (None, *_recorded_gradient(ctx, (powers, log_a, log_b, *tensors), grad_f, grad_g, pairs))
            domain = None if ctx.kernel_sinkhorn is None else ctx.kernel_sinkhorn.with_cache(cache)
            to_powers = None if powers is None else torch.zeros_like(powers)
            if ctx.gradient == "implicit" and not ctx.problem.one_sided:
                plan = _tiled_plan(domain, ctx.source, f.detach(), g.detach(), keep=ctx.keep)
                grad_a, grad_b, *grads = implicit_gradient(plan, ctx.problem, grad_f, grad_g, pairs)
                # For f = phi (log a - log sum), df/dphi is f / phi and df/dlog a is phi. So dL/dphi is dL/dlog a times
                # f / phi^2; add_to_power divides by the second phi.
                ctx.problem.add_to_power(to_powers, 0, grad_a / ctx.problem.phi_row, f)
                ctx.problem.add_to_power(to_powers, 1, grad_b / ctx.problem.phi_col, g)
            elif domain is None:
                in_log = LogSinkhorn(ctx.source, ctx.problem, keep=ctx.keep)
                grad_a, grad_b, *grads = in_log.reverse(ctx.trace, grad_f, grad_g, to_powers, pairs)
            else:
                to_masses = ctx.needs_input_grad[2] or ctx.needs_input_grad[3]
                left, right, grad_a, grad_b = domain.reverse(ctx.trace, grad_f, grad_g, to_powers, to_masses=to_masses)
                grads = list(domain.kernel.pull(left, right, pairs))
            return (None, to_powers, grad_a, grad_b, *grads)


class _Mass(torch.autograd.Function):
    """``(f, g, *tensors) -> row or column sums of exp(f + S + g)``."""

    @staticmethod
    def forward(ctx: Any, solver: Solver, axis: int, f: Tensor, g: Tensor, *tensors: Tensor) -> Tensor:
        source = solver.source.rebuild(tuple(t.detach() for t in tensors))
        with full_precision(f):
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
        with full_precision(f):
            if torch.is_grad_enabled():
                return (None, None, *_recorded_mass_gradient(ctx, (f, g, *tensors), grad))
            domain = None if ctx.kernel_sinkhorn is None else ctx.kernel_sinkhorn.with_cache(cache)
            plan = _tiled_plan(domain, ctx.source, f, g, keep=ctx.keep)
            # For r_i = sum_j P_ij: dr/df is diag(r), dr/dg is P, and dL/dS_ij is P_ij grad_i. Columns likewise.
            if ctx.axis == 0:
                return (None, None, grad * mass, plan.cols(grad), *plan.pull(grad, torch.zeros_like(g)))
            return (None, None, plan.rows(grad), grad * mass, *plan.pull(torch.zeros_like(f), grad))


def _recorded_gradient(
    ctx: Any, inputs: tuple[Any, ...], grad_f: Tensor, grad_g: Tensor, pairs: Pairs | None
) -> tuple[Tensor | None, ...]:
    """Return the gradient of the potentials by plain operations, which autograd can differentiate again."""
    if ctx.gradient == "implicit":
        raise RuntimeError(
            "gradient='implicit' has no second derivative; use gradient='unrolled' with create_graph=True."
        )
    powers, log_a, log_b, *tensors = inputs
    with torch.enable_grad():
        problem = replace(ctx.problem, log_a=log_a, log_b=log_b)
        if powers is not None:
            problem = replace(problem, phi_row=powers[0], phi_col=powers[1])
        source = ctx.source.rebuild(tuple(tensors))
        potentials = plain_sinkhorn(source.dense(), problem, ctx.n_iter)
        # The potential of a free marginal is a constant, which autograd.grad refuses as an output.
        outputs = [(p, grad) for p, grad in zip(potentials, (grad_f, grad_g), strict=True) if p.requires_grad]
        if pairs is not None:
            outputs.append((source.shifted(pairs.shift), pairs.grad))
        return _differentiate([p for p, _ in outputs], inputs, [grad for _, grad in outputs])


def _recorded_mass_gradient(ctx: Any, inputs: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor | None, ...]:
    """Return the gradient of a mass by plain operations, which autograd can differentiate again."""
    f, g, *tensors = inputs
    with torch.enable_grad():
        log_plan = f[:, None] + ctx.source.rebuild(tuple(tensors)).dense() + g
        return _differentiate([log_plan.exp().sum(1 - ctx.axis)], inputs, [grad])


def _differentiate(
    outputs: list[Tensor], inputs: tuple[Tensor | None, ...], grads: list[Tensor]
) -> tuple[Tensor | None, ...]:
    """Return a gradient for each input, None for inputs that need none."""
    differentiable = [t for t in inputs if t is not None and t.requires_grad]
    gradients = iter(torch.autograd.grad(outputs, differentiable, grads, create_graph=True, allow_unused=True))
    return tuple(next(gradients) if t is not None and t.requires_grad else None for t in inputs)


def _without_cache(domain: KernelSinkhorn | None) -> tuple[KernelSinkhorn | None, list[Tensor]]:
    """Return a copy without tiles, and the tiles."""
    return (None, []) if domain is None else (domain.with_cache([]), domain.kernel.cache)
