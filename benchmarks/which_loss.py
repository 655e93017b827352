"""Which loss is worth its name when views or rows are not as they should be: each at its own best settings.

    python -m benchmarks.which_loss                    # all of it, an hour and a quarter on two cores
    python -m benchmarks.which_loss --data digits      # one set

Prints tables in Markdown, which docs/evidence/which_loss.md holds. Needs the packages of the extra "bench".

A situation (_situations.py) is that of pairs of which a share is wrong, always the same ones or others in each batch;
of rows that belong to no class; of classes of very different sizes; of views that leave little of a row. For each set
and situation, and each loss, epsilon, marginals and the loss's options are those of the best accuracy with ten labels a
class on other seeds; where a share of the pairs is wrong they are chosen at 40%. Then ten seeds are run: a seed draws
split, measurements and wrong pairs, and is the random_state of the fit, the same for all losses.
"""

import math
import warnings

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder

from . import _data, _situations
from ._data import LABELS, RATIO, accuracy
from ._jobs import Job, Results, job_parser, measured, options_of, parsed, run_main
from ._printing import about, table
from ._situations import ENCODER, MEASURED, SETS, SITUATIONS, STRONG, pairs_of
from ._statistics import differences_as_text, mean_of_sets, points

SEEDS, CHOSEN_ON = range(10), (200, 201)
STEPS, QUICK_STEPS, QUICK_ROWS, BATCH = 300, 5, 200, 128
NEIGHBOURS = 15
EPSILONS = (0.1, 0.25, 0.5, 1.0)
RHOS, QS = (0.5, 1.0, 5.0), (0.3, 0.6)
SCORES = {"few": f"{LABELS} labels a class", "all": "all labels", "knn": f"{NEIGHBOURS} neighbours"}
DEFAULT = "gca_ince as it comes"
WRONG = tuple(name for name in SITUATIONS if "wrong" in name)
GROUPS = {"wrong pairs": ("as they are", *WRONG), "rows and views": tuple(s for s in SITUATIONS if s not in WRONG)}
BASELINES = ("raw columns", "untrained encoder", DEFAULT)
PROTOCOL = (
    *_data.PROTOCOL,
    *(STEPS, BATCH, NEIGHBOURS, str(ENCODER), str(MEASURED), str(STRONG)),
    *(_situations.MOST_ROWS, _situations.NO_CLASS, _situations.IMBALANCE),
)


def grid(epsilons, **options):
    """Options of each epsilon with each value of each option."""
    found = [{"epsilon": epsilon} for epsilon in epsilons]
    for name, values in options.items():
        found = [{**given, name: value} for given in found for value in values]
    return found


LOSSES = {
    "ince": grid(EPSILONS),
    "gca_ince": grid(EPSILONS),
    "rince": grid(EPSILONS, q=QS),
    "gca_rince": grid(EPSILONS, q=QS),
    "gca_uot": grid(EPSILONS, marginals=RHOS),
    "gca_uot with rince": grid(EPSILONS, marginals=(1.0,), rince_weight=(1.0,)),
    "iot": grid((0.1, 0.5)),
    "iot_uni": grid((0.1, 0.5)),
    "byol": [{}],
}


# ----------------------------------------------------------------------------------------------------------- fitting


def situation_of(job):
    return dict(job.options)["situation"]


def embedder(job, n_rows, views):
    given = {name: value for name, value in job.options if name != "situation"}
    epochs = max(1, round((QUICK_STEPS if job.quick else STEPS) / math.ceil(n_rows / BATCH)))
    if job.method == "untrained encoder":
        epochs = 0
    elif job.method != DEFAULT:
        given["loss"] = job.method.split()[0]
    options = {**ENCODER, "views": views, "max_epochs": epochs, "batch_size": BATCH, "random_state": job.seed}
    return GCAEmbedder(**options | given)


def run(job):
    """Accuracy with few labels, with all, and of neighbours."""
    warnings.simplefilter("ignore")
    pairs = pairs_of(job.data, situation_of(job), job.seed, QUICK_ROWS if job.quick else None)
    with threadpool_limits(1):
        torch.set_num_threads(1)
        Z, Z_test = pairs.known, pairs.X_test
        if job.method != "raw columns":
            model = embedder(job, len(pairs.X), pairs.views).fit(pairs.X, X_pair=pairs.X_pair)
            Z, Z_test = model.transform(Z), model.transform(Z_test)
        few = [accuracy(Z[rows], pairs.y[rows], Z_test, pairs.y_test) for rows in pairs.few]
        found = {
            "few": np.mean(few),
            "all": accuracy(Z, pairs.y, Z_test, pairs.y_test),
            "knn": KNeighborsClassifier(NEIGHBOURS, metric="cosine").fit(Z, pairs.y).score(Z_test, pairs.y_test),
        }
    return {name: round(float(value), 5) for name, value in found.items()}


def chosen_at(situation):
    """The situation in which the settings are chosen."""
    return f"40% wrong, {situation.split()[-1]}" if "wrong" in situation else situation


def trial_jobs(data, quick):
    """Each loss at each of its settings, on the seeds that these are chosen on."""
    for name in data:
        for situation in dict.fromkeys(map(chosen_at, SITUATIONS)):
            for loss, settings in LOSSES.items():
                for given in settings[:2] if quick else settings:
                    for seed in CHOSEN_ON[: 1 if quick else None]:
                        yield Job(name, loss, seed, options_of(situation=situation, **given), quick)


def best_settings(trials):
    """Options of each loss by set and situation: those of the best mean accuracy with few labels."""
    found = {}
    for job, record in trials.items():
        given = tuple(pair for pair in job.options if pair[0] != "situation")
        found.setdefault((job.data, situation_of(job), job.method), {}).setdefault(given, []).append(record["few"])
    return {key: max(settings, key=lambda given: np.mean(settings[given])) for key, settings in found.items()}


def jobs_of(data, seeds, best, quick):
    for seed in seeds:
        for name in data:
            for situation in SITUATIONS:
                for method in (*BASELINES, *LOSSES):
                    given = dict(best[name, chosen_at(situation), method]) if method in LOSSES else {}
                    yield Job(name, method, seed, options_of(situation=situation, **given), quick)


# --------------------------------------------------------------------------------------------------------- reporting


def report(results, data, best):
    methods = (*BASELINES, *LOSSES)
    others = [method for method in methods if method not in ("ince", *BASELINES[:2])]
    for score, title in SCORES.items():
        for group, situations in GROUPS.items():
            rows = []
            for method in methods:
                means = [mean_of_sets([results.of(score, name, s, method) for name in data]) for s in situations]
                rows.append([f"`{method}`", *(f"{100 * np.mean(list(m.values())):.1f}" if m else "" for m in means)])
            table(f"Accuracy in %, {group}, {title}", ["", *situations], rows)
            gains = [
                [mean_of_sets([less_ince(results, score, n, s, m) for n in data]).values() for s in situations]
                for m in others
            ]
            rows = [[f"`{m}`", *row] for m, row in zip(others, differences_as_text(gains, RATIO), strict=True)]
            table(f"Points above `ince`, {group}, {title}", ["", *situations], rows)
    for name in data:
        for group, situations in GROUPS.items():
            gains = [[less_ince(results, "few", name, s, m).values() for s in situations] for m in others]
            rows = [[f"`{m}`", *row] for m, row in zip(others, differences_as_text(gains, RATIO), strict=True)]
            table(f"Points above `ince`, {group}, {SCORES['few']}, {name}", ["", *situations], rows)
    kinds = list(dict.fromkeys(map(chosen_at, SITUATIONS)))
    rows = [
        [f"`{loss}`", *(settings_text(best, data, kind, loss) for kind in kinds)]
        for loss, settings in LOSSES.items()
        if len(settings) > 1
    ]
    table(f"Settings chosen: {', '.join(data)}", ["", *kinds], rows)


def less_ince(results, score, name, situation, method):
    return points(results.of(score, name, situation, method), results.of(score, name, situation, "ince"))


def settings_text(best, data, kind, loss):
    """What was chosen for each set: epsilon, then rho or q where there is a choice."""
    chosen = [dict(best[name, kind, loss]) for name in data]
    names = [n for n in ("epsilon", "marginals", "q") if (n in chosen[0] and "with" not in loss) or n == "epsilon"]
    return "; ".join(", ".join(f"{given[name]:g}" for name in names) for given in chosen)


def main():
    parser = job_parser(__doc__, "which_loss", data=SETS)
    given = parsed(parser, usual={"data": SETS, "seeds": SEEDS}, quick={"seeds": (0,)})
    about(f"seeds {given.seeds}; settings chosen on {list(CHOSEN_ON)}", f"{STEPS} steps of {BATCH} pairs")
    best = best_settings(measured(run, list(trial_jobs(given.data, given.quick)), given, protocol=PROTOCOL))
    jobs = list(jobs_of(given.data, given.seeds, best, given.quick))
    records = measured(run, jobs, given, protocol=PROTOCOL)
    report(Results(records, by=lambda job: (job.data, situation_of(job), job.method)), given.data, best)


if __name__ == "__main__":
    run_main(__spec__)
