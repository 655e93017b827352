"""GCAClassifier and GCARegressor: labels of any type, fine-tuning, shared embedders, nested parameters, scores."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skgca import GCAClassifier, GCAEmbedder, GCARegressor
from skgca._utils.compat import InvalidParameterError
from skgca.model_selection import LabelledKFold

from ..models import quick

pytestmark = pytest.mark.usefixtures("few_trees")

FEW_STEPS = {"n_steps": 12, "cv": 2, "random_state": 0}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 4))
    X[:, 0] += 3 * (np.arange(120) % 2)
    return X, np.arange(120) % 2


def partly(y, unlabelled, every=3):
    """Labels of every third row, and marks of the others."""
    few = np.array(y, dtype=object if unlabelled is None else np.result_type(np.asarray(y), type(unlabelled)))
    few[np.arange(len(y)) % every != 0] = unlabelled
    return few


# Labels


@pytest.mark.parametrize(
    ("names", "unlabelled"),
    [
        ([0, 1], -1),
        ([4, 9], -1),
        ([0.0, 1.0], np.nan),
        (["no", "yes"], None),
        ([True, False], None),
        ([1, "one"], None),
        ([-5, 3], None),
    ],
)
def test_classes_of_any_type(rows, names, unlabelled):
    X, y = rows
    labels = np.array([names[k] for k in y], dtype=object if unlabelled is None else None)
    model = GCAClassifier(quick(), fine_tune=False, random_state=0).fit(X, partly(labels, unlabelled))
    assert model.classes_.tolist() == sorted(names, key=lambda name: (str(type(name) is str), str(name)))
    assert {type(name) for name in model.predict(X).tolist()} == {type(name) for name in names}
    assert np.mean(model.predict(X) == labels) > 0.85
    assert model.predict_proba(X).shape == (120, 2)


def test_labels_of_pandas(rows):
    X, y = rows
    series = pd.Series(np.array(["no", "yes"])[y]).where(np.arange(120) % 3 == 0)
    nullable = pd.Series(y, dtype="Int64").where(np.arange(120) % 3 == 0)
    for labels in (series, nullable):
        model = GCAClassifier(quick(), fine_tune=False, random_state=0).fit(
            pd.DataFrame(X, columns=list("abcd")), labels
        )
        assert list(model.feature_names_in_) == list("abcd")
        assert len(model.classes_) == 2


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full(120, -1), "y holds no label"),
        (np.where(np.arange(120) % 2, -1, 1), "y holds one class only, .*1.*, beside rows without a label"),
        (np.linspace(0, 1, 120), "Unknown label type: y holds fractions"),
        (None, "requires y to be passed"),
        (np.arange(50), "inconsistent numbers of samples"),
        (np.where(np.arange(120) % 2, -1, -2), "-1 and other negative numbers"),
    ],
)
def test_labels_that_cannot_be_learned_from(rows, labels, message):
    with pytest.raises(ValueError, match=message):
        GCAClassifier(quick(), random_state=0).fit(rows[0], labels)


def test_labels_are_checked_before_the_embedder_trains(rows, monkeypatch):
    monkeypatch.setattr(GCAEmbedder, "fit", lambda *args, **kwargs: pytest.fail("trained"))
    X, y = rows
    for model, labels in (
        (GCAClassifier(), np.full(120, -1)),
        (GCAClassifier(), np.where(y == 1, 1, -1)),
        (GCAClassifier(), y[:50]),
        (GCAClassifier(), np.linspace(0, 1, 120)),
        (GCARegressor(), np.full(120, np.nan)),
        (GCARegressor(), np.where(y == 1, np.inf, 0.0)),
    ):
        with pytest.raises(ValueError, match=r"y holds|inconsistent|Unknown label type|Input y contains infinity"):
            model.fit(X, labels)
    with pytest.raises(ValueError, match="sample_weight"):
        GCAClassifier().fit(X, y, sample_weight=np.full(120, np.nan))


def test_values_with_gaps(rows):
    X, _ = rows
    values = np.where(np.arange(120) % 3 == 0, 1000.0 + X[:, 0], np.nan)
    model = GCARegressor(quick(passthrough=True), fine_tune=False).fit(X, values)
    assert np.abs(model.predict(X) - 1000.0 - X[:, 0]).mean() < 0.5
    with pytest.raises(ValueError, match="y holds no value"):
        GCARegressor(quick()).fit(X, np.full(120, np.nan))
    with pytest.raises(ValueError, match="infinity"):
        GCARegressor(quick()).fit(X, np.where(np.isnan(values), np.inf, values))


def test_minus_one_is_a_value_of_a_regressor(rows):
    X, y = rows
    values = np.where(np.arange(120) % 3 == 0, 2.0 * y - 1.0, np.nan)
    model = GCARegressor(quick(), fine_tune=False).fit(X, values)
    assert model.mean_ == pytest.approx(np.nanmean(values))


# Fine-tuning


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    images = X.reshape(-1, 8, 8)
    few = np.full(600, -1)
    for digit in range(10):
        few[np.flatnonzero(y[:600] == digit)[:8]] = digit
    embedder = GCAEmbedder(max_epochs=10, random_state=0).fit(images[:600])
    return images, y, few, embedder


def test_fine_tuning_is_chosen_where_it_pays(digits):
    images, y, few, embedder = digits
    linear = LogisticRegression(max_iter=1000)
    frozen = GCAClassifier(embedder, head=linear, fine_tune=False).fit(images[:600], few)
    chosen = GCAClassifier(embedder, head=linear, cv=2, random_state=0).fit(images[:600], few)
    assert frozen.n_steps_ == 0
    assert not frozen.ways_
    assert chosen.n_steps_ == 120
    assert [way["n_steps"] for way in chosen.ways_] == [0, 120]
    assert chosen.score(images[900:], y[900:]) > frozen.score(images[900:], y[900:]) + 0.01
    # the given embedder is left as it was, and the new one has its own reference rows
    assert frozen.embedder_ is embedder
    assert chosen.embedder_ is not embedder
    np.testing.assert_allclose(
        chosen.embedder_.reference_, chosen.embedder_.transform(images[:600])[: len(embedder.reference_)], atol=1e-4
    )
    assert chosen.embedder_.outlier_score(images[:5]).shape == (5,)


def test_fine_tuning_is_not_chosen_for_labels_at_random(rows):
    X, _ = rows
    noise = partly(np.random.default_rng(0).integers(0, 2, 120), -1)
    model = GCAClassifier(quick(), n_steps=40, random_state=0).fit(X, noise)
    assert model.n_steps_ == 0
    assert sorted({way["n_steps"] for way in model.ways_}) == [0, 40]


def test_fine_tuning_on_request_and_without_folds(rows):
    X, y = rows
    lonely = np.full(120, -1)
    lonely[:3] = [0, 1, 1]  # class 0 has one row, so there are no folds
    assert GCAClassifier(quick(), random_state=0).fit(X, lonely).n_steps_ == 0
    assert GCAClassifier(quick(), fine_tune=True, **FEW_STEPS).fit(X, lonely).n_steps_ == 12
    forced = GCAClassifier(quick(), fine_tune=True, **FEW_STEPS).fit(X, partly(y, -1))
    assert forced.n_steps_ == 12


def test_folds_are_those_of_the_labelled_rows(rows):
    X, y = rows
    few = partly(y, -1)
    labelled = np.flatnonzero(few != -1)

    def ways(cv):
        model = GCAClassifier(quick(), random_state=0, fine_tune=False, cv=cv).fit(X, few)
        return model.ways_

    splitter = KFold(2)
    by_row = [(labelled[train], labelled[test]) for train, test in splitter.split(labelled)]
    with_others = [(np.setdiff1d(np.arange(120), test), test) for _, test in by_row]
    assert ways(splitter) == ways(by_row) == ways(with_others)
    assert ways(splitter) != ways(KFold(3))
    with pytest.raises(ValueError, match="cv holds a fold without labelled rows"):
        ways([(labelled, np.array([1, 2]))])


def test_the_same_bits_each_time_and_the_generators_as_before(rows):
    X, y = rows
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    found = [GCAClassifier(quick(), fine_tune=True, **FEW_STEPS).fit(X, partly(y, -1)) for _ in range(2)]
    np.testing.assert_array_equal(found[0].predict_proba(X), found[1].predict_proba(X))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    default = GCAClassifier(random_state=0, fine_tune=False).set_params(embedder__max_epochs=1)
    assert (clone(default).fit(X, y).predict_proba(X) == clone(default).fit(X, y).predict_proba(X)).all()


@pytest.mark.parametrize("head", [RandomForestClassifier(5, random_state=0), LinearSVC()])
def test_other_heads(rows, head):
    X, y = rows
    model = GCAClassifier(quick(), head=head, fine_tune=True, **FEW_STEPS).fit(X, partly(y, -1))
    assert model.score(X, y) > 0.85
    assert hasattr(model, "predict_proba") == hasattr(head, "predict_proba")
    assert hasattr(model, "decision_function") == hasattr(head, "decision_function")


def test_values_are_fine_tuned_too(rows):
    X, _ = rows
    values = np.where(np.arange(120) % 2 == 0, np.sin(2 * X[:, 1]), np.nan)
    model = GCARegressor(quick(), fine_tune=True, n_steps=60, random_state=0).fit(X, values)
    assert model.n_steps_ > 0
    two = GCARegressor(quick(), fine_tune=True, **FEW_STEPS).fit(X, np.column_stack([values, 3 * values]))
    assert two.predict(X).shape == (120, 2)


def test_weights_reach_both_stages(rows):
    X, y = rows
    weight = np.where(np.arange(120) % 4 == 0, 0.0, 1.0)
    model = GCAClassifier(quick(), fine_tune=False, random_state=0).fit(X, y, sample_weight=weight)
    wrong = np.where(weight == 0, 1 - y, y)  # rows of weight 0 do not count, whatever their label
    again = GCAClassifier(quick(), fine_tune=False, random_state=0).fit(X, wrong, sample_weight=weight)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))
    heavy = np.where(y == 1, 50.0, 1.0)
    model = GCAClassifier(quick(), fine_tune=False, random_state=0).fit(X, y, sample_weight=heavy)
    assert model.predict_proba(X)[:, 1].mean() > 0.6


# The embedder


def test_a_fitted_embedder_is_shared(rows):
    X, y = rows
    embedder = quick().fit(X)
    model = GCAClassifier(embedder, fine_tune=False).fit(X[:20], y[:20])
    assert model.embedder_ is embedder
    searched = GridSearchCV(GCAClassifier(FrozenEstimator(embedder), fine_tune=False), {"head__C": [0.1, 1.0]}, cv=2)
    with pytest.raises(ValueError, match=r"Invalid parameter .C. for estimator"):
        GridSearchCV(GCAClassifier(embedder, head=Ridge()), {"head__C": [1.0]}, cv=2, error_score="raise").fit(X, y)
    assert searched.fit(X, y).best_estimator_.embedder_ is embedder
    with pytest.raises(NotFittedError):
        GCAClassifier(FrozenEstimator(quick())).fit(X, y)
    with pytest.raises(TypeError, match="embedder holds a StandardScaler"):
        GCAClassifier(FrozenEstimator(StandardScaler().fit(X))).fit(X, y)


def test_nested_parameters_of_the_defaults():
    model = GCAClassifier()
    assert model.get_params()["embedder__epsilon"] == 0.5
    assert model.get_params()["head__max_iter"] == 1000
    assert "embedder__epsilon" not in model.get_params(deep=False)
    model.set_params(embedder__epsilon=0.2, head__C=3.0)
    assert model.embedder.epsilon == 0.2
    assert model.head.C == 3.0
    assert clone(model).embedder.epsilon == 0.2
    everything = GCAClassifier().get_params()
    assert GCAClassifier().set_params(**everything).embedder.get_params() == GCAEmbedder().get_params()
    with pytest.raises(ValueError, match="Invalid parameter 'nothing'"):
        GCAClassifier().set_params(embedder__nothing=1)


def test_a_grid_over_the_embedder(rows):
    X, y = rows
    grid = GridSearchCV(
        GCAClassifier(fine_tune=False, random_state=0).set_params(embedder__max_epochs=1),
        {"embedder__epsilon": [0.2, 1.0]},
        cv=LabelledKFold(2, random_state=0),
    )
    assert grid.fit(X, partly(y, -1)).best_score_ > 0.7


def test_a_pipeline_around_it(rows):
    X, y = rows
    model = make_pipeline(StandardScaler(), GCAClassifier(quick(), fine_tune=False, random_state=0)).fit(
        X, partly(y, -1)
    )
    assert model.score(X, y) > 0.85


def test_parameters_are_checked(rows):
    X, y = rows
    for bad in ({"embedder": LogisticRegression()}, {"head": 3}, {"fine_tune": "yes"}, {"lr": 0.0}, {"n_steps": 0}):
        with pytest.raises(InvalidParameterError, match=next(iter(bad))):
            GCAClassifier(**bad).fit(X, y)


# Scores


def test_rows_without_a_label_are_left_out_of_the_score(rows):
    X, y = rows
    model = GCAClassifier(quick(), fine_tune=False, random_state=0).fit(X, y)
    known = np.arange(120) % 3 == 0
    with pytest.warns(UserWarning, match=r"80 of 120 rows .*LabelledKFold"):
        found = model.score(X, partly(y, -1))
    assert found == model.score(X[known], y[known])
    with pytest.raises(ValueError, match="y holds no label"):
        model.score(X, np.full(120, -1))
    regressor = GCARegressor(quick(), fine_tune=False).fit(X, y.astype(float))
    with pytest.warns(UserWarning, match="80 of 120 rows"):
        found = regressor.score(X, partly(y.astype(float), np.nan))
    assert found == regressor.score(X[known], y[known])


def test_cross_validation_warns_unless_the_folds_keep_rows_without_a_label(rows):
    X, y = rows
    model = GCAClassifier(quick(), fine_tune=False, random_state=0)
    with pytest.warns(UserWarning, match="LabelledKFold"):
        cross_val_score(model, X, partly(y, -1), cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = cross_val_score(model, X, partly(y, -1), cv=LabelledKFold(3, random_state=0))
    assert scores.shape == (3,)
    assert scores.mean() > 0.8


def test_progress_of_both_stages(rows, capsys):
    X, y = rows
    GCAClassifier(quick(), verbose=1, **FEW_STEPS).fit(X, partly(y, -1))
    shown = "".join(capsys.readouterr())
    assert "epoch 1/3" in shown
    assert "Loss of held-out labelled rows by steps of fine-tuning and head:\n      0" in shown
    assert "linear + self-trained + trees" in shown
