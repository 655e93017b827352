"""Situations: settings of torch around a call, and modules of people's own."""

import copy
import pickle
import tempfile
import threading
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from torch import nn

from skgca import GCAEmbedder
from skgca._utils.torch_state import known_settings
from skgca.inspection import plan_of_rows
from skgca.losses import make_loss
from skgca.ot import cosine_cost, sinkhorn_embeddings, squared_euclidean_cost
from skgca.views import ColumnCorruption, FeatureDropout, GaussianNoise, NeighborMixup, TimeCrop, TimeJitter

from ..models import quick
from .registry import situation

X, Y = load_iris(return_X_y=True)
X = X.astype(np.float32)
IMAGES = np.random.default_rng(0).random((24, 8, 8)).astype(np.float32)
SERIES = np.random.default_rng(1).random((24, 2, 20)).astype(np.float32)


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(device):
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


AROUND = {
    "a default type of float64": lambda: default_dtype(torch.float64),
    "a default type of bfloat16": lambda: default_dtype(torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "gradients switched off": lambda: torch.set_grad_enabled(False),
    "autocast to bfloat16": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "autocast to float16": lambda: torch.autocast("cpu", dtype=torch.float16),
    "a default device of meta": lambda: default_device("meta"),
    "a default device of cpu": lambda: default_device("cpu"),
    "a device context": lambda: torch.device("meta"),
    "deterministic algorithms": deterministic,
    "detection of anomalies": lambda: torch.autograd.set_detect_anomaly(True),
}
FITS = {
    "a table": (X, {}),
    "labels": (X, {"target": "labels"}),
    "continuous": (X, {"target": "continuous"}),
    "byol": (X, {"loss": "byol"}),
    "early stopping": (X, {"early_stopping": True}),
    "micro-batches": (X, {"micro_batch_size": 32}),
    "half precision": (X, {"precision": "bfloat16"}),
    "half precision in micro-batches": (X, {"precision": "bfloat16", "micro_batch_size": 32}),
    "periodic": (X, {"numeric_embedding": "periodic"}),
    "images": (IMAGES, {"hidden_layer_sizes": None}),
    "series": (SERIES, {"hidden_layer_sizes": None}),
}
plain = {}


def fit(name):
    data, params = FITS[name]
    return quick(**{"max_epochs": 2, **params}).fit(data, Y if len(data) == len(Y) else None)


def expected(name):
    """The embedding by a fit without any setting around it, which is kept."""
    if name not in plain:
        plain[name] = fit(name).transform(FITS[name][0])
    return plain[name]


def register(name, around):
    @situation(f"{name} around fit, transform and load")
    def settings_around():
        with tempfile.TemporaryDirectory() as folder:
            check_all(around, folder)

    return settings_around


def check_all(around, folder):
    for case, (data, _) in FITS.items():
        reference = expected(case)
        with around():
            fitted = fit(case)
        assert np.array_equal(fitted.transform(data), reference), case
    reference, fitted = expected("a table"), fit("a table")
    scores = fitted.score(X), fitted.outlier_score(X)
    plan = plan_of_rows(fitted, X, max_rows=20).plan
    fitted.save(f"{folder}/before")
    before = copy.deepcopy(fitted.partial_fit(X)).transform(X)
    fitted = GCAEmbedder.load(f"{folder}/before")
    with around():
        assert np.array_equal(fitted.transform(X), reference)
        assert fitted.score(X) == scores[0]
        assert np.array_equal(fitted.outlier_score(X), scores[1])
        assert np.array_equal(plan_of_rows(fitted, X, max_rows=20).plan, plan)
        fitted.save(f"{folder}/inside")
        opened = [
            GCAEmbedder.load(f"{folder}/before"),
            pickle.loads(pickle.dumps(fitted)),
            copy.deepcopy(fitted),
        ]
        opened[0].partial_fit(X)
    opened.append(GCAEmbedder.load(f"{folder}/inside"))
    assert np.array_equal(opened[0].transform(X), before)
    for other in opened[1:]:
        assert np.array_equal(other.transform(X), reference)
        assert np.array_equal(other.partial_fit(X).transform(X), before)  # and its weights can be trained


for name, around in AROUND.items():
    register(name, around)


@situation("settings of torch are restored after a call, also of several threads and after an error")
def settings_are_restored():
    with default_dtype(torch.float64), torch.inference_mode(), torch.autocast("cpu"), torch.device("meta"):
        with pytest.raises(ValueError, match=r"contains NaN|inf"):
            quick().fit(X * np.inf)
        assert torch.get_default_dtype() == torch.float64
        assert torch.is_inference_mode_enabled()
        assert torch.is_autocast_enabled("cpu")
        assert torch.empty(0).device.type == "meta"
    inside, leave = threading.Event(), threading.Event()
    seen = []

    def other():
        with known_settings():
            inside.set()
            leave.wait()
            seen.append(torch.get_default_dtype())

    thread = threading.Thread(target=other)
    with default_dtype(torch.float64):
        with known_settings():
            thread.start()
            inside.wait()
        leave.set()
        thread.join()
        assert seen == [torch.float32]  # the first to leave did not take the setting away from the other
        assert torch.get_default_dtype() == torch.float64


@situation("losses, plans and views alone, under autocast or another default type")
def parts_alone():
    a, b = torch.randn(2, 12, 5, generator=torch.Generator().manual_seed(0))
    classes, series = torch.arange(12) % 3, torch.rand(6, 2, 20, generator=torch.Generator().manual_seed(1))
    views = (ColumnCorruption(0.5), GaussianNoise(0.1), FeatureDropout(0.5), NeighborMixup(1))

    def values():
        for loss, target in (("gca_uot", None), ("iot_uni", None), ("supcon", classes), ("byol", None)):
            yield make_loss(loss)(a, b, target=target)
        for name, target in (("domains", classes), ("continuous", torch.arange(12))):
            yield make_loss("ince", target=name)(a, b, target=target)
        for cost in ("cosine", "sqeuclidean", "student_t"):
            yield sinkhorn_embeddings(a, b, marginals=1.0, epsilon=0.5, cost=cost).plan
        yield from (cosine_cost(a, b), squared_euclidean_cost(a, b))
        yield from (view(a, torch.Generator().manual_seed(2)) for view in views)
        yield from (view(series, torch.Generator().manual_seed(2)) for view in (TimeJitter(0.2), TimeCrop(0.5)))

    reference = list(values())
    for name in ("a default type of float64", "a default type of bfloat16", "autocast to bfloat16"):
        with AROUND[name]():
            found = list(values())
        for value, other in zip(found, reference, strict=True):
            assert value.dtype == torch.float32, name
            assert torch.equal(value, other), name


# Modules of people's own


def network(**settings):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 6)).to(**settings)


class Cast(nn.Module):
    """Returns the outputs of a module in another type."""

    def __init__(self, module, dtype):
        super().__init__()
        self.module, self.dtype = module, dtype

    def forward(self, batch):
        return self.module(batch).to(self.dtype)


def own(encoder, **params):
    """Return a small embedder with an encoder of one's own."""
    return quick(encoder=encoder, hidden_layer_sizes=None, max_epochs=2, **params)


def works(encoder):
    """Check that an encoder trains, and that its fits can be kept; return one."""
    fitted = own(encoder).fit(X)
    embedding = fitted.transform(X)
    assert np.isfinite(embedding).all()
    assert embedding.std() > 0.1
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert np.array_equal(other.transform(X), embedding)
    assert np.array_equal(clone(fitted).fit(X).transform(X), embedding)
    with tempfile.TemporaryDirectory() as folder:
        fitted.save(f"{folder}/model")
        opened = GCAEmbedder.load(f"{folder}/model", custom={"encoder": encoder})
    assert np.array_equal(opened.transform(X), embedding)
    for further in ({"loss": "byol"}, {"micro_batch_size": 32}, {"precision": "bfloat16"}):
        assert np.isfinite(own(encoder, **further).fit(X).transform(X)).all()
    return fitted


@situation("a frozen encoder with batch normalisation and dropout")
def frozen_encoder():
    given = network().requires_grad_(False)
    for params in ({}, {"loss": "byol"}, {"micro_batch_size": 32}):
        fitted = own(given, **params).fit(X)
        body = fitted.encoder_.body
        kept = body.state_dict()
        assert all(torch.equal(value, kept[name]) for name, value in given.state_dict().items())
    works(given)
    partly = network()
    partly[1].requires_grad_(False)
    body = own(partly).fit(X).encoder_.body
    assert torch.equal(body[1].running_mean, partly[1].running_mean)
    assert not torch.equal(body[0].weight, partly[0].weight)
    body = own(network()).fit(X).encoder_.body
    assert not torch.equal(body[1].running_mean, partly[1].running_mean)  # of a module that is trained, they move


@situation("an encoder that returns float64 or half precision")
def encoders_of_other_outputs():
    for dtype in (torch.float64, torch.bfloat16, torch.float16):
        works(Cast(network(), dtype))
    for dtype, problem in ((torch.complex64, "complex64"), (torch.int64, "int64")):
        with pytest.raises(ValueError, match=f"The encoder Cast makes outputs of type torch.{problem}"):
            own(Cast(network(), dtype)).fit(X)


@situation("an encoder with weights of float64 or half precision")
def encoders_of_other_weights():
    double = works(network(dtype=torch.float64)).transform(X)
    single = own(network()).fit(X).transform(X)
    assert abs(np.corrcoef(double[:, 0], single[:, 0])[0, 1]) > 0.99
    with default_dtype(torch.float64):
        built = network()
    works(built)
    works(network(dtype=torch.bfloat16).requires_grad_(False))
    for dtype in (torch.bfloat16, torch.float16):
        with pytest.raises(ValueError, match=rf"weights of type {dtype}.*encoder.float\(\).*precision='bfloat16'"):
            own(network(dtype=dtype)).fit(X)


@situation("an encoder that was made in inference mode, or on the device meta")
def encoders_made_elsewhere():
    with torch.inference_mode():
        made = network()
    assert np.array_equal(works(made).transform(X), works(network()).transform(X))
    with pytest.raises(ValueError, match=r"The encoder Sequential has weights on the device 'meta'.*to_empty"):
        own(network(device="meta")).fit(X)


@situation("a scripted or traced encoder")
def scripted_encoders():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of all that makes such modules
        scripted, traced = torch.jit.script(network()), torch.jit.trace(network().eval(), torch.ones(2, 4))
        frozen = torch.jit.freeze(torch.jit.script(network().eval()))
    for module in (scripted, traced):
        with pytest.raises(ValueError, match=r"\(torch.jit\), which fit cannot copy and train.*torch.jit.freeze"):
            own(module).fit(X)
    works(frozen)
