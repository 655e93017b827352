"""Levels of a loss: what it is by chance, and at best. They tell where a loss lies, whose unit means nothing by itself.

Both are the loss of embeddings in which each view has one cost to the other view of its row, and one cost to all views
of other rows. All rows of their plan are alike, so Sinkhorn iterates on two numbers, and no matrix is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..ot import Marginals, TransportPlan
from ._alignment import AlignmentLoss
from ._divergences import (
    _LARGEST_EXPONENT,
    Divergence,
    KLDivergence,
    MarginalPenalty,
    RINCEDivergence,
    UniformityPenalty,
    WeightedSum,
)
from ._target_plan import TargetPlan
from ._targets import PairsTarget

__all__ = ["LossLevels", "loss_levels"]

_UNRELATED = 1.0  # cosine cost of unrelated directions


@dataclass(frozen=True)
class LossLevels:
    """Two values of a loss, for batches of a number of rows.

    Parameters
    ----------
    by_chance : float
        Loss of an embedding that does not tell rows apart: all pairs of views have the same cost, that of directions
        with cosine 0. NaN if it is not known.
    at_best : float
        Loss of a perfect embedding: the views of a row are equal, and different rows are as far apart as n directions
        can be from each other, with cosine -1 / (n - 1). No embedding has a lower loss. NaN if that value is not known.
    """

    by_chance: float = math.nan
    at_best: float = math.nan


def loss_levels(loss: AlignmentLoss, n_rows: int) -> LossLevels:
    r"""Return the levels of a loss for batches of n rows of equal weight.

    For InfoNCE and GCA-INCE with the cosine cost, they are

    .. math:: \log (1 + k) \quad\text{and}\quad \log \Big(1 + k e^{-\frac{n}{(n - 1) \epsilon}}\Big)

    with k = 2 n - 2 views of other rows in the joint layout, and k = n - 1 in the cross layout.

    Parameters
    ----------
    loss : AlignmentLoss
    n_rows : int
        Number of rows of a batch, at least 2.

    Returns
    -------
    LossLevels
        Both are NaN for a loss that does not keep rows apart, which has no level of chance and is least where all
        embeddings are equal; for a target other than "pairs", whose plan depends on the rows; and for a plan without
        marginals, whose mass depends on the costs. So they are for RINCE with an epsilon so small that it is divided by
        a factor that depends on the batch, see :class:`RINCEDivergence`.

    Notes
    -----
    *By chance.* With a cost other than the cosine, the level is known only if it is the same for all costs that pairs
    could have, as with a hard marginal.

    *At best.* Let a plan be P = exp(f + s + g), with scores s. Its divergence from T is a constant minus the dual
    objective of balanced transport at (f, g), whatever made f and g. So it is at least the divergence of the balanced
    plan. That is convex in s and the same for all orders of rows, so it is least where all positive pairs have one
    score and all others another. The difference of the two is largest for equal views and a regular simplex of rows.
    Its plan is the balanced one if a marginal is hard, or if rows are normalised. RINCE in the joint layout with lam of
    at most 1 decreases with each positive score, and is convex in the others and increasing, which leads to the same
    embedding. In other cases, such as relaxed marginals, a search by gradients found lower losses than this one. An
    embedding of fewer than n - 1 columns has no such simplex, so its loss stays above.
    """
    is_known = loss.repels and type(loss.target) is PairsTarget and loss.marginals != Marginals(0.0, 0.0)
    if not is_known or _is_divided(loss.divergence, loss):
        return LossLevels()
    by_chance = _value(loss, n_rows, own=_UNRELATED, other=_UNRELATED)
    if loss.cost != "cosine":
        is_same = math.isclose(by_chance, _value(loss, n_rows, own=0.0, other=0.0), rel_tol=1e-4, abs_tol=1e-4)
        return LossLevels(by_chance if is_same else math.nan)
    if not _is_least_at_simplex(loss.divergence, loss):
        return LossLevels(by_chance)
    return LossLevels(by_chance, _value(loss, n_rows, own=0.0, other=n_rows / (n_rows - 1)))


def _is_divided(divergence: Divergence, loss: AlignmentLoss) -> bool:
    """Whether RINCE divides its value for some embeddings, in the single precision of training."""
    if isinstance(divergence, WeightedSum):
        return any(_is_divided(term, loss) for _, term in divergence.terms)
    return isinstance(divergence, RINCEDivergence) and divergence.q / loss.epsilon > _LARGEST_EXPONENT[torch.float32]


def _is_least_at_simplex(divergence: Divergence, loss: AlignmentLoss) -> bool:
    """Whether no embedding has a lower loss than equal views and a regular simplex of rows; see :func:`loss_levels`."""
    if isinstance(divergence, WeightedSum):
        return all(_is_least_at_simplex(term, loss) for _, term in divergence.terms)
    condition = _LEAST_AT_SIMPLEX.get(type(divergence))
    return condition is not None and condition(divergence, loss)


def _has_hard_marginal(loss: AlignmentLoss) -> bool:
    return math.inf in (loss.marginals.rho_row, loss.marginals.rho_col)


def _is_softmax(loss: AlignmentLoss) -> bool:
    return (loss.marginals.rho_row, loss.marginals.rho_col) == (math.inf, 0.0)


_LEAST_AT_SIMPLEX: dict[type, Callable[[Any, AlignmentLoss], bool]] = {
    KLDivergence: lambda divergence, loss: divergence.kl == "rows" or _has_hard_marginal(loss),
    RINCEDivergence: lambda divergence, loss: divergence.lam <= 1 and _is_softmax(loss) and loss.layout == "joint",
    MarginalPenalty: lambda divergence, loss: _has_hard_marginal(loss),
    UniformityPenalty: lambda divergence, loss: True,
}


def _value(loss: AlignmentLoss, n_rows: int, *, own: float, other: float) -> float:
    """Return the loss of a batch whose positive pairs have the cost ``own``, and whose other pairs ``other``."""
    is_joint = loss.layout == "joint"
    n_views = 2 * n_rows if is_joint else n_rows
    solver = _AlikeRows(-own / loss.epsilon, -other / loss.epsilon, n_views, is_joint)
    mass = torch.full((n_views,), 1.0 / n_views, dtype=torch.float64)
    f, g = solver.potentials(loss)
    plan = TransportPlan(
        solver,  # type: ignore[arg-type]  # has what a plan reads of its solver
        torch.full_like(mass, f),
        torch.full_like(mass, g),
        mass,
        mass,
        loss.marginals,
        loss.epsilon,
        loss.n_iter,
        loss.tol,
        float(loss.cost == "cosine"),
    )
    with torch.no_grad():
        return float(loss.divergence(plan, TargetPlan(mass, shift=n_rows if is_joint else 0)))


@dataclass(frozen=True)
class _AlikeRows:
    """Solves for a plan whose rows all have the same scores, in other columns; TransportPlan reads it as its solver.

    own, other : score of the positive pair of a row, and of its other pairs; n_views : size of the plan; is_joint :
    whether a view has no pair with itself.
    """

    own: float
    other: float
    n_views: int
    is_joint: bool

    gradient = "unrolled"
    error = 0.0

    @property
    def source(self) -> _AlikeRows:
        return self

    @property
    def _log_sum(self) -> float:
        """Log of the sum of each row of the kernel, and of each column."""
        n_others = self.n_views - (2 if self.is_joint else 1)
        return float(torch.logaddexp(*torch.tensor([self.own, math.log(n_others) + self.other], dtype=torch.float64)))

    def potentials(self, loss: AlignmentLoss) -> tuple[float, float]:
        """Return f and g, which are the same for all views."""
        phi_row, phi_col = loss.marginals.powers(loss.epsilon)
        log_mass, log_sum = -math.log(self.n_views), self._log_sum
        f = g = 0.0
        for _ in range(1 if loss.marginals.one_sided else loss.n_iter):
            f = phi_row * (log_mass - log_sum - g)
            g = phi_col * (log_mass - log_sum - f)
        return f, g

    def mass(self, f: Tensor, g: Tensor, axis: int) -> Tensor:
        """Return the mass of each row or column of the plan, (n_views,)."""
        return torch.exp(f + g + self._log_sum)

    def log_plan_shifted(self, f: Tensor, g: Tensor, shift: int) -> Tensor:
        """Return the log of the plan at the positive pairs, (n_views,)."""
        return f + g + self.own

    def dense(self) -> Tensor:
        """Return the scores, (n_views, n_views)."""
        n = self.n_views
        rows = torch.arange(n)
        scores = torch.full((n, n), self.other, dtype=torch.float64)
        scores[rows, (rows + (n // 2 if self.is_joint else 0)) % n] = self.own
        return scores.fill_diagonal_(-torch.inf) if self.is_joint else scores
