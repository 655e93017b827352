"""The outlier score: the unmatched mass of a row among training rows."""

from __future__ import annotations

import math

import numpy as np
import torch

from ..ot import cosine_cost, sinkhorn

__all__ = ["lost_mass"]

_CHUNK = 1024  # rows that are compared with the reference at a time
_SAME = 1e-9  # two rows of a smaller cosine cost are one: their directions differ by rounding only
_N_ITER, _TOL = 1000, 1e-9


def lost_mass(rows: np.ndarray, reference: np.ndarray, *, epsilon: float, rho: float) -> np.ndarray:
    """Return the share of its mass that each row cannot match with the reference.

    The reference is transported to itself with both marginals relaxed, and no row to itself. The column potentials of
    this plan are kept. Each row then makes the row step of Sinkhorn against them, as each row of the reference does at
    the solution. So the score of a row does not depend on the rows beside it. If the reference holds the row itself,
    that one is left out, as in the plan of the reference.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Embedded.
    reference : ndarray of shape (m, d)
        Embedded training rows, at least 2.
    epsilon : float
        Entropic regularisation, in units of the cosine cost.
    rho : float
        Strength of the marginals, in units of the cosine cost; finite, above 0.

    Returns
    -------
    ndarray of shape (n,)
        At most 1. It is 0 if all mass of the row is matched, and below 0 if columns draw more mass from it.
    """
    others = torch.as_tensor(reference, dtype=torch.float64)
    log_mass = -math.log(len(others))
    # The log kernel contains the masses of both ends. So a row at the place of all others loses nothing.
    scores = 2 * log_mass - cosine_cost(others, others) / epsilon
    scores.fill_diagonal_(-math.inf)
    plan = sinkhorn(scores, marginals=rho, epsilon=epsilon, n_iter=_N_ITER, tol=_TOL)
    lost = np.empty(len(rows))
    for start in range(0, len(rows), _CHUNK):
        part = torch.as_tensor(rows[start : start + _CHUNK], dtype=torch.float64)
        cost = cosine_cost(part, others)
        nearest = cost.argmin(dim=1, keepdim=True)
        is_same = cost.gather(1, nearest) < _SAME
        scores = 2 * log_mass - cost / epsilon
        scores.scatter_(1, nearest, torch.where(is_same, -math.inf, scores.gather(1, nearest)))
        log_reached = torch.logsumexp(scores + plan.g, dim=1)
        # With phi = rho / (epsilon + rho), the row step leaves a row of mass a with a ** phi * reached ** (1 - phi).
        # This is the logarithm of that mass as a share of a.
        log_share = (log_reached - log_mass) * (epsilon / (epsilon + rho))
        lost[start : start + len(part)] = -torch.expm1(log_share).numpy()
    return lost
