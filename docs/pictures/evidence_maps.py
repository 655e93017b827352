"""Neighbours of the same class and trustworthiness of maps by GCAMap, UMAP and PCA, set by set."""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREY, SAND
from tables import draw_dots, name_dots, numbers, table

METHODS = {
    "PCA": ("PCA", GREY, "s", -0.18),
    "UMAP": ("UMAP", SAND, "D", 0.0),
    "GCAMap": ("GCAMap", BLUE, "o", 0.18),
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
    draw_dots(ax, columns, METHODS, order)
    ax.set(title=title, xlabel=f"{title.split()[0].lower()} in %")
name_dots(fig, axes, [names[row] for row in order])
