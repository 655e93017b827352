"""How much memory a device has left, and so whether a kernel is kept or recomputed tile by tile."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from ._log_kernel import LogKernel

__all__ = ["keeps_kernel"]

_ALWAYS = 2**26  # bytes; asking about less costs more than it could save


def keeps_kernel(source: LogKernel, *, memory_limit: float | None, tiled: bool | None) -> bool:
    """Whether the kernel of a source is kept whole: as was asked, else if it takes at most ``memory_limit`` bytes.

    None as the limit is a quarter of the free memory.
    """
    if tiled is not None:
        return not tiled
    n, m = source.shape
    like = source.tensors[0]
    need = n * m * like.element_size()
    if memory_limit is not None:
        return need <= memory_limit
    return need <= _ALWAYS or need <= free_memory(like.device) / 4


def free_memory(device: torch.device) -> float:
    """Free memory of a device in bytes; of the whole machine for a CPU, where a container may allow less."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))) * 1024
    except (OSError, StopIteration):  # not Linux: memory that is in use counts as free
        return _physical_memory()


def _physical_memory() -> float:
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):  # no such call, as on Windows
        return 2.0**33
