"""Sinkhorn iterations in the log domain, for hard, relaxed and free marginals alike."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ._marginals import Marginals, MarginalsLike
from ._plan import TransportPlan

__all__ = ["sinkhorn"]


def sinkhorn(
    scores: Tensor,
    *,
    marginals: MarginalsLike,
    epsilon: float,
    n_iter: int = 10,
    tol: float | None = None,
    a: Tensor | None = None,
    b: Tensor | None = None,
) -> TransportPlan:
    """Push a Gibbs kernel onto its marginals.

    Starting from ``g = 0``, one iteration updates the row potential and then the column potential::

        f <- phi_row * (log a - logsumexp_j(scores + g)),    phi = rho / (rho + epsilon)
        g <- phi_col * (log b - logsumexp_i(scores + f))

    Parameters
    ----------
    scores : Tensor of shape (n, m)
        ``-cost / epsilon``; ``-inf`` forbids an entry. At least one entry of each row and column must be allowed.
    marginals : Marginals, "row", "balanced", float, or pair of float
        What binds, and how hard; see :class:`Marginals`.
    epsilon : float
        The epsilon that ``scores`` was divided by, in units of the cost; a relaxed marginal needs it.
    n_iter : int, default=10
        Most iterations to run. With one marginal free, the first already is the solution and the only one run.
    tol : float, default=None
        Stop once the marginal error (see :attr:`TransportPlan.marginal_error`) is at most this. None runs all
        iterations without looking.
    a : Tensor of shape (n,), default=None
        Row mass, non-negative. None is uniform with total 1.
    b : Tensor of shape (m,), default=None
        Column mass, likewise.

    Returns
    -------
    TransportPlan
        Differentiable with respect to ``scores``, through the iterations.

    Raises
    ------
    ValueError
        If an argument is out of range, a shape does not agree, ``scores`` holds NaN or +inf, or a row or column has
        every entry masked.

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
    _check_scores(scores)
    a = _check_mass(a, scores, axis=0)
    b = _check_mass(b, scores, axis=1)
    return solve(scores, marginals=marginals, epsilon=epsilon, n_iter=n_iter, tol=tol, a=a, b=b)


def solve(
    scores: Tensor, *, marginals: Marginals, epsilon: float, n_iter: int, tol: float | None, a: Tensor, b: Tensor
) -> TransportPlan:
    """Run :func:`sinkhorn` on arguments already known to be good; never looks at a value unless ``tol`` is set."""
    phi_row, phi_col = marginals.powers(epsilon)
    log_a, log_b = a.log(), b.log()
    f, g = torch.zeros_like(a), torch.zeros_like(b)

    def result(done: int) -> TransportPlan:
        return TransportPlan(scores, f, g, a, b, marginals, epsilon, done, tol)

    if phi_row == 0.0 and phi_col == 0.0:
        return result(0)
    for done in range(1, n_iter + 1):
        if phi_row:
            f = phi_row * (log_a - torch.logsumexp(scores + g[None, :], dim=1))
        if phi_col:
            g = phi_col * (log_b - torch.logsumexp(scores + f[:, None], dim=0))
        if not (phi_row and phi_col):  # a free potential stays 0, so the other is already solved for
            break
        if tol is not None and result(done).converged:
            break
    return result(done)


def check_settings(epsilon: float, n_iter: int, tol: float | None = None) -> None:
    """Raise ValueError unless the scalars are in range."""
    if not (epsilon > 0 and math.isfinite(epsilon)):
        raise ValueError(f"epsilon={epsilon!r} must be a finite number above 0, such as 0.2.")
    if isinstance(n_iter, bool) or not isinstance(n_iter, int) or n_iter < 1:
        raise ValueError(f"n_iter={n_iter!r} must be a whole number of at least 1, such as 10.")
    if tol is not None and not tol > 0:
        raise ValueError(f"tol={tol!r} must be above 0, such as 1e-6, or None to run every iteration.")


def _check_scores(scores: Tensor) -> None:
    if scores.ndim != 2 or 0 in scores.shape or not scores.is_floating_point():
        raise ValueError(
            f"scores must be a floating-point matrix (n, m) with at least one row and column; "
            f"got shape {tuple(scores.shape)} of {scores.dtype}."
        )
    top = scores.detach()
    if bool(torch.isnan(top).any()) or bool(torch.isposinf(top).any()):
        raise ValueError("scores holds NaN or +inf; only finite values and -inf (a masked entry) are allowed.")
    for axis, name in ((1, "row"), (0, "column")):
        masked = torch.isneginf(top.amax(axis))
        if bool(masked.any()):
            raise ValueError(
                f"scores has every entry of {name} {int(masked.nonzero()[0])} masked (-inf); leave at least one finite."
            )


def _check_mass(mass: Tensor | None, scores: Tensor, axis: int) -> Tensor:
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
