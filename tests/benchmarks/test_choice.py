"""The scores of benchmarks/choice_scores.py read what they say, and a choice by them is what the report says it is."""

import numpy as np
import pandas as pd

from benchmarks.choice_report import Set
from benchmarks.choice_scores import explained, few_probe, groups_of, hidden_groups
from benchmarks.score_report import DEFAULT

RNG = np.random.RandomState(0)


def test_each_column_is_hidden_once_and_keeps_its_values():
    frame = pd.DataFrame({"a": range(30), "b": pd.Categorical(list("xyz") * 10), "c": RNG.rand(30), "d": range(30)})
    for X in (frame, RNG.rand(30, 7)):
        changes = np.zeros(X.shape[1], dtype=int)
        for changed in hidden_groups(X):
            pairs = [(np.asarray(X)[:, c], np.asarray(changed)[:, c]) for c in range(X.shape[1])]
            assert all(sorted(old) == sorted(new) for old, new in pairs)
            changes += [(old != new).any() for old, new in pairs]
        assert (changes == 1).all()
    assert (frame.dtypes == changed_of(frame).dtypes).all()
    assert sorted(np.concatenate(groups_of(9))) == list(range(9))


def changed_of(frame):
    return next(hidden_groups(frame))


def test_a_probe_of_few_rows_and_a_regression_read_the_embedding():
    y = np.repeat([0, 1, 2], 60)
    Z = np.eye(3)[y] * 5 + RNG.standard_normal((180, 3))
    noise = RNG.standard_normal((180, 3))
    train, test = slice(0, None, 2), slice(1, None, 2)
    classes = y[train], y[test]
    assert few_probe(Z[train], Z[test], classes) > 0.6  # 2 / 3 is perfect, above the most frequent class
    assert abs(few_probe(noise[train], noise[test], classes)) < 0.2
    target = Z @ RNG.standard_normal((3, 2))
    assert (explained(Z[train], Z[test], target[train], target[test]) > 0.99).all()
    assert (explained(noise[train], noise[test], target[train], target[test]) < 0.2).all()


def test_a_cautious_choice_leaves_the_default_for_more_than_the_spread_only():
    one = Set.__new__(Set)
    one.good = [DEFAULT, "a", "b"]
    one.scores = pd.DataFrame({"s": [1.0, 2.0, 1.5], "t": [np.nan] * 3}, index=one.good)
    one.accuracy = {"all": pd.Series([0.8, 0.7, 0.9], index=one.good)}
    assert one.pick("s") == "a"
    assert one.pick("t") == DEFAULT
    for spread, expected in ((0.4, "a"), (0.6, DEFAULT)):
        one.spread = pd.Series({"s": spread})
        assert one.pick("s", cautious=True) == expected
    assert np.isclose(one.gain("a", "all"), -10)
    assert np.isclose(one.gain("b", "all", "mean"), 10)
