"""What the benchmarks print: tables in Markdown, and what they were measured with."""

import os
import platform
from importlib import metadata
from pathlib import Path

import numpy as np

PLUS_MINUS = " ±\u00a0"  # a narrow cell breaks before it, and not behind
PACKAGES = ("skgca", "torch", "scikit-learn", "skorch", "numpy", "scipy")


def version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def machine():
    """Cores, the processor's name and memory, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else float("nan")
    return f"{os.cpu_count()} cores ({models[0] if models else platform.machine()}), {gib:.0f} GiB"


def about(*more):
    """Print, in a line, the versions, the machine, and what else tells one run from another."""
    versions = [f"{package} {version(package)}" for package in PACKAGES if version(package)]
    print("; ".join([", ".join([f"Python {platform.python_version()}", *versions]), machine(), *map(str, more)]))


def table(title, head, rows):
    """Print a table in Markdown below its title, which is in its corner, too, if that is empty."""
    head = [head[0] or title, *head[1:]]
    print(f"\n{title}\n\n| {' | '.join(map(str, head))} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def show(title, frame, head=""):
    """Print a data frame; numbers as they are, NaN as nothing."""
    rows = [[as_text(value) for value in row] for row in frame.to_numpy()]
    table(title, [head, *frame], [[name, *row] for name, row in zip(frame.index, rows, strict=True)])


def as_text(value):
    if not isinstance(value, float | np.floating):
        return str(value)
    return "" if np.isnan(value) else f"{value:g}"


def cell(values, unit=100.0, digits=1):
    """Mean and standard deviation of the values of a dict over seeds."""
    values = unit * np.array(list(values.values()))
    if not len(values):
        return ""
    spread = f"{PLUS_MINUS}{values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{spread}"
