"""What single settings are worth against the default: from the fits of scores.py, the table of docs/guide/choosing.md.

    python tests/benchmarks/scores.py                        # makes the fits
    python tests/benchmarks/settings.py --out build/scores   # reads their accuracies, fits nothing

A setting is compared with the default of the same epsilon, on the same split and seeds; the mean of the seeds counts.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from quality import DATA, IMAGES
from scipy.stats import wilcoxon
from scores import SEEDS, SPLIT_SEED, Job, grid

KINDS = {"all": "all labels", "few": "10 labels a class"}
SIZES = ("hidden", "width")  # settings that were tried at other epsilons than the default's


def accuracies(folder):
    """Accuracy in % by set, setting and kind of probe, the mean of the seeds."""
    records = []
    for name in DATA:
        for setting in grid("images" if name in IMAGES else "table"):
            for seed in SEEDS:
                job = Job(name, setting, seed, SPLIT_SEED, False, folder)
                if job.path.exists():
                    with np.load(job.path) as kept:
                        found = {kind: 100 * float(kept[f"whole {kind}"]) for kind in KINDS}
                    records.append({"data": name, "setting": setting, **found})
    return pd.DataFrame(records).groupby(["setting", "data"]).mean()


def base_of(setting, options):
    """The default at the epsilon of a setting."""
    epsilon = options.get("epsilon", 0.5) if setting.split()[0] in SIZES else 0.5
    return f"gca_ince {epsilon} balanced"


def text_of(options):
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def cell(gains):
    """Mean, bold where a signed rank test over the sets tells it from 0, with the worst and the best set."""
    told = len(gains) > 5 and (gains != 0).any() and wilcoxon(gains).pvalue < 0.05
    mean = f"{gains.mean():+.1f}"
    return f"{f'**{mean}**' if told else mean} ({gains.min():+.1f} to {gains.max():+.1f})" if len(gains) else ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/scores"), help="folder of the fits of scores.py")
    found = accuracies(parser.parse_args().out)
    settings = {**grid("table"), **grid("images")}
    columns = [f"{where}, {kind}" for where in ("tables", "images") for kind in KINDS.values()]
    print(f"| setting | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for setting, options in settings.items():
        base = base_of(setting, options)
        if setting == base:
            continue
        gains = (found.loc[setting] - found.loc[base]).dropna()
        image = gains.index.isin(IMAGES)
        cells = [cell(gains.loc[rows, kind]) for rows in (~image, image) for kind in KINDS]
        print(f"| `{text_of(options)}` | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
