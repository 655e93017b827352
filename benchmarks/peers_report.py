"""Tables of what peers.py has measured."""

from ._data import RATIO, SCORES
from ._printing import about, cell, table, version
from ._statistics import differences_as_text, points
from .quality_report import Comparison, extent, report_duels, report_seconds

OURS = "gca"
EXTRA = ("CEBRA, all iterations",)  # run on some sets only, to see what a shorter training loses


def report_differences(results, score):
    others, rows = [method for method in results.methods if method != OURS], []
    for name in results.data:
        ours = results.of(score, OURS, name)
        rows.append([points(ours, results.of(score, method, name)).values() for method in others])
    cells = differences_as_text(rows, RATIO, spread=False)
    rows = [[name, *row] for name, row in zip(results.data, cells, strict=True)]
    table(f"Points of gca above each, {SCORES[score]}", ["", *others], rows)


def report_accuracies(results, score):
    rows = [[name, *(cell(results.of(score, m, name)) for m in results.methods)] for name in results.data]
    shared = results.shared(results.data)
    means = [f"{results.means(score, method, shared).mean():.1f}" for method in results.methods]
    rows.append([f"mean of {len(shared)} sets", *means])
    table(f"Accuracy in %, {SCORES[score]}", ["", *results.methods], rows)


def report_memory(results):
    rows = [[name, *(cell(results.of("MiB", m, name), 1.0, 0) for m in results.methods)] for name in results.data]
    table("Most memory during the fit, MiB", ["", *results.methods], rows)


def report_failures(failed):
    if failed:
        rows = [[job.method, job.data, job.seed, f"`{error.splitlines()[0]}`"] for job, error in failed.items()]
        table("What failed", ["", "data", "seed", "message"], rows)
    else:
        table("What failed", ["nothing"], [])


def report(records, n_jobs, packages, quick):
    failed = {job: record["error"] for job, record in records.items() if "error" in record}
    good = {job: record for job, record in records.items() if job not in failed}
    main, extra = (Comparison({j: r for j, r in good.items() if (j.method in EXTRA) == is_}) for is_ in (False, True))
    others = [f"{name} {version(name)}" for name in packages if version(name)]
    about(", ".join(others), *extent(records, n_jobs))
    for score in SCORES:
        report_accuracies(main, score)
        report_differences(main, score)
    report_duels(main, main.data, "sets")
    report_seconds(main, quick)
    report_memory(main)
    report_failures(failed)
    for method in extra.methods:
        rows = []
        for name in extra.data:
            seconds = cell(extra.of("seconds", method, name), 1.0)
            rows.append([name, *(cell(extra.of(score, method, name)) for score in SCORES), seconds])
        table(method, ["", *(f"accuracy in %, {title}" for title in SCORES.values()), "seconds of a fit"], rows)
