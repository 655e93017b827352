"""Laws that hold for every transport problem."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skgca.ot import Marginals, sinkhorn, sinkhorn_embeddings

from ..numerics import assert_close, assert_gradient, size
from .problems import rounding, scalar, weights

STRENGTHS = st.one_of(st.just(math.inf), st.floats(0.05, 20.0))


@st.composite
def problems(draw, strengths=STRENGTHS):
    """A cost matrix with some entries masked, masses, marginals and epsilon."""
    n, m = draw(st.integers(2, 7)), draw(st.integers(2, 7))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    cost = 2 * torch.rand(n, m, generator=generator, dtype=torch.float64)
    if draw(st.booleans()):
        cost[draw(st.integers(0, n - 1)), draw(st.integers(0, m - 1))] = torch.inf
    a, b = (torch.rand(k, generator=generator, dtype=torch.float64) + 0.1 for k in (n, m))
    rho = draw(strengths), draw(strengths)
    epsilon = draw(st.sampled_from([0.02, 0.3, 4.0]))
    return cost, a / a.sum(), b / b.sum(), rho, epsilon


def solve(cost, a, b, rho, epsilon, **options):
    return sinkhorn(-cost / epsilon, marginals=rho, epsilon=epsilon, a=a, b=b, **options)


@settings(max_examples=60)
@given(problems(), st.randoms(use_true_random=False))
def test_permuting_rows_and_columns_permutes_the_plan(problem, random):
    cost, a, b, rho, epsilon = problem
    rows, cols = (torch.tensor(random.sample(range(len(mass)), len(mass))) for mass in (a, b))
    plan = solve(cost, a, b, rho, epsilon)
    permuted = solve(cost[rows][:, cols], a[rows], b[cols], rho, epsilon)
    assert_close(permuted.plan, plan.plan[rows][:, cols], rounding(epsilon))


@settings(max_examples=40)
@given(problems(strengths=st.floats(0.05, 1.0)))  # stronger ones take thousands of iterations
def test_the_transposed_problem_has_the_transposed_solution(problem):
    cost, a, b, rho, epsilon = problem
    options = {"n_iter": 20000, "tol": 1e-13}
    plan, other = solve(cost, a, b, rho, epsilon, **options), solve(cost.T, b, a, rho[::-1], epsilon, **options)
    assert_close(other.plan.T, plan.plan, 1e-9)  # both are solved to 1e-13 of a mass of 1, and may hold less


@settings(max_examples=60)
@given(problems(), st.floats(0.1, 10.0))
def test_scaling_cost_epsilon_and_strengths_together_changes_nothing(problem, factor):
    cost, a, b, rho, epsilon = problem
    plan = solve(cost, a, b, rho, epsilon)
    scaled = solve(cost * factor, a, b, (rho[0] * factor, rho[1] * factor), epsilon * factor)
    assert_close(scaled.plan, plan.plan, rounding(epsilon))


@settings(max_examples=60)
@given(problems(strengths=st.just(math.inf)))
def test_the_marginal_that_was_last_is_met_and_the_other_within_the_error(problem):
    cost, a, b, rho, epsilon = problem
    plan = solve(cost, a, b, rho, epsilon)
    assert_close(plan.plan.sum(0), b, rounding(epsilon))
    assert_close((plan.plan.sum(1) - a).abs().sum(), plan.marginal_error, rounding(epsilon), scale=1.0)


@settings(max_examples=40)
@given(problems(), st.floats(-3.0, 3.0))
def test_a_constant_cost_on_a_row_is_absorbed_by_a_hard_marginal(problem, constant):
    cost, a, b, _, epsilon = problem
    plan = solve(cost, a, b, (math.inf, 1.0), epsilon)
    shifted = cost.clone()
    shifted[0] += constant
    assert_close(solve(shifted, a, b, (math.inf, 1.0), epsilon).plan, plan.plan, rounding(epsilon))


@settings(max_examples=30)
@given(problems(strengths=st.one_of(STRENGTHS, st.just(0.0))))
def test_gradient_by_scores_and_masses_is_that_of_finite_differences(problem):
    cost, a, b, rho, epsilon = problem
    open_entries = torch.isfinite(cost)
    leaf = torch.where(open_entries, -cost / epsilon, 0.0).requires_grad_()
    a.requires_grad_(), b.requires_grad_()
    to_f, to_g, to_rows, to_cols = weights(*cost.shape)

    def loss(leaf, a, b):
        scores = leaf.masked_fill(~open_entries, -torch.inf)
        plan = sinkhorn(scores, marginals=rho, epsilon=epsilon, n_iter=3, a=a, b=b)
        potentials = (to_f * plan.f).sum() + (to_g * plan.g).sum()
        return potentials + (to_rows * plan.row_mass).sum() + (to_cols * plan.col_mass).sum() + plan.mass

    assert_gradient(loss, (leaf, a, b), rtol=1e-4)


@settings(max_examples=30)
@given(st.integers(2, 30), st.sampled_from([0.02, 0.5]), STRENGTHS, st.integers(0, 2**31))
def test_joint_layout_is_the_dense_problem_with_its_diagonal_masked(n, epsilon, rho, seed):
    z = torch.randn(n, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()
    coefficients = weights(n, n)
    plan = sinkhorn_embeddings(z, marginals=rho, epsilon=epsilon, n_iter=4)
    dense = sinkhorn(plan.scores, marginals=Marginals.parse(rho), epsilon=epsilon, n_iter=4)
    rows = [
        torch.autograd.grad(scalar(p, coefficients) if n > 2 else p.plan.sum(), z, retain_graph=True)[0]
        for p in (plan, dense)
    ]
    assert_close(plan.plan, dense.plan, rounding(epsilon))
    assert_close(rows[0], rows[1], rounding(epsilon), scale=max(1.0, size(rows[1])))  # of two rows, the mass is fixed
