"""Two or more views of one batch, and the checks that a loss can compare them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from .._utils.config import Configured

__all__ = ["MultiView", "View"]

View = Callable[[Tensor, Generator], Tensor]


class MultiView(Configured):
    """Several views of each batch, drawn in sequence from one generator.

    Use it in a torch loop to draw two or more views of a batch at once. :class:`skgca.GCAEmbedder` takes the same views
    as the sequence ``views``.

    Parameters
    ----------
    *views : callable ``(batch, generator) -> batch``
        One callable for each view. The same callable can be given more than once; it draws new random numbers each
        time. If all views are the same callable, and its attribute ``independent_rows`` is True, they are drawn in one
        call, of a batch that holds each row once for each view. A callable can say so if it changes each row on its
        own, independently of the other rows.

    Raises
    ------
    ValueError
        If there are fewer than two views.

    Examples
    --------
    >>> import torch
    >>> from skgca.views import ColumnCorruption, MultiView
    >>> clean = lambda batch, generator: batch
    >>> views = MultiView(ColumnCorruption(0.5), clean)
    >>> [tuple(view.shape) for view in views(torch.ones(4, 3), torch.Generator())]
    [(4, 3), (4, 3)]
    """

    def __init__(self, *views: View) -> None:
        if len(views) < 2:
            raise ValueError(f"{len(views)} view has nothing to be compared with; give 2 or more.")
        self.views = views

    def get_config(self) -> dict[str, Any]:
        """Return the views; each has a configuration of its own."""
        return {"views": self.views}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MultiView:
        """Make a view from what :meth:`get_config` returned."""
        return cls(*config["views"])

    def __call__(self, batch: Tensor | Sequence[Tensor], generator: Generator) -> tuple[Tensor, ...]:
        """Return the views of a batch.

        Parameters
        ----------
        batch : Tensor of shape (n, ...), or a sequence of such tensors
            A single tensor is the input of every view. A sequence holds one tensor for each view, for rows that were
            measured more than once.
        generator : torch.Generator
            Source of the random numbers, on the device of the batch.

        Raises
        ------
        ValueError
            If a view changes the number of rows or their shape, or a sequence does not hold one tensor for each view.
        """
        first, *others = self.views
        if isinstance(batch, Tensor) and independent_rows(first) and all(view is first for view in others):
            # the calls of a transform take longer than its arithmetic in a small batch of images
            return _make_view(first, torch.cat([batch] * len(self.views)), generator).chunk(len(self.views))
        batches = [batch] * len(self.views) if isinstance(batch, Tensor) else batch
        return tuple(_make_view(view, part, generator) for view, part in zip(self.views, batches, strict=True))


def independent_rows(view: View) -> bool:
    """Whether a view says that it changes each row independently of the others."""
    return bool(getattr(view, "independent_rows", False))


def _make_view(view: View, batch: Tensor, generator: Generator) -> Tensor:
    """Apply a view and check that the result has the shape of the batch; ValueError if it has not."""
    made = view(batch, generator)
    if len(made) != len(batch):
        raise ValueError(f"The view {view!r} made {len(made)} rows of {len(batch)}; it must keep each row.")
    if made.shape != batch.shape:
        raise ValueError(
            f"The view {view!r} made rows of shape {tuple(made.shape[1:])} from {tuple(batch.shape[1:])}; it must keep "
            "their shape, for example by resizing as its last step."
        )
    return made.to(batch.dtype)  # a custom view may return double precision, which the network does not take
