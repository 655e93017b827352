"""A transport problem as the solvers take it: all but its scores."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Problem"]


@dataclass(frozen=True, eq=False)
class Problem:
    """Log masses, the powers of the half steps, and when to stop.

    Parameters
    ----------
    log_a, log_b : Tensor of shape (n,) and (m,)
        Log of the prescribed masses, -inf where there is none.
    phi_row, phi_col : float
        Powers of the half steps, in [0, 1]: 1 for a hard marginal, 0 for a free one.
    n_iter : int
        Most iterations.
    tol : float or None
        Marginal error to stop at.
    g_start : Tensor of shape (m,) or None
        Column potential to start from. None is zero.
    powers : Tensor of shape (2,) or None
        ``phi_row`` and ``phi_col`` as a tensor, if they are to have a gradient.
    """

    log_a: Tensor
    log_b: Tensor
    phi_row: float
    phi_col: float
    n_iter: int
    tol: float | None = None
    g_start: Tensor | None = None
    powers: Tensor | None = None

    @property
    def one_sided(self) -> bool:
        """Whether a marginal is free. Its potential stays 0, and a single half step solves for the other."""
        return self.phi_row == 0.0 or self.phi_col == 0.0

    def add_to_power(self, total: Tensor | None, axis: int, grad: Tensor, potential: Tensor) -> None:
        """Add the gradient of the power ``phi`` of one half step ``phi * (log mass - log sum)`` to ``total[axis]``."""
        if total is not None:
            potential = potential.masked_fill(torch.isneginf(potential), 0.0)  # no mass, no gradient
            total[axis] += grad @ potential / (self.phi_row, self.phi_col)[axis]
