"""Float64 oracles of the losses, one function per equation; they import nothing of ours."""

import numpy as np
from scipy.special import logsumexp

from .sinkhorn import log_sinkhorn


def cosine_scores(x, y, epsilon):
    """Scores -C / epsilon for C = 1 - cos, from float64 rows."""
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    y = y / np.linalg.norm(y, axis=1, keepdims=True)
    return (x @ y.T - 1) / epsilon


def problem(z_a, z_b, epsilon, layout):
    """Scores of a layout, and the column that holds each row's other view."""
    n = len(z_a)
    if layout == "cross":
        return cosine_scores(z_a, z_b, epsilon), np.arange(n)
    z = np.concatenate([z_a, z_b])
    scores = cosine_scores(z, z, epsilon)
    np.fill_diagonal(scores, -np.inf)
    return scores, (np.arange(2 * n) + n) % (2 * n)


def mean_cross_entropy(scores, partner):
    """InfoNCE: mean over rows of -log softmax at the partner."""
    rows = np.arange(len(scores))
    return float(np.mean(logsumexp(scores, axis=1) - scores[rows, partner]))


def kl_to_pairs(log_plan, partner, mass):
    """sum T log(T/P) - sum T + sum P, with T holding each row's mass at its partner."""
    rows = np.arange(len(log_plan))
    used = mass > 0
    cross = mass[used] * (np.log(mass[used]) - log_plan[rows, partner][used])
    return float(cross.sum() - mass.sum() + np.exp(log_plan).sum())


def alignment_kl(z_a, z_b, *, epsilon, rho, layout, n_iter, weight=None):
    """KL of the Sinkhorn plan of a batch from its pairs; rho = (rho_row, rho_col).

    Weights multiply mass and kernel: K_ij w_i w_j with w of mean 1.
    """
    scores, partner = problem(z_a, z_b, epsilon, layout)
    weight = np.ones(len(z_a)) if weight is None else weight
    mass = np.concatenate([weight, weight]) if layout == "joint" else weight
    mass = mass / mass.sum()
    scores = scores + np.log(len(mass) * mass)[:, None] + np.log(len(mass) * mass)[None, :]
    f, g = log_sinkhorn(scores, mass, mass, epsilon=epsilon, rho_row=rho[0], rho_col=rho[1], n_iter=n_iter)
    return kl_to_pairs(f[:, None] + scores + g[None, :], partner, mass)
