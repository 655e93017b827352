"""Accuracy of the default embedding of series beside MiniRocket and a random forest, set by set."""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREY, PALE, SAND
from tables import numbers, table

METHODS = {
    "random forest": ("random forest", GREY, "s"),
    "MiniRocket": ("MiniRocket", SAND, "D"),
    "GCA": ("GCAEmbedder", BLUE, "o"),
}
found = {
    labels: table("series", "series", f"Accuracy in %, {labels}")
    for labels in ("all labels", "5 labels a class")
}
names = [name for name in found["all labels"][0] if not name.startswith("mean")]
few = found["5 labels a class"][1]
order = np.argsort(
    np.subtract(numbers(few["GCA"]), numbers(few["MiniRocket"]))[: len(names)]
)

fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.4), sharey=True)
for ax, (labels, (_, columns)) in zip(axes, found.items(), strict=True):
    for shift, (method, (label, color, marker)) in zip(
        (-0.18, 0.0, 0.18), METHODS.items(), strict=True
    ):
        x, spread = (
            np.array(numbers(columns[method], place))[order] for place in (0, 1)
        )
        y = np.arange(len(names)) + shift
        ax.errorbar(x, y, xerr=spread, fmt=marker, color=color, ms=5, lw=1, label=label)
    for y in range(len(names)):
        ax.axhline(y, color=PALE, lw=1, zorder=0)
    ax.set(title=labels.capitalize(), xlabel="accuracy in %")
    ax.tick_params(axis="y", length=0)
axes[0].set_yticks(range(len(names)), [names[row] for row in order])
fig.legend(
    *axes[0].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=3,
    frameon=False,
)
