"""
Counterparts in another domain
==============================

Digits of which one half was turned by 45 degrees: two domains, and labels of the upright ones alone. With
``TransportTarget`` each row ought to match, beside its own other view, the rows of the other domain that a sharp,
unbalanced transport plan between the embeddings of a batch suggests. So rows are pulled to their likely counterparts,
while ``target="domains"`` pulls them to all rows of the other domain alike. Needs matplotlib and kornia.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.ndimage import rotate
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skgca import GCAEmbedder
from skgca.losses import DomainsTarget, TransportTarget

X, y = load_digits(return_X_y=True)
X = (X / 16).reshape(-1, 8, 8)
turned = np.random.default_rng(0).permutation(len(y)) % 2 == 1
X[turned] = rotate(X[turned], 45, axes=(1, 2), reshape=False, order=1)
X = X.reshape(-1, 64)
domain = np.where(turned, "turned", "upright")
strata = np.char.add(domain, y.astype(str))
train, test = train_test_split(np.arange(len(y)), test_size=0.3, stratify=strata, random_state=0)

# %%
# Three trainings that differ in the target alone. A small epsilon gives a row few counterparts, and with a small rho a
# row may have none.

transport = TransportTarget(epsilon=0.02, rho=0.05, weight=2.0)  # the defaults
targets = {
    "views alone": None,
    "all of the other domain": DomainsTarget(alpha=0.0, beta=0.005),
    "counterparts": transport,
}
network = {"image_shape": (8, 8), "encoder": "mlp", "hidden_layer_sizes": (128, 128), "layers": "last"}
embedded = {"pixels": X}
for name, target in targets.items():
    model = GCAEmbedder(64, target=target, max_epochs=25, random_state=0, **network)
    model.fit(X[train], sample_domain=None if target is None else domain[train])
    embedded[name] = model.transform(X)

# %%
# A logistic regression is fitted to the labels of upright digits, and reads the test rows of both domains. And the
# target plan is asked which digits find which: from the embedding of all training rows, how much of the mass of the
# upright digits goes to which turned digit.

source, other = train[domain[train] == "upright"], train[domain[train] == "turned"]
scores, found = {}, {}
for name, Z in embedded.items():
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(Z[source], y[source])
    scores[name] = [probe.score(Z[rows], y[rows]) for rows in (test[domain[test] == d] for d in ("upright", "turned"))]
    z = torch.from_numpy(Z[train])
    affinity = transport(torch.from_numpy((domain[train] == "upright").astype(int)), torch.stack([z, z])).numpy()
    mass = affinity[np.ix_(domain[train] == "upright", domain[train] == "turned")]
    among = np.array([[mass[np.ix_(y[source] == i, y[other] == j)].sum() for j in range(10)] for i in range(10)])
    found[name] = among / among.sum()
    shares = scores[name][0], scores[name][1], np.trace(found[name])
    print(f"{name:<26} upright {shares[0]:.3f}   turned {shares[1]:.3f}   mass on the same digit {shares[2]:.3f}")

# %%
# The more mass lies on the diagonal, the better rows find the same digit.

figure, axes = plt.subplots(1, 4, figsize=(14, 4.8), layout="constrained", sharey=True)
for ax, (name, shares) in zip(axes, found.items(), strict=True):
    ax.imshow(10 * shares, vmin=0, vmax=1, cmap="Blues")
    ax.set(
        xticks=range(10),
        yticks=range(10),
        xlabel="turned digit",
        title=f"{name}\n{np.trace(shares):.0%} of mass on the same digit\nturned digits read: {scores[name][1]:.1%}",
    )
axes[0].set_ylabel("upright digit")
plt.show()

# %%
# With counterparts, more of the mass is on the diagonal, and a probe of upright digits reads 32% of the turned ones
# instead of 20%. On the page of evidence on neighbours in the literature, 26% become 54% on five splits, while the gain
# on two sets of digits by other hands, of 4 points, is not significant.
