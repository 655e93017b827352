"""
Similar rows need not be negatives
==================================

InfoNCE pushes all rows apart, except the two views of one row. With
:class:`~skgca.losses.RelationalTarget`, a row also matches rows that are similar to it,
as in ReSSL. The first view decides which rows are similar, so it should be the milder
one. Here it is the image itself, and the second view has a blank square and noise.

The example needs matplotlib.
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
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=0
)


def damaged(batch, generator):
    """Hide a square of 4 x 4 pixels, and add noise."""
    corner = torch.randint(5, (len(batch), 2, 1), generator=generator)
    place = torch.arange(8)
    rows, columns = ((place >= corner) & (place < corner + 4)).unbind(1)  # (n, 8) each
    square = rows[:, :, None] & columns[:, None, :]
    seen = batch.masked_fill(square.flatten(1), 0.0)
    return seen + torch.randn(batch.shape, generator=generator) / 8


# %%
# The two trainings differ only in the target. We compare the accuracy of 15 nearest
# neighbours in the two embeddings.

settings = {
    "views": ["clean", damaged],
    "hidden_layer_sizes": (128, 128),
    "layers": "last",
    "passthrough": False,
    "standardize": False,
    "max_epochs": 30,
    "random_state": 0,
}
relational = RelationalTarget(epsilon=0.05, weight=1.0)
embedded = {}
for name, target in {"pairs": None, "relational": relational}.items():
    model = GCAEmbedder(64, target=target, **settings)
    Z = model.fit(X_train).transform(X_train)
    embedded[name] = Z
    neighbours = KNeighborsClassifier(15, metric="cosine").fit(Z, y_train)
    print(f"{name:<12} {neighbours.score(model.transform(X_test), y_test):.3f}")

# %%
# This is the affinity of the target at the end of training, for a batch of 128 rows in
# the order of their digits. Squares along the diagonal are rows of one digit that match
# each other.

batch = np.random.default_rng(0).permutation(len(X_train))[:128]
z = torch.from_numpy(embedded["relational"][batch])
affinity = relational(None, torch.stack([z, z])).fill_diagonal_(0.0).numpy()
digit = y_train[batch]
same = (affinity * (digit[:, None] == digit)).sum() / affinity.sum()
print(f"mass on rows of the same digit: {same:.3f}")

order = np.argsort(digit, kind="stable")
figure, ax = plt.subplots(figsize=(6, 5), layout="constrained")
image = ax.imshow(affinity[np.ix_(order, order)], cmap="Blues", vmax=0.1)
starts = np.searchsorted(digit[order], range(11))
ax.set_xticks((starts[:-1] + starts[1:]) / 2, range(10))
ax.set_yticks((starts[:-1] + starts[1:]) / 2, range(10))
ax.set(xlabel="digit", ylabel="digit", title="Which rows should match")
figure.colorbar(image, ax=ax, label="share of the mass of a row", extend="max")
plt.show()

# %%
# The first column shows six rows. Beside each are the five rows that it matches most,
# with their share of its mass. The share of a row of another digit is orange.

figure, axes = plt.subplots(6, 6, figsize=(7, 7.6), layout="constrained")
shown = [np.flatnonzero(digit == label)[0] for label in (0, 1, 3, 5, 8, 9)]
for line, row in zip(axes, shown, strict=True):
    matches = np.argsort(-affinity[row])[:5]
    titles = ["a row", *(f"{affinity[row, match]:.0%}" for match in matches)]
    for ax, match, title in zip(line, (row, *matches), titles, strict=True):
        ax.imshow(X_train[batch[match]].reshape(8, 8), cmap="gray_r")
        color = "#d55e00" if digit[match] != digit[row] else "black"
        ax.set_title(title, fontsize=10, color=color)
        ax.set(xticks=[], yticks=[])
figure.suptitle("Rows, and the rows that they should match\n(another digit in orange)")
plt.show()

# %%
# Four fifths of the mass is on rows of the same digit, but the accuracy of neighbours
# rises by less than a point. Where near rows often belong to another class, as with
# letters, the target loses several points (see the evidence page "Targets from related
# work").
