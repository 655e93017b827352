"""Float64 oracles of the losses, one function per equation of PAPER.md; they import nothing of ours.

All take batches of problems in leading axes, and complex numbers, which :func:`value_and_gradients` needs.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import xlogy

from .sinkhorn import power

ENTRIES = (-2, -1)


def value_and_gradients(function, *arrays, step=1e-30):
    """Value of a scalar function of arrays, and its gradient by each, by steps along the imaginary axis.

    f(x + i h) = f(x) + i h f'(x): nothing is subtracted, so nothing cancels, and no step is too small. The steps of
    all entries are one batch.
    """
    steps = 1j * step * np.eye(sum(x.size for x in arrays))
    ends = np.cumsum([x.size for x in arrays])[:-1]
    stepped = [x + part.reshape(-1, *x.shape) for x, part in zip(arrays, np.split(steps, ends, axis=1), strict=True)]
    values = function(*stepped)
    gradients = np.split(values.imag / step, ends)
    return values.real[0], *(gradient.reshape(x.shape) for gradient, x in zip(gradients, arrays, strict=True))


def log_sum_exp(x, axis):
    """log sum exp of real or complex numbers, without the cases that make SciPy's several times slower."""
    top = x.real.max(axis, keepdims=True)
    return np.log(np.exp(x - top).sum(axis)) + top.squeeze(axis)


# Costs: (n, d), (m, d) -> (n, m)


def unit(x):
    return x / np.sqrt((x * x).sum(-1, keepdims=True))


def cosine_cost(x, y):
    return 1 - unit(x) @ np.swapaxes(unit(y), -1, -2)


def squared_euclidean_cost(x, y):
    return ((x[..., :, None, :] - y[..., None, :, :]) ** 2).sum(-1)


def student_t_cost(x, y):
    return np.log1p(squared_euclidean_cost(x, y))


COSTS = {"cosine": cosine_cost, "sqeuclidean": squared_euclidean_cost, "student_t": student_t_cost}


# Affinities of rows: what a target plan is made from, (n, n)


def label_affinity(labels):
    same = np.equal.outer(labels, labels) & (labels != -1)
    return np.maximum(same, np.eye(len(labels)))


def domain_affinity(domains, alpha, beta):
    """I + alpha [same domain, i != j] + beta [other domain, i != j]; nothing for domain -1."""
    known = np.logical_and.outer(domains != -1, domains != -1)
    prior = np.where(np.equal.outer(domains, domains), alpha, beta) * known
    return np.where(np.eye(len(domains)), 1.0, prior)


def continuous_affinity(values, sigma):
    """exp(-|y_i - y_j| / sigma) for values (n, k); nothing for NaN."""
    apart = np.sqrt(((values[:, None] - values) ** 2).sum(-1))
    known = ~np.isnan(apart)
    return np.where(np.eye(len(values)), 1.0, np.where(known, np.exp(-np.where(known, apart, 0.0) / sigma), 0.0))


# Layout, kernel, plan, target


def both_views(matrix):
    """Matrix (n, n) of rows as one of their views (2n, 2n)."""
    return np.tile(matrix, (2, 2))


def scaled_to_marginals(affinity, mass, *, two_sided, steps=2000):
    """Diagonal scalings of an affinity that give its rows their mass, and its columns theirs if they are held."""
    for _ in range(steps if two_sided else 1):
        if two_sided:
            affinity = affinity * (mass / affinity.sum(0))
        affinity = affinity * (mass / affinity.sum(1))[:, None]
        if np.abs(affinity.sum(0) / mass - 1).max() < 1e-15:
            break
    return affinity


def potentials(scores, mass, *, epsilon, rho, n_iter):
    """Potentials f and g after n_iter iterations from g = 0, and the g that the last row step saw."""
    phi_row, phi_col = power(rho[0], epsilon), power(rho[1], epsilon)
    f = g = np.zeros(len(mass))
    for _ in range(n_iter):
        g_before = g
        if phi_row:
            f = phi_row * (np.log(mass) - log_sum_exp(scores + g[..., None, :], -1))
        if phi_col:
            g = phi_col * (np.log(mass) - log_sum_exp(scores + f[..., :, None], -2))
    return f, g, g_before


class Solved(NamedTuple):
    """A problem and its solution; n is 2n in the joint layout."""

    cost: np.ndarray  # (n, m), inf between views that have no entry
    weight: np.ndarray  # (n,), of mean 1
    epsilon: float
    unit: float  # similarity at cost 0
    f: np.ndarray
    g: np.ndarray
    g_before: np.ndarray  # the column potential that the last row step saw
    target: np.ndarray  # (n, m)

    @property
    def mass(self):
        return self.weight / len(self.weight)

    @property
    def scores(self):
        """Of the weighted kernel: w_i exp(-C_ij / epsilon) w_j."""
        log_weight = np.log(self.weight)
        return log_scores(self.cost, self.epsilon) + log_weight[:, None] + log_weight

    @property
    def log_plan(self):
        return self.f[..., :, None] + self.scores + self.g[..., None, :]


def log_scores(cost, epsilon):
    open_entries = ~np.isinf(cost.real)  # inf / complex would be NaN
    return np.where(open_entries, -np.where(open_entries, cost, 0.0) / epsilon, -np.inf)


def solve(z_a, z_b, *, epsilon, rho, layout, n_iter, affinity=None, weight=None, related=None, cost="cosine") -> Solved:
    """Plan and target plan of a batch; rho = (rho_row, rho_col), affinity None is the identity.

    Weights of rows multiply their mass, and their rows and columns of the kernel.
    """
    n = z_a.shape[-2]
    weight = np.ones(n) if weight is None else weight
    affinity = np.eye(n) if affinity is None else affinity
    closed = np.zeros((n, n), dtype=bool) if related is None else related & ~np.eye(n, dtype=bool)
    x, y = np.broadcast_arrays(z_a, z_b)
    if layout == "joint":
        x = y = np.concatenate([x, y], axis=-2)
        weight, affinity, closed = np.concatenate([weight, weight]), both_views(affinity), both_views(closed)
        closed = closed | np.eye(2 * n, dtype=bool)
    weight = weight / weight.mean()
    mass = weight / len(weight)
    target = scaled_to_marginals(np.where(closed, 0.0, affinity * np.outer(mass, mass)), mass, two_sided=rho[1] > 0)
    problem = Solved(
        np.where(closed, np.inf, COSTS[cost](x, y)), weight, epsilon, float(cost == "cosine"), None, None, None, target
    )
    f, g, g_before = potentials(problem.scores, mass, epsilon=epsilon, rho=rho, n_iter=n_iter)
    return problem._replace(f=f, g=g, g_before=g_before)


# Divergences


def cross(target, logs):
    """sum T log P, where entries without mass count for nothing."""
    return (target * np.where(target > 0, logs, 0.0)).sum(ENTRIES)


def kl(s):
    """sum T log(T/P) - sum T + sum P."""
    t = s.target
    return xlogy(t, t).sum() - cross(t, s.log_plan) - t.sum() + np.exp(s.log_plan).sum(ENTRIES)


def kl_rows(s):
    """The same after the rows of P are normalised to their mass."""
    t, log_plan = s.target, s.log_plan
    normalised = log_plan - log_sum_exp(log_plan, -1)[..., :, None] + np.log(s.mass)[:, None]
    return xlogy(t, t).sum() - cross(t, normalised)


def rince(s, q=0.6, lam=0.01):
    """sum_ij T_ij (-pos_ij^q / q) + sum_i a_i (lam (pos + sum neg)_i)^q / q on the kernel with its columns scaled.

    With u the row scaling, pos = P_ij / u_i and pos + sum neg = 1 / u_i for rows of mass 1: what the last row step
    divided by. The weights of rows are in the sum over all, and are not in pos.
    """
    kernel = log_scores(s.cost, s.epsilon) + s.unit / s.epsilon  # log of exp(similarity / epsilon)
    pos = np.exp(q * np.where(s.target > 0, kernel + s.g[..., None, :], 0.0))
    every = np.exp(q * (np.log(lam) + log_sum_exp(kernel + np.log(s.weight) + s.g_before[..., None, :], -1)))
    return (-(s.target * pos).sum(ENTRIES) + (s.mass * every).sum(-1)) / q


def transport_cost(s):
    """sum T C / epsilon."""
    return -cross(s.target, log_scores(s.cost, s.epsilon))


def mass_kl(mass, prescribed):
    return (mass * np.log(mass / prescribed) - mass + prescribed).sum(-1)


def marginal_penalty(s):
    """KL(P 1 || a) + KL(P^T 1 || b)."""
    plan = np.exp(s.log_plan)
    return mass_kl(plan.sum(-1), s.mass) + mass_kl(plan.sum(-2), s.mass)


def entropy_penalty(s):
    """sum P (log P - 1)."""
    log_plan = s.log_plan
    return (np.exp(log_plan) * (np.where(np.isneginf(log_plan.real), 0.0, log_plan) - 1)).sum(ENTRIES)


def uniformity_penalty(s):
    """KL(U || P) over entries without target mass, U in proportion to a b^T, P normalised there."""
    wrong = np.isfinite(s.cost.real) & (s.target == 0)
    wrong = wrong[(0,) * (wrong.ndim - 2)]  # alike in a batch
    even = np.where(wrong, np.outer(s.mass, s.mass), 0.0)
    even = even / even.sum()
    log_wrong = np.where(wrong, s.log_plan, -np.inf)
    return xlogy(even, even).sum() - cross(even, log_wrong - log_sum_exp(log_wrong, ENTRIES)[..., None, None])


def weighted_sum(*terms):
    """Sum of weight times divergence."""
    return lambda s: sum(weight * divergence(s) for weight, divergence in terms)


def alignment(z_a, z_b, *, divergence=kl, **settings):
    """Divergence of the plan of a batch from its target plan."""
    return divergence(solve(z_a, z_b, **settings))


def mean_cross_entropy(z_a, z_b, epsilon, layout):
    """InfoNCE: mean over rows of -log softmax at the partner."""
    x, y = (np.concatenate([z_a, z_b]),) * 2 if layout == "joint" else (z_a, z_b)
    scores = log_scores(cosine_cost(x, y), epsilon)
    if layout == "joint":
        np.fill_diagonal(scores, -np.inf)
    rows = np.arange(len(x))
    partner = (rows + len(z_a)) % len(x)
    return float(np.mean(log_sum_exp(scores, 1) - scores[rows, partner]))
