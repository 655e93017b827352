"""Target plans: where the mass of each row ought to go, scaled to the marginals."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Union

import torch
from torch import Tensor

from .._utils.classes import same_class
from ..ot import TransportPlan, sinkhorn

__all__ = ["TARGETS", "Affinity", "TargetLike", "TargetPlan", "make_target", "target_options", "target_plan"]

Affinity = Callable[[Any], Tensor]
TargetLike = Union[str, Affinity]

_SCALING_STEPS = 200
_SCALING_TOL = {torch.float32: 1e-5, torch.float64: 1e-12}  # of the mass of each row


@dataclass(frozen=True)
class TargetPlan:
    """A target plan, by its non-zero entries or whole.

    Parameters
    ----------
    mass : Tensor of shape (k,) or (n, m)
        Mass of the entries, >= 0. Over each row it sums to that row's prescribed mass.
    rows, cols : Tensor of shape (k,), integer, default=None
        Positions of the entries; None for a whole plan.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import TargetPlan
    >>> target = TargetPlan(torch.tensor([0.5, 0.5]), rows=torch.tensor([0, 1]), cols=torch.tensor([1, 0]))
    >>> target.dense((2, 2))
    tensor([[0.0000, 0.5000],
            [0.5000, 0.0000]])
    """

    mass: Tensor
    rows: Tensor | None = None
    cols: Tensor | None = None

    def log_plan(self, plan: TransportPlan) -> Tensor:
        """Log of a transport plan at the entries, in the shape of ``mass``; 0 where there is no mass.

        An entry without mass costs nothing, also where log P is -inf, which a product with 0 would turn into NaN.
        """
        if self.rows is None or self.cols is None:
            return plan.log_plan.masked_fill(self.mass == 0, 0.0)
        return plan.log_plan_at(self.rows, self.cols).masked_fill(self.mass == 0, 0.0)

    def of_rows(self, values: Tensor) -> Tensor:
        """Value of each entry's row, in a shape that goes with ``mass``."""
        return values[:, None] if self.rows is None else values.index_select(0, self.rows)

    def of_cols(self, values: Tensor) -> Tensor:
        """Value of each entry's column, likewise."""
        return values[None, :] if self.cols is None else values.index_select(0, self.cols)

    def dense(self, shape: tuple[int, int]) -> Tensor:
        """Return the plan as a matrix."""
        if self.rows is None or self.cols is None:
            return self.mass
        return self.mass.new_zeros(shape).index_put((self.rows, self.cols), self.mass)


@dataclass(frozen=True)
class PairsTarget:
    """The identity: all mass of a view goes to the other view of the same row."""

    def __call__(self, values: Any) -> Tensor:
        """Never asked: its plan is written down without an affinity."""
        raise NotImplementedError


@dataclass(frozen=True)
class LabelsTarget:
    """Rows of one class match, as in SupCon [1]_. Rows labelled -1 match nothing but themselves.

    References
    ----------
    .. [1] P. Khosla et al., "Supervised contrastive learning", NeurIPS 2020.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import LabelsTarget
    >>> LabelsTarget()(torch.tensor([0, 0, 1, -1]))
    tensor([[1., 1., 0., 0.],
            [1., 1., 0., 0.],
            [0., 0., 1., 0.],
            [0., 0., 0., 1.]])
    """

    def __call__(self, labels: Tensor) -> Tensor:
        """Affinity (n, n) of labels (n,)."""
        _check_vector("labels", labels)
        return _own_pairs(same_class(labels))


@dataclass(frozen=True)
class ContinuousTarget:
    """Rows match by how close their values are: ``exp(-|y_i - y_j| / sigma)``. A row of NaN matches only itself.

    Parameters
    ----------
    sigma : float, default=1.0
        Distance of values at which the affinity has fallen to 1/e, in units of the values.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import ContinuousTarget
    >>> ContinuousTarget(sigma=2.0)(torch.tensor([0.0, 2.0, torch.nan]))
    tensor([[1.0000, 0.3679, 0.0000],
            [0.3679, 1.0000, 0.0000],
            [0.0000, 0.0000, 1.0000]])
    """

    sigma: float = 1.0

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"sigma={self.sigma!r} must be above 0, such as the standard deviation of the values.")

    def __call__(self, values: Tensor) -> Tensor:
        """Affinity (n, n) of values (n,), or (n, k) by their Euclidean distance."""
        if values.ndim not in (1, 2):
            raise ValueError(f"target has shape {tuple(values.shape)}; continuous values need (n,) or (n, k).")
        if not values.is_floating_point():
            values = values.to(torch.get_default_dtype())
        values = values[:, None] if values.ndim == 1 else values
        # by differences: |x|^2 - 2 x.y + |y|^2, which cdist takes from 26 rows on, loses what is far from 0
        apart = torch.cdist(values, values, compute_mode="donot_use_mm_for_euclid_dist")
        return _own_pairs(torch.exp(-apart / self.sigma).nan_to_num(nan=0.0))


@dataclass(frozen=True)
class DomainsTarget:
    r"""A prior on domains: ``I + alpha [same domain] + beta [other domain]`` off the diagonal [1]_.

    The sign of ``alpha - beta`` says whether the embedding is to keep what tells domains apart. Both are per entry: in
    a batch of n rows, ``alpha = 1 / n`` gives all rows of a domain together about as much mass as the own pair. Rows
    of domain -1 match nothing but themselves.

    Parameters
    ----------
    alpha : float, default=0.01
        Affinity of two rows of one domain, >= 0.
    beta : float, default=0.0
        Affinity of two rows of different domains, >= 0.

    References
    ----------
    .. [1] Z. Chen et al., "Your contrastive learning problem is secretly a distribution alignment problem",
       NeurIPS 2024.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import DomainsTarget
    >>> DomainsTarget(alpha=0.5, beta=0.1)(torch.tensor([0, 0, 1, -1]))
    tensor([[1.0000, 0.5000, 0.1000, 0.0000],
            [0.5000, 1.0000, 0.1000, 0.0000],
            [0.1000, 0.1000, 1.0000, 0.0000],
            [0.0000, 0.0000, 0.0000, 1.0000]])
    """

    alpha: float = 0.01
    beta: float = 0.0

    def __post_init__(self) -> None:
        for name in ("alpha", "beta"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)!r} must be at least 0, such as 0.01.")

    def __call__(self, domains: Tensor) -> Tensor:
        """Affinity (n, n) of domains (n,)."""
        _check_vector("domains", domains)
        known = domains != -1
        prior = torch.where(domains[:, None] == domains, float(self.alpha), float(self.beta))
        return _own_pairs(prior * (known[:, None] & known))


@dataclass(frozen=True)
class AffinityTarget:
    """An affinity that is given, (n, n), entry (i, j) saying how much row i is to match row j.

    Entry (i, i) is that of the views of row i with each other.
    """

    def __call__(self, affinity: Tensor) -> Tensor:
        """Return it."""
        return affinity


TARGETS: dict[str, Callable[..., Affinity]] = {
    "pairs": PairsTarget,
    "labels": LabelsTarget,
    "continuous": ContinuousTarget,
    "domains": DomainsTarget,
    "affinity": AffinityTarget,
}


def target_options(target: TargetLike) -> set[str]:
    """Names of the options that a target plan takes; a callable takes none, nor does a name that is not known."""
    make = TARGETS.get(target) if isinstance(target, str) else None
    return set() if make is None else set(inspect.signature(make).parameters)


def make_target(target: TargetLike, **options: float) -> Affinity:
    """Make a target plan by its name in :data:`TARGETS`; a callable is one already."""
    if callable(target):
        return target
    if target not in TARGETS:
        raise ValueError(f"target={target!r} is not known; valid are {sorted(TARGETS)}, or a callable.")
    return TARGETS[target](**options)


def target_plan(
    make: Affinity,
    values: Any,
    *,
    partner: Tensor,
    row_mass: Tensor,
    n_rows: int,
    two_sided: bool,
    excluded: Tensor | None = None,
) -> TargetPlan:
    """Target plan of a batch.

    The affinity of two rows counts for each pair of their views, by the product of their masses. Self pairs have none,
    nor have entries that the plan excludes. A row that this leaves without a match in the batch falls back to its own
    pair, as does one that no other matches, where columns are held. Then the affinity is scaled to the row mass, or,
    where the columns of the plan are held too, to both marginals, as far as its zeros allow.

    Parameters
    ----------
    make : callable ``(values) -> affinity (n, n)``
    values : Tensor or None
        What the caller of the loss passed as ``target``.
    partner : Tensor of shape (N,), integer
        Column that holds the other view of each plan row.
    row_mass : Tensor of shape (N,)
        Prescribed row mass; that of the columns is the same.
    n_rows : int
        Rows n of the batch; N is n, or 2 n in the joint layout.
    two_sided : bool
        Whether the columns of the plan are held to their mass.
    excluded : Tensor of shape (N, N), bool, default=None
        Entries that the plan leaves out.

    Returns
    -------
    TargetPlan

    Raises
    ------
    ValueError
        If the affinity has another shape, is negative or not finite, or there is nothing to make it from.
    """
    if isinstance(make, PairsTarget):
        if values is not None:
            raise ValueError("The target plan 'pairs' reads no target; leave target=None.")
        return TargetPlan(row_mass, torch.arange(len(partner), device=partner.device), partner)
    if values is None and type(make) in TARGETS.values():
        raise ValueError(f"{make!r} reads a target; pass target=, one entry a row.")
    with torch.no_grad():
        affinity = torch.as_tensor(make(values)).to(row_mass)
        _check_affinity(affinity, n_rows)
        if len(partner) == 2 * n_rows:
            affinity = affinity.repeat(2, 2).fill_diagonal_(0.0)  # (2n, 2n): both views of each row, self pairs out
        if excluded is not None:
            affinity = affinity.masked_fill(excluded, 0.0)
        lonely = affinity.sum(1) == 0
        if two_sided:
            lonely = lonely | (affinity.sum(0) == 0)
        affinity = affinity.index_put((lonely.nonzero()[:, 0], partner[lonely]), affinity.new_ones(()))
        affinity = affinity * torch.outer(row_mass, row_mass) * len(row_mass) ** 2  # of the size it had
        return TargetPlan(_scaled(affinity, row_mass, two_sided=two_sided))


def _scaled(affinity: Tensor, mass: Tensor, *, two_sided: bool) -> Tensor:
    tol = _SCALING_TOL[mass.dtype]
    plan = affinity * (mass / affinity.sum(1))[:, None]
    if not two_sided or _error(plan.sum(0), mass) <= tol:
        return plan
    if torch.equal(affinity, affinity.T):
        plan = _scaled_alike(affinity, mass, tol=tol)
        if _error(plan.sum(0), mass) <= tol:
            return plan
    return sinkhorn(plan.log(), marginals="balanced", epsilon=1.0, n_iter=_SCALING_STEPS, tol=tol, a=mass, b=mass).plan


def _scaled_alike(affinity: Tensor, mass: Tensor, *, tol: float) -> Tensor:
    """Scale rows and columns of a symmetric affinity by one vector.

    Where the own pairs dominate, Sinkhorn's alternation takes thousands of steps to settle, and this a few.
    """
    scale = (mass / affinity.sum(1)).sqrt()
    for _ in range(_SCALING_STEPS):
        sums = affinity @ scale
        if _error(scale * sums, mass) <= tol:
            break
        scale = (scale * mass / sums).sqrt()
    return affinity * torch.outer(scale, scale)


def _error(found: Tensor, mass: Tensor) -> float:
    """Largest error in proportion to what is due, so that a row of little weight is right as well."""
    return float((found / mass - 1.0).abs().max())


def _own_pairs(affinity: Tensor) -> Tensor:
    """Give each row the affinity 1 with itself, that is, of its views with each other."""
    return affinity.float().fill_diagonal_(1.0) if affinity.dtype == torch.bool else affinity.fill_diagonal_(1.0)


def _check_vector(name: str, values: Tensor) -> None:
    if values.ndim != 1:
        raise ValueError(f"target has shape {tuple(values.shape)}; {name} need (n,).")


def _check_affinity(affinity: Tensor, n_rows: int) -> None:
    if affinity.shape != (n_rows, n_rows):
        raise ValueError(f"The affinity has shape {tuple(affinity.shape)}; {n_rows} rows need ({n_rows}, {n_rows}).")
    if not bool((torch.isfinite(affinity) & (affinity >= 0)).all()):
        raise ValueError(f"The affinity must hold finite values >= 0; its smallest is {float(affinity.min())}.")
