"""The steps of ``fit`` after its inputs are checked: read the rows, train the net, fit the readout."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from torch import Tensor
from tqdm.auto import tqdm

from .._builders.callbacks import CallbackOptions, Entry, make_callbacks
from .._builders.loss import LossOptions, make_criterion, make_yardstick
from .._builders.net import NetOptions, make_net, resolve_max_epochs
from .._builders.network import (
    NetworkOptions,
    auto_steps,
    check_encoder,
    encoded_kind,
    last_module,
    make_module,
    planned_pooling,
    pooling_of,
    takes_any_length,
)
from .._builders.views import ViewOptions, has_names_only, make_views
from .._data import (
    N_MEASURED,
    RandomNeighbors,
    Reader,
    RowDataset,
    Rows,
    SeriesReader,
    bytes_ahead,
    evenly_spaced,
    make_reader,
    n_even_batches,
    neighbor_graph,
    read_ahead,
    spaced,
)
from .._data.containers import Chunk
from .._data.held_out import hold_out
from .._inference.balance import DependenceEstimate
from .._inference.embedding import embed_inputs, fit_readout
from .._persistence.sample_rows import example_rows
from .._training.callbacks import StopWithoutProgress
from .._training.checkpoints import Checkpoints, SaveCheckpoints, checksum_of_rows, described, identity
from .._training.net import ContrastiveNet
from .._training.process_group import joined
from .._training.ranks import Ranks
from .._utils.compat import InvalidParameterError
from .._utils.device import resolve_device
from .._utils.random import RandomStreams
from .._utils.threads import large_batches
from .._utils.torch_state import known_settings
from ..encoders import Encoder
from ..encoders._images import mean_of_blocks
from ..losses import AlignmentLoss
from .constraints import defaults_of
from .deprecated import deprecated_in_effect
from .inputs import FitInputs

if TYPE_CHECKING:
    from .embedder import GCAEmbedder

__all__ = [
    "Prepared",
    "Trained",
    "TrainingRows",
    "callbacks_of",
    "changed_parameters",
    "check_batches",
    "finish",
    "in_training",
    "inputs_to_measure",
    "last_or_new_criterion",
    "n_operations",
    "new_net",
    "prepare",
    "read_out",
    "read_rows",
    "streams_of",
    "threads_of",
    "train",
    "unchanged_on_failure",
    "warn_of_problems",
]


_N_COMPARED = 4096  # rows that ranks compare, of data that are not in memory


@dataclass(frozen=True)
class TrainingRows:
    """The rows of a fit as tensors.

    reader : the fitted reader; dataset : all rows, fetched by number; sample : evenly spaced rows of X, (k, ...);
    chunk_size : number of rows to embed at a time; pooling : blocks of pixels (down, across) to whose means the images
    of the dataset are reduced, while those of the sample are not; features: the inputs of all rows without learned
    parts, (n, n_plain), between which neighbours were found, if they were.
    """

    reader: Reader
    dataset: RowDataset
    sample: Tensor
    chunk_size: int
    pooling: tuple[int, int] = (1, 1)
    features: np.ndarray | None = None


@dataclass(frozen=True)
class Prepared:
    """A training before its first step.

    rows : all rows; training : rows without held-out ones; n_batches : batches in an epoch; net : the net to train;
    ranks : the processes that train it.
    """

    rows: TrainingRows
    training: RowDataset
    n_batches: int
    net: ContrastiveNet
    ranks: Ranks


@dataclass(frozen=True)
class Trained:
    """A reader, a trained net with a fitted readout, and the embeddings (k, d) of some training rows, as reference."""

    reader: Reader
    net: ContrastiveNet
    reference: np.ndarray


def train(estimator: GCAEmbedder, inputs: FitInputs, *, continues: bool, ranks: Ranks) -> Trained:
    """Train as ``fit`` does; see :func:`prepare`."""
    prepared = prepare(estimator, inputs, continues=continues, ranks=ranks)
    _warn_if_never_stopped(estimator, prepared.net)
    with threads_of(estimator, prepared.net, prepared.rows.reader):
        prepared.net.fit(prepared.training, y=None)
        return finish(estimator, prepared.rows, prepared.net, ranks)


def threads_of(estimator: GCAEmbedder, net: ContrastiveNet, reader: Reader) -> AbstractContextManager[None]:
    """Return the context in which a net trains and embeds; it sets the threads of ``n_threads="auto"``."""
    if not isinstance(estimator.n_threads, str):
        return nullcontext()
    return large_batches(estimator.batch_size * n_operations(net.module.encoder, reader))


def n_operations(encoder: Encoder, reader: Reader) -> float:
    """Return the multiplications that embed a row, counted at the first call."""
    if encoder.n_operations is None:
        encoder.count_operations(reader.read(example_rows(reader)))
    return encoder.n_operations or 0.0


def prepare(estimator: GCAEmbedder, inputs: FitInputs, *, continues: bool, ranks: Ranks) -> Prepared:
    """Read the rows, and make the net that ``fit`` trains on them.

    Parameters
    ----------
    estimator : GCAEmbedder
    inputs : FitInputs
    continues : bool
        Whether to continue from the last fit.
    ranks : Ranks
        The processes that train the net.

    Raises
    ------
    InvalidParameterError, ValueError, TypeError
        If parameters contradict each other, or do not fit the rows, or the ranks have different ones.
    CheckpointError
        If there is a checkpoint that training cannot resume from.
    """
    # Checks that do not need X come first, since reading X may take long.
    device = ranks.place(resolve_device(estimator.device))
    checkpoints = _checkpoints(estimator, ranks)
    criterion = last_or_new_criterion(estimator, continues=continues)
    random_streams = streams_of(estimator, ranks)
    rows = read_rows(estimator, inputs, continues=continues, ranks=ranks)
    if inputs.n_neighbors is not None:
        rows = _with_neighbors(rows, inputs.n_neighbors, random_streams.generator("neighbors"))
    saving: list[Entry] = []
    if estimator.checkpoint_dir is not None:
        callback = _checkpointing(estimator, checkpoints, rows.dataset, random_streams, device, ranks)
        random_streams = RandomStreams(callback.header["entropy"])
        saving = [("checkpoints", callback)]
    training, held_out = rows.dataset, None
    if estimator.early_stopping:
        training, held_out = hold_out(
            rows.dataset, estimator.validation_fraction, random_streams.generator("held_out_rows")
        )
    n_batches = n_even_batches(len(training), estimator.batch_size)
    check_batches(estimator, len(training), n_batches, ranks)
    n_steps = auto_steps(NetworkOptions.of(vars(estimator)), rows.reader)
    max_epochs = resolve_max_epochs(estimator.max_epochs, auto_steps=n_steps, n_batches=n_batches)
    measured = inputs_to_measure(training if held_out is None else held_out)
    net = new_net(
        estimator,
        rows,
        criterion,
        random_streams=random_streams,
        continues=continues,
        device=device,
        max_epochs=max_epochs,
        n_batches=n_batches,
        # checkpoints last, so that they contain what the other callbacks did in the same epoch
        callbacks=[*callbacks_of(estimator, n_steps=max_epochs * n_batches, measured=measured, ranks=ranks), *saving],
        held_out=held_out,
        ranks=ranks,
    )
    return Prepared(rows, training, n_batches, net, ranks)


def finish(
    estimator: GCAEmbedder,
    rows: TrainingRows,
    net: ContrastiveNet,
    ranks: Ranks,
    estimate: DependenceEstimate | None = None,
) -> Trained:
    """Warn about problems of the training, fit the readout, and embed the reference rows.

    All ranks get what rank 0 has, since other processors may round differently.
    """
    warn_of_problems(net)
    read_out(net, rows, estimate)
    ranks.make_same([*net.module_.parameters(), *net.module_.buffers()])
    net.history = ranks.same(lambda: net.history)
    n_reference = estimator.n_reference_rows
    # Embed at least one row, so that an empty reference has the width of the embedding too.
    reference = rows.sample[torch.from_numpy(spaced(len(rows.sample), max(1, n_reference)))]
    embedded = ranks.same(lambda: embed_inputs(net.module_.encoder, reference, net.device))
    return Trained(rows.reader, net, embedded[:n_reference])


def read_out(net: ContrastiveNet, rows: TrainingRows, estimate: DependenceEstimate | None = None) -> None:
    """Fit the readout of a trained net on a sample of the rows."""
    net.module_.eval()
    fit_readout(net.module_.encoder, rows.sample, rows.chunk_size, net.device, estimate)


@contextmanager
def in_training(estimator: GCAEmbedder) -> Iterator[Ranks]:
    """Run the block as a training of an estimator, alone or with other processes.

    If the block raises anything, the attributes of the estimator are restored.
    """
    with ExitStack() as stack:
        stack.enter_context(unchanged_on_failure(estimator))
        stack.enter_context(deprecated_in_effect(estimator))
        stack.enter_context(known_settings(estimator.n_threads))
        yield stack.enter_context(joined(estimator.distributed, estimator.device))


@contextmanager
def unchanged_on_failure(estimator: Any) -> Iterator[None]:
    """Restore the attributes of an estimator if the block raises anything."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


# Rows


def read_rows(estimator: GCAEmbedder, inputs: FitInputs, *, continues: bool, ranks: Ranks) -> TrainingRows:
    """Read the rows of X, by a newly fitted reader or by that of the last fit.

    Raises
    ------
    ValueError
        If the ranks have different rows or parameters, or the rows cannot be read.
    """
    first = inputs.measured[0]
    reader = estimator.reader_ if continues else _fitted_reader(estimator, first, shown=ranks.first)
    # Rows that the reader was not fitted on may be in other units: those of partial_fit, and second measurements.
    read = [reader.at(source) if continues or k else reader.read for k, source in enumerate(inputs.measured)]
    pooling, spread = _pooling(estimator, reader, continues=continues), evenly_spaced(first)
    fetch = [
        read_ahead(source, partial(_read_reduced, one, pooling), reduced=prod(pooling))
        for source, one in zip(inputs.measured, read, strict=True)
    ]
    sample = fetch[0](spread) if pooling == (1, 1) else read[0](first.take(spread.numpy()))
    dataset = RowDataset(len(inputs), *fetch, **inputs.extras)
    ranks.check_same(lambda: _of_training(estimator, inputs, dataset))
    return TrainingRows(reader, dataset, sample, first.chunk_size(), pooling)


def _with_neighbors(rows: TrainingRows, n_neighbors: int, generator: torch.Generator) -> TrainingRows:
    """Add random neighbours as second measurements."""
    fetch, stem = rows.dataset.inputs[0], rows.reader.make_stem(standardize=True)
    parts = torch.arange(len(rows.dataset)).split(rows.chunk_size)
    features = np.concatenate([stem.plain(fetch(part)).numpy() for part in parts])
    neighbors = RandomNeighbors(fetch, neighbor_graph(features, n_neighbors), generator)
    dataset = RowDataset(len(rows.dataset), fetch, neighbors, **rows.dataset.extras)
    return replace(rows, dataset=dataset, features=features)


def _of_training(estimator: GCAEmbedder, inputs: FitInputs, dataset: RowDataset) -> dict[str, str]:
    """Describe what must be the same on all ranks: parameters, and rows with their metadata.

    Modules are left out, since their weights are those of rank 0 anyway. Of rows that are not in memory, a sample is
    compared.
    """
    params = estimator.get_params(deep=False)
    compared = {name: value for name, value in params.items() if not isinstance(value, torch.nn.Module)}
    in_memory = all(bytes_ahead(rows) and rows.part_sizes is None for rows in inputs.measured)
    checksum = checksum_of_rows(dataset, len(dataset) if in_memory else _N_COMPARED)
    about_rows = {"number of rows": str(len(dataset)), "X and metadata": f"rows of checksum {checksum[:8]}"}
    return {**described(compared), **about_rows}


def check_batches(estimator: GCAEmbedder, n_rows: int, n_batches: int, ranks: Ranks) -> None:
    """Raise ValueError if a rank would have fewer than 2 rows of a batch: views exchange values between rows."""
    smallest = n_rows // n_batches
    if ranks.n_ranks > 1 and smallest < 2 * ranks.n_ranks:
        raise ValueError(
            f"batch_size={estimator.batch_size} makes batches of {smallest} of the {n_rows} rows, for {ranks.n_ranks} "
            f"ranks together, which each need 2 rows; set batch_size={2 * ranks.n_ranks} or more, or start fewer "
            "processes."
        )


def streams_of(estimator: GCAEmbedder, ranks: Ranks) -> RandomStreams:
    """Return the random numbers of a training, from the ``random_state`` of rank 0."""
    own = RandomStreams.of(check_random_state(estimator.random_state))  # moves a generator of the user on every rank
    return ranks.same(lambda: own)


def _pooling(estimator: GCAEmbedder, reader: Reader, *, continues: bool) -> tuple[int, int]:
    """Return the blocks of pixels to which images are reduced before their views are made.

    They are those to which the encoder would reduce the views, which are then made in a fraction of the time. A view of
    the user's own gets the images as they are.
    """
    if not has_names_only(estimator.views):
        return (1, 1)
    if continues:
        return pooling_of(estimator.net_.module_.encoder.body)
    return planned_pooling(NetworkOptions.of(vars(estimator)), reader)


def _read_reduced(read: Callable[[Chunk], Tensor], pooling: tuple[int, int], X: Chunk) -> Tensor:
    return mean_of_blocks(read(X), pooling)


def _fitted_reader(estimator: GCAEmbedder, rows: Rows, *, shown: bool) -> Reader:
    """Fit a reader to the training rows; raise an error if the encoder is for another kind of data.

    With ``shown`` and ``verbose``, what the rows are read as is shown.
    """
    reader = make_reader(
        rows,
        categorical_features=estimator.categorical_features,
        standardize=estimator.standardize,
        image_shape=estimator.image_shape,
        encoded=encoded_kind(estimator.encoder),
    )
    network = NetworkOptions.of(vars(estimator))
    check_encoder(network, reader, changed=changed_parameters(estimator))
    reader.fit(rows)
    if isinstance(reader, SeriesReader):
        reader.takes_any_length = takes_any_length(network, reader)
    if shown and estimator.verbose and reader.summary:
        tqdm.write(f"X is read as {reader.summary}.")
    return reader


def inputs_to_measure(dataset: RowDataset) -> tuple[Tensor, ...]:
    """Fetch evenly spaced rows that the measures of ``history_`` are computed on."""
    inputs, _ = dataset[torch.from_numpy(spaced(len(dataset), N_MEASURED))]
    return inputs


# Checkpoints


def _checkpoints(estimator: GCAEmbedder, ranks: Ranks) -> Checkpoints | None:
    """Return the checkpoint to write and to resume from, on rank 0."""
    if estimator.checkpoint_dir is not None:
        return Checkpoints(estimator.checkpoint_dir) if ranks.first else None
    if estimator.resume:
        raise InvalidParameterError(
            "resume=True needs a checkpoint_dir to resume from; name the folder that training wrote to."
        )
    return None


def _checkpointing(
    estimator: GCAEmbedder,
    checkpoints: Checkpoints | None,
    dataset: RowDataset,
    random_streams: RandomStreams,
    device: torch.device,
    ranks: Ranks,
) -> SaveCheckpoints:
    """Return the callback that writes checkpoints, and that resumes from the last one if ``resume`` is set.

    A resumed training uses the random numbers of the checkpoint, even if ``random_state`` is None.
    """
    wanted = identity(estimator.get_params(deep=False), dataset, device) if checkpoints is not None else {}
    resumes = checkpoints is not None and estimator.resume
    begins_from = ranks.same(lambda: checkpoints.matching(wanted) if resumes else None)  # type: ignore[union-attr]
    entropy = random_streams.entropy if begins_from is None else begins_from["entropy"]
    return SaveCheckpoints(
        checkpoints,
        begins_from,
        {"identity": wanted, "entropy": entropy},
        every_epochs=estimator.checkpoint_epochs,
        every_minutes=estimator.checkpoint_minutes,
    )


# The net and its parts, by the builders


def new_net(
    estimator: GCAEmbedder,
    rows: TrainingRows,
    criterion: AlignmentLoss,
    *,
    random_streams: RandomStreams,
    continues: bool,
    device: torch.device,
    max_epochs: int,
    n_batches: float,
    ranks: Ranks,
    callbacks: Sequence[Entry] = (),
    held_out: RowDataset | None = None,
) -> ContrastiveNet:
    """Make the net, with a new module or a copy of the module of the last fit."""
    params = vars(estimator)
    network = NetworkOptions.of(params)
    n_rows, with_predictor = len(rows.dataset), not criterion.repels
    if continues:
        last = estimator.net_.module_
        module = last_module(last, network, rows.reader, rows.sample, n_rows, with_predictor=with_predictor)
    else:
        module = make_module(
            network, rows.reader, rows.sample, n_rows, with_predictor=with_predictor, random_streams=random_streams
        )
    paired = len(rows.dataset.inputs) == 2
    views = make_views(ViewOptions.of(params), rows.reader, paired=paired, reference=lambda: rows.sample.to(device))
    return make_net(
        NetOptions.of(params),
        module=module,
        criterion=criterion,
        yardstick=make_yardstick(LossOptions.of(params)),
        views=views,
        # a user's own module may hold torch's dropout, or draw random numbers in another way
        draws=not isinstance(estimator.encoder, str) or network.dropout > 0,
        max_epochs=max_epochs,
        n_batches=n_batches,
        callbacks=callbacks,
        dataset_valid=held_out,
        random_streams=random_streams,
        device=device,
        ranks=ranks,
    )


def last_or_new_criterion(estimator: GCAEmbedder, *, continues: bool) -> AlignmentLoss:
    """Make the loss; a learned epsilon continues from its last value."""
    options = LossOptions.of(vars(estimator))
    return make_criterion(options, last_epsilon=estimator.epsilon_ if continues else None)


def callbacks_of(
    estimator: GCAEmbedder, *, n_steps: int, measured: tuple[Tensor, ...], ranks: Ranks, steady: bool = False
) -> list[Entry]:
    """Make the callbacks; ``steady`` means a constant learning rate and no early stopping."""
    return make_callbacks(
        CallbackOptions.of(vars(estimator)),
        changed=changed_parameters(estimator),
        n_steps=n_steps,
        measured=measured,
        steady=steady,
        shown=ranks.first,
    )


def changed_parameters(estimator: GCAEmbedder) -> dict[str, Any]:
    """Return the parameters whose values differ from the defaults in the signature."""
    defaults = defaults_of(estimator)

    def is_default(name: str, value: Any) -> bool:
        # == of two arrays gives an array, but no default is an array
        # a clone has a copy of a tuple
        comparable = isinstance(value, str | Real) or (isinstance(value, tuple) and isinstance(defaults[name], tuple))
        return value is defaults[name] or (comparable and value == defaults[name])

    return {name: value for name, value in estimator.get_params(deep=False).items() if not is_default(name, value)}


# Warnings before and after training


def _warn_if_never_stopped(estimator: GCAEmbedder, net: ContrastiveNet) -> None:
    """Warn if "auto" makes too few epochs for early stopping to end training."""
    stops = any(isinstance(entry, tuple) and isinstance(entry[1], StopWithoutProgress) for entry in net.callbacks)
    if stops and isinstance(estimator.max_epochs, str) and net.max_epochs <= estimator.n_iter_no_change:
        warnings.warn(
            f"Early stopping cannot end this training: max_epochs='auto' makes {net.max_epochs} epochs of these rows, "
            f"and it waits for n_iter_no_change={estimator.n_iter_no_change} epochs. Set a larger max_epochs, lower "
            "n_iter_no_change, or leave early_stopping out, so that no rows are held out.",
            stacklevel=5,
        )


def warn_of_problems(net: ContrastiveNet) -> None:
    """Warn if training was interrupted, diverged, or was rolled back."""
    n_epochs = sum("train_loss" in record for record in net.history)
    retries = f"went back to the last good weights {net.guard.n_retries} times, halving the rate each time"
    if net.stop_reason == "interrupted":
        warnings.warn(
            f"Training was interrupted after {n_epochs} of {net.max_epochs} epochs; the embedder has the weights "
            "learned until then.",
            stacklevel=5,
        )
    elif net.stop_reason == "diverged":
        warnings.warn(
            f"The loss or its gradient stopped being finite in epoch {len(net.history)}; training {retries}, and "
            f"then ended. The weights are those of {n_epochs} epochs. Lower lr (now {net.lr:g}), or add "
            "skorch.callbacks.GradientNormClipping(1.0) to callbacks.",
            ConvergenceWarning,
            stacklevel=5,
        )
    elif net.guard.n_retries:
        warnings.warn(
            f"The loss or its gradient was not finite in some steps; training {retries}. It ended at "
            f"{net.guard.rate:g} of lr={net.lr:g}. Lower lr, or add skorch.callbacks.GradientNormClipping(1.0) to "
            "callbacks.",
            ConvergenceWarning,
            stacklevel=5,
        )
