"""Tables: types of columns, categories, gaps, scales."""

import decimal
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import RobustScaler

from skgca._data import Rows, TableReader
from skgca._data import rows as rows_module
from skgca._data.scaling import squash

from ..numerics import SINGLE, assert_close, assert_within


def reader(X, *, categorical_features="from_dtype", standardize=True):
    return TableReader(categorical_features=categorical_features, standardize=standardize).fit(Rows(X))


def frame():
    return pd.DataFrame(
        {
            "age": [20.0, 30.0, np.nan, 50.0, 60.0],
            "job": ["clerk", "smith", None, "clerk", "baker"],
            "owner": [True, False, True, True, False],
            "rooms": [1, 2, 3, 4, 5],
            "town": pd.Categorical(["b", "a", "b", "b", np.nan], categories=["b", "a", "unused"]),
        }
    )


def test_types_of_columns_are_told_from_their_dtype():
    fitted = reader(frame())
    assert fitted.names == ["age", "job", "owner", "rooms", "town"]
    assert fitted.is_category.tolist() == [False, True, True, False, True]
    assert fitted.n_categories.tolist() == [0, 4, 2, 0, 3]  # one for those that are missing
    assert fitted.has_missing.tolist() == [True, False, False, False, False]
    table = fitted.read(frame())
    assert table.dtype == torch.float32
    assert table[:, 1].tolist() == [2, 3, 4, 2, 1]  # in order of the alphabet, then missing
    assert table[:, 2].tolist() == [2, 1, 2, 2, 1]
    assert table[:, 4].tolist() == [2, 1, 2, 2, 3]
    assert table[:, 0].isnan().tolist() == [False, False, True, False, False]


def test_pandas_polars_and_objects_are_read_alike():
    of_pandas = reader(frame()).read(frame())
    columns = {name: [None if pd.isna(value) else value for value in values] for name, values in frame().items()}
    other = pl.DataFrame({**columns, "town": pl.Series(columns["town"], dtype=pl.Categorical)})
    assert_close(reader(other).read(other), of_pandas, SINGLE)
    objects = np.array(list(zip(*columns.values(), strict=True)), dtype=object)
    from_objects = reader(objects, categorical_features=[1, 2, 4]).read(objects)
    assert_close(from_objects, of_pandas, SINGLE)


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean", "string", "category", "float32", "int8"])
def test_nullable_and_narrow_types_of_pandas(dtype):
    values = {"boolean": [True, False, True], "string": ["a", "b", "a"], "category": ["a", "b", "a"]}.get(
        dtype, [1, 2, 1]
    )
    X = pd.DataFrame({"x": pd.Series(values, dtype=dtype), "y": [0.5, 1.0, 2.0]})
    table = reader(X).read(X)
    assert reader(X).is_category.tolist() == [dtype in ("boolean", "string", "category"), False]
    assert table[0, 0] == table[2, 0] != table[1, 0]
    if dtype in ("Int64", "Float64", "boolean", "string"):
        X.loc[1, "x"] = pd.NA
        gaps = reader(X)
        code = gaps.read(X)[1, 0]
        assert code.isnan() if dtype in ("Int64", "Float64") else code == gaps.n_categories[0]


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA, pd.NaT, np.datetime64("NaT")], ids=repr)
@pytest.mark.parametrize(("values", "held"), [([1.0, 3.0], "number"), (["a", "b"], "text")])
def test_whatever_is_missing_is_a_gap_in_a_column_of_objects(values, held, nothing):
    X = np.array([[values[0]], [nothing], [values[1]]], dtype=object)
    fitted = reader(X, standardize=False)
    assert fitted.held == [held]
    expected = {"number": [1.0, np.nan, 3.0], "text": [1.0, 3.0, 2.0]}[held]
    np.testing.assert_array_equal(fitted.read(X)[:, 0], expected)


def test_categories_that_were_not_seen_are_zero_and_so_are_gaps_where_there_were_none():
    train = pd.DataFrame({"c": ["a", "b", "a"], "x": [0.0, 1.0, 2.0]})
    fitted = reader(train)
    assert fitted.read(pd.DataFrame({"c": ["b", "new", None], "x": [0.0, 1.0, 2.0]}))[:, 0].tolist() == [2, 0, 0]
    nothing = pd.DataFrame({"c": [None, None], "x": [np.nan, np.nan]})
    assert fitted.read(nothing)[:, 0].tolist() == [0, 0]


def test_numbers_named_as_categories():
    X = np.array([[3.0, 0.1], [1.0, 0.2], [np.nan, 0.3], [3.0, 0.4]])
    for categorical in ([0], [True, False]):
        fitted = reader(X, categorical_features=categorical)
        assert fitted.read(X)[:, 0].tolist() == [2, 1, 3, 2]
    named = pd.DataFrame(X, columns=["kind", "x"])
    assert torch.equal(reader(named, categorical_features=["kind"]).read(named), fitted.read(X))
    assert reader(named, categorical_features=None).n_categories.tolist() == [0, 0]


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=60),
    factor=st.sampled_from([1e-6, 1.0, 8.0, 1e6]),
    shift=st.sampled_from([0.0, 1.0, -100.0]),
)
def test_scale_and_shift_of_a_column_do_not_count(values, factor, shift):
    X = np.array(values)[:, None]
    X = np.round(X, 2)
    spread = np.diff(np.quantile(X, [0.25, 0.75]))[0]
    if spread < 1e-3 * np.abs(X).max():
        return  # what is left of it after the shift is rounding
    moved = factor * X + factor * shift
    assert_close(reader(X).read(X), reader(moved).read(moved), SINGLE, scale=1.0)  # standardised: values of about one


def test_numbers_are_scaled_by_median_and_quartiles_squashed_and_standardised():
    X = np.random.default_rng(0).standard_t(2, size=(500, 3)) * [1, 10, 0.1] + [0, 5, -1]
    X[3, 1] = 1e9
    scaled = RobustScaler(unit_variance=True).fit_transform(X)
    expected = scaled / np.sqrt(1 + (scaled / 3) ** 2)
    expected = (expected - expected.mean(0)) / expected.std(0)
    assert_close(reader(X).read(X), expected, SINGLE)


def test_the_reader_and_the_graph_squash_alike():
    scaled = np.array([0.0, 1e-3, -0.5, 1.0, 3.0, -40.0, 1e14, 1e300, -1e300, np.nan])
    by_numpy, by_torch = squash(scaled, np), squash(torch.from_numpy(scaled), torch)
    assert by_numpy.dtype == np.float32
    assert by_torch.dtype == torch.float32
    near = scaled[:-3]
    assert_close(by_numpy[:-3], near / np.sqrt(1 + (near / 3) ** 2), SINGLE)
    assert_close(by_torch[:-1], by_numpy[:-1], SINGLE)
    assert_close(by_numpy[-3:-1], [3.0, -3.0], SINGLE)
    assert np.isnan(by_numpy[-1])
    assert by_torch[-1].isnan()


def test_an_outlier_neither_sets_the_scale_nor_stays_far():
    X = np.random.default_rng(0).normal(size=(200, 1))
    plain = reader(X).read(X)
    X[0] = 1e12
    table = reader(X).read(X)
    assert table[0, 0] < 5
    assert_within(table[1:], plain[1:], 0.1)  # one row of 200 moves quartiles and deviation by about 2 %


def test_a_column_mostly_of_one_value_keeps_the_rest_apart():
    X = np.zeros((100, 1))
    X[:5, 0] = [1, 2, 3, 4, 5]
    table = reader(X).read(X)[:, 0]
    assert (table[:5].diff() > 0).all()
    assert_close(table.std(correction=0), 1.0, SINGLE)


def test_reading_is_the_same_chunk_by_chunk(monkeypatch):
    X = frame()
    X["x"] = np.arange(5) ** 3.0
    whole = reader(X)
    monkeypatch.setattr(rows_module, "_CHUNK_BYTES", 1)
    pieces = reader(X)
    assert torch.equal(whole.read(X).nan_to_num(9), pieces.read(X).nan_to_num(9))
    apart = torch.cat([whole.read(X.iloc[[k]]) for k in range(5)])
    assert torch.equal(whole.read(X).nan_to_num(9), apart.nan_to_num(9))


def test_scales_of_many_rows_are_those_of_a_sample(monkeypatch):
    from skgca._data import scaling

    X = np.random.default_rng(0).normal(size=(5000, 2))
    everything = reader(X)
    monkeypatch.setattr(scaling, "_SAMPLE", 1000)
    sampled = reader(X)
    assert not torch.equal(everything.read(X), sampled.read(X))
    assert_within(everything.read(X), sampled.read(X), 0.15)  # a quartile of 1000 rows has a deviation of 0.04


def test_pickle_keeps_how_to_read():
    fitted = reader(frame())
    again = pickle.loads(pickle.dumps(fitted))
    assert torch.equal(again.read(frame()).nan_to_num(9), fitted.read(frame()).nan_to_num(9))


BAD_COLUMNS = {
    "an object": (
        pd.DataFrame({"a": [1, {}], "b": [1, 2]}),
        TypeError,
        r"Column 'a' holds \{\}.*a string or a number.*'dict'",
    ),
    "a list": (pd.DataFrame({"a": [[1], [2]], "b": [1, 2]}), TypeError, r"Column 'a' holds \[1\]"),
    "complex": (pd.DataFrame({"a": [1j, 2j]}), TypeError, "Column 'a' is of type complex128.*as two columns"),
    "text and numbers": (
        pd.DataFrame({"a": ["x", 2.5, "y"]}),
        ValueError,
        "Column 'a' mixes types: 2.5 .number. and 'x'",
    ),
    "text and truth": (pd.DataFrame({"a": ["x", True, "y"]}), ValueError, "Column 'a' mixes types"),
    "infinity": (pd.DataFrame({"a": [1.0, np.inf]}), ValueError, "contains infinity in column 'a'"),
}


@pytest.mark.parametrize("name", BAD_COLUMNS)
def test_a_column_that_cannot_be_read_is_named(name):
    X, error, message = BAD_COLUMNS[name]
    with pytest.raises(error, match=message):
        reader(X)


def test_decimals_are_numbers():
    X = pd.DataFrame({"price": [decimal.Decimal("1.5"), None, decimal.Decimal("2.5"), decimal.Decimal("9")]})
    assert reader(X).read(X)[:, 0].isnan().tolist() == [False, True, False, False]


BAD_CHOICES = {
    "a name that is not there": (
        ["jobs"],
        r"categorical_features names \['jobs'\], but the columns are \['age', 'job'",
    ),
    "a number too high": ([5], r"categorical_features=\[5\] must lie in 0 to 4"),
    "a short mask": ([True, False], "a mask of 2, but X has 5 columns"),
    "text left out": (["job"], "Column 'town' holds text; name it in categorical_features"),
    "text, and none asked for": (None, "Column 'job' holds text"),
}


@pytest.mark.parametrize("name", BAD_CHOICES)
def test_categorical_features_that_do_not_fit(name):
    chosen, message = BAD_CHOICES[name]
    with pytest.raises(ValueError, match=message):
        reader(frame(), categorical_features=chosen)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("age", ["a", "b"], "Column 'age' held number in fit, and now holds text, such as 'a'"),
        ("job", [1.0, 2.0], "Column 'job' held text in fit, and now holds number, such as 1.0"),
        ("owner", ["yes", "no"], "Column 'owner' held truth in fit, and now holds text"),
        ("rooms", ["3", "4"], "Column 'rooms' held number in fit, and now holds text"),
    ],
)
def test_a_column_of_another_type_later_is_refused(column, values, message):
    fitted = reader(frame())
    with pytest.raises(ValueError, match=message):
        fitted.read(frame().iloc[:2].assign(**{column: values}))
