"""What `GCAClassifier` is worth with 5, 10 and 50 labels a class, beside what a user would fit to the same rows.

    python -m benchmarks.few_labels                      # some hours of one core
    python -m benchmarks.few_labels --labels 10 --data wine vowel --seeds 0 1

Prints tables in Markdown, which docs/evidence/few_labels.md holds. Splits are those of quality.py. Training rows beside
the labelled ones are unlabelled (-1). An embedder is trained once for each set and split, kept beside --out, and shared
by all that embed.
"""

import time
import warnings
from functools import partial

import joblib
import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from skgca import GCAClassifier, GCAEmbedder

from ._data import DATA, IMAGES, PROTOCOL, QUICK, TABLES, few_of, prepared, split_of
from ._jobs import Job, Results, job_parser, measured, options_of, parsed, run_main, state_of
from ._printing import about, cell, table
from ._rivals import fitted

SEEDS = range(12, 17)  # apart from those that the defaults were chosen on
N_LABELS = (10, 5, 50)  # a class, in the order of measuring
SMALL = {"data": ("digits", "crx"), "seeds": (12, 13)}
OURS = {  # on a fitted embedder; "auto" comes first, since others use its comparison of ways
    "auto": {},
    "frozen, best head": {"fine_tune": False},
    "frozen": {"head": LogisticRegression(max_iter=1000), "fine_tune": False},
    "fine-tuned": {"fine_tune": True},
}
OTHERS = (
    "logistic regression",
    "random forest",
    "gradient boosting",
    "self-training",
    "label spreading",
)  # prepared rows
ON_EMBEDDING = "random forest on frozen"
METHODS = ("frozen", "frozen, best head", "fine-tuned", "auto", ON_EMBEDDING, *OTHERS)
GROUPS = {"images": IMAGES, "tables": TABLES, "all": DATA}
FLOOR = ("logistic regression", "frozen")  # what "auto" must not fall behind
STATE = (*PROTOCOL, str(GCAClassifier().get_params(deep=False)), METHODS)


def run(job, folder):
    """Fit and score all methods; the record to keep."""
    warnings.simplefilter("ignore")
    split = split_of(job.data, job.seed, job.quick)
    known = few_of(split.y, job.seed, 1, dict(job.options)["n_labels"])[0]
    y = np.full(len(split.y), -1)
    y[known] = split.y[known]
    with threadpool_limits(1):
        embedder, seconds = pretrained(job, split, folder)
        record = {**ours(job, split, y, embedder), "pretraining": seconds}
        Z, Z_test = embedder.transform(split.X), embedder.transform(split.X_test)
        forest = RandomForestClassifier(random_state=job.seed).fit(Z[known], y[known])
        record[ON_EMBEDDING] = forest.score(Z_test, split.y_test)
        preparing = prepared(split.X)
        rows, rows_test = preparing.fit_transform(split.X), preparing.transform(split.X_test)
        for name in OTHERS:
            record[name] = fitted(name, rows, split.y, known, job.seed).score(rows_test, split.y_test)
    return record


def pretrained(job, split, folder):
    """Return the embedder of a set and split, and the seconds of its fit; from its file, if it is there."""
    path = folder / f"embedder-{job.data}-{job.seed}{'-quick' if job.quick else ''}-{state_of(PROTOCOL, ())}.pkl"
    if path.exists():
        return joblib.load(path)
    start = time.process_time()
    embedder = GCAEmbedder(random_state=job.seed, **(QUICK if job.quick else {})).fit(split.X)
    found = embedder, round(time.process_time() - start, 2)
    joblib.dump(found, path.with_suffix(f".part{job.options[0][1]}"))
    path.with_suffix(f".part{job.options[0][1]}").replace(path)
    return found


def ours(job, split, y, embedder):
    """Accuracies of GCAClassifier on a fitted embedder; the seconds of "auto", its ways, and which it chose."""
    record = {}
    for name, params in OURS.items():
        model = GCAClassifier(embedder, random_state=job.seed, **params)
        if name in ("frozen, best head", "fine-tuned") and record["ways"]:  # not compared once more
            n_steps = model.n_steps if name == "fine-tuned" else 0
            best = min((way for way in record["ways"] if way["n_steps"] == n_steps), key=lambda way: way["loss"])
            model._chosen = lambda *_, found=best: ([], found["n_steps"], found["head"])
        start = time.process_time()
        model.fit(split.X, y)
        if name == "auto":
            record |= {"seconds": round(time.process_time() - start, 3), "n_steps": model.n_steps_, "ways": model.ways_}
            record["members"] = [type(member).__name__ for member in getattr(model.head_, "members", [model.head_])]
        record[name] = model.score(split.X_test, split.y_test)
    return record


# ------------------------------------------------------------------------------------------------------- reporting


class Comparison(Results):
    """Records by set and number of labels; only sets that have all seeds count in ranks."""

    def __init__(self, records):
        super().__init__(records, by=lambda job: (job.data, dict(job.options)["n_labels"]))
        n_seeds = len({job.seed for job in records})
        self.regimes = sorted({n_labels for _, n_labels in self.found})
        self.whole = {what for what, by_seed in self.found.items() if len(by_seed) == n_seeds}

    def means(self, method, n_labels, data):
        """Mean accuracy of a method for each set, in %."""
        return np.array([100 * np.mean(list(self.of(method, name, n_labels).values())) for name in data])

    def sets(self, n_labels, group=DATA):
        return [name for name in group if (name, n_labels) in self.whole]


def report_accuracy(results):
    for n_labels in results.regimes:
        data = [name for name in DATA if (name, n_labels) in results.found]
        rows = [[name, *(cell(results.of(method, name, n_labels)) for method in METHODS)] for name in data]
        table(f"Accuracy in %, {n_labels} labels a class", ["", *METHODS], rows)


def report_ranks(results):
    rows = []
    for n_labels in results.regimes:
        for group, of_group in GROUPS.items():
            data = results.sets(n_labels, of_group)
            if data:
                means = np.array([results.means(method, n_labels, data) for method in METHODS])
                ranks = rankdata(-means.round(6), axis=0).mean(1)
                best = ranks.min()
                cells = [f"**{rank:.2f}**" if rank == best else f"{rank:.2f}" for rank in ranks]
                rows.append([n_labels, f"{group} ({len(data)})", *cells])
    table("Mean rank", ["Mean rank, by labels a class", "sets", *METHODS], rows)


def report_means(results):
    rows = []
    for n_labels in results.regimes:
        for group, of_group in GROUPS.items():
            data = results.sets(n_labels, of_group)
            if data:
                means = [results.means(method, n_labels, data).mean() for method in METHODS]
                rows.append([n_labels, f"{group} ({len(data)})", *(f"{mean:.1f}" for mean in means)])
    table("Mean accuracy in %", ["Mean accuracy in %, by labels a class", "sets", *METHODS], rows)


def report_floor(results):
    """How far "auto" is from what it must not fall behind, and how often it fine-tuned and took more than one head."""
    rows = []
    for name in DATA:
        cells = []
        for n_labels in results.regimes:
            if (name, n_labels) in results.found:
                auto, *floor = (results.means(method, n_labels, [name])[0] for method in ("auto", *FLOOR))
                steps = list(results.of("n_steps", name, n_labels).values())
                members = list(results.of("members", name, n_labels).values())
                self_trained = sum(found.count("LogisticRegression") == 2 for found in members)
                trees = sum("ForestArrays" in found for found in members)
                cells += [f"{auto - max(floor):+.1f}", f"{np.count_nonzero(steps)}, {self_trained}, {trees}"]
            else:
                cells += ["", ""]
        if any(cells):
            rows.append([name, *cells])
    head = [part for n in results.regimes for part in (f"{n} labels: points", "tuned, self-trained, trees")]
    table("What auto may lose, and what it chose", ["", *head], rows)


def report_seconds(results):
    rows = []
    for name in DATA:
        of = [results.of("pretraining", name, n_labels) for n_labels in results.regimes]
        if any(of):
            pretraining = next(found for found in of if found)
            autos = [cell(results.of("seconds", name, n_labels), 1.0) for n_labels in results.regimes]
            rows.append([name, cell(pretraining, 1.0), *autos])
    head = ["embedder", *(f"auto on it, {n_labels} labels" for n_labels in results.regimes)]
    table("Seconds of a fit", ["", *head], rows)


def main():
    parser = job_parser(__doc__, "few_labels", data=DATA, jobs=1)
    parser.add_argument("--labels", type=int, nargs="+", help=f"a class; default {N_LABELS}")
    given = parsed(parser, usual={"data": DATA, "seeds": SEEDS, "labels": N_LABELS}, quick=SMALL)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    jobs = [
        Job(name, "all", seed, options_of(n_labels=n_labels), given.quick)
        for n_labels in given.labels
        for seed in given.seeds
        for name in given.data
    ]
    records = measured(partial(run, folder=given.out.parent), jobs, given, protocol=STATE)
    left = len(jobs) - len(records)
    about(f"seeds {given.seeds}", *([f"{left} of {len(jobs)} jobs are missing"] if left else []))
    results = Comparison(records)
    for part in (report_ranks, report_means, report_accuracy, report_floor, report_seconds):
        part(results)


if __name__ == "__main__":
    run_main(__spec__)
