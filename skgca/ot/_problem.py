"""A transport problem, beside its scores, as the solvers take it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Problem"]


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be solved, beside the scores: log masses, the powers of the half steps, and when to stop."""

    log_a: Tensor
    log_b: Tensor
    phi_row: float
    phi_col: float
    n_iter: int
    tol: float | None = None
    g_start: Tensor | None = None
    powers: Tensor | None = None  # phi_row and phi_col of shape (2,), where they are to have a gradient

    @property
    def one_sided(self) -> bool:
        """Whether a marginal is free. Its potential stays 0, and a single half step solves for the other."""
        return self.phi_row == 0.0 or self.phi_col == 0.0

    def add_to_power(self, total: Tensor | None, axis: int, grad: Tensor, potential: Tensor) -> None:
        """Add the gradient of the power ``phi`` of one half step ``phi * (log mass - log sum)`` to ``total[axis]``."""
        if total is not None:
            potential = potential.masked_fill(torch.isneginf(potential), 0.0)  # no mass, no gradient
            total[axis] += grad @ potential / (self.phi_row, self.phi_col)[axis]
