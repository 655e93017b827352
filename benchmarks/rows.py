"""How many rows without labels it takes: accuracy by the number of them, 10 labels a class.

scikit-learn's digits as a table of 64 columns. A seed draws a stratified split with 540 test rows. Ten labelled rows of
each class and so many of the others are what ``GCAEmbedder()`` is fitted to, and a logistic regression behind a scaler
reads the embedding of the labelled ones. Five to ten minutes on one core.

    python -m benchmarks.rows
"""

import numpy as np
from sklearn.model_selection import train_test_split

from skgca import GCAEmbedder

from ._data import LABELS, PROTOCOL, QUICK, accuracy, load
from ._jobs import Job, Results, job_parser, measured, options_of, parsed, run_main
from ._printing import about, cell, table
from ._statistics import differences_as_text, points

DATA, SIZES, TEST_ROWS = ("digits-flat",), (0, 100, 300, 1157), 540
METHODS = {"raw": None, "untrained": {"max_epochs": 0}, "gca": {}}


def run(job):
    """Accuracy on the test rows of a regression on the labelled rows."""
    X, y = load(job.data)
    train, test = train_test_split(np.arange(len(X)), test_size=TEST_ROWS, stratify=y, random_state=job.seed)
    labelled = np.concatenate([train[y[train] == label][:LABELS] for label in np.unique(y)])
    others = np.random.default_rng(job.seed).permutation(np.setdiff1d(train, labelled, assume_unique=True))
    if METHODS[job.method] is not None:
        rows = np.concatenate([labelled, others[: dict(job.options)["rows"]]])
        options = {**(QUICK if job.quick else {}), **METHODS[job.method]}
        X = GCAEmbedder(random_state=job.seed, **options).fit(X[rows]).transform(X)
    return {"accuracy": accuracy(X[labelled], y[labelled], X[test], y[test])}


def main():
    parser = job_parser(__doc__, "rows", data=DATA)
    given = parsed(parser, usual={"data": DATA, "seeds": range(5)}, quick={"seeds": range(2)})
    sizes = SIZES[: 2 if given.quick else None]
    jobs = [
        Job(name, method, seed, options_of(rows=size), given.quick)
        for seed in given.seeds
        for name in given.data
        for size in sizes
        for method in METHODS
    ]
    records = measured(run, jobs, given, protocol=(*PROTOCOL, TEST_ROWS))
    results = Results(records, by=lambda job: (job.method, *dict(job.options).values()))
    about(f"seeds {given.seeds}")
    rows = [[name, *(cell(results.of("accuracy", name, size)) for size in sizes)] for name in METHODS]
    table("Accuracy in % by the number of rows without labels", ["rows without labels", *sizes], rows)
    ours, names = ({size: results.of("accuracy", "gca", size) for size in sizes}, list(METHODS)[:-1])
    gains = [[points(ours[size], results.of("accuracy", name, size)).values() for size in sizes] for name in names]
    cells = differences_as_text(gains, TEST_ROWS / (len(load(*DATA)[1]) - TEST_ROWS))
    rows = [[f"less {name}", *of_name] for name, of_name in zip(names, cells, strict=True)]
    table("gca less the other", ["rows without labels", *sizes], rows)


if __name__ == "__main__":
    run_main(__spec__)
