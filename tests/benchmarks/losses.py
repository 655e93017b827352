"""Time and memory of the losses against plain cross-entropy NT-Xent: forward and backward, alternating in one process.

    python tests/benchmarks/losses.py
    python tests/benchmarks/losses.py --sizes 2048 4096 --repeats 15 --threads 1

Ratios are medians over rounds of (loss / NT-Xent of the same round), so that a machine that is busy with something
else tells the same story. Prints a table in Markdown; docs/evidence/performance.md holds one.
"""

import argparse
import importlib.util
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from records import progress
from reporting import about, table, version

from skgca.losses import make_loss

try:
    import ot
except ImportError:
    ot = None

NAMES = ("ince", "gca_ince", "gca_uot")
SIZES, EPSILONS, DIM, N_ITER = (512, 2048, 4096, 8192), (0.5, 0.1, 0.02), 128, 10
PAIRWISE_LIMIT = 512  # rows; pytorch-metric-learning lists every pair of pairs
NAIVE_LIMIT = 2048  # rows; above, the naive column takes minutes and gigabytes
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


def ratios(n, kind, repeats):
    """Medians of time over NT-Xent, by run; and the median time of NT-Xent in seconds."""
    z = views(n, kind)
    runs = {"NT-Xent": nt_xent, "limit": lambda leaf: three_products(leaf.detach())}
    for name in NAMES:
        for epsilon in EPSILONS:
            loss = make_loss(name, epsilon=epsilon, n_iter=N_ITER)
            runs[name, epsilon] = lambda leaf, loss=loss: loss(*leaf.unbind())
    if n <= NAIVE_LIMIT:
        runs["naive"] = lambda leaf: naive(leaf, 0.5)
    runs |= installed(n)
    times = {key: [] for key in runs}
    for round_ in range(repeats + 1):
        for key, run in runs.items():
            seconds = time_of(run, z)
            if round_:  # the first warms up
                times[key].append(seconds)
    base = times["NT-Xent"]
    found = {k: statistics.median(t / s for t, s in zip(v, base, strict=True)) for k, v in times.items()}
    return found, statistics.median(base)


def peak(n, name, epsilon):
    """Peak extra memory of a step in units of N x N float32, measured in a fresh process."""
    arguments = [sys.executable, __file__, "--peak", str(n), name, str(epsilon)]
    return float(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)


def measure_peak(n, name, epsilon):
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
    before = high_water()
    time_of(run, z)
    return (high_water() - before) / (4 * n * n)


def high_water():
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--peak", nargs=3, metavar=("N", "NAME", "EPSILON"), help="used by the script itself")
    options = parser.parse_args()
    if options.peak:
        print(measure_peak(int(options.peak[0]), options.peak[1], float(options.peak[2])))
        return
    torch.set_num_threads(options.threads)
    others = [f"{package} {version(package)}" for package in ("POT", "pytorch-metric-learning") if version(package)]
    rounds = f"d = {DIM}, T = {N_ITER}, medians of {options.repeats} rounds, inputs by seed 0"
    about(*others, f"{options.threads} thread(s)", rounds)
    columns = [(name, epsilon) for name in NAMES for epsilon in EPSILONS]
    extra = ["limit", "naive", *installed(PAIRWISE_LIMIT)]
    lines, jobs = [], [(n, kind) for n in options.sizes for kind in ("random", "clustered")]
    for n, kind in progress(jobs, len(jobs), "losses, time"):
        found, base = ratios(n, kind, options.repeats)
        cells = [f"{found[key]:.2f}" if key in found else "" for key in [*columns, *extra]]
        lines.append([n, kind, f"{1e3 * base:.0f}", *cells])
    table("Time over NT-Xent", ["N", "embeddings", "NT-Xent, ms", *(f"`{n}` {e}" for n, e in columns), *extra], lines)
    lines, sizes = [], [size for size in options.sizes if size >= 2048]
    for n in progress(sizes, len(sizes), "losses, memory"):
        names = ["NT-Xent", *NAMES, *(["naive"] if n <= NAIVE_LIMIT else [])]
        cells = [f"{peak(n, name, 0.5):.2f}" for name in names]
        lines.append([n, *cells, *[""] * (2 + len(NAMES) - len(cells))])
    head = ["N", "NT-Xent", *(f"`{name}` 0.5" for name in NAMES), "naive"]
    table("Peak extra memory of a step, in matrices of N x N float32", head, lines)


if __name__ == "__main__":
    main()
