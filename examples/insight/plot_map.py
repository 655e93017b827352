"""
A map of the data, and new rows in it
=====================================

t-SNE and UMAP draw pictures of data in two dimensions. :class:`~skgca.GCAMap` does so
by a small network, which places new rows in the same picture within milliseconds. The
data are scikit-learn's digits, as a table of 64 columns.

The example needs matplotlib.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skgca import GCAMap
from skgca.inspection import EmbeddingDisplay

X, y = load_digits(return_X_y=True)
X, X_new, y, y_new = train_test_split(
    X, y, train_size=900, test_size=500, random_state=0
)

# %%
# The map is made without labels. They only set the colours. Most digits form groups.

fitted = GCAMap(random_state=0).fit(X)
display = EmbeddingDisplay.from_estimator(fitted, X, y)
display.ax_.set(title="Map of 900 digits")

# %%
# The network places 500 new rows. In the figure, most of them fall among training rows
# of the same digit. We also count how often their 15 nearest training rows predict the
# right digit.

start = time.perf_counter()
points = fitted.transform(X_new)
milliseconds = 1000 * (time.perf_counter() - start)
print(f"{len(points)} new rows are placed in {milliseconds:.0f} ms")
trained = fitted.transform(X)
accuracy = KNeighborsClassifier(15).fit(trained, y).score(points, y_new)
print(f"15 neighbours in the map predict the class of {accuracy:.1%} of the new rows")

figure, axes = plt.subplots(
    1, 2, figsize=(11, 5), layout="constrained", sharex=True, sharey=True
)
maps = ((trained, y, "training rows"), (points, y_new, "new rows"))
for ax, (places, classes, title) in zip(axes, maps, strict=True):
    ax.scatter(*places.T, c=classes, s=8, cmap="tab10")
    for label in range(10):
        center = np.median(places[classes == label], axis=0)
        ax.text(
            *center, str(label), fontsize=14, weight="bold", ha="center", va="center"
        )
    ax.set(title=title, xticks=[], yticks=[])
plt.show()
