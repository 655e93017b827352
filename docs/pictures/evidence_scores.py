"""Points above the default of nine ways to choose a setting, on two splits."""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREY, PALE, SAND
from tables import numbers, table

names, first = table("scores", "choice", "Ways to choose")
again = table("scores", "choice-again", "Ways to choose")[1]
kept = [row for row, name in enumerate(names) if name != "the default"]
order = sorted(
    kept,
    key=lambda row: np.mean(
        [numbers(first[c])[row] for c in first if c.endswith("default")]
    ),
)

fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.5), sharex=True, sharey=True)
for ax, labels in zip(axes, ("all labels", "10 labels a class"), strict=True):
    for columns, shift, filled in ((first, 0.16, True), (again, -0.16, False)):
        mean, spread = (
            numbers(columns[f"{labels}: above the default"], place) for place in (0, 1)
        )
        for y, row in enumerate(order):
            color = BLUE if names[row] == "view information" else GREY
            fill = color if filled else "white"
            ax.errorbar(
                mean[row],
                y + shift,
                xerr=spread[row],
                fmt="o",
                color=color,
                mfc=fill,
                ms=5,
                lw=1,
            )
    for y in range(len(order)):
        ax.axhline(y, color=PALE, lw=1, zorder=0)
    ax.axvline(0, color=SAND, lw=1.2, zorder=0)
    ax.set(title=labels.capitalize(), xlabel="points above the default")
    ax.tick_params(axis="y", length=0)
labels = [
    "score (view information)" if names[row] == "view information" else names[row]
    for row in order
]
axes[0].set_yticks(range(len(order)), labels, fontsize=9)
