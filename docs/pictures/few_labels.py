"""Few labels: the embedding of all digits with the labelled ones marked, and what a classifier makes of them."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patheffects import withStroke
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from style import BLUE, CORAL, GREY, INK, SAND, bare

from skgca import GCAEmbedder, GCAMap

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    X, y, train_size=1200, stratify=y, random_state=0
)
embedder = GCAEmbedder(image_shape=(8, 8), max_epochs=30, random_state=0).fit(X)
Z, Z_test = embedder.transform(X), embedder.transform(X_test)

sizes, seeds = (2, 5, 10, 20, 50), range(3)
methods = {
    "regression on the embedding": (LogisticRegression(max_iter=1000), Z, Z_test),
    "regression on pixels": (LogisticRegression(max_iter=1000), X / 16, X_test / 16),
    "random forest on pixels": (RandomForestClassifier(random_state=0), X, X_test),
}
accuracy = {name: [] for name in methods}
for size in sizes:
    rngs = [np.random.default_rng(seed) for seed in seeds]
    draws = [
        np.concatenate(
            [
                rng.choice(np.flatnonzero(y == digit), size, replace=False)
                for digit in range(10)
            ]
        )
        for rng in rngs
    ]
    for name, (head, features, test) in methods.items():
        accuracy[name].append(
            np.mean(
                [
                    head.fit(features[rows], y[rows]).score(test, y_test)
                    for rows in draws
                ]
            )
        )
    if size == 2:
        labelled = draws[0]

figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.2))
plane = GCAMap(max_epochs=30, random_state=0).fit_transform(Z)
left.scatter(*plane.T, s=5, color=GREY, alpha=0.5, linewidths=0)
outline = [withStroke(linewidth=3, foreground="white")]
for row in labelled:
    left.text(
        *plane[row],
        y[row],
        color=CORAL,
        size=14,
        weight="bold",
        ha="center",
        va="center",
        path_effects=outline,
    )
left.set_title("1,200 digits, 20 of them labelled")
bare(left)

for (name, found), color, marker in zip(
    accuracy.items(), (BLUE, SAND, INK), "os^", strict=True
):
    right.plot(sizes, found, color=color, marker=marker, label=name)
right.set(xscale="log", xlabel="labels a class", title="Accuracy on new digits")
right.set_xticks(sizes, [str(size) for size in sizes])
right.minorticks_off()
right.legend(frameon=False, fontsize=9, loc="lower right")
