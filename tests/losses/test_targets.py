"""Target plans: the affinity of each target, how it is scaled, and values that are refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skgca.losses import AlignmentLoss, ContinuousTarget, DomainsTarget, KLDivergence, LabelsTarget, make_loss

from ..numerics import DOUBLE, SINGLE, assert_close
from ..reference import losses as reference
from .cases import (
    DOMAINS,
    EVERY_LAYOUT,
    LABELS,
    LAYOUTS,
    NUMBERS,
    SCALED,
    TARGETS,
    assert_alike,
    oracle_value_and_grad,
    value_and_grad,
    views,
)

MARGINALS = ("row", "balanced", 1.0, (0.5, 0.0), 0.0)


def plans(target, values, *, n, marginals="balanced", layout="joint", weight=None, related=None):
    """Transport plan and target plan (N, N) of a batch, as a divergence gets them."""
    seen = []

    def look(plan, goal):
        seen.append((plan, goal.dense((len(plan.a), len(plan.b)))))
        return plan.mass

    loss = AlignmentLoss(epsilon=0.5, marginals=marginals, target=target, layout=layout, divergence=look)
    loss(*views(n=n), target=values, weight=weight, related=related)
    return seen[0]


@st.composite
def problems(draw):
    """A target, what it reads for n rows, and settings of ``plans``."""
    n = draw(st.integers(1, 12))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    classes = torch.randint(-1, 3, (n,), generator=generator)
    numbers = torch.randn(n, draw(st.integers(1, 3)), generator=generator, dtype=torch.float64)
    half = torch.rand(n, n, generator=generator, dtype=torch.float64) + 0.05
    target, values = draw(
        st.sampled_from(
            [
                ("pairs", None),
                ("labels", classes),
                ("domains", classes),
                (DomainsTarget(0.5, 0.2), classes),
                (DomainsTarget(0.0, 0.0), classes),
                ("continuous", numbers),
                (ContinuousTarget(0.3), numbers.masked_fill(numbers > 1, torch.nan)),
                ("affinity", half + half.T),
            ]
        )
    )
    weight = draw(st.sampled_from([None, torch.rand(n, generator=generator, dtype=torch.float64) + 0.1]))
    options = {"layout": draw(st.sampled_from(LAYOUTS)), "marginals": draw(st.sampled_from(MARGINALS))}
    return target, values, {"n": n, "weight": weight, **options}


# Laws of every target plan


@settings(max_examples=100)
@given(problems())
def test_rows_have_their_mass_and_columns_too_where_they_are_held(problem):
    target, values, options = problem
    plan, goal = plans(target, values, **options)
    assert (goal >= 0).all()
    assert_close(goal.sum(1), plan.a, SCALED)
    if plan.marginals.rho_col > 0:
        assert_close(goal.sum(0), plan.b, SCALED)


@settings(max_examples=60)
@given(problems())
def test_no_mass_goes_to_a_view_itself(problem):
    target, values, options = problem
    _, goal = plans(target, values, **{**options, "layout": "joint"})
    assert not goal.diagonal().any()


@settings(max_examples=60)
@given(problems())
def test_a_symmetric_affinity_gives_a_symmetric_plan_where_both_marginals_are_held(problem):
    target, values, options = problem
    _, goal = plans(target, values, **{**options, "marginals": "balanced"})
    assert_close(goal, goal.T, SCALED)


@settings(max_examples=60)
@given(problems())
def test_both_views_of_a_row_are_matched_alike(problem):
    target, values, options = problem
    _, goal = plans(target, values, **{**options, "layout": "joint"})
    n = options["n"]
    quarters = goal[:n, :n], goal[:n, n:], goal[n:, :n], goal[n:, n:]
    assert_close(quarters[0], quarters[3], DOUBLE, scale=goal)
    assert_close(quarters[1], quarters[2], DOUBLE, scale=goal)


@EVERY_LAYOUT
@pytest.mark.parametrize("marginals", ["row", "balanced"])
@pytest.mark.parametrize("kind", TARGETS)
def test_the_plan_is_that_of_the_oracle(kind, marginals, layout):
    targets = {"continuous": ContinuousTarget(0.7), "domains": DomainsTarget(0.25, 0.0625)}
    weight = torch.linspace(0.5, 2, 12, dtype=torch.float64)
    options = {"n": 12, "marginals": marginals, "layout": layout, "weight": weight}
    plan, goal = plans(targets.get(kind, kind), TARGETS[kind].values(12), **options)
    affinity = TARGETS[kind].affinity(12)
    if layout == "joint":
        affinity = reference.both_views(affinity) * (1 - np.eye(24))
    mass = plan.a.numpy()
    expected = reference.scaled_to_marginals(affinity * np.outer(mass, mass), mass, two_sided=marginals == "balanced")
    assert_close(goal, expected, SCALED)


@EVERY_LAYOUT
@pytest.mark.parametrize(
    ("target", "values", "row"),
    [
        ("labels", LABELS, 3),
        ("domains", DOMAINS, 3),
        (DomainsTarget(0.5, 0.5), DOMAINS, 9),
        ("continuous", NUMBERS, 3),
        ("continuous", NUMBERS[:, 0].contiguous(), 9),
    ],
)
def test_a_row_of_unknown_target_falls_back_to_its_pair(target, values, row, layout):
    plan, goal = plans(target, values, n=12, layout=layout)
    assert (goal[row] > 0).nonzero().tolist() == [[row + 12 * (layout == "joint")]]
    assert (goal[:, row] > 0).nonzero().tolist() == [[row + 12 * (layout == "joint")]]
    assert_close(goal[row].sum(), plan.a[row], DOUBLE)
    assert (goal[0] > 0).sum() > 1  # others do match more


# Affinities


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=10))
def test_labels_match_within_their_class(labels):
    found = LabelsTarget()(torch.tensor(labels))
    assert torch.equal(found.double(), torch.as_tensor(reference.label_affinity(np.array(labels)).astype(float)))


@given(st.lists(st.integers(-1, 3), min_size=1, max_size=10), st.floats(0, 4, width=32), st.floats(0, 4, width=32))
def test_domains_match_by_the_published_prior(domains, alpha, beta):
    """I + alpha [same domain, i != j] + beta [other domain, i != j]."""
    found = DomainsTarget(alpha, beta)(torch.tensor(domains))
    np.testing.assert_array_equal(found, reference.domain_affinity(np.array(domains), alpha, beta))


@given(st.integers(1, 40), st.integers(1, 3), st.floats(0.1, 10.0), st.integers(0, 2**31))
def test_values_match_by_their_distance(n, k, sigma, seed):
    values = torch.randn(n, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    values[0] = torch.nan if seed % 2 else 0.0
    expected = reference.continuous_affinity(values.numpy(), sigma)
    assert_close(ContinuousTarget(sigma)(values), expected, DOUBLE)
    if k == 1:
        assert_close(ContinuousTarget(sigma)(values[:, 0]), expected, DOUBLE)


@pytest.mark.parametrize("k", [1, 2])
def test_where_values_have_their_origin_does_not_count(k):
    """Whole numbers in single precision, such as days: a shift loses no digit."""
    values = torch.arange(40.0)[:, None].repeat(1, k) % 7
    assert_close(ContinuousTarget()(values + 20_000), ContinuousTarget()(values), SINGLE)


def test_whole_numbers_are_values_too():
    assert torch.equal(ContinuousTarget(2.0)(torch.tensor([1, 4])), ContinuousTarget(2.0)(torch.tensor([1.0, 4.0])))


def test_the_input_is_left_as_it_was():
    affinity = torch.full((6, 6), 0.5, dtype=torch.float64)
    for target, values in (("affinity", affinity), ("continuous", NUMBERS[:6]), (lambda given: given, affinity)):
        before = values.clone()
        plans(target, values, n=6)
        assert torch.equal(values.nan_to_num(), before.nan_to_num())


# Given affinities


def test_a_callable_gets_what_the_call_passed():
    seen = []

    def target(values):
        seen.append(values)
        return torch.eye(6)

    given_values = torch.arange(6)
    for values in (given_values, None):
        make_loss("ince", epsilon=0.5, target=target)(*views(), target=values)
    assert seen[0] is given_values
    assert seen[1] is None


@EVERY_LAYOUT
@pytest.mark.parametrize(("name", "rho"), [("ince", (np.inf, 0.0)), ("gca_ince", (np.inf, np.inf))])
def test_an_affinity_may_be_given_whole(name, rho, layout):
    affinity = torch.rand(5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.1  # not symmetric
    weight = torch.tensor([1.0, 2, 0.5, 1, 3], dtype=torch.float64)
    z_a, z_b = views(n=5, d=3)
    loss = make_loss(name, epsilon=0.2, layout=layout, target="affinity")
    settings_ = {"epsilon": 0.2, "rho": rho, "layout": layout, "n_iter": 10, "weight": weight.numpy()}
    expected = oracle_value_and_grad(
        lambda a, b: reference.alignment(a, b, affinity=affinity.numpy(), **settings_), z_a, z_b
    )
    assert_alike(value_and_grad(loss, z_a, z_b, target=affinity, weight=weight), expected, SCALED)


@EVERY_LAYOUT
def test_a_row_of_weight_zero_is_taken_out_of_a_given_affinity(layout):
    affinity = torch.rand(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.1
    z_a, z_b = (z.detach() for z in views())
    kept = torch.tensor([True, True, False, True, True, True])
    loss = make_loss("gca_ince", epsilon=0.2, layout=layout, target="affinity")
    found = loss(z_a, z_b, target=affinity, weight=kept.double())
    assert torch.equal(found, loss(z_a[kept], z_b[kept], target=affinity[kept][:, kept]))


@EVERY_LAYOUT
def test_target_plans_can_be_mixed_by_a_callable(layout):
    """Labels and domains are two columns; a row of weight zero is removed from both."""
    mixed = torch.stack([LABELS, DOMAINS], 1)

    def target(values):
        return 0.75 * LabelsTarget()(values[:, 0]) + 0.25 * DomainsTarget(0.5, 0.25)(values[:, 1])

    weight = torch.linspace(0.0, 2, 12, dtype=torch.float64)
    _, goal = plans(target, mixed, n=12, layout=layout, weight=weight)
    labels, domains = LABELS[1:].numpy(), DOMAINS[1:].numpy()
    affinity = 0.75 * reference.label_affinity(labels) + 0.25 * reference.domain_affinity(domains, 0.5, 0.25)
    mass = weight[1:].numpy()
    if layout == "joint":
        affinity, mass = reference.both_views(affinity) * (1 - np.eye(22)), np.concatenate([mass, mass])
    mass = mass / mass.sum()
    expected = reference.scaled_to_marginals(affinity * np.outer(mass, mass), mass, two_sided=True)
    assert_close(goal, expected, SCALED)


@EVERY_LAYOUT
def test_the_target_plan_has_no_gradient(layout):
    affinity = torch.full((6, 6), 0.5, dtype=torch.float64, requires_grad=True)
    loss = AlignmentLoss(epsilon=0.5, marginals="balanced", divergence=KLDivergence(), target="affinity", layout=layout)
    value = loss(*views(), target=affinity)
    assert torch.autograd.grad(value, affinity, allow_unused=True) == (None,)


# Rows without a match


@EVERY_LAYOUT
@pytest.mark.parametrize("marginals", ["row", "balanced"])
def test_a_row_without_a_match_falls_back_to_its_pair(layout, marginals):
    alone = torch.ones(6, 6, dtype=torch.float64)
    alone[2], alone[:, 2] = 0.0, 0.0
    paired = alone.clone()
    paired[2, 2] = 1.0
    loss = AlignmentLoss(epsilon=0.5, marginals=marginals, divergence=KLDivergence(), target="affinity", layout=layout)
    for one, other in zip(
        value_and_grad(loss, *views(), target=alone), value_and_grad(loss, *views(), target=paired), strict=True
    ):
        assert torch.equal(one, other)


@EVERY_LAYOUT
def test_a_row_that_no_other_matches_does_so_where_columns_are_held(layout):
    affinity = torch.eye(6, dtype=torch.float64).index_fill(1, torch.tensor([4]), 0.0)
    affinity[4, 0] = 1.0
    paired = affinity.clone()
    paired[4, 4] = 1.0
    row, held = (
        AlignmentLoss(epsilon=0.5, marginals=m, divergence=KLDivergence(), target="affinity", layout=layout)
        for m in ("row", "balanced")
    )
    assert torch.equal(held(*views(), target=affinity), held(*views(), target=paired))
    assert not torch.equal(row(*views(), target=affinity), row(*views(), target=paired))


# Refusals


@pytest.mark.parametrize(
    ("target", "values", "message"),
    [
        ("pairs", torch.ones(6), r"'pairs' reads no target; leave target=None"),
        ("labels", None, r"LabelsTarget\(\) reads a target; pass target="),
        ("domains", None, r"DomainsTarget\(alpha=0.01, beta=0.0\) reads a target"),
        ("continuous", None, r"ContinuousTarget\(sigma=1.0\) reads a target"),
        ("affinity", None, r"AffinityTarget\(\) reads a target"),
        ("labels", torch.ones(5), r"target has 5 entries; 6 rows need 6"),
        ("labels", torch.ones(6, 1), r"target has shape \(6, 1\); labels need \(n,\)"),
        ("domains", torch.ones(6, 2), r"target has shape \(6, 2\); domains need \(n,\)"),
        ("continuous", torch.ones(6, 2, 1), r"target has shape \(6, 2, 1\); continuous values need"),
        ("affinity", torch.ones(6, 5), r"target has shape \(6, 5\); 6 rows need an affinity \(6, 6\)"),
        ("affinity", -torch.eye(6), r"finite values >= 0; its smallest is -1.0"),
        ("affinity", torch.full((6, 6), torch.nan), r"finite values >= 0"),
        ("affinity", torch.full((6, 6), torch.inf), r"finite values >= 0"),
        (lambda values: torch.eye(5), None, r"affinity has shape \(5, 5\)"),
    ],
)
def test_bad_targets_are_refused(target, values, message):
    loss = AlignmentLoss(epsilon=0.5, marginals="row", divergence=KLDivergence(), target=target, layout="cross")
    with pytest.raises(ValueError, match=message):
        loss(*views(), target=values)
