"""The sections of :mod:`benchmarks.gpu`, and how time and memory are measured on a device."""

import copy
import statistics
import time
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from skorch.callbacks import Callback

from skgca import GCAEmbedder
from skgca.losses import PRESETS, make_loss
from skgca.ot._memory import free_memory

from ._host_reads import reads_by_step, summary
from ._printing import about, table
from .throughput import rows_of


class Budget:
    """Seconds that a section has; ``left`` says whether more may start."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    @property
    def left(self):
        return self.end - time.monotonic()


class Device:
    """Times and peaks of memory on a device; on the CPU, there is no peak of memory."""

    def __init__(self, name):
        self.device = torch.device(name)
        self.is_cuda = self.device.type == "cuda"

    def wait(self):
        if self.is_cuda:
            torch.cuda.synchronize(self.device)

    def milliseconds(self, run, rounds, budget):
        """Median over rounds, by the events of the device, or by the clock; fewer rounds where the time is over."""
        run()  # compiles, allocates
        self.wait()
        found = []
        for _ in range(rounds):
            found.append(self._once(run))
            if budget.left < 0:
                break
        return statistics.median(found)

    def _once(self, run):
        if not self.is_cuda:
            start = time.perf_counter()
            run()
            return 1e3 * (time.perf_counter() - start)
        # A step that waits for nothing would be measured without its end by the clock.
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)

    def peak(self, run):
        """Bytes that a run takes beyond what is there before it; NaN on the CPU."""
        if not self.is_cuda:
            run()
            return float("nan")
        self.wait()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        run()
        self.wait()
        return torch.cuda.max_memory_allocated(self.device) - before

    def free(self):
        """Bytes that are free."""
        return free_memory(self.device)


def number(value, digits=2):
    return "" if value != value else f"{value:.{digits}f}"


# ----------------------------------------------------------------------------------------------------------- losses


SIZES, QUICK_SIZES, DIM, EPSILONS = (256, 1024, 4096, 8192, 16_384, 32_768), (64, 128), 128, (0.5, 0.05)
NO_TIME, NO_MEMORY = "no time", "no memory"


def nt_xent_on(z, epsilon=0.5):
    """Plain cross-entropy NT-Xent, as one would write it with care: the mask and the labels take no N x N bytes."""
    n = 2 * z.shape[1]
    z = F.normalize(z.flatten(0, 1), dim=1)
    scores = z @ z.T / epsilon
    scores.fill_diagonal_(-torch.inf)
    return F.cross_entropy(scores, (torch.arange(n, device=z.device) + n // 2) % n)


def losses_to_time():
    """Each named loss in its own form, by its name and epsilon."""
    found = {}
    for name in PRESETS:
        for epsilon in EPSILONS:
            target = {"target": "pairs"} if name == "supcon" else {}
            found[name, epsilon] = make_loss(name, epsilon=epsilon, **target)
    return found


def timed_loss(loss, z):
    def run():
        leaf = z.clone().requires_grad_()
        loss(*leaf.unbind()).backward() if loss is not nt_xent_on else nt_xent_on(leaf).backward()

    return run


def report_losses(given, on, budget):
    sizes = given.sizes or (QUICK_SIZES if given.quick else SIZES)
    losses = losses_to_time()
    times = {key: [] for key in losses}
    peaks = {key: [] for key in losses}
    base = []
    for k, n in enumerate(sizes):
        share = Budget(budget.left / (len(sizes) - k))
        z = torch.randn(2, n // 2, DIM, generator=torch.Generator().manual_seed(0)).to(on.device)
        plain, plain_peak = timed_at(on, timed_loss(nt_xent_on, z), n, share, given.rounds)
        base.append((plain, plain_peak))
        for key, loss in losses.items():
            found, peak = timed_at(on, timed_loss(loss, z), n, share, given.rounds)
            times[key].append(found if isinstance(found, str) else over(found, plain))
            peaks[key].append(in_matrices(peak, n))
    head = [f"N = {n:,}" for n in sizes]
    rows = [["NT-Xent, ms", *(text_of(plain) for plain, _ in base)]]
    rows += [[f"`{name}` {epsilon}", *cells] for (name, epsilon), cells in times.items()]
    table("Losses: time over plain NT-Xent, forward and backward", ["loss", *head], rows)
    if on.is_cuda:
        rows = [["NT-Xent", *(in_matrices(peak, n) for n, (_, peak) in zip(sizes, base, strict=True))]]
        rows += [[f"`{name}` {epsilon}", *cells] for (name, epsilon), cells in peaks.items()]
        table("Losses: peak memory of a step in matrices of N x N float32", ["loss", *head], rows)


def over(milliseconds, plain):
    """The ratio, or the milliseconds where memory was too small for the plain loss."""
    return f"{milliseconds:.2f} ms" if isinstance(plain, str) else f"{milliseconds / plain:.2f}"


def timed_at(on, run, n, budget, rounds):
    """Milliseconds and peak bytes of a run, or twice the word that says why there are none."""
    if budget.left < 0:
        return NO_TIME, NO_TIME
    if on.is_cuda and 4 * n * n > on.free():
        return NO_MEMORY, NO_MEMORY
    try:
        peak = on.peak(run)
        return on.milliseconds(run, rounds, budget), peak
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return NO_MEMORY, NO_MEMORY


def text_of(value):
    return value if isinstance(value, str) else f"{value:.2f}"


def in_matrices(peak, n):
    return peak if isinstance(peak, str) else number(peak / (4 * n * n))


# ------------------------------------------------------------------------------------------------------------- fits


def data(quick):
    """A table and images as they come, by name."""
    rng, n = np.random.default_rng(0), 512 if quick else 20_000
    images = rng.random((n // (8 if quick else 5), 1, 28, 28), dtype=np.float32)
    return {"table of 32 columns": rows_of(n, 32), "images of 28 x 28": images}


WARM_UP = 10  # steps that are not timed
BATCHES = {"table of 32 columns": (128, 2048), "images of 28 x 28": (128, 512)}
VARIANTS = {
    "default": {},
    "byol": {"loss": "byol"},
    "in parts": {"micro_batch_size": 64},
    "dropout": {"dropout": 0.1},
    "epsilon 0.05": {"epsilon": 0.05},
}


def embedder(device, **params):
    return GCAEmbedder(**{"random_state": 0, "max_epochs": 2, "device": str(device), **params})


def report_reads(given, on, budget):
    rows = []
    for name, X in data(quick=True).items():
        for variant, params in VARIANTS.items():
            if variant == "dropout" and X.ndim > 2:  # the network of images has none
                continue
            if budget.left < 0:
                rows.append([name, variant, NO_TIME, ""])
                continue
            with patch("skgca._utils.device._READ_FOR_FREE", ()):  # the code of an accelerator, also in a rehearsal
                steps = reads_by_step(embedder(on.device, batch_size=16, max_epochs=1, **params), X[:64])
            most, places = summary(steps)
            rows.append([name, variant, most, shortened(places)])
    kind = "waits" if on.is_cuda else "reads, of numbers on the CPU too,"
    table(
        f"Steps: {kind} of the host in a step, at most, and where (times a step)", ["data", "fit", "n", "where"], rows
    )


def shortened(places, most=4):
    """The lines that waited most."""
    lines = places.split(", ")
    return ", ".join(f"`{line.partition(' ')[0]}`{line[line.find(' ') :]}" for line in lines[:most]) + (
        f", and {len(lines) - most} more lines" if len(lines) > most else ""
    )


def step_times(model, X, n_steps, on, budget):
    """Milliseconds of a step in the middle of a fit, as skorch takes it, peak bytes of the fit and its last loss."""
    n_batches = -(-len(X) // model.batch_size)
    clock = Clock(on, n_steps, budget)
    model.set_params(max_epochs=-(-(WARM_UP + n_steps) // n_batches), callbacks=[lambda: clock])
    if on.is_cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(on.device)
    model.fit(X)
    peak = torch.cuda.max_memory_allocated(on.device) if on.is_cuda else float("nan")
    return clock.milliseconds, peak, clock.loss


class Clock(Callback):
    """Times the steps of a fit, and ends it when there are enough or the time is over."""

    def __init__(self, on, n_steps, budget):
        self.on, self.n_steps, self.budget = on, n_steps, budget
        self.loss, self.milliseconds, self.done = float("nan"), float("nan"), 0

    def on_batch_end(self, net, training=False, loss=None, **kwargs):
        if not training:
            return
        self.done += 1
        if self.done == WARM_UP:  # kernels are chosen, memory is allocated
            self.on.wait()
            self.start = time.perf_counter()
        n_timed = self.done - WARM_UP
        if n_timed > 0:
            self.loss = float(loss)
        if n_timed >= self.n_steps or (n_timed > 0 and self.budget.left < 0):
            self.on.wait()
            self.milliseconds = 1e3 * (time.perf_counter() - self.start) / n_timed
            raise KeyboardInterrupt


def by_hand(model, X, n_steps, on, budget):
    """Milliseconds of a step of a loop written by hand, with the network, views and loss of a fit, on the device.

    All rows are on the device, the loop reads no number, and weights are updated by a fused AdamW.
    """
    start = model.set_params(max_epochs=0, callbacks=None).fit(X)
    net = start.net_
    module, criterion = copy.deepcopy(net.module_).to(on.device).train(), copy.deepcopy(net.criterion_).to(on.device)
    inputs = start.reader_.read(X).to(on.device)
    generator = torch.Generator(on.device).manual_seed(0)
    optimizer = torch.optim.AdamW(module.parameters(), lr=start.lr, fused=True)
    size = min(start.batch_size, len(inputs))
    precision = net.precision

    def step():
        rows = torch.randint(len(inputs), (size,), generator=generator, device=on.device)
        made = net.views(inputs[rows], generator)
        with torch.autocast(on.device.type, dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
            projections = module(torch.cat(made))
        optimizer.zero_grad()
        criterion(*projections.float().unflatten(0, (len(made), size))).backward()
        optimizer.step()

    for _ in range(WARM_UP):
        step()
    on.wait()
    began, done = time.perf_counter(), 0
    while done < n_steps and (budget.left > 0 or not done):
        step()
        done += 1
    on.wait()
    return 1e3 * (time.perf_counter() - began) / done


def timed_sets(given, budget, least, rows):
    """Yield each set and batch size with its share of the time; below ``least`` seconds, it gets an empty row."""
    cases, sets = [(name, size) for name in BATCHES for size in BATCHES[name]], data(given.quick)
    for k, (name, size) in enumerate(cases):
        share = Budget(budget.left / (len(cases) - k))
        if share.left < least and not given.quick:
            rows.append([name, size, *[NO_TIME] * 6])
        else:
            yield name, sets[name], size, share


def report_steps(given, on, budget):
    n_steps, cpu, rows = 10 if given.quick else 200, Device("cpu"), []
    for name, X, size, share in timed_sets(given, budget, 5, rows):
        quick_share = Budget(share.left / 2)
        fit, peak, _ = step_times(embedder(on.device, batch_size=size), X, n_steps, on, quick_share)
        hand = by_hand(embedder(on.device, batch_size=size), X, n_steps, on, quick_share)
        # the CPU gets what is left
        on_cpu = step_times(embedder("cpu", batch_size=size), X, min(n_steps, 30), cpu, share)[0]
        mib = number(peak / 2**20, 0)
        rows.append(
            [name, size, number(fit), mib, number(hand), number(fit / hand), number(on_cpu), number(on_cpu / fit)]
        )
    head = ["data", "batch_size", "fit, ms", "peak, MiB", "by hand, ms", "fit over by hand", "CPU, ms", "CPU over fit"]
    threads = torch.get_num_threads()
    table(f"Steps: of default fits, on {on.device.type} and on the CPU with {threads} threads", head, rows)


def report_precision(given, on, budget):
    n_steps, rows = 10 if given.quick else 200, []
    for name, X, size, share in timed_sets(given, budget, 2, rows):
        found = []
        for parts_left, precision in ((2, "float32"), (1, "bfloat16")):
            model = embedder(on.device, batch_size=size, precision=precision)
            found.append(step_times(model, X, n_steps, on, Budget(share.left / parts_left)))
        (single, single_peak, single_loss), (half, half_peak, half_loss) = found
        mib = [number(peak / 2**20, 0) for peak in (single_peak, half_peak)]
        rows.append([name, size, number(single), number(half), *mib, number(single_loss, 3), number(half_loss, 3)])
    head = ["float32, ms", "bfloat16, ms", "float32, MiB", "bfloat16, MiB", "last loss, float32", "bfloat16"]
    table("Precision: a step in bfloat16 and in single precision", ["data", "batch_size", *head], rows)


def name_of(on):
    if not on.is_cuda:
        return "the CPU"
    properties = torch.cuda.get_device_properties(on.device)
    return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"


# the share of all time that a section gets
REPORTS = {
    "reads": (report_reads, 0.15),
    "steps": (report_steps, 0.3),
    "precision": (report_precision, 0.15),
    "losses": (report_losses, 0.4),
}


def measure(given):
    on = Device(given.device)
    given.rounds = min(given.rounds, 3) if given.quick else given.rounds
    about(name_of(on), f"{given.minutes:g} minutes", "seed 0")
    what = given.what or list(REPORTS)
    end, shares = Budget(60 * given.minutes), sum(REPORTS[name][1] for name in what)
    for name in what:
        report, share = REPORTS[name]
        report(given, on, Budget(end.left * share / shares))  # what a section leaves over goes to the next
        shares -= share
