"""Digits with the lowest and the highest outlier_score, by an embedder that was trained without fours."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from style import CORAL, bare

from skgca import GCAEmbedder

X, y = load_digits(return_X_y=True)
known = y[:1400] != 4
embedder = GCAEmbedder(max_epochs=30, random_state=0).fit(X[:1400][known])
X_new, y_new = X[1400:1700], y[1400:1700]
scores = embedder.outlier_score(X_new)
order = np.argsort(scores)

fig, axes = plt.subplots(2, 8, figsize=(7.5, 2.5))
for line, rows, name in zip(
    axes,
    (order[:8], order[::-1][:8]),
    ("lowest\nscores", "highest\nscores"),
    strict=True,
):
    for ax, row in zip(line, rows, strict=True):
        ax.imshow(X_new[row].reshape(8, 8), cmap="gray_r")
        ax.set_title(f"{scores[row]:.2f}", size=9)
        bare(ax)
        if y_new[row] == 4:
            ax.spines[:].set(visible=True, color=CORAL, linewidth=2.5)
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
