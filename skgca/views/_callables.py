"""Transforms from other libraries as views.

A view is given its random numbers as a second argument, the generator. Transforms of kornia, torchvision or
``torch.nn`` take the batch alone and draw from global generators. :class:`CallableView` adapts such a transform, and
:func:`as_view` finds out from the signature of a callable whether it needs that.
"""

import inspect
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Generator, Tensor, nn

from .._utils.config import Configured
from .._utils.random import seeded_by
from ._multi import View

__all__ = ["CallableView", "as_view"]

Transform = Callable[[Tensor], Tensor]


class CallableView(Configured):
    """A view made from a transform of one argument, such as a module of kornia or torchvision.

    Use it to take a transform of kornia, torchvision or numpy as a view, so that it is reproducible. :func:`as_view`
    makes one if it is needed.

    Such transforms draw from the global generators of torch, numpy or Python. During a call, these generators are
    seeded from the generator of the view, and afterwards their states are restored. So the same generator gives the
    same view, and other users of the global generators are not affected.

    Parameters
    ----------
    transform : callable ``(batch) -> batch``
        Takes a tensor and returns one with the same number of rows. It should draw new random numbers for each row,
        as kornia does. torchvision's transforms draw once per batch; apply these to one image at a time:
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
        """Return the transform; a file can hold it if it has a configuration of its own."""
        return {"transform": self.transform}

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Transform a batch, without recording a gradient."""
        with torch.no_grad(), seeded_by(generator):
            return self.transform(batch)

    def __repr__(self) -> str:
        return f"CallableView({self.transform!r})"


def as_view(transform: View | Transform) -> View:
    """Return a view from a callable of one or two arguments.

    Use it in functions of your own that take a view as an argument. :class:`skgca.GCAEmbedder` calls it for its
    ``views``.

    Parameters
    ----------
    transform : callable
        A callable ``(batch, generator) -> batch`` is returned unchanged. It is recognised by its second positional
        argument, which is required or is named ``generator``. A callable ``(batch) -> batch`` is wrapped in
        :class:`CallableView`, and so is a callable without a readable signature.

    Raises
    ------
    ValueError
        If the callable takes neither ``(batch)`` nor ``(batch, generator)``.

    Examples
    --------
    >>> import torch
    >>> from skgca.views import as_view
    >>> view = as_view(lambda batch: batch + 1)
    >>> view(torch.zeros(1, 2), torch.Generator())
    tensor([[1., 1.]])
    """
    try:
        # Module.__call__ takes any arguments and passes them to forward, so the signature of forward counts.
        signature = inspect.signature(transform.forward if isinstance(transform, nn.Module) else transform)
    except ValueError:  # some callables written in C have no signature
        return CallableView(cast(Transform, transform))
    second = _second_positional(signature)
    # An optional second argument of another name, such as `p=0.5`, is an option of the transform and no generator.
    if second is not None and (second.default is second.empty or second.name == "generator"):
        if _accepts(signature, 2):
            return cast(View, transform)
    elif _accepts(signature, 1):
        return CallableView(cast(Transform, transform))
    raise ValueError(
        f"{transform!r} with arguments {signature} cannot make a view; use a callable of (batch) or (batch, generator)."
    )


def _second_positional(signature: inspect.Signature) -> inspect.Parameter | None:
    """Return the second parameter that can be given by position, None if there are fewer."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = [parameter for parameter in signature.parameters.values() if parameter.kind in kinds]
    return positional[1] if len(positional) > 1 else None


def _accepts(signature: inspect.Signature, n: int) -> bool:
    """Return whether a call with n positional arguments and no others is valid."""
    try:
        signature.bind(*range(n))  # bind counts arguments and ignores their values
    except TypeError:
        return False
    return True
