"""GCA: the divergences of InfoNCE and RINCE, for a plan with both marginals constrained or relaxed."""

from __future__ import annotations

from typing import Any

from ...ot._marginals import MarginalsLike
from .._alignment import AlignmentLoss
from .._divergences import EntropyPenalty, KLDivergence, MarginalPenalty, RINCEDivergence, WeightedSum
from .._epsilon import Epsilon

__all__ = ["gca_ince", "gca_rince", "gca_uot"]


def gca_ince(*, epsilon: Epsilon = 0.5, marginals: MarginalsLike = "balanced", **settings: Any) -> AlignmentLoss:
    r"""GCA-INCE: InfoNCE with both marginals constrained, so that no row matches too many others [1]_.

    Use it by default. :func:`rince` is for wrong pairs, :func:`gca_uot` for strong views, and :func:`supcon` for
    labels.

    .. math:: \mathrm{KL}(T \,\|\, P), \qquad P = \mathrm{diag}(u) K \mathrm{diag}(v), \quad P 1 = P^T 1 = 1 / N

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Entropic regularisation in units of the cost.
    marginals : Marginals, "row", "balanced", float, or pair of float, default="balanced"
        Which marginals are constrained, and how strongly. With "row" this is :func:`ince`.
    **settings
        Further parameters of :class:`AlignmentLoss`. Its default of 10 iterations is that of the paper.

    Returns
    -------
    AlignmentLoss

    Notes
    -----
    The divergence has its mass term. The released code of the paper computes ``cross_entropy(log P)`` instead, which
    normalises the rows again and so weakens the last column step. Self pairs are masked here. The released code gives
    them the largest cost.

    References
    ----------
    .. [1] Z. Chen et al., "Your contrastive learning problem is secretly a distribution alignment problem",
       NeurIPS 2024.

    Examples
    --------
    All rows of one view are near the first row of the other. InfoNCE sends more than a third of the mass to that row:

    >>> import torch
    >>> from skgca.losses import gca_ince, ince
    >>> z_a = torch.tensor([[1.0, 0.0], [1.0, 0.2], [1.0, -0.2]])
    >>> z_b = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> ince(layout="cross").plan(z_a, z_b).col_mass
    tensor([0.7738, 0.1131, 0.1131])
    >>> gca_ince(layout="cross").plan(z_a, z_b).col_mass
    tensor([0.3333, 0.3333, 0.3333])
    """
    return AlignmentLoss(epsilon=epsilon, marginals=marginals, divergence=KLDivergence(), **settings)


def gca_rince(
    *, epsilon: Epsilon = 0.5, marginals: MarginalsLike = "balanced", q: float = 0.6, lam: float = 0.01, **settings: Any
) -> AlignmentLoss:
    r"""GCA-RINCE: robust InfoNCE on the row-unscaled Sinkhorn plan [1]_.

    Use it as :func:`rince`, if pairs are wrong, and the plan should also be balanced. If pairs are right, use
    :func:`gca_ince`.

    .. math:: \frac1N \sum_i \Big( -\frac1q \Big(\frac{P_{i,pos(i)}}{u_i}\Big)^q
        + \frac1q \Big(\frac{\lambda}{N u_i}\Big)^q \Big), \qquad P = \mathrm{diag}(u) K \mathrm{diag}(v),
        \quad K = e^{\cos / \epsilon}

    Iterations start from v = 1. After a single half step it is :func:`rince`.

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Entropic regularisation in units of the cost.
    marginals : Marginals, "row", "balanced", float, or pair of float, default="balanced"
        Which marginals are constrained, and how strongly. With "row" this is :func:`rince`.
    q : float, default=0.6
        As in :func:`rince`.
    lam : float, default=0.01
        As in :func:`rince`.
    **settings
        Further parameters of :class:`AlignmentLoss`.

    Returns
    -------
    AlignmentLoss

    Notes
    -----
    The factor N in the second denominator comes from the mass of a row, which is 1 in the paper and 1/N here. For a
    relaxed row marginal, the second term has the denominator of the last row step.

    References
    ----------
    .. [1] Z. Chen et al., "Your contrastive learning problem is secretly a distribution alignment problem",
       NeurIPS 2024.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import gca_rince, rince
    >>> z_a = torch.tensor([[1.0, 0.0], [1.0, 0.2], [1.0, -0.2]])
    >>> z_b = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> round(float(gca_rince(layout="cross")(z_a, z_b)), 3)
    -3.401
    >>> loss = gca_rince(marginals="row", layout="cross")
    >>> bool(loss(z_a, z_b) == rince(layout="cross")(z_a, z_b))
    True
    """
    return AlignmentLoss(epsilon=epsilon, marginals=marginals, divergence=RINCEDivergence(q, lam), **settings)


def gca_uot(
    *,
    epsilon: Epsilon = 0.5,
    marginals: MarginalsLike = 1.0,
    kl: str = "mass",
    kl_weight: float = 1.0,
    rince_weight: float = 0.0,
    q: float = 0.6,
    lam: float = 0.01,
    marginal_weight: float = 0.0,
    entropy_weight: float = 0.0,
    **settings: Any,
) -> AlignmentLoss:
    r"""GCA-UOT: both marginals relaxed, so that mass of rows without a good match may stay unmatched [1]_.

    Use it if you search for neighbours and the views are so strong that some rows have no good match. With the usual
    views, :func:`gca_ince` is as good.

    .. math:: & r_1 \mathrm{KL}(T \,\|\, P) + r_2 \mathrm{RINCE}(P) \\
        & + r_3 (\mathrm{KL}(P 1 \,\|\, a) + \mathrm{KL}(P^T 1 \,\|\, b)) + r_4 \sum P (\log P - 1)

    .. math:: P = \arg\min_P \epsilon \mathrm{KL}(P \,\|\, K)
        + \rho_{row} \mathrm{KL}(P 1 \,\|\, a) + \rho_{col} \mathrm{KL}(P^T 1 \,\|\, b)

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Entropic regularisation in units of the cost.
    marginals : Marginals, "row", "balanced", float, or pair of float, default=1.0
        Strengths rho. With large values the loss tends to :func:`gca_ince`, and with small ones the plan tends to the
        free plan. At epsilon 0.5, 1 was the best of several values from 0.1 to 5; 0.1 with "mass" was bad.
    kl : {"mass", "rows"}, default="mass"
        Form of the divergence: with its mass term, or, as in the released code, of the plan with normalised rows.
        Embeddings with "rows" are like those of :func:`ince`, for all rho. At the default rho, embeddings with "mass"
        were better, by 1.5 to 2.6 points with few labels (``docs/evidence/family.md``).
    kl_weight : float, default=1.0
        r1, weight of the divergence.
    rince_weight : float, default=0.0
        r2, weight of the divergence of :func:`rince`; the paper used 0.02 and 1.
    q, lam : float, default=0.6, 0.01
        As in :func:`rince`; they need a ``rince_weight`` above 0.
    marginal_weight : float, default=0.0
        r3, weight of a penalty on unmatched mass.
    entropy_weight : float, default=0.0
        r4, weight of a penalty on plans that are not spread out.
    **settings
        Further parameters of :class:`AlignmentLoss`.

    Returns
    -------
    AlignmentLoss

    Notes
    -----
    The two loss files of the released code give r1 and r2 opposite meanings. Here each weight is named after its term.

    References
    ----------
    .. [1] Z. Chen et al., "Your contrastive learning problem is secretly a distribution alignment problem",
       NeurIPS 2024.

    Examples
    --------
    The last row has no good match, so less of its mass is matched:

    >>> import torch
    >>> from skgca.losses import gca_uot
    >>> z_a = torch.eye(4)
    >>> z_b = torch.tensor([1.0, 1.0, 1.0, -1.0])[:, None] * z_a
    >>> gca_uot(layout="cross").plan(z_a, z_b).row_mass
    tensor([0.3617, 0.3617, 0.3617, 0.2375])
    """
    divergence = WeightedSum(
        (kl_weight, KLDivergence(kl)),
        (rince_weight, RINCEDivergence(q, lam)),
        (marginal_weight, MarginalPenalty()),
        (entropy_weight, EntropyPenalty()),
    )
    return AlignmentLoss(epsilon=epsilon, marginals=marginals, divergence=divergence, **settings)
