"""What other settings than the defaults do to an embedding, on sets of quality.py: the figures of docs/guide.

    python tests/benchmarks/options.py --out options.jsonl            # an hour on one core
    python tests/benchmarks/options.py --out options.jsonl --report   # tables of what is there, without fitting

Splits, probe and labels are those of quality.py; the probe of 10 labels a class reads one draw of them, and so do the
settings that train with labels. A fit that is in --out already is not run again.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from quality import Split, probe
from scipy.stats import ttest_1samp
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder

DATA, SEEDS = ("digits-flat", "vowel", "splice"), (0, 1, 2)
LABELLED = ("supcon, the labels of the probe", 'target="labels", the same')
SETTINGS = {
    "default": {},
    LABELLED[0]: {"loss": "supcon"},
    LABELLED[1]: {"target": "labels"},
    "n_views=4": {"n_views": 4},
    'n_views=4, view_pairs="worst"': {"n_views": 4, "view_pairs": "worst"},
    "batch_size=32": {"batch_size": 32},
    "batch_size=512": {"batch_size": 512},
    "hidden_layer_sizes=(64, 64)": {"hidden_layer_sizes": (64, 64)},
    "hidden_layer_sizes=(512, 512)": {"hidden_layer_sizes": (512, 512)},
    "lr=5e-4": {"lr": 5e-4},
    "lr=8e-3": {"lr": 8e-3},
}


def run(data, seed, setting):
    """Fit and score; the record to keep."""
    split = Split(data, seed, quick=False)
    few = split.few[0]
    y = np.full(len(split.y), -1)
    y[few] = split.y[few]
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = GCAEmbedder(random_state=seed, **SETTINGS[setting])
        model.fit(split.X, y if setting in LABELLED else None)
        Z, Z_test = model.transform(split.X), model.transform(split.X_test)
        rows = {"all": slice(None), "few": few}
        scores = {name: 100 * probe(Z[r], split.y[r], Z_test, split.y_test, scaled=True)[0] for name, r in rows.items()}
    return {"data": data, "seed": seed, "setting": setting, **scores}


def report(records):
    """Print, for each kind of probe, the default's accuracy and the points above it, set by set and over all."""
    for kind, title in (("all", "All labels"), ("few", "10 labels a class")):
        table = records.pivot(index=["data", "seed"], columns="setting", values=kind)
        gains = table.sub(table["default"], axis=0)
        print(f"\n{title}\n\n| | {' | '.join(DATA)} | mean | sets and seeds |\n|---|{'---|' * (len(DATA) + 2)}")
        for setting in (name for name in SETTINGS if name in table):
            source = table if setting == "default" else gains
            of_set = [source.loc[name, setting].dropna() for name in DATA]
            cells = [f"{part.mean():{'' if setting == 'default' else '+'}.1f} ± {part.std():.1f}" for part in of_set]
            # the sets are the same for each seed, so the mean over sets is one draw a seed
            means = source[setting].unstack().mean()
            told = setting != "default" and ttest_1samp(means, 0).pvalue < 0.05
            mean = f"{means.mean():+.1f}" if setting != "default" else f"{means.mean():.1f}"
            ahead = "" if setting == "default" else f"ahead in {(gains[setting] > 0).sum()} of {gains[setting].count()}"
            print(f"| {setting} | {' | '.join(cells)} | {f'**{mean}**' if told else mean} | {ahead} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/options.jsonl"))
    parser.add_argument("--report", action="store_true")
    given = parser.parse_args()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    lines = given.out.read_text(encoding="utf-8").splitlines() if given.out.exists() else []
    records = [json.loads(line) for line in lines]
    there = {(record["data"], record["seed"], record["setting"]) for record in records}
    wanted = [(data, seed, setting) for setting in SETTINGS for seed in SEEDS for data in DATA]
    for job in [] if given.report else [job for job in wanted if job not in there]:
        records.append(run(*job))
        with given.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(records[-1]) + "\n")
    if records:
        report(pd.DataFrame(records))


if __name__ == "__main__":
    main()
