"""The one formula behind every loss: a divergence between a transport plan and its target plan."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..ot import Marginals, TransportPlan
from ..ot._marginals import MarginalsLike
from ..ot._scores import SOURCES
from ..ot._sinkhorn import check_gradient, check_settings, solve
from ._divergences import Divergence
from ._targets import TARGETS

__all__ = ["LAYOUTS", "AlignmentLoss"]

LAYOUTS = ("joint", "cross")


class AlignmentLoss(nn.Module):
    r"""Divergence of the transport plan of a batch from its target plan.

    .. math:: d(T \,\|\, P), \qquad P = \arg\min_{P \in B} \mathrm{KL}(P \,\|\, e^{-C / \epsilon})

    where C is the cost between embeddings and the marginals decide the set B [1]_. The named losses of
    :data:`skgca.losses.PRESETS` are choices of these parts.

    Parameters
    ----------
    epsilon : float
        Entropic regularisation in units of the cost, the temperature of a softmax. For the cosine cost, which lies
        in [0, 2], 0.1 to 0.5 are usual.
    marginals : Marginals, "row", "balanced", float, or pair of float
        What binds, and how hard; see :class:`skgca.ot.Marginals`.
    divergence : Divergence
        Callable ``(plan, target_plan) -> scalar``.
    target : {"pairs"}, default="pairs"
        Target plan. "pairs" sends the mass of each row to the other view of the same row.
    cost : {"cosine", "sqeuclidean"}, default="cosine"
        Ground cost.
    layout : {"joint", "cross"}, default="joint"
        "joint" stacks both views into one plan of 2n x 2n with self pairs masked out, as NT-Xent; "cross" is the
        n x n plan from view A to view B, as InfoNCE.
    n_iter : int, default=10
        Sinkhorn iterations.
    tol : float, default=None
        Stop iterating once the marginal error of the plan, in mass of a total of 1, is at most this.
    gradient : {"unrolled", "envelope", "implicit"}, default="unrolled"
        How the solution is differentiated; see :func:`skgca.ot.sinkhorn`. "envelope" is accepted only where it is
        exact: a divergence that says so, hard or free marginals, and a ``tol``.
    memory_limit : float, default=None
        Most bytes for the kernel of a batch, beyond which it is recomputed tile by tile. None is a quarter of the
        memory that is free.

    Attributes
    ----------
    n_missed : int
        Calls that ended above ``tol``.
    worst_error : float
        Largest marginal error among them, 0.0 if there are none.

    Raises
    ------
    ValueError
        If a parameter is out of range; the message lists what is valid.

    References
    ----------
    .. [1] Z. Chen, C.-H. Lin, R. Liu, J. Xiao, E. L. Dyer, "Your contrastive learning problem is secretly a
       distribution alignment problem", NeurIPS 2024.
    """

    def __init__(
        self,
        *,
        epsilon: float,
        marginals: MarginalsLike,
        divergence: Divergence,
        target: str = "pairs",
        cost: str = "cosine",
        layout: str = "joint",
        n_iter: int = 10,
        tol: float | None = None,
        gradient: str = "unrolled",
        memory_limit: float | None = None,
    ) -> None:
        super().__init__()
        check_settings(epsilon, n_iter, tol)
        for name, value, valid in (("layout", layout, LAYOUTS), ("target", target, TARGETS), ("cost", cost, SOURCES)):
            if value not in valid:
                raise ValueError(f"{name}={value!r} is not known; valid are {sorted(valid)}.")
        self.epsilon = float(epsilon)
        self.marginals = Marginals.parse(marginals)
        self.divergence = divergence
        self.target = target
        self.cost = cost
        self.layout = layout
        self.n_iter = n_iter
        self.tol = tol
        self.gradient = gradient
        self.memory_limit = memory_limit
        self.n_missed = 0
        self.worst_error = 0.0
        check_gradient(gradient, self.marginals, tol)
        if gradient == "envelope" and not getattr(divergence, "envelope_exact", False):
            raise ValueError(
                f"gradient='envelope' is not exact for {divergence!r}: only a Kullback-Leibler divergence with its "
                f"mass term is stationary in the potentials. Use gradient='unrolled'."
            )

    def forward(
        self, z_a: Tensor, z_b: Tensor, *, target: Tensor | None = None, weight: Tensor | None = None
    ) -> Tensor:
        """Compute the loss of a batch.

        Parameters
        ----------
        z_a, z_b : Tensor of shape (n, d)
            Embeddings of two views; row i of one is paired with row i of the other.
        target : Tensor, default=None
            What the target plan reads; "pairs" reads nothing.
        weight : Tensor of shape (n,), default=None
            Mass of the rows, non-negative, in any scale. None weighs all alike. It is the prescribed mass of a row's
            views, and scales their row and column of the kernel, so that a row counts as a match and as a negative by
            its weight; a row of weight zero is left out.

        Returns
        -------
        Tensor
            Scalar. NaN if an embedding holds NaN or inf: a training loop that looks at its loss finds out without
            anyone else having to.

        Raises
        ------
        ValueError
            If shapes do not agree or there is a target where none is read.
        """
        plan = self.plan(z_a, z_b, weight=weight)
        return self.divergence(plan, TARGETS[self.target](self._partner(plan), plan.a, target))

    def plan(self, z_a: Tensor, z_b: Tensor, *, weight: Tensor | None = None) -> TransportPlan:
        """Transport plan of a batch, of shape (2n, 2n) in the joint layout and (n, n) in the cross layout.

        Parameters
        ----------
        z_a, z_b, weight
            As for calling the loss. Rows of weight zero are not in the plan.

        Returns
        -------
        TransportPlan
        """
        _check_views(z_a, z_b, weight)
        working = torch.promote_types(z_a.dtype, torch.float32)
        if weight is None:
            uneven, weight = False, z_a.new_ones(len(z_a), dtype=working)
        else:
            kept = weight > 0
            z_a, z_b, weight = z_a[kept], z_b[kept], weight[kept].to(z_a.device, working)
            uneven = bool((weight != weight[0]).any())  # even weights cancel, and cost nothing
        weight = weight / weight.mean()
        if self.layout == "joint":
            weight = torch.cat([weight, weight])
        mass, log_weight = weight / len(weight), weight.log()
        rows, cols = (torch.cat([z_a, z_b]), None) if self.layout == "joint" else (z_a, z_b)
        plan: TransportPlan = solve(
            SOURCES[self.cost](rows, cols, epsilon=self.epsilon, log_weight=log_weight if uneven else None),
            marginals=self.marginals,
            epsilon=self.epsilon,
            n_iter=self.n_iter,
            tol=self.tol,
            a=mass,
            b=mass,
            gradient=self.gradient,
            memory_limit=self.memory_limit,
        )
        if not plan.converged:
            self.n_missed += 1
            self.worst_error = max(self.worst_error, plan.marginal_error)
        return plan

    def _partner(self, plan: TransportPlan) -> Tensor:
        """Column of the plan that holds the other view of each plan row."""
        rows = torch.arange(len(plan.a), device=plan.a.device)
        return rows.roll(len(rows) // 2) if self.layout == "joint" else rows

    def extra_repr(self) -> str:
        return (
            f"epsilon={self.epsilon}, marginals={self.marginals}, divergence={self.divergence}, "
            f"target={self.target!r}, cost={self.cost!r}, layout={self.layout!r}, n_iter={self.n_iter}"
        )


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
