"""
Labels of a biased sample
=========================

Three rows in ten have a label, but they are not a random sample. In each class, only
the rows on one side of it have one. A classifier that is fitted to these rows will meet
different rows later.

With :class:`~skgca.losses.LabelledTransportTarget`, labelled rows match the rows of
their class. A transport plan finds the likely counterparts of unlabelled rows among the
labelled ones, and these match too. With ``target="labels"``, unlabelled rows match only
their own second view.

The example needs matplotlib.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgca import GCAEmbedder
from skgca.losses import LabelledTransportTarget

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
targets = {
    "views alone": None,
    'target="labels"': "labels",
    "LabelledTransportTarget": LabelledTransportTarget(),
}
network = {
    "image_shape": (8, 8),
    "encoder": "mlp",
    "hidden_layer_sizes": (128, 128),
    "layers": "last",
}


def labels_of_one_side(X, y):
    """Label the first 30% of each class along the first principal component."""
    along = PCA(1).fit_transform(X)[:, 0]
    known = np.full(len(y), -1)
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        first = np.argsort(along[members])[: round(0.3 * len(members))]
        known[members[first]] = label
    return known


# %%
# The logistic regression is fitted to the labelled rows only.

X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.3, stratify=y, random_state=0
)
labels = labels_of_one_side(X_train, y_train)
scores = {}
for name in ("pixels", *targets):
    Z, Z_test = X_train, X_test
    if name != "pixels":
        target = targets[name]
        model = GCAEmbedder(64, target=target, max_epochs=15, random_state=0, **network)
        model.fit(Z, None if target is None else labels)
        Z, Z_test = model.transform(Z), model.transform(Z_test)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    scores[name] = probe.fit(Z[labels >= 0], labels[labels >= 0]).score(Z_test, y_test)
    print(f"{name:<26}{scores[name]:>8.3f}")

# %%
# The bars show the accuracy on all test rows.

figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
ax.bar(list(scores), list(scores.values()), width=0.6, color="#0072b2")
for place, score in enumerate(scores.values()):
    ax.text(place, score + 0.01, f"{score:.3f}", ha="center")
ax.set(
    ylabel="accuracy on all test rows",
    ylim=(0, 1),
    title="Labels of one side of each class",
)
plt.show()

# %%
# Most of the gain comes from the embedding. In this short training the counterparts add
# almost nothing. In longer trainings on five splits they add 1.4 points (see the
# evidence page "Targets from related work").
