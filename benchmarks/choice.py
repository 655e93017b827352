"""Is the setting that a label-free score picks better than the default, and better than chance?

    python -m benchmarks.choice            # 390 fits and their scores, 25 minutes on one core
    python -m benchmarks.choice --data wine vowel --seeds 0

The settings are those that a user would search on a table, and two that are bad on purpose. A split is drawn once for
each set, by a seed that no default was chosen on, with at most 1,500 rows to train on, for 400 steps. Up to 6,000 rows
are held out. A logistic regression reads the embedding as it is, without a scaler, and is scored on them. The scores of
choice_scores.py see up to 1,000 training and 1,000 held-out rows without labels; choice_report.py makes the tables.
"""

import warnings
from functools import partial

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from threadpoolctl import threadpool_limits

from . import scores
from ._data import DRAWS, MAX_ITER, TABLES, few_of, probe, taken
from ._data import PROTOCOL as OF_DATA
from ._jobs import Job, job_parser, measured, options_of, parsed, run_main
from .choice_report import report
from .choice_scores import BAD, GROUPS, N_GROUPS, Fit, Table, hidden_groups
from .score_report import DEFAULT

SEEDS, SPLIT_SEED, TRAIN_ROWS, STEPS = (0, 1), 300, 1500, 400


def grid():
    """Settings by name."""
    found = {DEFAULT: {}}
    found |= {f"epsilon {value}": {"epsilon": value} for value in (0.1, 0.2, 1.0)}
    found |= {f"marginals {value}": {"marginals": value} for value in ("row", 1.0)}
    found |= {loss: {"loss": loss} for loss in ("rince", "iot_uni")}
    found |= {f"corruption {rate}": {"corruption_rate": rate} for rate in (0.05, 0.4, 0.6)}
    found |= {"width 16": {"n_components": 16}, "hidden 512": {"hidden_layer_sizes": (512, 512)}}
    return found | dict(zip(BAD, ({"max_epochs": 0}, {"max_epochs": 3}), strict=True))


def accuracies(y, y_test, Z, Z_test):
    """Accuracies of the probe on held-out rows, and what a user with labels would choose by: cross-validation."""

    def held_out(rows):
        return probe(Z[rows], y[rows], Z_test, y_test, scaled=False)[0]

    def validated(rows):
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        return cross_val_score(LogisticRegression(max_iter=MAX_ITER), Z[rows], y[rows], cv=folds).mean()

    few, every = few_of(y, 0, DRAWS), np.arange(len(y))
    return {
        "all": [held_out(every)],
        "few": [held_out(rows) for rows in few],
        "validated all": [validated(every)],
        "validated few": [validated(rows) for rows in few],
    }


def run(job, split_seed, folder):
    """Fit, embed and probe; the record to keep, which names the file of the arrays."""
    warnings.simplefilter("ignore")
    (X, y), (X_test, y_test) = scores.split_of(job, split_seed, TRAIN_ROWS)
    with threadpool_limits(1):
        model = scores.fitted(job, X, STEPS)
        Z, Z_test = (np.asarray(model.transform(rows), dtype=np.float64) for rows in (X, X_test))
        record = {"n_learned": scores.n_learned_of(model), **accuracies(y, y_test, Z, Z_test)}
        kept = {"Z train": Z[: scores.SCORED_ROWS], "Z": Z_test[: scores.SCORED_ROWS]}
        for part, rows in (("train", X), ("test", X_test)):
            seen = taken(rows, slice(0, scores.SCORED_ROWS))
            kept[f"hidden {part}"] = np.stack([model.transform(changed) for changed in hidden_groups(seen)])
        kept |= scores.looked_through(job, model, X_test)
    return {**record, "file": scores.file_of(job, split_seed, folder, kept)}


def score(job, records, split_seed, folder):
    """Candidates of one group, from the arrays that a fit left."""
    warnings.simplefilter("ignore")
    options = dict(job.options)
    parts = scores.split_of(job, split_seed, TRAIN_ROWS)
    X, X_test = (taken(rows, slice(0, scores.SCORED_ROWS)) for rows, _ in parts)
    with threadpool_limits(1):
        found = GROUPS[options["group"]](Fit(records[job.data, job.method, job.seed], folder), Table.of(job, X, X_test))
    return {name: float(value) for name, value in found.items()}


def protocol(split_seed):
    """What results depend on beside their job."""
    sizes = TRAIN_ROWS, scores.TEST_ROWS, scores.SCORED_ROWS, scores.PAIRED_ROWS
    return *OF_DATA, split_seed, *sizes, scores.DRAWS, str(scores.STEPS), scores.RATES, "choice", STEPS, N_GROUPS


def main():
    parser = job_parser(__doc__, "choice", data=TABLES)
    parser.add_argument("--split-seed", type=int, default=SPLIT_SEED)
    parser.add_argument("--scores", nargs="+", metavar="NAME", help="those to print, if not all")
    given = parsed(parser, usual={"data": TABLES, "seeds": SEEDS}, quick={"data": ("wine", "vowel")})
    folder = given.out.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    settings = dict(list(grid().items())[:: 2 if given.quick else 1])
    places = [(name, setting, seed) for seed in given.seeds for name in given.data for setting in settings]
    how = {"split_seed": given.split_seed, "folder": folder}
    fits = [Job(*place, options_of(**settings[place[1]]), given.quick) for place in places]
    records = measured(partial(run, **how), fits, given, protocol=protocol(given.split_seed))
    records = {(job.data, job.method, job.seed): record for job, record in records.items()}
    looks = [Job(*place, options_of(group=group), given.quick) for place in records for group in GROUPS]
    looks.sort(key=lambda job: job.data)  # what is prepared for a set is kept in the process
    found = measured(partial(score, records=records, **how), looks, given, protocol=protocol(given.split_seed))
    report(records, {(j.data, j.method, j.seed, dict(j.options)["group"]): r for j, r in found.items()}, given)


if __name__ == "__main__":
    run_main(__spec__)
