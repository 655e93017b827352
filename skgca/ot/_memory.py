"""Whether the kernel stays in memory or is recomputed tile by tile, and how much memory is free.

A kept kernel takes n m numbers of memory, or half as many if it is symmetric. Each half step is then one product with
it. A recomputed kernel takes the memory of one tile. Each half step then forms all tiles again, and so repeats the
products of the embeddings and the exponentials.

Among ranks that share a kernel, each one decides for its own tiles (:mod:`._sharded`).
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import torch

from ._log_kernel import EmbeddingLogKernel, LogKernel
from ._sharded import ranks_here

__all__ = ["keeps_kernel", "shared_where_large"]

_ALWAYS_KEPT = 2**26  # bytes; for a smaller kernel the question how much memory is free costs more than it saves


def keeps_kernel(source: LogKernel, *, memory_limit: float | None, tiled: bool | None) -> bool:
    """Whether the tiles are kept: ``not tiled`` if that is given, else whether they fit ``memory_limit`` bytes.

    A limit of None means a quarter of the free memory, for all ranks on this machine together.
    """
    if tiled is not None:
        return not tiled
    n_bytes = _n_bytes(source) / source.ranks.n_ranks
    if memory_limit is not None:
        return n_bytes <= memory_limit
    if n_bytes <= _ALWAYS_KEPT:
        return True
    device = source.tensors[0].device
    return n_bytes * (source.ranks.n_local if device.type == "cpu" else 1) <= free_memory(device) / 4


def shared_where_large(source: LogKernel) -> LogKernel:
    """Share a kernel among the ranks of :func:`.shared_among`, unless it is small.

    All ranks decide alike, whatever memory each of them has. A matrix of scores is in the memory of every rank already.
    """
    ranks = ranks_here()
    if ranks.n_ranks == 1 or not isinstance(source, EmbeddingLogKernel) or _n_bytes(source) <= _ALWAYS_KEPT:
        return source
    return replace(source, ranks=ranks)


def _n_bytes(source: LogKernel) -> int:
    """Return the size of the whole kernel in bytes."""
    n, m = source.shape
    return n * m * source.tensors[0].element_size()


def free_memory(device: torch.device) -> float:
    """Return the free memory of a device in bytes.

    For a CPU it is that of the whole machine. The limit of a container may be lower.
    """
    if device.type == "cuda":
        # torch keeps memory that its tensors gave back, and the driver counts it as taken
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + kept)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))) * 1024
    except (OSError, StopIteration):  # not Linux: only the total is known, so memory in use counts as free
        return _physical_memory()


def _physical_memory() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf: assume 8 GiB
        return 2.0**33
