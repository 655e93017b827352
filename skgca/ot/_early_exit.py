"""When iterations and the reverse pass stop early."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["largest_change", "negligible", "settled", "still"]

_ROUNDINGS = 16  # changes of the scalings below this many roundings are none


def largest_change(new: Tensor, old: Tensor) -> float:
    tiny = torch.finfo(new.dtype).tiny  # where there is no mass both are zero
    return float(((new - old).abs() / old.clamp_min(tiny)).max())


def settled(change: float, before: float, left: int, dtype: torch.dtype) -> bool:
    """Whether the iterations that are left would change nothing beyond rounding.

    Changes shrink from one iteration to the next (in Hilbert's metric each half step contracts), so the rest is at
    most ``left`` times the last one, and about a geometric series.
    """
    rounding = torch.finfo(dtype).eps
    rate = change / before if change < before < 0.01 else 1.0  # far from the solution, the two say nothing
    rest = change * (left if rate >= 1.0 else min(left, rate / (1.0 - rate)))
    return rest <= _ROUNDINGS * rounding or change <= 2 * rounding


def still(old: Tensor, new: Tensor) -> bool:
    """Whether no potential moved by more than a rounding of its size, or of one if that is more."""
    moved = (new - old).nan_to_num(nan=0.0)  # -inf - -inf, where there is no mass
    return bool((moved.abs() <= torch.finfo(new.dtype).eps * new.nan_to_num().abs().clamp_min(1.0)).all())


def negligible(rest: float, reference: float, dtype: torch.dtype) -> bool:
    """Whether a gradient that is left to pull back is rounding beside what has been pulled back."""
    return rest <= _ROUNDINGS / 4 * torch.finfo(dtype).eps * reference
