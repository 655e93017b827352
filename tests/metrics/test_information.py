"""What survives of a row in its views: against an oracle and closed forms, laws, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skgca.metrics import view_information_score

from ..numerics import assert_close, assert_within
from ..reference import metrics as reference

# The terms are logarithms of variances that are at least the ridge, in units of the mean one: the rounding of one
# by 1.1e-16 counts 1 / ridge times, in each column.
FEW = 3e-14
RIDGE = 0.01  # by default


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@st.composite
def noisy_views(draw):
    """Rows with noise, unevenly large columns."""
    n, d, n_views = draw(st.integers(2, 9)), draw(st.integers(1, 5)), draw(st.integers(2, 4))
    seed, size = draw(st.integers(0, 2**31)), draw(st.sampled_from([0.05, 1.0]))
    views = normal(n, d, seed=seed) + size * normal(n_views, n, d, seed=seed + 1)
    return views * np.logspace(0, -2, d) + 3


@given(views=noisy_views(), ridge=st.floats(1e-3, 2))
@settings(max_examples=50)
def test_oracle(views, ridge):
    expected = reference.view_information(views.tolist(), ridge)
    scale = views.shape[2] * (1 + 1 / ridge)
    assert_close(view_information_score(*views, ridge=ridge), expected, FEW, scale=scale)


@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_gaussians_have_the_information_of_a_gaussian_channel(noise):
    """Rows of variance 1 in d columns under noise of a given deviation; delta adds to the noise."""
    n, d, ridge = 20_000, 3, 0.01
    views = normal(n, d) + noise * normal(4, n, d, seed=1)
    delta = ridge * (1 + noise**2)
    expected = d / 2 * math.log((1 + noise**2 + delta) / (noise**2 + delta))
    assert_within(view_information_score(*views, ridge=ridge), expected, 0.02 * expected)  # of 20,000 random rows


@given(views=noisy_views(), seed=st.integers(0, 2**31))
@settings(max_examples=30)
def test_laws(views, seed):
    score = view_information_score(*views)
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(views.shape[2], views.shape[2])))[0]
    scale = views.shape[2] * (1 + 1 / RIDGE)
    far = 7 / 1e-3  # times its deviation an embedding is from the origin, with that loss of digits
    assert_close(view_information_score(*(1e-3 * views @ turn - 7)), score, FEW, scale=far * scale)
    rows = rng.permutation(views.shape[1])
    assert_close(view_information_score(*views[::-1, rows]), score, FEW, scale=scale)
    most = views.shape[2] / 2 * math.log(1 + 1 / RIDGE)
    assert_close(min(score, most), score, FEW, scale=scale)


def test_collapse_tells_nothing():
    assert view_information_score(np.ones((5, 3)), np.ones((5, 3))) == 0
    shuffled = normal(2, 4000, 3)  # views that have nothing in common
    assert_within(view_information_score(*shuffled), 0, 0.02)  # of 4,000 random rows


def test_a_dimension_that_views_scramble_is_worth_nothing():
    row, options = normal(4000, 2), {"ridge": 1e-4}
    kept = row + 0.1 * normal(5, 4000, 2, seed=1)
    scrambled = np.concatenate([kept, normal(5, 4000, 2, seed=2)], axis=2)
    score = view_information_score(*kept, **options)
    # What 4,000 random rows leave of the noise, and what a column more or less changes of the ridge.
    assert_within(view_information_score(*scrambled, **options), score, 0.01 * score)
    assert_within(view_information_score(*(kept * [1, 0]), **options), score / 2, 0.03 * score / 2)


def test_size_does_not_matter_even_at_the_ends_of_the_range():
    views = normal(3, 20, 4)
    score = view_information_score(*views)
    for size in (1e-150, 1e150):
        assert_close(view_information_score(*(size * views)), score, FEW, scale=4 * (1 + 1 / RIDGE))


@pytest.mark.parametrize(
    ("views", "options", "message"),
    [
        ([], {}, "takes two views or more, and got 0"),
        ([[[1.0], [2.0]]], {}, "takes two views or more, and got 1"),
        ([[[1.0]], [[1.0]]], {}, "minimum of 2"),
        ([[[1.0], [2.0]], [[1.0], [2.0], [3.0]]], {}, "inconsistent numbers of samples"),
        ([[[1.0], [2.0]], [[1.0, 2.0], [2.0, 3.0]]], {}, "Z_a has 1 columns and Z_b has 2"),
        ([[[1.0], [np.nan]], [[1.0], [2.0]]], {}, "NaN"),
        ([[[1.0], [2.0]], [[1.0], [2.0]]], {"ridge": 0}, "'ridge' parameter"),
    ],
)
def test_what_is_refused(views, options, message):
    with pytest.raises(ValueError, match=message):
        view_information_score(*views, **options)
