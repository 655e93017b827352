"""One file for a fitted embedder: tensors as safetensors, everything else as JSON in the header, and a checksum.

The metadata of the header have one entry, ``skgca``. Its JSON begins with the SHA-256 of the whole file, computed with
zeros in the place of that number. So a change of any byte is detected, also in the header.

Before a file is written, it is opened in memory, and must embed a few reference rows correctly. So every file that
exists can be opened. Opening it repeats this check, since another machine, another version of a library, or an encoder
given by the user may compute different values.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from .._data import Rows
from .._inference.embedding import embed
from .._utils.device import resolve_device
from .._utils.files import replace_file
from .._utils.renamed import with_current_names
from .._utils.torch_state import known_settings
from .._version import __version__
from ..encoders import Encoder, EncoderWithHead
from ..exceptions import SavedFileError
from .codec import NotSaved, UnknownClassError, decode, encode, encode_parameter, qualified_name
from .fitted import FittedEmbedder
from .modules import describe, load_weights, missing_classes, rebuild, weights
from .sample_rows import example_rows
from .state import (
    decode_reader,
    encode_reader,
    on_cpu,
    requests_of,
    restored_net,
    set_requests,
    usable_device,
    weights_in,
)

__all__ = ["checked", "load", "opened", "packed", "read", "save", "to_bytes"]

Embedder = TypeVar("Embedder")  # a class of GCAEmbedder

_FORMAT = 1  # to be raised when earlier versions would misread the files of a new one
_KEY, _CHECKSUM, _NO_CHECKSUM = "skgca", "sha256", "0" * 64
_PACKAGES = ("torch", "numpy", "scikit-learn", "skorch", "safetensors")
_TOLERANCE = 1e-4  # of the largest entry; other processors and versions of torch round differently
_NOT_ATTRIBUTES = ("reader_", "net_")  # written separately
_PRIVATE = ("_n_features_out", "_sklearn_output_config")
# what decoding raises if the JSON does not have the structure that this module writes
_DAMAGED = (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError)


def save(estimator: FittedEmbedder, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator to a file; see :meth:`GCAEmbedder.save`."""
    replace_file(path, to_bytes(estimator))


def to_bytes(estimator: FittedEmbedder) -> bytes:
    """Return what the file of a fitted estimator holds.

    Raises
    ------
    SavedFileError
        If it could not be opened again.
    """
    content, tensors, own = _content(estimator)
    data = packed(content, tensors)
    # Try to open it, with everything that a user would have to give: values that are not in the file, and the classes
    # of objects that the file holds as a configuration.
    params = estimator.get_params(deep=False)
    given = {name: params[name] for name in _unsaved(content["parameters"]) - set(_configs(content))}
    try:
        _opened(type(estimator), *checked(data), {**given, **own})
    except SavedFileError as error:
        raise SavedFileError(f"The embedder cannot be saved, as it could not be opened again: {error}") from error
    return data


def packed(content: dict[str, Any], tensors: dict[str, Tensor]) -> bytes:
    """Return JSON and tensors as the bytes of a file, with its checksum."""
    text = json.dumps({_CHECKSUM: _NO_CHECKSUM, "format": _FORMAT, **content}, allow_nan=False)
    data: bytes = safetensors.torch.save(tensors, {_KEY: text})
    # The checksum replaces zeros of the same length, so that no offset in the header changes.
    return data.replace(_NO_CHECKSUM.encode(), hashlib.sha256(data).hexdigest().encode(), 1)


def load(
    cls: type[Embedder],
    path: str | os.PathLike[str],
    *,
    custom: dict[str, Any] | None = None,
    device: str | torch.device | None = None,
) -> Embedder:
    """Return the estimator in a file; see :meth:`GCAEmbedder.load`."""
    data = read(path)
    if device is not None:
        resolve_device(device)  # raises if this machine does not have it
    try:
        return opened(cls, data, custom=custom, device=device)
    except SavedFileError as error:
        raise SavedFileError(f"{os.fspath(path)!r} cannot be opened: {error}") from error


def read(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    """
    if Path(path).is_dir():
        raise IsADirectoryError(f"{os.fspath(path)!r} is a folder; give a file that the method save wrote.")
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no file {os.fspath(path)!r}.") from error


def opened(
    cls: type[Embedder],
    data: bytes,
    *,
    custom: dict[str, Any] | None = None,
    device: str | torch.device | None = None,
) -> Embedder:
    """Return the estimator in the bytes of a file.

    Raises
    ------
    SavedFileError
        If they are not those of a file of an embedder that this version can open.
    """
    estimator, module = _opened(cls, *checked(data), custom or {})
    if device is not None:
        estimator.set_params(device=device)
    target_device = usable_device(estimator.device)
    estimator.net_ = restored_net(vars(estimator), module, epsilon=estimator.epsilon_, device=target_device)
    restored: Embedder = estimator
    return restored


# Writing


def _content(estimator: FittedEmbedder) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, type]]:
    """Return what a file holds, as JSON and tensors, and the classes of other packages that it names, by name."""
    tensors: dict[str, Tensor] = {}
    own: dict[str, type] = {}
    params = with_current_names(estimator.get_params(deep=False))
    module = estimator.net_.module_
    content: dict[str, Any] = {
        "class": type(estimator).__name__,
        "versions": _versions(),
        "parameters": {name: encode_parameter(name, value, tensors) for name, value in params.items()},
        "attributes": _attributes(estimator, tensors),
        "requests": requests_of(getattr(estimator, "_metadata_request", None)),
        "reader": encode_reader(estimator.reader_, tensors),
        "network": describe(module, own),
        "reference": _reference(estimator, tensors),
    }
    tensors |= {f"weights.{name}": value for name, value in weights(module).items()}
    # Parameters of the user's own classes are not saved under "parameters". Their configurations are under "custom",
    # which versions of skgca without configurations do not read.
    unsaved = _unsaved(content["parameters"])
    configs = {name: encode_parameter(name, params[name], tensors, own) for name in params if name in unsaved}
    if own:
        content["custom"] = {
            "classes": {name: qualified_name(cls) for name, cls in own.items()},
            "parameters": {name: config for name, config in configs.items() if not _is_not_saved(config)},
        }
    # copies, since safetensors accepts no tensors that share memory, or are not contiguous
    return content, {name: value.contiguous().clone() for name, value in tensors.items()}, own


def _versions() -> dict[str, str]:
    packages = {name: metadata.version(name) for name in _PACKAGES}
    return {"skgca": __version__, "python": platform.python_version(), **packages}


def _attributes(estimator: FittedEmbedder, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return the fitted attributes that are plain values or arrays."""
    encoded = {}
    for name, value in vars(estimator).items():
        if _is_attribute(name):
            with suppress(UnknownClassError):
                encoded[name] = encode(value, tensors, f"attributes.{name}")
    return encoded


def _is_attribute(name: str) -> bool:
    is_fitted = name.endswith("_") and not name.startswith("_") and name not in _NOT_ATTRIBUTES
    return is_fitted or name in _PRIVATE


def _reference(estimator: FittedEmbedder, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return reference rows as JSON, and add their inputs and embeddings, computed on the CPU, to ``tensors``."""
    reader = estimator.reader_
    rows = example_rows(reader)
    tensors["reference.inputs"] = reader.read(rows)
    encoder = on_cpu(estimator.encoder_)
    tensors["reference.embedding"] = torch.from_numpy(_embedded(estimator, encoder, rows))
    return {"rows": encode(rows, tensors, "reference.rows")}


def _embedded(estimator: FittedEmbedder, encoder: Encoder, rows: np.ndarray) -> np.ndarray:
    with known_settings(estimator.n_threads):
        return embed(encoder, estimator.reader_, Rows(rows), estimator._n_features_out, "cpu").astype(np.float32)


# Opening


def checked(data: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Check that no byte of a file has changed, and return its JSON and its tensors.

    Raises
    ------
    SavedFileError
        If a byte has changed, ``save`` did not write the file, or a later version did.
    """
    header = _header(data)
    try:
        text = header["__metadata__"][_KEY]
    except (KeyError, TypeError) as error:
        raise SavedFileError("it is a safetensors file, but GCAEmbedder.save did not write it.") from error
    try:
        content = json.loads(text)
        checksum = content[_CHECKSUM]
        # its first occurrence is in the header, which precedes all tensors
        unsigned = data.replace(checksum.encode(), _NO_CHECKSUM.encode(), 1)
    except _DAMAGED as error:
        raise SavedFileError("it is damaged; copy it again from where it was saved.") from error
    if hashlib.sha256(unsigned).hexdigest() != checksum:
        raise SavedFileError("it is damaged: its checksum does not fit; copy it again from where it was saved.")
    if content.get("format") != _FORMAT:
        raise SavedFileError(
            f"it has format {content.get('format')}, written by skgca {_writer(content)}, but skgca {__version__} "
            f"reads format {_FORMAT}; install the version that wrote it, or a later one."
        )
    try:
        return content, safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise SavedFileError(f"its tensors cannot be read: {error}") from error


def _header(data: bytes) -> dict[str, Any]:
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length]) if 8 <= 8 + length <= len(data) else None
    except (ValueError, RecursionError):
        header = None
    if len(data) == 0 or not isinstance(header, dict):
        fault = "it is empty" if len(data) == 0 else "it is cut off, damaged, or no safetensors file"
        raise SavedFileError(f"{fault}; copy it again from where GCAEmbedder.save wrote it.")
    return header


def _writer(content: dict[str, Any]) -> str:
    return str(content.get("versions", {}).get("skgca", "of unknown version"))


def _opened(
    cls: type[Any], content: dict[str, Any], tensors: dict[str, Tensor], custom: dict[str, Any]
) -> tuple[Any, EncoderWithHead]:
    """Return the estimator without its net, and the module for the net, on the CPU."""
    if "head" in content:
        raise SavedFileError(f"it holds a {content.get('class')}; open it by {content.get('class')}.load.")
    try:
        classes = _own_classes(content, custom)
        estimator = cls(**_parameters(cls, content, tensors, custom, classes))
        reader = decode_reader(content["reader"], tensors)
        blueprint = content["network"]
        _check_encoder(estimator.encoder, blueprint, classes)  # before rebuild, for a message that says what to give
        module = rebuild(blueprint, reader, encoder=estimator.encoder, classes=classes)
        load_weights(module, weights_in(tensors))
        for name, value in content["attributes"].items():
            if not _is_attribute(name):  # a file must not replace methods
                raise SavedFileError(f"{name!r} is no fitted attribute.")
            setattr(estimator, name, decode(value, tensors))
        set_requests(estimator, content["requests"])
        estimator.epsilon_ = float(estimator.epsilon_)
        estimator.reader_ = reader
        rows = decode(content["reference"]["rows"], tensors)
        _verify(estimator, module.encoder, rows, tensors, content["versions"])
    except SavedFileError:
        raise
    except _DAMAGED as error:
        raise SavedFileError(f"its structure is not that of skgca {_writer(content)}: {error!r}.") from error
    return estimator, module


def _unsaved(parameters: dict[str, Any]) -> set[str]:
    """Return the names of the parameters, in JSON, whose values are not in the file."""
    return {name for name, encoded in parameters.items() if _is_not_saved(encoded)}


def _configs(content: dict[str, Any]) -> dict[str, Any]:
    """Return the unsaved parameters that have a configuration, as JSON by name; their classes must be given."""
    configs: dict[str, Any] = content.get("custom", {}).get("parameters", {})
    return configs


def _class_names(content: dict[str, Any]) -> dict[str, str]:
    """Return the qualified names of the classes of other packages in the file, by name."""
    names: dict[str, str] = content.get("custom", {}).get("classes", {})
    return names


def _own_classes(content: dict[str, Any], custom: dict[str, Any]) -> dict[str, type]:
    """Return the classes in ``custom`` that the file names, by name; a key may be a class name or a parameter."""
    named = _class_names(content)
    classes = {
        key if key in named else value.__name__: value for key, value in custom.items() if isinstance(value, type)
    }
    return {name: cls for name, cls in classes.items() if name in named}


def _is_given(value: Any, classes: dict[str, type]) -> bool:
    """Whether a value is one of the given classes that the file names."""
    return any(value is cls for cls in classes.values())


def _check_encoder(encoder: Any, blueprint: dict[str, Any], classes: dict[str, type]) -> None:
    """Raise SavedFileError if the body of the network cannot be made from the file and what the user gave."""
    missing = missing_classes(blueprint, classes)
    if missing == []:
        return
    if isinstance(encoder, NotSaved):
        raise SavedFileError(
            f"its encoder is {encoder.name}, which is not of this package; open it by "
            "load(path, custom={'encoder': ...}) with that class, callable, or a Module of that architecture."
        )
    if missing and isinstance(encoder, str):
        raise SavedFileError(
            f"its network has {missing[0]}, which is not of this package; open it by "
            f"load(path, custom={{{missing[0]!r}: ...}}) with that class."
        )


def _parameters(
    cls: type[Any],
    content: dict[str, Any],
    tensors: dict[str, Tensor],
    custom: dict[str, Any],
    classes: dict[str, type],
) -> dict[str, Any]:
    """Return the parameters in a file and those in ``custom``; the estimator has defaults for the others."""
    if content["class"] != cls.__name__:
        raise SavedFileError(f"it holds a {content['class']}, not a {cls.__name__}; use {content['class']}.load.")
    encoded = with_current_names(content["parameters"])
    unknown = sorted(set(encoded) - set(cls._get_param_names()))
    if unknown:
        raise SavedFileError(
            f"it has parameters {unknown} that skgca {__version__} does not know, as skgca {_writer(content)} wrote "
            "it; install that version, or a later one."
        )
    unsaved = _unsaved(encoded)
    # custom may hold the value of an unsaved parameter, or a class that the file names, under its name or a parameter's
    needless = sorted(
        name
        for name, value in custom.items()
        if name not in unsaved and not ((name in classes or name in encoded) and _is_given(value, classes))
    )
    if needless:
        wanted = sorted({*unsaved, *_class_names(content)})
        raise SavedFileError(
            f"custom gives {needless}, but all that the file lacks is {wanted}; change other parameters by set_params."
        )
    values = {name: decode(value, tensors) for name, value in encoded.items()}
    for name, config in _configs(content).items():
        with suppress(UnknownClassError):  # the class may be missing: only training needs it
            values[name] = decode(config, tensors, classes)
    for name in unsaved & set(custom):
        if not (name in _configs(content) and _is_given(custom[name], classes)):
            values[name] = custom[name]
    return values


def _is_not_saved(encoded: Any) -> bool:
    return isinstance(encoded, dict) and "not_saved" in encoded


def _verify(
    estimator: FittedEmbedder, encoder: Encoder, rows: np.ndarray, tensors: dict[str, Tensor], versions: dict[str, str]
) -> None:
    """Raise SavedFileError if the reference rows are read or embedded differently from when they were saved."""
    inputs, expected = tensors["reference.inputs"], tensors["reference.embedding"].numpy()
    if not torch.allclose(estimator.reader_.read(rows), inputs, rtol=1e-5, atol=1e-5, equal_nan=True):
        raise SavedFileError(f"its reference rows are read differently from when it was saved. {_hint(versions)}")
    try:
        embedding = _embedded(estimator, encoder, rows)
    except ValueError as error:
        raise SavedFileError(f"its reference rows cannot be embedded: {error}") from error
    difference = np.abs(embedding - expected).max() / max(1.0, np.abs(expected).max())
    if not difference <= _TOLERANCE:
        raise SavedFileError(
            f"its reference rows are embedded differently from when it was saved, by {difference:.1e} of the largest "
            f"entry. An encoder of your own may not be the one that was saved. {_hint(versions)}"
        )


def _hint(versions: dict[str, str]) -> str:
    return f"It was saved with {versions}, and this is {_versions()}."
