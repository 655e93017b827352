"""Transforms from other libraries as views."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn

from .._utils.config import Configured
from .._utils.random import seeded_by
from ._multi import View

__all__ = ["CallableView", "as_view"]

Transform = Callable[[Tensor], Tensor]


class CallableView(Configured):
    """A view by a transform of one argument, such as a kornia or torchvision module.

    Such transforms draw from the global generators of torch, numpy or Python. For the length of a call these are
    seeded from the generator of the view, and then put back: the same generator gives the same view, and nobody else's
    random numbers change.

    Parameters
    ----------
    transform : callable ``(batch) -> batch``
        Gets and returns a tensor of as many rows. A row ought to get random numbers of its own, as in kornia;
        torchvision's transforms draw once a batch, so give them one image at a time:
        ``lambda batch: torch.stack([transform(image) for image in batch])``.

    Examples
    --------
    >>> import torch
    >>> from skgca.views import CallableView
    >>> view = CallableView(torch.nn.Dropout(0.5))
    >>> view(torch.ones(1, 4), torch.Generator().manual_seed(0))
    tensor([[2., 2., 0., 2.]])
    """

    def __init__(self, transform: Transform) -> None:
        self.transform = transform

    def get_config(self) -> dict[str, Any]:
        """Return the transform, which can be saved if it has a configuration of its own."""
        return {"transform": self.transform}

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Transform a batch, without a gradient."""
        with torch.no_grad(), seeded_by(generator):
            return self.transform(batch)

    def __repr__(self) -> str:
        return f"CallableView({self.transform!r})"


def as_view(transform: View | Transform) -> View:
    """Return a view from a callable of one or two arguments.

    Parameters
    ----------
    transform : callable
        ``(batch, generator) -> batch`` is returned as it is: its second positional argument is required, or has the
        name ``generator``. ``(batch) -> batch`` is wrapped as :class:`CallableView`, as is what tells no signature.

    Raises
    ------
    ValueError
        If it can be called in neither way.

    Examples
    --------
    >>> import torch
    >>> from skgca.views import as_view
    >>> view = as_view(lambda batch: batch + 1)
    >>> view(torch.zeros(1, 2), torch.Generator())
    tensor([[1., 1.]])
    """
    try:
        # a module takes anything, and passes it on to forward
        signature = inspect.signature(transform.forward if isinstance(transform, nn.Module) else transform)
    except ValueError:  # some callables written in C
        return CallableView(transform)
    second = _second_positional(signature)
    if second is not None and (second.default is second.empty or second.name == "generator"):
        if _takes(signature, 2):
            return transform
    elif _takes(signature, 1):
        return CallableView(transform)
    raise ValueError(
        f"{transform!r} with arguments {signature} cannot make a view; it must take (batch), or (batch, generator)."
    )


def _second_positional(signature: inspect.Signature) -> inspect.Parameter | None:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = [parameter for parameter in signature.parameters.values() if parameter.kind in kinds]
    return positional[1] if len(positional) > 1 else None


def _takes(signature: inspect.Signature, n: int) -> bool:
    """Whether n positional arguments, and no others, will do."""
    try:
        signature.bind(*range(n))
    except TypeError:
        return False
    return True
