"""Upright and turned digits as two domains: pixels, an embedding by views alone, and one with a TransportTarget."""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import rotate
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from style import BLUE, CORAL, bare

from skgca import GCAEmbedder
from skgca.losses import TransportTarget

X, y = load_digits(return_X_y=True)
X = (X / 16).reshape(-1, 8, 8)
turned = np.random.default_rng(0).permutation(len(y)) % 2 == 1
X[turned] = rotate(X[turned], 45, axes=(1, 2), reshape=False, order=1)
X = X.reshape(-1, 64)
domain = np.where(turned, "turned", "upright")
train, test = np.split(np.random.default_rng(1).permutation(len(y)), [1300])

settings = {
    "image_shape": (8, 8),
    "encoder": "mlp",
    "hidden_layer_sizes": (128, 128),
    "layers": "last",
}
spaces = {"Pixels": X}
for name, target in {"Views alone": None, "TransportTarget": TransportTarget()}.items():
    embedder = GCAEmbedder(64, target=target, max_epochs=15, random_state=0, **settings)
    embedder.fit(X[train], sample_domain=None if target is None else domain[train])
    spaces[name] = embedder.transform(X)

figure, axes = plt.subplots(1, 3, figsize=(7.5, 3))
upright = train[~turned[train]]
for ax, (name, Z) in zip(axes, spaces.items(), strict=True):
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(
        Z[upright], y[upright]
    )
    score = probe.score(Z[test][turned[test]], y[test][turned[test]])
    plane = PCA(2, random_state=0).fit(Z[train]).transform(Z[test])
    for label, marker, color, face in (
        ("upright", "o", BLUE, "none"),
        ("turned", "^", CORAL, CORAL),
    ):
        rows = domain[test] == label
        ax.scatter(
            *plane[rows].T,
            s=14,
            marker=marker,
            edgecolors=color,
            facecolors=face,
            linewidths=0.8,
            label=label,
        )
    ax.set(title=name, xlabel=f"accuracy on turned\ndigits: {score:.0%}")
    bare(ax)
figure.legend(
    *axes[0].get_legend_handles_labels(),
    loc="outside lower center",
    ncols=2,
    frameon=False,
)
