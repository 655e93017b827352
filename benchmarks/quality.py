"""What the defaults are worth: frozen features and a linear probe on fifteen data sets, beside what others do.

    python -m benchmarks.quality                      # all of it, hours on two cores
    python -m benchmarks.quality --methods raw PCA --data wine digits --seeds 0 1
    python -m benchmarks.quality --methods raw gca uot --variant 'uot={"loss": "gca_uot"}' --seeds 100 101

Prints tables in Markdown, which docs/evidence/quality.md holds. Needs the packages of the extra "bench"; UMAP runs
where umap-learn is installed.

One protocol for all: a seed draws a stratified split and is the random_state of the fit. A method learns from all
training rows without labels, is frozen, and embeds training and test rows. A logistic regression reads the labels of
all training rows, or of 10 a class (the mean of five draws, the same for each method); as it is, and behind a
StandardScaler. Other classifiers are fitted to the same labels, on prepared rows and on the embedding.
"""

import json
import time
import warnings
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib.util import find_spec

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder

from ._data import DATA, PROTOCOL, QUICK, prepared, probe_scores, split_of
from ._jobs import Job, job_parser, measured, options_of, parsed, run_main
from ._rivals import rival_scores
from .quality_report import report

SMALL = {"data": ("digits", "digits-flat", "wine", "crx"), "seeds": (0, 1)}
PACKAGES = ("umap-learn",)


# ------------------------------------------------------------------------------------------------------- methods


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


# Reduces prepared rows.
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
# Classifiers that are fitted to the rows of a method, beside the probe.
RIVALS_ON = {
    "raw": ("random forest", "extra trees", "gradient boosting", "neighbours", "label spreading"),
    "gca": ("random forest", "extra trees", "gradient boosting", "neighbours"),
}
OURS = {"SCARF": SCARF, "untrained": {"max_epochs": 0}, "gca": {}}


def embedder(job, X):
    """Return what has fit(X) and transform(X) for the rows X as loaded."""
    if job.method in BASELINES:
        return make_pipeline(prepared(X), BASELINES[job.method](job.seed))
    options = {**(QUICK if job.quick else {}), **dict(job.options), "random_state": job.seed}
    if job.method == "SCARF":
        preparing = prepared(X) if X.ndim == 2 else make_pipeline(prepared(X), StandardScaler())
        return Scarf(preparing, **options)
    return GCAEmbedder(**options)


# ------------------------------------------------------------------------------------------------------- running


def run(job, rivals_on):
    """Fit and score; the record to keep."""
    warnings.simplefilter("ignore")
    split = split_of(job.data, job.seed, job.quick)
    if job.method == "UMAP":
        warm_up_umap()
    with threadpool_limits(1):
        start = time.process_time()  # of one thread, so it is not the neighbours' load that is measured
        model = embedder(job, split.X).fit(split.X)
        fitted = time.process_time()
        Z_test = np.asarray(model.transform(split.X_test), dtype=np.float64)
        embedded = time.process_time()
        Z = np.asarray(model.transform(split.X), dtype=np.float64)
        record = probe_scores(split, Z, Z_test)
        record["rivals"] = rival_scores(split, Z, Z_test, job.seed, rivals_on.get(job.method, ()))
    return {**record, "seconds": round(fitted - start, 4), "embed": round(embedded - fitted, 5), "width": Z.shape[1]}


def parse_variant(text):
    name, _, options = text.partition("=")
    return name, {key: tuple(v) if isinstance(v, list) else v for key, v in json.loads(options).items()}


def main():
    parser = job_parser(__doc__, "quality", data=DATA)
    parser.add_argument("--methods", nargs="+", help=f"of {[*BASELINES, *OURS]} and the variants; default all")
    parser.add_argument("--variant", action="append", default=[], help="NAME=JSON, options of GCAEmbedder beside gca")
    parser.add_argument("--no-rivals", action="store_true", help="leave other classifiers out")
    given = parsed(parser, usual={"data": DATA, "seeds": range(5)}, quick=SMALL)
    rivals_on = {} if given.no_rivals else RIVALS_ON
    methods = {**{name: {} for name in BASELINES}, **OURS, **dict(map(parse_variant, given.variant))}
    unknown = set(given.methods or ()) - set(methods)
    if unknown:
        parser.error(f"--methods {sorted(unknown)} not known; there are {list(methods)}, and --variant makes more")
    methods = {name: options_of(**methods[name]) for name in methods if name in (given.methods or methods)}
    jobs = [
        Job(name, method, seed, options, given.quick)
        for seed in given.seeds
        for name in given.data
        for method, options in methods.items()
    ]
    here = [job for job in jobs if job.method != "UMAP" or find_spec("umap")]
    do, protocol = partial(run, rivals_on=rivals_on), (*PROTOCOL, str(rivals_on))
    report(measured(do, here, given, protocol=protocol, packages=PACKAGES), len(jobs), given.quick)


if __name__ == "__main__":
    run_main(__spec__)
