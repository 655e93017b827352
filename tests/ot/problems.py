"""Problems that the tests of the engine share."""

import math

import numpy as np
import torch

from ..numerics import DOUBLE

INF = math.inf
MARGINALS = {
    "row": (INF, 0.0),
    "column": (0.0, INF),
    "balanced": (INF, INF),
    "relaxed": (1.0, 0.3),
    "half": (INF, 0.5),
    "relaxed row": (0.4, 0.0),
    "free": (0.0, 0.0),
}


def embeddings(n, d=8, kind="random", seed=0, dtype=torch.float64):
    """Unit-norm rows: random, clustered, duplicated (each row twice) or antipodal (each row and its opposite)."""
    rng = np.random.default_rng(seed)
    half = rng.standard_normal((n // 2, d))
    if kind == "random":
        z = np.concatenate([half, half + 0.5 * rng.standard_normal(half.shape)])
    elif kind == "clustered":
        centres = 3 * rng.standard_normal((4, d))[rng.integers(4, size=n // 2)]
        z = np.concatenate([centres + half, centres + half + 0.5 * rng.standard_normal(half.shape)])
    else:
        z = np.concatenate([half, {"duplicated": half, "antipodal": -half}[kind]])
    return torch.as_tensor(z / np.linalg.norm(z, axis=1, keepdims=True), dtype=dtype)


def masses(n, seed=0, dtype=torch.float64):
    """Uneven masses of total 1."""
    mass = np.random.default_rng(seed).uniform(0.5, 1.5, n)
    return torch.as_tensor(mass / mass.sum(), dtype=dtype)


def weights(n, m, seed=0):
    """Coefficients that make a scalar of everything a plan offers."""
    rng = np.random.default_rng(seed)
    return [torch.as_tensor(rng.standard_normal(k)) for k in (n, m, n, m)]


def scalar(plan, coefficients):
    """One loss that reads all that a divergence may read, entries included."""
    to_f, to_g, to_rows, to_cols = (c.to(plan.f) for c in coefficients)
    n, m = len(plan.f), len(plan.g)
    rows = torch.arange(n)
    entries = plan.log_plan_at(rows, (rows + 1) % m)
    return (
        (to_f * plan.f).sum()
        + (to_g * plan.g).sum()
        + (to_rows * plan.row_mass).sum()
        + (to_cols * plan.col_mass).sum()
        + plan.mass
        + entries.mean()
    )


def rounding(epsilon, precision=DOUBLE):
    """Tolerance of a plan and its gradient, whose scores are of size 1 / epsilon.

    Scores of that size are rounded by 1 / epsilon roundings of 1, and their exponentials by as much of their own size.
    DOUBLE and SINGLE have room for that down to epsilon 0.3.
    """
    return precision * max(1.0, 0.3 / epsilon)
