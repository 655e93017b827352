"""Sinkhorn by plain torch operations on one matrix, for second derivatives.

The half steps are those of :mod:`._log_domain`, one line each. Autograd records them::

        S  -->  f  -->  g  -->  f  -->  g  -->  ...        as many iterations as the first solve ran, no early exit

The kernel domain and the log domain hide their iterations from autograd. They have reverse passes of their own, and
these cannot be differentiated again. If the caller sets ``create_graph=True``, :mod:`._autograd` repeats the iterations
in this plain form and differentiates them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ._problem import Problem

__all__ = ["plain_sinkhorn"]


def plain_sinkhorn(scores: Tensor, problem: Problem, n_iter: int) -> tuple[Tensor, Tensor]:
    """Return f and g after ``n_iter`` iterations; autograd can differentiate them any number of times.

    Autograd keeps several matrices (n, m) for each iteration, so this form serves second derivatives only.
    """
    p = problem
    f, g = torch.zeros_like(p.log_a), torch.zeros_like(p.log_b) if p.g_start is None else p.g_start
    for _ in range(n_iter):
        if p.phi_row:  # the potential of a free marginal stays 0
            f = p.phi_row * (p.log_a - torch.logsumexp(scores + g[None, :], dim=1))
        if p.phi_col:
            g = p.phi_col * (p.log_b - torch.logsumexp(scores + f[:, None], dim=0))
    return f, g
