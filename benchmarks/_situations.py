"""Ways in which views or rows are not as a contrastive loss wants them: what which_loss.py trains on.

Each row is measured twice, and the two measurements are the views of the row. A situation changes which measurements
are paired, which rows there are, or how much is left of a row.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skgca.views import ColumnCorruption

from . import _data
from ._data import DRAWS, TEST_SHARE, few_of
from .family_fits import Mispaired

SETS = ("digits", "letter")
MOST_ROWS = 4000
SHARES = (10, 40, 60)  # of wrong pairs, in %
NO_CLASS, IMBALANCE = 0.3, 100  # share of rows without a class; size of the largest class over that of the smallest
SITUATIONS = (
    "as they are",
    *(f"{share}% wrong, {how}" for how in ("fixed", "redrawn") for share in SHARES),
    "no class",
    "long tails",
    "strong views",
)


# ----------------------------------------------------------------------------------------------------- measurements


@dataclass(frozen=True)
class Sensor:
    """Measure square images in rows: with noise, and with a square blank.

    side, blank : of the image and of what is blank, in pixels; noise : its standard deviation.
    """

    side: int
    blank: int
    noise: float

    def __call__(self, batch, generator):
        corner = torch.randint(self.side - self.blank + 1, (len(batch), 2), generator=generator)
        at = torch.arange(self.side)
        inside = (at >= corner[..., None]) & (at < corner[..., None] + self.blank)  # (n, 2, side)
        seen = batch.masked_fill((inside[:, 0, :, None] & inside[:, 1, None, :]).flatten(1), 0.0)
        return seen + self.noise * torch.randn(batch.shape, generator=generator)


ENCODER = {
    "n_components": 64,
    "hidden_layer_sizes": (128, 128),
    "projection_sizes": (128, 128),
    "layers": "last",
    "passthrough": False,
    "standardize": False,
}
MEASURED = {"digits": Sensor(8, 3, 1 / 16), "letter": ColumnCorruption(0.2)}
STRONG = {"digits": Sensor(8, 5, 1 / 4), "letter": ColumnCorruption(0.6)}


def unchanged(batch, generator):
    return batch


def measurement(view, X, seed):
    """One measurement of all rows, once and for all."""
    return view(torch.from_numpy(X), torch.Generator().manual_seed(seed)).numpy()


# -------------------------------------------------------------------------------------------------------------- sets


@lru_cache
def load(name):
    """Rows as float32 and labels; pixels lie in [0, 1]."""
    X, y = _data.load("digits-flat" if name == "digits" else name)
    if name == "digits":
        X = X / 16
    if len(y) > MOST_ROWS:
        X, _, y, _ = train_test_split(X, y, train_size=MOST_ROWS, stratify=y, random_state=0)
    return X.astype(np.float32), y


@dataclass
class Pairs:
    """What an encoder is trained on, and what its embedding is then tried on.

    X, X_pair : rows to train on and their second measurements, or None where ``views`` makes them in each batch.
    known, y : rows with a label, and these; few : draws of them, of ten a class. X_test, y_test : new rows.
    """

    X: np.ndarray
    X_pair: np.ndarray | None
    views: object
    known: np.ndarray
    y: np.ndarray
    few: list
    X_test: np.ndarray
    y_test: np.ndarray


def pairs_of(name, situation, seed, most_rows=None):
    """Pairs of a set in a situation; the seed draws the split and all else."""
    X, y = load(name)
    rows = np.arange(len(y))
    if most_rows:
        rows, _ = train_test_split(rows, train_size=most_rows, stratify=y, random_state=0)
    train, test = train_test_split(rows, test_size=TEST_SHARE, stratify=y[rows], random_state=seed)
    if name == "letter":
        X = StandardScaler().fit(X[train]).transform(X)
    rng, few = np.random.default_rng(seed), few_of(y[train], seed, DRAWS)
    if situation == "strong views":
        return Pairs(X[train], None, STRONG[name], X[train], y[train], few, X[test], y[test])
    learned, first, views = X[train], measurement(MEASURED[name], X[train], 2 * seed), "auto"
    if situation == "long tails":
        kept = tail_of(y[train], rng)
        learned, seen = learned[kept], first[kept]
    elif situation == "no class":
        learned = np.concatenate([learned, of_no_class(learned, rng)])
        seen = np.concatenate([first, measurement(MEASURED[name], learned[len(first) :], 2 * seed)])
    else:
        seen = first
    second = measurement(MEASURED[name], learned, 2 * seed + 1)
    if "wrong" in situation:
        share, how = int(situation.split("%")[0]) / 100, situation.split()[-1]
        if how == "fixed":
            wrong = rng.permutation(len(second))[: round(share * len(second))]
            second[wrong] = second[np.roll(wrong, 1)]
        else:
            views = [unchanged, Mispaired(unchanged, share)]
    new = measurement(MEASURED[name], X[test], 2 * seed)
    return Pairs(seen, second, views, first, y[train], few, new, y[test])


def of_no_class(X, rng):
    """Rows whose columns have the values of X, each column those of other rows."""
    n_rows = round(NO_CLASS / (1 - NO_CLASS) * len(X))
    return np.stack([rng.permutation(column)[:n_rows] for column in X.T], axis=1)


def tail_of(y, rng):
    """Rows whose classes, in random order, fall in size by equal factors."""
    labels, sizes = np.unique(y, return_counts=True)
    falling = sizes.min() * IMBALANCE ** -np.linspace(0, 1, len(labels))
    kept = [
        rng.permutation(np.flatnonzero(y == label))[: max(1, round(size))]
        for label, size in zip(rng.permutation(labels), falling, strict=True)
    ]
    return np.sort(np.concatenate(kept))
