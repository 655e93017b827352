"""
Rows that resemble each other need not be negatives
===================================================

InfoNCE pushes all rows apart but the two views of one. With ``RelationalTarget`` each row ought to match, beside its
own other view, the rows that its first view resembles, as in ReSSL. One view should be milder than the other, so that
it is the better judge: here the images as they are, beside images with a blank square and noise. Needs matplotlib.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skgca import GCAEmbedder
from skgca.losses import RelationalTarget

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)


def damaged(batch, generator):
    """A blank square of 4 x 4 pixels, and noise."""
    corner = torch.randint(5, (len(batch), 2, 1), generator=generator)
    inside = (torch.arange(8) >= corner) & (torch.arange(8) < corner + 4)  # (n, 2, 8): rows and columns of the square
    seen = batch.masked_fill((inside[:, 0, :, None] & inside[:, 1, None, :]).flatten(1), 0.0)
    return seen + torch.randn(batch.shape, generator=generator) / 8


# %%
# Two trainings that differ in the target alone, and their 15 nearest neighbours.

network = {"hidden_layer_sizes": (128, 128), "layers": "last", "passthrough": False, "standardize": False}
embedded = {}
for name, target in {"pairs": None, "relational": RelationalTarget(epsilon=0.05, weight=1.0)}.items():
    model = GCAEmbedder(64, target=target, views=["clean", damaged], max_epochs=30, random_state=0, **network)
    Z = model.fit(X_train).transform(X_train)
    embedded[name] = Z
    neighbours = KNeighborsClassifier(15, metric="cosine").fit(Z, y_train)
    print(f"{name:<12} {neighbours.score(model.transform(X_test), y_test):.3f}")

# %%
# What the target asks for at the end of the training, for a batch of 128 rows: beside each image of the first column,
# the five that it ought to match most, and their share of its mass.

batch = np.random.default_rng(0).permutation(len(X_train))[:128]
z = torch.from_numpy(embedded["relational"][batch])
affinity = RelationalTarget(epsilon=0.05, weight=1.0)(None, torch.stack([z, z])).fill_diagonal_(0.0).numpy()
same = y_train[batch][:, None] == y_train[batch]
print(f"mass on rows of the same digit: {(affinity * same).sum() / affinity.sum():.3f}")

figure, axes = plt.subplots(6, 6, figsize=(7, 7.6), layout="constrained")
shown = [np.flatnonzero(y_train[batch] == digit)[0] for digit in (0, 1, 3, 5, 8, 9)]
for line, row in zip(axes, shown, strict=True):
    matches = np.argsort(-affinity[row])[:5]
    for ax, match, title in zip(
        line, (row, *matches), ("a row", *(f"{affinity[row, m]:.0%}" for m in matches)), strict=True
    ):
        ax.imshow(X_train[batch[match]].reshape(8, 8), cmap="gray_r")
        wrong = y_train[batch[match]] != y_train[batch[row]]
        ax.set_title(title, fontsize=10, color="#d55e00" if wrong else "black")
        ax.set(xticks=[], yticks=[])
figure.suptitle("Rows, and what they ought to match beside themselves\n(another digit in orange)")
plt.show()

# %%
# Four fifths of the mass is on rows of the same digit, and the neighbours gain less than a point. Where near rows are
# often of another class, as letters are, it loses several points (page of evidence on neighbours in the literature).
