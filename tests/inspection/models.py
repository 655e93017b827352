"""Small fitted embedders that the tests of plans share, and what is known of their plans."""

from functools import cache

import numpy as np
import torch
from sklearn.datasets import load_iris

from skgca import GCAEmbedder
from skgca.inspection import RowPlan
from skgca.ot import Marginals

X, Y = load_iris(return_X_y=True)
TRAIN, HELD_OUT = slice(0, None, 2), slice(1, None, 2)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
PAIR = X + 0.1 * np.random.default_rng(0).normal(size=X.shape)


def small(**params):
    sizes = {"n_components": 6, "hidden_layer_sizes": (16,), "projection_sizes": (8,), "max_epochs": 4}
    return GCAEmbedder(**{**sizes, "random_state": 0, **params})


@cache
def fitted(**params):
    """Fit on half of iris; what ``params`` ask for beside X is passed as well."""
    model = small(**params)
    beside = {"sample_domain": NAMES[TRAIN]} if params.get("target") == "domains" else {}
    return model.fit(X[TRAIN], Y[TRAIN], **beside)


@cache
def fitted_to_pairs(**params):
    """Fit on pairs of measurements, whose views have nothing random."""
    return small(**params).fit(X[TRAIN], Y[TRAIN], X_pair=PAIR[TRAIN])


def projections(model, X):
    """Project rows as they are, in float64."""
    with torch.no_grad():
        return model.net_.module_(model.reader_.read(X)).double().numpy()


def row_plan(plan, **known):
    """Return a record with a plan (n, n) that is given."""
    n = len(plan)
    nothing = {"y": None, "domain": None, "related": None, "target": np.eye(n), "labels": np.arange(n)}
    settings = {"loss": "gca_ince", "layout": "joint", "target_name": "pairs", "epsilon": 0.5}
    marginals = {"marginals": Marginals(np.inf, np.inf), "marginal_error": 0.0, "rows": np.arange(n)}
    return RowPlan(plan=np.asarray(plan, dtype=float), **{**nothing, **settings, **marginals, **known})
