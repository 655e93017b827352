"""Accuracy of the default embedding of series beside MiniRocket and a random forest, set by set."""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREY, SAND
from tables import draw_dots, name_dots, numbers, table

METHODS = {
    "random forest": ("random forest", GREY, "s", -0.18),
    "MiniRocket": ("MiniRocket", SAND, "D", 0.0),
    "GCA": ("GCAEmbedder", BLUE, "o", 0.18),
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
    draw_dots(ax, columns, METHODS, order)
    ax.set(title=labels.capitalize(), xlabel="accuracy in %")
name_dots(fig, axes, [names[row] for row in order])
