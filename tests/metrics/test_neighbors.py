"""Retrieval of views and preservation of neighbourhoods: values by hand and by an oracle, laws, and what is refused."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import pairwise_distances

from skgca.metrics import neighborhood_preservation, view_retrieval_score

from ..numerics import DOUBLE, assert_close, assert_within
from ..reference import metrics as reference

METRICS = ["cosine", "euclidean"]
# Each as a function of an embedding and a metric.
SCORES = {
    "retrieval": lambda Z, metric: view_retrieval_score(Z, Z[::-1], k=2, metric=metric),
    "preservation": lambda Z, metric: neighborhood_preservation(
        normal(len(Z), 2, seed=1), Z, n_neighbors=2, embedding_metric=metric
    ),
}


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def rotation(d, seed=0):
    return np.linalg.qr(normal(d, d, seed))[0]


@st.composite
def pairs(draw):
    """Two arrays of equal shape, of normal numbers or of small whole ones, which have ties and rows of zeros."""
    shape, seed = (draw(st.integers(4, 9)), draw(st.integers(1, 3))), draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    if draw(st.booleans()):
        return rng.normal(size=shape), rng.normal(size=shape)
    return rng.integers(-1, 2, shape).astype(float), rng.integers(-1, 2, shape).astype(float)


def test_retrieval_by_hand():
    east, north, west, south = np.eye(4, 2) + np.eye(4, 2, -2) * -1
    clock = np.array([east, north, west, south])
    assert view_retrieval_score(clock, clock) == 1
    assert view_retrieval_score(clock, -clock, k=3) == 0
    assert view_retrieval_score(clock, clock[[1, 2, 3, 0]], k=1) == 0
    assert view_retrieval_score(clock, clock[[1, 2, 3, 0]], k=2) == 0.5  # a quarter turn off: one of two that are level
    assert view_retrieval_score(clock, clock[[1, 0, 2, 3]]) == 0.5
    line = np.array([[0.0], [1], [5], [6]])
    found = (1 + 0 + 1 / 2 + 0) / 4  # 0 finds 2, and 5 is in the middle of 3 and 7
    assert view_retrieval_score(line, line + 2, metric="euclidean") == found
    assert view_retrieval_score(line, line + 2, metric="euclidean", adjusted=True) == (found - 1 / 4) / (3 / 4)


def test_preservation_by_hand():
    X = [[0], [1], [3], [7], [15]]  # the nearest is the one before, but for the first
    Z = [[0], [1], [-8], [2.5], [9]]  # nearest are rows 1, 0, 0, 1 and 3
    assert neighborhood_preservation(X, Z, n_neighbors=1) == 3 / 5
    assert neighborhood_preservation(X, Z, n_neighbors=1, adjusted=True) == (3 / 5 - 1 / 4) / (3 / 4)
    assert neighborhood_preservation(X, X, n_neighbors=3) == 1


def test_equally_near_rows_of_the_input_are_all_neighbours():
    X = [[0, 0], [1, 0], [-1, 0], [0, 1], [9, 9]]  # near are rows {1, 2, 3}, {0}, {0}, {0} and {1, 3}
    Z = [[0], [2], [3], [1], [9]]  # nearest are rows 3, 2 or 3, 1, 0 or 1, and 2
    kept, chance = (1 + 0 + 0 + 1 / 2 + 0) / 5, (3 + 1 + 1 + 1 + 2) / (5 * 4)
    assert neighborhood_preservation(X, Z, n_neighbors=1) == kept
    adjusted = neighborhood_preservation(X, Z, n_neighbors=1, adjusted=True)
    assert adjusted == (kept - chance) / (1 - chance)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=60)
@given(views=pairs(), data=st.data())
def test_values_are_those_of_the_oracle(metric, views, data):
    Z_a, Z_b = views
    n = len(Z_a)
    k = data.draw(st.integers(1, n - 1))
    expected = reference.retrieval(Z_a, Z_b, k, metric)
    assert_close(view_retrieval_score(Z_a, Z_b, k=k, metric=metric), expected, DOUBLE, scale=1)
    adjusted = view_retrieval_score(Z_a, Z_b, k=k, metric=metric, adjusted=True)
    assert_close(adjusted, (expected - k / n) / (1 - k / n), DOUBLE, scale=1)

    k = data.draw(st.integers(1, n - 2))
    for input_metric in METRICS:
        expected, chance = reference.preservation(Z_a, Z_b, k, input_metric, metric)
        options = {"n_neighbors": k, "metric": input_metric, "embedding_metric": metric}
        assert_close(neighborhood_preservation(Z_a, Z_b, **options), expected, DOUBLE, scale=1)
        if chance < 1:
            adjusted = neighborhood_preservation(Z_a, Z_b, **options, adjusted=True)
            assert_close(adjusted, (expected - chance) / (1 - chance), DOUBLE, scale=1 / (1 - chance))


@settings(max_examples=30)
@given(pairs(), st.sampled_from(METRICS), st.floats(1e-30, 1e30))
def test_rotating_and_scaling_change_nothing(views, metric, scale):
    Z_a, Z_b = views
    turn = scale * rotation(Z_a.shape[1])
    retrieval = view_retrieval_score(Z_a @ turn, Z_b @ turn, k=2, metric=metric)
    assert_close(retrieval, view_retrieval_score(Z_a, Z_b, k=2, metric=metric), DOUBLE, scale=1)
    options = {"n_neighbors": 2, "metric": metric, "embedding_metric": metric}
    preservation = neighborhood_preservation(Z_a @ turn, Z_b @ turn[::-1], **options)
    assert_close(preservation, neighborhood_preservation(Z_a, Z_b, **options), DOUBLE, scale=1)


@settings(max_examples=30)
@given(pairs(), st.integers(0, 2**31))
def test_what_each_metric_ignores(views, seed):
    Z_a, Z_b = views
    lengths = np.exp(normal(len(Z_a), 1, seed))
    assert_close(view_retrieval_score(Z_a * lengths, Z_b), view_retrieval_score(Z_a, Z_b), DOUBLE, scale=1)
    by_distance = view_retrieval_score(Z_a, Z_b, metric="euclidean")
    assert_close(view_retrieval_score(Z_a + 7, Z_b + 7, metric="euclidean"), by_distance, DOUBLE, scale=1)
    preserved = neighborhood_preservation(Z_a, Z_b, n_neighbors=2)
    assert_close(neighborhood_preservation(Z_a + 7, Z_b - 7, n_neighbors=2), preserved, DOUBLE, scale=1)


@settings(max_examples=30)
@given(pairs(), st.sampled_from(METRICS), st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_of_views_counts(views, metric, random):
    Z_a, Z_b = views
    order = random.sample(range(len(Z_a)), len(Z_a))
    expected = view_retrieval_score(Z_a, Z_b, metric=metric)
    assert_close(view_retrieval_score(Z_b, Z_a, metric=metric), expected, DOUBLE, scale=1)
    assert_close(view_retrieval_score(Z_a[order], Z_b[order], metric=metric), expected, DOUBLE, scale=1)
    options = {"n_neighbors": 2, "embedding_metric": metric}
    expected = neighborhood_preservation(Z_a, Z_b, **options)
    assert_close(neighborhood_preservation(Z_a[order], Z_b[order], **options), expected, DOUBLE, scale=1)


@settings(max_examples=30)
@given(pairs(), st.sampled_from(METRICS))
def test_bounds_and_what_is_perfect(views, metric):
    Z_a, Z_b = views
    assert 0 <= view_retrieval_score(Z_a, Z_b, metric=metric) <= 1
    assert 0 <= neighborhood_preservation(Z_a, Z_b, n_neighbors=2, embedding_metric=metric) <= 1
    options = {"metric": metric, "embedding_metric": metric}
    assert_close(neighborhood_preservation(Z_a, Z_a, n_neighbors=2, **options), 1, DOUBLE, scale=1)  # ties and all
    distinct = np.arange(len(Z_a))[:, None] * [1.0, 0] + [0, 1]
    assert view_retrieval_score(distinct, distinct, metric=metric, adjusted=True) == 1


@settings(max_examples=30)
@given(pairs(), st.integers(1, 3))
def test_a_larger_k_finds_no_less(views, k):
    more, fewer = (view_retrieval_score(*views, k=n) for n in (k, max(1, k - 1)))
    assert_close(max(more, fewer), more, DOUBLE, scale=1)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("width", [1, 3, 64, 4096])
def test_collapse_scores_chance_exactly(metric, width):
    n = 101
    one, other = (np.tile(normal(1, width, seed), (n, 1)) for seed in (0, 1))
    zeros, alive = np.zeros((n, width)), normal(n, width, 2)
    for Z_a, Z_b in [(one, one), (one, other), (zeros, zeros), (one, zeros), (one, alive), (alive, zeros)]:
        score = view_retrieval_score(Z_a, Z_b, k=3, metric=metric)
        if metric == "cosine" and width == 1 and Z_a is one and Z_b is alive:
            continue  # one column has two directions, so the living view is all ties as well
        assert_close(score, 3 / n, DOUBLE)
    for Z in (one, zeros):
        assert_close(neighborhood_preservation(alive, Z, embedding_metric=metric), 15 / (n - 1), DOUBLE)
        adjusted = neighborhood_preservation(alive, Z, embedding_metric=metric, adjusted=True)
        assert_close(adjusted, 0, DOUBLE, scale=1)


@pytest.mark.parametrize("metric", METRICS)
def test_collapse_to_classes_finds_a_row_of_the_class(metric):
    classes = np.repeat(np.arange(4), 10)
    Z = normal(4, 48)[classes]
    assert_close(view_retrieval_score(Z, Z, metric=metric), 1 / 10, DOUBLE)
    X = normal(4, 5)[classes] + 1e-3 * normal(40, 5, seed=1)  # a row has 9 others near, at random for Z
    score = neighborhood_preservation(X, Z, n_neighbors=3, embedding_metric=metric)
    assert_close(score, 3 / 9, DOUBLE)


def test_noise_scores_about_chance():
    Z_a, Z_b = normal(400, 8), normal(400, 8, seed=1)
    for metric in METRICS:
        assert_within(view_retrieval_score(Z_a, Z_b, k=40, metric=metric, adjusted=True), 0, 0.06)  # of 400 rows
        assert_within(neighborhood_preservation(Z_a, Z_b, embedding_metric=metric, adjusted=True), 0, 0.02)


def test_ties_are_the_mean_of_breaking_them_at_random():
    rng = np.random.default_rng(0)
    Z = rng.integers(0, 3, (30, 2)).astype(float)
    other = Z[rng.permutation(30)]
    X = normal(30, 2)
    jitter = [1e-6 * normal(30, 2, seed) for seed in range(400)]
    found = [view_retrieval_score(Z, other + noise, k=4, metric="euclidean") for noise in jitter]
    assert len(set(found)) > 1
    expected = view_retrieval_score(Z, other, k=4, metric="euclidean")
    assert_within(np.mean(found), expected, 4 * np.std(found) / 20)  # four standard errors of the mean of 400
    kept = [neighborhood_preservation(X, Z + noise, n_neighbors=4) for noise in jitter]
    assert_within(np.mean(kept), neighborhood_preservation(X, Z, n_neighbors=4), 4 * np.std(kept) / 20)


def test_far_from_the_origin_and_beside_an_outlier():
    Z = normal(60, 3)
    expected = neighborhood_preservation(normal(60, 2, seed=1), Z, n_neighbors=5)
    assert_close(neighborhood_preservation(normal(60, 2, seed=1), Z + 1e7, n_neighbors=5), expected, DOUBLE, scale=1)
    X = np.concatenate([Z, [[1e9, 0, 0]]])
    assert neighborhood_preservation(X, X, n_neighbors=5, adjusted=True) == 1
    assert view_retrieval_score(X, X + 1e-6, metric="euclidean") == 1


@pytest.mark.parametrize("size", [1e-300, 1e300])
@pytest.mark.parametrize("metric", METRICS)
def test_large_and_small_values(size, metric):
    Z = normal(8, 3)
    for score in SCORES.values():
        assert_close(score(size * Z, metric), score(Z, metric), DOUBLE, scale=1)


@settings(max_examples=20)
@given(st.integers(5, 40), st.integers(0, 40), st.sampled_from(METRICS))
def test_chunks_do_not_count(n, rows, metric):
    Z_a, Z_b = normal(n, 3), normal(n, 3, seed=1)
    Z_a[: n // 2] = Z_a[0]  # ties, within a chunk and across
    whole = view_retrieval_score(Z_a, Z_b, metric=metric), neighborhood_preservation(Z_b, Z_a, n_neighbors=3)
    with sklearn.config_context(working_memory=rows * 8 * n / 2**20):
        assert_close(view_retrieval_score(Z_a, Z_b, metric=metric), whole[0], DOUBLE, scale=1)
        assert_close(neighborhood_preservation(Z_b, Z_a, n_neighbors=3), whole[1], DOUBLE, scale=1)


@pytest.mark.parametrize(
    "call", [lambda Z: view_retrieval_score(Z, Z[::-1]), lambda Z: neighborhood_preservation(Z, Z[::-1])]
)
def test_all_pairs_are_not_held(call):
    Z = normal(5000, 2)  # all pairs: 200 MB
    tracemalloc.start()
    call(Z)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


@pytest.mark.parametrize("metric", ["manhattan", "chebyshev", "hamming", lambda x, y: np.abs(x - y).sum() ** 3])
def test_other_metrics_of_the_input_are_those_of_scikit_learn(metric):
    X, Z = np.round(normal(20, 2)), normal(20, 3, seed=1)
    distance = pairwise_distances(X, metric=metric)
    before = distance.copy()
    expected = neighborhood_preservation(distance, Z, n_neighbors=3, metric="precomputed")
    assert_close(neighborhood_preservation(X, Z, n_neighbors=3, metric=metric), expected, DOUBLE, scale=1)
    assert np.array_equal(distance, before)
    squared = pairwise_distances(X, metric="sqeuclidean")
    by_squares = neighborhood_preservation(squared, Z, n_neighbors=3, metric="precomputed")
    assert_close(neighborhood_preservation(X, Z, n_neighbors=3), by_squares, DOUBLE, scale=1)


def test_input_with_gaps():
    X = normal(30, 6)
    expected = neighborhood_preservation(X[:, :3], X[:, :3], n_neighbors=4)
    X[:, 3:] = np.nan
    assert neighborhood_preservation(X, X[:, :3], n_neighbors=4, metric="nan_euclidean") == expected == 1
    with pytest.raises(ValueError, match="X contains NaN"):
        neighborhood_preservation(X, X[:, :3], n_neighbors=4)


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("metric", METRICS)
def test_kinds_of_input(name, metric):
    Z = normal(8, 3).astype(np.float32)
    expected = SCORES[name](Z.astype(np.float64), metric)
    before = Z.copy()
    assert type(SCORES[name](Z, metric)) is float
    assert SCORES[name](Z, metric) == expected
    assert np.array_equal(Z, before)
    Z = Z.astype(np.float64)
    Z.flags.writeable = False
    assert SCORES[name](Z, metric) == expected
    frame = pd.DataFrame(Z, columns=list("abc"))
    assert view_retrieval_score(frame, frame.iloc[::-1], k=2, metric=metric) == SCORES["retrieval"](Z, metric)
    options = {"n_neighbors": 2, "embedding_metric": metric}
    assert neighborhood_preservation(frame, Z.tolist(), **options) == neighborhood_preservation(Z, Z, **options)


Z5 = normal(5, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: view_retrieval_score(Z5, Z5, k=5), "k=5 of 5 rows.*from 1 to 4"),
        (lambda: view_retrieval_score(Z5, Z5, k=0), r"'k'.*range \[1, inf\). Got 0 instead"),
        (lambda: view_retrieval_score(Z5, Z5[:3]), r"inconsistent numbers of samples: \[5, 3\]"),
        (lambda: view_retrieval_score(Z5, Z5[:, :1]), "Z_a has 2 columns and Z_b has 1"),
        (lambda: view_retrieval_score(Z5, Z5, metric="manhattan"), "'metric'.*'cosine'.*Got 'manhattan' instead"),
        (lambda: view_retrieval_score(Z5, [[np.inf, 0]] * 5), "Z_b contains infinity"),
        (lambda: view_retrieval_score(Z5[:1], Z5[:1]), "1 sample.*minimum of 2"),
        (lambda: view_retrieval_score(Z5, Z5, adjusted=1), "'adjusted'.*Got 1 instead"),
        (lambda: neighborhood_preservation(Z5, Z5), "n_neighbors=15 of 4 other rows.*give 1 to 3"),
        (lambda: neighborhood_preservation(Z5, Z5, n_neighbors=4), "n_neighbors=4 of 4 other rows"),
        (lambda: neighborhood_preservation(Z5, Z5, n_neighbors=1.5), "'n_neighbors'.*Got 1.5 instead"),
        (lambda: neighborhood_preservation(Z5, Z5[:4], n_neighbors=1), r"inconsistent numbers of samples: \[5, 4\]"),
        (lambda: neighborhood_preservation(Z5, Z5, n_neighbors=1, metric="foo"), "'manhattan'.*Got 'foo' instead"),
        (lambda: neighborhood_preservation(Z5, Z5, n_neighbors=1, metric="precomputed"), r"Precomputed.*\(5, 2\)"),
        (lambda: neighborhood_preservation(Z5, Z5, n_neighbors=1, embedding_metric="l1"), "'euclidean'.*Got 'l1'"),
        (
            lambda: neighborhood_preservation(np.ones((5, 2)), Z5, n_neighbors=1, adjusted=True),
            "All 5 rows of X are as near.*adjusted=False",
        ),
    ],
)
def test_errors_name_what_was_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
