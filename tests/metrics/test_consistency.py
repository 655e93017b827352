"""Agreement of two embeddings: values by hand and by an oracle, laws, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from skgca.metrics import consistency_score

from ..numerics import DOUBLE, assert_close, assert_within
from ..reference import metrics as reference

FEW = 3e-14  # a few terms of order 1, of which each rounds by 1.1e-16
MAPPINGS = ["rotation", "linear"]


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def rotation(d, seed=0):
    return np.linalg.qr(normal(d, d, seed))[0]


def magnified(*embeddings):
    """How much larger the rows are than the smallest direction that centring leaves: what rounding is multiplied by."""
    factors = []
    for Z in embeddings:
        singular = np.linalg.svd(Z - Z.mean(axis=0), compute_uv=False)[: len(Z) - 1]
        factors.append(np.linalg.norm(Z) / singular[-1])
    return max(factors)


@st.composite
def pairs(draw):
    """Two embeddings of 3 to 12 rows and of 1 to 4 columns each, unevenly large, with something in common."""
    n, d_1, d_2 = draw(st.integers(3, 12)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    seed, common = draw(st.integers(0, 2**31)), draw(st.sampled_from([0.0, 1.0, 30.0]))
    Z_1 = normal(n, d_1, seed) * np.logspace(0, -2, d_1)
    Z_2 = normal(n, d_2, seed + 1) + common * Z_1 @ normal(d_1, d_2, seed + 2)
    return Z_1 + draw(st.sampled_from([0.0, 5.0])), Z_2


def test_by_hand():
    Z = np.array([[0.0, 0], [4, 0], [0, 3]])
    assert_close(consistency_score(Z, Z @ [[0, 2], [2, 0]] + 7), 1, FEW)
    assert_close(consistency_score([[0], [1]], [[5], [3]]), 1, FEW)
    square = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    assert_close(consistency_score(square, square[:, :1]), 1 / 2, FEW)  # s = 1 / sqrt(2)
    stretched = square * [3, 1]
    assert_close(consistency_score(square, stretched), 4**2 / (2 * 10), FEW)
    assert_close(consistency_score(square, stretched, mapping="linear"), 1, FEW)
    assert_close(consistency_score(square, square[:, :1], mapping="linear"), (1 + 1 / 2) / 2, FEW)
    assert consistency_score(square[:, :1], square[:, 1:]) == 0  # sums of ones and their opposites


@settings(max_examples=60)
@given(pairs())
def test_values_are_those_of_the_oracle(pair):
    Z_1, Z_2 = pair
    scale = magnified(Z_1, Z_2)
    assert_close(consistency_score(Z_1, Z_2), reference.procrustes_r2(Z_1, Z_2), FEW, scale=scale)
    both = (reference.linear_r2(Z_1, Z_2) + reference.linear_r2(Z_2, Z_1)) / 2
    assert_close(consistency_score(Z_1, Z_2, mapping="linear"), both, FEW, scale=scale)


@settings(max_examples=30)
@given(pairs())
def test_values_are_those_of_scipy_and_scikit_learn(pair):
    Z_1, Z_2 = pair
    width = max(Z_1.shape[1], Z_2.shape[1])
    padded = [np.pad(Z, ((0, 0), (0, width - Z.shape[1]))) for Z in pair]
    assert_close(consistency_score(Z_1, Z_2), 1 - procrustes(*padded)[2], FEW, scale=magnified(*pair))
    both = [
        r2_score(b, LinearRegression().fit(a, b).predict(a), multioutput="variance_weighted")
        for a, b in ((Z_1, Z_2), (Z_2, Z_1))
    ]
    assert_close(consistency_score(Z_1, Z_2, mapping="linear"), np.mean(both), FEW, scale=magnified(*pair))


@pytest.mark.parametrize("mapping", MAPPINGS)
@settings(max_examples=30)
@given(pair=pairs(), scale=st.floats(1e-30, 1e30), data=st.data())
def test_rotation_scale_shift_order_and_padding_change_nothing(mapping, pair, scale, data):
    Z_1, Z_2 = pair
    expected = consistency_score(Z_1, Z_2, mapping=mapping)
    turned = scale * (Z_1 @ rotation(Z_1.shape[1]) + 3)
    rounding = magnified(Z_1, turned, Z_2)
    assert_close(consistency_score(turned, Z_2, mapping=mapping), expected, FEW, scale=rounding)
    assert_close(consistency_score(Z_2, Z_1, mapping=mapping), expected, FEW, scale=1)
    order = data.draw(st.permutations(range(len(Z_1))))
    assert_close(consistency_score(Z_1[order], Z_2[order], mapping=mapping), expected, FEW, scale=rounding)
    padded = np.pad(Z_1, ((0, 0), (0, 3)))
    assert_close(consistency_score(padded, Z_2, mapping=mapping), expected, FEW, scale=rounding)


@settings(max_examples=60)
@given(pairs())
def test_bounds_and_what_is_perfect(pair):
    by_rotation, by_linear_map = (consistency_score(*pair, mapping=mapping) for mapping in MAPPINGS)
    assert by_rotation >= 0
    assert_close(max(by_rotation, by_linear_map), by_linear_map, FEW, scale=magnified(*pair))
    assert by_linear_map <= 1
    Z = pair[0]
    assert_close(consistency_score(Z, -Z @ rotation(Z.shape[1])), 1, FEW, scale=magnified(Z))
    skewed = Z @ normal(Z.shape[1], Z.shape[1])
    assert_close(consistency_score(Z, skewed, mapping="linear"), 1, FEW, scale=magnified(Z, skewed))


@pytest.mark.parametrize(("mapping", "share"), [("rotation", (8 / (3 * np.pi)) ** 2), ("linear", 1.0)])
def test_chance(mapping, share):
    n, d = 2000, 40
    scores = [consistency_score(normal(n, d, 2 * s), normal(n, d, 2 * s + 1), mapping=mapping) for s in range(5)]
    assert_within(np.mean(scores), share * d / n, 0.03 * share * d / n)  # of d^2 random squares a fit


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_collapse_scores_nothing(mapping):
    alive, constant = normal(50, 4), np.tile(normal(1, 6), (50, 1))
    for pair in [(alive, constant), (constant, alive), (constant, constant), (alive, np.zeros((50, 1)))]:
        assert consistency_score(*pair, mapping=mapping) == 0


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_dependent_columns_and_more_columns_than_rows(mapping):
    Z, other = normal(30, 3), normal(30, 2, seed=1)
    doubled = np.hstack([Z, Z])  # the same up to scale and rotation
    expected = consistency_score(Z, other, mapping=mapping)
    assert_close(consistency_score(doubled, other, mapping=mapping), expected, DOUBLE, scale=1)
    assert_close(consistency_score(normal(5, 9), normal(5, 9) @ rotation(9), mapping=mapping), 1, DOUBLE)


@pytest.mark.parametrize("size", [1e-300, 1e300])
@pytest.mark.parametrize("mapping", MAPPINGS)
def test_large_and_small_values(size, mapping):
    Z_1, Z_2 = normal(8, 3), normal(8, 2, seed=1)
    expected = consistency_score(Z_1, Z_2, mapping=mapping)
    assert_close(consistency_score(size * Z_1, Z_2 / size, mapping=mapping), expected, DOUBLE, scale=1)


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_kinds_of_input(mapping):
    Z, other = normal(8, 3).astype(np.float32), normal(8, 2, seed=1)
    before = Z.copy()
    expected = consistency_score(Z.astype(np.float64), other, mapping=mapping)
    assert type(consistency_score(Z, other, mapping=mapping)) is float
    assert consistency_score(Z, other, mapping=mapping) == expected
    assert np.array_equal(Z, before)
    Z = Z.astype(np.float64)
    Z.flags.writeable = False
    assert consistency_score(Z, other.tolist(), mapping=mapping) == expected
    assert consistency_score(pd.DataFrame(Z, columns=list("abc")), other, mapping=mapping) == expected
    assert consistency_score(np.asfortranarray(Z), other, mapping=mapping) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: consistency_score(np.eye(3), np.eye(2)), r"inconsistent numbers of samples: \[3, 2\]"),
        (lambda: consistency_score(np.eye(1), np.eye(1)), "1 sample.*minimum of 2"),
        (lambda: consistency_score(np.eye(2), [[np.nan], [1]]), "Z_2 contains NaN"),
        (lambda: consistency_score([[np.inf], [1]], np.eye(2)), "Z_1 contains infinity"),
        (lambda: consistency_score(np.eye(2), np.eye(2), mapping="cka"), "'mapping'.*'rotation'.*Got 'cka' instead"),
    ],
)
def test_errors_name_what_was_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
