"""Where training runs, and what its random numbers and roundings depend on.

The contract: a fit with an integer ``random_state`` gives the same bits each time, in any process and under any
``n_jobs``, and leaves the global generators of numpy and torch as it found them. Two things would break it.
Initialising a torch module draws from torch's global generator, so that is lent out and put back. And a sum that torch
splits among threads rounds otherwise on one thread than on two, while joblib gives its workers fewer threads than the
main process has; so the number of threads is part of the estimator's parameters, not of its surroundings.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["fixed_threads", "resolve_device", "seeded_global_generator"]


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


_global_generator = threading.RLock()


@contextmanager
def seeded_global_generator(seed: int) -> Iterator[None]:
    """Seed torch's global CPU generator for the block, one thread at a time, and put its state back after."""
    with _global_generator:
        state = torch.get_rng_state()
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_rng_state(state)


_threads = threading.Lock()
_threads_users = 0
_threads_before = 1


@contextmanager
def fixed_threads(n_threads: int) -> Iterator[None]:
    """Run the block on ``n_threads`` CPU threads.

    Torch's setting is partly the process's and partly the thread's own, so among several fits at once (joblib's
    threading backend) the first to come notes the setting and the last to leave puts it back.
    """
    global _threads_users, _threads_before
    with _threads:
        if _threads_users == 0:
            _threads_before = torch.get_num_threads()
        _threads_users += 1
        torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        with _threads:
            _threads_users -= 1
            if _threads_users == 0:
                torch.set_num_threads(_threads_before)
