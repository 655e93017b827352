"""IOT: inverse optimal transport, with Sinkhorn iterations until convergence."""

from __future__ import annotations

from typing import Any

from ...ot._marginals import MarginalsLike
from .._alignment import AlignmentLoss
from .._divergences import KLDivergence, UniformityPenalty, WeightedSum
from .._epsilon import Epsilon

__all__ = ["iot", "iot_uni"]


def iot(
    *, epsilon: Epsilon = 0.5, marginals: MarginalsLike = "balanced", n_iter: int = 100, **settings: Any
) -> AlignmentLoss:
    r"""IOT: contrastive learning as inverse optimal transport, with Sinkhorn iterations until convergence [1]_.

    Use it if the plan itself is read, so that its marginals should be exact. For an embedding, :func:`gca_ince` is as
    good, with fewer iterations.

    It is :func:`gca_ince` with more iterations. On a CPU, they stop when more of them would only
    change rounding errors.

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Entropic regularisation in units of the cost.
    marginals : Marginals, "row", "balanced", float, or pair of float, default="balanced"
        Which marginals are constrained, and how strongly.
    n_iter : int, default=100
        Sinkhorn iterations. At epsilon 0.5, about 20 are enough to converge.
    **settings
        Further parameters of :class:`AlignmentLoss`.

    Returns
    -------
    AlignmentLoss

    Notes
    -----
    The released code of GCA reads a stacked batch as if the views of a row were adjacent, and so aligns unrelated rows.

    References
    ----------
    .. [1] L. Shi et al., "Understanding and generalizing contrastive learning from the inverse optimal transport
       perspective", ICML 2023.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import gca_ince, iot
    >>> z_a, z_b = torch.randn(2, 64, 8, generator=torch.Generator().manual_seed(0))
    >>> few = gca_ince(epsilon=0.1).plan(z_a, z_b)
    >>> many = iot(epsilon=0.1).plan(z_a, z_b)
    >>> few.marginal_error > 10 * many.marginal_error
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
    r"""IOT with a penalty on mass that is not uniform over the negative pairs [1]_.

    Use it for experiments in which the negative pairs of a row should receive equal mass. Otherwise use
    :func:`gca_ince`, which needs no matrix of the plan.

    .. math:: \mathrm{KL}(T \,\|\, P) + \lambda_p \mathrm{KL}(U \,\|\, P_{\ne pos})

    where U is uniform over the negative pairs, which exclude self pairs, and P is normalised over the same pairs.

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Entropic regularisation in units of the cost.
    marginals : Marginals, "row", "balanced", float, or pair of float, default="balanced"
        Which marginals are constrained, and how strongly.
    uniformity_weight : float, default=0.1
        lambda_p, weight of the penalty.
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
    All negative pairs of orthogonal rows have the same distance, so the penalty is 0. Then two rows come nearer:

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
