from itertools import combinations

import dask.dataframe
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import GroupKFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.random_projection import GaussianRandomProjection

from skgca import GCAEmbedder
from skgca.inspection import StabilityReport, stability_report
from skgca.inspection._agreement import neighbor_overlap, place_agreement, votes
from skgca.metrics import consistency_score

from ..numerics import DOUBLE, assert_close, assert_within

X, Y = load_iris(return_X_y=True)
SMALL = {"n_components": 6, "hidden_layer_sizes": (16,), "projection_sizes": (8,), "max_epochs": 3}


class Noise(TransformerMixin, BaseEstimator):
    """Another random embedding for each seed, of rows whose number, the first column, is below ``unstable``."""

    def __init__(self, unstable=10**9, random_state=None):
        self.unstable = unstable
        self.random_state = random_state

    def fit(self, X, y=None):
        self.n_fitted_ = len(X)
        return self

    def transform(self, X):
        number = X[:, 0].astype(int)
        noise = np.random.default_rng(self.random_state).normal(size=(number.max() + 1, 3))
        stable = np.random.default_rng(0).normal(size=(number.max() + 1, 3))
        return np.where(number[:, None] < self.unstable, noise[number], stable[number])


def numbered(n):
    return np.arange(n, dtype=float)[:, None]


def overlaps(embeddings, k, metric="euclidean"):
    """Mean over pairs for each row."""
    n = len(embeddings[0])
    found = {pair: np.full(n, np.nan) for pair in combinations(range(len(embeddings)), 2)}
    for rows, pair, overlap in neighbor_overlap(embeddings, k, metric):
        found[pair][rows] = overlap
    return np.array(list(found.values()))


# Oracles


def neighbors_by_hand(Z, k, metric):
    if metric == "cosine":
        Z = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    distance = np.linalg.norm(Z[:, None] - Z[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    return [set(np.argsort(row)[:k].tolist()) for row in distance]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("k", [1, 5, 17])
def test_overlap_is_the_share_in_common_less_chance(k, metric):
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(20, 4))
    embeddings = [Z, Z + 0.5 * rng.normal(size=Z.shape), rng.normal(size=(20, 2)) + 3]
    expected = []
    for first, second in combinations([neighbors_by_hand(Z, k, metric) for Z in embeddings], 2):
        share = np.array([len(a & b) / k for a, b in zip(first, second, strict=True)])
        chance = k / 19
        expected.append((share - chance) / (1 - chance))
    assert_close(overlaps(embeddings, k, metric), expected, DOUBLE, scale=1 / (1 - k / 19))


def test_overlap_of_ties_by_hand():
    line = np.array([[0.0], [1.0], [-1.0], [5.0], [9.0]])
    other = np.array([[0.0], [1.0], [-2.0], [5.0], [9.0]])
    # Row 0 with one neighbour: in `line`, rows 1 and 2 weigh 1/2 each; in `other`, row 1 weighs 1. In common 1/2; by
    # chance, the mean over pairs of the four other rows of the smaller weight, times four: 2 * 1/2 / 4.
    assert_close(overlaps([line, other], 1)[0, 0], (1 / 2 - 1 / 4) / (1 - 1 / 4), DOUBLE)


def test_copies_do_not_count_against_equal_embeddings_and_a_collapse_is_no_agreement():
    rng = np.random.default_rng(0)
    copies = rng.normal(size=(10, 3))[rng.integers(10, size=60)]
    same = overlaps([copies, copies @ np.diag([-1, 1, 1]) * 2 + 1], 7)
    assert_close(same, np.ones_like(same), DOUBLE)
    collapsed = np.full((60, 3), 0.1)
    assert np.array_equal(overlaps([collapsed, collapsed, copies], 7)[0], np.zeros(60))
    assert_close(overlaps([collapsed, copies], 7), np.zeros((1, 60)), DOUBLE, scale=1)


def test_memory_is_that_of_chunks(monkeypatch):
    rng = np.random.default_rng(0)
    embeddings = [rng.normal(size=(40, 3)) for _ in range(3)]
    whole = overlaps(embeddings, 5)
    monkeypatch.setattr("skgca.inspection._agreement.chunk_rows", lambda n: 7)
    seen = [rows for rows, _, _ in neighbor_overlap(embeddings, 5, "euclidean")]
    assert max(rows.stop - rows.start for rows in seen) == 7
    assert_close(overlaps(embeddings, 5), whole, DOUBLE, scale=1)


def test_place_agreement_is_the_residual_of_the_best_rotation():
    rng = np.random.default_rng(0)
    Z_1 = rng.normal(size=(30, 2))
    Z_2 = 3 * Z_1 @ np.array([[0.8, -0.6], [0.6, 0.8]]) + rng.normal(size=Z_1.shape) + 5
    A, B = (Z - Z.mean(axis=0) for Z in (Z_1, Z_2))
    A, B = A / np.linalg.norm(A), B / np.linalg.norm(B)
    angles = np.linspace(0, 2 * np.pi, 20001)
    best = min(angles, key=lambda t: np.linalg.norm(A @ [[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]] - B))
    R = np.array([[np.cos(best), -np.sin(best)], [np.sin(best), np.cos(best)]])
    scale = np.sum(A @ R * B)
    apart = ((scale * A @ R - B) ** 2).sum(axis=1) + ((scale * B @ R.T - A) ** 2).sum(axis=1)
    expected = 1 - apart / ((A**2).sum(axis=1) + (B**2).sum(axis=1))
    assert_within(place_agreement(Z_1, Z_2), expected, 1e-3)  # of angles that are 3e-4 apart


@pytest.mark.parametrize("widths", [(3, 3), (5, 2)])
def test_the_weighted_mean_of_places_is_the_consistency_score(widths):
    rng = np.random.default_rng(0)
    Z_1 = rng.normal(size=(40, widths[0]))
    Z_2 = Z_1[:, : widths[1]] + 0.5 * rng.normal(size=(40, widths[1])) + 7
    weight = 0
    for Z in (Z_1, Z_2):
        centred = Z - Z.mean(axis=0)
        weight = weight + (centred**2).sum(axis=1) / (centred**2).sum()
    mean = np.average(place_agreement(Z_1, Z_2), weights=weight)
    assert_close(mean, consistency_score(Z_1, Z_2), DOUBLE)
    assert_close(place_agreement(Z_1, Z_2), place_agreement(Z_2, Z_1), DOUBLE)


def test_places_of_special_embeddings():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(20, 3))
    Z[0] = Z[1:].mean(axis=0)  # at the centre
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert_close(place_agreement(Z, 4 * Z @ turn - 2)[1:], np.ones(19), DOUBLE)
    assert np.array_equal(place_agreement(Z, np.ones((20, 2))), np.zeros(20))
    assert np.array_equal(place_agreement(np.zeros((5, 2)), np.zeros((5, 2))), np.zeros(5))


def test_votes_by_hand():
    Z = np.array([[0.0], [1.0], [2.1], [3.3], [10.0]])
    y, known = np.array([0, 1, 1, 0, -1]), np.array([True, True, True, True, False])
    expected = [[0, 1], [1 / 2, 1 / 2], [1 / 2, 1 / 2], [0, 1], [1 / 2, 1 / 2]]
    assert votes(Z, y, known, 2, "euclidean").tolist() == expected


# Laws of the report


def test_equal_fits_agree_in_all():
    report = stability_report(PCA(2), X, Y, n_seeds=3, random_state=0)
    assert list(report.rows) == [
        *("confidence", "neighbor_overlap", "position_r2"),
        *("label", "label_confidence", "label_agreement"),
    ]
    assert_close(report.rows[["neighbor_overlap", "position_r2"]], np.ones((150, 2)), DOUBLE)
    assert_close((1 - report.rows["confidence"]) ** 2, np.zeros(150), DOUBLE, scale=1)  # it is 1 less a root
    assert (report.rows["label_agreement"] == 1).all()
    assert_close(report.pairs[["consistency", "neighbor_overlap"]], np.ones((3, 2)), DOUBLE)


def test_unrelated_embeddings_are_at_chance():
    report = stability_report(Noise(), numbered(400), n_seeds=4, n_neighbors=10, random_state=0)
    assert_within(report.rows["neighbor_overlap"].mean(), 0, 0.01)
    assert report.pairs["consistency"].max() < 0.05
    assert report.rows["confidence"].mean() < 0.02
    assert report.rows["position_r2"].min() < 0  # which confidence is not
    assert report.rows["confidence"].min() == 0


def test_unstable_rows_are_found():
    report = stability_report(Noise(unstable=30), numbered(200), n_seeds=4, n_neighbors=8, random_state=0)
    for column in ("confidence", "neighbor_overlap", "position_r2"):
        values = report.rows[column]
        assert values[:30].max() < values[30:].quantile(0.05), column
    assert set(report.rows.nsmallest(30, "confidence").index) == set(range(30))


def test_a_permutation_of_rows_permutes_the_report():
    order = np.random.default_rng(0).permutation(100)
    labels = np.arange(100) % 3
    first = stability_report(Noise(50), numbered(100), labels, n_seeds=3, random_state=0)
    second = stability_report(Noise(50), numbered(100)[order], labels[order], n_seeds=3, random_state=0)
    expected = first.rows.iloc[order]
    assert second.rows["label"].tolist() == expected["label"].tolist()
    others = ["neighbor_overlap", "position_r2", "label_confidence", "label_agreement"]
    assert_close(second.rows[others], expected[others], DOUBLE)
    # A root, which where rows agree is one of rounding.
    assert_close((1 - second.rows["confidence"]) ** 2, (1 - expected["confidence"]) ** 2, DOUBLE, scale=1)
    assert second.pairs.columns.equals(first.pairs.columns)
    assert_close(second.pairs, first.pairs, DOUBLE)


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])  # processes that import torch
def test_the_report_is_the_same_each_time_and_for_any_n_jobs(n_jobs):
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    made = [
        stability_report(GCAEmbedder(**SMALL), X[::2], Y[::2], n_seeds=2, cv=2, n_jobs=n_jobs, random_state=3)
        for n_jobs in (1, n_jobs)
    ]
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)
    for frame in ("rows", "fits", "pairs", "summary"):
        pd.testing.assert_frame_equal(getattr(made[1], frame), getattr(made[0], frame), check_exact=True)
    other = stability_report(GCAEmbedder(**SMALL), X[::2], n_seeds=2, random_state=4)
    assert set(other.fits["seed"]).isdisjoint(made[0].fits["seed"])


# What it reads, and what it tells


def test_seeds_and_courses_of_the_fits():
    model = make_pipeline(StandardScaler(), GCAEmbedder(**SMALL)).fit(X)  # fitted or not
    before = model.transform(X)
    report = stability_report(model, X, n_seeds=3, random_state=0)
    assert np.array_equal(model.transform(X), before)
    fits = report.fits
    assert fits["seed"].nunique() == 3
    assert fits["fold"].isna().all()
    assert (fits["n_rows"] == 150).all()
    assert (fits["n_epochs"] == 3).all()
    assert (fits["stop_reason"] == "max_epochs").all()
    seed = int(fits["seed"][1])
    again = make_pipeline(StandardScaler(), GCAEmbedder(**SMALL, random_state=seed)).fit(X)
    assert fits["loss"][1] == again[-1].history_[-1]["loss"]
    assert fits["uniformity"][1] == again[-1].history_[-1]["uniformity"]
    assert fits["n_columns"][1] == again.transform(X).shape[1]


def test_consistency_of_pairs():
    report = stability_report(GaussianRandomProjection(3), X, n_seeds=3, random_state=0)
    assert list(report.fits) == ["seed", "fold", "n_rows", "n_columns", "effective_rank"]
    made = [GaussianRandomProjection(3, random_state=seed).fit_transform(X) for seed in report.fits["seed"]]
    assert report.pairs[["fit_1", "fit_2"]].to_numpy().tolist() == [[0, 1], [0, 2], [1, 2]]
    expected = [consistency_score(a, b) for a, b in combinations(made, 2)]
    assert_close(report.pairs["consistency"], expected, DOUBLE)
    assert_close(report.pairs["neighbor_overlap"], overlaps(made, 15).mean(axis=1), DOUBLE)
    assert_close(report.rows["neighbor_overlap"], overlaps(made, 15).mean(axis=0), DOUBLE)
    places = np.mean([place_agreement(a, b) for a, b in combinations(made, 2)], axis=0)
    assert_close(report.rows["position_r2"], places, DOUBLE)
    assert_close(report.rows["confidence"], np.maximum(0, 1 - np.sqrt(1 - places)), DOUBLE)


class SeenRows(TransformerMixin, BaseEstimator):
    """Keeps the rows that it was fitted on in their place, and all others by the seed."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y=None, sample_group=None):
        assert sample_group is None or len(sample_group) == len(X)
        assert y is None or len(y) == len(X)
        self.seen_ = X[:, 0].astype(int)
        return self

    def transform(self, X):
        kept = np.isin(X[:, 0].astype(int), self.seen_)
        elsewhere = np.random.default_rng(self.random_state).normal(size=(len(X), 3))
        return np.where(kept[:, None], np.random.default_rng(0).normal(size=(len(X), 3)), elsewhere)


def test_rows_that_were_held_out():
    rows = numbered(120)
    cv = ShuffleSplit(3, test_size=0.1, random_state=0)
    report = stability_report(SeenRows(), rows, n_seeds=2, cv=cv, n_neighbors=5, random_state=0)
    assert len(report.fits) == 6
    assert report.fits["fold"].tolist() == [0, 0, 1, 1, 2, 2]
    assert (report.fits["n_rows"] == 108).all()
    ever = np.unique(np.concatenate([test for _, test in cv.split(rows)]))
    held_out = report.rows["neighbor_overlap_held_out"]
    assert held_out.notna().to_numpy().nonzero()[0].tolist() == ever.tolist()
    assert report.rows["neighbor_overlap_seen"].mean() > 0.6
    assert held_out.mean() < 0.1
    assert set(report.rows.nsmallest(len(ever) // 2, "confidence").index) <= set(ever)


def test_one_seed_will_do_with_folds_which_may_be_any():
    folds = list(GroupKFold(3).split(X, groups=np.arange(150) // 10))
    masks = [(np.isin(np.arange(150), train), test) for train, test in folds]
    by_number, by_mask = (stability_report(PCA(2), X, n_seeds=1, cv=cv, random_state=0) for cv in (folds, masks))
    assert len(by_number.fits) == 3
    pd.testing.assert_frame_equal(by_number.rows, by_mask.rows, check_exact=True)
    assert "3 fits (1 seed on each of 3 folds), 150 rows, 15 neighbours" in repr(by_number)


def test_what_goes_with_the_rows_is_split_with_them():
    params = {"sample_group": np.arange(120) // 4}
    report = stability_report(SeenRows(), numbered(120), np.arange(120) % 2, n_seeds=1, cv=3, params=params)
    assert len(report.fits) == 3
    frame = pd.DataFrame(X, columns=list("abcd"), index=[f"plant {k}" for k in range(150)])
    model = make_pipeline(GCAEmbedder(**SMALL))
    params = {"gcaembedder__sample_group": pd.Series(np.arange(150) // 5)}
    report = stability_report(model, frame, n_seeds=1, cv=2, params=params, random_state=0)
    assert report.rows.index.equals(frame.index)


def test_labels():
    names = np.array(["setosa", "versicolor", "virginica"])[Y]
    report = stability_report(GaussianRandomProjection(3), X, names, n_seeds=3, random_state=0)
    made = [GaussianRandomProjection(3, random_state=seed).fit_transform(X) for seed in report.fits["seed"]]
    shares = np.array([votes(Z, Y, np.ones(150, dtype=bool), 15, "euclidean") for Z in made])
    winner = shares.mean(axis=0).argmax(axis=1)
    assert report.rows["label"].tolist() == np.unique(names)[winner].tolist()
    assert_close(report.rows["label_confidence"], shares.mean(axis=0).max(axis=1), DOUBLE)
    ahead = shares[:, np.arange(150), winner] == shares.max(axis=2)
    assert_close(report.rows["label_agreement"], ahead.mean(axis=0), DOUBLE)
    assert (report.rows["label"] == names).mean() > 0.9
    wrong = report.rows["label"] != names
    assert report.rows["label_confidence"][wrong].mean() < report.rows["label_confidence"][~wrong].mean()


@pytest.mark.parametrize("nothing", [-1, None, np.nan])
def test_rows_without_a_label_get_one(nothing):
    y = Y.astype(object if nothing is None else float if nothing != nothing else int)
    y[np.arange(150) % 10 > 0] = nothing
    report = stability_report(Stated(), X, y, n_seeds=2, cv=3, random_state=0)
    assert set(report.fits["n_rows"]) == {100}
    assert (report.rows["label"].astype(int) == Y).mean() > 0.85
    assert report.rows["label"].nunique() == 3


class Stated(PCA):
    """PCA that reads no y, which may be anything."""

    def fit(self, X, y=None):
        return super().fit(X)


def test_numbers_are_no_classes():
    assert "label" not in stability_report(PCA(2), X, X[:, 0], n_seeds=2, random_state=0).rows
    assert "label" not in stability_report(PCA(2), X, X[:, :2], n_seeds=2, random_state=0).rows


def test_rows_of_any_kind_in_memory(tmp_path):
    rng = np.random.default_rng(0)
    unequal = [rng.normal(size=(1, 8 + k % 4)) for k in range(20)]
    report = stability_report(GCAEmbedder(**SMALL), unequal, n_seeds=2, cv=2, n_neighbors=5, random_state=0)
    assert len(report.rows) == 20
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame.to_parquet(tmp_path / "X.parquet")
    for read_by_parts in (tmp_path / "X.parquet", pl.from_pandas(frame).lazy(), dask.dataframe.from_pandas(frame)):
        with pytest.raises(TypeError, match="stability_report takes rows in memory; pass"):
            stability_report(GCAEmbedder(**SMALL), read_by_parts, n_seeds=2)


def test_text_and_html():
    labels = np.array(["<b>", "&", "x"])[Y]
    report = stability_report(PCA(2), X, labels, n_seeds=2, random_state=0)
    lines = repr(report).split("\n")
    assert lines[0] == "StabilityReport: 2 fits (2 seeds), 150 rows, 15 neighbours"
    assert lines[1].split()[:4] == ["consistency", "1.000", "±", "0.000"]
    assert [line.split()[0] for line in lines[1:]] == report.summary.index.tolist()
    assert max(map(len, lines)) < 120
    page = report._repr_html_()
    labels[:] = "<i>"
    report.rows["label"] = labels
    assert "&lt;i&gt;" in report._repr_html_()
    assert "<i>" not in report._repr_html_()
    assert "neighbor_overlap" in page
    assert isinstance(report, StabilityReport)


# Errors, before anything is fitted


class Untouched(PCA):
    def fit(self, X, y=None):
        raise AssertionError("was fitted")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_seeds": 1}, "n_seeds=1 and cv=None make one fit only, .*; use n_seeds=2"),
        ({"n_neighbors": 149}, "n_neighbors=149 is too large: of 150 rows, .*; use 1 to 148"),
        ({"n_neighbors": 0}, "n_neighbors"),
        ({"metric": "manhattan"}, "metric"),
        ({"cv": "five"}, "cv"),
        ({"n_seeds": 1, "cv": ShuffleSplit(1)}, "one fit"),
        ({"y": Y[:-1]}, "y has 149 entries, but X has 150 rows"),
        ({"y": np.full(150, -1)}, "y holds 0 labels for 150 rows"),
    ],
)
def test_what_cannot_be_told_is_refused_first(options, message):
    y = options.pop("y", None)
    with pytest.raises(ValueError, match=message):
        stability_report(Untouched(2), X, y, **options)


@pytest.mark.parametrize("estimator", [TSNE(), make_pipeline(PCA(2), LogisticRegression()), PCA])
def test_what_does_not_embed_new_rows_is_refused(estimator):
    with pytest.raises(TypeError, match="does not embed rows: it needs fit and transform"):
        stability_report(estimator, X)


def test_without_pandas(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        stability_report(Untouched(2), X)
