"""Each kind of data is a class that answers all that others ask of it."""

import inspect

import numpy as np
import pandas as pd
import pytest
import torch

from skgca._builders.network import ENCODERS
from skgca._builders.views import VIEWS
from skgca._data import READERS, ImageReader, Rows, SeriesReader, TableReader, make_reader
from skgca._data.containers import container_of
from skgca._data.reader import Reader
from skgca._persistence.onnx_graph import _preprocessing
from skgca._persistence.sample_rows import example_rows

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame({"a": [0.5, np.nan, 2.0, 3.0], "b": ["x", "y", "x", "z"]})
CASES = {
    "numbers": (RNG.normal(size=(6, 3)), TableReader),
    "categories": (FRAME, TableReader),
    "grey": (RNG.integers(0, 256, (6, 8, 8), dtype=np.uint8), ImageReader),
    "coloured": (RNG.random((6, 8, 9, 3)), ImageReader),
    "series": (RNG.normal(size=(6, 2, 12)), SeriesReader),
}
each_case = pytest.mark.parametrize("name", CASES)


def fitted_case(name):
    X, kind = CASES[name]
    reader = make_reader(Rows(X), categorical_features="from_dtype", standardize=True, image_shape=None)
    assert type(reader) is kind
    return reader.fit(Rows(X)), X


def test_every_kind_is_tried():
    assert {kind for _, kind in CASES.values()} == set(READERS.values())
    assert not any(map(inspect.isabstract, READERS.values()))


@pytest.mark.parametrize("kind", READERS.values())
def test_defaults_are_names_that_suit_the_kind(kind):
    assert kind in ENCODERS[kind.auto_encoder].kinds


@each_case
def test_answers_agree_with_what_is_read(name):
    reader, X = fitted_case(name)
    inputs = reader.read(X)
    assert inputs.dtype == torch.float32
    assert tuple(inputs.shape[1:]) == reader.input_shape
    assert type(reader) in VIEWS[reader.auto_views][0]
    stem = reader.make_stem(standardize=True)
    names = reader.plain_names(stem, ["a", "b", "c"])
    assert len(names) == len(set(names)) == stem.plain(inputs).shape[1]
    if reader.numeric_columns is not None:
        assert len(reader.numeric_columns) == inputs.shape[1]


@each_case
def test_a_reader_made_of_its_state_reads_alike(name):
    reader, X = fitted_case(name)
    again = type(reader).from_state(reader.get_state())
    assert torch.equal(again.read(X).nan_to_num(nan=-9.0), reader.read(X).nan_to_num(nan=-9.0))
    assert set(vars(again)) == set(vars(reader))


@each_case
def test_rows_are_made_up_for_it_and_for_its_graph(name):
    reader, _ = fitted_case(name)
    rows = example_rows(reader)
    assert tuple(reader.read(rows).shape[1:]) == reader.input_shape
    assert _preprocessing(reader).graph_input(rows).shape == rows.shape


def test_what_a_new_kind_must_register_is_said():
    class Sounds(SeriesReader):
        pass

    series = RNG.normal(size=(4, 1, 8))
    assert example_rows(Sounds().fit(Rows(series))).shape == series.shape  # as its base

    class Words(Reader):
        shape = (2,)
        input_shape = (2,)
        auto_views = "clean"
        fit = read = make_stem = get_state = from_state = None

    for ask in (example_rows, _preprocessing):
        with pytest.raises(TypeError, match="Words; register a function"):
            ask(Words())


@pytest.mark.parametrize("X", [[[1.0, 2.0]], torch.ones(2, 2)])
def test_what_must_become_an_array_first_is_named(X):
    with pytest.raises(TypeError, match=f"from a {type(X).__name__}; numpy.asarray"):
        container_of(X)
