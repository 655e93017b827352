"""Tables of what family.py has measured."""

import numpy as np

from ._printing import cell, table
from ._statistics import differences_as_text
from .family import BASELINES, EPSILON, LOSSES, SCORES, TEST_SHARE, VIEWS

RATIO = TEST_SHARE / (1 - TEST_SHARE)  # of test rows to training rows
TITLES = {**SCORES, "across": "across domains", "domain": "domain itself", "rank": "effective rank"}


class Results:
    """Records of an experiment by (data, views, method, options), each a list over seeds."""

    def __init__(self, jobs, records):
        self.found = {}
        for job in jobs:
            if job.key in records:
                self.found.setdefault((job.data, job.views, job.method, job.options), {})[job.seed] = records[job.key]

    def of(self, score, data, views, method, options=()):
        return {seed: record[score] for seed, record in self.found.get((data, views, method, options), {}).items()}

    def less(self, score, data, views, method, other, options=(), others=()):
        """Differences to another method, whose options are ``others``, on the same seeds."""
        ours, theirs = self.of(score, data, views, method, options), self.of(score, data, views, other, others)
        return {seed: ours[seed] - theirs[seed] for seed in ours if seed in theirs}


def points(differences):
    return [100 * value for value in differences.values()]


def named(method, given):
    if "target" in dict(given):
        return f"alpha - beta = {dict(given)['alpha'] - dict(given)['beta']:g}"
    return " ".join([f"`{method}`", *(f"{name}={value}" for name, value in given)])


def report_defaults(results):
    settings = list(dict.fromkeys(key[:2] for key in results.found))
    rows = list(dict.fromkeys(key[2:] for key in results.found))
    for score in ("few", "all"):
        lines = []
        for method, given in rows:
            gains = [results.less(score, *setting, method, "ince", given) for setting in settings]
            total = [value for gain in gains for value in gain.values()]
            cells = [cell(results.of(score, *setting, method, given)) for setting in settings]
            lines.append([named(method, given), *cells, f"{100 * np.mean(total):+.2f}" if total else ""])
        head = ["loss", *(f"{data}, {views}" for data, views in settings), "mean less `ince`"]
        table(f"Defaults: accuracy in %, {SCORES[score]}", head, lines)


def report_table(results):
    data = list(dict.fromkeys(key[0] for key in results.found))
    settings = [(name, views) for views in VIEWS for name in data]
    head = ["", *(f"{name}, {views}" for name, views in settings)]
    columns = [(name, score) for score in SCORES for name in data]
    rows = [[b, *(cell(results.of(score, name, "none", b)) for name, score in columns)] for b in BASELINES]
    table("Accuracy in % without contrastive training", ["", *(f"{n}, {SCORES[s]}" for n, s in columns)], rows)
    for score, title in SCORES.items():
        rows = [[f"`{loss}`", *(cell(results.of(score, *s, loss)) for s in settings)] for loss in LOSSES]
        table(f"Accuracy in %, {title}", head, rows)
    for score, title in SCORES.items():
        others = [loss for loss in LOSSES if loss != "ince"]
        gains = [[points(results.less(score, *s, loss, "ince")) for s in settings] for loss in others]
        cells = differences_as_text(gains, RATIO)
        rows = [[f"`{loss}`", *row] for loss, row in zip(others, cells, strict=True)]
        table(f"Points above `ince` on the same seed (p, * by Holm), {title}", head, rows)
    report_orderings(results, data)
    measures = (("rank", "effective rank"), ("alignment", "alignment"), ("uniformity", "uniformity"))
    columns = [(name, score) for score, _ in measures for name in data]
    rows = [
        [f"`{loss}`", *(cell(results.of(s, n, "standard", loss), 1, 1 if s == "rank" else 2) for n, s in columns)]
        for loss in LOSSES
    ]
    table("Geometry of the test rows, standard views", ["", *(f"{n}, {dict(measures)[s]}" for n, s in columns)], rows)
    rows = [[f"`{loss}`", *(cell(results.of("seconds", *s, loss), 1) for s in settings)] for loss in LOSSES]
    table("Seconds of a fit", head, rows)


ORDERINGS = (
    ("gca_ince", "ince"),
    ("gca_uot", "ince"),
    ("gca_uot", "gca_ince"),
    ("gca_rince", "gca_ince"),
    ("rince", "ince"),
    ("gca_rince", "rince"),
    ("gca_uot", "gca_rince"),
    ("ince", "byol"),
    ("ince", "iot"),
    ("ince", "iot_uni"),
    ("gca_ince", "iot"),
    ("supcon", "ince"),
)


def report_orderings(results, data):
    """Differences averaged over the datasets; spread over seeds of that average, and how many single fits agree."""
    settings = [(score, views) for score in ("all", "few") for views in VIEWS]
    means, won = [], []
    for method, other in ORDERINGS:
        gains = [[results.less(score, name, views, method, other) for name in data] for score, views in settings]
        averages = [mean_of(of) for of in gains]
        single = [[gain[s] for gain in of for s in average] for of, average in zip(gains, averages, strict=True)]
        won.append([f"{sum(value > 0 for value in of)}/{len(of)}" for of in single])
        means.append([points(average) for average in averages])
    lines = [
        [f"`{method}` > `{other}`", *(f"{mean}, {share}" for mean, share in zip(row, shares, strict=True))]
        for (method, other), row, shares in zip(
            ORDERINGS, differences_as_text(means, RATIO, digits=2), won, strict=True
        )
    ]
    head = ["claim", *(f"{views}, {SCORES[score]}" for score, views in settings)]
    table("Points between two losses, mean of the sets (p, * by Holm), and wins among single fits", head, lines)


def report_strong(results):
    """Differences of gca_uot set by set, and averaged over the sets."""
    data = list(dict.fromkeys(key[0] for key in results.found))
    others, gains = ("ince", "gca_ince"), []
    for other in others:
        of_sets = {s: [results.less(s, name, "strong", "gca_uot", other) for name in data] for s in SCORES}
        gains.append([points(of) for gain in of_sets.values() for of in (mean_of(gain), *gain)])
    rows = [[f"`{o}`", *row] for o, row in zip(others, differences_as_text(gains, RATIO), strict=True)]
    head = ["", *(f"{name}, {title}" for title in SCORES.values() for name in ("mean of the sets", *data))]
    table("Points of `gca_uot` above another loss, strong views, further seeds (p, * by Holm)", head, rows)


def mean_of(gains):
    """Mean over datasets of each seed that all of them have."""
    seeds = [seed for seed in next(iter(gains), ()) if all(seed in gain for gain in gains)]
    return {seed: np.mean([gain[seed] for gain in gains]) for seed in seeds}


def report_domains(results):
    report_rows(results, "Domains")
    columns = {"all": SCORES["all"], "few": SCORES["few"], "across": TITLES["across"], "domain": TITLES["domain"]}
    report_against(results, "Points above alpha - beta = 0 on the same seed", columns, {"alpha": 0.0, "beta": 0.0})


def report_iterations(results):
    report_rows(results, "Iterations")
    report_against(results, "Points above one iteration on the same seed", SCORES, {"n_iter": 1})


def report_epsilon(results):
    report_rows(results, "Epsilon")
    at = {"epsilon": EPSILON, "marginals": EPSILON}  # rho goes with epsilon where it is set
    report_against(results, f"Points above epsilon {EPSILON} on the same seed", SCORES, at)


def report_against(results, title, columns, values):
    """Differences of each method to itself with some of its options at other values."""
    names, gains = [], []
    for data, views, method, given in results.found:
        base = tuple((name, values.get(name, value)) for name, value in given)
        if base != given:
            names.append(named(method, given))
            gains.append([points(results.less(s, data, views, method, method, given, base)) for s in columns])
    rows = [[name, *row] for name, row in zip(names, differences_as_text(gains, RATIO), strict=True)]
    table(f"{title} (p, * by Holm)", ["", *columns.values()], rows)


def report_rows(results, title):
    """One line for each method and its options: iterations, epsilon, domains."""
    present = [s for s in TITLES if any(s in r for by_seed in results.found.values() for r in by_seed.values())]
    lines = []
    for (data, views, method, given), _ in results.found.items():
        name = method if method in BASELINES else named(method, given)
        values = [results.of(s, data, views, method, given) for s in present]
        lines.append([name, *(cell(v, *((1, 1) if s == "rank" else ())) for s, v in zip(present, values, strict=True))])
    head = ["", *(TITLES[score] for score in present)]
    table(f"{title}: accuracy in %", head, lines)


REPORTS = {
    "defaults": report_defaults,
    "table": report_table,
    "strong": report_strong,
    "iterations": report_iterations,
    "epsilon": report_epsilon,
    "domains": report_domains,
}
