"""Learnable epsilon, and ground costs other than the cosine."""

import math

import pytest
import torch
import torch.nn.functional as F

from skgca.losses import LearnableEpsilon, make_loss

from ..numerics import DOUBLE, SINGLE, assert_close, assert_gradient
from ..reference import losses as reference
from .cases import (
    CASES,
    EVERY_CASE,
    EVERY_KIND,
    EVERY_LAYOUT,
    INF,
    assert_alike,
    leaf,
    oracle_value_and_grad,
    value_and_grad,
    views,
)

EVERY_COST = pytest.mark.parametrize("cost", reference.COSTS)
RELATED = torch.tensor([0, 1, 0, -1, 1, -1])


def learnable(case, start, **settings):
    """A loss in double precision, in which the initial epsilon is only that of single precision."""
    return case.loss(epsilon=LearnableEpsilon(start, min(start, 0.01)), **settings).double()


def slope(loss, *args, **kwargs):
    """Value of a loss, and its derivative by log epsilon. Either may be zero, so the size of both is the larger one."""
    value = loss(*args, **kwargs)
    return value.item(), torch.autograd.grad(value, loss.log_epsilon)[0].item()


def expected_slope(case, loss, z_a, z_b, **settings):
    """The same of the oracle, by a step of epsilon along the imaginary axis."""
    a, b = (z.detach().numpy() for z in (z_a, z_b))
    stepped = case.expected(a, b, epsilon=loss.epsilon + 1e-30j, **settings)
    return stepped.real, loss.epsilon * stepped.imag * 1e30


# Costs


@EVERY_CASE
@EVERY_LAYOUT
@pytest.mark.parametrize("cost", ["sqeuclidean", "student_t"])
@pytest.mark.parametrize("weighted", [False, True])
def test_value_and_gradient_of_other_costs_are_those_of_the_oracle(case, layout, cost, weighted):
    z_a, z_b = views(n=5, d=3)
    weight = torch.linspace(0.5, 2, 5, dtype=torch.float64) if weighted else None
    loss = case.loss(epsilon=0.8, layout=layout, cost=cost)
    settings = {"epsilon": 0.8, "layout": layout, "cost": cost, "weight": weight if weight is None else weight.numpy()}
    expected = oracle_value_and_grad(lambda a, b: case.expected(a, b, **settings), z_a, z_b)
    assert_alike(value_and_grad(loss, z_a, z_b, weight=weight, **case.reads(5)), expected, case.tolerance)


@pytest.mark.parametrize("name", ["ince", "gca_ince", "gca_uot", "iot_uni", "supcon"])
@EVERY_LAYOUT
def test_on_the_sphere_the_squared_distance_is_twice_the_cosine_cost(name, layout):
    """|x - y|^2 = 2 (1 - cos), so twice the epsilon, and twice the strengths, which are in units of the cost."""
    case = CASES[name]
    settings = {"marginals": tuple(2 * rho for rho in case.rho)} if name == "gca_uot" else {}
    z_a, z_b = (leaf(F.normalize(z)) for z in views())
    loss = case.loss(epsilon=0.4, layout=layout, cost="sqeuclidean", **settings)
    value, *grads = value_and_grad(loss, z_a, z_b, **case.reads(6))
    tangent = [grad - ((grad * z).sum(1, keepdim=True) * z).detach() for grad, z in zip(grads, (z_a, z_b), strict=True)]
    expected = value_and_grad(case.loss(epsilon=0.2, layout=layout), z_a, z_b, **case.reads(6))
    assert_alike((value, *tangent), expected)


@EVERY_LAYOUT
@pytest.mark.parametrize("epsilon", [0.5, 1.0])
def test_the_kernel_of_student_t_is_a_power_of_one_plus_the_squared_distance(epsilon, layout):
    """At epsilon 1 the row-normalised kernel of t-SNE, written down as its paper does."""

    def published(z_a, z_b):
        x, y = (torch.cat([z_a, z_b]),) * 2 if layout == "joint" else (z_a, z_b)
        kernel = (1 + ((x[:, None] - y) ** 2).sum(2)) ** (-1 / epsilon)
        partner = torch.arange(len(x))
        if layout == "joint":
            kernel, partner = kernel * (1 - torch.eye(len(x), dtype=x.dtype)), partner.roll(len(z_a))
        shares = kernel / kernel.sum(1, keepdim=True)
        return -shares.gather(1, partner[:, None]).log().mean()

    loss = make_loss("ince", epsilon=epsilon, cost="student_t", layout=layout)
    assert_alike(value_and_grad(loss, *views()), value_and_grad(published, *views()))


@EVERY_COST
@EVERY_LAYOUT
def test_equal_rows_keep_every_cost_finite(cost, layout):
    z = torch.ones(4, 3, requires_grad=True)
    loss = make_loss("gca_ince", epsilon=0.1, cost=cost, layout=layout)
    found = value_and_grad(loss, z, leaf(z))
    assert all(torch.isfinite(t).all() for t in found)


# Epsilon


@EVERY_CASE
@EVERY_LAYOUT
@EVERY_COST
def test_the_slope_by_log_epsilon_is_that_of_the_oracle(case, layout, cost):
    z_a, z_b = views(n=5, d=3)
    loss = learnable(case, 0.5, layout=layout, cost=cost)
    found = slope(loss, z_a, z_b, **case.reads(5))
    assert_close(found, expected_slope(case, loss, z_a, z_b, layout=layout, cost=cost), case.tolerance)


@EVERY_CASE
@EVERY_LAYOUT
def test_the_slope_is_that_of_the_oracle_with_weights_and_related_rows(case, layout):
    z_a, z_b = views()
    weight = torch.linspace(0.5, 2, 6, dtype=torch.float64)
    loss = learnable(case, 0.3, layout=layout)
    found = slope(loss, z_a, z_b, weight=weight, related=RELATED, **case.reads(6))
    related = ((RELATED[:, None] == RELATED) & (RELATED != -1)).numpy()
    expected = expected_slope(case, loss, z_a, z_b, layout=layout, weight=weight.numpy(), related=related)
    assert_close(found, expected, case.tolerance)


@pytest.mark.parametrize("name", ["gca_ince", "gca_uot", "gca_uot of rows", "iot_uni", "ince", "byol"])
@EVERY_LAYOUT
@pytest.mark.parametrize("epsilon", [0.0004, 0.0002])
def test_the_slope_is_that_of_the_oracle_where_scalings_leave_their_range(name, layout, epsilon):
    z_a, z_b = views(d=2, noise=5.0)
    loss = learnable(CASES[name], epsilon, layout=layout)
    expected = expected_slope(CASES[name], loss, z_a, z_b, layout=layout)
    assert_close(slope(loss, z_a, z_b), expected, 2e-15 / epsilon)  # ten roundings of a score of 2 / epsilon


@EVERY_KIND
@EVERY_LAYOUT
def test_the_gradient_by_the_embeddings_does_not_depend_on_whether_epsilon_is_learned(case, layout):
    loss, reads = learnable(case, 0.3, layout=layout), case.reads(6)
    fixed = case.loss(epsilon=loss.epsilon, layout=layout)
    assert_alike(value_and_grad(loss, *views(), **reads), value_and_grad(fixed, *views(), **reads))


@EVERY_LAYOUT
@EVERY_COST
@pytest.mark.parametrize("rho", [(1.0, 1.0), (0.3, 2.0), (INF, 0.5), (INF, INF)])
def test_the_implicit_gradient_is_the_unrolled_one_at_the_solution(rho, layout, cost):
    found = []
    for gradient in ("implicit", "unrolled"):
        settings = {"marginals": rho, "n_iter": 20_000, "tol": 1e-14, "gradient": gradient}
        loss = learnable(CASES["gca_uot"], 1.0, layout=layout, cost=cost, **settings)
        value = loss(*(z := views()))
        assert loss.plan(*z).converged
        grads = torch.autograd.grad(value, (*z, loss.log_epsilon))
        found.append((value.detach(), torch.cat(grads[:2]), grads[2]))
    (value, grad, by_epsilon), expected = found
    assert_alike((value, grad, grad), (expected[0], expected[1], expected[1]))
    assert_close(by_epsilon, expected[2], DOUBLE)


@pytest.mark.parametrize("name", ["gca_uot of every term", "gca_rince", "supcon"])
@EVERY_COST
def test_the_second_derivative_by_epsilon_is_that_of_finite_differences(name, cost):
    case = CASES[name]
    loss = learnable(case, 0.4, cost=cost, **({} if name == "supcon" else {"n_iter": 3}))

    def function(log_epsilon, z_a, z_b):
        return torch.func.functional_call(loss, {"log_epsilon": log_epsilon}, (z_a, z_b), case.reads(4))

    assert_gradient(function, (leaf(loss.log_epsilon), *views(n=4, d=3)), second=True, fast_mode=True)


@EVERY_KIND
@EVERY_LAYOUT
def test_learning_epsilon_warns_of_nothing(case, layout):
    """Torch warns once in a process, which may have been in another test; here it always warns."""
    loss, before = learnable(case, 0.3, layout=layout), torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        loss(*views(), **case.reads(6)).backward()
        assert_close(loss.epsilon, 0.3, SINGLE)
    finally:
        torch.set_warn_always(before)


@pytest.mark.parametrize(("value", "bound"), [(1e-4, 0.05), (100.0, 2.0)])
def test_an_epsilon_out_of_bounds_comes_back_at_the_next_call(value, bound):
    loss = make_loss("gca_uot", epsilon=LearnableEpsilon(0.5, 0.05, 2.0))
    with torch.no_grad():
        loss.log_epsilon.fill_(math.log(value))
    z_a, z_b = (z.float() for z in views())
    found = loss(z_a, z_b)
    assert_close(loss.epsilon, bound, SINGLE)
    expected = make_loss("gca_uot", epsilon=bound)(z_a, z_b)
    assert_close(found, expected, SINGLE, scale=5 + 2 / bound)  # log(1 / 12^2), and a score
    assert torch.autograd.grad(found, loss.log_epsilon)[0] != 0.0  # at a bound it may still turn round


def test_epsilon_is_learned():
    """Rows that are already separated are separated better by a smaller epsilon."""
    loss = make_loss("ince", epsilon=LearnableEpsilon(0.5, 0.02, 2.0))
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.5)
    z = torch.eye(6)
    for _ in range(50):
        optimizer.zero_grad()
        loss(z, z).backward()
        optimizer.step()
    assert 0.02 <= loss.epsilon < 0.3


def test_epsilon_is_kept_by_the_state_and_shown():
    loss, other = make_loss("ince", epsilon=LearnableEpsilon(0.25)), make_loss("ince", epsilon=LearnableEpsilon(0.5))
    other.load_state_dict(loss.state_dict())
    assert other.epsilon == loss.epsilon
    assert_close(loss.epsilon, 0.25, SINGLE)
    assert "epsilon=0.25" in repr(other)
    assert "log_epsilon" not in make_loss("ince", epsilon=0.25).state_dict()


@EVERY_LAYOUT
def test_half_precision_embeddings_learn_epsilon_too(layout):
    loss = make_loss("gca_uot", epsilon=LearnableEpsilon(0.3), layout=layout)
    z_a, z_b = views(dtype=torch.bfloat16)
    assert_close(slope(loss, z_a, z_b), slope(loss, z_a.double(), z_b.double()), SINGLE)


@pytest.mark.parametrize("bounds", [(0.0, 0.0, 1.0), (0.5, 0.6, 1.0), (0.5, 0.1, 0.4), (0.5, 0.1, INF), (math.nan,)])
def test_bounds_that_are_out_of_order_are_refused(bounds):
    with pytest.raises(ValueError, match="needs finite numbers with 0 < low <= start <= high"):
        LearnableEpsilon(*bounds)
