"""The rules of early exits: when the iterations stop before ``n_iter``, and the reverse pass before its end.

The rules are asked after each iteration. The first situation that applies decides::

    situation                        kernel domain                        log domain
    -------------------------------  -----------------------------------  -----------------------------------
    a marginal is free               one half step is the solution        one half step is the solution
    tol is given                     marginal error <= tol, or NaN        marginal error <= tol
    on a CPU                         ``settled``: the iterations left     ``still``: no potential moved by
                                     would change only rounding, or NaN   more than a rounding
    elsewhere                        never                                never
    reverse pass, on a CPU           ``negligible``: the gradient left    never
                                     to pull back is rounding

The rules without ``tol`` are for a CPU only, since they read a number from the device at every iteration. A CPU has
that number at hand. An accelerator must first finish all queued work, which takes longer than the iterations that would
be saved.

An exit by one of these rules changes the result by rounding at most. A NaN in the kernel domain ends that form, and the
solver starts again in the log domain.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["largest_change", "negligible", "settled", "still"]

_ROUNDINGS = 16  # the sum of all changes that are left out may be this many roundings


def largest_change(new: Tensor, old: Tensor) -> float:
    """Largest change of a scaling in one iteration, as a share of what it was."""
    tiny = torch.finfo(new.dtype).tiny  # where there is no mass both are zero
    return float(((new - old).abs() / old.clamp_min(tiny)).max())


def settled(change: float, before: float, left: int, dtype: torch.dtype) -> bool:
    """Whether the iterations that are left would change nothing beyond rounding.

    Parameters
    ----------
    change, before : float
        Largest change of the last iteration, and of the one before it.
    left : int
        Number of iterations that are left.
    dtype : torch.dtype
        Type of the scalings.

    Notes
    -----
    Each half step is a contraction in Hilbert's metric, so changes shrink from one iteration to the next. The changes
    that are left sum to at most ``left`` times the last one. Near the solution they are about a geometric series.
    """
    rounding = torch.finfo(dtype).eps
    rate = change / before if change < before < 0.01 else 1.0  # far from the solution, the two say nothing
    rest = change * (left if rate >= 1.0 else min(left, rate / (1.0 - rate)))
    return rest <= _ROUNDINGS * rounding or change <= 2 * rounding


def still(old: Tensor, new: Tensor) -> bool:
    """Whether no potential moved by more than a rounding of its size, or of 1 if it is smaller than 1."""
    moved = (new - old).nan_to_num(nan=0.0)  # -inf - -inf, where there is no mass
    return bool((moved.abs() <= torch.finfo(new.dtype).eps * new.nan_to_num().abs().clamp_min(1.0)).all())


def negligible(rest: float, reference: float, dtype: torch.dtype) -> bool:
    """Whether the gradient that is left to pull back is only rounding beside the one of the last iteration."""
    return rest <= _ROUNDINGS / 4 * torch.finfo(dtype).eps * reference
