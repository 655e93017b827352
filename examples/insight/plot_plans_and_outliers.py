"""
Reading a plan, and finding outliers
====================================

You can answer two questions without labels. Which rows does the embedding confuse? The
transport plan of held-out rows shows it. Which rows are unlike the training rows?
``outlier_score`` tells. We compare it with two detectors of scikit-learn on planted
outliers.

The data are scikit-learn's digits, as a table of 64 columns. The digit 8 is left out of
training. The example needs matplotlib and pandas.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import LocalOutlierFactor

from skgca import GCAEmbedder
from skgca.inspection import TransportPlanDisplay, plan_of_rows, plan_report

rng = np.random.default_rng(0)
X, y = load_digits(return_X_y=True)
order = rng.permutation(len(X))
X, y = X[order], y[order]
unseen, X, y = X[y == 8][:40], X[y != 8], y[y != 8]
X_train, X_new, y_new, spare = X[:1000], X[1000:1400], y[1000:1400], X[1400:]
embedder = GCAEmbedder(epsilon=0.1, max_epochs=40, random_state=0).fit(X_train)

# %%
# This is the plan of 200 new rows. A row should send its mass to its own second view,
# on the diagonal. Blocks along the diagonal show that rows of one class are close to
# each other. The labels only sort the rows.

display = TransportPlanDisplay.from_estimator(embedder, X_new, y_new, max_rows=200)

# %%
# ``plan_report`` makes tables of the plan. Likely false negatives are pairs of rows
# that stay close although training pushes them apart. ``lift`` is the mass of a pair
# relative to that of an average pair.

report = plan_report(embedder, X_new, y_new)
print(report)
pairs = report.false_negatives.head(8)
print(pairs[["row", "match", "lift", "y", "y_match"]].round(1).to_string(index=False))
share = report.false_negatives["same_class"].mean()
print(f"Of the first 100 such pairs, {share:.0%} are of one class")
print(f"By chance it would be {report.summary['same_class_by_chance']:.0%}\n")

figure, axes = plt.subplots(2, 8, figsize=(9, 2.8), layout="constrained")
for column, pair in zip(axes.T, pairs.itertuples(), strict=True):
    for ax, row in zip(column, (pair.row, pair.match), strict=True):
        ax.imshow(X_new[row].reshape(8, 8), cmap="gray_r")
        ax.set(xticks=[], yticks=[], title=f"a {y_new[row]}")
figure.suptitle("Pairs of rows, one above the other, with the most mass between them")

# %%
# Other questions need the plan itself. For example, these rows send most of their mass
# to other digits.

plan = plan_of_rows(embedder, X_new, y_new)
elsewhere = np.where(y_new[:, None] != y_new, plan.plan, 0).sum(axis=1) / plan.row_mass
worst = np.argsort(-elsewhere)[:5]
print("Share of mass that goes to other digits:")
print(", ".join(f"row {k} (a {y_new[k]}) {elsewhere[k]:.2f}" for k in worst))
print(f"Median of all rows: {np.median(elsewhere):.2f}\n")

# %%
# We plant three kinds of outliers among the new rows: the digit that was left out,
# images whose quadrants come from four other images, and images with noise on 30% of
# the pixels. ``outlier_score`` needs no second model and no labels.

images = spare.reshape(-1, 8, 8)
quadrants = np.empty((40, 8, 8))
for down in (slice(4), slice(4, None)):
    for right in (slice(4), slice(4, None)):
        quadrants[:, down, right] = images[
            rng.integers(len(images), size=40), down, right
        ]
noise = 6 * rng.standard_normal((40, 64)) * (rng.random((40, 64)) < 0.3)
planted = {
    "unseen digit": unseen,
    "quadrants": quadrants.reshape(40, 64),
    "noise": (spare[:40] + noise).clip(0, 16),
}
kind = np.repeat(["usual", *planted], [len(X_new), 40, 40, 40])
X_all = np.concatenate([X_new, *planted.values()])
neighbors = LocalOutlierFactor(novelty=True).fit(X_train)
forest = IsolationForest(random_state=0).fit(X_train)
scores = {
    "outlier_score": embedder.outlier_score(X_all),
    "LocalOutlierFactor": -neighbors.score_samples(X_all),
    "IsolationForest": -forest.score_samples(X_all),
}
truth = np.repeat([0, 1], [400, 40])
print(f"{'Area under the ROC curve':<26}", *(f"{name:>13}" for name in planted))
for method, score in scores.items():
    usual = score[kind == "usual"]
    areas = [roc_auc_score(truth, [*usual, *score[kind == name]]) for name in planted]
    print(f"  {method:<24}", *(f"{area:>13.3f}" for area in areas))

# %%
# This is only one draw of outliers. Over three data sets, three kinds of outliers and
# three seeds, ``outlier_score`` and LocalOutlierFactor on raw columns are equally good
# on average. The kind of outlier decides which is better (see the user guide on
# outliers).

# sphinx_gallery_thumbnail_number = 3
figure, ax = plt.subplots(figsize=(6, 5), layout="constrained")
is_outlier = kind != "usual"
for (method, score), style in zip(scores.items(), ("-", "--", ":"), strict=True):
    false_alarms, found, _ = roc_curve(is_outlier, score)
    area = roc_auc_score(is_outlier, score)
    ax.plot(false_alarms, found, style, label=f"{method}, area {area:.2f}")
ax.set(xlabel="share of usual rows flagged", ylabel="share of outliers found")
ax.set(title="120 planted outliers among 400 usual rows", aspect="equal")
ax.legend(loc="lower right")
plt.show()

# %%
# ``outlier_score`` and LocalOutlierFactor are close together and far better than
# IsolationForest, which looks at one column at a time and finds nothing where each
# value is usual. The next figure shows the images with the highest scores.

rank = np.argsort(np.argsort(-scores["outlier_score"])) + 1
figure, grid = plt.subplots(4, 6, figsize=(7, 5), layout="constrained")
for axes, name in zip(grid, ["usual", *planted], strict=True):
    rows = np.flatnonzero(kind == name)
    for ax, row in zip(axes, rows[np.argsort(rank[rows])][:6], strict=True):
        ax.imshow(X_all[row].reshape(8, 8), cmap="gray_r")
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"rank {rank[row]}", size=9)
    axes[0].set_ylabel(name)
figure.suptitle(f"The most suspicious of each kind, by their rank among {len(X_all)}")
plt.show()

# %%
# Noisy images come first. The usual images with a high rank are thick or lopsided
# digits.
