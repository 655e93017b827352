"""Tables of what scores.py left: which label-free candidate ranks settings as a linear probe does."""

import numpy as np
import pandas as pd
from scipy.special import entr

from skgca.metrics import (
    alignment_score,
    consistency_score,
    effective_rank,
    uniformity_score,
    view_information_score,
    view_retrieval_score,
)

from ._data import SCORES
from ._printing import PLUS_MINUS, about, show, table
from ._statistics import holm, p_text, signed_rank

ACCURACY = {"all": "whole all", "few": "whole few"}  # of the probe with all labels, and with 10 a class
ACCURACY_NAMES = {"all": "all", "few": "10 a class"}
DEFAULT = "gca_ince 0.5 balanced"


def arrays_of(record, folder):
    """Arrays that a fit left, in double precision."""
    with np.load(folder / record["file"]) as file:
        return {name: file[name].astype(np.float64) for name in file.files}


class Views:
    """Embeddings of held-out rows and of views of them, without the columns that are passed through."""

    def __init__(self, arrays, width):
        self.width = width
        arrays = {name: a if name.endswith("projected") else a[..., :width] for name, a in arrays.items()}
        light = "own" if "a own" in arrays else "0.2"  # the view of the estimator's defaults
        heavy = "own" if "a own" in arrays else "0.4"
        self.Z, self.many, self.many_projected = arrays["Z"], arrays["many"], arrays["many projected"]
        self.pair = arrays[f"a {light}"], arrays[f"b {light}"]
        self.far_pair = arrays[f"a {heavy}"], arrays[f"b {heavy}"]
        self.projected = arrays["a projected"], arrays["b projected"]


class Record(Views):
    """What a fit left: embeddings, and the accuracies of the probe."""

    def __init__(self, record, folder):
        super().__init__(arrays_of(record, folder), record["n_learned"])
        self.accuracy = {name: record[key] for name, key in ACCURACY.items()}


def lidar(many):
    """Effective rank of the matrix of linear discriminant analysis, rows as classes and views as their members."""
    n_views, n, d = many.shape
    mean = many.mean(axis=0)
    between = np.cov(mean.T).reshape(d, d)
    spread = (many - mean).reshape(-1, d)
    within = spread.T @ spread / (n * (n_views - 1))
    within += 1e-4 * max(np.trace(within) / d, 1e-12) * np.eye(d)
    values, vectors = np.linalg.eigh(within)
    whitening = vectors / np.sqrt(values)
    share = np.linalg.eigvalsh(whitening.T @ between @ whitening).clip(0)
    return np.exp(entr(share / share.sum()).sum())


def alpha_req(Z):
    """Minus the distance from 1 of the power by which the variances of the principal components decay."""
    variances = np.linalg.eigvalsh(np.cov(Z.T).reshape(Z.shape[1], -1))[::-1]
    variances = variances[variances > 1e-8 * variances[0]]
    used = slice(min(3, len(variances) // 3), min(len(variances), 100))
    place = np.log(np.arange(1, len(variances) + 1))
    slope = np.polyfit(place[used], np.log(variances[used]), 1)[0] if len(variances) > 3 else 0.0
    return -abs(-slope - 1)


def log_rank(pair):
    """Minus the mean log of the place at which a view finds the other view of its row, among all rows."""
    a, b = (Z / np.linalg.norm(Z, axis=1, keepdims=True).clip(1e-12) for Z in pair)
    cosine = a @ b.T
    return -np.log((cosine >= np.diag(cosine)[:, None]).sum(axis=1)).mean()


def information(many):
    return view_information_score(*many)


CANDIDATES = {
    "view information": lambda r: information(r.many),
    "view information, of the projection": lambda r: information(r.many_projected),
    "view information, two views": lambda r: information(r.many[:2]),
    "view retrieval": lambda r: view_retrieval_score(*r.pair),
    "view retrieval, first 5": lambda r: view_retrieval_score(*r.pair, k=min(5, len(r.pair[0]) - 1)),
    "view retrieval, mean log rank": lambda r: log_rank(r.far_pair),
    "alignment": lambda r: alignment_score(*r.pair),
    "uniformity": lambda r: uniformity_score(r.pair[0]),
    "alignment + uniformity": lambda r: alignment_score(*r.pair) + uniformity_score(r.pair[0]),
    "alignment + uniformity / 2": lambda r: alignment_score(*r.far_pair) + uniformity_score(r.far_pair[0]) / 2,
    "effective rank (RankMe)": lambda r: effective_rank(r.Z),
    "effective rank, of the projection": lambda r: effective_rank(r.projected[0]),
    "LiDAR": lambda r: lidar(r.many),
    "LiDAR, of the projection": lambda r: lidar(r.many_projected),
    "alpha-ReQ": lambda r: alpha_req(r.Z),
    "mix: log information + mean log rank": lambda r: np.log(max(information(r.many), 1e-6)) + log_rank(r.far_pair),
    "width of the embedding": lambda r: r.width,
}
CHOSEN, BETWEEN_SEEDS = "view information", "consistency between seeds"


def frame_of(records):
    """Return settings by candidates and accuracies, the mean over seeds, and how well accuracies repeat."""
    seeds = sorted({seed for _, seed in records})
    settings = [name for name in dict.fromkeys(name for name, _ in records) if all((name, s) in records for s in seeds)]
    rows, single = {}, {name: {} for name in ACCURACY}
    for name in settings:
        fits = [records[name, seed] for seed in seeds]
        rows[name] = {candidate: np.mean([score(fit) for fit in fits]) for candidate, score in CANDIDATES.items()}
        if len(fits) > 1:
            rows[name][BETWEEN_SEEDS] = consistency_score(fits[0].Z, fits[1].Z)
        for labels in ACCURACY:
            rows[name][f"accuracy {labels}"] = np.mean([fit.accuracy[labels] for fit in fits])
            single[labels][name] = [fit.accuracy[labels] for fit in fits]
    repeats = {
        labels: pd.DataFrame(values).T.corr("spearman").iloc[0, -1] if len(seeds) > 1 else np.nan
        for labels, values in single.items()
    }
    return pd.DataFrame(rows).T, repeats


def in_brief(labels, ranks, lost):
    """Columns of the table of candidates; the p value is of a difference to the chosen one over sets."""
    others = [name for name in ranks.index if name != CHOSEN]
    p_values = [signed_rank((ranks.loc[CHOSEN] - ranks.loc[name]).dropna()) for name in others]
    adjusted = dict(zip(others, map(p_text, holm(p_values)), strict=True))
    return {
        f"{SCORES[labels]}: rank correlation": [
            f"{mean:.2f}{PLUS_MINUS}{spread:.2f}"
            for mean, spread in zip(ranks.mean(axis=1), ranks.std(axis=1), strict=True)
        ],
        f"{SCORES[labels]}: p by Holm": [adjusted.get(name, "") for name in ranks.index],
        f"{SCORES[labels]}: points lost": [f"{mean:.1f}" for mean in lost.mean(axis=1)],
    }


def report(records, folder, split_seed):
    """Print the tables."""
    found = {}
    for name in dict.fromkeys(job.data for job in records):
        of_set = {(job.method, job.seed): Record(r, folder) for job, r in records.items() if job.data == name}
        found[name] = frame_of(of_set)
    found = {name: of for name, of in found.items() if len(of[0]) > 2}
    about(f"seeds {sorted({job.seed for job in records})}, split by seed {[split_seed]}")
    brief, first = {}, None
    for labels in ACCURACY:
        columns = {}
        for name, (frame, _) in found.items():
            accuracy = frame[f"accuracy {labels}"]
            candidates = frame[[column for column in frame if not column.startswith("accuracy")]]
            columns[name] = candidates.corrwith(accuracy, method="spearman")
            columns[name, "lost"] = 100 * (
                accuracy.max() - accuracy.loc[candidates.idxmax()].set_axis(candidates.columns)
            )
        ranks = pd.DataFrame({name: columns[name] for name in found})
        lost = pd.DataFrame({name: columns[name, "lost"] for name in found})
        brief |= in_brief(labels, ranks, lost)
        first = ranks if first is None else first
        means = pd.DataFrame({"mean": ranks.mean(axis=1), **ranks}).sort_values("mean", ascending=False)
        show(f"Rank correlation with the accuracy of the probe, {labels} labels", means.round(2))
    order = first.mean(axis=1).sort_values(ascending=False).index
    show("Candidates", pd.DataFrame(brief, index=first.index).loc[order], f"{len(found)} sets")
    rows = []
    for name, (frame, repeats) in found.items():
        for labels in ACCURACY:
            accuracy = 100 * frame[f"accuracy {labels}"]
            correlation = frame[CHOSEN].corr(frame[f"accuracy {labels}"], method="spearman")
            picked = accuracy.loc[frame[CHOSEN].idxmax()]
            cells = [accuracy.min(), accuracy.median(), accuracy.max(), repeats[labels], correlation, picked]
            cells = [f"{cell:.{2 if place in (3, 4) else 1}f}" for place, cell in enumerate(cells)]
            usual = f"{accuracy[DEFAULT]:.1f}" if DEFAULT in accuracy else ""
            rows.append([name, ACCURACY_NAMES[labels], len(frame), *cells, usual])
    head = ["set", "labels", "settings", "worst", "median", "best", "repeats", "score", "it picks", "defaults"]
    table("Set by set", head, rows)
