"""What a batch in parts costs: memory and time against the whole batch at once.

    python -m benchmarks.micro_batches           # two minutes
    python -m benchmarks.micro_batches --slow    # six
    python -m benchmarks.micro_batches --quick   # small, to see that it runs

A step is the forward of a batch and the backward of a given gradient of its outputs, by the module that the estimator
trains by default: that of a table, and that of images. The loss is left out, as it is the same both ways.

memory: peak anonymous memory of a fresh process above what it has before the step, which follows one with two rows.
saved: most bytes that autograd holds for the backward at one time, weights included. time: both sides alternate in one
process; median of the ratios of single rounds, in time of the processor, which a busy neighbour does not add to. error:
distance of the gradient in single precision from that of the whole batch in double precision, over its length.

Needs Linux. Prints a table in Markdown.
"""

import copy
import warnings
from functools import partial

import numpy as np
import torch

from skgca import GCAEmbedder
from skgca._training.gradient_cache import CachedForward

from ._jobs import parser_of, progress, run_main
from ._measuring import MIB, anonymous_in_use, compared, in_fresh_process, peak_of
from ._printing import about, table

# Of glibc: one arena, and freed blocks given back; what is resident is then what is used.
TIGHT = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
# name: (what the estimator is fitted to, its parameters)
MODULES = {
    "mlp": ((64,), {}),
    "mlp, layer normalisation": ((64,), {"normalization": "layer"}),
    "conv": ((1, 28, 28), {}),
    "resnet18": ((1, 28, 28), {"encoder": "resnet18"}),
}
# name, rows of a batch, rows of a part
JOBS = (
    ("mlp", 8192, 512),
    ("mlp", 8192, 128),
    ("mlp, layer normalisation", 8192, 512),
    ("conv", 1024, 512),
    ("conv", 1024, 128),
)
SLOW_JOBS = (("resnet18", 32, 8),)


def made(name, n):
    """Return the module in training mode, a batch, and the gradient of the outputs."""
    shape, parameters = MODULES[name]
    rows = np.random.default_rng(0).random((20, *shape), dtype=np.float32)
    model = GCAEmbedder(max_epochs=0, random_state=0, device="cpu", **parameters).fit(rows)
    module = model.net_.module_.train()
    generator = torch.Generator().manual_seed(0)
    batch = torch.rand(n, *shape, generator=generator)
    grad = torch.randn(n, module(batch[:2]).shape[1], generator=generator)
    return module, batch, grad / n


def step(module, batch, grad, micro_batch_size):
    module.zero_grad()
    if micro_batch_size is None:
        module(batch).backward(grad)
    else:
        CachedForward(module, module, batch, micro_batch_size).backward(grad)


# --------------------------------------------------------------------------------------------------------- memory


def most_saved(run):
    """Most bytes that autograd holds for the backward pass at one time."""
    held, most = 0, 0

    class Box:
        def __init__(self, tensor):
            nonlocal held, most
            self.tensor = tensor.detach()  # with its graph, it would be part of a cycle
            held += tensor.nbytes
            most = max(most, held)

        def __del__(self):
            nonlocal held
            held -= self.tensor.nbytes

    with torch.autograd.graph.saved_tensors_hooks(Box, lambda box: box.tensor):
        run()
    return most


def memory(name, n, micro_batch_size):
    """Most resident and most saved memory of a step in MiB; of a fresh process."""
    torch.set_num_threads(1)
    module, batch, grad = made(name, n)
    step(module, batch[:2], grad[:2], micro_batch_size)
    peaks, start = {}, anonymous_in_use()
    with peak_of(peaks, "step", every=0.001):
        step(module, batch, grad, micro_batch_size)
    saved = most_saved(lambda: step(module, batch, grad, micro_batch_size))
    return (peaks["step"] - start) / MIB, saved / MIB


# ----------------------------------------------------------------------------------------------------------- time


def errors(name, n, micro_batch_size):
    """Return the errors of whole and parts, against the whole batch in double precision."""
    module, batch, grad = made(name, n)
    exact = copy.deepcopy(module).double()
    step(exact, batch.double(), grad.double(), None)
    expected = torch.cat([p.grad.flatten() for p in exact.parameters() if p.grad is not None])
    found = []
    for size in (None, micro_batch_size):
        other = copy.deepcopy(module)
        step(other, batch, grad, size)
        gradient = torch.cat([p.grad.flatten() for p in other.parameters() if p.grad is not None])
        found.append(float((gradient.double() - expected).norm() / expected.norm()))
    return found


def main():
    parser = parser_of(__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="rounds of which the median is taken")
    parser.add_argument("--slow", action="store_true", help="the residual network of images too")
    parser.add_argument("--quick", action="store_true", help="a sixteenth of the rows, two rounds")
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    repeats, share = (2, 16) if given.quick else (given.repeats, 1)
    about("one thread", f"medians of {repeats} rounds, seed 0")
    jobs, lines = (*JOBS, *(SLOW_JOBS if given.slow else ())), []
    for name, n, size in progress(jobs, len(jobs), "micro-batches"):
        n, size = n // share, size // share
        in_mib = (in_fresh_process(memory, name, n, part, **TIGHT) for part in (None, size))
        (resident, saved), (resident_parts, saved_parts) = in_mib
        batch = made(name, n)
        ratio, parts, whole = compared(partial(step, *batch, size), partial(step, *batch, None), repeats)
        norms = sum(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in batch[0].modules())
        cells = [name, norms, n, size, f"{resident:.1f} to {resident_parts:.1f}", f"{saved:.1f} to {saved_parts:.1f}"]
        cells += [f"{ratio:.2f}", f"{whole:.2f} to {parts:.2f}", *(f"{x:.0e}" for x in errors(name, n, size))]
        lines.append(cells)
    head = ["module", "batch normalisations", "batch", "part", "peak memory, MiB", "held by autograd, MiB"]
    table("Batches in parts", [*head, "time, ratio", "time, s", "error, whole", "error, parts"], lines)


if __name__ == "__main__":
    run_main(__spec__)
