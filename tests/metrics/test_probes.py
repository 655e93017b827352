"""Probes of a frozen embedding: values by an oracle and by scikit-learn, the protocol, laws, and what is refused."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgca.metrics import knn_probe_score, linear_probe_score

from ..numerics import DOUBLE, assert_close, assert_within
from ..reference import metrics as reference

PROBES = {"linear": linear_probe_score, "knn": knn_probe_score}
IRIS, SPECIES = load_iris(return_X_y=True)


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def two_classes(n, d, seed=0):
    Z = normal(n, d, seed)
    return Z, (Z[:, 0] + 0.8 * normal(n, 1, seed + 1)[:, 0] > 0).astype(int)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@settings(max_examples=20)
@given(seed=st.integers(0, 2**31 - 2), k=st.integers(1, 6))
def test_neighbours_vote_as_by_the_oracle(metric, seed, k):
    Z, y = two_classes(40, 3, seed)
    train, test = slice(25), slice(25, None)
    predicted = [
        reference.knn_predict(Z[train].tolist(), y[train].tolist(), row, k, metric) for row in Z[test].tolist()
    ]
    score = knn_probe_score(Z[train], y[train], Z_test=Z[test], y_test=y[test], n_neighbors=k, metric=metric)
    assert score == np.mean(predicted == y[test])


@pytest.mark.parametrize("seed", range(6))
def test_logistic_regression_is_that_of_the_oracle(seed):
    Z, y = two_classes(60, 3, seed)
    Z = Z * [1, 10, 100] + 5
    predicted = reference.logistic_predict(Z[:40], y[:40].tolist(), Z[40:])
    score = linear_probe_score(Z[:40], y[:40], Z_test=Z[40:], y_test=y[40:])
    assert score == np.mean(predicted == y[40:])


@settings(max_examples=20)
@given(st.integers(0, 2**31))
def test_ridge_regression_is_that_of_the_oracle(seed):
    Z = normal(30, 4, seed) * [1, 10, 100, 1e-3]
    y = Z[:, 0] + Z[:, 1] ** 2
    expected = reference.ridge_r2(Z[:20], y[:20].tolist(), Z[20:], y[20:].tolist())
    score = linear_probe_score(Z[:20], y[:20], Z_test=Z[20:], y_test=y[20:])
    assert_close(score, expected, DOUBLE, scale=1 + abs(expected))  # 1 less the residual's share


def test_neighbours_of_values_are_averaged():
    Z, y = [[0.0], [1], [10], [11]], [0.5, 1.5, 4, 6]
    options = {"Z_test": [[0.4], [10.4]], "n_neighbors": 2, "metric": "euclidean"}
    assert knn_probe_score(Z, y, y_test=[1, 5], **options) == 1
    assert knn_probe_score(Z, y, y_test=[0.0, 4.0], **options) == 1 - 2 / 8


def test_cross_validation_is_stratified_for_classes_and_not_for_values():
    for y, splitter in ((SPECIES, StratifiedKFold(4)), (IRIS[:, 0] + 0.01, KFold(4))):
        for probe in PROBES.values():
            scores = probe(IRIS[:, 1:], y, cv=4, return_scores=True)
            assert scores.shape == (4,)
            assert np.array_equal(scores, probe(IRIS[:, 1:], y, cv=splitter, return_scores=True))
            assert probe(IRIS[:, 1:], y, cv=4) == scores.mean()
            for score, (train, test) in zip(scores, splitter.split(IRIS, y), strict=True):
                held_out = {"Z_test": IRIS[test, 1:], "y_test": y[test]}
                alone = probe(IRIS[train, 1:], y[train], **held_out)
                assert_close(score, alone, DOUBLE, scale=1 + abs(alone))


def test_few_labels_are_drawn_as_the_benchmark_draws_them():
    rng = np.random.RandomState(3)
    train, test = np.arange(0, 150, 2), np.arange(1, 150, 2)
    Z, y = IRIS[train], SPECIES[train]
    expected = []
    for _ in range(5):
        few = np.concatenate([rng.permutation(np.flatnonzero(y == label))[:10] for label in range(3)])
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(Z[few], y[few])
        expected.append(model.score(IRIS[test], SPECIES[test]))
    held_out = {"Z_test": IRIS[test], "y_test": SPECIES[test], "n_per_class": 10}
    assert linear_probe_score(Z, y, **held_out, random_state=3, return_scores=True).tolist() == expected
    assert linear_probe_score(Z, y, **held_out, random_state=np.random.RandomState(3)) == np.mean(expected)


@pytest.mark.parametrize("cv", [3, StratifiedShuffleSplit(3, random_state=0)])
def test_draws_are_out_of_the_rows_to_fit_on(cv):
    y = np.repeat([0, 1], [6, 30])
    Z = np.arange(36.0)[:, None]  # each row is its own neighbour only
    options = {"n_neighbors": 1, "metric": "euclidean", "cv": cv, "random_state": 0, "return_scores": True}
    assert knn_probe_score(Z, y, n_per_class=2, n_draws=4, **options).shape == (12,)
    # more than any class has: every draw is all of the rows
    everything = np.repeat(knn_probe_score(Z, y, **options), 2)
    assert np.array_equal(knn_probe_score(Z, y, n_per_class=99, n_draws=2, **options), everything)
    leak = np.random.default_rng(0).integers(0, 2, 36)  # only a row itself tells its class
    names = np.eye(36)
    assert knn_probe_score(names, leak, **{**options, "cv": 3}, n_per_class=5).mean() < 0.8


def test_random_state():
    options = {"n_per_class": 2, "n_draws": 2, "cv": 3, "return_scores": True}
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (linear_probe_score(IRIS, SPECIES, **options, random_state=seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    rng = np.random.RandomState(0)
    assert np.array_equal(linear_probe_score(IRIS, SPECIES, **options, random_state=rng), first)
    assert not np.array_equal(linear_probe_score(IRIS, SPECIES, **options, random_state=rng), first)
    np.random.seed(0)  # noqa: NPY002
    assert np.array_equal(
        linear_probe_score(IRIS, SPECIES, **options), first
    )  # None is numpy's own, as in scikit-learn


def test_more_labels_do_better():
    Z, y = make_classification(600, 20, n_informative=6, n_redundant=0, class_sep=0.8, random_state=0)
    for probe in PROBES.values():
        few, many = (probe(Z, y, n_per_class=n, random_state=0) for n in (5, 100))
        assert 0.5 < few < many - 0.05


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_perfect_and_chance(probe):
    Z, y = normal(300, 5), np.arange(300) % 3
    codes = np.eye(3)[y] + 0.01 * Z[:, :3]
    assert probe(codes, y) == 1
    assert probe(codes, 3.5 * y + 0.25) > 0.98
    assert_within(probe(Z, y), 1 / 3, 0.1)  # of 300 random rows, with a standard error of 0.03
    assert_close(probe(np.ones((300, 2)), y), 1 / 3, DOUBLE)
    assert_close(probe(np.zeros((300, 2)), y), 1 / 3, DOUBLE)


@settings(max_examples=5)
@given(st.integers(0, 2**31 - 2), st.floats(1e-3, 1e3))
def test_what_each_probe_ignores(seed, scale):
    Z, y = two_classes(50, 3, seed)
    turned = scale * Z @ np.linalg.qr(normal(3, 3))[0]
    for metric in ("cosine", "euclidean"):
        assert_close(knn_probe_score(turned, y, metric=metric), knn_probe_score(Z, y, metric=metric), DOUBLE)
    lengths = np.exp(normal(50, 1, seed))
    assert_close(knn_probe_score(lengths * Z, y), knn_probe_score(Z, y), DOUBLE)
    values = Z[:, 0] ** 2
    expected = linear_probe_score(Z, values, return_scores=True)
    residual = 1 + np.abs(expected).max()
    moved = linear_probe_score(scale * Z * [1, 2, -3] + 4, values, return_scores=True)
    assert_close(moved, expected, DOUBLE, scale=residual * (1 + 4 / scale))  # 4 against deviations of that scale
    assert_close(linear_probe_score(Z, 2 * values - 1, return_scores=True), expected, DOUBLE, scale=residual)


def test_task_and_scoring():
    counts = np.round(10 * IRIS[:, 0]).astype(int)
    cv = KFold(5, shuffle=True, random_state=0)
    as_values = linear_probe_score(IRIS[:, 1:], counts, task="regression", cv=cv)
    assert_close(as_values, linear_probe_score(IRIS[:, 1:], counts + 0.5, cv=cv), DOUBLE, scale=1)
    assert as_values > 0.7 > linear_probe_score(IRIS[:, 1:], counts, cv=cv)
    uneven = np.repeat([0, 1], [80, 20])
    assert_close(linear_probe_score(np.zeros((100, 2)), uneven), 0.8, DOUBLE)
    assert_close(linear_probe_score(np.zeros((100, 2)), uneven, scoring="balanced_accuracy"), 0.5, DOUBLE)
    assert knn_probe_score(IRIS, SPECIES, scoring="accuracy") == knn_probe_score(IRIS, SPECIES)


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_kinds_of_input(probe):
    Z = IRIS.astype(np.float32)
    expected = probe(Z.astype(np.float64), SPECIES)
    assert type(probe(Z, SPECIES)) is float
    assert probe(Z, SPECIES) == expected
    assert probe(pd.DataFrame(Z, columns=list("abcd")), pd.Series(SPECIES, index=range(7, 157))) == expected
    assert probe(np.asfortranarray(Z).tolist(), SPECIES.tolist()) == expected
    names = np.array(["x", "y", "z"])[SPECIES]
    assert probe(Z, names) == expected
    assert probe(Z, pd.Categorical(names)) == expected
    frozen = IRIS.copy()
    frozen.flags.writeable = False
    assert probe(frozen, SPECIES) == probe(IRIS, SPECIES)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbours_hold_no_matrix_of_pairs(metric, order):
    Z, y = np.asarray(normal(8000, 20), order=order), np.arange(8000) % 2  # pairs of one fold: 82 MB
    tracemalloc.start()
    knn_probe_score(Z, y, metric=metric)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"Z_test": IRIS}, "Z_test is given, but not y_test"),
        ({"y_test": SPECIES}, "y_test is given, but not Z_test"),
        ({"Z_test": IRIS[:, 1:], "y_test": SPECIES}, "Z_test has 3 columns and Z has 4"),
        ({"Z_test": IRIS, "y_test": SPECIES[1:]}, r"inconsistent numbers of samples: \[150, 149\]"),
        ({"y": SPECIES[1:]}, r"inconsistent numbers of samples: \[150, 149\]"),
        ({"y": np.eye(150)[:, :2]}, r"1d array.*\(150, 2\)"),
        ({"y": [[1], *[[2, 3]] * 149]}, "inhomogeneous|sequence"),
        ({"y": np.full(150, np.nan)}, "y holds no label: all of its 150 entries"),
        ({"Z": IRIS * np.nan}, "Z contains NaN"),
        ({"y": IRIS[:, 0] + 0.01, "n_per_class": 3}, "n_per_class=3 needs classes"),
        ({"task": "regression", "n_per_class": 3}, "n_per_class=3 needs classes.*task='classification'"),
        ({"task": "ranking"}, "'task'.*'regression'.*Got 'ranking' instead"),
        ({"n_per_class": 0}, r"'n_per_class'.*range \[1, inf\).*Got 0 instead"),
        ({"n_draws": 0}, r"'n_draws'.*range \[1, inf\).*Got 0 instead"),
        ({"random_state": "a"}, "'random_state'.*Got 'a' instead"),
        ({"scoring": "foo"}, "'scoring'.*'accuracy'.*Got 'foo' instead"),
        ({"cv": 200}, "n_splits=200"),
        ({"cv": "loo"}, "'cv'.*Got 'loo' instead"),
    ],
)
def test_errors_name_what_was_wrong(probe, options, message):
    with pytest.raises(ValueError, match=message):
        probe(**{"Z": IRIS, "y": SPECIES, **options})


def test_more_neighbours_than_labelled_rows():
    with pytest.raises(ValueError, match="n_neighbors=7 of only 6 labelled rows; give 1 to 6"):
        knn_probe_score(IRIS, SPECIES, n_neighbors=7, n_per_class=2)
    with pytest.raises(ValueError, match=r"'metric'.*'cosine'.*Got 'l1' instead"):
        knn_probe_score(IRIS, SPECIES, metric="l1")
