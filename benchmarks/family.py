"""The family of losses side by side: frozen encoder, linear probe and nearest neighbours, several seeds.

    python -m benchmarks.family                   # all of it, an hour and a quarter on two cores
    python -m benchmarks.family --what table      # or: defaults, strong, iterations, epsilon, domains

Prints tables in Markdown, which docs/evidence/family.md holds. Needs the packages of the extra "bench".

One protocol for everything: a seed draws the stratified 70/30 split and is the random_state of the fit. The encoder
sees the training rows without labels (supcon: with), is frozen, and embeds training and test rows. A standardised
logistic regression reads the labels of all training rows, or of 10 a class; 5 nearest neighbours by cosine read all.
Losses differ by their name alone, and see the same split, weights at the start, batches and labelled rows.
"""

import numpy as np

from ._data import RATIO, SCORES, TEST_SHARE
from ._jobs import Job, Results, job_parser, measured, options_of, parsed, run_main
from ._printing import about, cell, table
from ._statistics import differences_as_text, mean_of_sets, points
from .family_fits import (
    BASELINES,
    BATCH,
    EPSILON,
    LOSSES,
    N_COMPONENTS,
    NEIGHBOURS,
    PROTOCOL,
    QUICK_STEPS,
    STEPS,
    load,
    run,
)

DATA, VIEWS = ("mnist", "letter", "vowel"), ("standard", "strong", "mis-paired")
SEEDS = range(5)
SEEDS_OF = {"defaults": range(100, 103), "strong": range(200, 220)}  # seeds that no other experiment sees
SCORES = {**SCORES, "knn": f"{NEIGHBOURS} neighbours"}
TITLES = {**SCORES, "across": "across domains", "domain": "domain itself", "rank": "effective rank"}


# --------------------------------------------------------------------------------------------------- experiments

UOT_GRID = (
    *({"kl": kl, "marginals": rho} for kl in ("mass", "rows") for rho in (0.1, 0.5, 1.0, 5.0)),
    *(
        {"kl": kl, "marginals": rho, "rince_weight": weight}
        for kl in ("mass", "rows")
        for rho in (0.5, 5.0)
        for weight in (0.02, 1.0)
    ),
)
DEFAULTS_GRID = (
    ("ince", {}),
    ("gca_ince", {}),
    *(("gca_uot", given) for given in UOT_GRID),
    *((name, {"q": q}) for name in ("rince", "gca_rince") for q in (0.1, 0.3, 0.6, 0.9)),
    *(("iot_uni", {"uniformity_weight": weight}) for weight in (0.01, 0.1, 1.0)),
)
ITERATIONS, EPSILONS = (1, 3, 5, 7, 9, 11), (0.1, 0.2, 0.5, 1.0)
PRIORS = (-0.5, -0.25, -0.02, -0.005, -0.001, 0.0, 0.001, 0.005, 0.02, 0.25, 0.5)  # alpha - beta


def jobs_of(what, seeds, data, quick):
    """Jobs of an experiment, all methods of a seed before the next seed."""
    for seed in seeds:
        for name, views, method, given in EXPERIMENTS[what](data):
            yield Job(name, method, seed, options_of(views=views, **given), quick)


def defaults_jobs(data):
    for name in data:
        for loss, given in DEFAULTS_GRID:
            yield name, "standard", loss, given
    for loss, given in DEFAULTS_GRID:
        if loss != "iot_uni" and not (loss == "gca_uot" and "rince_weight" in given):
            yield data[0], "mis-paired", loss, given


def table_jobs(data):
    for name in data:
        for baseline in BASELINES:
            yield name, "none", baseline, {}
        for views in VIEWS:
            for loss in LOSSES:
                yield name, views, loss, {}


def strong_jobs(data):
    """What the table suggests of gca_uot, asked again on seeds that it has not seen."""
    for name in data:
        for loss in ("gca_uot", "ince", "gca_ince"):
            yield name, "strong", loss, {}


def iterations_jobs(data):
    for epsilon in (0.5, 0.1):
        for n_iter in ITERATIONS:
            yield "mnist", "standard", "gca_ince", {"sinkhorn_n_iter": n_iter, "epsilon": epsilon}


def epsilon_jobs(data):
    for epsilon in EPSILONS:
        for loss in ("ince", "rince", "gca_ince", "gca_uot"):
            yield "mnist", "standard", loss, {"epsilon": epsilon}
        for given in ({"kl": "rows"}, {"kl": "rows", "marginals": epsilon}, {"kl": "mass", "marginals": epsilon}):
            yield "mnist", "standard", "gca_uot", {"epsilon": epsilon, **given}


def domains_jobs(data):
    for baseline in ("raw features", "untrained encoder"):
        yield "two domains", "none", baseline, {}
    for prior in PRIORS:
        given = {"target": "domains", "alpha": max(prior, 0.0), "beta": max(0.0, -prior)}
        yield "two domains", "standard", "gca_ince", given


EXPERIMENTS = {
    "defaults": defaults_jobs,
    "table": table_jobs,
    "strong": strong_jobs,
    "iterations": iterations_jobs,
    "epsilon": epsilon_jobs,
    "domains": domains_jobs,
}


# ------------------------------------------------------------------------------------------------------- reports


def what_of(job):
    options = dict(job.options)
    return job.data, options.pop("views"), job.method, options_of(**options)


class Family(Results):
    """Records by data, views, method and its other options."""

    def of(self, score, data, views, method, options=()):
        return super().of(score, data, views, method, options)

    def less(self, score, data, views, method, other, options=(), others=()):
        """Differences to another method, whose options are ``others``, on the same seeds, in points."""
        ours, theirs = self.of(score, data, views, method, options), self.of(score, data, views, other, others)
        return points(ours, theirs)


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
            lines.append([named(method, given), *cells, f"{np.mean(total):+.2f}" if total else ""])
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
        gains = [[results.less(score, *s, loss, "ince").values() for s in settings] for loss in others]
        cells = differences_as_text(gains, RATIO)
        rows = [[f"`{loss}`", *row] for loss, row in zip(others, cells, strict=True)]
        table(f"Points above `ince`, {title}", head, rows)
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
        averages = [mean_of_sets(of) for of in gains]
        single = [[gain[s] for gain in of for s in average] for of, average in zip(gains, averages, strict=True)]
        won.append([f"{sum(value > 0 for value in of)}/{len(of)}" for of in single])
        means.append([average.values() for average in averages])
    lines = [
        [f"`{method}` > `{other}`", *(f"{mean}, {share}" for mean, share in zip(row, shares, strict=True))]
        for (method, other), row, shares in zip(
            ORDERINGS, differences_as_text(means, RATIO, digits=2), won, strict=True
        )
    ]
    head = ["claim", *(f"{views}, {SCORES[score]}" for score, views in settings)]
    table("Points between two losses", head, lines)


def report_strong(results):
    """Differences of gca_uot set by set, and averaged over the sets."""
    data = list(dict.fromkeys(key[0] for key in results.found))
    others, gains = ("ince", "gca_ince"), []
    for other in others:
        of_sets = {s: [results.less(s, name, "strong", "gca_uot", other) for name in data] for s in SCORES}
        gains.append([of.values() for gain in of_sets.values() for of in (mean_of_sets(gain), *gain)])
    names = [f"{name}, {title}" for title in SCORES.values() for name in ("mean of the sets", *data)]
    rows = zip(names, *differences_as_text(gains, RATIO), strict=True)
    table("Points of `gca_uot`, strong views, further seeds", ["", *(f"above `{o}`" for o in others)], rows)


def report_domains(results):
    report_rows(results, "Domains")
    columns = {"all": SCORES["all"], "few": SCORES["few"], "across": TITLES["across"], "domain": TITLES["domain"]}
    report_against(results, "Points above alpha - beta = 0", columns, {"alpha": 0.0, "beta": 0.0})


def report_iterations(results):
    report_rows(results, "Iterations")
    report_against(results, "Points above one iteration", SCORES, {"sinkhorn_n_iter": 1})


def report_epsilon(results):
    report_rows(results, "Epsilon")
    at = {"epsilon": EPSILON, "marginals": EPSILON}  # rho goes with epsilon where it is set
    report_against(results, f"Points above epsilon {EPSILON}", SCORES, at)


def report_against(results, title, columns, values):
    """Differences of each method to itself with some of its options at other values."""
    names, gains = [], []
    for data, views, method, given in results.found:
        base = tuple((name, values.get(name, value)) for name, value in given)
        if base != given:
            names.append(named(method, given))
            gains.append([results.less(s, data, views, method, method, given, base).values() for s in columns])
    rows = [[name, *row] for name, row in zip(names, differences_as_text(gains, RATIO), strict=True)]
    table(title, ["", *columns.values()], rows)


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


# ------------------------------------------------------------------------------------------------------- running


def describe(what, seeds, quick):
    """Print what an experiment sees."""
    rows = {name: len(load(name)[1]) for name in (("two domains",) if what == "domains" else DATA)}
    steps = f"{1 - TEST_SHARE:.0%} of them to train; {QUICK_STEPS if quick else STEPS} steps of {BATCH} rows"
    print(f"\n{what}: {', '.join(f'{name} {n} rows' for name, n in rows.items())}; {steps}; seeds {list(seeds)}")


def main():
    parser = job_parser(__doc__, "family", data=DATA)
    parser.add_argument("--what", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS))
    given = parsed(parser, usual={"data": DATA}, quick={"data": DATA[::2]})
    about(f"{N_COMPONENTS} components, epsilon {EPSILON} unless said")
    for what in given.what:
        seeds = given.seeds or SEEDS_OF.get(what, SEEDS)[: 2 if given.quick else None]
        records = measured(run, list(jobs_of(what, seeds, given.data, given.quick)), given, protocol=PROTOCOL)
        describe(what, seeds, given.quick)
        REPORTS[what](Family(records, by=what_of))


if __name__ == "__main__":
    run_main(__spec__)
