"""Tables of what quality.py has measured."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from ._data import DATA, DRAWS, LABELS, MAX_ITER, SCORES, TABLES, load, split_of
from ._jobs import Results
from ._printing import about, cell, table, version
from ._statistics import differences_as_text, holm, p_text, points, signed_rank

WAYS = {" plain": "no scaler", "": "scaler"}  # between the features and the probe, by suffix of the score
PLAIN, SCALED = WAYS
USUAL_ITER = 100  # LogisticRegression's default
TIE = 1.0  # points of accuracy
OURS = "logistic regression on gca"


class Comparison(Results):
    """Records by method and data; a column of the tables is (method, suffix of the score)."""

    def __init__(self, records):
        super().__init__(records, by=lambda job: (job.method, job.data))
        self.methods = list(dict.fromkeys(method for method, _ in self.found))
        self.data = [name for name in DATA if any(found == name for _, found in self.found)]

    def means(self, score, method, data):
        """Mean of a score for each set, in %."""
        return np.array([100 * np.mean(list(self.of(score, method, name).values())) for name in data])

    def shared(self, data):
        """Those sets of which every method has results: only there do means and ranks compare."""
        return [name for name in data if all((method, name) in self.found for method in self.methods)]


def columns_of(results, *, scaled):
    """Title, method and suffix of the score: all without a scaler, then those of ``scaled`` behind one."""
    columns = [(method, method, PLAIN) for method in results.methods]
    return columns + [(f"{method}, scaler", method, SCALED) for method in results.methods if method in scaled]


def report_accuracy(results, score, quick):
    columns = columns_of(results, scaled=["gca"])
    rows = [[name, *(cell(results.of(score + s, m, name)) for _, m, s in columns)] for name in results.data]
    table(f"Accuracy in %, {SCORES[score]}", ["", *(title for title, _, _ in columns)], rows)
    rows, ratios = [], []
    for name in results.data:
        split, raw = split_of(name, 0, quick), results.of(score + PLAIN, "raw", name)
        ratios.append(len(split.test) / len(split.train))
        found = [results.of(score + suffix, method, name) for _, method, suffix in columns[1:]]
        rows.append([points(ours, raw).values() for ours in found])
    cells = differences_as_text(rows, ratios, spread=False)
    rows = [[name, *row] for name, row in zip(results.data, cells, strict=True)]
    table(f"Points above raw, {SCORES[score]}", ["", *(name for name, _, _ in columns[1:])], rows)


def report_summary(results, score, group, data):
    """One line for each method and way, over sets: mean, gain over raw without a scaler, worst set, wins, rank."""
    data = results.shared(data)
    if not data or "raw" not in results.methods:
        return
    raw, rows = results.means(score + PLAIN, "raw", data), []
    for suffix in WAYS:
        means = [results.means(score + suffix, method, data) for method in results.methods]
        ranks = rankdata([-found for found in means], axis=0).mean(1)  # among those of this way
        for method, found, rank in zip(results.methods, means, ranks, strict=True):
            compared = [""] * 4 if (method, suffix) == ("raw", PLAIN) else against(found - raw, data)
            rows.append([method, WAYS[suffix], f"{found.mean():.1f}", *compared, f"{rank:.2f}"])
    what = f"{len(data)} sets, {SCORES[score]}"
    head = [what, "probe behind", "mean", "mean gain over raw", "worst", "win / tie / loss", "p", "rank"]
    table(f"{group}, {SCORES[score]}", head, rows)


def against(gain, data):
    """Cells of a comparison over sets: mean, worst, wins, p value; a tie is within TIE points."""
    wins, losses = int(np.sum(gain > TIE)), int(np.sum(gain < -TIE))
    worst = f"{gain.min():+.1f} ({data[gain.argmin()]})"
    return [
        f"{gain.mean():+.2f}",
        worst,
        f"{wins} / {len(gain) - wins - losses} / {losses}",
        p_text(signed_rank(gain)),
    ]


def report_duels(results, data, kind="tables"):
    """Gca without a scaler less each other method, which takes the way that is better for it on average."""
    data, others = results.shared(data), [method for method in results.methods if method != "gca"]
    if "gca" not in results.methods or not data or not others:
        return
    rows, p_values = [], []
    for score, title in SCORES.items():
        ours = results.means(score + PLAIN, "gca", data)
        for other in others:
            suffix = max(WAYS, key=lambda way: results.means(score + way, other, data).mean())
            gain = ours - results.means(score + suffix, other, data)
            p_values.append(signed_rank(gain))
            rows.append([title, other, WAYS[suffix], *against(gain, data)])
    rows = [[*row, p_text(p)] for row, p in zip(rows, holm(p_values), strict=True)]
    head = [f"{len(data)} {kind}", "gca less", "which is behind", "mean difference", "worst", "win / tie / loss", "p"]
    table("gca against each method", [*head, f"p by Holm, {len(rows)} tests"], rows)


def report_brief(results, data):
    """Both regimes side by side, without a scaler: what the README shows."""
    data, rows = results.shared(data), []
    if not data or "raw" not in results.methods:
        return
    means = {score: [results.means(score + PLAIN, method, data) for method in results.methods] for score in SCORES}
    ranks = {score: rankdata([-found for found in means[score]], axis=0).mean(1) for score in SCORES}
    raw = results.methods.index("raw")
    for place, method in enumerate(results.methods):
        cells = [method]
        for score, found in means.items():
            gain = "" if place == raw else f"{found[place].mean() - found[raw].mean():+.1f}"
            cells += [f"{found[place].mean():.1f}", gain, f"{ranks[score][place]:.2f}"]
        rows.append(cells)
    head = [f"{title}: {what}" for title in SCORES.values() for what in ("accuracy in %", "above raw", "mean rank")]
    table("In brief", [f"{len(data)} sets", *head], rows)


def classifiers_of(results, score):
    """Accuracies of classifiers by their title: a dict over sets of dicts over seeds; the probes come first."""
    found = {}
    for on in ("raw", "gca"):
        found[f"logistic regression on {on}"] = {data: results.of(score + PLAIN, on, data) for data in results.data}
    for on in ("raw", "gca"):
        for data in results.data:
            for seed, rivals in results.of("rivals", on, data).items():
                for name, scores in rivals.items():
                    if score in scores:
                        found.setdefault(f"{name} on {on}", {}).setdefault(data, {})[seed] = scores[score]
    return found


def report_rivals(results):
    """Other classifiers of the same labels, on the prepared rows ("raw") and on the embedding ("gca")."""
    if not {"raw", "gca"} <= set(results.methods):
        return
    found = {score: classifiers_of(results, score) for score in SCORES}
    for score, title in SCORES.items():
        for read in ("raw", "gca"):
            classifiers = {
                name.removesuffix(f" on {read}"): of for name, of in found[score].items() if f"on {read}" in name
            }
            rows = [[name, *(mean_cell(of.get(name)) for of in classifiers.values())] for name in results.data]
            table(f"Classifiers on {read}, {title}", ["", *classifiers], rows)
    for group, members in {"tables": TABLES, "tables and images": DATA}.items():
        report_classifiers(found, group, members)


def mean_cell(of_seeds):
    return f"{100 * np.mean([*of_seeds.values()]):.1f}" if of_seeds else ""


def report_classifiers(found, group, members):
    """One line for each classifier and regime, over sets: mean, rank, and by how much gca with a probe is above it."""
    rows, p_values = [], []
    for score, title in SCORES.items():
        data = [name for name in members if all(of_set.get(name) for of_set in found[score].values())]
        if not data:
            return
        means = np.array([[100 * np.mean([*s[name].values()]) for name in data] for s in found[score].values()])
        ranks = rankdata(-means, axis=0).mean(1)
        for name, mean, rank in zip(found[score], means, ranks, strict=True):
            gain = means[list(found[score]).index(OURS)] - mean
            compared = [""] * 4 if name == OURS else against(gain, data)
            p_values.append(np.nan if name == OURS else signed_rank(gain))
            rows.append([title, name, f"{mean.mean():.1f}", f"{rank:.2f}", *compared])
    rows = [[*row, p_text(p)] for row, p in zip(rows, holm(p_values), strict=True)]
    head = [f"{len(data)} {group}", "classifier", "mean", "rank", "gca less this", "worst", "win / tie / loss", "p"]
    n_tests = int(np.isfinite(p_values).sum())
    table(f"Classifiers, {group}", [*head, f"p by Holm, {n_tests} tests"], rows)


def report_probes(results):
    """How the probes fared: a user of LogisticRegression() is warned beyond its usual iterations."""
    rows = []
    for method in results.methods:
        records = [r for (found, _), by_seed in results.found.items() if found == method for r in by_seed.values()]
        most = {way: [r[f"all{way} iterations"] for r in records] for way in WAYS}
        over = [f"{sum(n > USUAL_ITER for n in most[way])} of {len(records)}" for way in WAYS]
        missed = f"{sum(r['missed'] for r in records)} of {len(records) * len(WAYS) * (1 + DRAWS)}"
        rows.append([method, *over, *(max(most[way]) for way in WAYS), missed])
    head = ["", *(f"over {USUAL_ITER}, {how}" for how in WAYS.values()), *(f"most, {how}" for how in WAYS.values())]
    table(
        "Iterations of the probe, all labels", [*head, f"probes not converged in {MAX_ITER}, both label regimes"], rows
    )


def report_seconds(results, quick):
    for score, title in (("seconds", "Seconds of a fit"), ("embed", "Milliseconds to embed 1,000 test rows")):
        rows = []
        for name in results.data:
            unit = 1.0 if score == "seconds" else 1e6 / len(split_of(name, 0, quick).test)
            rows.append([name, *(cell(results.of(score, m, name), unit, 2) for m in results.methods)])
        table(title, ["", *results.methods], rows)


def report_data(data, quick):
    rows = []
    for name in data:
        split = split_of(name, 0, quick)
        X, kinds = split.X, len(np.unique(split.y))
        if isinstance(X, pd.DataFrame):
            n_categories = X.select_dtypes("category").shape[1]
            columns = f"{X.shape[1] - n_categories} numbers, {n_categories} categories"
            missing = int(load(name)[0].isna().to_numpy().sum())
        else:
            columns = " x ".join(map(str, X.shape[1:])) + (" pixels" if X.ndim == 3 else " numbers")
            missing = int(np.isnan(load(name)[0]).sum())
        share = np.bincount(split.y_test).max() / len(split.y_test)
        rarest = min(LABELS, np.unique(split.y, return_counts=True)[1].min())
        rows.append([name, len(X), len(split.X_test), columns, missing, kinds, f"{100 * share:.1f}", rarest])
    head = ["", "training rows", "test rows", "columns", "missing cells", "classes", "largest class, %"]
    table("Data", [*head, f"fewest of {LABELS} labels a class"], rows)


def extent(records, n_jobs):
    """Seeds of the records, and how many of the jobs are missing, if any are."""
    left = n_jobs - len(records)
    missing = [f"{left} of {n_jobs} fits are missing"] if left else []
    return [f"seeds {sorted({job.seed for job in records})}", *missing]


def report(records, n_jobs, quick):
    results = Comparison(records)
    others = [f"umap-learn {version('umap-learn')}"] if "UMAP" in results.methods else []
    about(*others, *extent(records, n_jobs))
    report_data(results.data, quick)
    for score in SCORES:
        report_accuracy(results, score, quick)
    groups = {"Tables": TABLES, "Tables and images": DATA}
    for score in SCORES:
        for group, data in groups.items():
            report_summary(results, score, group, data)
    report_duels(results, TABLES)
    report_brief(results, DATA)
    report_rivals(results)
    report_probes(results)
    report_seconds(results, quick)
