"""Entropic transport between rows, from scores or from embeddings: what users call.

Sinkhorn turns scores ``S = -cost / epsilon`` (n, m) and masses a (n,), b (m,) into potentials f, g. The plan is
``P = exp(f + S + g)``. The iterations have three forms, whose results differ by rounding only::

    form                               one half step                     runs
    ---------------------------------  --------------------------------  ------------------------------------------
    kernel domain, kernel kept         K v, with K = exp(S) in memory    first; the quickest
    kernel domain, tiles recomputed    K v, with K formed again, a few   first, if K needs more than ``memory_limit``
                                       rows at a time
    log domain                         logsumexp of every row of S + g   if scalings exp(f), exp(g) leave the range of
                                                                         the floating-point type: at small epsilon

The log domain keeps or recomputes its tiles by the same limit. Second derivatives have a plain form of their own
(:mod:`._plain`). In a training by several processes, all three forms divide a large kernel among the ranks, and sum
over ranks what its tiles give (:mod:`._sharded`). One call passes through these rooms::

    sinkhorn, sinkhorn_embeddings    check arguments, make a log kernel               _log_kernel
      solve                          log masses and powers, memory, annealing         _problem, _marginals, _memory,
                                                                                      _sharded
        Solver                       kernel domain, else log domain; the gradient     _autograd
          KernelSinkhorn             u, v on a TiledKernel, with early exits          _kernel_domain, _tiled_kernel
          LogSinkhorn                f, g on tiles of S, with early exits             _log_domain, _early_exit
      TransportPlan                  potentials, masses, and matrices when read       _plan
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ._autograd import GRADIENTS, Solver
from ._log_kernel import LOG_KERNELS, DenseLogKernel, LogKernel
from ._marginals import Marginals, MarginalsLike
from ._memory import keeps_kernel, shared_where_large
from ._plan import TransportPlan
from ._problem import Problem

__all__ = ["sinkhorn", "sinkhorn_embeddings"]

_SAME_TOTAL = 1e-5  # relative difference of two totals that rounding may cause in single precision
_STAGE_ITER = 10  # iterations of each annealing stage before the last


def sinkhorn(
    scores: Tensor,
    *,
    marginals: MarginalsLike,
    epsilon: float,
    n_iter: int = 10,
    tol: float | None = None,
    a: Tensor | None = None,
    b: Tensor | None = None,
    gradient: str = "unrolled",
    anneal_from: float | None = None,
) -> TransportPlan:
    """Compute the entropic transport plan of a matrix of scores by Sinkhorn iterations.

    Use it if you have a matrix of scores or costs. From embeddings, :func:`sinkhorn_embeddings` computes the same plan
    with less memory.

    From ``g = 0``, one iteration updates the row potential and then the column potential::

        f <- phi_row * (log a - logsumexp_j(scores + g)),    phi = rho / (rho + epsilon)
        g <- phi_col * (log b - logsumexp_i(scores + f))

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        ``-cost / epsilon``; ``-inf`` masks an entry. Each row and each column needs at least one entry that is not
        masked. Half precision is converted to float32.
    marginals : Marginals, "row", "balanced", float, or pair of float
        How strongly the marginals are enforced; see :class:`Marginals`.
    epsilon : float
        The epsilon by which ``scores`` was divided, in units of the cost. The powers of relaxed marginals depend on it.
    n_iter : int, default=10
        Maximum number of iterations. With one marginal free, the first iteration gives the solution and is the only
        one. On a CPU, iterations stop early if more of them would change nothing beyond rounding.
    tol : float, default=None
        Stop once the marginal error (see :attr:`TransportPlan.marginal_error`) is at most this. With None the error is
        not measured.
    a : Tensor of shape (n,), default=None
        Row mass, non-negative. None means uniform masses with total 1.
    b : Tensor of shape (m,), default=None
        Column mass, non-negative. None means uniform masses with total 1.
    gradient : {"unrolled", "envelope", "implicit"}, default="unrolled"
        - "unrolled" differentiates the iterations that ran. It is exact whether or not they converged.
        - "implicit" differentiates the solution, so it needs ``tol``. Its cost does not grow with ``n_iter``.
        - "envelope" treats the potentials as constants. This is exact for the Kullback-Leibler divergence with its mass
          term, from a target with the marginals of the plan, at the solution, for hard or free marginals. It needs
          ``tol``, and raises an error if the iterations do not reach it.
    anneal_from : float, default=None
        Larger epsilon to start from. Each stage runs up to 10 iterations and passes its potential to the next stage,
        which has half the epsilon, until ``epsilon`` is reached. Use it for a very small epsilon, at which iterations
        from zero make no progress. The stages before the last count as constant for the gradient.

    Returns
    -------
    TransportPlan
        Differentiable with respect to ``scores``, ``a`` and ``b``. "unrolled" has second derivatives, which keep
        several matrices for each iteration. "implicit" has none, and raises RuntimeError if one is computed.

    Raises
    ------
    ValueError
        If an argument is out of range, if shapes do not agree, if both marginals are hard and ``a`` and ``b`` have
        different totals, if ``scores`` holds NaN or +inf, or if all entries of a row or column are masked.
    RuntimeError
        If ``gradient="envelope"`` and the iterations did not reach ``tol``.

    Examples
    --------
    >>> import torch
    >>> from skgca.ot import sinkhorn
    >>> plan = sinkhorn(torch.zeros(2, 4), marginals="balanced", epsilon=1.0)
    >>> plan.plan
    tensor([[0.1250, 0.1250, 0.1250, 0.1250],
            [0.1250, 0.1250, 0.1250, 0.1250]])
    """
    marginals = Marginals.parse(marginals)
    check_settings(epsilon, n_iter, tol)
    check_gradient(gradient, marginals, tol)
    _check_scores(scores)
    if scores.dtype != torch.float64:
        scores = scores.float()
    a, b, equal_masses = _masses(a, b, scores, marginals)
    _check_reach(torch.isfinite(scores.detach()), marginals, a, b)
    plan: TransportPlan = solve(
        DenseLogKernel(scores),
        marginals=marginals,
        epsilon=epsilon,
        n_iter=n_iter,
        tol=tol,
        a=a,
        b=b,
        gradient=gradient,
        anneal_from=anneal_from,
        equal_masses=equal_masses,
    )
    return plan


def sinkhorn_embeddings(
    z_a: Tensor,
    z_b: Tensor | None = None,
    *,
    marginals: MarginalsLike,
    epsilon: float,
    cost: str = "cosine",
    n_iter: int = 10,
    tol: float | None = None,
    a: Tensor | None = None,
    b: Tensor | None = None,
    gradient: str = "unrolled",
    anneal_from: float | None = None,
    memory_limit: float | None = None,
    tiled: bool | None = None,
) -> TransportPlan:
    """Compute the transport plan between the rows of two embeddings, or within one; see :func:`sinkhorn`.

    Use it if the scores are those of a cost between rows. For scores of any other kind, use :func:`sinkhorn`.

    The matrix of scores is never formed. Its tiles are formed and turned into tiles of the kernel. The gradient goes
    back to the embeddings tile by tile, too. This is quicker than :func:`sinkhorn` on a matrix of scores, and takes at
    most a third of the memory.

    Parameters
    ----------
    z_a : Tensor of shape (n, d)
        Embedding of the rows of the plan. Half precision is converted to float32, also under autocast.
    z_b : Tensor of shape (m, d), default=None
        Embedding of the columns of the plan. None compares ``z_a`` with itself and masks self pairs: the joint layout
        of NT-Xent.
    marginals, epsilon
        As for :func:`sinkhorn`.
    cost : {"cosine", "sqeuclidean", "student_t"}, default="cosine"
        Ground cost between rows. "student_t" is ``log(1 + |x - y|^2)``. Its kernel at epsilon 1 is that of t-SNE. It is
        always computed as one matrix.
    n_iter, tol, a, b, gradient, anneal_from
        As for :func:`sinkhorn`.
    memory_limit : float, default=None
        Maximum number of bytes of a matrix n x m. A larger kernel is recomputed tile by tile at every use, in memory of
        order ``(n + m) (d + tile)``. None means a quarter of the free memory.
    tiled : bool, default=None
        Recompute tiles (True) or keep the whole kernel (False), regardless of the limit. None decides by the limit.

    Returns
    -------
    TransportPlan
        Differentiable with respect to ``z_a`` and ``z_b``.

    Raises
    ------
    ValueError
        If an argument is out of range, if shapes do not agree, if both marginals are hard and ``a`` and ``b`` have
        different totals, or if an embedding holds NaN or inf.
    RuntimeError
        If ``gradient="envelope"`` and the iterations did not reach ``tol``.

    Examples
    --------
    >>> import torch
    >>> from skgca.ot import sinkhorn_embeddings
    >>> plan = sinkhorn_embeddings(torch.eye(3), marginals="balanced", epsilon=0.5)
    >>> round(float(plan.mass), 6)
    1.0
    """
    marginals = Marginals.parse(marginals)
    check_settings(epsilon, n_iter, tol)
    check_gradient(gradient, marginals, tol)
    if cost not in LOG_KERNELS:
        raise ValueError(f"cost={cost!r} is not known; valid are {sorted(LOG_KERNELS)}.")
    _check_embeddings(z_a, z_b)
    source = LOG_KERNELS[cost](z_a, z_b, epsilon=epsilon)
    like = source.tensors[0].new_empty(()).expand(*source.shape)  # shape and type of the scores, no memory
    a, b, equal_masses = _masses(a, b, like, marginals)
    if z_b is None and int((b > 0).sum()) == 1 and marginals.rho_col > 0 < marginals.rho_row:
        raise ValueError("b gives mass to one row only, whose pair with itself is masked; give mass to 2 rows or more.")
    plan: TransportPlan = solve(
        source,
        marginals=marginals,
        epsilon=epsilon,
        n_iter=n_iter,
        tol=tol,
        a=a,
        b=b,
        gradient=gradient,
        anneal_from=anneal_from,
        memory_limit=memory_limit,
        tiled=tiled,
        equal_masses=equal_masses,
    )
    return plan


def solve(source: LogKernel, **settings: Any) -> TransportPlan:
    """Run :func:`sinkhorn` on arguments that are checked already; ``settings`` are those of ``_solve``.

    torch.compile skips it. Which iterations run depends on values, and the tiles already fit the cache.
    """
    if torch.compiler.is_compiling():
        # Not as a decorator: torch.compiler.disable imports the compiler, which takes a second.
        uncompiled: Callable[..., TransportPlan] = torch.compiler.disable(_solve)
        return uncompiled(source, **settings)
    return _solve(source, **settings)


def _solve(
    source: LogKernel,
    *,
    marginals: Marginals,
    epsilon: float | Tensor,
    n_iter: int,
    tol: float | None,
    a: Tensor,
    b: Tensor,
    gradient: str = "unrolled",
    anneal_from: float | None = None,
    memory_limit: float | None = None,
    tiled: bool | None = None,
    similarity: float = 0.0,
    equal_masses: bool = False,
    shift: int | None = None,
) -> TransportPlan:
    # The iterations take epsilon as a number. Its gradient flows through the scores and through ``powers``.
    number = float(epsilon.detach()) if isinstance(epsilon, Tensor) else epsilon
    _check_annealing(anneal_from, number)
    source = shared_where_large(source)
    # Scores that exist as a matrix are in memory already, so their kernel is kept too.
    keep = isinstance(source, DenseLogKernel) or keeps_kernel(source, memory_limit=memory_limit, tiled=tiled)
    phi_row, phi_col = marginals.powers(number)
    log_a = a.new_full(a.shape, -math.log(a.shape[0])) if equal_masses else a.log()
    log_b = log_a if b is a else b.new_full(b.shape, -math.log(b.shape[0])) if equal_masses else b.log()
    powers = _powers(marginals, epsilon)
    problem = Problem(log_a, log_b, phi_row, phi_col, n_iter, tol, powers=powers, equal_masses=equal_masses)
    if anneal_from is not None and not problem.one_sided:
        problem = replace(problem, g_start=_anneal(source, marginals, number, anneal_from, problem, keep))
    solver = Solver(source, problem, keep, gradient, shift)
    f, g = solver.potentials()
    plan = TransportPlan(solver, f, g, a, b, marginals, epsilon, solver.n_iter, tol, similarity)
    if gradient == "envelope" and not plan.converged:
        raise RuntimeError(
            f"gradient='envelope' is exact only at the solution, but after n_iter={n_iter} iterations the marginal "
            f"error is {plan.marginal_error:.1e}, above tol={tol}. Raise n_iter, tol or epsilon, "
            f"or use gradient='unrolled', which is exact for any number of iterations."
        )
    return plan


def _powers(marginals: Marginals, epsilon: float | Tensor) -> Tensor | None:
    """Return the powers of the half steps as a tensor, if they depend on an epsilon that is learned, else None."""
    if not isinstance(epsilon, Tensor) or not marginals.relaxed:
        return None
    return torch.stack([torch.as_tensor(phi).to(epsilon) for phi in marginals.powers(epsilon)])  # type: ignore[arg-type]


def _anneal(
    source: LogKernel, marginals: Marginals, epsilon: float, anneal_from: float, problem: Problem, keep: bool
) -> Tensor:
    """Return the column potential that the stages before the last end with, in units of ``epsilon``."""
    g, stage = torch.zeros_like(problem.log_b), anneal_from
    with torch.no_grad():
        while stage > epsilon:
            phi_row, phi_col = marginals.powers(stage)
            staged = replace(problem, phi_row=phi_row, phi_col=phi_col, n_iter=_STAGE_ITER, tol=None, g_start=g)
            _, g = Solver(source.scaled(epsilon / stage), staged, keep).potentials()
            following = max(stage / 2, epsilon)
            g = g * (stage / following)  # potentials are in units of epsilon; in units of the cost g stays the same
            stage = following
    return g


def check_settings(epsilon: float, n_iter: int, tol: float | None = None) -> None:
    """Raise ValueError unless the scalars are in range."""
    # Written as "not in range", so that NaN is an error too.
    if not (epsilon > 0 and math.isfinite(epsilon)):
        raise ValueError(f"epsilon={epsilon!r} must be a finite number above 0, such as 0.2.")
    if isinstance(n_iter, bool) or not isinstance(n_iter, int) or n_iter < 1:
        raise ValueError(f"n_iter={n_iter!r} must be a whole number of at least 1, such as 10.")
    if tol is not None and not tol > 0:
        raise ValueError(f"tol={tol!r} must be above 0, such as 1e-6, or None to run all iterations.")


def check_gradient(gradient: str, marginals: Marginals, tol: float | None) -> None:
    """Raise ValueError unless the gradient is exact for these marginals and tolerance."""
    if gradient not in GRADIENTS:
        raise ValueError(f"gradient={gradient!r} is not known; valid are {sorted(GRADIENTS)}.")
    strengths = (marginals.rho_row, marginals.rho_col)
    if gradient == "envelope" and marginals.relaxed:
        raise ValueError(
            f"gradient='envelope' is exact for hard and free marginals only, but rho={strengths} relaxes a marginal: "
            f"the loss is not stationary in its potential. Use gradient='implicit' or 'unrolled'."
        )
    # With a free marginal, one half step is the solution, so no tolerance is needed.
    if gradient != "unrolled" and tol is None and min(strengths) > 0:
        raise ValueError(f"gradient={gradient!r} is exact only at the solution; give a tol to reach, such as 1e-5.")


def _check_annealing(anneal_from: float | None, epsilon: float) -> None:
    if anneal_from is not None and not epsilon <= anneal_from < math.inf:
        raise ValueError(
            f"anneal_from={anneal_from!r} must be a finite number of at least epsilon={epsilon}, such as 1.0."
        )


def _check_embeddings(z_a: Tensor, z_b: Tensor | None) -> None:
    for name, z in (("z_a", z_a), ("z_b", z_b)):
        if z is None:
            continue
        if z.ndim != 2 or 0 in z.shape or not z.is_floating_point():
            raise ValueError(
                f"{name} must be a floating-point matrix (n, d) with at least one row and column; "
                f"got shape {tuple(z.shape)} of {z.dtype}."
            )
        if not bool(torch.isfinite(z).all()):
            raise ValueError(f"{name} holds NaN or inf; every entry must be finite.")
    if z_b is None and len(z_a) < 2:
        raise ValueError("z_a has 1 row, and its only pair, with itself, is masked; give at least 2 rows, or z_b.")
    if z_b is not None and z_a.shape[1] != z_b.shape[1]:
        raise ValueError(f"z_a has {z_a.shape[1]} columns and z_b {z_b.shape[1]}; give both the same number.")


def _check_scores(scores: Tensor) -> None:
    if scores.ndim != 2 or 0 in scores.shape or not scores.is_floating_point():
        raise ValueError(
            f"scores must be a floating-point matrix (n, m) with at least one row and column; "
            f"got shape {tuple(scores.shape)} of {scores.dtype}."
        )
    values = scores.detach()
    if bool(torch.isnan(values).any()) or bool(torch.isposinf(values).any()):
        raise ValueError("scores holds NaN or +inf; only finite values and -inf (a masked entry) are allowed.")
    for axis, name in ((1, "row"), (0, "column")):
        masked = torch.isneginf(values.amax(axis))
        if bool(masked.any()):
            raise ValueError(
                f"scores has every entry of {name} {int(masked.nonzero()[0])} masked (-inf); leave at least one finite."
            )


def _masses(a: Tensor | None, b: Tensor | None, scores: Tensor, marginals: Marginals) -> tuple[Tensor, Tensor, bool]:
    """Return both masses in the type of the scores, checked, and whether those of each side are known to be equal."""
    equal_masses, rounding = a is None and b is None, _rounding(a, b)
    a, b = _check_mass(a, scores, axis=0), _check_mass(b, scores, axis=1)
    _check_totals(marginals, a, b, rounding)
    return a, b, equal_masses


def _check_mass(mass: Tensor | None, scores: Tensor, axis: int) -> Tensor:
    """Return the mass of the rows (axis 0) or columns (axis 1) in the type of the scores, uniform for None."""
    name, size = "ab"[axis], scores.shape[axis]
    if mass is None:
        return scores.new_full((size,), 1.0 / size)
    if mass.shape != (size,):
        raise ValueError(f"{name} has shape {tuple(mass.shape)}; scores of shape {tuple(scores.shape)} need ({size},).")
    mass = mass.to(scores)
    if not bool(((mass >= 0) & torch.isfinite(mass)).all()):
        raise ValueError(f"{name} must hold finite masses of at least 0; its smallest is {float(mass.min())}.")
    if not bool(mass.sum() > 0):
        raise ValueError(f"{name} sums to zero; give at least one row some mass.")
    return mass


def _rounding(*masses: Tensor | None) -> float:
    """Return by how much totals of masses may differ through rounding, which is coarse in half precision."""
    epsilons = [torch.finfo(mass.dtype).eps for mass in masses if mass is not None and mass.is_floating_point()]
    return max([_SAME_TOTAL, *epsilons])


def _check_totals(marginals: Marginals, a: Tensor, b: Tensor, rounding: float) -> None:
    """Raise ValueError if both marginals are hard and their totals differ: no plan has both."""
    if not math.isinf(marginals.rho_row) or not math.isinf(marginals.rho_col):
        return
    row, col = float(a.detach().double().sum()), float(b.detach().double().sum())
    if abs(row - col) > rounding * max(row, col):
        raise ValueError(
            f"a has a total mass of {row:.6g} and b of {col:.6g}, and no plan has both marginals (None is a total of "
            f"1). Scale one of them, such as b * (a.sum() / b.sum()), or relax the marginals, such as marginals=1.0."
        )


def _check_reach(allowed: Tensor, marginals: Marginals, a: Tensor, b: Tensor) -> None:
    """Raise ValueError if all entries of a row or column with mass are masked or have mass 0 on the other side."""
    # A free marginal has no prescribed mass, and without zero masses the check of the scores is enough.
    if not marginals.rho_row > 0 < marginals.rho_col or bool((a > 0).all() & (b > 0).all()):
        return
    # allowed[:, b > 0]: (n, columns with mass); allowed[a > 0].t(): (m, rows with mass)
    for name, mass, others, partners in (("a", a, "b", allowed[:, b > 0]), ("b", b, "a", allowed[a > 0].t())):
        stuck = (mass > 0) & ~partners.any(1)
        if bool(stuck.any()):
            raise ValueError(
                f"{name}[{int(stuck.nonzero()[0])}] is above 0, but every entry that is not masked has mass 0 in "
                f"{others}; unmask another entry, or set this mass to 0 as well."
            )
