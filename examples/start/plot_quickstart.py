"""
Quickstart: an embedding learned without labels, in a pipeline
==============================================================

Only ten images of each class have a label. :class:`~skgca.GCAEmbedder` learns an
embedding from all training images without labels. Then we fit a logistic regression to
the embeddings of the 100 labelled images, and compare it with the same regression on
raw pixels and on other features. At the end, a grid search chooses ``epsilon`` and
``marginals``.

``image_shape`` tells the embedder that its rows are images. It then learns from
rotated, scaled and partly erased copies.

Run the script by ``make demo``. It prints what you see below and saves the last picture
as quickstart.png.
"""

import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from skgca import GCAEmbedder
from skgca.model_selection import LabelledKFold

start = time.perf_counter()

# %%
# The data are the 1,797 digits of scikit-learn, with 8 x 8 pixels each. A label of -1
# means that the label is unknown.

X, y = load_digits(return_X_y=True)


def keep_labels(y, per_class, seed):
    """Return the labels, with all but a few of each class set to -1."""
    rng = np.random.default_rng(seed)
    by_class = [np.flatnonzero(y == label) for label in np.unique(y)]
    known = np.concatenate([rng.permutation(rows)[:per_class] for rows in by_class])
    kept = np.full_like(y, -1)
    kept[known] = y[known]
    return kept


# %%
# We compare five kinds of features. Three of them come from scikit-learn. The embedder
# trains for 40 epochs, half of its default, so that the example takes less than a
# minute.
#
# The last step of each pipeline is a logistic regression on the labelled rows.
# ``SelfTrainingClassifier`` with ``max_iter=0`` does just that. The embedder before it
# sees every row and does not read ``y``.

probe = SelfTrainingClassifier(LogisticRegression(max_iter=2000), max_iter=0)
images = {"image_shape": (8, 8), "random_state": 0}
nystroem = Nystroem(gamma=0.01, n_components=300, random_state=0)
steps = {
    "raw pixels": [StandardScaler()],
    "PCA, 30 components": [StandardScaler(), PCA(30, random_state=0)],
    "Nystroem, 300 components": [StandardScaler(), nystroem],
    "images, untrained": [GCAEmbedder(max_epochs=0, **images)],
    "GCAEmbedder of images": [GCAEmbedder(max_epochs=40, **images)],
}
models = {name: make_pipeline(*step, probe) for name, step in steps.items()}

# %%
# Each model is fitted on three splits, and tested on images that it has not seen. A
# line is printed when a model is done. The table shows mean and standard deviation over
# the splits.


def fitted(name, seed):
    """Fit a copy of a model to the training rows of a split and score it."""
    train, test = splits[seed]
    model = clone(models[name]).fit(X[train], keep_labels(y[train], 10, seed))
    return name, seed, model, model.score(X[test], y[test])


splits = list(
    StratifiedShuffleSplit(n_splits=3, test_size=0.3, random_state=0).split(X, y)
)
# The longest jobs come first
jobs = [(name, seed) for name in reversed(models) for seed in range(len(splits))]
print(f"Fitting {len(models)} models on {len(splits)} splits, in two processes")
fits, scores = {}, {}
parallel = Parallel(n_jobs=2, return_as="generator_unordered")
for name, seed, model, score in parallel(delayed(fitted)(*job) for job in jobs):
    fits[name, seed], scores[name, seed] = model, score
    seconds = time.perf_counter() - start
    print(f"  {seconds:3.0f} s  {name:<26}split {seed + 1}: {score:.3f}", flush=True)
table = pd.Series(scores).unstack().loc[list(models)]  # a column for each split

print("\nAccuracy with 10 labels a class, 3 splits, logistic regression on")
for name, row in table.iterrows():
    print(f"  {name:<26}{row.mean():.3f} +/- {row.std():.3f}")
gain = table.loc["GCAEmbedder of images"] - table.loc["raw pixels"]
points = ", ".join(f"{100 * g:+.1f}" for g in gain)
print(f"Gain over raw pixels, split by split: {points} points\n")

# %%
# Dots are the three splits, and lines their means.

figure, ax = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
places = range(len(table))[::-1]
ax.plot(table, places, "o", color="#0072b2", alpha=0.6)
ax.plot(table.mean(axis=1), places, "|", color="black", ms=24, mew=3)
ax.set_yticks(places, table.index)
ax.set(xlabel="accuracy on test images", title="Ten labels a class")
ax.grid(axis="x", alpha=0.3)

# %%
# ``epsilon`` and ``marginals`` are parameters like any other. Validation rows need
# labels. :class:`~skgca.model_selection.LabelledKFold` therefore splits the labelled
# rows, and keeps every unlabelled row in the training part.

train, test = splits[0]
labels = keep_labels(y[train], 10, seed=0)
folds = LabelledKFold(2, random_state=0)
grid = {
    "gcaembedder__epsilon": [0.1, 0.5],
    "gcaembedder__marginals": ["row", 1.0, "balanced"],
}
model = make_pipeline(GCAEmbedder(max_epochs=5, **images), probe)
print("Searching over six settings of epsilon and marginals", flush=True)
search = GridSearchCV(model, grid, cv=folds, n_jobs=2).fit(X[train], labels)

print("Grid search, mean accuracy over 2 folds of the 100 labels, 5 epochs")
results = pd.DataFrame(search.cv_results_)
results.columns = results.columns.str.removeprefix("param_gcaembedder__")
grid = results.pivot(index="epsilon", columns="marginals", values="mean_test_score")
print(grid.to_string(float_format="%.2f"))
best = search.best_params_.items()
best = {name.removeprefix("gcaembedder__"): value for name, value in best}
score = search.score(X[test], y[test])
print(f"Best: {best}; accuracy on the test rows {score:.3f}\n")

# %%
# Both maps show test images by t-SNE, and each image is drawn as its digit. By their
# pixels (left) the fives form two groups. In the embedding (right) they form one, and
# the gaps between classes are wider. Threes and nines touch on both maps.

print("Drawing two maps of the test images", flush=True)
spaces = {
    "Raw pixels": StandardScaler().fit(X[train]),
    "GCAEmbedder": fits["GCAEmbedder of images", 0][:-1],
}
figure, axes = plt.subplots(1, 2, figsize=(11, 5.5), layout="constrained")
for ax, (title, space) in zip(axes, spaces.items(), strict=True):
    plane = TSNE(random_state=0).fit_transform(space.transform(X[test]))
    for digit, color in enumerate(plt.get_cmap("tab10").colors):
        style = {"marker": f"${digit}$", "color": color, "s": 40, "linewidths": 0.3}
        ax.scatter(*plane[y[test] == digit].T, **style)
    ax.set(title=title, xticks=[], yticks=[])
figure.suptitle("Test images on two maps; labels were used for the colours only")

target = Path("quickstart.png")
figure.savefig(target, dpi=120)
print(f"Saved {target}; {time.perf_counter() - start:.0f} s in all")
