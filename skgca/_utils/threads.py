"""The number of CPU threads, fixed for a block.

Torch splits sums among threads, so they round differently on one thread than on two. joblib gives its workers fewer
threads than the main process has. For the same bits everywhere, the number of threads is a parameter of the estimator.

With "auto", everything runs on one thread, except a network whose batches are so large that threads save time::

    fixed_threads    1 thread            reading, scaling, small networks: the same bits in every process
    large_batches    up to all threads   training and embedding by a large network, such as that of images

Whether a network is large depends on its layers and on the batch size alone, not on the machine.
"""

import functools
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from threadpoolctl import ThreadpoolController

__all__ = ["fixed_threads", "large_batches"]

# Multiplications of the forward pass of a batch for each thread; fewer take longer to share out than they save, see
# docs/develop/decisions.md.
_FOR_A_THREAD = 2.5e7

_threads = threading.Lock()  # guards the three names below
_threads_users = 0  # number of blocks that are running
_threads_before = 1  # setting of torch before the first of them
_blas_limits = ExitStack()


@functools.cache
def _blas() -> ThreadpoolController:
    """Return the controller of the BLAS threads. Finding the libraries takes 3 ms, a setting 10 microseconds."""
    return ThreadpoolController().select(user_api="blas")


@contextmanager
def fixed_threads(n_threads: int | str | None) -> Iterator[None]:
    """Run the block on ``n_threads`` CPU threads; "auto" is one, and None leaves the settings.

    This sets the threads of torch, and those of BLAS in numpy and scipy, which otherwise wait at full speed for a while
    after each call. Torch's setting belongs partly to the process and partly to the thread. If several fits run at once
    (joblib's threading backend), the first block therefore stores the settings, and the last block restores them.
    """
    global _threads_users, _threads_before
    if n_threads is None:
        yield
        return
    n_threads = 1 if isinstance(n_threads, str) else int(n_threads)
    with _threads:
        if _threads_users == 0:
            _threads_before = torch.get_num_threads()
        _threads_users += 1
        torch.set_num_threads(n_threads)
        # Limits pile up on the stack. Closing it undoes them in reverse order, down to the setting before the first.
        _blas_limits.enter_context(_blas().limit(limits=n_threads))
    try:
        yield
    finally:
        with _threads:
            _threads_users -= 1
            if _threads_users == 0:
                torch.set_num_threads(_threads_before)
                _blas_limits.close()


@contextmanager
def large_batches(n_operations: float) -> Iterator[None]:
    """Run the block, within :func:`fixed_threads`, on as many threads as large batches occupy.

    They are at most those that torch had before, which joblib limits in its workers.

    Parameters
    ----------
    n_operations : float
        Multiplications of the forward pass of a batch.
    """
    n_threads = min(int(n_operations / _FOR_A_THREAD), _threads_before)
    if n_threads <= 1:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
