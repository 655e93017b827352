"""What a training will take, from a few of its steps."""

from __future__ import annotations

import copy
import time
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .._data import bytes_ahead
from .fitting import Prepared, prepare, read_out
from .inputs import FitInputs

if TYPE_CHECKING:
    from .embedder import GCAEmbedder

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


def estimate_cost(estimator: GCAEmbedder, inputs: FitInputs, *, continues: bool) -> CostEstimate:
    """Read the rows, try some steps on a copy, and reckon from them; see ``GCAEmbedder.estimate_cost``."""
    tried = copy.copy(estimator)
    tried.set_params(callbacks=None, checkpoint_dir=None, resume=False, verbose=0)
    began = time.perf_counter()
    prepared = prepare(tried, inputs, continues=continues)
    net = prepared.net.initialize()
    reading = time.perf_counter() - began
    on_cuda = torch.device(net.device).type == "cuda"
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(net.device)
    seconds, kept = _try_steps(prepared) if net.max_epochs else ([0.0], 0)
    began = time.perf_counter()
    read_out(net, prepared.rows)
    following = time.perf_counter() - began
    n_steps = net.max_epochs * prepared.n_batches
    per_step = float(np.median(seconds))
    return CostEstimate(
        seconds=reading + n_steps * per_step + following,
        bytes=torch.cuda.max_memory_allocated(net.device) if on_cuda else _held(prepared, inputs) + kept,
        n_epochs=net.max_epochs,
        n_steps=n_steps,
        seconds_per_step=per_step,
    )


def _try_steps(prepared: Prepared) -> tuple[np.ndarray, int]:
    """Return the seconds of some steps, and the bytes that one keeps for its gradient: each storage once."""
    net, dataset = prepared.net, prepared.training
    storages: dict[int, int] = {}
    ends: list[float] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    def step(batch: Any, **kwargs: Any) -> Any:
        first = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
        with nullcontext() if ends else first:
            made = net.train_step(batch, **kwargs)
        made["loss"].item()  # waits for the device
        ends.append(time.perf_counter())
        return made

    net.notify("on_train_begin", X=dataset, y=None)
    net.notify("on_epoch_begin", dataset_train=dataset, dataset_valid=None)
    batches = chain.from_iterable(repeat(net.get_iterator(dataset, training=True)))
    net.run_single_epoch(islice(batches, _N_STEPS + 1), training=True, prefix="train", step_fn=step)
    net.release()
    return np.diff(ends), sum(storages.values())


def _held(prepared: Prepared, inputs: FitInputs) -> int:
    """Bytes that are held all the while: weights and their copies, and rows that were read ahead."""
    weights = sum(tensor.nbytes for tensor in prepared.net.module_.state_dict().values())
    rows = sum(map(bytes_ahead, inputs.measured)) + prepared.rows.sample.nbytes
    return _COPIES * weights + rows
