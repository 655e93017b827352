"""Convert values to JSON and back, without loss. No name in a file is imported, so opening a file runs no foreign code.

None, booleans, text, whole numbers, finite numbers and lists become plain JSON. Any other value becomes a JSON object
with one key, which names the kind of the value: ``{"float": "nan"}``, ``{"tuple": [...]}``. Arrays of numbers become
tensors, stored next to the JSON. Dates are in ISO 8601; those of NumPy are a number and a unit. Objects with
``get_config``, such as views, become a class name and a configuration.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass
from datetime import date, datetime, time, timezone
from functools import partial
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse
import torch
from torch import Tensor, nn

from .. import encoders, losses, views
from .._utils.config import make_configured
from .._utils.random import seeded_global_generator
from ..exceptions import SavedFileError
from ..losses import LearnableEpsilon

__all__ = [
    "NotSaved",
    "UnknownClassError",
    "add_class",
    "classes_of",
    "decode",
    "encode",
    "encode_parameter",
    "made_of",
    "qualified_name",
]

# None, bool, int, float, str, or a list or dict of them. As a recursive type it would need a check at each index.
Json: TypeAlias = Any

_ARRAYS = {"b", "i", "u", "f"}  # kinds of numpy's types that become tensors
_DATES = (datetime, date, time)
_LARGEST_ITEM = 8  # bytes; tensors cannot hold longer floats


class UnknownClassError(TypeError):
    """A value of a class that cannot be written; the argument is the qualified name of the class."""


@dataclass(frozen=True, repr=False)
class NotSaved:
    """Stands for a parameter whose value could not be written to a file.

    It fits no parameter's constraints, so ``fit`` raises an error that shows it. ``transform`` does not need it.

    Parameters
    ----------
    parameter : str
        Name of the parameter.
    name : str
        Qualified name of the class or function that could not be written.
    """

    parameter: str
    name: str

    def __repr__(self) -> str:
        return (
            f"<nothing: {self.name} in {self.parameter} was not saved; give it by set_params({self.parameter}=...), or "
            f"when opening the file, load(path, custom={{{self.parameter!r}: ...}})>"
        )


def qualified_name(value: Any) -> str:
    """Return the name of a class or function with its module; for any other value, of its class."""
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def classes_of(package: ModuleType) -> dict[str, type]:
    """Return the classes among the public names of a package, by name."""
    return {name: cls for name in package.__all__ if isinstance(cls := getattr(package, name), type)}


def add_class(cls: type, own: dict[str, type] | None) -> str:
    """Add a class of another package to ``own``, the classes that a file names, and return its name.

    Raises
    ------
    UnknownClassError
        If ``own`` is None, or another class already has this name.
    """
    name = cls.__name__
    is_ours = cls.__module__.partition(".")[0] == __name__.partition(".")[0]  # a private class of this package
    is_taken = name in classes_of(views) or name in classes_of(encoders)
    if own is None or is_ours or is_taken or own.setdefault(name, cls) is not cls:
        raise UnknownClassError(qualified_name(cls))
    return name


def made_of(cls: type, config: dict[str, Any]) -> Any:
    """Make an object of a class from a configuration. Random initial weights are the same each time.

    Raises
    ------
    SavedFileError
        If it cannot be made.
    """
    try:
        with seeded_global_generator(0):  # also leaves the global generator of the caller as it was
            return make_configured(cls, config)
    except Exception as error:
        raise SavedFileError(f"no {cls.__name__} can be made of the configuration {config}: {error}") from error


def encode(value: Any, tensors: dict[str, Tensor], place: str, own: dict[str, type] | None = None) -> Json:
    """Return a value as JSON; arrays of numbers are added to ``tensors``.

    Parameters
    ----------
    value : object
        Of a class that can be written.
    tensors : dict
        Receives a tensor for each array of numbers, under a name that begins with ``place``.
    place : str
        Unique name of the value.
    own : dict, default=None
        Receives the classes of other packages that have ``get_config``, by name. With None, objects of such classes are
        refused.

    Raises
    ------
    UnknownClassError
        If the value, or something in it, is of another class. ``tensors`` and ``own`` are then left as they were.
    """
    new_tensors: dict[str, Tensor] = {}
    new_own = None if own is None else dict(own)
    encoded = _encoded(value, new_tensors, place, new_own)
    tensors.update(new_tensors)
    if own is not None:
        own.update(new_own or {})
    return encoded


def _encoded(value: Any, tensors: dict[str, Tensor], place: str, own: dict[str, type] | None = None) -> Json:
    """Return what :func:`encode` returns; after an error, ``tensors`` and ``own`` hold a part of the value."""
    cls = type(value)  # the exact class, since an object of a subclass may hold more
    if value is None or cls in (bool, int, str):
        return value
    if cls is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if cls in (list, tuple):
        items = [_encoded(item, tensors, f"{place}.{k}", own) for k, item in enumerate(value)]
        return items if cls is list else {"tuple": items}
    if cls is dict:  # as pairs, since JSON allows only text as keys
        pairs = [(_encoded(k, tensors, place), _encoded(v, tensors, f"{place}.{k}", own)) for k, v in value.items()]
        return {"dict": [list(pair) for pair in pairs]}
    if cls is NotSaved:
        return {"not_saved": [value.parameter, value.name]}
    if cls is LearnableEpsilon:
        return {"LearnableEpsilon": [_encoded(number, tensors, place) for number in astuple(value)]}
    if cls is torch.device:
        return {"device": str(value)}
    if isinstance(value, PurePath):
        return {"path": str(value)}
    if cls in _DATES and getattr(value, "tzinfo", None) in (None, timezone.utc):  # a zone would become an offset
        return {cls.__name__: value.isoformat()}
    if isinstance(value, np.datetime64 | np.timedelta64):
        return {"instant": [value.dtype.name, int(value.astype(np.int64))]}
    if isinstance(value, np.generic):
        return _encode_scalar(value, tensors, place)
    if cls is np.ndarray:
        return _encode_array(value, tensors, place)
    if cls in (scipy.sparse.csr_matrix, scipy.sparse.csr_array):  # an affinity as target
        parts = [_encode_array(part, tensors, f"{place}.{k}") for k, part in enumerate(_parts(value))]
        return {"csr": [cls is scipy.sparse.csr_array, list(value.shape), *parts]}
    if hasattr(cls, "get_config"):
        return _encode_configured(value, tensors, place, own)
    if isinstance(value, type) and hasattr(value, "get_config"):
        return {"class": add_class(value, own)}
    raise UnknownClassError(qualified_name(value))


def encode_parameter(name: str, value: Any, tensors: dict[str, Tensor], own: dict[str, type] | None = None) -> Json:
    """Return a parameter as JSON: as :class:`NotSaved` if it, or something in it, cannot be written.

    The other arguments are those of :func:`encode`.
    """
    try:
        return encode(value, tensors, f"parameters.{name}", own)
    except UnknownClassError as error:
        return {"not_saved": [name, str(error)]}


def decode(encoded: Json, tensors: dict[str, Tensor], classes: dict[str, type] | None = None) -> Any:
    """Return the value that :func:`encode` returned as JSON.

    Parameters
    ----------
    encoded : object
    tensors : dict
        Tensors of the file, by name.
    classes : dict, default=None
        Classes of other packages that objects in the value may have, by name.

    Raises
    ------
    SavedFileError
        If this version does not know the kind of the value.
    UnknownClassError
        If a class of another package is not in ``classes``.
    """
    if isinstance(encoded, list):
        return [decode(item, tensors, classes) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    ((key, content),) = encoded.items()
    if key not in _DECODERS:
        raise SavedFileError(f"a value of kind {key!r} is not known; this version knows {sorted(_DECODERS)}.")
    return _DECODERS[key](content, tensors, classes or {})


def _encode_scalar(value: np.generic, tensors: dict[str, Tensor], place: str) -> Json:
    # item() returns Python's float, in which a float longer than 8 bytes would lose digits
    if value.dtype.kind not in _ARRAYS | {"U"} or (value.dtype.kind == "f" and value.itemsize > _LARGEST_ITEM):
        raise UnknownClassError(qualified_name(value))
    name = "str" if value.dtype.kind == "U" else value.dtype.name
    return {"scalar": [name, _encoded(value.item(), tensors, place)]}


def _encode_array(array: np.ndarray, tensors: dict[str, Tensor], place: str) -> Json:
    if array.dtype.kind in _ARRAYS and array.itemsize <= _LARGEST_ITEM:
        native = array.astype(array.dtype.newbyteorder("="), order="C")  # a copy: torch warns of read-only arrays
        tensors[place] = torch.from_numpy(native)
        return {"array": place}
    if array.dtype.kind in "OU":  # names of columns, categories
        items = [_encoded(item, tensors, f"{place}.{k}") for k, item in enumerate(array.ravel().tolist())]
        return {"objects": [array.dtype.kind, list(array.shape), items]}
    raise UnknownClassError(f"numpy.ndarray of {array.dtype}")


def _decode_objects(content: Any, tensors: dict[str, Tensor], classes: dict[str, type]) -> np.ndarray:
    type_kind, shape, items = content
    array = np.empty(len(items), dtype=object)  # np.array(items) would turn items of equal length into an axis
    array[:] = decode(items, tensors) if items else None
    shaped: np.ndarray = (array if type_kind == "O" else array.astype(str)).reshape(shape)
    return shaped


def _parts(matrix: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return matrix.data, matrix.indices, matrix.indptr


def _decode_csr(content: Any, tensors: dict[str, Tensor], classes: dict[str, type]) -> Any:
    is_array, shape, *parts = content
    made = scipy.sparse.csr_array if is_array else scipy.sparse.csr_matrix
    return made(tuple(decode(part, tensors) for part in parts), shape=tuple(shape))


def _encode_configured(value: Any, tensors: dict[str, Tensor], place: str, own: dict[str, type] | None) -> Json:
    """Return the class name and configuration of a view, a target, or another object with ``get_config``."""
    cls = type(value)
    packages = [name for name, package in _CONFIGURED.items() if classes_of(package).get(cls.__name__) is cls]
    if not packages:
        add_class(cls, own)
    try:
        config = dict(value.get_config())
        made = value if packages else made_of(cls, config)
    except Exception as error:
        raise UnknownClassError(f"{qualified_name(cls)}, whose get_config makes no such object,") from error
    # The repr of a Module shows its layers. It differs if one of them was replaced after construction.
    if isinstance(value, nn.Module) and repr(made) != repr(value):
        raise UnknownClassError(f"{qualified_name(cls)}, whose get_config makes another Module,")
    encoded = {key: _encoded(item, tensors, f"{place}.{key}", own) for key, item in config.items()}
    return {packages[0] if packages else "custom": [cls.__name__, encoded]}


def _decode_configured(package: str, content: Any, tensors: dict[str, Tensor], classes: dict[str, type]) -> Any:
    name, encoded = content
    known = {name: cls for name, cls in classes_of(_CONFIGURED[package]).items() if hasattr(cls, "get_config")}
    if name not in known:
        raise SavedFileError(f"the {package} {name!r} is not known; this version knows {sorted(known)}.")
    return made_of(known[name], {key: decode(value, tensors, classes) for key, value in encoded.items()})


def _decode_custom(content: Any, tensors: dict[str, Tensor], classes: dict[str, type]) -> Any:
    name, encoded = content
    config = {key: decode(value, tensors, classes) for key, value in encoded.items()}
    return made_of(_decode_class(name, tensors, classes), config)


def _decode_class(name: str, tensors: dict[str, Tensor], classes: dict[str, type]) -> type:
    if name not in classes:
        raise UnknownClassError(name)
    return classes[name]


def _decode_instant(content: Any, tensors: dict[str, Tensor], classes: dict[str, type]) -> np.generic:
    name, number = content
    if np.dtype(name).kind not in "mM":
        raise SavedFileError(f"an instant of type {name!r} is not known.")
    instant: np.generic = np.array(number, dtype=np.int64).view(name)[()]
    return instant


def _decode_scalar(content: Any, tensors: dict[str, Tensor], classes: dict[str, type]) -> Any:
    name, value = content
    if name != "str" and np.dtype(name).kind not in _ARRAYS:
        raise SavedFileError(f"a number of type {name!r} is not known.")
    return np.str_(value) if name == "str" else np.dtype(name).type(decode(value, tensors))


def _decode_date(cls: Any, content: Any, tensors: dict[str, Tensor], classes: dict[str, type]) -> Any:
    return cls.fromisoformat(content)


# Packages whose public classes have get_config, by the key of such values in a file.
_CONFIGURED: dict[str, ModuleType] = {"view": views, "target": losses}

# By the key of a value: the function that makes it from its content, the tensors of the file, and the given classes.
_DECODERS: dict[str, Callable[[Any, dict[str, Tensor], dict[str, type]], Any]] = {
    "float": lambda content, tensors, classes: float(content),
    "tuple": lambda content, tensors, classes: tuple(decode(content, tensors, classes)),
    "dict": lambda content, tensors, classes: {decode(k, tensors): decode(v, tensors, classes) for k, v in content},
    "not_saved": lambda content, tensors, classes: NotSaved(*content),
    "LearnableEpsilon": lambda content, tensors, classes: LearnableEpsilon(*decode(content, tensors)),
    "device": lambda content, tensors, classes: torch.device(content),
    "path": lambda content, tensors, classes: Path(content),
    "scalar": _decode_scalar,
    "instant": _decode_instant,
    **{cls.__name__: partial(_decode_date, cls) for cls in _DATES},
    "array": lambda content, tensors, classes: tensors[content].numpy().copy(),
    "objects": _decode_objects,
    "csr": _decode_csr,
    "view": partial(_decode_configured, "view"),
    "target": partial(_decode_configured, "target"),
    "custom": _decode_custom,
    "class": _decode_class,
}
