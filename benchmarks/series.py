"""What `GCAEmbedder()` is worth on time series, beside MiniRocket and what a user would try first.

    python -m benchmarks.series                       # twenty minutes of one core
    python -m benchmarks.series --data GunPoint trends --seeds 0 1

Prints tables in Markdown, which docs/evidence/series.md holds. It needs aeon, for four of its data sets and for
MiniRocket; benchmarks/peers-requirements.txt says how to install it. A seed draws a stratified split, with as many
training rows as the archive has; made-up sets are drawn anew by each seed. Embedders are fitted to the training rows
without labels. What is fitted behind them, or in their place, reads all labelled rows, or five a class. One thread.
"""

import time
import warnings
from functools import lru_cache

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder

from ._data import MAX_ITER, QUICK
from ._jobs import Job, Results, job_parser, measured, parsed, run_main
from ._printing import about, cell, table, version

ARCHIVE = {
    "GunPoint": "load_gunpoint",
    "ArrowHead": "load_arrow_head",
    "BasicMotions": "load_basic_motions",
    "ACSF1": "load_acsf1",
}
LABELS = 5  # a class, where labels are few
SEEDS = range(3)
EMBEDDERS = {"GCA": {}, "untrained": {"max_epochs": 0}, "conv1d": {"encoder": "conv1d"}}
PEER = "MiniRocket"
SCORES = {"all": "all labels", "few": f"{LABELS} labels a class"}
PROTOCOL = (LABELS, MAX_ITER, 1)  # the last is the version of this script


# ------------------------------------------------------------------------------------------------------------- sets


@lru_cache
def archived(name):
    """Series (n, channels, length), labels, and the number of training rows, of a set that aeon brings along."""
    from aeon import datasets

    parts = [getattr(datasets, ARCHIVE[name])(split=split) for split in ("train", "test")]
    X, y = (np.concatenate(values) for values in zip(*parts, strict=True))
    return X.astype(np.float32), np.unique(y, return_inverse=True)[1], len(parts[0][0])


def shapelets(rng, length=200):
    """Four short shapes at random places in noise."""
    y, time = rng.integers(0, 4, 600), np.linspace(0, 1, 25)
    shapes = [np.sin(2 * np.pi * time), np.sign(time - 0.5), 1 - 4 * abs(time - 0.5), np.sin(4 * np.pi * time)]
    X = 0.6 * rng.normal(size=(600, length)) + 0.03 * rng.normal(size=(600, length)).cumsum(1)
    for row, label in zip(X, y, strict=True):
        place = rng.integers(0, length - 25)
        row[place : place + 25] += 2.5 * rng.uniform(0.8, 1.2) * shapes[label]
    return X[:, None], y


def frequencies(rng, length=128):
    """Waves of five frequencies and any phase, in noise of their own size."""
    y = rng.integers(0, 5, 600)
    cycles = np.array([4, 5, 6.5, 8, 10])[y] * rng.uniform(0.93, 1.07, 600)
    phase = 2 * np.pi * (cycles[:, None] * np.linspace(0, 1, length) + rng.uniform(size=(600, 1)))
    return (rng.uniform(0.5, 1.5, (600, 1)) * np.sin(phase) + 0.8 * rng.normal(size=phase.shape))[:, None], y


def trends(rng, length=60):
    """Rising, falling, rising late, and falling then rising, at any level."""
    y, time = rng.integers(0, 4, 600), np.linspace(-1, 1, length)
    levels = np.stack([0.7 * time, -0.7 * time, 1.2 * np.maximum(time, 0), 1.2 * time**2])[y]
    noise = 0.35 * rng.normal(size=levels.shape) + 0.05 * rng.normal(size=levels.shape).cumsum(1)
    return (levels + noise + 0.5 * rng.normal(size=(600, 1)))[:, None], y


def channels(rng, length=300):
    """Four channels: the class is whether two of them swing together, and which of the others has a pulse."""
    y, time = rng.integers(0, 4, 600), np.arange(length)
    X = 0.5 * rng.normal(size=(600, 4, length))
    for row, label in zip(X, y, strict=True):
        phase, other = 2 * np.pi * rng.uniform(size=2)
        wave = 2 * np.pi * time / rng.uniform(18, 26)
        row[0] += np.sin(wave + phase)
        row[1] += np.sin(wave + (phase if label % 2 else other))
        place = rng.integers(0, length - 60)
        row[2 + label // 2, place : place + 60] += 1.2
    return X, y


MADE = {"shapelets": shapelets, "frequencies": frequencies, "trends": trends, "channels": channels}
MADE_TRAIN = 200
DATA = (*ARCHIVE, *MADE)
QUICK_SETS = {"data": ("GunPoint", "trends"), "seeds": (0, 1)}


def split_of(name, seed):
    """Training rows and labels, then test rows and labels."""
    if name in MADE:
        (X, y), n_train = MADE[name](np.random.default_rng(seed)), MADE_TRAIN
        X = X.astype(np.float32)
    else:
        X, y, n_train = archived(name)
    train, test = train_test_split(np.arange(len(y)), train_size=n_train, stratify=y, random_state=seed)
    return X[train], y[train], X[test], y[test]


def few_rows(y, seed):
    order = np.random.default_rng(seed).permutation(len(y))
    return np.sort(np.concatenate([order[y[order] == label][:LABELS] for label in np.unique(y)]))


# ---------------------------------------------------------------------------------------------------------- methods


def mini_rocket(seed):
    from aeon.transformations.collection.convolution_based import MiniRocket

    ridge = RidgeClassifierCV(alphas=np.logspace(-3, 3, 10))  # as in aeon's MiniRocketClassifier
    return make_pipeline(MiniRocket(random_state=seed, n_jobs=1), StandardScaler(with_mean=False), ridge)


def flat(model, *before):
    return make_pipeline(FunctionTransformer(lambda X: X.reshape(len(X), -1)), *before, model)


OTHERS = {
    PEER: mini_rocket,
    "logistic regression": lambda seed: flat(LogisticRegression(max_iter=MAX_ITER), StandardScaler()),
    "random forest": lambda seed: flat(RandomForestClassifier(random_state=seed)),
    "1-NN": lambda seed: flat(KNeighborsClassifier(1)),
}
METHODS = (*EMBEDDERS, *OTHERS)


def run(job):
    """Accuracies with all labels and with few, and processor seconds of the fit with all."""
    warnings.simplefilter("ignore")
    X, y, X_test, y_test = split_of(job.data, job.seed)
    regimes = {"all": np.arange(len(y)), "few": few_rows(y, job.seed)}
    with threadpool_limits(1):
        torch.set_num_threads(1)
        if job.method in EMBEDDERS:
            options = {**(QUICK if job.quick else {}), **EMBEDDERS[job.method]}
            start = time.process_time()
            embedder = GCAEmbedder(random_state=job.seed, n_threads=1, **options).fit(X)
            X, X_test = embedder.transform(X), embedder.transform(X_test)
            before = time.process_time() - start
            return fitted(lambda: LogisticRegression(max_iter=MAX_ITER), X, y, X_test, y_test, regimes, before)
        if job.method == PEER:
            mini_rocket(0).fit(X[:20], np.arange(20) % 2).predict(X[:5])  # numba compiles on first use
        return fitted(lambda: OTHERS[job.method](job.seed), X, y, X_test, y_test, regimes, 0.0)


def fitted(make, X, y, X_test, y_test, regimes, seconds):
    record = {}
    for name, rows in regimes.items():
        start = time.process_time()
        record[name] = make().fit(X[rows], y[rows]).score(X_test, y_test)
        if name == "all":
            record["seconds"] = round(seconds + time.process_time() - start, 3)
    return record


# -------------------------------------------------------------------------------------------------------- reporting


def mean_over_sets(results, score, method, data):
    return np.mean([np.mean(list(results.of(score, method, name).values())) for name in data])


def report(results, data):
    whole = [name for name in data if all(results.of("all", method, name) for method in METHODS)]
    for score, title in SCORES.items():
        rows = [[name, *(cell(results.of(score, method, name)) for method in METHODS)] for name in data]
        for group, names in {
            "mean": whole,
            "mean of the archive's": [name for name in whole if name in ARCHIVE],
        }.items():
            if names:
                rows.append(
                    [group, *(f"{100 * mean_over_sets(results, score, method, names):.1f}" for method in METHODS)]
                )
        table(f"Accuracy in %, {title}", ["", *METHODS], rows)
    rows = []
    for name in whole:
        less = [
            100
            * (
                np.mean(list(results.of(score, "GCA", name).values()))
                - np.mean(list(results.of(score, other, name).values()))
            )
            for score in SCORES
            for other in METHODS[1:4]
        ]
        rows.append([name, *(f"{points:+.1f}" for points in less)])
    head = [f"{title}: less {other}" for title in SCORES.values() for other in METHODS[1:4]]
    table("GCA less others, in points", ["", *head], rows)
    rows = [[name, *(cell(results.of("seconds", method, name), 1.0) for method in METHODS)] for name in data]
    table("Seconds of a fit and of predictions", ["", *METHODS], rows)


def main():
    parser = job_parser(__doc__, "series", data=DATA, jobs=1)
    given = parsed(parser, usual={"data": DATA, "seeds": SEEDS}, quick=QUICK_SETS)
    jobs = [
        Job(name, method, seed, (), given.quick) for seed in given.seeds for name in given.data for method in METHODS
    ]
    records = measured(run, jobs, given, protocol=PROTOCOL, packages=("aeon",))
    about(f"aeon {version('aeon')}", f"seeds {given.seeds}")
    report(Results(records, by=lambda job: (job.method, job.data)), given.data)


if __name__ == "__main__":
    run_main(__spec__)
