from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgca.inspection import MarginalPathDisplay
from skgca.losses import LearnableEpsilon
from skgca.metrics import SCORERS
from skgca.model_selection import GCASearchCV

from .. import models
from ..numerics import DOUBLE, assert_close

X, Y = load_iris(return_X_y=True)
X, Y = X[::3], Y[::3]
GRID = {"epsilon": [1.0, 0.2, 0.5], "marginals": ["balanced", None, "row", 0.5, (2.0, 0.0)]}


quick = partial(models.quick, max_epochs=2)


def searched(search=GridSearchCV, grid=GRID, **options):
    return search(quick(), grid, scoring=SCORERS["view_retrieval"], cv=2, **options).fit(X)


@pytest.fixture(scope="module")
def whole_search():
    """Search the whole grid, once for all that only look at it."""
    return searched()


def drawn(display):
    """Points of each line, and ends of its bars, by its label."""
    found = {}
    for bars in display.ax_.containers:
        line, _, (collection,) = bars.lines
        ends = np.array([segment[:, 1] for segment in collection.get_segments()])
        found[bars.get_label()] = np.column_stack([line.get_xydata(), ends])
    return found


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_what_is_drawn_are_the_scores(whole_search):
    search = whole_search
    display = MarginalPathDisplay.from_estimator(search)
    lines = drawn(display)
    assert list(lines) == ["default of the loss", "rho=0.5", "rho=(2, 0)", "row", "balanced"]
    names = dict(zip(lines, [None, 0.5, (2.0, 0.0), "row", "balanced"], strict=True))
    results = search.cv_results_
    for label, points in lines.items():
        assert points[:, 0].tolist() == [0.2, 0.5, 1.0]
        for epsilon, mean, low, high in points:
            k = results["params"].index({"epsilon": epsilon, "marginals": names[label]})
            std = results["std_test_score"][k]
            assert mean == results["mean_test_score"][k]
            assert_close([low, high], [mean - std, mean + std], DOUBLE)
    ring = next(scatter for scatter in display.ax_.collections if scatter.get_label() == "best")
    epsilon, score = ring.get_offsets()[0]
    assert (epsilon, score) == (search.best_params_["epsilon"], search.best_score_)
    assert display.ax_.get_xlabel() == "epsilon"
    assert display.ax_.get_ylabel() == "score of held-out rows"
    assert display.ax_.get_xscale() == "log"
    low, high = display.ax_.get_ylim()
    assert low < min(points[:, 2].min() for points in lines.values())
    assert high > max(points[:, 3].max() for points in lines.values())
    assert display.ax_.get_xlim()[0] < 0.2 < 1.0 < display.ax_.get_xlim()[1]
    assert display.figure_ is display.ax_.figure


def test_lines_have_different_colours_and_markers(whole_search):
    bars = MarginalPathDisplay.from_estimator(whole_search).ax_.containers
    styles = {(container.lines[0].get_color(), container.lines[0].get_marker()) for container in bars}
    assert len({color for color, _ in styles}) == len({marker for _, marker in styles}) == 5


@pytest.mark.parametrize("search", [GCASearchCV, GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV])
def test_each_search_can_be_shown(search):
    options = {RandomizedSearchCV: {"n_iter": 4}, HalvingGridSearchCV: {"factor": 2}}.get(search, {})
    display = MarginalPathDisplay.from_estimator(
        searched(search, {**GRID, "marginals": ["row", "balanced"]}, **options)
    )
    assert set(drawn(display)) <= {"row", "balanced"}


def test_from_cv_results_is_the_same(whole_search):
    ours = MarginalPathDisplay.from_estimator(whole_search)
    theirs = MarginalPathDisplay.from_cv_results(whole_search.cv_results_)
    for label, points in drawn(ours).items():
        np.testing.assert_array_equal(points, drawn(theirs)[label])


def test_a_step_of_a_pipeline_and_other_parameters():
    model = make_pipeline(StandardScaler(), quick(), LogisticRegression(max_iter=500))
    grid = {"gcaembedder__epsilon": [0.2, 1.0], "logisticregression__C": [1e-4, 1.0]}
    search = GCASearchCV(model, grid, cv=2).fit(X, Y)
    (line,) = drawn(MarginalPathDisplay.from_estimator(search)).values()
    scores = search.cv_results_["mean_test_score"].reshape(2, 2)  # C varies first
    np.testing.assert_array_equal(line[:, 1], scores.max(1))


def table(settings, means, **more):
    names = dict.fromkeys(f"param_{name}" for setting in settings for name in setting)
    scores = {"mean_test_score": np.array(means), "std_test_score": np.full(len(means), 0.1)}
    return {"params": settings, **names, **scores, **more}


def test_what_is_missing_is_left_out():
    settings = [{"epsilon": 0.2, "marginals": "row"}, {"epsilon": 1.0, "marginals": "row"}]
    settings += [{"epsilon": 0.2, "marginals": "balanced"}, {"marginals": "balanced"}]
    lines = drawn(MarginalPathDisplay.from_cv_results(table(settings, [0.5, np.nan, 0.6, 0.7])))
    assert {label: points[:, 0].tolist() for label, points in lines.items()} == {"row": [0.2], "balanced": [0.2]}


def test_what_the_grid_does_not_set_is_of_the_estimator():
    search = searched(grid=[{"epsilon": [0.2]}, {"marginals": ["balanced"]}])
    lines = drawn(MarginalPathDisplay.from_estimator(search))
    assert {label: points[:, 0].tolist() for label, points in lines.items()} == {
        "default of the loss": [0.2],
        "balanced": [0.5],
    }
    assert set(drawn(MarginalPathDisplay.from_cv_results(search.cv_results_))) == {"not set"}


def test_an_epsilon_that_is_learned_stands_at_its_start():
    values = [0.2, LearnableEpsilon(0.3), LearnableEpsilon(0.3, low=0.2), 0.5]
    settings = [{"epsilon": value} for value in values]
    lines = drawn(MarginalPathDisplay.from_cv_results(table(settings, [0.1, 0.2, 0.3, 0.4]), metric="score"))
    assert lines["not set"][:, :2].tolist() == [[0.2, 0.1], [0.5, 0.4]]
    assert lines["not set, epsilon learned"][0, 0] == 0.3


def test_of_a_halving_search_the_last_iteration_counts():
    settings = [{"epsilon": 0.2}, {"epsilon": 0.5}, {"epsilon": 0.5}]
    display = MarginalPathDisplay.from_cv_results(table(settings, [0.8, 0.9, 0.6], iter=np.array([0, 0, 1])))
    assert drawn(display)["not set"][:, :2].tolist() == [[0.2, 0.8], [0.5, 0.6]]
    marked = {scatter.get_label(): scatter.get_offsets().tolist() for scatter in display.ax_.collections}
    assert marked["best"] == [[0.5, 0.6]]  # 0.8 was reached with less
    assert "scored in an earlier iteration" in marked


def test_several_scores():
    scoring = {"retrieval": SCORERS["view_retrieval"], "effective_rank": SCORERS["effective_rank"]}
    search = GridSearchCV(quick(), {"epsilon": [0.2, 1.0]}, cv=2, scoring=scoring, refit="effective_rank").fit(X)
    display = MarginalPathDisplay.from_estimator(search)
    assert display.ax_.get_ylabel() == "effective rank of held-out rows"
    other = MarginalPathDisplay.from_estimator(search, metric="retrieval")
    (line,) = drawn(other).values()
    np.testing.assert_array_equal(line[:, 1], search.cv_results_["mean_test_retrieval"])
    with pytest.raises(ValueError, match=r"metric='score' is none .* \['effective_rank', 'retrieval'\]"):
        MarginalPathDisplay.from_cv_results(search.cv_results_)


def test_axes_may_be_given():
    _, ax = plt.subplots()
    assert MarginalPathDisplay.from_cv_results(table([{"epsilon": 0.2}], [0.5]), ax=ax).ax_ is ax


def test_what_cannot_be_drawn():
    with pytest.raises(TypeError, match="GCAEmbedder is no search"):
        MarginalPathDisplay.from_estimator(quick())
    with pytest.raises(NotFittedError):
        MarginalPathDisplay.from_estimator(GCASearchCV(quick(), GRID))
    with pytest.raises(
        ValueError, match=r"The search was over \['marginals'\], but the display needs a search over epsilon"
    ):
        MarginalPathDisplay.from_cv_results(table([{"marginals": "row"}], [0.5]))
    with pytest.raises(
        ValueError, match=r"\['a__epsilon', 'b__epsilon'\], but the display shows a search over one epsilon"
    ):
        MarginalPathDisplay.from_cv_results(table([{"a__epsilon": 1.0, "b__epsilon": 1.0}], [0.5]))
    with pytest.raises(ValueError, match="There is nothing to show"):
        MarginalPathDisplay.from_cv_results(table([{"epsilon": 1.0}], [np.nan]))
