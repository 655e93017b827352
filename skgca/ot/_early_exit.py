"""The rules of early exits: when the iterations stop before ``n_iter``, and the reverse pass before its end.

The rules apply after each iteration. The first row of this table that fits decides::

    situation                        kernel domain                        log domain
    -------------------------------  -----------------------------------  -----------------------------------
    a marginal is free               one half step is the solution        one half step is the solution
    tol is given                     marginal error <= tol, or NaN        marginal error <= tol
    on a CPU                         ``settled``, from the second         ``still``: no potential moved by
                                     iteration on: those left would       more than a rounding
                                     change only rounding, or NaN
    elsewhere                        never                                never
    reverse pass, on a CPU           ``negligible``: the gradient left    never
                                     to pull back is rounding

What the three functions measure, and why each can be wrong:

- ``settled`` extrapolates the last two changes of v as a geometric series, and counts the last change too, which u has
  not seen. If a component that converges slowly hides
  below one that converges fast, the series decays more slowly later on and the sum is too small.
- ``still`` sees one iteration only. If convergence is so slow that each iteration moves less than a rounding, many such
  moves may add up to more.
- ``negligible`` compares with the largest entry of the gradient of g that the loss gave. Entries much smaller than that
  may lose digits. At the solution for hard marginals, what comes back from the first step is the difference of two such
  gradients, and rounding already.

In all other cases the result changes by rounding only. An exit saves both half steps of every iteration left, forward
and again in the reverse pass. A NaN ends the kernel domain, and the solver starts again in the log domain.

In the kernel domain, the next iteration reuses the product that the marginal error needs. In the log domain, the error
costs another pass over the tiles.

The rules without ``tol`` run on a CPU only, because they read a number from the device at every iteration. A CPU has
that number at hand. An accelerator must first finish all queued work, which takes longer than the iterations that would
be saved.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["largest_change", "negligible", "settled", "still"]

_ROUNDINGS = 16  # the changes that an exit leaves out may sum to this many roundings


def largest_change(new: Tensor, old: Tensor) -> float:
    """Return the largest relative change of a scaling in one iteration."""
    low, high = (float(extreme) for extreme in torch.aminmax(new / old))
    if not math.isnan(low):
        return max(high - 1.0, 1.0 - low)
    # A row without mass has scaling 0 before and after: 0 / tiny is 0, where 0 / 0 is NaN.
    tiny = torch.finfo(new.dtype).tiny
    return float(((new - old).abs() / old.clamp_min(tiny)).max())


def settled(change: float, before: float, left: int, dtype: torch.dtype) -> bool:
    """Whether the iterations left would change nothing beyond rounding.

    Parameters
    ----------
    change, before : float
        Largest relative change in the last iteration, and in the iteration before it.
    left : int
        Number of iterations left.
    dtype : torch.dtype
        Type of the scalings.

    Notes
    -----
    Each half step is a contraction in Hilbert's metric, so changes shrink from one iteration to the next. The changes
    left sum to at most about ``left`` times the last one. Near the solution they are close to a geometric series.
    """
    rounding = torch.finfo(dtype).eps
    rate = change / before if change < before < 0.01 else 1.0  # far from the solution, the ratio predicts nothing
    # 1 + rate + rate^2 + ... = 1 / (1 - rate), at most `left` + 1 terms of at most 1. The first term is the last change
    # itself: v has made it already, but u was computed before.
    rest = change * min(left + 1, 1.0 / (1.0 - rate) if rate < 1.0 else math.inf)
    return rest <= _ROUNDINGS * rounding or change <= 2 * rounding


def still(old: Tensor, new: Tensor) -> bool:
    """Whether no potential moved by more than a rounding of its size, or of 1 if its size is below 1."""
    moved = (new - old).nan_to_num(nan=0.0)  # a row without mass has -inf - -inf = NaN
    return bool((moved.abs() <= torch.finfo(new.dtype).eps * new.nan_to_num().abs().clamp_min(1.0)).all())


def negligible(rest: float, reference: float, dtype: torch.dtype) -> bool:
    """Whether the gradient left to pull back is rounding of ``reference``, the gradient of the last iteration."""
    return rest <= _ROUNDINGS / 4 * torch.finfo(dtype).eps * reference
