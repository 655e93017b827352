"""One file for a fitted embedder: safetensors, with all else as JSON in its header, and a checksum over the whole.

The header's metadata have one entry, ``skgca``, whose JSON begins with the SHA-256 of the file as it is with zeros in
the place of that number. So no byte can change unnoticed, in the header neither.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from .._data import Reader, Rows
from .._inference.embedding import embed
from .._utils.device import resolve_device
from .._utils.files import replace_file
from .._utils.renamed import with_current_names
from .._utils.threads import fixed_threads
from .._version import __version__
from ..encoders import Encoder
from ..exceptions import SavedFileError
from .codec import NotSaved, UnknownClassError, decode, encode, encode_parameter, qualified_name
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

__all__ = ["load", "save"]

_FORMAT = 1  # the number goes up when files are made that an earlier version would misread
_KEY, _CHECKSUM, _NO_CHECKSUM = "skgca", "sha256", "0" * 64
_PACKAGES = ("torch", "numpy", "scikit-learn", "skorch", "safetensors")
_TOLERANCE = 1e-4  # of the largest entry; other processors and versions of torch round otherwise
_NOT_ATTRIBUTES = ("reader_", "net_")  # which are written in parts
_PRIVATE = ("_n_features_out", "_sklearn_output_config")
_DAMAGED = (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError)


def save(estimator: Any, path: str | os.PathLike) -> None:
    """Write a fitted estimator to a file; see :meth:`GCAEmbedder.save`."""
    content, tensors, own = _content(estimator)
    text = json.dumps({_CHECKSUM: _NO_CHECKSUM, **content}, allow_nan=False)
    data = safetensors.torch.save(tensors, {_KEY: text})
    data = data.replace(_NO_CHECKSUM.encode(), hashlib.sha256(data).hexdigest().encode(), 1)
    params = estimator.get_params(deep=False)
    unsaved = {name for name, value in content["parameters"].items() if _is_not_saved(value)}
    given = {name: params[name] for name in unsaved - set(_configs(content))}
    try:
        _opened(type(estimator), *_checked(data), {**given, **own})
    except SavedFileError as error:
        raise SavedFileError(f"The embedder cannot be saved, as it could not be opened again: {error}") from error
    replace_file(path, data)


def load(cls: type, path: str | os.PathLike, *, custom: dict[str, Any] | None = None, device: Any = None) -> Any:
    """Return the estimator in a file; see :meth:`GCAEmbedder.load`."""
    if Path(path).is_dir():
        raise IsADirectoryError(f"{os.fspath(path)!r} is a folder, and no file that GCAEmbedder.save wrote.")
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"There is no file {os.fspath(path)!r}.") from error
    if device is not None:
        resolve_device(device)
    try:
        estimator, module = _opened(cls, *_checked(data), custom or {})
    except SavedFileError as error:
        raise SavedFileError(f"{os.fspath(path)!r} cannot be opened: {error}") from error
    if device is not None:
        estimator.set_params(device=device)
    place = usable_device(estimator.device)
    estimator.net_ = restored_net(vars(estimator), module, epsilon=estimator.epsilon_, device=place)
    return estimator


# Writing


def _content(estimator: Any) -> tuple[dict[str, Any], dict[str, Tensor], dict[str, type]]:
    """Return what a file holds, as JSON and tensors, and by name the classes of other packages that it has."""
    tensors: dict[str, Tensor] = {}
    own: dict[str, type] = {}
    params = with_current_names(estimator.get_params(deep=False))
    module = estimator.net_.module_
    content = {
        "format": _FORMAT,
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
    # Beside the parameters, where versions that know nothing of configurations do not look.
    unsaved = {name: params[name] for name, value in content["parameters"].items() if _is_not_saved(value)}
    configs = {name: encode_parameter(name, value, tensors, own) for name, value in unsaved.items()}
    if own:
        content["custom"] = {
            "classes": {name: qualified_name(kind) for name, kind in own.items()},
            "parameters": {name: config for name, config in configs.items() if not _is_not_saved(config)},
        }
    # copies, since safetensors takes no tensors that share memory or whose numbers stand in another order
    return content, {name: value.contiguous().clone() for name, value in tensors.items()}, own


def _versions() -> dict[str, str]:
    packages = {name: metadata.version(name) for name in _PACKAGES}
    return {"skgca": __version__, "python": platform.python_version(), **packages}


def _attributes(estimator: Any, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return the fitted attributes that are plain values or arrays."""
    found = {}
    for name, value in vars(estimator).items():
        if _is_attribute(name):
            own: dict[str, Tensor] = {}
            try:
                found[name] = encode(value, own, f"attributes.{name}")
            except UnknownClassError:
                continue
            tensors.update(own)
    return found


def _is_attribute(name: str) -> bool:
    is_fitted = name.endswith("_") and not name.startswith("_") and name not in _NOT_ATTRIBUTES
    return is_fitted or name in _PRIVATE


def _reference(estimator: Any, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return rows, what is read of them, and their embeddings, computed on the CPU."""
    reader = estimator.reader_
    rows = example_rows(reader)
    tensors["reference.inputs"] = reader.read(rows)
    encoder = on_cpu(estimator.encoder_)
    tensors["reference.embedding"] = torch.from_numpy(_embedded(estimator, encoder, reader, rows))
    return {"rows": encode(rows, tensors, "reference.rows")}


def _embedded(estimator: Any, encoder: Encoder, reader: Reader, rows: np.ndarray) -> np.ndarray:
    with fixed_threads(estimator.n_threads):
        return embed(encoder, reader, Rows(rows), estimator._n_features_out, "cpu").astype(np.float32)


# Opening


def _checked(data: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return JSON and tensors of a file, if none of its bytes has changed.

    Raises
    ------
    SavedFileError
        If some have, it is not ours, or of a later version.
    """
    header = _header(data)
    try:
        text = header["__metadata__"][_KEY]
    except (KeyError, TypeError) as error:
        raise SavedFileError("it is a safetensors file, but GCAEmbedder.save did not write it.") from error
    try:
        content = json.loads(text)
        checksum = content[_CHECKSUM]
        whole = data.replace(checksum.encode(), _NO_CHECKSUM.encode(), 1)
    except _DAMAGED as error:
        raise SavedFileError("it is damaged; copy it again from where it was saved.") from error
    if hashlib.sha256(whole).hexdigest() != checksum:
        raise SavedFileError("it is damaged: its checksum does not fit; copy it again from where it was saved.")
    if content.get("format") != _FORMAT:
        raise SavedFileError(
            f"it is of format {content.get('format')}, written by skgca {_writer(content)}, and this is skgca "
            f"{__version__}, which reads format {_FORMAT}; install the version that wrote it, or a later one."
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
        what = "it is empty" if len(data) == 0 else "it is cut off, damaged, or no safetensors file"
        raise SavedFileError(f"{what}; copy it again from where GCAEmbedder.save wrote it.")
    return header


def _writer(content: dict[str, Any]) -> str:
    return content.get("versions", {}).get("skgca", "of unknown version")


def _opened(cls: type, content: dict[str, Any], tensors: dict[str, Tensor], custom: dict[str, Any]) -> Any:
    """Return the estimator without its net, and the module of that, on the CPU."""
    try:
        classes = _own_classes(content, custom)
        estimator = cls(**_parameters(cls, content, tensors, custom, classes))
        reader = decode_reader(content["reader"], tensors)
        blueprint = content["network"]
        _check_encoder(estimator.encoder, blueprint, classes)
        module = rebuild(blueprint, reader, encoder=estimator.encoder, classes=classes)
        load_weights(module, weights_in(tensors))
        for name, value in content["attributes"].items():
            if not _is_attribute(name):
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
        raise SavedFileError(f"it is not as files of skgca {_writer(content)} are: {error!r}.") from error
    return estimator, module


def _configs(content: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that can be made once the classes in them are given."""
    return content.get("custom", {}).get("parameters", {})


def _own_classes(content: dict[str, Any], custom: dict[str, Any]) -> dict[str, type]:
    """Return the classes that a file names, as far as they are given, by their names or for a parameter."""
    named = content.get("custom", {}).get("classes", {})
    classes = {
        key if key in named else value.__name__: value for key, value in custom.items() if isinstance(value, type)
    }
    return {name: value for name, value in classes.items() if name in named}


def _is_given(value: Any, classes: dict[str, type]) -> bool:
    """Whether a value is one of the classes that the file names."""
    return any(value is kind for kind in classes.values())


def _check_encoder(encoder: Any, blueprint: dict[str, Any], classes: dict[str, type]) -> None:
    """Raise SavedFileError if what makes the body of the network was not given."""
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
    cls: Any, content: dict[str, Any], tensors: dict[str, Tensor], custom: dict[str, Any], classes: dict[str, type]
) -> dict[str, Any]:
    """Return the parameters in a file, and those given beside it; those missing are at their defaults."""
    if content["class"] != cls.__name__:
        raise SavedFileError(f"it holds a {content['class']}, not a {cls.__name__}; use {content['class']}.load.")
    encoded = with_current_names(content["parameters"])
    unknown = sorted(set(encoded) - set(cls._get_param_names()))
    if unknown:
        raise SavedFileError(
            f"it has parameters {unknown} that skgca {__version__} does not know, as skgca {_writer(content)} wrote "
            "it; install that version, or a later one."
        )
    unsaved = {name for name, value in encoded.items() if _is_not_saved(value)}
    needless = sorted(
        name
        for name, value in custom.items()
        if name not in unsaved and not ((name in classes or name in encoded) and _is_given(value, classes))
    )
    if needless:
        wanted = sorted({*unsaved, *content.get("custom", {}).get("classes", {})})
        raise SavedFileError(
            f"custom gives {needless}, but what the file does not hold is {wanted}; change others by set_params."
        )
    values = {name: decode(value, tensors) for name, value in encoded.items()}
    for name, config in _configs(content).items():
        with suppress(UnknownClassError):  # what only training needs may be missing
            values[name] = decode(config, tensors, classes)
    for name in unsaved & set(custom):
        if not (name in _configs(content) and _is_given(custom[name], classes)):
            values[name] = custom[name]
    return values


def _is_not_saved(encoded: Any) -> bool:
    return isinstance(encoded, dict) and "not_saved" in encoded


def _verify(
    estimator: Any, encoder: Encoder, rows: np.ndarray, tensors: dict[str, Tensor], versions: dict[str, str]
) -> None:
    """Raise SavedFileError if the reference rows are read or embedded otherwise than they were."""
    remedy = f"It was saved with {versions}, and this is {_versions()}."
    inputs, expected = tensors["reference.inputs"], tensors["reference.embedding"].numpy()
    read = estimator.reader_.read(rows)
    if not torch.allclose(read, inputs, rtol=1e-5, atol=1e-5, equal_nan=True):
        raise SavedFileError(f"its reference rows are read otherwise than they were. {remedy}")
    try:
        embedding = _embedded(estimator, encoder, estimator.reader_, rows)
    except ValueError as error:
        raise SavedFileError(f"its reference rows cannot be embedded: {error}") from error
    difference = np.abs(embedding - expected).max() / max(1.0, np.abs(expected).max())
    if not difference <= _TOLERANCE:
        raise SavedFileError(
            f"its reference rows are embedded otherwise than they were, by {difference:.1e} of the largest entry. An "
            f"encoder of your own may not be the one that was saved. {remedy}"
        )
