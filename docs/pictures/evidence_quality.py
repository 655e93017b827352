"""Accuracy of the default embedding beside raw columns and extra trees, set by set."""

import matplotlib.pyplot as plt
import numpy as np
from style import BLUE, GREY, PALE, SAND
from tables import numbers, table

METHODS = {
    ("raw", "logistic regression"): ("raw columns", GREY, "o"),
    ("raw", "extra trees"): ("extra trees on raw columns", SAND, "s"),
    ("gca", "logistic regression"): ("GCAEmbedder", BLUE, "o"),
}
LABELS = ("all labels", "10 labels a class")


def accuracy(labels, read, classifier):
    """Names of the sets, and the accuracy of a classifier that reads raw columns or the embedding."""
    names, columns = table("quality", "quality", f"Classifiers on {read}, {labels}")
    return names, np.array(numbers(columns[classifier]))


found = {
    labels: {method: accuracy(labels, *method) for method in METHODS}
    for labels in LABELS
}
names = found["all labels"]["gca", "logistic regression"][0]
few = found["10 labels a class"]
gain = few["gca", "logistic regression"][1] - few["raw", "logistic regression"][1]
order = np.argsort(gain)

fig, axes = plt.subplots(1, 2, figsize=(7.5, 4.3), sharey=True)
for ax, (labels, of) in zip(axes, found.items(), strict=True):
    values = {method: of[method][1][order] for method in METHODS}
    ax.hlines(
        range(len(names)),
        np.min([*values.values()], 0),
        np.max([*values.values()], 0),
        color=PALE,
        lw=2,
        zorder=0,
    )
    for method, (label, color, marker) in METHODS.items():
        ax.plot(
            values[method],
            range(len(names)),
            marker,
            color=color,
            label=label,
            ms=6 if color == BLUE else 5,
        )
    ax.set(
        title=labels.capitalize(), xlabel="accuracy in %", ylim=(-0.7, len(names) - 0.3)
    )
axes[0].set_yticks(range(len(names)), [names[row] for row in order], fontsize=9)
axes[0].tick_params(axis="y", length=0)
axes[1].tick_params(axis="y", length=0)
fig.legend(
    *axes[0].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=3,
    frameon=False,
)
