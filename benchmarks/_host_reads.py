"""Where the host waits for the device: how often a step of training reads a number from it, and from which line.

An accelerator works behind the host, which queues operations and goes on. To read a number, the host must wait until
the queue is empty, and then the device waits for the host. On CUDA, torch itself reports such waits. Elsewhere nothing
waits, so the operations that would wait are counted instead. This is an upper bound: a number that is on the CPU in any
case, such as a seed, counts too.
"""

import sys
import warnings
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from skorch.callbacks import Callback
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

_ATEN = torch.ops.aten
# operations whose result depends on values, as a number in Python or as a shape
_READS = {
    _ATEN._local_scalar_dense,  # item, float, int, bool
    _ATEN._unique2,
    _ATEN.equal,
    _ATEN.is_nonzero,
    _ATEN.masked_select,
    _ATEN.nonzero,
    _ATEN.repeat_interleave,
    _ATEN.unique_consecutive,
    _ATEN.unique_dim,
}
_METHODS = {torch.Tensor.cpu, torch.Tensor.tolist}  # copies to the host, which no operation on a CPU shows
_ROOT = Path(__file__).parents[1]


@contextmanager
def host_reads(device):
    """Append to the list that is given to the block where the host waits for the device, as "file:line"."""
    places = []
    with _warned(places) if torch.device(device).type == "cuda" else _observed(places):
        yield places


@contextmanager
def _warned(places):
    """On CUDA: torch warns of each wait. A wait within a backward pass is reported at its end, from the line there."""
    before, mode = warnings.showwarning, torch.cuda.get_sync_debug_mode()

    def note(message, *rest, **more):
        if "synchronizing CUDA operation" in str(message):
            places.append(place())
        else:
            before(message, *rest, **more)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=".*synchronizing CUDA operation")
        warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(mode)


@contextmanager
def _observed(places):
    with ExitStack() as stack:
        stack.enter_context(_Methods(places))
        stack.enter_context(_Operations(places))
        yield


class _Operations(TorchDispatchMode):
    def __init__(self, places):
        super().__init__()
        self.places = places

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in _READS or (func.overloadpacket is _ATEN.index and _has_mask(args[1])):
            self.places.append(place())
        return func(*args, **(kwargs or {}))


class _Methods(TorchFunctionMode):
    def __init__(self, places):
        super().__init__()
        self.places = places

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in _METHODS:
            self.places.append(place())
        return func(*args, **(kwargs or {}))


def _has_mask(indices):
    return any(index is not None and index.dtype == torch.bool for index in indices)


def place():
    """Return the innermost line that is neither of torch nor of this file, as "file:line"."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_inside(frame.f_code.co_filename):
        frame = frame.f_back
    path = Path(frame.f_code.co_filename)
    roots = [_ROOT, *(Path(folder) for folder in sys.path if folder)]
    # the longest one: an environment may lie in the root of this project
    root = max(
        (root for root in roots if path.is_relative_to(root)), key=lambda root: len(root.parts), default=path.parent
    )
    return f"{path.relative_to(root).as_posix()}:{frame.f_lineno}"


def _is_inside(name):
    return name == __file__ or name.startswith((str(Path(torch.__file__).parent), "<")) or "/contextlib.py" in name


class _ByStep(Callback):
    """Splits the list of places by the steps of training; the first step of an epoch, which starts it, is left out."""

    def __init__(self, places):
        self.places = places

    def initialize(self):
        self.steps, self.start = [], None
        return self

    def on_epoch_begin(self, net, **kwargs):
        self.start = None

    def on_batch_end(self, net, training=False, **kwargs):
        if training and self.start is not None:
            self.steps.append(self.places[self.start :])
        self.start = len(self.places)


def reads_by_step(model, X, **metadata):
    """Fit a copy of a model, and return where the host waited in each step of training, from its second of an epoch.

    A step goes from the end of the step before to its own end: batch, views, network, loss, gradient, optimizer and
    history.
    """
    from sklearn.base import clone

    from skgca._utils.device import resolve_device

    with host_reads(resolve_device(model.device)) as places:
        by_step = _ByStep(places)
        clone(model).set_params(callbacks=[lambda: by_step]).fit(X, **metadata)
    return by_step.steps


def summary(steps):
    """Return the largest number of waits of a step, and the lines that waited with the share of steps of each."""
    lines = Counter(line for step in steps for line in step)
    shares = ", ".join(f"{line} ({count / len(steps):.3g})" for line, count in lines.most_common())
    return max(map(len, steps)), shares
