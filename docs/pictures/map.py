"""A map of digits by GCAMap, and the places of rows that it has not seen."""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from style import bare

from skgca import GCAMap

X, y = load_digits(return_X_y=True)
X, X_new, y, y_new = train_test_split(
    X, y, train_size=600, test_size=300, random_state=0
)
fitted = GCAMap(max_epochs=80, random_state=0).fit(X)

fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.8), sharex=True, sharey=True)
colors = plt.get_cmap("tab10").colors
for ax, rows, labels, title in zip(
    axes, (X, X_new), (y, y_new), ("600 training rows", "300 new rows"), strict=True
):
    points = fitted.transform(rows)
    for label in range(10):
        ax.scatter(
            *points[labels == label].T,
            marker=f"${label}$",
            s=28,
            color=colors[label],
            linewidths=0,
        )
    ax.set_title(title)
    bare(ax)
