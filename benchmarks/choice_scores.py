"""Label-free scores of a fit, as candidates for the choice of a setting; see choice.py.

A classifier that reads an embedding is imitated in three ways: it predicts columns that are hidden from the embedder,
clusters of the rows, and leaves of trees that predict a column from the others. Other candidates look at the spectrum
and the neighbours. Those of score_report.py are here too.
"""

import numpy as np
import pandas as pd
from scipy.special import entr
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import RandomForestClassifier, RandomTreesEmbedding
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeRegressor

from skgca._inference.balance import _explained
from skgca.metrics import effective_rank, view_information_score

from ._data import few_of, prepared
from .score_report import CANDIDATES, Views, arrays_of

BAD = ("untrained", "short")
N_GROUPS, N_COLUMNS, N_DRAWS, N_NEIGHBORS = 4, 8, 5, 10
RIDGE = 1.0


# --------------------------------------------------------------------------------------- what candidates look at


def groups_of(n_columns):
    """Numbers of the columns in random groups, each of which is hidden once."""
    groups = np.array_split(np.random.RandomState(0).permutation(n_columns), N_GROUPS)
    return [np.sort(columns) for columns in groups if len(columns)]


def columns_of(X, columns):
    return X.iloc[:, columns] if isinstance(X, pd.DataFrame) else X[:, columns]


def hidden_groups(X, seed=0):
    """Yield the rows with the values of other rows in the columns of a group, one group after the other."""
    random = np.random.RandomState(seed)
    for columns in groups_of(X.shape[1]):
        donors, changed = random.permutation(len(X)), X.copy()
        if isinstance(X, np.ndarray):
            changed[:, columns] = X[donors][:, columns]
        else:
            for name in X.columns[columns]:
                changed[name] = X[name].iloc[donors].set_axis(X.index)
        yield changed


class Fit:
    """Arrays that a fit left, in double precision; views are those of the learned columns."""

    def __init__(self, record, folder):
        arrays = arrays_of(record, folder)
        self.learned = slice(record["n_learned"])
        self.Z, self.Z_train = arrays["Z"], arrays["Z train"]
        self.hidden = list(zip(arrays["hidden train"], arrays["hidden test"], strict=True))
        self.views = Views(arrays, record["n_learned"])
        self.pairs = {rate: [arrays[f"{side} {rate}"][:, self.learned] for side in "ab"] for rate in (0.4, 0.6)}


class Table:
    """Prepared rows of a set, its columns by group, and classes made without labels; those of the last set are kept."""

    kept = (None, None)

    @classmethod
    def of(cls, job, X, X_test):
        if cls.kept[0] != (job.data, job.quick):
            cls.kept = (job.data, job.quick), cls(X, X_test)
        return cls.kept[1]

    def __init__(self, X, X_test):
        self.rows = both(X, X_test)
        self.columns = [both(columns_of(X, group), columns_of(X_test, group)) for group in groups_of(X.shape[1])]
        self.forest = forest_space(self.rows)
        self.classes = {
            "clusters": [clusters(self.rows, n) for n in (5, 10, 20)],
            "clusters of random trees": [clusters(random_trees_space(self.rows), n) for n in (5, 10, 20)],
            "clusters of a forest": [clusters(self.forest, n) for n in (5, 10, 20)],
            "leaves": leaves(self.rows),
        }


def both(X, X_test):
    """Prepared training and held-out rows."""
    steps = prepared(X).fit(X)
    return tuple(np.asarray(steps.transform(rows), dtype=float) for rows in (X, X_test))


def clusters(space, n):
    model = KMeans(n, n_init=3, random_state=0).fit(space[0])
    return tuple(model.predict(np.ascontiguousarray(rows)) for rows in space)


def reduced(leaves_train, leaves_test):
    """Coordinates of rows of which those are close that often share a leaf."""
    one_hot = OneHotEncoder(handle_unknown="ignore").fit(leaves_train)
    svd = TruncatedSVD(20, random_state=0).fit(one_hot.transform(leaves_train))
    return tuple(svd.transform(one_hot.transform(found)) for found in (leaves_train, leaves_test))


def random_trees_space(rows):
    model = RandomTreesEmbedding(100, max_depth=5, random_state=0, n_jobs=1).fit(rows[0])
    return reduced(*(model.apply(part) for part in rows))


def forest_space(rows):
    """Leaves of a forest that tells rows from rows whose columns are shuffled (Shi and Horvath, 2006)."""
    random = np.random.RandomState(0)
    shuffled = np.stack([random.permutation(column) for column in rows[0].T], axis=1)
    model = RandomForestClassifier(100, min_samples_leaf=5, random_state=0, n_jobs=1)
    model.fit(np.concatenate([rows[0], shuffled]), np.repeat([0, 1], len(rows[0])))
    return reduced(*(model.apply(part) for part in rows))


def some(n):
    return np.unique(np.linspace(0, n - 1, N_COLUMNS).round().astype(int))


def leaves(rows):
    """Leaves of small trees, each of which predicts a column from the others."""
    found = []
    for column in some(rows[0].shape[1]):
        others = [np.delete(part, column, axis=1) for part in rows]
        tree = DecisionTreeRegressor(max_leaf_nodes=8, min_samples_leaf=10, random_state=0)
        found.append(tuple(tree.fit(others[0], rows[0][:, column]).apply(part) for part in others))
    return [pair for pair in found if len(np.unique(pair[0])) > 1]


# ------------------------------------------------------------------------------------------------------ probes


def few_probe(Z, Z_test, classes, n_labels=10):
    """Accuracy above the most frequent class of a ridge classifier of ten rows a class, as a share; mean over draws."""
    y, y_test = classes
    names = np.unique(y)
    chance = max((y_test == name).mean() for name in names)
    found = []
    for rows in few_of(y, 0, N_DRAWS, n_labels):
        middle, targets = Z[rows].mean(axis=0), (y[rows, None] == names).astype(float)
        A, T = Z[rows] - middle, targets - targets.mean(axis=0)
        weights = Ridge(RIDGE, fit_intercept=False).fit(A, T).coef_.T
        told = names[((Z_test - middle) @ weights + targets.mean(axis=0)).argmax(axis=1)]
        found.append((told == y_test).mean())
    return np.mean(found) - chance


def explained(Z, Z_test, target, target_test):
    """Share of the variance of held-out targets that a ridge regression explains, at least 0; mean over targets."""
    told = Ridge(RIDGE).fit(Z, target).predict(Z_test).reshape(target_test.shape)
    total = np.square(target_test - target.mean(axis=0)).sum(axis=0)
    rest = np.square(target_test - told).sum(axis=0)
    return (1 - rest[total > 0] / total[total > 0]).clip(0, 1)


def thirds(target, target_test):
    """Classes of a column by terciles of the training rows; fewer, where values are equal."""
    edges = np.unique(np.quantile(target, [1 / 3, 2 / 3]))
    return np.searchsorted(edges, target), np.searchsorted(edges, target_test)


# ------------------------------------------------------------------------------------------------- candidates


def of_report(fit, table):
    return {name: candidate(fit.views) for name, candidate in CANDIDATES.items()}


def of_columns(fit, table):
    """How well columns are predicted from embeddings of rows in which they are hidden."""
    found = {name: [] for name in ("", ", learned part", ", few rows", ", few rows, not hidden", "trees")}
    for (Z, Z_test), (target, target_test) in zip(fit.hidden, table.columns, strict=True):
        found[""].extend(explained(Z, Z_test, target, target_test))
        found[", learned part"].extend(explained(Z[:, fit.learned], Z_test[:, fit.learned], target, target_test))
        for column in some(target.shape[1])[::N_GROUPS]:
            classes = thirds(target[:, column], target_test[:, column])
            if len(np.unique(classes[0])) > 1:
                found[", few rows"].append(few_probe(Z, Z_test, classes))
                found[", few rows, not hidden"].append(few_probe(fit.Z_train, fit.Z, classes))
        main = PCA(min(32, *Z[:500].shape), svd_solver="covariance_eigh").fit(Z[:500])
        rows, targets = (np.concatenate([a[:500], b[:500]]) for a, b in ((Z, Z_test), (target, target_test)))
        found["trees"].append(-_explained(main.transform(rows), targets[:, some(targets.shape[1])], len(Z[:500])))
    means = {f"hidden columns{name}": np.mean(values) for name, values in found.items() if name != "trees"}
    return {**means, "hidden columns, what trees would add": np.mean(found["trees"])}


def of_classes(fit, table):
    """How well a classifier of few rows, or of all, tells classes that were made without labels."""
    found = {}
    for name, made in table.classes.items():
        found[f"{name}, few rows"] = np.mean([few_probe(fit.Z_train, fit.Z, classes) for classes in made])
        found[f"{name}, all rows"] = np.mean([few_probe(fit.Z_train, fit.Z, classes, 10**6) for classes in made])
    return found


def of_spectrum(fit, table):
    many, Z = fit.views.many, fit.Z
    mean = many.mean(axis=0)
    within = (many - mean).reshape(-1, many.shape[-1])
    within = within.T @ within / (len(many[0]) * (len(many) - 1))
    total = np.cov(many.reshape(-1, many.shape[-1]).T).reshape(within.shape)
    values, vectors = np.linalg.eigh(total)
    delta = 0.01 * values.mean() + 1e-12
    noise = np.einsum("ij,ik,kj->j", vectors, within, vectors)
    told = np.log((values + delta) / (noise + delta))[::-1] / 2  # by principal component, the largest first
    share = np.linalg.eigvalsh(np.cov(Z.T)).clip(0)
    share = share / share.sum()
    information = view_information_score(*many)
    entropy = entr(share).sum()
    groups = [KMeans(n, n_init=2, random_state=0).fit(Z).inertia_ for n in (5, 10, 20)]
    return {
        "variance between clusters": 1 - np.mean(groups) / np.square(Z - Z.mean(axis=0)).sum(),
        "participation ratio": 1 / np.square(share).sum(),
        "effective rank, with the inputs": np.exp(entropy),
        "variance between rows to within": np.trace(total) / (np.trace(within) + delta),
        "view information, ten components": told[:10].sum(),
        "view information, by variance": (values[::-1] @ told) / values.sum(),
        "view information to effective rank": information / effective_rank(many[0]),
        "view information + effective rank": np.log(max(information, 1e-6)) + entropy,
        "view information, rate 0.4": view_information_score(*fit.pairs[0.4]),
        "view information, rate 0.6": view_information_score(*fit.pairs[0.6]),
    }


def members(Z):
    """Which rows are among the nearest neighbours of which, as a matrix of zeros and ones."""
    k = min(N_NEIGHBORS, len(Z) - 1)
    return NearestNeighbors(n_neighbors=k).fit(Z).kneighbors_graph().toarray()


def overlap(a, b):
    return (a * b).sum() / a.sum()


def of_neighbors(fit, table):
    mine, raw, forest = (members(rows) for rows in (fit.Z, table.rows[1], table.forest[1]))
    return {
        "neighbours of the inputs": overlap(mine, raw),
        "neighbours of a forest": overlap(mine, forest),
        "neighbours across views": overlap(*(members(rows) for rows in fit.views.pair)),
        "neighbours across views, rate 0.6": overlap(*(members(rows) for rows in fit.pairs[0.6])),
    }


GROUPS = {
    "report": of_report,
    "columns": of_columns,
    "classes": of_classes,
    "spectrum": of_spectrum,
    "neighbors": of_neighbors,
}
