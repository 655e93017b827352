"""How much of its mass a row cannot place among rows that were trained on."""

from __future__ import annotations

import math

import numpy as np
import torch

from ..ot import cosine_cost, sinkhorn

__all__ = ["lost_mass"]

_CHUNK = 1024  # rows that are compared with the reference at a time
_SAME = 1e-9  # cosine cost below which two rows are one: directions that differ by rounding, and no more
_N_ITER, _TOL = 1000, 1e-9


def lost_mass(rows: np.ndarray, reference: np.ndarray, *, epsilon: float, rho: float) -> np.ndarray:
    """Return the share of its mass that each row loses on its way to the reference.

    The reference is transported to itself, a row never to itself, with both marginals relaxed. The column potentials
    that solve this are held. A row then makes the row step of Sinkhorn against them, by itself, as each row of the
    reference does at the solution; so it does not matter which rows come with it. One row of the reference that is
    the same is left out, as the reference leaves out the row itself.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Embedded.
    reference : ndarray of shape (m, d)
        Embedded training rows, at least 2.
    epsilon : float
        Entropic regularisation, in units of the cosine cost.
    rho : float
        Strength of the marginals, likewise; finite, above 0.

    Returns
    -------
    ndarray of shape (n,)
        At most 1; 0 for a row that sends all of its mass, below 0 for one that is asked for more.
    """
    others = torch.as_tensor(reference, dtype=torch.float64)
    log_mass = -math.log(len(others))
    # a kernel that holds the masses of both ends, of which a row that all are at the place of loses nothing
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
        # the row step leaves a mass of a ** phi * reached ** (1 - phi), of which this is the share of a
        log_share = (log_reached - log_mass) * (epsilon / (epsilon + rho))
        lost[start : start + len(part)] = -torch.expm1(log_share).numpy()
    return lost
