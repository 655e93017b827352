"""Random numbers of a fit: independent named streams, and temporary seeds of the global generators.

A fit with an integer ``random_state`` gives the same bits each time, in any process and under any ``n_jobs``, and
restores the global generators of Python, numpy and torch afterwards. This needs two mechanisms:

- Our own draws (the order of batches, views, held-out rows) come from our own generators. Each purpose has its own
  stream, so that an additional draw for one purpose does not change another.
- Layers of torch draw from torch's global generator: initial weights when they are made, dropout in each training step.
  The global generators are seeded before such a block of code, and restored after it.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from .device import reading_is_free

__all__ = ["RandomStreams", "seeded_by", "seeded_global_generator"]

# The position of a name is the key of its stream. A new stream is appended: inserting one would change the others.
_STREAMS = (
    "weights",  # initial weights of the network
    "rotation",  # rotation of the readout
    "held_out_rows",  # which rows early stopping holds out
    "order",  # order of the batches
    "views",  # augmentation of the training rows
    "dropout",  # what the network draws in a training step
    "fixed_views",  # augmentation of rows that are not trained on, the same in each epoch
    "kept_rows",  # which rows the readout is fitted on in ``partial_fit``
    "folds",  # of labelled rows, by which the way of fine-tuning is chosen
    "tuning_order",  # order of the batches of labelled rows in fine-tuning
    "tuning_views",  # augmentation of labelled rows in fine-tuning
    "trees",  # of the head of a classifier of few labels
    "second_encoder",  # source of the streams of the second of two encoders
    "neighbors",  # which neighbour of a row is its second view, in a map
    "start",  # order of the batches from which a map learns where it starts
)

_global_generator_lock = threading.RLock()


@dataclass(frozen=True)
class RandomStreams:
    """Independent streams of random numbers, by name, from one :class:`numpy.random.SeedSequence`.

    Parameters
    ----------
    entropy : int
        Source of all streams.
    call : int, default=0
        Number of the call of ``partial_fit``. Each call has its own streams.

    Examples
    --------
    >>> from skgca._utils.random import RandomStreams
    >>> streams = RandomStreams(0)
    >>> streams.seed("order") == RandomStreams(0).seed("order")
    True
    >>> streams.seed("order") == streams.seed("views")
    False
    """

    entropy: int
    call: int = 0

    @classmethod
    def of(cls, random_state: np.random.RandomState) -> RandomStreams:
        """Draw the source of all streams from scikit-learn's ``check_random_state(random_state)``."""
        words = random_state.randint(2**32, size=4, dtype=np.uint32)
        return cls(int.from_bytes(words.astype("<u4").tobytes(), "little"))

    def seed(self, name: str, *place: int) -> int:
        """Return the seed of a stream, a number of 63 bits, or that of a place in it, such as a step of a training."""
        key = (self.call, _STREAMS.index(name), *place)
        return int(np.random.SeedSequence(self.entropy, spawn_key=key).generate_state(1, np.uint64)[0] >> np.uint64(1))

    def generator(self, name: str, device: torch.device | str = "cpu") -> torch.Generator:
        """Return a torch generator at the start of a stream."""
        return torch.Generator(device).manual_seed(self.seed(name))


@contextmanager
def seeded_global_generator(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed the global generators for the block and restore their states afterwards; one thread at a time.

    The generators are Python's, numpy's, and torch's for the CPU and for ``device``, if that is a CUDA device.
    """
    generators = [torch.default_generator]
    if device is not None and device.type == "cuda":
        torch.cuda.init()  # the list of generators is empty before
        index = torch.cuda.current_device() if device.index is None else device.index
        generators.append(torch.cuda.default_generators[index])
    with _global_generator_lock:
        states = [generator.get_state() for generator in generators]
        numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
        for generator in generators:
            generator.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


@contextmanager
def seeded_by(generator: torch.Generator, device: torch.device | None = None) -> Iterator[None]:
    """Seed the global generators by the next number of a generator, including that of ``device``.

    None is the device of the generator.
    """
    with seeded_global_generator(_next_seed(generator), generator.device if device is None else device):
        yield


def _next_seed(generator: torch.Generator) -> int:
    if reading_is_free(generator.device):
        return int(torch.randint(2**31 - 1, (), generator=generator, device=generator.device))
    # The number would have to be read from the device. The state of its generator is in the memory of the host.
    state = generator.get_state()
    torch.rand((), generator=generator, device=generator.device)  # the next seed is made from another state
    return int.from_bytes(hashlib.sha256(state.numpy().tobytes()).digest()[:4], "little")
