"""Situations: containers. What people hand over is read as the same data in a plain array or frame, or refused."""

import functools
import tempfile
import warnings
from concurrent.futures import Future
from pathlib import Path

import dask.array
import dask.bag
import dask.dataframe
import h5py
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest
import scipy.sparse
import torch
import zarr
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from skgca import GCAEmbedder
from skgca._data import batches, by_parts, rows

from ..models import quick
from ..small_memory import small_memory
from .registry import situation

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 3)).astype(np.float32)
GAPS = RANDOM.random(X.shape) < 0.2
WITH_GAPS = np.where(GAPS, np.nan, X)
WHOLE = RANDOM.integers(0, 40, X.shape)
SPARSE = np.where(X > 0, X, 0)


def assert_read_as(given, plain, **params):
    """Both must be embedded alike, fitted on either, and whichever of the two is transformed."""
    fitted, expected = quick(**params).fit(given), quick(**params).fit(plain)
    embedding = expected.transform(plain)
    assert np.array_equal(fitted.transform(given), embedding)
    if type(plain) is not pd.DataFrame:  # names of columns are not there in each type
        assert np.array_equal(fitted.transform(plain), embedding)
        assert np.array_equal(expected.transform(given), embedding)
    return fitted


def assert_refused(given, message, error=TypeError, **params):
    with pytest.raises(error, match=message):
        quick(**params).fit(given)


# Masked values


def masked(values, fill):
    """Values with a fill value under the mask, as file formats of measurements give them."""
    return np.ma.array(np.where(GAPS, fill, values).astype(values.dtype), mask=GAPS)


@situation("masked values of floats are missing")
def masked_floats():
    fitted = assert_read_as(masked(X, 1e36), WITH_GAPS)
    assert fitted.reader_.has_missing.all()
    assert np.array_equal(np.isnan(fitted.reader_.read(WITH_GAPS).numpy()), GAPS)


@situation("masked values of whole numbers, booleans and objects are missing")
def masked_others():
    assert_read_as(masked(WHOLE, 99999), np.where(GAPS, np.nan, WHOLE))
    assert_read_as(masked(WHOLE > 20, True), np.where(GAPS, np.nan, WHOLE > 20))
    assert_read_as(masked(X.astype(object), 1e36), np.where(GAPS, np.nan, X.astype(object)))
    text = WHOLE.astype(str).astype(object)
    assert_read_as(masked(text, "fill"), np.where(GAPS, None, text), categorical_features=[0, 1, 2])


@situation("masked identifiers beyond 2**53 stay apart")
def masked_large():
    ids = np.ma.array(2**53 + np.arange(60).reshape(-1, 1), mask=np.arange(60).reshape(-1, 1) == 3)
    from skgca._data.conversion import filled

    gaps = filled(ids)
    assert gaps[3, 0] is None
    assert len(set(gaps[:, 0].tolist())) == 60
    assert gaps[59, 0] == 2**53 + 59


@situation("a masked array without masked values is the array")
def masked_nothing():
    assert_read_as(np.ma.array(X), X)
    pixels = RANDOM.integers(0, 256, (20, 8, 8)).astype(np.uint8)
    assert quick(views="standard").fit(np.ma.array(pixels)).reader_.span == 255


@situation("a masked array on disk is filled as its rows are read")
def masked_map():
    with tempfile.TemporaryDirectory() as folder:
        on_disk = np.memmap(Path(folder) / "X", dtype="f4", mode="w+", shape=X.shape)
        on_disk[:] = np.where(GAPS, 1e36, X)
        assert_read_as(np.ma.array(on_disk, mask=GAPS), WITH_GAPS)


@situation("masked pixels and steps of series are refused, or filled as gaps")
def masked_stacks():
    pixels = np.ma.array(RANDOM.integers(0, 256, (20, 8, 8)).astype(np.uint8), mask=RANDOM.random((20, 8, 8)) < 0.1)
    assert_refused(pixels, r"masked array of 8-bit images.*X.filled\(0\)", ValueError)
    assert_refused(np.ma.array(RANDOM.random((20, 8, 8)), mask=pixels.mask), "NaN", ValueError)


@situation("masked labels, domains and targets are unknown; a masked weight is refused")
def masked_metadata():
    y = np.arange(60) % 3
    hidden = np.arange(60) % 4 == 0
    labels = np.ma.array(np.where(hidden, 77, y), mask=hidden)
    plain = quick(target="labels").fit(X, np.where(hidden, -1, y)).transform(X)
    assert np.array_equal(quick(target="labels").fit(X, labels).transform(X), plain)
    plain = quick(target="continuous").fit(X, np.where(hidden, np.nan, X[:, 0])).transform(X)
    values = np.ma.array(np.where(hidden, 1e20, X[:, 0]), mask=hidden)
    assert np.array_equal(quick(target="continuous").fit(X, values).transform(X), plain)
    plain = quick(target="domains").fit(X, sample_domain=np.where(hidden, -1, y)).transform(X)
    assert np.array_equal(quick(target="domains").fit(X, sample_domain=labels).transform(X), plain)
    with pytest.raises(ValueError, match="sample_weight"):
        quick().fit(X, sample_weight=np.ma.array(np.ones(60), mask=hidden))


@situation("gaps of nullable columns of pandas and Arrow are missing")
def nullable_pandas():
    numbers = pd.DataFrame(np.where(GAPS, np.nan, WHOLE), columns=list("abc"))
    for dtype in ("Int64", "Float64"):
        assert_read_as(numbers.astype(dtype), numbers)
    text = pd.DataFrame(WHOLE.astype(str), columns=list("abc")).mask(GAPS)
    assert_read_as(text.astype("string"), text)
    assert_read_as(numbers.astype("Int64").astype("int64[pyarrow]"), numbers)
    assert_read_as(numbers.astype("double[pyarrow]"), numbers)
    assert_read_as(text.astype("string[pyarrow]"), text)


@situation("nulls of polars are missing")
def nullable_polars():
    numbers = pd.DataFrame(np.where(GAPS, np.nan, WHOLE), columns=list("abc"))
    frame = pl.DataFrame(numbers.to_numpy(), schema=list("abc"), nan_to_null=True)
    assert frame.null_count().sum_horizontal().item() == GAPS.sum()
    assert_read_as(frame.cast(pl.Int64), numbers)


# torch


class Items(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, number):
        return self.items[number]


class Stream(IterableDataset):
    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return iter(self.items)


@situation("tensors of any kind are arrays")
def tensors():
    tensor = torch.from_numpy(X)
    assert_read_as(tensor, X)
    assert_read_as(torch.nn.Parameter(tensor.clone()), X)
    assert_read_as(list(tensor.clone().requires_grad_()), X)
    assert_read_as(tensor.bfloat16(), tensor.bfloat16().float().numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch says that its csr tensors are in beta state
        sparse = [torch.from_numpy(SPARSE).to_sparse(), torch.from_numpy(SPARSE).to_sparse_csr()]
        for tensor in sparse:
            assert_read_as(tensor, scipy.sparse.csr_array(SPARSE))
    assert_refused(torch.empty(60, 3, device="meta"), "'meta', which has no values")


@situation("labels and weights may be tensors with a gradient")
def tensor_metadata():
    y, weight = torch.arange(60) % 3, torch.linspace(1, 2, 60, requires_grad=True)
    plain = quick(target="labels").fit(X, y.numpy(), sample_weight=weight.detach().numpy()).transform(X)
    assert np.array_equal(quick(target="labels").fit(X, y, sample_weight=weight).transform(X), plain)


@situation("the items of a dataset are arrays, tensors or lists, or tuples that begin with one")
def datasets():
    assert_read_as(Items([(row, 1) for row in torch.from_numpy(X).clone().requires_grad_()]), X)
    assert_read_as(Items(X.astype(float).tolist()), X.astype(float))
    assert_read_as(TensorDataset(torch.from_numpy(X)), X)


@situation("a dataset of something else says what an item must be")
def refused_datasets():
    assert_refused(Items([{"image": row, "label": 0} for row in X]), r"keys \['image', 'label'\]; return its inputs")
    assert_refused(Items([tuple(row.tolist()) for row in X]), "begins with the number")
    assert_refused(Items([np.ones((8, 8 + k % 2)) for k in range(20)]), r"Row 1 of X has shape \(8, 9\)", ValueError)
    assert_refused(Items(["text"] * 20), "an array is needed for each row")


@situation("a stream is read by partial_fit, part by part")
def streams():
    many = RANDOM.normal(size=(65, 3)).astype(np.float32)
    fitted = quick(batch_size=2).partial_fit(Stream([(row, 0) for row in torch.from_numpy(many)]))
    # 16 batches of 2 rows are a part; a row that would be alone joins the part before it
    expected = quick(batch_size=2).partial_fit(many[:32]).partial_fit(many[32:])
    assert np.array_equal(fitted.transform(many), expected.transform(many))
    assert fitted.n_features_in_ == 3
    assert_refused(Stream(many), "IterableDataset, which only partial_fit reads")
    with pytest.raises(ValueError, match="without rows"):
        quick().partial_fit(Stream([]))


@situation("a DataLoader is refused, and its dataset named")
def loaders():
    assert_refused(DataLoader(TensorDataset(torch.from_numpy(X))), r"pass the dataset, fit\(X.dataset\)")
    assert_refused(DataLoader(Stream(X)), r"pass the dataset, partial_fit\(X.dataset\)")


# Sparse

SPARSE_TYPES = [
    name
    for name, value in vars(scipy.sparse).items()
    if isinstance(value, type) and name.endswith(("_matrix", "_array"))
]


@situation("sparse matrices of any format are the dense table")
def sparse_tables():
    for name in SPARSE_TYPES:
        assert_read_as(getattr(scipy.sparse, name)(SPARSE), SPARSE, passthrough=False)


@situation("sparse tables are made dense in batches, and never as a whole")
def sparse_batches():
    wide = scipy.sparse.random(400, 5000, density=0.01, random_state=0, format="csr")  # wider than a group of columns
    wide.data[0] = np.nan
    largest = []

    class Watched(scipy.sparse.csr_array):
        def toarray(self, *args, **kwargs):
            largest.append(self.shape[0])
            return super().toarray(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "_READ_AHEAD_BYTES", 0)
        patch.setattr(rows, "_CHUNK_BYTES", 50 * 5000 * 8)
        small_memory(patch, n_values=0, n_rows=40)
        fitted = quick(batch_size=32, max_epochs=1).fit(Watched(wide))
        embedding = fitted.transform(wide)
    assert max(largest) <= 256  # rows by which the embedding is measured in training
    plain = quick(batch_size=32, max_epochs=1, passthrough=False).fit(wide.toarray())
    assert np.array_equal(plain.reader_.scaler.robust.scale_, fitted.reader_.scaler.robust.scale_)
    assert embedding.shape == (400, 6)


@situation("columns of a sparse table are not appended unless asked for, and never thousands")
def sparse_passthrough():
    sparse = scipy.sparse.csr_array(SPARSE)
    fitted = quick().fit(sparse)
    assert fitted.transform(sparse).shape == fitted.transform(SPARSE).shape == (60, 6)
    with tempfile.TemporaryDirectory() as folder:
        fitted.save(Path(folder) / "model")
        opened = GCAEmbedder.load(Path(folder) / "model")
    assert np.array_equal(opened.transform(sparse), fitted.transform(sparse))
    assert opened.set_params(warm_start=True).fit(sparse).transform(sparse).shape == (60, 6)
    assert quick(passthrough=True).fit(sparse).transform(sparse).shape == (60, 9)
    wide = scipy.sparse.csr_array((60, 2000))
    assert_refused(wide, "passthrough=True would append the 2000 columns", ValueError, passthrough=True)


@situation("an infinite or complex value of a sparse table is refused by name")
def sparse_errors():
    bad = scipy.sparse.csr_array(SPARSE)
    bad.data[0] = np.inf
    assert_refused(bad, "infinity in column", ValueError)
    assert_refused(bad.astype(complex), "complex64|complex128")
    assert_refused(scipy.sparse.coo_array(SPARSE[:, 0]), r"shape \(60,\), but rows are needed", ValueError)


# Other things


@functools.cache
def folder():
    made = tempfile.TemporaryDirectory()
    return made, Path(made.name)


def hdf5(name, values):
    path = folder()[1] / f"{name}.h5"
    return h5py.File(path, "w").create_dataset("X", data=values)


REFUSED = {
    "one column of an HDF5 file": (lambda: hdf5("a", X[:, 0]), ValueError, r"shape \(60,\).*X\[:\].reshape\(-1, 1\)"),
    "one column of a zarr array": (lambda: zarr.array(X[:, 0]), ValueError, r"shape \(60,\).*X\[:\].reshape\(-1, 1\)"),
    "a single value of an HDF5 file": (lambda: hdf5("b", 1.0), ValueError, r"shape \(\), but rows"),
    "an HDF5 file": (lambda: hdf5("c", X).file, TypeError, r"keys \['X'\]. Pass one entry, such as X\['X'\]"),
    "records of an HDF5 file": (lambda: hdf5("d", np.zeros(9, [("u", "f4")])), TypeError, r"fields \['u'\]; pandas"),
    "a dictionary of columns": (lambda: {"u": X[:, 0]}, TypeError, r"keys \['u'\].*pandas.DataFrame\(X\)"),
    "a list of dictionaries": (lambda: [{"u": 1.0}] * 9, TypeError, r"holds dict objects; pandas.DataFrame\(X\)"),
    "a set": (lambda: {1, 2}, TypeError, "no order; pass a list"),
    "a generator": (lambda: (row for row in X), TypeError, r"generator, which can be read only once.*list\(X\)"),
    "an iterator": (lambda: iter(X), TypeError, "only once"),
    "a map": (lambda: map(np.asarray, X), TypeError, "only once"),
    "a Series of pandas": (lambda: pd.Series(X[:, 0]), TypeError, r"Series, but a table is needed; X.to_frame\(\)"),
    "an Index of pandas": (lambda: pd.Index(X[:, 0]), TypeError, r"X.to_frame\(\)"),
    "a Series of polars": (lambda: pl.Series(X[:, 0]), TypeError, r"X.to_frame\(\)"),
    "groups of pandas": (lambda: pd.DataFrame(X).groupby(0), TypeError, "DataFrameGroupBy.*sample_group"),
    "groups of polars": (lambda: pl.DataFrame(X).group_by("column_0"), TypeError, "GroupBy.*sample_group"),
    "structured rows": (
        lambda: pd.DataFrame(X, columns=list("uvw")).to_records(),
        TypeError,
        "fields.*pandas.DataFrame",
    ),
    "a path of text": (lambda: "data.csv", TypeError, "'data.csv', but only parquet files"),
}

for name, (make, error, message) in REFUSED.items():
    situation(f"{name} is refused with a remedy")(lambda m=make, e=error, w=message: assert_refused(m(), w, e))


@situation("a matrix of numpy is refused with a remedy")
def matrices():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        assert_refused(np.matrix(X), "np.asarray")


@situation("frames of narwhals are what they wrap")
def narwhals_frames():
    narwhals = pytest.importorskip("narwhals")
    frame = pd.DataFrame(X, columns=list("abc"))
    assert_read_as(narwhals.from_native(frame), frame)
    assert_refused(narwhals.from_native(frame["a"], series_only=True), r"X.to_frame\(\)")


@situation("arrays of objects and of numpy's variable-width text are read by their values")
def object_arrays():
    assert_read_as(X.astype(object), X.astype(float))
    words = np.array([["a", "b"], ["c", "d"], ["a", "d"]] * 10)
    if hasattr(np.dtypes, "StringDType"):
        assert_read_as(words.astype(np.dtypes.StringDType()), words)
        gaps = words.astype(object)
        gaps[::4, 0] = np.nan
        assert_read_as(gaps.astype(np.dtypes.StringDType(na_object=np.nan)), gaps)


# Parts of files

N = 900


@functools.cache
def mixed():
    """A frame of columns of all types, with gaps."""
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "number": np.where(random.random(N) < 0.1, np.nan, random.normal(size=N)),
            "city": random.choice(["Oslo", "Bergen", "Ålesund"], N),
            "count": random.integers(0, 9, N),
            "member": random.random(N) < 0.5,
            "size": pd.Categorical(random.choice(["small", "large"], N)),
        }
    )


@functools.cache
def parquet():
    (folder()[1] / "parts").mkdir()
    path = folder()[1] / "parts" / "X.parquet"
    mixed().to_parquet(path, row_group_size=70)
    return path


def in_small_memory(patch):
    """Let memory hold 200 rows of the table, and samples 30."""
    small_memory(patch, n_values=5 * 200, n_rows=30)


def sources():
    return {
        "path": parquet(),
        "text": str(parquet()),
        "folder": parquet().parent,
        "dataset": pyarrow.dataset.dataset(parquet()),
        "table": pa.Table.from_pandas(mixed()),
        "batch": pa.RecordBatch.from_pandas(mixed()),
        "lazy frame": pl.scan_parquet(parquet()),
    }


@situation("a parquet file, an Arrow table and a lazy frame are the frame")
def parts_that_fit():
    expected = quick().fit(mixed())
    embedding = expected.transform(mixed())
    for name, source in sources().items():
        fitted = quick().fit(source)
        assert np.array_equal(fitted.transform(source), embedding), name
        assert list(fitted.feature_names_in_) == list(mixed().columns), name
        assert np.array_equal(fitted.transform(mixed()), embedding), name
        assert np.array_equal(expected.transform(source), embedding), name
    read_once = pa.Table.from_pandas(mixed()).to_reader()
    assert np.array_equal(quick().fit(read_once).transform(mixed()), embedding)


@situation("a file larger than memory is read a row group at a time, each once an epoch")
def parts_that_do_not_fit():
    reads = []
    read_arrow = by_parts._Dataset.read_arrow

    def counting(self, part, n_rows):
        reads.append(part)
        return read_arrow(self, part, n_rows)

    with pytest.MonkeyPatch.context() as patch:
        in_small_memory(patch)
        patch.setattr(by_parts._Dataset, "read_arrow", counting)
        counts = []
        for n_epochs in (1, 3):
            reads.clear()
            fitted = quick(max_epochs=n_epochs, batch_size=64).fit(parquet())
            counts.append(np.bincount(reads, minlength=13))
        assert (counts[1] - counts[0] == 2).all()
        assert counts[0].max() <= 4  # and what is learned before training
        reads.clear()
        embedding = fitted.transform(parquet())
        assert np.array_equal(np.bincount(reads), np.ones(13))
        again = quick(max_epochs=3, batch_size=64).fit(parquet())
    assert np.array_equal(again.transform(mixed()), embedding)
    assert np.array_equal(fitted.transform(mixed()), embedding)
    plain = quick(max_epochs=3, batch_size=64).fit(mixed())
    assert np.array_equal(plain.reader_.scaler.robust.scale_, fitted.reader_.scaler.robust.scale_)
    assert [list(known) for known in plain.reader_.known_categories] == [
        list(known) for known in fitted.reader_.known_categories
    ]


@situation("rows of weight 0, held-out rows and pairs of a file larger than memory")
def parts_with_metadata():
    weight = np.where(np.arange(N) % 3, 1.0, 0.0)
    with pytest.MonkeyPatch.context() as patch:
        in_small_memory(patch)
        from_file = quick(batch_size=64).fit(parquet(), sample_weight=weight)
        from_frame = quick(batch_size=64).fit(mixed()[weight > 0])
        scales = [fitted.reader_.scaler.robust.mean_ for fitted in (from_file, from_frame)]
        assert np.array_equal(*scales)
        assert quick(early_stopping=True).fit(parquet()).transform(parquet()).shape[0] == N
        assert quick().fit(parquet(), X_pair=parquet()).transform(parquet()).shape[0] == N
        assert quick().partial_fit(parquet()).partial_fit(parquet()).score(parquet()) > 0
        with pytest.raises(ValueError, match="X_pair is read in 13 parts"):
            quick().fit(mixed(), X_pair=parquet())


@situation("a data frame of dask is read a partition at a time")
def dask_frames():
    frame = dask.dataframe.from_pandas(mixed(), npartitions=7)
    expected = quick().fit(mixed()).transform(mixed())
    assert np.array_equal(quick().fit(frame).transform(frame), expected)
    with pytest.MonkeyPatch.context() as patch:
        in_small_memory(patch)
        fitted = quick(batch_size=64).fit(frame)
    assert np.array_equal(fitted.transform(frame), fitted.transform(mixed()))
    assert_refused(frame["number"], r"X.to_frame\(\)")


@situation("an array of dask is read a few rows at a time, and says how to find an unknown shape")
def dask_arrays():
    rows = dask.array.from_array(X, chunks=(25, 3))
    assert_read_as(rows, X)
    assert_read_as(dask.array.from_array(X, chunks=(60, 2)), X)
    assert_refused(rows[rows[:, 0] > 0], r"unknown shape.*compute_chunk_sizes\(\) finds the shape")


@situation("what is on a cluster, or not computed yet, is refused with the name of what can be read")
def elsewhere():
    assert_refused(dask.delayed(X), r"Delayed.*not computed yet; pass X.compute\(\)")
    assert_refused(dask.bag.from_sequence([1, 2]), r"Bag.*not computed yet; pass X.compute\(\)")
    assert_refused(Future(), r"Future.*pass X.result\(\)")
    stands_for = {  # the classes themselves are tried in tests/clusters
        r"X.toPandas\(\).*X.mapInPandas": ("mapInPandas", "toPandas", "__getattr__"),
        r"X.to_pandas\(\).*X.to_spark": ("to_spark", "to_pandas", "iloc", "columns"),
        r"X.to_pandas\(\).*X.map_batches": ("map_batches", "take_batch", "schema"),
    }
    for message, names in stands_for.items():
        assert_refused(type("Frame", (), dict.fromkeys(names, lambda *_: None))(), message)
    frame = pd.DataFrame(X, columns=["mapInPandas", "take_batch", "map_batches"])
    assert_read_as(frame, frame)


@situation("frames of one type of float have embeddings of that type, also where Arrow holds them")
def types_of_floats():
    single = pd.DataFrame(X, columns=list("abc"))
    fitted = quick().fit(single)
    for dtype in ("float32", "Float32", "float[pyarrow]"):
        assert fitted.transform(single.astype(dtype)).dtype == np.float32
    for dtype in ("float64", "Float64", "double[pyarrow]", {"a": "double[pyarrow]"}):
        assert fitted.transform(single.astype(dtype)).dtype == np.float64


@situation("a lazy frame of polars is computed once")
def lazy_frames():
    lazy = pl.from_pandas(mixed()).lazy().filter(pl.col("count") > 2)
    kept = pl.from_pandas(mixed()).filter(pl.col("count") > 2)
    fitted = quick().fit(lazy)
    assert np.array_equal(fitted.transform(lazy), quick().fit(kept).transform(kept))


@situation("a dataset of a filter, a ParquetFile and a missing file are refused with a remedy")
def refused_files():
    filtered = pyarrow.dataset.dataset(parquet()).filter(pyarrow.dataset.field("count") > 2)
    assert_refused(filtered, r"with a filter or a projection.*X.to_table\(\)", ValueError)
    assert_refused(pyarrow.parquet.ParquetFile(parquet()), "pass the path of the file")
    assert_refused("missing.parquet", "missing.parquet", FileNotFoundError)


@situation("a table of Hugging Face's datasets is read as the Arrow table that it wraps")
def hugging_face():
    class Dataset:  # what is used of datasets.Dataset
        def __init__(self, format=None):
            self.format = format
            self.column_names = list(mixed().columns)

        def __len__(self):
            return N

        def with_format(self, format):
            return Dataset(format)

        def __getitem__(self, key):
            assert self.format == "arrow"
            return pa.Table.from_pandas(mixed(), preserve_index=False)[key]

    assert np.array_equal(quick().fit(Dataset()).transform(Dataset()), quick().fit(mixed()).transform(mixed()))


@situation("files of a folder whose first one lacks a column, or its values, or has whole numbers")
def _():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=40), "c": ["a", "b"] * 20, "late": rng.normal(size=40)})
    first = frame[:20].assign(x=np.arange(20), c=None, late=np.float32(0.5))
    frame.loc[:19, "x"], frame.loc[:19, "c"], frame.loc[:19, "late"] = np.arange(20), None, 0.5
    with tempfile.TemporaryDirectory() as folder:
        first.to_parquet(f"{folder}/0.parquet")
        frame[20:].to_parquet(f"{folder}/1.parquet")
        assert_read_as(folder, frame)
        first.drop(columns="late").to_parquet(f"{folder}/0.parquet")
        frame.loc[:19, "late"] = np.nan
        assert_read_as(folder, frame)
        first.assign(c=np.nan).to_parquet(f"{folder}/0.parquet")  # NaN of floats, and then text
        with pytest.raises(TypeError, match=r"Column 'c' has the types double, .*string in different files of X"):
            quick().fit(folder)
