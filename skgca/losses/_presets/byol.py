"""BYOL: no marginal is constrained, and the loss reads positive pairs only."""

from __future__ import annotations

from typing import Any

from .._alignment import AlignmentLoss
from .._divergences import TransportCost
from .._epsilon import Epsilon

__all__ = ["byol"]


def byol(*, epsilon: Epsilon = 0.5, **settings: Any) -> AlignmentLoss:
    r"""BYOL: no marginal is constrained, so the plan is the kernel, and the loss reads positive pairs only [1]_.

    Use it for experiments without negative pairs. In the measurements of the documentation it was no better than
    :func:`ince` on average, and worse under strong views.

    .. math:: \frac1{\epsilon N} \sum_i (1 - \cos_{i,pos(i)})

    Up to a constant, it is the divergence of the free plan from the target plan without its mass term. Nothing in it
    keeps rows apart. Therefore ``z_a`` should be the output of a predictor, and ``z_b`` that of a target network, which
    is a moving average of the encoder and has no gradient. :class:`skgca.GCAEmbedder` does that. Both layouts give the
    same value.

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Scale of the loss. With 0.5 it is ``2 - 2 cos``, as in the paper.
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
    >>> float(byol()(z, -z))  # the maximum: 2 - 2 cos of opposite rows
    4.0
    """
    return AlignmentLoss(epsilon=epsilon, marginals=0.0, divergence=TransportCost(), **settings)
