"""Points above the default of single settings, on tables and on images."""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREY, PALE, SAND
from tables import numbers, table

SHOWN = (
    "hidden_layer_sizes=(512, 512), epsilon=1.0",
    "hidden_layer_sizes=(32, 32), epsilon=1.0",
    "epsilon=0.1, marginals='balanced'",
    "epsilon=1.0, marginals='balanced'",
    "epsilon=0.5, marginals='row'",
    "epsilon=0.5, marginals=1.0",
    "loss='rince', epsilon=0.5",
    "loss='iot_uni', epsilon=0.5",
    "loss='byol', epsilon=0.5",
    "n_components=64, epsilon=0.5",
    "n_components=16, epsilon=0.5",
    "corruption_rate=0.05",
    "corruption_rate=0.7",
    "max_epochs=3",
    "max_epochs=0",
)
names, columns = table("settings", "settings", "Points above the default")
rows = [names.index(f"`{name}`") for name in SHOWN]
means = np.array(numbers(columns["tables, 10 labels a class"]))[rows]
order = np.argsort(means)

fig, axes = plt.subplots(1, 2, figsize=(7.5, 4), sharey=True)
for ax, kind in zip(axes, ("tables", "images"), strict=True):
    mean, worst, best = (
        np.array(numbers(columns[f"{kind}, 10 labels a class"], place))[rows]
        for place in range(3)
    )
    for y, row in enumerate(order):
        color = BLUE if mean[row] > 0 else GREY
        ax.hlines(y, worst[row], best[row], color=color, lw=1.2)
        ax.plot(mean[row], y, "o", color=color, ms=6)
        if np.isnan(mean[row]):
            ax.text(
                -1, y, "not measured", ha="right", va="center", color=GREY, fontsize=8
            )
        else:
            ax.axhline(y, color=PALE, lw=1, zorder=0)
    ax.axvline(0, color=SAND, lw=1.2, zorder=0)
    ax.set(title=kind.capitalize(), xlabel="points above the default")
    ax.tick_params(axis="y", length=0)
axes[0].set_yticks(range(len(rows)), [SHOWN[row] for row in order], fontsize=8)
