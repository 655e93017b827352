"""What is kept and what is recomputed, by peak memory of a fresh process."""

import subprocess
import sys

import pytest
import torch

from skgca.ot import sinkhorn_embeddings
from skgca.ot._log_kernel import cosine_log_kernel
from skgca.ot._memory import free_memory, keeps_kernel
from skgca.ot._tiled_kernel import spans

from ..numerics import assert_close
from .problems import embeddings, rounding

_STEP = """
import sys
from pathlib import Path
import torch
from skgca.losses import AlignmentLoss, KLDivergence

def step(n, epsilon, limit):
    z = torch.randn(2, n // 2, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = AlignmentLoss(
        epsilon=epsilon, marginals="balanced", divergence=KLDivergence(), n_iter=3, memory_limit=limit
    )
    loss(*z).backward()

n, epsilon, limit = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
def high_water():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))

step(256, epsilon, limit)
# ru_maxrss would start at the peak of the process that started this one.
Path("/proc/self/clear_refs").write_text("5")
before = high_water()
step(n, epsilon, limit)
print(high_water() - before)
"""


def _peak(n, epsilon, limit):
    """Bytes that a training step adds to the peak of a process."""
    arguments = [sys.executable, "-c", _STEP, str(n), str(epsilon), str(limit)]
    return int(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux")
@pytest.mark.parametrize("epsilon", [0.5, 0.0005])
def test_dense_step_keeps_at_most_three_matrices(epsilon):
    n = 4096
    matrix = 4 * n * n
    assert 0.4 * matrix < _peak(n, epsilon, 1e12) < 3 * matrix  # below, it would not be what is measured


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux")
def test_tiled_step_keeps_no_matrix():
    n = 8192
    assert _peak(n, 0.5, 0.0) < 0.25 * 4 * n * n


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("epsilon", [0.5, 0.01, 0.0005])
def test_several_tiles_give_what_the_whole_kernel_gives(epsilon, symmetric):
    z = embeddings(1200, dtype=torch.float64).requires_grad_()
    z_b = None if symmetric else embeddings(900, seed=1)
    assert len(spans(cosine_log_kernel(z, z_b, epsilon=epsilon), half=symmetric)) > 1
    found = []
    for tiled in (True, False):
        plan = sinkhorn_embeddings(z, z_b, marginals=1.0, epsilon=epsilon, n_iter=3, tiled=tiled)
        loss = plan.mass + plan.f.sin().sum() + plan.row_mass.square().sum()
        found.append((loss, *torch.autograd.grad(loss, z)))
    assert_close(found[0][0], found[1][0], rounding(epsilon), scale=plan.f.sin())
    assert_close(found[0][1], found[1][1], rounding(epsilon))


def test_several_tiles_are_the_dense_iterations():
    z = embeddings(1200).requires_grad_()
    plan = sinkhorn_embeddings(z, marginals="balanced", epsilon=0.2, n_iter=3, tiled=True)
    (found,) = torch.autograd.grad(plan.f.sin().sum(), z)
    scores, mass = sinkhorn_embeddings(z, marginals="balanced", epsilon=0.2, n_iter=1).scores, plan.a
    g = torch.zeros_like(mass)
    for _ in range(3):
        f = mass.log() - torch.logsumexp(scores + g, 1)
        g = mass.log() - torch.logsumexp(scores + f[:, None], 0)
    assert_close(found, torch.autograd.grad(f.sin().sum(), z)[0], rounding(0.2))


def test_limit_decides_unless_it_is_forced():
    source = cosine_log_kernel(torch.ones(100, 2), None, epsilon=0.5)
    assert keeps_kernel(source, memory_limit=None, tiled=None)
    assert keeps_kernel(source, memory_limit=40_000, tiled=None)
    assert not keeps_kernel(source, memory_limit=39_999, tiled=None)
    assert keeps_kernel(source, memory_limit=1, tiled=False)
    assert not keeps_kernel(source, memory_limit=1e9, tiled=True)
    huge = cosine_log_kernel(torch.ones(2**22, 1), None, epsilon=0.5)
    assert not keeps_kernel(huge, memory_limit=None, tiled=None)
    assert free_memory(torch.device("cpu")) > 2**20
