"""Sinkhorn by plain operations."""

from __future__ import annotations

import torch
from torch import Tensor

from ._problem import Problem

__all__ = ["plain_sinkhorn"]


def plain_sinkhorn(scores: Tensor, problem: Problem, n_iter: int) -> tuple[Tensor, Tensor]:
    """Sinkhorn by plain operations on one matrix, for autograd to differentiate as often as is wanted.

    It keeps several matrices for every iteration, so it serves second derivatives only.
    """
    p = problem
    f, g = torch.zeros_like(p.log_a), torch.zeros_like(p.log_b) if p.g_start is None else p.g_start
    for _ in range(n_iter):
        if p.phi_row:
            f = p.phi_row * (p.log_a - torch.logsumexp(scores + g[None, :], dim=1))
        if p.phi_col:
            g = p.phi_col * (p.log_b - torch.logsumexp(scores + f[:, None], dim=0))
    return f, g
