"""What labels of a part of the rows are worth in training, on sets of quality.py: a table of docs/guide/targets.md.

    python -m benchmarks.partly   # ten minutes on one core

Splits and probes are those of quality.py, but that the probe of 10 labels a class reads one draw of them, the same that
training reads.
"""

import warnings

import numpy as np
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder

from ._data import PROTOCOL, QUICK, RATIO, SCORES, accuracy, split_of
from ._jobs import Job, Results, job_parser, measured, options_of, parsed, run_main
from ._printing import about, cell, table
from ._statistics import differences_as_text, points

DATA = ("digits-flat", "vowel", "splice")
BASE = "no labels"
SETTINGS = {  # parameters, and which labels training reads
    BASE: ({}, None),
    'loss="supcon", 10 labels a class': ({"loss": "supcon"}, "few"),
    'target="labels", 10 labels a class': ({"target": "labels"}, "few"),
    'loss="supcon", half of the labels': ({"loss": "supcon"}, "half"),
}


def run(job):
    """Fit and score; the record to keep."""
    split = split_of(job.data, job.seed, job.quick)
    options, share = SETTINGS[job.method]
    rows = {"all": slice(None), "few": split.few[0]}
    read = split.few[0] if share == "few" else np.random.RandomState(job.seed).rand(len(split.y)) < 0.5
    y = np.full(len(split.y), -1)
    y[read] = split.y[read]
    options = {**options, **(QUICK if job.quick else {}), "random_state": job.seed}
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = GCAEmbedder(**options).fit(split.X, None if share is None else y)
        Z, Z_test = model.transform(split.X), model.transform(split.X_test)
        return {name: accuracy(Z[r], split.y[r], Z_test, split.y_test) for name, r in rows.items()}


def report(records):
    """Print, for each kind of probe, the accuracy without labels and the points above it, set by set and over all."""
    results = Results(records, by=lambda job: (job.method, job.data))
    data, others = list(dict.fromkeys(job.data for job in records)), [name for name in SETTINGS if name != BASE]
    for kind, title in SCORES.items():
        base = {name: results.of(kind, BASE, name) for name in data}
        gains = [[[*points(results.of(kind, s, name), base[name]).values()] for name in data] for s in others]
        mean = 100 * np.mean([value for of_set in base.values() for value in of_set.values()])
        rows = [[BASE, *map(cell, base.values()), f"{mean:.1f}", ""]]
        for setting, of_sets, cells in zip(others, gains, differences_as_text(gains, RATIO), strict=True):
            found = np.concatenate(of_sets)
            rows.append([setting, *cells, f"{found.mean():+.1f}", f"{(found > 0).sum()}/{len(found)}"])
        head = ["labels in training", *data, "mean", "ahead in"]
        table(f"Probe of {title}: points above no labels", head, rows)


def main():
    parser = job_parser(__doc__, "partly", data=DATA)
    given = parsed(parser, usual={"data": DATA, "seeds": range(3)}, quick={"data": DATA[:1], "seeds": range(2)})
    jobs = [
        Job(name, setting, seed, options_of(**SETTINGS[setting][0]), given.quick)
        for setting in SETTINGS
        for seed in given.seeds
        for name in given.data
    ]
    about(f"seeds {given.seeds}")
    report(measured(run, jobs, given, protocol=PROTOCOL))


if __name__ == "__main__":
    run_main(__spec__)
