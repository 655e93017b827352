"""Identities between presets, in value and gradient, and the values of single penalties."""

import math

import pytest
import torch

from skgca.losses import (
    AlignmentLoss,
    EntropyPenalty,
    KLDivergence,
    MarginalPenalty,
    RINCEDivergence,
    TransportCost,
    UniformityPenalty,
    WeightedSum,
    make_loss,
)

from ..numerics import assert_close, assert_within, error
from .cases import EVERY_LAYOUT, FEW, INF, assert_alike, assert_nothing, distance, leaf, terms_of, value_and_grad, views

ALONE = torch.full((6,), -1)
APART = torch.tensor([3, 1, 4, 15, 9, 2])


def solved(name, *, layout="joint", data=None, reads=None, weight=None, **settings):
    loss = make_loss(name, epsilon=0.2, layout=layout, **settings)
    return value_and_grad(loss, *(views() if data is None else data), target=reads, weight=weight)


def errors(name, settings, expected, **common):
    """Differences from the limit of a preset."""
    return [distance(solved(name, **one, **common), expected) for one in settings]


@EVERY_LAYOUT
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("gca_ince", {"marginals": "row"}), ("ince", {})),
        (("ince", {"marginals": "balanced"}), ("gca_ince", {})),
        (("gca_rince", {"marginals": "row"}), ("rince", {})),
        (("rince", {"marginals": "balanced"}), ("gca_rince", {})),
        (("gca_ince", {"n_iter": 100}), ("iot", {})),
        (("gca_uot", {"marginals": "balanced"}), ("gca_ince", {})),
        (("gca_uot", {"marginals": "row"}), ("ince", {})),
        (("gca_uot", {"marginals": "row", "kl_weight": 0.0, "rince_weight": 1.0}), ("rince", {})),
        (("gca_uot", {"kl_weight": 0.0, "rince_weight": 1.0, "marginals": "balanced"}), ("gca_rince", {})),
        (("supcon", {"target": "pairs"}), ("ince", {})),
        (("ince", {"target": "labels"}), ("supcon", {})),
        (("iot_uni", {"uniformity_weight": 0.0}), ("iot", {})),
    ],
)  # fmt: skip
def test_presets_with_the_same_parts_are_the_same_to_the_bit(one, other, layout):
    reads = APART if "labels" in one[1].values() else None
    found, expected = (solved(name, layout=layout, reads=reads, **settings) for name, settings in (one, other))
    assert all(torch.equal(x, y) for x, y in zip(found, expected, strict=True))


@EVERY_LAYOUT
@pytest.mark.parametrize("labels", [ALONE, APART])
@pytest.mark.parametrize("weight", [None, torch.linspace(0.5, 2, 6, dtype=torch.float64)])
def test_supcon_of_rows_that_share_no_label_is_ince(labels, weight, layout):
    found = solved("supcon", layout=layout, reads=labels, weight=weight)
    assert_alike(found, solved("ince", layout=layout, weight=weight), FEW)


@EVERY_LAYOUT
def test_rows_normalised_or_not_is_the_same_where_rows_were_held_last(layout):
    mass, rows = (solved("gca_uot", layout=layout, marginals="row", kl=kl) for kl in ("mass", "rows"))
    assert_alike(rows, mass, FEW)


@EVERY_LAYOUT
def test_byol_is_alike_in_both_layouts_and_ways(layout):
    value, grad_a, grad_b = solved("byol", layout=layout)
    assert_alike((value, grad_a, grad_b), solved("byol"), FEW)
    assert_alike(solved("byol", layout=layout, data=views()[::-1]), (value, grad_b, grad_a), FEW)


def test_swapping_the_views_transposes_a_plan_that_has_converged():
    settings = {"layout": "cross", "n_iter": 3000}
    value, grad_a, grad_b = solved("iot", **settings)
    assert_alike(solved("iot", data=views()[::-1], **settings), (value, grad_b, grad_a))
    assert error(solved("ince", layout="cross", data=views()[::-1])[0], value) > 1e-3


# Limits


@EVERY_LAYOUT
def test_gca_uot_tends_to_gca_ince_as_marginals_bind_harder(layout):
    strengths = [{"marginals": rho} for rho in (1e3, 1e5, 1e7)]
    far, middle, near = errors("gca_uot", strengths, solved("gca_ince", layout=layout), layout=layout)
    assert_within([middle / far, near / middle], 1e-2, 5e-4)  # in proportion to 1 / rho
    assert_within(near, 0.0, 1e-5)


@EVERY_LAYOUT
def test_gca_uot_tends_to_the_free_plan_as_marginals_bind_less(layout):
    strengths = [{"marginals": rho} for rho in (1e-3, 1e-5, 1e-7)]
    far, middle, near = errors("gca_uot", strengths, solved("gca_uot", layout=layout, marginals=0.0), layout=layout)
    assert_within([middle / far, near / middle], 1e-2, 5e-4)  # in proportion to rho
    assert_within(near, 0.0, 1e-5)


@EVERY_LAYOUT
@pytest.mark.parametrize("reads", [None, torch.tensor([0, 1, 0, 2, -1, 1])])
@pytest.mark.parametrize(("robust", "plain"), [("rince", "ince"), ("gca_rince", "gca_ince")])
def test_rince_tends_to_the_kl_form_plus_log_lam_as_q_falls(robust, plain, layout, reads):
    """On a balanced plan as well, where 1 / (N u_i) is the denominator of the last row step."""
    settings = {"layout": layout, "reads": reads, "target": "pairs" if reads is None else "labels"}
    value, *grads = solved(plain, **settings)
    expected = (value + math.log(0.01) + _entropy_of_rows(reads, layout), *grads)  # which KL has, and RINCE has not
    far, middle, near = errors(robust, [{"q": q} for q in (1e-3, 1e-5, 1e-7)], expected, **settings)
    assert_within([middle / far, near / middle], 1e-2, 5e-4)  # in proportion to q
    assert_within(near, 0.0, 1e-4)


def _entropy_of_rows(labels, layout):
    """Mean over rows of the log of how many columns a row matches."""
    if labels is None:
        return 0.0
    own = torch.arange(len(labels))
    keys = torch.where(labels == -1, 100 + own, labels)
    sizes = (keys[:, None] == keys).sum(1)
    return float((2 * sizes - 1 if layout == "joint" else sizes).double().log().mean())


@EVERY_LAYOUT
def test_iot_uni_leaves_iot_in_proportion_to_its_weight(layout):
    base = solved("iot", layout=layout)
    steps = []
    for weight in (1.0, 1e-3):
        found = solved("iot_uni", layout=layout, uniformity_weight=weight)
        steps.append([(x - y) / weight for x, y in zip(found, base, strict=True)])
    assert_alike(steps[1], steps[0], FEW, terms=[x / 1e-3 for x in base])
    assert steps[0][0] > 1e-3


# Sums


TERMS = {
    "kl_weight": {"kl_weight": 1.0},
    "rince_weight": {"kl_weight": 0.0, "rince_weight": 1.0},
    "marginal_weight": {"kl_weight": 0.0, "marginal_weight": 1.0},
    "entropy_weight": {"kl_weight": 0.0, "entropy_weight": 1.0},
}


@EVERY_LAYOUT
@pytest.mark.parametrize("option", TERMS)
def test_one_more_of_a_weight_is_one_more_of_its_term(option, layout):
    rest = {"rince_weight": 0.5, "layout": layout} if option != "rince_weight" else {"layout": layout}
    once, twice = (solved("gca_uot", **{option: weight}, **rest) for weight in (1.0, 2.0))
    term = solved("gca_uot", layout=layout, **TERMS[option])
    assert_alike([y - x for x, y in zip(once, twice, strict=True)], term, terms=twice)
    assert all(bool(t.any()) for t in term)


def test_a_sum_knows_what_its_terms_are():
    kl, cost = KLDivergence(), TransportCost()
    assert WeightedSum((1.0, kl), (0.0, cost)).terms == [(1.0, kl)]
    assert not WeightedSum((1.0, cost)).repels
    assert WeightedSum((1.0, cost), (0.1, kl)).repels
    assert WeightedSum((2.0, kl)).envelope_exact
    assert not WeightedSum((2.0, kl), (1.0, EntropyPenalty())).envelope_exact
    assert not KLDivergence("rows").envelope_exact
    assert repr(WeightedSum((0.5, kl), (2.0, cost))) == "0.5 KLDivergence(kl='mass') + 2 TransportCost()"


# Penalties by themselves


def alone(divergence, *, marginals="balanced", layout="joint", n_iter=2000, data=None):
    loss = AlignmentLoss(epsilon=0.2, marginals=marginals, divergence=divergence, layout=layout, n_iter=n_iter)
    return value_and_grad(loss, *(views() if data is None else data))


@EVERY_LAYOUT
def test_marginals_cost_nothing_once_they_are_met(layout):
    assert_nothing(alone(MarginalPenalty(), layout=layout), terms_of(*views(), 0.2))


@EVERY_LAYOUT
@pytest.mark.parametrize("marginals", [(1.0, 1.0), (INF, 0.5), (0.0, 0.0), "row"])
def test_marginals_cost_something_where_they_are_not_met(marginals, layout):
    value, *grads = alone(MarginalPenalty(), marginals=marginals, layout=layout)
    assert value > 1e-4
    assert all(grad.abs().max() > 1e-4 for grad in grads)


@EVERY_LAYOUT
def test_equal_scores_are_uniform(layout):
    """Axes, in both views: all wrong pairs are at cosine 0."""
    data = tuple(torch.eye(5, dtype=torch.float64).requires_grad_() for _ in range(2))
    assert_nothing(alone(UniformityPenalty(), layout=layout, data=data), terms_of(*data, 0.2))
    assert alone(UniformityPenalty(), layout=layout)[0] > 1e-3


@EVERY_LAYOUT
def test_the_entropy_of_an_even_plan_is_that_of_its_entries(layout):
    data = tuple(torch.ones(4, 3, dtype=torch.float64).requires_grad_() for _ in range(2))
    entries = 16 if layout == "cross" else 8 * 7
    value = alone(EntropyPenalty(), layout=layout, data=data)[0]
    assert_close(value, -math.log(entries) - 1, FEW)


@EVERY_LAYOUT
def test_rince_of_q_one_is_linear_in_the_right_pairs_and_all(layout):
    """q = 1 by hand: lam * (sum of all) - right, where the kernel of axes at epsilon 1 has the values e^1 and e^0."""
    n = 4
    data = tuple(torch.eye(n, dtype=torch.float64).requires_grad_() for _ in range(2))
    loss = AlignmentLoss(epsilon=1.0, marginals="row", divergence=RINCEDivergence(q=1.0, lam=0.5), layout=layout)
    every = math.e + (n - 1) * (2 if layout == "joint" else 1)
    assert_close(value_and_grad(loss, *data)[0], 0.5 * every - math.e, FEW)


@EVERY_LAYOUT
def test_kl_is_nothing_where_the_plan_is_the_target(layout):
    """Opposite pairs of one batch: at a small epsilon the plan sends all mass to the right view."""
    z_a = torch.tensor([[1.0, 0], [-1, 0]], dtype=torch.float64, requires_grad=True)
    z_b = leaf(z_a)
    loss = AlignmentLoss(epsilon=0.02, marginals="balanced", divergence=KLDivergence(), layout=layout)
    assert_nothing(value_and_grad(loss, z_a, z_b), terms_of(z_a, z_b, 0.02))


@EVERY_LAYOUT
@pytest.mark.parametrize("n", [24, 40, 100])  # tiles have at least 32 rows: a pair lies within a tile, or in two
@pytest.mark.parametrize("epsilon", [0.5, 0.01])
@pytest.mark.parametrize("name", ["gca_ince", "gca_uot", "ince", "rince"])
def test_pairs_are_the_entries_of_a_full_target_in_tiles_too(name, epsilon, n, layout, monkeypatch):
    monkeypatch.setattr("skgca.ot._tiled_kernel._TILE_BYTES", 1)
    z_a, z_b = views(n)
    by_pairs = make_loss(name, epsilon=epsilon, layout=layout, memory_limit=1)
    by_matrix = make_loss(name, epsilon=epsilon, layout=layout, target="labels")
    for weights in ({}, {"weight": torch.linspace(0.5, 1.5, n, dtype=torch.float64)}):
        found = value_and_grad(by_pairs, z_a, z_b, **weights)
        expected = value_and_grad(by_matrix, z_a, z_b, target=torch.arange(n), **weights)
        assert_alike(found, expected)
