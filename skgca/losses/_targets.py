"""Targets: which rows should match, and the target plan that follows for a batch.

A target makes an affinity from what it reads, such as labels: a matrix (n, n) of values >= 0 that says how much row i
should match row j. Three steps turn it into a plan of mass, here for labels 0, 0, 1 in the joint layout:

    affinity of rows           of views, n to 2n               scaled to the marginals
                               (self pairs have none)
      1 1 0                      0 1 0 1 1 0                   1/18 in rows 1, 2, 4 and 5: three matches,
      1 1 0       --repeat-->    1 0 0 1 1 0     --scale-->    1/6  in rows 3 and 6: the pair of row 3
      0 0 1                      0 0 0 0 0 1                   each row sums to its mass, 1/6
                                 ...

A view without any match falls back to the other view of its row. Where only rows are held, scaling is a division of
each row. Where columns are held too, it is a matrix scaling as in Sinkhorn, without a gradient. "pairs" needs no
matrix: its plan is one entry in each row.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Union

import torch
from torch import Tensor

from .._utils.classes import same_class
from .._utils.config import Configured
from ..ot import TransportPlan, sinkhorn

__all__ = [
    "TARGETS",
    "AffinityTarget",
    "ContinuousTarget",
    "DomainsTarget",
    "LabelsTarget",
    "PairsTarget",
    "Target",
    "TargetLike",
    "TargetPlan",
    "as_target",
    "make_target",
    "target_options",
]

_SCALING_STEPS = 200
_SCALING_TOL = {torch.float32: 1e-5, torch.float64: 1e-12}  # relative to the mass of each row

READS = (None, "y", "sample_domain", "affinity")
ENCODINGS = ("auto", "classes", "centred")


@dataclass(frozen=True)
class TargetPlan:
    """A target plan: a whole matrix, or only its non-zero entries.

    Parameters
    ----------
    mass : Tensor of shape (k,) or (n, m)
        Mass of the entries, >= 0. Over each row it sums to the prescribed mass of that row.
    rows, cols : Tensor of shape (k,), integer, default=None
        Positions of the entries; None for a whole matrix.

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
        """Log of a transport plan at the entries, in the shape of ``mass``, and 0 at entries without mass.

        A transport plan may have log P = -inf at entries without mass. A product with a mass of 0 would be NaN there.
        """
        if self.rows is None or self.cols is None:
            return plan.log_plan.masked_fill(self.mass == 0, 0.0)
        return plan.log_plan_at(self.rows, self.cols).masked_fill(self.mass == 0, 0.0)

    def of_rows(self, values: Tensor) -> Tensor:
        """Take the value of each entry's row from values (n,): -> (k,), or (n, 1) for a whole matrix."""
        return values[:, None] if self.rows is None else values.index_select(0, self.rows)

    def of_cols(self, values: Tensor) -> Tensor:
        """Take the value of each entry's column from values (m,): -> (k,), or (1, m) for a whole matrix."""
        return values[None, :] if self.cols is None else values.index_select(0, self.cols)

    def dense(self, shape: tuple[int, int]) -> Tensor:
        """Return the plan as a matrix of this shape."""
        if self.rows is None or self.cols is None:
            return self.mass
        return self.mass.new_zeros(shape).index_put((self.rows, self.cols), self.mass)


class Target(Configured, ABC):
    """Says which rows of a batch should match; the base class of targets, with all that is read of one.

    A target of your own inherits from it and defines ``__call__``. For :class:`skgca.GCAEmbedder` it may set what it
    reads and how that is encoded.

    Attributes
    ----------
    reads : {"y", "sample_domain", None}, default="y"
        Argument of ``GCAEmbedder.fit`` that it reads, if any. :class:`AffinityTarget` has "affinity", which stands for
        the matrix given as the parameter ``target``.
    encoding : {"auto", "classes", "centred"}, default="auto"
        Form of the values that ``GCAEmbedder`` passes. "classes" are codes from 0, and -1 for rows of no class.
        "centred" are floats, shifted so that their mean is 0, and NaN where unknown. "auto" leaves numbers as they are,
        and takes the codes of anything else.

    Examples
    --------
    Times match if they are less than an hour apart:

    >>> import torch
    >>> from skgca.losses import Target, make_loss
    >>> class SameHour(Target):
    ...     def __call__(self, seconds):
    ...         return ((seconds[:, None] - seconds).abs() < 3600).float()
    >>> z = torch.eye(4)
    >>> loss = make_loss("ince", target=SameHour())
    >>> loss(z, z, target=torch.tensor([0.0, 60.0, 7200.0, 9000.0])).shape
    torch.Size([])
    """

    reads: ClassVar[str | None] = "y"
    encoding: ClassVar[str] = "auto"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, valid in (("reads", READS), ("encoding", ENCODINGS)):
            if getattr(cls, name) not in valid:
                raise ValueError(f"{name}={getattr(cls, name)!r} of {cls.__name__} is not known; valid are {valid}.")

    def __repr__(self) -> str:
        config = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({config})"

    @abstractmethod
    def __call__(self, values: Any) -> Tensor:
        """Affinity (n, n) of the values of n rows, >= 0; entry (i, i) is that of the views of row i with each other."""

    def check(self, values: Tensor | None, n_rows: int) -> None:
        """Raise ValueError unless these are values of so many rows."""
        if values is None:
            raise ValueError(f"{self!r} reads a target; pass target=, one entry a row.")
        if len(values) != n_rows:
            raise ValueError(f"target has {len(values)} entries; {n_rows} rows need {n_rows}.")

    def select(self, values: Tensor, kept: Tensor) -> Tensor:
        """Return the values of the rows that are kept, by a boolean mask (n,)."""
        return values[kept]

    def plan(
        self,
        values: Tensor | None,
        *,
        partner: Tensor,
        row_mass: Tensor,
        n_rows: int,
        two_sided: bool,
        excluded: Tensor | None = None,
    ) -> TargetPlan:
        """Target plan of a batch: the affinity of its rows, scaled to the marginals as far as its zeros allow.

        Parameters
        ----------
        values : Tensor or None
            What the caller of the loss passed as ``target``, checked.
        partner : Tensor of shape (N,), integer
            Column that holds the other view of each row of the plan.
        row_mass : Tensor of shape (N,)
            Prescribed row mass, which is also the column mass.
        n_rows : int
            Number n of rows in the batch; N is n in the cross layout, and 2 n in the joint layout.
        two_sided : bool
            Whether the columns of the transport plan are held to their mass, so that those of the target plan must be.
        excluded : Tensor of shape (N, N), bool, default=None
            Entries that the transport plan leaves out.

        Returns
        -------
        TargetPlan

        Raises
        ------
        ValueError
            If the affinity has another shape, or an entry that is negative or not finite.
        """
        with torch.no_grad():
            affinity = torch.as_tensor(self(values)).to(row_mass)
            _check_affinity(affinity, n_rows)
            if len(partner) == 2 * n_rows:
                affinity = affinity.repeat(2, 2).fill_diagonal_(0.0)  # (2n, 2n): both views of each row, no self pairs
            if excluded is not None:
                affinity = affinity.masked_fill(excluded, 0.0)
            lonely = affinity.sum(1) == 0
            if two_sided:  # a column without an entry could not receive its mass
                lonely = lonely | (affinity.sum(0) == 0)
            affinity = affinity.index_put((lonely.nonzero()[:, 0], partner[lonely]), affinity.new_ones(()))
            # Rows of more weight are matched more. The factor makes the mean weight 1, so entries keep their magnitude.
            affinity = affinity * torch.outer(row_mass, row_mass) * len(row_mass) ** 2
            return TargetPlan(_scaled(affinity, row_mass, two_sided=two_sided))


@dataclass(frozen=True)
class PairsTarget(Target):
    """All mass of a view goes to the other view of the same row.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import PairsTarget, make_loss
    >>> z = torch.eye(4)
    >>> _, target_plan = make_loss("ince", target=PairsTarget(), layout="cross").plans(z, z)
    >>> target_plan.dense((4, 4)).diagonal()
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    reads: ClassVar[str | None] = None

    def __call__(self, values: Any) -> Tensor:
        """Affinity (n, n) of any n values: the identity."""
        return torch.eye(len(values))

    def check(self, values: Tensor | None, n_rows: int) -> None:
        """Raise ValueError if there are values."""
        if values is not None:
            raise ValueError("The target 'pairs' reads no target; leave target=None.")

    def plan(self, values: Tensor | None, *, partner: Tensor, row_mass: Tensor, **_: Any) -> TargetPlan:
        """Target plan of a batch by its entries; as a matrix it would cost as much as the transport plan."""
        return TargetPlan(row_mass, torch.arange(len(partner), device=partner.device), partner)


@dataclass(frozen=True)
class LabelsTarget(Target):
    """Rows of one class match, as in SupCon [1]_. Rows labelled -1 match only themselves.

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

    encoding: ClassVar[str] = "classes"

    def __call__(self, labels: Tensor) -> Tensor:
        """Affinity (n, n) of labels (n,)."""
        _check_vector("labels", labels)
        return _with_own_pairs(same_class(labels).float())


@dataclass(frozen=True)
class ContinuousTarget(Target):
    """Rows with close values match: ``exp(-|y_i - y_j| / sigma)``. A row of NaN matches only itself.

    Parameters
    ----------
    sigma : float, default=1.0
        Distance of values at which the affinity is 1/e, in units of the values.

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

    encoding: ClassVar[str] = "centred"  # only differences count, of which float32 holds more digits around 0

    def __post_init__(self) -> None:
        if not self.sigma > 0:
            raise ValueError(f"sigma={self.sigma!r} must be above 0, such as the standard deviation of the values.")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"sigma": self.sigma}

    def __call__(self, values: Tensor) -> Tensor:
        """Affinity (n, n) of values (n,), or of values (n, k) by their Euclidean distance."""
        if values.ndim not in (1, 2):
            raise ValueError(f"target has shape {tuple(values.shape)}; continuous values need (n,) or (n, k).")
        if not values.is_floating_point():
            values = values.to(torch.get_default_dtype())
        values = values[:, None] if values.ndim == 1 else values  # (n, k)
        # From 26 rows on, cdist expands |x - y|^2 as |x|^2 - 2 x.y + |y|^2, which loses digits far from 0.
        distance = torch.cdist(values, values, compute_mode="donot_use_mm_for_euclid_dist")
        return _with_own_pairs(torch.exp(-distance / self.sigma).nan_to_num(nan=0.0))


@dataclass(frozen=True)
class DomainsTarget(Target):
    r"""A prior on domains: ``I + alpha [same domain] + beta [other domain]`` off the diagonal [1]_.

    With ``alpha > beta`` the embedding keeps domains apart, with ``alpha < beta`` it mixes them. Both are values of a
    single entry: in a batch of n rows, ``alpha = 1 / n`` gives all rows of a domain together about as much mass as the
    own pair. Rows of domain -1 match only themselves.

    Parameters
    ----------
    alpha : float, default=0.01
        Affinity of two rows of the same domain, >= 0.
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

    reads: ClassVar[str | None] = "sample_domain"
    encoding: ClassVar[str] = "classes"

    def __post_init__(self) -> None:
        for name in ("alpha", "beta"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)!r} must be at least 0, such as 0.01.")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"alpha": self.alpha, "beta": self.beta}

    def __call__(self, domains: Tensor) -> Tensor:
        """Affinity (n, n) of domains (n,)."""
        _check_vector("domains", domains)
        known = domains != -1
        prior = torch.where(domains[:, None] == domains, float(self.alpha), float(self.beta))
        return _with_own_pairs(prior * (known[:, None] & known))


@dataclass(frozen=True)
class AffinityTarget(Target):
    """The affinity (n, n) of a batch is passed to the loss as ``target``.

    Entry (i, j) says how much row i should match row j, and entry (i, i) how much the views of row i should match each
    other. :class:`skgca.GCAEmbedder` takes the affinity of all rows as its parameter ``target`` instead.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import AffinityTarget, make_loss
    >>> z = torch.eye(4)
    >>> make_loss("ince", target=AffinityTarget())(z, z, target=torch.ones(4, 4)).shape
    torch.Size([])
    """

    reads: ClassVar[str | None] = "affinity"

    def __call__(self, affinity: Tensor) -> Tensor:
        """Return the affinity."""
        return affinity

    def check(self, values: Tensor | None, n_rows: int) -> None:
        """Raise ValueError unless this is an affinity of so many rows."""
        if values is not None and values.shape != (n_rows, n_rows):
            raise ValueError(
                f"target has shape {tuple(values.shape)}; {n_rows} rows need an affinity ({n_rows}, {n_rows})."
            )
        super().check(values, n_rows)

    def select(self, values: Tensor, kept: Tensor) -> Tensor:
        """Return the affinity between the rows that are kept, by a boolean mask (n,)."""
        return values[kept][:, kept]


@dataclass(frozen=True, repr=False)
class CallableTarget(Target):
    """A target by a callable ``(values) -> affinity (n, n)``; see :func:`as_target`.

    The callable gets what the caller of the loss passed as ``target``, which may be None.
    """

    function: Callable[[Any], Tensor]

    def __call__(self, values: Any) -> Tensor:
        return self.function(values)

    def check(self, values: Tensor | None, n_rows: int) -> None:
        """Raise ValueError if there are values, but not of so many rows."""
        if values is not None:
            super().check(values, n_rows)

    def __repr__(self) -> str:
        return repr(self.function)


TargetLike = Union[str, Target, Callable[[Any], Tensor]]

TARGETS: dict[str, type[Target]] = {
    "pairs": PairsTarget,
    "labels": LabelsTarget,
    "continuous": ContinuousTarget,
    "domains": DomainsTarget,
    "affinity": AffinityTarget,
}


def target_options(target: TargetLike) -> set[str]:
    """Names of the options of a named target; an object or a callable has none, nor has an unknown name."""
    kind = TARGETS.get(target) if isinstance(target, str) else None
    return set() if kind is None else set(inspect.signature(kind).parameters)


def make_target(target: TargetLike, **options: float) -> Target:
    """Make a target by its name in :data:`TARGETS` with options, or adapt an object or a callable."""
    if not isinstance(target, str):
        return as_target(target)
    if target not in TARGETS:
        raise ValueError(f"target={target!r} is not known; valid are {sorted(TARGETS)}, or a callable.")
    return TARGETS[target](**options)


def as_target(target: Target | Callable[[Any], Tensor]) -> Target:
    """Return a target: an object that is one already, or an adapted callable.

    Raises
    ------
    ValueError
        If it cannot be called, or is a class.
    """
    if isinstance(target, type):
        raise ValueError(f"target={target.__name__} is a class; give an object of it, such as {target.__name__}().")
    if isinstance(target, Target):
        return target
    if not callable(target):
        raise ValueError(f"target={target!r} is not known; valid are {sorted(TARGETS)}, or a callable.")
    return CallableTarget(target)


def _scaled(affinity: Tensor, mass: Tensor, *, two_sided: bool) -> Tensor:
    """Scale an affinity so that rows sum to their mass, and columns too if both sides are held."""
    tol = _SCALING_TOL[mass.dtype]
    plan = affinity * (mass / affinity.sum(1))[:, None]
    if not two_sided or _error(plan.sum(0), mass) <= tol:
        return plan
    if torch.equal(affinity, affinity.T):
        plan = _scaled_alike(affinity, mass, tol=tol)
        if _error(plan.sum(0), mass) <= tol:
            return plan
    # An affinity that is not symmetric, or whose zeros allow no exact solution: Sinkhorn from where rows are right.
    return sinkhorn(plan.log(), marginals="balanced", epsilon=1.0, n_iter=_SCALING_STEPS, tol=tol, a=mass, b=mass).plan


def _scaled_alike(affinity: Tensor, mass: Tensor, *, tol: float) -> Tensor:
    """Scale rows and columns of a symmetric affinity by the same vector.

    If own pairs dominate, this converges in a few steps, while the alternation of Sinkhorn takes thousands.
    """
    scale = (mass / affinity.sum(1)).sqrt()
    for _ in range(_SCALING_STEPS):
        sums = affinity @ scale
        if _error(scale * sums, mass) <= tol:
            break
        # The geometric mean of the old scale and mass / sums: the latter alone would oscillate between two vectors.
        scale = (scale * mass / sums).sqrt()
    return affinity * torch.outer(scale, scale)


def _error(reached: Tensor, mass: Tensor) -> float:
    """Largest relative error of the mass, so that rows of little weight are right as well."""
    return float((reached / mass - 1.0).abs().max())


def _with_own_pairs(affinity: Tensor) -> Tensor:
    """Set the affinity of each row with itself to 1, in place: that of its views with each other."""
    return affinity.fill_diagonal_(1.0)


def _check_vector(name: str, values: Tensor) -> None:
    if values.ndim != 1:
        raise ValueError(f"target has shape {tuple(values.shape)}; {name} need (n,).")


def _check_affinity(affinity: Tensor, n_rows: int) -> None:
    if affinity.shape != (n_rows, n_rows):
        raise ValueError(f"The affinity has shape {tuple(affinity.shape)}; {n_rows} rows need ({n_rows}, {n_rows}).")
    if not bool((torch.isfinite(affinity) & (affinity >= 0)).all()):
        raise ValueError(f"The affinity must hold finite values >= 0; its smallest is {float(affinity.min())}.")
