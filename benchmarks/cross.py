"""One measurement is to be found by the other: two encoders beside CCA, with pairs of which a share is wrong for good.

    python -m benchmarks.cross                  # all of it, 25 minutes on one core
    python -m benchmarks.cross --data digits    # one set

Prints tables in Markdown, which docs/evidence/cross.md holds. Needs the packages of the extra "bench".

A seed draws training rows, held-out rows and wrong pairs, and is the random_state of the fit, the same for all methods.
Of the training rows, a share has the second measurement of another row, the same one in each epoch, as after a bad
join; the pairs of held-out rows are right. Each method has the settings of the best recall at 1 on other seeds, with
40% of wrong pairs. Recall at k is the share of held-out rows whose other measurement is among the k nearest ones by
cosine, averaged over both directions.
"""

import math
import warnings
from functools import lru_cache

import numpy as np
import torch
from sklearn.cross_decomposition import CCA, PLSCanonical
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skgca import GCACrossEmbedder, GCAEmbedder
from skgca.metrics import view_retrieval_score

from ._data import load
from ._jobs import Job, Results, job_parser, measured, options_of, parsed, run_main
from ._printing import about, cell, table
from ._statistics import differences_as_text, points

SEEDS, CHOSEN_ON = range(5), (100, 101)
STEPS, QUICK_STEPS, BATCH = {"mnist": 200, "digits": 250, "wine": 200}, 5, 128
ROWS = {"mnist": (1500, 1000), "digits": (1257, 540), "wine": (124, 54)}  # training and held-out rows
SHARES, CHOSEN_AT = (0.0, 0.2, 0.4), 0.4
EPSILONS = (0.1, 0.2)
LOSSES = {
    "ince": [{"epsilon": epsilon} for epsilon in EPSILONS],
    "gca_ince": [{"epsilon": epsilon} for epsilon in EPSILONS],
    "rince": [{"epsilon": epsilon, "q": q} for epsilon, q in ((0.1, 0.2), (0.2, 0.6))],
    "gca_uot": [{"epsilon": epsilon} for epsilon in EPSILONS],
    "gca_uot with rince": [{"epsilon": 0.2, "rince_weight": 1.0}],
}
# Principal components of each side, 0 for none, and components of the common space.
LINEAR = [{"k": k, "n": n} for k in (0, 100) for n in (4, 6, 20, 40)]
KERNEL = [{"k": k, "n": n} for k, n in ((10, 10), (20, 10), (50, 20), (100, 20), (100, 40), (200, 20))]
LANDMARKS = 300
RIVALS = {"CCA": LINEAR, "PLSCanonical": LINEAR, "kernel CCA": KERNEL}
METHODS = {**LOSSES, **RIVALS}
SLOW = {"mnist": ({"k": 0}, {"n": 4}, {"n": 6})}  # CCA of all pixels takes minutes, and few components find nothing
# On seed 100, perceptrons were better than convolutions on digits, and this one was better than the default.
NETWORK = {"hidden_layer_sizes": (512,), "dropout": 0.2}
PROTOCOL = (str(STEPS), BATCH, str(ROWS), LANDMARKS, str(NETWORK), str(GCACrossEmbedder().get_params()))


# ------------------------------------------------------------------------------------------------------------- data


@lru_cache
def measurements(name):
    """Both measurements of all rows, and how the first one is read."""
    if name == "wine":
        X, _ = load("wine")
        return X[:, ::2], X[:, 1::2], {}
    images, _ = load(name)
    if name == "digits":  # without the phases the pixels do not follow from the other side
        magnitudes = np.log1p(np.abs(np.fft.rfft2(images))).reshape(len(images), -1)
        return images, magnitudes, {"encoder": "mlp"}
    left, right = (half.reshape(len(images), -1) / 255 for half in np.split(images, 2, axis=2))
    return left, right, {"encoder": "mlp", "image_shape": (28, 14)}


class Pairs:
    """Training pairs, of which a share is wrong, and held-out pairs."""

    def __init__(self, name, share, seed, quick):
        X, Y, self.first = measurements(name)
        n_train, n_test = (120, 40) if quick else ROWS[name]
        train, test = train_test_split(np.arange(len(X)), train_size=n_train, test_size=n_test, random_state=seed)
        self.X, self.Y, self.X_test, self.Y_test = X[train], Y[train].copy(), X[test], Y[test]
        wrong = np.random.default_rng(seed).permutation(n_train)[: round(share * n_train)]
        self.Y[wrong] = self.Y[np.roll(wrong, 1)]  # none of them keeps its own


# ----------------------------------------------------------------------------------------------------------- methods


def ours(job, pairs):
    given = {name: value for name, value in job.options if name != "share"}
    epochs = max(1, round((QUICK_STEPS if job.quick else STEPS[job.data]) / math.ceil(len(pairs.X) / BATCH)))
    loss = job.method.split()[0]
    sides = GCAEmbedder(**NETWORK, **pairs.first), GCAEmbedder(**NETWORK)
    return GCACrossEmbedder(*sides, loss=loss, max_epochs=epochs, batch_size=BATCH, random_state=job.seed, **given)


class Rival:
    """Projections of scikit-learn, behind a scaler, features of a kernel and principal components."""

    def __init__(self, job):
        self.job, self.given = job, dict(job.options)

    def side(self, X):
        """Return the steps before the projection, fitted."""
        steps, most = [StandardScaler()], min(X.shape[1], len(X) - 1)
        if self.job.method == "kernel CCA":
            most = min(LANDMARKS, len(X))
            steps.append(Nystroem(n_components=most, random_state=self.job.seed))  # gamma: 1 / number of columns
        if self.given["k"]:
            steps.append(PCA(min(self.given["k"], most - 1), random_state=self.job.seed))
        return make_pipeline(*steps).fit(X)

    def fit(self, X, Y):
        self.sides = [self.side(flat(X)), self.side(flat(Y))]
        A, B = (side.transform(flat(Z)) for side, Z in zip(self.sides, (X, Y), strict=True))
        kind = PLSCanonical if self.job.method == "PLSCanonical" else CCA
        self.model = kind(n_components=min(self.given["n"], A.shape[1], B.shape[1])).fit(A, B)
        return self

    def transform(self, X, Y):
        return self.model.transform(*(side.transform(flat(Z)) for side, Z in zip(self.sides, (X, Y), strict=True)))


def flat(X):
    return X.reshape(len(X), -1)


def run(job):
    """Recall at 1 and at 10 among held-out rows."""
    warnings.simplefilter("ignore")
    pairs = Pairs(job.data, dict(job.options)["share"], job.seed, job.quick)
    with threadpool_limits(1):
        torch.set_num_threads(1)
        model = ours(job, pairs) if job.method in LOSSES else Rival(job)
        Z_x, Z_y = model.fit(pairs.X, pairs.Y).transform(pairs.X_test, pairs.Y_test)
        return {f"at {k}": round(view_retrieval_score(Z_x, Z_y, k=k), 5) for k in (1, 10)}


# -------------------------------------------------------------------------------------------------------------- jobs


def trial_jobs(data, quick):
    """Each method at each of its settings, on the seeds that these are chosen on."""
    for name in data:
        for method, settings in METHODS.items():
            usual = [
                given for given in settings if not any(slow.items() <= given.items() for slow in SLOW.get(name, ()))
            ]
            for given in usual[:1] if quick else usual:
                for seed in CHOSEN_ON[: 1 if quick or method in LOSSES else None]:
                    yield Job(name, method, seed, options_of(share=CHOSEN_AT, **given), quick)


def best_settings(trials):
    """Options of each method by set: those of the best mean recall at 1."""
    found = {}
    for job, record in trials.items():
        given = tuple(pair for pair in job.options if pair[0] != "share")
        found.setdefault((job.data, job.method), {}).setdefault(given, []).append(record["at 1"])
    return {key: max(settings, key=lambda given: np.mean(settings[given])) for key, settings in found.items()}


def jobs_of(data, seeds, best, quick):
    for seed in seeds:
        for name in data:
            for share in SHARES:
                for method in METHODS:
                    yield Job(name, method, seed, options_of(share=share, **dict(best[name, method])), quick)


# --------------------------------------------------------------------------------------------------------- reporting


def report(results, data, best):
    cases = [(name, share) for name in data for share in SHARES]
    for score in ("at 1", "at 10"):
        means = {
            method: [np.mean(list(results.of(score, *case, method).values())) for case in cases] for method in METHODS
        }
        ranks = mean_ranks(np.array(list(means.values())))
        rows = [["mean rank", *(f"{rank:.2f}" for rank in ranks)]]
        rows += [
            [f"{name}, {share:.0%} wrong", *(cell(results.of(score, name, share, method)) for method in METHODS)]
            for name, share in cases
        ]
        table(f"Recall {score} in %", ["", *METHODS], rows)
    others = [method for method in METHODS if method != "ince"]
    for score in ("at 1", "at 10"):
        ratios = [ROWS[name][1] / ROWS[name][0] for name in data]
        gains = [
            [
                points(results.of(score, name, CHOSEN_AT, m), results.of(score, name, CHOSEN_AT, "ince")).values()
                for m in others
            ]
            for name in data
        ]
        rows = [[name, *row] for name, row in zip(data, differences_as_text(gains, ratios), strict=True)]
        table(f"Points above ince, recall {score}, {CHOSEN_AT:.0%} wrong", ["", *others], rows)
    rows = [[method, *(settings_text(best[name, method]) for name in data)] for method in METHODS]
    table("Settings chosen", ["", *data], rows)


def mean_ranks(means):
    """Mean rank of each row over the columns, 1 for the highest; equal ones share theirs."""
    above = (means[None, :, :] > means[:, None, :]).sum(axis=1)
    level = (means[None, :, :] == means[:, None, :]).sum(axis=1)
    return (above + (level + 1) / 2).mean(axis=1)


def settings_text(given):
    return ", ".join(f"{name} {value:g}" for name, value in given if name != "rince_weight")


def main():
    parser = job_parser(__doc__, "cross", data=ROWS, jobs=1)
    given = parsed(parser, usual={"data": ROWS, "seeds": SEEDS}, quick={"seeds": (0,)})
    about(
        f"seeds {given.seeds}; settings chosen on {list(CHOSEN_ON)}", f"{list(STEPS.values())} steps of {BATCH} pairs"
    )
    best = best_settings(measured(run, list(trial_jobs(given.data, given.quick)), given, protocol=PROTOCOL))
    jobs = list(jobs_of(given.data, given.seeds, best, given.quick))
    records = measured(run, jobs, given, protocol=PROTOCOL)
    report(Results(records, by=lambda job: (job.data, dict(job.options)["share"], job.method)), given.data, best)


if __name__ == "__main__":
    run_main(__spec__)
