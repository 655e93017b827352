"""
Quickstart: an embedding learned without labels, in a pipeline
==============================================================

Of scikit-learn's digits, only ten images of each class have a label. ``GCAEmbedder`` learns an embedding from all
training images without any label; a logistic regression on it, fitted to the labelled hundred, is compared with the
same regression on raw pixels and on other embeddings. Told by ``image_shape`` that its rows are images, it learns from
rotated, scaled and partly erased ones what makes a digit. Then a grid search chooses epsilon and the marginals with the
labels that there are.

This page is a script: ``python examples/plot_quickstart.py``, or ``make demo``, prints what is below and saves the
picture as quickstart.png.
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
# The 1,797 digits of scikit-learn, 8 x 8 pixels each. A label that is -1 is one that is not known.

X, y = load_digits(return_X_y=True)


def keep_labels(y, per_class, seed):
    """Labels with all but a few of each class set to -1, scikit-learn's mark of an unlabelled row."""
    rng = np.random.default_rng(seed)
    known = np.concatenate([rng.permutation(np.flatnonzero(y == label))[:per_class] for label in np.unique(y)])
    kept = np.full_like(y, -1)
    kept[known] = y[known]
    return kept


# %%
# Five kinds of features, three of them what one would try without us. The embedder trains for 40 epochs, half of its
# default, so that this page is done within a minute. The last step of each pipeline is a logistic
# regression that fits the labelled rows only; with ``max_iter=0``, ``SelfTrainingClassifier`` does just that. The
# embedder before it sees every row, and does not read ``y``.

probe = SelfTrainingClassifier(LogisticRegression(max_iter=2000), max_iter=0)
images = {"image_shape": (8, 8), "random_state": 0}
steps = {
    "raw pixels": [StandardScaler()],
    "PCA, 30 components": [StandardScaler(), PCA(30, random_state=0)],
    "Nystroem, 300 components": [StandardScaler(), Nystroem(gamma=0.01, n_components=300, random_state=0)],
    "images, untrained": [GCAEmbedder(max_epochs=0, **images)],
    "GCAEmbedder of images": [GCAEmbedder(max_epochs=40, **images)],
}
models = {name: make_pipeline(*step, probe) for name, step in steps.items()}

# %%
# Each is fitted on three splits, and tested on images that it has not seen; a line is printed as soon as a model is
# done. In the table the mean over the splits stands on the left, the standard deviation on the right.


def fitted(name, seed):
    """Fit a copy of a model to all training rows of a split, with ten labels a class, and score it on the others."""
    train, test = splits[seed]
    model = clone(models[name]).fit(X[train], keep_labels(y[train], 10, seed))
    return name, seed, model, model.score(X[test], y[test])


splits = list(StratifiedShuffleSplit(n_splits=3, test_size=0.3, random_state=0).split(X, y))
jobs = [(name, seed) for name in reversed(models) for seed in range(len(splits))]  # the longest first
print(f"Fitting {len(models)} models on {len(splits)} splits of {len(X)} images, in two processes")
fits, scores = {}, {}
for name, seed, model, score in Parallel(n_jobs=2, return_as="generator_unordered")(
    delayed(fitted)(name, seed) for name, seed in jobs
):
    fits[name, seed], scores[name, seed] = model, score
    print(f"  {time.perf_counter() - start:3.0f} s  {name:<26}split {seed + 1}: {score:.3f}", flush=True)
table = pd.Series(scores).unstack().loc[list(models)]  # a column for each split

print("\nAccuracy with 10 labels a class, 3 splits, logistic regression on")
for name, row in table.iterrows():
    print(f"  {name:<26}{row.mean():.3f} +/- {row.std():.3f}")
gain = table.loc["GCAEmbedder of images"] - table.loc["raw pixels"]
print(f"Gain over raw pixels, split by split: {', '.join(f'{100 * g:+.1f}' for g in gain)} points\n")

# %%
# Epsilon and marginals are parameters like any other. Validation rows must have labels, so ``LabelledKFold`` splits the
# labelled rows, and leaves every unlabelled row in the training part.

train, test = splits[0]
labels = keep_labels(y[train], 10, seed=0)
folds = LabelledKFold(2, random_state=0)
grid = {"gcaembedder__epsilon": [0.1, 0.5], "gcaembedder__marginals": ["row", 1.0, "balanced"]}
model = make_pipeline(GCAEmbedder(max_epochs=5, **images), probe)
print("Searching over six settings of epsilon and marginals", flush=True)
search = GridSearchCV(model, grid, cv=folds, n_jobs=2).fit(X[train], labels)

print("Grid search, mean accuracy over 2 folds of the 100 labels, 5 epochs")
results = pd.DataFrame(search.cv_results_)
results.columns = results.columns.str.removeprefix("param_gcaembedder__")
print(results.pivot(index="epsilon", columns="marginals", values="mean_test_score").to_string(float_format="%.2f"))
best = {name.removeprefix("gcaembedder__"): value for name, value in search.best_params_.items()}
print(f"Best: {best}; accuracy on the test rows {search.score(X[test], y[test]):.3f}\n")

# %%
# Both maps are t-SNE of images that were not trained on, and each image is drawn as the digit that it shows. The fives
# form two groups by their pixels (left) and one in the embedding (right), where the gaps between the classes are wider,
# while threes and nines touch on both maps.

print("Drawing two maps of the test images", flush=True)
spaces = {"Raw pixels": StandardScaler().fit(X[train]), "GCAEmbedder": fits["GCAEmbedder of images", 0][:-1]}
figure, axes = plt.subplots(1, 2, figsize=(11, 5.5), layout="constrained")
for ax, (title, space) in zip(axes, spaces.items(), strict=True):
    plane = TSNE(random_state=0).fit_transform(space.transform(X[test]))
    for digit, color in enumerate(plt.get_cmap("tab10").colors):
        ax.scatter(*plane[y[test] == digit].T, marker=f"${digit}$", color=color, s=40, linewidths=0.3)
    ax.set(title=title, xticks=[], yticks=[])
figure.suptitle("Test images on two maps; labels were used for the colours only")

target = Path("quickstart.png")
figure.savefig(target, dpi=120)
print(f"Saved {target}; {time.perf_counter() - start:.0f} s in all")
