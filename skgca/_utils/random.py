"""The global random generators, lent to what draws from them and put back.

A fit with an integer ``random_state`` gives the same bits each time, in any process and under any ``n_jobs``. It leaves
the global generators of numpy and torch as it found them. Initialising a torch module draws from torch's global
generator, so that generator is seeded for a block and then restored.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["seeded_by", "seeded_global_generator"]

_global_generator = threading.RLock()


@contextmanager
def seeded_global_generator(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed the global generators for the block, one thread at a time, and put their states back after.

    These are torch's on the CPU and on ``device``, if that is CUDA, numpy's, and Python's.
    """
    generators = [torch.default_generator]
    if device is not None and device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        generators.append(torch.cuda.default_generators[index])
    with _global_generator:
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
def seeded_by(generator: torch.Generator) -> Iterator[None]:
    """Seed the global generators for the block from the next number of a generator, and that of its device too."""
    seed = torch.randint(2**31 - 1, (), generator=generator, device=generator.device)
    with seeded_global_generator(int(seed), generator.device):
        yield
