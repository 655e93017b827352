"""Which label-free score ranks settings as a linear probe does: candidates over a grid, on the sets of quality.py.

    python -m benchmarks.scores                      # all of it, an hour or two on two cores
    python -m benchmarks.scores --data wine vowel --seeds 0
    python -m benchmarks.scores --quick              # tiny, to see that it runs; its figures mean nothing
    python -m benchmarks.scores --report             # tables of what is there, without fitting

A fit leaves what the candidates read, embeddings of held-out rows and of views of them, and the accuracy of the probe,
in a file of --out; what is there already is not run again. score_report.py computes candidates and tables of them.

A split is drawn once for each set, the same for all settings and seeds, with at most 2,000 rows to train on. A fit
learns from them without labels. The other rows, 6,000 at most, are held out: the probe is scored on them, and the
candidates see up to 1,000 of them, without labels.
"""

import argparse
import json
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder
from skgca._inputs import check_rows
from skgca.views import ColumnCorruption, ImageAugmentation

from ._records import progress, start
from .quality import DATA, IMAGES, load, probe, taken

SEEDS, SPLIT_SEED = (0, 1), 100
TRAIN_ROWS, TEST_ROWS, SCORED_ROWS, PAIRED_ROWS = 2000, 6000, 1000, 500
LABELS, DRAWS = 10, 3
STEPS = {"table": 600, "images": 250}
RATES = (0.2, 0.4, 0.6)  # of the corruption by which candidates look at tables
MANY_ROWS, MANY_VIEWS = 300, 10  # of LiDAR
QUICK_DATA = ("wine", "digits")

EPSILONS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
MARGINALS = ("row", "balanced", 1.0)


def grid(kind):
    """Settings by name; the same for tables and images but for what is of one of them.

    There is no "gca_uot", which is "gca_ince" with marginals 1.0.
    """
    found = {}
    for epsilon in EPSILONS:
        for marginals in MARGINALS:
            found[f"gca_ince {epsilon} {marginals}"] = {"epsilon": epsilon, "marginals": marginals}
    for loss, epsilons in {
        "rince": (0.1, 0.5, 1.0),
        "gca_rince": (0.1, 0.5),
        "iot": (0.1, 0.5),
        "iot_uni": (0.1, 0.5),
        "byol": (0.5,),
    }.items():
        for epsilon in epsilons:
            found[f"{loss} {epsilon}"] = {"loss": loss, "epsilon": epsilon}
    for width in (4, 16, 64):
        for epsilon in (0.1, 0.5):
            found[f"width {width} {epsilon}"] = {"n_components": width, "epsilon": epsilon}
    for hidden in ((32, 32), (512, 512)) if kind == "table" else ((8, 16, 32),):
        for epsilon in (0.1, 1.0):
            found[f"hidden {hidden[0]} {epsilon}"] = {"hidden_layer_sizes": hidden, "epsilon": epsilon}
    for projection in ((128, 16), (512, 512)):
        found[f"head {projection[-1]}"] = {"projection_sizes": projection}
    found["untrained"] = {"max_epochs": 0}
    found["short"] = {"max_epochs": 3}
    if kind == "table":
        for rate in (0.05, 0.4, 0.7):
            found[f"corruption {rate}"] = {"corruption_rate": rate}
    return found


@dataclass(frozen=True)
class Job:
    """One fit."""

    data: str
    setting: str
    seed: int
    split_seed: int
    quick: bool
    folder: Path

    @property
    def kind(self):
        return "images" if self.data in IMAGES else "table"

    @property
    def options(self):
        return grid(self.kind)[self.setting]

    @property
    def path(self):
        text = json.dumps([self.setting, self.options, self.seed, self.split_seed, self.quick, STEPS], default=str)
        return self.folder / f"{self.data} {self.setting} {self.seed} {zlib.crc32(text.encode()):08x}.npz".replace(
            " ", "_"
        )


def split_of(job):
    """Rows to train on, and rows held out."""
    X, y = load(job.data)
    n_train = min(round(0.7 * len(y)), 150 if job.quick else TRAIN_ROWS)
    n_test = min(len(y) - n_train, 100 if job.quick else TEST_ROWS)
    rows = np.arange(len(y))
    train, test = train_test_split(rows, train_size=n_train, test_size=n_test, stratify=y, random_state=job.split_seed)
    return (taken(X, train), y[train]), (taken(X, test), y[test])


def views_of(job):
    """What the candidates look through, by name: the same for all settings."""
    if job.kind == "images":
        return {"own": ImageAugmentation("digits")}
    return {f"{rate}": ColumnCorruption(rate) for rate in RATES}


def embed_all(module, inputs):
    """Embedding and projection of inputs, as float32 arrays."""
    with torch.inference_mode():
        found = [(module.encoder(part), module(part)) for part in inputs.split(512)]
    return [torch.cat(parts).numpy() for parts in zip(*found, strict=True)]


def run(job):
    """Fit, embed, probe; leave a file."""
    warnings.simplefilter("ignore")
    (X, y), (X_test, y_test) = split_of(job)
    n_batches = max(1, round(len(y) / 128))
    steps = 20 if job.quick else STEPS[job.kind]
    options = {"max_epochs": max(1, round(steps / n_batches)), **job.options, "random_state": job.seed}
    with threadpool_limits(1):
        model = GCAEmbedder(**options).fit(X)
        Z, Z_test = (np.asarray(model.transform(rows), dtype=np.float64) for rows in (X, X_test))
        n_learned = sum(name.startswith("gcaembedder") for name in model.get_feature_names_out())
        kept = {"n_learned": n_learned, "Z": Z_test[:SCORED_ROWS].astype(np.float32)}
        few = few_of(y)
        for name, columns in (("whole", slice(None)), ("learned", slice(n_learned))):
            kept[f"{name} all"] = probe(Z[:, columns], y, Z_test[:, columns], y_test, scaled=True)[0]
            draws = [probe(Z[rows][:, columns], y[rows], Z_test[:, columns], y_test, scaled=True)[0] for rows in few]
            kept[f"{name} few"] = np.mean(draws)
        inputs = model.reader_.read(check_rows(model, X_test, reset=False).take(slice(0, PAIRED_ROWS)))
        generator = torch.Generator().manual_seed(0)
        module = model.net_.module_
        for name, view in views_of(job).items():
            for side in "ab":
                embedded, projected = embed_all(module, view(inputs, generator))
                kept[f"{side} {name}"] = embedded
                if name in ("own", "0.2"):
                    kept[f"{side} projected"] = projected
        first = next(iter(views_of(job).values()))
        many = [embed_all(module, first(inputs[:MANY_ROWS], generator)) for _ in range(MANY_VIEWS)]
        kept["many"] = np.stack([embedded[:, :n_learned] for embedded, _ in many])
        kept["many projected"] = np.stack([projected for _, projected in many])
    partial = job.path.with_suffix(".part")
    with partial.open("wb") as file:
        np.savez(file, **{name: np.float16(v) if np.ndim(v) > 1 else v for name, v in kept.items()})
    partial.rename(job.path)


def few_of(y):
    """Draws of the same number of rows of each class."""
    rng = np.random.RandomState(0)
    of_class = [np.flatnonzero(y == label) for label in np.unique(y)]
    return [np.concatenate([rng.permutation(members)[:LABELS] for members in of_class]) for _ in range(DRAWS)]


def jobs_of(data, seeds, split_seed, quick, folder):
    for seed in seeds:
        for name in data:
            settings = list(grid("images" if name in IMAGES else "table"))
            for setting in settings[::6] if quick else settings:
                yield Job(name, setting, seed, split_seed, quick, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/scores"), help="folder of the results")
    parser.add_argument("--data", nargs="+", choices=DATA, metavar="SET", help=f"of {', '.join(DATA)}; default all")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--split-seed", type=int, default=SPLIT_SEED)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--quick", action="store_true", help="few rows, sets, settings and steps")
    parser.add_argument("--report", action="store_true", help="tables of what is there, fit nothing")
    given = parser.parse_args()
    data = given.data or (QUICK_DATA if given.quick else DATA)
    given.out.mkdir(parents=True, exist_ok=True)
    jobs = list(jobs_of(data, given.seeds, given.split_seed, given.quick, given.out))
    missing = [job for job in jobs if not job.path.exists()]
    if not given.report:
        with parallel_config("loky", n_jobs=given.jobs, inner_max_num_threads=1):
            done = Parallel(return_as="generator_unordered")(delayed(run)(job) for job in missing)
            for _ in progress(done, len(missing), f"scores: {len(missing)} of {len(jobs)} fits"):
                pass
    from .score_report import report  # which imports this module

    report([job for job in jobs if job.path.exists()])


if __name__ == "__main__":
    start(__spec__)
