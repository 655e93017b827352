"""The named losses: each composes an AlignmentLoss, and does no arithmetic of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ot._marginals import MarginalsLike
from ._alignment import AlignmentLoss
from ._divergences import KLDivergence

__all__ = ["PRESETS", "gca_ince", "gca_uot", "ince", "make_loss"]


def ince(
    *,
    epsilon: float = 0.5,
    marginals: MarginalsLike | None = None,
    layout: str = "joint",
    n_iter: int = 10,
    tol: float | None = None,
    gradient: str = "unrolled",
    memory_limit: float | None = None,
) -> AlignmentLoss:
    r"""InfoNCE, the softmax contrastive loss: one half step of Sinkhorn.

    With only the row marginal held, the row-normalised kernel is the solution, and the divergence is the mean
    cross-entropy of finding the other view:

    .. math:: -\frac1N \sum_i \log \frac{e^{s_{i,pos(i)}}}{\sum_{j} e^{s_{ij}}}, \qquad s = \cos / \epsilon

    In the joint layout it is NT-Xent of SimCLR [1]_, in the cross layout InfoNCE [2]_ from view A to view B.

    Parameters
    ----------
    epsilon : float, default=0.5
        Temperature.
    marginals : Marginals, "row", "balanced", float, or pair of float, default=None
        None is "row". With "balanced" this is :func:`gca_ince`.
    layout : {"joint", "cross"}, default="joint"
        One plan over both views, or from one view to the other.
    n_iter : int, default=10
        Sinkhorn iterations; with "row" marginals the first is the solution.
    tol : float, default=None
        Marginal error at which to stop iterating; see :class:`AlignmentLoss`.
    gradient : {"unrolled", "envelope", "implicit"}, default="unrolled"
        How the solution is differentiated; see :func:`skgca.ot.sinkhorn`.
    memory_limit : float, default=None
        Most bytes for the kernel of a batch; see :class:`AlignmentLoss`.

    Returns
    -------
    AlignmentLoss

    References
    ----------
    .. [1] T. Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020.
    .. [2] A. van den Oord, Y. Li, O. Vinyals, "Representation learning with contrastive predictive coding", 2018.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import ince
    >>> z = torch.eye(4)
    >>> round(float(ince(epsilon=1.0, layout="cross")(z, z)), 4)
    0.7437
    """
    return AlignmentLoss(
        epsilon=epsilon,
        marginals=_or("row", marginals),
        divergence=KLDivergence(),
        layout=layout,
        n_iter=n_iter,
        tol=tol,
        gradient=gradient,
        memory_limit=memory_limit,
    )


def gca_ince(
    *,
    epsilon: float = 0.5,
    marginals: MarginalsLike | None = None,
    layout: str = "joint",
    n_iter: int = 10,
    tol: float | None = None,
    gradient: str = "unrolled",
    memory_limit: float | None = None,
) -> AlignmentLoss:
    r"""GCA-INCE: InfoNCE with both marginals held, so that no row is everybody's match [1]_.

    .. math:: \mathrm{KL}(T \,\|\, P), \qquad P = \mathrm{diag}(u) K \mathrm{diag}(v), \quad P 1 = P^T 1 = 1 / N

    Parameters
    ----------
    epsilon : float, default=0.5
        Entropic regularisation in units of the cost.
    marginals : Marginals, "row", "balanced", float, or pair of float, default=None
        None is "balanced". With "row" this is :func:`ince`.
    layout : {"joint", "cross"}, default="joint"
        One plan over both views, or from one view to the other.
    n_iter : int, default=10
        Sinkhorn iterations; 10 is the paper's choice.
    tol : float, default=None
        Marginal error at which to stop iterating; see :class:`AlignmentLoss`.
    gradient : {"unrolled", "envelope", "implicit"}, default="unrolled"
        How the solution is differentiated; see :func:`skgca.ot.sinkhorn`.
    memory_limit : float, default=None
        Most bytes for the kernel of a batch; see :class:`AlignmentLoss`.

    Returns
    -------
    AlignmentLoss

    Notes
    -----
    The divergence keeps its mass term, where the released code of the paper normalises the rows again by taking
    ``cross_entropy(log P)``, which makes its last column step count for less. Self pairs are masked, where the
    released code gives them the largest cost.

    References
    ----------
    .. [1] Z. Chen et al., "Your contrastive learning problem is secretly a distribution alignment problem",
       NeurIPS 2024.
    """
    return AlignmentLoss(
        epsilon=epsilon,
        marginals=_or("balanced", marginals),
        divergence=KLDivergence(),
        layout=layout,
        n_iter=n_iter,
        tol=tol,
        gradient=gradient,
        memory_limit=memory_limit,
    )


def gca_uot(
    *,
    epsilon: float = 0.5,
    marginals: MarginalsLike | None = None,
    layout: str = "joint",
    n_iter: int = 10,
    tol: float | None = None,
    gradient: str = "unrolled",
    memory_limit: float | None = None,
) -> AlignmentLoss:
    r"""GCA-UOT: both marginals relaxed, so that rows without a good match may keep their mass [1]_.

    .. math:: \mathrm{KL}(T \,\|\, P), \qquad P = \arg\min_P \epsilon \mathrm{KL}(P \,\|\, K)
        + \rho_{row} \mathrm{KL}(P 1 \,\|\, a) + \rho_{col} \mathrm{KL}(P^T 1 \,\|\, b)

    Parameters
    ----------
    epsilon : float, default=0.5
        Entropic regularisation in units of the cost.
    marginals : Marginals, "row", "balanced", float, or pair of float, default=None
        None is 1.0 for both. As rho grows this tends to :func:`gca_ince`, as it falls to the free plan.
    layout : {"joint", "cross"}, default="joint"
        One plan over both views, or from one view to the other.
    n_iter : int, default=10
        Sinkhorn iterations.
    tol : float, default=None
        Marginal error at which to stop iterating; see :class:`AlignmentLoss`.
    gradient : {"unrolled", "envelope", "implicit"}, default="unrolled"
        How the solution is differentiated; see :func:`skgca.ot.sinkhorn`.
    memory_limit : float, default=None
        Most bytes for the kernel of a batch; see :class:`AlignmentLoss`.

    Returns
    -------
    AlignmentLoss

    References
    ----------
    .. [1] Z. Chen et al., "Your contrastive learning problem is secretly a distribution alignment problem",
       NeurIPS 2024.
    """
    return AlignmentLoss(
        epsilon=epsilon,
        marginals=_or(1.0, marginals),
        divergence=KLDivergence(),
        layout=layout,
        n_iter=n_iter,
        tol=tol,
        gradient=gradient,
        memory_limit=memory_limit,
    )


PRESETS: dict[str, Callable[..., AlignmentLoss]] = {"ince": ince, "gca_ince": gca_ince, "gca_uot": gca_uot}


def make_loss(
    name: str,
    *,
    epsilon: float,
    marginals: MarginalsLike | None = None,
    layout: str = "joint",
    n_iter: int = 10,
    **options: Any,
) -> AlignmentLoss:
    """Make a loss by its name in :data:`PRESETS`.

    Parameters
    ----------
    name : str
        A key of :data:`PRESETS`.
    epsilon : float
        Entropic regularisation in units of the cost.
    marginals : Marginals, "row", "balanced", float, or pair of float, default=None
        None takes what the loss says.
    layout : {"joint", "cross"}, default="joint"
        One plan over both views, or from one view to the other.
    n_iter : int, default=10
        Sinkhorn iterations.
    **options
        Further options of the named loss; all take ``tol``, ``gradient`` and ``memory_limit`` of
        :class:`AlignmentLoss`.

    Returns
    -------
    AlignmentLoss

    Raises
    ------
    ValueError
        If the name or an option is not known, or a value is out of range.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import make_loss
    >>> loss = make_loss("gca_ince", epsilon=0.5)
    >>> z_a, z_b = torch.eye(8), torch.eye(8)
    >>> loss(z_a, z_b).shape
    torch.Size([])
    """
    if name not in PRESETS:
        raise ValueError(f"loss={name!r} is not known; valid are {sorted(PRESETS)}.")
    try:
        return PRESETS[name](epsilon=epsilon, marginals=marginals, layout=layout, n_iter=n_iter, **options)
    except TypeError as error:
        raise ValueError(f"The loss {name!r} does not take all of the options {sorted(options)}: {error}.") from error


def _or(default: MarginalsLike, marginals: MarginalsLike | None) -> MarginalsLike:
    return default if marginals is None else marginals
