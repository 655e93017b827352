"""
The losses in a training loop of your own
=========================================

``skgca.losses`` needs nothing of the estimator. A loss is a torch module that takes the embeddings of two views, row i
of one belonging to row i of the other. Here it gets labels too, for the fifth of the digits that have one: those rows
match their class, and the others, which are -1, match their own other view only. matplotlib is needed for the picture.

The picture compares every two test images, in the order of their digits, by pixels and by the vectors that the loss
compares. Look for the ten squares along the diagonal, and for what is still taken for another: eights for ones.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn

from skgca.losses import make_loss

torch.manual_seed(0)
X, y = torch.tensor(load_digits().data).float() / 16, torch.tensor(load_digits().target)  # (1797, 64), (1797,)
train, test = torch.randperm(len(X)).split([1257, 540])
labelled = train[:250]
known = torch.full_like(y, -1).index_copy(0, labelled, y[labelled])

encoder = nn.Sequential(nn.Linear(64, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 64))
head = nn.Sequential(nn.ReLU(), nn.Linear(64, 64))
loss = make_loss("gca_ince", epsilon=0.5, target="labels")
optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=2e-3)


def accuracy(features):  # on the test rows, of a regression that was fitted to the labelled ones
    return LogisticRegression(max_iter=5000).fit(features[labelled], y[labelled]).score(features[test], y[test])


for _ in range(30):
    for rows in train[torch.randperm(len(train))].split(256):
        first, second = (X[rows] * (torch.rand(len(rows), 64) > 0.2) for _ in range(2))  # without a fifth of the pixels
        optimizer.zero_grad()
        loss(head(encoder(first)), head(encoder(second)), target=known[rows]).backward()
        optimizer.step()

with torch.no_grad():
    print(f"Accuracy on raw pixels {accuracy(X):.3f}, on the embedding {accuracy(encoder.eval()(X)):.3f}")
    order = test[y[test].argsort()]
    alike = torch.hstack([torch.corrcoef(rows[order]) for rows in (X - X.mean(0), head(encoder(X)))]).numpy()
plt.figure(figsize=(11, 5), layout="constrained").suptitle("Test images: pixels, and what the loss compares")
plt.colorbar(plt.imshow(alike, vmin=-1, vmax=1, cmap="RdBu_r"), label="correlation")
plt.show()
