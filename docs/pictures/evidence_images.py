"""Accuracy on small colour images of the default views and of named ones, set by set."""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREY, SAND
from tables import draw_dots, name_dots, numbers, table

METHODS = {
    "untrained": ("untrained", GREY, "|", 0.0),
    "strong": ('"strong"', SAND, "^", 0.0),
    "geometric": ('"geometric"', SAND, "s", 0.0),
    "standard": ('"standard"', SAND, "D", 0.0),
    "GCA": ("GCAEmbedder", BLUE, "o", 0.0),
}
found = {
    labels: table("images", "images", f"Accuracy in %, {labels}")
    for labels in ("all labels", "10 labels a class")
}
names = [name for name in found["all labels"][0] if name != "mean"]
order = np.argsort(numbers(found["10 labels a class"][1]["GCA"])[: len(names)])

fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.2), sharey=True)
for ax, (labels, (_, columns)) in zip(axes, found.items(), strict=True):
    draw_dots(ax, columns, METHODS, order, size=6)
    ax.set(title=labels.capitalize(), xlabel="accuracy in %", xlim=(10, 95))
name_dots(fig, axes, [names[row] for row in order])
