"""Values and gradients of every preset against float64 oracles, and against finite differences."""

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ..numerics import DOUBLE, assert_close, assert_gradient, assert_within
from ..reference import losses as reference
from .cases import (
    CASES,
    EVERY_CASE,
    EVERY_LAYOUT,
    FEW,
    LAYOUTS,
    assert_alike,
    leaf,
    oracle_value_and_grad,
    terms_of,
    value_and_grad,
    views,
)


@EVERY_CASE
@EVERY_LAYOUT
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("epsilon", [0.05, 0.5])
def test_value_and_gradient_are_those_of_the_oracle(case, layout, epsilon, weighted):
    z_a, z_b = views(n=5, d=3)
    weight = np.random.default_rng(0).uniform(0.1, 2, 5) if weighted else None
    found = value_and_grad(
        case.loss(epsilon=epsilon, layout=layout),
        z_a,
        z_b,
        weight=None if weight is None else torch.as_tensor(weight),
        **case.reads(5),
    )
    expected = oracle_value_and_grad(
        lambda a, b: case.expected(a, b, epsilon=epsilon, layout=layout, weight=weight), z_a, z_b
    )
    assert_alike(found, expected, case.tolerance, terms=terms_of(z_a, z_b, epsilon))


@pytest.mark.parametrize("name", ["gca_ince", "gca_uot", "gca_uot of rows", "iot_uni"])
@EVERY_LAYOUT
@pytest.mark.parametrize("epsilon", [0.004, 0.0004, 0.0002])
def test_value_and_gradient_are_those_of_the_oracle_at_an_epsilon_that_strains_the_kernel(name, layout, epsilon):
    """Scalings leave the range of float64: some problems are solved in the log domain, others start from zeros."""
    z_a, z_b = views(d=2, noise=5.0)  # pairs so far apart that the gradient is large
    settings = {"epsilon": epsilon, "layout": layout}
    expected = oracle_value_and_grad(lambda a, b: CASES[name].expected(a, b, **settings), z_a, z_b)
    found = value_and_grad(CASES[name].loss(**settings), z_a, z_b)
    assert_alike(found, expected, 2e-15 / epsilon)  # ten roundings of a score of 2 / epsilon


@pytest.mark.parametrize("name", ["rince", "gca_rince", "relaxed gca_rince"])
@EVERY_LAYOUT
@pytest.mark.parametrize(("dtype", "epsilon"), [(torch.float64, 0.0017), (torch.float32, 0.015)])
def test_a_rince_beyond_its_type_keeps_the_direction_of_its_gradient(name, layout, dtype, epsilon):
    """Beyond exp(300), or exp(30) in single precision, the loss is divided by the excess."""
    z_a, z_b = views(d=2, noise=5.0, dtype=dtype)
    settings = {"epsilon": epsilon, "layout": layout}
    value, *found = value_and_grad(CASES[name].loss(**settings), z_a, z_b)
    exact, *expected = oracle_value_and_grad(
        lambda a, b: CASES[name].expected(a, b, **settings), leaf(z_a.double()), leaf(z_b.double())
    )
    unit = float(value) / exact
    assert 0 < unit < 1e-3
    scaled = (value, *(torch.as_tensor(grad * unit) for grad in expected))
    # exponents of up to 2 / epsilon, 1200 or 130, are rounded
    assert_alike((value, *found), scaled, {torch.float64: 1e-11, torch.float32: 1e-3}[dtype])


@EVERY_CASE
@EVERY_LAYOUT
def test_gradient_is_that_of_finite_differences(case, layout):
    loss = case.loss(layout=layout)
    assert_gradient(lambda z_a, z_b: loss(z_a, z_b, **case.reads(4)), views(n=4, d=3), fast_mode=True)


@pytest.mark.parametrize("name", ["gca_uot of every term", "continuous gca_rince", "labelled iot_uni"])
def test_second_derivative_is_that_of_finite_differences(name):
    loss, reads = CASES[name].loss(n_iter=3), CASES[name].reads(4)
    assert_gradient(lambda z_a, z_b: loss(z_a, z_b, **reads), views(n=4, d=3), second=True, fast_mode=True)


@EVERY_LAYOUT
@pytest.mark.parametrize("epsilon", [0.05, 0.5])
def test_ince_is_mean_cross_entropy(layout, epsilon):
    z_a, z_b = views(n=50, d=16)
    found = value_and_grad(CASES["ince"].loss(epsilon=epsilon, layout=layout), z_a, z_b)
    expected = reference.mean_cross_entropy(z_a.detach().numpy(), z_b.detach().numpy(), epsilon, layout)
    assert_close(found[0], expected, FEW, scale=1 / epsilon)  # a difference of logits

    def plain(z_a, z_b):
        rows, cols = (F.normalize(z) for z in ((torch.cat([z_a, z_b]),) * 2 if layout == "joint" else (z_a, z_b)))
        logits, partner = rows @ cols.T / epsilon, torch.arange(len(rows))
        if layout == "joint":
            logits, partner = logits.masked_fill(torch.eye(100, dtype=torch.bool), -torch.inf), partner.roll(50)
        return F.cross_entropy(logits, partner)

    assert_alike(found, value_and_grad(plain, z_a, z_b), FEW, terms=terms_of(z_a, z_b, epsilon))


def test_the_oracle_differentiates_itself_rightly():
    """Complex steps of the oracle against central differences, since all gradients above are compared with them."""
    z_a, z_b = (z.detach().numpy() for z in views(n=4, d=3))
    for layout in LAYOUTS:
        function = partial(CASES["gca_uot of every term"].expected, z_b=z_b, layout=layout)
        steps = 1e-5 * np.eye(z_a.size).reshape(-1, *z_a.shape)
        central = ((function(z_a + steps) - function(z_a - steps)) / 2e-5).reshape(z_a.shape)
        value, gradient = reference.value_and_gradients(function, z_a)
        assert_close(value, function(z_a), DOUBLE)
        assert_within(gradient, central, 1e-8 * np.abs(central).max())
