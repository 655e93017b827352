"""Two views of each row, an encoder, and where it puts the views: those of one row end up close."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from style import BLUE, CORAL, GREY, SAND, TEAL, arrow, bare, box

from skgca import GCAEmbedder

X = load_digits().data
rows, colors = [0, 2, 14], [BLUE, SAND, TEAL]  # a zero, a two and a four
embedder = GCAEmbedder(passthrough=False, max_epochs=10, random_state=0).fit(X)

rng = np.random.default_rng(1)
others = rng.integers(0, len(X), (2, 3, 64))
swapped = rng.uniform(size=(2, 3, 64)) < 0.2
views = np.where(swapped, X[others, np.arange(64)], X[rows])
pca = PCA(2).fit(embedder.transform(views.reshape(6, 64)))
plane = pca.transform(embedder.transform(views.reshape(6, 64))).reshape(2, 3, 2)
cloud = pca.transform(embedder.transform(X[:200]))


def picture(ax, cells, x, y, color, *, size=0.36, marked=None):
    """Draw the 64 cells of a row as an image, with those that were swapped outlined."""
    ax.imshow(
        cells.reshape(8, 8),
        extent=(x - size, x + size, y - size, y + size),
        cmap="gray_r",
        zorder=3,
    )
    edge = {"facecolor": "none", "edgecolor": color, "linewidth": 2, "zorder": 5}
    ax.add_patch(plt.Rectangle((x - size, y - size), 2 * size, 2 * size, **edge))
    side = size / 4
    for k in np.flatnonzero(marked) if marked is not None else ():
        corner = (x - size + k % 8 * side, y + size - (k // 8 + 1) * side)
        ax.add_patch(
            plt.Rectangle(
                corner,
                side,
                side,
                facecolor="none",
                edgecolor=CORAL,
                linewidth=0.8,
                zorder=4,
            )
        )


fig, ax = plt.subplots(figsize=(8.4, 3.3))
for k, color in enumerate(colors):
    y = 2.1 - 1.05 * k
    picture(ax, X[rows[k]], 0.5, y, color)
    arrow(ax, (0.95, y), (1.6, y))
    for v in range(2):
        picture(ax, views[v, k], 2.05 + 0.85 * v, y, color, marked=swapped[v, k])
box(ax, 5.05, 1.05, 1.3, 0.8, "encoder")
arrow(ax, (3.4, 1.05), (4.3, 1.05))
arrow(ax, (5.8, 1.05), (6.6, 1.05))

scale = [1.1, 0.95] / np.abs(plane).max(axis=(0, 1))
cloud = cloud[(np.abs(cloud * scale) < [1.35, 1.25]).all(axis=1)]
centre = np.array([8.2, 1.05])
ax.scatter(
    *(centre + cloud * scale).T, s=8, color=GREY, alpha=0.35, linewidths=0, zorder=1
)
for k, (color, marker) in enumerate(zip(colors, "os^", strict=True)):
    pair = centre + plane[:, k] * scale
    ax.plot(
        *pair.T,
        color=color,
        marker=marker,
        markersize=9,
        markeredgecolor="white",
        linewidth=2,
    )
    ax.text(-0.85, 2.1 - 1.05 * k, f"row {k + 1}", va="center")
    ax.text(*pair[pair[:, 1].argmax()] + [0, 0.18], f"row {k + 1}", ha="center")
for x, title in (
    (0.5, "A row"),
    (2.47, "Two views of it"),
    (5.05, "A network"),
    (8.2, "Vectors"),
):
    ax.text(x, 2.8, title, ha="center", weight="bold")
ax.text(
    2.47, -0.65, "outlined: cells of other rows", ha="center", va="center", color=GREY
)
bare(ax)
ax.set(xlim=(-0.9, 9.7), ylim=(-0.8, 3.0), aspect="equal")
