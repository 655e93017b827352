"""The named losses: each composes an AlignmentLoss, and does no arithmetic of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Union

from ..ot._marginals import MarginalsLike
from ._alignment import AlignmentLoss
from ._divergences import (
    EntropyPenalty,
    KLDivergence,
    MarginalPenalty,
    RINCEDivergence,
    TransportCost,
    UniformityPenalty,
    WeightedSum,
)
from ._epsilon import LearnableEpsilon

__all__ = [
    "PRESETS",
    "byol",
    "gca_ince",
    "gca_rince",
    "gca_uot",
    "ince",
    "iot",
    "iot_uni",
    "rince",
    "supcon",
]

Epsilon = Union[float, LearnableEpsilon]


def ince(*, epsilon: Epsilon = 0.5, marginals: MarginalsLike = "row", **settings: Any) -> AlignmentLoss:
    r"""InfoNCE, the softmax contrastive loss: one half step of Sinkhorn.

    With only the row marginal held, the row-normalised kernel is the solution, and the divergence is the mean
    cross-entropy of finding the other view:

    .. math:: -\frac1N \sum_i \log \frac{e^{s_{i,pos(i)}}}{\sum_{j} e^{s_{ij}}}, \qquad s = \cos / \epsilon

    In the joint layout it is NT-Xent of SimCLR [1]_, in the cross layout InfoNCE [2]_ from view A to view B.

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Temperature. 0.5 is what the paper of GCA trains with.
    marginals : Marginals, "row", "balanced", float, or pair of float, default="row"
        What binds. With "balanced" this is :func:`gca_ince`.
    **settings
        Further parameters of :class:`AlignmentLoss`.

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
    return AlignmentLoss(epsilon=epsilon, marginals=marginals, divergence=KLDivergence(), **settings)


def rince(
    *, epsilon: Epsilon = 0.5, marginals: MarginalsLike = "row", q: float = 0.6, lam: float = 0.01, **settings: Any
) -> AlignmentLoss:
    r"""Robust InfoNCE, for pairs of which some are wrong [1]_.

    .. math:: \frac1N \sum_i \Big( -\frac{pos_i^q}{q} + \frac{(\lambda (pos_i + \sum neg_i))^q}{q} \Big),
        \qquad pos, neg = e^{\cos / \epsilon}

    As q goes to 0 it tends to :func:`ince` plus log lam; q = 1 is symmetric, and bounds a Wasserstein distance.

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Temperature.
    marginals : Marginals, "row", "balanced", float, or pair of float, default="row"
        What binds. With "balanced" this is :func:`gca_rince`.
    q : float, default=0.6
        In (0, 1]: robustness against ease of training. The paper of GCA used 0.6 to 0.98.
    lam : float, default=0.01
        Weight of all pairs against the right ones; 0.01 in both papers.
    **settings
        Further parameters of :class:`AlignmentLoss`.

    Returns
    -------
    AlignmentLoss

    Notes
    -----
    In the released code of GCA for CIFAR, lam has no effect: it computes a power of the cross-entropy.

    References
    ----------
    .. [1] C.-Y. Chuang et al., "Robust contrastive learning against noisy views", CVPR 2022.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import ince, rince
    >>> z = torch.eye(4)
    >>> round(float(rince(layout="cross")(z, z)), 3)
    -5.105
    >>> round(float(rince(q=1e-3, lam=1.0, layout="cross")(z, z)), 3), round(float(ince(layout="cross")(z, z)), 3)
    (0.341, 0.341)
    """
    return AlignmentLoss(epsilon=epsilon, marginals=marginals, divergence=RINCEDivergence(q, lam), **settings)


def gca_ince(*, epsilon: Epsilon = 0.5, marginals: MarginalsLike = "balanced", **settings: Any) -> AlignmentLoss:
    r"""GCA-INCE: InfoNCE with both marginals held, so that no row is everybody's match [1]_.

    .. math:: \mathrm{KL}(T \,\|\, P), \qquad P = \mathrm{diag}(u) K \mathrm{diag}(v), \quad P 1 = P^T 1 = 1 / N

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Entropic regularisation in units of the cost.
    marginals : Marginals, "row", "balanced", float, or pair of float, default="balanced"
        What binds. With "row" this is :func:`ince`.
    **settings
        Further parameters of :class:`AlignmentLoss`. Its 10 iterations are the paper's choice.

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

    Examples
    --------
    All rows of one view are near the first row of the other, which InfoNCE lets have more than its share:

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

    .. math:: \frac1N \sum_i \Big( -\frac1q \Big(\frac{P_{i,pos(i)}}{u_i}\Big)^q
        + \frac1q \Big(\frac{\lambda}{N u_i}\Big)^q \Big), \qquad P = \mathrm{diag}(u) K \mathrm{diag}(v),
        \quad K = e^{\cos / \epsilon}

    Iterations start from v = 1. With one half step it is :func:`rince`.

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Entropic regularisation in units of the cost.
    marginals : Marginals, "row", "balanced", float, or pair of float, default="balanced"
        What binds. With "row" this is :func:`rince`.
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
    The 1/N in the denominator is the mass of a row: the paper's plan has rows of mass 1, ours of mass 1/N. For a
    relaxed row marginal, the denominator is the sum that the last row step divided by.

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
    >>> bool(gca_rince(marginals="row", layout="cross")(z_a, z_b) == rince(layout="cross")(z_a, z_b))
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
    r"""GCA-UOT: both marginals relaxed, so that rows without a good match may keep their mass [1]_.

    .. math:: & r_1 \mathrm{KL}(T \,\|\, P) + r_2 \mathrm{RINCE}(P) \\
        & + r_3 (\mathrm{KL}(P 1 \,\|\, a) + \mathrm{KL}(P^T 1 \,\|\, b)) + r_4 \sum P (\log P - 1)

    .. math:: P = \arg\min_P \epsilon \mathrm{KL}(P \,\|\, K)
        + \rho_{row} \mathrm{KL}(P 1 \,\|\, a) + \rho_{col} \mathrm{KL}(P^T 1 \,\|\, b)

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Entropic regularisation in units of the cost.
    marginals : Marginals, "row", "balanced", float, or pair of float, default=1.0
        Strengths rho. As they grow this tends to :func:`gca_ince`, as they fall to the free plan. Of 0.1 to 5, 1
        embedded best at epsilon 0.5; with "mass", 0.1 embedded badly.
    kl : {"mass", "rows"}, default="mass"
        Form of the divergence: with its mass term, or of the plan with its rows normalised, as the released code
        trains with. "rows" embeds as :func:`ince` does, whatever rho is; "mass" embedded better at the default rho, by
        0.2 to 2.6 points with few labels (``docs/evidence/family.md``).
    kl_weight : float, default=1.0
        r1.
    rince_weight : float, default=0.0
        r2; the paper used 0.02 and 1.
    q, lam : float, default=0.6, 0.01
        As in :func:`rince`; only with a ``rince_weight``.
    marginal_weight : float, default=0.0
        r3, pressure on embeddings to let all mass through.
    entropy_weight : float, default=0.0
        r4, pressure towards a spread plan.
    **settings
        Further parameters of :class:`AlignmentLoss`.

    Returns
    -------
    AlignmentLoss

    Notes
    -----
    The two loss files of the released code give r1 and r2 opposite meanings; here weights go by what they weigh.

    References
    ----------
    .. [1] Z. Chen et al., "Your contrastive learning problem is secretly a distribution alignment problem",
       NeurIPS 2024.

    Examples
    --------
    The last row has no good match, so less mass leaves it than the others:

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


def byol(*, epsilon: Epsilon = 0.5, **settings: Any) -> AlignmentLoss:
    r"""BYOL: no marginal is held, so the plan is the kernel, and only pairs count [1]_.

    .. math:: \frac1{\epsilon N} \sum_i (1 - \cos_{i,pos(i)})

    It is the divergence from the free plan without its mass term, up to a constant. Nothing keeps rows apart, so
    ``z_a`` should come through a predictor, and ``z_b`` from a target network that follows the encoder, and has no
    gradient. :class:`skgca.GCAEmbedder` does that. Both layouts give the same value.

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Scale of the loss. With 0.5 it is BYOL's own ``2 - 2 cos``.
    **settings
        Further parameters of :class:`AlignmentLoss`.

    Returns
    -------
    AlignmentLoss

    References
    ----------
    .. [1] J.-B. Grill et al., "Bootstrap your own latent", NeurIPS 2020.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import byol
    >>> z = torch.eye(4)
    >>> float(byol()(z, -z))  # the most there is: 2 - 2 cos of opposite rows
    4.0
    """
    return AlignmentLoss(epsilon=epsilon, marginals=0.0, divergence=TransportCost(), **settings)


def iot(
    *, epsilon: Epsilon = 0.5, marginals: MarginalsLike = "balanced", n_iter: int = 100, **settings: Any
) -> AlignmentLoss:
    r"""IOT: contrastive learning as inverse optimal transport, Sinkhorn run to the end [1]_.

    :func:`gca_ince` with more iterations. On a CPU they stop as soon as the rest would change nothing.

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Entropic regularisation in units of the cost.
    marginals : Marginals, "row", "balanced", float, or pair of float, default="balanced"
        What binds.
    n_iter : int, default=100
        Sinkhorn iterations. At epsilon 0.5 some 20 converge.
    **settings
        Further parameters of :class:`AlignmentLoss`.

    Returns
    -------
    AlignmentLoss

    Notes
    -----
    The released code of GCA reads the pairs of a stacked batch as if it were interleaved, and so aligns unrelated rows.

    References
    ----------
    .. [1] L. Shi et al., "Understanding and generalizing contrastive learning from the inverse optimal transport
       perspective", ICML 2023.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import gca_ince, iot
    >>> z_a, z_b = torch.randn(2, 64, 8, generator=torch.Generator().manual_seed(0))
    >>> gca_ince(epsilon=0.1).plan(z_a, z_b).marginal_error > 10 * iot(epsilon=0.1).plan(z_a, z_b).marginal_error
    True
    """
    return AlignmentLoss(epsilon=epsilon, marginals=marginals, divergence=KLDivergence(), n_iter=n_iter, **settings)


def iot_uni(
    *,
    epsilon: Epsilon = 0.5,
    marginals: MarginalsLike = "balanced",
    uniformity_weight: float = 0.1,
    n_iter: int = 100,
    **settings: Any,
) -> AlignmentLoss:
    r"""IOT with a penalty on what is not uniform among the wrong pairs [1]_.

    .. math:: \mathrm{KL}(T \,\|\, P) + \lambda_p \mathrm{KL}(U \,\|\, P_{\ne pos})

    where U is uniform over the pairs that are neither self pairs nor right ones, and P is normalised there.

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Entropic regularisation in units of the cost.
    marginals : Marginals, "row", "balanced", float, or pair of float, default="balanced"
        What binds.
    uniformity_weight : float, default=0.1
        lambda_p.
    n_iter : int, default=100
        Sinkhorn iterations.
    **settings
        Further parameters of :class:`AlignmentLoss`.

    Returns
    -------
    AlignmentLoss

    References
    ----------
    .. [1] L. Shi et al., "Understanding and generalizing contrastive learning from the inverse optimal transport
       perspective", ICML 2023.

    Examples
    --------
    The wrong pairs of these rows are all at the same distance, which costs nothing, until two of them are nearer:

    >>> import torch
    >>> from skgca.losses import iot, iot_uni
    >>> z = torch.eye(4)
    >>> bool(torch.isclose(iot_uni(layout="cross")(z, z), iot(layout="cross")(z, z)))
    True
    >>> z[0, 1] = 0.5
    >>> bool(iot_uni(layout="cross")(z, z) > iot(layout="cross")(z, z))
    True
    """
    divergence = WeightedSum((1.0, KLDivergence()), (uniformity_weight, UniformityPenalty()))
    return AlignmentLoss(epsilon=epsilon, marginals=marginals, divergence=divergence, n_iter=n_iter, **settings)


def supcon(
    *, epsilon: Epsilon = 0.5, marginals: MarginalsLike = "row", target: Any = "labels", **settings: Any
) -> AlignmentLoss:
    r"""SupCon, supervised contrastive learning: InfoNCE whose target plan comes from labels [1]_.

    .. math:: -\frac1N \sum_i \frac1{|R(i)|} \sum_{r \in R(i)} \log \frac{|R(i)| e^{s_{ir}}}{\sum_{j} e^{s_{ij}}}

    with R(i) the other views of the class of i. Rows labelled -1 have their own pair only, so partly labelled data
    trains semi-supervised.

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Temperature. SupCon itself used 0.1.
    marginals : Marginals, "row", "balanced", float, or pair of float, default="row"
        What binds.
    target : str or callable, default="labels"
        Target plan; see :class:`AlignmentLoss`.
    **settings
        Further parameters of :class:`AlignmentLoss`.

    Returns
    -------
    AlignmentLoss

    Notes
    -----
    The published loss lacks the ``|R(i)|`` in the logarithm, which makes ours a divergence, 0 at best.

    References
    ----------
    .. [1] P. Khosla et al., "Supervised contrastive learning", NeurIPS 2020.

    Examples
    --------
    Rows of a class at one point are as good as it gets for labels, and bad for pairs:

    >>> import torch
    >>> from skgca.losses import ince, supcon
    >>> y = torch.tensor([0, 0, 1, 1])
    >>> z = torch.eye(2)[y]
    >>> round(float(supcon(epsilon=0.1)(z, z, target=y)), 4), round(float(ince(epsilon=0.1)(z, z)), 4)
    (0.0001, 1.0987)
    """
    return AlignmentLoss(epsilon=epsilon, marginals=marginals, divergence=KLDivergence(), target=target, **settings)


PRESETS: dict[str, Callable[..., AlignmentLoss]] = {
    "ince": ince,
    "rince": rince,
    "gca_ince": gca_ince,
    "gca_rince": gca_rince,
    "gca_uot": gca_uot,
    "byol": byol,
    "iot": iot,
    "iot_uni": iot_uni,
    "supcon": supcon,
}
