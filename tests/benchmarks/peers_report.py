"""Tables of what peers.py has measured."""

import json
import platform

import numpy as np
import torch
from quality import Split
from quality_report import SCORES, Results, cell, machine, report_duels, report_seconds, table
from scipy.stats import t as student_t

OURS = "gca"
EXTRA = ("CEBRA, all iterations",)  # run on some sets only, to see what a shorter training loses


def paired(ours, theirs, ratio):
    """Mean of ours less theirs over the seeds both have, and its p value by the test of Nadeau and Bengio."""
    values = 100 * np.array([ours[seed] - theirs[seed] for seed in ours if seed in theirs])
    if len(values) < 2:
        return f"{values.mean():+.1f}" if len(values) else ""
    error = values.std(ddof=1) * (1 / len(values) + ratio) ** 0.5
    if error == 0:
        return f"{values.mean():+.1f}"
    p = 2 * student_t.sf(abs(values.mean()) / error, len(values) - 1)
    return f"{values.mean():+.1f} ({'p < 0.01' if p < 0.005 else f'p {p:.2f}'})"


def report_differences(results, score, quick):
    others, rows = [method for method in results.methods if method != OURS], []
    for name in results.data:
        split = Split(name, 0, quick)
        ratio, ours = len(split.test) / len(split.train), results.of(score, OURS, name)
        rows.append([name, *(paired(ours, results.of(score, method, name), ratio) for method in others)])
    table(f"Points of gca above each, {SCORES[score]}", ["", *others], rows)


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
        print("\nNo fit failed.")


def report(jobs, records, quick):
    used = [records[job.key] for job in jobs if job.key in records]
    failed = [record for record in used if "error" in record]
    good = {record["key"]: record for record in used if "error" not in record}
    main, extra = (Results([job for job in jobs if (job.method in EXTRA) == wanted], good) for wanted in (False, True))
    versions = {}
    for record in used:
        versions |= record["versions"]
    print(
        f"\nPython {platform.python_version()}, torch {torch.__version__}, {machine()}; {json.dumps(versions)}; ",
        end="",
    )
    print(
        f"seeds {sorted({record['seed'] for record in used})}; {len(jobs) - len(used)} of {len(jobs)} fits are missing"
    )
    for score in SCORES:
        report_accuracies(main, score)
        report_differences(main, score, quick)
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
