"""Laws that every preset obeys, one test a law, over the registry and both layouts."""

import copy
import inspect
import itertools
import math
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from skgca.losses import PRESETS, AlignmentLoss, KLDivergence, make_loss

from ..reference import losses as reference

RHO = {"ince": (math.inf, 0.0), "gca_ince": (math.inf, math.inf), "gca_uot": (1.0, 1.0)}
EVERY = pytest.mark.parametrize(("name", "layout"), [(n, lay) for n in PRESETS for lay in ("joint", "cross")])


def views(n=7, d=5, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    z_a = torch.randn(n, d, generator=generator, dtype=dtype)
    z_b = z_a + 0.3 * torch.randn(n, d, generator=generator, dtype=dtype)
    return z_a.requires_grad_(), z_b.requires_grad_()


def value_and_grad(loss, z_a, z_b, **kwargs):
    value = loss(z_a, z_b, **kwargs)
    return value.detach(), *torch.autograd.grad(value, (z_a, z_b))


def finite_difference(function, x, step=1e-6):
    """Central differences of a scalar function of a NumPy array."""
    grad = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        plus, minus = x.copy(), x.copy()
        plus[index] += step
        minus[index] -= step
        grad[index] = (function(plus) - function(minus)) / (2 * step)
    return grad


@EVERY
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("epsilon", [0.05, 0.5])
def test_value_and_gradient_match_the_oracle(name, layout, epsilon, weighted):
    z_a, z_b = views()
    a, b = z_a.detach().numpy(), z_b.detach().numpy()
    weight = np.random.default_rng(0).uniform(0.1, 2, len(a)) if weighted else None
    settings = {"epsilon": epsilon, "rho": RHO[name], "layout": layout, "n_iter": 10, "weight": weight}
    value, grad_a, grad_b = value_and_grad(
        make_loss(name, epsilon=epsilon, layout=layout),
        z_a,
        z_b,
        weight=None if weight is None else torch.as_tensor(weight),
    )
    np.testing.assert_allclose(value, reference.alignment_kl(a, b, **settings), rtol=1e-12)
    oracle_a = finite_difference(lambda x: reference.alignment_kl(x, b, **settings), a)
    oracle_b = finite_difference(lambda x: reference.alignment_kl(a, x, **settings), b)
    scale = max(np.abs(oracle_a).max(), np.abs(oracle_b).max())
    np.testing.assert_allclose(grad_a, oracle_a, atol=1e-7 * scale)
    np.testing.assert_allclose(grad_b, oracle_b, atol=1e-7 * scale)


@pytest.mark.parametrize("layout", ["joint", "cross"])
@pytest.mark.parametrize("epsilon", [0.05, 0.5])
def test_ince_is_mean_cross_entropy(layout, epsilon):
    z_a, z_b = views(n=50, d=16)
    value, grad_a, _ = value_and_grad(make_loss("ince", epsilon=epsilon, layout=layout), z_a, z_b)
    scores, partner = reference.problem(z_a.detach().numpy(), z_b.detach().numpy(), epsilon, layout)
    np.testing.assert_allclose(value, reference.mean_cross_entropy(scores, partner), rtol=0, atol=1e-14)
    rows, cols = (F.normalize(z) for z in ((torch.cat([z_a, z_b]),) * 2 if layout == "joint" else (z_a, z_b)))
    logits = rows @ cols.T / epsilon
    if layout == "joint":
        logits = logits.masked_fill(torch.eye(100, dtype=torch.bool), -torch.inf)
    plain = F.cross_entropy(logits, torch.as_tensor(partner))
    torch.testing.assert_close(grad_a, torch.autograd.grad(plain, z_a)[0], rtol=1e-12, atol=1e-15)


@EVERY
def test_permuting_the_pairs_changes_nothing(name, layout):
    z_a, z_b = views()
    loss = make_loss(name, epsilon=0.2, layout=layout)
    order = torch.tensor([3, 1, 6, 0, 2, 5, 4])
    value, grad_a, _ = value_and_grad(loss, z_a, z_b)
    permuted, permuted_grad, _ = value_and_grad(
        loss, z_a.detach()[order].requires_grad_(), z_b.detach()[order].requires_grad_()
    )
    torch.testing.assert_close(permuted, value)
    torch.testing.assert_close(permuted_grad, grad_a[order])


@EVERY
def test_the_length_of_an_embedding_does_not_count(name, layout):
    z_a, z_b = views()
    loss = make_loss(name, epsilon=0.2, layout=layout)
    value, grad_a, _ = value_and_grad(loss, z_a, z_b)
    torch.testing.assert_close(loss(3 * z_a, 0.5 * z_b), value)
    radial = (grad_a * z_a).sum(1)
    torch.testing.assert_close(radial, torch.zeros_like(radial), rtol=0, atol=1e-12 * float(grad_a.abs().max()))


@pytest.mark.parametrize("name", PRESETS)
def test_swapping_the_views_changes_nothing_in_the_joint_layout(name):
    z_a, z_b = views()
    loss = make_loss(name, epsilon=0.2)
    value, grad_a, grad_b = value_and_grad(loss, z_a, z_b)
    swapped, swapped_b, swapped_a = value_and_grad(loss, z_b, z_a)
    torch.testing.assert_close(swapped, value)
    torch.testing.assert_close(swapped_a, grad_a)
    torch.testing.assert_close(swapped_b, grad_b)


@EVERY
def test_weights_of_one_change_nothing_to_the_bit(name, layout):
    z_a, z_b = views(dtype=torch.float32)
    loss = make_loss(name, epsilon=0.2, layout=layout)
    plain, weighted = value_and_grad(loss, z_a, z_b), value_and_grad(loss, z_a, z_b, weight=torch.ones(7))
    assert all(torch.equal(p, w) for p, w in zip(plain, weighted, strict=True))


@EVERY
def test_the_scale_of_weights_does_not_count(name, layout):
    z_a, z_b = views()
    weight = torch.linspace(0.5, 2, 7, dtype=torch.float64)
    loss = make_loss(name, epsilon=0.2, layout=layout)
    for one, other in zip(
        value_and_grad(loss, z_a, z_b, weight=weight), value_and_grad(loss, z_a, z_b, weight=8 * weight), strict=True
    ):
        torch.testing.assert_close(one, other)


@EVERY
def test_a_row_of_weight_zero_is_as_good_as_absent(name, layout):
    z_a, z_b = views()
    weight = torch.tensor([1.0, 2, 0, 1, 1, 3, 1], dtype=torch.float64)
    kept = weight > 0
    loss = make_loss(name, epsilon=0.2, layout=layout)
    value, grad_a, grad_b = value_and_grad(loss, z_a, z_b, weight=weight)
    less = [z.detach()[kept].requires_grad_() for z in (z_a, z_b)]
    without, without_a, without_b = value_and_grad(loss, *less, weight=weight[kept])
    torch.testing.assert_close(value, without)
    for grad, expected in ((grad_a, without_a), (grad_b, without_b)):
        torch.testing.assert_close(grad[kept], expected)
        assert torch.equal(grad[2], torch.zeros(5, dtype=torch.float64))


@EVERY
def test_a_weight_near_zero_takes_a_row_out_of_the_gradient(name, layout):
    z_a, z_b = views()
    loss = make_loss(name, epsilon=0.2, layout=layout)
    influence = []
    for small in (1.0, 1e-4, 1e-8):
        weight = torch.ones(7, dtype=torch.float64)
        weight[2] = small
        influence.append(float(value_and_grad(loss, z_a, z_b, weight=weight)[1][2].abs().max()))
    assert influence[1] < 1e-2 * influence[0]
    assert influence[2] == pytest.approx(1e-4 * influence[1], rel=1e-2)  # in proportion to the weight


@EVERY
def test_duplicated_and_opposite_rows_keep_value_and_gradient_finite(name, layout):
    z = torch.tensor([[1.0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], requires_grad=True)
    other = z.detach().clone().requires_grad_()
    for epsilon in (1e-3, 0.1, 10.0):
        assert all(
            torch.isfinite(t).all() for t in value_and_grad(make_loss(name, epsilon=epsilon, layout=layout), z, other)
        )


@EVERY
def test_one_pair_costs_nothing(name, layout):
    z_a, z_b = views(n=1)
    value, grad_a, _ = value_and_grad(make_loss(name, epsilon=0.2, layout=layout, marginals="balanced"), z_a, z_b)
    torch.testing.assert_close(value, torch.zeros_like(value))
    torch.testing.assert_close(grad_a, torch.zeros_like(grad_a))


@EVERY
def test_dtype_is_kept(name, layout):
    for dtype in (torch.float32, torch.float64):
        value, grad_a, _ = value_and_grad(make_loss(name, epsilon=0.2, layout=layout), *views(dtype=dtype))
        assert value.dtype == grad_a.dtype == dtype
        assert value.shape == ()


@EVERY
def test_pickle_deepcopy_and_state_dict(name, layout):
    loss = make_loss(name, epsilon=0.2, layout=layout)
    z_a, z_b = views()
    for other in (pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss)):
        assert torch.equal(other(z_a, z_b), loss(z_a, z_b))
    assert loss.state_dict() == {}


@pytest.mark.parametrize("layout", ["joint", "cross"])
def test_identities_between_presets(layout):
    z_a, z_b = views()

    def value(name, marginals):
        return make_loss(name, epsilon=0.2, layout=layout, marginals=marginals)(z_a, z_b)

    torch.testing.assert_close(value("gca_ince", "row"), value("ince", None))
    torch.testing.assert_close(value("ince", "balanced"), value("gca_ince", None))
    torch.testing.assert_close(value("gca_uot", 1e9), value("gca_ince", None), rtol=1e-7, atol=0)


@pytest.mark.parametrize("layout", ["joint", "cross"])
def test_free_marginals_compare_with_the_bare_kernel(layout):
    z_a, z_b = views()
    scores, partner = reference.problem(z_a.detach().numpy(), z_b.detach().numpy(), 0.2, layout)
    mass = np.full(len(scores), 1 / len(scores))
    value = make_loss("gca_uot", epsilon=0.2, layout=layout, marginals=0)(z_a, z_b)
    np.testing.assert_allclose(value.detach(), reference.kl_to_pairs(scores, partner, mass), rtol=1e-12)


def test_more_iterations_bind_more():
    """KL(T || P after t iterations) does not rise with t for hard marginals: theorem of the paper."""
    z_a, z_b = views(n=30)
    values = [make_loss("gca_ince", epsilon=0.1, n_iter=t)(z_a, z_b).item() for t in range(1, 12)]
    assert make_loss("ince", epsilon=0.1)(z_a, z_b).item() > values[-1]
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(values))
    assert values[-1] < values[0]


def test_the_documented_defaults_are_the_actual_ones():
    for name, preset in PRESETS.items():
        documented = inspect.getdoc(preset)
        for parameter in inspect.signature(preset).parameters.values():
            default = f'"{parameter.default}"' if isinstance(parameter.default, str) else parameter.default
            assert f"default={default}" in documented.split(f"{parameter.name} : ")[1].split("\n")[0], (name, parameter)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_found_under_its_own_name(name):
    assert PRESETS[name].__name__ == name
    assert isinstance(make_loss(name, epsilon=0.5), AlignmentLoss)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "foo"}, r"loss='foo' is not known; valid are \['gca_ince', 'gca_uot', 'ince'\]"),
        ({"epsilon": 0.0}, r"epsilon=0.0 must be a finite number above 0"),
        ({"epsilon": float("nan")}, r"epsilon=nan must be"),
        ({"n_iter": 0}, r"n_iter=0 must be a whole number of at least 1"),
        ({"layout": "diagonal"}, r"layout='diagonal' is not known; valid are \['cross', 'joint'\]"),
        ({"marginals": "colum"}, r"marginals='colum' is not known; use 'row', 'balanced'"),
        ({"marginals": (1.0, -2.0)}, r"rho_col=-2.0, which is not a strength"),
        ({"q": 0.5}, r"'gca_ince' does not take all of the options \['q'\]"),
    ],
)
def test_bad_settings_name_the_value_and_what_is_valid(settings, message):
    with pytest.raises(ValueError, match=message):
        make_loss(**{"name": "gca_ince", "epsilon": 0.5, **settings})


@pytest.mark.parametrize("setting", ["cost", "target"])
def test_unknown_parts_list_the_valid_ones(setting):
    with pytest.raises(ValueError, match=f"{setting}='foo' is not known; valid are"):
        AlignmentLoss(epsilon=0.2, marginals="row", divergence=KLDivergence(), **{setting: "foo"})


@pytest.mark.parametrize(
    ("z_a", "z_b", "kwargs", "message"),
    [
        (torch.ones(3, 2), torch.ones(4, 2), {}, r"one shape \(n, d\).*\(3, 2\) and \(4, 2\)"),
        (torch.ones(0, 2), torch.ones(0, 2), {}, r"n >= 1"),
        (torch.ones(3), torch.ones(3), {}, r"one shape"),
        (
            torch.ones(3, 2),
            torch.ones(3, 2),
            {"weight": torch.ones(2)},
            r"weight has shape \(2,\); 3 pairs need \(3,\)",
        ),
        (torch.ones(3, 2), torch.ones(3, 2), {"weight": -torch.ones(3)}, r"weight must hold .*smallest is -1.0"),
        (torch.ones(3, 2), torch.ones(3, 2), {"weight": torch.zeros(3)}, r"not all zero"),
        (torch.ones(3, 2), torch.ones(3, 2), {"target": torch.ones(3)}, r"'pairs' reads no target"),
    ],
)
def test_bad_batches_are_refused(z_a, z_b, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_loss("ince", epsilon=0.5)(z_a, z_b, **kwargs)


def test_squared_euclidean_cost_is_half_the_scale_of_cosine_on_the_sphere():
    """|x - y|^2 = 2 (1 - cos) for unit rows, so the cost at twice the epsilon gives the same plan."""
    z_a, z_b = (F.normalize(z) for z in views())
    cosine = AlignmentLoss(epsilon=0.2, marginals="balanced", divergence=KLDivergence())
    euclidean = AlignmentLoss(epsilon=0.4, marginals="balanced", divergence=KLDivergence(), cost="sqeuclidean")
    torch.testing.assert_close(euclidean(z_a, z_b), cosine(z_a, z_b))
