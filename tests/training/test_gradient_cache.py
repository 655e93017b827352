"""Gradient caching against one pass of the whole batch."""

import copy
import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

from skgca._training.gradient_cache import CachedForward
from skgca._utils.random import seeded_by, seeded_global_generator
from skgca.encoders import (
    MLP,
    Conv1dEncoder,
    ConvEncoder,
    Encoder,
    EncoderWithHead,
    ResNet18,
    ResNetMLP,
    RocketEncoder,
    RotatedComponents,
    TableStem,
)
from skgca.losses import make_loss

from ..numerics import DOUBLE, SINGLE, assert_close, assert_within, error, size


class Twice(nn.Module):
    """One batch normalisation, and one dropout if there is one, called twice."""

    def __init__(self, norm, dropout=None):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(5, 4)
        self.norm, self.dropout = norm, dropout or nn.Identity()

    def forward(self, batch):
        once = self.dropout(torch.relu(self.norm(self.first(batch))))
        return self.last(self.dropout(torch.tanh(self.norm(self.second(once)))) + once)


def with_head():
    encoder = Encoder(TableStem([0] * 6, [False] * 6), MLP(6, (8, 7), 5), RotatedComponents(20, 4, 3))
    return EncoderWithHead(encoder, nn.Sequential(nn.ReLU(), MLP(5, (6,), 4)))


def around(norm):
    return nn.Sequential(nn.Linear(6, 5), norm, nn.Tanh(), nn.Linear(5, 4))


# name: (make, shape of a row, calls of batch normalisations)
CASES = {
    "mlp": (lambda: MLP(6, (8, 7), 4), (6,), 2),
    "mlp, gelu": (lambda: MLP(6, (8, 7), 4, activation="gelu"), (6,), 2),
    "mlp, layer": (lambda: MLP(6, (8, 7), 4, normalization="layer"), (6,), 0),
    "mlp, none": (lambda: MLP(6, (8, 7), 4, normalization=None), (6,), 0),
    "resnet_mlp": (lambda: ResNetMLP(6, (8, 7, 7), 4), (6,), 3),
    "conv": (lambda: ConvEncoder(2, (6, 5), 4, widths=(3, 5)), (2, 6, 5), 2),
    "resnet18": (lambda: ResNet18(1, 4, width=8), (1, 6, 6), 20),
    "conv1d": (lambda: Conv1dEncoder(2, 9, 4, widths=(3, 5)), (2, 9), 2),
    "rocket": (lambda: RocketEncoder(2, 9, 4, hidden_layer_sizes=(5,), n_dilations=1), (2, 9), 1),
    "conv3d": (
        lambda: nn.Sequential(nn.Conv3d(1, 3, 2), nn.BatchNorm3d(3), nn.Flatten(), nn.Linear(24, 4)),
        (1, 3, 3, 3),
        1,
    ),
    "with head": (with_head, (6,), 3),
    "norm of the inputs": (lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 4)), (6,), 1),
    "norm at the end": (lambda: nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4)), (6,), 1),
    "twice": (lambda: Twice(nn.BatchNorm1d(5)), (6,), 2),
    "twice, cumulative": (lambda: Twice(nn.BatchNorm1d(5, momentum=None)), (6,), 2),
    "not affine": (lambda: around(nn.BatchNorm1d(5, affine=False)), (6,), 1),
    "not tracked": (lambda: around(nn.BatchNorm1d(5, track_running_stats=False)), (6,), 1),
    "not tracked, evaluation": (lambda: around(nn.BatchNorm1d(5, track_running_stats=False)).eval(), (6,), 1),
    "momentum": (lambda: around(nn.BatchNorm1d(5, momentum=0.7, eps=0.1)), (6,), 1),
    "synchronised": (lambda: around(nn.SyncBatchNorm(5)), (6,), 1),
    "evaluation": (lambda: MLP(6, (8, 7), 4).eval(), (6,), 0),
    "group and instance": (
        lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.GroupNorm(2, 4), nn.InstanceNorm1d(4), nn.Flatten()),
        (2, 3 + 2),
        0,
    ),
    "spectral": (lambda: nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(6, 4)), nn.Tanh()), (6,), 0),
}


def made(name, n, seed=0):
    """Return a module in double precision, and a batch whose columns differ in scale."""
    make, shape, _ = CASES[name]
    with seeded_global_generator(seed):
        module = make().double()
        batch = torch.randn(n, *shape, dtype=torch.float64) * 2 + torch.rand(shape, dtype=torch.float64) * 3
    return module, batch


def step_of_parts(module, batch, micro_batch_size, objective, **options):
    """Return loss and outputs, with the gradients in the parameters."""
    cached = CachedForward(module, module, batch, micro_batch_size, **options)
    outputs = cached.outputs.clone().requires_grad_()
    loss = objective(outputs)
    loss.backward()
    cached.backward(outputs.grad)
    return loss.detach(), cached.outputs


def step_of_all(module, batch, objective):
    outputs = module(batch)
    loss = objective(outputs)
    loss.backward()
    return loss.detach(), outputs.detach()


def flat_gradient(module):
    return torch.cat(
        [parameter.grad.flatten().double() for parameter in module.parameters() if parameter.requires_grad]
    )


def assert_same_buffers(found, expected, tolerance):
    """Same running statistics, to rounding; same counts and seeds."""
    for each, other in zip(found.buffers(), expected.buffers(), strict=True):
        if each.is_floating_point():
            assert_close(each, other, tolerance, scale=max(1.0, size(other)))  # means near 0 are those of larger values
        else:
            assert torch.equal(each, other)


def assert_same(parts, whole):
    """Same gradients and buffers."""
    assert_close(flat_gradient(parts), flat_gradient(whole), DOUBLE)
    assert_same_buffers(parts, whole, DOUBLE)


def contrast(name):
    loss = make_loss(name, epsilon=0.5)
    return lambda outputs: loss(*outputs.flatten(1).unflatten(0, (2, -1)))


def weighted(outputs, seed=0):
    """Return an objective that is not the same for any two rows."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype).to(outputs.device)
    return (weight * outputs + 0.5 * outputs.square()).sum()


# ------------------------------------------------------------------------------------------------------ gradients


@pytest.mark.parametrize("loss", ["ince", "gca_ince", "gca_uot"])
@pytest.mark.parametrize("name", CASES)
def test_a_step_of_parts_is_the_step_of_the_whole_batch(name, loss):
    whole, batch = made(name, 22)
    parts = copy.deepcopy(whole)
    for _ in range(2):  # running statistics, and gradients that are added to
        found = step_of_parts(parts, batch, 5, contrast(loss))
        expected = step_of_all(whole, batch, contrast(loss))
        for each, other in zip(found, expected, strict=True):
            assert_close(each, other, DOUBLE)
        assert_same(parts, whole)


@settings(max_examples=60)
@given(
    name=st.sampled_from([name for name in CASES if name != "resnet18"]),
    n=st.integers(2, 25),
    micro_batch_size=st.integers(1, 30),
    seed=st.integers(0, 2**20),
)
def test_any_parts_will_do(name, n, micro_batch_size, seed):
    whole, batch = made(name, n, seed)
    parts = copy.deepcopy(whole)
    objective = functools.partial(weighted, seed=seed)
    step_of_parts(parts, batch, micro_batch_size, objective)
    step_of_all(whole, batch, objective)
    # Two rows in a channel are normalised to 1 and -1 whatever they are: what gradient is left is all rounding.
    scale = sum(float(parameter.detach().norm()) for parameter in whole.parameters()) + float(batch.norm())
    found, expected = flat_gradient(parts), flat_gradient(whole)
    assert_close(found, expected, DOUBLE, scale=size(expected) + scale)


@pytest.mark.parametrize("name", CASES)
def test_in_single_precision_parts_are_as_near_the_true_gradient_as_the_whole_batch(name):
    exact, batch = made(name, 60)
    parts, whole = copy.deepcopy(exact).float(), copy.deepcopy(exact).float()
    exact = copy.deepcopy(whole).double()
    batch = batch.float()
    grad = torch.randn(exact(batch.double()).shape, generator=torch.Generator().manual_seed(1))
    exact = copy.deepcopy(whole).double()  # without the running statistics of that call
    exact(batch.double()).backward(grad.double())
    whole(batch).backward(grad)
    CachedForward(parts, parts, batch, 7).backward(grad)
    of_whole = error(flat_gradient(whole), flat_gradient(exact)) / size(flat_gradient(exact))
    assert_close(flat_gradient(parts), flat_gradient(exact), max(SINGLE, 30 * of_whole))
    assert_same_buffers(parts, exact, SINGLE)


def test_statistics_are_accurate_where_the_mean_is_large():
    batch = torch.randn(900, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([1.0, 100.0, 1000.0])
    norm = nn.BatchNorm1d(3, momentum=1.0)
    CachedForward(norm, norm, batch, 100)
    for found, expected in ((norm.running_mean, batch.double().mean(0)), (norm.running_var, batch.double().var(0))):
        assert_close(found / expected, torch.ones(3), SINGLE)  # each column by its own scale


def test_the_gradient_is_that_of_finite_differences():
    module, batch = made("with head", 24)
    objective = contrast("gca_uot")
    step_of_parts(module, batch, 7, objective)
    generator = torch.Generator().manual_seed(3)
    step = 1e-6
    for parameter in module.parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        losses = []
        for sign in (1, -1):
            moved = copy.deepcopy(module)
            with torch.no_grad():
                dict(moved.named_parameters())[name_of(parameter, module)].add_(sign * step * direction)
            losses.append(float(objective(CachedForward(moved, moved, batch, 7).outputs)))
        slope = (losses[0] - losses[1]) / (2 * step)
        # The rounding of a loss of size 1, of 1e-16, over the step; what the cube of the step adds is less.
        assert_close((parameter.grad * direction).sum(), slope, 1e-7, scale=flat_gradient(module).norm())


def name_of(parameter, module):
    return next(name for name, other in module.named_parameters() if other is parameter)


def test_frozen_layers_get_no_gradient_and_the_others_theirs():
    whole, batch = made("with head", 13)
    for frozen in (whole.encoder.body[0], whole.encoder.body[1], whole.head[1][1]):
        frozen.requires_grad_(False)
    parts = copy.deepcopy(whole)
    step_of_parts(parts, batch, 4, weighted)
    step_of_all(whole, batch, weighted)
    assert_same(parts, whole)
    assert [p.grad is None for p in parts.parameters()] == [p.grad is None for p in whole.parameters()]
    assert any(p.grad is None for p in parts.parameters())


def test_the_function_may_call_parts_of_the_module_and_give_more_axes():
    whole, batch = made("with head", 14)
    parts = copy.deepcopy(whole)

    def both(module, rows):
        features = module.encoder.features(rows)
        return torch.stack([features, features.square()], 1)

    cached = CachedForward(functools.partial(both, parts), parts, batch, 4)
    grad = torch.randn(14, 2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cached.backward(grad)
    both(whole, batch).backward(grad)
    assert_close(flat_gradient(parts.encoder), flat_gradient(whole.encoder), DOUBLE)
    assert all(parameter.grad is None for parameter in parts.head.parameters())


def test_two_at_once_on_one_module_do_not_disturb_each_other():
    whole, batch = made("mlp", 15)
    whole.insert(3, nn.Dropout(0.4))
    parts = copy.deepcopy(whole)
    grad = torch.randn(15, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    of_whole, of_parts = ({"draws": True, "generator": torch.Generator().manual_seed(7)} for _ in range(2))
    for rows in (batch, batch + 1):
        CachedForward(whole, whole, rows, 4, **of_whole).backward(grad)
    first, second = (CachedForward(parts, parts, rows, 4, **of_parts) for rows in (batch, batch + 1))
    second.backward(grad)
    first.backward(grad)
    assert_same(parts, whole)


def test_a_batch_of_one_part_is_run_once_as_it_is():
    whole, batch = made("mlp", 12)
    whole.append(nn.Dropout(0.4))
    parts, calls = copy.deepcopy(whole), []

    def counted(rows):
        calls.append(len(rows))
        return parts(rows)

    cached = CachedForward(counted, parts, batch, 12, draws=True, generator=torch.Generator().manual_seed(1))
    with seeded_by(torch.Generator().manual_seed(1)):
        outputs = whole(batch)
    assert torch.equal(cached.outputs, outputs)
    assert not cached.outputs.requires_grad
    grad = torch.ones_like(outputs)
    cached.backward(grad)
    outputs.backward(grad)
    assert calls == [12]
    assert torch.equal(flat_gradient(parts), flat_gradient(whole))


@pytest.mark.parametrize("name", CASES)
def test_the_passes_over_the_parts_are_as_few_as_promised(name):
    module, batch = made(name, 9)
    n_calls, sizes = CASES[name][2], []

    def counted(rows):
        sizes.append(len(rows))
        return module(rows)

    cached = CachedForward(counted, module, batch, 2)
    assert sizes == [2, 2, 2, 2, 1] * (1 + n_calls)
    cached.backward(torch.ones_like(cached.outputs))
    assert sizes == [2, 2, 2, 2, 1] * 2 * (1 + n_calls)


def most_saved(run):
    """Most bytes that autograd holds for the backward pass at one time."""
    held, most = 0, 0

    class Box:
        def __init__(self, tensor):
            nonlocal held, most
            self.tensor = tensor.detach()  # with its graph, it would be part of a cycle
            held += tensor.nbytes
            most = max(most, held)

        def __del__(self):
            nonlocal held
            held -= self.tensor.nbytes

    with torch.autograd.graph.saved_tensors_hooks(Box, lambda box: box.tensor):
        run()
    return most


@pytest.mark.parametrize("name", ["mlp", "mlp, layer", "conv", "resnet18"])
def test_activations_of_one_part_are_held_at_a_time(name):
    module, batch = made(name, 320)
    weights = most_saved(lambda: module(batch[:2]).sum().backward())
    whole = most_saved(lambda: module(batch).sum().backward())
    parts = most_saved(lambda: step_of_parts(module, batch, 20, torch.sum))
    assert parts <= whole / 16 + 2 * weights


# ------------------------------------------------------------------------------------------------- random numbers


class FixedDropout(nn.Module):
    """Dropout by given masks, one a call."""

    def __init__(self, masks):
        super().__init__()
        self.masks = list(masks)

    def forward(self, batch):
        return batch * self.masks.pop(0)


@pytest.mark.parametrize("sizes", [[11], [4, 4, 3]])
def test_dropout_has_another_mask_for_each_part_and_call_and_the_same_in_each_pass(sizes):
    _, batch = made("mlp", 11)
    with seeded_global_generator(4):
        parts = Twice(nn.BatchNorm1d(5), nn.Dropout(0.4)).double()
    whole, before = copy.deepcopy(parts), torch.get_rng_state()
    generator, same = torch.Generator().manual_seed(7), torch.Generator().manual_seed(7)
    for _ in range(2):
        step_of_parts(parts, batch, sizes[0], weighted, draws=True, generator=generator)
        masks = []  # of each part, those of both calls
        for seed, n in zip(torch.randint(2**31 - 1, (len(sizes),), generator=same).tolist(), sizes, strict=True):
            with seeded_global_generator(seed):
                masks.append([nn.functional.dropout(torch.ones(n, 5, dtype=torch.float64), 0.4) for _ in range(2)])
        whole.dropout = FixedDropout([torch.cat(of_call) for of_call in zip(*masks, strict=True)])
        step_of_all(whole, batch, weighted)
        assert_same(parts, whole)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(generator.get_state(), same.get_state())  # once a part and step


# ------------------------------------------------------------------------------------ precision and other devices


@pytest.mark.parametrize("name", ["mlp", "mlp, layer", "mlp, none", "conv", "with head"])
def test_within_autocast_it_is_what_autocast_makes_of_the_whole_batch(name):
    exact, batch = made(name, 64)
    whole, batch = copy.deepcopy(exact).float(), batch.float()
    parts = copy.deepcopy(whole)
    grad = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
    exact(batch.double()).backward(grad.double())
    with torch.autocast("cpu", torch.bfloat16):
        outputs = whole(batch)
    with torch.autocast("cpu", torch.bfloat16):  # with nothing in its cache
        cached = CachedForward(parts, parts, batch, 10)
        assert cached.outputs.dtype == outputs.dtype == torch.bfloat16
        cached.backward(grad.bfloat16())
    outputs.backward(grad.bfloat16())
    of_parts, of_whole = (error(flat_gradient(module), flat_gradient(exact)) for module in (parts, whole))
    assert_within(of_parts / of_whole, 1.0, 0.5)  # both round in half precision, not in the same places
    assert not any(parameter.grad is None for parameter in parts.parameters())


@pytest.mark.cuda
@pytest.mark.parametrize("name", CASES)
def test_on_cuda_as_on_the_cpu(name, cuda):
    whole, batch = made(name, 22)
    parts = copy.deepcopy(whole).to(cuda)
    step_of_parts(parts, batch.to(cuda), 5, weighted)
    step_of_all(whole, batch, weighted)
    assert_close(flat_gradient(parts), flat_gradient(whole), DOUBLE)


# ----------------------------------------------------------------------------------------- what is left, and errors


def assert_untouched(module):
    assert not any("forward" in vars(layer) for layer in module.modules())


def test_the_module_is_as_it_was_behind_each_half():
    module, batch = made("with head", 9)
    cached = CachedForward(module, module, batch, 4)
    assert_untouched(module)
    cached.backward(torch.ones_like(cached.outputs))
    assert_untouched(module)
    assert torch.is_grad_enabled()


def test_buffers_made_in_inference_mode_stay():
    whole, batch = made("mlp", 9)
    parts = copy.deepcopy(whole)
    with torch.inference_mode():
        parts.register_buffer("fixed", torch.ones(3))
    step_of_parts(parts, batch, 4, weighted)
    step_of_all(whole, batch, weighted)
    assert_close(flat_gradient(parts), flat_gradient(whole), DOUBLE)
    assert parts.fixed.is_inference()


class Counting(nn.Module):
    """Multiply rows by the number of calls so far, a buffer that depends on no row."""

    def __init__(self):
        super().__init__()
        self.register_buffer("n_calls", torch.zeros((), dtype=torch.float64))

    def forward(self, batch):
        self.n_calls += 1
        return batch * self.n_calls


def test_buffers_that_count_calls_move_on_by_one():
    whole, batch = made("mlp", 9)
    whole.insert(3, Counting())
    parts = copy.deepcopy(whole)
    for step in range(3):
        step_of_parts(parts, batch, 4, weighted)
        step_of_all(whole, batch, weighted)
        assert_same(parts, whole)
        assert parts[3].n_calls == step + 1


@pytest.mark.parametrize("fails_at", [1, 2, 5, 8, 12, 17])
def test_the_module_is_as_it_was_behind_an_error(fails_at):
    module, batch = made("mlp", 9)
    module.insert(3, Counting())
    calls = 0

    def failing(rows):
        nonlocal calls
        calls += 1
        if calls == fails_at:
            for layer in list(module)[: 1 if calls <= 3 else 4]:  # the first pass goes as far as a normalisation
                rows = layer(rows)
            raise KeyError("of the user's own")
        return module(rows)

    before = copy.deepcopy(module.state_dict())
    with pytest.raises(KeyError, match="of the user's own"):  # noqa: PT012
        cached = CachedForward(failing, module, batch, 4)
        before = copy.deepcopy(module.state_dict())
        cached.backward(torch.ones_like(cached.outputs))
    assert calls == fails_at
    assert_untouched(module)
    after = module.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if "running" in name or "tracked" in name)
    assert calls <= 9 or torch.equal(after["3.n_calls"], before["3.n_calls"])


@pytest.mark.parametrize("size", [0, -3, 2.5, None, "512"])
def test_parts_need_a_row(size):
    module, batch = made("mlp", 4)
    with pytest.raises(ValueError, match=rf"micro_batch_size={size!r} must be a whole number >= 1, such as 512"):
        CachedForward(module, module, batch, size)


def test_what_draws_needs_a_generator():
    module, batch = made("mlp", 4)
    with pytest.raises(ValueError, match=r"generator=None, but draws=True needs one"):
        CachedForward(module, module, batch, 2, draws=True)


@pytest.mark.parametrize("size", [2, 10])
def test_gradients_of_another_shape_are_refused(size):
    module, batch = made("mlp", 10)
    cached = CachedForward(module, module, batch, size)
    with pytest.raises(ValueError, match=r"grad_outputs has shape \(10, 3\); it needs that of the outputs, \(10, 4\)"):
        cached.backward(torch.ones(10, 3))


def test_outputs_must_be_one_a_row():
    module, batch = made("mlp", 10)
    with pytest.raises(ValueError, match=r"returned \(2, 5, 4\) for a part of shape \(5, 6\); it must return one"):
        CachedForward(lambda rows: torch.stack([module(rows)] * 2), module, batch, 5)


def test_a_batch_normalisation_with_a_forward_of_its_own_is_refused():
    class Ghost(nn.BatchNorm1d):
        def forward(self, batch):
            return torch.cat([super(Ghost, self).forward(rows) for rows in batch.split(2)])

    _, batch = made("mlp", 10)
    module = around(Ghost(5)).double()
    with pytest.raises(ValueError, match=r"Ghost has a forward of its own.*or micro_batch_size=None"):
        CachedForward(module, module, batch, 4)
    CachedForward(module.eval(), module, batch, 4)  # where it does not use the batch, it is like any layer


@pytest.mark.parametrize("what", ["another", "one more", "one less"])
def test_parts_must_call_in_the_same_order(what):
    _, batch = made("mlp", 9)
    norms = nn.ModuleList([nn.BatchNorm1d(6), nn.BatchNorm1d(6)]).double()
    odd = {"another": [1, 0], "one more": [0, 1, 1], "one less": [0]}[what]

    def function(rows):
        for i in odd if torch.equal(rows[0], batch[5]) else [0, 1]:
            rows = norms[i](rows)
        return rows

    with pytest.raises(RuntimeError, match="batch normalisations in different orders"):
        CachedForward(function, norms, batch, 5)


def test_checkpointing_is_refused_where_it_normalises_once_more():
    module, batch = made("mlp", 10)
    running = module[1].running_mean.clone()
    cached = CachedForward(lambda rows: checkpoint(module, rows, use_reentrant=False), module, batch, 4)
    assert not torch.equal(module[1].running_mean, running)
    with pytest.raises(RuntimeError, match=r"calls BatchNorm1d again, as activation checkpointing does"):
        cached.backward(torch.ones_like(cached.outputs))
    assert_untouched(module)


def test_checkpointing_may_be_used_where_nothing_normalises_by_the_batch():
    whole, batch = made("mlp, layer", 10)
    parts = copy.deepcopy(whole)
    cached = CachedForward(lambda rows: checkpoint(parts, rows, use_reentrant=False), parts, batch, 4)
    cached.backward(torch.ones_like(cached.outputs))
    whole(batch).backward(torch.ones(10, 4, dtype=torch.float64))
    assert_same(parts, whole)
