"""
The losses in a training loop of your own
=========================================

``skgca.losses`` needs nothing of the estimator. A loss is a torch module that takes the embeddings of two views, row i
of one belonging to row i of the other. Here it gets labels too, for the fifth of the digits that have one: those rows
match their class, and the others, which are -1, match their own other view only. matplotlib is needed for the picture.

The picture has the test images in two principal components of the embedding, each drawn as its digit. Look for digits
that lie apart although four fifths of the training images had no label, and for those that still overlap.
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
    plane = torch.pca_lowrank(encoder(X[test]))[0]
axes = plt.axes(title="Test images", xlabel="first principal component", ylabel="second principal component")
for digit in range(10):
    axes.scatter(*plane[y[test] == digit, :2].T, marker=f"${digit}$")
plt.show()
