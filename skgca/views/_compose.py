"""Views made of other views: several in sequence, and the one that changes nothing."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from torch import Generator, Tensor

from .._utils.config import Configured
from ._multi import View, independent_rows

__all__ = ["Compose", "Identity"]


class Compose(Configured):
    """Views applied one after the other, as one view.

    Use it to apply several changes to one view, such as a warp and then noise. To give each view a change of its own,
    use :class:`MultiView`.

    A view is a callable ``(batch, generator) -> batch`` of tensors. It keeps the rows in their order, does not write
    to the batch that it is given, and draws random numbers only from the generator, which is on the device of the
    batch. All views of a sequence draw from the same generator, in the order in which they are applied.

    Parameters
    ----------
    *views : callable ``(batch, generator) -> batch``
        The views in the order in which they are applied. Without any, the batch is not changed.

    Raises
    ------
    TypeError
        If a view is not callable.

    See Also
    --------
    MultiView : Several separate views of one batch.

    Examples
    --------
    A custom view, which flips the sign of whole rows, applied after a built-in one:

    >>> import torch
    >>> from skgca.views import Compose, GaussianNoise
    >>> class SignFlip:
    ...     def __init__(self, rate=0.5):
    ...         self.rate = rate
    ...
    ...     def __call__(self, batch, generator):
    ...         draw = torch.rand(len(batch), 1, generator=generator, device=batch.device)
    ...         return torch.where(draw < self.rate, -batch, batch)
    ...
    ...     def __repr__(self):
    ...         return f"SignFlip(rate={self.rate})"
    >>> view = Compose(GaussianNoise(0.01), SignFlip())
    >>> view
    Compose(GaussianNoise(scale=0.01), SignFlip(rate=0.5))
    >>> view(torch.ones(3, 2), torch.Generator().manual_seed(1)).sign()
    tensor([[ 1.,  1.],
            [-1., -1.],
            [-1., -1.]])
    """

    def __init__(self, *views: View) -> None:
        for view in views:
            if not callable(view):
                raise TypeError(f"{view!r} is not callable; give views one by one, as in Compose(Identity()).")
        self.views = views

    def get_config(self) -> dict[str, Any]:
        """Return the views; each has a configuration of its own."""
        return {"views": self.views}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Compose:
        """Make a view from what :meth:`get_config` returned."""
        return cls(*config["views"])

    @property
    def independent_rows(self) -> bool:
        """Whether all views change each row independently of the others."""
        return all(independent_rows(view) for view in self.views)

    def fit(self, X: Tensor) -> Compose:
        """Fit the views that have a method ``fit``; each is fitted on X itself, not on the output of those before it.

        Parameters
        ----------
        X : Tensor of shape (m, ...)
            Training rows.

        Returns
        -------
        Compose
            The view itself.
        """
        for view in self.views:
            if hasattr(view, "fit"):
                view.fit(X)
        return self

    def for_groups(self, groups: Sequence[int]) -> Compose:
        """Return a copy with the views for groups of columns, where a view has a method ``for_groups``."""
        grouped = copy.copy(self)
        grouped.views = tuple(view.for_groups(groups) if hasattr(view, "for_groups") else view for view in self.views)
        return grouped

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Apply the views to a batch."""
        for view in self.views:
            batch = view(batch, generator)
        return batch

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.views))})"


class Identity(Configured):
    """The clean view: it returns the batch unchanged.

    Use it for one of two views, if the other one is changed, or for pairs that were measured twice. Two views of it
    alone are equal, and nothing is learned from them.

    Examples
    --------
    A noisy view and a clean one:

    >>> import torch
    >>> from skgca.views import GaussianNoise, Identity, MultiView
    >>> views = MultiView(GaussianNoise(0.1), Identity())
    >>> torch.equal(views(torch.ones(4, 3), torch.Generator())[1], torch.ones(4, 3))
    True
    """

    independent_rows = True

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Return the batch itself."""
        return batch

    def __repr__(self) -> str:
        return "Identity()"
