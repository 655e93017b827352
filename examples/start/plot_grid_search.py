"""
Grid search: epsilon and marginals, with few labels
===================================================

Two parameters shape the transport plan of the loss. ``epsilon`` sets its smoothness:
with a small value, each row is compared mainly with its nearest rows. ``marginals``
says how strictly each row must send and receive its mass. ``"balanced"`` demands both,
so that no row matches all others. A number is the price for missing the mass. With a
low price, a row may stay unmatched.

``GridSearchCV`` can choose both. :class:`~skgca.model_selection.GCASearchCV` does the
same in less time, because each setting starts from the weights of its neighbour in the
grid.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import SelfTrainingClassifier

from skgca import GCAEmbedder
from skgca.inspection import MarginalPathDisplay
from skgca.model_selection import GCASearchCV, LabelledKFold

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    X, y, train_size=1000, stratify=y, random_state=0
)
rows = np.arange(len(y))
known, _ = train_test_split(rows, train_size=200, stratify=y, random_state=0)
labels = np.full_like(y, -1)  # scikit-learn's mark of an unlabelled row
labels[known] = y[known]

# %%
# Of the 1,000 images, 200 have a label. The embedder learns from all of them.
# ``SelfTrainingClassifier`` with ``max_iter=0`` fits the logistic regression to the
# labelled rows only. Each fold of :class:`~skgca.model_selection.LabelledKFold` holds
# out half of the 200 labelled rows, and all unlabelled rows stay in its training part.
# We use the embedding without the pixels (``passthrough=False``), because these would
# hide what the settings change.

folds = LabelledKFold(2, random_state=0)
probe = SelfTrainingClassifier(LogisticRegression(max_iter=2000), max_iter=0)
embedder = GCAEmbedder(
    loss="gca_uot", layers="last", passthrough=False, max_epochs=12, random_state=0
)
model = make_pipeline(embedder, probe)
grid = {
    "gcaembedder__epsilon": [0.05, 0.2, 0.5, 2.0],
    "gcaembedder__marginals": [0.1, 1.0, "balanced"],
}
searches = {
    "GridSearchCV": GridSearchCV(model, grid, cv=folds),
    "GCASearchCV": GCASearchCV(model, grid, cv=folds),
}

# %%
# ``GCASearchCV`` finds the embedder in the pipeline. It trains the first setting fully,
# and each of the next ones for a quarter of the epochs. The best setting is then fitted
# from the start, as in any search.

seconds = {}
for name, search in searches.items():
    start = time.perf_counter()
    search.fit(X, labels)
    seconds[name] = time.perf_counter() - start
    best = search.best_params_.items()
    best = {key.removeprefix("gcaembedder__"): value for key, value in best}
    test = search.score(X_test, y_test)
    print(f"{name}: {best}, validation {search.best_score_:.3f}, test {test:.3f}")
default = model.fit(X, labels).score(X_test, y_test)
print(f"Defaults, not searched: test {default:.3f}")
ratio = seconds["GCASearchCV"] / seconds["GridSearchCV"]
print(f"Time of GCASearchCV / time of GridSearchCV: {ratio:.2f}")

# %%
# The heat map shows the full search. Marginals of 0.1 are the worst on average, because
# rows may miss nearly all of their mass. The others are close: one validation image
# changes a score by half a point.

results = pd.DataFrame(searches["GridSearchCV"].cv_results_)
results.columns = results.columns.str.removeprefix("param_gcaembedder__")
heat = results.pivot(index="marginals", columns="epsilon", values="mean_test_score")
heat = heat.loc[[0.1, 1.0, "balanced"]]

figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
image = ax.imshow(heat, cmap="cividis", aspect="auto")
for (i, j), score in np.ndenumerate(heat):
    color = "white" if score < heat.to_numpy().mean() else "black"
    ax.text(j, i, f"{score:.3f}", ha="center", va="center", color=color, size=12)
ax.set(title="GridSearchCV", xlabel="epsilon", ylabel="marginals")
ax.set_xticks(range(heat.shape[1]), heat.columns)
ax.set_yticks(range(len(heat)), heat.index)
figure.colorbar(image, ax=ax, label="accuracy of held-out labels")
plt.show()

# %%
# The lines show the path of ``GCASearchCV``, with bars for the two folds.

figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
MarginalPathDisplay.from_estimator(searches["GCASearchCV"], ax=ax)
ax.set_title("GCASearchCV")
ax.set_xticks(heat.columns, heat.columns)
ax.minorticks_off()
plt.show()

# %%
# The bars overlap, and the two searches choose different settings. On the test images,
# neither is better than the defaults.
