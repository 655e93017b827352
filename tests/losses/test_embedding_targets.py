"""Targets that read the embeddings of a batch: their plans, what the loss makes of them, and refused values."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skgca.losses import (
    AlignmentLoss,
    KLDivergence,
    LabelledTransportTarget,
    LabelsTarget,
    RelationalTarget,
    Target,
    TransportTarget,
    make_loss,
    multiview_loss,
)

from ..numerics import DOUBLE, assert_close, assert_within
from ..reference import losses as reference
from ..reference import sinkhorn as reference_ot
from .cases import EVERY_LAYOUT, assert_alike, value_and_grad, views

DOMAINS = torch.tensor([0, 0, 1, -1, 1, 0, 1, 1, 0, -1, 0, 0])
# In single precision, 50 iterations have an error of some 1e-2 of the plan at the smallest epsilon. In double precision
# they are the iterations of the oracle, and only rounding differs.
CLOSE = 1e-10
CASES = {
    "relational": (RelationalTarget(0.1, 0.7), None),
    "transport": (TransportTarget(0.2, 0.5, 0.7), DOMAINS),
    "labelled": (LabelledTransportTarget(0.2, 0.5, 0.7), DOMAINS),
}
EVERY_TARGET = pytest.mark.parametrize("name", CASES)


def embeddings(n, seed=0, d=4):
    """Embeddings (2, n, d) of two views."""
    return torch.stack([z.detach() for z in views(n=n, d=d, seed=seed)])


def of_rows(values, rows):
    return None if values is None else values[rows]


def oracle_plan(scores, *, epsilon, rho):
    """Plan between the rows of a batch after 50 iterations, in which each has the prescribed mass 1."""
    mass = np.ones(len(scores))
    f, g = reference_ot.log_sinkhorn(scores, mass, mass, epsilon=epsilon, rho_row=rho, rho_col=rho, n_iter=50)
    plan = reference_ot.plan(scores, f, g)
    return (plan + plan.T) / 2


def directions(z, domains):
    """Sums of both views, normalised, less the mean over each domain, as unit vectors: (2, n, d) -> (n, d)."""
    rows = sum(reference.unit(np.asarray(view)) for view in z)
    rows = rows - np.stack([rows[domains == domain].mean(0) for domain in domains])
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, where=length > 1e-12, out=np.zeros_like(rows))  # 0 for the only row of a domain


def transport_oracle(domains, z, *, epsilon, rho, weight):
    """Affinity of a TransportTarget."""
    domains = np.asarray(domains)
    rows, affinity = directions(z, domains), np.zeros((len(domains), len(domains)))
    known = np.flatnonzero(domains != -1)
    if len(np.unique(domains[known])) > 1:
        scores = (rows[known] @ rows[known].T - 1) / epsilon
        scores[np.equal.outer(domains[known], domains[known])] = -np.inf
        affinity[np.ix_(known, known)] = weight * oracle_plan(scores, epsilon=epsilon, rho=rho)
    np.fill_diagonal(affinity, 1.0)
    return affinity


# The affinities


@settings(max_examples=40)
@given(
    st.lists(st.integers(-1, 2), min_size=1, max_size=12),
    st.floats(0.1, 1.0),
    st.floats(0.1, 2.0),
    st.integers(0, 2**31),
)
def test_domains_match_by_the_plan_of_unbalanced_transport(domains, epsilon, rho, seed):
    z = embeddings(len(domains), seed)
    found = TransportTarget(epsilon, rho, 0.7)(torch.tensor(domains), z)
    assert_close(found, transport_oracle(domains, z, epsilon=epsilon, rho=rho, weight=0.7), CLOSE)


@pytest.mark.parametrize("n_second", [6, 3])
def test_between_two_domains_the_plan_is_that_of_the_block_up_to_a_factor(n_second):
    """Also if they differ in size, since masses only scale the plan of relaxed marginals."""
    z, rho, epsilon = embeddings(6 + n_second), 0.4, 0.3
    domains = torch.tensor([0] * 6 + [1] * n_second)
    rows = directions(z, domains.numpy())
    scores = (rows[:6] @ rows[6:].T - 1) / epsilon
    mass = np.full(6, 1 / 6), np.full(n_second, 1 / n_second)
    f, g = reference_ot.log_sinkhorn(scores, *mass, epsilon=epsilon, rho_row=rho, rho_col=rho, n_iter=500)
    block = reference_ot.plan(scores, f, g)
    found = TransportTarget(epsilon, rho)(domains, z)[:6, 6:].numpy()
    assert_close(found / found.sum(), block / block.sum(), CLOSE)


def test_all_mass_is_matched_where_marginals_bind_hard():
    """So ``weight`` is what each row has in common with rows of the other domain."""
    found = TransportTarget(epsilon=0.5, rho=1e3, weight=0.7)(torch.arange(10) % 2, embeddings(10))
    found.fill_diagonal_(0.0)
    torch.testing.assert_close(found.sum(1), torch.full((10,), 0.7, dtype=torch.float64), rtol=5e-3, atol=0)


def test_rows_without_a_counterpart_stay_unmatched():
    z = torch.nn.functional.one_hot(torch.tensor([0, 1, 2, 0, 1, 3])).double()
    domains = torch.tensor([0, 0, 0, 1, 1, 1])
    relaxed, held = (TransportTarget(epsilon=0.05, rho=rho)(domains, torch.stack([z, z])) for rho in (0.05, 10.0))
    assert (relaxed[[0, 1], [3, 4]] > 0.5).all()
    assert relaxed[2, 5] < 0.1
    assert held[2, 5] > 0.9


def test_what_all_rows_of_a_domain_have_in_common_does_not_count():
    """Else the nearest row of the other domain would be the same for all."""
    z = torch.eye(4, dtype=torch.float64)[[0, 1, 0, 1]]
    z[2:, 3] = 5.0
    found = TransportTarget(epsilon=0.05)(torch.tensor([0, 0, 1, 1]), torch.stack([z, z]))
    assert (found[[0, 1], [2, 3]] > 0.5).all()
    assert (found[[0, 1], [3, 2]] < 1e-6).all()


@pytest.mark.parametrize("domains", [[-1, -1, -1, -1], [0, 0, 0, 0], [0, -1, 0, -1]])
def test_a_batch_of_one_domain_has_the_target_of_pairs(domains):
    assert torch.equal(TransportTarget()(torch.tensor(domains), embeddings(4)), torch.eye(4, dtype=torch.float64))


def test_no_row_matches_within_its_domain_and_none_of_no_domain_matches():
    found = TransportTarget(0.2)(DOMAINS, embeddings(12)).fill_diagonal_(0.0)
    assert not found[DOMAINS[:, None] == DOMAINS].any()
    assert not found[DOMAINS == -1].any()
    assert not found[:, DOMAINS == -1].any()
    assert (found[(DOMAINS[:, None] == 0) & (DOMAINS == 1)] > 0).all()


def test_labelled_rows_match_their_class_and_unlabelled_rows_the_labelled():
    labels, z = torch.tensor([0, 1, -1, 0, -1, 1, -1, -1]), embeddings(8)
    expected = transport_oracle((labels != -1).long(), z, epsilon=0.2, rho=0.5, weight=0.7)
    np.fill_diagonal(expected, 0.0)
    found = LabelledTransportTarget(0.2, 0.5, 0.7)(labels, z)
    assert_close(found, expected + reference.label_affinity(labels.numpy()), CLOSE)


@settings(max_examples=30)
@given(st.integers(1, 12), st.floats(0.1, 1.0), st.floats(0.0, 3.0), st.integers(0, 2**31))
def test_rows_match_by_the_plan_of_the_first_views(n, epsilon, weight, seed):
    z = embeddings(n, seed)
    expected = np.eye(n)
    if n > 1:
        first = z[0].numpy()
        scores = reference_ot.mask_self(reference_ot.cosine_scores(first, first, epsilon))
        expected += weight * oracle_plan(scores, epsilon=epsilon, rho=np.inf)
    assert_close(RelationalTarget(epsilon, weight)(None, z), expected, CLOSE)


def test_the_second_view_does_not_count_for_relations():
    z = embeddings(8)
    other = torch.stack([z[0], torch.randn_like(z[1])])
    assert torch.equal(RelationalTarget()(None, z), RelationalTarget()(None, other))


@pytest.mark.parametrize("n", [4, 9])
def test_weight_is_the_affinity_to_all_other_rows(n):
    found = RelationalTarget(epsilon=0.5, weight=0.6)(None, embeddings(n))
    assert_close(found.sum(1), torch.full((n,), 1.6, dtype=torch.float64), 1e-6)


@EVERY_TARGET
def test_the_order_of_rows_does_not_matter(name):
    target, values = CASES[name]
    z, order = embeddings(12), torch.randperm(12, generator=torch.Generator().manual_seed(1))
    expected = target(values, z)[order][:, order]
    assert_close(target(of_rows(values, order), z[:, order]), expected, CLOSE)


@EVERY_TARGET
def test_neither_scale_of_embeddings_nor_names_of_domains_matter(name):
    target, values = CASES[name]
    z = embeddings(12)
    renamed = None if values is None else torch.where(values == -1, -1, 5 - values)
    assert_close(target(renamed, 3.0 * z), target(values, z), DOUBLE)


@EVERY_TARGET
def test_the_affinity_is_symmetric(name):
    """So both domains play the same part, and scaling it to a target plan is quick."""
    found = CASES[name][0](CASES[name][1], embeddings(12))
    assert torch.equal(found, found.T)


def test_the_iterations_reach_the_plan():
    """At the default settings, whatever the number of them."""
    z, domains = embeddings(40), torch.arange(40) % 2
    rows = directions(z, domains.numpy())
    scores = (rows @ rows.T - 1) / 0.02
    scores[np.equal.outer(domains.numpy(), domains.numpy())] = -np.inf
    mass = np.ones(40)
    f, g = reference_ot.log_sinkhorn(scores, mass, mass, epsilon=0.02, rho_row=0.05, rho_col=0.05, n_iter=500)
    expected = 2.0 * reference_ot.plan(scores, f, g)
    assert_close(TransportTarget()(domains, z).fill_diagonal_(0.0), expected, CLOSE)


# The loss


@EVERY_LAYOUT
@EVERY_TARGET
def test_the_loss_is_that_of_the_affinity_given_whole(name, layout):
    """With weights, of which one is zero, and related rows: value and gradient, so none flows through the target."""
    target, values = CASES[name]
    z_a, z_b = views(n=12)
    weight = torch.linspace(0.0, 2, 12, dtype=torch.float64)
    more = {"weight": weight, "related": torch.arange(12) // 3}
    affinity = torch.zeros(12, 12, dtype=torch.float64)
    affinity[1:, 1:] = target(of_rows(values, slice(1, None)), torch.stack([z_a, z_b])[:, 1:].detach())
    given_whole = make_loss("gca_uot", epsilon=0.3, layout=layout, target="affinity")
    loss = make_loss("gca_uot", epsilon=0.3, layout=layout, target=target)
    expected = value_and_grad(given_whole, z_a, z_b, target=affinity, **more)
    assert_alike(value_and_grad(loss, z_a, z_b, target=values, **more), expected)


@EVERY_TARGET
def test_the_gradient_is_that_of_the_target_held_fixed(name):
    """By finite differences of the loss to the plan that the target has before the step."""
    target, values = CASES[name]
    z_a, z_b = views(n=12)
    loss = make_loss("gca_ince", epsilon=0.3, target=target)
    _, fixed = loss.plans(z_a, z_b, target=values)
    _, gradient, _ = value_and_grad(loss, z_a, z_b, target=values)
    step = 1e-4 * torch.randn(z_a.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.no_grad():
        up, down = (float(KLDivergence()(loss.plan(z_a + sign * step, z_b), fixed)) for sign in (1, -1))
    # the error of central differences is of order step^3; the target's own change would be of order step
    change = float((gradient * step).sum())
    assert_within((up - down) / 2, change, 1e-4 * abs(change))


@EVERY_TARGET
def test_without_weight_the_target_is_that_without_embeddings(name):
    kind, values = type(CASES[name][0]), CASES[name][1]
    plain = {"target": "pairs"} if name != "labelled" else {"target": "labels"}
    given_ = {} if name != "labelled" else {"target": values}
    read = {} if values is None else {"target": values}
    expected = value_and_grad(make_loss("ince", epsilon=0.3, **plain), *views(n=12), **given_)
    loss = make_loss("ince", epsilon=0.3, target=kind(weight=0.0))
    assert_alike(value_and_grad(loss, *views(n=12), **read), expected)


def test_each_pair_of_views_has_its_own_target():
    three = torch.stack([*embeddings(12), embeddings(12, seed=1)[0]])
    loss = make_loss("ince", epsilon=0.3, target=RelationalTarget())
    expected = sum(loss(three[i], three[j]) for i, j in ((0, 1), (0, 2), (1, 2))) / 3
    assert torch.equal(multiview_loss(loss, three), expected)


@EVERY_TARGET
def test_embeddings_of_nan_give_a_loss_of_nan(name):
    """No error: a training that meets them goes back a step."""
    target, values = CASES[name]
    z_a, z_b = views(n=12)
    z_a = z_a.detach().clone()
    z_a[3] = math.nan
    assert make_loss("gca_ince", target=target)(z_a, z_b, target=values).isnan()


class Closest(Target):
    """A target of one's own that reads y and the embeddings."""

    reads_embeddings = True

    def __call__(self, values, embeddings):
        assert embeddings.shape == (2, len(values), 4)
        assert not embeddings.requires_grad
        return LabelsTarget()(values).double() + (embeddings[0] @ embeddings[1].T > 0)


def test_a_target_of_ones_own_may_read_embeddings():
    z_a, z_b = views(n=12)
    affinity = reference.label_affinity(DOMAINS.numpy()) + (z_a @ z_b.T > 0).numpy()
    loss = AlignmentLoss(epsilon=0.5, marginals="row", divergence=KLDivergence(), target=Closest())
    expected = make_loss("ince", epsilon=0.5, target="affinity")
    found = value_and_grad(loss, z_a, z_b, target=DOMAINS)
    assert_alike(found, value_and_grad(expected, z_a, z_b, target=torch.from_numpy(affinity)))


# Refusals


@pytest.mark.parametrize("kind", [RelationalTarget, TransportTarget, LabelledTransportTarget])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": 0.0}, r"epsilon=0.0 must be a finite number above 0"),
        ({"epsilon": math.nan}, r"epsilon=nan must be"),
        ({"weight": -1.0}, r"weight=-1.0 must be a finite number of at least 0, such as 1.0"),
        ({"weight": math.inf}, r"weight=inf must be"),
        ({"weight": math.nan}, r"weight=nan must be"),
    ],
)
def test_options_out_of_range(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**options)


@pytest.mark.parametrize("rho", [0.0, -1.0, math.inf, math.nan])
def test_marginals_must_be_relaxed(rho):
    """Hard ones have no plan if domains differ in size."""
    with pytest.raises(ValueError, match=rf"rho={rho} must be a finite number above 0, such as 0.05"):
        TransportTarget(rho=rho)


@pytest.mark.parametrize(
    ("target", "values", "message"),
    [
        (RelationalTarget(), torch.ones(6), r"RelationalTarget\(epsilon=0.05, weight=1.0\) reads no target; leave"),
        (TransportTarget(), None, r"TransportTarget\(.*\) reads a target; pass target="),
        (TransportTarget(), torch.ones(6, 2), r"target has shape \(6, 2\); domains need \(n,\)"),
        (LabelledTransportTarget(), torch.ones(5), r"target has 5 entries; 6 rows need 6"),
    ],
)
def test_values_that_a_target_cannot_read(target, values, message):
    with pytest.raises(ValueError, match=message):
        make_loss("ince", target=target)(*views(), target=values)
