"""What ``fit`` and ``partial_fit`` do: from X and what goes with it to a trained net, and the readout behind it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from torch import Tensor

from .._builders.callbacks import CallbackOptions, Entry, make_callbacks
from .._builders.loss import LossOptions, effective_target, make_criterion, make_yardstick
from .._builders.net import NetOptions, make_net, resolve_max_epochs
from .._builders.network import NetworkOptions, check_encoder, last_module, make_module, series_wanted
from .._builders.views import ViewOptions, make_views
from .._data import (
    Reader,
    RowDataset,
    Rows,
    check_rows,
    evenly_spaced,
    make_reader,
    n_even_batches,
    read_ahead,
    spaced,
)
from .._data.metadata import annotations
from .._inference.embedding import embed_inputs, fit_readout
from .._training.checkpoints import Checkpoints, SaveCheckpoints, identity
from .._training.net import ContrastiveNet
from .._utils.compat import InvalidParameterError, check_sample_weight
from .._utils.device import resolve_device
from ..losses import AlignmentLoss

if TYPE_CHECKING:
    from .embedder import GCAEmbedder

__all__ = [
    "Given",
    "Prepared",
    "Stream",
    "Trained",
    "check_given",
    "check_pair",
    "prepare",
    "read_out",
    "train",
    "train_on_part",
    "unchanged_on_failure",
]

_SEED_END = np.iinfo(np.int32).max - 1
_N_MEASURED = 256  # rows by which the embedding is measured in training
_N_REMEMBERED = 2048  # rows of a stream that its readout is fitted on


@dataclass(frozen=True)
class Given:
    """What ``fit`` got, checked, without the rows of weight 0.

    measured : the rows of X, and of X_pair if there is one; weight : ndarray (n,); extras : what the loss reads of
    each row, by the names of its arguments.
    """

    measured: list[Rows]
    weight: np.ndarray
    extras: dict[str, Any]

    def __len__(self) -> int:
        return len(self.measured[0])


@dataclass(frozen=True)
class Prepared:
    """What a training starts from: a reader, the rows as tensors, a sample of them, and the net."""

    reader: Reader
    dataset: RowDataset
    sample: Tensor
    net: ContrastiveNet
    n_batches: int


@dataclass(frozen=True)
class Trained:
    """A trained net with its readout fitted, what reads rows for it, and embedded rows to compare others with."""

    reader: Reader
    net: ContrastiveNet
    reference: np.ndarray


def check_given(
    estimator: GCAEmbedder,
    X: Any,
    y: Any,
    *,
    sample_weight: Any,
    sample_domain: Any,
    sample_group: Any,
    X_pair: Any,
    reset: bool,
) -> Given:
    """Check what ``fit`` got, as far as that needs no look at every value of X.

    Raises
    ------
    TypeError, ValueError
        If something cannot be trained on.
    """
    rows = check_rows(estimator, X, reset=reset, min_rows=2)
    pair = None if X_pair is None else check_pair(estimator, X_pair, rows)
    length = np.broadcast_to(0.0, len(rows))  # what is checked against X is checked against this
    weight = check_sample_weight(sample_weight, length)
    kept = weight > 0
    if kept.sum() < 2:
        raise ValueError(f"sample_weight leaves {kept.sum()} row with weight above 0; at least 2 are needed.")
    target = effective_target(estimator.loss, estimator.target)
    extras = annotations(
        length,
        kept,
        target=target,
        related=estimator.related,
        y=y,
        sample_domain=sample_domain,
        sample_group=sample_group,
    )
    measured = [rows] if pair is None else [rows, pair]
    if not kept.all():
        measured, weight = [source.only(np.flatnonzero(kept)) for source in measured], weight[kept]
    if not (weight == weight[0]).all():  # equal weights are none, and spare the loss looking at them
        extras["weight"] = torch.as_tensor(weight, dtype=torch.float32)
    return Given(measured, weight, extras)


def prepare(estimator: GCAEmbedder, given: Given, *, continues: bool) -> Prepared:
    """Read the rows, and make the net that ``fit`` trains on them.

    Parameters
    ----------
    estimator : GCAEmbedder
    given : Given
    continues : bool
        Whether to continue from the last fit.

    Raises
    ------
    InvalidParameterError, ValueError, TypeError
        If parameters do not go together, or with the rows.
    CheckpointError
        If there is a checkpoint that cannot be gone on from.
    """
    device = resolve_device(estimator.device)
    checkpoints = _checkpoints(estimator)
    criterion = _criterion(estimator, continues=continues)  # before X is read, as it may raise
    rng = check_random_state(estimator.random_state)
    reader = estimator.reader_ if continues else _fitted_reader(estimator, given.measured[0])
    dataset, sample = _read(given, reader)
    seeds = [None if continues else rng.randint(_SEED_END), rng.randint(_SEED_END)]
    header, begins_from = {}, None
    if checkpoints is not None:
        wanted = identity(estimator.get_params(deep=False), dataset, device)
        begins_from = checkpoints.matching(wanted) if estimator.resume else None
        seeds = seeds if begins_from is None else begins_from["seeds"]
        header = {"identity": wanted, "seeds": seeds}
    training, held_out = _split(estimator, dataset, seed=seeds[1])
    n_batches = n_even_batches(len(training), estimator.batch_size)
    max_epochs = resolve_max_epochs(estimator.max_epochs, kind=reader.kind, n_batches=n_batches)
    measured = _some_inputs(training if held_out is None else held_out)
    callbacks = _callbacks(estimator, n_steps=max_epochs * n_batches, measured=measured)
    if checkpoints is not None:
        saving = SaveCheckpoints(
            checkpoints,
            begins_from,
            header,
            every_epochs=estimator.checkpoint_epochs,
            every_minutes=estimator.checkpoint_minutes,
        )
        callbacks.append(("checkpoints", saving))
    net = _net(
        estimator,
        given,
        reader,
        sample,
        criterion,
        continues=continues,
        weights_seed=seeds[0],
        seed=seeds[1],
        device=device,
        max_epochs=max_epochs,
        n_batches=n_batches,
        callbacks=callbacks,
        held_out=held_out,
    )
    return Prepared(reader, training, sample, net, n_batches)


def train(estimator: GCAEmbedder, given: Given, *, continues: bool) -> Trained:
    """Train as ``fit`` does; see :func:`prepare`."""
    prepared = prepare(estimator, given, continues=continues)
    net = prepared.net
    net.fit(prepared.dataset, y=None)
    _warn_of_the_end(net)
    return _trained(estimator, prepared.reader, net, prepared.sample, given)


def train_on_part(estimator: GCAEmbedder, given: Given, stream: Stream | None) -> tuple[Trained, Stream]:
    """Train as ``partial_fit`` does: one pass over the rows, at a steady rate.

    Parameters
    ----------
    estimator : GCAEmbedder
    given : Given
    stream : Stream or None
        What the last call left; None begins anew, from the last fit if there was one.
    """
    if estimator.early_stopping or estimator.checkpoint_dir is not None:
        name = "early_stopping" if estimator.early_stopping else "checkpoint_dir"
        raise InvalidParameterError(
            f"{name}={getattr(estimator, name)!r} has no effect in partial_fit, which makes one pass and keeps no "
            "file; leave it out, or use fit."
        )
    fitted = hasattr(estimator, "net_")
    reader = estimator.reader_ if fitted else _fitted_reader(estimator, given.measured[0])
    dataset, sample = _read(given, reader)
    n_batches = n_even_batches(len(dataset), estimator.batch_size)
    callbacks = _callbacks(estimator, n_steps=n_batches, measured=_some_inputs(dataset), steady=True)
    if stream is None:
        stream = _begin_stream(estimator, given, reader, sample, fitted=fitted)
    net = stream.net
    net.callbacks = callbacks
    net.initialize_callbacks()
    net.set_params(
        batch_size=estimator.batch_size, lr=estimator.lr, max_epochs=len(net.history) + 1, seed=stream.next_seed()
    )
    net.partial_fit(dataset, y=None)
    _warn_of_the_end(net)
    return _trained(estimator, reader, net, stream.remember(sample), given), stream


class Stream:
    """What calls of ``partial_fit`` hand on to each other: the net with its optimizer, random numbers, and some rows.

    Parameters
    ----------
    net : ContrastiveNet
        Initialised.
    seed : int
    """

    def __init__(self, net: ContrastiveNet, seed: int) -> None:
        self.net = net
        self.rng = np.random.RandomState(seed)
        self._keys = np.empty(0)
        self._rows: Tensor | None = None

    def next_seed(self) -> int:
        """Return the seed of the next call's order and views."""
        return self.rng.randint(_SEED_END)

    def remember(self, rows: Tensor) -> Tensor:
        """Add rows (k, ...) to those seen, and return a random part of all: each has had the same chance to stay."""
        keys = np.concatenate([self._keys, self.rng.uniform(size=len(rows))])
        rows = rows if self._rows is None else torch.cat([self._rows, rows])
        kept = np.sort(np.argsort(keys)[:_N_REMEMBERED])
        self._keys, self._rows = keys[kept], rows[torch.from_numpy(kept)]
        return self._rows


@contextmanager
def unchanged_on_failure(estimator: GCAEmbedder) -> Iterator[None]:
    """Let an estimator be as it was before the block, if that raises anything."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def check_pair(estimator: GCAEmbedder, X_pair: Any, rows: Rows) -> Rows:
    """Check the second measurement of each row."""
    pair = check_rows(estimator, X_pair, reset=False)
    if pair.shape != rows.shape:
        raise ValueError(
            f"X_pair has shape {pair.shape}, but X has {rows.shape}; row i of one must be another view of row i of "
            "the other."
        )
    return pair


def _checkpoints(estimator: GCAEmbedder) -> Checkpoints | None:
    if estimator.checkpoint_dir is not None:
        return Checkpoints(estimator.checkpoint_dir)
    if estimator.resume:
        raise InvalidParameterError(
            "resume=True has nothing to go on from without a checkpoint_dir; name the folder that training wrote to."
        )
    return None


def _fitted_reader(estimator: GCAEmbedder, rows: Rows) -> Reader:
    """Learn to read the training rows, and refuse an encoder that is for other data."""
    reader = make_reader(
        rows,
        categorical_features=estimator.categorical_features,
        standardize=estimator.standardize,
        image_shape=estimator.image_shape,
        series=series_wanted(estimator.encoder),
    )
    network = NetworkOptions.of(vars(estimator))
    check_encoder(network, reader.kind, changed=_changed(estimator))
    return reader.fit(rows)


def _read(given: Given, reader: Reader) -> tuple[RowDataset, Tensor]:
    """Return the rows as tensors to fetch by number, and an evenly spaced sample of those of X."""
    inputs = [read_ahead(source, reader.read) for source in given.measured]
    return RowDataset(len(given), *inputs, **given.extras), inputs[0](evenly_spaced(given.measured[0]))


def _criterion(estimator: GCAEmbedder, *, continues: bool) -> AlignmentLoss:
    options = LossOptions.of(vars(estimator))
    return make_criterion(options, last_epsilon=estimator.epsilon_ if continues else None)


def _callbacks(
    estimator: GCAEmbedder, *, n_steps: int, measured: tuple[Tensor, ...], steady: bool = False
) -> list[Entry]:
    options = CallbackOptions.of(vars(estimator))
    return make_callbacks(options, changed=_changed(estimator), n_steps=n_steps, measured=measured, steady=steady)


def _changed(estimator: GCAEmbedder) -> dict[str, Any]:
    """Return the parameters that are not the defaults of the signature."""
    defaults = {name: parameter.default for name, parameter in signature(type(estimator)).parameters.items()}

    def is_default(name: str, value: Any) -> bool:
        # arrays cannot be compared by ==, and no default is one
        return value is defaults[name] or (isinstance(value, str | Real) and value == defaults[name])

    return {name: value for name, value in estimator.get_params(deep=False).items() if not is_default(name, value)}


def _net(
    estimator: GCAEmbedder,
    given: Given,
    reader: Reader,
    sample: Tensor,
    criterion: AlignmentLoss,
    *,
    continues: bool,
    weights_seed: int | None,
    seed: int,
    device: torch.device,
    max_epochs: int,
    n_batches: float,
    callbacks: list[Entry],
    held_out: RowDataset | None,
) -> ContrastiveNet:
    """Make the net, of a new module or that of the last fit."""
    params = vars(estimator)
    network = NetworkOptions.of(params)
    with_predictor = not criterion.repels
    if continues:
        last = estimator.net_.module_
        module = last_module(last, network, reader, sample, len(given), with_predictor=with_predictor)
    else:
        module = make_module(network, reader, sample, len(given), with_predictor=with_predictor, seed=weights_seed)
    views = make_views(
        ViewOptions.of(params), reader, paired=len(given.measured) == 2, reference=lambda: sample.to(device)
    )
    return make_net(
        NetOptions.of(params),
        module=module,
        criterion=criterion,
        yardstick=make_yardstick(LossOptions.of(params)),
        views=views,
        draws=not isinstance(estimator.encoder, str),  # a module of the user's own may hold torch's dropout
        max_epochs=max_epochs,
        n_batches=n_batches,
        callbacks=callbacks,
        dataset_valid=held_out,
        seed=seed,
        device=device,
    )


def _split(estimator: GCAEmbedder, dataset: RowDataset, *, seed: int) -> tuple[RowDataset, RowDataset | None]:
    """Return the rows to train on, and those to hold out, if some are to be."""
    if not estimator.early_stopping:
        return dataset, None
    n_rows = len(dataset)
    groups = dataset.extras.get("related")
    if isinstance(groups, Tensor) and groups.ndim == 1:
        held_out = _rows_of_some_groups(groups, estimator.validation_fraction, seed=seed)
    else:
        n_held_out = max(2, round(estimator.validation_fraction * n_rows))
        held_out = torch.randperm(n_rows, generator=torch.Generator().manual_seed(seed + 3))[:n_held_out]
    if not 2 <= len(held_out) <= n_rows - 2:
        raise ValueError(
            f"early_stopping=True with validation_fraction={estimator.validation_fraction} holds out {len(held_out)} "
            f"of {n_rows} rows, but 2 at least are needed on either side; give more rows, or another fraction."
        )
    is_held_out = torch.zeros(n_rows, dtype=torch.bool)
    is_held_out[held_out] = True
    return dataset.only((~is_held_out).nonzero()[:, 0]), dataset.only(is_held_out.nonzero()[:, 0])


def _rows_of_some_groups(groups: Tensor, fraction: float, *, seed: int) -> Tensor:
    """Draw whole groups until they have such a share of the rows, so that no held-out row has kin among the others."""
    own = len(groups) + torch.arange(len(groups))  # a row of no group, -1, is one by itself
    _, members, sizes = torch.where(groups == -1, own, groups).unique(return_inverse=True, return_counts=True)
    order = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(seed + 3))
    n_taken = int((sizes[order].cumsum(0) < max(2, round(fraction * len(groups)))).sum()) + 1
    return torch.isin(members, order[:n_taken]).nonzero()[:, 0]


def _some_inputs(dataset: RowDataset) -> tuple[Tensor, ...]:
    """Fetch evenly spaced rows to measure by."""
    inputs, _ = dataset[torch.from_numpy(spaced(len(dataset), _N_MEASURED))]
    return inputs


def _begin_stream(estimator: GCAEmbedder, given: Given, reader: Reader, sample: Tensor, *, fitted: bool) -> Stream:
    rng = check_random_state(estimator.random_state)
    weights_seed, seed = rng.randint(_SEED_END), rng.randint(_SEED_END)
    net = _net(
        estimator,
        given,
        reader,
        sample,
        _criterion(estimator, continues=fitted),
        continues=fitted,
        weights_seed=weights_seed,
        seed=seed,
        device=resolve_device(estimator.device),
        max_epochs=1,
        n_batches=math.inf,  # nobody knows how many will come
        callbacks=[],
        held_out=None,
    )
    net.streams = True
    return Stream(net.initialize(), seed)


def _warn_of_the_end(net: ContrastiveNet) -> None:
    """Warn if training did not go as it was asked to."""
    n_epochs = sum("train_loss" in record for record in net.history)
    retries = f"went back to the last good weights {net.guard.n_retries} times, each time at half the rate"
    if net.stop_reason == "interrupted":
        warnings.warn(
            f"Training was interrupted after {n_epochs} of {net.max_epochs} epochs; the embedding is what was learned "
            "by then.",
            stacklevel=4,
        )
    elif net.stop_reason == "diverged":
        warnings.warn(
            f"The loss or its gradient stopped being finite in epoch {len(net.history)}; training {retries}, and gave "
            f"up. The weights are those of {n_epochs} epochs. Lower lr (now {net.lr:g}), or set max_grad_norm.",
            ConvergenceWarning,
            stacklevel=4,
        )
    elif net.guard.n_retries:
        warnings.warn(
            f"The loss or its gradient was not finite at times; training {retries}, and ended at "
            f"{net.guard.rate:g} of lr={net.lr:g}. A lower lr, or max_grad_norm, would spare it.",
            ConvergenceWarning,
            stacklevel=4,
        )


def _trained(estimator: GCAEmbedder, reader: Reader, net: ContrastiveNet, sample: Tensor, given: Given) -> Trained:
    """Fit what reads the embedding out of a trained net, and embed a part of the rows that this is fitted on."""
    read_out(net, sample, given)
    rows = sample[torch.from_numpy(spaced(len(sample), max(1, estimator.n_reference_rows)))]  # one shows the width
    return Trained(reader, net, embed_inputs(net.module_.encoder, rows, net.device)[: estimator.n_reference_rows])


def read_out(net: ContrastiveNet, sample: Tensor, given: Given) -> None:
    """Fit what reads the embedding out of a trained net, by a sample of the rows."""
    net.module_.eval()
    fit_readout(net.module_.encoder, sample, given.measured[0].chunk_size(), net.device)
