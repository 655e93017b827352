"""The embedder of a pipeline: what searches and displays take where there is none, one, or several."""

import re

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skgca import GCAEmbedder
from skgca._estimator.pipelines import all_embedders, only_embedder, rows_at
from skgca.inspection import TrainingDisplay, plan_of_rows, stability_report
from skgca.model_selection import GCASearchCV

X, Y = load_iris(return_X_y=True)


def quick(**params):
    return GCAEmbedder(**{"n_components": 3, "hidden_layer_sizes": (6,), "max_epochs": 2, "random_state": 0, **params})


def twice():
    return Pipeline([("scale", StandardScaler()), ("first", quick()), ("second", quick())])


def nested():
    inner = Pipeline([("pca", PCA(3)), ("embed", quick())])
    return Pipeline([("scale", StandardScaler()), ("inner", inner), ("classify", LogisticRegression())])


def test_embedders_are_found_by_the_steps_that_lead_to_them():
    assert all_embedders(LogisticRegression()) == []
    assert [steps for steps, _ in all_embedders(quick())] == [()]
    assert [steps for steps, _ in all_embedders(twice())] == [("first",), ("second",)]
    pipeline = nested()
    assert all_embedders(pipeline) == [(("inner", "embed"), pipeline["inner"]["embed"])]


def test_frozen_embedders_count_unless_left_out():
    pipeline = make_pipeline(FrozenEstimator(quick()), quick())
    assert [embedder for _, embedder in all_embedders(pipeline)] == [pipeline[0].estimator, pipeline[1]]
    assert only_embedder(pipeline, remedy="", frozen=False) == (("gcaembedder",), pipeline[1])


def test_none_is_refused_with_the_steps_there_are():
    with pytest.raises(TypeError, match=r"^PCA is no GCAEmbedder, nor a pipeline with one\. Pass one\.$"):
        only_embedder(PCA(), remedy="Pass one.")
    with pytest.raises(TypeError, match=r"nor a pipeline with one; its steps are \['pca', 'logisticregression'\]\. P"):
        only_embedder(make_pipeline(PCA(), LogisticRegression()), remedy="Pass one.")


SEVERAL = re.escape("Pipeline has 2 embedders, estimator['first'] and estimator['second']. ")


def test_several_are_refused_by_displays_which_take_one_of_them():
    pipeline = twice().fit(X)
    for show in (TrainingDisplay.from_estimator, lambda model: plan_of_rows(model, X)):
        with pytest.raises(ValueError, match=SEVERAL + "Pass one that is fitted"):
            show(pipeline)
    assert TrainingDisplay.from_estimator(pipeline["second"]).history == pipeline["second"].history_
    assert len(plan_of_rows(pipeline["second"], pipeline[:2].transform(X), max_rows=20)) == 20


def test_several_are_refused_by_a_search_which_takes_others_frozen():
    with pytest.raises(ValueError, match=SEVERAL + "GCASearchCV takes"):
        GCASearchCV(twice(), {"second__epsilon": [0.2, 0.5]}, cv=2).fit(X)
    pipeline = twice().set_params(first=FrozenEstimator(quick().fit(StandardScaler().fit_transform(X))))
    search = GCASearchCV(pipeline, {"second__epsilon": [0.2, 0.5]}, cv=2, error_score="raise").fit(X)
    assert search.best_params_["second__epsilon"] in (0.2, 0.5)


def test_a_stability_report_tells_of_training_where_there_is_one_embedder():
    assert "n_epochs" in stability_report(nested()[:2], X, n_seeds=2).fits
    assert "n_epochs" not in stability_report(twice(), X, n_seeds=2).fits


def test_displays_reach_into_nested_pipelines():
    pipeline = nested().fit(X, Y)
    reached = pipeline["inner"]["pca"].transform(pipeline["scale"].transform(X))
    np.testing.assert_array_equal(rows_at(pipeline, ("inner", "embed"), X), reached)
    expected = plan_of_rows(pipeline["inner"]["embed"], reached).plan
    np.testing.assert_array_equal(plan_of_rows(pipeline, X).plan, expected)
    np.testing.assert_array_equal(plan_of_rows(FrozenEstimator(pipeline), X).plan, expected)
    with pytest.raises(NotFittedError):
        plan_of_rows(nested(), X)


def test_a_search_says_where_a_nested_embedder_is():
    with pytest.raises(TypeError, match=r"estimator\['inner'\]\['embed'\], in a pipeline within .* use GridSearchCV"):
        GCASearchCV(nested(), {"inner__embed__epsilon": [0.2]}).fit(X, Y)
