"""GCAEmbedder among scikit-learn's own tools."""

import copy
import inspect
import io
import pickle
import re
from functools import partial

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from skgca import GCAEmbedder
from skgca._estimator.constraints import PARAMETER_GROUPS
from skgca._estimator.deprecated import DEPRECATED_CONSTRAINTS
from skgca._utils.compat import DocumentationLinkMixin, InvalidParameterError
from skgca.exceptions import SinkhornConvergenceWarning, TrainingDivergedError

from .. import models
from ..numerics import NETWORK, SINGLE, TRAINED, assert_close, assert_within, error

quick = partial(models.quick, passthrough=False)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def iris_frame():
    return load_iris(as_frame=True).data


# In a pipeline and in searches


def test_pipeline_with_string_labels_and_without_labels(iris):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = make_pipeline(StandardScaler(), quick(), LogisticRegression(max_iter=1000)).fit(X, names)
    assert set(model.predict(X)) <= set(names)
    unlabelled = make_pipeline(StandardScaler(), quick()).fit(X)
    assert np.array_equal(unlabelled.transform(X), model[:-1].transform(X))  # labels were not read


def test_grid_search_over_epsilon_and_marginals_in_two_workers(iris):
    X, y = iris
    grid = {
        "gcaembedder__epsilon": [0.5],
        "gcaembedder__marginals": ["row", 1.0, (np.inf, 0.5)],
    }
    model = make_pipeline(StandardScaler(), quick(), LogisticRegression(max_iter=1000))
    search = GridSearchCV(model, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 3
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    alone = GridSearchCV(model, grid, cv=2, n_jobs=1, error_score="raise").fit(X, y)
    assert np.array_equal(search.best_estimator_[:-1].transform(X), alone.best_estimator_[:-1].transform(X))


def test_feature_union_and_column_transformer(iris_frame):
    union = FeatureUnion([("pca", PCA(2)), ("gca", quick())]).fit(iris_frame)
    assert union.transform(iris_frame).shape == (150, 8)
    columns = list(iris_frame.columns[:2])
    transformer = ColumnTransformer([("gca", quick(), columns)], remainder="passthrough").fit(iris_frame)
    assert transformer.transform(iris_frame).shape == (150, 8)
    assert transformer.get_feature_names_out()[0] == "gca__gcaembedder0"


def test_cross_val_score(iris):
    scores = cross_val_score(make_pipeline(quick(max_epochs=30), LogisticRegression()), *iris, cv=3)
    assert scores.min() > 0.6  # a third is chance


def test_clone_keeps_parameters_and_nothing_fitted(iris):
    fitted = quick(epsilon=0.3, marginals=(1.0, np.inf)).fit(iris[0])
    other = clone(fitted)
    assert other.get_params() == fitted.get_params()
    assert not hasattr(other, "net_")


@pytest.mark.parametrize("method", ["pickle", "joblib", "deepcopy"])
def test_copies_embed_alike_and_can_go_on(iris, method):
    X, _ = iris
    fitted = quick(warm_start=True).fit(X)
    if method == "pickle":
        other = pickle.loads(pickle.dumps(fitted))
    elif method == "joblib":
        buffer = io.BytesIO()
        joblib.dump(fitted, buffer)
        buffer.seek(0)
        other = joblib.load(buffer)
    else:
        other = copy.deepcopy(fitted)
    assert np.array_equal(other.transform(X), fitted.transform(X))
    assert np.array_equal(other.fit(X).transform(X), fitted.fit(X).transform(X))


def test_a_fitted_estimator_does_not_keep_the_training_data():
    X = np.random.default_rng(0).normal(size=(20_000, 10))
    assert len(pickle.dumps(quick(max_epochs=1).fit(X))) < X.astype(np.float32).nbytes / 2


# Data frames and names


def test_pandas_output(iris_frame):
    out = quick().set_output(transform="pandas").fit_transform(iris_frame)
    assert isinstance(out, pd.DataFrame)
    assert list(out.columns) == [f"gcaembedder{k}" for k in range(6)]
    assert out.index.equals(iris_frame.index)


def test_polars_output(iris_frame):
    out = quick().set_output(transform="polars").fit_transform(pl.from_pandas(iris_frame))
    assert isinstance(out, pl.DataFrame)
    assert out.columns == [f"gcaembedder{k}" for k in range(6)]


def test_feature_names(iris_frame):
    fitted = quick().fit(iris_frame)
    assert list(fitted.feature_names_in_) == list(iris_frame.columns)
    assert list(fitted.get_feature_names_out()) == [f"gcaembedder{k}" for k in range(6)]


def test_reordered_missing_or_extra_columns_are_refused(iris_frame):
    fitted = quick().fit(iris_frame)
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.transform(iris_frame[iris_frame.columns[::-1]])
    with pytest.raises(ValueError, match="seen at fit time, yet now missing"):
        fitted.transform(iris_frame[iris_frame.columns[:3]])
    with pytest.raises(ValueError, match="unseen at fit time"):
        fitted.transform(iris_frame.assign(more=1.0))


def test_float32_is_kept_and_gives_the_same_embedding(iris):
    X = iris[0].astype(np.float32)
    single, double = quick().fit(X).transform(X), quick().fit(X.astype(np.float64)).transform(X.astype(np.float64))
    assert single.dtype == np.float32
    assert double.dtype == np.float64
    assert np.array_equal(single, double.astype(np.float32))


# Weights and metadata


def test_sample_weight_is_routed(iris):
    X, y = iris
    weight = np.where(y == 0, 1.0, 3.0)
    with sklearn.config_context(enable_metadata_routing=True):
        asks = make_pipeline(quick().set_fit_request(sample_weight=True), LogisticRegression())
        asks[-1].set_fit_request(sample_weight=False)
        routed = asks.fit(X, y, sample_weight=weight)[:-1].transform(X)
        refuses = make_pipeline(quick().set_fit_request(sample_weight=False), LogisticRegression())
        refuses[-1].set_fit_request(sample_weight=True)
        unrouted = refuses.fit(X, y, sample_weight=weight)[:-1].transform(X)
    assert np.array_equal(routed, quick().fit(X, sample_weight=weight).transform(X))
    assert np.array_equal(unrouted, quick().fit(X).transform(X))
    assert not np.array_equal(routed, unrouted)


def test_weights_of_one_change_no_bit_and_scale_does_not_count(iris):
    X, _ = iris
    plain = quick().fit(X).transform(X)
    assert np.array_equal(plain, quick().fit(X, sample_weight=np.ones(150)).transform(X))
    assert np.array_equal(plain, quick().fit(X, sample_weight=np.full(150, 4.0)).transform(X))


def test_a_row_of_weight_zero_is_left_out(iris):
    X, _ = iris
    weight = np.ones(150)
    weight[::3] = 0
    spoiled = X.copy()
    spoiled[::3] = 1e6
    weighted = quick().fit(spoiled, sample_weight=weight).transform(X)
    assert np.array_equal(weighted, quick().fit(X[weight > 0]).transform(X))


def test_bad_weights_are_refused(iris):
    X, _ = iris
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        quick().fit(X, sample_weight=np.full(150, -1.0))
    with pytest.raises(ValueError, match="leaves 1 row with weight above 0; at least 2"):
        quick().fit(X, sample_weight=np.eye(150)[0])
    with pytest.raises(ValueError, match="at least one non-zero"):
        quick().fit(X, sample_weight=np.zeros(150))


# Parameters


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"epsilon": 0}, r"'epsilon' .* must be a float in the range \(0.0, inf\)"),
        ({"marginals": "colum"}, r"'marginals' .* among \{'balanced', 'row'\}|\{'row', 'balanced'\}"),
        ({"marginals": -1.0}, r"'marginals' .*\[0.0, inf\]"),
        ({"marginals": (1.0, -2.0)}, r"rho_col=-2.0, which is not a strength; use 'row', 'balanced'"),
        ({"marginals": (1.0, 2.0, 3.0)}, r"has 3 entries; use 'row', 'balanced'"),
        ({"loss": "foo"}, r"'loss' .*'gca_ince'"),
        ({"max_epochs": -1}, r"'max_epochs' .*\[0, inf\)"),
        ({"n_components": 0}, r"'n_components'"),
        ({"batch_size": 1}, r"'batch_size' .*\[2, inf\)"),
        ({"corruption_rate": 1.1}, r"'corruption_rate' .*\[0.0, 1.0\]"),
        ({"lr": 0.0}, r"'lr'"),
        ({"views": "blur"}, r"'views' .*'corruption'"),
        ({"encoder": "transformer"}, r"'encoder' .*'mlp'"),
        ({"hidden_layer_sizes": (16, 0)}, r"hidden_layer_sizes=\(16, 0\) must hold whole numbers of at least 1"),
        ({"hidden_layer_sizes": (16.5,)}, r"hidden_layer_sizes=\(16.5,\) must hold whole numbers"),
        ({"device": 3}, r"'device'"),
        ({"sinkhorn_tol": 0}, r"'sinkhorn_tol'"),
        ({"sinkhorn_gradient": "exact"}, r"'sinkhorn_gradient' .*'unrolled'"),
        ({"sinkhorn_gradient": "implicit"}, r"sinkhorn_gradient='implicit' is exact only .*; give a sinkhorn_tol"),
    ],
)
def test_a_bad_parameter_is_refused_with_what_is_valid(iris, params, message):
    with pytest.raises(InvalidParameterError, match=message):
        quick(**params).fit(iris[0])


def test_a_device_that_is_not_here_is_refused(iris):
    with pytest.raises(ValueError, match="device='cuda:99' is not on this machine; use 'auto' or one of"):
        quick(device="cuda:99").fit(iris[0])


def test_parameters_reach_the_loss_the_views_and_the_optimizer(iris):
    fitted = quick(
        loss="gca_uot",
        epsilon=0.7,
        marginals=(1.0, 2.0),
        sinkhorn_n_iter=3,
        layout="cross",
        corruption_rate=0.4,
        weight_decay=0.25,
        batch_size=40,
    ).fit(iris[0])
    loss = fitted.net_.criterion_
    assert (loss.epsilon, loss.marginals.rho_row, loss.marginals.rho_col) == (0.7, 1.0, 2.0)
    assert (loss.n_iter, loss.layout) == (3, "cross")
    assert [view.rate for view in fitted.net_.views.views] == [0.4, 0.4]
    assert fitted.net_.optimizer_.param_groups[0]["weight_decay"] == 0.25
    assert fitted.net_.history[0, "train_batch_count"] == 4


def test_a_missed_tolerance_warns_once_and_names_what_to_raise(iris):
    with pytest.warns(
        SinkhornConvergenceWarning, match=r"of 6 .* sinkhorn_tol=1e-09 .* sinkhorn_n_iter=2 .*Raise sinkhorn_n_iter"
    ) as seen:
        quick(sinkhorn_tol=1e-9, sinkhorn_n_iter=2, epsilon=0.05).fit(iris[0])
    assert len(seen) == 1


def test_a_tolerance_that_is_met_is_silent_and_hardly_changes_a_thing(iris):
    X, _ = iris
    exact = quick(sinkhorn_n_iter=500, sinkhorn_tol=1e-4).fit(X)
    assert dict(exact.net_.callbacks_)["unconverged"].n_missed_ == 0
    # sinkhorn_tol is what the plans may miss of their marginals
    assert_within(exact.history_[0]["loss"], quick(sinkhorn_n_iter=500).fit(X).history_[0]["loss"], 1e-3)


@pytest.mark.parametrize(
    "params", [{"sinkhorn_memory_limit": 0}, {"sinkhorn_gradient": "implicit", "sinkhorn_tol": 1e-5}]
)
def test_settings_of_the_solver_change_cost_not_results(iris, params):
    X, _ = iris
    plain, other = (quick(sinkhorn_n_iter=200, **p).fit(X).history_[-1]["loss"] for p in ({}, params))
    assert_close(other, plain, TRAINED)


def test_own_views(iris):
    def noise(batch, generator):
        return batch + 0.1 * torch.randn(batch.shape, generator=generator)

    def half(batch, generator):
        return batch[::2]

    X, _ = iris
    fitted = quick(views=noise).fit(X)
    assert np.array_equal(fitted.transform(X), quick(views=noise).fit(X).transform(X))
    assert not np.array_equal(fitted.transform(X), quick().fit(X).transform(X))
    with pytest.raises(ValueError, match=r"half.* it must keep each row"):
        quick(views=half).fit(X)


def test_the_documented_defaults_are_the_actual_ones():
    documented = inspect.getdoc(GCAEmbedder).split("Attributes\n----------")[0]
    for name, parameter in inspect.signature(GCAEmbedder).parameters.items():
        line = re.search(rf"^(?:\w+, )*{name}(?:, \w+)* : (.*)$", documented, re.MULTILINE).group(1)  # "q, lam : ..."
        default = parameter.default
        shown = f'"{default}"' if isinstance(default, str) else repr(default).replace("0.002", "2e-3")
        shown = shown.replace("0.0001", "1e-4")
        assert line.endswith(f"default={shown}"), name


def listed_groups(text):
    """Groups and their parameters, as the list at the head of the docstring has them."""
    items = re.findall(r"^- ([a-z ]+): (.+(?:\n  .+)*)$", text, re.MULTILINE)
    return {name: re.findall(r"``(\w+)``", parameters) for name, parameters in items}


def test_signature_constraints_and_docstring_have_the_same_parameters_in_the_same_order():
    names = list(inspect.signature(GCAEmbedder).parameters)
    assert list(GCAEmbedder._parameter_constraints) == names
    summary, entries = inspect.getdoc(GCAEmbedder).split("Attributes\n----------")[0].split("Parameters\n----------")
    documented = re.findall(r"^(\w+(?:, \w+)*) : ", entries, re.MULTILINE)
    assert ", ".join(documented).split(", ") == names
    groups = {name: list(group) for name, group in PARAMETER_GROUPS.items()}
    assert list(listed_groups(summary).items())[:-1] == list(groups.items())
    assert listed_groups(summary)["deprecated"] == list(DEPRECATED_CONSTRAINTS)
    assert list(vars(GCAEmbedder())) == names


# What fit leaves behind


def test_fitted_attributes(iris):
    fitted = quick().fit(iris[0])
    assert isinstance(fitted.encoder_, torch.nn.Module)
    assert fitted.encoder_ is fitted.net_.module_.encoder
    assert fitted.n_epochs_ == len(fitted.history_) == 3
    assert [record["epoch"] for record in fitted.history_] == [1, 2, 3]
    assert all(np.isfinite(record["loss"]) for record in fitted.history_)
    assert fitted.n_features_in_ == 4


def test_training_lowers_the_loss(iris):
    history = quick(max_epochs=40).fit(iris[0]).history_
    assert history[-1]["loss"] < history[0]["loss"] - 0.1
    assert history[-1]["lr"] < max(record["lr"] for record in history) / 10


def test_transform_uses_neither_the_head_nor_views(iris):
    X, _ = iris
    fitted = quick().fit(X)
    inputs = torch.as_tensor(fitted.reader_.read(X), dtype=torch.float32)
    with torch.no_grad():
        expected = fitted.net_.module_.encoder(inputs).numpy()
    assert_close(fitted.transform(X), expected, NETWORK)


def test_the_embedding_of_a_row_does_not_depend_on_its_company():
    X = np.random.default_rng(0).normal(size=(1500, 7))
    fitted = quick(n_components=33).fit(X)
    whole = fitted.transform(X)
    for rows in (slice(0, 1), slice(3, 10), slice(1000, 1100), slice(1490, None), np.arange(1499, -1, -7)):
        # with some kernels of MKL in other digits: they take as many rows at a time as there are
        assert_close(fitted.transform(X[rows]), whole[rows], SINGLE, scale=whole)


def test_an_untrained_encoder_is_to_be_had(iris):
    X, _ = iris
    untrained = quick(max_epochs=0).fit(X)
    assert (untrained.n_epochs_, untrained.history_) == (0, [])
    assert untrained.transform(X).shape == (150, 6)


@pytest.mark.parametrize(("n", "expected"), [(20, 300), (128 * 20, 50), (128 * 500, 20), (128 * 4000, 2)])
def test_auto_epochs_make_about_1000_steps_and_few_epochs_of_many_rows(n, expected):
    X = np.random.default_rng(0).normal(size=(n, 1))
    assert quick(max_epochs="auto").estimate_cost(X).n_epochs == expected


@pytest.mark.parametrize("kind", ["array", "memmap", "parquet"])
def test_auto_epochs_are_the_same_wherever_the_rows_are(kind, tmp_path):
    X = np.random.default_rng(0).normal(size=(16_000, 2))
    source = tmp_path / f"rows.{kind}"
    if kind == "memmap":
        np.save(source.with_suffix(".npy"), X)
        X = np.load(source.with_suffix(".npy"), mmap_mode="r")
    elif kind == "parquet":
        pd.DataFrame(X, columns=["a", "b"]).to_parquet(source, row_group_size=1000)
        X = source
    cost = quick(max_epochs="auto", batch_size=4).estimate_cost(X)
    assert (cost.n_epochs, cost.n_steps) == (2, 8000)


def test_as_many_epochs_are_made_as_the_estimate_says():
    X = np.random.default_rng(0).normal(size=(20, 1))
    model = quick(max_epochs="auto", hidden_layer_sizes=(), n_components=1, projection_sizes=(1,), sinkhorn_n_iter=1)
    assert model.fit(X).n_epochs_ == model.estimate_cost(X).n_epochs == 300


def test_a_fit_of_some_hundred_rows_takes_about_1000_steps():
    X = np.random.default_rng(0).normal(size=(600, 1))
    model = quick(max_epochs="auto", hidden_layer_sizes=(), n_components=1, projection_sizes=(1,), sinkhorn_n_iter=1)
    assert sum(record["n_steps"] for record in model.fit(X).net_.history) == 1000


def test_auto_epochs_of_images_are_fewer():
    images = np.random.default_rng(0).integers(0, 255, (100, 4, 4), dtype=np.uint8)
    model = quick(max_epochs="auto", views="clean", encoder="mlp", batch_size=4)
    assert model.estimate_cost(images).n_epochs == 800 / 25


def test_standardize_makes_the_scale_of_features_irrelevant(iris):
    X, _ = iris
    scaled = X * 2.0 ** np.array([10, 0, -10, 3]) + np.array([0, 4, 0, 0])
    assert_close(quick().fit(scaled).transform(scaled), quick().fit(X).transform(X), TRAINED)
    assert error(quick(standardize=False).fit(X).transform(X), quick().fit(X).transform(X)) > 0.1


def test_warm_start_goes_on_from_the_last_weights(iris):
    X, _ = iris
    params = {"lr": 1e-8, "layers": "last", "hidden_layer_sizes": ()}  # no running statistics either
    fitted = quick(warm_start=True, **params).fit(X)
    before, reader = fitted.transform(X), fitted.reader_
    # other rows, but hardly moved, and read by the same scale; only the outputs are standardised anew
    after = fitted.fit(X + 1).transform(X)
    assert fitted.reader_ is reader
    correlation = [np.corrcoef(before[:, k], after[:, k])[0, 1] for k in range(before.shape[1])]
    assert min(correlation) > 1 - 1e-6
    fresh = quick(random_state=1, **params).fit(X)
    assert error(fresh.transform(X), before) > 0.1


@pytest.mark.parametrize("layers", ["all", "last"])
def test_warm_start_that_trains_nothing_keeps_the_embedding(iris, layers):
    X, _ = iris
    fitted = quick(warm_start=True, layers=layers).fit(X)
    before = fitted.transform(X)
    after = fitted.set_params(max_epochs=0).fit(X).transform(X)
    assert_close(after, before, NETWORK)


def test_warm_start_follows_what_is_read_and_passed_through(iris):
    X, _ = iris
    fitted = quick(warm_start=True, layers="all").fit(X)
    everything = fitted.transform(X)
    last = fitted.set_params(max_epochs=0, layers="last", passthrough=True).fit(X).transform(X)
    assert last.shape[1] == everything.shape[1] + X.shape[1]
    straight = quick(layers="last", passthrough=True).fit(X).transform(X)
    assert_close(last, straight, NETWORK)


def clone_of(fitted, **params):
    """Return a fitted copy with other parameters."""
    return copy.deepcopy(fitted).set_params(**params)


def test_warm_start_refuses_another_architecture_or_width(iris):
    X, _ = iris
    fitted = quick(warm_start=True).fit(X)
    before = fitted.transform(X)
    with pytest.raises(ValueError, match="warm_start=True cannot continue with another n_components"):
        fitted.set_params(n_components=7).fit(X)
    fitted.set_params(n_components=6)
    for other in ({"dropout": 0.2}, {"normalization": "layer"}, {"normalization": None}):
        with pytest.raises(ValueError, match=r"warm_start=True cannot continue with another .* dropout, normalization"):
            clone_of(fitted, **other).fit(X)
    with pytest.raises(ValueError, match="expecting 4 features"):
        fitted.fit(X[:, :3])
    assert np.array_equal(fitted.transform(X), before)


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_training_that_diverges_says_so_and_leaves_the_last_fit(iris, warm_start):
    X, _ = iris

    def blow_up(batch, generator):
        return batch * float("inf")

    fitted = quick(warm_start=warm_start).fit(X)
    before = fitted.transform(X)
    with pytest.raises(TrainingDivergedError, match=r"loss became nan in epoch 1 with lr=0.002; try a lower lr"):
        fitted.set_params(views=blow_up).fit(X)
    assert np.array_equal(fitted.transform(X), before)


@pytest.mark.parametrize(("calls", "epochs"), [(1, 0), (9, 2)])  # two views in each of two batches an epoch
def test_an_interrupt_ends_training_and_leaves_a_usable_estimator(iris, calls, epochs):
    X, _ = iris
    made = []

    def interrupted(batch, generator):
        made.append(1)
        if len(made) == calls:
            raise KeyboardInterrupt
        return batch

    model = quick(views=interrupted, max_epochs=50, sinkhorn_tol=1e-9, loss="ince")
    with pytest.warns(UserWarning, match=f"interrupted after {epochs} of 50 epochs"):
        fitted = model.fit(X)
    assert fitted.stop_reason_ == "interrupted"
    assert fitted.n_epochs_ == len(fitted.history_) == epochs
    assert np.isfinite(fitted.transform(X)).all()


def test_a_changed_parameter_does_not_touch_the_last_fit(iris):
    X, _ = iris
    fitted = quick().fit(X)
    before = fitted.transform(X)
    fitted.set_params(n_components=3, standardize=False, batch_size=9)
    assert np.array_equal(fitted.transform(X), before)
    assert len(fitted.get_feature_names_out()) == 6


def test_the_public_class_has_scikit_learns_bases_only():
    """Beside the one that fills in scikit-learn's links to the documentation."""
    bases = [base for base in GCAEmbedder.__mro__[1:] if base is not DocumentationLinkMixin]
    assert {base.__module__.split(".")[0] for base in bases} == {"sklearn", "builtins"}
    assert issubclass(GCAEmbedder, BaseEstimator)


class Narrow(GCAEmbedder):
    """Has one parameter, and sets the others itself."""

    def __init__(self, epsilon=0.5):
        super().__init__(8, epsilon=epsilon, max_epochs=2, warmup_fraction=0.2, random_state=0)


def test_a_subclass_may_have_fewer_parameters(iris):
    X = iris[0]
    expected = GCAEmbedder(8, epsilon=0.2, max_epochs=2, warmup_fraction=0.2, random_state=0).fit_transform(X)
    model = clone(Narrow(0.2)).fit(X)
    assert np.array_equal(model.transform(X), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).transform(X), expected)


def test_html_and_text_repr(iris):
    model = quick(epsilon=0.35)
    assert "epsilon=0.35" in repr(model)
    assert "GCAEmbedder" in model._repr_html_()
    assert "GCAEmbedder" in model.fit(iris[0])._repr_html_()


# The point of it all


@pytest.mark.slow
def test_an_embedding_of_digits_beats_its_own_untrained_encoder_with_few_labels():
    X, y = load_digits(return_X_y=True)
    X, y = X[:900], y[:900]
    labelled = np.concatenate([np.flatnonzero(y == label)[:10] for label in range(10)])
    unlabelled = np.setdiff1d(np.arange(900), labelled)

    def accuracy(max_epochs):
        embedding = GCAEmbedder(max_epochs=max_epochs, random_state=0).fit_transform(X)
        probe = LogisticRegression(max_iter=1000).fit(embedding[labelled], y[labelled])
        return probe.score(embedding[unlabelled], y[unlabelled])

    assert accuracy(60) > accuracy(0) + 0.02


@pytest.mark.cuda
def test_fit_on_cuda_and_embed_on_the_cpu(iris, cuda):
    X, _ = iris
    fitted = quick(device=cuda.type).fit(X)
    assert next(fitted.encoder_.parameters()).device.type == cuda.type
    on_cpu = copy.deepcopy(fitted)
    on_cpu.net_.set_params(device="cpu")
    on_cpu.net_.module_.to("cpu")
    assert_close(fitted.transform(X), on_cpu.transform(X), NETWORK)
