"""Entropic transport in float64 NumPy, one function per equation of PAPER.md; imports nothing of ours."""

import numpy as np
from scipy.special import logsumexp


def cosine_scores(x, y, epsilon):
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    y = y / np.linalg.norm(y, axis=1, keepdims=True)
    return (x @ y.T - 1.0) / epsilon


def mask_self(scores):
    return np.where(np.eye(len(scores), dtype=bool), -np.inf, scores)


def power(rho, epsilon):
    return 1.0 if np.isinf(rho) else rho / (rho + epsilon)


def log_sinkhorn(scores, a, b, *, epsilon, rho_row, rho_col, n_iter):
    """Potentials after n_iter iterations: f then g, from g = 0, each damped by rho / (rho + epsilon).

    Scores may be a batch in leading axes, and complex, as the oracles of the losses have them.
    """
    phi_row, phi_col = power(rho_row, epsilon), power(rho_col, epsilon)
    f, g = np.zeros(len(a)), np.zeros(len(b))
    with np.errstate(divide="ignore"):
        log_a, log_b = np.log(a), np.log(b)
    for _ in range(n_iter):
        if phi_row:
            f = phi_row * (log_a - logsumexp(scores + g[..., None, :], axis=-1))
        if phi_col:
            g = phi_col * (log_b - logsumexp(scores + f[..., :, None], axis=-2))
    return f, g


def plan(scores, f, g):
    return np.exp(f[:, None] + scores + g[None, :])


def log_sinkhorn_pullback(scores, a, b, grad_f, grad_g, *, epsilon, rho_row, rho_col, n_iter):
    """dL/dscores from dL/df and dL/dg, by differentiating each half step in turn."""
    phi_row, phi_col = power(rho_row, epsilon), power(rho_col, epsilon)
    history, (f, g) = [], (np.zeros(len(a)), np.zeros(len(b)))
    for _ in range(n_iter):
        before = g
        if rho_row:
            f = phi_row * (np.log(a) - logsumexp(scores + g[None, :], axis=1))
        if rho_col:
            g = phi_col * (np.log(b) - logsumexp(scores + f[:, None], axis=0))
        history.append((before, f))
    grad = np.zeros_like(scores)
    for before, f_here in reversed(history):
        if rho_col:
            logits = scores + f_here[:, None]
            part = np.exp(logits - logsumexp(logits, axis=0)[None, :]) * (-phi_col * grad_g)[None, :]
            grad, grad_f = grad + part, grad_f + part.sum(1)
        if rho_row:
            logits = scores + before[None, :]
            part = np.exp(logits - logsumexp(logits, axis=1)[:, None]) * (-phi_row * grad_f)[:, None]
            grad, grad_g = grad + part, part.sum(0)
        grad_f = np.zeros_like(grad_f)
    return grad


def cosine_pullback(x, y, epsilon, grad_scores):
    """dL/dx and dL/dy from dL/dscores for cosine scores."""
    norm_x, norm_y = (np.linalg.norm(t, axis=1, keepdims=True) for t in (x, y))
    unit_x, unit_y = x / norm_x, y / norm_y
    to_x, to_y = grad_scores @ unit_y / epsilon, grad_scores.T @ unit_x / epsilon
    tangent_x = (to_x - unit_x * (unit_x * to_x).sum(1, keepdims=True)) / norm_x
    tangent_y = (to_y - unit_y * (unit_y * to_y).sum(1, keepdims=True)) / norm_y
    return tangent_x, tangent_y
