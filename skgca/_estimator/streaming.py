"""What ``partial_fit`` does: one pass over more rows, with a net that stays from call to call."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import Tensor
from torch.nn.functional import pad

from .._data import n_even_batches
from .._training.net import ContrastiveNet
from .._utils.compat import InvalidParameterError
from .._utils.device import resolve_device
from .._utils.random import RandomStreams
from .fitting import Trained, callbacks_of, finish, inputs_to_measure, last_or_new_criterion, new_net, read_rows
from .inputs import FitInputs

if TYPE_CHECKING:
    from .embedder import GCAEmbedder

__all__ = ["RowSample", "Stream", "train_on_part"]

_N_KEPT = 2048  # rows of all calls that the readout is fitted on


class RowSample:
    """A uniform random sample of all rows seen so far, of bounded size (reservoir sampling with random keys).

    Each row gets a random key when it comes, and the rows with the smallest keys stay. So each row seen so far has had
    the same chance to stay, in whichever call it came.

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
        kept = np.sort(np.argsort(keys)[:_N_KEPT])  # in the order in which they came
        self._keys, self._rows = keys[kept], rows[torch.from_numpy(kept)]
        return self._rows


def _padded(first: Tensor, second: Tensor) -> list[Tensor]:
    """Return two batches of equal length: series of one call may be longer than those of another."""
    length = max(first.shape[-1], second.shape[-1])
    return [pad(rows, (0, length - rows.shape[-1]), value=torch.nan) for rows in (first, second)]


class Stream:
    """What one call of ``partial_fit`` leaves for the next: the net with its optimizer, and a sample of the rows.

    Parameters
    ----------
    net : ContrastiveNet
        Initialised.
    """

    def __init__(self, net: ContrastiveNet) -> None:
        self.net = net
        self.sample = RowSample(net.random_streams)


def train_on_part(estimator: GCAEmbedder, inputs: FitInputs, stream: Stream | None) -> tuple[Trained, Stream]:
    """Train as ``partial_fit`` does: one pass over the rows, at a constant learning rate.

    Parameters
    ----------
    estimator : GCAEmbedder
    inputs : FitInputs
    stream : Stream or None
        What the last call left. None starts a stream, from the last fit if there was one.
    """
    if estimator.early_stopping or estimator.checkpoint_dir is not None:
        name = "early_stopping" if estimator.early_stopping else "checkpoint_dir"
        raise InvalidParameterError(
            f"{name}={getattr(estimator, name)!r} has no effect in partial_fit, which makes one pass and keeps no "
            "file; leave it out, or use fit."
        )
    fitted = hasattr(estimator, "net_")
    rows = read_rows(estimator, inputs, continues=fitted)
    n_batches = n_even_batches(len(rows.dataset), estimator.batch_size)
    if stream is None:
        net = new_net(
            estimator,
            rows,
            last_or_new_criterion(estimator, continues=fitted),
            random_streams=RandomStreams.of(check_random_state(estimator.random_state)),
            continues=fitted,
            device=resolve_device(estimator.device),
            max_epochs=1,
            n_batches=math.inf,  # nobody knows how many will come
        )
        stream = Stream(net.initialize())
    net = stream.net
    net.callbacks = callbacks_of(estimator, n_steps=n_batches, measured=inputs_to_measure(rows.dataset), steady=True)
    net.initialize_callbacks()
    net.set_params(
        batch_size=estimator.batch_size,
        lr=estimator.lr,
        max_epochs=len(net.history) + 1,
        # each call draws an order and views of its own
        random_streams=replace(net.random_streams, call=net.random_streams.call + 1),
    )
    net.partial_fit(rows.dataset, y=None)
    sample = stream.sample.add(rows.sample)
    return finish(estimator, replace(rows, sample=sample), net), stream
