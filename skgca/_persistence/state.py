"""Convert a fitted estimator to plain values and arrays, and back, for files, pickles and skops."""

from __future__ import annotations

import copy
import copyreg
import io
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from .._builders.loss import LossOptions, make_criterion
from .._data import READERS, Reader
from .._training.net import ContrastiveNet, MomentumNet
from .._utils.compat import InvalidParameterError
from .._utils.device import resolve_device
from .._utils.random import RandomStreams
from .._utils.renamed import with_current_names
from ..encoders import EncoderWithHead
from ..exceptions import SavedFileError
from ..losses import make_loss
from .codec import UnknownClassError, decode, encode, qualified_name
from .modules import describe, has_own_body, load_weights, rebuild, weights

__all__ = [
    "Network",
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

_FITTED, _CODED, _CODED_ARRAYS, _REQUESTS = "_fitted", "_coded", "_coded_arrays", "_requests"  # keys of a state


Network = TypeVar("Network", bound=nn.Module)


# Readers


def encode_reader(reader: Reader, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Return a fitted reader as JSON; its arrays are added to ``tensors``."""
    state = reader.get_state()
    if "names" in state:
        state["names"] = [_name(name) for name in state["names"]]
    encoded = {name: encode(value, tensors, f"reader.{name}") for name, value in state.items()}
    return {"kind": reader.kind, **encoded}


def decode_reader(encoded: dict[str, Any], tensors: dict[str, Tensor]) -> Reader:
    """Return the reader that :func:`encode_reader` returned as JSON.

    Raises
    ------
    SavedFileError
        If its kind is not known.
    """
    kind = encoded["kind"]
    if kind not in READERS:
        raise SavedFileError(f"data of kind {kind!r} are not known; this version knows {sorted(READERS)}.")
    return READERS[kind].from_state({name: decode(value, tensors) for name, value in encoded.items() if name != "kind"})


def _name(name: Any) -> Any:
    """Return the name of a column, as text if its class cannot be written; only messages use these names."""
    try:
        encode(name, {}, "")
    except UnknownClassError:
        return str(name)
    return name


# Requests of metadata


def requests_of(routing: Any) -> dict[str, dict[str, Any]]:
    """Return the metadata that each method requests; ``routing`` is scikit-learn's MetadataRequest, or None."""
    methods = {} if routing is None else vars(routing)
    return {name: dict(method.requests) for name, method in methods.items() if getattr(method, "requests", None)}


def set_requests(estimator: Any, requests: dict[str, dict[str, Any]]) -> None:
    """Set the requests that :func:`requests_of` returned."""
    if not requests:
        return
    # not by set_fit_request, which copies the requests at each call, and in scikit-learn 1.8 the estimator too
    routing = estimator.get_metadata_routing()
    for method, wanted in requests.items():
        for name, alias in wanted.items():
            getattr(routing, method).add_request(param=name, alias=alias)
    estimator._metadata_request = routing


# Nets


def usable_device(device: Any) -> torch.device:
    """Return the device that a parameter names, or the CPU with a warning if this machine does not have it."""
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
    """Return a net on a device, with a trained module, but without parts that only training needs, such as views.

    Parameters
    ----------
    params : mapping
        Attributes of the estimator, including its parameters.
    module : EncoderWithHead
    epsilon : float
        Value of epsilon at the end of training.
    device : torch.device
    """
    try:
        criterion = make_criterion(LossOptions.of(params), last_epsilon=epsilon)
    except InvalidParameterError:  # parameters set after fit may be invalid; transform needs no loss
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
    """Holds an object that is pickled unchanged. skops cannot hold it, and gets an error instead."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce_ex__(self, protocol: Any) -> Any:  # called by pickle and copy
        # __newobj__ is in copyreg, though not in typeshed's stubs of it
        if isinstance(self.value, torch.jit.ScriptModule):  # which pickle cannot hold
            buffer = io.BytesIO()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of whatever handles such modules
                torch.jit.save(self.value, buffer)
            return _whole_script, (buffer.getvalue(),)
        return copyreg.__newobj__, (_Whole,), {"value": self.value}  # type: ignore[attr-defined]

    def __reduce__(self) -> Any:  # called by skops
        raise TypeError(
            f"skops cannot hold {qualified_name(self.value)}, the class of an object in this GCAEmbedder; use its "
            "method save, or pickle."
        )


def _whole_script(data: bytes) -> _Whole:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return _Whole(torch.jit.load(io.BytesIO(data)))


def pickled_state(estimator: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Return the state of an estimator as plain values and NumPy arrays, which open on a machine without its device.

    Parameters
    ----------
    estimator : GCAEmbedder
    state : dict
        Attributes of the estimator.
    """
    state = dict(state)
    state[_REQUESTS] = requests_of(state.pop("_metadata_request", None))
    if "net_" in state:
        module: EncoderWithHead = state.pop("net_").module_
        tensors: dict[str, Tensor] = {}
        fitted: dict[str, Any] = {"reader": encode_reader(state.pop("reader_"), tensors), "network": describe(module)}
        own = has_own_body(fitted["network"])
        tensors |= {f"weights.{name}": value for name, value in weights(module, body=not own).items()}
        if own:
            fitted["body"] = _Whole(on_cpu(module.encoder.body))
        state[_FITTED] = {**fitted, "arrays": _arrays(tensors)}
    coded: dict[str, Any] = {}
    coded_tensors: dict[str, Tensor] = {}
    for name in estimator._get_param_names():
        if name in state and not _is_plain(state[name]):
            with suppress(UnknownClassError):
                coded[name] = encode(state[name], coded_tensors, name)
    state[_CODED], state[_CODED_ARRAYS] = coded, _arrays(coded_tensors)
    return {
        name: _Whole(value) if _holds_object(value) else value for name, value in state.items() if name not in coded
    }


def unpickled_state(estimator: Any, state: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of the estimator from the result of :func:`pickled_state`.

    The net is on the device of the parameter ``device``, if this machine has it.
    """
    state = {name: value.value if isinstance(value, _Whole) else value for name, value in state.items()}
    coded_tensors = _tensors(state.pop(_CODED_ARRAYS, {}))
    state |= {name: decode(value, coded_tensors) for name, value in state.pop(_CODED, {}).items()}
    set_requests(estimator, state.pop(_REQUESTS, {}))
    known, current = type(estimator)._get_param_names(), with_current_names(state)
    params = vars(type(estimator)(**{name: current[name] for name in known if name in current}))
    state = {**params, **current}  # with the defaults of parameters that an earlier version did not have
    fitted = state.pop(_FITTED, None)
    if fitted is None:
        return state
    tensors = _tensors(fitted["arrays"])
    reader = decode_reader(fitted["reader"], tensors)
    body = fitted["body"].value if "body" in fitted else None
    # a user's own body is in the pickle itself, and replaces this Identity
    module = rebuild(fitted["network"], reader, encoder=lambda *sizes: nn.Identity())
    load_weights(module, weights_in(tensors))
    if body is not None:
        module.encoder.body = body
    state["reader_"] = reader
    state["net_"] = restored_net(params, module, epsilon=state["epsilon_"], device=usable_device(params["device"]))
    return state


def _arrays(tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def _tensors(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    # copies, since joblib may give memory maps that cannot be written to
    return {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}


def weights_in(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights among the tensors of a state, by their names in the module."""
    return {name.removeprefix("weights."): value for name, value in tensors.items() if name.startswith("weights.")}


def on_cpu(module: Network) -> Network:
    """Return a module on the CPU: the same object if it is there already, else a copy."""
    device_types = {value.device.type for value in (*module.parameters(), *module.buffers())}
    return module if device_types <= {"cpu"} else copy.deepcopy(module).cpu()


def _is_plain(value: Any) -> bool:
    """Whether skops can write a value and read it without a list of trusted classes."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str) or isinstance(value, np.ndarray)


def _holds_object(value: Any) -> bool:
    """Whether a value is or holds a Module, or an object of ours, skorch or torch, such as the net of a stream."""
    if isinstance(value, list | tuple):
        return any(map(_holds_object, value))
    return isinstance(value, nn.Module) or type(value).__module__.partition(".")[0] in ("skgca", "skorch", "torch")
