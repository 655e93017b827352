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

from ..reference import metrics as reference

# Each as a function of one embedding; alignment is that with its rows in reverse.
SCORES = {
    "alignment": lambda Z: alignment_score(Z, Z[::-1], alpha=1.5),
    "uniformity": uniformity_score,
    "rank": effective_rank,
    "centred rank": lambda Z: effective_rank(Z, center=True),
}


def normal(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def rotation(d, seed=0):
    return np.linalg.qr(normal(d, d, seed))[0]


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
    assert alignment_score(east, north, alpha=1) == pytest.approx(-math.sqrt(2), rel=1e-15)
    assert alignment_score(np.eye(2), -np.eye(2)[[0, 0]], sample_weight=[3, 1]) == pytest.approx(-3.5, rel=1e-15)


def test_uniformity_by_hand():
    assert uniformity_score(np.eye(3)) == pytest.approx(4, rel=1e-15)
    assert uniformity_score([[1], [-1]], t=0.5) == pytest.approx(2, rel=1e-15)
    square = [[1, 0], [0, 1], [-1, 0], [0, -1]]  # four sides of squared length 2, two diagonals of 4
    assert uniformity_score(square, t=1) == pytest.approx(-math.log((4 * math.exp(-2) + 2 * math.exp(-4)) / 6))


def test_effective_rank_by_hand():
    assert effective_rank(rotation(5)[:, :3]) == pytest.approx(3, rel=1e-14)
    assert effective_rank(np.diag([3.0, 1.0])) == pytest.approx(4 / 3**0.75, rel=1e-15)  # shares 3/4 and 1/4
    assert effective_rank(np.ones((4, 3))) == pytest.approx(1, rel=1e-14)
    simplex = np.eye(4)  # its centred rows span three dimensions evenly
    assert effective_rank(simplex, center=True) == pytest.approx(3, rel=1e-14)


@settings(deadline=None, max_examples=30)
@given(embeddings(), st.sampled_from([0.5, 1, 2, 3.7]), st.booleans())
def test_values_are_those_of_the_oracle(Z, option, center):
    other, weight = normal(*Z.shape, seed=1), np.arange(len(Z)) + 0.5
    alignment = reference.alignment(Z, other, option, weight.tolist())
    assert alignment_score(Z, other, alpha=option, sample_weight=weight) == pytest.approx(-alignment, rel=1e-12)
    assert uniformity_score(Z, t=option) == pytest.approx(-reference.uniformity(Z, option), rel=1e-11, abs=1e-13)
    assert effective_rank(Z, center=center) == pytest.approx(reference.effective_rank(Z, center), rel=1e-10)


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
@settings(deadline=None, max_examples=30)
@given(Z=embeddings(), scale=st.floats(1e-30, 1e30))
def test_rotating_and_scaling_change_nothing(score, Z, scale):
    assert score(scale * Z @ rotation(Z.shape[1])) == pytest.approx(score(Z), rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=30)
@given(embeddings(), st.integers(0, 2**31))
def test_directions_alone_count_for_alignment_and_uniformity(Z, seed):
    scale = np.exp(normal(len(Z), 1, seed))
    assert uniformity_score(scale * Z) == pytest.approx(uniformity_score(Z), abs=1e-12)
    assert alignment_score(Z, scale * Z) == pytest.approx(0, abs=1e-30)


@settings(deadline=None, max_examples=30)
@given(embeddings(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_count(Z, random):
    order = random.sample(range(len(Z)), len(Z))
    other, weight = normal(*Z.shape, seed=1), np.arange(len(Z)) + 0.5
    shuffled = alignment_score(Z[order], other[order], sample_weight=weight[order])
    assert shuffled == pytest.approx(alignment_score(Z, other, sample_weight=weight), rel=1e-12)
    for name in ("uniformity", "rank", "centred rank"):
        assert SCORES[name](Z[order]) == pytest.approx(SCORES[name](Z), rel=1e-9, abs=1e-12), name


@settings(deadline=None, max_examples=30)
@given(embeddings(), st.data())
def test_weighing_a_pair_is_repeating_it(Z, data):
    counts = data.draw(st.lists(st.integers(0, 3), min_size=len(Z), max_size=len(Z)).filter(any))
    other = normal(*Z.shape, seed=1)
    repeated = alignment_score(np.repeat(Z, counts, axis=0), np.repeat(other, counts, axis=0))
    assert alignment_score(Z, other, sample_weight=counts) == pytest.approx(repeated, rel=1e-12)


@settings(deadline=None, max_examples=60)
@given(embeddings())
def test_bounds(Z):
    assert -4 <= alignment_score(Z, normal(*Z.shape, seed=1)) <= 0
    assert 0 <= uniformity_score(Z) <= 8 * (1 + 1e-15)
    assert 1 - 1e-12 <= effective_rank(Z) <= min(Z.shape) * (1 + 1e-12)


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 60), st.integers(0, 60))
def test_chunks_do_not_count(n, rows):
    Z = normal(n, 3)
    with sklearn.config_context(working_memory=rows * 8 * n / 2**20):
        assert uniformity_score(Z) == pytest.approx(uniformity_score(Z[::-1]), rel=1e-13)
        assert uniformity_score(Z) == pytest.approx(-reference.uniformity(Z, 2), rel=1e-12)


def test_uniformity_does_not_hold_all_pairs():
    Z = normal(4000, 2)  # all pairs: 128 MB
    tracemalloc.start()
    uniformity_score(Z)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6


def test_uniformity_is_finite_where_its_kernel_underflows():
    assert uniformity_score(np.eye(3), t=1e4) == pytest.approx(2e4, rel=1e-15)
    one_close_pair = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]
    assert uniformity_score(one_close_pair, t=1e4) == pytest.approx(math.log(6), rel=1e-15)


@pytest.mark.parametrize("size", [1e-300, 1e300])
def test_large_and_small_values(size):
    Z = normal(8, 3)
    for name, score in SCORES.items():
        assert score(size * Z) == pytest.approx(score(Z), rel=1e-9), name


def test_small_singular_values_are_not_lost():
    Z = rotation(6)[:, :2] * [1, 1e-9] @ rotation(2)
    entropy = 1e-9 * (1 - math.log(1e-9))  # to first order; the squares of the values would round to 1 and 0
    assert effective_rank(Z) - 1 == pytest.approx(entropy, rel=1e-6)


def test_collapse():
    constant = np.tile(normal(1, 5), (1000, 1))
    assert uniformity_score(constant) == pytest.approx(0, abs=1e-14)
    assert effective_rank(constant) == pytest.approx(1, rel=1e-12)
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
