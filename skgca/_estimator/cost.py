"""Estimate the time and memory of a training from a few of its steps."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .._data import bytes_ahead
from .._training.ranks import Ranks
from .._utils.html import figures, report
from .fitting import Prepared, prepare, read_out, threads_of
from .inputs import FitInputs

if TYPE_CHECKING:
    from .embedder import GCAEmbedder

__all__ = ["CostEstimate", "estimate_cost"]

_N_STEPS = 8  # timed steps, after a first one that is not timed
# Memory for the weights, in multiples of their size: weights, gradient and the two moments of AdamW, and the copies of
# all except the gradient that are kept for a roll-back.
_COPIES = 7


@dataclass(frozen=True)
class CostEstimate:
    """Estimated time and memory of a ``fit``.

    Attributes
    ----------
    seconds : float
        Duration of the whole ``fit``: reading, steps, and fitting the readout.
    bytes : int
        Peak memory, without X itself and the libraries: rows read ahead, weights with their copies, and tensors that a
        step saves for its backward pass. On a CUDA device, the peak of the memory allocated there.
    n_epochs, n_steps : int
        Largest possible numbers of epochs and of steps. Early stopping may end training earlier.
    seconds_per_step : float
        Median duration of the timed steps.
    """

    seconds: float
    bytes: int
    n_epochs: int
    n_steps: int
    seconds_per_step: float

    def __str__(self) -> str:
        return f"{self.n_steps:,} steps in about {self.seconds:,.0f} s, with about {self.bytes / 2**20:,.0f} MiB"

    def _repr_html_(self) -> str:
        rows = [
            ("time", f"{self.seconds:,.3g} s", "reading, steps, and fitting the readout"),
            ("memory", f"{self.bytes / 2**20:,.0f} MiB", "at the peak, without X and the libraries"),
            ("epochs", f"{self.n_epochs:,}", "at most"),
            ("steps", f"{self.n_steps:,}", f"at most, of {1000 * self.seconds_per_step:.3g} ms each"),
        ]
        return report("Estimated cost of fit", figures(rows))


def estimate_cost(estimator: GCAEmbedder, inputs: FitInputs, *, continues: bool, ranks: Ranks) -> CostEstimate:
    """Read the rows, time some steps on a copy, and extrapolate; see ``GCAEmbedder.estimate_cost``."""
    estimator.set_params(callbacks=None, checkpoint_dir=None, resume=False, verbose=0)
    start = time.perf_counter()
    prepared = prepare(estimator, inputs, continues=continues, ranks=ranks)
    net = prepared.net.initialize()
    preparing_seconds = time.perf_counter() - start
    on_cuda = torch.device(net.device).type == "cuda"
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(net.device)
    with threads_of(estimator, net, prepared.rows.reader):
        step_seconds, saved_bytes = _try_steps(prepared) if net.max_epochs else ([0.0], 0)
        start = time.perf_counter()
        read_out(net, prepared.rows)
        readout_seconds = time.perf_counter() - start
    n_steps = net.max_epochs * prepared.n_batches
    seconds_per_step = float(np.median(step_seconds))
    estimate = CostEstimate(
        seconds=preparing_seconds + n_steps * seconds_per_step + readout_seconds,
        bytes=torch.cuda.max_memory_allocated(net.device) if on_cuda else _held_bytes(prepared, inputs) + saved_bytes,
        n_epochs=net.max_epochs,
        n_steps=n_steps,
        seconds_per_step=seconds_per_step,
    )
    return ranks.same(lambda: estimate)


def _try_steps(prepared: Prepared) -> tuple[np.ndarray, int]:
    """Return the durations of some steps, and the bytes that one step saves for its backward pass."""
    net, dataset = prepared.net, prepared.training
    storages: dict[int, int] = {}
    ends: list[float] = []

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()  # a storage that several tensors share is counted once
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    def step(batch: Any, **kwargs: Any) -> Any:
        counting = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
        with nullcontext() if ends else counting:  # only in the first step, which is not timed
            result = net.train_step(batch, **kwargs)
        # The step has waited for its loss and gradient. Its update of the weights runs meanwhile, as in a training.
        ends.append(time.perf_counter())
        return result

    net.notify("on_train_begin", X=dataset, y=None)
    try:
        net.notify("on_epoch_begin", dataset_train=dataset, dataset_valid=None)
        batches = chain.from_iterable(repeat(net.get_iterator(dataset, training=True)))
        net.run_single_epoch(islice(batches, _N_STEPS + 1), training=True, prefix="train", step_fn=step)
    finally:
        net.release()
    return np.diff(ends), sum(storages.values())


def _held_bytes(prepared: Prepared, inputs: FitInputs) -> int:
    """Return the bytes held during the whole training: weights and their copies, and rows read ahead."""
    weights: int = sum(tensor.nbytes for tensor in prepared.net.module_.state_dict().values())
    reduced = math.prod(prepared.rows.pooling)
    rows = sum(bytes_ahead(one, reduced=reduced) for one in inputs.measured) + prepared.rows.sample.nbytes
    return _COPIES * weights + rows
