"""GCAMap: places of training rows and new rows, embedders before it, files, and what it refuses."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.spatial import procrustes
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import skgca
from skgca import GCAEmbedder, GCAMap
from skgca._data.neighbors import RandomNeighbors, neighbor_graph
from skgca._utils.compat import InvalidParameterError
from skgca.exceptions import SavedFileError

from ..models import quick
from ..numerics import SINGLE, assert_close

LONGER = {"hidden_layer_sizes": (64, 64), "max_epochs": 60, "batch_size": 128}
SMALL = {"hidden_layer_sizes": (16, 16), "max_epochs": 3, "random_state": 0}


# On some processors the coordinates of a row differ by one rounding of single precision, 1e-7, if the row stands
# elsewhere in X; the check allows 1e-9 and a relative 1e-7.
ROUNDING = {"check_methods_sample_order_invariance": "Rounding in single precision, on some processors."}


@parametrize_with_checks([GCAMap(**SMALL)], expected_failed_checks=lambda _: ROUNDING)
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:900], y[:900], X[900:1200], y[900:1200]


@pytest.fixture(scope="module")
def of_digits(digits):
    return GCAMap(**LONGER, random_state=0).fit(digits[0])


# What the map shows


def test_new_rows_are_among_rows_of_their_class(digits, of_digits):
    X, y, X_new, y_new = digits
    points, new = of_digits.transform(X), of_digits.transform(X_new)
    linear = PCA(2).fit(X)

    def accuracy(points, new):
        return KNeighborsClassifier(15).fit(points, y).score(new, y_new)

    assert accuracy(points, new) > accuracy(linear.transform(X), linear.transform(X_new)) + 0.1
    assert trustworthiness(X_new, new, n_neighbors=15) > 0.85


def test_axes_are_principal_and_those_of_another_seed(digits, of_digits):
    points = of_digits.transform(digits[0])
    covariance = np.cov(points.T)
    assert covariance[0, 0] > covariance[1, 1]
    assert abs(covariance[0, 1]) < 1e-3 * covariance[1, 1]
    assert_close(points.mean(axis=0), np.zeros(2), SINGLE, scale=np.abs(points).max())
    again = GCAMap(**LONGER, random_state=1).fit_transform(digits[0])
    assert procrustes(points, again)[2] < 0.3  # it is 1 for points at random


def test_distances_are_those_of_the_loss(of_digits, digits):
    """The turn of the axes leaves the plan as it is: the loss of the turned outputs is that of the network."""
    encoder = of_digits.map_.encoder_
    rows = of_digits.map_.reader_.read(digits[0][:50])
    with torch.no_grad():
        outputs = encoder.features(rows)
    assert_close(of_digits.transform(digits[0][:50]), outputs.numpy(), SINGLE)
    assert_close(of_digits.map_.reference_, of_digits.transform(digits[0]), SINGLE)


def test_more_dimensions_and_names(digits):
    fitted = GCAMap(3, **SMALL).set_output(transform="pandas").fit(digits[0])
    assert list(fitted.transform(digits[0]).columns) == ["gcamap0", "gcamap1", "gcamap2"]


# Kinds of data


def test_tables_of_any_kind():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": np.where(rng.random(60) < 0.2, np.nan, rng.normal(size=60)),
            "c": rng.choice(["u", "v", "w"], 60),
            "t": pd.date_range("2024-01-01", periods=60, freq="h"),
        }
    )
    points = GCAMap(**SMALL).fit_transform(frame)
    assert points.shape == (60, 2)
    assert np.isfinite(points).all()
    sparse = csr_matrix(np.where(rng.random((50, 20)) < 0.2, 1.0, 0.0))
    assert_close(GCAMap(**SMALL).fit_transform(sparse), GCAMap(**SMALL).fit_transform(sparse.toarray()), SINGLE)


def test_images_and_series_are_embedded_first():
    images = load_digits().images[:100]
    fitted = GCAMap(embedder=quick(), **SMALL).fit(images)
    assert_close(fitted.transform(images), fitted.map_.transform(fitted.embedder_.transform(images)), SINGLE)
    series = np.random.default_rng(0).normal(size=(30, 2, 40)).cumsum(axis=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = GCAMap(embedder=quick(n_components=8, hidden_layer_sizes=(8,)), **SMALL).fit(series)
    assert fitted.transform(series).shape == (30, 2)


def test_an_embedder_is_fitted_unless_it_is_already(digits):
    X = digits[0][:200]
    embedder = quick().fit(X)
    for given_one in (embedder, FrozenEstimator(embedder)):
        assert GCAMap(embedder=given_one, **SMALL).fit(X).embedder_ is embedder
    fitted = GCAMap(embedder=quick(random_state=None), **SMALL).fit(X)
    assert fitted.embedder_ is not fitted.embedder
    assert not hasattr(fitted.embedder, "net_")
    assert_close(fitted.transform(X), clone(fitted).fit(X).transform(X), SINGLE)


def test_in_a_pipeline(digits):
    X, y, X_new, _ = digits
    pipeline = make_pipeline(StandardScaler(), GCAMap(**SMALL)).fit(X, y)
    assert pipeline.transform(X_new).shape == (300, 2)


def test_few_rows_and_equal_rows():
    assert GCAMap(**SMALL).fit_transform(np.eye(2)).shape == (2, 2)
    equal = np.repeat(np.random.default_rng(0).normal(size=(5, 3)), 8, axis=0)
    points = GCAMap(**SMALL).fit_transform(equal)
    assert_close(points.reshape(5, 8, 2), points.reshape(5, 8, 2)[:, :1].repeat(8, axis=1), SINGLE)
    constant = GCAMap(**SMALL).fit_transform(np.ones((20, 3)))
    assert np.isfinite(constant).all()


# Random numbers


def test_the_same_bits_and_no_global_generator(digits):
    X = digits[0][:150]
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first, second = (GCAMap(**SMALL).fit_transform(X) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(before[0], np.random.get_state()[1])  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())
    assert not np.array_equal(first, GCAMap(**{**SMALL, "random_state": 1}).fit_transform(X))


def test_the_order_of_rows_changes_nothing_but_rounding(digits, of_digits):
    order = np.random.default_rng(0).permutation(300)
    assert_close(of_digits.transform(digits[2][order]), of_digits.transform(digits[2])[order], SINGLE)


# The graph


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 30), st.integers(1, 12), st.integers(0, 100))
def test_rows_are_linked_if_one_is_among_the_nearest_of_the_other(n, k, seed):
    X = np.random.default_rng(seed).normal(size=(n, 3))
    graph = neighbor_graph(X, k).toarray()
    distance = np.linalg.norm(X[:, None] - X, axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1)[:, : min(k, n - 1)]
    expected = np.zeros((n, n))
    np.put_along_axis(expected, nearest, 1.0, axis=1)
    assert np.array_equal(graph, np.maximum(expected, expected.T))


def test_the_graph_does_not_depend_on_threads():
    X = np.random.default_rng(0).integers(0, 3, size=(3000, 20)).astype(np.float32)  # many equal distances
    first = neighbor_graph(X, 5)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert (first != neighbor_graph(X, 5)).nnz == 0
    finally:
        torch.set_num_threads(threads)
    assert (first != first.T).nnz == 0


def test_all_neighbours_are_drawn_about_as_often():
    X = np.random.default_rng(0).normal(size=(40, 3))
    graph = neighbor_graph(X, 4)
    inputs = torch.arange(40)
    draw = RandomNeighbors(lambda rows: inputs[rows], graph, torch.Generator().manual_seed(0))
    counts = np.zeros((40, 40))
    for _ in range(400):
        np.add.at(counts, (np.arange(40), draw(torch.arange(40)).numpy()), 1)
    assert np.array_equal(counts > 0, graph.toarray() > 0)
    expected = graph.toarray() / graph.toarray().sum(axis=1, keepdims=True)
    assert np.abs(counts / 400 - expected).max() < 0.15
    nearest = NearestNeighbors(n_neighbors=4).fit(X).kneighbors(return_distance=False)
    assert (counts[np.arange(40)[:, None], nearest] > 0).all()


# Files


@pytest.mark.parametrize("embedder", [None, "small"])
def test_pickles_and_files(digits, tmp_path, embedder):
    X = digits[0][:100]
    fitted = GCAMap(embedder=None if embedder is None else quick(), **SMALL).fit(X)
    points = fitted.transform(X)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), points)
    fitted.save(tmp_path / "map")
    opened = GCAMap.load(tmp_path / "map")
    assert_close(opened.transform(X), points, SINGLE)
    assert opened.n_features_in_ == 64
    assert np.array_equal(clone(opened).fit_transform(X), points)
    assert skgca.__version__  # the file names it


def test_a_map_with_a_generator_can_be_saved(digits, tmp_path):
    fitted = GCAMap(**{**SMALL, "random_state": np.random.RandomState(0)}).fit(digits[0][:50])
    fitted.save(tmp_path / "map")
    assert_close(GCAMap.load(tmp_path / "map").transform(digits[0][:50]), fitted.transform(digits[0][:50]), SINGLE)


def test_files_say_what_they_hold(digits, tmp_path):
    X = digits[0][:100]
    GCAMap(**SMALL).fit(X).save(tmp_path / "map")
    quick().fit(X).save(tmp_path / "embedder")
    with pytest.raises(SavedFileError, match=r"it holds a GCAMap, not a GCAEmbedder; use GCAMap\.load"):
        GCAEmbedder.load(tmp_path / "map")
    with pytest.raises(SavedFileError, match=r"it holds a GCAEmbedder; open it by GCAEmbedder\.load"):
        GCAMap.load(tmp_path / "embedder")
    damaged = bytearray((tmp_path / "map").read_bytes())
    damaged[-10] ^= 1
    (tmp_path / "map").write_bytes(damaged)
    with pytest.raises(SavedFileError, match="damaged"):
        GCAMap.load(tmp_path / "map")
    with pytest.raises(NotFittedError):
        GCAMap().save(tmp_path / "map")


# What is refused


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_neighbors": 0}, "n_neighbors"),
        ({"loss": "byol"}, "loss"),
        ({"epsilon": 0.0}, "epsilon"),
        ({"corruption_rate": 1.5}, "corruption_rate"),
        ({"max_epochs": 0}, "max_epochs"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
    ],
)
def test_bad_parameters_are_named(params, message):
    with pytest.raises(InvalidParameterError, match=message):
        GCAMap(**{**SMALL, **params}).fit(load_iris().data)


def test_bad_rows_are_refused(digits):
    with pytest.raises(ValueError, match="minimum of 2"):
        GCAMap(**SMALL).fit(digits[0][:1])
    fitted = GCAMap(**SMALL).fit(digits[0][:50])
    with pytest.raises(ValueError, match="64 features"):
        fitted.transform(digits[0][:5, :3])
    with pytest.raises(NotFittedError):
        GCAMap().transform(digits[0])
    with pytest.raises(TypeError, match="embedder holds a StandardScaler"):
        GCAMap(embedder=FrozenEstimator(StandardScaler().fit(digits[0])), **SMALL).fit(digits[0])


def test_a_fit_that_fails_leaves_the_map_as_it_was(digits, of_digits):
    fitted = GCAMap(**SMALL).fit(digits[0][:50])
    points = fitted.transform(digits[0][:50])
    with pytest.raises(ValueError, match="inf"):
        fitted.fit(np.full((20, 3), np.inf))
    assert fitted.n_features_in_ == 64
    assert np.array_equal(fitted.transform(digits[0][:50]), points)


def test_without_a_head_the_loss_compares_the_outputs_of_the_encoder(tmp_path):
    X = load_iris().data
    embedder = quick(projection_sizes=(), layers="last", passthrough=False).fit(X)
    inputs = embedder.reader_.read(X)
    with torch.no_grad():
        assert torch.equal(embedder.net_.module_(inputs), embedder.encoder_.features(inputs))
    embedder.save(tmp_path / "embedder")
    assert_close(GCAEmbedder.load(tmp_path / "embedder").transform(X), embedder.transform(X), SINGLE)
    with pytest.raises(InvalidParameterError, match="projection_sizes=\\(\\) is empty, which is for encoders with"):
        quick(projection_sizes=(), hidden_layer_sizes=None, encoder=torch.nn.Linear(4, 6)).fit(X)
