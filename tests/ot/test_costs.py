"""The public costs, against their definitions and against the scores that the engine makes from embeddings."""

import numpy as np
import pytest
import torch

from skgca.ot import cosine_cost, sinkhorn, sinkhorn_embeddings, squared_euclidean_cost

from ..numerics import DOUBLE, assert_close, assert_gradient
from .problems import embeddings, rounding

COSTS = {"cosine": cosine_cost, "sqeuclidean": squared_euclidean_cost}


def test_costs_are_those_of_their_definitions():
    x, y = embeddings(5), embeddings(7, seed=1)
    a, b = x.numpy(), y.numpy()
    cosine = a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    assert_close(cosine_cost(x, y), 1 - cosine, DOUBLE)
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    assert_close(squared_euclidean_cost(x, y), squared, DOUBLE)


@pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS)
def test_costs_have_the_gradient_of_finite_differences(cost):
    x, y = embeddings(4).requires_grad_(), embeddings(3, seed=1).requires_grad_()
    assert_gradient(cost, (x, y))


def test_a_row_of_zeros_has_cosine_zero_with_all():
    x = torch.zeros(1, 3, requires_grad=True)
    cost = cosine_cost(x, torch.eye(3))
    assert torch.equal(cost, torch.ones(1, 3))
    assert bool(torch.isfinite(torch.autograd.grad(cost.sum(), x)[0]).all())


@pytest.mark.parametrize("name", COSTS)
def test_scores_of_a_cost_give_the_plan_of_the_embeddings(name):
    x, y = embeddings(6).requires_grad_(), embeddings(9, seed=1).requires_grad_()
    direct = sinkhorn_embeddings(x, y, cost=name, marginals=(1.0, float("inf")), epsilon=0.3)
    through = sinkhorn(COSTS[name](x, y) / -0.3, marginals=(1.0, float("inf")), epsilon=0.3)
    assert_close(direct.plan, through.plan, rounding(0.3))
    gradients = (torch.autograd.grad((p.plan**2).sum(), (x, y)) for p in (direct, through))
    for found, expected in zip(*gradients, strict=True):
        assert_close(found, expected, rounding(0.3))
