"""Whether rows of low confidence are those that a probe gets wrong.

    python -m benchmarks.stability            # five tables, some minutes on two cores
    python -m benchmarks.stability --quick    # tiny, to see that it runs; its figures mean nothing

For each table, a stability report of the default embedder over some seeds, and embeddings by other seeds. On each of
these a logistic regression is scored by cross-validation: a row is an error where the regression that did not see its
label gets it wrong. The figure is the area under the ROC curve of 1 less a column of the report, for these errors: 0.5
is chance, 1 has all errors ahead of all other rows. Mean and standard deviation are over the embeddings. Prints a table
in Markdown, which docs/guide/stability.md holds.
"""

import argparse
import warnings

import numpy as np
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgca import GCAEmbedder
from skgca.inspection import stability_report

from ._printing import about, table
from ._records import progress, start
from .quality import MAX_ITER, load

DATA = ("digits-flat", "vowel", "phoneme", "vehicle", "breast cancer")
COLUMNS = ("confidence", "neighbor_overlap", "label_confidence", "label_agreement")
N_SEEDS, OTHER_SEEDS, REPORT_SEED = 3, range(900, 903), 7
QUICK_DATA, QUICK_ROWS, QUICK = ("digits-flat", "vowel"), 200, {"max_epochs": 2}


def errors(X, y, seed, options):
    """Which rows the probe gets wrong on the embedding of a seed."""
    warnings.simplefilter("ignore")
    Z = GCAEmbedder(random_state=seed, **options).fit_transform(X)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MAX_ITER))
    return cross_val_predict(probe, Z, y, cv=StratifiedKFold(5, shuffle=True, random_state=seed)) != y


def measured(name, options, quick, n_jobs):
    """The row of a table."""
    X, y = load(name)
    if quick:
        X, _, y, _ = train_test_split(X, y, train_size=QUICK_ROWS, stratify=y, random_state=0)
    report = stability_report(GCAEmbedder(**options), X, y, n_seeds=N_SEEDS, n_jobs=n_jobs, random_state=REPORT_SEED)
    wrong = Parallel(n_jobs=n_jobs)(delayed(errors)(X, y, seed, options) for seed in OTHER_SEEDS)
    cells = [name, f"{np.mean(wrong):.3f}", f"{report.summary.loc['neighbor_overlap', 'mean']:.3f}"]
    cells.append(f"{report.summary.loc['consistency', 'mean']:.3f}")
    for column in COLUMNS:
        areas = [roc_auc_score(found, -report.rows[column]) for found in wrong]
        cells.append(f"{np.mean(areas):.2f} ± {np.std(areas):.2f}")
    return cells


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", help=f"default {list(DATA)}")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--quick", action="store_true", help="few rows, sets and epochs")
    given = parser.parse_args()
    about(f"report by seeds drawn from {REPORT_SEED}, errors by seeds {list(OTHER_SEEDS)}")
    data = given.data or (QUICK_DATA if given.quick else DATA)
    options = QUICK if given.quick else {}
    rows = [measured(name, options, given.quick, given.jobs) for name in progress(data, len(data), "stability")]
    head = ["data", "errors", "overlap", "consistency", *(f"`{column}`" for column in COLUMNS)]
    table("Area under the ROC curve of low confidence, for errors", head, rows)


if __name__ == "__main__":
    start(__spec__)
