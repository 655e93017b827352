"""Whether the kernel stays in memory or is recomputed tile by tile, and how much memory is free.

A kept kernel takes n m numbers of memory, or half as many if it is symmetric. Each half step is then one product with
it. A recomputed kernel takes the memory of one tile. Each half step then forms all tiles again, and so repeats the
products of the embeddings and the exponentials.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch

from ._log_kernel import LogKernel

__all__ = ["keeps_kernel"]

_ALWAYS_KEPT = 2**26  # bytes; for a smaller kernel the question how much memory is free costs more than it saves


def keeps_kernel(source: LogKernel, *, memory_limit: float | None, tiled: bool | None) -> bool:
    """Whether the whole kernel is kept: ``not tiled`` if that is given, else whether it fits ``memory_limit`` bytes.

    A limit of None means a quarter of the free memory.
    """
    if tiled is not None:
        return not tiled
    n, m = source.shape
    like = source.tensors[0]
    n_bytes = n * m * like.element_size()
    if memory_limit is not None:
        return n_bytes <= memory_limit
    return n_bytes <= _ALWAYS_KEPT or n_bytes <= free_memory(like.device) / 4


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
