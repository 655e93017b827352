"""What labels of a part of the rows are worth in training, on sets of quality.py: a table of docs/guide/targets.md.

    python tests/benchmarks/partly.py --out partly.jsonl            # ten minutes on one core
    python tests/benchmarks/partly.py --out partly.jsonl --report   # tables of what is there, without fitting

Splits and probes are those of quality.py, but that the probe of 10 labels a class reads one draw of them, the same that
training reads. A fit that is in --out already is not run again.
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from quality import Split, probe
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder

DATA, SEEDS = ("digits-flat", "vowel", "splice"), (0, 1, 2)
SETTINGS = {  # parameters, and which labels training reads
    "no labels": ({}, None),
    'loss="supcon", 10 labels a class': ({"loss": "supcon"}, "few"),
    'target="labels", 10 labels a class': ({"target": "labels"}, "few"),
    'loss="supcon", half of the labels': ({"loss": "supcon"}, "half"),
}


def run(data, seed, setting):
    """Fit and score; the record to keep."""
    split = Split(data, seed, quick=False)
    options, share = SETTINGS[setting]
    rows = {"all": slice(None), "few": split.few[0]}
    read = split.few[0] if share == "few" else np.random.RandomState(seed).rand(len(split.y)) < 0.5
    y = np.full(len(split.y), -1)
    y[read] = split.y[read]
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = GCAEmbedder(random_state=seed, **options).fit(split.X, None if share is None else y)
        Z, Z_test = model.transform(split.X), model.transform(split.X_test)
        scores = {name: 100 * probe(Z[r], split.y[r], Z_test, split.y_test, scaled=True)[0] for name, r in rows.items()}
    return {"data": data, "seed": seed, "setting": setting, **scores}


def report(records):
    """Print, for each kind of probe, the accuracy without labels and the points above it, set by set and over all."""
    for kind, title in (("all", "Probe of all labels"), ("few", "Probe of 10 labels a class")):
        table = records.pivot(index=["data", "seed"], columns="setting", values=kind)
        gains = table.sub(table["no labels"], axis=0)
        print(
            f"\n{title}\n\n| training reads | {' | '.join(DATA)} | mean | ahead in |\n|---|{'---|' * (len(DATA) + 2)}"
        )
        for setting in SETTINGS:
            is_base = setting == "no labels"
            found = (table if is_base else gains)[setting]
            sign = "" if is_base else "+"
            cells = [f"{found.loc[name].mean():{sign}.1f} ± {found.loc[name].std():.1f}" for name in DATA]
            ahead = "" if is_base else f"{(found > 0).sum()}/{found.count()}"
            print(f"| {setting} | {' | '.join(cells)} | {found.mean():{sign}.1f} | {ahead} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/partly.jsonl"))
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
