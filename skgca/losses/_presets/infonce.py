"""InfoNCE, RINCE and SupCon: only rows are constrained, so the plan is a softmax, one half step of Sinkhorn."""

from __future__ import annotations

from typing import Any

from ...ot._marginals import MarginalsLike
from .._alignment import AlignmentLoss
from .._divergences import KLDivergence, RINCEDivergence
from .._epsilon import Epsilon

__all__ = ["ince", "rince", "supcon"]


def ince(*, epsilon: Epsilon = 0.5, marginals: MarginalsLike = "row", **settings: Any) -> AlignmentLoss:
    r"""InfoNCE, the softmax contrastive loss: one half step of Sinkhorn.

    Use it to compare with other work, or if a step must be cheap. :func:`gca_ince`, the default of
    :class:`skgca.GCAEmbedder`, also balances the columns of the plan.

    If only the row marginal is constrained, the solution is the kernel with normalised rows. The divergence is then the
    mean cross-entropy of identifying the other view:

    .. math:: -\frac1N \sum_i \log \frac{e^{s_{i,pos(i)}}}{\sum_{j} e^{s_{ij}}}, \qquad s = \cos / \epsilon

    In the joint layout it is NT-Xent of SimCLR [1]_, in the cross layout InfoNCE [2]_ from view A to view B.

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Temperature. The paper of GCA trains with 0.5.
    marginals : Marginals, "row", "balanced", float, or pair of float, default="row"
        Which marginals are constrained, and how strongly. With "balanced" this is :func:`gca_ince`.
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
    r"""Robust InfoNCE, for positive pairs of which some are wrong [1]_.

    Use it if many positive pairs are wrong, and wrong in the same way in every epoch, such as pairs from a faulty join.
    If pairs are right, :func:`ince` and :func:`gca_ince` are as good, without options to set.

    .. math:: \frac1N \sum_i \Big( -\frac{pos_i^q}{q} + \frac{(\lambda (pos_i + \sum neg_i))^q}{q} \Big),
        \qquad pos, neg = e^{\cos / \epsilon}

    As q goes to 0 it tends to :func:`ince` plus log lam. With q = 1 it treats positive and negative pairs
    symmetrically, and bounds a Wasserstein distance.

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Temperature.
    marginals : Marginals, "row", "balanced", float, or pair of float, default="row"
        Which marginals are constrained, and how strongly. With "balanced" this is :func:`gca_rince`.
    q : float, default=0.6
        In (0, 1]. A larger q is more robust, and a smaller one trains more easily. The paper of GCA used 0.6 to 0.98.
    lam : float, default=0.01
        Weight of all pairs relative to the positive ones; 0.01 in both papers.
    **settings
        Further parameters of :class:`AlignmentLoss`.

    Returns
    -------
    AlignmentLoss

    Notes
    -----
    In the released code of GCA for CIFAR, which computes a power of the cross-entropy, lam has no effect.

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
    >>> (
    ...     round(float(rince(q=1e-3, lam=1.0, layout="cross")(z, z)), 3),
    ...     round(float(ince(layout="cross")(z, z)), 3),
    ... )
    (0.341, 0.341)
    """
    return AlignmentLoss(epsilon=epsilon, marginals=marginals, divergence=RINCEDivergence(q, lam), **settings)


def supcon(
    *, epsilon: Epsilon = 0.5, marginals: MarginalsLike = "row", target: Any = "labels", **settings: Any
) -> AlignmentLoss:
    r"""SupCon, supervised contrastive learning: InfoNCE with a target plan from labels [1]_.

    Use it if most rows have a class and classes should become clusters, as for neighbours and pictures. To predict from
    few labels, use :class:`skgca.GCAClassifier` instead.

    .. math:: -\frac1N \sum_i \frac1{|R(i)|} \sum_{r \in R(i)} \log \frac{|R(i)| e^{s_{ir}}}{\sum_{j} e^{s_{ij}}}

    where R(i) are the other views of the class of i. Rows labelled -1 have only their own positive pair, so training
    with partly labelled data is semi-supervised.

    Parameters
    ----------
    epsilon : float or LearnableEpsilon, default=0.5
        Temperature. SupCon itself used 0.1.
    marginals : Marginals, "row", "balanced", float, or pair of float, default="row"
        Which marginals are constrained, and how strongly.
    target : str, Target or callable, default="labels"
        Which rows should match; see :class:`AlignmentLoss`.
    **settings
        Further parameters of :class:`AlignmentLoss`.

    Returns
    -------
    AlignmentLoss

    Notes
    -----
    The published loss has no ``|R(i)|`` in the logarithm. With it, the loss is a divergence, whose minimum is 0.

    References
    ----------
    .. [1] P. Khosla et al., "Supervised contrastive learning", NeurIPS 2020.

    Examples
    --------
    An embedding that maps each class to one point is optimal for labels, but not for pairs:

    >>> import torch
    >>> from skgca.losses import ince, supcon
    >>> y = torch.tensor([0, 0, 1, 1])
    >>> z = torch.eye(2)[y]
    >>> (
    ...     round(float(supcon(epsilon=0.1)(z, z, target=y)), 4),
    ...     round(float(ince(epsilon=0.1)(z, z)), 4),
    ... )
    (0.0001, 1.0987)
    """
    return AlignmentLoss(epsilon=epsilon, marginals=marginals, divergence=KLDivergence(), target=target, **settings)
