"""Laws that every preset obeys in both layouts, one test for each law."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skgca.losses import PRESETS, AlignmentLoss, KLDivergence, LearnableEpsilon, make_loss

from ..numerics import DOUBLE, assert_close, assert_within, error, size
from .cases import (
    CASES,
    EVERY_CASE,
    EVERY_KIND,
    EVERY_LAYOUT,
    FEW,
    INF,
    KINDS,
    LAYOUTS,
    SCALED_SINGLE,
    assert_alike,
    assert_nothing,
    leaf,
    terms_of,
    value_and_grad,
    views,
)


def test_the_table_covers_the_registry():
    assert {case.preset for case in CASES.values()} == set(PRESETS)
    assert set(PRESETS) < set(CASES)  # every preset with its own defaults, and more


def parts(case):
    """Kinds of marginals, target and divergences that a case has."""
    loss = case.loss()
    terms = [term for _, term in getattr(loss.divergence, "terms", [(1.0, loss.divergence)])]
    strengths = tuple("relaxed" if 0 < rho < INF else rho for rho in case.rho)
    return {strengths, type(loss.target), *((type(term), getattr(term, "kl", None)) for term in terms)}


def test_the_kinds_have_every_part_of_the_table():
    assert set().union(*(parts(CASES[name]) for name in KINDS)) == set().union(*map(parts, CASES.values()))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_found_under_its_own_name(name):
    assert PRESETS[name].__name__ == name
    assert isinstance(make_loss(name, epsilon=0.5), AlignmentLoss)


@EVERY_CASE
@EVERY_LAYOUT
def test_the_loss_is_what_its_row_says(case, layout):
    loss = case.loss(layout=layout)
    assert (loss.marginals.rho_row, loss.marginals.rho_col) == case.rho
    assert loss.repels == case.repels
    assert (loss.layout, loss.epsilon) == (layout, 0.2)


# Symmetries


@EVERY_KIND
@EVERY_LAYOUT
def test_permuting_the_rows_permutes_the_gradient(case, layout):
    z_a, z_b = views()
    loss, reads, order = case.loss(layout=layout), case.reads(6), torch.tensor([3, 1, 5, 0, 2, 4])
    value, *grads = value_and_grad(loss, z_a, z_b, **reads)
    found = value_and_grad(
        loss, leaf(z_a[order]), leaf(z_b[order]), **{name: values[order] for name, values in reads.items()}
    )
    assert_alike(found, (value, *(grad[order] for grad in grads)))


@EVERY_KIND
@EVERY_LAYOUT
def test_the_length_of_an_embedding_does_not_count(case, layout):
    z_a, z_b = views()
    loss, reads = case.loss(layout=layout), case.reads(6)
    value, grad_a, grad_b = value_and_grad(loss, z_a, z_b, **reads)
    found = value_and_grad(loss, leaf(3 * z_a), leaf(0.5 * z_b), **reads)
    assert_alike(found, (value, grad_a / 3, grad_b / 0.5))
    for z, grad in ((z_a, grad_a), (z_b, grad_b)):  # so nothing moves a row outwards
        assert_close((grad * z).sum(1), torch.zeros(6), DOUBLE, scale=grad * z)


@EVERY_KIND
def test_swapping_the_views_changes_nothing_in_the_joint_layout(case):
    z_a, z_b = views()
    value, grad_a, grad_b = value_and_grad(case.loss(), z_a, z_b, **case.reads(6))
    assert_alike(value_and_grad(case.loss(), z_b, z_a, **case.reads(6)), (value, grad_b, grad_a))


# Weights


@EVERY_KIND
@EVERY_LAYOUT
def test_weights_of_one_change_nothing_to_the_bit(case, layout):
    z_a, z_b = views(dtype=torch.float32)
    loss, reads = case.loss(layout=layout), case.reads(6)
    plain, weighted = (value_and_grad(loss, z_a, z_b, weight=w, **reads) for w in (None, torch.ones(6)))
    assert all(torch.equal(p, w) for p, w in zip(plain, weighted, strict=True))


@EVERY_KIND
@EVERY_LAYOUT
def test_the_scale_of_weights_does_not_count(case, layout):
    z_a, z_b = views()
    weight = torch.linspace(0.5, 2, 6, dtype=torch.float64)
    loss, reads = case.loss(layout=layout), case.reads(6)
    found, expected = (value_and_grad(loss, z_a, z_b, weight=w, **reads) for w in (7 * weight, weight))
    assert_alike(found, expected)


@EVERY_KIND
@EVERY_LAYOUT
def test_a_row_of_weight_zero_is_as_good_as_absent(case, layout):
    z_a, z_b = views()
    weight = torch.tensor([1.0, 2, 0, 1, 1, 3], dtype=torch.float64)
    kept, loss, reads = weight > 0, case.loss(layout=layout), case.reads(6)
    value, *grads = value_and_grad(loss, z_a, z_b, weight=weight, **reads)
    without = value_and_grad(
        loss, leaf(z_a[kept]), leaf(z_b[kept]), weight=weight[kept], **{name: v[kept] for name, v in reads.items()}
    )
    assert_alike((value, *(grad[kept] for grad in grads)), without, FEW)
    assert not any(grad[2].any() for grad in grads)


@EVERY_KIND
@EVERY_LAYOUT
def test_the_influence_of_a_row_falls_with_its_weight(case, layout):
    z_a, z_b = views()
    loss, per_weight = case.loss(layout=layout), []
    for small in (1e-6, 1e-8, 1e-10):
        weight = torch.ones(6, dtype=torch.float64)
        weight[2] = small
        _, *grads = value_and_grad(loss, z_a, z_b, weight=weight, **case.reads(6))
        per_weight.append(torch.cat([grad[2] for grad in grads]) / small)
    first, second, third = per_weight
    size = float(first.abs().max())
    assert_within(first - 2 * second + third, 0.0, 1e-3 * size)  # as w, or as w log w
    if case.entropic:
        assert error(second, first) > 1e-3 * size
    else:
        assert_within(second, first, 1e-3 * size)


# Numbers


@EVERY_CASE
@EVERY_LAYOUT
@pytest.mark.parametrize("epsilon", [1e-3, 0.1, 10.0])
def test_duplicated_and_opposite_rows_keep_value_and_gradient_finite(case, layout, epsilon):
    z = torch.tensor([[1.0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], requires_grad=True)
    found = value_and_grad(case.loss(epsilon=epsilon, layout=layout), z, leaf(z), **case.reads(5))
    assert all(torch.isfinite(t).all() for t in found)


@EVERY_CASE
@EVERY_LAYOUT
def test_single_precision_gives_what_double_precision_does(case, layout):
    z_a, z_b = views(dtype=torch.float32)
    loss, reads = case.loss(layout=layout), case.reads(6)
    found = value_and_grad(loss, z_a, z_b, **reads)
    expected = value_and_grad(loss, leaf(z_a.double()), leaf(z_b.double()), **reads)
    # ten iterations on scores of up to 2 / epsilon = 10: some twenty roundings of 6e-8
    assert_alike(found, expected, 3e-5 if case.target == "pairs" else SCALED_SINGLE, terms=terms_of(z_a, z_b, 0.2))


@EVERY_KIND
@EVERY_LAYOUT
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_the_type_is_kept_and_half_precision_is_computed_with_as_single(case, layout, dtype):
    z_a, z_b = views(dtype=dtype)
    loss, reads = case.loss(layout=layout), case.reads(6)
    value, *grads = value_and_grad(loss, z_a, z_b, **reads)
    assert value.dtype == torch.promote_types(dtype, torch.float32)
    assert [grad.dtype for grad in grads] == [dtype, dtype]
    assert value.shape == ()
    assert torch.equal(value, loss(z_a.to(value.dtype), z_b.to(value.dtype), **reads))


@pytest.mark.cuda
@EVERY_KIND
@EVERY_LAYOUT
@pytest.mark.parametrize("epsilon", [0.2, 0.002])
def test_cuda_gives_what_the_cpu_does(case, layout, epsilon, cuda):
    z_a, z_b = views()
    loss = case.loss(epsilon=epsilon, layout=layout)
    weight = torch.tensor([1.0, 2, 0, 1, 1, 3])  # on the CPU, as target and related are: the loss moves them
    extra = {"weight": weight, "related": torch.tensor([0, 0, 1, 2, -1, 3]), **case.reads(6)}
    found = value_and_grad(loss, leaf(z_a.to(cuda)), leaf(z_b.to(cuda)), **extra)
    assert {t.device.type for t in found} == {cuda.type}
    # another processor with its own exponential, and scores of up to 2 / epsilon
    assert_alike([t.cpu() for t in found], value_and_grad(loss, z_a, z_b, **extra), 1e-9)


@EVERY_KIND
@EVERY_LAYOUT
def test_nan_in_an_embedding_is_nan_in_the_loss(case, layout):
    z_a, z_b = views()
    z_a.data[2, 1] = torch.nan
    assert torch.isnan(case.loss(layout=layout)(z_a, z_b, **case.reads(6)))


# One pair, theory


@EVERY_CASE
@EVERY_LAYOUT
def test_one_pair_costs_nothing_where_its_row_says_so(case, layout):
    z = views(n=1)
    found = value_and_grad(case.loss(layout=layout), *z, **case.reads(1))
    if case.free_pair:
        assert_nothing(found, terms_of(*z, 0.2))
    else:
        assert max(size(t) for t in found) > 1e-4


@settings(max_examples=40)
@given(st.integers(2, 12), st.floats(0.05, 1.0), st.sampled_from(LAYOUTS), st.integers(0, 2**31), st.floats(0.0, 3.0))
def test_more_iterations_bind_more(n, epsilon, layout, seed, noise):
    """KL(T || P after t iterations) does not rise with t for hard marginals: theorem of the paper."""
    z_a, z_b = views(n=n, seed=seed, noise=noise)
    row = make_loss("ince", epsilon=epsilon, layout=layout)(z_a, z_b).item()
    values = [
        make_loss("gca_ince", epsilon=epsilon, layout=layout, n_iter=t)(z_a, z_b).item() for t in (1, 2, 3, 5, 10, 30)
    ]
    wrong = np.append(np.diff([row, *values]), -values[-1]).clip(min=0)  # rises, and what is below 0
    assert_close(wrong, np.zeros(7), DOUBLE, scale=2 / epsilon)  # sums of scores of up to 2 / epsilon


# Modules


@EVERY_KIND
@EVERY_LAYOUT
def test_copies_and_pickles_give_the_same_loss(case, layout):
    loss, z_a_and_b = case.loss(layout=layout), views()
    for other in (pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss)):
        assert torch.equal(other(*z_a_and_b, **case.reads(6)), loss(*z_a_and_b, **case.reads(6)))
        assert repr(other) == repr(loss)


@EVERY_KIND
def test_there_is_state_only_where_epsilon_is_learned(case):
    assert case.loss().state_dict() == {}
    assert list(case.loss(epsilon=LearnableEpsilon()).state_dict()) == ["log_epsilon"]


@EVERY_KIND
def test_the_representation_names_the_parts(case):
    shown = repr(case.loss(epsilon=0.125))
    for part in ("AlignmentLoss(", "epsilon=0.125", "Marginals(rho_row=", "target=", "layout='joint'", "n_iter="):
        assert part in shown


@EVERY_KIND
@EVERY_LAYOUT
def test_a_tiled_kernel_gives_the_same_loss(case, layout):
    z_a, z_b = views(n=12)
    found, expected = (
        value_and_grad(case.loss(layout=layout, memory_limit=limit), z_a, z_b, **case.reads(12)) for limit in (1, None)
    )
    assert_alike(found, expected)


def test_the_plan_is_the_one_that_the_loss_compares():
    seen = []
    loss = AlignmentLoss(
        epsilon=0.2, marginals=1.0, divergence=lambda plan, target: seen.append(plan) or KLDivergence()(plan, target)
    )
    weight = torch.tensor([1.0, 2, 0.5, 1, 1, 3], dtype=torch.float64)
    loss(*views(), weight=weight)
    assert torch.equal(loss.plan(*views(), weight=weight).plan, seen[0].plan)
