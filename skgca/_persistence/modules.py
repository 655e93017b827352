"""The architecture of a trained module as JSON, and the module from it; weights are apart.

It is read off the module, not off the parameters of the estimator, which may have been set anew since it was made.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .._data import Reader
from .._utils.random import seeded_global_generator
from ..encoders import (
    MLP,
    ChannelStem,
    Conv1dEncoder,
    ConvEncoder,
    Encoder,
    EncoderWithHead,
    PeriodicEmbedding,
    PiecewiseLinearEncoding,
    ResNet18,
    ResNetMLP,
    RotatedComponents,
    Standardization,
    TableStem,
)
from ..encoders._mlp import _ACTIVATIONS, _NORMALIZATIONS, SeededDropout
from ..exceptions import SavedFileError

__all__ = ["describe", "has_own_body", "load_weights", "rebuild", "weights"]

_BODY = "encoder.body."  # what the names of its weights begin with


def describe(module: EncoderWithHead) -> dict[str, Any]:
    """Return the architecture of a module as JSON.

    A body that is not made of the classes below is the user's own; then "body" says what it was made with.
    """
    encoder = module.encoder
    body = _described(encoder.body)
    if body is None:
        body = {"own": [_n_inputs(encoder.stem), module.head[1][0].in_features]}
    encoding = encoder.stem.numeric_encoding if isinstance(encoder.stem, TableStem) else None
    return {
        "numeric_encoding": None if encoding is None else _described(encoding),
        "body": body,
        "readout": _described(encoder.readout),
        "passthrough": encoder.passthrough,
        "head": _described(module.head),
        "predictor": None if module.predictor is None else _described(module.predictor),
    }


def has_own_body(blueprint: dict[str, Any]) -> bool:
    """Whether the body is of a class that is not known here."""
    return "own" in blueprint["body"]


def rebuild(blueprint: dict[str, Any], reader: Reader, *, encoder: Any = None) -> EncoderWithHead:
    """Make a module of an architecture, with any weights.

    Parameters
    ----------
    blueprint : dict
        What :func:`describe` gave.
    reader : Reader
        What reads rows for it.
    encoder : Module, class or callable, default=None
        What makes the body, where that is the user's own.

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
        body = _own_body(encoder, *blueprint["body"]["own"]) if has_own_body(blueprint) else _made(blueprint["body"])
        readout = _made(blueprint["readout"])
        made = Encoder(stem, body, readout, passthrough=bool(blueprint["passthrough"]))
        predictor = None if blueprint["predictor"] is None else _made(blueprint["predictor"])
        return EncoderWithHead(made, _made(blueprint["head"]), predictor).eval()


def weights(module: nn.Module, *, body: bool = True) -> dict[str, Tensor]:
    """Return all that a module has learned, on the CPU, by name; of dropout, its next seed.

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
    for name, part in _dropouts(module):
        if body or not name.startswith(_BODY):
            found[f"{name}.seed"] = torch.tensor(int(part.seed))
    return found


def load_weights(module: nn.Module, found: dict[str, Tensor]) -> None:
    """Give a module what :func:`weights` returned.

    Raises
    ------
    SavedFileError
        If the names or shapes are others than those of the module.
    """
    found = dict(found)
    for name, part in _dropouts(module):
        if not isinstance(part.seed, Tensor):
            part.seed = int(found.pop(f"{name}.seed"))
    try:
        module.load_state_dict(found, strict=True)
    except RuntimeError as error:
        raise SavedFileError(f"the weights are not those of the network: {error}") from error


def _dropouts(module: nn.Module) -> list[tuple[str, SeededDropout]]:
    return [(name, part) for name, part in module.named_modules() if isinstance(part, SeededDropout)]


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


def _described(module: nn.Module) -> dict[str, Any] | None:
    """Return ``{class: arguments}``, or None where that would not make such a module."""
    name = type(module).__name__
    if name not in _CLASSES or _CLASSES[name][0] is not type(module):
        return None
    try:
        described = {name: _CLASSES[name][1](module)}
        with seeded_global_generator(0):
            return described if repr(_made(described)) == repr(module) else None
    except (AttributeError, IndexError, TypeError, ValueError):  # as where a layer was exchanged for another
        return None


def _made(described: dict[str, Any]) -> nn.Module:
    ((name, arguments),) = described.items()
    if name not in _CLASSES:
        raise SavedFileError(f"a network of class {name!r} is not known; this version knows {sorted(_CLASSES)}.")
    return _CLASSES[name][2](**arguments)


def _layers(module: nn.Module, kind: type | tuple[type, ...]) -> list[Any]:
    return [part for part in module.modules() if isinstance(part, kind)]


def _name_of(module: nn.Module, classes: dict[Any, type | None], default: str) -> Any:
    """Return the key of the class in a table that a module has a layer of."""
    if not len(_layers(module, nn.Linear)) > 1:
        return default  # no hidden layer, so that nothing depends on it
    return next((name for name, kind in classes.items() if kind is not None and _layers(module, kind)), None)


def _perceptron(module: nn.Module) -> dict[str, Any]:
    first, *_, last = [*_layers(module, nn.Linear), module[-1] if isinstance(module, MLP) else module.last[-1]]
    if isinstance(module, MLP):
        sizes = [layer.out_features for layer in _layers(module, nn.Linear)[:-1]]
    else:
        sizes = [first.out_features, *(_layers(block, nn.Linear)[0].out_features for block in module.blocks)]
    rates = [part.rate for part in _layers(module, SeededDropout)]
    return {
        "n_inputs": first.in_features,
        "hidden_layer_sizes": sizes,
        "n_outputs": last.out_features,
        "dropout": rates[0] if rates else 0.0,
        "normalization": _name_of(module, _NORMALIZATIONS, "batch"),
        "activation": _name_of(module, _ACTIVATIONS, "relu"),
    }


def _convolutional(module: ConvEncoder) -> dict[str, Any]:
    convolutions = _layers(module, nn.Conv2d)
    return {
        "n_channels": convolutions[0].in_channels,
        "image_size": list(module.image_size),
        "n_outputs": module[-1].out_features,
        "widths": [layer.out_channels for layer in convolutions],
    }


def _temporal(module: Conv1dEncoder) -> dict[str, Any]:
    convolutions = _layers(module, nn.Conv1d)
    return {
        "n_channels": convolutions[0].in_channels,
        "length": module.length,
        "n_outputs": module.last.out_features,
        "widths": [layer.out_channels for layer in convolutions],
        "kernel_size": convolutions[0].kernel_size[0],
    }


def _residual(module: ResNet18) -> dict[str, Any]:
    first = module.stem[0]
    return {"n_channels": first.in_channels, "n_outputs": module.linear.out_features, "width": first.out_channels}


def _rotated(module: RotatedComponents) -> dict[str, Any]:
    n_activations, n_outputs = module.weight.shape
    return {"n_activations": n_activations, "n_outputs": n_outputs, "n_kept": module.n_kept, "seed": module.seed}


def _periodic(module: PeriodicEmbedding) -> dict[str, Any]:
    n_columns, n_frequencies = module.frequencies.shape
    return {"n_columns": n_columns, "n_frequencies": n_frequencies, "n_outputs": module.bias.shape[1]}


def _piecewise(module: PiecewiseLinearEncoding) -> dict[str, Any]:
    return {"shape": [module.left.shape[0], module.left.shape[1] + 1]}


# Each class: how its arguments are read off a module of it, and what makes one of them.
_CLASSES: dict[str, tuple[type, Callable[[Any], dict[str, Any]], Callable[..., nn.Module]]] = {
    "Conv1dEncoder": (Conv1dEncoder, _temporal, Conv1dEncoder),
    "ConvEncoder": (ConvEncoder, _convolutional, ConvEncoder),
    "Flatten": (nn.Flatten, lambda module: {}, nn.Flatten),
    "MLP": (MLP, _perceptron, MLP),
    "PeriodicEmbedding": (PeriodicEmbedding, _periodic, PeriodicEmbedding),
    "PiecewiseLinearEncoding": (
        PiecewiseLinearEncoding,
        _piecewise,
        lambda shape: PiecewiseLinearEncoding(torch.zeros(shape)),
    ),
    "ReLU": (nn.ReLU, lambda module: {}, nn.ReLU),
    "ResNet18": (ResNet18, _residual, ResNet18),
    "ResNetMLP": (ResNetMLP, _perceptron, ResNetMLP),
    "RotatedComponents": (RotatedComponents, _rotated, RotatedComponents),
    "Sequential": (
        nn.Sequential,
        lambda module: {"parts": [_described(part) for part in module]},
        lambda parts: nn.Sequential(*map(_made, parts)),
    ),
    "Standardization": (Standardization, lambda module: {"n_outputs": module.n_outputs}, Standardization),
}
