"""What labels of a part of the rows are worth in training, on sets of quality.py: a table of docs/guide/targets.md.

    python -m benchmarks.partly --out partly.jsonl            # ten minutes on one core
    python -m benchmarks.partly --out partly.jsonl --report   # tables of what is there, without fitting

Splits and probes are those of quality.py, but that the probe of 10 labels a class reads one draw of them, the same that
training reads. A fit that is in --out already is not run again.
"""

import argparse
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder

from ._printing import about, table
from ._records import read, run_missing, start
from ._statistics import differences_as_text
from .quality import QUICK, RATIO, Split, probe

DATA, SEEDS = ("digits-flat", "vowel", "splice"), (0, 1, 2)
BASE = "no labels"
SETTINGS = {  # parameters, and which labels training reads
    BASE: ({}, None),
    'loss="supcon", 10 labels a class': ({"loss": "supcon"}, "few"),
    'target="labels", 10 labels a class': ({"target": "labels"}, "few"),
    'loss="supcon", half of the labels': ({"loss": "supcon"}, "half"),
}


@dataclass(frozen=True)
class Job:
    data: str
    seed: int
    setting: str
    quick: bool

    @property
    def key(self):
        return json.dumps([self.data, self.seed, self.setting, self.quick])


def run(job):
    """Fit and score; the record to keep."""
    split = Split(job.data, job.seed, job.quick)
    options, share = SETTINGS[job.setting]
    rows = {"all": slice(None), "few": split.few[0]}
    read = split.few[0] if share == "few" else np.random.RandomState(job.seed).rand(len(split.y)) < 0.5
    y = np.full(len(split.y), -1)
    y[read] = split.y[read]
    options = {**options, **(QUICK if job.quick else {}), "random_state": job.seed}
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = GCAEmbedder(**options).fit(split.X, None if share is None else y)
        Z, Z_test = model.transform(split.X), model.transform(split.X_test)
        scores = {name: 100 * probe(Z[r], split.y[r], Z_test, split.y_test, scaled=True)[0] for name, r in rows.items()}
    return {"key": job.key, "data": job.data, "seed": job.seed, "setting": job.setting, **scores}


def report(records):
    """Print, for each kind of probe, the accuracy without labels and the points above it, set by set and over all."""
    for kind, title in (("all", "Probe of all labels"), ("few", "Probe of 10 labels a class")):
        scores = records.pivot(index=["data", "seed"], columns="setting", values=kind)
        gains = scores.sub(scores[BASE], axis=0)
        data, others = list(dict.fromkeys(records["data"])), [name for name in SETTINGS if name != BASE]
        base = scores[BASE]
        cells = [f"{base.loc[name].mean():.1f} ± {base.loc[name].std():.1f}" for name in data]
        rows = [[BASE, *cells, f"{base.mean():.1f}", ""]]
        per_set = [[gains.loc[name, setting].to_numpy() for name in data] for setting in others]
        for setting, cells in zip(others, differences_as_text(per_set, RATIO), strict=True):
            found = gains[setting]
            rows.append([setting, *cells, f"{found.mean():+.1f}", f"{(found > 0).sum()}/{found.count()}"])
        table(
            f"{title}: accuracy in %, then points above it (p, * by Holm)",
            ["labels in training", *data, "mean", "ahead in"],
            rows,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/partly.jsonl"))
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--quick", action="store_true", help="few rows and epochs, one set")
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    data, seeds = (DATA[:1], SEEDS[:2]) if given.quick else (DATA, SEEDS)
    jobs = [Job(name, seed, setting, given.quick) for setting in SETTINGS for seed in seeds for name in data]
    if not given.report:
        run_missing(run, jobs, given.out, given.jobs)
    found = read(given.out)
    about(f"seeds {list(seeds)}")
    report(pd.DataFrame([found[job.key] for job in jobs if job.key in found]))


if __name__ == "__main__":
    start(__spec__)
