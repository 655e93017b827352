"""The plan of 150 held-out digits before and after training, sorted by class."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from sklearn.datasets import load_digits
from style import bare

from skgca import GCAEmbedder
from skgca.inspection import plan_of_rows

X, y = load_digits(return_X_y=True)
shown = np.arange(1200, 1350)
shown = shown[np.argsort(y[shown], kind="stable")]
middles = [np.flatnonzero(y[shown] == digit).mean() for digit in range(10)]

fig, axes = plt.subplots(1, 2, figsize=(7.5, 3.9))
for ax, epochs, title in zip(
    axes, (0, 15), ("Before training", "After training"), strict=True
):
    embedder = GCAEmbedder(epsilon=0.1, max_epochs=epochs, random_state=0).fit(X[:1200])
    plan = plan_of_rows(embedder, X[shown]).plan
    image = ax.imshow(
        plan, cmap="Blues", norm=LogNorm(1e-3, 1, clip=True), rasterized=True
    )
    own = np.diagonal(plan).mean()
    same = (plan * (y[shown][:, None] == y[shown])).sum() / plan.sum() - own
    ax.set_title(title)
    ax.set_xlabel(
        f"own row {own:.0%}, own class {same:.0%}, others {1 - own - same:.0%}",
        fontsize=9,
    )
    bare(ax)
    ax.set_xticks(middles, range(10), fontsize=8)
    ax.set_yticks(middles, range(10), fontsize=8)
    ax.tick_params(length=0)
axes[0].set_ylabel("digit")
fig.colorbar(image, ax=axes, label="share of a row's mass", shrink=0.8)
