"""Outlier scores: the mass that a row loses on its way to training rows, against POT and by laws."""

import pickle
from pathlib import Path

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import cosine_distances

from skgca import GCAEmbedder
from skgca._inference.outlier_score import lost_mass
from skgca._utils.compat import InvalidParameterError

from ..numerics import DOUBLE, SINGLE, assert_close, assert_within, size

FIXTURES = Path(__file__).parents[1] / "persistence" / "fixtures"


@pytest.fixture(scope="module")
def digits():
    """Two thirds of the digits to train on, the others, and rows that take each pixel from another row."""
    X = load_digits().data
    X = X[np.random.RandomState(0).permutation(len(X))]
    rng = np.random.RandomState(1)
    mixed = np.stack([rng.permutation(column)[:200] for column in X.T], axis=1)
    return X[:1200], X[1200:], mixed


@pytest.fixture(scope="module")
def embedder(digits):
    return GCAEmbedder(max_epochs=5, random_state=0).fit(digits[0])


def drawn(n, d, seed):
    return np.random.RandomState(seed).standard_normal((n, d))


def mass_by_pot(reference, epsilon, rho):
    """Row masses of the plan from a reference to itself, no row to itself, each over what it is due."""
    n = len(reference)
    cost = cosine_distances(reference)
    np.fill_diagonal(cost, 1e4)  # too far for any mass, in place of infinity
    mass = np.full(n, 1 / n)
    plan = ot.unbalanced.sinkhorn_stabilized_unbalanced(
        mass, mass, cost, reg=epsilon, reg_m=rho, reg_type="kl", numItermax=20_000, stopThr=1e-15
    )
    return n * plan.sum(axis=1)


@pytest.mark.parametrize(("epsilon", "rho"), [(0.2, 1.0), (0.05, 0.3), (1.0, 5.0)])
def test_training_rows_lose_what_pot_says(epsilon, rho):
    reference = drawn(40, 5, seed=0)
    expected = 1 - mass_by_pot(reference, epsilon, rho)
    # the solver stops at 1e-9 of all mass, or 4e-8 of that of a row
    assert_close(lost_mass(reference, reference, epsilon=epsilon, rho=rho), expected, 1e-7, scale=1.0)


def test_a_new_row_makes_the_row_step_against_the_reference():
    """By hand: potentials by Sinkhorn in numpy, then the mass of one row more."""
    reference, row, epsilon, rho = drawn(30, 4, seed=0), drawn(1, 4, seed=1), 0.3, 0.7
    kernel = np.exp(-cosine_distances(reference) / epsilon) / 30**2
    np.fill_diagonal(kernel, 0)
    power, v = rho / (rho + epsilon), np.ones(30)
    for _ in range(5000):
        u = (1 / 30 / (kernel @ v)) ** power
        v = (1 / 30 / (kernel.T @ u)) ** power
    reached = np.exp(-cosine_distances(row, reference)[0] / epsilon) / 30**2 @ v
    share = 30 * (1 / 30 / reached) ** power * reached
    # the solver stops at 1e-9 of all mass, or 3e-8 of that of a row
    assert_close(lost_mass(row, reference, epsilon=epsilon, rho=rho), [1 - share], 1e-7, scale=1.0)


@given(
    seed=st.integers(0, 2**31 - 1),
    n=st.integers(2, 20),
    d=st.integers(1, 6),
    epsilon=st.floats(0.02, 5),
    rho=st.floats(0.05, 20),
)
@settings(max_examples=30)
def test_laws(seed, n, d, epsilon, rho):
    reference, rows = drawn(n, d, seed), drawn(7, d, seed + 1)
    lost = lost_mass(rows, reference, epsilon=epsilon, rho=rho)
    assert np.isfinite(lost).all()
    assert (lost <= 1).all()
    scale = max(1.0, size(lost))
    # whoever comes with a row, and however long it is
    apart = [lost_mass(3 * part, reference, epsilon=epsilon, rho=rho) for part in (rows[:1], rows[1:])]
    assert_close(np.concatenate(apart), lost, DOUBLE, scale=scale)
    order = np.random.RandomState(seed).permutation(n)
    # rounding may let the solver stop an iteration earlier, 1e-9 of all mass apart, or 2e-8 of that of a row
    assert_close(lost_mass(rows, reference[order], epsilon=epsilon, rho=rho), lost, 1e-6, scale=scale)


def test_equal_rows_lose_nothing_and_opposite_ones_nearly_all():
    reference = np.tile([[1.0, 2.0]], (500, 1))
    same, opposite = lost_mass(np.array([[2.0, 4.0], [-1.0, -2.0]]), reference, epsilon=0.1, rho=0.01)
    assert_within(same, 0.0, 0.01)  # it is one of 500, of which it is not sent to itself
    assert opposite > 0.99


def test_a_row_that_was_trained_on_is_not_compared_with_itself():
    """Else it would be nearer to the reference than any new row is."""
    reference, options = drawn(300, 8, seed=0), {"epsilon": 0.05, "rho": 1.0}
    left_out = lost_mass(reference[:1], reference[1:], **options)[0]
    assert_within(lost_mass(reference[:1], reference, **options)[0], left_out, 0.02)
    turned = reference[:1] + 1e-3  # near, but not the same any more
    assert lost_mass(turned, reference, **options)[0] < left_out - 0.05


def test_of_rows_that_are_there_twice_one_counts():
    reference, options = drawn(300, 8, seed=0), {"epsilon": 0.05, "rho": 1.0}
    twice = np.concatenate([reference, reference[:1]])
    assert lost_mass(reference[:1], twice, **options)[0] < lost_mass(reference[:1], reference, **options)[0] - 0.05


def test_outliers_are_found_and_training_rows_are_as_new_ones(embedder, digits):
    trained, new, mixed = (embedder.outlier_score(rows) for rows in digits)

    def auc(inside, outside):
        return roc_auc_score(np.repeat([0, 1], [len(inside), len(outside)]), np.concatenate([inside, outside]))

    assert auc(new, mixed) > 0.95
    assert 0.4 < auc(trained, new) < 0.6


def test_scores_of_rows_do_not_depend_on_others_or_on_output(embedder, digits):
    X = digits[1][:50]
    scores = embedder.outlier_score(X)
    assert_close(embedder.outlier_score(X[::-1])[::-1], scores, SINGLE, scale=1.0)  # shares of a mass
    framed = pickle.loads(pickle.dumps(embedder)).set_output(transform="pandas")
    assert np.array_equal(framed.outlier_score(X), scores)


def test_the_reference_is_rows_of_training(embedder, digits):
    assert embedder.reference_.shape == (1000, embedder.transform(digits[0][:1]).shape[1])
    embedded = embedder.transform(digits[0].astype(np.float32))
    assert_close(embedder.reference_[[0, -1]], embedded[[0, -1]], SINGLE)
    few = GCAEmbedder(max_epochs=0, random_state=0, n_reference_rows=7).fit(digits[0])
    assert few.reference_.shape == (7, few.reference_.shape[1])
    assert np.isfinite(few.outlier_score(digits[1])).all()


def test_a_file_and_a_pickle_score_the_same(embedder, digits, tmp_path):
    X = digits[1][:50]
    embedder.save(tmp_path / "embedder.safetensors")
    loaded = GCAEmbedder.load(tmp_path / "embedder.safetensors")
    assert np.array_equal(loaded.outlier_score(X), embedder.outlier_score(X))
    assert np.array_equal(pickle.loads(pickle.dumps(embedder)).outlier_score(X), embedder.outlier_score(X))


def test_a_stream_compares_with_all_rows_that_came():
    """As many as come from the first part would be found by chance alone where only the last part was kept."""
    X = load_iris().data
    stream = GCAEmbedder(random_state=0)
    for part in (X[:75], X[75:]):
        stream.partial_fit(part)
    assert len(stream.reference_) == len(X)


def test_images(digits):
    images = digits[0][:100].reshape(-1, 8, 8)
    embedder = GCAEmbedder(max_epochs=1, random_state=0).fit(images)
    assert embedder.outlier_score(images[:9]).shape == (9,)


@pytest.mark.parametrize("wrong", [{"epsilon": 0}, {"epsilon": "small"}, {"rho": np.inf}, {"rho": -1.0}])
def test_strengths_must_be_finite_and_positive(embedder, digits, wrong):
    with pytest.raises(InvalidParameterError, match=f"'{next(iter(wrong))}' parameter of GCAEmbedder.outlier_score"):
        embedder.outlier_score(digits[1], **wrong)


def test_rows_must_have_been_kept():
    X = load_iris().data
    bare = GCAEmbedder(max_epochs=0, n_reference_rows=0, random_state=0).fit(X)
    assert bare.reference_.shape == (0, bare.transform(X[:1]).shape[1])
    with pytest.raises(ValueError, match="of which 0 are kept; fit with n_reference_rows=1000"):
        bare.outlier_score(X)
    with pytest.raises(NotFittedError):
        GCAEmbedder().outlier_score(X)


def test_a_file_from_before_there_was_a_reference_says_so():
    old = GCAEmbedder.load(next(FIXTURES.glob("*.safetensors")))
    assert not hasattr(old, "reference_")
    with pytest.raises(ValueError, match="fit with n_reference_rows"):
        old.outlier_score(np.zeros((2, old.n_features_in_)))


def test_other_parameters_do_not_change_the_fit(digits):
    """Nothing that is kept for later draws a random number."""
    X = digits[0][:200]
    with_none, with_all = (
        GCAEmbedder(max_epochs=2, random_state=0, n_reference_rows=n).fit(X).transform(X) for n in (0, 200)
    )
    assert np.array_equal(with_none, with_all)
