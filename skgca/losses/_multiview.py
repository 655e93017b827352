"""Losses of two views, for more than two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["VIEW_PAIRS", "multiview_loss"]

VIEW_PAIRS = ("all", "worst")


def multiview_loss(
    loss: Callable[..., Tensor],
    views: Tensor | Sequence[Tensor],
    others: Tensor | Sequence[Tensor] | None = None,
    *,
    pairs: str = "all",
    **kwargs: Any,
) -> Tensor:
    """Loss over the pairs of two or more views.

    Parameters
    ----------
    loss : callable ``(z_a, z_b, **kwargs) -> scalar``
        Loss of two views, such as :class:`AlignmentLoss`.
    views : Tensor of shape (v, n, d) or sequence of v tensors of shape (n, d)
        Embeddings of v >= 2 views of the same n rows.
    others : as ``views``, default=None
        Embeddings that the views are paired with, such as those of a target network: view i goes with all of these but
        the i-th. None pairs the views among themselves, each pair once.
    pairs : {"all", "worst"}, default="all"
        "all" is the mean of the loss over all pairs of views. "worst" takes for each row the pair of its views that is
        furthest apart, and the loss of these: the min-max of augmentation-robust contrastive learning [1]_. With two
        views they are the same, unless there are ``others``.
    **kwargs
        Passed on to ``loss``: ``target``, ``weight``, ``related``.

    Returns
    -------
    Tensor
        Scalar.

    Raises
    ------
    ValueError
        If there are fewer than two views, or ``pairs`` is not known.

    Notes
    -----
    ArCL looks for the worst pair among the right ones and keeps its negatives; here the worst views of the other rows
    are the negatives, so that every loss of the family can be used. How far apart views are is seen by their cosine.

    References
    ----------
    .. [1] X. Zhao et al., "ArCL: Enhancing contrastive learning with augmentation-robust representations", ICLR 2023.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import make_loss, multiview_loss
    >>> views = torch.randn(4, 16, 8)
    >>> multiview_loss(make_loss("ince", epsilon=0.5), views, pairs="worst").shape
    torch.Size([])
    """
    if pairs not in VIEW_PAIRS:
        raise ValueError(f"pairs={pairs!r} is not known; valid are {sorted(VIEW_PAIRS)}.")
    n_views = len(views)
    if n_views < 2:
        raise ValueError(f"{n_views} view has nothing to be paired with; give 2 or more.")
    chosen = [(i, j) for i in range(n_views) for j in range(n_views) if (i < j if others is None else i != j)]
    others = views if others is None else others
    if pairs == "all" or len(chosen) == 1:
        return torch.stack([loss(views[i], others[j], **kwargs) for i, j in chosen]).mean()
    firsts, seconds = torch.stack([views[i] for i, _ in chosen]), torch.stack([others[j] for _, j in chosen])
    worst = F.cosine_similarity(firsts.detach(), seconds.detach(), dim=2).argmin(0)  # (n,)
    rows = torch.arange(len(worst), device=worst.device)
    return loss(firsts[worst, rows], seconds[worst, rows], **kwargs)
