"""The steps of ``GCACrossEmbedder.fit``: check both measurements, train two encoders, make an embedder of each."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length
from torch import Tensor
from tqdm.auto import tqdm

from .._builders.loss import LossOptions, make_criterion, make_yardstick
from .._builders.net import NetOptions, make_net, resolve_max_epochs
from .._builders.network import NetworkOptions, auto_steps, make_module
from .._builders.views import ViewOptions, make_views
from .._data import RowDataset, Rows, check_rows, n_even_batches, spaced
from .._inference.embedding import embed_inputs, fit_readout
from .._persistence.state import restored_net
from .._training.cross_net import TwoEncoders
from .._training.monitoring import epoch_records
from .._training.net import ContrastiveNet
from .._training.ranks import Ranks
from .._utils.compat import InvalidParameterError, check_sample_weight
from .._utils.device import resolve_device
from .._utils.random import RandomStreams
from .._utils.threads import large_batches
from ..encoders import EncoderWithHead
from ..losses import PRESETS, AlignmentLoss, make_loss
from ..views._multi import MultiView, View
from .constraints import PARAMETER_GROUPS
from .embedder import GCAEmbedder
from .fitting import (
    TrainingRows,
    callbacks_of,
    changed_parameters,
    inputs_to_measure,
    n_operations,
    read_rows,
    warn_of_problems,
)
from .inputs import FitInputs

if TYPE_CHECKING:
    from .cross_embedder import GCACrossEmbedder

__all__ = ["SET", "SHARED", "SIDES", "as_table", "check_pairs", "make_sides", "naming", "train_sides"]

SIDES = {"embedder": "X", "embedder_y": "y"}  # parameter of each side, and the argument that it reads
# Parameters that both sides have from the cross embedder.
SHARED = (
    "loss",
    "epsilon",
    "marginals",
    "q",
    "lam",
    "rince_weight",
    "max_epochs",
    "batch_size",
    "lr",
    "weight_decay",
    "device",
    "n_threads",
    "verbose",
)
SET = (*SHARED, "layout", "projection_sizes")  # all that fit sets on a side
# Parameters that a side has of its own: how rows are read, changed and encoded, and what the embedder of a side keeps.
_OWN = {
    "n_components",
    "encoder",
    "views",
    *PARAMETER_GROUPS["network"],
    *PARAMETER_GROUPS["views and input"],
    "n_reference_rows",
} - {"projection_sizes", "n_views", "view_pairs"}


# Checks


@contextmanager
def naming(side: str) -> Iterator[None]:
    """Put the names that the user knows into the message of an error or a warning about one side."""
    with warnings.catch_warnings(record=side != "embedder") as caught:
        if caught is not None:
            warnings.simplefilter("always")
        try:
            yield
        except (TypeError, ValueError) as error:
            if error.args and isinstance(error.args[0], str):
                error.args = (_named(error.args[0], side), *error.args[1:])
            raise
    for each in caught or ():  # by the filters of the user again
        warnings.warn(_named(str(each.message), side), each.category, stacklevel=5)


def _named(message: str, side: str) -> str:
    message = message.replace(GCAEmbedder.__name__, "GCACrossEmbedder")
    # only where a message speaks of the data: a column may be named X
    return re.sub(r"(^|\b(?:but|Input|of|in) )X\b(?!['\"])", rf"\1{SIDES[side]}", message)


def make_sides(estimator: GCACrossEmbedder) -> dict[str, GCAEmbedder]:
    """Return a copy of the embedder of each side, with the shared parameters.

    Raises
    ------
    InvalidParameterError
        If a side has a parameter that is not read, or the loss does not work with pairs of two kinds.
    """
    shared = {name: getattr(estimator, name) for name in SHARED}
    sides = {}
    for name, data in SIDES.items():
        side: GCAEmbedder = clone(estimator._part(name))
        for unread in sorted(set(changed_parameters(side)) - _OWN):
            remedy = f", and set it on {type(estimator).__name__}" if unread in SHARED else ""
            raise InvalidParameterError(
                f"{name} has {unread}={getattr(side, unread)!r}, which has no effect: it only says how {data} is read, "
                f"changed and encoded. Leave {unread} out of it{remedy}. It may have {sorted(_OWN)}."
            )
        if isinstance(side.views, list | tuple):
            raise InvalidParameterError(
                f"{name} has views={side.views!r}, but {data} has one view; give one name or callable, such as "
                "skgca.views.Compose(...)."
            )
        sides[name] = side.set_params(**shared, layout="cross", projection_sizes=(estimator.n_components,))
    _check_loss(estimator.loss)
    return sides


def _check_loss(loss: str) -> None:
    """Raise InvalidParameterError if a loss needs more than the projections of pairs."""
    if _reads_pairs_only(make_loss(loss)):
        return
    valid = sorted(name for name in PRESETS if _reads_pairs_only(make_loss(name)))
    why = "trains against a moving average of one network" if not make_loss(loss).repels else "reads labels"
    raise InvalidParameterError(f"loss={loss!r} {why}, which two measurements do not have; use one of {valid}.")


def _reads_pairs_only(loss: AlignmentLoss) -> bool:
    return loss.repels and loss.target.reads is None


def as_table(y: Any) -> Any:
    """Return one value for each row as a table of one column, and anything else unchanged."""
    if hasattr(y, "to_frame") and getattr(y, "ndim", 1) == 1:  # a series of pandas or polars keeps its type
        return y.to_frame()
    if isinstance(y, list | tuple) and not any(hasattr(row, "__len__") and not isinstance(row, str) for row in y):
        y = np.asarray(y)
    if hasattr(y, "__array__") and not hasattr(y, "shape"):
        y = np.asarray(y)
    is_flat = isinstance(y, np.ndarray) and y.ndim == 1
    # an array of arrays holds series of unequal lengths
    holds_arrays = is_flat and y.dtype == object and len(y) > 0 and isinstance(y[0], np.ndarray | list)
    return y.reshape(-1, 1) if is_flat and not holds_arrays else y


def check_pairs(
    estimator: GCACrossEmbedder, sides: dict[str, GCAEmbedder], X: Any, y: Any, sample_weight: Any
) -> tuple[dict[str, Rows], dict[str, Tensor]]:
    """Return the rows of weight above 0 of both sides, and their weights as what the loss reads.

    Raises
    ------
    TypeError, ValueError
        If something cannot be trained on.
    """
    if y is None:  # in the words of scikit-learn, which its checks look for
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y is None; pass the "
            "second measurement of each row of X as y."
        )
    rows = {}
    for name, data in zip(SIDES, (X, as_table(y)), strict=True):
        with naming(name):
            rows[name] = check_rows(sides[name], data, reset=True, min_rows=2)
    # Rows may be on disk: lengths are compared with arrays of as many zeros, which take no memory.
    length, other = (np.broadcast_to(0.0, len(each)) for each in rows.values())
    check_consistent_length(length, other)
    weight = check_sample_weight(sample_weight, length)
    kept = weight > 0
    if kept.sum() < 2:
        raise ValueError(f"sample_weight leaves {kept.sum()} row with weight above 0; at least 2 are needed.")
    if not kept.all():
        rows, weight = {name: each.only(np.flatnonzero(kept)) for name, each in rows.items()}, weight[kept]
    if (weight == weight[0]).all():  # equal weights change nothing, and would cost time in each step
        return rows, {}
    return rows, {"weight": torch.as_tensor(weight, dtype=torch.float32)}


# Training


def train_sides(
    estimator: GCACrossEmbedder,
    sides: dict[str, GCAEmbedder],
    rows: dict[str, Rows],
    extras: Mapping[str, Tensor],
) -> ContrastiveNet:
    """Train an encoder for each side, and make the sides fitted embedders; return the net that trained them."""
    device = resolve_device(estimator.device)
    streams = RandomStreams.of(check_random_state(estimator.random_state))
    of_side = {"embedder": streams, "embedder_y": RandomStreams(streams.seed("second_encoder"))}
    read: dict[str, TrainingRows] = {}
    modules: dict[str, EncoderWithHead] = {}
    views: dict[str, View] = {}
    for name, side in sides.items():
        with naming(name):
            read[name] = _read(side, rows[name], SIDES[name])
            modules[name] = _module(side, read[name], of_side[name])
            views[name] = _view(side, read[name], device)
    dataset = RowDataset(len(rows["embedder"]), *(each.dataset.inputs[0] for each in read.values()), **extras)
    net = _net(sides, read, modules, views, dataset, streams, device)
    cost = estimator.batch_size * sum(n_operations(modules[name].encoder, read[name].reader) for name in SIDES)
    with large_batches(cost) if isinstance(estimator.n_threads, str) else nullcontext():
        net.fit(dataset, y=None)
        warn_of_problems(net)
        for name, side in sides.items():
            _finish(side, read[name], modules[name], net)
    return net


def _read(side: GCAEmbedder, rows: Rows, data: str) -> TrainingRows:
    shown, side.verbose = side.verbose, 0  # the side would call its rows X
    read = read_rows(side, FitInputs([rows], {}), continues=False, ranks=Ranks())
    side.verbose = shown
    if shown and read.reader.summary:
        tqdm.write(f"{data} is read as {read.reader.summary}.")
    return read


def _module(side: GCAEmbedder, read: TrainingRows, streams: RandomStreams) -> EncoderWithHead:
    options = NetworkOptions.of(vars(side))
    return make_module(
        options, read.reader, read.sample, len(read.dataset), with_predictor=False, random_streams=streams
    )


def _view(side: GCAEmbedder, read: TrainingRows, device: torch.device) -> View:
    """Return the view of a side. "auto" changes cells of tables, and leaves images and series as they are.

    A moved image may no longer match the other measurement, as of two halves of it. docs/develop/decisions.md has what
    both cost.
    """
    options, sample = ViewOptions.of(vars(side)), read.sample
    views = make_views(options, read.reader, paired=not read.reader.has_columns, reference=lambda: sample.to(device))
    return views.views[0]


def _net(
    sides: dict[str, GCAEmbedder],
    read: dict[str, TrainingRows],
    modules: dict[str, EncoderWithHead],
    views: dict[str, View],
    dataset: RowDataset,
    streams: RandomStreams,
    device: torch.device,
) -> ContrastiveNet:
    params = vars(sides["embedder"])  # of which both sides have those that are read here
    n_batches = n_even_batches(len(dataset), params["batch_size"])
    n_steps = max(auto_steps(NetworkOptions.of(vars(side)), read[name].reader) for name, side in sides.items())
    max_epochs = resolve_max_epochs(params["max_epochs"], auto_steps=n_steps, n_batches=n_batches)
    return make_net(
        NetOptions.of(params),
        module=TwoEncoders(*modules.values()),
        criterion=make_criterion(LossOptions.of(params)),
        yardstick=make_yardstick(LossOptions.of(params)),
        views=MultiView(*views.values()),
        # a user's own module may hold torch's dropout, or draw random numbers in another way
        draws=any(not isinstance(side.encoder, str) or side.dropout > 0 for side in sides.values()),
        max_epochs=max_epochs,
        n_batches=n_batches,
        callbacks=callbacks_of(
            sides["embedder"], n_steps=max_epochs * n_batches, measured=inputs_to_measure(dataset), ranks=Ranks()
        ),
        dataset_valid=None,
        random_streams=streams,
        device=device,
        ranks=Ranks(),
    )


def _finish(side: GCAEmbedder, read: TrainingRows, module: EncoderWithHead, net: ContrastiveNet) -> None:
    """Make a side a fitted embedder, whose ``transform`` is the encoder without its projection head."""
    module.eval()
    fit_readout(module.encoder, read.sample, read.chunk_size, net.device)
    reference = read.sample[torch.from_numpy(spaced(len(read.sample), max(1, side.n_reference_rows)))]
    embedded = embed_inputs(module.encoder, reference, net.device)
    side.reader_ = read.reader
    side.reference_ = embedded[: side.n_reference_rows]
    side._n_features_out = embedded.shape[1]
    side.epsilon_ = net.criterion_.epsilon
    side.history_ = epoch_records(net.history)
    side.n_epochs_ = side.best_epoch_ = len(side.history_)
    side.stop_reason_ = net.stop_reason
    side.net_ = restored_net(vars(side), module, epsilon=side.epsilon_, device=torch.device(net.device))
