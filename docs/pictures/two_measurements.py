"""Two readers and one space: halves of digits, and how similar held-out halves are once they are embedded."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from sklearn.datasets import load_digits
from style import BLUE, GREY, INK, TEAL, arrow, bare, box

from skgca import GCACrossEmbedder, GCAEmbedder

digits, y = load_digits(return_X_y=True)
digits = digits.reshape(-1, 8, 8)
X, Y = (
    digits[:, :, :4].reshape(len(digits), -1),
    digits[:, :, 4:].reshape(len(digits), -1),
)
of_images = GCAEmbedder(image_shape=(8, 4), encoder="mlp")
pairs = GCACrossEmbedder(of_images, max_epochs=20, random_state=0).fit(
    X[:1400], Y[:1400]
)

shown = [
    1400 + np.flatnonzero(y[1400:] == label)[0] for label in range(10)
]  # one of each digit
similarity = pairs.transform(X[shown]) @ pairs.transform_y(Y[shown]).T

fig, (drawing, heat) = plt.subplots(1, 2, figsize=(7.5, 3.4), width_ratios=[1.8, 1])
for half, height, name, color in (
    (X, 3.9, "embedder", BLUE),
    (Y, 1.1, "embedder_y", TEAL),
):
    drawing.imshow(
        half[shown[2]].reshape(8, 4),
        cmap="gray_r",
        extent=(0.8, 1.8, height - 1, height + 1),
        zorder=2,
    )
    drawing.add_patch(
        Rectangle((0.8, height - 1), 1, 2, facecolor="none", edgecolor=GREY, zorder=3)
    )
    drawing.text(
        1.3,
        height - 1.3,
        "left half: X" if half is X else "right half: Y",
        ha="center",
        va="center",
    )
    arrow(drawing, (2.1, height), (3.1, height))
    box(drawing, 4.5, height, 2.6, 0.9, name, color=color)
    arrow(drawing, (5.9, height), (7.2, 2.5 + 0.35 * np.sign(height - 2.5)))
box(drawing, 8.4, 2.5, 2.2, 1.3, "common\nspace", color=INK)
drawing.set(
    xlim=(-0.1, 9.8), ylim=(-0.5, 5.2), aspect="auto", title="Two encoders, one space"
)
bare(drawing)

heat.imshow(similarity, cmap="Blues")
heat.set(
    title="Similarity of new halves",
    xlabel="right half of a digit",
    ylabel="left half of a digit",
)
heat.set_xticks(range(10), range(10))
heat.set_yticks(range(10), range(10))
heat.tick_params(length=0)
heat.spines[:].set(visible=True, color=GREY)
