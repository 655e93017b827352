"""Scorers in cross-validation and searches, and the views they make."""

import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import trustworthiness
from sklearn.metrics import silhouette_score
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skgca import GCAEmbedder, metrics
from skgca.metrics import SCORERS, corrupt_cells, make_embedding_scorer, make_view_scorer

from ..numerics import DOUBLE, assert_close, assert_within

X, Y = load_iris(return_X_y=True)
ROWS, _ = np.unique(X, axis=0, return_index=True)  # 149, no two of them equal
SMALL = {"n_components": 4, "hidden_layer_sizes": (16,), "projection_sizes": (4,), "max_epochs": 1, "random_state": 0}


class Collapse(TransformerMixin, BaseEstimator):
    """Gives all rows one point if told so."""

    def __init__(self, collapse=True):
        self.collapse = collapse

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def transform(self, X):
        return np.ones_like(X) if self.collapse else X


def expected(name, model, X, y):
    """What the named scorer is to give, without it."""
    Z = model.transform(X)
    if name in ("alignment", "view_information", "view_retrieval"):
        rng = np.random.RandomState(0)
        views = [model.transform(corrupt_cells(X, rng)) for _ in range(2)]
        return getattr(metrics, f"{name}_score")(*views)
    return {
        "effective_rank": lambda: metrics.effective_rank(Z),
        "uniformity": lambda: metrics.uniformity_score(Z),
        "knn_probe": lambda: metrics.knn_probe_score(Z, y),
        "linear_probe": lambda: metrics.linear_probe_score(Z, y),
        "neighborhood_preservation": lambda: metrics.neighborhood_preservation(X, Z),
    }[name]()


@pytest.mark.parametrize("name", SCORERS)
def test_each_is_its_measure_of_what_transform_gives(name):
    model = make_pipeline(StandardScaler(), PCA(3)).fit(X)
    score = SCORERS[name](model, X, Y)
    assert type(score) is float
    assert score == expected(name, model, X, Y)


def test_all_at_once_in_cross_validate():
    for model in (GCAEmbedder(**SMALL), make_pipeline(StandardScaler(), GCAEmbedder(**SMALL))):
        result = cross_validate(model, X, Y, cv=2, scoring=SCORERS, error_score="raise")
        for name in SCORERS:
            scores = result[f"test_{name}"]
            assert scores.shape == (2,)
            assert np.isfinite(scores).all()


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])  # processes that import torch
def test_a_search_without_labels_finds_what_did_not_collapse(n_jobs):
    for scorer in (make_view_scorer(k=3, metric="euclidean"), SCORERS["neighborhood_preservation"]):
        search = GridSearchCV(Collapse(), {"collapse": [True, False]}, scoring=scorer, n_jobs=n_jobs, cv=3).fit(ROWS)
        assert search.best_params_ == {"collapse": False}
    ranks = GridSearchCV(Collapse(), {"collapse": [True, False]}, scoring=SCORERS["effective_rank"], cv=3).fit(ROWS)
    assert_close(ranks.cv_results_["mean_test_score"][0], 1, DOUBLE)


def test_a_search_over_the_embedder():
    pipeline = make_pipeline(StandardScaler(), GCAEmbedder(**SMALL))
    grid = {"gcaembedder__epsilon": [0.2, 0.5]}
    search = GridSearchCV(pipeline, grid, scoring=SCORERS["view_retrieval"], cv=2, error_score="raise").fit(X)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    scoring = {name: SCORERS[name] for name in ("linear_probe", "uniformity")}
    search = GridSearchCV(pipeline, grid, scoring=scoring, refit="linear_probe", cv=2, error_score="raise").fit(X, Y)
    assert search.best_score_ == search.cv_results_["mean_test_linear_probe"].max()


def test_under_metadata_routing():
    with sklearn.config_context(enable_metadata_routing=True):
        model = GCAEmbedder(**SMALL).set_fit_request(sample_weight=True)
        params = {"sample_weight": np.ones(len(X))}
        result = cross_validate(model, X, Y, cv=2, scoring=SCORERS, params=params, error_score="raise")
        assert np.isfinite(result["test_view_retrieval"]).all()
        alone = cross_val_score(model, X, Y, cv=2, scoring=SCORERS["uniformity"], params=params, error_score="raise")
        assert np.array_equal(alone, result["test_uniformity"])


def test_measures_of_others():
    model = PCA(2).fit(X)
    by_silhouette = make_embedding_scorer(silhouette_score, inputs="Zy", metric="cosine")
    assert by_silhouette(model, X, Y) == silhouette_score(model.transform(X), Y, metric="cosine")
    by_trust = make_embedding_scorer(trustworthiness, inputs="XZ", n_neighbors=3)
    assert by_trust(model, X) == trustworthiness(X, model.transform(X), n_neighbors=3)
    n_components = make_embedding_scorer(lambda Z: Z.shape[1])
    assert n_components(model, X) == 2


def test_dataframes_out_of_a_transformer():
    frame = pd.DataFrame(X, columns=list("abcd"))
    plain, framed = PCA(2).fit(frame), PCA(2).set_output(transform="pandas").fit(frame)
    for name, scorer in SCORERS.items():
        assert scorer(framed, frame, Y) == scorer(plain, frame, Y), name


def test_the_views_are_the_same_at_each_call_and_those_of_the_seed():
    model = PCA(2).fit(X)
    scorer = make_view_scorer(metrics.alignment_score, random_state=5)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert scorer(model, X) == scorer(model, X)
    assert scorer(model, X) != make_view_scorer(metrics.alignment_score, random_state=6)(model, X)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_views_of_ones_own():
    images = np.random.default_rng(0).random((30, 4, 4))
    model = FunctionTransformer(lambda images: images.reshape(len(images), -1)).fit(images)

    def noisy(images, random_state):
        return images + 1e-6 * random_state.normal(size=images.shape)

    assert make_view_scorer(views=noisy)(model, images) == 1
    with pytest.raises(ValueError, match=r"X has shape \(30, 4, 4\).*views= of make_view_scorer"):
        make_view_scorer()(model, images)
    everything = make_view_scorer(views=partial(corrupt_cells, rate=1.0), k=5, adjusted=True)
    nothing = make_view_scorer(views=partial(corrupt_cells, rate=0.0), k=5, adjusted=True)
    rows = np.random.default_rng(0).normal(size=(200, 6))
    model = StandardScaler().fit(rows)
    assert nothing(model, rows) == 1
    assert_within(everything(model, rows), 0, 0.05)  # of 200 rows


def test_pickles_clones_and_shows():
    for name, scorer in SCORERS.items():
        copy = pickle.loads(pickle.dumps(scorer))
        model = PCA(2).fit(X)
        assert copy(model, X, Y) == scorer(model, X, Y), name
    search = clone(GridSearchCV(PCA(), {"n_components": [1, 2]}, scoring=SCORERS["view_retrieval"]))
    assert search.fit(X).best_params_ == {"n_components": 2}
    assert "neighborhood_preservation" in repr(SCORERS["neighborhood_preservation"])


# ---------------------------------------------------------------------------------------------------------- views


@settings(max_examples=40)
@given(st.integers(2, 12), st.integers(1, 5), st.floats(0, 1), st.integers(0, 2**31))
def test_cells_come_from_another_row_of_their_column(n, d, rate, seed):
    table = np.arange(n * d).reshape(n, d)
    before = table.copy()
    corrupted = corrupt_cells(table, seed, rate=rate)
    assert np.array_equal(table, before)
    assert corrupted.dtype == table.dtype
    assert np.array_equal(corrupted % d, table % d)
    if rate == 0:
        assert np.array_equal(corrupted, table)
    assert np.array_equal(corrupted, corrupt_cells(table, seed, rate=rate))


def test_the_rate_is_kept_and_donors_are_even():
    n = 20_000  # distances are four standard errors
    table = np.tile(np.arange(n)[:, None], 3)
    corrupted = corrupt_cells(table, 0, rate=0.3)
    assert_within((corrupted != table).mean(axis=0), 0.3, 4 * np.sqrt(0.21 / n))
    everything = corrupt_cells(table, 0, rate=1.0)
    assert (everything != table).all()
    assert (everything[:, 0] == everything[:, 1]).mean() < 10 / n  # each cell has a donor of its own
    both = (corrupted[:, 0] != table[:, 0]) & (corrupted[:, 1] != table[:, 1])
    assert_within(both.mean(), 0.09, 4 * np.sqrt(0.09 * 0.91 / n))
    pairs = np.array([corrupt_cells(np.arange(3)[:, None], seed, rate=1.0)[0, 0] for seed in range(500)])
    assert sorted(set(pairs)) == [1, 2]
    assert_within((pairs == 1).mean(), 0.5, 4 * np.sqrt(0.25 / 500))


def test_a_dataframe_keeps_its_types_and_is_corrupted_as_an_array_is():
    n = 50
    frame = pd.DataFrame(
        {
            "number": np.arange(n, dtype=np.float32),
            "whole": pd.array([*range(n - 1), None], dtype="Int64"),
            "category": pd.Categorical(
                np.array(["a", "b", "c"])[np.arange(n) % 3], categories=["c", "b", "a", "unseen"]
            ),
            "text": [f"row {i}" for i in range(n)],
            "day": pd.date_range("2020-01-01", periods=n, tz="UTC"),
            "flag": np.arange(n) % 2 == 0,
            3: np.arange(n),
        },
        index=np.arange(n) * 2,
    )
    frame = frame.set_axis([*frame.columns[:-1], "number"], axis=1)  # a name may be there twice
    before = frame.copy()
    corrupted = corrupt_cells(frame, 0, rate=0.5)
    pd.testing.assert_frame_equal(frame, before)
    assert corrupted.dtypes.tolist() == frame.dtypes.tolist()
    assert corrupted.index.equals(frame.index)
    assert corrupted.columns.equals(frame.columns)
    rows = corrupt_cells(np.tile(np.arange(n)[:, None], 7), 0, rate=0.5)
    for column in range(7):
        source = frame.iloc[rows[:, column], column].reset_index(drop=True)
        pd.testing.assert_series_equal(corrupted.iloc[:, column].reset_index(drop=True), source)


def test_gaps_change_places_and_a_single_row_stays():
    table = np.array([[np.nan], [1.0]])
    assert np.array_equal(corrupt_cells(table, 0, rate=1.0), table[::-1], equal_nan=True)
    assert np.array_equal(corrupt_cells([["a", "b"]], 0, rate=1.0), [["a", "b"]])
    row = np.ones((1, 2))
    assert corrupt_cells(row, 0) is not row
    pd.testing.assert_frame_equal(corrupt_cells(pd.DataFrame(row), 0), pd.DataFrame(row))


# --------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: make_embedding_scorer("effective_rank"), ValueError, "'score_func'.*Got 'effective_rank' instead"),
        (lambda: make_embedding_scorer(silhouette_score, inputs="yZ"), ValueError, "'inputs'.*'Zy'.*Got 'yZ' instead"),
        (lambda: make_embedding_scorer(metrics.effective_rank, centre=True), TypeError, "argument 'centre'"),
        (lambda: make_embedding_scorer(silhouette_score), TypeError, "argument:? '?labels"),
        (lambda: make_view_scorer(k=1, alpha=2), TypeError, "argument 'alpha'"),
        (lambda: make_view_scorer(views="noise"), ValueError, "'views'.*Got 'noise' instead"),
        (lambda: make_view_scorer(random_state=None), ValueError, "'random_state'.*Got None instead"),
        (lambda: SCORERS["linear_probe"](PCA().fit(X), X), ValueError, "linear_probe_score reads labels; give y"),
        (lambda: SCORERS["uniformity"](LogisticRegression(), X), TypeError, "LogisticRegression has no transform"),
        (
            lambda: SCORERS["view_retrieval"](make_pipeline(PCA(), LogisticRegression()).fit(X, Y), X),
            TypeError,
            "Pipeline has no transform.*must end in a transformer",
        ),
        (
            lambda: make_embedding_scorer(metrics.effective_rank, center=2)(PCA().fit(X), X),
            ValueError,
            "'center'.*Got 2",
        ),
        (lambda: corrupt_cells(X, rate=1.5), ValueError, r"'rate'.*range \[0.0, 1.0\]. Got 1.5 instead"),
        (lambda: corrupt_cells(X[0], 0), ValueError, "Expected 2D array"),
    ],
)
def test_errors_name_what_was_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()
