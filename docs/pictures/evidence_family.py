"""Points of each loss above InfoNCE under three kinds of views, set by set."""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREY, PALE, SAND, TEAL
from tables import numbers, table

SETS = {
    "mnist": (BLUE, "o", 0.22),
    "letter": (SAND, "s", 0.0),
    "vowel": (TEAL, "^", -0.22),
}
names, columns = table("family", "family", "Points above `ince`, 10 labels a class")
kept = [row for row, name in enumerate(names) if name != "`supcon`"]

fig, axes = plt.subplots(1, 3, figsize=(7.5, 3.5), sharex=True, sharey=True)
for ax, views in zip(axes, ("standard", "strong", "mis-paired"), strict=True):
    for name, (color, marker, shift) in SETS.items():
        x, spread = (
            np.array(numbers(columns[f"{name}, {views}"], place))[kept]
            for place in (0, 1)
        )
        y = np.arange(len(kept))[::-1] + shift
        ax.errorbar(x, y, xerr=spread, fmt=marker, color=color, ms=5, lw=1, label=name)
    ax.hlines(range(len(kept)), -16, 6, color=PALE, lw=1, zorder=0)
    ax.axvline(0, color=GREY, lw=1, zorder=0)
    ax.set(title=f"{views.capitalize()} views", xlim=(-16.5, 6))
    ax.tick_params(axis="y", length=0)
axes[1].set_xlabel("points above ince")
axes[0].set_yticks(np.arange(len(kept))[::-1], [names[row].strip("`") for row in kept])
fig.legend(
    *axes[0].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=3,
    frameon=False,
)
