"""Directions and dimensions: values by hand and by an oracle, laws, and what is refused."""

import math
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st

from skgca.metrics import alignment_score, effective_rank, uniformity_score

from ..numerics import DOUBLE, assert_close
from ..reference import metrics as reference

FEW = 3e-14  # a few terms of order 1, of which each rounds by 1.1e-16

# Each as a function of one embedding; alignment is that with its rows in reverse.
SCORES = {
    "alignment": lambda Z: alignment_score(Z, Z[::-1], alpha=1.5),
    "uniformity": uniformity_score,
    "rank": effective_rank,
    "centred rank": lambda Z: effective_rank(Z, center=True),
}
LARGEST = 8  # of these scores here, and of the terms that they add up


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def rotation(d, seed=0):
    return np.linalg.qr(normal(d, d, seed))[0]


def magnified(Z):
    """How much larger the rows are than what centring leaves of them: what rounding is multiplied by."""
    return np.linalg.norm(Z) / np.linalg.norm(Z - Z.mean(axis=0))


@st.composite
def embeddings(draw):
    """Rows about a mean, with unevenly large columns."""
    n, d, seed = draw(st.integers(2, 9)), draw(st.integers(1, 6)), draw(st.integers(0, 2**31))
    mean = draw(st.sampled_from([0.0, 3.0]))
    return (normal(n, d, seed) + mean) * np.logspace(0, -2, d)


def test_alignment_by_hand():
    east, north, west = np.eye(2)[:1], np.eye(2)[1:], -np.eye(2)[:1]
    assert alignment_score(east, 5 * east) == 0
    assert math.copysign(1, alignment_score(east, east)) == 1
    assert alignment_score(east, west) == -4
    assert alignment_score(east, west, alpha=3) == -8
    assert_close(alignment_score(east, north, alpha=1), -math.sqrt(2), FEW)
    assert alignment_score(np.eye(2), -np.eye(2)[[0, 0]], sample_weight=[3, 1]) == -3.5


def test_uniformity_by_hand():
    assert_close(uniformity_score(np.eye(3)), 4, FEW)
    assert_close(uniformity_score([[1], [-1]], t=0.5), 2, FEW)
    square = [[1, 0], [0, 1], [-1, 0], [0, -1]]  # four sides of squared length 2, two diagonals of 4
    assert_close(uniformity_score(square, t=1), -math.log((4 * math.exp(-2) + 2 * math.exp(-4)) / 6), FEW)


def test_effective_rank_by_hand():
    assert_close(effective_rank(rotation(5)[:, :3]), 3, FEW)
    assert_close(effective_rank(np.diag([3.0, 1.0])), 4 / 3**0.75, FEW)  # shares 3/4 and 1/4
    assert_close(effective_rank(np.ones((4, 3))), 1, DOUBLE)  # a share of 1e-16 has an entropy of 4e-15
    simplex = np.eye(4)  # its centred rows span three dimensions evenly
    assert_close(effective_rank(simplex, center=True), 3, DOUBLE)


@settings(max_examples=30)
@given(embeddings(), st.sampled_from([0.5, 1, 2, 3.7]), st.booleans())
def test_values_are_those_of_the_oracle(Z, option, center):
    other, weight = normal(*Z.shape, seed=1), np.arange(len(Z)) + 0.5
    alignment = reference.alignment(Z, other, option, weight.tolist())
    assert_close(alignment_score(Z, other, alpha=option, sample_weight=weight), -alignment, DOUBLE, scale=2**option)
    assert_close(uniformity_score(Z, t=option), -reference.uniformity(Z, option), DOUBLE, scale=4 * option)
    scale = magnified(Z) if center else 1
    assert_close(effective_rank(Z, center=center), reference.effective_rank(Z, center), DOUBLE, scale=scale)


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
@settings(max_examples=30)
@given(Z=embeddings(), scale=st.floats(1e-30, 1e30))
def test_rotating_and_scaling_change_nothing(score, Z, scale):
    turned = scale * Z @ rotation(Z.shape[1])
    assert_close(score(turned), score(Z), DOUBLE, scale=LARGEST * magnified(Z))


@settings(max_examples=30)
@given(embeddings(), st.integers(0, 2**31))
def test_directions_alone_count_for_alignment_and_uniformity(Z, seed):
    scale = np.exp(normal(len(Z), 1, seed))
    assert_close(uniformity_score(scale * Z), uniformity_score(Z), DOUBLE, scale=LARGEST)
    distance = math.sqrt(-alignment_score(Z, scale * Z))  # of two units, each rounded
    assert_close(distance, 0, FEW, scale=1)


@settings(max_examples=30)
@given(embeddings(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_count(Z, random):
    order = random.sample(range(len(Z)), len(Z))
    other, weight = normal(*Z.shape, seed=1), np.arange(len(Z)) + 0.5
    shuffled = alignment_score(Z[order], other[order], sample_weight=weight[order])
    assert_close(shuffled, alignment_score(Z, other, sample_weight=weight), DOUBLE, scale=4)
    for name in ("uniformity", "rank", "centred rank"):
        assert_close(SCORES[name](Z[order]), SCORES[name](Z), DOUBLE, scale=LARGEST * magnified(Z))


@settings(max_examples=30)
@given(embeddings(), st.data())
def test_weighing_a_pair_is_repeating_it(Z, data):
    counts = data.draw(st.lists(st.integers(0, 3), min_size=len(Z), max_size=len(Z)).filter(any))
    other = normal(*Z.shape, seed=1)
    repeated = alignment_score(np.repeat(Z, counts, axis=0), np.repeat(other, counts, axis=0))
    assert_close(alignment_score(Z, other, sample_weight=counts), repeated, DOUBLE, scale=4)


@settings(max_examples=60)
@given(embeddings())
def test_bounds(Z):
    alignment, uniformity, rank = alignment_score(Z, normal(*Z.shape, seed=1)), uniformity_score(Z), effective_rank(Z)
    assert alignment <= 0 <= uniformity
    assert_close(max(-4, alignment), alignment, FEW, scale=4)
    assert_close(min(8, uniformity), uniformity, FEW, scale=8)
    assert_close(np.clip(rank, 1, min(Z.shape)), rank, DOUBLE)


@settings(max_examples=20)
@given(st.integers(2, 60), st.integers(0, 60))
def test_chunks_do_not_count(n, rows):
    Z = normal(n, 3)
    with sklearn.config_context(working_memory=rows * 8 * n / 2**20):
        assert_close(uniformity_score(Z), uniformity_score(Z[::-1]), DOUBLE, scale=LARGEST)
        assert_close(uniformity_score(Z), -reference.uniformity(Z, 2), DOUBLE, scale=LARGEST)


def test_uniformity_does_not_hold_all_pairs():
    Z = normal(4000, 2)  # all pairs: 128 MB
    tracemalloc.start()
    uniformity_score(Z)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6


def test_uniformity_is_finite_where_its_kernel_underflows():
    assert_close(uniformity_score(np.eye(3), t=1e4), 2e4, FEW)
    one_close_pair = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert_close(uniformity_score(one_close_pair, t=1e4), math.log(6), FEW)


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_large_and_small_values(size):
    Z = normal(8, 3)
    for score in SCORES.values():
        assert_close(score(size * Z), score(Z), DOUBLE, scale=LARGEST)


def test_small_singular_values_are_not_lost():
    Z = rotation(6)[:, :2] * [1, 1e-9] @ rotation(2)
    entropy = 1e-9 * (1 - math.log(1e-9))  # to first order; the squares of the values would round to 1 and 0
    # the second order is entropy^2 / 2, or 2e-16; rounding of the small value by 1e-16 counts log(1e-9) times
    assert_close(effective_rank(Z), 1 + entropy, DOUBLE)


def test_collapse():
    constant = np.tile(normal(1, 5), (1000, 1))
    assert_close(uniformity_score(constant), 0, FEW, scale=math.log(1000 * 999 / 2))  # of the number of pairs
    assert_close(effective_rank(constant), 1, 3e-12)  # 4 spurious shares of up to 1e-15, times their logarithms
    assert effective_rank(constant, center=True) == 0
    assert effective_rank(np.zeros((7, 3))) == 0
    assert effective_rank(constant[:1], center=True) == 0


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_kinds_of_input(score):
    Z = normal(6, 3).astype(np.float32)
    expected = score(Z.astype(np.float64))
    before = Z.copy()
    assert type(score(Z)) is float
    assert score(Z) == expected
    assert np.array_equal(Z, before)
    Z = Z.astype(np.float64)
    Z.flags.writeable = False
    assert score(Z) == expected
    assert score(pd.DataFrame(Z, columns=list("abc"))) == expected
    assert score(Z.tolist()) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: alignment_score([[1, 0], [0, 0]], np.eye(2)), "Row 1 of Z_a is zero.*1 of 2 rows.*effective_rank"),
        (lambda: alignment_score(np.eye(2), np.zeros((2, 2))), "Row 0 of Z_b is zero.*2 of 2 rows"),
        (lambda: uniformity_score([[1, 0], [0, 0]]), "Row 1 of Z is zero"),
        (lambda: alignment_score(np.eye(3), np.eye(3)[:2]), r"inconsistent numbers of samples: \[3, 2\]"),
        (lambda: alignment_score(np.eye(3), np.eye(3)[:, :1] + 1), "Z_a has 3 columns and Z_b has 1"),
        (lambda: alignment_score(np.eye(2), np.eye(2), alpha=0), r"'alpha'.*range \(0.0, inf\). Got 0 instead"),
        (lambda: alignment_score(np.eye(2), np.eye(2), sample_weight=[1, -1]), "[Nn]egative"),
        (lambda: alignment_score(np.eye(2), np.eye(2), sample_weight=[0, 0]), "at least one non-zero"),
        (lambda: alignment_score(np.eye(2), np.eye(2), sample_weight=[1, 1, 1]), r"sample_weight.*\(3,\)"),
        (lambda: alignment_score(np.eye(2), [[np.nan, 1], [1, 1]]), "Z_b contains NaN"),
        (lambda: uniformity_score([[1, 0]]), "1 sample.*minimum of 2"),
        (lambda: uniformity_score(np.eye(2), t=math.inf), r"'t'.*range \(0.0, inf\). Got inf instead"),
        (lambda: uniformity_score([1, 0]), "Expected 2D array"),
        (lambda: effective_rank([[1, math.inf]]), "Z contains infinity"),
        (lambda: effective_rank(np.empty((0, 3))), "0 sample"),
        (lambda: effective_rank(np.eye(2), center="yes"), "'center'.*Got 'yes' instead"),
    ],
)
def test_errors_name_what_was_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
