"""Convert the architecture of a trained module to JSON, and back; weights are stored separately.

The ``get_config`` of a module returns the arguments of its constructor. The parameters of the estimator are not used,
since they may have been set after fit.
"""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from .. import encoders
from .._data import Reader
from .._utils.random import seeded_global_generator
from ..encoders import Encoder, EncoderWithHead, TableStem
from ..exceptions import SavedFileError
from .codec import UnknownClassError, add_class, classes_of, decode, encode, made_of

__all__ = ["describe", "has_own_body", "load_weights", "missing_classes", "rebuild", "weights"]

_BODY = "encoder.body."  # prefix of the names of its weights
# layers between our modules, without a configuration
_TORCH = {"Flatten": nn.Flatten, "Identity": nn.Identity, "ReLU": nn.ReLU}


def _known() -> dict[str, type]:
    """Return the classes that a file may name without the user giving them, by name."""
    return {**_TORCH, **classes_of(encoders)}


def describe(module: EncoderWithHead, own: dict[str, type] | None = None) -> dict[str, Any]:
    """Return the architecture of a module as JSON.

    Parameters
    ----------
    module : EncoderWithHead
    own : dict, default=None
        Receives the classes in the body that are not of this package and have ``get_config``, by name. With None, the
        configuration of such a body is left out; a pickle holds the body itself.

    Returns
    -------
    dict
        Each part as ``{class: configuration}``. A user's own body is ``{"own": [n_inputs, n_outputs]}``, the arguments
        that its class or function is called with. If the body has a configuration, that is under "config".
    """
    encoder = module.encoder
    encoding = encoder.stem.get_config().get("numeric_encoding")
    return {
        "numeric_encoding": None if encoding is None else _described(encoding),
        "body": _described(encoder.body) or _own_body_described(module, own),
        "readout": _described(encoder.readout),
        "passthrough": encoder.passthrough,
        "head": _described(module.head),
        "predictor": None if module.predictor is None else _described(module.predictor),
    }


def _own_body_described(module: EncoderWithHead, own: dict[str, type] | None) -> dict[str, Any]:
    first: Any = module.head.get_submodule("1.0")  # the head is a ReLU, then an MLP; this is its first linear layer
    stem = module.encoder.stem
    n_inputs = stem.n_features if isinstance(stem, TableStem) else stem.n_outputs
    body: dict[str, Any] = {"own": [n_inputs, first.in_features]}
    if own is not None:
        classes: dict[str, type] = {}
        config = _described(module.encoder.body, classes)
        if config is not None:
            own.update(classes)
            body["config"] = config
    return body


def missing_classes(blueprint: dict[str, Any], classes: dict[str, type]) -> list[str] | None:
    """Return the names of classes that the body needs, and that are neither known nor given.

    None if the file has no configuration of the body.
    """
    if not has_own_body(blueprint):
        return []
    config = blueprint["body"].get("config")
    return None if config is None else sorted(_names(config) - {*_known(), *classes})


def has_own_body(blueprint: dict[str, Any]) -> bool:
    """Whether the body is of a class that is not known here."""
    return "own" in blueprint["body"]


def rebuild(
    blueprint: dict[str, Any], reader: Reader, *, encoder: Any = None, classes: dict[str, type] | None = None
) -> EncoderWithHead:
    """Make a module from its architecture, with arbitrary weights.

    Parameters
    ----------
    blueprint : dict
        What :func:`describe` returned.
    reader : Reader
        Reads rows for the module.
    encoder : Module, class or callable, default=None
        Makes the body if this is the user's own and its classes are not in ``classes``.
    classes : dict, default=None
        Classes of the user's own, by name.

    Raises
    ------
    SavedFileError
        If it cannot be made.
    """
    with seeded_global_generator(0):  # constructors draw weights
        encoding = None if blueprint["numeric_encoding"] is None else _made(blueprint["numeric_encoding"])
        stem = reader.make_stem(standardize=True, numeric_encoding=encoding)  # load_weights sets mean and deviation
        if missing_classes(blueprint, classes or {}) == []:
            body = _made(blueprint["body"].get("config", blueprint["body"]), classes)
        else:
            body = _own_body(encoder, *blueprint["body"]["own"])
        readout: Any = _made(blueprint["readout"])
        made = Encoder(stem, body, readout, passthrough=bool(blueprint["passthrough"]))
        predictor = None if blueprint["predictor"] is None else _made(blueprint["predictor"])
        return EncoderWithHead(made, _made(blueprint["head"]), predictor).eval()


def weights(module: nn.Module, *, body: bool = True) -> dict[str, Tensor]:
    """Return the parameters and buffers of a module, on the CPU, by name.

    Parameters
    ----------
    module : EncoderWithHead
    body : bool, default=True
        Whether to include those of the body.

    Raises
    ------
    SavedFileError
        If the state of a user's own part holds something that is no tensor.
    """
    tensors: dict[str, Tensor] = {}
    for name, value in module.state_dict().items():
        if not body and name.startswith(_BODY):
            continue
        if not isinstance(value, Tensor):
            raise SavedFileError(f"the encoder keeps {name!r}, a {type(value).__name__}; only tensors can be written.")
        tensors[name] = value.detach().cpu()
    return tensors


def load_weights(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Load into a module what :func:`weights` returned.

    Raises
    ------
    SavedFileError
        If the names or shapes differ from those of the module.
    """
    # In version 0.1, dropout layers had their own random numbers, and a file held the next seed of each layer.
    seeds = {f"{name}.seed" for name, part in module.named_modules() if isinstance(part, nn.Dropout)}
    tensors = {name: value for name, value in tensors.items() if name not in seeds}
    try:
        module.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise SavedFileError(f"the weights are not those of the network: {error}") from error


def _own_body(encoder: Any, n_inputs: int, n_outputs: int) -> nn.Module:
    if isinstance(encoder, nn.Module):
        return copy.deepcopy(encoder)
    if not callable(encoder):
        raise SavedFileError(
            f"the network was made by a class or function that the file does not hold, and encoder={encoder!r} "
            "cannot make it; open the file by load(path, custom={'encoder': ...}) with that class or function."
        )
    try:
        body = encoder(n_inputs, n_outputs)
    except Exception as error:
        raise SavedFileError(
            f"encoder={encoder!r} failed when called with ({n_inputs}, {n_outputs}): {error}"
        ) from error
    if not isinstance(body, nn.Module):
        raise SavedFileError(f"encoder={encoder!r} made a {type(body).__name__}, but a Module is needed.")
    return body


def _described(module: nn.Module, own: dict[str, type] | None = None) -> dict[str, Any] | None:
    """Return ``{class: configuration}``, or None if the module cannot be made from it; ``own`` is as in describe."""
    cls = type(module)
    name = cls.__name__
    if isinstance(module, nn.Sequential) and cls is nn.Sequential:
        parts = [_described(part, own) for part in module]
        return None if None in parts else {name: {"parts": parts}}
    is_known = _known().get(name) is cls
    if not is_known and (own is None or not hasattr(cls, "get_config")):
        return None
    try:
        if not is_known:
            add_class(cls, own)
        configured: Any = module
        config = {} if name in _TORCH else configured.get_config()
        described = {name: _plain(config)}
        made = _made(described, own)
    except Exception:  # for example, if the get_config of a class has another purpose
        return None
    # The repr shows all layers. It differs if one of them was replaced after construction.
    return described if repr(made) == repr(module) else None


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration as JSON."""
    tensors: dict[str, Tensor] = {}
    encoded = {key: encode(value, tensors, key) for key, value in config.items()}
    if tensors:
        raise UnknownClassError("numpy.ndarray in the configuration of a module")
    return encoded


def _names(described: dict[str, Any]) -> set[str]:
    """Return the names of the classes in what :func:`_described` returned."""
    ((name, config),) = described.items()
    return set().union(*map(_names, config["parts"])) if name == "Sequential" else {name}


def _made(described: dict[str, Any], classes: dict[str, type] | None = None) -> nn.Module:
    ((name, config),) = described.items()
    if name == "Sequential":
        return nn.Sequential(*(_made(part, classes) for part in config["parts"]))
    known = {**_known(), **(classes or {})}
    if name not in known:
        raise SavedFileError(f"a network of class {name!r} is not known; this version knows {sorted(known)}.")
    module: nn.Module = made_of(known[name], {key: decode(value, {}) for key, value in config.items()})
    return module
