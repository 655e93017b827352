"""The scale of an embedding beside the inputs that pass through."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from skgca import GCAEmbedder
from skgca._inference.balance import DependenceEstimate, embedding_scale, nonlinear_dependence

from ..numerics import DOUBLE, assert_close, assert_within


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def curve(n, seed=0):
    """Three columns, each of which follows from the others, but not in a linear way."""
    place = np.random.default_rng(seed).uniform(-2, 2, n)
    return np.column_stack([place**2, np.sin(3 * place), np.cos(2 * place) * place])


def dependence(table, columns=None):
    return nonlinear_dependence(table, range(table.shape[1]) if columns is None else columns)


def scale(embedding, inputs):
    return embedding_scale(torch.from_numpy(embedding), torch.from_numpy(inputs), range(inputs.shape[1]))


def variances(rows):
    return np.linalg.eigvalsh(np.cov(rows.T, bias=True))


@pytest.mark.parametrize("seed", range(5))
def test_columns_that_are_independent_or_linear_in_each_other_have_no_nonlinear_dependence(seed):
    columns = normal(400, 4, seed)
    assert dependence(columns) < 0.02
    assert dependence(columns @ normal(4, 6, seed + 100)) < 0.02


@pytest.mark.parametrize("seed", range(5))
def test_columns_on_a_curve_depend_on_each_other(seed):
    assert dependence(curve(400, seed)) > 0.3
    number = normal(400, 1, seed)
    assert dependence(np.column_stack([number, number**2])) > 0.2


def test_a_dependence_of_few_columns_is_not_one_of_most():
    noise = normal(400, 4)
    assert dependence(np.column_stack([noise, curve(400)])) < 0.02


def test_the_columns_of_a_category_are_predicted_together():
    # each of five one-hot columns follows from the others, and none of them from the number
    codes = np.random.default_rng(0).integers(0, 5, 400)
    table = np.column_stack([normal(400, 1), np.eye(5)[codes]])
    assert dependence(table, [0, 1, 1, 1, 1, 1]) < 0.02
    # a number that says which category it is
    table[:, 0] = np.array([3.0, 0.0, 4.0, 1.0, 2.0])[codes]
    assert dependence(table, [0, 1, 1, 1, 1, 1]) > 0.1


@pytest.mark.parametrize(
    "table",
    [normal(1, 3), normal(2, 3), normal(50, 1), np.zeros((50, 3)), np.column_stack([normal(50, 1), np.ones(50)])],
    ids=["one row", "two rows", "one column", "constant", "one that varies"],
)
def test_too_little_to_predict_is_no_dependence(table):
    assert dependence(table) == 0


def test_an_estimate_is_kept_until_the_sample_has_doubled():
    estimate = DependenceEstimate()
    columns = range(3)
    assert estimate.of(normal(200, 3), columns) < 0.02
    assert estimate.of(curve(399), columns) < 0.02  # that of the 200 rows
    found = estimate.of(curve(400), columns)
    assert found == dependence(curve(400))
    assert estimate.of(normal(799, 3), columns) == found
    assert estimate.of(normal(800, 3), columns) < 0.02


@settings(max_examples=25)
@given(st.integers(2, 5), st.integers(2, 30), st.integers(0, 100))
def test_without_dependence_the_embedding_has_no_more_variance_than_the_inputs(d, k, seed):
    inputs = normal(60, d, seed)
    embedding = normal(60, 3, seed + 1) @ normal(3, k, seed + 2)
    found = scale(embedding, inputs)
    of_embedding, of_inputs = variances(embedding), variances(inputs)
    dimensions, of_input = (v.sum() ** 2 / np.square(v).sum() for v in (of_embedding, of_inputs))
    expected = of_inputs.sum() / of_embedding.sum() * min(1, of_input / dimensions)
    if of_embedding.sum() <= of_inputs.sum():
        assert found == 1
    elif dependence(inputs) == 0:  # so few rows look dependent now and then
        assert_close(found, np.sqrt(expected), DOUBLE)
    else:
        assert np.sqrt(expected) <= found <= 1


@pytest.mark.parametrize("factor", [0.7, 1.0, 30.0])
def test_the_scaled_embedding_does_not_depend_on_its_scale(factor):
    inputs, embedding = normal(200, 3), 5 * normal(200, 40, 1)
    assert_close(factor * scale(factor * embedding, inputs), scale(embedding, inputs), DOUBLE)


def test_beside_dependent_inputs_the_embedding_keeps_its_scale():
    assert scale(5 * normal(400, 40, 1), curve(400)) == 1


def test_nothing_to_compare_with_keeps_the_scale():
    for inputs, embedding in [
        (np.zeros((50, 3)), normal(50, 8)),
        (normal(50, 3), np.zeros((50, 8))),
        (normal(50, 0), normal(50, 8)),
    ]:
        assert scale(embedding, inputs) == 1


def test_the_estimator_scales_the_columns_of_the_embedding_only():
    X = normal(200, 3).astype(np.float32)
    params = {"n_components": 20, "max_epochs": 2, "random_state": 0}
    beside = GCAEmbedder(**params).fit_transform(X)
    alone = GCAEmbedder(**params, passthrough=False).fit_transform(X)
    assert_close(alone.std(0), np.ones(20), 1e-5)
    ratio = beside[:, :20].std(0)
    assert_close(ratio, np.full(20, ratio[0]), 1e-5)
    assert_close(beside[:, :20] / ratio[0], alone, 1e-5, scale=np.abs(alone).max())
    assert (beside[:, :20].var(0).sum()) <= beside[:, 20:].var(0).sum() * (1 + 1e-5)
    # a curve keeps the scale
    assert_within(GCAEmbedder(**params).fit_transform(curve(200))[:, :20].std(0).mean(), 1.0, 1e-5)


def of_linear_classes(kind, n=1400, seed=0):
    """Few columns, and classes that are linear in them but for noise: what an embedding cannot improve."""
    rng = np.random.default_rng(seed)
    columns = {
        "independent": lambda: rng.normal(size=(n, 3)),
        "correlated": lambda: rng.normal(size=(n, 5)) @ (np.eye(5) + 0.5 * rng.normal(size=(5, 5))),
        "counts": lambda: np.column_stack([rng.poisson(3, n), rng.integers(30, 80, n), rng.integers(0, 2, n)]),
    }[kind]()
    effect = StandardScaler().fit_transform(columns) @ np.linspace(1, 0.3, columns.shape[1])
    return columns, (effect / effect.std() + rng.normal(size=n) > 0).astype(int)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["independent", "correlated", "counts"])
def test_the_embedding_does_no_harm_where_classes_are_linear_and_noisy(kind):
    lost = []
    for seed in range(6):
        X, y = of_linear_classes(kind, seed=seed)
        few = np.concatenate([np.flatnonzero(y[:300] == label)[:20] for label in (0, 1)])
        scaler, embedder = StandardScaler().fit(X[:300]), GCAEmbedder(random_state=seed).fit(X[:300])
        scores = []
        for step in (scaler, embedder):
            model = LogisticRegression(max_iter=1000).fit(step.transform(X[few]), y[few])
            scores.append(model.score(step.transform(X[300:]), y[300:]))
        lost.append(100 * (scores[0] - scores[1]))
    assert np.mean(lost) < 1.5, lost  # points; 4 to 7 at the scale of 1
