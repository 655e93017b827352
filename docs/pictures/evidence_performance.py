"""Time of a training step of three losses, a naive version and POT, over plain NT-Xent."""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, CORAL, GREY, INK, SAND, TEAL
from tables import numbers, table

LINES = {
    "naive": ("naive loop", SAND, "v--"),
    "POT": ("POT", CORAL, "^--"),
    "`gca_uot` 0.5": ("gca_uot", TEAL, "s-"),
    "`gca_ince` 0.5": ("gca_ince", BLUE, "o-"),
    "`ince` 0.5": ("ince", GREY, "D-"),
}
names, columns = table("performance", "losses-one-thread", "Time over NT-Xent")
sizes = [int(head.split()[0]) for head in columns if head.endswith("random")]

fig, ax = plt.subplots(figsize=(7.5, 3.2))
for row, (label, color, form) in LINES.items():
    cells = [columns[f"{size} random"][names.index(row)] for size in sizes]
    median, least, most = (np.array(numbers(cells, place)) for place in range(3))
    ax.errorbar(
        sizes,
        median,
        (median - least, most - median),
        fmt=form,
        color=color,
        ms=5,
        lw=1.5,
        label=label,
    )
    last = np.flatnonzero(np.isfinite(median))[-1]
    up = -9 if label in ("ince", "naive loop") else 2
    ax.annotate(
        label,
        (sizes[last], median[last]),
        (8, up),
        textcoords="offset points",
        color=color,
    )
ax.axhline(1, color=INK, lw=1, ls=":")
ax.text(14500, 1.05, "plain NT-Xent", ha="right", va="bottom")
ax.set(
    xscale="log",
    yscale="log",
    xlabel="rows of both views",
    ylabel="time / time of NT-Xent",
    xlim=(230, 15000),
)
ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
ax.set_yticks([0.2, 0.5, 1, 2, 5, 10], ["0.2", "0.5", "1", "2", "5", "10"])
ax.minorticks_off()
