"""Divergences between a target plan and a transport plan; each returns a scalar."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from ..ot import TransportPlan
from ._targets import TargetPlan

__all__ = ["Divergence", "KLDivergence"]


class Divergence(Protocol):
    """What compares a transport plan with its target."""

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor: ...


class KLDivergence:
    """Generalised Kullback-Leibler divergence, mass term kept: ``sum T log(T / P) - sum T + sum P``.

    Normalising the rows of P first, as ``cross_entropy(log P)`` does, cancels the row potential, and with it most of
    what relaxing a marginal was for; so this does not.

    Its derivative by a potential is the marginal of P less that of T. That vanishes at the solution for hard
    marginals, if T has them, so there the potentials may count as constant: ``envelope_exact``.
    """

    envelope_exact = True

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor:
        log_plan = plan.log_plan_at(target.rows, target.cols)
        # An entry without mass costs nothing, also where log P is -inf, which a product with 0 would turn into NaN.
        log_plan = log_plan.masked_fill(target.mass == 0, 0.0)
        cross = torch.xlogy(target.mass, target.mass) - target.mass * log_plan
        return cross.sum() - target.mass.sum() + plan.mass

    def __repr__(self) -> str:
        return "KLDivergence()"
