"""The architecture of a trained module as JSON, and the module from it; weights are apart.

Modules say themselves what they were made with, by ``get_config``. The parameters of the estimator are not asked, since
they may have been set anew.
"""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from .. import encoders
from .._data import Reader
from .._utils.random import seeded_global_generator
from ..encoders import ChannelStem, Encoder, EncoderWithHead, TableStem
from ..exceptions import SavedFileError
from .codec import UnknownClassError, add_class, classes_of, decode, encode, made_of

__all__ = ["describe", "has_own_body", "load_weights", "missing_classes", "rebuild", "weights"]

_BODY = "encoder.body."  # what the names of its weights begin with
_TORCH = {"Flatten": nn.Flatten, "ReLU": nn.ReLU}  # layers between our modules, which have no configuration


def _known() -> dict[str, type]:
    """Return the classes that are made without help, by name."""
    return {**_TORCH, **classes_of(encoders)}


def describe(module: EncoderWithHead, own: dict[str, type] | None = None) -> dict[str, Any]:
    """Return the architecture of a module as JSON.

    Parameters
    ----------
    module : EncoderWithHead
    own : dict, default=None
        Gets, by their names, the classes of the body that are not of this package and have ``get_config``. None leaves
        such a configuration out, as for a pickle, which keeps the body itself.

    Returns
    -------
    dict
        Each part as ``{class: configuration}``. For a body of the user's own it is ``{"own": sizes}``: the sizes that a
        class or function is called with to make it. If it has a configuration, that is under "config".
    """
    parts = {**module.get_config(), **module.encoder.get_config()}
    encoding = parts["stem"].get_config().get("numeric_encoding")
    body = _described(parts["body"])
    if body is None:
        body = {"own": [_n_inputs(parts["stem"]), parts["head"][1][0].in_features]}
        found: dict[str, type] = {}
        config = None if own is None else _described(parts["body"], found)
        if config is not None:
            own.update(found)
            body["config"] = config
    return {
        "numeric_encoding": None if encoding is None else _described(encoding),
        "body": body,
        "readout": _described(parts["readout"]),
        "passthrough": parts["passthrough"],
        "head": _described(parts["head"]),
        "predictor": None if parts["predictor"] is None else _described(parts["predictor"]),
    }


def missing_classes(blueprint: dict[str, Any], classes: dict[str, type]) -> list[str] | None:
    """Return the names of the body's classes that are neither known nor given; None if they are not in the file."""
    body = blueprint["body"]
    if has_own_body(blueprint):
        return sorted(_names(body["config"]) - {*_known(), *classes}) if "config" in body else None
    return []


def has_own_body(blueprint: dict[str, Any]) -> bool:
    """Whether the body is of a class that is not known here."""
    return "own" in blueprint["body"]


def rebuild(
    blueprint: dict[str, Any], reader: Reader, *, encoder: Any = None, classes: dict[str, type] | None = None
) -> EncoderWithHead:
    """Make a module of an architecture, with any weights.

    Parameters
    ----------
    blueprint : dict
        What :func:`describe` gave.
    reader : Reader
        What reads rows for it.
    encoder : Module, class or callable, default=None
        What makes the body, where that is the user's own and its classes are not given.
    classes : dict, default=None
        Classes of the user's own, by name.

    Raises
    ------
    SavedFileError
        If it cannot be made.
    """
    with seeded_global_generator(0):  # constructors draw weights
        encoding = None if blueprint["numeric_encoding"] is None else _made(blueprint["numeric_encoding"])
        if reader.kind == "table":
            stem: nn.Module = TableStem(reader.n_categories, reader.has_missing, encoding)
        else:
            n_channels = len(reader.mean)
            stem = ChannelStem([0.0] * n_channels, [1.0] * n_channels, 2 if reader.kind == "images" else 1)
        if missing_classes(blueprint, classes or {}) == []:
            body = _made(blueprint["body"].get("config", blueprint["body"]), classes)
        else:
            body = _own_body(encoder, *blueprint["body"]["own"])
        readout = _made(blueprint["readout"])
        made = Encoder(stem, body, readout, passthrough=bool(blueprint["passthrough"]))
        predictor = None if blueprint["predictor"] is None else _made(blueprint["predictor"])
        return EncoderWithHead(made, _made(blueprint["head"]), predictor).eval()


def weights(module: nn.Module, *, body: bool = True) -> dict[str, Tensor]:
    """Return all that a module has learned, on the CPU, by name.

    Parameters
    ----------
    module : EncoderWithHead
    body : bool, default=True
        Whether those of the body are wanted too.

    Raises
    ------
    SavedFileError
        If a part of the user's own keeps something beside tensors.
    """
    found: dict[str, Tensor] = {}
    for name, value in module.state_dict().items():
        if not body and name.startswith(_BODY):
            continue
        if not isinstance(value, Tensor):
            raise SavedFileError(f"the encoder keeps {name!r}, a {type(value).__name__}; only tensors can be written.")
        found[name] = value.detach().cpu()
    return found


def load_weights(module: nn.Module, found: dict[str, Tensor]) -> None:
    """Give a module what :func:`weights` returned.

    Raises
    ------
    SavedFileError
        If the names or shapes are others than those of the module.
    """
    # Version 0.1 wrote the next seed of each dropout layer, which had random numbers of its own.
    seeds = {f"{name}.seed" for name, part in module.named_modules() if isinstance(part, nn.Dropout)}
    found = {name: value for name, value in found.items() if name not in seeds}
    try:
        module.load_state_dict(found, strict=True)
    except RuntimeError as error:
        raise SavedFileError(f"the weights are not those of the network: {error}") from error


def _n_inputs(stem: nn.Module) -> int:
    return stem.n_features if isinstance(stem, TableStem) else stem.mean.numel()


def _own_body(encoder: Any, n_inputs: int, n_outputs: int) -> nn.Module:
    if isinstance(encoder, nn.Module):
        return copy.deepcopy(encoder)
    if not callable(encoder):
        raise SavedFileError(f"the network was made by a class or function of its own, where encoder={encoder!r} is.")
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
    """Return ``{class: configuration}``, or None where that would not make such a module; ``own`` is as in describe."""
    kind = type(module)
    name = kind.__name__
    if kind is nn.Sequential:
        parts = [_described(part, own) for part in module]
        return None if None in parts else {name: {"parts": parts}}
    is_known = _known().get(name) is kind
    if not is_known and (own is None or not hasattr(kind, "get_config")):
        return None
    try:
        if not is_known:
            add_class(kind, own)
        described = {name: {} if name in _TORCH else _plain(module.get_config())}
        made = _made(described, own)
    except Exception:  # such as by a class whose get_config is for something else
        return None
    return described if repr(made) == repr(module) else None  # it is not where a layer was exchanged for another


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration as JSON."""
    tensors: dict[str, Tensor] = {}
    encoded = {key: encode(value, tensors, key) for key, value in config.items()}
    if tensors:
        raise UnknownClassError("numpy.ndarray in the configuration of a module")
    return encoded


def _names(described: dict[str, Any]) -> set[str]:
    """Return the names of the classes in what :func:`_described` gave."""
    ((name, config),) = described.items()
    return set().union(*map(_names, config["parts"])) if name == "Sequential" else {name}


def _made(described: dict[str, Any], classes: dict[str, type] | None = None) -> nn.Module:
    ((name, config),) = described.items()
    if name == "Sequential":
        return nn.Sequential(*(_made(part, classes) for part in config["parts"]))
    known = {**_known(), **(classes or {})}
    if name not in known:
        raise SavedFileError(f"a network of class {name!r} is not known; this version knows {sorted(known)}.")
    return made_of(known[name], {key: decode(value, {}) for key, value in config.items()})
