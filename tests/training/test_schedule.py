import math

import pytest

from skgca._builders.net import resolve_max_epochs
from skgca._training.callbacks import WarmupCosine

from ..numerics import DOUBLE, assert_close


def test_the_rate_warms_up_and_decays_to_nearly_zero():
    factor = WarmupCosine(n_steps=100, n_warmup=10)
    rates = [factor(step) for step in range(100)]
    assert rates[:11] == [(k + 1) / 11 for k in range(11)]
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert_close(rates[55], 0.5, DOUBLE)
    assert all(0 < rate <= 1 for rate in rates)
    assert factor(100) == 0.0


@pytest.mark.parametrize(("n_steps", "n_warmup"), [(1, 0), (1, 1), (2, 2), (5, 0), (7, 7)])
def test_every_step_of_a_short_training_moves(n_steps, n_warmup):
    factor = WarmupCosine(n_steps, n_warmup)
    assert all(0 < factor(step) <= 1 for step in range(n_steps))
    assert math.isfinite(factor(n_steps))  # the schedule asks for one step more than training takes


# How many epochs "auto" makes

BATCHES = [*range(1, 3000), *range(3000, 60_000, 97), 100_000, 10**6]
AUTO_STEPS = pytest.mark.parametrize("auto_steps", [800, 1000, 2000])


def auto(auto_steps, n_batches):
    return resolve_max_epochs("auto", auto_steps=auto_steps, n_batches=n_batches)


def test_a_number_of_epochs_is_taken_as_it_is():
    assert [resolve_max_epochs(n, auto_steps=1000, n_batches=10**6) for n in (0, 1, 5000)] == [0, 1, 5000]


@AUTO_STEPS
def test_auto_epochs_are_within_their_bounds_and_fall_with_the_number_of_rows(auto_steps):
    epochs = [auto(auto_steps, n_batches) for n_batches in BATCHES]
    assert epochs == sorted(epochs, reverse=True)
    assert (epochs[0], epochs[-1]) == (300, 1)


@AUTO_STEPS
def test_auto_steps_are_continuous_and_rise_with_the_number_of_rows_but_for_whole_epochs(auto_steps):
    wanted = [max(auto_steps, min(20 * n_batches, 10_000), n_batches) for n_batches in BATCHES]
    assert wanted == sorted(wanted)
    for n_batches, n_steps in zip(BATCHES, wanted, strict=True):
        bounded = min(n_steps, 300 * n_batches)
        assert abs(auto(auto_steps, n_batches) * n_batches - bounded) <= n_batches / 2


def test_auto_is_a_thousand_steps_then_twenty_epochs_then_ten_thousand_steps_then_one_epoch():
    assert [auto(1000, n_batches) for n_batches in (10, 50, 500, 1000, 3000, 7813, 78_125)] == [
        100,
        20,
        20,
        10,
        3,
        1,
        1,
    ]
