"""A fitted estimator as plain values and arrays, and back: what pickles, skops and files have in common."""

from __future__ import annotations

import copy
import copyreg
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from .._builders.loss import LossOptions, make_criterion
from .._data import ImageReader, Reader, SeriesReader, TableReader
from .._data.scaling import Scaler
from .._data.tables import ordinal_encoder
from .._training.net import ContrastiveNet, MomentumNet
from .._utils.compat import InvalidParameterError
from .._utils.device import resolve_device
from .._utils.random import RandomStreams
from .._utils.renamed import with_current_names
from ..encoders import EncoderWithHead
from ..exceptions import SavedFileError
from ..losses import make_loss
from .codec import UnknownClassError, decode, encode
from .modules import describe, has_own_body, load_weights, rebuild, weights

__all__ = [
    "decode_reader",
    "encode_reader",
    "on_cpu",
    "pickled_state",
    "requests_of",
    "restored_net",
    "set_requests",
    "unpickled_state",
    "usable_device",
    "weights_in",
]

_TABLE = ("categorical_features", "standardize", "shape", "held", "is_category", "has_missing")
_IMAGES = ("given", "shape", "layout", "last", "image_shape", "low", "span", "mean", "std")
_SERIES = ("shape", "low", "span", "mean", "std")
_SCALES = ("mean_", "scale_", "var_", "n_samples_seen_")
_FITTED, _CODED, _REQUESTS = "_fitted", "_coded", "_requests"  # keys of a state


# Readers


def encode_reader(reader: Reader, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return a fitted reader as JSON; its arrays go to ``tensors``."""
    if isinstance(reader, TableReader):
        content = {name: getattr(reader, name) for name in _TABLE}
        content["names"] = [_name(name) for name in reader.names]
        content["categories"] = [list(known) for known in reader.known_categories]
        content["scaler"] = _scales(reader.scaler)
    else:
        content = {name: getattr(reader, name) for name in (_IMAGES if isinstance(reader, ImageReader) else _SERIES)}
    encoded = {name: encode(value, tensors, f"reader.{name}") for name, value in content.items()}
    return {"kind": reader.kind, **encoded}


def decode_reader(encoded: dict[str, Any], tensors: dict[str, Tensor]) -> Reader:
    """Return the reader that :func:`encode_reader` gave as JSON.

    Raises
    ------
    SavedFileError
        If it is of a kind that is not known here.
    """
    content = {name: decode(value, tensors) for name, value in encoded.items() if name != "kind"}
    if encoded["kind"] == "table":
        return _table_reader(content)
    if encoded["kind"] not in ("images", "series"):
        raise SavedFileError(f"data of kind {encoded['kind']!r} are not known.")
    reader: Any = ImageReader() if encoded["kind"] == "images" else SeriesReader()
    vars(reader).update({name: content[name] for name in (_IMAGES if encoded["kind"] == "images" else _SERIES)})
    return reader


def _table_reader(content: dict[str, Any]) -> TableReader:
    features, standardize = content["categorical_features"], content["standardize"]
    reader = TableReader(categorical_features=features, standardize=standardize)
    vars(reader).update({name: content[name] for name in (*_TABLE, "names")})
    numeric = [name for name, is_category in zip(reader.names, reader.is_category, strict=True) if not is_category]
    reader.scaler = Scaler(numeric, standardize=standardize)
    reader.scaler.has_missing = reader.has_missing[~reader.is_category]
    for part, scales in content["scaler"].items():
        scaler = StandardScaler()
        vars(scaler).update(scales)
        scaler.n_features_in_ = len(numeric)
        setattr(reader.scaler, part, scaler)
    categories = [np.array(known, dtype=object) for known in content["categories"]]
    reader.encoder = ordinal_encoder(categories) if categories else None
    reader.n_categories = np.zeros(len(reader.names), dtype=int)
    reader.n_categories[reader.is_category] = [len(known) for known in categories]
    return reader


def _scales(scaler: Scaler) -> dict[str, dict[str, Any]]:
    parts = [part for part in ("robust", "final") if hasattr(scaler, part)]
    return {part: {name: vars(getattr(scaler, part))[name] for name in _SCALES} for part in parts}


def _name(name: Any) -> Any:
    """Return the name of a column, which only messages show, as text where it is of an unknown class."""
    try:
        encode(name, {}, "")
    except UnknownClassError:
        return str(name)
    return name


# Requests of metadata


def requests_of(routing: Any) -> dict[str, dict[str, Any]]:
    """Return which metadata each method asks for, by scikit-learn's MetadataRequest; None is nothing set."""
    methods = {} if routing is None else vars(routing)
    return {name: dict(method.requests) for name, method in methods.items() if getattr(method, "requests", None)}


def set_requests(estimator: Any, requests: dict[str, dict[str, Any]]) -> None:
    """Let an estimator ask for metadata as :func:`requests_of` returned them."""
    if not requests:
        return
    # at once, as each set_fit_request copies what there is, and in scikit-learn 1.8 the estimator with it
    routing = estimator.get_metadata_routing()
    for method, wanted in requests.items():
        for name, alias in wanted.items():
            getattr(routing, method).add_request(param=name, alias=alias)
    estimator._metadata_request = routing


# Nets


def usable_device(device: Any) -> torch.device:
    """Return the device of a parameter, or the CPU, with a warning, where that is not on this machine."""
    try:
        return resolve_device(device)
    except ValueError:
        warnings.warn(
            f"The embedder has device={str(device)!r}, which is not on this machine; it is opened on the CPU. "
            "Set device='cpu' or 'auto' before fit.",
            stacklevel=4,
        )
        return torch.device("cpu")


def restored_net(
    params: Mapping[str, Any], module: EncoderWithHead, *, epsilon: float, device: torch.device
) -> ContrastiveNet:
    """Return the net of a trained module, on a device, without what only training needs: views, callbacks, optimizer.

    Parameters
    ----------
    params : mapping
        Attributes of the estimator, its parameters among them.
    module : EncoderWithHead
    epsilon : float
        Epsilon of the loss.
    device : torch.device
    """
    try:
        criterion = make_criterion(LossOptions.of(params), last_epsilon=epsilon)
    except InvalidParameterError:  # parameters that were set after fit
        criterion = make_loss("ince", epsilon=epsilon)
    settings = {
        "views": None,
        "view_pairs": params["view_pairs"],
        "random_streams": RandomStreams(0),
        "callbacks": "disable",
        "train_split": None,
        "yardstick": criterion,
        "verbose": 0,
        "device": device,
    }
    if module.predictor is None:
        net = ContrastiveNet(module, criterion, **settings)
    else:
        net = MomentumNet(module, criterion, ema_decay=1.0, n_steps=0, **settings)
    net.initialize()
    net.module_.eval()
    return net


# Pickles


class _Whole:
    """Holds an object that is pickled as it is; skops, which would write it in a form that cannot be read, is told."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce_ex__(self, protocol: Any) -> Any:  # of pickle and copy
        return copyreg.__newobj__, (_Whole,), {"value": self.value}

    def __reduce__(self) -> Any:  # of skops
        raise TypeError(
            f"skops cannot hold {type(self.value).__module__}.{type(self.value).__qualname__}, a class of which this "
            "GCAEmbedder keeps an object; use its method save, or pickle."
        )


def pickled_state(estimator: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Return a state in plain values and NumPy arrays, weights among them, wherever they are computed with.

    Parameters
    ----------
    estimator : GCAEmbedder
    state : dict
        Its attributes.
    """
    state = dict(state)
    state[_REQUESTS] = requests_of(state.pop("_metadata_request", None))
    if "net_" in state:
        module, tensors = state.pop("net_").module_, {}
        fitted: dict[str, Any] = {"reader": encode_reader(state.pop("reader_"), tensors), "network": describe(module)}
        own = has_own_body(fitted["network"])
        tensors |= {f"weights.{name}": value for name, value in weights(module, body=not own).items()}
        if own:
            fitted["body"] = _Whole(on_cpu(module.encoder.body))
        state[_FITTED] = {**fitted, "arrays": {name: tensor.numpy() for name, tensor in tensors.items()}}
    coded = {}
    for name in estimator._get_param_names():
        if name in state and not _is_plain(state[name]):
            try:
                coded[name] = encode(state[name], {}, name)
            except UnknownClassError:
                continue
    state[_CODED] = coded
    return {
        name: _Whole(value) if _holds_object(value) else value for name, value in state.items() if name not in coded
    }


def unpickled_state(estimator: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes that :func:`pickled_state` got; the net is on the parameter's device, if that is here."""
    state = {name: value.value if isinstance(value, _Whole) else value for name, value in state.items()}
    state |= {name: decode(value, {}) for name, value in state.pop(_CODED, {}).items()}
    set_requests(estimator, state.pop(_REQUESTS, {}))
    known, current = type(estimator)._get_param_names(), with_current_names(state)
    params = vars(type(estimator)(**{name: current[name] for name in known if name in current}))
    state = {**params, **current}  # with the defaults of parameters that an earlier version did not have
    fitted = state.pop(_FITTED, None)
    if fitted is None:
        return state
    # copies, since joblib may give memory maps that cannot be written to
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in fitted["arrays"].items()}
    reader = decode_reader(fitted["reader"], tensors)
    body = fitted["body"].value if "body" in fitted else None
    module = rebuild(fitted["network"], reader, encoder=lambda *sizes: nn.Identity())
    load_weights(module, weights_in(tensors))
    if body is not None:
        module.encoder.body = body
    state["reader_"] = reader
    state["net_"] = restored_net(params, module, epsilon=state["epsilon_"], device=usable_device(params["device"]))
    return state


def weights_in(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights among the tensors of a state, by their names in the module."""
    return {name.removeprefix("weights."): value for name, value in tensors.items() if name.startswith("weights.")}


def on_cpu(module: nn.Module) -> nn.Module:
    """Return a module on the CPU: itself, or a copy if it is elsewhere."""
    places = {value.device.type for value in (*module.parameters(), *module.buffers())}
    return module if places <= {"cpu"} else copy.deepcopy(module).cpu()


def _is_plain(value: Any) -> bool:
    """Whether skops reads and writes a value without being told to trust anything."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str) or isinstance(value, np.ndarray)


def _holds_object(value: Any) -> bool:
    """Whether a value is or holds a Module, or an object of ours, skorch or torch, such as the net of a stream."""
    if isinstance(value, list | tuple):
        return any(map(_holds_object, value))
    return isinstance(value, nn.Module) or type(value).__module__.partition(".")[0] in ("skgca", "skorch", "torch")
