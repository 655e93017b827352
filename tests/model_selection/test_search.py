"""The searches of scikit-learn over an embedder, and the one that trains it on from setting to setting."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    PredefinedSplit,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgca import GCAEmbedder
from skgca.losses import LearnableEpsilon
from skgca.metrics import SCORERS
from skgca.model_selection import GCASearchCV
from skgca.model_selection._path import make_paths

X, Y = load_iris(return_X_y=True)
X, Y = X[::2], Y[::2]
ONE_FOLD = PredefinedSplit(np.where(np.arange(len(X)) % 3, -1, 0))
GRID = {"epsilon": [0.2, 1.0, 0.5], "marginals": ["balanced", "row"]}
RETRIEVAL = SCORERS["view_retrieval"]


def quick(**params):
    sizes = {"n_components": 6, "hidden_layer_sizes": (12,), "projection_sizes": (8,), "max_epochs": 6}
    return GCAEmbedder(**{**sizes, "random_state": 0, **params})


def piped(**params):
    return make_pipeline(StandardScaler(), quick(**params), LogisticRegression(max_iter=500))


def of_step(grid):
    return {f"gcaembedder__{name}": values for name, values in grid.items()}


def scores(search, name="score"):
    return np.array([search.cv_results_[f"split{k}_test_{name}"] for k in range(search.n_splits_)])


class CountingEmbedder(GCAEmbedder):
    """Keeps the epochs and epsilon of each fit, of all copies."""

    fits: list = []  # noqa: RUF012

    def fit(self, X, y=None, **params):
        super().fit(X, y, **params)
        self.fits.append((self.n_epochs_, self.epsilon_, self.marginals))
        return self


class CountingScaler(TransformerMixin, BaseEstimator):
    n_fits = 0

    def __init__(self, power=1):
        self.power = power

    def fit(self, X, y=None, sample_weight=None):
        CountingScaler.n_fits += 1
        self.mean_ = np.average(X, axis=0, weights=sample_weight)
        return self

    def transform(self, X):
        return (X - self.mean_) ** self.power


@pytest.fixture
def counting():
    CountingEmbedder.fits.clear()
    CountingScaler.n_fits = 0
    return CountingEmbedder(**quick().get_params())


# ------------------------------------------------------------------------------------- scikit-learn's own searches


def searches(prefix=""):
    epsilon = {f"{prefix}epsilon": [0.2, 1.0]}
    halving = {"resource": f"{prefix}max_epochs", "min_resources": 2, "max_resources": 4, "factor": 2}
    return {
        "grid": lambda model, **options: GridSearchCV(model, epsilon, cv=2, **options),
        "randomized": lambda model, **options: RandomizedSearchCV(
            model, epsilon, n_iter=2, cv=2, random_state=0, **options
        ),
        "halving": lambda model, **options: HalvingGridSearchCV(
            model, epsilon, cv=2, random_state=0, **halving, **options
        ),
        "path": lambda model, **options: GCASearchCV(model, epsilon, cv=2, **options),
    }


@pytest.mark.parametrize(
    ("scoring", "y", "least"),
    [(None, Y, 0.1), (RETRIEVAL, None, 0.1), (SCORERS["knn_probe"], Y, 0.5)],  # 0, 0.03 and 0.33 by chance
    ids=["score", "view_retrieval without labels", "knn_probe"],
)
@pytest.mark.parametrize("name", searches())
def test_each_search_takes_an_embedder(name, scoring, y, least):
    search = searches()[name](quick(), scoring=scoring).fit(X, y)
    assert search.best_params_["epsilon"] in (0.2, 1.0)
    assert search.transform(X).shape[0] == len(X)
    assert search.best_score_ == search.cv_results_["mean_test_score"][search.best_index_] > least
    if name == "halving":
        assert search.best_estimator_.n_epochs_ == 4
        assert set(search.cv_results_["n_resources"]) == {2, 4}


@pytest.mark.parametrize("name", searches())
def test_each_search_takes_a_pipeline(name):
    search = searches("gcaembedder__")[name](piped()).fit(X, Y)
    assert search.score(X, Y) > 0.8
    assert search.predict_proba(X).shape == (len(X), 3)
    np.testing.assert_array_equal(search.classes_, [0, 1, 2])


@pytest.mark.parametrize("name", searches())
def test_each_search_takes_an_unlabelled_pipeline(name):
    model = make_pipeline(StandardScaler(), quick())
    search = searches("gcaembedder__")[name](model, scoring=RETRIEVAL).fit(X)
    assert search.transform(X).shape[0] == len(X)


def run_copies(parallel, tasks):
    """In place of joblib.Parallel.__call__: run each task as another process would get it, the last one first."""
    copies = [pickle.loads(pickle.dumps(task)) for task in tasks]
    return [function(*args, **kwargs) for function, args, kwargs in reversed(copies)][::-1]


def test_the_parts_of_a_search_share_nothing(monkeypatch):
    grid = of_step({"epsilon": [0.2, 1.0], "hidden_layer_sizes": [[8], [12]]})
    expected, search = (GCASearchCV(piped(), grid, cv=2, refit=False) for _ in range(2))
    expected.fit(X, Y)
    monkeypatch.setattr(joblib.Parallel, "__call__", run_copies)
    np.testing.assert_array_equal(scores(search.fit(X, Y)), scores(expected))


@pytest.mark.slow
@pytest.mark.parametrize("name", searches())
def test_no_search_depends_on_how_many_processes_there_are(name):
    found = [searches("gcaembedder__")[name](piped(), n_jobs=n_jobs).fit(X, Y) for n_jobs in (1, 2)]
    for key, values in found[0].cv_results_.items():
        if key.startswith(("split", "mean_test", "std_test", "rank")):
            np.testing.assert_array_equal(values, found[1].cv_results_[key])
    np.testing.assert_array_equal(found[0].predict_proba(X), found[1].predict_proba(X))


@pytest.mark.parametrize("name", searches())
def test_each_search_takes_a_data_frame_with_categories_and_gaps(name):
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame["kind"] = pd.Categorical(np.where(frame["a"] > 5.5, "long", "short"))
    frame.loc[3, "b"] = np.nan
    model = make_pipeline(quick(), LogisticRegression(max_iter=500))
    search = searches("gcaembedder__")[name](model).fit(frame, Y)
    assert search.score(frame, Y) > 0.7
    np.testing.assert_array_equal(search.feature_names_in_, frame.columns)


# -------------------------------------------------------------------------------------------------- GCASearchCV: laws


def test_one_setting_scores_as_in_a_full_search():
    grid = {"epsilon": [0.3], "marginals": ["row"]}
    ours = GCASearchCV(quick(), grid, cv=3, scoring=RETRIEVAL, return_train_score=True).fit(X)
    theirs = GridSearchCV(quick(), grid, cv=3, scoring=RETRIEVAL, return_train_score=True).fit(X)
    assert set(ours.cv_results_) == set(theirs.cv_results_)
    for key, values in theirs.cv_results_.items():
        if not key.endswith("_time"):
            assert list(ours.cv_results_[key]) == list(values), key
    np.testing.assert_array_equal(ours.transform(X), theirs.transform(X))


def test_settings_that_share_no_training_score_as_in_a_full_search():
    """Each of other parameters has a path of its own, here of one setting."""
    grid = [
        {"gcaembedder__hidden_layer_sizes": [[8]], "logisticregression__C": [0.01, 1.0]},
        {"standardscaler__with_std": [False]},
    ]
    ours, theirs = GCASearchCV(piped(), grid, cv=2).fit(X, Y), GridSearchCV(piped(), grid, cv=2).fit(X, Y)
    np.testing.assert_array_equal(scores(ours), scores(theirs))
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_score_ == theirs.best_score_


def test_the_first_setting_is_trained_in_full_and_the_others_for_less(counting):
    GCASearchCV(counting, GRID, cv=2, refit=False, scoring=RETRIEVAL, warm_epochs=0.5).fit(X)
    one_fold = [(1.0, "row"), (1.0, "balanced"), (0.5, "balanced"), (0.5, "row"), (0.2, "row"), (0.2, "balanced")]
    assert CountingEmbedder.fits == 2 * [
        (6 if k == 0 else 3, *setting) for k, setting in enumerate(one_fold)
    ]  # epsilon falls, and neighbours differ in one parameter by one step


def test_each_fit_may_be_told_of(capsys):
    GCASearchCV(quick(), {"epsilon": [0.2, 1.0]}, cv=2, scoring=RETRIEVAL, verbose=3).fit(X)
    told = [line for line in capsys.readouterr().out.splitlines() if "END" in line]
    assert [float(line.partition("epsilon=")[2][:3]) for line in told] == [1.0, 0.2, 1.0, 0.2]


@pytest.mark.parametrize(("warm_epochs", "n_epochs"), [(1, 1), (2, 2), (1.0, 6), (0.01, 1), (100, 6)])
def test_how_long_a_warm_training_is(counting, warm_epochs, n_epochs):
    grid = {"epsilon": [0.2, 1.0]}
    GCASearchCV(counting, grid, cv=KFold(2), refit=False, scoring=RETRIEVAL, warm_epochs=warm_epochs).fit(X)
    assert CountingEmbedder.fits[:2] == [(6, 1.0, None), (n_epochs, 0.2, None)]


def test_auto_is_resolved_before_its_share_is_taken(counting):
    counting.set_params(max_epochs="auto")
    grid = {"epsilon": [0.2, 1.0]}
    GCASearchCV(counting, grid, cv=ONE_FOLD, refit=False, scoring=RETRIEVAL, warm_epochs=0.1).fit(X)
    assert [n_epochs for n_epochs, _, _ in CountingEmbedder.fits] == [300, 30]


def test_a_warm_training_is_what_warm_start_does():
    search = GCASearchCV(quick(), {"epsilon": [1.0, 0.2]}, cv=ONE_FOLD, scoring=RETRIEVAL, warm_epochs=2).fit(X)
    ((train, test),) = ONE_FOLD.split()
    model = quick(epsilon=1.0).fit(X[train])
    first = RETRIEVAL(model, X[test])
    model.set_params(epsilon=0.2, warm_start=True, max_epochs=2).fit(X[train])
    np.testing.assert_array_equal(search.cv_results_["split0_test_score"], [first, RETRIEVAL(model, X[test])])


def test_the_order_of_the_grid_changes_nothing():
    turned = {name: values[::-1] for name, values in reversed(GRID.items())}
    options = {"cv": ONE_FOLD, "scoring": RETRIEVAL, "refit": False}
    found = [GCASearchCV(quick(), grid, **options).fit(X) for grid in (GRID, turned)]
    keys = [[(setting["epsilon"], setting["marginals"]) for setting in s.cv_results_["params"]] for s in found]
    assert keys[0] == keys[1][::-1]
    np.testing.assert_array_equal(scores(found[0]), scores(found[1])[:, ::-1])


def test_later_steps_need_no_training_of_the_embedder(counting):
    model = make_pipeline(CountingScaler(), counting, LogisticRegression(max_iter=500))
    grid = {"countingembedder__epsilon": [0.2, 1.0], "logisticregression__C": [0.01, 1.0, 100.0]}
    search = GCASearchCV(model, grid, cv=2, refit=False, scoring="neg_log_loss").fit(X, Y)
    assert len(CountingEmbedder.fits) == 2 * 2
    assert CountingScaler.n_fits == 2  # once a fold
    assert len(np.unique(search.cv_results_["mean_test_score"])) == 6  # C does something


def test_the_step_behind_may_be_another_one(counting):
    grid = {"gcaembedder__epsilon": [0.2, 1.0], "logisticregression": [LogisticRegression(C=0.1), "passthrough"]}
    search = GCASearchCV(piped(), grid, cv=2, scoring=lambda model, X, y: float(hasattr(model, "predict"))).fit(X, Y)
    assert search.best_params_["logisticregression"] != "passthrough"
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], [1, 0, 1, 0])


def test_the_best_setting_is_fitted_from_the_start():
    search = GCASearchCV(piped(), of_step({"epsilon": [0.2, 1.0]}), cv=2).fit(X, Y)
    alone = clone(piped()).set_params(**search.best_params_).fit(X, Y)
    np.testing.assert_array_equal(search.predict_proba(X), alone.predict_proba(X))
    assert search.best_estimator_[1].n_epochs_ == 6
    assert search.best_estimator_[1].warm_start is False


def test_the_estimator_is_left_as_it_was():
    model = piped()
    before = {name: value for name, value in model.get_params().items() if not hasattr(value, "get_params")}
    GCASearchCV(model, of_step({"epsilon": [0.2, 1.0]}), cv=2).fit(X, Y)
    assert not hasattr(model[1], "net_")
    assert {name: value for name, value in model.get_params().items() if name in before} == before


def test_a_setting_that_fails_is_passed_by(counting):
    grid = {"epsilon": [1.0, -1.0, 0.2]}  # the failing one comes last; and first of all in the next grid
    with pytest.warns((FitFailedWarning, UserWarning), match=r"fits failed|non-finite"):
        search = GCASearchCV(counting, grid, cv=2, scoring=RETRIEVAL, refit=False).fit(X)
    alone = GCASearchCV(counting, {"epsilon": [1.0, 0.2]}, cv=2, scoring=RETRIEVAL, refit=False).fit(X)
    np.testing.assert_array_equal(scores(search)[:, [0, 2]], scores(alone))
    assert np.isnan(scores(search)[:, 1]).all()


def test_settings_after_a_failing_one_go_on_from_the_last_that_was_trained(counting):
    bad = [{"epsilon": [1.0, 0.2]}, {"epsilon": [0.5], "q": [0.9]}]  # gca_ince has no q
    with pytest.warns((FitFailedWarning, UserWarning), match=r"fits failed|non-finite"):
        search = GCASearchCV(counting, bad, cv=2, scoring=RETRIEVAL, refit=False, warm_epochs=2).fit(X)
    assert CountingEmbedder.fits == 2 * [(6, 1.0, None), (2, 0.2, None)]
    assert np.isnan(scores(search)[:, 2]).all()


def test_a_failing_start_leaves_the_full_training_to_the_next(counting):
    bad = [{"epsilon": [2.0], "q": [0.9]}, {"epsilon": [0.5, 0.2]}]
    with pytest.warns((FitFailedWarning, UserWarning), match=r"fits failed|non-finite"):
        GCASearchCV(counting, bad, cv=2, scoring=RETRIEVAL, refit=False, warm_epochs=2).fit(X)
    assert CountingEmbedder.fits == 2 * [(6, 0.5, None), (2, 0.2, None)]


def test_errors_may_be_raised():
    with pytest.raises(ValueError, match="epsilon"):
        GCASearchCV(quick(), {"epsilon": [0.5, -1.0]}, cv=2, scoring=RETRIEVAL, error_score="raise").fit(X)
    with pytest.raises(ValueError, match="All the 2 fits failed"):
        GCASearchCV(quick(), {"epsilon": [-1.0]}, cv=2, scoring=RETRIEVAL).fit(X)


def test_a_loss_that_needs_another_network_starts_anew(counting):
    grid = {"loss": ["byol", "gca_ince"], "epsilon": [0.5, 0.2]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # six epochs teach BYOL nothing
        search = GCASearchCV(counting, grid, cv=2, scoring=RETRIEVAL, refit=False, warm_epochs=2).fit(X)
    assert [n_epochs for n_epochs, _, _ in CountingEmbedder.fits] == 2 * [6, 2, 6, 2]
    assert np.isfinite(scores(search)).all()


def test_epsilon_may_be_learned():
    grid = {"epsilon": [0.5, LearnableEpsilon(0.5), LearnableEpsilon(0.5, low=0.4)]}
    search = GCASearchCV(quick(), grid, cv=2, scoring=RETRIEVAL).fit(X)
    assert np.isfinite(scores(search)).all()
    ((path),) = make_paths(quick(), [{"epsilon": value} for value in grid["epsilon"]])
    assert len(path) == 3


def test_a_setting_may_come_twice():
    grid = [{"epsilon": [0.5]}, {"epsilon": [0.5], "marginals": [None]}]
    for model, steps, y in ((quick(), grid, None), (piped(), list(map(of_step, grid)), Y)):
        first, second = scores(GCASearchCV(model, steps, cv=2).fit(X, y)).T
        np.testing.assert_array_equal(first, second)


def test_grids_of_several_parts_share_a_path():
    grid = [{"epsilon": [0.2, 1.0]}, {"epsilon": [0.5], "marginals": ["row"]}, {"lr": [0.1]}]
    candidates = [{"epsilon": 0.2}, {"epsilon": 1.0}, {"epsilon": 0.5, "marginals": "row"}, {"lr": 0.1}]
    paths = make_paths(quick(epsilon=0.7), candidates)
    assert [[stage.warm["epsilon"] for stage in path] for path in paths] == [[1.0, 0.5, 0.2], [0.7]]
    assert [stage.warm["marginals"] for stage in paths[0]] == [None, "row", None]
    search = GCASearchCV(quick(), grid, cv=2, scoring=RETRIEVAL).fit(X)
    assert search.cv_results_["param_epsilon"].mask.tolist() == [False, False, False, True]


# ------------------------------------------------------------------------------------- GCASearchCV: as GridSearchCV


def test_folds_are_stratified_for_classifiers_only():
    labels = np.sort(Y)
    assert GCASearchCV(piped(), of_step({"epsilon": [0.5]}), cv=3).fit(X, labels).best_score_ > 0.5
    search = GCASearchCV(quick(), {"epsilon": [0.5]}, scoring=lambda model, X, y: float(len(set(y))), cv=3)
    assert scores(search.fit(X, labels))[:, 0].tolist() == [1.0, 1.0, 1.0]  # KFold does not shuffle


def test_several_scores():
    scoring = {"probe": SCORERS["knn_probe"], "retrieval": RETRIEVAL}
    grid = {"epsilon": [0.2, 1.0]}
    search = GCASearchCV(quick(), grid, cv=2, scoring=scoring, refit="retrieval", return_train_score=True).fit(X, Y)
    assert search.multimetric_
    assert search.best_score_ == search.cv_results_["mean_test_retrieval"].max()
    assert {"split1_train_probe", "rank_test_probe", "std_test_retrieval"} <= set(search.cv_results_)
    assert set(search.scorer_) == set(scoring)
    assert search.score(X, Y) == RETRIEVAL(search.best_estimator_, X)
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        GCASearchCV(quick(), grid, cv=2, scoring=scoring).fit(X, Y)


def two_scores(model, X, y=None):
    return {"a": RETRIEVAL(model, X), "b": -model.epsilon}


def test_a_callable_may_give_several_scores():
    search = GCASearchCV(quick(), {"epsilon": [0.2, 1.0]}, cv=2, scoring=two_scores, refit="b").fit(X)
    assert search.best_params_ == {"epsilon": 0.2}
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        GCASearchCV(quick(), {"epsilon": [0.2]}, cv=2, scoring=two_scores).fit(X)


def test_refit_may_choose():
    search = GCASearchCV(quick(), {"epsilon": [0.2, 1.0]}, cv=2, scoring=RETRIEVAL, refit=lambda results: 1).fit(X)
    assert search.best_params_ == {"epsilon": 1.0}
    assert not hasattr(search, "best_score_")
    search = GCASearchCV(quick(), {"epsilon": [0.2, 1.0]}, cv=2, scoring=RETRIEVAL, refit=False).fit(X)
    assert not hasattr(search, "best_estimator_")
    assert not hasattr(search, "transform")
    assert search.best_params_["epsilon"] in (0.2, 1.0)


def test_it_can_be_scored_in_folds_of_its_own():
    search = GCASearchCV(piped(), of_step({"epsilon": [0.2, 1.0]}), cv=2)
    assert cross_val_score(search, X, Y, cv=StratifiedKFold(2)).min() > 0.5


@pytest.mark.filterwarnings("ignore:The scoring .* does not support sample_weight:UserWarning")
def test_groups_and_weights_reach_what_reads_them():
    groups = np.arange(len(X)) % 4
    weight = np.where(Y == 2, 0.0, 1.0)
    search = GCASearchCV(quick(), {"epsilon": [0.2, 1.0]}, cv=GroupKFold(2))
    search.fit(X, groups=groups, sample_weight=weight)
    assert search.n_splits_ == 2
    alone = quick(**search.best_params_).fit(X, sample_weight=weight)
    np.testing.assert_array_equal(search.transform(X), alone.transform(X))
    without = GCASearchCV(quick(), {"epsilon": [0.2, 1.0]}, cv=GroupKFold(2), refit=False)
    assert (scores(search) != scores(without.fit(X, groups=groups))).any()


def test_metadata_by_routing():
    domain, groups = np.arange(len(X)) // 4 % 2, np.arange(len(X)) % 4  # both domains in each fold
    weight = np.linspace(0.5, 1.5, len(X))
    with sklearn.config_context(enable_metadata_routing=True):
        embedder = quick(target="domains").set_fit_request(sample_domain=True, sample_weight=False)
        scaler = CountingScaler().set_fit_request(sample_weight=True)
        last = LogisticRegression(max_iter=500).set_fit_request(sample_weight=False)
        scoring = make_scorer(accuracy_score).set_score_request(sample_weight=False)
        model = make_pipeline(scaler, embedder, last)
        grid = of_step({"epsilon": [0.2, 1.0]})
        metadata = {"sample_domain": domain, "groups": groups, "sample_weight": weight}
        options = {"cv": GroupKFold(2), "scoring": scoring, "error_score": "raise"}
        search = GCASearchCV(model, grid, **options).fit(X, Y, **metadata)
        alone = clone(model).set_params(**search.best_params_).fit(X, Y, sample_domain=domain, sample_weight=weight)
        full = GridSearchCV(model, grid, refit=False, **options).fit(X, Y, **metadata)
        np.testing.assert_array_equal(search.predict_proba(X), alone.predict_proba(X))
        np.testing.assert_array_equal(scores(search)[:, 1], scores(full)[:, 1])  # the first of the path


def test_a_pipeline_with_a_memory(tmp_path):
    found = []
    for memory in (None, str(tmp_path)):
        model = piped().set_params(memory=memory)
        found.append(scores(GCASearchCV(model, of_step({"epsilon": [0.2, 1.0]}), cv=2, refit=False).fit(X, Y)))
    np.testing.assert_array_equal(*found)


def test_labels_may_be_learned_from():
    search = GCASearchCV(quick(loss="supcon"), {"epsilon": [0.2, 1.0]}, cv=StratifiedKFold(2), scoring=RETRIEVAL)
    assert np.isfinite(scores(search.fit(X, Y))).all()


def test_what_cannot_be_searched():
    with pytest.raises(TypeError, match="LogisticRegression is no GCAEmbedder, nor a pipeline with one"):
        GCASearchCV(LogisticRegression(), {"C": [1.0]}).fit(X, Y)
    with pytest.raises(ValueError, match=r"'gcaembedder', which replaces the embedder.* as 'gcaembedder__epsilon'"):
        GCASearchCV(piped(), {"gcaembedder": [quick(), "passthrough"]}).fit(X, Y)
    with pytest.raises(ValueError, match="Invalid parameter 'epsilom'"):
        GCASearchCV(quick(), [{"epsilon": [0.5]}, {"epsilom": [0.5]}]).fit(X)
    with pytest.raises(ValueError, match="'warm_epochs' parameter of GCASearchCV"):
        GCASearchCV(quick(), {"epsilon": [0.5]}, warm_epochs=0).fit(X)
    with pytest.raises(ValueError, match="makes no split"):
        GCASearchCV(quick(), {"epsilon": [0.5]}, cv=[]).fit(X)


EXPECTED_FAILURES = {
    "check_estimators_nan_inf": "Pipeline does not tell that its first step takes NaN; GridSearchCV fails likewise."
}
# widths of whole vector registers, so that rows are summed alike wherever they stand
SMALL = quick(n_components=8, hidden_layer_sizes=(16,), max_epochs=1)
CHECKED = [
    GCASearchCV(SMALL, {"epsilon": [0.2, 1.0]}, cv=2, error_score="raise"),
    GCASearchCV(make_pipeline(SMALL, LogisticRegression()), of_step({"epsilon": [0.2]}), cv=2, error_score="raise"),
]


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")  # of y, by check_cv
@parametrize_with_checks(
    CHECKED, expected_failed_checks=lambda search: EXPECTED_FAILURES if hasattr(search.estimator, "steps") else {}
)
def test_scikit_learn_check(estimator, check):
    check(estimator)
