"""Scores without labels beside accuracies: the score shows which settings are bad, and does not order the good ones."""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from style import BLUE, CORAL, PALE

from skgca import GCAEmbedder

X, y = load_digits(return_X_y=True)
train, few, test = slice(0, 900), slice(0, 100), slice(900, 1500)
settings = {
    "default": {},
    "epsilon=0.2": {"epsilon": 0.2},
    "epsilon=1.0": {"epsilon": 1.0},
    'loss="ince"': {"loss": "ince"},
    "trained for 1 epoch": {"max_epochs": 1},
    "not trained": {"max_epochs": 0},
    "n_components=4": {"n_components": 4},
    "n_components=2": {"n_components": 2},
}

fig, (left, right) = plt.subplots(1, 2, sharey=True, figsize=(7.5, 2.9))
for place, setting in enumerate(settings.values()):
    embedder = GCAEmbedder(
        **{"max_epochs": 6, "passthrough": False, "random_state": 0, **setting}
    ).fit(X[train])
    classifier = LogisticRegression(max_iter=500).fit(
        embedder.transform(X[few]), y[few]
    )
    accuracy = classifier.score(embedder.transform(X[test]), y[test])
    good = place < 4
    for ax, value in ((left, embedder.score(X[test])), (right, accuracy)):
        ax.plot([0, value], [place, place], color=PALE, linewidth=2, zorder=0)
        ax.plot(value, place, "o" if good else "s", color=BLUE if good else CORAL)

left.set(
    title="Score without labels",
    xlabel="score in nats",
    yticks=range(len(settings)),
    yticklabels=list(settings),
)
right.set(
    title="Accuracy with 100 labels",
    xlabel="accuracy on held-out rows",
    xlim=(0, 1),
)
left.set(xlim=(0, None))
left.invert_yaxis()
