"""Files of :class:`GCAMap`, in the format of :mod:`.saving`: its parameters, and a file of each embedder in it."""

from __future__ import annotations

import os
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from .._utils.files import replace_file
from .._version import __version__
from ..exceptions import SavedFileError
from .codec import decode, encode
from .saving import checked, opened, packed, read, to_bytes

__all__ = ["FittedMap", "load_map", "save_map"]

Map = TypeVar("Map")  # the class GCAMap

_ATTRIBUTES = ("n_features_in_", "feature_names_in_")


class FittedMap(Protocol):
    """A fitted ``GCAMap``."""

    embedder_: Any
    map_: Any

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters."""


def save_map(fitted: FittedMap, path: str | os.PathLike[str]) -> None:
    """Write a fitted map to a file.

    Raises
    ------
    SavedFileError
        If its embedder cannot be saved.
    """
    parts = {"map": fitted.map_, "embedder": fitted.embedder_}
    tensors: dict[str, Tensor] = {
        name: torch.frombuffer(bytearray(to_bytes(part)), dtype=torch.uint8)
        for name, part in parts.items()
        if part is not None
    }
    params = fitted.get_params(deep=False)
    # The file of an embedder holds its parameters, too.
    has_own = params.pop("embedder") is not None
    attributes = {name: getattr(fitted, name) for name in _ATTRIBUTES if hasattr(fitted, name)}
    content = {
        "class": type(fitted).__name__,
        "versions": {"skgca": __version__},
        "parameters": {name: encode(value, tensors, f"parameters.{name}") for name, value in params.items()},
        "attributes": {name: encode(value, tensors, f"attributes.{name}") for name, value in attributes.items()},
        "has_own_embedder": has_own,
    }
    replace_file(path, packed(content, tensors))


def load_map(cls: type[Map], embedder_class: type[Any], path: str | os.PathLike[str], **options: Any) -> Map:
    """Return the map in a file that :func:`save_map` wrote; ``options`` are those of ``GCAEmbedder.load``.

    Raises
    ------
    SavedFileError
        If the file is damaged, or holds something else.
    OSError
        If the file cannot be read.
    """
    data = read(path)
    try:
        content, tensors = checked(data)
        if content.get("class") != cls.__name__:
            raise SavedFileError(f"it holds a {content.get('class')}; open it by {content.get('class')}.load.")
        device = options.get("device")
        fitted_map = opened(embedder_class, tensors["map"].numpy().tobytes(), device=device)
        embedder = (
            opened(embedder_class, tensors["embedder"].numpy().tobytes(), **options)
            if ("embedder" in tensors)
            else None
        )
        parameters = {name: decode(value, tensors) for name, value in content["parameters"].items()}
        if device is not None:
            parameters["device"] = device
        own = embedder.__sklearn_clone__() if embedder is not None and content["has_own_embedder"] else None
        made: Any = cls(embedder=own, **parameters)  # type: ignore[call-arg]
        for name in _ATTRIBUTES:
            if name in content["attributes"]:
                setattr(made, name, decode(content["attributes"][name], tensors))
    except SavedFileError as error:
        raise SavedFileError(f"{os.fspath(path)!r} cannot be opened: {error}") from error
    made.map_, made.embedder_ = fitted_map, embedder
    loaded: Map = made
    return loaded
