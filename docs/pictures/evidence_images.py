"""Accuracy on small colour images of the default views and of named ones, set by set."""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREY, PALE, SAND
from tables import numbers, table

METHODS = {
    "untrained": ("untrained", GREY, "|"),
    "strong": ('"strong"', SAND, "^"),
    "geometric": ('"geometric"', SAND, "s"),
    "standard": ('"standard"', SAND, "D"),
    "GCA": ("GCAEmbedder", BLUE, "o"),
}
found = {
    labels: table("images", "images", f"Accuracy in %, {labels}")
    for labels in ("all labels", "10 labels a class")
}
names = [name for name in found["all labels"][0] if name != "mean"]
order = np.argsort(numbers(found["10 labels a class"][1]["GCA"])[: len(names)])

fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.2), sharey=True)
for ax, (labels, (_, columns)) in zip(axes, found.items(), strict=True):
    for method, (label, color, marker) in METHODS.items():
        x, spread = (
            np.array(numbers(columns[method], place))[order] for place in (0, 1)
        )
        size = 9 if marker == "|" else 6
        ax.errorbar(
            x,
            range(len(names)),
            xerr=spread,
            fmt=marker,
            color=color,
            ms=size,
            lw=1,
            label=label,
        )
    ax.hlines(range(len(names)), 0, 100, color=PALE, lw=1, zorder=0)
    ax.set(title=labels.capitalize(), xlabel="accuracy in %", xlim=(10, 95))
    ax.tick_params(axis="y", length=0)
axes[0].set_yticks(range(len(names)), [names[row] for row in order])
fig.legend(
    *axes[0].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=5,
    frameon=False,
)
