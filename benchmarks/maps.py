"""What `GCAMap()` shows beside UMAP and the first two principal components.

    python -m benchmarks.maps                            # an hour of one core
    python -m benchmarks.maps --data vowel --seeds 0     # half a minute
    python -m benchmarks.maps --draw build/maps --data digits-flat --seeds 0

Prints tables in Markdown, which docs/evidence/maps.md holds. A seed draws a stratified split; 30% of the rows are held
out (of MNIST 1,000). All methods get the training rows as `GCAMap` reads them (standardised, categories one-hot; pixels
of images as they are), and map the held-out rows by `transform`. Of the sets named "images", ours get the images, and
others their pixels. Measured are held-out rows only, but for the stability: the Procrustes disparity between the
training rows of two fits with different seeds, on the split of seed 0. Images are also mapped by augmentation alone:
`GCAEmbedder` with two columns, the cost "student_t" and no projection head. The methods of a set and a seed run one
after the other in one process, on one thread. It needs umap-learn.
"""

import time
import warnings
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import procrustes
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder, GCAMap
from skgca._data import Rows, TableReader

from ._data import QUICK, flat_pixels, split_of
from ._jobs import Job, Results, job_parser, measured, parsed, run_main
from ._printing import about, as_text, cell, table, version

IMAGES = {"digits images": "digits", "mnist images": "mnist"}  # ours get images, and others their pixels
DATA = (*IMAGES, "digits-flat", "mnist", "letter", "spambase", "vowel", "vehicle", "breast cancer")
SEEDS = range(3)
N_NEIGHBORS = 15
PROTOCOL = (N_NEIGHBORS, repr(sorted(GCAMap().get_params().items())), 1)


def umap(seed):
    from umap import UMAP

    return UMAP(random_state=seed)


METHODS = {
    "GCAMap": lambda seed: GCAMap(random_state=seed),
    "UMAP": umap,
    "PCA": lambda seed: PCA(2),
}
STABLE = ("GCAMap", "UMAP")  # fitted twice, since the comparison takes another fit
SCORES = {
    "accuracy": f"Accuracy of {N_NEIGHBORS} neighbours, in %",
    "trust": f"Trustworthiness, {N_NEIGHBORS} neighbours, in %",
}


def rows_of(job):
    """Training and held-out rows as `GCAMap` reads them, and their labels; of images, their pixels."""
    split = split_of(IMAGES.get(job.data, job.data), job.seed, job.quick)
    X, X_test = split.X, split.X_test
    are_pixels = X.ndim == 3
    if are_pixels:
        X, X_test = flat_pixels(X), flat_pixels(X_test)
    # pixels at the border hardly vary; scaled, they would count as much as others
    reader = TableReader(categorical_features="from_dtype", standardize=not are_pixels).fit(Rows(X))
    stem = reader.make_stem(standardize=True)
    read = [stem.plain(reader.read(rows)).numpy().astype(np.float64) for rows in (X, X_test)]
    return *read, split.y, split.y_test


def mapped(name, job, seed, X, X_test):
    """Places of training and of held-out rows, and processor seconds of fit and transform."""
    model = METHODS[name](seed)
    if job.data in IMAGES and name == "GCAMap":
        split = split_of(IMAGES[job.data], job.seed, job.quick)
        X, X_test = split.X, split.X_test
    elif isinstance(model, GCAMap):
        model.set_params(standardize=False)  # the rows are
    start = time.process_time()
    model.fit(X)
    fitted = time.process_time()
    new = model.transform(X_test)
    return model.embedding_ if name == "UMAP" else model.transform(X), new, fitted - start, time.process_time() - fitted


def by_views(job, X_test, y, y_test):
    """Scores of a map of images that is trained by augmentation alone, through two dimensions from the start."""
    split = split_of(IMAGES[job.data], job.seed, job.quick)
    settings = {"cost": "student_t", "epsilon": 1.0, "projection_sizes": (), "n_threads": 1, "random_state": job.seed}
    model = GCAEmbedder(2, **settings, **(QUICK if job.quick else {})).fit(split.X)
    points, new = model.transform(split.X), model.transform(split.X_test)
    return {
        "accuracy": KNeighborsClassifier(N_NEIGHBORS).fit(points, y).score(new, y_test),
        "trust": trustworthiness(X_test, new, n_neighbors=N_NEIGHBORS),
    }


def run(job):
    """Scores and times of all methods on a set and a seed."""
    warnings.simplefilter("ignore")
    X, X_test, y, y_test = rows_of(job)
    record = {}
    with threadpool_limits(1):
        torch.set_num_threads(1)
        if job.method == "views":
            return by_views(job, X_test, y, y_test)
        umap(0).set_params(n_epochs=5).fit(X[:60]).transform(X[:5])  # numba compiles on first use
        for name in METHODS:
            points, new, fit_seconds, seconds = mapped(name, job, job.seed, X, X_test)
            record[f"{name} accuracy"] = KNeighborsClassifier(N_NEIGHBORS).fit(points, y).score(new, y_test)
            record[f"{name} trust"] = trustworthiness(X_test, new, n_neighbors=N_NEIGHBORS)
            record[f"{name} fit"], record[f"{name} transform"] = fit_seconds, seconds
            if name in STABLE:
                again = mapped(name, job, 1000, X, X_test)[0] if job.seed == 0 else None
                record[f"{name} disparity"] = np.nan if again is None else procrustes(points, again)[2]
    return {key: round(float(value), 6) for key, value in record.items()}


def report(results, data):
    def of(name, score, method):
        return results.of(f"{method} {score}", name, "maps")

    images = [name for name in data if name in IMAGES]
    rows = [[name, *(cell(results.of(score, name, "views")) for score in SCORES)] for name in images]
    table("Images by augmentation alone, through two dimensions", ["", *SCORES.values()], rows)
    for score, title in SCORES.items():
        rows = []
        for name in data:
            ours, theirs = (np.mean(list(of(name, score, method).values())) for method in ("GCAMap", "UMAP"))
            rows.append([name, *(cell(of(name, score, method)) for method in METHODS), f"{100 * (ours - theirs):+.1f}"])
        table(f"{title}, held-out rows", ["", *METHODS, "GCAMap less UMAP"], rows)
    rows = []
    for name in data:
        seconds = {
            (method, what): np.median(list(of(name, what, method).values()))
            for method in STABLE
            for what in ("fit", "transform")
        }
        ratio = {
            what: np.median(
                [
                    one / other
                    for one, other in zip(
                        of(name, what, "GCAMap").values(), of(name, what, "UMAP").values(), strict=True
                    )
                ]
            )
            for what in ("fit", "transform")
        }
        rows.append(
            [
                name,
                *(f"{seconds[method, 'fit']:.1f}" for method in STABLE),
                f"{ratio['fit']:.1f}",
                *(f"{1000 * seconds[method, 'transform']:.1f}" for method in STABLE),
                f"{1 / ratio['transform']:.0f}",
            ]
        )
    head = ["", "fit, s", "UMAP", "times UMAP's", "held-out rows, ms", "UMAP", "times faster"]
    table("Processor time of one thread, median over seeds", head, rows)
    disparities = {(name, method): of(name, "disparity", method).get(0, np.nan) for name in data for method in STABLE}
    rows = [[name, *(as_text(round(disparities[name, method], 3)) for method in STABLE)] for name in data]
    table("Procrustes disparity between two seeds", ["", *STABLE], rows)


def draw(folder, data, seeds):
    """Pictures of the held-out rows, one file a set: GCAMap beside UMAP."""
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    for name in data:
        job = Job(name, "maps", seeds[0])
        X, X_test, y, y_test = rows_of(job)
        figure, axes = plt.subplots(2, 2, figsize=(10, 10), layout="constrained")
        for row, method in zip(axes, STABLE, strict=True):
            points, new, *_ = mapped(method, job, seeds[0], X, X_test)
            for ax, places, labels, which in ((row[0], points, y, "training"), (row[1], new, y_test, "held out")):
                ax.scatter(*places.T, c=labels, s=3, cmap="tab20")
                ax.set(title=f"{method}, {which} rows", xticks=[], yticks=[])
        figure.savefig(folder / f"{name.replace(' ', '-')}.png", dpi=80)
        plt.close(figure)


def main():
    parser = job_parser(__doc__, "maps", data=DATA, jobs=1)
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="draw maps instead of measuring them")
    quick = {"data": ("vowel", "breast cancer"), "seeds": (0, 1)}
    given = parsed(parser, usual={"data": DATA, "seeds": SEEDS}, quick=quick)
    if given.draw:
        draw(given.draw, given.data, given.seeds)
        return
    jobs = [Job(name, "maps", seed, (), given.quick) for seed in given.seeds for name in given.data]
    jobs += [Job(name, "views", seed, (), given.quick) for seed in given.seeds for name in given.data if name in IMAGES]
    records = measured(run, jobs, given, protocol=PROTOCOL, packages=("umap-learn",))
    about(f"umap-learn {version('umap-learn')}", f"seeds {given.seeds}")
    report(Results(records, by=lambda job: (job.data, job.method)), given.data)


if __name__ == "__main__":
    run_main(__spec__)
