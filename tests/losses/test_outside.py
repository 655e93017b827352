"""The presets against other packages, and against formulas as they were published."""

import numpy as np
import ot
import pytest
import torch
import torch.nn.functional as F
from pytorch_metric_learning import losses as metric_learning

from skgca.losses import make_loss

from ..numerics import DOUBLE, assert_close
from .cases import EVERY_LAYOUT, FEW, LABELS, assert_alike, value_and_grad, views


def stacked(z_a, z_b, n):
    return torch.cat([z_a, z_b]), torch.cat([torch.arange(n), torch.arange(n)])


@pytest.mark.parametrize("epsilon", [0.07, 0.5])
def test_ince_is_ntxent_of_pytorch_metric_learning(epsilon):
    theirs = metric_learning.NTXentLoss(temperature=epsilon)
    expected = value_and_grad(lambda z_a, z_b: theirs(*stacked(z_a, z_b, 12)), *views(n=12))
    assert_alike(value_and_grad(make_loss("ince", epsilon=epsilon), *views(n=12)), expected, FEW)


@pytest.mark.parametrize("epsilon", [0.1, 0.5])
def test_supcon_is_that_of_pytorch_metric_learning_less_what_makes_it_a_divergence(epsilon):
    labels = torch.where(LABELS == -1, 100 + torch.arange(12), LABELS)  # theirs knows no unlabelled rows
    theirs = metric_learning.SupConLoss(temperature=epsilon)
    value, *grads = value_and_grad(
        lambda z_a, z_b: theirs(torch.cat([z_a, z_b]), torch.cat([labels, labels])), *views(n=12)
    )
    sizes = 2 * (labels[:, None] == labels).sum(1) - 1
    found = value_and_grad(make_loss("supcon", epsilon=epsilon), *views(n=12), target=LABELS)
    assert_alike(found, (value - sizes.double().log().mean(), *grads), FEW)


def published_kernel(z_a, z_b, epsilon, layout):
    """exp(cos / epsilon) of the rows without self pairs, and the column of each right pair."""
    rows, cols = (F.normalize(z, dim=1) for z in ((torch.cat([z_a, z_b]),) * 2 if layout == "joint" else (z_a, z_b)))
    kernel, partner = torch.exp(rows @ cols.T / epsilon), torch.arange(len(rows))
    if layout == "cross":
        return kernel, partner
    return kernel * (1 - torch.eye(len(rows), dtype=kernel.dtype)), partner.roll(len(z_a))


@EVERY_LAYOUT
@pytest.mark.parametrize(("q", "lam"), [(0.1, 0.01), (0.6, 0.01), (0.98, 0.5), (1.0, 1.0)])
def test_rince_is_what_chuang_et_al_published(q, lam, layout):
    def published(z_a, z_b):
        kernel, partner = published_kernel(z_a, z_b, 0.5, layout)
        pos = kernel.gather(1, partner[:, None])[:, 0]
        neg = kernel.sum(1) - pos
        return (-(pos**q) / q + (lam * (pos + neg)) ** q / q).mean()

    found = value_and_grad(make_loss("rince", epsilon=0.5, layout=layout, q=q, lam=lam), *views())
    assert_alike(found, value_and_grad(published, *views()), FEW)


@EVERY_LAYOUT
@pytest.mark.parametrize(("q", "lam"), [(0.1, 0.01), (0.6, 0.01), (1.0, 1.0)])
def test_gca_rince_is_what_chen_et_al_published(q, lam, layout):
    """-(P_ii / u_i)^q / q + (lam / u_i)^q / q on a plan whose rows have mass 1."""

    def published(z_a, z_b):
        kernel, partner = published_kernel(z_a, z_b, 0.5, layout)
        v = torch.ones(len(kernel), dtype=kernel.dtype)
        for _ in range(10):
            u = 1 / (kernel @ v)
            v = 1 / (kernel.T @ u)
        plan = u[:, None] * kernel * v
        right = plan.gather(1, partner[:, None])[:, 0]
        return (-((right / u) ** q) / q + (lam / u) ** q / q).mean()

    found = value_and_grad(make_loss("gca_rince", epsilon=0.5, layout=layout, q=q, lam=lam), *views())
    assert_alike(found, value_and_grad(published, *views()))


@EVERY_LAYOUT
def test_byol_at_epsilon_one_half_is_its_own_loss(layout):
    expected = value_and_grad(lambda z_a, z_b: (2 - 2 * F.cosine_similarity(z_a, z_b)).mean(), *views())
    assert_alike(value_and_grad(make_loss("byol", epsilon=0.5, layout=layout), *views()), expected, FEW)


def transport_problem(loss, n=6):
    """The same problem in NumPy: masses and costs, which are very large for excluded pairs."""
    z_a, z_b = views(n=n)
    weight = torch.linspace(0.5, 1.5, n, dtype=torch.float64)
    plan = loss.plan(z_a, z_b, weight=weight)
    kernel = np.exp(plan.scores.detach().numpy())  # of weighted rows
    cost = -loss.epsilon * np.log(np.maximum(kernel, 1e-300))
    return plan, plan.a.numpy(), cost


@EVERY_LAYOUT
def test_the_plan_of_gca_ince_is_that_of_pot(layout):
    plan, mass, cost = transport_problem(make_loss("gca_ince", epsilon=0.2, layout=layout, n_iter=3000))
    expected = ot.sinkhorn(mass, mass, cost, 0.2, method="sinkhorn_log", stopThr=1e-14, numItermax=20000)
    assert_close(plan.plan, expected, DOUBLE)


@EVERY_LAYOUT
@pytest.mark.parametrize("rho", [(1.0, 1.0), (0.3, 2.0)])
def test_the_plan_of_gca_uot_is_that_of_pot(rho, layout):
    plan, mass, cost = transport_problem(make_loss("gca_uot", epsilon=0.2, layout=layout, marginals=rho, n_iter=3000))
    expected = ot.unbalanced.sinkhorn_unbalanced(
        mass, mass, cost, 0.2, rho, reg_type="kl", c=np.ones_like(cost), stopThr=1e-15, numItermax=20000
    )
    assert_close(plan.plan, expected, DOUBLE)
