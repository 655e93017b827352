"""The situations in which losses are compared: what is paired with what, and how settings are chosen."""

import numpy as np
import pytest
import torch

from benchmarks import _situations, which_loss
from benchmarks._jobs import Job, options_of
from benchmarks._situations import Sensor, of_no_class, pairs_of, tail_of, unchanged
from benchmarks.family_fits import Mispaired


@pytest.fixture
def numbered(monkeypatch):
    """300 rows of three classes whose only value is their number, and measurements that change nothing."""
    X, y = np.arange(300.0)[:, None].repeat(4, 1).astype(np.float32), np.arange(300) % 3
    monkeypatch.setattr(_situations, "load", lambda name: (X, y))
    monkeypatch.setitem(_situations.MEASURED, "digits", _situations.unchanged)
    monkeypatch.setitem(_situations.STRONG, "digits", "strong")
    return y


@pytest.mark.parametrize("situation", _situations.SITUATIONS)
def test_what_is_paired_in_each_situation(numbered, situation):
    pairs = pairs_of("digits", situation, seed=3)
    assert set(pairs.known[:, 0]).isdisjoint(pairs.X_test[:, 0])  # new rows were not trained on
    assert (numbered[pairs.known[:, 0].astype(int)] == pairs.y).all()
    if situation == "strong views":
        assert pairs.X_pair is None
        assert pairs.views == "strong"
        return
    wrong = (pairs.X_pair != pairs.X).any(axis=1)
    if "fixed" in situation:
        assert wrong.sum() == round(int(situation.split("%")[0]) / 100 * len(pairs.X))
        assert sorted(pairs.X[:, 0]) == sorted(pairs.X_pair[:, 0])  # each measurement is still used once
    else:
        assert not wrong.any()
    assert (pairs.views == "auto") == ("redrawn" not in situation)
    assert (len(pairs.X) == len(pairs.known)) == (situation not in ("no class", "long tails"))


def test_wrong_pairs_of_a_batch_are_the_share_that_is_asked_for():
    batch, generator = torch.arange(50)[:, None], torch.Generator().manual_seed(0)
    first, second = (Mispaired(unchanged, 0.4)(batch, generator) for _ in range(2))
    assert int((first != batch).sum()) == int((second != batch).sum()) == 20
    assert (first != second).any()  # drawn anew
    assert sorted(first.flatten().tolist()) == list(range(50))


def test_a_sensor_leaves_a_square_blank():
    seen = Sensor(8, 3, 0.0)(torch.ones(40, 64), torch.Generator().manual_seed(0)).view(40, 8, 8)
    assert ((seen == 0).sum((1, 2)) == 9).all()
    assert ((seen == 0).any(2).sum(1) == 3).all()


def test_rows_of_no_class_have_the_values_of_columns_but_not_their_dependence():
    X = np.random.default_rng(0).normal(size=(700, 1)).repeat(3, 1)
    rows = of_no_class(X, np.random.default_rng(1))
    assert len(rows) / (len(rows) + len(X)) == pytest.approx(_situations.NO_CLASS)
    assert set(rows[:, 1]) <= set(X[:, 1])
    assert np.abs(np.corrcoef(rows.T)[0, 1]) < 0.15


def test_classes_of_a_long_tail_fall_by_equal_factors():
    y = np.arange(10_000) % 5
    sizes = np.sort(np.bincount(y[tail_of(y, np.random.default_rng(0))]))
    assert sizes[-1] == _situations.IMBALANCE * sizes[0] == 2000
    assert sizes[1:] / sizes[:-1] == pytest.approx(np.full(4, 100**0.25), rel=0.02)


def test_the_settings_of_the_best_mean_accuracy_are_chosen():
    found = {
        Job("digits", "ince", seed, options_of(situation="no class", epsilon=epsilon)): {"few": few}
        for epsilon, seed, few in ((0.1, 0, 0.9), (0.1, 1, 0.2), (0.5, 0, 0.6), (0.5, 1, 0.6))
    }
    assert which_loss.best_settings(found) == {("digits", "no class", "ince"): (("epsilon", 0.5),)}
