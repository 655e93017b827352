"""Accuracy of embeddings by other packages on seven tables, and their means."""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREY, PALE
from tables import numbers, table

found = {
    labels: table("peers", "peers", f"Accuracy in %, {labels}")
    for labels in ("all labels", "10 labels a class")
}
means = {
    labels: {m: numbers(cells)[-1] for m, cells in columns.items()}
    for labels, (_, columns) in found.items()
}
order = sorted(means["10 labels a class"], key=means["10 labels a class"].get)

fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.2), sharey=True)
for ax, (labels, (_, columns)) in zip(axes, found.items(), strict=True):
    for y, method in enumerate(order):
        color, values = BLUE if method == "gca" else GREY, numbers(columns[method])[:-1]
        ax.hlines(y, np.min(values), np.max(values), color=PALE, lw=2, zorder=0)
        ax.plot(values, [y] * len(values), "o", color=color, ms=4, alpha=0.45, mew=0)
        ax.plot(means[labels][method], y, "D", color=color, ms=7)
        ax.text(
            means[labels][method],
            y + 0.27,
            f"{means[labels][method]:.1f}",
            ha="center",
            color=color,
            fontsize=9,
        )
    ax.set(
        title=labels.capitalize(), xlabel="accuracy in %", ylim=(-0.5, len(order) - 0.2)
    )
    ax.tick_params(axis="y", length=0)
axes[0].set_yticks(
    range(len(order)),
    [{"gca": "GCAEmbedder", "raw": "raw columns"}.get(m, m) for m in order],
)
