"""The neighbours of the method in the literature, each as a target or a weight: does it help where it should?

    python -m benchmarks.neighbours                  # all four, half an hour on one core
    python -m benchmarks.neighbours --what domains   # one of relational, tails, labelled, domains
    python -m benchmarks.neighbours --trials         # the settings of the targets, tried on other seeds

Prints tables in Markdown, which docs/evidence/neighbours.md holds. Needs the packages of the extra "bench".

Each fit takes 300 steps of 128 rows with a small encoder, the same for all methods; what is compared differs in the
target or in weights alone. The settings of a target are the best of ``--trials``, on other seeds. A seed draws the
split and is the random_state of the fit.
"""

import numpy as np

from . import _neighbours
from ._data import LABELS, RATIO
from ._jobs import Job, Results, job_parser, measured, options_of, parsed, run_main
from ._neighbours import (
    ADAPTERS,
    DIGIT_DOMAINS,
    DOMAIN_TARGETS,
    LABELLED_METHODS,
    NEIGHBOURS,
    RELATIONAL,
    SHIFTS,
    TAILS,
    run_domains,
    run_labelled,
    run_relational,
    run_tails,
)
from ._printing import about, cell, table
from ._statistics import differences_as_text, points

SEEDS, TRIED_ON = range(5), (100, 101)
DATA = {
    "relational": ("digits", "letter"),
    "tails": ("mnist", "letter"),
    "labelled": ("digits", "letter"),
    "domains": (*DIGIT_DOMAINS, *SHIFTS),
}
RUN = {"relational": run_relational, "tails": run_tails, "labelled": run_labelled, "domains": run_domains}
SCORES = {"few": f"{LABELS} labels a class", "all": "all labels", "knn": f"{NEIGHBOURS} neighbours"}

# ------------------------------------------------------------------------------------------------------------- jobs


def relational_jobs(seeds, quick):
    for seed in seeds:
        for data in DATA["relational"]:
            for views, method in RELATIONAL:
                yield Job(data, method, seed, options_of(views=views), quick)


def jobs_of(what, seeds, quick):
    if what == "relational":
        yield from relational_jobs(seeds, quick)
        return
    methods = {"tails": TAILS, "labelled": LABELLED_METHODS, "domains": DOMAIN_TARGETS}[what]
    for seed in seeds:
        for data in DATA[what]:
            for method in methods:
                yield Job(data, method, seed, (), quick)


# ----------------------------------------------------------------------------------------------------------- trials

EPSILONS, WEIGHTS = (0.02, 0.05), {"relational": (0.3, 1.0), "labelled": (0.7, 2.0), "domains": (0.7, 2.0)}


def trial_jobs(what, quick):
    """The target of a section at each of its settings, on the seeds that these are chosen on."""
    given = [{"epsilon": e, "weight": w} for e in EPSILONS for w in WEIGHTS.get(what, ())]
    for seed in TRIED_ON[: 1 if quick else None]:
        if what == "relational":
            for data in DATA[what]:
                for views in ("clean, standard", "clean, strong"):
                    for options in given:
                        yield Job(data, "relational", seed, options_of(views=views, **options), quick)
        elif what != "tails":
            method = {"labelled": "LabelledTransportTarget", "domains": "TransportTarget"}[what]
            for data in DATA[what][:2]:
                for options in given:
                    yield Job(data, method, seed, options_of(**options), quick)


def report_trials(what, records):
    """Mean score of each setting over sets and seeds, the best first."""
    score = {"relational": "few", "labelled": "labelled", "domains": "none"}[what]
    found = {}
    for job, record in records.items():
        given = tuple((name, value) for name, value in job.options if name != "views")
        found.setdefault(given, []).append(100 * record[score])
    rows = [
        [", ".join(f"{name} {value:g}" for name, value in given), f"{np.mean(values):.1f}"]
        for given, values in sorted(found.items(), key=lambda item: -np.mean(item[1]))
    ]
    table(f"Settings tried, {what}: mean accuracy in %", ["", SCORES.get(score, "accuracy")], rows)


# -------------------------------------------------------------------------------------------------------- reporting


def report(what, results):
    """Tables of one section."""
    {"relational": report_relational, "tails": report_tails, "labelled": report_labelled, "domains": report_domains}[
        what
    ](results)


def report_relational(results):
    for data in DATA["relational"]:
        rows = [
            [method, views, *(cell(results.of(score, data, method, (("views", views),))) for score in SCORES)]
            for views, method in RELATIONAL
        ]
        table(f"Relational, {data}: accuracy in %", [f"target, {data}", "views", *SCORES.values()], rows)
    lines = [(d, views, method) for d in DATA["relational"] for views, method in RELATIONAL if "rel" in method]
    gains = [
        [
            points(
                results.of(score, data, method, (("views", views),)),
                results.of(score, data, "pairs", (("views", views),)),
            ).values()
            for score in SCORES
        ]
        for data, views, method in lines
    ]
    rows = [[*line, *row] for line, row in zip(lines, differences_as_text(gains, RATIO), strict=True)]
    table("Relational: points above pairs", ["set", "views", "target", *SCORES.values()], rows)


def report_gains(title, results, data, methods, base, scores, name=str):
    """Accuracy of the base, and points above it."""
    rows = [
        [name(base), *(cell(results.of(score, one, base, ())) for one in data for score in scores)],
    ]
    others = [method for method in methods if method != base]
    gains = [
        [points(results.of(s, one, m, ()), results.of(s, one, base, ())).values() for one in data for s in scores]
        for m in others
    ]
    rows += [[name(m), *row] for m, row in zip(others, differences_as_text(gains, RATIO), strict=True)]
    table(title, ["", *(f"{one}, {text}" if text else one for one in data for text in scores.values())], rows)


def report_tails(results):
    scores = {"balanced": "all classes", "tail": "tail third"}
    title = "Long tails: points above equal weights"
    report_gains(title, results, DATA["tails"], TAILS, "equal", scores)
    rows = [[data, cell(results.of("correlation", data, "1 / size", ()), 1, 2)] for data in DATA["tails"]]
    table("Long tails: correlation of log sizes", ["", "correlation"], rows)


def report_labelled(results):
    title = "Biased labels: points above no target"
    report_gains(title, results, DATA["labelled"], LABELLED_METHODS, "no target", {"labelled": ""})
    title = 'Biased labels: points above target="labels"'
    methods = ['target="labels"', "LabelledTransportTarget"]
    report_gains(title, results, DATA["labelled"], methods, methods[0], {"labelled": ""})


def report_domains(results):
    for group, data in (("digits", DIGIT_DOMAINS), ("shifts of skada", SHIFTS)):
        lines = [(m, a) for m in DOMAIN_TARGETS for a in (ADAPTERS if m != "DomainsTarget" else ADAPTERS[:1])]
        rows = [[m, a, *(cell(results.of(a, one, m, ())) for one in data)] for m, a in lines]
        table(f"Across domains, {group}: accuracy in %", ["embedding", "adapter", *data], rows)
        base = {one: results.of("none", one, "no target", ()) for one in data}
        gains = [[points(results.of(a, one, m, ()), base[one]).values() for one in data] for m, a in lines]
        rows = [[*line, *row] for line, row in zip(lines, differences_as_text(gains, RATIO), strict=True)]
        rows = [row for row in rows if row[:2] != ["no target", "none"]]
        title = f"Across domains, {group}: points above the embedding without target or adapter"
        table(title, ["embedding", "adapter", *data], rows)
        gains = [
            [
                points(results.of(a, one, "TransportTarget", ()), results.of(a, one, "no target", ())).values()
                for one in data
            ]
            for a in ADAPTERS
        ]
        rows = [[a, *row] for a, row in zip(ADAPTERS, differences_as_text(gains, RATIO), strict=True)]
        title = f"Across domains, {group}: points of TransportTarget"
        table(title, ["adapter", *data], rows)


def main():
    parser = job_parser(__doc__, "neighbours", data=sorted({name for names in DATA.values() for name in names}), jobs=1)
    parser.add_argument("--what", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--trials", action="store_true", help="try settings on other seeds instead")
    given = parsed(parser, usual={"seeds": SEEDS}, quick={"seeds": (0, 1)})
    about(f"seeds {given.seeds}", f"{_neighbours.STEPS} steps of {_neighbours.BATCH} rows")
    for what in given.what:
        jobs = trial_jobs(what, given.quick) if given.trials else jobs_of(what, given.seeds, given.quick)
        jobs = [job for job in jobs if not given.data or job.data in given.data]
        records = measured(RUN[what], jobs, given, protocol=(*_neighbours.PROTOCOL, what), packages=("skada",))
        if given.trials and what != "tails":
            report_trials(what, records)
        elif not given.trials:
            report(what, Results(records, by=lambda job: (job.data, job.method, job.options)))


if __name__ == "__main__":
    run_main(__spec__)
