"""The settings of torch that the package computes with, whatever those around a call are.

Torch has settings of the process and of the thread: the default type and device of new tensors, whether gradients are
recorded, autocast. Callers may have set any of them. Inside :func:`known_settings` they have the values that torch
starts with, so that a fit, an embedding or a file does not depend on them.
"""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor

from .threads import fixed_threads

__all__ = ["full_precision", "in_full_precision", "known_settings", "working_dtype"]

Function = TypeVar("Function", bound=Callable[..., Any])

_AUTOCAST_DEVICES = ("cpu", "cuda", "mps", "xpu")

_default_dtype = threading.Lock()  # guards the two names below
_dtype_users = 0  # number of blocks that are running
_dtype_before = torch.float32  # setting before the first of them


@contextmanager
def known_settings(n_threads: int | str | None = None) -> Iterator[None]:
    """Run the block on ``n_threads`` CPU threads, as :func:`fixed_threads`, with the settings that torch starts with.

    Tensors are made as float32 and on the CPU unless told otherwise, gradients are recorded, and nothing is cast
    automatically. All settings are restored afterwards.
    """
    with ExitStack() as stack:
        stack.enter_context(fixed_threads(n_threads))
        stack.enter_context(_float32())
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for device in _AUTOCAST_DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        # A device context slows down each call of torch, so it is entered only if there is another one to override.
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def _float32() -> Iterator[None]:
    """Make float32 the default type of tensors, which is a setting of the process.

    If several blocks run at once (joblib's threading backend), the first stores the setting and the last restores it.
    """
    global _dtype_users, _dtype_before
    with _default_dtype:
        if _dtype_users == 0:
            _dtype_before = torch.get_default_dtype()
            torch.set_default_dtype(torch.float32)
        _dtype_users += 1
    try:
        yield
    finally:
        with _default_dtype:
            _dtype_users -= 1
            if _dtype_users == 0:
                torch.set_default_dtype(_dtype_before)


def full_precision(like: Tensor) -> AbstractContextManager[Any]:
    """Switch autocast off on the device of a tensor, so that products run in the type of their tensors."""
    kind = like.device.type
    is_on = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if is_on else nullcontext()


def in_full_precision(function: Function) -> Function:
    """Decorate a function to run with autocast off on the device of the first tensor that it gets."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        like = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
        with nullcontext() if like is None else full_precision(like):
            return function(*args, **kwargs)

    return wrapped  # type: ignore[return-value]


def working_dtype() -> torch.dtype:
    """Return the default type of tensors, or float32 if that has less precision."""
    return torch.promote_types(torch.get_default_dtype(), torch.float32)
