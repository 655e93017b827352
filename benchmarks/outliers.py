"""Outliers that were planted: outlier_score, beside IsolationForest and LocalOutlierFactor on embedding and raw rows.

    python -m benchmarks.outliers                       # some ten minutes on two cores

Three sets, three kinds of outliers, and for each seed its own rows, outliers and fit. "mixed" takes each value (of an
image, each quadrant) from another row, so that every value is usual and their combination is not; "noise" adds noise of
three deviations to 15% of the values of a row; "class" is rows of a class that is otherwise left out. Outliers are 3%
of the training rows, unmarked, as in practice, and the rest are among the test rows, by which all are judged: area
under the ROC curve, mean and deviation over seeds. Each seed has all methods on the same rows, so differences are
paired. "lost mass, raw" is what outlier_score does, but without an embedder. The last table is whether scores of
training rows and new ones compare: the area between normal rows of either, where 0.5 is as it should be.

The defaults of outlier_score were chosen on digits, vehicle and spambase, which are not among these.
"""

import warnings

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder
from skgca._inference.outlier_score import lost_mass

from ._data import load, prepared
from ._jobs import Job, job_parser, measured, parsed, run_main
from ._printing import PLUS_MINUS, about, show
from ._statistics import holm, p_text, signed_rank

DATA, KINDS = ("letter", "magic", "mnist"), ("mixed", "noise", "class")
ROWS, TRAIN_SHARE, CONTAMINATION, OUTLIERS = 2500, 0.6, 0.03, 200
STEPS = {"letter": 2000, "magic": 2000, "mnist": 300}


def mixed(X, rng, n):
    """Rows whose parts come from different rows: columns, or quadrants of images."""
    if X.ndim == 2:
        return np.stack([X[rng.randint(len(X), size=n), column] for column in range(X.shape[1])], axis=1)
    found, (height, width) = np.empty((n, *X.shape[1:]), X.dtype), np.array(X.shape[1:]) // 2
    for rows in (slice(height), slice(height, None)):
        for columns in (slice(width), slice(width, None)):
            found[:, rows, columns] = X[rng.randint(len(X), size=n), rows, columns]
    return found


def noisy(X, rng, n):
    """Rows of which 15% of the values have noise of three deviations of their column, or of all pixels."""
    rows = X[rng.permutation(len(X))[:n]].astype(float)
    scale = X.std(axis=0) if X.ndim == 2 else X.std()
    rows += 3 * scale * rng.standard_normal(rows.shape) * (rng.random_sample(rows.shape) < 0.15)
    return rows if X.ndim == 2 else rows.clip(0, 255).astype(X.dtype)


def planted(name, kind, seed, n_rows):
    """Training rows, test rows, and for both which of them are outliers."""
    X, y = load(name)
    rng = np.random.RandomState(seed)
    rows = rng.permutation(len(X))[:n_rows]
    X, y = X[rows], y[rows]
    n_outliers = round(OUTLIERS * n_rows / ROWS)
    if kind == "class":
        chosen = rng.choice(np.unique(y))
        outliers, X = X[y == chosen][:n_outliers], X[y != chosen]
    else:
        outliers = {"mixed": mixed, "noise": noisy}[kind](X, rng, n_outliers)
    n_train = round(TRAIN_SHARE * len(X))
    n_planted = min(round(CONTAMINATION * n_train), len(outliers) // 2)
    parts = [(X[:n_train], outliers[:n_planted]), (X[n_train:], outliers[n_planted:])]
    return [(np.concatenate(part), np.repeat([0, 1], [len(part[0]), len(part[1])])) for part in parts]


def run(job):
    """Areas of all methods, for the kind of outliers that the job names as its method."""
    warnings.simplefilter("ignore")
    (X, is_planted), (X_test, is_outlier) = planted(job.data, job.method, job.seed, 300 if job.quick else ROWS)
    steps = 20 if job.quick else STEPS[job.data]
    with threadpool_limits(1):
        options = {"random_state": job.seed, "max_epochs": max(1, round(steps / (len(X) / 128)))}
        model = GCAEmbedder(**options).fit(X)
        untrained = GCAEmbedder(**{**options, "max_epochs": 0}).fit(X)
        raw = prepared(X).fit(X)
        new = model.outlier_score(X_test)
        found = {"outlier_score": new, "outlier_score, untrained": untrained.outlier_score(X_test)}
        reference = raw.transform(X)[np.linspace(0, len(X) - 1, min(len(X), 1000)).astype(int)]
        found["lost mass, raw"] = lost_mass(raw.transform(X_test), reference, epsilon=0.2, rho=1.0)
        for place, transform in {"embedding": model.transform, "raw": raw.transform}.items():
            rows, rows_test = transform(X), transform(X_test)
            forest = IsolationForest(random_state=job.seed).fit(rows)
            neighbors = LocalOutlierFactor(novelty=True).fit(rows)
            found[f"IsolationForest, {place}"] = -forest.score_samples(rows_test)
            found[f"LocalOutlierFactor, {place}"] = -neighbors.score_samples(rows_test)
        trained = model.outlier_score(X)[is_planted == 0]
    record = {method: roc_auc_score(is_outlier, scores) for method, scores in found.items()}
    inside = new[is_outlier == 0]
    labels = np.repeat([0, 1], [len(trained), len(inside)])
    record["train against new"] = roc_auc_score(labels, np.concatenate([trained, inside]))
    return record


def report(records):
    rows = [{"set": job.data, "outliers": job.method, "seed": job.seed, **found} for job, found in records.items()]
    frame = pd.DataFrame(rows).set_index(["set", "outliers", "seed"])
    methods = [column for column in frame if column != "train against new"]
    mean, spread = (getattr(frame.groupby(["set", "outliers"], sort=False), name)() for name in ("mean", "std"))
    cells = mean.map("{:.3f}".format) + PLUS_MINUS + spread.fillna(0).map("{:.3f}".format)
    cells.loc[("mean", ""), :] = frame.mean().map("{:.3f}".format)
    cells.index = cells.index.map(" ".join).str.strip()
    difference = frame[methods].rsub(frame["outlier_score"], axis=0).drop(columns="outlier_score")
    of_cells = difference.groupby(["set", "outliers"]).mean()  # what is independent: a set and kind, not a seed
    summary = pd.DataFrame(
        {
            "mean": difference.mean().round(3),
            "deviation": difference.std().round(3),
            "better in": [f"{won} of {len(difference)}" for won in (difference > 0).sum()],
            f"p by Holm, {len(of_cells)} means over seeds": [
                p_text(p) for p in holm([signed_rank(of_cells[name]) for name in of_cells])
            ],
        }
    )
    show("Area under the ROC curve", cells[methods].T)
    show("outlier_score less the other", summary)
    show("Normal rows of training against new ones", cells[["train against new"]].T)


def main():
    parser = job_parser(__doc__, "outliers", data=DATA)
    given = parsed(parser, usual={"data": DATA, "seeds": range(3)}, quick={"seeds": range(1)})
    jobs = [Job(name, kind, seed, quick=given.quick) for seed in given.seeds for name in given.data for kind in KINDS]
    about(f"seeds {given.seeds}")
    report(measured(run, jobs, given, protocol=(ROWS, TRAIN_SHARE, CONTAMINATION, OUTLIERS, str(STEPS))))


if __name__ == "__main__":
    run_main(__spec__)
