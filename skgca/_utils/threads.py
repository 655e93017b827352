"""The number of CPU threads, held for the length of a block.

A sum that torch splits among threads rounds differently on one thread than on two, and joblib gives its workers fewer
threads than the main process has. So the number of threads is a parameter of the estimator, not of its surroundings.
"""

import functools
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from threadpoolctl import ThreadpoolController

__all__ = ["fixed_threads"]

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
    if isinstance(n_threads, str):
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
