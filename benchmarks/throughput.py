"""What the estimator costs over bare torch, and how much memory a table on disk takes.

    python -m benchmarks.throughput                       # all four; writes 4 GB to --dir
    python -m benchmarks.throughput --what transform fit  # or: conv, memory
    python -m benchmarks.throughput --quick               # small, to see that it runs

conv: seconds of the clock for a step of the convolutional encoder, on two threads.

transform: seconds of GCAEmbedder.transform over those of a bare loop of the same encoder over the same rows, ready as
float32 tensors. fit: seconds of GCAEmbedder.fit over those of a hand-written loop with the same initial model, views,
loss, batch sizes, fused optimizer and schedule, on rows of real sets that are ready. Both sides alternate in one
process, on one thread, and each figure is the median of the ratios of single rounds. Seconds are the processor's, which
a busy neighbour does not add to; --wall takes those of the clock.

memory: peak anonymous memory of a fresh process that fits and transforms a float32 memmap. Pages of the file do not
count, since the system drops them when it needs the room.

Needs Linux. Prints tables in Markdown; docs/evidence/performance.md holds them.
"""

import copy
import os
import resource
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from skgca import GCAEmbedder
from skgca.encoders import ConvEncoder

from ._data import MNIST_TRAIN, load
from ._jobs import parser_of, progress, run_main
from ._measuring import GIB, MIB, anonymous, compared, in_fresh_process, peak_of
from ._printing import about, table

CHUNK = 1024  # rows of the bare forward loop
TRANSFORM_SHAPES = ((2_000, 16), (20_000, 16), (20_000, 64), (20_000, 784))
FIT_STEPS = {"breast cancer": 400, "letter": 300, "digits": 200, "mnist": 60}
BLOCK, SLICE = 8192, 65_536


def rows_of(n, n_columns, dtype=np.float32):
    """Rows in ten clusters."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(10, n_columns))[rng.integers(10, size=n)] + rng.normal(size=(n, n_columns))).astype(dtype)


def encoder_inputs(model, X):
    """Return what the fitted encoder gets from transform for the rows X, without what pads a chunk."""
    batches = []
    hook = model.encoder_.register_forward_pre_hook(lambda module, args: batches.append(args[0].clone()))
    try:
        for start in range(0, len(X), CHUNK):
            model.transform(X[start : start + CHUNK])
            batches[-1] = batches[-1][: len(X[start : start + CHUNK])]
    finally:
        hook.remove()
    inputs = torch.cat(batches)
    if len(inputs) != len(X):
        raise RuntimeError(f"transform of at most {CHUNK} rows took several passes, which this script cannot match")
    return inputs


# ----------------------------------------------------------------------------------------------------- transform


def transform_ratio(n, n_columns, dtype, given):
    X = rows_of(n, n_columns, dtype)
    model = GCAEmbedder(max_epochs=1, random_state=0).fit(X[:1024])
    inputs, encoder = encoder_inputs(model, X), model.encoder_

    def bare():
        with torch.inference_mode():
            return torch.cat([encoder(batch) for batch in inputs.split(CHUNK)]).numpy()

    gap = np.abs(model.transform(X)[:, : bare().shape[1]] - bare()).max()
    return *compared(lambda: model.transform(X), bare, given.repeats, given.clock), gap


def report_transform(given):
    shapes, lines = [(500, 16)] if given.quick else TRANSFORM_SHAPES, []
    for n, n_columns in shapes:
        for dtype in (np.float32, np.float64):
            ratio, ours, bare, gap = transform_ratio(n, n_columns, dtype, given)
            cells = [n, n_columns, np.dtype(dtype).name, f"{1e3 * ours:.1f}", f"{1e3 * bare:.1f}", f"{ratio:.2f}"]
            lines.append([*cells, "1.2", f"{gap:.0e}"])
    head = ["rows", "columns", "type", "transform, ms", "bare, ms", "ratio", "target", "largest difference"]
    table("transform over a bare forward loop", head, lines)


# ---------------------------------------------------------------------------------------------------------- conv


def report_conv(given):
    """Seconds of the clock, on as many threads as there are cores: that is what the target is about."""
    torch.manual_seed(0)
    encoder, images = ConvEncoder(1, (28, 28), 128).train(), torch.rand(512, 1, 28, 28)
    threads, seconds = torch.get_num_threads(), []
    torch.set_num_threads(min(2, os.cpu_count()))
    for _ in range(given.repeats + 2):
        start = time.perf_counter()
        encoder(images).square().mean().backward()
        seconds.append(time.perf_counter() - start)
    torch.set_num_threads(threads)
    cells = [min(2, os.cpu_count()), f"{1e3 * statistics.median(seconds[2:]):.0f}", 100]
    table("ConvEncoder, forward and backward of 512 images of 28 x 28", ["threads", "ms", "target"], [cells])


# ----------------------------------------------------------------------------------------------------------- fit


def hand_written_fit(start, inputs, n_epochs):
    """Train a copy of the network of an estimator that was fitted with max_epochs=0, by its loss."""
    net = start.net_
    return train_by_hand(start, inputs, n_epochs, copy.deepcopy(net.module_), copy.deepcopy(net.criterion_))


def train_by_hand(start, inputs, n_epochs, module, criterion):
    """Train the module as a torch user would write it, with the views, batch size and rate of the estimator ``start``.

    Returns the mean loss of the last epoch.
    """
    module, views = module.train(), start.net_.views
    order, noise = torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)
    n_batches = -(-len(inputs) // start.batch_size)
    n_steps = n_epochs * n_batches
    n_warmup = round(start.warmup_fraction * n_steps)

    def factor(step):
        if step < n_warmup:
            return (step + 1) / (n_warmup + 1)
        return 0.5 * (1 + np.cos(np.pi * min(1.0, (step - n_warmup) / max(1, n_steps - n_warmup))))

    optimizer = torch.optim.AdamW(module.parameters(), lr=start.lr, weight_decay=start.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    for _ in range(n_epochs):
        total = 0.0
        for rows in torch.randperm(len(inputs), generator=order).tensor_split(n_batches):
            made = views(inputs[rows], noise)
            projections = module(torch.cat(made)).unflatten(0, (len(made), len(rows)))
            optimizer.zero_grad()
            loss = criterion(*projections)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
    return total / len(inputs)


def fit_ratio(X, steps, given):
    n_epochs = max(1, round(steps / -(-len(X) // GCAEmbedder().batch_size)))
    start = GCAEmbedder(max_epochs=0, n_threads=1, random_state=0).fit(X)
    inputs, model = encoder_inputs(start, X), GCAEmbedder(max_epochs=n_epochs, n_threads=1, random_state=0)
    losses = []

    def bare():
        losses.append(hand_written_fit(start, inputs, n_epochs))

    found = compared(lambda: model.fit(X), bare, given.repeats, given.clock)
    return *found, model.history_[-1]["loss"], losses[-1]


def report_fit(given):
    lines = []
    for name, steps in {"breast cancer": 20}.items() if given.quick else FIT_STEPS.items():
        X = load(name)[0][:MNIST_TRAIN] if name == "mnist" else load(name)[0]
        ratio, ours, bare, *losses = fit_ratio(X, steps, given)
        cells = [name, " x ".join(map(str, X.shape)), f"{ours:.2f}", f"{bare:.2f}", f"{ratio:.2f}", "1.10"]
        lines.append([*cells, *(f"{x:.3f}" for x in losses)])
    head = ["set", "rows", "fit, s", "by hand, s", "ratio", "target", "last loss, fit", "by hand"]
    table("fit over a hand-written loop", head, lines)


# -------------------------------------------------------------------------------------------------------- memory


def write_rows(path, n, n_columns):
    """A block of random rows, over and over."""
    block = rows_of(min(BLOCK, n), n_columns)
    with path.open("wb") as file:
        for start in range(0, n, len(block)):
            block[: n - start].tofile(file)


def measure_memory(path, n, n_columns, limit):
    """Bytes at the start, peaks of fit, slices and transform, bytes of its output, seconds; of a fresh process."""
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))  # a MemoryError here rather than a machine out of memory
    warnings.simplefilter("ignore")
    X = np.memmap(path, dtype=np.float32, mode="r", shape=(n, n_columns))
    warm = rows_of(512, n_columns)
    GCAEmbedder(max_epochs=1, random_state=0).fit(warm).transform(warm)  # what torch allocates once is not the data's
    found, seconds = {"start": anonymous()}, []
    model = GCAEmbedder(max_epochs=1, random_state=0)
    start = time.perf_counter()
    with peak_of(found, "fit"):
        model.fit(X)
    seconds.append(time.perf_counter() - start)
    with peak_of(found, "slices"):
        first = model.transform(X[:2])
        out = np.empty((n, first.shape[1]), dtype=first.dtype)
        for i in range(0, n, SLICE):
            out[i : i + SLICE] = model.transform(X[i : i + SLICE])
    del out
    start = time.perf_counter()
    with peak_of(found, "transform"):
        embedding = model.transform(X)
    seconds.append(time.perf_counter() - start)
    return *found.values(), embedding.nbytes, *seconds


def report_memory(given):
    n = int(given.gb * GIB / (4 * given.columns))
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    limit = int(given.limit_gb * GIB) if given.limit_gb else int(0.75 * available)
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        path = Path(folder) / "rows.f32"
        write_rows(path, n, given.columns)
        title = "A table on disk, peak anonymous memory in MiB"
        try:
            found = in_fresh_process(measure_memory, str(path), n, given.columns, limit)
        except RuntimeError as error:
            table(title, [f"not measured, under a limit of {limit / GIB:.1f} GiB"], [[error]])
            return
    start, fit, slices, transform, output, fit_seconds, seconds = found
    head = ["before", "fit adds", "transform adds", "of which its output", "transform by slices adds"]
    cells = [f"{cell / MIB:.0f}" for cell in (start, fit - start, transform - start, output, slices - start)]
    cells = [f"{n:,} x {given.columns:,}", *cells, f"{fit_seconds:.0f}", f"{seconds:.0f}"]
    table(title, ["rows x columns", *head, "fit, s", "transform, s"], [cells])


REPORTS = {"conv": report_conv, "transform": report_transform, "fit": report_fit, "memory": report_memory}


def main():
    parser = parser_of(__doc__)
    parser.add_argument("--what", nargs="+", choices=REPORTS, default=list(REPORTS))
    parser.add_argument("--repeats", type=int, default=9, help="rounds of transform and fit")
    parser.add_argument("--gb", type=float, default=4.0, help="size of the table on disk, in GiB")
    parser.add_argument("--columns", type=int, default=2048, help="columns of the table on disk")
    parser.add_argument("--limit-gb", type=float, help="most data of that process; default 3/4 of what is free")
    parser.add_argument("--dir", help="folder for the table on disk; not one in memory")
    parser.add_argument("--quick", action="store_true", help="small tables and 0.2 GiB")
    parser.add_argument("--wall", action="store_true", help="seconds of the clock, on a quiet machine")
    given = parser.parse_args()
    given.clock = time.perf_counter if given.wall else time.process_time
    if given.quick:
        given.gb, given.repeats = min(given.gb, 0.2), min(given.repeats, 3)
    torch.set_num_threads(1)
    about("one thread", f"medians of {given.repeats} rounds, {'clock' if given.wall else 'processor'} time, seed 0")
    for what in progress(given.what, len(given.what), "throughput"):
        REPORTS[what](given)


if __name__ == "__main__":
    run_main(__spec__)
