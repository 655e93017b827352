"""Gradient modes, second derivatives, the certificate, and what may not go wrong inside a training loop."""

import shutil

import pytest
import torch
from torch import nn

from benchmarks._host_reads import host_reads
from skgca.losses import AlignmentLoss, KLDivergence
from skgca.ot import sinkhorn, sinkhorn_embeddings

from ..numerics import SINGLE, assert_close, assert_gradient, assert_within, size
from .problems import INF, embeddings, masses, rounding, scalar, weights

BINDING = [(INF, INF), (1.0, 0.3), (INF, 0.5)]


@pytest.mark.parametrize("epsilon", [0.5, 0.002])
@pytest.mark.parametrize("rho", [*BINDING, (INF, 0.0), (0.0, 0.7), (0.0, 0.0)])
def test_unrolled_gradient_is_that_of_finite_differences(rho, epsilon):
    z_a, z_b = embeddings(6, d=4).requires_grad_(), embeddings(4, d=4, seed=1).requires_grad_()
    log_a = masses(6).log().requires_grad_()
    coefficients = weights(6, 4)

    def loss(z_a, z_b, log_a):
        return scalar(
            sinkhorn_embeddings(z_a, z_b, marginals=rho, epsilon=epsilon, n_iter=3, a=log_a.exp()), coefficients
        )

    step = 1e-6 * min(1.0, epsilon * 10)
    assert_gradient(loss, (z_a, z_b, log_a), eps=step, atol=1e-5 / epsilon)  # gradients are of size 1 / epsilon


@pytest.mark.parametrize("rho", [*BINDING, (INF, 0.0), (0.0, 0.7), (0.0, 0.0)])
def test_second_derivative_is_that_of_finite_differences(rho):
    z, coefficients = embeddings(6, d=3).requires_grad_(), weights(6, 6)

    def loss(z):
        return scalar(sinkhorn_embeddings(z, marginals=rho, epsilon=0.5, n_iter=3), coefficients)

    assert_gradient(loss, (z,), second=True)


@pytest.mark.parametrize("rho", [*BINDING, (0.2, 3.0)])
@pytest.mark.parametrize("epsilon", [0.3, 0.02])
def test_implicit_gradient_is_the_unrolled_one_at_convergence(rho, epsilon):
    z_a, z_b = embeddings(9, d=4).requires_grad_(), embeddings(8, d=4, seed=1).requires_grad_()
    log_a = masses(8).log().requires_grad_()
    to_rows, to_cols = weights(8, 8)[2:]

    def gradient(mode):
        plan = sinkhorn_embeddings(
            z_a, z_b, marginals=rho, epsilon=epsilon, a=log_a.exp(), n_iter=20000, tol=1e-13, gradient=mode
        )
        assert plan.converged
        rows = torch.arange(8)
        # A loss of the plan: for hard marginals a potential alone is known up to a constant only.
        loss = (to_rows * plan.log_plan_at(rows, rows)).sum() + (to_cols * plan.col_mass**2).sum() + plan.mass
        return torch.autograd.grad(loss, (z_a, z_b, log_a))

    both = list(zip(gradient("implicit"), gradient("unrolled"), strict=True))
    # Two hard marginals must agree in total, so the gradient by one of them alone is known up to a multiple of it.
    for implicit, unrolled in both[:2] if rho == (INF, INF) else both:
        assert_close(implicit, unrolled, 1e-8)  # solved to 1e-13, times the many iterations that it took


def test_implicit_gradient_has_no_second_derivative_and_says_so():
    z = embeddings(6).requires_grad_()
    plan = sinkhorn_embeddings(z, marginals=1.0, epsilon=0.5, n_iter=100, tol=1e-6, gradient="implicit")
    with pytest.raises(RuntimeError, match="gradient='unrolled'"):
        torch.autograd.grad(plan.f.sum(), z, create_graph=True)


@pytest.mark.parametrize("layout", ["joint", "cross"])
@pytest.mark.parametrize("marginals", ["balanced", "row"])
def test_envelope_gradient_is_the_unrolled_one_where_it_is_allowed(marginals, layout):
    views = embeddings(12).view(2, 6, 8).clone().requires_grad_()
    found = []
    for gradient in ("envelope", "unrolled"):
        loss = AlignmentLoss(
            epsilon=0.3, marginals=marginals, divergence=KLDivergence(), layout=layout, n_iter=5000, tol=1e-13,
            gradient=gradient,
        )  # fmt: skip
        value = loss(*views)
        found.append((value.detach(), *torch.autograd.grad(value, views)))
    assert_close(found[0][0], found[1][0], rounding(0.3))
    assert_close(found[0][1], found[1][1], 1e-10)  # solved to 1e-13, times the iterations that it took


def test_envelope_is_refused_where_it_is_not_exact():
    z, kl = embeddings(8), KLDivergence()
    with pytest.raises(ValueError, match="hard and free marginals only"):
        sinkhorn_embeddings(z, marginals=1.0, epsilon=0.5, tol=1e-6, gradient="envelope")
    with pytest.raises(ValueError, match="give a tol"):
        AlignmentLoss(epsilon=0.5, marginals="balanced", divergence=kl, gradient="envelope")
    with pytest.raises(ValueError, match="not exact for"):
        AlignmentLoss(epsilon=0.5, marginals="row", divergence=lambda plan, target: plan.mass, gradient="envelope")
    with pytest.raises(RuntimeError, match="Raise n_iter"):
        sinkhorn_embeddings(z, marginals="balanced", epsilon=0.05, n_iter=1, tol=1e-12, gradient="envelope")


# Certificate


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("epsilon", [0.3, 0.003])
@pytest.mark.parametrize("rho", BINDING)
def test_tolerance_stops_the_iterations_as_soon_as_it_is_met(rho, epsilon, tiled):
    z_a, z_b = embeddings(10), embeddings(14, seed=1)

    def run(n_iter, tol=None):
        return sinkhorn_embeddings(z_a, z_b, marginals=rho, epsilon=epsilon, n_iter=n_iter, tol=tol, tiled=tiled)

    tol = run(4).marginal_error * 1.0001
    plan = run(1000, tol)
    assert plan.n_iter == 4
    assert plan.converged
    assert plan.marginal_error <= tol
    missed = run(3, tol)
    assert missed.n_iter == 3
    assert not missed.converged
    assert missed.marginal_error > tol
    assert_close(missed.marginal_error, run(3).marginal_error, rounding(epsilon), scale=1.0)  # of masses of total 1


def test_marginal_error_is_that_of_the_dense_plan():
    plan = sinkhorn_embeddings(embeddings(12), marginals=(1.0, INF), epsilon=0.1, n_iter=2)
    due = plan.a * torch.exp(-plan.f * 0.1)
    expected = (plan.plan.sum(1) - due).abs().sum() + (plan.plan.sum(0) - plan.b).abs().sum()
    assert_close(plan.marginal_error, expected, rounding(0.1), scale=1.0)  # of masses of total 1


def test_a_hook_observes_which_plans_of_a_loss_missed_its_tolerance():
    for n_iter, converged in ((2, [False] * 3), (9999, [True] * 3)):
        loss = AlignmentLoss(epsilon=0.1, marginals="balanced", divergence=KLDivergence(), n_iter=n_iter, tol=1e-10)
        plans = []
        handle = loss.solver.register_forward_hook(lambda solver, args, plan, plans=plans: plans.append(plan))
        for _ in range(3):
            loss(*embeddings(8).view(2, 4, 8))
        handle.remove()
        loss(*embeddings(8).view(2, 4, 8))
        assert [plan.converged for plan in plans] == converged
        assert [plan.marginal_error <= 1e-10 for plan in plans] == converged


def test_early_stop_changes_nothing_but_rounding():
    z = embeddings(40, d=32).requires_grad_()
    one = sinkhorn_embeddings(z, marginals="balanced", epsilon=0.7, n_iter=60)
    assert one.n_iter < 60
    scores, mass = one.scores.detach(), one.a
    f, g = torch.zeros(40, dtype=z.dtype), torch.zeros(40, dtype=z.dtype)
    for _ in range(60):
        f = mass.log() - torch.logsumexp(scores + g, 1)
        g = mass.log() - torch.logsumexp(scores + f[:, None], 0)
    assert_close(one.f, f, 1e-13)  # it stops when 16 roundings, of 2e-16, are left to change


# Annealing


@pytest.mark.parametrize("epsilon", [0.01, 0.001])
def test_annealing_helps_a_small_epsilon_and_tends_to_the_same_plan(epsilon):
    z_a, z_b = embeddings(24, d=3), embeddings(24, d=3, seed=1)
    settings = {"marginals": "balanced", "epsilon": epsilon}
    plain = sinkhorn_embeddings(z_a, z_b, n_iter=20, **settings)
    annealed = sinkhorn_embeddings(z_a, z_b, n_iter=20, anneal_from=1.0, **settings)
    assert annealed.marginal_error < plain.marginal_error / 2


def test_annealing_does_not_change_the_solution_or_its_gradient():
    z = embeddings(10, d=4).requires_grad_()
    found = []
    for start in (None, 1.0):
        plan = sinkhorn_embeddings(z, marginals=(1.0, 0.5), epsilon=0.05, n_iter=5000, tol=1e-14, anneal_from=start)
        found.append((plan.plan.detach(), *torch.autograd.grad((plan.f**2).sum(), z)))
    for annealed, plain in zip(*found[::-1], strict=True):
        assert_close(annealed, plain, 1e-11)  # solved to 1e-14, times the iterations that it took


# Inside a training loop


@pytest.mark.parametrize("epsilon", [0.5, 0.001])
def test_autocast_leaves_the_plan_in_float32(epsilon):
    z = embeddings(16, dtype=torch.float32).to(torch.bfloat16).requires_grad_()
    exact = z.detach().float().requires_grad_()
    loss = AlignmentLoss(epsilon=epsilon, marginals="balanced", divergence=KLDivergence())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(*z.chunk(2))
        value.backward()
    assert value.dtype == torch.float32
    expected = loss(*exact.chunk(2))
    expected.backward()
    assert_close(value, expected, SINGLE)
    assert_within(z.grad, exact.grad, 2**-7 * size(exact.grad))  # it arrives in bfloat16, rounded by up to 2^-9


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's compiler looks at it itself
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "backend",
    [
        "eager",
        "aot_eager",
        pytest.param(
            "inductor",
            marks=[pytest.mark.slow, pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")],
        ),
    ],
)
def test_a_compiled_model_that_ends_in_the_loss_trains(backend):
    torch.manual_seed(0)
    loss = AlignmentLoss(epsilon=0.5, marginals=1.0, divergence=KLDivergence())

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Linear(8, 4)

        def forward(self, views):
            return loss(*self.encoder(views).unbind())

    model, views = Model(), embeddings(12, dtype=torch.float32).view(2, 6, 8)
    eager = model(views)
    (expected,) = torch.autograd.grad(eager, model.encoder.weight)
    compiled = torch.compile(model, backend=backend)(views)
    assert_close(compiled, eager, SINGLE)
    assert_close(torch.autograd.grad(compiled, model.encoder.weight)[0], expected, SINGLE)


def test_kernel_is_freed_by_the_backward_pass_even_if_the_loss_is_kept():
    z = embeddings(8).requires_grad_()
    plan = sinkhorn_embeddings(z, marginals="balanced", epsilon=0.5)
    kept = plan.f.sum()
    node = kept.grad_fn.next_functions[0][0]
    del plan
    kept.backward()
    assert not node.kernel_sinkhorn.kernel.cache
    with pytest.raises(RuntimeError, match="second time"):
        _ = node.saved_tensors


def test_backward_may_run_twice_over_a_retained_graph():
    z = embeddings(8).requires_grad_()
    loss = sinkhorn_embeddings(z, marginals=1.0, epsilon=0.5).f.sum()
    (first,) = torch.autograd.grad(loss, z, retain_graph=True)
    assert torch.equal(first, torch.autograd.grad(loss, z)[0])


def test_frozen_embeddings_get_no_gradient_and_the_others_theirs():
    z_a, z_b = embeddings(8).requires_grad_(), embeddings(8, seed=1)
    both = embeddings(8, seed=1).requires_grad_()
    sinkhorn_embeddings(z_a, z_b, marginals=1.0, epsilon=0.5).f.sum().backward()
    expected = torch.autograd.grad(sinkhorn_embeddings(z_a, both, marginals=1.0, epsilon=0.5).f.sum(), z_a)[0]
    assert z_b.grad is None
    assert torch.equal(z_a.grad, expected)


def test_half_precision_scores_are_computed_with_as_float32():
    scores = -torch.rand(5, 4, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    plan = sinkhorn(scores, marginals="balanced", epsilon=0.5)
    assert plan.f.dtype == torch.float32
    assert torch.equal(plan.f, sinkhorn(scores.float(), marginals="balanced", epsilon=0.5).f)


@pytest.mark.cuda
@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("epsilon", [0.5, 0.001])
@pytest.mark.parametrize("rho", [(INF, INF), (1.0, 0.5), (INF, 0.0)])
def test_cuda_agrees_with_cpu(rho, epsilon, tiled, cuda):
    found = []
    for device in ("cpu", cuda.type):
        z = embeddings(64).to(device).requires_grad_()
        plan = sinkhorn_embeddings(z, marginals=rho, epsilon=epsilon, tiled=tiled)
        rows = torch.arange(64, device=device)
        loss = plan.log_plan_at(rows, rows.roll(1)).mean() + plan.mass
        with torch.autocast(device, dtype=torch.bfloat16):
            loss.backward()
        found.append((loss.cpu(), z.grad.cpu()))
    assert_close(found[1][0], found[0][0], rounding(epsilon))
    assert_close(found[1][1], found[0][1], 10 * rounding(epsilon))  # sums over rows of sums over iterations


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_iterations_wait_for_nothing(device, cuda, monkeypatch):
    monkeypatch.setattr("skgca._utils.device._READ_FOR_FREE", ())  # a CPU as if it were an accelerator
    z = embeddings(64, dtype=torch.float32).to(cuda if device == "cuda" else device)
    plan = sinkhorn_embeddings(z, marginals="balanced", epsilon=0.5)
    in_kernel = plan.solver.kernel_sinkhorn
    assert plan.n_iter == 10
    trace = type(in_kernel.run()[2])(v=[in_kernel.v_of(torch.zeros_like(plan.g))])
    with host_reads(z.device) as places:
        in_kernel._iterate(trace)
        in_kernel.reverse(trace, plan.f, plan.g)
    assert places == []


@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a C++ compiler")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor", "ignore::DeprecationWarning")  # as above
@pytest.mark.cuda
def test_cuda_compiled_loss_trains(cuda):
    loss = AlignmentLoss(epsilon=0.5, marginals="balanced", divergence=KLDivergence())
    encoder = nn.Linear(8, 4).to(cuda)
    step = torch.compile(lambda views: loss(*encoder(views).unbind()))
    step(embeddings(12, dtype=torch.float32).view(2, 6, 8).to(cuda)).backward()
    assert bool(torch.isfinite(encoder.weight.grad).all())
