"""GCAEmbedder beside what is on PyPI for the same purpose: same splits, same probe, each with its own defaults.

    python -m benchmarks.peers                        # all of it; half an hour of a quiet core
    python -m benchmarks.peers --methods raw gca UMAP --data wine vowel --seeds 0

Splits, preparation and probe are those of quality.py. Needs the packages of the extra "bench", and those of the peers,
whose requirements differ from ours: benchmarks/peers-requirements.txt says how to install them beside torch. A
method whose package is missing is left out, and named.

Each fit runs in a process of its own, one at a time, on one thread. Its record has accuracies, processor seconds,
milliseconds to embed, and the most anonymous memory above what the process held after its imports. A fit that fails or
takes longer than --limit leaves its message instead, and is tried again by the next call. Needs Linux.
docs/evidence/peers.md holds the tables.
"""

import importlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec

# Before numba and torch are imported.
os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1", NUMBA_THREADING_LAYER="forksafe")

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skgca import GCAEmbedder
from skgca._inference.embedding import fit_readout

from ._data import PROTOCOL, TABLES, prepared, probe_scores, split_of
from ._jobs import Job, job_parser, measured, options_of, parsed, run_main
from ._measuring import MIB, anonymous_in_use, forked, peak_of
from .peers_report import report
from .quality import make_umap, warm_up_umap
from .throughput import encoder_inputs, train_by_hand

DATA = ("wine", "movement_libras", "breast cancer", "crx", "vehicle", "vowel", "digits-flat")
SMALL = {"data": ("vowel", "wine"), "seeds": range(1)}
LIMIT = 1800  # seconds of the clock for a fit and its scores
STEPS, MOST_EPOCHS = 1000, 300  # of max_epochs="auto", for the loop

# ------------------------------------------------------------------------------------------------------- methods


class Cebra(TransformerMixin, BaseEstimator):
    """CEBRA's estimator, seeded from outside, and with batches where all rows at once would be too many."""

    def __init__(self, seed, max_iterations=10_000, batch_size=512):
        self.seed, self.max_iterations, self.batch_size = seed, max_iterations, batch_size

    def fit(self, X, y=None):
        from cebra import CEBRA

        torch.manual_seed(self.seed)  # it has no random_state
        batch_size = self.batch_size if len(X) > self.batch_size else None
        model = CEBRA(max_iterations=self.max_iterations, batch_size=batch_size, device="cpu")
        self.model_ = model.fit(np.float32(X))
        return self

    def transform(self, X):
        return self.model_.transform(np.float32(X))


class NeighborEmbedding(TransformerMixin, BaseEstimator):
    """Parametric contrastive neighbour embedding of contrastive-ne."""

    def __init__(self, seed, **options):
        self.seed, self.options = seed, options

    def fit(self, X, y=None):
        from cne import CNE

        X = np.float32(X)
        model = CNE(parametric=True, seed=self.seed, **self.options)
        self.model_ = model.fit(X, init=X)  # init is not used, but 0.4.0 takes its length
        return self

    def transform(self, X):
        return self.model_.transform(np.float32(X))


class PeerScarf(TransformerMixin, BaseEstimator):
    """SCARF of ts3l, first phase; the encoder's output is the embedding.

    The configuration is its default; what has no usable default, rate, batch size and epochs, is as in its quick start.
    """

    def __init__(self, seed, max_epochs=10, batch_size=128, **config):
        self.seed, self.max_epochs, self.batch_size, self.config = seed, max_epochs, batch_size, config

    def fit(self, X, y=None):
        import pandas as pd
        from pytorch_lightning import Trainer
        from ts3l.pl_modules import SCARFLightning
        from ts3l.utils import TS3LDataModule
        from ts3l.utils.backbone_utils import MLPBackboneConfig
        from ts3l.utils.embedding_utils import IdentityEmbeddingConfig
        from ts3l.utils.scarf_utils import SCARFConfig, SCARFDataset

        frame = pd.DataFrame(np.float32(X))
        embedding = IdentityEmbeddingConfig(input_dim=frame.shape[1])
        config = SCARFConfig(
            task="classification",
            loss_fn="CrossEntropyLoss",
            embedding_config=embedding,
            backbone_config=MLPBackboneConfig(input_dim=embedding.output_dim),
            output_dim=2,  # of a head that the first phase does not train
            random_seed=self.seed,
            **self.config,
        )
        self.model_ = SCARFLightning(config)
        rows = SCARFDataset(frame, config=config, continuous_cols=list(frame), category_cols=[])
        # Its data module would start 32 worker processes. Validation, which only prints, is left out.
        data = TS3LDataModule(rows, rows, batch_size=self.batch_size, train_sampler="random", n_jobs=0)
        silent = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        silent |= {"enable_model_summary": False, "limit_val_batches": 0, "num_sanity_val_steps": 0}
        Trainer(accelerator="cpu", max_epochs=self.max_epochs, **silent).fit(self.model_, data)
        return self

    def transform(self, X):
        model = self.model_.model.eval()
        with torch.inference_mode():
            return model.encoder(model.embedding_module(torch.from_numpy(np.float32(X)))).numpy()


class Loop:
    """Our network, views, schedule and readout; NTXentLoss of pytorch-metric-learning in a plain torch loop."""

    def __init__(self, seed, batch_size, steps=STEPS):
        self.start = GCAEmbedder(max_epochs=0, batch_size=batch_size, random_state=seed)
        self.steps = steps

    def fit(self, X):
        from pytorch_metric_learning.losses import NTXentLoss, SelfSupervisedLoss

        start = self.start.fit(X)
        n_epochs = min(MOST_EPOCHS, -(-self.steps // -(-len(X) // start.batch_size)))
        criterion = SelfSupervisedLoss(NTXentLoss())
        inputs, module = encoder_inputs(start, X), start.net_.module_
        train_by_hand(start, inputs, n_epochs, module, criterion)
        fit_readout(module.eval().encoder, inputs, len(inputs), torch.device("cpu"))  # as our own fit does at its end
        return self

    def transform(self, X):
        return self.start.transform(X)


def reduced(step):
    """Return a maker of a pipeline that prepares rows by hand and reduces them."""
    return lambda X, seed, **options: make_pipeline(prepared(X), step(seed, **options))


@dataclass(frozen=True)
class Method:
    """How to make it from the rows, the seed and its settings; what it imports; what makes it quick; where it runs."""

    make: Callable
    module: str | None = None
    packages: tuple = ()
    settings: dict = field(default_factory=dict)
    quick: dict = field(default_factory=dict)
    sets: tuple = ()  # if any, it runs on these only, for seed 0


SCARF = {"corruption_rate": 0.6, "batch_size": 128, "max_epochs": 10}
METHODS = {
    "raw": Method(reduced(lambda seed: FunctionTransformer())),
    "gca": Method(lambda X, seed, **options: GCAEmbedder(random_state=seed, **options), quick={"max_epochs": 2}),
    "UMAP": Method(reduced(make_umap), "umap", ("umap-learn", "pynndescent", "numba")),
    "SCARF of ts3l": Method(
        reduced(PeerScarf), "ts3l.pl_modules", ("ts3l", "pytorch-lightning"), SCARF, {"max_epochs": 1}
    ),
    "CNE": Method(
        reduced(NeighborEmbedding), "cne", ("contrastive-ne", "annoy"), {"embd_dim": 10}, {"embd_dim": 3, "n_epochs": 2}
    ),
    "CEBRA": Method(reduced(Cebra), "cebra", ("cebra",), {"max_iterations": 2000}, {"max_iterations": 20}),
    "CEBRA, all iterations": Method(
        reduced(Cebra),
        "cebra",
        ("cebra",),
        quick={"max_iterations": 20},
        sets=("wine", "movement_libras", "breast cancer"),
    ),
    "NTXent of PML": Method(
        lambda X, seed, **options: Loop(seed, **options),
        "pytorch_metric_learning.losses",
        ("pytorch-metric-learning",),
        {"batch_size": 32},
        {"steps": 5},
    ),
}
PACKAGES = tuple(dict.fromkeys(package for method in METHODS.values() for package in method.packages))


# ------------------------------------------------------------------------------------------------------- running


def is_missing(method):
    """Tell whether the package of a method cannot be imported from here."""
    module = METHODS[method].module
    return bool(module) and find_spec(module.split(".")[0]) is None


def measure(job):
    """Fit, embed and score; yield the record."""
    method, split, peaks = METHODS[job.method], split_of(job.data, job.seed, job.quick), {}
    if method.module:
        importlib.import_module(method.module)
    rows = np.random.RandomState(0).rand(64, 5)
    GCAEmbedder(max_epochs=1, random_state=0).fit(rows).transform(rows)  # what torch sets up once is nobody's cost
    model = method.make(split.X, job.seed, **dict(job.options))
    before = anonymous_in_use()
    with peak_of(peaks, "MiB"):
        start = time.process_time()
        model.fit(split.X)
        fitted = time.process_time()
    with peak_of(peaks, "embed MiB"):
        begun = time.process_time()
        Z_test = np.asarray(model.transform(split.X_test), dtype=np.float64)
        embedded = time.process_time()
    Z = np.asarray(model.transform(split.X), dtype=np.float64)
    bad = int(np.sum(~np.isfinite(Z))) + int(np.sum(~np.isfinite(Z_test)))
    if bad:
        raise ValueError(f"{bad} values of the embedding are NaN or infinite")
    seconds = {"seconds": round(fitted - start, 4), "embed": round(embedded - begun, 5), "width": Z.shape[1]}
    memory = {name: round((peak - before) / MIB, 1) for name, peak in peaks.items()}
    yield {**probe_scores(split, Z, Z_test), **seconds, **memory}


def run(job, limit):
    """Run a job in a process of its own; its record."""
    if job.method == "UMAP":
        warm_up_umap()  # here, so that the process has it compiled
    try:
        return next(forked(measure, job, limit=limit))
    except (TimeoutError, ChildProcessError) as error:
        return {"error": str(error)[:300]}


def jobs_of(methods, data, seeds, quick):
    """All jobs, a whole seed before the next."""
    for seed in seeds:
        for name in data:
            for method in methods:
                sets, settings, small = METHODS[method].sets, METHODS[method].settings, METHODS[method].quick
                if not sets or (name in sets and seed == 0):
                    yield Job(name, method, seed, options_of(**{**settings, **(small if quick else {})}), quick)


def main():
    parser = job_parser(__doc__, "peers", data=TABLES, jobs=1)
    parser.add_argument("--methods", nargs="+", choices=METHODS, metavar="METHOD", help=f"of {list(METHODS)}")
    parser.add_argument("--limit", type=int, default=LIMIT, help="seconds of the clock for one fit and its scores")
    given = parsed(parser, usual={"data": DATA, "seeds": range(3)}, quick=SMALL)
    methods = [method for method in METHODS if method in (given.methods or METHODS)]
    absent = [method for method in methods if is_missing(method)]
    if absent:
        left_out = f"Not installed, left out: {', '.join(absent)}; see benchmarks/peers-requirements.txt"
        print(left_out, file=sys.stderr)
    jobs = list(jobs_of(methods, given.data, given.seeds, given.quick))
    here, do = [job for job in jobs if job.method not in absent], partial(run, limit=given.limit)
    records = measured(do, here, given, protocol=(*PROTOCOL, STEPS, MOST_EPOCHS), packages=PACKAGES)
    report(records, len(jobs), PACKAGES, given.quick)


if __name__ == "__main__":
    run_main(__spec__)
