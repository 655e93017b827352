"""Make the module that ``fit`` trains: stem, body, readout and heads."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from .._data import READERS, ImageReader, Reader, SeriesReader, Stem
from .._utils.compat import InvalidParameterError
from .._utils.random import RandomStreams, seeded_global_generator
from ..encoders import (
    MLP,
    ChannelStem,
    Conv1dEncoder,
    ConvEncoder,
    Encoder,
    EncoderWithHead,
    GroupedComponents,
    PeriodicEmbedding,
    PiecewiseLinearEncoding,
    ResNet18,
    ResNetMLP,
    RocketEncoder,
    RotatedComponents,
    Standardization,
    participation_ratio,
)
from ..encoders._images import usual_pooling
from .options import Options

__all__ = [
    "ENCODERS",
    "NUMERIC_EMBEDDINGS",
    "NetworkOptions",
    "auto_steps",
    "check_encoder",
    "encoded_kind",
    "last_module",
    "make_module",
    "planned_pooling",
    "pooling_of",
]


@dataclass(frozen=True)
class NetworkOptions(Options):
    """Parameters of the estimator that determine its network."""

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


# (options, shape of a row after the stem, widths) -> body
_Make: TypeAlias = "Callable[[NetworkOptions, tuple[int, ...], tuple[int, ...]], nn.Module]"


@dataclass(frozen=True)
class _Named:
    """An encoder with a name.

    kinds : the readers of the data that it accepts; make : ``(options, shape, widths) -> Module``; widths : its default
    ``hidden_layer_sizes``, None if it has none; layered : whether ``dropout`` and ``normalization`` have an effect;
    make_masked : used instead of ``make`` if the last channel is a mask; fits : whether the encoder is fitted to rows
    before it is trained; n_steps : of ``max_epochs="auto"``, None for that of the kind of data.
    """

    kinds: tuple[type[Reader], ...]
    make: _Make
    widths: tuple[int, ...] | None
    layered: bool = False
    make_masked: _Make | None = None
    fits: bool = False
    n_steps: int | None = None


def _perceptron(cls: type[MLP] | type[ResNetMLP]) -> _Make:
    def make(options: NetworkOptions, shape: tuple[int, ...], widths: tuple[int, ...]) -> nn.Module:
        n_features = math.prod(shape)
        body = cls(n_features, widths, options.n_outputs, dropout=options.dropout, normalization=options.normalization)
        return body if len(shape) == 1 else nn.Sequential(nn.Flatten(), body)

    return make


def _convolutional(options: NetworkOptions, shape: tuple[int, ...], widths: tuple[int, ...]) -> nn.Module:
    n_channels, height, width = shape
    # without widths of the user's own, the encoder adds to the usual ones what a large image needs
    given = None if options.hidden_layer_sizes is None else widths
    return ConvEncoder(n_channels, (height, width), options.n_outputs, widths=given)


def _residual(options: NetworkOptions, shape: tuple[int, ...], widths: tuple[int, ...]) -> nn.Module:
    return ResNet18(shape[0], options.n_outputs)


def _temporal(
    options: NetworkOptions, shape: tuple[int, ...], widths: tuple[int, ...], *, masked: bool = False
) -> nn.Module:
    n_channels, length = shape
    return Conv1dEncoder(n_channels - masked, length, options.n_outputs, widths=widths, masked=masked)


def _rocket(
    options: NetworkOptions, shape: tuple[int, ...], widths: tuple[int, ...], *, masked: bool = False
) -> nn.Module:
    n_channels, length = shape
    return RocketEncoder(
        n_channels - masked,
        length,
        options.n_outputs,
        hidden_layer_sizes=widths,
        dropout=options.dropout,
        normalization=options.normalization,
        masked=masked,
    )


_ALL = tuple(READERS.values())
ENCODERS = {
    "mlp": _Named(_ALL, _perceptron(MLP), (256, 256), layered=True),
    "resnet_mlp": _Named(_ALL, _perceptron(ResNetMLP), (256, 256), layered=True),
    "conv": _Named((ImageReader,), _convolutional, (32, 64, 128)),
    "resnet18": _Named((ImageReader,), _residual, None),
    "conv1d": _Named((SeriesReader,), _temporal, (32, 64, 128), make_masked=partial(_temporal, masked=True)),
    "rocket": _Named(
        (SeriesReader,),
        _rocket,
        (256, 256),
        layered=True,
        make_masked=partial(_rocket, masked=True),
        fits=True,
        n_steps=400,
    ),
}
NUMERIC_EMBEDDINGS: dict[str, Callable[[Tensor], nn.Module]] = {  # made from numeric columns of training rows
    "periodic": lambda numbers: PeriodicEmbedding(numbers.shape[1]),
    "piecewise_linear": lambda numbers: PiecewiseLinearEncoding.from_quantiles(numbers, _N_BINS),
}
_N_BINS = 16
_AUTO_OUTPUTS = 128  # for n_components="auto"
# Bounds for the readout of all layers; docs/develop/decisions.md describes how they were chosen.
_ALIGNED_LENGTH = 64  # steps up to which the values of series weigh as much as what is made of them
_FEWEST_COMPONENTS, _MOST_COLUMNS = 8, 256


def check_encoder(options: NetworkOptions, reader: Reader, *, changed: Mapping[str, object]) -> None:
    """Raise InvalidParameterError if the encoder is for another kind of data, or one of its parameters has no effect.

    Parameters
    ----------
    options : NetworkOptions
    reader : Reader
        It may be unfitted.
    changed : mapping
        All parameters of the estimator that differ from their defaults.
    """
    named = _named(options, reader)
    if named is not None and not isinstance(reader, named.kinds):
        kinds = " or ".join(kind.kind for kind in named.kinds)
        valid = sorted(name for name, other in ENCODERS.items() if isinstance(reader, other.kinds))
        raise InvalidParameterError(
            f"encoder={options.encoder!r} encodes {kinds}, but X holds {reader.noun}; use 'auto' or one of {valid}. "
            "image_shape= turns flat rows into images, and X[:, None] turns them into series of one channel."
        )
    if options.hidden_layer_sizes is not None and (named is None or named.widths is None):
        raise InvalidParameterError(
            f"hidden_layer_sizes={options.hidden_layer_sizes!r} has no effect with encoder={options.encoder!r}; leave "
            "it out."
        )
    for name in ("numeric_embedding", "categorical_features"):
        if name in changed and not reader.has_columns:
            raise InvalidParameterError(
                f"{name}={changed[name]!r} has no effect on {reader.noun}; it is for tables. Leave it out."
            )
    for name in ("dropout", "normalization"):
        if name in changed and (named is None or not named.layered):
            raise InvalidParameterError(
                f"{name}={changed[name]!r} has no effect with encoder={options.encoder!r} on {reader.noun}; it is for "
                "'mlp', 'resnet_mlp' and 'rocket'."
            )


def encoded_kind(encoder: object) -> type[Reader] | None:
    """Return the only kind of data that a named encoder accepts; None if there are several, or it has no name."""
    kinds = ENCODERS[encoder].kinds if isinstance(encoder, str) and encoder in ENCODERS else ()
    return kinds[0] if len(kinds) == 1 else None


def auto_steps(options: NetworkOptions, reader: Reader) -> int:
    """Return the number of steps of ``max_epochs="auto"``, if there are few rows."""
    named = _named(options, reader)
    return reader.auto_steps if named is None or named.n_steps is None else named.n_steps


def takes_any_length(options: NetworkOptions, reader: Reader) -> bool:
    """Whether the network takes longer series than it was made for: others have a weight or a column for each step."""
    named = _named(options, reader)
    return named is None or (named.make_masked is not None and options.passthrough is not True)


def pooling_of(body: object) -> tuple[int, int]:
    """Return the blocks of pixels (down, across) to which a body reduces images, if it takes reduced ones too."""
    # a subclass may need the images as they are, and in another class the attribute may mean something else
    return body.pooling if type(body) is ConvEncoder else (1, 1)


def planned_pooling(options: NetworkOptions, reader: Reader) -> tuple[int, int]:
    """Return :func:`pooling_of` the body that :func:`make_module` will make."""
    if isinstance(options.encoder, str):
        is_conv = isinstance(reader, ImageReader) and _named(options, reader) is ENCODERS["conv"]
        return usual_pooling(*reader.input_shape[1:]) if is_conv else (1, 1)
    return pooling_of(options.encoder)


def make_module(
    options: NetworkOptions,
    reader: Reader,
    rows: Tensor,
    n_rows: int,
    *,
    with_predictor: bool,
    random_streams: RandomStreams,
) -> EncoderWithHead:
    """Make the encoder and its heads, with random weights and a readout that is not fitted yet.

    Parameters
    ----------
    options : NetworkOptions
    reader : Reader
        Fitted.
    rows : Tensor of shape (n, ...)
        Some training rows as inputs. They determine the quantiles of a numeric embedding and the size of the readout.
        The encoder is tested on the first two.
    n_rows : int
        Number of all training rows.
    with_predictor : bool
        Whether the loss needs a predictor.
    random_streams : RandomStreams
        Source of the initial weights and of the rotation of the readout.

    Raises
    ------
    InvalidParameterError
        If the encoder does not return a tensor (n, k), or k is not ``n_components``.
    """
    with seeded_global_generator(random_streams.seed("weights")):  # torch initialises weights from its global generator
        encoding = _numeric_encoding(options, reader, rows)
        stem = reader.make_stem(standardize=options.standardize, numeric_encoding=encoding)
        body = _make_body(options, reader, stem, rows)
        width = _output_width(options, Encoder(stem, body, Standardization(1)), rows[:2])
        sizes = _sizes("projection_sizes", options.projection_sizes)
        if not sizes and not isinstance(options.encoder, str):
            raise InvalidParameterError(
                f"projection_sizes={options.projection_sizes!r} is empty, which is for encoders with a name; for an "
                "encoder of your own, give the width of the output, such as (128,)."
            )
        head = nn.Sequential(nn.ReLU(), MLP(width, sizes[:-1], sizes[-1])) if sizes else nn.Identity()
        # as deep and wide as the head
        predictor = MLP((width, *sizes)[-1], sizes[:-1], (width, *sizes)[-1]) if with_predictor else None
    readout = _make_readout(options, reader, stem, body, width, rows, n_rows, seed=random_streams.seed("rotation"))
    passthrough = reader.passes_through if options.passthrough == "auto" else bool(options.passthrough)
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
    """Copy the module of the last fit, so that a fit that fails leaves the original unchanged.

    Parameters
    ----------
    last : EncoderWithHead
        The module that the last fit trained.
    options, reader, rows, n_rows, with_predictor
        As in :func:`make_module`.

    Raises
    ------
    ValueError
        If the parameters now ask for another architecture.
    """
    module = copy.deepcopy(last)
    if options.encoder == "auto" and type(last.encoder.body) is Conv1dEncoder:
        options = replace(options, encoder="conv1d")  # which "auto" was for series in version 0.1
    # the module for the current parameters, without its weights
    fresh = make_module(options, reader, rows, n_rows, with_predictor=with_predictor, random_streams=RandomStreams(0))
    if options.hidden_layer_sizes is None:
        fresh.encoder.body = _as_in_version_0_1(module.encoder.body, fresh.encoder.body)
    same_shapes = [p.shape for p in module.parameters()] == [p.shape for p in fresh.parameters()]
    # the repr of a body shows its layers with their settings, such as the rate of dropout
    if not same_shapes or repr(module.encoder.body) != repr(fresh.encoder.body):
        raise ValueError(
            "warm_start=True cannot continue with another n_components, hidden_layer_sizes, projection_sizes, dropout, "
            "normalization or encoder than the last fit had, nor switch between a loss that needs a predictor and one "
            "that does not; restore these parameters, or fit with warm_start=False."
        )
    module.encoder.passthrough = fresh.encoder.passthrough
    old, new = module.encoder.readout, fresh.encoder.readout
    if type(old) is not type(new) or (options.n_components != "auto" and old.n_outputs != new.n_outputs):
        module.encoder.readout = new  # otherwise its rotation and number of columns stay the same
    return module


def _as_in_version_0_1(last: nn.Module, fresh: nn.Module) -> nn.Module:
    """Return the encoder that version 0.1 made for large images, if the last one is of that version, else ``fresh``."""
    if type(last) is not ConvEncoder or type(fresh) is not ConvEncoder:
        return fresh
    first_default = {"widths": ENCODERS["conv"].widths, "pooling": (1, 1)}
    if (last.widths, last.pooling) != tuple(first_default.values()):
        return fresh
    with seeded_global_generator(0):  # constructors draw weights
        return ConvEncoder.from_config({**fresh.get_config(), **first_default})


def _numeric_encoding(options: NetworkOptions, reader: Reader, rows: Tensor) -> nn.Module | None:
    """Make the encoding of numeric columns; None if the parameters ask for none, or there are no such columns."""
    if options.numeric_embedding is None or not reader.has_columns:
        return None
    is_number = reader.numeric_columns
    numbers = rows if is_number is None else rows[:, torch.tensor(is_number)]
    return NUMERIC_EMBEDDINGS[options.numeric_embedding](numbers) if numbers.shape[1] else None


def _make_body(options: NetworkOptions, reader: Reader, stem: Stem, rows: Tensor) -> nn.Module:
    if isinstance(options.encoder, nn.Module):
        _check_weights(options.encoder)
        return copy.deepcopy(options.encoder)  # fit leaves the parameter unchanged
    with torch.no_grad():
        shape = tuple(stem(rows[:1]).shape[1:])  # (n_features,) or (channels, ...)
    named = _named(options, reader)
    if named is not None:
        widths = named.widths or ()
        if options.hidden_layer_sizes is not None:
            widths = _sizes("hidden_layer_sizes", options.hidden_layer_sizes)
        masked = isinstance(stem, ChannelStem) and stem.masked
        make = named.make_masked if masked and named.make_masked is not None else named.make
        return (
            _fitted_body(make, options, stem(rows), widths, masked=masked)
            if named.fits
            else make(options, shape, widths)
        )
    assert callable(options.encoder)
    body = options.encoder(shape[0], options.n_outputs)
    if not isinstance(body, nn.Module):
        raise InvalidParameterError(
            f"encoder={options.encoder!r} made a {type(body).__name__}, but a Module is needed."
        )
    _check_weights(body)
    return body


def _fitted_body(
    make: _Make, options: NetworkOptions, inputs: Tensor, widths: tuple[int, ...], *, masked: bool
) -> nn.Module:
    """Make a body and fit it to rows as the stem returns them, (n, channels, length)."""
    n_channels, length = inputs.shape[1:]
    if masked:
        length = max(2, int(inputs[:, -1].sum(1).max()))  # however far the rows are padded
    body: Any = make(options, (n_channels, length), widths)
    with torch.no_grad():
        body.fit(inputs)
    module: nn.Module = body
    return module


def _check_weights(encoder: nn.Module) -> None:
    """Refuse a module of the user's own whose weights cannot be trained."""
    name, weights = type(encoder).__name__, list(encoder.parameters())
    trained = [weight for weight in weights if weight.requires_grad]
    if any(weight.device.type == "meta" for weight in (*weights, *encoder.buffers())):
        raise InvalidParameterError(
            f"The encoder {name} has weights on the device 'meta', which holds no data; make it on the CPU, or call "
            "encoder.to_empty(device='cpu') and load its weights."
        )
    if isinstance(encoder, torch.jit.ScriptModule) and trained:
        # its copies lose the link from weights to gradients
        raise InvalidParameterError(
            f"The encoder is a {name} (torch.jit), which fit cannot copy and train. Give the module that it was made "
            "from, or a frozen one, which fit leaves unchanged: torch.jit.freeze(module.eval())."
        )
    half = next((weight.dtype for weight in trained if weight.dtype in (torch.float16, torch.bfloat16)), None)
    if half is not None:
        raise InvalidParameterError(
            f"The encoder {name} has weights of type {half}, in which small steps of the optimizer are lost. Call "
            "encoder.float() before, and set precision='bfloat16' to compute in half precision; or freeze it by "
            "encoder.requires_grad_(False)."
        )


def _named(options: NetworkOptions, reader: Reader) -> _Named | None:
    """Return the named encoder that the parameters ask for; None for a module of the user's own."""
    if not isinstance(options.encoder, str):
        return None
    return ENCODERS[reader.auto_encoder if options.encoder == "auto" else options.encoder]


def _make_readout(
    options: NetworkOptions,
    reader: Reader,
    stem: Stem,
    body: nn.Module,
    width: int,
    rows: Tensor,
    n_rows: int,
    *,
    seed: int,
) -> Standardization | RotatedComponents:
    """Return the layer that makes the embedding from the activations of stem and body.

    By default it uses all layers of a named encoder that returns its activations, as perceptrons on tables do, and only
    the last layer of other encoders.

    A readout of all layers reduces the activations to principal components. How many are useful depends on a linear
    model that is fitted later. On the inputs it has about one free parameter for each effective dimension, which the
    participation ratio counts. With more rows per parameter, the model can use more additional components. So their
    number is the number of rows per effective dimension, but at least 8. A rotation spreads the components over columns
    of variance 1. With more columns, an L2 penalty of the linear model weighs less on the components than on inputs
    that pass through. By default there are twice as many columns as inputs, at least one per component, and at most
    256.

    Features of fixed kernels are one group of activations, and all layers behind them another, of the same total
    variance. Values of series are a third one, whose variance falls with their length: in long series, the times of
    events differ. As features are many for each row, all components are kept that 256 columns can hold.
    """
    activations: Callable[[Tensor], list[Tensor]] | None = getattr(body, "activations", None)
    if options.layers == "all" and activations is None:
        raise InvalidParameterError(
            f"layers='all' needs an encoder that returns its activations, as 'mlp' and 'resnet_mlp' do for tables and "
            f"'rocket' for series; encoder={options.encoder!r} on {reader.noun} does not. Use layers='auto'."
        )
    only_last = options.layers == "last" or (options.layers == "auto" and not isinstance(options.encoder, str))
    if only_last or activations is None:
        return Standardization(width)
    body.eval()  # so that running statistics do not change
    if isinstance(body, RocketEncoder):
        with torch.no_grad():
            widths = [layer.shape[1] for layer in body.activations(stem(rows[:2]))]
        body.train()
        n_columns = _MOST_COLUMNS if isinstance(options.n_components, str) else options.n_components
        n_values, n_features, *trained = widths
        groups, weights = [n_features, sum(trained)], [1.0, 1.0]
        if n_values:
            groups.insert(0, n_values)
            weights.insert(0, min(1.0, _ALIGNED_LENGTH / body.kernels.length))
        return GroupedComponents(groups, n_columns, n_columns, seed=seed, weights=weights)
    with torch.no_grad():
        plain_inputs = stem.plain(rows)
        n_activations = sum(layer.shape[1] for layer in activations(stem(rows[:2])))
    body.train()
    n_principal = max(_FEWEST_COMPONENTS, round(n_rows / participation_ratio(plain_inputs)))
    if isinstance(options.n_components, str):
        n_columns = min(_MOST_COLUMNS, max(n_principal, 2 * plain_inputs.shape[1]))
    else:
        n_columns = options.n_components
    return RotatedComponents(n_activations, n_columns, n_principal, seed=seed)


def _output_width(options: NetworkOptions, encoder: Encoder, rows: Tensor) -> int:
    """Return the width of the outputs of stem and body, from a pass of two rows.

    The pass is in evaluation mode, so that running statistics stay unchanged and no random numbers are drawn.
    """
    encoder.eval()
    name = type(encoder.body).__name__
    try:
        with torch.no_grad():
            output = encoder.features(rows)
    except RuntimeError as error:
        raise InvalidParameterError(
            f"The encoder {name} fails on a batch of shape {tuple(encoder.stem(rows).shape)}: {error}. It must accept "
            "such a batch; a class or callable gets the number of features or channels as its first argument."
        ) from error
    encoder.train()
    returned = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    if not isinstance(output, Tensor) or output.ndim != 2 or len(output) != len(rows):
        raise InvalidParameterError(
            f"The encoder {name} returns {returned} for a batch of shape {tuple(encoder.stem(rows).shape)}; it must "
            f"return ({len(rows)}, k), one vector for each row, for example by a last nn.Flatten()."
        )
    if not output.is_floating_point():
        raise InvalidParameterError(
            f"The encoder {name} makes outputs of type {output.dtype}; it must make real numbers, such as float32."
        )
    if not isinstance(options.encoder, nn.Module) and output.shape[1] != options.n_outputs:
        raise InvalidParameterError(
            f"The encoder {name} has {output.shape[1]} outputs, but n_components={options.n_components!r} needs "
            f"{options.n_outputs}; set n_components={output.shape[1]}, or make as many outputs as the second argument "
            "of the call says."
        )
    return output.shape[1]


def _sizes(name: str, value: Sequence[int]) -> tuple[int, ...]:
    sizes = tuple(np.ravel(value).tolist())
    if not all(isinstance(width, int) and width >= 1 for width in sizes):
        raise InvalidParameterError(f"{name}={value!r} must hold whole numbers of at least 1, such as (256, 256).")
    return sizes
