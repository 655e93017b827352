"""Estimate of time and memory of a training, from a few of its steps."""

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

_N_STEPS = 8  # timed steps, after a first one that is not timed
# Tensors of the size of the weights: weights, gradient, two moments of AdamW, and copies of all but the gradient, which
# are kept to roll back to.
_COPIES = 7


@dataclass(frozen=True)
class CostEstimate:
    """Estimated time and memory of a ``fit``.

    Attributes
    ----------
    seconds : float
        Duration of the whole ``fit``: reading, steps, and fitting the readout.
    bytes : int
        Peak memory without X itself and the libraries: rows read ahead, weights with their copies, and what a step
        keeps for its gradient. On a CUDA device, the peak of the memory allocated there.
    n_epochs, n_steps : int
        Largest numbers of passes and of steps. Early stopping may end training before.
    seconds_per_step : float
        Median duration of the steps that were tried.
    """

    seconds: float
    bytes: int
    n_epochs: int
    n_steps: int
    seconds_per_step: float

    def __str__(self) -> str:
        return f"{self.n_steps:,} steps in about {self.seconds:,.0f} s, with about {self.bytes / 2**20:,.0f} MiB"


def estimate_cost(estimator: GCAEmbedder, inputs: FitInputs, *, continues: bool) -> CostEstimate:
    """Read the rows, time some steps on a copy, and extrapolate; see ``GCAEmbedder.estimate_cost``."""
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
    """Return the durations of some steps, and the bytes that one of them keeps for its gradient."""
    net, dataset = prepared.net, prepared.training
    storages: dict[int, int] = {}
    ends: list[float] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()  # tensors that share one are counted once
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    def step(batch: Any, **kwargs: Any) -> Any:
        first = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
        with nullcontext() if ends else first:
            made = net.train_step(batch, **kwargs)
        made["loss"].item()  # wait for the device, which computes asynchronously
        ends.append(time.perf_counter())
        return made

    net.notify("on_train_begin", X=dataset, y=None)
    net.notify("on_epoch_begin", dataset_train=dataset, dataset_valid=None)
    batches = chain.from_iterable(repeat(net.get_iterator(dataset, training=True)))
    net.run_single_epoch(islice(batches, _N_STEPS + 1), training=True, prefix="train", step_fn=step)
    net.release()
    return np.diff(ends), sum(storages.values())


def _held(prepared: Prepared, inputs: FitInputs) -> int:
    """Return the bytes held during the whole training: weights and their copies, and rows read ahead."""
    weights: int = sum(tensor.nbytes for tensor in prepared.net.module_.state_dict().values())
    rows = sum(map(bytes_ahead, inputs.measured)) + prepared.rows.sample.nbytes
    return _COPIES * weights + rows
