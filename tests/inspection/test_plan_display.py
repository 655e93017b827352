import matplotlib.pyplot as plt
import numpy as np
import pytest

from skgca.inspection import TransportPlanDisplay, plan_of_rows

from ..numerics import DOUBLE, SINGLE, assert_close
from .models import HELD_OUT, NAMES, TRAIN, X, Y, fitted, row_plan, small


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def image(ax):
    (drawn,) = ax.get_images()
    return np.asarray(drawn.get_array())


def ticks(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


def test_what_is_drawn_is_the_plan_sorted_by_class():
    model = fitted(loss="ince")  # whose columns are free, and so have other masses than the rows
    display = TransportPlanDisplay.from_estimator(model, X[HELD_OUT], NAMES[HELD_OUT])
    plan = plan_of_rows(model, X[HELD_OUT])
    order = np.argsort(NAMES[HELD_OUT], kind="stable")
    assert display.order_.tolist() == order.tolist()
    drawn, target, mass = display.axes_
    norm = drawn.get_images()[0].norm
    assert_close(display.plan.plan, plan.plan, SINGLE)
    plan = display.plan
    assert np.array_equal(image(drawn), np.maximum(plan.plan[np.ix_(order, order)], norm.vmin / 2))
    assert_close(np.diag(image(target)), np.ones(75), DOUBLE)
    assert image(target)[0, 1] == norm.vmin / 2  # no mass, which a logarithm does not have, in the darkest colour
    assert target.get_images()[0].norm is norm
    leaves, reaches = (points.get_offsets() for points in mass.collections)
    assert np.array_equal(leaves, np.column_stack([plan.row_mass[order], np.arange(75)]))
    assert np.array_equal(reaches, np.column_stack([plan.col_mass[order], np.arange(75)]))
    assert mass.get_ylim() == (74.5, -0.5) == drawn.get_ylim()
    assert display.ax_ is drawn
    assert display.figure_ is drawn.figure


def test_titles_labels_and_names_of_classes():
    display = TransportPlanDisplay.from_estimator(fitted(loss="gca_uot"), X[HELD_OUT], NAMES[HELD_OUT])
    titles = [ax.get_title() for ax in display.axes_]
    assert titles[:2] == ["Plan of loss gca_uot\nepsilon 0.5, marginals (1, 1)", "Target plan\npairs"]
    assert titles[2] == f"Mass\nmarginal error {display.plan.marginal_error:.2g}"
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in display.axes_)
    first, second, mass = display.axes_
    assert ticks(first.yaxis) == ticks(first.xaxis) == ticks(second.xaxis) == ["setosa", "versicolor", "virginica"]
    assert first.get_yticks().tolist() == [12.0, 37.0, 62.0]
    assert [line.get_ydata()[0] for line in mass.get_lines()[1:]] == [24.5, 49.5]
    (colours,) = [ax for ax in display.figure_.axes if ax not in display.axes_]
    assert colours.get_ylabel() == "mass (prescribed for a row: 1)"


def test_domains_come_before_classes():
    domains, y = np.array(["west", "east"])[np.arange(75) % 2], Y[HELD_OUT]
    settings = {"sample_domain": domains, "random_state": 0}
    orders = {
        "auto": np.lexsort([y, domains == "west"]),
        "domain": np.argsort(domains == "west", kind="stable"),
        "y": np.argsort(y, kind="stable"),
        None: np.arange(75),
    }
    for sort_by, order in orders.items():
        display = TransportPlanDisplay.from_estimator(fitted(), X[HELD_OUT], y, sort_by=sort_by, **settings)
        assert display.order_.tolist() == order.tolist()
    assert display.ax_.get_xlabel() == "to row"


def test_unknown_rows_come_last():
    y = Y[HELD_OUT].copy()
    y[::3] = -1
    display = TransportPlanDisplay.from_estimator(fitted(), X[HELD_OUT], y)
    assert ticks(display.ax_.yaxis) == ["0", "1", "2", "unknown"]
    assert (y[display.order_[-25:]] == -1).all()


def test_numbers_sort_and_have_no_bounds():
    values = X[HELD_OUT, 0].copy()
    values[4] = np.nan
    display = TransportPlanDisplay.from_estimator(fitted(), X[HELD_OUT], values)
    assert display.order_[-1] == 4
    assert (np.diff(values[display.order_[:-1]]) >= 0).all()
    assert len(display.ax_.get_lines()) == 0


def test_names_are_short_plain_and_left_out_where_there_is_no_room():
    names = np.array(["$a$ costs $b_", "a name that is far too long to stand here", "few"])[Y[HELD_OUT]]
    names[names == "few"] = "a name that is far too long to stand here"
    names[-2:] = "few"
    display = TransportPlanDisplay.from_estimator(fitted(), X[HELD_OUT], names)
    display.figure_.canvas.draw()
    assert ticks(display.ax_.yaxis) == [r"\$a\$ costs \$b_", "a name that is far…"]  # and "few", of two rows, has none
    assert len(display.ax_.get_lines()) == 2 * 2


def test_axes_may_be_given():
    _, ax = plt.subplots()
    display = TransportPlanDisplay.from_estimator(fitted(), X[HELD_OUT], ax=ax)
    assert display.figure_ is ax.figure
    assert not ax.axison
    _, three = plt.subplots(1, 3)
    assert display.plot(ax=three).axes_ == list(three)
    with pytest.raises(ValueError, match="ax holds 2 axes, but there are 3 panels"):
        display.plot(ax=three[:2])


def test_of_many_rows_a_random_part_is_drawn():
    display = TransportPlanDisplay.from_estimator(fitted(), X, Y, max_rows=30, random_state=1)
    assert image(display.ax_).shape == (30, 30)
    assert display.plan.rows.tolist() == plan_of_rows(fitted(), X, max_rows=30, random_state=1).rows.tolist()


@pytest.mark.parametrize("loss", ["byol", "ince", "iot_uni"])
def test_every_kind_of_marginals_can_be_drawn(loss):
    display = TransportPlanDisplay.from_estimator(fitted(loss=loss), X[HELD_OUT], Y[HELD_OUT])
    display.figure_.canvas.draw()
    low, high = display.axes_[2].get_xlim()
    assert low == 0 < display.plan.col_mass.max() < high


def test_mass_of_one_row_only_can_be_drawn():
    model = small(views="clean", epsilon=0.001).fit(X[TRAIN])  # all else underflows
    TransportPlanDisplay.from_estimator(model, X[HELD_OUT]).figure_.canvas.draw()


def test_plans_of_one_value_only_can_be_drawn():
    bright = TransportPlanDisplay(row_plan(np.eye(3))).plot()
    norm = bright.ax_.get_images()[0].norm
    assert_close([norm.vmin, norm.vmax], [1 / 3, 1.0], DOUBLE)  # from an even spread on
    even = np.full((3, 3), 1 / 3)
    TransportPlanDisplay(row_plan(even, target=even)).plot().figure_.canvas.draw()


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match=r"sort_by='class' is not known; use one of \['auto', 'y', 'domain', None\]"):
        TransportPlanDisplay.from_estimator(fitted(), X, Y, sort_by="class")
    with pytest.raises(ValueError, match="sort_by='domain' needs sample_domain; pass it"):
        TransportPlanDisplay.from_estimator(fitted(), X, Y, sort_by="domain")
    with pytest.raises(ValueError, match="sort_by='y' needs y, one entry a row; pass it"):
        TransportPlanDisplay.from_estimator(fitted(), X, sort_by="y")
