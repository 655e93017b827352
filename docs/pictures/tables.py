"""Figures of the evidence pages, read from their tables, so that a chart is never another than its table; dots."""

import re
from pathlib import Path

import numpy as np
from style import PALE

EVIDENCE = Path(__file__).parents[1] / "evidence"
NUMBER = re.compile(
    r"(?:(?<![\w.])[-+])?\d+(?:\.\d+)?"
)  # in 0.49-0.56 the hyphen is no sign


def table(page, stage, title):
    """Return the names of the rows of a table, and its columns by their heads; cells are text."""
    block = f"<!-- evidence: {stage}: {title} -->\n"
    text = (
        (EVIDENCE / f"{page}.md")
        .read_text(encoding="utf-8")
        .split(block)[1]
        .split("<!-- /evidence -->")[0]
    )
    head, _, *rows = (
        [cell.strip() for cell in line[1:-1].split("|")]
        for line in text.strip().splitlines()
    )
    names, *columns = zip(*rows, strict=True)
    return list(names), dict(zip(head[1:], map(list, columns), strict=True))


def numbers(cells, place=0):
    """Return the numbers at a place of each cell, NaN where there is none; in "91.4 ± 1.1" the spread is at place 1."""
    found = [NUMBER.findall(cell) for cell in cells]
    return [
        float(of_cell[place]) if len(of_cell) > place else float("nan")
        for of_cell in found
    ]


def draw_dots(ax, columns, methods, order, *, size=5):
    """Draw a line for each set, with a dot and its spread for each method: its label, colour, marker and shift."""
    for method, (label, color, marker, shift) in methods.items():
        x, spread = (
            np.array(numbers(columns[method], place))[order] for place in (0, 1)
        )
        y = np.arange(len(order)) + shift
        ms = 9 if marker == "|" else size
        ax.errorbar(
            x, y, xerr=spread, fmt=marker, color=color, ms=ms, lw=1, label=label
        )
    for y in range(len(order)):
        ax.axhline(y, color=PALE, lw=1, zorder=0)
    ax.tick_params(axis="y", length=0)


def name_dots(fig, axes, names):
    """Name the lines at the left, and the methods below."""
    axes[0].set_yticks(range(len(names)), names)
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), frameon=False
    )
