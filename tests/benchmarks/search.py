"""What GCASearchCV saves over GridSearchCV, and whether what it picks is as good.

    python tests/benchmarks/search.py                          # ten minutes on one core
    python tests/benchmarks/search.py --data wine --seeds 0 1 --warm 0.1 0.25 0.5
    python tests/benchmarks/search.py --quick                  # tiny, to see that it runs; its figures mean nothing

Both walk the same grid of epsilon and marginals on the same folds of the training rows. A setting is scored by the
accuracy of a logistic regression behind the embedder, and without labels by view retrieval. What each search picks is
then fitted from the start and in full on all training rows, and tested on rows that no search saw. Times are those of
the process, on one thread, without the last fit; the searches take turns, in another order for each seed.

"all" is the mean test accuracy over the grid, what picking at random would give, and "best" that of the setting which
is best on the test rows, so what picking could give at most. Needs the packages of the extra "bench".
"""

import argparse
import time
import warnings
from collections import defaultdict

import numpy as np
from quality import Split, taken
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder
from skgca.metrics import SCORERS
from skgca.model_selection import GCASearchCV

DATA = ("wine", "vehicle", "vowel", "phoneme", "digits-flat")
GRID = {"gcaembedder__epsilon": [0.05, 0.2, 0.5, 1.0], "gcaembedder__marginals": ["row", 1.0, "balanced"]}
QUICK_GRID = {"gcaembedder__epsilon": [0.2, 1.0], "gcaembedder__marginals": ["row", "balanced"]}
MOST_ROWS, FOLDS = 400, 2
SCORES = {"accuracy": "labels", "retrieval": "no labels"}


def score(model, X, y):
    return {"accuracy": model.score(X, y), "retrieval": SCORERS["view_retrieval"](model[:-1], X)}


def searched(search, X, y):
    """Return the scores of a search for each setting, and the seconds of this process that it took."""
    start = time.process_time()
    results = search.fit(X, y).cv_results_
    return {name: results[f"mean_test_{name}"] for name in SCORES}, time.process_time() - start


def compare(name, seed, *, shares, max_epochs, grid, whole):
    """Return figures of one set and seed: of each search, by its share of epochs, 1 for GridSearchCV."""
    split = Split(name, seed, quick=False)
    rows = np.random.RandomState(seed).permutation(len(split.y))[:MOST_ROWS]
    X, y = taken(split.X, rows), split.y[rows]
    model = make_pipeline(GCAEmbedder(max_epochs=max_epochs, random_state=seed), LogisticRegression(max_iter=2000))
    common = {"scoring": score, "refit": False, "cv": StratifiedKFold(FOLDS, shuffle=True, random_state=seed)}
    searches = {1: GridSearchCV(model, grid, **common)}
    searches |= {share: GCASearchCV(model, grid, warm_epochs=share, **common) for share in shares}
    order = list(searches)[:: 1 if seed % 2 else -1]
    found = {share: searched(searches[share], X, y) for share in order}
    settings = searches[1].cv_results_["params"]

    def tested(number):
        return clone(model).set_params(**settings[number]).fit(X, y).score(split.X_test, split.y_test)

    picks = {(share, name): int(np.argmax(found[share][0][name])) for share in searches for name in SCORES}
    test = {number: tested(number) for number in (range(len(settings)) if whole else sorted(set(picks.values())))}
    figures = {}
    for share, (scores, seconds) in found.items():
        figures[share] = {"time": seconds / found[1][1], "seconds": seconds}
        for kind in SCORES:
            figures[share][kind] = 100 * test[picks[share, kind]]
            figures[share][f"{kind} rank"] = spearmanr(scores[kind], found[1][0][kind])[0]
    if whole:
        figures["grid"] = {"all": 100 * np.mean(list(test.values())), "best": 100 * max(test.values())}
    return figures


def report(results):
    """Print a table of each set, and of all; results maps a set to figures, one a seed."""
    shares = [key for key in next(iter(results.values()))[0] if key not in (1, "grid")]
    for share in sorted(shares):
        print(f"\nwarm_epochs={share}\n")
        print("| data | time | " + " | ".join(f"{n}: cold, warm, difference, rank" for n in SCORES.values()) + " |")
        print("|---" * (2 + len(SCORES)) + "|")
        every = [figures for of_set in results.values() for figures in of_set]
        for name, of_set in [*results.items(), ("all", every)]:
            cells = [name, f"{np.median([figures[share]['time'] for figures in of_set]):.2f}"]
            for kind in SCORES:
                cold, warm = (np.array([figures[key][kind] for figures in of_set]) for key in (1, share))
                gap, rank = warm - cold, np.nanmean([figures[share][f"{kind} rank"] for figures in of_set])
                error = gap.std(ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 else np.nan
                cells.append(f"{cold.mean():.1f}, {warm.mean():.1f}, {gap.mean():+.2f} ± {error:.2f}, {rank:.2f}")
            print("| " + " | ".join(cells) + " |")
    grids = defaultdict(list)
    for name, of_set in results.items():
        grids[name] += [figures["grid"] for figures in of_set if "grid" in figures]
    for name, found in grids.items():
        if found:
            mean, best = (np.mean([figures[key] for figures in found]) for key in ("all", "best"))
            print(f"{name}: all {mean:.1f}, best {best:.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=DATA)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--warm", type=float, nargs="+", default=[0.25], help="shares of the epochs")
    parser.add_argument("--max-epochs", type=int, default=100)
    parser.add_argument("--whole", action="store_true", help='test all settings, for "all" and "best"')
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    options = {"shares": given.warm, "max_epochs": given.max_epochs, "grid": GRID, "whole": given.whole}
    data, seeds = given.data, given.seeds
    if given.quick:
        options |= {"max_epochs": 4, "grid": QUICK_GRID, "whole": True}
        data, seeds = ("wine",), [0, 1]
    results = defaultdict(list)
    with threadpool_limits(1):
        for seed in seeds:
            for name in data:
                results[name].append(compare(name, seed, **options))
                ratio = ", ".join(f"{share}: {results[name][-1][share]['time']:.2f}" for share in given.warm)
                print(f"{name}, seed {seed}: {ratio}, of {results[name][-1][1]['seconds']:.0f} s", flush=True)
    report(results)


if __name__ == "__main__":
    main()
