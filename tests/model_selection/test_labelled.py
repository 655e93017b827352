"""Cross-validation where some rows have no label: folds of the labelled rows, and scores of these alone."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import SelfTrainingClassifier

from skgca import GCAClassifier, GCAEmbedder, GCARegressor
from skgca.model_selection import LabelledKFold, LabelledScorer

pytestmark = pytest.mark.usefixtures("few_trees")

X, Y = load_iris(return_X_y=True)
KNOWN = np.arange(150) % 5 == 0  # 30 rows, ten of each class
FEW = np.where(KNOWN, Y, -1)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
SMALL = {
    "embedder__n_components": 4,
    "embedder__hidden_layer_sizes": (8,),
    "embedder__projection_sizes": (4,),
    "embedder__max_epochs": 3,
}


def quick(**params):
    return GCAClassifier(fine_tune=False, random_state=0).set_params(**SMALL, **params)


def with_none(values):
    marked = values.astype(object)
    marked[~KNOWN] = None
    return marked


MARKED = {
    "minus one": FEW,
    "list": FEW.tolist(),
    "strings and None": with_none(NAMES),
    "numbers and None": with_none(Y),
    "floats and NaN": np.where(KNOWN, Y, np.nan),
    "strings in a Series": pd.Series(with_none(NAMES), index=np.arange(150) + 7),
    "nullable integers": pd.Series(with_none(Y), dtype="Int64"),
    "categories": pd.Series(with_none(NAMES), dtype="category"),
    "masked": np.ma.masked_array(Y, mask=~KNOWN),
}
any_mark = pytest.mark.parametrize("y", MARKED.values(), ids=MARKED)


# LabelledKFold


@any_mark
@pytest.mark.parametrize("shuffle", [True, False])
def test_rows_without_a_label_are_in_each_training_part_and_labelled_ones_are_tested_once(y, shuffle):
    folds = list(LabelledKFold(5, shuffle=shuffle).split(X, y))
    assert len(folds) == 5
    for train, test in folds:
        assert set(np.flatnonzero(~KNOWN)) <= set(train)
        assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(150))
        assert (np.diff(train) > 0).all()
        assert (np.diff(test) > 0).all()
    assert np.array_equal(np.sort(np.concatenate([test for _, test in folds])), np.flatnonzero(KNOWN))


@any_mark
def test_folds_are_stratified(y):
    for _, test in LabelledKFold(5).split(X, y):
        assert np.bincount(Y[test]).tolist() == [2, 2, 2]


def test_all_marks_give_the_same_folds():
    first, *others = (list(LabelledKFold(3, random_state=0).split(X, y)) for y in MARKED.values())
    for folds in others:
        assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, folds, strict=True))


def test_a_random_state_gives_the_same_folds_and_none_gives_others():
    def first(**params):
        return next(LabelledKFold(2, **params).split(X, FEW))[1]

    assert np.array_equal(first(random_state=3), first(random_state=3))
    assert not np.array_equal(first(random_state=3), first(random_state=4))
    assert any(not np.array_equal(first(), first()) for _ in range(5))
    assert np.array_equal(first(shuffle=False), first(shuffle=False))


def test_minus_one_is_a_value_where_y_is_measured():
    degrees = np.array([-1.0, 3.0, np.nan, 5.0, -1.0, np.nan, 2.0, 0.0])
    tested = np.concatenate([test for _, test in LabelledKFold(2, measured=True).split(degrees, degrees)])
    assert sorted(tested) == [0, 1, 3, 4, 6, 7]
    with pytest.raises(ValueError, match="the largest class has 1 labelled rows"):
        next(LabelledKFold(2).split(degrees, degrees))


@pytest.mark.parametrize("y", [[-1, 0.5, np.nan, 2.5], np.array([-1, 0.5, None, 2.5], dtype=object)])
def test_fractions_are_measured_without_being_told(y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folds = list(LabelledKFold(3).split(y, y))
    assert sorted(row for _, test in folds for row in test) == [0, 1, 3]


def test_several_measurements_of_a_row():
    y = np.column_stack([np.arange(8.0), np.arange(8.0)])
    y[2, 1] = y[5] = np.nan
    tested = np.concatenate([test for _, test in LabelledKFold(3, measured=True).split(y, y)])
    assert sorted(tested) == [0, 1, 3, 4, 6, 7]
    model = DummyRegressor(strategy="constant", constant=[1.0, 3.0]).fit(y, np.zeros((8, 2)))
    errors = np.square(y[[0, 1, 3, 4, 6, 7]] - [1, 3]).mean()
    assert LabelledScorer("neg_mean_squared_error", measured=True)(model, y, y) == pytest.approx(-errors)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_splits": 1}, "n_splits=1 must be a whole number of at least 2, such as 5"),
        ({"n_splits": True}, "n_splits=True must be"),
        ({"n_splits": 2.5}, "n_splits=2.5 must be"),
        ({"shuffle": False, "random_state": 0}, "random_state=0 has no effect with shuffle=False; leave it out"),
    ],
)
def test_parameters_that_cannot_be(params, message):
    with pytest.raises(ValueError, match=message):
        LabelledKFold(**params)


@pytest.mark.parametrize(
    ("y", "params", "message"),
    [
        (None, {}, "y is None, but LabelledKFold splits by the labels; pass y"),
        ([0, 1, 1, 1, -1], {}, "n_splits=5, but the largest class has 3 labelled rows; label more, or set n_splits=3"),
        ([0, 1, -1, -1, -1], {}, "the largest class has 1 labelled rows; label more[.]"),
        ([-1] * 5, {}, "the largest class has 0 labelled rows; label more[.]"),
        (
            [0.0, np.nan, 1.0],
            {"measured": True},
            "n_splits=5, but y has 2 labelled rows; label more, or set n_splits=2",
        ),
    ],
)
def test_too_few_labels(y, params, message):
    with pytest.raises(ValueError, match=message):
        next(LabelledKFold(5, **params).split(np.zeros((5, 1)), y))


def test_a_class_with_fewer_rows_than_splits_warns():
    with pytest.warns(UserWarning, match="The least populated class in y has only 1 members"):
        folds = list(LabelledKFold(2).split(np.zeros((6, 1)), [0, 0, 0, 1, -1, -1]))
    assert sorted(row for _, test in folds for row in test) == [0, 1, 2, 3]


def test_folds_are_shown_counted_and_pickled():
    folds = LabelledKFold(3, random_state=1, measured=True)
    assert repr(folds) == "LabelledKFold(measured=True, n_splits=3, random_state=1, shuffle=True)"
    assert folds.get_n_splits() == folds.get_n_splits(X, Y) == 3
    assert repr(pickle.loads(pickle.dumps(folds))) == repr(folds)
    assert repr(clone(folds, safe=False)) == repr(folds)


# In scikit-learn's cross-validation


class Rows(ClassifierMixin, BaseEstimator):
    """Keeps which rows it was fitted to, by their only column, and predicts 1."""

    seen: list = []  # noqa: RUF012

    def fit(self, X, y):
        self.seen.append(X[:, 0].tolist())
        self.classes_ = np.array([0, 1])
        return self

    def predict(self, X):
        return np.ones(len(X), dtype=int)


def test_cross_val_score_is_right_in_one_line():
    Rows.seen.clear()
    numbers, y = np.arange(9.0)[:, None], [0, 1, 1, 0, 1, 1, -1, -1, -1]
    assert cross_val_score(Rows(), numbers, y, cv=LabelledKFold(2)) == pytest.approx([2 / 3, 2 / 3])
    assert all({6, 7, 8} <= set(rows) and len(rows) == 6 for rows in Rows.seen)


@any_mark
def test_a_classifier_is_scored_without_warning(y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = cross_val_score(quick(), X, y, cv=LabelledKFold(2, random_state=0))
        scored = cross_val_score(quick(), X, y, cv=LabelledKFold(2, random_state=0), scoring=LabelledScorer("accuracy"))
    assert scores.min() > 0.6
    assert np.array_equal(scores, scored)


def test_a_grid_search_over_the_embedder():
    search = GridSearchCV(quick(), {"embedder__epsilon": [0.2, 1.0]}, cv=LabelledKFold(2, random_state=0))
    assert clone(search).fit(X, FEW).best_params_["embedder__epsilon"] in (0.2, 1.0)


def test_ordinary_folds_of_the_classifier_warn_and_name_the_remedy():
    with pytest.warns(UserWarning, match=r"40 of 50 rows have no label.*LabelledKFold\(5\)"):
        scores = cross_val_score(quick(), X, FEW, cv=3)
    assert scores.min() > 0.6


def test_a_pipeline_by_hand_is_scored_wrong_by_ordinary_folds_and_right_by_these():
    probe = SelfTrainingClassifier(LogisticRegression(max_iter=1000), max_iter=0)
    model = make_pipeline(GCAEmbedder(max_epochs=3, random_state=0), probe)
    assert cross_val_score(model, X, FEW, cv=3).max() <= 0.2  # a fifth of the rows of each test part has a label
    assert cross_val_score(model, X, FEW, cv=LabelledKFold(3, random_state=0)).min() > 0.6


# LabelledScorer


@any_mark
def test_a_scorer_leaves_out_rows_without_a_label(y):
    is_text = any(isinstance(label, str) for label in y)
    model = DummyClassifier().fit(X, NAMES if is_text else Y)
    assert LabelledScorer("accuracy")(model, X, y) == pytest.approx(1 / 3)
    assert LabelledScorer()(model, X, y) == pytest.approx(1 / 3)


def test_the_scorer_serves_folds_that_do_not_know_of_labels():
    sites = np.arange(150) // 3 % 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = cross_val_score(quick(), X, FEW, groups=sites, cv=GroupKFold(2), scoring=LabelledScorer("accuracy"))
    assert scores.min() > 0.6


def test_scorers_by_name_and_several_at_once():
    scoring = {name: LabelledScorer(name) for name in ("balanced_accuracy", "neg_log_loss")}
    found = cross_validate(quick(), X, FEW, cv=LabelledKFold(2, random_state=0), scoring=scoring)
    assert found["test_balanced_accuracy"].min() > 0.6
    assert found["test_neg_log_loss"].max() < 0
    with pytest.raises(ValueError, match="Got 'accurate' instead"):
        LabelledScorer("accurate")(DummyClassifier().fit(X, Y), X, FEW)


def test_a_regression_scorer():
    y = np.where(KNOWN, X[:, 3] - 1, np.nan).round()  # holds -1
    assert (y == -1).any()
    model = DummyRegressor(strategy="constant", constant=0.0).fit(X[:2], [0.0, 0.0])
    scorer = LabelledScorer("neg_mean_squared_error", measured=True)
    assert scorer(model, X, y) == pytest.approx(-np.nanmean(y**2))
    regressor = GCARegressor(fine_tune=False, random_state=0).set_params(**SMALL)
    scores = cross_val_score(regressor, X, y, cv=LabelledKFold(2, random_state=0, measured=True), scoring=scorer)
    assert (scores < 0).all()


def test_a_data_frame_and_a_series():
    frame = pd.DataFrame(X, columns=list("abcd"), index=np.arange(150) + 7)
    model = quick().fit(frame, pd.Series(FEW, index=frame.index))
    assert LabelledScorer()(model, frame, pd.Series(FEW, index=frame.index)) == model.score(frame[KNOWN], Y[KNOWN])


def test_weights_of_rows_without_a_label_are_left_out():
    model = DummyClassifier(strategy="constant", constant=1).fit(X, Y)
    weight = np.where(Y == 1, 3.0, 1.0)
    scorer = LabelledScorer("accuracy")
    assert scorer(model, X, FEW, sample_weight=weight) == pytest.approx(3 / 5)
    assert scorer(model, X, FEW, sample_weight=None) == pytest.approx(1 / 3)


def test_weights_are_routed_to_what_is_scored_by():
    weight = np.where(Y == 1, 3.0, 1.0)
    folds = LabelledKFold(2, random_state=0)
    with config_context(enable_metadata_routing=True):
        model = DummyClassifier(strategy="constant", constant=1).set_fit_request(sample_weight=True)
        weighted = LabelledScorer(make_scorer(accuracy_score).set_score_request(sample_weight=True))
        plain = LabelledScorer(make_scorer(accuracy_score).set_score_request(sample_weight=False))
        options = {"cv": folds, "params": {"sample_weight": weight}}
        assert cross_val_score(model, X, FEW, scoring=weighted, **options) == pytest.approx([3 / 5, 3 / 5])
        assert cross_val_score(model, X, FEW, scoring=plain, **options) == pytest.approx([1 / 3, 1 / 3])


def test_weights_reach_the_classifier():
    with config_context(enable_metadata_routing=True):
        model = quick().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        folds = LabelledKFold(2, random_state=0)
        options = {"cv": folds, "params": {"sample_weight": np.where(Y == 1, 3.0, 1.0)}}
        assert cross_val_score(model, X, FEW, **options).min() > 0.6


def test_nothing_to_score():
    with pytest.raises(ValueError, match="y holds no label: all of its 3 entries are -1, None or NaN"):
        LabelledScorer()(DummyClassifier().fit(X, Y), X[:3], [-1, -1, -1])


def test_a_scorer_is_shown_and_pickled():
    assert repr(LabelledScorer()) == "LabelledScorer(None)"
    scorer = LabelledScorer("r2", measured=True)
    assert repr(scorer) == "LabelledScorer('r2', measured=True)"
    assert repr(pickle.loads(pickle.dumps(scorer))) == repr(scorer)
