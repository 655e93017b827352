"""Tables of what peers.py has measured."""

from ._printing import PACKAGES, about, cell, table
from ._statistics import differences_as_text
from .quality import RATIO
from .quality_report import SCORES, Results, report_duels, report_seconds

OURS = "gca"
EXTRA = ("CEBRA, all iterations",)  # run on some sets only, to see what a shorter training loses


def report_differences(results, score):
    others, rows = [method for method in results.methods if method != OURS], []
    for name in results.data:
        ours = results.of(score, OURS, name)
        theirs = [results.of(score, method, name) for method in others]
        rows.append([[100 * (ours[seed] - found[seed]) for seed in ours if seed in found] for found in theirs])
    cells = differences_as_text(rows, RATIO, spread=False)
    rows = [[name, *row] for name, row in zip(results.data, cells, strict=True)]
    table(f"Points of gca above each (p, * by Holm), {SCORES[score]}", ["", *others], rows)


def report_accuracies(results, score):
    rows = [[name, *(cell(results.of(score, m, name)) for m in results.methods)] for name in results.data]
    shared = results.shared(results.data)
    means = [f"{results.means(score, method, shared).mean():.1f}" for method in results.methods]
    rows.append([f"mean of {len(shared)} sets", *means])
    table(f"Accuracy in %, {SCORES[score]}", ["", *results.methods], rows)


def report_memory(results):
    rows = [[name, *(cell(results.of("MiB", m, name), 1.0, 0) for m in results.methods)] for name in results.data]
    table("Most memory during the fit, MiB above the process after its imports", ["", *results.methods], rows)


def report_failures(failed):
    if failed:
        rows = [[r["method"], r["data"], r["seed"], f"`{r['error'].splitlines()[0]}`"] for r in failed]
        table("What failed", ["", "data", "seed", "message"], rows)
    else:
        table("What failed", ["nothing"], [])


def report(jobs, records, quick):
    used = [records[job.key] for job in jobs if job.key in records]
    failed = [record for record in used if "error" in record]
    good = {record["key"]: record for record in used if "error" not in record}
    main, extra = (Results([job for job in jobs if (job.method in EXTRA) == wanted], good) for wanted in (False, True))
    versions = {}
    for record in used:
        versions |= record["versions"]
    others = [f"{name} {version}" for name, version in versions.items() if version and name not in PACKAGES]
    left = [f"{len(jobs) - len(used)} of {len(jobs)} fits are missing"] if len(jobs) > len(used) else []
    about(", ".join(others), f"seeds {sorted({record['seed'] for record in used})}", *left)
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
