from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skgca.inspection import TrainingDisplay

from .. import models

X, Y = load_iris(return_X_y=True)


quick = partial(models.quick, max_epochs=6)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def lines(ax):
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


def test_what_is_drawn_is_the_history():
    model = quick(early_stopping=True).fit(X)
    display = TrainingDisplay.from_estimator(model)
    frame = pd.DataFrame(model.history_)
    loss, geometry, rank = display.axes_
    np.testing.assert_array_equal(lines(loss)["training"], frame[["epoch", "loss"]])
    np.testing.assert_array_equal(lines(loss)["held out"], frame[["epoch", "valid_loss"]])
    np.testing.assert_array_equal(lines(loss)["by chance"], frame[["epoch", "loss_by_chance"]])
    np.testing.assert_array_equal(lines(loss)["at best"], frame[["epoch", "loss_at_best"]])
    assert lines(loss)["epoch kept"][0, 0] == model.best_epoch_
    np.testing.assert_array_equal(geometry.get_lines()[0].get_xydata(), frame[["uniformity", "alignment"]])
    np.testing.assert_array_equal(rank.get_lines()[0].get_xydata(), frame[["epoch", "effective_rank"]])
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in display.axes_)
    assert display.figure_ is loss.figure


def test_epochs_that_were_not_measured_are_left_out():
    model = quick(max_epochs=60).fit(X)
    display = TrainingDisplay.from_estimator(model)
    measured = pd.DataFrame(model.history_).dropna(subset=["effective_rank"])
    assert 1 < len(measured) < 60
    np.testing.assert_array_equal(display.axes_[2].get_lines()[0].get_xdata(), measured["epoch"])
    assert set(lines(display.axes_[0])) == {"training", "by chance", "at best"}


def test_levels_that_are_not_known_are_left_out():
    model = quick(loss="byol").fit(X)
    assert set(lines(TrainingDisplay.from_estimator(model).axes_[0])) == {"training"}
    of_before = [
        {name: value for name, value in record.items() if "_at_" not in name} for record in quick().fit(X).history_
    ]
    assert set(lines(TrainingDisplay(of_before).plot().axes_[0])) == {"training", "by chance"}


def test_axes_may_be_given():
    model = quick().fit(X)
    _, ax = plt.subplots()
    display = TrainingDisplay.from_estimator(model, ax=ax)
    assert display.figure_ is ax.figure
    assert not ax.axison
    _, three = plt.subplots(1, 3)
    assert TrainingDisplay.from_estimator(model, ax=three).axes_ == list(three)
    with pytest.raises(ValueError, match="ax holds 2 axes, but there are 3 panels"):
        TrainingDisplay.from_estimator(model, ax=three[:2])


def test_a_pipeline_will_do():
    pipeline = make_pipeline(quick(), LogisticRegression(max_iter=500)).fit(X, Y)
    assert TrainingDisplay.from_estimator(pipeline).history == pipeline[0].history_


def test_what_cannot_be_drawn():
    with pytest.raises(TypeError, match="LogisticRegression is no GCAEmbedder, nor a pipeline with one"):
        TrainingDisplay.from_estimator(LogisticRegression())
    with pytest.raises(NotFittedError):
        TrainingDisplay.from_estimator(quick())
    with pytest.raises(ValueError, match="There is no epoch to show"):
        TrainingDisplay.from_estimator(quick(max_epochs=0).fit(X))
