"""
Counterparts in another domain
==============================

Half of the digits are turned by 45 degrees. This gives two domains, and only the
upright digits have labels.

With :class:`~skgca.losses.TransportTarget`, a row matches its own second view and its
likely counterparts in the other domain. A transport plan between the embeddings of a
batch finds the counterparts. In contrast, ``target="domains"`` pulls a row to all rows
of the other domain equally.

The example needs matplotlib and kornia.
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
train, test = train_test_split(
    np.arange(len(y)), test_size=0.3, stratify=strata, random_state=0
)

# %%
# The three trainings differ only in the target. With a small epsilon, a row has few
# counterparts. With a small rho, it may have none.

transport = TransportTarget(epsilon=0.02, rho=0.05, weight=2.0)  # the defaults
targets = {
    "views alone": None,
    "all of the other domain": DomainsTarget(alpha=0.0, beta=0.005),
    "counterparts": transport,
}
network = {
    "image_shape": (8, 8),
    "encoder": "mlp",
    "hidden_layer_sizes": (128, 128),
    "layers": "last",
}
embedded = {"pixels": X}
for name, target in targets.items():
    model = GCAEmbedder(64, target=target, max_epochs=25, random_state=0, **network)
    model.fit(X[train], sample_domain=None if target is None else domain[train])
    embedded[name] = model.transform(X)

# %%
# A logistic regression is fitted to the labels of the upright digits, and is tested on
# both domains.
#
# We also ask the target which rows match in each embedding. For each pair of digits, we
# add up the mass that goes from upright to turned rows. If the counterparts are right,
# the mass stays on the same digit.

upright = domain[train] == "upright"
source, other = train[upright], train[~upright]
tests = [test[domain[test] == kind] for kind in ("upright", "turned")]
scores, found = {}, {}
print(f"{'':<26}{'upright':>10}{'turned':>10}{'mass on the same digit':>26}")
for name, Z in embedded.items():
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    probe.fit(Z[source], y[source])
    scores[name] = [probe.score(Z[rows], y[rows]) for rows in tests]

    z = torch.from_numpy(Z[train])
    affinity = transport(torch.from_numpy(upright.astype(int)), torch.stack([z, z]))
    mass = affinity.numpy()[np.ix_(upright, ~upright)]
    by_digit = np.eye(10)[y[source]].T @ mass @ np.eye(10)[y[other]]  # (10, 10)
    found[name] = by_digit / by_digit.sum()
    same = np.trace(found[name])
    print(f"{name:<26}{scores[name][0]:>10.3f}{scores[name][1]:>10.3f}{same:>26.3f}")

# %%
# The bars compare the accuracy on the two domains. The regression has seen labels of
# upright digits only.

figure, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
places = np.arange(len(scores))
for shift, kind, color in ((-0.2, "upright", "0.7"), (0.2, "turned", "#0072b2")):
    values = [pair[kind == "turned"] for pair in scores.values()]
    bars = ax.bar(places + shift, values, 0.38, color=color, label=f"{kind} digits")
    ax.bar_label(bars, fmt="%.2f")
ax.set_xticks(
    places, ["pixels", "views\nalone", "all of the\nother domain", "counterparts"]
)
ax.set(
    ylabel="accuracy on test rows",
    ylim=(0, 1.25),
    title="Labels of upright digits only",
)
ax.legend(loc="upper center", ncols=2)
plt.show()

# %%
# The matrices show these masses. On the diagonal, rows are matched with rows of the
# same digit.

figure, axes = plt.subplots(1, 4, figsize=(14, 4.4), layout="constrained", sharey=True)
for ax, (name, shares) in zip(axes, found.items(), strict=True):
    ax.imshow(10 * shares, vmin=0, vmax=1, cmap="Blues")
    ax.set(
        xticks=range(10),
        yticks=range(10),
        xlabel="turned digit",
        title=f"{name}\n{np.trace(shares):.0%} of mass on the same digit",
    )
axes[0].set_ylabel("upright digit")
plt.show()

# %%
# With counterparts, more mass lies on the diagonal. The accuracy on turned digits rises
# from 20% with views alone to 32%. In a comparison on five splits it rises from 26% to
# 54%. Between digits of different writers the gain of 4 points is not significant (see
# the evidence page "Targets from related work").
