"""What `GCAEmbedder()` is worth on small colour images, beside the views that a user may name.

    python -m benchmarks.images                              # twenty minutes of one core
    python -m benchmarks.images --data photos-24 --seeds 5

Prints tables in Markdown, which docs/evidence/images.md holds. It needs scikit-image for the images that it ships;
benchmarks/peers-requirements.txt says how to install it. Patches of training and of test rows are cut from different
blocks of an image. Embedders are fitted to the training rows without labels, with the same number of epochs, fewer than
by default. A logistic regression behind them reads all labels, or ten a class. One thread.
"""

import time
import warnings
from functools import lru_cache

import numpy as np
import torch
from sklearn.datasets import load_digits, load_sample_images
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder

from ._data import LABELS, MAX_ITER, few_of, load
from ._jobs import Job, Results, job_parser, measured, parsed, run_main
from ._printing import about, cell, table, version

BLOCK = 96  # pixels; half of the blocks of an image are for training rows
PHOTOGRAPHS = (  # in colour, of skimage.data; those of scikit-learn follow
    "astronaut",
    "chelsea",
    "coffee",
    "hubble_deep_field",
    "immunohistochemistry",
    "retina",
    "rocket",
    "stereo_motorcycle",
)
TEXTURES = ("brick", "grass", "gravel", "camera", "coins", "moon", "cell")  # grey, tinted here
PATCHES = {"photos-24": 24, "photos-32": 32, "photos-64": 64, "textures-32": 32}
UINT8 = ("photos-24", "photos-64", "mnist-28")  # the others are float32 in [0, 1]
DATA = (*PATCHES, "digits-8", "mnist-28")
N_ROWS = 600  # of training, and of test
SEEDS = range(5, 8)  # the default was chosen on 0 and 1
SLOW = ("photos-64",)  # takes longer than all others together, so it has the first seed only
OPTIONS = {"max_epochs": 40}
METHODS = {
    "GCA": {},
    "standard": {"views": "standard"},
    "geometric": {"views": "geometric"},
    "strong": {"views": "strong"},
    "untrained": {"max_epochs": 0},
}
NAMED = ("standard", "geometric", "strong")  # what could be named before
SCORES = {"all": "all labels", "few": f"{LABELS} labels a class"}
PROTOCOL = (BLOCK, PHOTOGRAPHS, TEXTURES, N_ROWS, LABELS, MAX_ITER, str(OPTIONS), 1)  # then the version of this script
QUICK_SETS = {"data": ("photos-24", "digits-8"), "seeds": (5,)}


# ------------------------------------------------------------------------------------------------------------- sets


@lru_cache
def pictures(names):
    """Images of skimage.data (h, w, 3) or (h, w), of 8 bits."""
    from skimage import data

    found = [getattr(data, name)() for name in names]
    found = [image[0] if isinstance(image, tuple) else image for image in found]  # a stereo pair
    return found + (load_sample_images().images if names == PHOTOGRAPHS else [])


def patches(names, size, rng):
    """Patches and which image they are from, of training, then of test: from different blocks of each image."""
    images = pictures(names)
    halves = []
    for image in images:
        n_down, n_across = (side // BLOCK for side in image.shape[:2])
        blocks = rng.permutation(n_down * n_across)
        half = len(blocks) // 2
        halves.append([[(b // n_across, b % n_across) for b in part] for part in (blocks[:half], blocks[half:])])
    found = []
    for part in range(2):
        y = rng.permutation(np.arange(N_ROWS) % len(images))
        X = []
        for label in y:
            blocks = halves[label][part]
            corner = BLOCK * np.array(blocks[rng.integers(len(blocks))]) + rng.integers(0, BLOCK - size + 1, 2)
            X.append(images[label][corner[0] : corner[0] + size, corner[1] : corner[1] + size])
        found += [np.stack(X), y]
    return found


def tinted(grey, rng):
    """Grey images in [0, 1] in colour: from one random dark colour to one random bright colour, for each image."""
    dark, bright = rng.uniform(0, 0.5, (len(grey), 1, 1, 3)), rng.uniform(0.5, 1, (len(grey), 1, 1, 3))
    return dark + (bright - dark) * grey[..., None]


def in_type(X, name):
    if name in UINT8:
        return X if X.dtype == np.uint8 else (255 * X).round().astype(np.uint8)
    return (X / 255 if X.dtype == np.uint8 else X).astype(np.float32)


def split_of(name, seed):
    """Training rows and labels, then test rows and labels."""
    rng = np.random.default_rng(seed)
    if name in PATCHES:
        X, y, X_test, y_test = patches(TEXTURES if name == "textures-32" else PHOTOGRAPHS, PATCHES[name], rng)
        if name == "textures-32":
            X, X_test = (tinted(rows / 255, rng) for rows in (X, X_test))
    else:
        grey, labels = load("mnist") if name == "mnist-28" else load_digits(return_X_y=True)
        grey = grey / 255 if name == "mnist-28" else grey.reshape(-1, 8, 8) / 16
        rows = rng.permutation(len(labels))[: 2 * N_ROWS]
        (X, X_test), (y, y_test) = (np.split(values, 2) for values in (tinted(grey[rows], rng), labels[rows]))
    return in_type(X, name), y, in_type(X_test, name), y_test


# ---------------------------------------------------------------------------------------------------------- methods


def run(job):
    """Accuracies with all labels and with few, processor seconds of the fit, and the views that it took."""
    warnings.simplefilter("ignore")
    X, y, X_test, y_test = split_of(job.data, job.seed)
    with threadpool_limits(1):
        torch.set_num_threads(1)
        options = {**OPTIONS, **METHODS[job.method], **({"max_epochs": 1} if job.quick else {})}
        start = time.process_time()
        embedder = GCAEmbedder(random_state=job.seed, n_threads=1, **options).fit(X)
        record = {"seconds": round(time.process_time() - start, 3), "views": embedder.reader_.auto_views}
        Z, Z_test = embedder.transform(X), embedder.transform(X_test)
        for score, rows in {"all": np.arange(len(y)), "few": few_of(y, job.seed, 1)[0]}.items():
            record[score] = LogisticRegression(max_iter=MAX_ITER).fit(Z[rows], y[rows]).score(Z_test, y_test)
    return record


# -------------------------------------------------------------------------------------------------------- reporting


def mean_of(results, score, method, name):
    return float(np.mean(list(results.of(score, method, name).values())))


def report(results, data):
    whole = [name for name in data if all(results.of("all", method, name) for method in METHODS)]
    for score, title in SCORES.items():
        rows = [[name, *(cell(results.of(score, method, name)) for method in METHODS)] for name in data]
        if whole:
            means = (np.mean([mean_of(results, score, method, name) for name in whole]) for method in METHODS)
            rows.append(["mean", *(f"{100 * mean:.1f}" for mean in means)])
        table(f"Accuracy in %, {title}", ["", *METHODS], rows)
    rows = []
    for name in whole:
        less = []
        for score in SCORES:
            best = max(NAMED, key=lambda method: mean_of(results, score, method, name))
            points = 100 * (mean_of(results, score, "GCA", name) - mean_of(results, score, best, name))
            less.append(f"{points:+.1f} ({best})")
        chosen = results.of("views", "GCA", name).values()
        rows.append([name, ", ".join(f"`{views}`" for views in dict.fromkeys(chosen)), *less])
    head = [f"{title}: less the best of before" for title in SCORES.values()]
    table("What the default chose", ["", "views", *head], rows)
    rows = [[name, *(cell(results.of("seconds", method, name), 1.0) for method in METHODS)] for name in data]
    table("Seconds of a fit", ["", *METHODS], rows)


def main():
    parser = job_parser(__doc__, "images", data=DATA, jobs=1)
    given = parsed(parser, usual={"data": DATA, "seeds": SEEDS}, quick=QUICK_SETS)
    jobs = [
        Job(name, method, seed, (), given.quick)
        for seed in given.seeds
        for name in given.data
        for method in METHODS
        if name not in SLOW or seed == given.seeds[0]
    ]
    records = measured(run, jobs, given, protocol=PROTOCOL, packages=("kornia", "scikit-image"))
    packages = [f"{package} {version(package)}" for package in ("kornia", "scikit-image")]
    about(*packages, f"seeds {given.seeds}", f"{OPTIONS['max_epochs']} epochs")
    report(Results(records, by=lambda job: (job.method, job.data)), given.data)


if __name__ == "__main__":
    run_main(__spec__)
