"""Which label-free score ranks settings as a linear probe does: candidates over a grid, on the sets of quality.py.

    python -m benchmarks.scores                      # all of it, an hour or two on two cores
    python -m benchmarks.scores --data wine vowel --seeds 0

A fit leaves the accuracies of the probe in its record, and what the candidates read, embeddings of held-out rows and
of views of them, in a file of the folder beside --out. score_report.py computes candidates and tables of them.

A split is drawn once for each set, the same for all settings and seeds, with at most 2,000 rows to train on. A fit
learns from them without labels. The other rows, 6,000 at most, are held out: the probe is scored on them, and the
candidates see up to 1,000 of them, without labels.
"""

import warnings
from functools import partial

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder
from skgca._data import check_rows
from skgca.views import ColumnCorruption, ImageAugmentation

from ._data import DATA, IMAGES, accuracy, few_of, load, taken
from ._data import PROTOCOL as OF_DATA
from ._jobs import Job, job_parser, measured, options_of, parsed, run_main
from .score_report import report

SEEDS, SPLIT_SEED = (0, 1), 100
TRAIN_ROWS, TEST_ROWS, SCORED_ROWS, PAIRED_ROWS = 2000, 6000, 1000, 500
DRAWS = 3  # of the small probe
STEPS = {"table": 600, "images": 250}
RATES = (0.2, 0.4, 0.6)  # of the corruption by which candidates look at tables
MANY_ROWS, MANY_VIEWS = 300, 10  # of LiDAR

EPSILONS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
MARGINALS = ("row", "balanced", 1.0)


def grid(kind):
    """Settings by name; the same for tables and images but for what is of one of them.

    There is no "gca_uot", which is "gca_ince" with marginals 1.0.
    """
    found = {}
    for epsilon in EPSILONS:
        for marginals in MARGINALS:
            found[f"gca_ince {epsilon} {marginals}"] = {"epsilon": epsilon, "marginals": marginals}
    for loss, epsilons in {
        "rince": (0.1, 0.5, 1.0),
        "gca_rince": (0.1, 0.5),
        "iot": (0.1, 0.5),
        "iot_uni": (0.1, 0.5),
        "byol": (0.5,),
    }.items():
        for epsilon in epsilons:
            found[f"{loss} {epsilon}"] = {"loss": loss, "epsilon": epsilon}
    for width in (4, 16, 64):
        for epsilon in (0.1, 0.5):
            found[f"width {width} {epsilon}"] = {"n_components": width, "epsilon": epsilon}
    for hidden in ((32, 32), (512, 512)) if kind == "table" else ((8, 16, 32),):
        for epsilon in (0.1, 1.0):
            found[f"hidden {hidden[0]} {epsilon}"] = {"hidden_layer_sizes": hidden, "epsilon": epsilon}
    for projection in ((128, 16), (512, 512)):
        found[f"head {projection[-1]}"] = {"projection_sizes": projection}
    found["untrained"] = {"max_epochs": 0}
    found["short"] = {"max_epochs": 3}
    if kind == "table":
        for rate in (0.05, 0.4, 0.7):
            found[f"corruption {rate}"] = {"corruption_rate": rate}
    return found


def kind_of(data):
    return "images" if data in IMAGES else "table"


def split_of(job, split_seed, train_rows=TRAIN_ROWS):
    """Rows to train on, and rows held out."""
    X, y = load(job.data)
    n_train = min(round(0.7 * len(y)), 150 if job.quick else train_rows)
    n_test = min(len(y) - n_train, 100 if job.quick else TEST_ROWS)
    rows = np.arange(len(y))
    train, test = train_test_split(rows, train_size=n_train, test_size=n_test, stratify=y, random_state=split_seed)
    return (taken(X, train), y[train]), (taken(X, test), y[test])


def views_of(job):
    """What the candidates look through, by name: the same for all settings."""
    if kind_of(job.data) == "images":
        return {"own": ImageAugmentation("geometric")}
    return {f"{rate}": ColumnCorruption(rate) for rate in RATES}


def embed_all(module, inputs):
    """Embedding and projection of inputs, as float32 arrays."""
    with torch.inference_mode():
        found = [(module.encoder(part), module(part)) for part in inputs.split(512)]
    return [torch.cat(parts).numpy() for parts in zip(*found, strict=True)]


def fitted(job, X, steps):
    """Embedder of a job, after about so many steps."""
    n_batches = max(1, round(len(X) / 128))
    options = {"max_epochs": max(1, round((20 if job.quick else steps) / n_batches)), **dict(job.options)}
    return GCAEmbedder(**{**options, "random_state": job.seed}).fit(X)


def n_learned_of(model):
    """Return how many columns of the embedding, the first, were learned; the others are passed through."""
    return sum(name.startswith("gcaembedder") for name in model.get_feature_names_out())


def looked_through(job, model, X_test):
    """Embeddings of views of held-out rows, by name."""
    kept, n_learned = {}, n_learned_of(model)
    inputs = model.reader_.read(check_rows(model, X_test, reset=False).take(slice(0, PAIRED_ROWS)))
    generator = torch.Generator().manual_seed(0)
    module = model.net_.module_
    for name, view in views_of(job).items():
        for side in "ab":
            embedded, projected = embed_all(module, view(inputs, generator))
            kept[f"{side} {name}"] = embedded
            if name in ("own", "0.2"):
                kept[f"{side} projected"] = projected
    first = next(iter(views_of(job).values()))
    many = [embed_all(module, first(inputs[:MANY_ROWS], generator)) for _ in range(MANY_VIEWS)]
    kept["many"] = np.stack([embedded[:, :n_learned] for embedded, _ in many])
    kept["many projected"] = np.stack([projected for _, projected in many])
    return kept


def file_of(job, split_seed, folder, kept):
    """Write the arrays of a fit, and return the name of their file."""
    name = f"{job.data} {job.method} {job.seed} {split_seed}{' quick' if job.quick else ''}.npz".replace(" ", "_")
    np.savez(folder / name, **{name: np.float16(array) for name, array in kept.items()})
    return name


def run(job, split_seed, folder):
    """Fit, embed and probe; the record to keep, which names the file of the arrays."""
    warnings.simplefilter("ignore")
    (X, y), (X_test, y_test) = split_of(job, split_seed)
    with threadpool_limits(1):
        model = fitted(job, X, STEPS[kind_of(job.data)])
        Z, Z_test = (np.asarray(model.transform(rows), dtype=np.float64) for rows in (X, X_test))
        n_learned = n_learned_of(model)
        record, kept = {"n_learned": n_learned}, {"Z": Z_test[:SCORED_ROWS].astype(np.float32)}
        few = few_of(y, 0, DRAWS)
        for name, columns in (("whole", slice(None)), ("learned", slice(n_learned))):
            record[f"{name} all"] = accuracy(Z[:, columns], y, Z_test[:, columns], y_test)
            draws = [accuracy(Z[rows][:, columns], y[rows], Z_test[:, columns], y_test) for rows in few]
            record[f"{name} few"] = np.mean(draws)
        kept |= looked_through(job, model, X_test)
    return {**record, "file": file_of(job, split_seed, folder, kept)}


def protocol(split_seed):
    """What results depend on beside their job."""
    return *OF_DATA, split_seed, TRAIN_ROWS, TEST_ROWS, SCORED_ROWS, PAIRED_ROWS, DRAWS, str(STEPS), RATES


def jobs_of(data, seeds, quick):
    for seed in seeds:
        for name in data:
            settings = grid(kind_of(name))
            for setting in list(settings)[:: 6 if quick else 1]:
                yield Job(name, setting, seed, options_of(**settings[setting]), quick)


def given_of(doc):
    """Parse the command line, which is also that of settings.py."""
    parser = job_parser(doc, "scores", data=DATA)
    parser.add_argument("--split-seed", type=int, default=SPLIT_SEED)
    return parsed(parser, usual={"data": DATA, "seeds": SEEDS}, quick={"data": ("wine", "digits")})


def records_of(given):
    """Make the fits that are missing, unless --report is given, and return the records by their job."""
    folder = given.out.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    jobs = list(jobs_of(given.data, given.seeds, given.quick))
    do = partial(run, split_seed=given.split_seed, folder=folder)
    return measured(do, jobs, given, protocol=protocol(given.split_seed))


def main():
    given = given_of(__doc__)
    report(records_of(given), given.out.with_suffix(""), given.split_seed)


if __name__ == "__main__":
    run_main(__spec__)
