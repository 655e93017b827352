"""
Quickstart: an embedding learned without labels, in a pipeline
==============================================================

Of scikit-learn's digits, only ten images of each class have a label. ``GCAEmbedder`` learns an embedding from all
training images without any label; a logistic regression on it, fitted to the labelled hundred, is compared with the
same regression on raw pixels and on other embeddings. Told by ``image_shape`` that its rows are images, it learns from
rotated, scaled and partly erased ones what makes a digit; otherwise it takes them for a table. Then a grid search
chooses epsilon and the marginals with the labels that there are. In the picture, look for classes that overlap in the
pixels and come apart in the embedding.
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
from sklearn.model_selection import GridSearchCV, StratifiedKFold, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from skgca import GCAEmbedder

start = time.perf_counter()
X, y = load_digits(return_X_y=True)


def keep_labels(y, per_class, seed):
    """Labels with all but a few of each class set to -1, scikit-learn's mark of an unlabelled row."""
    rng = np.random.default_rng(seed)
    known = np.concatenate([rng.permutation(np.flatnonzero(y == label))[:per_class] for label in np.unique(y)])
    kept = np.full_like(y, -1)
    kept[known] = y[known]
    return kept


# %%
# The last step of each pipeline is a logistic regression that fits the labelled rows only; with ``max_iter=0``,
# ``SelfTrainingClassifier`` does just that. The embedder before it sees every row, and does not read ``y``.

probe = SelfTrainingClassifier(LogisticRegression(max_iter=2000), max_iter=0)
images = {"image_shape": (8, 8), "random_state": 0}
steps = {
    "raw pixels": [StandardScaler()],
    "PCA, 30 components": [StandardScaler(), PCA(30, random_state=0)],
    "Nystroem, 300 components": [StandardScaler(), Nystroem(gamma=0.01, n_components=300, random_state=0)],
    "images, untrained": [GCAEmbedder(max_epochs=0, **images)],
    "GCAEmbedder of a table": [GCAEmbedder(random_state=0)],
    "GCAEmbedder of images": [GCAEmbedder(**images)],
}
models = {name: make_pipeline(*step, probe) for name, step in steps.items()}


def accuracy(model, train, test, seed):
    """Accuracy on the test rows of a model that saw all training rows, with ten labels a class."""
    return clone(model).fit(X[train], keep_labels(y[train], 10, seed)).score(X[test], y[test])


splits = list(StratifiedShuffleSplit(n_splits=5, test_size=0.3, random_state=0).split(X, y))
jobs = [(name, seed) for name in reversed(models) for seed in range(len(splits))]  # the longest first
scores = Parallel(n_jobs=2)(delayed(accuracy)(models[name], *splits[seed], seed) for name, seed in jobs)
table = pd.Series(scores, index=pd.MultiIndex.from_tuples(jobs, names=["model", "split"])).unstack().loc[list(models)]

print("Accuracy with 10 labels a class, 5 splits, logistic regression on")
for name, row in table.iterrows():
    print(f"  {name:<26}{row.mean():.3f} +/- {row.std():.3f}")
gain = table.loc["GCAEmbedder of images"] - table.loc["raw pixels"]
print(f"Gain over raw pixels, split by split: {', '.join(f'{100 * g:+.1f}' for g in gain)} points\n")

# %%
# Epsilon and marginals are parameters like any other. Validation rows must have labels, so the folds split the
# labelled rows, and every unlabelled row is in the training part.

train, test = splits[0]
labels = keep_labels(y[train], 10, seed=0)
known = np.flatnonzero(labels != -1)
folds = [
    (np.setdiff1d(np.arange(len(train)), known[held_out]), known[held_out])
    for _, held_out in StratifiedKFold(2, shuffle=True, random_state=0).split(known, labels[known])
]
grid = {"gcaembedder__epsilon": [0.1, 0.3, 1.0], "gcaembedder__marginals": ["row", 1.0, "balanced"]}
model = make_pipeline(GCAEmbedder(max_epochs=20, **images), probe)
search = GridSearchCV(model, grid, cv=folds, n_jobs=2).fit(X[train], labels)

print("Grid search, mean accuracy over 2 folds of the 100 labels, 20 epochs")
results = pd.DataFrame(search.cv_results_)
results.columns = results.columns.str.removeprefix("param_gcaembedder__")
print(results.pivot(index="epsilon", columns="marginals", values="mean_test_score").to_string(float_format="%.2f"))
best = {name.removeprefix("gcaembedder__"): value for name, value in search.best_params_.items()}
print(f"Best: {best}; accuracy on the test rows {search.score(X[test], y[test]):.3f}\n")

# %%
# Both pictures are the first two principal components, of the test rows only.

spaces = {"Raw pixels": StandardScaler().fit(X[train]), "GCAEmbedder": search.best_estimator_[:-1]}
figure, axes = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
for ax, (title, space) in zip(axes, spaces.items(), strict=True):
    plane = PCA(2).fit(space.transform(X[train])).transform(space.transform(X[test]))
    points = ax.scatter(*plane.T, c=y[test], cmap="tab10", vmin=-0.5, vmax=9.5, s=14)
    for digit in range(10):
        ax.annotate(digit, np.median(plane[y[test] == digit], axis=0), size=16, weight="bold", ha="center", va="center")
    ax.set(title=title, xlabel="first principal component", ylabel="second principal component")
figure.colorbar(points, ax=axes, ticks=range(10), label="digit")
figure.suptitle("Test images in two dimensions; labels were used for the colours only")

target = Path("quickstart.png")
figure.savefig(target, dpi=120)
print(f"Saved {target}; {time.perf_counter() - start:.0f} s in all")
