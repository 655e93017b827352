"""Files of :class:`GCAMap`, in the format of :mod:`.saving`: its parameters, and a file of each embedder in it."""

from __future__ import annotations

import os
from typing import Any, Protocol, TypeVar

from torch import Tensor

from .._utils.files import replace_file
from .._version import __version__
from .codec import decode, encode, encode_parameter
from .nested import embedder_as_tensor, embedder_in, opening
from .saving import packed

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
    tensors: dict[str, Tensor] = {name: embedder_as_tensor(part) for name, part in parts.items() if part is not None}
    params = fitted.get_params(deep=False)
    # The file of an embedder holds its parameters, too.
    has_own = params.pop("embedder") is not None
    attributes = {name: getattr(fitted, name) for name in _ATTRIBUTES if hasattr(fitted, name)}
    content = {
        "class": type(fitted).__name__,
        "versions": {"skgca": __version__},
        "parameters": {name: encode_parameter(name, value, tensors) for name, value in params.items()},
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
    with opening(cls, path) as (content, tensors):
        device = options.get("device")
        fitted_map = embedder_in(embedder_class, tensors["map"], device=device)
        embedder = embedder_in(embedder_class, tensors["embedder"], **options) if "embedder" in tensors else None
        parameters = {name: decode(value, tensors) for name, value in content["parameters"].items()}
        if device is not None:
            parameters["device"] = device
        own = embedder.__sklearn_clone__() if embedder is not None and content["has_own_embedder"] else None
        made: Any = cls(embedder=own, **parameters)  # type: ignore[call-arg]
        for name in _ATTRIBUTES:
            if name in content["attributes"]:
                setattr(made, name, decode(content["attributes"][name], tensors))
    made.map_, made.embedder_ = fitted_map, embedder
    loaded: Map = made
    return loaded
