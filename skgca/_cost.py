"""What a training will take, from a few of its steps."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._embed import fit_readout
from ._fitting import Given, Prepared, prepare
from ._inputs import bytes_ahead

__all__ = ["CostEstimate", "estimate_cost"]

_N_STEPS = 8  # that are timed, after one that is not
_COPIES = 7  # of the weights: themselves, gradient, two moments of AdamW, and what is kept to go back to of all but one


@dataclass(frozen=True)
class CostEstimate:
    """What a ``fit`` will take.

    Attributes
    ----------
    seconds : float
        Of the whole ``fit``: reading, steps, and what follows.
    bytes : int
        Most memory at a time beside X itself and the libraries: rows read ahead, weights, and what a step keeps for its
        gradient; on a CUDA device what was allocated there.
    n_epochs, n_steps : int
        Passes and steps at most; early stopping may make fewer.
    seconds_per_step : float
        Median of those tried.
    """

    seconds: float
    bytes: int
    n_epochs: int
    n_steps: int
    seconds_per_step: float

    def __str__(self) -> str:
        return f"{self.n_steps:,} steps in about {self.seconds:,.0f} s, with about {self.bytes / 2**20:,.0f} MiB"


def estimate_cost(estimator: Any, given: Given, *, continues: bool) -> CostEstimate:
    """Read the rows, try some steps on a copy, and reckon from them; see ``GCAEmbedder.estimate_cost``."""
    tried = copy.copy(estimator)
    tried.set_params(callbacks=None, checkpoint_dir=None, resume=False, verbose=0)
    began = time.perf_counter()
    prepared = prepare(tried, given, continues=continues)
    net = prepared.net.initialize()
    reading = time.perf_counter() - began
    on_cuda = torch.device(net.device).type == "cuda"
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(net.device)
    seconds, kept = _try_steps(prepared) if net.max_epochs else ([0.0], 0)
    began = time.perf_counter()
    net.module_.eval()
    fit_readout(net.module_.encoder, prepared.sample, given.measured[0].chunk_size(), net.device)
    following = time.perf_counter() - began
    n_steps = net.max_epochs * prepared.n_batches
    per_step = float(np.median(seconds))
    return CostEstimate(
        seconds=reading + n_steps * per_step + following,
        bytes=torch.cuda.max_memory_allocated(net.device) if on_cuda else _held(prepared, given) + kept,
        n_epochs=net.max_epochs,
        n_steps=n_steps,
        seconds_per_step=per_step,
    )


def _try_steps(prepared: Prepared) -> tuple[list[float], int]:
    """Return the seconds of some steps, and the bytes that one keeps for its gradient."""
    net, dataset = prepared.net, prepared.dataset
    net.notify("on_train_begin", X=dataset, y=None)
    net.notify("on_epoch_begin", dataset_train=dataset, dataset_valid=None)
    loader = net.get_iterator(dataset, training=True)
    seconds, kept = [], 0
    for k, batch in enumerate(islice(chain.from_iterable(repeat(loader)), _N_STEPS + 1)):
        began = time.perf_counter()
        net.notify("on_batch_begin", batch=batch, training=True)
        if k:
            step = net.train_step(batch)
        else:
            step, kept = _measured_step(net, batch)
        loss = step["loss"].item()
        net.history.record_batch("train_loss", loss)
        net.notify("on_batch_end", batch=batch, training=True, **step)
        if k:
            seconds.append(time.perf_counter() - began)
    net.release()
    return seconds, kept


def _measured_step(net: Any, batch: Any) -> tuple[dict[str, Tensor], int]:
    """Step, and count the bytes of what autograd keeps at a time, each storage once."""
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        step = net.train_step(batch)
    return step, sum(storages.values())


def _held(prepared: Prepared, given: Given) -> int:
    """Bytes that are held all the while: weights and their copies, and rows that were read ahead."""
    weights = sum(tensor.nbytes for tensor in prepared.net.module_.state_dict().values())
    rows = sum(map(bytes_ahead, given.measured)) + prepared.sample.nbytes
    return _COPIES * weights + rows
