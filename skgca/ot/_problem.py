"""The record of a transport problem that all solvers take: everything except the scores.

In the paper's notation a half step on rows is ``f = phi_row * (log a - logsumexp_j(S + g))`` with
``phi_row = rho_row / (rho_row + epsilon)``. The solvers never see rho or epsilon: the scores S are divided by epsilon
already, and phi holds all that is left of rho. Columns likewise.
"""

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
        Log of the prescribed masses; -inf for a mass of zero.
    phi_row, phi_col : float
        Powers of the half steps, in [0, 1]: 1 for a hard marginal, 0 for a free one.
    n_iter : int
        Maximum number of iterations.
    tol : float or None
        Marginal error at which to stop; None runs until ``n_iter`` or an early exit.
    g_start : Tensor of shape (m,) or None
        Initial column potential. None means zeros.
    powers : Tensor of shape (2,) or None
        ``phi_row`` and ``phi_col`` as a tensor, if they need a gradient.
    equal_masses : bool
        Whether the masses of each side are known to be equal, and so above 0.
    """

    log_a: Tensor
    log_b: Tensor
    phi_row: float
    phi_col: float
    n_iter: int
    tol: float | None = None
    g_start: Tensor | None = None
    powers: Tensor | None = None
    equal_masses: bool = False

    @property
    def one_sided(self) -> bool:
        """Whether a marginal is free. Its potential stays 0, so one half step solves for the other potential."""
        return self.phi_row == 0.0 or self.phi_col == 0.0

    def add_to_power(self, total: Tensor | None, axis: int, grad: Tensor, potential: Tensor) -> None:
        """Add the gradient that one half step gives to its power to ``total[axis]``; do nothing if ``total`` is None.

        The half step is ``potential = phi * (log mass - log sum)``, so its derivative in phi is ``potential / phi``.
        """
        if total is not None:
            # A row without mass has the potential -inf and no gradient. 0 * -inf would be NaN.
            potential = potential.masked_fill(torch.isneginf(potential), 0.0)
            total[axis] += grad @ potential / (self.phi_row, self.phi_col)[axis]
