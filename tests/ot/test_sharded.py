"""A kernel that ranks share gives what one process computes, on every rank, with a part of the memory on each.

Every function that runs on ranks returns numbers, which the test compares: with one process up to rounding, and among
ranks bit by bit.
"""

import itertools
import sys
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from skgca.losses import LearnableEpsilon, make_loss
from skgca.ot import _implicit_gradient, _kernel_domain, _log_domain, _memory, _tiled_kernel, sinkhorn_embeddings
from skgca.ot._log_kernel import LOG_KERNELS
from skgca.ot._memory import keeps_kernel, shared_where_large
from skgca.ot._sharded import ALONE, log_sums_over, shared_among
from skgca.ot._tiled_kernel import spans

from ..losses.cases import CASES, LAYOUTS, assert_alike, views
from ..numerics import assert_close, size
from ..ranks import on_ranks
from .problems import INF, embeddings, masses, rounding, scalar, weights


@dataclass
class Group:
    """The default process group, which counts what it was asked for."""

    n_ranks: int = field(default_factory=dist.get_world_size)
    rank: int = field(default_factory=dist.get_rank)
    n_local: int = 1
    calls: list = field(default_factory=list)

    def sum(self, tensor):
        return self._reduce(tensor, dist.ReduceOp.SUM)

    def maximum(self, tensor):
        return self._reduce(tensor, dist.ReduceOp.MAX)

    def _reduce(self, tensor, operation):
        assert tensor.is_contiguous()
        self.calls.append((str(operation), tensor.numel()))
        dist.all_reduce(tensor, operation)
        return tensor


def share_small_kernels():
    """Share kernels of any size, in this process, which runs one test only."""
    _memory._ALWAYS_KEPT = 0
    _tiled_kernel._TILE_BYTES = 1  # tiles of 32 rows, or fewer if that makes them even


def same_bits(ranks):
    """Assert that all ranks returned the same bits, and return what they did."""
    first, *others = ranks
    for other in others:
        for x, y in zip(first, other, strict=True):
            assert torch.equal(x, y)
    return first


# Plans

FORMS = {"kernel": ("cosine", 0.5), "shifted kernel": ("sqeuclidean", 0.3), "log": ("cosine", 0.05)}
EVERY_MARGINAL = ["row", (INF, 0.5), "balanced", (0.0, 0.7), 1.0, (0.0, 0.0)]


@dataclass(frozen=True)
class Setting:
    """A plan that is to run in one of the three forms."""

    form: str
    joint: bool
    marginals: object
    tiled: bool
    n_iter: int = 3
    options: dict = field(default_factory=dict)

    @property
    def epsilon(self):
        return FORMS[self.form][1]

    def solve(self):
        """Return the plan and the embeddings, whose rows make tiles of uneven number and height."""
        cost, _ = FORMS[self.form]
        z = [embeddings(74).requires_grad_(), embeddings(90, seed=1).requires_grad_()][: 1 if self.joint else 2]
        _kernel_domain._LOG_RANGE[torch.float64] = -INF if self.form == "log" else 640.0
        plan = sinkhorn_embeddings(
            *z,
            cost=cost,
            epsilon=self.epsilon,
            marginals=self.marginals,
            n_iter=self.n_iter,
            a=masses(74),
            tiled=self.tiled,
            **self.options,
        )
        return plan, z


def numbers(plan, z):
    """Everything by which a plan is compared with another one."""
    error = torch.tensor(plan.marginal_error, dtype=torch.float64)
    value = scalar(plan, weights(len(plan.f), len(plan.g)))
    gradients = torch.autograd.grad(value, z)
    return [value.detach(), error, torch.tensor(plan.n_iter), plan.f.detach(), plan.g.detach(), *gradients]


def assert_same_plan(found, expected, setting):
    value, error, n_iter, f, g, *gradients = expected
    precision = rounding(setting.epsilon)
    assert_close(found[0], value, precision, scale=1.0 + len(f) * (size(f) + size(g)))
    assert_close(found[1], error, precision, scale=1.0)  # of masses of total 1
    # where iterations stop early depends on roundings, too
    assert (found[2] < setting.n_iter) == (n_iter < setting.n_iter)
    for x, y in zip(found[3:], [f, g, *gradients], strict=True):
        assert_close(x, y, precision)


def form_of(plan):
    domain = plan.solver.kernel_sinkhorn
    return "log" if domain is None else "kernel" if domain.kernel.shift_row is None else "shifted kernel"


@pytest.fixture(autouse=True)
def _restore_log_range(monkeypatch):
    monkeypatch.setattr(_kernel_domain, "_LOG_RANGE", dict(_kernel_domain._LOG_RANGE))


def shared_plans(rank, settings):
    share_small_kernels()
    found = []
    for setting in settings:
        with shared_among(Group()):
            plan, z = setting.solve()
        assert plan.solver.source.ranks.n_ranks == dist.get_world_size()
        found.append(numbers(plan, z))  # the backward pass runs outside of the block
    return found


def assert_as_one_process(n_ranks, settings):
    for setting, *ranks in zip(settings, *on_ranks(n_ranks, shared_plans, settings), strict=True):
        plan, z = setting.solve()
        assert form_of(plan) == setting.form or setting.marginals == (0.0, 0.0)  # which needs no iteration
        assert_same_plan(same_bits(ranks), numbers(plan, z), setting)


SETTINGS = [
    Setting(form, joint, marginals, tiled)
    for form, joint, (i, marginals) in itertools.product(FORMS, [True, False], enumerate(EVERY_MARGINAL))
    for tiled in [(i + joint) % 2 == 0]
]


@pytest.mark.parametrize(("n_ranks", "settings"), [(2, SETTINGS[::3]), (3, SETTINGS), (4, SETTINGS[1::3])])
def test_a_shared_plan_is_that_of_one_process(n_ranks, settings):
    assert_as_one_process(n_ranks, settings)


def test_iterations_stop_alike_and_all_gradients_are_those_of_one_process():
    options = [
        ("balanced", 60, {}),  # exits early, forward and in the reverse pass
        ((1.0, 0.5), 60, {"tol": 1e-6}),
        ((1.0, 0.5), 300, {"tol": 1e-10, "gradient": "implicit"}),
        ("balanced", 300, {"tol": 1e-8, "gradient": "envelope"}),
        (1.0, 3, {"anneal_from": 1.0}),
    ]
    settings = [
        Setting(form, joint, marginals, tiled=False, n_iter=n_iter, options=more)
        for (form, joint), (marginals, n_iter, more) in itertools.product([("kernel", True), ("log", False)], options)
    ]
    assert_as_one_process(2, settings)


def plans_of_different_ranks(rank, setting):
    share_small_kernels()
    group, found = Group(), []
    with shared_among(group):
        plan, z = replace(setting, tiled=rank % 2 == 0).solve()
    assert plan.solver.keep == (rank % 2 == 1)
    found.append(numbers(plan, z))
    calls = list(group.calls)
    if rank == 1:
        find_nothing_left_to_do()
    with shared_among(group):
        plan, z = setting.solve()
    found.append(numbers(plan, z))
    return found, calls


def find_nothing_left_to_do():
    """Measure no change and no error in this process, and find everything in range."""
    _kernel_domain.largest_change = lambda new, old: 0.0
    _kernel_domain.KernelSinkhorn._in_range = lambda self, trace: True
    _log_domain.still = lambda old, new: True
    for module in (_kernel_domain, _implicit_gradient):
        module.float = lambda tensor: 0.0  # what they read from a vector


@pytest.mark.parametrize(
    "setting",
    [
        Setting("kernel", True, "balanced", tiled=False, n_iter=30),
        Setting("shifted kernel", False, (1.0, 0.5), tiled=False, n_iter=300, options={"tol": 1e-8}),
        Setting("kernel", False, 1.0, tiled=False, n_iter=300, options={"tol": 1e-8, "gradient": "implicit"}),
        Setting("log", True, "balanced", tiled=False, n_iter=10),
    ],
    ids=lambda setting: setting.form,
)
def test_ranks_with_other_memory_or_other_roundings_stay_together(setting):
    expected = numbers(*setting.solve())
    found, calls = zip(*on_ranks(2, plans_of_different_ranks, setting, seconds=20), strict=True)
    assert calls[0] == calls[1]
    for ranks in zip(*found, strict=True):
        assert_same_plan(same_bits(ranks), expected, setting)


# Losses


def shared_losses(rank, calls):
    share_small_kernels()
    group, found = Group(), []
    with shared_among(group):
        for call in calls:
            found.append(value_and_gradients(*call, n_ranks=group.n_ranks))
    return found


def value_and_gradients(name, layout, weight, epsilon, n=12, n_ranks=1):
    """Value of a loss, and its gradients with respect to both views and a learned epsilon."""
    case = CASES[name]
    loss = case.loss(layout=layout, epsilon=epsilon)
    plans = []
    loss.solver.register_forward_hook(lambda solver, args, plan: plans.append(plan))
    inputs = (*views(n), *loss.parameters())
    value = loss(*inputs[:2], weight=weight, **case.reads(n))
    assert [plan.solver.source.ranks.n_ranks for plan in plans] == [n_ranks]
    return value.detach(), *torch.autograd.grad(value, inputs)


WEIGHT = torch.linspace(0.0, 2.0, 12, dtype=torch.float64)  # the first row is left out
VARIANTS = [(None, 0.2), (WEIGHT, 0.2), (None, LearnableEpsilon(0.2)), (WEIGHT, 0.002)]


@pytest.mark.parametrize("n_ranks", [2, 3])
def test_a_loss_in_a_shared_block_is_that_of_one_process(n_ranks):
    calls = [
        (name, layout, *VARIANTS[(i // 2 + j) % 4])
        for (i, name), (j, layout) in itertools.product(enumerate(CASES), enumerate(LAYOUTS))
        if (i + j) % 2 == n_ranks % 2
    ]
    for call, *ranks in zip(calls, *on_ranks(n_ranks, shared_losses, calls), strict=True):
        epsilon = call[-1] if isinstance(call[-1], float) else call[-1].start
        assert_alike(same_bits(ranks), value_and_gradients(*call), rounding(epsilon))


@pytest.mark.parametrize("n", [2, 4])
def test_a_rank_may_have_one_tile_or_none(n):
    calls = [(name, layout, None, 0.2, n) for name in ("gca_ince", "gca_uot", "ince") for layout in LAYOUTS]
    for call, *ranks in zip(calls, *on_ranks(3, shared_losses, calls), strict=True):
        assert_alike(same_bits(ranks), value_and_gradients(*call), rounding(0.2))


def second_derivatives(ranks=ALONE):
    z_a, z_b = views(n=12)
    with shared_among(ranks):
        value = make_loss("gca_uot", epsilon=0.2)(z_a, z_b)
    (gradient,) = torch.autograd.grad(value, z_a, create_graph=True)
    return [value.detach(), *torch.autograd.grad(gradient.square().sum(), (z_a, z_b))]


def shared_second_derivatives(rank):
    share_small_kernels()
    return second_derivatives(Group())


def test_second_derivatives_are_those_of_one_process():
    assert_alike(same_bits(on_ranks(2, shared_second_derivatives)), second_derivatives(), rounding(0.2))


def losses_of_nan(rank):
    share_small_kernels()
    z_a, z_b = views(n=12)
    broken = z_a.detach().clone()
    broken[3, 1] = torch.nan
    with shared_among(Group()):
        return [make_loss("gca_ince", epsilon=epsilon)(broken, z_b).detach() for epsilon in (0.5, 0.002)]


def test_a_loss_of_nan_is_nan_on_every_rank():
    assert torch.isnan(torch.tensor(on_ranks(3, losses_of_nan))).all()


# Who shares, and how much each rank holds


@dataclass(frozen=True)
class Imagined:
    """A rank that does not communicate."""

    n_ranks: int
    rank: int
    n_local: int = 1
    sum = maximum = staticmethod(lambda tensor: tensor)


def tiles_of(source, ranks, *, half):
    return [spans(replace(source, ranks=Imagined(ranks, rank)), half=half) for rank in range(ranks)]


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("n", [2, 7, 1000, 12_001])
@pytest.mark.parametrize("n_ranks", [2, 3, 8])
def test_each_row_belongs_to_one_rank(n_ranks, n, half):
    source = LOG_KERNELS["cosine"](torch.ones(n, 1), None, epsilon=0.5)
    dealt = sorted(itertools.chain(*tiles_of(source, n_ranks, half=half)))
    assert [start for start, _, _ in dealt] == [0, *(stop for _, stop, _ in dealt[:-1])]
    assert dealt[-1][1] == n
    assert all(first == (start if half else 0) for start, _, first in dealt)


@pytest.mark.parametrize("n", [4097, 12_000, 131_072])
@pytest.mark.parametrize("n_ranks", [2, 4, 8])
@pytest.mark.parametrize("half", [True, False])
def test_ranks_hold_equal_parts(n, n_ranks, half):
    source = LOG_KERNELS["cosine"](torch.ones(n, 1), None, epsilon=0.5)
    parts = [sum((stop - start) * (n - first) for start, stop, first in tiles) for tiles in
             tiles_of(source, n_ranks, half=half)]  # fmt: skip
    assert max(parts) <= 1.05 * sum(parts) / n_ranks
    alone = sum((stop - start) * (n - first) for start, stop, first in spans(source, half=half))
    assert sum(parts) <= 1.01 * alone


def test_only_large_kernels_of_embeddings_are_shared():
    ranks, large, small = Imagined(2, 0), torch.ones(4097, 1), torch.ones(4096, 1)  # 64 MiB are 4096 x 4096 float32

    def shared(z, cost="cosine"):
        return shared_where_large(LOG_KERNELS[cost](z, None, epsilon=0.5)).ranks is ranks

    with shared_among(ranks):
        assert shared(large)
        assert shared(large, "sqeuclidean")
        assert not shared(small)
        assert not shared(large[:1].expand(5000, 1), "student_t")
        with shared_among(Imagined(1, 0)):
            assert not shared(large)
        assert shared(large)
    assert not shared(large)


def test_a_kernel_stays_shared_when_it_is_made_anew():
    z = torch.ones(10, 2)
    for cost, z_b in itertools.product(["cosine", "sqeuclidean"], [None, z]):
        source = replace(LOG_KERNELS[cost](z, z_b, epsilon=0.5), ranks=Imagined(2, 0))
        assert source.scaled(2.0).ranks is source.rebuild(source.tensors).ranks is source.ranks


def test_log_sums_of_columns_without_mass_are_minus_infinity():
    row, col = torch.tensor([0.5, -INF]), torch.tensor([-INF, -3.0, -1000.0])
    found = log_sums_over(Imagined(1, 0), row, col)
    assert torch.equal(found[0], row)
    assert torch.equal(found[1], col)


def test_a_rank_keeps_its_tiles_if_they_fit_among_those_of_its_machine(monkeypatch):
    source = LOG_KERNELS["cosine"](torch.ones(100, 2), None, epsilon=0.5)  # 40,000 bytes
    monkeypatch.setattr(_memory, "_ALWAYS_KEPT", 0)

    def kept(free=0.0, limit=None, **ranks):
        monkeypatch.setattr(_memory, "free_memory", lambda device: free)
        return keeps_kernel(replace(source, ranks=Imagined(rank=0, **ranks)), memory_limit=limit, tiled=None)

    assert kept(n_ranks=4, limit=10_000)
    assert not kept(n_ranks=4, limit=9_999)
    assert kept(n_ranks=4, free=40_000.0)
    assert not kept(n_ranks=4, free=39_999.0)
    assert kept(n_ranks=4, n_local=4, free=160_000.0)
    assert not kept(n_ranks=4, n_local=4, free=159_999.0)


def bytes_held(rank):
    share_small_kernels()
    z = embeddings(600, dtype=torch.float32).requires_grad_()

    def held():
        plan = sinkhorn_embeddings(z, marginals="balanced", epsilon=0.5, n_iter=2)
        return sum(tile.nbytes for tile in plan.solver.kernel_sinkhorn.kernel.cache)

    with shared_among(Group()):
        shared = held()
    return shared, held()


def test_a_rank_of_four_holds_little_more_than_a_quarter():
    for shared, alone in on_ranks(4, bytes_held):
        assert 0.2 * alone < shared < 0.3 * alone


def peak_of_step(rank, n_pairs, *, shared):
    """Bytes that a training step adds to the peak of this process."""
    generator = torch.Generator().manual_seed(0)
    loss = make_loss("gca_ince", memory_limit=1e12)

    def step(n):
        z = torch.randn(2, n, 32, generator=generator).requires_grad_()
        with shared_among(Group() if shared else ALONE):
            loss(*z).backward()

    step(64)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _high_water()
    step(n_pairs)
    return _high_water() - before


def _high_water():
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux")
def test_a_shared_step_takes_little_more_than_a_quarter_of_the_memory():
    (alone,) = on_ranks(1, partial(peak_of_step, n_pairs=3000, shared=False))
    assert max(on_ranks(4, partial(peak_of_step, n_pairs=3000, shared=True))) < 0.5 * alone
