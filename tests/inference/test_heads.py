"""Forests as arrays, averages of classifiers, and the heads that a classifier of few labels chooses from."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import SelfTrainingClassifier

from skgca._estimator import heads
from skgca._estimator.heads import Embedded, GivenHead, UsualHeads
from skgca._inference.heads import ForestArrays, SoftVote
from skgca._persistence.heads import _classifying

from ..numerics import DOUBLE, SINGLE, assert_close


def blobs(n, d, n_classes, seed=0, distance=2.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    return (rng.normal(size=(n, d)) + distance * rng.normal(size=(n_classes, d))[y]).astype(np.float32), y


def embedded(n=60, n_others=0, weight=None, n_classes=3):
    Z, y = blobs(n + n_others, 4, n_classes)
    return Embedded.of(Z[:n], y[:n], np.ones(n) if weight is None else weight, Z[n:])


@settings(max_examples=25)
@given(st.integers(1, 40), st.integers(1, 5), st.integers(2, 4), st.integers(0, 100), st.booleans())
def test_arrays_predict_what_the_forest_predicts(n, d, n_classes, seed, rounded):
    Z, y = blobs(n * n_classes, d, n_classes, seed, distance=0.5)
    Z = Z.round(0) if rounded else Z  # equal rows of several classes, in impure leaves
    for forest in (
        ExtraTreesClassifier(5, random_state=seed),
        RandomForestClassifier(5, random_state=seed, max_depth=2),
    ):
        forest.fit(Z, y, sample_weight=np.arange(1, len(y) + 1))
        arrays = ForestArrays.of(forest)
        others = np.concatenate([Z, Z + 0.1])
        assert_close(arrays.predict_proba(others), forest.predict_proba(others), DOUBLE)
        assert_close(_classifying(arrays)(torch.from_numpy(others)), forest.predict_proba(others), SINGLE)


def test_thresholds_of_double_precision_are_kept_in_a_graph():
    # 1 / 3 lies between two numbers of single precision, and rows at both go to different sides
    arrays = ForestArrays(
        np.array([0, 1]),
        np.array([0]),
        np.array([0, 0, 0]),
        np.array([1, 1, 2]),
        np.array([2, 1, 2]),
        np.array([1 / 3, 0.0, 0.0]),
        np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]),
        1,
    )
    third = np.float32(1 / 3)
    rows = np.array([[np.nextafter(third, np.float32(0))], [third], [np.nextafter(third, np.float32(1))]])
    expected = np.where(rows.astype(np.float64) <= 1 / 3, [1.0, 0.0], [0.0, 1.0])
    np.testing.assert_array_equal(arrays.predict_proba(rows), expected)
    np.testing.assert_array_equal(_classifying(arrays)(torch.from_numpy(rows)).numpy(), expected)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_vote_is_the_mean_of_its_members(n_classes):
    Z, y = blobs(60, 4, n_classes, distance=0.5)
    Z = Z.astype(np.float64)
    members = [LogisticRegression(C=C).fit(Z, y) for C in (0.01, 10.0)]
    vote = SoftVote(members)
    expected = (members[0].predict_proba(Z) + members[1].predict_proba(Z)) / 2
    assert_close(vote.predict_proba(Z), expected, DOUBLE)
    np.testing.assert_array_equal(vote.predict(Z), expected.argmax(axis=1))
    values = vote.decision_function(Z)
    assert values.shape == ((60,) if n_classes == 2 else (60, 3))
    chosen = (values > 0).astype(int) if n_classes == 2 else values.argmax(axis=1)
    np.testing.assert_array_equal(chosen, vote.predict(Z))
    if n_classes == 2:
        assert_close(values, np.log(expected[:, 1] / expected[:, 0]), DOUBLE, scale=50)


def test_the_usual_heads_and_their_members():
    rows = embedded(n_others=90)
    found = UsualHeads(0).fitted(rows)
    assert list(found) == ["linear", "linear + trees", "linear + self-trained", "linear + self-trained + trees"]
    linear, trees = found["linear + trees"].members
    assert linear is found["linear"]
    expected = ExtraTreesClassifier(random_state=0)
    order = np.random.RandomState(0).permutation(60)
    expected.fit(rows.Z[order], rows.y[order])
    assert_close(trees.predict_proba(rows.others), expected.predict_proba(rows.others), DOUBLE)
    labels = np.concatenate([rows.y, np.full(90, -1)])
    itself = SelfTrainingClassifier(LogisticRegression(max_iter=1000)).fit(np.vstack([rows.Z, rows.others]), labels)
    found_itself = found["linear + self-trained"].members[1]
    assert_close(found_itself.predict_proba(rows.others), itself.predict_proba(rows.others), DOUBLE)
    # what it learned from rows without a label is more than the labelled rows say
    assert np.abs(found_itself.coef_ - linear.coef_).max() > 0.05


def test_self_training_needs_rows_without_a_label_and_equal_weights():
    usual = UsualHeads(0)
    assert list(usual.fitted(embedded())) == ["linear", "linear + trees"]
    weight = np.linspace(1, 2, 60)
    weighted = usual.fitted(embedded(n_others=30, weight=weight))
    assert list(weighted) == ["linear", "linear + trees"]
    equal = usual.fitted(embedded(n_others=30))
    assert np.abs(weighted["linear"].coef_ - equal["linear"].coef_).max() > 1e-3
    trees = [found["linear + trees"].members[1].share for found in (weighted, equal)]
    assert trees[0].shape != trees[1].shape or np.abs(trees[0] - trees[1]).max() > 1e-3


def test_one_of_the_usual_heads_is_the_same_as_among_all():
    rows = embedded(n_others=30)
    for name, head in UsualHeads(0).fitted(rows).items():
        (only,) = UsualHeads(0).fitted(rows, name).values()
        np.testing.assert_array_equal(only.predict_proba(rows.others), head.predict_proba(rows.others))


def test_equal_weights_of_a_part_do_not_bring_self_training_back():
    # the heads of all folds, and of all rows, are the same
    weight = np.repeat([1.0, 2.0], 30)
    part = embedded(n_others=30, weight=weight).only(np.arange(30))
    assert list(UsualHeads(0).fitted(part)) == ["linear", "linear + trees"]


def test_trees_read_a_part_of_many_labels(monkeypatch):
    monkeypatch.setattr(heads, "_MOST_FOR_TREES", 20)
    few = UsualHeads(0).fitted(embedded())["linear + trees"].members[1]
    assert len(few.feature) < 20 * 2 * 100  # nodes of 100 trees of 20 leaves
    monkeypatch.undo()
    assert len(UsualHeads(0).fitted(embedded())["linear + trees"].members[1].feature) > len(few.feature)


def test_a_given_head_is_cloned():
    head = LogisticRegression(C=0.1)
    (fitted,) = GivenHead(head).fitted(embedded()).values()
    assert fitted is not head
    assert fitted.C == 0.1
    assert not hasattr(head, "coef_")
