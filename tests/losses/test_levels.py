"""What a loss is by chance and at best, against the loss of embeddings that are that, and against a search."""

import math

import numpy as np
import pytest
import torch

from skgca.losses import AlignmentLoss, LearnableEpsilon, RelationalTarget, make_loss
from skgca.losses._levels import LossLevels, loss_levels

from ..numerics import DOUBLE, SINGLE, assert_close
from .cases import CASES, LAYOUTS

ROWS = 7
KNOWN = [name for name, case in CASES.items() if case.repels and case.target == "pairs" and "free" not in name.split()]


def orthogonal(n):
    """Two views of n rows, all 2 n of them orthogonal."""
    return torch.eye(2 * n, dtype=torch.float64).split(n)


def simplex(n):
    """Two equal views of n rows, as far apart from each other as n directions can be."""
    rows = torch.eye(n, dtype=torch.float64) - 1 / n
    return rows, rows


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", KNOWN)
def test_levels_are_those_of_embeddings(name, layout):
    case = CASES[name]
    for epsilon in (0.1, 0.5, 2.0):
        loss = case.loss(epsilon=epsilon, layout=layout)
        levels = loss_levels(loss, ROWS)
        for level, views in ((levels.by_chance, orthogonal(ROWS)), (levels.at_best, simplex(ROWS))):
            if not math.isnan(level):
                expected = case.expected(*map(np.asarray, views), layout=layout, epsilon=epsilon)
                scale = max(abs(level), 1 / epsilon)  # of the logs that are subtracted
                assert_close(level, expected, DOUBLE, scale=scale)
                assert_close(level, loss(*views), DOUBLE, scale=scale)
        assert math.isfinite(levels.by_chance)
        assert not levels.at_best >= levels.by_chance


@pytest.mark.parametrize("epsilon", [0.05, 0.5])
@pytest.mark.parametrize("n", [2, 3, 128])
def test_infonce_in_closed_form(n, epsilon):
    for name in ("ince", "gca_ince", "iot"):
        for layout, n_others in (("joint", 2 * n - 2), ("cross", n - 1)):
            levels = loss_levels(make_loss(name, epsilon=epsilon, layout=layout), n)
            assert levels.by_chance == pytest.approx(math.log1p(n_others), rel=1e-10)
            farthest = -n / (n - 1) / epsilon
            assert levels.at_best == pytest.approx(math.log1p(n_others * math.exp(farthest)), rel=1e-10)


BOUNDED = {
    ("ince", "joint"): {},
    ("ince", "cross"): {},
    ("gca_ince", "joint"): {},
    ("gca_ince", "cross"): {"marginals": (0.3, math.inf)},
    ("gca_uot", "joint"): {"kl": "rows"},
    ("iot_uni", "cross"): {},
    ("rince", "joint"): {"lam": 1.0, "q": 1.0},
}


@pytest.mark.parametrize(("name", "layout"), BOUNDED)
def test_no_embedding_has_a_lower_loss_than_the_best(name, layout):
    loss = make_loss(name, epsilon=0.3, layout=layout, **BOUNDED[name, layout])
    best = loss_levels(loss, ROWS).at_best
    for seed in range(3):
        z = torch.randn(2, ROWS, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        z.requires_grad_()
        optimizer = torch.optim.LBFGS([z], max_iter=200, line_search_fn="strong_wolfe")

        def value_with_gradient(z=z, optimizer=optimizer):
            optimizer.zero_grad()
            value = loss(*z)
            value.backward()
            return value

        optimizer.step(value_with_gradient)
        found = float(loss(*z).detach())
        assert found == pytest.approx(best, rel=1e-2)
        assert found > best - 1e-5


def test_random_embeddings_have_the_loss_of_chance_at_a_large_epsilon():
    z_a, z_b = torch.randn(2, 64, 256, generator=torch.Generator().manual_seed(0))
    for name in ("ince", "gca_ince", "rince", "gca_rince", "gca_uot"):
        loss = make_loss(name, epsilon=10.0)
        assert float(loss(z_a, z_b)) == pytest.approx(loss_levels(loss, 64).by_chance, rel=1e-2)


def test_what_is_not_known():
    unknown = (
        make_loss("byol"),
        make_loss("supcon"),
        make_loss("ince", target=RelationalTarget()),
        make_loss("gca_uot", marginals=0.0),
        make_loss("gca_uot", cost="sqeuclidean"),
        make_loss("rince", cost="sqeuclidean"),
        make_loss("gca_rince", epsilon=0.01),  # divided, since it would overflow
    )
    for loss in unknown:
        assert np.isnan([loss_levels(loss, 8).by_chance, loss_levels(loss, 8).at_best]).all()
    for name, options in {"gca_uot": {}, "gca_rince": {}, "rince": {"lam": 2.0}}.items():
        levels = loss_levels(make_loss(name, **options), 8)
        assert math.isfinite(levels.by_chance)
        assert math.isnan(levels.at_best)
    own = AlignmentLoss(epsilon=0.5, marginals="row", divergence=lambda plan, target: plan.mass)
    assert loss_levels(own, 8) == LossLevels(pytest.approx(1.0))


@pytest.mark.parametrize("cost", ["sqeuclidean", "student_t"])
def test_other_costs_have_a_level_of_chance_if_it_is_one_for_all(cost):
    loss = make_loss("gca_ince", cost=cost, layout="cross")
    levels = loss_levels(loss, 8)
    assert levels.by_chance == pytest.approx(math.log(8), rel=1e-10)
    assert_close(levels.by_chance, loss(*orthogonal(8)), DOUBLE)
    assert math.isnan(levels.at_best)  # distances have no bound


def test_epsilon_may_be_learned():
    learned, fixed = (loss_levels(make_loss("ince", epsilon=e), 8) for e in (LearnableEpsilon(0.2), 0.2))
    assert_close(
        [learned.by_chance, learned.at_best], [fixed.by_chance, fixed.at_best], SINGLE
    )  # log_epsilon is float32
