"""The formula behind every loss: a divergence between a transport plan and its target plan.

One call of a loss: embeddings (n, d) of two views -> log kernel (N, N) -> :class:`PlanSolver` -> transport plan;
``target`` and weights -> target plan (N, N); both -> divergence -> scalar. N is 2 n in the joint layout, and n in the
cross layout.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .._utils.classes import same_class
from .._utils.device import on_device
from .._utils.torch_state import in_full_precision, working_dtype
from ..ot import Marginals, TransportPlan
from ..ot._log_kernel import LOG_KERNELS, DenseLogKernel, LogKernel
from ..ot._marginals import MarginalsLike
from ..ot._sinkhorn import check_gradient, check_settings, solve
from ._divergences import DivergenceLike, as_divergence
from ._epsilon import LearnableEpsilon
from ._target_plan import TargetPlan
from ._targets import TargetLike, make_target

__all__ = ["LAYOUTS", "AlignmentLoss", "PlanSolver", "related_rows"]

LAYOUTS = ("joint", "cross")


class PlanSolver(nn.Module):
    """Solves for the transport plan of a batch. It is a module so that forward hooks can observe the plans."""

    def forward(self, source: LogKernel, **settings: Any) -> TransportPlan:
        """Return the plan of a log kernel, with the settings of :func:`skgca.ot.sinkhorn`."""
        plan: TransportPlan = solve(source, **settings)
        return plan


class AlignmentLoss(nn.Module):
    r"""Divergence of the transport plan of a batch from its target plan.

    Use it to combine marginals, divergence and target in a way that no named loss has. If a named loss will do,
    :func:`make_loss` or its function is shorter.

    .. math:: d(T \,\|\, P), \qquad P = \arg\min_{P \in B} \mathrm{KL}(P \,\|\, e^{-C / \epsilon})

    where C is the cost between embeddings, and B the set of plans that the marginals allow [1]_. Each named loss of
    :data:`skgca.losses.PRESETS` is a choice of these parts.

    Parameters
    ----------
    epsilon : float or LearnableEpsilon
        Entropic regularisation in units of the cost: the temperature of a softmax. For the cosine cost, which lies
        in [0, 2], 0.1 to 0.5 are usual. With a :class:`LearnableEpsilon`, log epsilon is a parameter of the module.
    marginals : Marginals, "row", "balanced", float, or pair of float
        Which marginals are constrained, and how strongly; see :class:`skgca.ot.Marginals`.
    divergence : Divergence
        A :class:`Divergence`, or a callable ``(plan, target_plan) -> scalar``.
    target : {"pairs", "labels", "continuous", "domains", "affinity"}, Target or callable, default="pairs"
        Which rows should match. With "pairs", the mass of each row goes to the other view of the same row. The other
        names distribute it in proportion to an affinity of rows: from labels, continuous values or domains, or a given
        affinity. An object, such as ``DomainsTarget(alpha=0.1)``, has its own options. A callable
        ``(values) -> affinity (n, n)`` gets the ``target`` of the call.
    cost : {"cosine", "sqeuclidean", "student_t"}, default="cosine"
        Ground cost; see :func:`skgca.ot.sinkhorn_embeddings`.
    layout : {"joint", "cross"}, default="joint"
        "joint" stacks both views into one plan of 2n x 2n without self pairs, as in NT-Xent; "cross" is the n x n plan
        from view A to view B, as in InfoNCE.
    n_iter : int, default=10
        Sinkhorn iterations.
    tol : float, default=None
        Iterations stop once the marginal error of the plan, relative to a total mass of 1, is at most this.
    gradient : {"unrolled", "envelope", "implicit"}, default="unrolled"
        How the solution is differentiated; see :func:`skgca.ot.sinkhorn`. "envelope" is accepted only if it is exact:
        with a divergence that has ``envelope_exact``, hard or free marginals, and a ``tol``.
    memory_limit : float, default=None
        Largest size of the kernel of a batch, in bytes, at which it is stored; a larger one is recomputed tile by tile.
        None is a quarter of the free memory. A target other than "pairs", related rows, the cost "student_t" and
        penalties on single entries need full matrices in any case.

    Attributes
    ----------
    solver : Module
        Solves for the plan of each batch. Its ``register_forward_hook`` observes the plans: a hook gets
        ``(solver, args, plan)``, and ``plan.converged`` and ``plan.marginal_error`` say how a plan ended.

    Raises
    ------
    ValueError
        If a parameter is out of range; the message lists what is valid.

    References
    ----------
    .. [1] Z. Chen, C.-H. Lin, R. Liu, J. Xiao, E. L. Dyer, "Your contrastive learning problem is secretly a
       distribution alignment problem", NeurIPS 2024.

    Examples
    --------
    With a relaxed column marginal, the rows of view A keep almost equal mass, but those of view B do not:

    >>> import torch
    >>> from skgca.losses import AlignmentLoss, KLDivergence
    >>> loss = AlignmentLoss(
    ...     epsilon=0.2,
    ...     marginals=(float("inf"), 1.0),
    ...     divergence=KLDivergence(),
    ...     layout="cross",
    ... )
    >>> z_a, z_b = torch.randn(2, 64, 8, generator=torch.Generator().manual_seed(0))
    >>> loss(z_a, z_b).shape
    torch.Size([])
    >>> plan = loss.plan(z_a, z_b)
    >>> rows, columns = plan.row_mass, plan.col_mass
    >>> float(columns.min() / columns.max()) < 0.9 < float(rows.min() / rows.max())
    True
    """

    def __init__(
        self,
        *,
        epsilon: float | LearnableEpsilon,
        marginals: MarginalsLike,
        divergence: DivergenceLike,
        target: TargetLike = "pairs",
        cost: str = "cosine",
        layout: str = "joint",
        n_iter: int = 10,
        tol: float | None = None,
        gradient: str = "unrolled",
        memory_limit: float | None = None,
    ) -> None:
        super().__init__()
        self.bounds: tuple[float, float] | None = None
        if isinstance(epsilon, LearnableEpsilon):
            self.bounds = epsilon.low, epsilon.high
            self.log_epsilon = nn.Parameter(torch.tensor(math.log(epsilon.start), dtype=working_dtype()))
            epsilon = epsilon.start
        check_settings(epsilon, n_iter, tol)
        for name, value, valid in (("layout", layout, LAYOUTS), ("cost", cost, LOG_KERNELS)):
            if value not in valid:
                raise ValueError(f"{name}={value!r} is not known; valid are {sorted(valid)}.")
        self._epsilon = float(epsilon)
        self.marginals = Marginals.parse(marginals)
        self.divergence = as_divergence(divergence)
        self.target = make_target(target)
        self.cost = cost
        self.layout = layout
        self.n_iter = n_iter
        self.tol = tol
        self.gradient = gradient
        self.memory_limit = memory_limit
        self.solver = PlanSolver()
        check_gradient(gradient, self.marginals, tol)
        if gradient == "envelope" and not self.divergence.envelope_exact:
            raise ValueError(
                f"gradient='envelope' is not exact for {divergence!r}: only a Kullback-Leibler divergence with its "
                f"mass term is stationary in the potentials. Use gradient='unrolled'."
            )

    @property
    def epsilon(self) -> float:
        """Current epsilon."""
        if self.bounds is None:
            return self._epsilon
        low, high = self.bounds  # an optimizer step may exceed them, until the next call of the loss clamps
        return min(max(math.exp(float(self.log_epsilon.detach())), low), high)

    @property
    def repels(self) -> bool:
        """Whether the loss keeps embeddings apart. If not, training without a target network makes them all equal."""
        return self.divergence.repels

    def forward(
        self,
        z_a: Tensor,
        z_b: Tensor,
        *,
        target: Tensor | None = None,
        weight: Tensor | None = None,
        related: Tensor | None = None,
    ) -> Tensor:
        """Compute the loss of a batch.

        Parameters
        ----------
        z_a, z_b : Tensor of shape (n, d)
            Embeddings of two views; row i of one is paired with row i of the other.
        target : Tensor, default=None
            What the target reads: labels or domains (n,), with -1 for unknown; values (n,) or (n, k), with NaN for
            unknown; or an affinity (n, n). "pairs" reads nothing.
        weight : Tensor of shape (n,), default=None
            Weights of the rows, non-negative, in any scale. None gives all rows the same weight. A weight is the
            prescribed mass of a row's views, and also scales their rows and columns of the kernel. So the weight of a
            row applies to it both as a match and as a negative. A row of weight zero is left out.
        related : Tensor of shape (n,) or (n, n), default=None
            Which rows are related and thus neither negatives nor matches of each other, such as rows of the same
            subject. Either groups (n,), which relate all rows of a group, with -1 for no group, or a boolean matrix
            (n, n). The plan has no entry between views of two related rows. The views of a row always match.

        Returns
        -------
        Tensor
            Scalar. It is NaN if an embedding holds NaN or inf, which is not checked for separately.

        Raises
        ------
        ValueError
            If shapes do not agree, a target is missing, or a target is given to a loss that reads none.
        """
        plan, target_plan = self.plans(z_a, z_b, target=target, weight=weight, related=related)
        return self.divergence(plan, target_plan)

    @in_full_precision
    def plans(
        self,
        z_a: Tensor,
        z_b: Tensor,
        *,
        target: Tensor | None = None,
        weight: Tensor | None = None,
        related: Tensor | None = None,
    ) -> tuple[TransportPlan, TargetPlan]:
        """Transport plan of a batch, and the target plan that the loss compares it with.

        Parameters
        ----------
        z_a, z_b, target, weight, related
            As for calling the loss.

        Returns
        -------
        plan : TransportPlan
        target_plan : TargetPlan
        """
        _check_views(z_a, z_b, weight)
        self.target.check(target, len(z_a))
        target = None if target is None else target.to(z_a.device)
        kept = _rows_above_zero(weight, z_a.device)
        if target is not None and kept is not None:
            target = self.target.select(target, kept)
        z_a, z_b, weight, related = _select_rows(z_a, z_b, weight, related, kept)
        log_weight, mass = self._masses(z_a, weight)
        seen = {"embeddings": torch.stack([z_a, z_b]).detach()} if self.target.reads_embeddings else {}
        target_plan = self.target.plan(
            target,
            shift=len(z_a) if self.layout == "joint" else 0,
            row_mass=mass,
            n_rows=len(z_a),
            two_sided=self.marginals.rho_col > 0,
            excluded=None if related is None else self._between_views(related),
            **seen,
        )
        return self._solve(z_a, z_b, log_weight, mass, related, shift=target_plan.shift), target_plan

    @in_full_precision
    def plan(
        self, z_a: Tensor, z_b: Tensor, *, weight: Tensor | None = None, related: Tensor | None = None
    ) -> TransportPlan:
        """Transport plan of a batch, of shape (2n, 2n) in the joint layout and (n, n) in the cross layout.

        Parameters
        ----------
        z_a, z_b, weight, related
            As for calling the loss. Rows of weight zero are not in the plan.

        Returns
        -------
        TransportPlan
        """
        _check_views(z_a, z_b, weight)
        kept = _rows_above_zero(weight, z_a.device)
        z_a, z_b, weight, related = _select_rows(z_a, z_b, weight, related, kept)
        return self._solve(z_a, z_b, *self._masses(z_a, weight), related)

    def _masses(self, z_a: Tensor, weight: Tensor | None) -> tuple[Tensor | None, Tensor]:
        """Return the log weights and the masses of all views (N,); None for equal weights."""
        working = torch.promote_types(z_a.dtype, torch.float32)
        n_views = 2 * len(z_a) if self.layout == "joint" else len(z_a)
        # Equal weights cancel in the kernel, and make all masses equal.
        if weight is None or bool((weight == weight[0]).all()):
            return None, z_a.new_full((n_views,), 1.0 / n_views, dtype=working)
        weight = on_device(weight.to(working), z_a.device)
        weight = weight / weight.mean()
        if self.layout == "joint":
            weight = torch.cat([weight, weight])  # (2n,)
        return weight.log(), weight / n_views

    def _solve(
        self,
        z_a: Tensor,
        z_b: Tensor,
        log_weight: Tensor | None,
        mass: Tensor,
        related: Tensor | None,
        shift: int | None = None,
    ) -> TransportPlan:
        # In the joint layout, the log kernel gets a single tensor (2n, d), and therefore masks self pairs.
        rows, cols = (torch.cat([z_a, z_b]), None) if self.layout == "joint" else (z_a, z_b)
        epsilon = self._epsilon if self.bounds is None else self._learned_epsilon()
        source = LOG_KERNELS[self.cost](rows, cols, epsilon=epsilon, log_weight=log_weight)
        if related is not None:
            source = DenseLogKernel(source.dense().masked_fill(self._between_views(related), -torch.inf))
        plan: TransportPlan = self.solver(
            source,
            marginals=self.marginals,
            epsilon=epsilon,
            n_iter=self.n_iter,
            tol=self.tol,
            a=mass,
            b=mass,
            gradient=self.gradient,
            memory_limit=self.memory_limit,
            similarity=float(self.cost == "cosine"),
            equal_masses=log_weight is None,
            shift=shift,
        )
        return plan

    def _learned_epsilon(self) -> Tensor:
        assert self.bounds is not None
        low, high = self.bounds
        with torch.no_grad():  # in place, since clamping a copy would remove its gradient beyond the bounds
            self.log_epsilon.clamp_(math.log(low), math.log(high))
        return self.log_epsilon.exp()

    def _between_views(self, relation: Tensor) -> Tensor:
        """Turn a relation (n, n) of rows into one of the views in the plan, (N, N)."""
        return relation.repeat(2, 2) if self.layout == "joint" else relation

    def extra_repr(self) -> str:
        return (
            f"epsilon={self.epsilon:g}, marginals={self.marginals}, divergence={self.divergence}, "
            f"target={self.target!r}, cost={self.cost!r}, layout={self.layout!r}, n_iter={self.n_iter}"
        )


def related_rows(related: Tensor, n: int) -> Tensor:
    """Return related rows as a boolean matrix (n, n) with a diagonal of False: the views of a row always match."""
    if related.shape == (n,):
        related = same_class(related)
    if related.shape != (n, n) or related.dtype != torch.bool:
        raise ValueError(
            f"related has shape {tuple(related.shape)} of {related.dtype}; {n} rows need groups ({n},) or a boolean "
            f"matrix ({n}, {n})."
        )
    return related.masked_fill(torch.eye(n, dtype=torch.bool, device=related.device), False)


def _rows_above_zero(weight: Tensor | None, device: torch.device) -> Tensor | None:
    """Return a boolean mask (n,) of the rows with a weight above zero, or None if all rows have one."""
    return None if weight is None or bool((weight > 0).all()) else weight.to(device) > 0


def _select_rows(
    z_a: Tensor, z_b: Tensor, weight: Tensor | None, related: Tensor | None, kept: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Return the values of the kept rows, with ``related`` as a boolean matrix."""
    if related is not None:
        related = related_rows(related.to(z_a.device), len(z_a))
    if weight is None or kept is None:
        return z_a, z_b, weight, related
    related = None if related is None else related[kept][:, kept]
    return z_a[kept], z_b[kept], weight[weight > 0], related


def _check_views(z_a: Tensor, z_b: Tensor, weight: Tensor | None) -> None:
    if z_a.ndim != 2 or z_a.shape != z_b.shape or len(z_a) == 0:
        raise ValueError(
            f"z_a and z_b must share one shape (n, d) with n >= 1; got {tuple(z_a.shape)} and {tuple(z_b.shape)}."
        )
    if weight is None:
        return
    if weight.shape != (len(z_a),):
        raise ValueError(f"weight has shape {tuple(weight.shape)}; {len(z_a)} pairs need ({len(z_a)},).")
    if not bool((torch.isfinite(weight) & (weight >= 0)).all()) or not bool((weight > 0).any()):
        raise ValueError(f"weight must hold finite values >= 0, not all zero; its smallest is {float(weight.min())}.")
