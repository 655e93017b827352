"""The module that ``fit`` trains: stem, body and heads, from the parameters of the estimator and what its data are."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._data import Reader
from .._utils.compat import InvalidParameterError
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
    participation_ratio,
)

__all__ = ["ENCODERS", "NUMERIC_EMBEDDINGS", "check_encoder", "last_module", "make_module", "series_wanted"]


@dataclass(frozen=True)
class _Named:
    """An encoder with a name.

    kinds : what it encodes; make : ``(params, reader, n_features, widths) -> Module``; widths : its default
    ``hidden_layer_sizes``, None where it has none; layered : whether ``dropout`` and ``normalization`` are for it.
    """

    kinds: tuple[str, ...]
    make: Callable[[Any, Reader, int, tuple[int, ...]], nn.Module]
    widths: tuple[int, ...] | None
    layered: bool = False


def _perceptron(cls: type[nn.Module]) -> Callable[[Any, Reader, int, tuple[int, ...]], nn.Module]:
    def make(params: Any, reader: Reader, n_features: int, widths: tuple[int, ...]) -> nn.Module:
        options = {"dropout": params.dropout, "normalization": params.normalization}
        body = cls(n_features, widths, _n_outputs(params), **options)
        return body if reader.kind == "table" else nn.Sequential(nn.Flatten(), body)

    return make


def _convolutional(params: Any, reader: Reader, n_features: int, widths: tuple[int, ...]) -> nn.Module:
    channels, *size = reader.image_shape
    return ConvEncoder(channels, size, _n_outputs(params), widths=widths)


def _residual(params: Any, reader: Reader, n_features: int, widths: tuple[int, ...]) -> nn.Module:
    return ResNet18(reader.image_shape[0], _n_outputs(params))


def _temporal(params: Any, reader: Reader, n_features: int, widths: tuple[int, ...]) -> nn.Module:
    return Conv1dEncoder(*reader.shape, _n_outputs(params), widths=widths)


ENCODERS = {
    "mlp": _Named(("table", "images", "series"), _perceptron(MLP), (256, 256), layered=True),
    "resnet_mlp": _Named(("table", "images", "series"), _perceptron(ResNetMLP), (256, 256), layered=True),
    "conv": _Named(("images",), _convolutional, (32, 64, 128)),
    "resnet18": _Named(("images",), _residual, None),
    "conv1d": _Named(("series",), _temporal, (32, 64, 128)),
}
NUMERIC_EMBEDDINGS = {
    "periodic": lambda numbers: PeriodicEmbedding(numbers.shape[1]),
    "piecewise_linear": lambda numbers: PiecewiseLinearEncoding.from_quantiles(numbers, _N_BINS),
}
_N_BINS = 16
_AUTO_OUTPUTS = 128  # of n_components="auto"
_LEAST_KEPT, _MOST_COLUMNS = 8, 256  # of all layers; docs/develop/decisions.md says how they were found
_AUTO = {"table": "mlp", "images": "conv", "series": "conv1d"}


def check_encoder(params: Any, kind: str) -> None:
    """Raise InvalidParameterError if the encoder is for other data, or a parameter of encoders has no effect."""
    named = _named(params, kind)
    if named is not None and kind not in named.kinds:
        valid = sorted(name for name, other in ENCODERS.items() if kind in other.kinds)
        raise InvalidParameterError(
            f"encoder={params.encoder!r} encodes {' or '.join(named.kinds)}, but X holds {_article(kind)}; use 'auto' "
            f"or one of {valid}. image_shape= makes images of flat rows."
        )
    if params.hidden_layer_sizes is not None and (named is None or named.widths is None):
        raise InvalidParameterError(
            f"hidden_layer_sizes={params.hidden_layer_sizes!r} has no effect with encoder={params.encoder!r}; leave it "
            "out."
        )
    for name, default in (("numeric_embedding", None), ("categorical_features", "from_dtype")):
        value = getattr(params, name)
        if kind != "table" and not (value is default or (isinstance(value, str) and value == default)):
            raise InvalidParameterError(f"{name}={value!r} has no effect on {kind}; it is for tables. Leave it out.")
    for name, default in (("dropout", 0.0), ("normalization", "batch")):
        value = getattr(params, name)
        if value != default and (named is None or not named.layered):
            raise InvalidParameterError(
                f"{name}={value!r} has no effect with encoder={params.encoder!r} on {kind}; it is for 'mlp' and "
                "'resnet_mlp'."
            )


def series_wanted(encoder: Any) -> bool | None:
    """Whether three-dimensional input is series, as far as the name of the encoder tells."""
    kinds = ENCODERS[encoder].kinds if isinstance(encoder, str) and encoder in ENCODERS else ()
    return kinds == ("series",) if len(kinds) == 1 else None


def make_module(
    params: Any, reader: Reader, rows: Tensor, n_rows: int, *, with_predictor: bool, seed: int
) -> EncoderWithHead:
    """Make the encoder and its heads, with random weights.

    Parameters
    ----------
    params : GCAEmbedder
        Holds the parameters as attributes.
    reader : Reader
        Fitted.
    rows : Tensor of shape (n, ...)
        Some training rows: quantiles are taken of them, and the encoder is tried on the first two.
    n_rows : int
        How many there are in all.
    with_predictor : bool
        Whether the loss needs one.
    seed : int
        Of the weights.

    Raises
    ------
    InvalidParameterError
        If the encoder does not give (n, k), or another k than ``n_components``.
    """
    with seeded_global_generator(seed):  # torch initialises weights from its global generator
        stem = _make_stem(params, reader, rows)
        body = _make_body(params, reader, stem)
        width = _output_width(params, nn.Sequential(stem, body), rows[:2])
        sizes = _sizes(params, "projection_sizes")
        if not sizes:
            raise InvalidParameterError("projection_sizes is empty; it needs the width of the output, such as (128,).")
        head = nn.Sequential(nn.ReLU(), MLP(width, sizes[:-1], sizes[-1]))
        predictor = MLP(sizes[-1], sizes[:-1], sizes[-1]) if with_predictor else None  # as deep and wide as the head
    readout = _make_readout(params, reader, nn.Sequential(stem, body), width, rows, n_rows, seed=seed)
    passthrough = reader.kind == "table" if params.passthrough == "auto" else bool(params.passthrough)
    return EncoderWithHead(Encoder(stem, body, readout, passthrough=passthrough), head, predictor)


def last_module(params: Any, reader: Reader, rows: Tensor, n_rows: int, *, with_predictor: bool) -> EncoderWithHead:
    """Copy the module of the last fit, so that one which fails leaves it as it was.

    Raises
    ------
    ValueError
        If the parameters now ask for another architecture.
    """
    module = copy.deepcopy(params.net_.module_)
    fresh = make_module(params, reader, rows, n_rows, with_predictor=with_predictor, seed=0)
    if [p.shape for p in module.parameters()] != [p.shape for p in fresh.parameters()]:
        raise ValueError(
            "warm_start=True cannot continue with another n_components, hidden_layer_sizes or projection_sizes than "
            "the last fit had, nor change between a loss with a predictor and one without; set them back, or fit with "
            "warm_start=False."
        )
    module.encoder.passthrough = fresh.encoder.passthrough
    last, new = module.encoder.readout, fresh.encoder.readout
    if type(last) is not type(new) or (params.n_components != "auto" and last.n_outputs != new.n_outputs):
        module.encoder.readout = new  # else its rotation and width stay
    return module


def _make_stem(params: Any, reader: Reader, rows: Tensor) -> nn.Module:
    """Return what stands before the body of the encoder."""
    if reader.kind != "table":
        mean, std = reader.mean, reader.std
        if not params.standardize:
            mean, std = np.zeros_like(mean), np.ones_like(std)
        return ChannelStem(mean, std, 2 if reader.kind == "images" else 1)
    numbers = rows[:, torch.from_numpy(reader.n_categories == 0)]
    encoding = None
    if params.numeric_embedding is not None and numbers.shape[1]:
        encoding = NUMERIC_EMBEDDINGS[params.numeric_embedding](numbers)
    return TableStem(reader.n_categories, reader.has_missing, encoding)


def _make_readout(
    params: Any, reader: Reader, encoder: nn.Sequential, width: int, rows: Tensor, n_rows: int, *, seed: int
) -> Standardization | RotatedComponents:
    """Return what reads the embedding out of stem and body, by default out of all layers if they read a table.

    Of those it keeps a component for as many rows as the inputs have dimensions: a linear model has about as many
    parameters for these, and can bear more where rows are many for that. A penalty on its weights is shared by what
    stands beside the inputs, so there are about twice as many columns of it, or one a component.
    """
    stem, body = encoder
    layered = hasattr(body, "activations")
    if params.layers == "all" and not layered:
        raise InvalidParameterError(
            f"layers='all' needs an encoder that gives its activations, as 'mlp' and 'resnet_mlp' do of tables; "
            f"encoder={params.encoder!r} on {reader.kind} does not. Use layers='auto'."
        )
    auto_reads_all = layered and reader.kind == "table" and isinstance(params.encoder, str)
    if params.layers == "last" or (params.layers == "auto" and not auto_reads_all):
        return Standardization(width)
    encoder.eval()  # so that nothing in it changes
    with torch.no_grad():
        plain = stem.plain(rows)
        n_activations = sum(layer.shape[1] for layer in body.activations(stem(rows[:2])))
    encoder.train()
    n_kept = max(_LEAST_KEPT, round(n_rows / participation_ratio(plain)))
    n_columns = params.n_components
    if n_columns == "auto":
        n_columns = min(_MOST_COLUMNS, max(n_kept, 2 * plain.shape[1]))
    return RotatedComponents(n_activations, n_columns, n_kept, seed=seed)


def _named(params: Any, kind: str) -> _Named | None:
    """Return the named encoder that the parameters ask for; None for a module of the user's own."""
    if not isinstance(params.encoder, str):
        return None
    return ENCODERS[_AUTO[kind] if params.encoder == "auto" else params.encoder]


def _make_body(params: Any, reader: Reader, stem: nn.Module) -> nn.Module:
    named = _named(params, reader.kind)
    n_features = stem.n_features if reader.kind == "table" else int(np.prod(_row_shape(reader)))
    if named is not None:
        widths = named.widths
        if params.hidden_layer_sizes is not None:
            widths = _sizes(params, "hidden_layer_sizes")
        return named.make(params, reader, n_features, widths)
    if isinstance(params.encoder, nn.Module):
        return copy.deepcopy(params.encoder)  # a fit leaves the parameter as it is
    body = params.encoder(n_features if reader.kind == "table" else _row_shape(reader)[0], _n_outputs(params))
    if not isinstance(body, nn.Module):
        raise InvalidParameterError(f"encoder={params.encoder!r} made a {type(body).__name__}, but a Module is needed.")
    return body


def _output_width(params: Any, encoder: nn.Module, rows: Tensor) -> int:
    """Look at what the encoder makes of two rows, in evaluation mode so that nothing in it changes."""
    encoder.eval()
    name = type(encoder[-1]).__name__
    try:
        with torch.no_grad():
            output = encoder(rows)
    except RuntimeError as error:
        raise InvalidParameterError(
            f"The encoder {name} fails on a batch of shape {tuple(encoder[0](rows).shape)}: {error}. It must take "
            "such a batch; a class or callable is told the number of features or channels."
        ) from error
    encoder.train()
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != len(rows):
        raise InvalidParameterError(
            f"The encoder {name} makes {shape} of a batch of shape {tuple(rows.shape)}; it must make "
            f"({len(rows)}, k), one vector a row, such as by a last nn.Flatten()."
        )
    if not isinstance(params.encoder, nn.Module) and output.shape[1] != _n_outputs(params):
        raise InvalidParameterError(
            f"The encoder {name} makes {output.shape[1]} outputs, but was asked for {_n_outputs(params)} of them "
            f"(n_components={params.n_components!r}); set n_components={output.shape[1]}, or read its second argument."
        )
    return output.shape[1]


def _n_outputs(params: Any) -> int:
    """Return the width of the last layer of the encoder."""
    return _AUTO_OUTPUTS if params.n_components == "auto" else params.n_components


def _row_shape(reader: Reader) -> tuple[int, ...]:
    return reader.image_shape if reader.kind == "images" else reader.shape


def _sizes(params: Any, name: str) -> tuple[int, ...]:
    sizes = tuple(np.ravel(getattr(params, name)).tolist())
    if not all(isinstance(width, int) and width >= 1 for width in sizes):
        raise InvalidParameterError(
            f"{name}={getattr(params, name)!r} must hold whole numbers of at least 1, such as (256, 256)."
        )
    return sizes


def _article(kind: str) -> str:
    return "a table" if kind == "table" else kind
