"""Time and memory of the losses against plain cross-entropy NT-Xent: forward and backward, alternating in one process.

    python -m benchmarks.losses
    python -m benchmarks.losses --sizes 2048 4096 --rounds 15 --threads 1

Ratios are medians over rounds of (loss / NT-Xent of the same round), so that a machine that is busy with something
else tells the same story. They differ from one process to the next by where its memory came from, so each size is
measured in several fresh processes; --keep-memory runs these with an allocator that keeps what it was given back.
Prints tables in Markdown; docs/evidence/performance.md holds them.
"""

import importlib.util
import random
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from skgca.losses import make_loss

from ._jobs import parser_of, progress, run_main
from ._measuring import in_fresh_process, status_bytes
from ._printing import about, table, version

try:
    import ot
except ImportError:
    ot = None

NAMES = ("ince", "gca_ince", "gca_uot")
SIZES, EPSILONS, DIM, N_ITER = (256, 512, 2048, 4096, 8192), (0.5, 0.1, 0.02), 128, 10
PAIRWISE_LIMIT = 256  # rows; pytorch-metric-learning lists every pair of pairs
NAIVE_LIMIT = 2048  # rows; above, the naive column takes minutes and gigabytes
WARM_UP = 2  # rounds
SHORT = 2048  # rows; below, a step is a matter of a millisecond, and takes more rounds
BASE = "NT-Xent, ms"  # all other columns are multiples of it
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}  # of glibc: nothing goes back
_masks = {}


def views(n, kind):
    """Two views of n / 2 rows: random, or in ten clusters as after training."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(n // 2, DIM, generator=generator)
    if kind == "clustered":
        rows += 2 * torch.randn(10, DIM, generator=generator)[torch.randint(10, (n // 2,), generator=generator)]
    return torch.stack([rows, rows + 0.5 * torch.randn(n // 2, DIM, generator=generator)])


def masks_of(n):
    """Self pairs, and the row that holds each row's other view."""
    if n not in _masks:
        _masks[n] = torch.eye(n, dtype=torch.bool), (torch.arange(n) + n // 2) % n
    return _masks[n]


def nt_xent(z, epsilon=0.5):
    """Plain cross-entropy NT-Xent as one would write it with care: cached mask and labels, no copies."""
    mask, partner = masks_of(2 * z.shape[1])
    z = F.normalize(z.flatten(0, 1), dim=1)
    return F.cross_entropy((z @ z.T / epsilon).masked_fill(mask, -torch.inf), partner)


def naive(z, epsilon):
    """GCA-INCE as autograd unrolls it: the log domain, a fresh matrix for every half step."""
    n = 2 * z.shape[1]
    z = F.normalize(z.flatten(0, 1), dim=1)
    scores = ((z @ z.T - 1) / epsilon).masked_fill(masks_of(n)[0], -torch.inf)
    log_mass = -torch.log(torch.tensor(float(n)))
    g = torch.zeros(n)
    for _ in range(N_ITER):
        f = log_mass - torch.logsumexp(scores + g, 1)
        g = log_mass - torch.logsumexp(scores + f[:, None], 0)
    log_plan = f[:, None] + scores + g
    return log_mass - log_plan[torch.arange(n), masks_of(n)[1]].mean() - 1 + log_plan.exp().sum()


def three_products(z):
    """The physical limit: three products of N x N x d, as plain matrix products."""
    z = z.flatten(0, 1)
    out = z @ z.T
    return out @ z, out.T @ z


def time_of(run, z):
    leaf = z.clone().requires_grad_()
    start = time.perf_counter()
    loss = run(leaf)
    if isinstance(loss, torch.Tensor):
        loss.backward()
    return time.perf_counter() - start


def pot(z):
    """GCA-INCE through POT's log-domain Sinkhorn, differentiated by autograd as POT offers."""
    n = 2 * z.shape[1]
    z = F.normalize(z.flatten(0, 1), dim=1)
    mask, partner = masks_of(n)
    mass = torch.full((n,), 1 / n)
    cost = (1 - z @ z.T).masked_fill(mask, torch.inf)
    plan = ot.bregman.sinkhorn_log(mass, mass, cost, 0.5, numItermax=N_ITER, stopThr=0, warn=False)
    return -(n * plan[torch.arange(n), partner]).log().mean() - 1 + plan.sum()


def installed(n):
    """Optional columns at a size: libraries that happen to be here."""
    runs = {}
    if ot is not None and n <= NAIVE_LIMIT:
        runs["POT"] = pot
    if n > PAIRWISE_LIMIT:
        return runs
    if importlib.util.find_spec("pytorch_metric_learning"):
        from pytorch_metric_learning.losses import NTXentLoss

        loss = NTXentLoss(temperature=0.5)
        runs["pytorch-metric-learning"] = lambda z: loss(z.flatten(0, 1), torch.arange(z.shape[1]).repeat(2))
    if importlib.util.find_spec("lightly"):
        from lightly.loss import NTXentLoss as LightlyLoss

        lightly = LightlyLoss(temperature=0.5)
        runs["lightly"] = lambda z: lightly(*z.unbind())
    return runs


def ratios(n, kind, rounds, n_threads):
    """Medians of time over NT-Xent by column, and of NT-Xent in milliseconds; of a fresh process."""
    torch.set_num_threads(n_threads)
    z = views(n, kind)
    runs = {BASE: nt_xent}
    for name in NAMES:
        for epsilon in EPSILONS:
            loss = make_loss(name, epsilon=epsilon, n_iter=N_ITER)
            runs[f"`{name}` {epsilon}"] = lambda leaf, loss=loss: loss(*leaf.unbind())
    runs["limit"] = lambda leaf: three_products(leaf.detach())
    if n <= NAIVE_LIMIT:
        runs["naive"] = lambda leaf: naive(leaf, 0.5)
    runs |= installed(n)
    times = {column: [] for column in runs}
    rounds *= max(1, SHORT // n)
    order, draw = list(runs), random.Random(0)
    for round_ in range(WARM_UP + rounds):
        draw.shuffle(order)  # at a millisecond a step, what ran before matters: its code and data are in the cache
        for column in order:
            seconds = time_of(runs[column], z)
            if round_ >= WARM_UP:
                times[column].append(seconds)
    base = times[BASE]
    found = {k: statistics.median(t / s for t, s in zip(v, base, strict=True)) for k, v in times.items()}
    return found | {BASE: 1e3 * statistics.median(base)}


def peak(n, name, epsilon):
    """Peak extra memory of a step in units of N x N float32; of a fresh process."""
    run = {"NT-Xent": nt_xent, "naive": lambda z: naive(z, epsilon)}.get(name)
    if run is None:
        loss = make_loss(name, epsilon=epsilon, n_iter=N_ITER)

        def run(z):
            return loss(*z.unbind())

    masks_of(n), masks_of(256)  # cached, so not part of a step
    time_of(run, views(256, "random"))
    z = views(n, "random")
    # ru_maxrss would start at the peak of the process that started this one, so Linux is asked, after a reset.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = status_bytes("VmHWM")
    time_of(run, z)
    return (status_bytes("VmHWM") - before) / (4 * n * n)


def report_time(given):
    """Medians over processes of each column, and their ranges."""
    cases = [(n, kind) for n in given.sizes for kind in ("random", "clustered")]
    runs = [case for _ in range(given.processes) for case in cases]
    found, env = {case: [] for case in cases}, KEEP_MEMORY if given.keep_memory else {}
    for n, kind in progress(runs, len(runs), "losses, time"):
        found[n, kind].append(in_fresh_process(ratios, n, kind, given.rounds, given.threads, **env))
    columns = list(dict.fromkeys(column for measured in found.values() for column in measured[0]))
    rows = [
        [
            column,
            *(median_and_range([of[column] for of in measured if column in of], column) for measured in found.values()),
        ]
        for column in columns
    ]
    table("Time over NT-Xent", ["", *(f"{n} {kind}" for n, kind in found)], rows)


def median_and_range(values, column):
    """Median of a column over processes and, in brackets, its range; nothing where it was not measured."""
    if not values:
        return ""
    digits = 0 if column == BASE else 2
    median, least, most = (f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"{median} ({least}-{most})"


def report_memory(sizes):
    lines = []
    for n in progress(sizes, len(sizes), "losses, memory"):
        names = ["NT-Xent", *NAMES, *(["naive"] if n <= NAIVE_LIMIT else [])]
        cells = [f"{in_fresh_process(peak, n, name, 0.5):.2f}" for name in names]
        lines.append([n, *cells, *[""] * (2 + len(NAMES) - len(cells))])
    head = ["N", "NT-Xent", *(f"`{name}` 0.5" for name in NAMES), "naive"]
    table("Peak extra memory of a step, in matrices of N x N float32", head, lines)


def main():
    parser = parser_of(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--keep-memory", action="store_true", help="of time alone; glibc only")
    given = parser.parse_args()
    others = [f"{package} {version(package)}" for package in ("POT", "pytorch-metric-learning") if version(package)]
    threads = f"{given.threads} thread{'s' if given.threads > 1 else ''}"
    rounds = f"d = {DIM}, T = {N_ITER}, {given.processes} processes of {given.rounds} rounds"
    rounds += f" (more below {SHORT} rows), inputs by seed 0"
    about(*others, threads, rounds)
    report_time(given)
    if not given.keep_memory:
        report_memory([size for size in given.sizes if size >= 2048])


if __name__ == "__main__":
    run_main(__spec__)
