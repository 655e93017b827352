"""Losses of two views, applied to more than two.

With views 1, 2, 3 of every row, "all" averages the loss over the pairs (1, 2), (1, 3) and (2, 3). "worst" computes it
once. For each row it chooses the two views with the smallest cosine, (1, 3) for one row and (2, 3) for another.
With ``others``, such as embeddings by a target network, pairs are ordered, so there are six.
"""

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
    """Loss of the pairs of two or more views.

    Use it in a torch loop with three or more views of each row. With two views, call the loss directly.

    Parameters
    ----------
    loss : callable ``(z_a, z_b, **kwargs) -> scalar``
        Loss of two views, such as :class:`AlignmentLoss`.
    views : Tensor of shape (v, n, d) or sequence of v tensors of shape (n, d)
        Embeddings of v >= 2 views of the same n rows.
    others : as ``views``, default=None
        Embeddings to pair the views with, such as those of a target network. View i is paired with all of them except
        the i-th. None pairs the views with each other, each pair once.
    pairs : {"all", "worst"}, default="all"
        "all" is the mean of the loss over all pairs of views. "worst" is the loss of a single pair, made of the two
        views of each row that are furthest apart. This is the min-max of augmentation-robust contrastive learning [1]_.
        With two views and no ``others`` both are the same.
    **kwargs
        Passed to ``loss``: ``target``, ``weight``, ``related``.

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
    ArCL chooses the worst views of the positive pairs only, and keeps the negatives. Here the negatives of a row are
    the worst views of the other rows, so that every loss can be used. The distance of views is measured by their
    cosine.

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
        raise ValueError(f"views holds {n_views} view, which has nothing to be paired with; give 2 or more.")
    chosen = [(i, j) for i in range(n_views) for j in range(n_views) if (i < j if others is None else i != j)]
    others = views if others is None else others
    if pairs == "all" or len(chosen) == 1:
        return torch.stack([loss(views[i], others[j], **kwargs) for i, j in chosen]).mean()
    # (p, n, d) each, for p pairs; gradients flow through the chosen views, but not through the choice
    firsts, seconds = torch.stack([views[i] for i, _ in chosen]), torch.stack([others[j] for _, j in chosen])
    worst = F.cosine_similarity(firsts.detach(), seconds.detach(), dim=2).argmin(0)  # (n,)
    rows = torch.arange(len(worst), device=worst.device)
    return loss(firsts[worst, rows], seconds[worst, rows], **kwargs)
