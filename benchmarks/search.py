"""What GCASearchCV saves over GridSearchCV, and whether what it picks is as good.

    python -m benchmarks.search                          # 11 minutes of one core
    python -m benchmarks.search --data wine --seeds 0 1 --warm 0.1 0.25 0.5

Both walk the same grid of epsilon and marginals on the same folds of the training rows. A setting is scored by the
accuracy of a logistic regression behind the embedder, and without labels by GCAEmbedder.score. What each search picks
is then fitted from the start and in full on all training rows, and tested on rows that no search saw. Times are those
of the process, on one thread, without the last fit; the searches take turns, in another order for each seed.

How much of a difference is chance? "again" is GridSearchCV once more, with other random numbers in the encoders. "any"
is the mean test accuracy over the grid, what picking at random would give, and "best" that of the setting which is best
on the test rows, what picking could give at most. Needs the packages of the extra "bench".
"""

import time
import warnings
from collections import defaultdict

import numpy as np
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder
from skgca.model_selection import GCASearchCV

from ._data import PROTOCOL, TABLES, split_of, taken
from ._jobs import Job, job_parser, measured, options_of, parsed, run_main
from ._printing import PLUS_MINUS, about, table
from ._statistics import p_text, signed_rank

DATA = ("wine", "vehicle", "vowel", "phoneme", "digits-flat")
GRID = {"gcaembedder__epsilon": [0.05, 0.2, 0.5, 2.0], "gcaembedder__marginals": [0.1, 1.0, "balanced"]}
QUICK_GRID = {"gcaembedder__epsilon": [0.2, 1.0], "gcaembedder__marginals": [0.1, "balanced"]}
MOST_ROWS, FOLDS = 400, 2
SCORES = {"accuracy": "labels", "score": "no labels"}
COLD, AGAIN = "cold", "again"


def score(model, X, y):
    return {"accuracy": model.score(X, y), "score": model[:-1].score(X)}


def searched(search, X, y):
    """Return the scores of a search for each setting, and the seconds of this process that it took."""
    start = time.process_time()
    results = search.fit(X, y).cv_results_
    return {name: results[f"mean_test_{name}"] for name in SCORES}, time.process_time() - start


def make_searches(seed, *, shares, max_epochs, grid):
    def model(random_state):
        embedder = GCAEmbedder(loss="gca_uot", max_epochs=max_epochs, random_state=random_state)
        return make_pipeline(embedder, LogisticRegression(max_iter=2000))

    common = {"scoring": score, "refit": False, "cv": StratifiedKFold(FOLDS, shuffle=True, random_state=seed)}
    searches = {
        COLD: GridSearchCV(model(seed), grid, **common),
        AGAIN: GridSearchCV(model(seed + 1000), grid, **common),
    }
    return searches | {str(share): GCASearchCV(model(seed), grid, warm_epochs=share, **common) for share in shares}


def run(job):
    """Figures of one set and seed, of each search by its name, which is the share of epochs for GCASearchCV."""
    warnings.simplefilter("ignore")
    split = split_of(job.data, job.seed, quick=False)
    rows = np.random.RandomState(job.seed).permutation(len(split.y))[:MOST_ROWS]
    X, y = taken(split.X, rows), split.y[rows]
    searches = make_searches(job.seed, **dict(job.options), grid=QUICK_GRID if job.quick else GRID)
    with threadpool_limits(1):
        score(make_pipeline(GCAEmbedder(max_epochs=1), LogisticRegression(max_iter=2000)).fit(X, y), X, y)  # warms up
        found = {key: searched(searches[key], X, y) for key in list(searches)[:: 1 if job.seed % 2 else -1]}
        model, settings = searches[COLD].estimator, searches[COLD].cv_results_["params"]
        fitted = (clone(model).set_params(**setting).fit(X, y) for setting in settings)
        test = 100 * np.array([each.score(split.X_test, split.y_test) for each in fitted])
    figures = {"any": test.mean(), "best": test.max()}
    for key, (scores, seconds) in found.items():
        figures[key] = {"time": seconds / found[COLD][1], "seconds": seconds}
        for kind in SCORES:
            figures[key][kind] = test[np.argmax(scores[kind])]
            figures[key][f"{kind} rank"] = spearmanr(scores[kind], found[COLD][0][kind])[0]
    return figures


def spread(values):
    """Return mean and standard error as text, and the p value of a signed rank test."""
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{np.mean(values):+.2f}{PLUS_MINUS}{error:.2f} ({p_text(signed_rank(values))})"


def report(results, shares):
    """Print a table of each set and search, and of all sets; results maps a set to figures, one a seed."""
    every = [figures for of_set in results.values() for figures in of_set]
    parts, keys = ("test", "difference (p)", "rank"), (COLD, AGAIN, *shares)
    head = ["search", "time", *(f"{kind}: {part}" for kind in SCORES.values() for part in parts)]
    lines = [[name, named(key), *cells_of(key, of_set)] for name, of_set in results.items() for key in keys]
    table("Set by set", ["data", *head], lines)
    table("All sets", head, [[named(key), *cells_of(key, every)] for key in keys])
    sets = {**results, "all": every}
    means = [[np.mean([figures[key] for figures in of_set]) for key in ("any", "best")] for of_set in sets.values()]
    rows = [[name, *(f"{mean:.1f}" for mean in pair)] for name, pair in zip(sets, means, strict=True)]
    table("What picking could give", ["data", "mean of all settings", "best on the test rows"], rows)


def named(key):
    return {COLD: "GridSearchCV", AGAIN: "GridSearchCV again"}.get(key, f"GCASearchCV, `warm_epochs={key}`")


def cells_of(key, of_set):
    """Cells of a search: median share of time, then for both scores accuracy, difference to GridSearchCV, and rank."""
    cells = [f"{np.median([figures[key]['time'] for figures in of_set]):.2f}"]
    for kind in SCORES:
        test = np.array([figures[key][kind] for figures in of_set])
        cells.append(f"{test.mean():.1f}")
        gap = test - [figures[COLD][kind] for figures in of_set]
        rank = np.nanmean([figures[key][f"{kind} rank"] for figures in of_set])
        cells += ["", ""] if key == COLD else [spread(gap), f"{rank:.2f}"]
    return cells


def main():
    parser = job_parser(__doc__, "search", data=TABLES, jobs=1)
    parser.add_argument("--warm", type=float, nargs="+", default=[0.1, 0.25], help="shares of the epochs")
    parser.add_argument("--max-epochs", type=int)
    usual = {"data": DATA, "seeds": range(2), "max_epochs": 60}
    given = parsed(parser, usual=usual, quick={"data": DATA[:1], "max_epochs": 4})
    options = options_of(shares=tuple(given.warm), max_epochs=given.max_epochs)
    jobs = [Job(name, "searches", seed, options, given.quick) for seed in given.seeds for name in given.data]
    results = defaultdict(list)
    for job, figures in measured(run, jobs, given, protocol=(*PROTOCOL, MOST_ROWS, FOLDS, str(GRID))).items():
        results[job.data].append(figures)
    about(f"seeds {given.seeds}, {given.max_epochs} epochs")
    report(results, [str(share) for share in given.warm])


if __name__ == "__main__":
    run_main(__spec__)
