import math

import pytest

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
