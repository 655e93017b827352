"""Sinkhorn by plain operations of torch on one matrix. It is the form for second derivatives.

It takes the half steps of :mod:`._log_domain`, one line each, and autograd records them::

        S  -->  f  -->  g  -->  f  -->  g  -->  ...        as many iterations as ran before, without early exits

The other two forms hide their iterations from autograd and bring a reverse pass of their own, which cannot be
differentiated again. If the caller asks for ``create_graph=True``, :mod:`._autograd` repeats the iterations in this
form.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ._problem import Problem

__all__ = ["plain_sinkhorn"]


def plain_sinkhorn(scores: Tensor, problem: Problem, n_iter: int) -> tuple[Tensor, Tensor]:
    """Return f and g after ``n_iter`` iterations; autograd can differentiate them as often as is wanted.

    Autograd keeps several matrices for every iteration, so this form serves second derivatives only.
    """
    p = problem
    f, g = torch.zeros_like(p.log_a), torch.zeros_like(p.log_b) if p.g_start is None else p.g_start
    for _ in range(n_iter):
        if p.phi_row:
            f = p.phi_row * (p.log_a - torch.logsumexp(scores + g[None, :], dim=1))
        if p.phi_col:
            g = p.phi_col * (p.log_b - torch.logsumexp(scores + f[:, None], dim=0))
    return f, g
