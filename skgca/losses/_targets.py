"""Targets: which rows of a batch should match.

A target makes an affinity from what it reads, such as labels: a matrix (n, n) of values >= 0 that says how much row i
should match row j. :mod:`._target_plan` turns it into a plan of mass. Those of :mod:`._embedding_targets` also read the
embeddings of the batch.
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
from .._utils.torch_state import working_dtype
from ._target_plan import TargetPlan, scaled_plan

__all__ = [
    "TARGETS",
    "AffinityTarget",
    "ContinuousTarget",
    "DomainsTarget",
    "LabelsTarget",
    "PairsTarget",
    "Target",
    "TargetLike",
    "as_target",
    "make_target",
    "target_options",
]

READS = (None, "y", "sample_domain", "affinity")
ENCODINGS = ("auto", "classes", "centred")


class Target(Configured, ABC):
    """Base class of targets, which say which rows of a batch should match.

    Use it as the base of a target of your own, if a callable ``(values) -> affinity`` is not enough: if it has options,
    must be saved, or reads embeddings.

    A target of your own inherits from it and defines ``__call__``. For :class:`skgca.GCAEmbedder` it may also set the
    attributes.

    Attributes
    ----------
    reads : {"y", "sample_domain", None}, default="y"
        Argument of ``GCAEmbedder.fit`` that it reads, if any. The "affinity" of :class:`AffinityTarget` means the
        matrix that is given as the parameter ``target``.
    encoding : {"auto", "classes", "centred"}, default="auto"
        Form of the values that ``GCAEmbedder`` passes. "classes" are codes from 0, and -1 for rows of no class.
        "centred" are floats, shifted so that their mean is 0, and NaN where unknown; times are in seconds. "auto"
        leaves numbers unchanged, turns times into seconds since 1970, and anything else into codes.
    reads_embeddings : bool, default=False
        Whether the affinity depends on the embeddings of the batch. The target is then called with a second argument:
        the embeddings (2, n, d) of both views, detached, without the rows of weight 0. So the loss has no gradient
        through the affinity.

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
    reads_embeddings: ClassVar[bool] = False

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
        """Raise ValueError unless there are values for ``n_rows`` rows, or none where the target reads none."""
        if self.reads is None:
            if values is not None:
                raise ValueError(f"{self!r} reads no target; leave target=None.")
            return
        if values is None:
            raise ValueError(f"{self!r} reads a target; pass target=, one entry for each row.")
        if len(values) != n_rows:
            raise ValueError(f"target has {len(values)} entries; {n_rows} rows need {n_rows}.")

    def select(self, values: Tensor, kept: Tensor) -> Tensor:
        """Return the values of the rows that are kept, by a boolean mask (n,)."""
        return values[kept]

    def plan(
        self,
        values: Tensor | None,
        *,
        shift: int,
        row_mass: Tensor,
        n_rows: int,
        two_sided: bool,
        excluded: Tensor | None = None,
        embeddings: Tensor | None = None,
    ) -> TargetPlan:
        """Target plan of a batch, made from the affinity of its rows.

        Parameters
        ----------
        values : Tensor or None
            What the caller of the loss passed as ``target``, checked.
        shift : int
            The other view of row i of the plan is in column ``(i + shift) % N``.
        row_mass : Tensor of shape (N,)
            Prescribed row mass, which is also the column mass.
        n_rows : int
            Number n of rows in the batch; N is n in the cross layout, and 2 n in the joint layout.
        two_sided : bool
            Whether the column marginal of the transport plan is held, so that the target plan must have it too.
        excluded : Tensor of shape (N, N), bool, default=None
            Entries that the transport plan leaves out.
        embeddings : Tensor of shape (2, n, d), default=None
            Embeddings of the rows, without a gradient, for a target with ``reads_embeddings``.

        Returns
        -------
        TargetPlan

        Raises
        ------
        ValueError
            If the affinity has another shape, or an entry that is negative or not finite.
        """
        with torch.no_grad():
            affinity = self(values) if embeddings is None else self(values, embeddings)  # type: ignore[call-arg]
            # as_tensor would move a tensor to the default device, which may hold no data
            affinity = (affinity if isinstance(affinity, Tensor) else torch.as_tensor(affinity)).to(row_mass)
        return scaled_plan(
            affinity, shift=shift, row_mass=row_mass, n_rows=n_rows, two_sided=two_sided, excluded=excluded
        )


@dataclass(frozen=True)
class PairsTarget(Target):
    """All mass of a view goes to the other view of the same row.

    Use it by default: it needs no labels. The other targets need labels, values, domains or an affinity, or read the
    embeddings.

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

    def plan(self, values: Tensor | None, *, shift: int, row_mass: Tensor, **_: Any) -> TargetPlan:
        """Target plan of a batch by its entries; a matrix would take as much memory as the transport plan."""
        return TargetPlan(row_mass, shift=shift)


@dataclass(frozen=True)
class LabelsTarget(Target):
    """Rows of one class match, as in SupCon [1]_. Rows labelled -1 match only themselves.

    Use it if all or some rows have a class and classes should become clusters. For numbers, use
    :class:`ContinuousTarget`.

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

    Use it if rows have a number, such as an age or a dose, and close numbers should have close embeddings. For classes,
    use :class:`LabelsTarget`.

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

    encoding: ClassVar[str] = "centred"  # only differences count, and float32 is more precise around 0

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
            values = values.to(working_dtype())
        values = values[:, None] if values.ndim == 1 else values  # (n, k)
        # From 26 rows on, cdist expands |x - y|^2 as |x|^2 - 2 x.y + |y|^2, which loses digits far from 0.
        distance = torch.cdist(values, values, compute_mode="donot_use_mm_for_euclid_dist")
        return _with_own_pairs(torch.exp(-distance / self.sigma).nan_to_num(nan=0.0))


@dataclass(frozen=True)
class DomainsTarget(Target):
    r"""A prior on domains: ``I + alpha [same domain] + beta [other domain]`` off the diagonal [1]_.

    Use it if rows come from several domains, such as sites or devices, and the embedding should keep these apart or mix
    them. To match rows of one domain with their counterparts in another, use :class:`TransportTarget`.

    With ``alpha > beta`` the embedding keeps domains apart, with ``alpha < beta`` it mixes them. Both are affinities of
    a single pair. In a batch of n rows, ``alpha = 1 / n`` gives all other rows of a domain together about as much mass
    as the positive pair of the row. Rows of domain -1 match only themselves.

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
        alpha, beta = torch.tensor([self.alpha, self.beta], dtype=working_dtype(), device=domains.device)
        prior = torch.where(domains[:, None] == domains, alpha, beta)
        return _with_own_pairs(prior * (known[:, None] & known))


@dataclass(frozen=True)
class AffinityTarget(Target):
    """The affinity (n, n) of a batch is passed to the loss as ``target``.

    Use it in a torch loop if you compute for each batch how much its rows should match. For classes, numbers and
    domains, there are :class:`LabelsTarget`, :class:`ContinuousTarget` and :class:`DomainsTarget`.

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
        """Raise ValueError unless there is an affinity of ``n_rows`` rows."""
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
        """Raise ValueError if there are values, but not for ``n_rows`` rows."""
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
    """Names of the options of a named target; empty for an object, a callable or an unknown name."""
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
    """Return a :class:`Target`: the given object, or an adapted callable.

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


def _with_own_pairs(affinity: Tensor) -> Tensor:
    """Set the diagonal to 1, in place: the affinity of the views of a row with each other."""
    return affinity.fill_diagonal_(1.0)


def _check_vector(name: str, values: Tensor) -> None:
    if values.ndim != 1:
        raise ValueError(f"target has shape {tuple(values.shape)}; {name} need (n,).")
