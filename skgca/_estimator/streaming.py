"""The training of ``partial_fit``: one pass over the given rows, by a net that is kept between calls."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.utils.data import IterableDataset

from .._data import n_even_batches
from .._data.containers import item_inputs, stacked_items
from .._inference.balance import DependenceEstimate
from .._training.net import ContrastiveNet
from .._training.ranks import Ranks
from .._utils.compat import InvalidParameterError
from .._utils.device import resolve_device
from .._utils.random import RandomStreams
from .fitting import (
    Trained,
    callbacks_of,
    check_batches,
    finish,
    inputs_to_measure,
    last_or_new_criterion,
    new_net,
    read_rows,
    streams_of,
    threads_of,
)
from .inputs import FitInputs

if TYPE_CHECKING:
    from .embedder import GCAEmbedder

__all__ = ["RowSample", "Stream", "parts_of", "train_on_part"]

_N_KEPT = 2048  # rows in the sample, of all calls together, that the readout is fitted on
_N_BATCHES, _PART_BYTES = 16, 2**27  # of one part of a stream: batches, and bytes at most


def parts_of(X: Any, batch_size: int) -> Iterator[Any]:
    """Return what ``partial_fit`` trains on, part by part: X itself, or arrays of the rows of an IterableDataset.

    Raises
    ------
    ValueError
        If the stream has fewer than 2 rows, or rows of different shapes.
    """
    if not isinstance(X, IterableDataset):
        yield X
        return
    rows: Iterator[np.ndarray] = (item_inputs(item, number) for number, item in enumerate(X))
    first = next(rows, None)
    if first is None:
        raise ValueError("X is an IterableDataset without rows; give at least 2.")
    n_rows = max(2, min(_N_BATCHES * batch_size, _PART_BYTES // max(1, first.nbytes)))
    rows, done = chain([first], rows), 0
    while part := list(islice(rows, n_rows)):
        following = list(islice(rows, 2))
        if len(following) == 1:  # a row alone has nothing to be contrasted with
            part, following = part + following, []
        yield stacked_items(part, range(done, done + len(part)), first.shape)
        done += len(part)
        rows = chain(following, rows)


class RowSample:
    """A uniform random sample, of bounded size, of all rows added so far (reservoir sampling with random keys).

    Each row gets a random key when it is added, and the rows with the smallest keys are kept. So all rows added so far
    have the same probability to be in the sample, in whichever call they were added.

    Parameters
    ----------
    random_streams : RandomStreams
        Source of the keys.
    """

    def __init__(self, random_streams: RandomStreams) -> None:
        self._random = np.random.default_rng(random_streams.seed("kept_rows"))
        self._keys = np.empty(0)
        self._rows: Tensor | None = None

    def add(self, rows: Tensor) -> Tensor:
        """Add rows (k, ...), and return the sample."""
        keys = np.concatenate([self._keys, self._random.uniform(size=len(rows))])
        if self._rows is not None:
            rows = torch.cat(_padded(self._rows, rows))
        kept = np.sort(np.argsort(keys)[:_N_KEPT])  # in the order in which they were added
        self._keys, self._rows = keys[kept], rows[torch.from_numpy(kept)]
        return self._rows


def _padded(first: Tensor, second: Tensor) -> list[Tensor]:
    """Return two batches of equal length: series of one call may be longer than those of another."""
    length = max(first.shape[-1], second.shape[-1])
    return [pad(rows, (0, length - rows.shape[-1]), value=torch.nan) for rows in (first, second)]


class Stream:
    """State kept between calls of ``partial_fit``: the net with its optimizer, and a sample of the rows.

    Parameters
    ----------
    net : ContrastiveNet
        Initialised.
    """

    def __init__(self, net: ContrastiveNet) -> None:
        self.net = net
        self.sample = RowSample(net.random_streams)
        self.estimate = DependenceEstimate()  # of the sample


def train_on_part(
    estimator: GCAEmbedder, inputs: FitInputs, stream: Stream | None, ranks: Ranks
) -> tuple[Trained, Stream]:
    """Train as ``partial_fit`` does: one pass over the rows, at a constant learning rate.

    Parameters
    ----------
    estimator : GCAEmbedder
    inputs : FitInputs
    stream : Stream or None
        State of the last call. None starts a new stream, from the weights of the last fit if there was one.
    ranks : Ranks
        The processes that train the net.
    """
    if estimator.early_stopping or estimator.checkpoint_dir is not None:
        name = "early_stopping" if estimator.early_stopping else "checkpoint_dir"
        raise InvalidParameterError(
            f"{name}={getattr(estimator, name)!r} has no effect in partial_fit, which makes a single pass and "
            "writes no checkpoints; leave it out, or use fit."
        )
    fitted = hasattr(estimator, "net_")
    device = ranks.place(resolve_device(estimator.device))
    rows = read_rows(estimator, inputs, continues=fitted, ranks=ranks)
    n_batches = n_even_batches(len(rows.dataset), estimator.batch_size)
    check_batches(estimator, len(rows.dataset), n_batches, ranks)
    if stream is None:
        net = new_net(
            estimator,
            rows,
            last_or_new_criterion(estimator, continues=fitted),
            random_streams=streams_of(estimator, ranks),
            continues=fitted,
            device=device,
            max_epochs=1,
            n_batches=math.inf,  # the number of further calls is unknown
            ranks=ranks,
        )
        stream = Stream(net.initialize())
    net = stream.net
    net.join(ranks)
    measured = inputs_to_measure(rows.dataset)
    net.callbacks = callbacks_of(estimator, n_steps=n_batches, measured=measured, ranks=ranks, steady=True)
    net.initialize_callbacks()
    net.set_params(
        batch_size=estimator.batch_size,
        lr=estimator.lr,
        max_epochs=len(net.history) + 1,
        # each call has its own order of batches and its own views
        random_streams=replace(net.random_streams, call=net.random_streams.call + 1),
    )
    with threads_of(estimator, net, rows.reader):
        net.partial_fit(rows.dataset, y=None)
        sample = stream.sample.add(rows.sample)
        return finish(estimator, replace(rows, sample=sample), net, ranks, stream.estimate), stream
