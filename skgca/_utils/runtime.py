"""Where training runs, and what its random numbers and roundings depend on.

The contract: a fit with an integer ``random_state`` gives the same bits each time, in any process and under any
``n_jobs``, and leaves the global generators of numpy and torch as it found them. Two things would break it.
Initialising a torch module draws from torch's global generator, so that is lent out and put back. And a sum that torch
splits among threads rounds otherwise on one thread than on two, while joblib gives its workers fewer threads than the
main process has; so the number of threads is part of the estimator's parameters, not of its surroundings.
"""

import functools
import random
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from threadpoolctl import ThreadpoolController

__all__ = ["fixed_threads", "resolve_device", "resolve_precision", "seeded_by", "seeded_global_generator"]


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device that ``device`` names; "auto" is CUDA, else MPS, else the CPU.

    Raises
    ------
    ValueError
        If the device is not known, or not on this machine.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    usable = [kind for kind, here in present.items() if here]
    if device == "auto":
        return torch.device(usable[0])
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={device!r} is not a torch device; use 'auto' or one of {usable}.") from error
    count = {"cuda": torch.cuda.device_count}.get(resolved.type, lambda: 1)()
    if not present.get(resolved.type, True) or (resolved.index or 0) >= count:
        raise ValueError(f"device={device!r} is not on this machine; use 'auto' or one of {usable}.")
    return resolved


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """Return the type that ``precision`` names; "auto" is bfloat16 on a CUDA device that has it, else float32."""
    if precision == "auto":
        has_bfloat16 = device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= 8
        return torch.bfloat16 if has_bfloat16 else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]


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


_threads = threading.Lock()
_threads_users = 0
_threads_before = 1
_blas_limits = ExitStack()


@functools.cache
def _blas() -> ThreadpoolController:
    """Return what sets the threads of BLAS, looked for once: that takes 3 ms, and setting them 10 microseconds."""
    return ThreadpoolController().select(user_api="blas")


@contextmanager
def fixed_threads(n_threads: int | str) -> Iterator[None]:
    """Run the block on ``n_threads`` CPU threads; "auto" leaves the settings, which joblib limits in its workers.

    They are those of torch, and of the BLAS of numpy and scipy, whose threads otherwise wait at full speed for a while
    after each call. Torch's is partly the process's and partly the thread's own, so among several fits at once
    (joblib's threading backend) the first to come notes the settings and the last to leave puts them back.
    """
    global _threads_users, _threads_before
    if n_threads == "auto":
        yield
        return
    with _threads:
        if _threads_users == 0:
            _threads_before = torch.get_num_threads()
        _threads_users += 1
        torch.set_num_threads(n_threads)
        _blas_limits.enter_context(_blas().limit(limits=n_threads))
    try:
        yield
    finally:
        with _threads:
            _threads_users -= 1
            if _threads_users == 0:
                torch.set_num_threads(_threads_before)
                _blas_limits.close()
