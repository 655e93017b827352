"""Gradient caching: a batch in parts has the outputs, the gradient and the running statistics of the whole."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skgca import GCAEmbedder
from skgca._gradient_cache import CachedForward
from skgca.encoders import MLP, Conv1dEncoder, ConvEncoder, ResNetMLP
from skgca.losses import make_loss

N = 24


def mlp(normalization="batch", **options):
    return MLP(5, (7, 6), 4, normalization=normalization, **options)


class Twice(nn.Module):
    """One batch normalisation, called twice."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.norm = nn.Linear(5, 5), nn.Linear(5, 4), nn.BatchNorm1d(5)

    def forward(self, batch):
        return self.second(self.norm(torch.tanh(self.first(self.norm(batch)))))


def with_norm(norm):
    return nn.Sequential(nn.Linear(5, 6), norm, nn.Tanh(), nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))


MODULES = {
    "batch": (mlp, (5,)),
    "layer": (lambda: mlp("layer"), (5,)),
    "none": (lambda: mlp(None), (5,)),
    "resnet_mlp": (lambda: ResNetMLP(5, (7, 6), 4), (5,)),
    "conv": (lambda: ConvEncoder(1, (8, 8), 4, widths=(3, 5)), (1, 8, 8)),
    "conv1d": (lambda: Conv1dEncoder(2, 12, 4, widths=(3, 5)), (2, 12)),
    "twice": (Twice, (5,)),
    "cumulative average": (lambda: with_norm(nn.BatchNorm1d(6, momentum=None)), (5,)),
    "not affine": (lambda: with_norm(nn.BatchNorm1d(6, affine=False)), (5,)),
    "no running statistics": (lambda: with_norm(nn.BatchNorm1d(6, track_running_stats=False)), (5,)),
}


def made(name, dtype, n=N, seed=0):
    torch.manual_seed(seed)
    make, shape = MODULES[name]
    module = make().to(dtype).train()
    with torch.no_grad():  # statistics and scales that are not those of the start
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module, torch.randn(n, *shape, dtype=dtype) * 2 + 0.5


@pytest.fixture(autouse=True)
def _global_generator():
    state = torch.get_rng_state()
    yield
    torch.set_rng_state(state)


def whole_and_parts(module, batch, loss, size, **options):
    """Outputs and gradients of a module, both ways, and the modules after it."""
    whole, parts = copy.deepcopy(module), copy.deepcopy(module)
    outputs = whole(batch)
    loss(outputs).backward()
    cached = CachedForward(parts, parts, batch, size, **options)
    leaf = cached.outputs.clone().requires_grad_()
    loss(leaf).backward()
    cached.backward(leaf.grad)
    return (outputs.detach(), whole), (cached.outputs, parts)


def distance(a, b):
    """Relative distance of two lists of tensors, as one vector."""
    a, b = (torch.cat([t.flatten().double() for t in tensors]) for tensors in (a, b))
    return float((a - b).norm() / a.norm())


def assert_same(whole, parts, tol):
    (outputs, whole), (others, parts) = whole, parts
    assert not others.requires_grad
    assert distance([outputs], [others]) < tol
    assert distance([p.grad for p in whole.parameters()], [p.grad for p in parts.parameters()]) < tol
    for (name, buffer), other in zip(whole.named_buffers(), parts.buffers(), strict=True):
        torch.testing.assert_close(buffer, other, rtol=10 * tol, atol=10 * tol, msg=name)


def loss_of(name, dtype=torch.float64):
    criterion = make_loss(name, epsilon=0.3).to(dtype)
    return lambda z: criterion(*z.unflatten(0, (2, -1)))


@pytest.mark.parametrize("loss", ["ince", "gca_ince", "gca_uot"])
@pytest.mark.parametrize("name", MODULES)
def test_the_gradient_is_that_of_the_whole_batch(name, loss):
    assert_same(*whole_and_parts(*made(name, torch.float64), loss_of(loss), 5), tol=1e-12)


@pytest.mark.parametrize("name", MODULES)
def test_to_1e_6_in_single_precision(name):
    """Against the whole batch in double precision; the whole in single is about as far from it."""
    module, batch = made(name, torch.float32, n=256)
    exact = copy.deepcopy(module).double()
    loss_of("gca_ince")(exact(batch.double())).backward()
    _, (_, parts) = whole_and_parts(module, batch, loss_of("gca_ince", torch.float32), 32)
    assert distance([p.grad for p in exact.parameters()], [p.grad for p in parts.parameters()]) < 1e-6


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(list(MODULES)),
    n=st.integers(2, 15).map(lambda n: 2 * n),
    size=st.integers(1, 40),
    seed=st.integers(0, 100),
)
def test_any_size_of_batch_and_parts(name, n, size, seed):
    module, batch = made(name, torch.float64, n=n, seed=seed)
    assert_same(*whole_and_parts(module, batch, lambda z: (z.square().sum(1) * torch.cos(z[:, 0])).sum(), size), 1e-9)


def test_finite_differences_of_a_loss_of_parts():
    module, batch = made("batch", torch.float64)
    loss = loss_of("gca_ince")
    cached = CachedForward(module, module, batch, 7)
    leaf = cached.outputs.clone().requires_grad_()
    loss(leaf).backward()
    cached.backward(leaf.grad)
    parameter = next(iter(module.parameters()))
    direction = torch.randn_like(parameter)
    slope = float((parameter.grad * direction).sum())
    step, values = 1e-6, []
    for sign in (1, -1):
        with torch.no_grad():
            parameter.add_(sign * step * direction)
            values.append(float(loss(CachedForward(module, module, batch, 7).outputs)))
            parameter.sub_(sign * step * direction)
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(slope, rel=1e-5)


def test_gradients_add_to_those_that_are_there():
    module, batch = made("batch", torch.float64)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    _, (_, fresh) = whole_and_parts(made("batch", torch.float64)[0], batch, loss_of("ince"), 5)
    cached = CachedForward(module, module, batch, 5)
    leaf = cached.outputs.clone().requires_grad_()
    loss_of("ince")(leaf).backward()
    cached.backward(leaf.grad)
    for parameter, other in zip(module.parameters(), fresh.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad + 1)


def test_in_evaluation_mode_running_statistics_are_used_and_stay():
    module, batch = made("batch", torch.float64)
    assert_same(*whole_and_parts(module.eval(), batch, loss_of("ince"), 5), tol=1e-12)


class Masks:
    """Looks at what a dropout lets through, by feeding it ones."""

    def __init__(self, layer):
        self.seen = []
        layer.register_forward_hook(
            lambda layer, inputs, output: self.seen.append((inputs[0].detach(), output.detach()))
        )

    def kept(self):
        return [(output != 0).int() for _, output in self.seen]


def test_dropout_draws_the_same_masks_in_each_pass_and_others_for_each_part():
    torch.manual_seed(0)
    module = nn.Sequential(nn.BatchNorm1d(4), MLP(4, (64,), 3, dropout=0.5, normalization=None)).double().train()
    layer = module[1][2]
    seed, masks = int(layer.seed), Masks(layer)
    batch = torch.rand(16, 4, dtype=torch.float64) + 3
    cached = CachedForward(module, module, batch, 8)
    assert int(layer.seed) == seed + 2
    cached.backward(torch.ones_like(cached.outputs))
    assert int(layer.seed) == seed + 2
    by_part = [masks.seen[k::2] for k in range(2)]
    for passes in by_part:
        assert len(passes) == 3  # outputs, the statistics' gradient, the parameters'
        assert all(torch.equal(passes[0][1], output) for _, output in passes[1:])
    assert not torch.equal(by_part[0][0][1], by_part[1][0][1])


@pytest.mark.parametrize("seeded", [True, False])
def test_with_dropout_it_is_the_gradient_under_the_same_masks(seeded):
    """The masks are read off, and put into a whole batch by hand."""
    torch.manual_seed(0)
    dropout = MLP(6, (1,), 1, dropout=0.4)[3] if seeded else nn.Dropout(0.4)
    before = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6)).double().train()
    after = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 3)).double().train()
    module = nn.Sequential(before, dropout, after).train()
    other_before, other_after = copy.deepcopy(before), copy.deepcopy(after)
    seen = []
    dropout.register_forward_hook(lambda layer, inputs, output: seen.append(output.detach() / inputs[0].detach()))
    batch = torch.randn(20, 5, dtype=torch.float64)
    options = {} if seeded else {"draws": True, "generator": torch.Generator().manual_seed(1)}
    cached = CachedForward(module, module, batch, 8, **options)
    mask = torch.cat(seen[-3:])
    outputs = other_after(other_before(batch) * mask)
    torch.testing.assert_close(cached.outputs, outputs.detach())
    assert 0.3 < (mask == 0).double().mean() < 0.5
    cached.backward(torch.cos(outputs.detach()))
    outputs.backward(torch.cos(outputs.detach()))
    for parameter, other in zip(
        [*before.parameters(), *after.parameters()],
        [*other_before.parameters(), *other_after.parameters()],
        strict=True,
    ):
        torch.testing.assert_close(parameter.grad, other.grad)


def test_global_generators_are_left_as_found():
    module = nn.Sequential(nn.Linear(5, 6), nn.Dropout(0.4), nn.BatchNorm1d(6))
    state = torch.get_rng_state()
    cached = CachedForward(
        module, module, torch.randn(9, 5, generator=torch.Generator()), 4, draws=True, generator=torch.Generator()
    )
    cached.backward(torch.ones_like(cached.outputs))
    assert torch.equal(torch.get_rng_state(), state)


def test_layers_are_put_back_also_after_an_error():
    module, batch = made("batch", torch.float32)

    def failing(part):
        out = module(part)
        raise RuntimeError(f"inside {tuple(out.shape)}")

    with pytest.raises(RuntimeError, match="inside"):
        CachedForward(failing, module, batch, 5)
    assert not any("forward" in vars(layer) for layer in module.modules())
    assert torch.is_grad_enabled()
    CachedForward(module, module, batch, 5).backward(torch.ones(N, 4))
    assert not any("forward" in vars(layer) for layer in module.modules())
    assert torch.is_grad_enabled()


def test_under_autocast():
    module, batch = made("batch", torch.float32, n=64)
    whole = copy.deepcopy(module)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cached = CachedForward(module, module, batch, 16)
        cached.backward(torch.cos(cached.outputs))
        outputs = whole(batch)
        outputs.backward(torch.cos(outputs.detach()))
    assert cached.outputs.dtype == torch.bfloat16
    assert distance([outputs.detach()], [cached.outputs]) < 0.02
    grads = ([p.grad for p in m.parameters()] for m in (whole, module))
    assert distance(*grads) < 0.05


def test_parts_hold_a_row_at_least():
    module, batch = made("batch", torch.float32)
    with pytest.raises(ValueError, match="micro_batch_size=0 must be at least 1"):
        CachedForward(module, module, batch, 0)


# In the estimator

X = np.random.default_rng(0).normal(size=(300, 6))
SIZES = {"n_components": 6, "hidden_layer_sizes": (16,), "projection_sizes": (8,), "max_epochs": 3, "batch_size": 100}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"loss": "byol"},
        {"loss": "gca_uot", "n_views": 3},
        {"normalization": "layer"},
        {"epsilon": 0.1, "max_grad_norm": 0.1},
    ],
    ids=["default", "byol", "three views", "layer", "clipped"],
)
def test_an_estimator_trains_in_parts_as_in_one(params):
    """In few steps, before rounding has grown: AdamW divides small gradients by their own size."""
    params = {**SIZES, **params, "random_state": 0, "lr": 1e-4}
    whole = GCAEmbedder(**params).fit(X)
    parts = GCAEmbedder(**params, micro_batch_size=32).fit(X)
    losses = [[record["loss"] for record in model.history_] for model in (whole, parts)]
    np.testing.assert_allclose(*losses, rtol=2e-5)
    norms = [[record["gradient_norm"] for record in model.history_] for model in (whole, parts)]
    np.testing.assert_allclose(*norms, rtol=2e-3)
    assert not np.array_equal(whole.transform(X), parts.transform(X))


@pytest.mark.parametrize("params", [{"dropout": 0.3}, {"loss": "byol", "dropout": 0.3}, {"precision": "bfloat16"}])
def test_the_same_bits_each_time(params):
    params = {**SIZES, **params, "random_state": 0, "micro_batch_size": 30}
    assert np.array_equal(*(GCAEmbedder(**params).fit(X).transform(X) for _ in range(2)))


def test_a_module_with_dropout_of_torch_trains_in_parts():
    encoder = nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.3), nn.BatchNorm1d(6))
    params = {"encoder": encoder, "micro_batch_size": 30, "max_epochs": 3, "random_state": 0}
    state = torch.get_rng_state()
    first, second = (GCAEmbedder(**params).fit(X).transform(X) for _ in range(2))
    assert np.array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_only_a_part_is_in_memory_at_a_time():
    """Of the activations that autograd keeps, which are most of what a batch takes."""
    module, batch = made("conv", torch.float32, n=64)
    kept = []

    def peak(run):
        kept.clear()
        held = [0]

        def pack(tensor):
            held[0] += tensor.numel()
            kept.append(held[0])
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            run(lambda: held.__setitem__(0, 0))
        return max(kept)

    whole = peak(lambda free: F.relu(module(batch)).sum().backward())
    cached = CachedForward(module, module, batch, 8)
    backward = cached._objective

    def objective(*args):
        nonlocal free_all
        free_all()
        return backward(*args)

    free_all = None

    def run(free):
        nonlocal free_all
        free_all = free
        cached._objective = objective
        cached.backward(torch.ones_like(cached.outputs))

    assert peak(run) < whole / 3
