"""Rows that are no evidence against each other, and losses of more than two views."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from skgca.losses import make_loss, multiview_loss

from ..numerics import size
from .cases import (
    CASES,
    EVERY_CASE,
    EVERY_KIND,
    EVERY_LAYOUT,
    FEW,
    assert_alike,
    assert_nothing,
    leaf,
    oracle_value_and_grad,
    terms_of,
    value_and_grad,
    views,
)

pytestmark = pytest.mark.numerical  # by assert_alike

GROUPS = torch.tensor([0, 1, 0, -1, 1, -1])


def as_matrix(groups):
    return (groups[:, None] == groups) & (groups != -1)


# Related rows


@EVERY_CASE
@EVERY_LAYOUT
@pytest.mark.parametrize("weighted", [False, True])
def test_related_rows_are_masked_as_in_the_oracle(case, layout, weighted):
    z_a, z_b = views(d=3)
    weight = torch.linspace(0.5, 2, 6, dtype=torch.float64) if weighted else None
    found = value_and_grad(
        case.loss(epsilon=0.1, layout=layout), z_a, z_b, related=GROUPS, weight=weight, **case.reads(6)
    )
    settings = {"epsilon": 0.1, "layout": layout, "related": as_matrix(GROUPS).numpy()}
    settings["weight"] = None if weight is None else weight.numpy()
    expected = oracle_value_and_grad(lambda a, b: case.expected(a, b, **settings), z_a, z_b)
    assert_alike(found, expected, case.tolerance, terms=terms_of(z_a, z_b, 0.1))


@EVERY_KIND
@EVERY_LAYOUT
def test_groups_are_the_same_as_their_matrix(case, layout):
    loss, reads = case.loss(layout=layout), case.reads(6)
    matrix = as_matrix(GROUPS)
    for related in (matrix, matrix | torch.eye(6, dtype=torch.bool)):  # a row is related to itself or not
        found = value_and_grad(loss, *views(), related=related, **reads)
        for x, y in zip(found, value_and_grad(loss, *views(), related=GROUPS, **reads), strict=True):
            assert torch.equal(x, y)


@EVERY_KIND
@EVERY_LAYOUT
def test_the_plan_has_no_entry_between_related_rows_and_keeps_every_pair(case, layout):
    plan = case.loss(layout=layout).plan(*views(), related=GROUPS).plan
    blocks = plan.view(2, 6, 2, 6).transpose(1, 2).reshape(4, 6, 6) if layout == "joint" else plan[None]
    others = as_matrix(GROUPS) & ~torch.eye(6, dtype=torch.bool)
    assert not blocks[:, others].any()
    between_views = blocks[[1, 2]] if layout == "joint" else blocks
    assert (between_views.diagonal(dim1=1, dim2=2) > 0).all()
    assert (blocks[:, ~as_matrix(GROUPS) & ~torch.eye(6, dtype=torch.bool)] > 0).all()


@EVERY_KIND
@EVERY_LAYOUT
@pytest.mark.parametrize("groups", [torch.full((6,), -1), torch.arange(6)])
def test_rows_of_no_common_group_are_related_to_none(case, layout, groups):
    loss, reads = case.loss(layout=layout), case.reads(6)
    found = value_and_grad(loss, *views(), related=groups, **reads)
    assert_alike(found, value_and_grad(loss, *views(), **reads))


@EVERY_CASE
@EVERY_LAYOUT
def test_a_batch_of_one_group_is_as_many_batches_of_one_pair(case, layout):
    found = value_and_grad(case.loss(layout=layout), *views(), related=torch.zeros(6), **case.reads(6))
    if case.free_pair:
        assert_nothing(found, terms_of(*views(), 0.2))
    else:
        assert all(torch.isfinite(t).all() for t in found)
        assert max(size(t) for t in found) > 1e-3


@EVERY_KIND
@EVERY_LAYOUT
def test_a_row_of_weight_zero_leaves_the_related_ones_too(case, layout):
    z_a, z_b = views()
    kept = torch.tensor([True, False, True, True, True, True])
    loss, reads = case.loss(layout=layout), case.reads(6)
    less = {name: values[kept] for name, values in reads.items()}
    expected = value_and_grad(loss, leaf(z_a[kept]), leaf(z_b[kept]), related=GROUPS[kept], **less)
    for related in (GROUPS, as_matrix(GROUPS)):
        value, *grads = value_and_grad(loss, z_a, z_b, related=related, weight=kept.double(), **reads)
        assert_alike((value, *(grad[kept] for grad in grads)), expected, FEW)


@pytest.mark.parametrize(
    ("related", "shown"),
    [
        (torch.zeros(5), r"shape \(5,\) of torch.float32"),
        (torch.zeros(5, 5, dtype=torch.bool), r"shape \(5, 5\)"),
        (torch.zeros(6, 6), r"shape \(6, 6\) of torch.float32"),
        (torch.zeros(6, 1, dtype=torch.bool), r"shape \(6, 1\)"),
    ],
)
def test_related_rows_of_another_shape_are_refused(related, shown):
    with pytest.raises(ValueError, match=rf"related has {shown}.*; 6 rows need groups \(6,\) or a boolean matrix"):
        make_loss("ince", epsilon=0.5)(*views(), related=related)


# More than two views


def more_views(v=3, n=6, d=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    row = torch.randn(n, d, generator=generator, dtype=torch.float64)
    return [(row + torch.randn(n, d, generator=generator, dtype=torch.float64)).requires_grad_() for _ in range(v)]


def gradients(value, tensors):
    """Value, and gradient with respect to each tensor; zeros for a tensor that no pair used."""
    return value.detach(), *torch.autograd.grad(value, tensors, materialize_grads=True)


@EVERY_KIND
@EVERY_LAYOUT
@pytest.mark.parametrize("pairs", ["all", "worst"])
def test_two_views_are_the_plain_loss_to_the_bit(case, layout, pairs):
    loss, z, reads = case.loss(layout=layout), more_views(2), case.reads(6)
    found = gradients(multiview_loss(loss, z, pairs=pairs, **reads), z)
    assert all(torch.equal(x, y) for x, y in zip(found, value_and_grad(loss, *z, **reads), strict=True))


@EVERY_KIND
@EVERY_LAYOUT
def test_all_is_the_mean_over_pairs(case, layout):
    loss, z = case.loss(layout=layout), more_views()
    extra = {"related": GROUPS, "weight": torch.linspace(0.5, 2, 6, dtype=torch.float64), **case.reads(6)}
    expected = sum(loss(one, other, **extra) for one, other in itertools.combinations(z, 2)) / 3
    assert_alike(gradients(multiview_loss(loss, z, **extra), z), gradients(expected, z), FEW)


@EVERY_LAYOUT
def test_all_with_others_pairs_each_view_with_all_but_its_own(layout):
    loss, z, others = CASES["byol"].loss(layout=layout), more_views(), [z.detach() for z in more_views(seed=1)]
    expected = sum(loss(z[i], others[j]) for i in range(3) for j in range(3) if i != j) / 6
    found = gradients(multiview_loss(loss, z, others), z)
    assert_alike(found, gradients(expected, z), FEW)


@EVERY_KIND
@EVERY_LAYOUT
@pytest.mark.parametrize("with_others", [False, True])
def test_worst_takes_for_each_row_the_pair_of_smallest_cosine(case, layout, with_others):
    loss, z, reads = case.loss(layout=layout), more_views(), case.reads(6)
    others = [t.detach() for t in more_views(seed=1)] if with_others else None
    pool = others or z
    chosen = [(i, j) for i in range(3) for j in range(3) if (i != j if others else i < j)]
    worst = [min(chosen, key=lambda ij: F.cosine_similarity(z[ij[0]][k], pool[ij[1]][k], dim=0)) for k in range(6)]
    assert len(set(worst)) > 1
    firsts = torch.stack([z[i][k] for k, (i, _) in enumerate(worst)])
    seconds = torch.stack([pool[j][k] for k, (_, j) in enumerate(worst)])
    expected = gradients(loss(firsts, seconds, **reads), z)
    found = gradients(multiview_loss(loss, z, others, pairs="worst", **reads), z)
    assert_alike(found, expected)


def test_a_tensor_of_views_is_as_good_as_a_list():
    loss, z = CASES["ince"].loss(), more_views(4)
    for pairs in ("all", "worst"):
        assert torch.equal(multiview_loss(loss, torch.stack(z), pairs=pairs), multiview_loss(loss, z, pairs=pairs))


@pytest.mark.parametrize(
    ("z", "settings", "message"),
    [
        (more_views(1), {}, r"views holds 1 view, which has nothing to be paired with; give 2 or more"),
        (more_views(2), {"pairs": "best"}, r"pairs='best' is not known; valid are \['all', 'worst'\]"),
    ],
)
def test_bad_views_are_refused(z, settings, message):
    with pytest.raises(ValueError, match=message):
        multiview_loss(CASES["ince"].loss(), z, **settings)
