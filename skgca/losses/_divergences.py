"""Divergences between a target plan and a transport plan; each returns a scalar."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..ot import TransportPlan
from ._targets import TargetPlan

__all__ = [
    "Divergence",
    "EntropyPenalty",
    "KLDivergence",
    "MarginalPenalty",
    "RINCEDivergence",
    "TransportCost",
    "UniformityPenalty",
    "WeightedSum",
]

# RINCE is a difference of powers of exp(1 / epsilon). From these exponents on, it is given in larger units.
_LARGEST_EXPONENT = {torch.float32: 30.0, torch.float64: 300.0}


class Divergence(Protocol):
    """What compares a transport plan with its target."""

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor: ...


@dataclass(frozen=True)
class KLDivergence:
    """Kullback-Leibler divergence of the transport plan P from the target plan T.

    Parameters
    ----------
    kl : {"mass", "rows"}, default="mass"
        "mass" is the generalised divergence with its mass term, ``sum T log(T / P) - sum T + sum P``. "rows" normalises
        the rows of P to those of T first, as ``cross_entropy(log P)`` does. That cancels the row potential; the two
        agree where the row marginal is hard and was held last.

    Notes
    -----
    The derivative of "mass" by a potential is the marginal of P less that of T. That vanishes at the solution for hard
    marginals, if T has them, so there the potentials may count as constant: ``envelope_exact``.

    Examples
    --------
    With the row marginal this is InfoNCE:

    >>> import torch
    >>> from skgca.losses import AlignmentLoss, KLDivergence
    >>> loss = AlignmentLoss(epsilon=0.5, marginals="row", divergence=KLDivergence(), layout="cross")
    >>> round(float(loss(torch.eye(4), torch.eye(4))), 4)
    0.3408
    """

    kl: str = "mass"

    def __post_init__(self) -> None:
        if self.kl not in ("mass", "rows"):
            raise ValueError(f"kl={self.kl!r} is not known; valid are 'mass' and 'rows'.")

    @property
    def envelope_exact(self) -> bool:
        """Whether the gradient is exact with constant potentials, at the solution for hard marginals."""
        return self.kl == "mass"

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor:
        mass, log_plan = target.mass, target.log_plan(plan)
        if self.kl == "mass":
            return (torch.xlogy(mass, mass) - mass * log_plan).sum() - mass.sum() + plan.mass
        log_plan = log_plan + target.of_rows(plan.a.log() - plan.row_mass.log())
        return (torch.xlogy(mass, mass) - mass * log_plan).sum()


@dataclass(frozen=True)
class TransportCost:
    """Cost of the target plan over epsilon, ``sum T C / epsilon``.

    It is the divergence of the bare kernel from the target, without the mass term and the constant ``sum T log T``.
    Nothing in it keeps embeddings apart, so it needs a target network.

    Examples
    --------
    Views at right angles have cost 1, over epsilon 0.5:

    >>> import torch
    >>> from skgca.losses import AlignmentLoss, TransportCost
    >>> loss = AlignmentLoss(epsilon=0.5, marginals=0.0, divergence=TransportCost(), layout="cross")
    >>> round(float(loss(torch.eye(4), torch.eye(4).roll(1, 0))), 4)
    2.0
    """

    repels = False

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor:
        return -(target.mass * _log_kernel(plan, target, plan.f, plan.g)).sum()


@dataclass(frozen=True)
class RINCEDivergence:
    r"""Robust InfoNCE on the row-unscaled plan [1]_.

    .. math:: \sum_i a_i \Big( -\frac{1}{q} \sum_j \frac{T_{ij}}{a_i} \big(e^{s_{ij}} v_j\big)^q
        + \frac{1}{q} \Big(\lambda \sum_j e^{s_{ij}} v_j\Big)^q \Big)

    with s the similarity over epsilon and v the column scaling, 1 where columns are free; the last sum is the one that
    the last row step divided by. Values beyond ``exp(30)``, or ``exp(300)`` in double precision, as come with a small
    epsilon, are divided by what they are too large: the published loss does not fit the type there.

    Parameters
    ----------
    q : float, default=0.6
        Between InfoNCE, which the loss tends to as q goes to 0, up to the constant log lam, and a loss that is
        symmetric between right and wrong pairs, and so robust to wrong ones, at 1.
    lam : float, default=0.01
        Weight of all pairs against the right ones, > 0.

    References
    ----------
    .. [1] C.-Y. Chuang et al., "Robust contrastive learning against noisy views", CVPR 2022.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import AlignmentLoss, RINCEDivergence
    >>> loss = AlignmentLoss(epsilon=0.5, marginals="row", divergence=RINCEDivergence(q=0.6, lam=0.01), layout="cross")
    >>> round(float(loss(torch.eye(4), torch.eye(4))), 4)
    -5.1052
    """

    q: float = 0.6
    lam: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.q <= 1:
            raise ValueError(f"q={self.q!r} must lie in (0, 1], such as 0.6.")
        if not self.lam > 0:
            raise ValueError(f"lam={self.lam!r} must be above 0, such as 0.01.")

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor:
        unit = plan.similarity / plan.epsilon  # the kernel is exp(similarity / epsilon)
        right = _log_kernel(plan, target, plan.f, torch.zeros_like(plan.g)) + unit
        every = plan.log_row_sum - _log_weight(plan.a) + unit + math.log(self.lam)
        right, every = self.q * right, self.q * every
        with torch.no_grad():
            largest = torch.maximum(right.masked_fill(target.mass == 0, -torch.inf).max(), every.max())
            excess = (largest - _LARGEST_EXPONENT[plan.a.dtype]).clamp_min(0.0)
        # expm1 keeps the digits of small q; the two -1 cancel, as T has the row mass a
        pull, push = target.mass * torch.expm1(right - excess), plan.a * torch.expm1(every - excess)
        return (push.sum() - pull.sum()) / self.q


@dataclass(frozen=True)
class MarginalPenalty:
    """Distance of the marginals from the prescribed ones, ``KL(P 1 || a) + KL(P^T 1 || b)``, with mass terms.

    Examples
    --------
    Relaxed marginals are not met; "balanced" ones are, at no penalty:

    >>> import torch
    >>> from skgca.losses import AlignmentLoss, MarginalPenalty
    >>> loss = AlignmentLoss(epsilon=0.5, marginals=1.0, divergence=MarginalPenalty(), layout="cross")
    >>> round(float(loss(torch.eye(4), torch.eye(4))), 4)
    0.1506
    """

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor:
        return _kl(plan.row_mass, plan.a) + _kl(plan.col_mass, plan.b)


@dataclass(frozen=True)
class EntropyPenalty:
    """Negative entropy of the plan, ``sum P (log P - 1)``; it makes the plan as one matrix.

    Examples
    --------
    It is least, -log(16) - 1, for a plan that is even:

    >>> import torch
    >>> from skgca.losses import AlignmentLoss, EntropyPenalty
    >>> loss = AlignmentLoss(epsilon=0.5, marginals="balanced", divergence=EntropyPenalty(), layout="cross")
    >>> round(float(loss(torch.eye(4), torch.eye(4))), 4)
    -3.3046
    """

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor:
        log_plan = plan.log_plan.masked_fill(torch.isneginf(plan.log_plan), 0.0)  # P log P is 0 there
        return (plan.plan * (log_plan - 1.0)).sum()


@dataclass(frozen=True)
class UniformityPenalty:
    """Divergence of what the plan sends to wrong columns from sending it everywhere alike.

    ``KL(U || P)`` over the entries without target mass, P normalised to sum to 1 there, and U in proportion to the
    product of the row and the column mass; it makes the plan as one matrix.

    Examples
    --------
    Equal views of orthogonal rows have wrong pairs at one distance:

    >>> import torch
    >>> from skgca.losses import AlignmentLoss, UniformityPenalty
    >>> loss = AlignmentLoss(epsilon=0.5, marginals="balanced", divergence=UniformityPenalty(), layout="cross")
    >>> round(abs(float(loss(torch.eye(4), torch.eye(4)))), 4)
    0.0
    """

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor:
        log_plan = plan.log_plan
        wrong = ~torch.isneginf(log_plan.detach()) & (target.dense((len(plan.a), len(plan.b))) == 0)
        if not bool(wrong.any()):
            return log_plan.new_zeros(())
        even = (plan.a[:, None] * plan.b).masked_fill(~wrong, 0.0)
        even = even / even.sum()
        log_wrong = log_plan.masked_fill(~wrong, -torch.inf)
        log_wrong = log_wrong - torch.logsumexp(log_wrong.flatten(), 0)
        return (torch.xlogy(even, even) - even * log_wrong.masked_fill(~wrong, 0.0)).sum()


class WeightedSum:
    """Sum of divergences, each times its weight; those of weight 0 are left out.

    Parameters
    ----------
    *terms : pair of float and Divergence

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or none is above 0.

    Examples
    --------
    >>> from skgca.losses import KLDivergence, MarginalPenalty, UniformityPenalty, WeightedSum
    >>> WeightedSum((1.0, KLDivergence()), (0.1, UniformityPenalty()), (0.0, MarginalPenalty()))
    1 KLDivergence(kl='mass') + 0.1 UniformityPenalty()
    """

    def __init__(self, *terms: tuple[float, Divergence]) -> None:
        for weight, divergence in terms:
            if not 0 <= weight < float("inf"):
                raise ValueError(f"The weight {weight!r} of {divergence!r} must be a finite number of at least 0.")
        self.terms = [(weight, divergence) for weight, divergence in terms if weight > 0]
        if not self.terms:
            raise ValueError("Every term of the loss has weight 0; give one of them a weight above 0, such as 1.0.")

    @property
    def envelope_exact(self) -> bool:
        """Whether every term's gradient is exact with constant potentials."""
        return all(getattr(divergence, "envelope_exact", False) for _, divergence in self.terms)

    @property
    def repels(self) -> bool:
        """Whether some term keeps embeddings apart."""
        return any(getattr(divergence, "repels", True) for _, divergence in self.terms)

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor:
        total = plan.f.new_zeros(())
        for weight, divergence in self.terms:
            total = total + weight * divergence(plan, target)
        return total

    def __repr__(self) -> str:
        return " + ".join(f"{weight:g} {divergence!r}" for weight, divergence in self.terms)


def _log_kernel(plan: TransportPlan, target: TargetPlan, f: Tensor, g: Tensor) -> Tensor:
    """Log plan less two potentials, at the target's entries, without the weights of rows that the scores carry."""
    less = target.of_rows(f + _log_weight(plan.a)) + target.of_cols(g + _log_weight(plan.b))
    return (target.log_plan(plan) - less).masked_fill(target.mass == 0, 0.0)


def _log_weight(mass: Tensor) -> Tensor:
    """Log of the weight of each row, whose mean is 1, from its mass."""
    return (mass * len(mass)).log()


def _kl(mass: Tensor, prescribed: Tensor) -> Tensor:
    return (torch.xlogy(mass, mass) - torch.xlogy(mass, prescribed) - mass + prescribed).sum()
