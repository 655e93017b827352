"""Files of estimators that hold embedders: each embedder is a tensor with the bytes of a file of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..exceptions import SavedFileError
from .saving import checked, opened, read, to_bytes

__all__ = ["embedder_as_tensor", "embedder_in", "opening"]


def embedder_as_tensor(embedder: Any) -> Tensor:
    """Return the file of an embedder as a tensor of bytes, (n,).

    Raises
    ------
    SavedFileError
        If the embedder cannot be saved.
    """
    return torch.frombuffer(bytearray(to_bytes(embedder)), dtype=torch.uint8)


def embedder_in(cls: type[Any], tensor: Tensor, **options: Any) -> Any:
    """Return the embedder that :func:`embedder_as_tensor` made a tensor of; ``options`` are those of its ``load``."""
    return opened(cls, tensor.numpy().tobytes(), **options)


@contextmanager
def opening(cls: type[Any], path: str | os.PathLike[str]) -> Iterator[tuple[dict[str, Any], dict[str, Tensor]]]:
    """Yield JSON and tensors of a file of a class; errors in the block name the file.

    Raises
    ------
    SavedFileError
        If the file is damaged, or holds another class.
    OSError
        If the file cannot be read.
    """
    data = read(path)
    try:
        content, tensors = checked(data)
        if content.get("class") != cls.__name__:
            raise SavedFileError(f"it holds a {content.get('class')}; open it by {content.get('class')}.load.")
        yield content, tensors
    except SavedFileError as error:
        raise SavedFileError(f"{os.fspath(path)!r} cannot be opened: {error}") from error
