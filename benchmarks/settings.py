"""What single settings are worth against the default: from the fits of scores.py, the table of docs/guide/choosing.md.

    python -m benchmarks.scores     # makes the fits
    python -m benchmarks.settings   # reads their accuracies, fits nothing

A setting is compared with the default of the same epsilon, on the same split and seeds; the mean of the seeds counts.
"""

import numpy as np
import pandas as pd

from ._data import IMAGES, SCORES
from ._printing import about, table
from ._statistics import holm, p_text, signed_rank
from .scores import given_of, grid, records_of

SIZES = ("hidden", "width")  # settings that were tried at other epsilons than the default's


def accuracies(records):
    """Accuracy in % by setting and set, and kind of probe; the mean of the seeds."""
    rows = [
        {"data": job.data, "setting": job.method, **{kind: 100 * record[f"whole {kind}"] for kind in SCORES}}
        for job, record in records.items()
    ]
    return pd.DataFrame(rows).groupby(["setting", "data"]).mean()


def base_of(setting, options):
    """The default at the epsilon of a setting."""
    epsilon = options.get("epsilon", 0.5) if setting.split()[0] in SIZES else 0.5
    return f"gca_ince {epsilon} balanced"


def text_of(options):
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def mean_and_range(gains):
    """Mean, with the worst and the best set."""
    return f"{gains.mean():+.1f} ({gains.min():+.1f} to {gains.max():+.1f})" if len(gains) else ""


def main():
    given = given_of(__doc__)
    given.report = True
    records = records_of(given)
    if not records:
        raise SystemExit(f"{given.out} has no fits for these versions: python -m benchmarks.scores makes them")
    found = accuracies(records)
    settings = {**grid("table"), **grid("images")}
    names, cells, p_values = [], [], []
    for setting, options in settings.items():
        base = base_of(setting, options)
        if setting == base or not {setting, base} <= set(found.index.get_level_values("setting")):
            continue
        gains = (found.loc[setting] - found.loc[base]).dropna()
        image = gains.index.isin(IMAGES)
        names.append(f"`{text_of(options)}`")
        cells.append([mean_and_range(gains.loc[rows, kind]) for rows in (~image, image) for kind in SCORES])
        p_values.append([signed_rank(gains.loc[~image, kind]) if (~image).any() else np.nan for kind in SCORES])
    flat = np.ravel(p_values)
    adjusted = iter(f"{p_text(p)} / {p_text(q)}".strip(" /") for p, q in zip(flat, holm(flat), strict=True))
    rows = []
    for name, (all_tables, few_tables, *images) in zip(names, cells, strict=True):
        rows.append([name, all_tables, next(adjusted), few_tables, next(adjusted), *images])
    about(f"seeds {given.seeds}, split by seed {given.split_seed}")
    head = [part for kind in SCORES.values() for part in (f"tables, {kind}", "p / by Holm")]
    table("Points above the default", ["setting", *head, *(f"images, {kind}" for kind in SCORES.values())], rows)


if __name__ == "__main__":
    main()
