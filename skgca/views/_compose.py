"""Views made of views."""

from __future__ import annotations

from typing import Any

from torch import Generator, Tensor

from .._utils.config import Configured
from ._multi import View

__all__ = ["Compose", "Identity"]


class Compose(Configured):
    """Views applied one after the other, as one view.

    A view is a callable ``(batch, generator) -> batch`` of tensors: rows stay in their order, the batch that came in is
    not written to, and random numbers are drawn from the generator, which lives on the device of the batch. Those here
    are small classes without any other state, so that they can be copied, pickled and read in an error message.

    Parameters
    ----------
    *views : callable ``(batch, generator) -> batch``
        In the order in which they are applied; none is no change.

    Raises
    ------
    TypeError
        If one is not callable.

    See Also
    --------
    MultiView : Several views of one batch, side by side.

    Examples
    --------
    A view of one's own, which turns whole rows upside down, behind one of ours:

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
        """Return the views, each of which has a configuration of its own."""
        return {"views": self.views}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Compose:
        """Make a view from what :meth:`get_config` returned."""
        return cls(*config["views"])

    def fit(self, X: Tensor) -> Compose:
        """Let the views that learn from data see training rows; each sees them as they are, not after the others.

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

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Return the batch after all views."""
        for view in self.views:
            batch = view(batch, generator)
        return batch

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.views))})"


class Identity(Configured):
    """The clean view: the batch as it is.

    Examples
    --------
    Noise against no noise:

    >>> import torch
    >>> from skgca.views import GaussianNoise, Identity, MultiView
    >>> views = MultiView(GaussianNoise(0.1), Identity())
    >>> torch.equal(views(torch.ones(4, 3), torch.Generator())[1], torch.ones(4, 3))
    True
    """

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Return the batch itself."""
        return batch

    def __repr__(self) -> str:
        return "Identity()"
