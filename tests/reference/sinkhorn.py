"""Float64 oracle of Sinkhorn; it imports nothing of ours."""

import numpy as np
from scipy.special import logsumexp


def log_sinkhorn(scores, a, b, *, epsilon, rho_row, rho_col, n_iter):
    """Potentials after n_iter iterations: f then g, from g = 0, each damped by rho / (rho + epsilon)."""
    phi_row, phi_col = (1.0 if np.isinf(rho) else rho / (rho + epsilon) for rho in (rho_row, rho_col))
    f, g = np.zeros(len(a)), np.zeros(len(b))
    with np.errstate(divide="ignore"):
        log_a, log_b = np.log(a), np.log(b)
    for _ in range(n_iter):
        if phi_row:
            f = phi_row * (log_a - logsumexp(scores + g[None, :], axis=1))
        if phi_col:
            g = phi_col * (log_b - logsumexp(scores + f[:, None], axis=0))
    return f, g
