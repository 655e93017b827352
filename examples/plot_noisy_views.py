"""
Noisy views: pairs that do not belong together
==============================================

Two sensors measure the same things, and their records are joined by a key that is sometimes wrong. ``GCAEmbedder``
learns from such pairs by ``fit(X, X_pair=...)``. How much do wrong pairs harm, and which loss withstands them? Three
things can be changed: the transport plan may be held on one side (``ince``) or on both (``gca_ince``), its marginals
may be relaxed, so that a row without a match may stay unmatched (``gca_uot``), or the divergence may be a robust one,
which gives up on pairs that are far apart (``rince``; ``gca_rince`` is that with both sides held).
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MultipleLocator, PercentFormatter
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from skgca import GCAEmbedder
from skgca.inspection import plan_of_rows

X, y = load_digits(return_X_y=True)

# %%
# The sensors see handwritten digits, each with other noise and with another nine of the 64 pixels blank. A share of
# the second measurements is handed on to another row, and stays there: training sees the same wrong pairs in each
# epoch. (Wrong pairs that are drawn anew in each batch do little harm with most losses; the page "Which loss when" has
# them, and each loss at its own best epsilon.)


def measured(X, rng):
    """The images with noise and a blank square."""
    images = X.reshape(-1, 8, 8).copy()
    for image, (i, j) in zip(images, rng.integers(0, 6, (len(X), 2)), strict=True):
        image[i : i + 3, j : j + 3] = 0
    return images.reshape(len(X), 64) + rng.normal(size=X.shape)


def joined(X, share, rng):
    """Two measurements of each row, and which rows are paired with that of another."""
    first, second = measured(X, rng), measured(X, rng)
    wrong = rng.permutation(len(X))[: round(share * len(X))]
    second[wrong] = second[np.roll(wrong, 1)]
    return first, second, np.isin(np.arange(len(X)), wrong)


# %%
# Each loss learns from 800 pairs without labels, at one epsilon. Then the embedding is used in two ways. A logistic
# regression on it gets ten labels a class, and is tested on new digits. And of new pairs, a part of them wrong, the
# transport plan tells what share of a row's mass goes to its partner, times the number of rows, so that 1 is what
# chance gives.


def trained(loss, share, seed):
    """Accuracy on new rows; of new pairs, the mass of each and whether it is wrong."""
    rng = np.random.default_rng(seed)
    train, test = train_test_split(np.arange(len(X)), train_size=800, stratify=y, random_state=seed)
    first, second, _ = joined(X[train], share, rng)
    options = {"layers": "last", "passthrough": False, "max_epochs": 12, "random_state": seed}
    embedder = GCAEmbedder(loss=loss, epsilon=0.1, **options).fit(first, X_pair=second)

    new, new_pair, wrong = joined(X[test], 0.3, rng)
    known = np.concatenate([np.flatnonzero(y[train] == digit)[:10] for digit in range(10)])
    classifier = LogisticRegression(max_iter=2000).fit(embedder.transform(first[known]), y[train][known])
    plan = plan_of_rows(embedder, new, X_pair=new_pair)
    mass = len(plan) * plan.plan.diagonal() / plan.row_mass
    return classifier.score(embedder.transform(new), y[test]), mass, wrong


losses = ["ince", "gca_ince", "gca_uot", "gca_rince", "rince"]
shares, seeds = [0.0, 0.25, 0.5], range(3)
jobs = [(loss, share, seed) for loss in losses for share in shares for seed in seeds]
found = [trained(*job) for job in jobs]

index = pd.MultiIndex.from_tuples(jobs, names=["loss", "share", "seed"])
accuracy = pd.Series([score for score, _, _ in found], index).unstack()
detected = pd.Series([roc_auc_score(wrong, -mass) for _, mass, wrong in found], index).unstack()
print("Accuracy with 10 labels a class, mean of 3 seeds, by the share of wrong pairs")
print(accuracy.mean(axis=1).unstack().loc[losses].round(3).to_string())
print("ROC AUC of finding the wrong ones among new pairs by their mass")
print(detected.mean(axis=1).unstack().loc[losses].round(3).to_string())

# %%
# On the left, marks are means of three seeds and bars a standard deviation: as more pairs are wrong, the losses with
# the robust divergence lose half of what the others lose, and neither holding both sides of the plan nor relaxing
# them helps. On the right, of new pairs after training with half of them wrong, it also tells true ones from wrong
# ones best.

colors = dict(zip(losses, ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00"], strict=True))  # of Okabe and Ito
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")
for k, loss in enumerate(losses):
    scores = accuracy.loc[loss]
    x = np.array(shares) + 0.008 * (k - 2)
    common = {"color": colors[loss], "marker": "os^vD"[k], "capsize": 3, "label": loss}
    left.errorbar(x, scores.mean(axis=1), yerr=scores.std(axis=1), **common)
    results = [result for job, result in zip(jobs, found, strict=True) if job[:2] == (loss, shares[-1])]
    mass, wrong = (np.concatenate(parts) for parts in list(zip(*results, strict=True))[1:])
    for shift, rows, filled in ((-0.19, ~wrong, True), (0.19, wrong, False)):
        box = right.boxplot(mass[rows], positions=[k + shift], widths=0.32, showfliers=False, patch_artist=True)
        box["boxes"][0].set(facecolor=colors[loss] if filled else "white", edgecolor=colors[loss], linewidth=1.5)
        box["medians"][0].set(color="black")
left.set(title="Ten labels a class", xlabel="wrong pairs in training", ylabel="accuracy on new rows", xticks=shares)
for axis in (left.xaxis, left.yaxis):
    axis.set_major_formatter(PercentFormatter(1, decimals=0))
left.yaxis.set_major_locator(MultipleLocator(0.05))
left.legend(title="loss")
right.axhline(1, color="0.6", linestyle=":", linewidth=1)
right.set(yscale="log", xticks=range(len(losses)), xticklabels=losses)
right.set(title="New pairs: true ones filled, wrong ones empty", ylabel="mass to the partner, 1 is chance")
plt.show()
