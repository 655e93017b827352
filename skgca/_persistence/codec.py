"""Values to JSON and back, exactly, by explicit code for each known class; nothing is imported by a name in a file.

None, truth, text, whole and finite numbers are themselves, and lists are lists. Anything else is an object with one
key, which names what it is: ``{"float": "nan"}``, ``{"tuple": [...]}``. Arrays of numbers are tensors beside the JSON.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from ..exceptions import SavedFileError
from ..losses import LearnableEpsilon
from ..views import (
    ColumnCorruption,
    Compose,
    FeatureDropout,
    GaussianNoise,
    Identity,
    ImageAugmentation,
    NeighborMixup,
    TimeCrop,
    TimeJitter,
)

__all__ = ["NotSaved", "UnknownClassError", "decode", "encode", "encode_parameter", "qualified_name"]

_ARRAYS = {"b", "i", "u", "f"}  # kinds of number that are kept as tensors
_LARGEST_ITEM = 8  # bytes; there are no tensors of longer floats

# The views that can be written down, and the parameters that make them.
_VIEWS: dict[str, tuple[type, tuple[str, ...]]] = {
    "ColumnCorruption": (ColumnCorruption, ("rate",)),
    "Compose": (Compose, ("views",)),
    "FeatureDropout": (FeatureDropout, ("rate", "numeric")),
    "GaussianNoise": (GaussianNoise, ("scale", "numeric")),
    "Identity": (Identity, ()),
    "ImageAugmentation": (ImageAugmentation, ("preset",)),
    "NeighborMixup": (NeighborMixup, ("n_neighbors", "share", "numeric")),
    "TimeCrop": (TimeCrop, ("low",)),
    "TimeJitter": (TimeJitter, ("max_shift",)),
}


class UnknownClassError(TypeError):
    """A value of a class that no code here writes down; its argument is the qualified name."""


@dataclass(frozen=True, repr=False)
class NotSaved:
    """Stands for a parameter whose value could not be written to a file.

    It fits no parameter's constraints, so ``fit`` refuses it and shows it, while ``transform`` does not look.

    Parameters
    ----------
    parameter : str
        Name of the parameter.
    name : str
        Qualified name of the class or function that was not written.
    """

    parameter: str
    name: str

    def __repr__(self) -> str:
        return (
            f"<nothing: {self.name} in {self.parameter} was not saved; give it by set_params({self.parameter}=...), or "
            f"when opening the file, load(path, custom={{{self.parameter!r}: ...}})>"
        )


def qualified_name(value: Any) -> str:
    """Return the name of a class or function, or of the class of anything else, with its module."""
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def encode(value: Any, tensors: dict[str, Tensor], place: str) -> Any:
    """Return a value as JSON; arrays of numbers go to ``tensors``.

    Parameters
    ----------
    value : object
        Of a class that is known here.
    tensors : dict
        Gets a tensor for each array of numbers, by names that begin with ``place``.
    place : str
        What the value is.

    Raises
    ------
    UnknownClassError
        If the value, or something in it, is of another class.
    """
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if kind in (list, tuple):
        items = [encode(item, tensors, f"{place}.{k}") for k, item in enumerate(value)]
        return items if kind is list else {"tuple": items}
    if kind is dict:
        pairs = [(encode(k, tensors, place), encode(v, tensors, f"{place}.{k}")) for k, v in value.items()]
        return {"dict": [list(pair) for pair in pairs]}
    if kind is NotSaved:
        return {"not_saved": [value.parameter, value.name]}
    if kind is LearnableEpsilon:
        return {"LearnableEpsilon": [encode(number, tensors, place) for number in astuple(value)]}
    if kind is torch.device:
        return {"device": str(value)}
    if isinstance(value, PurePath):
        return {"path": str(value)}
    if isinstance(value, np.generic):
        return _encode_scalar(value, tensors, place)
    if kind is np.ndarray:
        return _encode_array(value, tensors, place)
    if kind in (scipy.sparse.csr_matrix, scipy.sparse.csr_array):
        parts = [_encode_array(part, tensors, f"{place}.{k}") for k, part in enumerate(_parts(value))]
        return {"csr": [kind is scipy.sparse.csr_array, list(value.shape), *parts]}
    if kind.__name__ in _VIEWS and _VIEWS[kind.__name__][0] is kind:
        return _encode_view(value, tensors, place)
    raise UnknownClassError(qualified_name(value))


def encode_parameter(name: str, value: Any, tensors: dict[str, Tensor]) -> Any:
    """Return a parameter as JSON: as :class:`NotSaved` where something in it is of a class that is not known."""
    own: dict[str, Tensor] = {}
    try:
        encoded = encode(value, own, f"parameters.{name}")
    except UnknownClassError as error:
        return {"not_saved": [name, str(error)]}
    tensors.update(own)
    return encoded


def decode(encoded: Any, tensors: dict[str, Tensor]) -> Any:
    """Return the value that :func:`encode` gave as JSON.

    Raises
    ------
    SavedFileError
        If it is of a kind that is not known here.
    """
    if isinstance(encoded, list):
        return [decode(item, tensors) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    ((kind, content),) = encoded.items()
    if kind not in _DECODERS:
        raise SavedFileError(f"a value of kind {kind!r} is not known; this version knows {sorted(_DECODERS)}.")
    return _DECODERS[kind](content, tensors)


def _encode_scalar(value: np.generic, tensors: dict[str, Tensor], place: str) -> Any:
    if value.dtype.kind not in _ARRAYS | {"U"} or (value.dtype.kind == "f" and value.itemsize > _LARGEST_ITEM):
        raise UnknownClassError(qualified_name(value))
    name = "str" if value.dtype.kind == "U" else value.dtype.name
    return {"scalar": [name, encode(value.item(), tensors, place)]}


def _encode_array(array: np.ndarray, tensors: dict[str, Tensor], place: str) -> Any:
    if array.dtype.kind in _ARRAYS and array.itemsize <= _LARGEST_ITEM:
        native = array.astype(array.dtype.newbyteorder("="), order="C")  # a copy, which may be written to
        tensors[place] = torch.from_numpy(native)
        return {"array": place}
    if array.dtype.kind in "OU":
        items = [encode(item, tensors, f"{place}.{k}") for k, item in enumerate(array.ravel().tolist())]
        return {"objects": [array.dtype.kind, list(array.shape), items]}
    raise UnknownClassError(f"numpy.ndarray of {array.dtype}")


def _decode_objects(content: Any, tensors: dict[str, Tensor]) -> np.ndarray:
    kind, shape, items = content
    array = np.empty(len(items), dtype=object)
    array[:] = decode(items, tensors) if items else None
    return (array if kind == "O" else array.astype(str)).reshape(shape)


def _parts(matrix: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return matrix.data, matrix.indices, matrix.indptr


def _decode_csr(content: Any, tensors: dict[str, Tensor]) -> Any:
    is_array, shape, *parts = content
    made = scipy.sparse.csr_array if is_array else scipy.sparse.csr_matrix
    return made(tuple(decode(part, tensors) for part in parts), shape=tuple(shape))


def _encode_view(view: Any, tensors: dict[str, Tensor], place: str) -> Any:
    name = type(view).__name__
    attributes = dict(vars(view))
    if attributes.pop("_reference", None) is not None or set(attributes) != set(_VIEWS[name][1]):
        raise UnknownClassError(f"{qualified_name(view)}, fitted or changed,")
    values = {key: value.tolist() if isinstance(value, Tensor) else value for key, value in attributes.items()}
    return {"view": [name, {key: encode(value, tensors, f"{place}.{key}") for key, value in values.items()}]}


def _decode_view(content: Any, tensors: dict[str, Tensor]) -> Any:
    name, encoded = content
    if name not in _VIEWS:
        raise SavedFileError(f"the view {name!r} is not known; this version knows {sorted(_VIEWS)}.")
    arguments = {key: decode(value, tensors) for key, value in encoded.items()}
    if name == "Compose":
        return Compose(*arguments["views"])
    if name == "ImageAugmentation":  # whose constructor asks for kornia, which only training needs
        view = ImageAugmentation.__new__(ImageAugmentation)
        view.preset = arguments["preset"]
        return view
    return _VIEWS[name][0](**arguments)


def _decode_scalar(content: Any, tensors: dict[str, Tensor]) -> Any:
    name, value = content
    if name != "str" and np.dtype(name).kind not in _ARRAYS:
        raise SavedFileError(f"a number of type {name!r} is not known.")
    return np.str_(value) if name == "str" else np.dtype(name).type(decode(value, tensors))


_DECODERS: dict[str, Callable[[Any, dict[str, Tensor]], Any]] = {
    "float": lambda content, tensors: float(content),
    "tuple": lambda content, tensors: tuple(decode(content, tensors)),
    "dict": lambda content, tensors: {decode(k, tensors): decode(v, tensors) for k, v in content},
    "not_saved": lambda content, tensors: NotSaved(*content),
    "LearnableEpsilon": lambda content, tensors: LearnableEpsilon(*decode(content, tensors)),
    "device": lambda content, tensors: torch.device(content),
    "path": lambda content, tensors: Path(content),
    "scalar": _decode_scalar,
    "array": lambda content, tensors: tensors[content].numpy().copy(),
    "objects": _decode_objects,
    "csr": _decode_csr,
    "view": _decode_view,
}
