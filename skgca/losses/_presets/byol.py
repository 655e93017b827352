"""BYOL: no marginal is held, and only positive pairs count."""

from __future__ import annotations

from typing import Any

from .._alignment import AlignmentLoss
from .._divergences import TransportCost
from .._epsilon import Epsilon

__all__ = ["byol"]


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
