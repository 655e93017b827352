"""InfoNCE and its kin: one half step of Sinkhorn, the softmax."""

from __future__ import annotations

from typing import Any

from ...ot._marginals import MarginalsLike
from .._alignment import AlignmentLoss
from .._divergences import KLDivergence, RINCEDivergence
from .._epsilon import Epsilon

__all__ = ["ince", "rince", "supcon"]


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
