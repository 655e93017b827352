"""
The losses in a training loop of your own
=========================================

``skgca.losses`` works without the estimator. A loss is a torch module that takes the
embeddings of two views. Row i of one belongs to row i of the other. Here a view hides a
fifth of the pixels. The loss also receives the labels of a fifth of the training
digits. These rows match all rows of their class. The others, marked by -1, match only
their own second view.

The picture compares all test images with each other, by pixels (left) and by the
vectors that the loss compares (right). Images are sorted by digit, so each square along
the diagonal is one digit. Similar images outside of the squares are confused, such as
eights with ones. The picture needs matplotlib.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch.nn import BatchNorm1d, Linear, ReLU, Sequential

from skgca.losses import make_loss

torch.manual_seed(0)
X, y = torch.tensor(load_digits().data / 16).float(), torch.tensor(load_digits().target)
train, test = torch.randperm(len(X)).split([1257, 540])
few = train[:250]  # the rows whose label is known
known = torch.full_like(y, -1).index_copy(0, few, y[few])

encoder = Sequential(Linear(64, 256), BatchNorm1d(256), ReLU(), Linear(256, 64))
head = Sequential(ReLU(), Linear(64, 64))
loss = make_loss("gca_ince", epsilon=0.5, target="labels")
optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=2e-3)


def accuracy(Z):
    return LogisticRegression(max_iter=5000).fit(Z[few], y[few]).score(Z[test], y[test])


for _ in range(30):
    for rows in train[torch.randperm(len(train))].split(256):
        views = [X[rows] * (torch.rand(len(rows), 64) > 0.2) for _ in range(2)]
        optimizer.zero_grad()
        loss(*(head(encoder(view)) for view in views), target=known[rows]).backward()
        optimizer.step()

with torch.no_grad():
    print(f"Accuracy {accuracy(X):.3f}, embedded {accuracy(encoder.eval()(X)):.3f}")
    compared = [Z[test[y[test].argsort()]] for Z in (X - X.mean(0), head(encoder(X)))]
    alike = torch.hstack([torch.corrcoef(Z) for Z in compared]).numpy()
plt.figure(figsize=(11, 5), layout="constrained").suptitle("Pixels, and projections")
plt.colorbar(plt.imshow(alike, vmin=-1, vmax=1, cmap="RdBu_r"), label="correlation")
plt.show()
