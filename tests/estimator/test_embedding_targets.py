"""GCAEmbedder with targets that read the embeddings of a batch."""

import pickle

import numpy as np
import pytest
import sklearn
import skops.io
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from skgca import SKOPS_TRUSTED, GCAEmbedder
from skgca.inspection import plan_of_rows
from skgca.losses import LabelledTransportTarget, RelationalTarget, TransportTarget

from ..models import quick
from ..numerics import NETWORK, SINGLE, assert_close, error

X, Y = load_iris(return_X_y=True)
SITE = np.where(np.arange(150) % 2, "Oslo", "Bergen")
SOME = np.where(np.arange(150) % 3 == 0, Y, -1)
CASES = {
    "relational": (RelationalTarget(0.1, 0.5), {}),
    "transport": (TransportTarget(0.1, 0.2, 0.5), {"sample_domain": SITE}),
    "labelled": (LabelledTransportTarget(0.1, 0.2, 0.5), {"y": SOME}),
}
EVERY_TARGET = pytest.mark.parametrize("name", CASES)


def one_epoch(**params):
    return quick(**{"max_epochs": 1, **params})


@EVERY_TARGET
def test_what_the_target_reads_changes_the_embedding(name):
    target, metadata = CASES[name]
    found = quick(target=target).fit(X, **metadata).transform(X)
    assert np.isfinite(found).all()
    none = type(target)(weight=0.0)
    assert error(found, quick(target=none).fit(X, **metadata).transform(X)) > 0.01
    assert quick(target=target).__sklearn_tags__().target_tags.required == (name == "labelled")


def test_the_first_epoch_without_weight_is_that_of_pairs():
    loss = [one_epoch(target=target).fit(X).history_[0]["loss"] for target in (None, RelationalTarget(weight=0.0))]
    assert_close(*loss, NETWORK)


@EVERY_TARGET
def test_the_target_survives_clone_pickles_and_files(name, tmp_path):
    target, metadata = CASES[name]
    fitted = one_epoch(target=target).fit(X, **metadata)
    fitted.save(tmp_path / "model")
    opened = skops.io.loads(skops.io.dumps(fitted), trusted=SKOPS_TRUSTED)
    for other in (clone(fitted), pickle.loads(pickle.dumps(fitted)), GCAEmbedder.load(tmp_path / "model"), opened):
        assert type(other.target) is type(target)
        assert other.target == target
    assert np.array_equal(opened.fit(X, **metadata).transform(X), fitted.transform(X))


@EVERY_TARGET
def test_the_target_sees_whole_batches_where_they_are_trained_in_parts(name):
    target, metadata = CASES[name]
    params = {"target": target, "lr": 1e-4, "n_views": 3}
    whole, parts = (quick(**params, micro_batch_size=size).fit(X, **metadata) for size in (None, 20))
    for key in ("loss", "gradient_norm"):
        assert_close(*([record[key] for record in model.history_] for model in (whole, parts)), SINGLE)


@EVERY_TARGET
def test_a_row_of_weight_zero_is_not_seen(name):
    target, metadata = CASES[name]
    weight = np.where(np.arange(150) % 5 == 1, 0.0, 1.0)
    weighted = one_epoch(target=target).fit(X, **metadata, sample_weight=weight)
    kept = weight > 0
    alone = one_epoch(target=target).fit(X[kept], **{key: value[kept] for key, value in metadata.items()})
    assert np.array_equal(weighted.transform(X), alone.transform(X))


@EVERY_TARGET
def test_held_out_rows_and_reports_have_their_own_targets(name):
    target, metadata = CASES[name]
    fitted = quick(target=target, early_stopping=True).fit(X, **metadata)
    assert all(np.isfinite(record["valid_loss"]) for record in fitted.history_)
    plan = plan_of_rows(fitted, X, **metadata, max_rows=40, random_state=0)
    assert plan.target_name == repr(target)
    others = plan.target - np.diag(np.diag(plan.target))
    assert 0.05 < others.sum() / plan.target.sum() < 0.95


def test_training_may_start_with_pairs_and_continue_with_counterparts():
    """The recipe of the guide: rows find their counterparts once the embedding is of some use."""
    model = one_epoch().fit(X)
    first = model.transform(X)
    model.set_params(target=TransportTarget(), warm_start=True).fit(X, sample_domain=SITE)
    other = one_epoch().fit(X).set_params(warm_start=True).fit(X)
    assert error(model.transform(X), first) > 0.01
    assert error(model.transform(X), other.transform(X)) > 1e-3


@pytest.fixture
def skada():
    """The package, whose import turns on metadata routing for all that follows."""
    routing = sklearn.get_config()["enable_metadata_routing"]
    skada = pytest.importorskip("skada")
    with sklearn.config_context(enable_metadata_routing=True):
        yield skada
    sklearn.set_config(enable_metadata_routing=routing)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["transport", "labelled"])
def test_a_step_of_a_pipeline_of_skada(skada, name):
    """Its domains are 1 for the source and -2 for the target, whose labels the pipeline hides."""
    domain = np.where(SITE == "Oslo", 1, -2)
    embedder = quick(target=CASES[name][0]).set_fit_request(sample_domain=name == "transport")
    pipeline = skada.make_da_pipeline(StandardScaler(), embedder, LogisticRegression(max_iter=1000))
    masked = np.where(domain > 0, Y, -1)
    pipeline.fit(X, masked.copy(), sample_domain=domain)
    scaled = StandardScaler().fit_transform(X)
    reads = {"sample_domain": domain} if name == "transport" else {"y": masked}
    expected = clone(embedder).fit(scaled, **reads)
    assert np.array_equal(pipeline[:-1].transform(X, sample_domain=domain), expected.transform(scaled))
    on = domain < 0
    predicted = pipeline.predict(X[on], sample_domain=domain[on])
    direct = LogisticRegression(max_iter=1000).fit(expected.transform(scaled)[~on], Y[~on])
    assert np.array_equal(predicted, direct.predict(expected.transform(scaled[on])))
