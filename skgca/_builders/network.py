"""The module that ``fit`` trains: stem, body and heads, from the parameters of the estimator and what its data are."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from .._data import Reader
from .._utils.compat import InvalidParameterError
from .._utils.random import RandomStreams, seeded_global_generator
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
from .options import Options

__all__ = [
    "ENCODERS",
    "NUMERIC_EMBEDDINGS",
    "NetworkOptions",
    "check_encoder",
    "last_module",
    "make_module",
    "series_wanted",
]


@dataclass(frozen=True)
class NetworkOptions(Options):
    """Parameters of the estimator that make its network."""

    n_components: int | str
    encoder: str | nn.Module | Callable[..., nn.Module]
    hidden_layer_sizes: Sequence[int] | None
    dropout: float
    normalization: str | None
    numeric_embedding: str | None
    layers: str
    passthrough: bool | str
    projection_sizes: Sequence[int]
    standardize: bool

    @property
    def n_outputs(self) -> int:
        """Width of the last layer of the encoder."""
        return _AUTO_OUTPUTS if isinstance(self.n_components, str) else self.n_components


_Make: TypeAlias = "Callable[[NetworkOptions, Reader, int, tuple[int, ...]], nn.Module]"


@dataclass(frozen=True)
class _Named:
    """An encoder with a name.

    kinds : what it encodes; make : ``(options, reader, n_features, widths) -> Module``; widths : its default
    ``hidden_layer_sizes``, None where it has none; layered : whether ``dropout`` and ``normalization`` are for it.
    """

    kinds: tuple[str, ...]
    make: _Make
    widths: tuple[int, ...] | None
    layered: bool = False


def _perceptron(cls: type[MLP] | type[ResNetMLP]) -> _Make:
    def make(options: NetworkOptions, reader: Reader, n_features: int, widths: tuple[int, ...]) -> nn.Module:
        body = cls(n_features, widths, options.n_outputs, dropout=options.dropout, normalization=options.normalization)
        return body if reader.kind == "table" else nn.Sequential(nn.Flatten(), body)

    return make


def _convolutional(options: NetworkOptions, reader: Reader, n_features: int, widths: tuple[int, ...]) -> nn.Module:
    channels, *size = reader.image_shape
    return ConvEncoder(channels, size, options.n_outputs, widths=widths)


def _residual(options: NetworkOptions, reader: Reader, n_features: int, widths: tuple[int, ...]) -> nn.Module:
    return ResNet18(reader.image_shape[0], options.n_outputs)


def _temporal(options: NetworkOptions, reader: Reader, n_features: int, widths: tuple[int, ...]) -> nn.Module:
    return Conv1dEncoder(*reader.shape, options.n_outputs, widths=widths)


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


def check_encoder(options: NetworkOptions, kind: str, *, changed: Mapping[str, object]) -> None:
    """Raise InvalidParameterError if the encoder is for other data, or a parameter of encoders has no effect.

    Parameters
    ----------
    options : NetworkOptions
    kind : {"table", "images", "series"}
    changed : mapping
        All of the estimator's parameters that differ from their defaults.
    """
    named = _named(options, kind)
    if named is not None and kind not in named.kinds:
        valid = sorted(name for name, other in ENCODERS.items() if kind in other.kinds)
        raise InvalidParameterError(
            f"encoder={options.encoder!r} encodes {' or '.join(named.kinds)}, but X holds {_article(kind)}; use 'auto' "
            f"or one of {valid}. image_shape= makes images of flat rows."
        )
    if options.hidden_layer_sizes is not None and (named is None or named.widths is None):
        raise InvalidParameterError(
            f"hidden_layer_sizes={options.hidden_layer_sizes!r} has no effect with encoder={options.encoder!r}; leave "
            "it out."
        )
    for name in ("numeric_embedding", "categorical_features"):
        if name in changed and kind != "table":
            raise InvalidParameterError(
                f"{name}={changed[name]!r} has no effect on {kind}; it is for tables. Leave it out."
            )
    for name in ("dropout", "normalization"):
        if name in changed and (named is None or not named.layered):
            raise InvalidParameterError(
                f"{name}={changed[name]!r} has no effect with encoder={options.encoder!r} on {kind}; it is for 'mlp' "
                "and 'resnet_mlp'."
            )


def series_wanted(encoder: object) -> bool | None:
    """Whether three-dimensional input is series, as far as the name of the encoder tells."""
    kinds = ENCODERS[encoder].kinds if isinstance(encoder, str) and encoder in ENCODERS else ()
    return kinds == ("series",) if len(kinds) == 1 else None


def make_module(
    options: NetworkOptions,
    reader: Reader,
    rows: Tensor,
    n_rows: int,
    *,
    with_predictor: bool,
    random_streams: RandomStreams,
) -> EncoderWithHead:
    """Make the encoder and its heads, with random weights.

    Parameters
    ----------
    options : NetworkOptions
    reader : Reader
        Fitted.
    rows : Tensor of shape (n, ...)
        Some training rows: quantiles are taken of them, and the encoder is tried on the first two.
    n_rows : int
        How many there are in all.
    with_predictor : bool
        Whether the loss needs one.
    random_streams : RandomStreams
        Source of the initial weights and of the rotation of the readout.

    Raises
    ------
    InvalidParameterError
        If the encoder does not give (n, k), or another k than ``n_components``.
    """
    with seeded_global_generator(random_streams.seed("weights")):  # torch initialises weights from its global generator
        stem = _make_stem(options, reader, rows)
        body = _make_body(options, reader, stem)
        width = _output_width(options, nn.Sequential(stem, body), rows[:2])
        sizes = _sizes("projection_sizes", options.projection_sizes)
        if not sizes:
            raise InvalidParameterError("projection_sizes is empty; it needs the width of the output, such as (128,).")
        head = nn.Sequential(nn.ReLU(), MLP(width, sizes[:-1], sizes[-1]))
        predictor = MLP(sizes[-1], sizes[:-1], sizes[-1]) if with_predictor else None  # as deep and wide as the head
    readout = _make_readout(
        options, reader, nn.Sequential(stem, body), width, rows, n_rows, seed=random_streams.seed("rotation")
    )
    passthrough = reader.kind == "table" if options.passthrough == "auto" else bool(options.passthrough)
    return EncoderWithHead(Encoder(stem, body, readout, passthrough=passthrough), head, predictor)


def last_module(
    last: EncoderWithHead,
    options: NetworkOptions,
    reader: Reader,
    rows: Tensor,
    n_rows: int,
    *,
    with_predictor: bool,
) -> EncoderWithHead:
    """Copy the module of the last fit, so that a fit that fails leaves it as it was.

    Parameters
    ----------
    last : EncoderWithHead
        Trained by the last fit.
    options, reader, rows, n_rows, with_predictor
        As in :func:`make_module`.

    Raises
    ------
    ValueError
        If the parameters now ask for another architecture.
    """
    module = copy.deepcopy(last)
    fresh = make_module(options, reader, rows, n_rows, with_predictor=with_predictor, random_streams=RandomStreams(0))
    if [p.shape for p in module.parameters()] != [p.shape for p in fresh.parameters()]:
        raise ValueError(
            "warm_start=True cannot continue with another n_components, hidden_layer_sizes or projection_sizes than "
            "the last fit had, nor change between a loss with a predictor and one without; set them back, or fit with "
            "warm_start=False."
        )
    module.encoder.passthrough = fresh.encoder.passthrough
    old, new = module.encoder.readout, fresh.encoder.readout
    if type(old) is not type(new) or (options.n_components != "auto" and old.n_outputs != new.n_outputs):
        module.encoder.readout = new  # else its rotation and width stay
    return module


def _make_stem(options: NetworkOptions, reader: Reader, rows: Tensor) -> nn.Module:
    """Return what stands before the body of the encoder."""
    if reader.kind != "table":
        mean, std = reader.mean, reader.std
        if not options.standardize:
            mean, std = np.zeros_like(mean), np.ones_like(std)
        return ChannelStem(mean, std, 2 if reader.kind == "images" else 1)
    numbers = rows[:, torch.from_numpy(reader.n_categories == 0)]
    encoding = None
    if options.numeric_embedding is not None and numbers.shape[1]:
        encoding = NUMERIC_EMBEDDINGS[options.numeric_embedding](numbers)
    return TableStem(reader.n_categories, reader.has_missing, encoding)


def _make_readout(
    options: NetworkOptions, reader: Reader, encoder: nn.Sequential, width: int, rows: Tensor, n_rows: int, *, seed: int
) -> Standardization | RotatedComponents:
    """Return what reads the embedding out of stem and body, by default out of all layers if they read a table.

    Of those it keeps a component for as many rows as the inputs have dimensions: a linear model has about as many
    parameters for these, and can bear more where rows are many for that. A penalty on its weights is shared by what
    stands beside the inputs, so there are about twice as many columns of it, or one a component.
    """
    stem, body = encoder
    layered = hasattr(body, "activations")
    if options.layers == "all" and not layered:
        raise InvalidParameterError(
            f"layers='all' needs an encoder that gives its activations, as 'mlp' and 'resnet_mlp' do of tables; "
            f"encoder={options.encoder!r} on {reader.kind} does not. Use layers='auto'."
        )
    auto_reads_all = layered and reader.kind == "table" and isinstance(options.encoder, str)
    if options.layers == "last" or (options.layers == "auto" and not auto_reads_all):
        return Standardization(width)
    encoder.eval()  # so that nothing in it changes
    with torch.no_grad():
        plain = stem.plain(rows)
        n_activations = sum(layer.shape[1] for layer in body.activations(stem(rows[:2])))
    encoder.train()
    n_kept = max(_LEAST_KEPT, round(n_rows / participation_ratio(plain)))
    n_columns = options.n_components
    if n_columns == "auto":
        n_columns = min(_MOST_COLUMNS, max(n_kept, 2 * plain.shape[1]))
    return RotatedComponents(n_activations, n_columns, n_kept, seed=seed)


def _named(options: NetworkOptions, kind: str) -> _Named | None:
    """Return the named encoder that the parameters ask for; None for a module of the user's own."""
    if not isinstance(options.encoder, str):
        return None
    return ENCODERS[_AUTO[kind] if options.encoder == "auto" else options.encoder]


def _make_body(options: NetworkOptions, reader: Reader, stem: nn.Module) -> nn.Module:
    named = _named(options, reader.kind)
    n_features = stem.n_features if reader.kind == "table" else int(np.prod(_row_shape(reader)))
    if named is not None:
        widths = named.widths
        if options.hidden_layer_sizes is not None:
            widths = _sizes("hidden_layer_sizes", options.hidden_layer_sizes)
        return named.make(options, reader, n_features, widths)
    if isinstance(options.encoder, nn.Module):
        return copy.deepcopy(options.encoder)  # a fit leaves the parameter as it is
    body = options.encoder(n_features if reader.kind == "table" else _row_shape(reader)[0], options.n_outputs)
    if not isinstance(body, nn.Module):
        raise InvalidParameterError(
            f"encoder={options.encoder!r} made a {type(body).__name__}, but a Module is needed."
        )
    return body


def _output_width(options: NetworkOptions, encoder: nn.Module, rows: Tensor) -> int:
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
    if not isinstance(options.encoder, nn.Module) and output.shape[1] != options.n_outputs:
        raise InvalidParameterError(
            f"The encoder {name} makes {output.shape[1]} outputs, but was asked for {options.n_outputs} of them "
            f"(n_components={options.n_components!r}); set n_components={output.shape[1]}, or read its second argument."
        )
    return output.shape[1]


def _row_shape(reader: Reader) -> tuple[int, ...]:
    return reader.image_shape if reader.kind == "images" else reader.shape


def _sizes(name: str, value: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(np.ravel(value).tolist())
    if not all(isinstance(width, int) and width >= 1 for width in sizes):
        raise InvalidParameterError(f"{name}={value!r} must hold whole numbers of at least 1, such as (256, 256).")
    return sizes


def _article(kind: str) -> str:
    return "a table" if kind == "table" else kind
