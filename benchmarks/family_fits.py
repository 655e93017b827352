"""One fit of family.py: its data, its views, and what is measured of its embedding."""

import math
import time
import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skgca import GCAEmbedder
from skgca.encoders import Standardization
from skgca.losses import PRESETS
from skgca.metrics import alignment_score, effective_rank, uniformity_score
from skgca.views import ColumnCorruption

from . import _data
from ._data import Split, accuracy

LOSSES = tuple(PRESETS)
# Pixels as they are, tables as they have been standardised, and the last layer of the encoder alone.
BARE = {"standardize": False, "passthrough": False, "layers": "last"}
STEPS, BATCH, N_COMPONENTS, EPSILON, NEIGHBOURS = 700, 128, 128, 0.5, 5
MOST_ROWS, MISPAIRED, NYSTROEM = 5000, 0.4, 300
QUICK_ROWS, QUICK_STEPS = 600, 20
PROTOCOL = (*_data.PROTOCOL, STEPS, BATCH, N_COMPONENTS, EPSILON, NEIGHBOURS, MOST_ROWS, MISPAIRED, NYSTROEM)


# ---------------------------------------------------------------------------------------------------------- data


@lru_cache
def load(name):
    """Rows and labels, and domains where there are some. Pixels lie in [0, 1]."""
    if name == "two domains":
        return two_domains()
    X, y = _data.load(name)
    if name == "mnist":
        return _data.flat_pixels(X), y, None
    if len(X) > MOST_ROWS:
        X, _, y, _ = train_test_split(X, y, train_size=MOST_ROWS, stratify=y, random_state=0)
    return X, y, None


def two_domains():
    """MNIST at 8 x 8 and scikit-learn's digits, as many of one as of the other."""
    digits = load_digits()
    X, y, _ = load("mnist")
    X, _, y, _ = train_test_split(X, y, train_size=len(digits.data), stratify=y, random_state=0)
    box = torch.from_numpy(X).view(-1, 1, 28, 28)[:, :, 4:24, 4:24]  # the digit, as scikit-learn's fill their square
    small = F.interpolate(box, size=(8, 8), mode="area").flatten(1).numpy()
    domain = np.repeat([0, 1], len(y))
    return np.vstack([small, digits.data / 16]), np.concatenate([y, digits.target]), domain


def split_of(job):
    """A split, tables standardised by its training rows; and domains of training and test rows, or None."""
    X, y, domain = load(job.data)
    strata = None if domain is None else 2 * y + domain
    split = Split(X, y, job.seed, most_rows=QUICK_ROWS if job.quick else None, strata=strata)
    if job.data not in ("mnist", "two domains"):
        scaler = StandardScaler().fit(split.X)
        split.X, split.X_test = scaler.transform(split.X), scaler.transform(split.X_test)
    return split, None if domain is None else (domain[split.train], domain[split.test])


# --------------------------------------------------------------------------------------------------------- views


@dataclass(frozen=True)
class ImageView:
    """Rotate, scale, shift and crop square images in rows, erase a rectangle, change the brightness.

    By torch's grid_sample rather than kornia, which draws from torch's global generator: here all random numbers come
    from the generator that is passed, and a fit with random_state gives the same bits again.

    crop, erase : range of the side of what is kept or erased, as a share of the image's; brightness : largest change.
    """

    crop: tuple = (0.9, 1.0)
    erase: tuple = (0.1, 0.25)
    brightness: float = 0.0
    rotation: float = 15.0  # degrees
    scale: tuple = (0.8, 1.2)
    shift: float = 0.1  # of the image's side

    def __call__(self, batch, generator):
        n, side = len(batch), math.isqrt(batch.shape[1])

        def uniform(low, high, *shape):
            return low + (high - low) * torch.rand((n, *shape), generator=generator, device=batch.device)

        angle = torch.deg2rad(uniform(-self.rotation, self.rotation))
        kept = uniform(*self.crop)
        zoom = kept / uniform(*self.scale)
        # theta takes places of the output to places of the input, both in [-1, 1]
        offset = uniform(-1, 1, 2) * (1 - kept)[:, None] + 2 * self.shift * uniform(-1, 1, 2)
        turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(n, 2, 2)
        theta = torch.cat([zoom[:, None, None] * turn, offset[:, :, None]], 2)
        grid = F.affine_grid(theta, (n, 1, side, side), align_corners=False)
        images = F.grid_sample(batch.view(n, 1, side, side), grid, align_corners=False)
        sides, place = uniform(*self.erase, 2), uniform(0, 1, 2)
        at = (torch.arange(side, device=batch.device) + 0.5) / side
        start = place * (1 - sides)
        inside = (at >= start[:, :, None]) & (at < (start + sides)[:, :, None])  # (n, 2, side)
        images = images.masked_fill((inside[:, 0, :, None] & inside[:, 1, None, :])[:, None], 0.0)
        if self.brightness:
            images = images * uniform(1 - self.brightness, 1 + self.brightness)[:, None, None, None]
        return images.clamp(0, 1).flatten(1)


@dataclass(frozen=True)
class Mispaired:
    """A view in which a share of the rows belongs to another row: a random part of the batch, shifted in a circle."""

    view: object
    share: float = MISPAIRED

    def __call__(self, batch, generator):
        rows = torch.randperm(len(batch), generator=generator, device=batch.device)[: round(self.share * len(batch))]
        order = torch.arange(len(batch), device=batch.device)
        order[rows] = rows.roll(1)
        return self.view(batch[order], generator)


STANDARD = {
    "mnist": ImageView(),
    "two domains": ImageView(crop=(1.0, 1.0), erase=(0.0, 0.0)),
    "letter": ColumnCorruption(0.2),
    "vowel": ColumnCorruption(0.2),
}
STRONG = {
    "mnist": ImageView(crop=(0.5, 0.9), erase=(0.3, 0.6), brightness=0.6),
    "letter": ColumnCorruption(0.6),
    "vowel": ColumnCorruption(0.6),
}


def views_of(data, kind):
    """The views of a dataset: one callable, or one for each view."""
    if kind == "strong":
        return STRONG[data]
    return [STANDARD[data], Mispaired(STANDARD[data])] if kind == "mis-paired" else STANDARD[data]


# ---------------------------------------------------------------------------------------------------------- fits


BASELINES = {
    "raw features": lambda job: FunctionTransformer(),
    "PCA": lambda job: PCA(min(N_COMPONENTS, load(job.data)[0].shape[1]), random_state=job.seed),
    "Nystroem": lambda job: make_pipeline(StandardScaler(), Nystroem(n_components=NYSTROEM, random_state=job.seed)),
    "untrained encoder": lambda job: GCAEmbedder(N_COMPONENTS, max_epochs=0, random_state=job.seed, **BARE),
}


def embedder(job, n_train):
    """Return the baseline, or the estimator with a loss; an option ``views`` of the job names a kind of views."""
    if job.method in BASELINES:
        return BASELINES[job.method](job)
    steps = QUICK_STEPS if job.quick else STEPS
    options = {"epsilon": EPSILON, **dict(job.options)}
    return GCAEmbedder(
        N_COMPONENTS,
        loss=job.method,
        max_epochs=max(1, round(steps / math.ceil(n_train / BATCH))),
        batch_size=BATCH,
        random_state=job.seed,
        **BARE,
        **options | {"views": views_of(job.data, options["views"])},
    )


def run(job):
    """Fit and score; the record to keep."""
    warnings.simplefilter("ignore")
    split, domains = split_of(job)
    X, y, X_test, y_test, few = split.X, split.y, split.X_test, split.y_test, split.few[0]
    model = embedder(job, len(X))
    start = time.perf_counter()
    if domains and job.method in LOSSES:
        model.fit(X, sample_domain=domains[0])
    else:
        model.fit(X, y if job.method == "supcon" else None)
    seconds = time.perf_counter() - start
    if isinstance(model, GCAEmbedder):
        model.encoder_.readout = Standardization(N_COMPONENTS)  # as it is made: outputs as the loss left them
    Z, Z_test = model.transform(X), model.transform(X_test)
    record = {
        "all": accuracy(Z, y, Z_test, y_test),
        "few": accuracy(Z[few], y[few], Z_test, y_test),
        "knn": KNeighborsClassifier(NEIGHBOURS, metric="cosine").fit(Z, y).score(Z_test, y_test),
        "rank": effective_rank(Z_test, center=True),
        "seconds": seconds,
    }
    if domains:
        domain, other = domains
        record["domain"] = accuracy(Z, domain, Z_test, other)
        record["across"] = np.mean(
            [accuracy(Z[domain == d], y[domain == d], Z_test[other != d], y_test[other != d]) for d in (0, 1)]
        )
    if job.method in LOSSES:
        record |= agreement(model, job, X_test, Z_test)
    return {name: round(float(value), 5) for name, value in record.items()}


def agreement(model, job, X_test, Z_test):
    """Alignment of two standard views of each test row, and uniformity, in the embedding."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.from_numpy(X_test).float()
    Z_a, Z_b = (model.transform(STANDARD[job.data](batch, generator).numpy()) for _ in range(2))
    return {"alignment": alignment_score(Z_a, Z_b), "uniformity": uniformity_score(Z_test)}
