"""How many steps it takes: accuracy against processor time, for small tables, for 20,000 rows and for a million.

    python -m benchmarks.steps                     # about 40 minutes of a quiet core
    python -m benchmarks.steps --data vowel letter --seeds 0
    python -m benchmarks.steps --data million --seeds 0

Small tables compare numbers of steps, letter and magic numbers of epochs, both by the protocol of quality.py. The
million rows are made: 3,000 Gaussian clusters of unequal size in 20 columns, in twelve common classes and three rare
ones, of one row in a thousand each. Less than one epoch is an epoch of fewer rows. The probe reads 20,000 labelled
rows, or 10 a class of them, and is tested on 100,000 others.
"""

import time
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgca import GCAEmbedder
from skgca._builders.net import resolve_max_epochs

from ._data import DRAWS, MAX_ITER, PROTOCOL, SCORES, TEST_SHARE, Split, few_of, load
from ._jobs import Job, Results, job_parser, measured, options_of, parsed, run_main
from ._printing import about, cell, table
from ._statistics import points

BATCH = 128
SMALL, MANY = ("vowel", "vehicle", "german", "crx", "breast cancer"), ("letter", "magic")
DATA = (*SMALL, *MANY, "million")
N_ROWS, N_LABELLED, N_TEST = 1_024_000, 20_000, 100_000  # 8,000 batches
N_COLUMNS, N_CLUSTERS, N_COMMON, N_RARE, RARE_SHARE, GROUPS = 20, 3000, 12, 3, 0.001, 5
STEPS = {"2,000 steps": 2000, "1,000 steps": 1000}
EPOCHS = {f"{epochs} epochs": epochs for epochs in (2, 5, 10, 20)}
PASSES = {  # batch size, and passes over the million rows
    "1,000 steps": (BATCH, 0.125),
    "2,000 steps": (BATCH, 0.25),
    "8,000 steps": (BATCH, 1),
    "16,000 steps": (BATCH, 2),
    "2,000 steps of 512": (512, 1),
}
RARE = {"recall": "mean recall", "rare": "recall of rare classes"}


def million(seed, n_rows):
    """Rows of clusters, and their classes. The clusters of a class lie around five centres."""
    rng = np.random.default_rng(seed)
    n_groups = GROUPS * (N_COMMON + N_RARE)
    group = np.concatenate([np.arange(n_groups), rng.integers(0, GROUPS * N_COMMON, N_CLUSTERS - n_groups)])
    far = 2 * rng.uniform(0.3, 1, (N_CLUSTERS, 1)) * rng.normal(size=(N_CLUSTERS, N_COLUMNS))
    centres = rng.normal(size=(n_groups, N_COLUMNS))[group] + far
    scale = rng.uniform(0.3, 1.0, (N_CLUSTERS, N_COLUMNS))
    label, share = group // GROUPS, rng.lognormal(size=N_CLUSTERS)
    share[label < N_COMMON] *= (1 - N_RARE * RARE_SHARE) / share[label < N_COMMON].sum()
    for rare in range(N_COMMON, N_COMMON + N_RARE):
        share[label == rare] *= RARE_SHARE / share[label == rare].sum()
    cluster = rng.choice(N_CLUSTERS, n_rows, p=share / share.sum())
    X = centres.astype(np.float32)[cluster]
    X += scale.astype(np.float32)[cluster] * rng.standard_normal(X.shape, dtype=np.float32)
    return X, label[cluster]


class Million:
    """The million rows as a split, as :class:`benchmarks._data.Split` is; few labels are drawn from the labelled."""

    def __init__(self, seed, quick):
        n_rows, n_labelled = (6000, 3000) if quick else (N_ROWS, N_LABELLED)
        X, y = million(seed, n_rows + (2000 if quick else N_TEST))
        self.X, self.X_test, self.y_test = X[:n_rows], X[n_rows:], y[n_rows:]
        self.labelled, self.y = X[:n_labelled], y[:n_labelled]
        self.few = few_of(self.y, seed, DRAWS)


def schedule(data, method, n_rows):
    """Batch size, epochs, and how many of the rows they go over."""
    if data == "million":
        batch_size, passes = PASSES[method]
        return batch_size, max(1, int(passes)), int(n_rows * min(1, passes))
    if data in MANY:
        return BATCH, EPOCHS[method], n_rows
    n_batches = -(-n_rows // BATCH)
    return BATCH, resolve_max_epochs("auto", auto_steps=STEPS[method], n_batches=n_batches), n_rows


def run(job):
    """Accuracies of the probe, and the processor's seconds of the fit."""
    size = {"most_rows": 150} if job.quick else {}
    split = Million(job.seed, job.quick) if job.data == "million" else Split(*load(job.data), job.seed, **size)
    batch_size, epochs, n_rows = schedule(job.data, job.method, len(split.X))
    embedder = GCAEmbedder(batch_size=batch_size, max_epochs=1 if job.quick else epochs, random_state=job.seed)
    start = time.process_time()
    embedder.fit(split.X[:n_rows] if n_rows < len(split.X) else split.X)
    record = {"seconds": time.process_time() - start, "steps": epochs * -(-n_rows // batch_size)}
    Z, Z_test = embedder.transform(getattr(split, "labelled", split.X)), embedder.transform(split.X_test)
    for name, draws in {"all": [slice(None)], "few": split.few}.items():
        found = [recalls(Z[rows], split.y[rows], Z_test, split.y_test) for rows in draws]
        record.update({f"{name} {key}": float(np.mean([one[key] for one in found])) for key in found[0]})
    return record


def recalls(Z, y, Z_test, y_test):
    """Accuracy of a logistic regression behind a scaler, mean recall of all classes, and that of the last three."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MAX_ITER))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predicted = probe.fit(Z, y).predict(Z_test)
    recall = recall_score(y_test, predicted, average=None, zero_division=0)
    return {"accuracy": np.mean(predicted == y_test), "recall": recall.mean(), "rare": recall[-N_RARE:].mean()}


def methods_of(data):
    return PASSES if data == "million" else EPOCHS if data in MANY else STEPS


def mean(values):
    return np.mean([*values.values()])


def report(records):
    results = Results(records, by=lambda job: (job.data, job.method))
    rows = []
    for name in (name for name in SMALL if results.of("steps", name, "2,000 steps")):
        of = {key: [results.of(key, name, method) for method in STEPS] for key in next(iter(records.values()))}
        row = [name, " / ".join(f"{mean(steps):,.0f}" for steps in of["steps"])]
        row.append(" / ".join(f"{mean(seconds):.1f}" for seconds in of["seconds"]))
        for kind in SCORES:
            longer, shorter = of[f"{kind} accuracy"]
            row += [cell(longer), cell(shorter), cell(points(shorter, longer), unit=1)]
        rows.append(row)
    head = [part for text in SCORES.values() for part in (f"{text}: longer", "shorter", "difference")]
    table("2,000 steps and 1,000, at most 300 epochs", ["set", "steps", "seconds", *head], rows)
    for data in (*MANY, "million"):
        scores = {f"{kind} accuracy": text for kind, text in SCORES.items()}
        if data == "million":
            scores |= {
                f"{kind} {key}": f"{what}, {text}" for kind, text in SCORES.items() for key, what in RARE.items()
            }
        rows = []
        for method in methods_of(data):
            if steps := results.of("steps", data, method):
                found = [cell(results.of(score, data, method)) for score in scores]
                rows.append([method, f"{mean(steps):,.0f}", f"{mean(results.of('seconds', data, method)):.0f}", *found])
        table(f"Rows of {data}", [f"training, {data}", "steps", "seconds", *scores.values()], rows)


def main():
    parser = job_parser(__doc__, "steps", data=DATA, jobs=1)
    parser.add_argument("--methods", nargs="+", help=f"of {[*STEPS, *EPOCHS, *PASSES]}; default all")
    given = parsed(parser, usual={"data": DATA, "seeds": range(3)}, quick={"seeds": range(2)})
    jobs = [
        Job(name, method, seed, options_of(), given.quick)
        for seed in given.seeds
        for name in given.data
        for method in methods_of(name)
        if not given.methods or method in given.methods
    ]
    constants = (N_ROWS, N_LABELLED, N_TEST, N_CLUSTERS, N_COMMON, N_RARE, RARE_SHARE, GROUPS, TEST_SHARE)
    records = measured(run, jobs, given, protocol=(*PROTOCOL, *constants))
    about(f"seeds {given.seeds}", "one thread, processor seconds of a fit")
    report(records)


if __name__ == "__main__":
    run_main(__spec__)
