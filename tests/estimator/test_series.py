"""Series through GCAEmbedder by its default encoder: fixed kernels and a perceptron."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from skgca import GCAEmbedder
from skgca._builders.network import NetworkOptions, auto_steps
from skgca._data import SeriesReader
from skgca.encoders import Conv1dEncoder, GroupedComponents, RocketEncoder, Standardization
from skgca.exceptions import SavedFileError

from ..models import quick
from ..numerics import NETWORK, TRAINED, assert_close, error

RNG = np.random.default_rng(0)
SERIES = RNG.normal(size=(40, 2, 30)).cumsum(2)


def unequal(n=40, seed=1):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(2, length)).cumsum(1) for length in rng.integers(1, 40, n)]


def padded(rows, length):
    return np.stack([np.pad(row, ((0, 0), (0, length - row.shape[1])), constant_values=np.nan) for row in rows])


# Parameters


def test_kernels_are_the_default_and_conv1d_is_there_by_its_name():
    assert isinstance(quick().fit(SERIES).encoder_.body, RocketEncoder)
    assert isinstance(quick(encoder="conv1d").fit(SERIES).encoder_.body, Conv1dEncoder)
    assert np.array_equal(quick(encoder="rocket").fit_transform(SERIES), quick().fit_transform(SERIES))
    square = RNG.normal(size=(20, 12, 12))
    assert quick(encoder="rocket").fit(square).reader_.kind == "series"


@pytest.mark.parametrize(
    ("params", "n_columns"),
    [
        ({}, 6),
        ({"n_components": "auto"}, 256),
        ({"n_components": "auto", "layers": "all"}, 256),
        ({"n_components": "auto", "layers": "last"}, 128),
        ({"n_components": 300}, 300),
        ({"passthrough": True}, 6 + 60),
        ({"layers": "last", "dropout": 0.2, "normalization": "layer"}, 6),
    ],
)
def test_columns(params, n_columns):
    fitted = quick(**params).fit(SERIES)
    embedded = fitted.transform(SERIES)
    assert embedded.shape == (40, n_columns) == (40, len(fitted.get_feature_names_out()))
    assert np.isfinite(embedded).all()
    assert_close(embedded.mean(0)[:6], np.zeros(6), TRAINED, scale=1)
    readout = fitted.encoder_.readout
    assert type(readout) is (Standardization if params.get("layers") == "last" else GroupedComponents)


@pytest.mark.parametrize(("length", "n_values", "weight"), [(30, 60, 1.0), (100, 2 * 25, 0.64)])
def test_values_kernels_and_trained_layers_are_groups_of_the_readout(length, n_values, weight):
    X = RNG.normal(size=(40, 2, length))
    readout = quick(hidden_layer_sizes=(16, 9)).fit(X).encoder_.readout
    assert readout.groups == (n_values, 924, 16 + 9 + 6)
    assert readout.weights == (weight, 1.0, 1.0)


def test_steps_of_auto():
    params = vars(GCAEmbedder())
    reader = SeriesReader()
    assert auto_steps(NetworkOptions.of(params), reader) == 400
    assert auto_steps(NetworkOptions.of({**params, "encoder": "conv1d"}), reader) == 2000
    assert auto_steps(NetworkOptions.of({**params, "encoder": torch.nn.Flatten()}), reader) == 2000


# Training


def test_the_same_seed_makes_the_same_bits_and_another_does_not():
    first, again, other = (quick(random_state=seed).fit_transform(SERIES) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert error(first, other) > 0.1


def test_single_precision():
    embedded = quick().fit(SERIES.astype(np.float32))
    assert embedded.transform(SERIES.astype(np.float32)).dtype == np.float32
    assert embedded.transform(SERIES).dtype == np.float64


def test_units_do_not_matter():
    scale, shift = np.array([1e-3, 50.0]).reshape(2, 1), np.array([1.0, -90.0]).reshape(2, 1)
    assert_close(
        quick(max_epochs=0).fit_transform(SERIES * scale + shift), quick(max_epochs=0).fit_transform(SERIES), 0.01
    )


def test_a_warm_start_keeps_the_kernels():
    fitted = quick(warm_start=True).fit(SERIES)
    before = fitted.encoder_.body.kernels.offset.clone()
    fitted.fit(SERIES[:20] + 1)
    assert torch.equal(fitted.encoder_.body.kernels.offset, before)
    ragged = quick(warm_start=True).fit(unequal())
    longest = ragged.encoder_.body.kernels.length
    assert ragged.fit([row[:, :20] for row in unequal()]).encoder_.body.kernels.length == longest
    with pytest.raises(ValueError, match="warm_start=True cannot continue with another"):
        fitted.set_params(encoder="conv1d").fit(SERIES)


def test_what_version_0_1_trained_by_default_is_trained_on():
    fitted = quick(encoder="conv1d", hidden_layer_sizes=None, warm_start=True).fit(SERIES)
    fitted.set_params(encoder="auto").fit(SERIES)
    assert isinstance(fitted.encoder_.body, Conv1dEncoder)
    assert isinstance(fitted.partial_fit(SERIES).encoder_.body, Conv1dEncoder)


def test_partial_fit():
    streamed = quick().partial_fit(SERIES[:20]).partial_fit(SERIES[20:])
    assert np.isfinite(streamed.transform(SERIES)).all()


def test_shapes_at_random_places_are_told_apart_with_few_labels():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    X = 0.3 * rng.normal(size=(300, 1, 80))
    for row, label in zip(X, y, strict=True):
        place = rng.integers(0, 60)
        row[0, place : place + 20] += 2 * np.sin(np.linspace(0, 2 * np.pi, 20)) * (1 if label else -1)
    few = np.concatenate([np.flatnonzero(y[:200] == label)[:5] for label in (0, 1)])

    def accuracy(Z):
        return LogisticRegression(max_iter=1000).fit(Z[few], y[few]).score(Z[200:], y[200:])

    embedder = GCAEmbedder(max_epochs=40, random_state=0).fit(X[:200])
    assert accuracy(embedder.transform(X)) > 0.9  # 1.0 as measured
    assert accuracy(X[:, 0]) < 0.7


# Unequal lengths and gaps


def test_the_embedding_of_a_series_does_not_depend_on_the_longest_beside_it():
    rows = unequal()
    fitted = quick().fit(rows)
    embedded = fitted.transform(rows)
    assert_close(fitted.transform(rows[:3]), embedded[:3], NETWORK)
    longer = [*rows, RNG.normal(size=(2, 77)).cumsum(1)]
    assert_close(fitted.transform(longer)[:-1], embedded, NETWORK)
    assert np.isfinite(fitted.transform(longer)).all()


def test_training_does_not_depend_on_how_far_series_are_padded():
    rows = unequal()
    first = quick(max_epochs=1, views="clean").fit(rows)
    second = quick(max_epochs=1, views="clean").fit(padded(rows, 120))
    assert first.encoder_.body.kernels.length == second.encoder_.body.kernels.length == max(len(row[0]) for row in rows)
    assert_close(second.transform(rows), first.transform(rows), TRAINED)


def test_unequal_lengths_in_calls_of_partial_fit_and_in_files(tmp_path):
    rows = unequal()
    fitted = quick().partial_fit(rows).partial_fit([*rows, RNG.normal(size=(2, 64))])
    fitted.save(tmp_path / "model")
    assert np.array_equal(GCAEmbedder.load(tmp_path / "model").transform(rows), fitted.transform(rows))
    with pytest.raises(SavedFileError, match="Series of unequal lengths cannot be exported to ONNX"):
        fitted.export_onnx(tmp_path / "graph")


def test_gaps_are_filled_and_marked():
    X = SERIES.copy()
    X[::2, 0, 5:9] = np.nan
    fitted = quick().fit(X)
    assert fitted.encoder_.body.kernels.n_channels == 3  # with the indicator
    assert np.isfinite(fitted.transform(X)).all()
    whole = X.copy()
    whole[0, 0, 5:9] = np.linspace(X[0, 0, 4], X[0, 0, 9], 6)[1:-1]  # as the gap is filled, but known
    embedded = fitted.transform(np.stack([X[0], whole[0]]))
    assert error(embedded[0], embedded[1]) > 1e-3


@pytest.mark.parametrize("length", range(2, 10))
def test_short_series(length):
    X = SERIES[:, :, :length]
    assert np.isfinite(quick(encoder="rocket").fit_transform(X)).all()


def test_constant_series_and_channels():
    X = SERIES.copy()
    X[:, 0] = 7.0
    X[3:6] = 7.0
    embedded = quick().fit_transform(X)
    assert np.isfinite(embedded).all()
    assert_close(embedded[3], embedded[4], NETWORK)


def test_many_channels():
    X = RNG.normal(size=(20, 40, 50))
    assert np.isfinite(quick(encoder="rocket").fit_transform(X)).all()
