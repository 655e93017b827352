"""Time and memory, and processes to measure them in. Memory and forked processes need Linux."""

import ctypes
import json
import logging
import multiprocessing
import os
import statistics
import subprocess
import sys
import threading
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import torch

MIB, GIB = 2**20, 2**30


def compared(first, second, rounds, now=time.process_time):
    """Median of the ratios first / second, and of the seconds of each, in alternation; one more round warms up.

    Seconds are the processor's unless ``now`` is another clock: a busy neighbour does not add to them.
    """
    found = []
    for _ in range(rounds + 1):
        seconds = []
        for run in (first, second):
            start = now()
            run()
            seconds.append(now() - start)
        found.append(seconds)
    ratio = statistics.median(one / other for one, other in found[1:])
    return ratio, *(statistics.median(side) for side in zip(*found[1:], strict=True))


# -------------------------------------------------------------------------------------------------------- memory


def status_bytes(field):
    """Bytes that the system counts for this process under a name of /proc/self/status."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(f"{field}:")))


def anonymous():
    """Bytes of this process that no file backs."""
    return status_bytes("RssAnon")


def anonymous_in_use():
    """The same once free memory is given back: what imports left free would else hide what a step takes. Of glibc."""
    ctypes.CDLL(None).malloc_trim(0)
    return anonymous()


@contextmanager
def peak_of(found, name, *, every=0.005):
    """Note the most anonymous memory of the block under the name, looking after so many seconds."""
    done = threading.Event()
    found[name] = anonymous()

    def watch():
        while not done.wait(every):
            found[name] = max(found[name], anonymous())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        found[name] = max(found[name], anonymous())


# ----------------------------------------------------------------------------------------------------- processes


FRESH = "import json, sys; from {module} import {name}; print(json.dumps({name}(*json.loads(sys.argv[1]))))"


def in_fresh_process(function, *arguments, **env):
    """Return what a function returns in a new interpreter; arguments and result as JSON has them.

    Raises RuntimeError, with the last line of its errors, where it fails.
    """
    code = FRESH.format(module=function.__module__, name=function.__name__)
    command = [sys.executable, "-c", code, json.dumps(arguments)]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
    return json.loads(done.stdout)


def forked(function, *arguments, limit):
    """Yield what a generator function yields in a forked process, on one thread, which prints nothing.

    Raises TimeoutError where that takes longer than ``limit`` seconds of the clock, and ChildProcessError where the
    generator raises, with its message, or the process ends before it.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_all, args=(sender, function, arguments))
    process.start()
    sender.close()
    try:
        while True:
            if not receiver.poll(limit):
                raise TimeoutError(f"no result after {limit} s of the clock")
            kind, value = receiver.recv()
            if kind == "error":
                raise ChildProcessError(value)
            if kind == "end":
                return
            yield value
    except EOFError:
        process.join()
        raise ChildProcessError(f"the process ended with exit code {process.exitcode}") from None
    finally:
        process.kill()
        process.join()


def _send_all(sender, function, arguments):
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115, until the process ends
    torch.set_num_threads(1)
    try:
        for value in function(*arguments):
            sender.send(("value", value))
        sender.send(("end", None))
    except Exception as error:
        sender.send(("error", f"{type(error).__name__}: {error}"))
