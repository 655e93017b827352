"""Recall at 1 of four methods against the share of wrong pairs, on three sets."""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREY, SAND, TEAL
from tables import numbers, table

METHODS = {
    "gca_uot with rince": (BLUE, "o-"),
    "ince": (TEAL, "^-"),
    "kernel CCA": (SAND, "s--"),
    "CCA": (GREY, "D--"),
}
names, columns = table("cross", "cross", "Recall at 1 in %")

fig, axes = plt.subplots(1, 3, figsize=(7.5, 3))
for ax, data in zip(axes, ("mnist", "digits", "wine"), strict=True):
    rows = [names.index(f"{data}, {share}% wrong") for share in (0, 20, 40)]
    for shift, (method, (color, form)) in zip(
        np.linspace(-0.9, 0.9, 4), METHODS.items(), strict=True
    ):
        recall, spread = (
            np.array(numbers(columns[method], place))[rows] for place in (0, 1)
        )
        ax.errorbar(
            np.array([0, 20, 40]) + shift,
            recall,
            spread,
            fmt=form,
            color=color,
            ms=5,
            lw=1.2,
            label=method,
        )
    ax.set(title=data, xlabel="wrong pairs in %", xticks=[0, 20, 40], ylim=(0, None))
axes[0].set_ylabel("recall at 1 in %")
fig.legend(
    *axes[0].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=4,
    frameon=False,
)
