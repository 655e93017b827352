"""Run a function in several processes that form a process group, as the ranks of a training do.

The processes are forked by a server that has imported the package once, so that a group takes a fraction of a second
to start. They meet by a file, and the backend is gloo.
"""

import multiprocessing
import pickle
import tempfile
import time
import traceback
from datetime import timedelta
from pathlib import Path

import torch.distributed as dist

__all__ = ["RankFailedError", "on_ranks", "outcomes"]

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["skgca._estimator.embedder", "skgca.encoders", "torch._dynamo", "tests.ranks"])


class RankFailedError(Exception):
    """A function raised an error on a rank; the message has its traceback."""


def on_ranks(n_ranks, function, *args, seconds=60):
    """Return what ``function(rank, *args)`` returns on each rank.

    Parameters
    ----------
    n_ranks : int
    function : callable
        Of a module, so that another process can import it. ``torch.distributed`` is initialised when it is called.
    *args : object
        Pickled, as is the result.
    seconds : float, default=60
        Time limit, after which the processes are killed.

    Raises
    ------
    RankFailedError
        If a rank raised an error, ended or took too long.
    """
    found = outcomes(n_ranks, function, *args, seconds=seconds)
    failed = [f"rank {rank}:\n{text}" for rank, (_, error, text) in enumerate(found) if error is not None]
    if failed:
        raise RankFailedError("\n".join(failed))
    return [value for value, _, _ in found]


def outcomes(n_ranks, function, *args, seconds=60):
    """Return ``(value, error, traceback)`` of each rank; the error is None if the function returned."""
    with tempfile.TemporaryDirectory() as folder:
        ranks = [
            _processes.Process(target=_run, args=(folder, rank, n_ranks, function, args), daemon=True)
            for rank in range(n_ranks)
        ]
        for process in ranks:
            process.start()
        ends_at = time.monotonic() + seconds
        for process in ranks:
            process.join(max(0.0, ends_at - time.monotonic()))
        for process in ranks:
            if process.is_alive():
                process.kill()
                process.join()
        return [_outcome(Path(folder, f"rank{rank}"), process) for rank, process in enumerate(ranks)]


def _outcome(path, process):
    if path.exists():
        return pickle.loads(path.read_bytes())
    text = f"no result; the process ended with exit code {process.exitcode} (-9: killed at the time limit)"
    return None, RankFailedError(text), text


def _run(folder, rank, n_ranks, function, args):
    """Run in a process of its own: join the group, call the function, and write down what came of it."""
    store = dist.FileStore(str(Path(folder, "store")), n_ranks)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=n_ranks, timeout=timedelta(seconds=120))
    try:
        outcome = function(rank, *args), None, ""
    except BaseException as error:  # an interrupt is an outcome too
        outcome = None, error, traceback.format_exc()
    partial = Path(folder, f"rank{rank}.partial")
    try:
        partial.write_bytes(pickle.dumps(outcome))
    except Exception as error:  # an error that cannot be pickled
        partial.write_bytes(pickle.dumps((None, RankFailedError(f"{outcome!r}: {error}"), outcome[2])))
    partial.rename(Path(folder, f"rank{rank}"))
