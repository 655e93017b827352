"""Fits of neighbours.py: what the network itself suggests as matches, and what is known to be compared with it.

Each function ``run_...`` fits and scores one job. Encoders are small and frozen; a logistic regression reads them.
"""

import math
import warnings
from functools import lru_cache

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skgca import GCAEmbedder
from skgca.losses import (
    PRESETS,
    AlignmentLoss,
    DomainsTarget,
    KLDivergence,
    LabelledTransportTarget,
    RelationalTarget,
    TransportTarget,
)
from skgca.ot._log_kernel import DenseLogKernel
from skgca.views import GaussianNoise

from . import _data
from ._data import DRAWS, MAX_ITER, TEST_SHARE, accuracy, few_of
from ._jobs import Job
from ._situations import ENCODER, MEASURED, STRONG, load, tail_of
from .family_fits import STANDARD, two_domains

STEPS, QUICK_STEPS, BATCH, NEIGHBOURS = 300, 5, 128, 15
QUICK_ROWS = 400
LONG_STEPS, LONG_SIZES = 700, {"n_components": 128, "hidden_layer_sizes": None}
ROTATION, LABELLED = 45, 0.3  # degrees; share of rows with a label
N_SHIFTED, SHIFTED_STEPS = 40, 100  # an eighth of the rows of each domain; of two columns
SHIFTS = ("covariate_shift", "target_shift", "conditional_shift", "subspace")
PROTOCOL = (*_data.PROTOCOL, STEPS, BATCH, NEIGHBOURS, str(ENCODER), ROTATION, LABELLED, N_SHIFTED, SHIFTED_STEPS)


def trained(job, X, seed, *, steps=STEPS, **params):
    """An embedder that takes some hundred steps, unfitted."""
    epochs = max(1, round((QUICK_STEPS if job.quick else steps) / math.ceil(len(X) / BATCH)))
    return GCAEmbedder(**ENCODER | {"max_epochs": epochs, "batch_size": BATCH, "random_state": seed} | params)


def alone(run):
    """Run a job in one thread, without warnings."""

    def run_alone(job):
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")
            torch.set_num_threads(1)
            return {name: round(float(value), 5) for name, value in run(job).items()}

    return run_alone


def rows_of(name, job, size=TEST_SHARE):
    """Rows and labels of a set, standardised if it is a table, and numbers of training and test rows."""
    X, y = load(name) if name != "mnist" else mnist()
    rows = np.arange(len(y))
    if job.quick:
        rows, _ = train_test_split(rows, train_size=QUICK_ROWS, stratify=y, random_state=0)
    train, test = train_test_split(rows, test_size=size, stratify=y[rows], random_state=job.seed)
    return (StandardScaler().fit(X[train]).transform(X) if name == "letter" else X), y, train, test


@lru_cache
def mnist():
    X, y = _data.load("mnist")
    return _data.flat_pixels(X).astype(np.float32), y


VIEWS = {"digits": STANDARD["two domains"], "letter": MEASURED["letter"], "mnist": STANDARD["mnist"]}


# ------------------------------------------------------------------------------------------------------- relational

RELATIONS = {
    "pairs": None,
    "relational": RelationalTarget(epsilon=0.05, weight=1.0),
    "relational, weaker": RelationalTarget(epsilon=0.02, weight=0.3),
    "relational, own pair almost nothing": RelationalTarget(epsilon=0.05, weight=100.0),
}
RELATIONAL = (  # views and target
    ("", "raw columns"),
    ("standard, standard", "pairs"),
    ("clean, standard", "pairs"),
    ("clean, standard", "relational"),
    ("clean, standard", "relational, weaker"),
    ("clean, strong", "pairs"),
    ("clean, strong", "relational"),
    ("clean, strong", "relational, weaker"),
    ("clean, strong", "relational, own pair almost nothing"),
)


@alone
def run_relational(job):
    given = dict(job.options)
    X, y, train, test = rows_of(job.data, job)
    Z, Z_test = X[train], X[test]
    if job.method != "raw columns":
        kinds = {"standard": VIEWS[job.data], "strong": STRONG[job.data], "clean": "clean"}
        views = [kinds[kind] for kind in given["views"].split(", ")]
        target = RELATIONS[job.method]
        if "epsilon" in given:
            target = RelationalTarget(given["epsilon"], given["weight"])
        model = trained(job, Z, job.seed, views=views, target=target).fit(Z)
        Z, Z_test = model.transform(Z), model.transform(Z_test)
    few = few_of(y[train], job.seed, DRAWS)
    return {
        "few": np.mean([accuracy(Z[rows], y[train][rows], Z_test, y[test]) for rows in few]),
        "all": accuracy(Z, y[train], Z_test, y[test]),
        "knn": KNeighborsClassifier(NEIGHBOURS, metric="cosine").fit(Z, y[train]).score(Z_test, y[test]),
    }


# ------------------------------------------------------------------------------------------------------ long tails


class SizedLoss(AlignmentLoss):
    """InfoNCE with a temperature of each row that grows with the number of rows that its plan reaches.

    The plan of a row is the softmax of its cosines at ``size_epsilon``; its perplexity is the size. The temperature is
    epsilon times (size / mean size) ** power.
    """

    power, size_epsilon = 0.2, 0.1

    def _solve(self, z_a, z_b, log_weight, mass, related, shift=None):
        z = torch.nn.functional.normalize(torch.cat([z_a, z_b]), dim=1)
        cosines = z @ z.T
        with torch.no_grad():
            size = reached(cosines / self.size_epsilon)
            temperature = self.epsilon * (size / size.mean()) ** self.power
        scores = ((cosines - 1) / temperature[:, None]).fill_diagonal_(-torch.inf)
        return self.solver(
            DenseLogKernel(scores),
            marginals=self.marginals,
            epsilon=self.epsilon,
            n_iter=self.n_iter,
            tol=None,
            a=mass,
            b=mass,
            equal_masses=True,
            shift=shift,
        )


def reached(scores):
    """Effective number of rows that the softmax of each row of scores (n, m) reaches: exp of its entropy, (n,)."""
    log_p = scores.log_softmax(1)
    return (-(log_p.exp() * log_p).sum(1)).exp()


def cluster_sizes(Z, epsilon=0.1):
    """Size of the cluster of each row (n,), by its plan to all rows; itself among them."""
    z = torch.nn.functional.normalize(torch.as_tensor(Z, dtype=torch.float32), dim=1)
    return reached(z @ z.T / epsilon).numpy()


def ince_by_size(*, epsilon=0.5, marginals="row", **settings):
    return SizedLoss(epsilon=epsilon, marginals=marginals, divergence=KLDivergence(), **settings)


TAILS = ("raw columns", "equal", "1 / size", "1 / sqrt(size)", "1 / true size", "row temperature")


TAIL_LOSS = {"loss": "ince", "epsilon": 0.25}


@lru_cache
def sizes_of(data, seed, quick):
    """Sizes of the clusters of the training rows, in an embedding with equal weights."""
    job = Job(data, "equal", seed, quick=quick)
    X, y, train, _ = rows_of(data, job)
    rows = X[train[tail_of(y[train], np.random.default_rng(seed))]]
    Z = trained(job, rows, seed, views=VIEWS[data], **TAIL_LOSS).fit(rows).transform(rows)
    return cluster_sizes(Z - Z.mean(0))


@alone
def run_tails(job):
    X, y, train, test = rows_of(job.data, job)
    kept = train[tail_of(y[train], np.random.default_rng(job.seed))]
    labels, sizes = np.unique(y[kept], return_counts=True)
    Z, Z_test = X[kept], X[test]
    found = {}
    if job.method != "raw columns":
        options = {"views": VIEWS[job.data], **TAIL_LOSS}
        weight = None
        if job.method == "row temperature":
            PRESETS["ince_by_size"] = ince_by_size
            options["loss"] = "ince_by_size"
        elif "true" in job.method:
            weight = 1 / sizes[np.searchsorted(labels, y[kept])]
        elif "size" in job.method:
            estimated = sizes_of(job.data, job.seed, job.quick)
            weight = 1 / estimated
            log_true = np.log(sizes[np.searchsorted(labels, y[kept])])
            found["correlation"] = np.corrcoef(np.log(estimated), log_true)[0, 1]
        if weight is not None and "sqrt" in job.method:
            weight = weight**0.5
        model = trained(job, Z, job.seed, **options).fit(Z, sample_weight=weight)
        Z, Z_test = model.transform(Z), model.transform(Z_test)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MAX_ITER, class_weight="balanced"))
    recalls = recall_score(y[test], probe.fit(Z, y[kept]).predict(Z_test), average=None, labels=labels)
    tail = np.argsort(sizes)[: round(len(labels) / 3)]
    return {**found, "balanced": recalls.mean(), "tail": recalls[tail].mean()}


# --------------------------------------------------------------------------------- labelled rows, a biased sample

LABELLED_METHODS = {
    "raw columns": None,
    "no target": None,
    'target="labels"': "labels",
    "LabelledTransportTarget": LabelledTransportTarget,
}


def biased(X, y):
    """Which rows have a label: of each class, those on one side of the first principal component of its rows."""
    labelled = np.zeros(len(y), dtype=bool)
    direction = PCA(1, random_state=0).fit(X).components_[0]
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        labelled[members[np.argsort(X[members] @ direction)[: round(LABELLED * len(members))]]] = True
    return labelled


@alone
def run_labelled(job):
    X, y, train, test = rows_of(job.data, job)
    known = biased(X[train], y[train])
    Z, Z_test = X[train], X[test]
    if job.method != "raw columns":
        target = LABELLED_METHODS[job.method]
        target = target(**dict(job.options)) if isinstance(target, type) else target
        given = None if target is None else np.where(known, y[train], -1)
        model = trained(job, Z, job.seed, views=VIEWS[job.data], target=target).fit(Z, given)
        Z, Z_test = model.transform(Z), model.transform(Z_test)
    return {"labelled": accuracy(Z[known], y[train][known], Z_test, y[test])}


# ---------------------------------------------------------------------------------------------- between two domains

DOMAIN_TARGETS = {
    "raw columns": None,
    "no target": None,
    "DomainsTarget": DomainsTarget(0.0, 0.005),
    "TransportTarget": TransportTarget,
}
LONG = "two digits, as in family"
DIGIT_DOMAINS = ("two digits", "rotated digits", "inverted digits", LONG)
ADAPTERS = ("none", "scaled by domain", "CORAL", "OTDA", "subspace")


def domains_of(job):
    """Rows, labels, domains 1 and -2 as in skada, and the numbers of training and test rows."""
    if job.data in SHIFTS:
        from skada.datasets import make_shifted_datasets

        made = make_shifted_datasets(
            N_SHIFTED, N_SHIFTED, shift=job.data, noise=0.3, label="binary", random_state=job.seed
        )
        X, y, domain = made
    elif job.data.startswith("two digits"):
        X, y, second = two_domains()
        domain = np.where(second == 0, 1, -2)
    else:
        X, y = load("digits")
        second = np.random.default_rng(job.seed).permutation(len(y)) % 2 == 1
        changed = 1 - X if job.data == "inverted digits" else turned(X)
        X, domain = np.where(second[:, None], changed, X), np.where(second, -2, 1)
    X, y, rows = X.astype(np.float32), y.astype(int), np.arange(len(y))
    strata = 2 * y + (domain > 0)
    if job.quick:
        rows, _ = train_test_split(rows, train_size=QUICK_ROWS, stratify=strata, random_state=0)
    return X, y, domain, *train_test_split(rows, test_size=TEST_SHARE, stratify=strata[rows], random_state=job.seed)


def turned(X):
    """Images (n, 64), turned by ROTATION degrees."""
    angle = math.radians(ROTATION)
    theta = torch.tensor([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0]])
    grid = torch.nn.functional.affine_grid(theta.expand(len(X), 2, 3), (len(X), 1, 8, 8), align_corners=False)
    images = torch.from_numpy(X).view(-1, 1, 8, 8)
    return torch.nn.functional.grid_sample(images, grid.float(), align_corners=False).flatten(1).numpy()


class ByDomain(TransformerMixin, BaseEstimator):
    """Standardise the rows of each domain by their own mean and deviation."""

    __metadata_request__fit = {"sample_domain": True}  # noqa: RUF012 as scikit-learn's requests are
    __metadata_request__transform = {"sample_domain": True}  # noqa: RUF012

    def fit(self, X, y=None, sample_domain=None):
        self.scalers_ = {d: StandardScaler().fit(X[sample_domain == d]) for d in np.unique(sample_domain)}
        return self

    def transform(self, X, sample_domain=None):
        out = np.empty_like(X)
        for d in np.unique(sample_domain):
            out[sample_domain == d] = self.scalers_[d].transform(X[sample_domain == d])
        return out


def across(Z, y, domain, train, test, adapter):
    """Accuracy on the test rows of one domain by the labels of the other, through a pipeline of skada."""
    import skada

    steps = {
        "none": [],
        "scaled by domain": [skada.PerDomain(StandardScaler())],
        "CORAL": [skada.CORALAdapter()],
        "OTDA": [skada.OTMappingAdapter()],
        "subspace": [skada.SubspaceAlignmentAdapter(n_components=min(Z.shape[1], 32))],
    }[adapter]
    pipeline = skada.make_da_pipeline(StandardScaler(), *steps, LogisticRegression(max_iter=MAX_ITER))
    source = domain > 0
    masked = np.where(source, y, -1)
    pipeline.fit(Z[train], masked[train], sample_domain=domain[train])
    on = test[~source[test]]
    return float(np.mean(pipeline.predict(Z[on], sample_domain=domain[on]) == y[on]))


@alone
def run_domains(job):
    import skada

    X, y, domain, train, test = domains_of(job)
    Z = X
    if job.method != "raw columns":
        target = DOMAIN_TARGETS[job.method]
        target = target(**dict(job.options)) if isinstance(target, type) else target
        views = GaussianNoise() if job.data in SHIFTS else STANDARD["two domains"]
        steps = SHIFTED_STEPS if job.data in SHIFTS else LONG_STEPS if job.data == LONG else STEPS
        sizes = LONG_SIZES if job.data == LONG else {}
        model = trained(job, train, job.seed, steps=steps, views=views, target=target, **sizes)
        model.set_fit_request(sample_domain=target is not None)
        pipeline = skada.make_da_pipeline(*([StandardScaler()] if job.data in SHIFTS else []), model)
        pipeline.fit(X[train], sample_domain=domain[train])
        Z = pipeline.transform(X, sample_domain=domain).astype(np.float64)
    ways = [domain] if job.data in SHIFTS else [domain, np.where(domain > 0, -2, 1)]
    adapters = ADAPTERS[:1] if job.method == "DomainsTarget" or job.options else ADAPTERS
    return {a: np.mean([across(Z, y, way, train, test, a) for way in ways]) for a in adapters}
