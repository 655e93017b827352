"""Neighbours of the same class and trustworthiness of maps by GCAMap, UMAP and PCA, set by set."""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREY, PALE, SAND
from tables import numbers, table

METHODS = {
    "PCA": (GREY, "s", -0.18),
    "UMAP": (SAND, "D", 0.0),
    "GCAMap": (BLUE, "o", 0.18),
}
TITLES = {
    "Accuracy of 15 neighbours": "Accuracy of 15 neighbours",
    "Trustworthiness, 15 neighbours": "Trustworthiness",
}
found = {
    short: table("maps", "maps", f"{title}, in %, held-out rows")
    for title, short in TITLES.items()
}
names, columns = found["Accuracy of 15 neighbours"]
order = np.argsort(numbers(columns["GCAMap less UMAP"]))

fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.6), sharey=True)
for ax, (title, (_, columns)) in zip(axes, found.items(), strict=True):
    for method, (color, marker, shift) in METHODS.items():
        x, spread = (
            np.array(numbers(columns[method], place))[order] for place in (0, 1)
        )
        ax.errorbar(
            x,
            np.arange(len(names)) + shift,
            xerr=spread,
            fmt=marker,
            color=color,
            ms=5,
            lw=1,
            label=method,
        )
    for y in range(len(names)):
        ax.axhline(y, color=PALE, lw=1, zorder=0)
    ax.set(title=title, xlabel=f"{title.split()[0].lower()} in %")
    ax.tick_params(axis="y", length=0)
axes[0].set_yticks(range(len(names)), [names[row] for row in order])
fig.legend(
    *axes[0].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=3,
    frameon=False,
)
