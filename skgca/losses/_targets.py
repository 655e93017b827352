"""Target plans: where the mass of each row ought to go, scaled to the marginals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["TARGETS", "PairsTarget", "Target", "TargetPlan"]


@dataclass(frozen=True)
class TargetPlan:
    """A target plan by its non-zero entries.

    Parameters
    ----------
    rows, cols : Tensor of shape (k,), integer
        Positions of the entries.
    mass : Tensor of shape (k,)
        Their mass. Over each row it sums to that row's prescribed mass.
    """

    rows: Tensor
    cols: Tensor
    mass: Tensor


class Target(Protocol):
    """What makes a target plan for a batch."""

    def __call__(self, partner: Tensor, row_mass: Tensor, target: Tensor | None) -> TargetPlan:
        """Make the plan.

        Parameters
        ----------
        partner : Tensor of shape (N,), integer
            Column that holds the other view of each plan row.
        row_mass : Tensor of shape (N,)
            Prescribed row mass.
        target : Tensor or None
            What the caller of the loss passed as ``target``.
        """


class PairsTarget:
    """All mass of a row goes to the other view of the same row: the identity, scaled to the marginals."""

    def __call__(self, partner: Tensor, row_mass: Tensor, target: Tensor | None) -> TargetPlan:
        if target is not None:
            raise ValueError("The target plan 'pairs' reads no target; leave target=None.")
        return TargetPlan(torch.arange(len(partner), device=partner.device), partner, row_mass)


TARGETS: dict[str, Target] = {"pairs": PairsTarget()}
