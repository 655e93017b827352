"""Situations: tables of categories, text, missing values and odd values."""

import decimal
import pickle
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import torch

from skgca import GCAEmbedder
from skgca._data import Rows, TableReader
from skgca._data import tables as tables_module
from skgca._data.metadata import _codes
from skgca.encoders import TableStem
from skgca.metrics import corrupt_cells, neighborhood_preservation

from ..models import quick
from ..numerics import NETWORK, assert_close
from .registry import situation

BIG = 2**53
RNG = np.random.default_rng(0)


def read(X, rows=None, **params):
    """The reader of X, and how it reads X or other rows: missing values as -1."""
    params = {"categorical_features": "from_dtype", "standardize": True, **params}
    reader = TableReader(**params).fit(Rows(X))
    return reader, reader.read(X if rows is None else rows).nan_to_num(-1.0)


def column(values, **others):
    return pd.DataFrame({"a": values, **others})


def arrow(kind, values):
    return column(pd.Series(values, dtype=object).astype(pd.ArrowDtype(kind(pa))))


@situation("columns of a categorical type are categories, whatever the categories are")
def categorical_types():
    _, expected = read(column(["b", "a", None, "b"]))
    assert expected.ravel().tolist() == [2, 1, 3, 2]
    frames = [
        column(pd.Categorical([7, 3, None, 7])),
        column(pd.Categorical([7.5, 3.0, np.nan, 7.5], ordered=True)),
        column(pd.Categorical([True, False, None, True])),
        column(pd.cut([6, 1, np.nan, 5], [0, 3, 6])),
        column(pd.Categorical(pd.to_datetime(["2021-01-01", "2020-01-01", None, "2021-01-01"]))),
        column(pd.Categorical(["x", 2.5, None, "x"])),
        arrow(lambda pa: pa.dictionary(pa.int32(), pa.string()), ["b", "a", None, "b"]),
        arrow(lambda pa: pa.dictionary(pa.int8(), pa.int64()), [7, 3, None, 7]),
        pl.DataFrame({"a": pl.Series(["b", "a", None, "b"], dtype=pl.Categorical)}),
        pl.DataFrame({"a": pl.Series(["b", "a", None, "b"], dtype=pl.Enum(["c", "b", "a"]))}),
    ]
    for X in frames:
        reader, table = read(X)
        assert reader.is_category.tolist() == [True]
        assert reader.n_categories.tolist() == [3]
        assert torch.equal(table, expected), X


@situation("numbers of a categorical type are embedded as the same categories given as text")
def categories_of_numbers_embed_as_text():
    codes, x = RNG.integers(0, 9, 80), RNG.normal(size=80)
    as_text = pd.DataFrame({"c": codes.astype(str), "x": x})
    as_numbers = pd.DataFrame({"c": pd.Categorical(codes), "x": x})
    fitted = quick().fit(as_numbers)
    assert np.array_equal(fitted.transform(as_numbers), quick().fit(as_text).transform(as_text))
    # other containers and an other order of the same categories
    others = [
        as_numbers.assign(c=pd.Categorical(codes, categories=range(20, -1, -1))),
        as_numbers.assign(c=codes.astype(float)),
        pl.DataFrame({"c": codes, "x": x}),
        np.array(as_numbers.astype(object)),
    ]
    for other in others:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            assert np.array_equal(fitted.transform(other), fitted.transform(as_numbers))
    assert "c_3" in fitted.get_feature_names_out()


@situation("a categorical column that categorical_features leaves out is refused by name")
def categorical_column_left_out():
    X = column(pd.Categorical([3, 1, 2]), b=["x", "y", "x"])
    with pytest.raises(ValueError, match="Column 'a' is of a categorical type; name it in categorical_features"):
        read(X, categorical_features=["b"])


@situation("whole numbers beyond 2**53 stay apart as categories")
def large_whole_numbers_are_exact():
    ids = [BIG, BIG + 1, BIG + 2, None]
    frames = [column(pd.Series(ids, dtype=dtype)) for dtype in ("Int64", "UInt64", object, pd.ArrowDtype(pa.int64()))]
    frames += [pl.DataFrame({"a": ids}), column(pd.Categorical(ids)), np.array(ids, dtype=object)[:, None]]
    frames += [column([decimal.Decimal(value) for value in ids[:3]] + [None])]
    for X in frames:
        reader, table = read(X, categorical_features=[0])
        assert table.ravel().tolist() == [1, 2, 3, 4], X
        assert reader.known_categories[0][:3].tolist() == ids[:3]
    largest = np.array([[2**64 - 1], [2**64 - 2], [2**63]], dtype=np.uint64)
    assert read(largest, categorical_features=[0])[1].ravel().tolist() == [3, 2, 1]
    with pytest.raises(ValueError, match=r"Column 'a' has the category Decimal\('0.1234567890123456789'\)"):
        read(column([decimal.Decimal("0.1234567890123456789"), 1]), categorical_features=["a"])


@situation("large whole numbers stay apart as classes, domains and groups")
def large_labels_are_exact():
    ids = [BIG, BIG + 1, BIG + 2, None]
    labels = [pd.Series(ids, dtype="Int64"), pl.Series(ids), [*ids[:3], np.nan], pd.Series(pd.Categorical(ids))]
    for values in [*labels, column(labels[0])]:
        assert _codes("y", values, np.zeros(4)).tolist() == [0, 1, 2, -1]
    assert _codes("y", [2**63 + 1, 2**63, -1, 5], np.zeros(4)).tolist() == [2, 1, -1, 0]


@situation("1 and 1.0, and single and double precision, are one category")
def one_category_of_several_types():
    X = column([1, 2, 3, 2])
    reader, _ = read(X, categorical_features=["a"])
    for later in ([1.0, np.nan, 3.0, 2.0], np.array([1, 9, 3, 2], dtype=np.uint8)):
        assert reader.read(column(later)).ravel().tolist() == [1, 0, 3, 2]
    gaps, _ = read(column([1, None, 3, 2]), categorical_features=["a"])
    assert gaps.known_categories[0][:3].tolist() == reader.known_categories[0].tolist()
    assert all(type(value) is int for value in gaps.known_categories[0][:3])
    fractions = np.array([[0.1], [0.25], [0.7]])
    for one, other in ((np.float32, np.float64), (np.float64, np.float32)):
        rows = fractions.astype(other)
        assert read(fractions.astype(one), rows, categorical_features=[0])[1].ravel().tolist() == [1, 2, 3]


@situation("a mostly numeric column of text with odd values is refused by name")
def numbers_with_odd_values():
    numbers = RNG.normal(size=99).round(2).astype(str).tolist()
    ages = RNG.integers(1, 90, 99).astype(str).tolist()
    grades = RNG.integers(1, 11, 99).astype(str).tolist()  # few values, but "?" marks a missing one
    for values, odd in [(numbers, "?"), (numbers, " "), (numbers, "low"), (ages, "N/A"), (ages, "old"), (grades, "?")]:
        mixed = [*values, odd]
        expected = rf"Column 'a' holds text, but 99 % of the values are numbers, such as .*, except '{odd}'"
        expected = expected.replace("?'", r"\?'")
        with pytest.raises(ValueError, match=expected + r".*pandas\.to_numeric\(X\['a'\], errors='coerce'\)"):
            read(column(mixed))
        with pytest.raises(ValueError, match=r"polars\.col\('a'\)\.cast"):
            read(pl.DataFrame({"a": mixed}))
        with pytest.raises(ValueError, match=r"Column 0 holds text.*pandas\.to_numeric\(X\[:, 0\]"):
            read(np.array(mixed)[:, None])
        assert read(column(mixed), categorical_features=["a"])[0].is_category.tolist() == [True]
        assert read(column(pd.Categorical(mixed)))[0].is_category.tolist() == [True]
    objects = column(pd.Series([1.5, 2, "?", "7"] * 5, dtype=object))
    with pytest.raises(ValueError, match=r"mixes types.*75 % of its values are numbers, all except '\?': pandas.to_nu"):
        read(objects)


@situation("a column of numbers that are all text is refused by name")
def numbers_as_text():
    values = RNG.uniform(0, 5000, 60)
    for text in ([f"{v:.2f}" for v in values], [f"{v:.1e}" for v in values]):
        with pytest.raises(ValueError, match=r"Column 'a' holds numbers as text, such as .*errors='coerce'"):
            read(column(text))
    for text in ([f"{v:.2f}".replace(".", ",") for v in values], [f"$ {v:,.2f}" for v in values]):
        with pytest.raises(ValueError, match=r"Column 'a' holds numbers as text, such as .* Python does not parse"):
            read(column(text))


@situation("text that looks like numbers and is none stays categories, without a word")
def codes_of_digits_are_categories():
    n = 300
    honest = {
        "zip codes": [f"{v:05d}" for v in RNG.integers(500, 700, n)],
        "zip codes and others": [f"{v:05d}" for v in RNG.integers(500, 700, n - 1)] + ["K1A 0B1"],
        "digits": RNG.integers(1, 10, n).astype(str),
        "grades": RNG.choice(["K", *map(str, range(1, 13))], n),
        "dependents": RNG.choice(["0", "1", "2", "3+"], n),
        "versions": RNG.choice(["1.0", "1.1", "2.0", "2.0.1"], n),
        "shops": RNG.integers(1, 120, n).astype(str),
        "percentages": RNG.choice(["10%", "20%"], n),
        "letters and marks": RNG.choice(["a", "b", "?"], n),
    }
    for name, values in honest.items():
        reader, _ = read(column(np.asarray(values, dtype=object)))
        assert reader.n_categories.tolist() == [len(set(values))], name


@situation("text that may be numbers or codes gives a warning with both remedies")
def doubtful_text():
    codes = [*RNG.uniform(1, 900, 300).round(1).astype(str), *(f"V{k}" for k in range(30))]
    with pytest.warns(UserWarning, match=r"Column 'a' .* 90.9 % of the values are numbers.*'V0'.*to_numeric.*dtype"):
        reader, _ = read(column(codes))
    assert reader.is_category.tolist() == [True]


@situation("text that differs in nearly every row gives a warning that names the column and the recipe")
def unique_text():
    texts = [f"sentence number {k}" for k in range(60)]
    for X in (column(texts), column(pd.Categorical(texts)), pl.DataFrame({"a": texts})):
        with pytest.warns(UserWarning, match="Column 'a' has 60 distinct categories in 60 rows.*guide/tables.md"):
            quick(max_epochs=1).fit(X)
    names = column(pd.Categorical(range(60)))
    with pytest.warns(UserWarning, match="Column 'a' has 60 distinct categories in 60 rows, such as 0: "):
        read(names)
    read(column(texts[:50] * 2))  # each of them twice: no warning


@situation("output names are unique, and stay as they were where they do not repeat")
def output_names():
    n = 40
    X = pd.DataFrame({"x": RNG.normal(size=n), "s": RNG.choice(["u", "v"], n)})
    ordinary = [*(f"gcaembedder{k}" for k in range(6)), "x", "s_u", "s_v"]
    assert quick().fit(X).get_feature_names_out().tolist() == ordinary
    first = quick().set_output(transform="pandas").fit(X)
    second = quick().set_output(transform="pandas")
    stacked = second.fit_transform(first.transform(X)).columns.tolist()
    assert stacked == [*(f"gcaembedder_2_{k}" for k in range(6)), *ordinary[:7], "s_u", "s_v"]
    third = quick().fit(second.transform(first.transform(X))).get_feature_names_out()
    assert len(set(third)) == len(third) == 21
    clash = X.assign(s_u=1.0 * (X["x"] > 0), missingindicator_x=X["x"] ** 2, s=[None, "nan"] + ["u"] * (n - 2))
    clash.loc[5, "x"] = np.nan
    names = quick().fit(clash).get_feature_names_out().tolist()
    assert names[6:9] == ["x", "s_u", "missingindicator_x"]
    assert sorted(names[9:]) == ["missingindicator_x_2", "s_nan", "s_nan_2", "s_u_2"]


@situation("a column that was empty in training is missing, whatever it holds later")
def empty_column():
    X = pd.DataFrame({"e": [None] * 40, "x": RNG.normal(size=40)})
    fitted = quick().fit(X)
    expected = fitted.transform(X)
    for later in (["text"] * 40, np.arange(40) * 1e6, pd.Categorical([5] * 40), [True] * 40):
        assert np.array_equal(fitted.transform(X.assign(e=later)), expected)
    as_categories = quick(categorical_features=["e"]).fit(X)
    unknown = as_categories.transform(X.assign(e="text"))
    assert np.array_equal(as_categories.transform(X.assign(e=7)), unknown)
    array = np.array(X, dtype=float)
    of_array = quick().fit(array)
    assert np.array_equal(of_array.transform(np.c_[np.full(40, 1e9), array[:, 1]]), of_array.transform(array))


@situation("categories and values that come in the second part of a stream are unknown, or missing")
def second_part_of_a_stream():
    first = pd.DataFrame({"c": ["a", "b"] * 20, "e": [None] * 40, "x": RNG.normal(size=40)})
    second = first.assign(c=["b", "new"] * 20, e=["text"] * 40)
    model = quick().partial_fit(first).partial_fit(second)
    table = model.reader_.read(second)
    assert table[:2, 0].tolist() == [2, 0]
    assert table[:, 1].isnan().all()
    assert np.isfinite(model.transform(second)).all()


@situation("cells that are neither text nor numbers are named with a remedy")
def cells_of_other_types():
    remedies = {
        "decode": [b"a", b"b"],
        "pandas.DataFrame": [[1, 2], [3]],
        "json_normalize": [{"k": 1}, {}],
        "real and imaginary": [1j, "x"],
        r"X\['a'\].astype\(str\)": [object(), None],
    }
    for remedy, values in remedies.items():
        with pytest.raises(TypeError, match=rf"Column 'a' holds .*{remedy}"):
            read(column(pd.Series(values, dtype=object)))
    nested = {pl.List(pl.Int64): [[1], [2, 3]], pl.Array(pl.Int64, 2): [[1, 2], [3, 4]], pl.Binary: [b"a", b"b"]}
    nested[pl.Struct({"k": pl.Int64})] = [{"k": 1}, {"k": 2}]
    for dtype, values in nested.items():
        with pytest.raises(TypeError, match=r"Column 'a' holds .*an argument must be a string or a number"):
            read(pl.DataFrame({"a": pl.Series(values, dtype=dtype)}))


@situation("columns in another order are refused with the first that differs")
def another_order():
    X = pd.DataFrame(RNG.normal(size=(40, 3)), columns=["a", "b", "c"])
    fitted = quick().fit(X)
    for rows in (X[["a", "c", "b"]], pl.DataFrame({name: X[name].to_numpy() for name in ["a", "c", "b"]})):
        with pytest.raises(ValueError, match=r"same order.*: column 1 is 'c', and was 'b'.*X\[\['a', 'b', 'c'\]\]"):
            fitted.transform(rows)
    numbered = X.set_axis([10, 20, 30], axis=1)  # scikit-learn looks at names that are text only
    with pytest.raises(ValueError, match="column 0 is 20, and was 10"):
        quick().fit(numbered).transform(numbered[[20, 10, 30]])


@situation("a column of 100,000 categories takes few parameters, and each category has a vector of its own")
def very_many_categories():
    n = 100_000
    stem = TableStem([n], [False], max_vectors=tables_module._MAX_VECTORS)
    assert sum(parameter.numel() for parameter in stem.parameters()) < 16 * 700
    vectors = stem(torch.arange(n + 1.0)[:, None])
    assert not vectors[0].any()  # unknown
    assert len(vectors.unique(dim=0)) == n + 1
    X = pd.DataFrame({"id": np.arange(40_000) // 2, "x": RNG.normal(size=40_000)})
    with mock.patch.object(tables_module, "_MAX_VECTORS", 100):
        fitted = quick(categorical_features=["id"], max_epochs=0).fit(X)
    assert fitted.get_feature_names_out().tolist()[6:] == ["x"]  # the others are left out of what passes through
    with TemporaryDirectory() as folder:
        fitted.save(Path(folder, "model"))
        opened = GCAEmbedder.load(Path(folder, "model"))
    assert np.array_equal(opened.transform(X), fitted.transform(X))
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X))
    state = fitted.reader_.get_state()
    del state["max_vectors"]  # a file of an early version, where each category had its vector
    stem = TableReader.from_state(state).make_stem(standardize=True)
    assert stem.embeddings[0].weight.shape == (20_001, 16)


@situation("categories that are too long for the header of a file are saved as a tensor")
def long_categories():
    X = pd.DataFrame({"c": ["a" * 300, "b" * 300, None, "\ud800"] * 10, "k": pd.Categorical([BIG + 1, BIG, 1, 2] * 10)})
    fitted = quick().fit(X)
    small = fitted.reader_.get_state()
    assert small["categories"][1] == [1, 2, BIG, BIG + 1]
    with mock.patch.object(tables_module, "_LARGEST_JSON", 500), TemporaryDirectory() as folder:
        state = fitted.reader_.get_state()
        assert state["packed_categories"].dtype == np.uint8
        assert "categories" not in state
        fitted.save(Path(folder, "model"))
        opened = GCAEmbedder.load(Path(folder, "model"))
        again = pickle.loads(pickle.dumps(fitted))
    for other in (opened, again):
        assert repr(other.reader_.known_categories) == repr(fitted.reader_.known_categories)
        assert np.array_equal(other.transform(X), fitted.transform(X))


@situation("an ONNX graph of many categories takes memory for each row, not for each row and category")
def many_categories_in_onnx():
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    n, k = 1500, 500
    X = pd.DataFrame({"number": RNG.integers(0, k, n) * 1.5, "text": [f"k{v}" for v in RNG.integers(0, k, n)]})
    X["empty"] = np.nan
    X.loc[7, "number"] = np.nan
    fitted = quick(max_epochs=0, categorical_features=["number", "text"]).fit(X)
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        fitted.export_onnx(path)
        model = onnx.shape_inference.infer_shapes(onnx.load(path))
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for value in model.graph.value_info:
        sizes = [axis.dim_value for axis in value.type.tensor_type.shape.dim if axis.dim_value]
        is_constant = len(sizes) == len(value.type.tensor_type.shape.dim)
        assert is_constant or np.prod(sizes) < k, value.name
    new = X.iloc[:6].assign(number=[-1.0, 0.75, 1e6, np.nan, 1.5, 0.0], text=["k1", "k2", None, "no", "k499", "k0"])
    codes = {text: code for code, text in enumerate(fitted.reader_.categories()[1].tolist(), start=1)}
    numbers = new.assign(text=[codes.get(text, 0) for text in new["text"]], empty=5.0)
    found = session.run(None, {"X": numbers.to_numpy(dtype=np.float32)})[0]
    assert_close(found, fitted.transform(new), NETWORK)


@situation("neighborhood_preservation compares text and categories by whether they differ")
def neighborhoods_of_text():
    n = 60
    X = pd.DataFrame({"x": RNG.normal(size=n), "c": RNG.choice(["a", "b", None], n), "k": pd.Categorical([1, 2] * 30)})
    one_hot = pd.get_dummies(X.astype({"c": object}), columns=["c", "k"], dummy_na=True, dtype=float)
    Z = RNG.normal(size=(n, 2)) + one_hot.to_numpy()[:, :2]
    expected = neighborhood_preservation(one_hot * ([1.0] + [0.5**0.5] * (one_hot.shape[1] - 1)), Z)
    of_polars = pl.DataFrame({"x": X["x"].to_numpy(), "c": X["c"].tolist(), "k": pl.Series(["1", "2"] * 30)})
    assert neighborhood_preservation(X, Z) == neighborhood_preservation(of_polars, Z) == expected
    with pytest.raises(ValueError, match="text or categories in column 'c', which metric='cosine' cannot compare"):
        neighborhood_preservation(X, Z, metric="cosine")


@situation("a column of another type than in fit: the remedy, followed, gives what fit had")
def remedies_of_other_types():
    days = pd.to_datetime(["2020-01-01", "2021-01-01", "2020-01-01", "2022-05-01"])
    steps = pd.to_timedelta([1, 2, 1, 3], unit="h")
    cases = [  # values of fit, other values, the remedy that the error names, and the other values after it
        (column([True, False, True, True]), [1, 0, 1, 1], r"X\['a'\].astype\(bool\)", lambda a: a.astype(bool)),
        (column(pd.Categorical(days)), days, r"X\['a'\].astype\('category'\)", lambda a: a.astype("category")),
        (column(days.astype(str)), days, r"and X\['a'\].astype\(str\) if not", lambda a: a.astype(str)),
        (column(steps), [3600, 7200, 3600, 10800], r"pandas.to_timedelta\(X\['a'\], unit='s'\)", seconds),
        (column([3600, 7200, 3600, 10800]), steps, r"X\['a'\].dt.total_seconds\(\)", lambda a: a.dt.total_seconds()),
    ]
    for first, values, remedy, convert in cases:
        reader, expected = read(first)
        with pytest.raises(ValueError, match=remedy):
            reader.read(column(values))
        converted = column(convert(column(values)["a"]))
        assert torch.equal(reader.read(converted).nan_to_num(-1.0), expected)
    with pytest.raises(
        ValueError, match="held number in fit, and now holds date"
    ) as error:  # pandas.to_numeric would make nanoseconds of dates
        read(column([1.0, 2.0, 3.0, 4.0]), column(days))
    assert "to_numeric" not in str(error.value)


def seconds(values):
    return pd.to_timedelta(values, unit="s")


@situation("a column that is NaN in all rows of a frame has no value, of whatever type it was in fit, or will be")
def columns_of_nan():
    n = 12
    columns = {
        "text": np.array(["a", "b", "c"] * 4),
        "truth": np.array([True, False] * 6),
        "date": pd.date_range("2024-01-01", periods=n, freq="7h"),
        "duration": pd.to_timedelta(np.arange(n), unit="h"),
        "number": np.arange(n, dtype=float),
    }
    later = pd.Series(["z", None] * 6)
    for values in columns.values():
        frame = column(values, x=np.arange(n) ** 0.5)
        model = quick(max_epochs=1).fit(frame)
        expected = model.transform(frame.assign(a=pd.Series([None] * n, dtype=object)))
        for empty in (np.nan, pd.Series([None] * n, dtype="Float64")):
            assert np.array_equal(model.transform(frame.assign(a=empty)), expected)
        assert np.array_equal(model.transform(frame[:1].assign(a=np.nan)), expected[:1])  # one row
        assert np.array_equal(model.transform(pl.DataFrame({"a": [np.nan] * n, "x": frame["x"].to_numpy()})), expected)
        model.partial_fit(frame.assign(a=np.nan))
        empty_first = quick(max_epochs=1).fit(frame.assign(a=np.nan))
        assert np.array_equal(empty_first.transform(frame), empty_first.transform(frame.assign(a=later)))
        empty_first.partial_fit(frame)
    wider = np.c_[np.full(n, np.nan), np.arange(n)]  # an array holds numbers only: others may follow
    assert read(wider, wider.copy())[0].held == ["number", "number"]


@situation("scorers of rows: Arrow tables are read, and what is no table in memory is refused by name")
def scorers_of_other_containers():
    X = pd.DataFrame({"x": RNG.normal(size=30), "c": pd.Categorical(["a", "b", "c"] * 10)})
    Z = RNG.normal(size=(30, 2))
    table = pa.Table.from_pandas(X)
    assert neighborhood_preservation(table, Z, n_neighbors=5) == neighborhood_preservation(X, Z, n_neighbors=5)
    series = [RNG.normal(size=(2, 8 + k % 3)) for k in range(30)]
    for other, message in [
        ("X.parquet", r"X is of type str.*pandas.read_parquet\(X\)"),
        (pl.from_pandas(X).lazy(), r"X is of type LazyFrame.*pass X.collect\(\)"),
        (series, "X holds arrays of different shapes"),
        (scipy.sparse.csr_matrix(Z), r"Sparse data.*\.toarray\(\)"),
        (RNG.normal(size=(30, 4, 4)), r"X has shape \(30, 4, 4\)"),
    ]:
        for function in (lambda X: neighborhood_preservation(X, Z), corrupt_cells):
            with pytest.raises((TypeError, ValueError), match=message):
                function(other)


@situation("a list of parquet paths is refused with a remedy")
def list_of_paths():
    with pytest.raises(TypeError, match=r"X is of type list, and holds paths; pyarrow.dataset.dataset\(X\) reads them"):
        quick().fit(["a.parquet", "b.parquet"])


@situation("two columns of a frame have one name, and are read by position")
def columns_of_one_name():
    X = RNG.normal(size=(40, 3))
    frame = pd.DataFrame(X, columns=["a", "a", "b"])
    fitted = quick().fit(frame)
    assert np.array_equal(fitted.transform(frame), quick().fit(X).transform(X))
    assert not hasattr(fitted, "feature_names_in_")
    assert len(set(fitted.get_feature_names_out())) == fitted.transform(frame).shape[1]
