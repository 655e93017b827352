"""Divergences: how far the transport plan of a batch is from its target plan, as a scalar.

Both plans are matrices of the mass that goes from rows to columns. The transport plan P says where the mass of each row
goes, given the distances of the embeddings. The target plan T says where it should go. P is computed as a matrix only
if a divergence reads all of its entries. Otherwise it is represented by its potentials f and g:

    log P[i, j] = f[i] + scores[i, j] + g[j],    scores = -cost / epsilon + log weight of row i + log weight of row j

A divergence therefore works with logarithms at the entries where T has mass: for "pairs", one entry in each row. The
log kernel is log P without f, g and the log weights. It depends only on the embeddings.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Union, runtime_checkable

import torch
from torch import Tensor, nn

from ..ot import TransportPlan
from ._target_plan import TargetPlan

__all__ = [
    "Divergence",
    "DivergenceLike",
    "EntropyPenalty",
    "KLDivergence",
    "MarginalPenalty",
    "RINCEDivergence",
    "TransportCost",
    "UniformityPenalty",
    "WeightedSum",
    "as_divergence",
]

# RINCE is a difference of powers of exp(1 / epsilon), which overflow for a small epsilon. The loss is divided by a
# factor so that the largest exponent is at most this.
_LARGEST_EXPONENT = {torch.float32: 30.0, torch.float64: 300.0}


@runtime_checkable
class Divergence(Protocol):
    """Base class of divergences, which compare a transport plan with its target plan.

    Use it as the base of a divergence of your own for :class:`AlignmentLoss`. A plain callable is enough if both
    attributes have their defaults.

    Attributes
    ----------
    repels : bool, default=True
        Whether it keeps embeddings of different rows apart. If not, all embeddings become equal, unless training uses a
        predictor and a target network, as BYOL does.
    envelope_exact : bool, default=False
        Whether its gradient is exact with constant potentials, at the solution for hard marginals. Then
        ``gradient="envelope"`` of :class:`AlignmentLoss` is accepted.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import AlignmentLoss, Divergence
    >>> class TotalVariation(Divergence):
    ...     def __call__(self, plan, target):
    ...         return (plan.plan - target.dense(plan.plan.shape)).abs().sum() / 2
    >>> loss = AlignmentLoss(epsilon=0.1, marginals="balanced", divergence=TotalVariation())
    >>> round(float(loss(torch.eye(4), torch.eye(4))), 4), loss.repels
    (0.0003, True)
    """

    @property
    def repels(self) -> bool:
        """Whether it keeps embeddings of different rows apart."""
        return True

    @property
    def envelope_exact(self) -> bool:
        """Whether its gradient is exact with constant potentials, at the solution for hard marginals."""
        return False

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor: ...


DivergenceLike = Union[Divergence, Callable[[TransportPlan, TargetPlan], Tensor]]


@dataclass(frozen=True, repr=False)
class CallableDivergence(Divergence):
    """A divergence by a callable that may lack ``repels`` and ``envelope_exact``; see :func:`as_divergence`."""

    function: Callable[[TransportPlan, TargetPlan], Tensor]

    @property
    def repels(self) -> bool:
        """Attribute ``repels`` of the callable; the default of :class:`Divergence` if it has none."""
        return bool(getattr(self.function, "repels", super().repels))

    @property
    def envelope_exact(self) -> bool:
        """Attribute ``envelope_exact`` of the callable; the default of :class:`Divergence` if it has none."""
        return bool(getattr(self.function, "envelope_exact", super().envelope_exact))

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor:
        return self.function(plan, target)

    def __repr__(self) -> str:
        return repr(self.function)


def as_divergence(divergence: DivergenceLike) -> Divergence:
    """Return an object with all attributes of :class:`Divergence`: the given object, or an adapted callable.

    Raises
    ------
    ValueError
        If it cannot be called.
    """
    if isinstance(divergence, Divergence):
        return divergence
    if not callable(divergence):
        raise ValueError(
            f"divergence={divergence!r} cannot be called; give a divergence, such as KLDivergence(), or a callable "
            "(plan, target_plan) -> scalar."
        )
    adapted = CallableDivergence(divergence)
    if isinstance(divergence, nn.Module):
        # A wrapper would hide the weights of a module from the loss that holds it. A shallow copy shares them.
        module: Any = copy.copy(divergence)
        module.repels, module.envelope_exact = adapted.repels, adapted.envelope_exact
        return module  # type: ignore[no-any-return]
    return adapted


@dataclass(frozen=True)
class KLDivergence(Divergence):
    """Kullback-Leibler divergence of the transport plan P from the target plan T.

    Use it as the divergence of an :class:`AlignmentLoss` by default. :class:`RINCEDivergence` is for wrong positive
    pairs.

    Parameters
    ----------
    kl : {"mass", "rows"}, default="mass"
        "mass" is the generalised divergence with its mass term, ``sum T log(T / P) - sum T + sum P``. "rows" first
        normalises the rows of P to the row masses of T, as ``cross_entropy(log P)`` does, which cancels the row
        potential. Both are equal if the row marginal is hard and the last half step was that of the rows.

    Notes
    -----
    The derivative of "mass" with respect to a potential is the difference between the marginals of P and T. At the
    solution for hard marginals it vanishes if T has these marginals. Then the potentials may be treated as constants,
    so ``envelope_exact`` is True.

    Examples
    --------
    With the row marginal this is InfoNCE:

    >>> import torch
    >>> from skgca.losses import AlignmentLoss, KLDivergence
    >>> loss = AlignmentLoss(
    ...     epsilon=0.5, marginals="row", divergence=KLDivergence(), layout="cross"
    ... )
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
        negative_entropy = torch.xlogy(mass, mass).sum()
        if self.kl == "mass":
            return (negative_entropy - mass.sum() + plan.mass) - _inner(mass, log_plan)
        log_plan = log_plan + target.of_rows(plan.a.log() - plan.row_mass.log())  # rows normalised to mass a
        return negative_entropy - _inner(mass, log_plan)


@dataclass(frozen=True)
class TransportCost(Divergence):
    """Cost of the target plan divided by epsilon, ``sum T C / epsilon``.

    Use it in an :class:`AlignmentLoss` that trains against a target network, as :func:`byol` does. Without one, use
    :class:`KLDivergence`, which keeps rows apart.

    It is the Kullback-Leibler divergence of the kernel from the target plan, without the mass term and the constant
    ``sum T log T``. Nothing in it keeps embeddings apart, so training needs a target network.

    Examples
    --------
    Orthogonal views have cost 1, which is divided by an epsilon of 0.5:

    >>> import torch
    >>> from skgca.losses import AlignmentLoss, TransportCost
    >>> loss = AlignmentLoss(
    ...     epsilon=0.5, marginals=0.0, divergence=TransportCost(), layout="cross"
    ... )
    >>> round(float(loss(torch.eye(4), torch.eye(4).roll(1, 0))), 4)
    2.0
    """

    repels = False

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor:
        return -(target.mass * _log_kernel(plan, target, plan.f, plan.g)).sum()


@dataclass(frozen=True)
class RINCEDivergence(Divergence):
    r"""Robust InfoNCE on the row-unscaled plan [1]_.

    Use it in an :class:`AlignmentLoss` if some positive pairs are wrong. If they are right, use :class:`KLDivergence`,
    which has no options to set.

    .. math:: \sum_i a_i \Big( -\frac{1}{q} \sum_j \frac{T_{ij}}{a_i} \big(e^{s_{ij}} v_j\big)^q
        + \frac{1}{q} \Big(\lambda \sum_j e^{s_{ij}} v_j\Big)^q \Big)

    where s is the similarity divided by epsilon, and v the column scaling, which is 1 if columns are free. The last sum
    is the denominator of the last row step. The published loss overflows for a small epsilon. If a term exceeds
    ``exp(30)``, or ``exp(300)`` in double precision, the loss is divided so that its largest term is this bound.

    Parameters
    ----------
    q : float, default=0.6
        Robustness to wrong positive pairs, in (0, 1]. As q goes to 0 the loss tends to InfoNCE plus the constant log
        lam. With q = 1 it treats positive and negative pairs symmetrically, which is most robust.
    lam : float, default=0.01
        Weight of all pairs relative to the positive ones, > 0.

    References
    ----------
    .. [1] C.-Y. Chuang et al., "Robust contrastive learning against noisy views", CVPR 2022.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import AlignmentLoss, RINCEDivergence
    >>> divergence = RINCEDivergence(q=0.6, lam=0.01)
    >>> loss = AlignmentLoss(
    ...     epsilon=0.5, marginals="row", divergence=divergence, layout="cross"
    ... )
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
        # Scores are -cost / epsilon. The formula needs the similarity instead, which for the cosine is 1 - cost.
        unit = plan.similarity / plan.epsilon
        positive = _log_kernel(plan, target, plan.f, torch.zeros_like(plan.g)) + unit
        every = plan.log_row_sum - _log_weight(plan.a) + unit + math.log(self.lam)
        positive, every = self.q * positive, self.q * every
        with torch.no_grad():
            largest = torch.maximum(positive.masked_fill(target.mass == 0, -torch.inf).max(), every.max())
            excess = (largest - _LARGEST_EXPONENT[plan.a.dtype]).clamp_min(0.0)  # a constant factor of the gradient
        # expm1 keeps the digits for a small q; the two -1 cancel, since rows of T sum to a
        pull, push = target.mass * torch.expm1(positive - excess), plan.a * torch.expm1(every - excess)
        return (push.sum() - pull.sum()) / self.q


@dataclass(frozen=True)
class MarginalPenalty(Divergence):
    """Distance of the marginals from the prescribed ones, ``KL(P 1 || a) + KL(P^T 1 || b)``, with mass terms.

    Use it in a :class:`WeightedSum` if the marginals of the plan are relaxed, and their error should also count in the
    loss. To enforce the marginals in the plan, set its ``marginals`` instead.

    Examples
    --------
    Relaxed marginals are not met exactly. With "balanced" marginals the penalty would be 0.

    >>> import torch
    >>> from skgca.losses import AlignmentLoss, MarginalPenalty
    >>> loss = AlignmentLoss(
    ...     epsilon=0.5, marginals=1.0, divergence=MarginalPenalty(), layout="cross"
    ... )
    >>> round(float(loss(torch.eye(4), torch.eye(4))), 4)
    0.1506
    """

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor:
        return _kl(plan.row_mass, plan.a) + _kl(plan.col_mass, plan.b)


@dataclass(frozen=True)
class EntropyPenalty(Divergence):
    """Negative entropy of the plan, ``sum P (log P - 1)``. It needs the plan as a full matrix.

    Use it in a :class:`WeightedSum` if plans should stay spread out. A larger ``epsilon`` spreads them as well, at no
    cost in memory.

    Examples
    --------
    Its minimum, -log(16) - 1 for 16 entries, is that of a uniform plan:

    >>> import torch
    >>> from skgca.losses import AlignmentLoss, EntropyPenalty
    >>> loss = AlignmentLoss(
    ...     epsilon=0.5, marginals="balanced", divergence=EntropyPenalty(), layout="cross"
    ... )
    >>> round(float(loss(torch.eye(4), torch.eye(4))), 4)
    -3.3046
    """

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor:
        log_plan = plan.log_plan.masked_fill(torch.isneginf(plan.log_plan), 0.0)  # P log P is 0 there
        return (plan.plan * (log_plan - 1.0)).sum()


@dataclass(frozen=True)
class UniformityPenalty(Divergence):
    """Divergence of the mass on negative pairs from a uniform distribution over them.

    Use it in a :class:`WeightedSum` if a few negative pairs take most of the mass that is not on positive pairs.
    :func:`iot_uni` is the named loss with this penalty.

    It is ``KL(U || P)`` over the entries without target mass. P is normalised to sum to 1 there, and U is proportional
    to the product of the row and the column mass. It needs the plan as a full matrix.

    Examples
    --------
    All negative pairs of orthogonal rows have the same distance, so the penalty is 0:

    >>> import torch
    >>> from skgca.losses import AlignmentLoss, UniformityPenalty
    >>> loss = AlignmentLoss(
    ...     epsilon=0.5,
    ...     marginals="balanced",
    ...     divergence=UniformityPenalty(),
    ...     layout="cross",
    ... )
    >>> round(abs(float(loss(torch.eye(4), torch.eye(4)))), 4)
    0.0
    """

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor:
        log_plan = plan.log_plan
        # Positive pairs are excluded, and so are self pairs and related rows, which have no entry in the plan.
        negative = ~torch.isneginf(log_plan.detach()) & (target.dense((len(plan.a), len(plan.b))) == 0)
        uniform = (plan.a[:, None] * plan.b).masked_fill(~negative, 0.0)
        uniform = uniform / torch.where(negative.any(), uniform.sum(), 1.0)
        # P is normalised over the negative pairs by a log-sum-exp, in which an entry of -inf counts as no mass.
        log_negative = log_plan.masked_fill(~negative, -torch.inf)
        log_negative = log_negative - torch.logsumexp(log_negative.flatten(), 0)
        return (torch.xlogy(uniform, uniform) - uniform * log_negative.masked_fill(~negative, 0.0)).sum()


class WeightedSum(Divergence):
    """Weighted sum of divergences, without those of weight 0.

    Use it to add a penalty to a divergence of an :class:`AlignmentLoss`, such as a :class:`UniformityPenalty` to a
    :class:`KLDivergence`. A single divergence is passed as it is.

    Parameters
    ----------
    *terms : pair of float and Divergence
        Weight and divergence, or a callable ``(plan, target_plan) -> scalar``.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or no weight is above 0.

    Examples
    --------
    >>> from skgca.losses import KLDivergence, MarginalPenalty, UniformityPenalty
    >>> from skgca.losses import WeightedSum
    >>> WeightedSum(
    ...     (1.0, KLDivergence()), (0.1, UniformityPenalty()), (0.0, MarginalPenalty())
    ... )
    1 KLDivergence(kl='mass') + 0.1 UniformityPenalty()
    """

    def __init__(self, *terms: tuple[float, DivergenceLike]) -> None:
        for weight, divergence in terms:
            if not 0 <= weight < float("inf"):
                raise ValueError(f"The weight {weight!r} of {divergence!r} must be a finite number of at least 0.")
        self.terms = [(weight, as_divergence(divergence)) for weight, divergence in terms if weight > 0]
        if not self.terms:
            raise ValueError("Every term of the loss has weight 0; give one of them a weight above 0, such as 1.0.")

    @property
    def envelope_exact(self) -> bool:
        """Whether every term's gradient is exact with constant potentials."""
        return all(divergence.envelope_exact for _, divergence in self.terms)

    @property
    def repels(self) -> bool:
        """Whether some term keeps embeddings apart."""
        return any(divergence.repels for _, divergence in self.terms)

    def __call__(self, plan: TransportPlan, target: TargetPlan) -> Tensor:
        terms = [(weight, divergence(plan, target)) for weight, divergence in self.terms]
        first, *others = [value if weight == 1.0 else weight * value for weight, value in terms]
        return sum(others, first)

    def __repr__(self) -> str:
        return " + ".join(f"{weight:g} {divergence!r}" for weight, divergence in self.terms)


def _log_kernel(plan: TransportPlan, target: TargetPlan, f: Tensor, g: Tensor) -> Tensor:
    """Log plan at the entries of the target, without the potentials f and g and the log weights in the scores."""
    removed = target.of_rows(f + _log_weight(plan.a)) + target.of_cols(g + _log_weight(plan.b))
    return (target.log_plan(plan) - removed).masked_fill(target.mass == 0, 0.0)


def _inner(x: Tensor, y: Tensor) -> Tensor:
    """Return ``sum x * y``."""
    # A dot product of vectors is one operation, for autograd too. That of a matrix would lose digits.
    return torch.dot(x, y) if x.ndim == 1 else (x * y).sum()


def _log_weight(mass: Tensor) -> Tensor:
    """Log weight of each row from its mass. Weights have a mean of 1, and masses a sum of 1."""
    return (mass * len(mass)).log()


def _kl(mass: Tensor, prescribed: Tensor) -> Tensor:
    return (torch.xlogy(mass, mass) - torch.xlogy(mass, prescribed) - mass + prescribed).sum()
