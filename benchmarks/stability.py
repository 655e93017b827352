"""Whether rows of low confidence are those that a probe gets wrong.

    python -m benchmarks.stability   # five tables, some minutes on two cores

For each table, a stability report of the default embedder over some seeds, and embeddings by other seeds. On each of
these a logistic regression is scored by cross-validation: a row is an error where the regression that did not see its
label gets it wrong. The figure is the area under the ROC curve of 1 less a column of the report, for these errors: 0.5
is chance, 1 has all errors ahead of all other rows. Mean and standard deviation are over the embeddings. Prints a table
in Markdown, which docs/evidence/scores.md holds.
"""

import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgca import GCAEmbedder
from skgca.inspection import stability_report

from ._data import MAX_ITER, PROTOCOL, QUICK, load
from ._jobs import Job, job_parser, measured, parsed, run_main
from ._printing import PLUS_MINUS, about, table

DATA = ("digits-flat", "vowel", "phoneme", "vehicle", "breast cancer")
COLUMNS = ("confidence", "neighbor_overlap", "label_confidence", "label_agreement")
N_SEEDS, OTHER_SEEDS, REPORT_SEED = 3, range(900, 903), 7
QUICK_ROWS = 200


def errors(X, y, seed, options):
    """Which rows the probe gets wrong on the embedding of a seed."""
    Z = GCAEmbedder(random_state=seed, **options).fit_transform(X)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MAX_ITER))
    return cross_val_predict(probe, Z, y, cv=StratifiedKFold(5, shuffle=True, random_state=seed)) != y


def run(job):
    """Means of the errors and of the report, and for each of its columns the areas."""
    warnings.simplefilter("ignore")
    X, y = load(job.data)
    if job.quick:
        X, _, y, _ = train_test_split(X, y, train_size=QUICK_ROWS, stratify=y, random_state=0)
    options = QUICK if job.quick else {}
    report = stability_report(GCAEmbedder(**options), X, y, n_seeds=N_SEEDS, random_state=job.seed)
    wrong = [errors(X, y, seed, options) for seed in OTHER_SEEDS]
    means = {name: report.summary.loc[name, "mean"] for name in ("neighbor_overlap", "consistency")}
    areas = {name: [roc_auc_score(found, -report.rows[name]) for found in wrong] for name in COLUMNS}
    return {"errors": np.mean(wrong), **means, "areas": areas}


def main():
    parser = job_parser(__doc__, "stability", data=DATA)
    given = parsed(parser, usual={"data": DATA, "seeds": [REPORT_SEED]}, quick={"data": DATA[:2]})
    about(f"report by seeds drawn from {', '.join(map(str, given.seeds))}, errors by seeds {list(OTHER_SEEDS)}")
    jobs = [Job(name, "gca", seed, quick=given.quick) for seed in given.seeds for name in given.data]
    rows = []
    for job, found in measured(run, jobs, given, protocol=(*PROTOCOL, N_SEEDS, OTHER_SEEDS)).items():
        means = [f"{found[name]:.3f}" for name in ("errors", "neighbor_overlap", "consistency")]
        areas = [(np.mean(found["areas"][name]), np.std(found["areas"][name])) for name in COLUMNS]
        rows.append([job.data, *means, *(f"{mean:.2f}{PLUS_MINUS}{spread:.2f}" for mean, spread in areas)])
    head = ["data", "errors", "overlap", "consistency", *(f"`{column}`" for column in COLUMNS)]
    table("Area under the ROC curve of low confidence, for errors", head, rows)


if __name__ == "__main__":
    run_main(__spec__)
