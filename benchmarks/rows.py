"""How many rows without labels it takes: accuracy by the number of them, 10 labels a class.

scikit-learn's digits as a table of 64 columns. A seed draws a stratified split with 540 test rows. Ten labelled rows of
each class and so many of the others are what ``GCAEmbedder()`` is fitted to, and a logistic regression behind a scaler
reads the embedding of the labelled ones. Five to ten minutes on one core.

    python -m benchmarks.rows
    python -m benchmarks.rows --quick
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skgca import GCAEmbedder

from ._printing import about, cell, table
from ._records import progress
from ._statistics import differences_as_text
from .quality import probe

SIZES, TEST_ROWS = (0, 100, 300, 1157), 540
METHODS = {"untrained": {"max_epochs": 0}, "gca": {}}


def accuracy(features, y, labelled, test):
    """Accuracy on the test rows of a regression that was fitted to the labelled ones."""
    return probe(features[labelled], y[labelled], features[test], y[test], scaled=True)[0]


def results_of(seed, sizes, **params):
    """Accuracy of each method on one split, by its name and the number of rows without labels."""
    X, y = load_digits(return_X_y=True)
    train, test = train_test_split(np.arange(len(X)), test_size=TEST_ROWS, stratify=y, random_state=seed)
    labelled = np.concatenate([train[y[train] == label][:10] for label in range(10)])
    others = np.random.default_rng(seed).permutation(np.setdiff1d(train, labelled, assume_unique=True))
    found = {("raw", size): accuracy(X, y, labelled, test) for size in sizes}
    for size in sizes:
        rows = np.concatenate([labelled, others[:size]])
        for name, settings in METHODS.items():
            embedder = GCAEmbedder(random_state=seed, **{**params, **settings}).fit(X[rows])
            found[name, size] = accuracy(embedder.transform(X), y, labelled, test)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two splits, few epochs: to see that it works")
    quick = parser.parse_args().quick
    sizes, params = ((0, 100), {"max_epochs": 2}) if quick else (SIZES, {})
    seeds = range(2 if quick else 5)
    found = [results_of(seed, sizes, **params) for seed in progress(seeds, len(seeds), "rows")]
    about(f"seeds {list(seeds)}")
    names = ("raw", *METHODS)
    rows = [[name, *(cell(dict(enumerate(split[name, size] for split in found))) for size in sizes)] for name in names]
    table("Accuracy in % by the number of rows without labels", ["rows without labels", *sizes], rows)
    gains = [
        [[100 * (split["gca", size] - split[name, size]) for split in found] for size in sizes] for name in names[:-1]
    ]
    ratio = TEST_ROWS / (len(load_digits().target) - TEST_ROWS)
    cells = differences_as_text(gains, ratio)
    rows = [[f"less {name}", *of_name] for name, of_name in zip(names, cells, strict=False)]
    table("gca less the other on the same splits (p, * by Holm)", ["rows without labels", *sizes], rows)


if __name__ == "__main__":
    main()
