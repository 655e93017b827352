"""Values and gradients of the engine, against float64 oracles, closed forms and POT."""

import math

import numpy as np
import ot
import pytest
import torch

from skgca.ot import sinkhorn, sinkhorn_embeddings
from skgca.ot._log_domain import LogSinkhorn

from ..numerics import DOUBLE, SINGLE, assert_close, size
from ..reference import sinkhorn as reference
from .problems import INF, MARGINALS, embeddings, masses, rounding, scalar, weights


def _oracle(scores, a, b, rho, epsilon, n_iter, coefficients):
    """Value and dL/dscores of ``problems.scalar``'s potential part."""
    to_f, to_g = (c.numpy() for c in coefficients[:2])
    settings = {"epsilon": epsilon, "rho_row": rho[0], "rho_col": rho[1], "n_iter": n_iter}
    f, g = reference.log_sinkhorn(scores, a, b, **settings)
    return to_f @ f + to_g @ g, reference.log_sinkhorn_pullback(scores, a, b, to_f, to_g, **settings)


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("epsilon", [100.0, 0.5, 0.05, 0.002])
@pytest.mark.parametrize("rho", MARGINALS.values(), ids=MARGINALS)
def test_rectangular_plan_with_uneven_mass_is_that_of_the_oracle(rho, epsilon, tiled):
    z_a, z_b, a, b = embeddings(14), embeddings(10, seed=1), masses(14), masses(10, seed=1)
    n_iter = 1 if 0.0 in rho else 7
    coefficients = weights(14, 10)
    scores = reference.cosine_scores(z_a.numpy(), z_b.numpy(), epsilon)
    value, grad = _oracle(scores, a.numpy(), b.numpy(), rho, epsilon, n_iter, coefficients)
    expected = reference.cosine_pullback(z_a.numpy(), z_b.numpy(), epsilon, grad)

    z_a.requires_grad_(), z_b.requires_grad_()
    plan = sinkhorn_embeddings(z_a, z_b, marginals=rho, epsilon=epsilon, n_iter=n_iter, a=a, b=b, tiled=tiled)
    terms = torch.cat([coefficients[0] * plan.f, coefficients[1] * plan.g])
    if rho == (0.0, 0.0):
        assert terms.sum().item() == value == 0.0
        return
    found = torch.autograd.grad(terms.sum(), (z_a, z_b))
    tolerance = rounding(epsilon)
    slope = max(map(size, coefficients[:2]))  # of the loss by one potential
    assert_close(terms.sum(), value, tolerance, scale=max(slope, size(terms)))
    for x, y in zip(found, expected, strict=True):
        assert_close(x, y, tolerance, scale=slope / epsilon)

    dense = torch.as_tensor(scores).requires_grad_()
    plan = sinkhorn(dense, marginals=rho, epsilon=epsilon, n_iter=n_iter, a=a, b=b)
    loss = (coefficients[0] * plan.f).sum() + (coefficients[1] * plan.g).sum()
    assert_close(torch.autograd.grad(loss, dense)[0], grad, tolerance, scale=slope)


@pytest.mark.parametrize("cost", ["cosine", "sqeuclidean"])
@pytest.mark.parametrize("epsilon", [0.5, 0.004])
@pytest.mark.parametrize("rho", MARGINALS.values(), ids=MARGINALS)
def test_everything_a_plan_offers_has_the_gradient_of_the_dense_iterations(rho, epsilon, cost):
    z, coefficients = embeddings(16).requires_grad_(), weights(16, 16)
    n_iter = 1 if 0.0 in rho else 6
    found = []
    for tiled in (False, True):
        plan = sinkhorn_embeddings(z, marginals=rho, epsilon=epsilon, n_iter=n_iter, cost=cost, tiled=tiled)
        loss = scalar(plan, coefficients)
        found.append((loss, *torch.autograd.grad(loss, z)))

    # Plain autograd through the same iterations on the masked matrix.
    scores = sinkhorn_embeddings(z, marginals=rho, epsilon=epsilon, n_iter=n_iter, cost=cost).scores
    a = torch.full((16,), 1 / 16, dtype=z.dtype)
    phi = [reference.power(r, epsilon) for r in rho]
    f, g = torch.zeros_like(a), torch.zeros_like(a)
    for _ in range(n_iter):
        f = phi[0] * (a.log() - torch.logsumexp(scores + g, 1))
        g = phi[1] * (a.log() - torch.logsumexp(scores + f[:, None], 0))
    log_plan = f[:, None] + scores + g
    to_f, to_g, to_rows, to_cols = coefficients
    rows = torch.arange(16)
    expected = (to_f * f).sum() + (to_g * g).sum() + (to_rows * log_plan.exp().sum(1)).sum() + log_plan.exp().sum()
    expected = expected + (to_cols * log_plan.exp().sum(0)).sum() + log_plan[rows, (rows + 1) % 16].mean()
    (grad,) = torch.autograd.grad(expected, z)
    for loss, found_grad in found:
        assert_close(loss, expected, rounding(epsilon), scale=torch.cat([to_f * f, to_g * g, log_plan.exp().sum(0)]))
        assert_close(found_grad, grad, rounding(epsilon))


@pytest.mark.parametrize("kind", ["random", "clustered", "duplicated", "antipodal"])
@pytest.mark.parametrize("epsilon", [1.0, 0.2, 0.05, 0.01, 0.001])
@pytest.mark.parametrize("rho", [(INF, 0.0), (INF, INF), (1.0, 1.0)])
def test_float32_is_close_to_the_float64_oracle(rho, epsilon, kind):
    # Entries that are not the nearest: of a solved task the gradient is zero, and has no relative error.
    z32 = embeddings(64, kind=kind, dtype=torch.float32).requires_grad_()
    z = z32.detach().double().numpy()
    a = np.full(64, 1 / 64)
    scores = reference.mask_self(reference.cosine_scores(z, z, epsilon))
    settings = {"epsilon": epsilon, "rho_row": rho[0], "rho_col": rho[1], "n_iter": 1 if rho[1] == 0.0 else 10}
    f, g = reference.log_sinkhorn(scores, a, a, **settings)
    pair = (np.arange(64) + 1) % 64
    held = np.zeros(64) if rho[1] == 0.0 else a
    grad = reference.log_sinkhorn_pullback(scores, a, a, -a, -held, **settings)
    grad[np.arange(64), pair] -= a
    mass = reference.plan(scores, f, g).sum()
    if math.isfinite(rho[0]):  # the mass of a plan whose last step was the columns', by its closed form in g
        due = np.exp(-g * epsilon / rho[1]) / 64
        grad += reference.log_sinkhorn_pullback(scores, a, a, np.zeros(64), -due * epsilon / rho[1], **settings)
    value = -(f + scores[np.arange(64), pair] + g[pair]).mean() + mass
    expected = sum(reference.cosine_pullback(z, z, epsilon, grad))

    plan = sinkhorn_embeddings(z32, marginals=rho, epsilon=epsilon)
    loss = plan.mass - plan.log_plan_at(torch.arange(64), torch.as_tensor(pair)).mean()
    (found,) = torch.autograd.grad(loss, z32)
    assert_close(loss, value, rounding(epsilon, SINGLE))
    assert_close(found, expected, rounding(epsilon, SINGLE))


@pytest.mark.parametrize("kind", ["random", "clustered", "duplicated", "antipodal"])
@pytest.mark.parametrize("epsilon", [1e-4, 1e-3, 1e-2, 0.1, 1.0, 100.0])
@pytest.mark.parametrize(
    "rho", [r for r in MARGINALS.values() if r != (0.0, 0.0)], ids=[k for k in MARGINALS if k != "free"]
)
def test_float32_is_finite_for_any_epsilon(rho, epsilon, kind):
    for z_b in (None, embeddings(24, kind=kind, seed=1, dtype=torch.float32)):
        z = embeddings(24, kind=kind, dtype=torch.float32).requires_grad_()
        plan = sinkhorn_embeddings(z, z_b, marginals=rho, epsilon=epsilon)
        loss = plan.log_plan_at(torch.arange(24), (torch.arange(24) + 1) % 24).mean() + plan.mass
        (grad,) = torch.autograd.grad(loss, z)
        assert bool(torch.isfinite(loss))
        assert bool(torch.isfinite(grad).all())
        assert float(grad.abs().max()) > 0


@pytest.mark.parametrize("rho", [(INF, INF), (1.0, 0.3), (INF, 0.0), (0.0, 1.0)])
@pytest.mark.parametrize("epsilon", [0.5, 0.03])
def test_both_domains_give_one_result(rho, epsilon):
    z, coefficients = embeddings(20, dtype=torch.float32), weights(20, 20)
    plan = sinkhorn_embeddings(z, marginals=rho, epsilon=epsilon, n_iter=3)
    solver = plan.solver
    assert solver.kernel_sinkhorn is not None  # else there would be nothing to compare
    in_log = LogSinkhorn(solver.source, solver.problem, keep=True)
    f, g, trace = in_log.run()
    assert_close(plan.f, f, SINGLE, scale=1 / epsilon)
    assert_close(plan.g, g, SINGLE, scale=1 / epsilon)
    to_f, to_g = (c.float() for c in coefficients[:2])
    kernel_side = solver.kernel_sinkhorn.reverse(solver.kernel_sinkhorn.run()[2], to_f, to_g)
    found, expected = solver.kernel_sinkhorn.kernel.pull(*kernel_side[:2])[0], in_log.reverse(trace, to_f, to_g)[2]
    assert_close(found, expected, rounding(epsilon, SINGLE))


def test_a_kernel_that_cannot_hold_the_potentials_is_left_for_the_log_domain():
    z = embeddings(24, kind="antipodal", dtype=torch.float32)
    assert sinkhorn_embeddings(z, marginals="balanced", epsilon=0.5).solver.kernel_sinkhorn is not None
    assert sinkhorn_embeddings(z, marginals="balanced", epsilon=1e-4).solver.kernel_sinkhorn is None


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("epsilon", [0.5, 0.001])
@pytest.mark.parametrize(
    "rho", [r for r in MARGINALS.values() if r != (0.0, 0.0)], ids=[k for k in MARGINALS if k != "free"]
)
def test_rows_without_mass_carry_none_and_leave_no_nan(rho, epsilon, dense):
    z, w = embeddings(12).requires_grad_(), masses(12)
    w[[2, 8]] = 0.0
    w = w / w.sum()
    if dense:
        scores = reference.mask_self(reference.cosine_scores(z.detach().numpy(), z.detach().numpy(), epsilon))
        leaf = torch.as_tensor(scores).requires_grad_()
        plan = sinkhorn(leaf, marginals=rho, epsilon=epsilon, a=w, b=w)
    else:
        leaf = z
        plan = sinkhorn_embeddings(z, marginals=rho, epsilon=epsilon, a=w, b=w)
    if rho[0] > 0:
        assert plan.plan[2].abs().max().item() == 0.0
        assert plan.row_mass[2].item() == 0.0
    held = torch.arange(12)[w > 0]
    loss = plan.mass + plan.log_plan_at(held, held.roll(1)).sum() + (plan.row_mass**2).sum()
    (grad,) = torch.autograd.grad(loss, leaf)
    assert bool(torch.isfinite(grad).all())
    assert not bool(torch.isnan(plan.log_plan).any())
    # At the solution, what is left is the problem without those rows.
    if rho[0] > 0 and rho[1] > 0:
        settings = {"marginals": rho, "epsilon": max(epsilon, 0.05), "n_iter": 5000, "tol": 1e-14}
        scores = plan.scores.detach() * (epsilon / settings["epsilon"])
        smaller = sinkhorn(scores[held][:, held], a=w[held], b=w[held], **settings)
        found = sinkhorn(scores, a=w, b=w, **settings).plan[held][:, held]
        assert_close(found, smaller.plan, rounding(settings["epsilon"]))


def test_masked_entries_carry_nothing_and_get_no_gradient():
    scores = torch.as_tensor(-np.random.default_rng(0).random((6, 5)))
    scores[0, 1:3] = scores[4, 0] = -torch.inf
    scores.requires_grad_()
    plan = sinkhorn(scores, marginals=(1.0, 2.0), epsilon=0.3)
    (grad,) = torch.autograd.grad((plan.f**2).sum() + (plan.g * torch.arange(5)).sum(), scores)
    assert plan.plan[0, 1].item() == 0.0
    assert float(grad[0, 1:3].abs().max()) == float(grad[4, 0]) == 0.0
    problem = scores.detach().numpy(), np.full(6, 1 / 6), np.full(5, 0.2)
    settings = {"epsilon": 0.3, "rho_row": 1.0, "rho_col": 2.0, "n_iter": 10}
    f, _ = reference.log_sinkhorn(*problem, **settings)
    expected = reference.log_sinkhorn_pullback(*problem, 2 * f, np.arange(5.0), **settings)
    assert_close(grad, expected, rounding(0.3))


# Closed forms


@pytest.mark.parametrize("score", [-3.0, 0.0, 2.0])
def test_one_by_one(score):
    """A single entry p minimises epsilon (p log(p / k) - p) + (rho_row + rho_col) (p log p - p)."""
    plan = sinkhorn(
        torch.tensor([[score]], dtype=torch.float64), marginals=(0.7, 0.5), epsilon=0.4, n_iter=500, tol=1e-13
    )
    assert_close(plan.mass, math.exp(0.4 * score / (0.4 + 0.7 + 0.5)), 1e-11)  # solved to 1e-13
    assert plan.converged


def test_uniform_kernel_gives_the_product_of_the_masses():
    a, b = masses(5), masses(7, seed=1)
    plan = sinkhorn(torch.full((5, 7), -3.0, dtype=torch.float64), marginals="balanced", epsilon=1.0, a=a, b=b)
    assert_close(plan.plan, a[:, None] * b, 1e-13)  # sums of 7 terms
    assert_close(plan.marginal_error, 0.0, 1e-13, scale=1.0)


def test_small_epsilon_gives_the_best_permutation():
    z = embeddings(12, kind="random", d=16)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    plan = sinkhorn_embeddings(z, z[order], marginals="balanced", epsilon=1e-3, n_iter=50)
    expected = torch.zeros(12, 12, dtype=z.dtype)
    expected[order, torch.arange(12)] = 1 / 12
    assert_close(plan.plan, expected, DOUBLE)


# POT, at convergence


def test_balanced_plan_is_that_of_pot():
    z_a, z_b, a, b = embeddings(16), embeddings(12, seed=1), masses(16), masses(12, seed=1)
    plan = sinkhorn_embeddings(z_a, z_b, marginals="balanced", epsilon=0.2, n_iter=2000, tol=1e-12, a=a, b=b)
    cost = 1.0 - (z_a @ z_b.T).numpy()
    expected = ot.sinkhorn(a.numpy(), b.numpy(), cost, 0.2, method="sinkhorn_log", stopThr=1e-13, numItermax=5000)
    assert_close(plan.plan, expected, 1e-9)  # both are solved to 1e-12


@pytest.mark.filterwarnings("ignore:If reg_type = entropy")
@pytest.mark.parametrize("rho", [(1.0, 1.0), (0.2, 2.0)])
def test_relaxed_plan_is_that_of_pot(rho):
    z_a, z_b, a, b = embeddings(16), embeddings(12, seed=1), masses(16), masses(12, seed=1)
    plan = sinkhorn_embeddings(z_a, z_b, marginals=rho, epsilon=0.2, n_iter=2000, tol=1e-12, a=a, b=b)
    cost = 1.0 - (z_a @ z_b.T).numpy()
    expected = ot.unbalanced.sinkhorn_unbalanced(
        a.numpy(), b.numpy(), cost, 0.2, rho, reg_type="entropy", stopThr=1e-14, numItermax=5000
    )
    assert_close(plan.plan, expected, 1e-9)  # both are solved to 1e-12
