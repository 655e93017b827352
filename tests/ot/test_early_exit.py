"""The rules of early exits: they stop in time, and change nothing but rounding."""

import math

import numpy as np
import pytest
import torch

from skgca.ot import sinkhorn_embeddings
from skgca.ot._early_exit import settled, still
from skgca.ot._kernel_domain import KernelSinkhorn

from ..numerics import DOUBLE, assert_close
from .problems import embeddings, weights

INF = math.inf


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_settled_leaves_out_a_few_roundings_of_a_geometric_series(rate, dtype):
    changes, few = 0.005 * rate ** np.arange(400), 16 * torch.finfo(dtype).eps
    stop = next(t for t in range(1, 400) if settled(changes[t], changes[t - 1], 399 - t, dtype))
    assert changes[stop:].sum() < 1.01 * few  # with the last change, which the other scaling has not seen
    assert changes[stop - 1 :].sum() > 0.99 * few  # one iteration earlier, it would have been more


@pytest.mark.parametrize(("change", "before"), [(0.3, 0.5), (1e-3, 1e-4), (INF, INF), (1e-9, 0.5)])
def test_changes_that_are_large_or_do_not_shrink_are_not_settled(change, before):
    assert not settled(change, before, 10, torch.float64)


def test_still_counts_roundings_of_the_potentials_and_passes_over_rows_without_mass():
    rounding = torch.finfo(torch.float64).eps
    old = torch.tensor([-INF, 0.0, 100.0], dtype=torch.float64)
    assert still(old, old + rounding * torch.tensor([0.0, 1.0, 64.0]))
    assert not still(old, old + rounding * torch.tensor([0.0, 2.0, 0.0]))
    assert not still(old, old + rounding * torch.tensor([0.0, 0.0, 200.0]))
    assert not still(old, torch.tensor([0.0, 0.0, 100.0], dtype=torch.float64))


def solved(rho, n_iter):
    z, (to_f, to_g, *_) = embeddings(12).requires_grad_(), weights(12, 12)
    plan = sinkhorn_embeddings(z, marginals=rho, epsilon=0.5, n_iter=n_iter)
    return plan, torch.autograd.grad((plan.f * to_f).sum() + (plan.g * to_g).sum(), z)[0]


@pytest.mark.parametrize("domain", ["kernel", "log"])
@pytest.mark.parametrize("rho", [(INF, INF), (1.0, 0.3)])
def test_an_exit_changes_only_rounding(rho, domain, monkeypatch):
    if domain == "log":
        monkeypatch.setattr(KernelSinkhorn, "run", lambda self: None)
    early, gradient = solved(rho, n_iter=200)
    for rule in ("_kernel_domain.settled", "_kernel_domain.negligible", "_log_domain.still"):
        monkeypatch.setattr(f"skgca.ot.{rule}", lambda *numbers: False)
    full, expected = solved(rho, n_iter=200)
    assert early.n_iter < 100
    assert full.n_iter == 200
    assert_close(early.f, full.f, DOUBLE)
    assert_close(early.g, full.g, DOUBLE)
    assert_close(gradient, expected, DOUBLE)


def test_the_reverse_pass_ends_before_the_iterations_do(monkeypatch):
    sweeps, reverse_sweep = [], KernelSinkhorn._reverse_sweep

    def counted(self, trace, t, *rest):
        sweeps.append(t)
        return reverse_sweep(self, trace, t, *rest)

    monkeypatch.setattr(KernelSinkhorn, "_reverse_sweep", counted)
    monkeypatch.setattr("skgca.ot._kernel_domain.settled", lambda *numbers: False)
    solved((1.0, 0.3), n_iter=100)
    assert sweeps == list(range(99, 99 - len(sweeps), -1))
    assert 1 < len(sweeps) < 50
