"""Rows from arrays, frames, and from what is not in memory."""

import dask.dataframe
import h5py
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import torch
import zarr
from torch.utils.data import Dataset, TensorDataset

from skgca import GCAEmbedder
from skgca._data import Rows, check_rows, spaced

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)


class Numbered(Dataset):
    """A dataset that makes its rows one by one, and counts."""

    def __init__(self, rows):
        self.rows = rows
        self.made = 0

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        self.made += 1
        return torch.as_tensor(self.rows[number]), 0


def memmap(tmp_path):
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


def masked_memmap(tmp_path):
    return np.ma.array(memmap(tmp_path), mask=np.zeros(X.shape, dtype=bool))


def parquet(tmp_path):
    pd.DataFrame(X, columns=list("abc")).to_parquet(tmp_path / "X.parquet", row_group_size=9)
    return tmp_path / "X.parquet"


def arrow_table(tmp_path):
    return pa.table({name: X[:, k] for k, name in enumerate("abc")})


def dask_frame(tmp_path):
    return dask.dataframe.from_pandas(pd.DataFrame(X, columns=list("abc")), npartitions=4)


def hdf5(tmp_path):
    return h5py.File(tmp_path / "X.h5", "w").create_dataset("X", data=X)


def zarr_array(tmp_path):
    array = zarr.open(str(tmp_path / "X.zarr"), mode="w", shape=X.shape, chunks=(7, 3), dtype=X.dtype)  # zarr 2 and 3
    array[:] = X
    return array


LAZY = {
    "memmap": memmap,
    "masked memmap": masked_memmap,
    "hdf5": hdf5,
    "zarr": zarr_array,
    "dataset": lambda tmp_path: Numbered(X),
    "tensor dataset": lambda tmp_path: TensorDataset(torch.from_numpy(X)),
}
EAGER = {
    "array": lambda tmp_path: X,
    "pandas": lambda tmp_path: pd.DataFrame(X, columns=list("abc")),
    "polars": lambda tmp_path: pl.DataFrame(X, schema=list("abc")),
}
BY_PARTS = {
    "parquet": parquet,
    "arrow": arrow_table,
    "dask": dask_frame,
    "lazy frame": lambda tmp_path: pl.scan_parquet(parquet(tmp_path)),
}
SPARSE = {"sparse": lambda tmp_path: scipy.sparse.coo_array(X)}
SOURCES = {**EAGER, **LAZY, **BY_PARTS, **SPARSE}


@pytest.mark.parametrize("name", SOURCES)
def test_rows_by_number_in_any_order_and_again(tmp_path, name):
    rows = Rows(SOURCES[name](tmp_path))
    assert rows.shape == (40, 3)
    assert rows.dtype == np.float32
    numbers = np.array([5, 1, 5, 39, 0])
    assert np.array_equal(np.asarray(rows.take(numbers)), X[numbers])
    assert np.array_equal(np.asarray(rows.take(slice(3, 9))), X[3:9])
    kept = rows.only(np.array([10, 20, 30, 5]))
    assert len(kept) == 4
    assert np.array_equal(np.asarray(kept.take(np.array([3, 0]))), X[[5, 10]])
    assert np.array_equal(np.asarray(kept.only(np.array([2, 3])).take(slice(0, 2))), X[[30, 5]])
    assert np.array_equal(np.concatenate([np.asarray(chunk) for chunk in rows.chunks(7)]), X)


@pytest.mark.parametrize("name", BY_PARTS)
def test_rows_of_parts_are_remembered_after_one_pass(tmp_path, name):
    rows = Rows(BY_PARTS[name](tmp_path)).only(np.arange(1, 40, 3))
    assert not rows.remembers(np.array([0]))
    assert np.array_equal(np.concatenate([np.asarray(chunk) for chunk in rows.chunks(7)]), X[1::3])
    assert rows.remembers(np.array([12, 0]))
    assert np.array_equal(np.asarray(rows.take(np.array([12, 0]))), X[[37, 1]])


def test_columns_of_parts_are_known_from_rows_that_have_values(tmp_path):
    text = [None] * 15 + ["u"] * 5
    pd.DataFrame({"t": text, "n": range(20), "e": [np.nan] * 20}).to_parquet(tmp_path / "X.parquet", row_group_size=4)
    shown = Rows(tmp_path / "X.parquet").showing_types()
    assert shown["n"].tolist() == [0, 15]
    assert shown["t"].tolist() == [None, "u"]


@pytest.mark.parametrize("name", LAZY)
def test_a_fit_from_elsewhere_is_that_from_memory(tmp_path, name):
    def quick():
        return GCAEmbedder(n_components=4, hidden_layer_sizes=(8,), projection_sizes=(4,), max_epochs=2, random_state=0)

    source = LAZY[name](tmp_path)
    weight = np.where(np.arange(40) % 5, 1.0, 0.0)
    expected = quick().fit(X, sample_weight=weight)
    fitted = quick().fit(source, sample_weight=weight)
    assert fitted.n_features_in_ == 3
    assert np.array_equal(fitted.transform(source), expected.transform(X))
    assert np.array_equal(fitted.transform(X), expected.transform(X))


def test_what_is_not_in_memory_is_fetched_batch_by_batch(monkeypatch):
    from skgca._data import batches, rows

    monkeypatch.setattr(batches, "_READ_AHEAD_BYTES", 0)
    monkeypatch.setattr(rows, "_CHUNK_BYTES", 10 * 3 * 8)
    dataset = Numbered(X)
    largest = []
    fetch = Rows.take

    def watch(self, rows):
        largest.append(len(range(*rows.indices(len(self))) if isinstance(rows, slice) else rows))
        return fetch(self, rows)

    monkeypatch.setattr(Rows, "take", watch)
    fitted = GCAEmbedder(hidden_layer_sizes=(8,), max_epochs=2, batch_size=8, random_state=0).fit(dataset)
    fitted.transform(dataset)
    # a row to see the type, batches, chunks, and the sample for what looks at training rows
    assert sorted(set(largest)) == [1, 8, 10, 40]


def estimator():
    return GCAEmbedder()


BAD = {
    "no rows": (lambda tmp_path: Numbered(X[:1]), "1 sample.* minimum of 2 is required by GCAEmbedder"),
    "one dimension": (
        lambda tmp_path: np.memmap(tmp_path / "x", dtype="f4", mode="w+", shape=(9,)),
        r"reshape\(-1, 1\)",
    ),
    "no columns": (lambda tmp_path: pd.DataFrame(index=range(5)), r"0 feature\(s\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_table_is_refused(tmp_path, name):
    make, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        check_rows(estimator(), make(tmp_path), reset=True, min_rows=2)


def test_columns_of_a_source_are_counted():
    fitted = estimator()
    check_rows(fitted, Numbered(X), reset=True)
    with pytest.raises(ValueError, match="X has 2 features, but GCAEmbedder is expecting 3"):
        check_rows(fitted, Numbered(X[:, :2]), reset=False)


@pytest.mark.parametrize(("n_rows", "most"), [(1, 5), (5, 5), (4, 9), (1000, 7), (2**24 + 4, 256)])
def test_spaced_rows_go_from_the_first_to_the_last(n_rows, most):
    """Single precision holds no number of 2**24 + 3, and would ask for the row behind the last."""
    numbers = spaced(n_rows, most)
    assert len(numbers) == min(n_rows, most)
    assert (numbers[0], numbers[-1]) == (0, n_rows - 1)
    assert len(numbers) < 2 or np.ptp(np.diff(numbers)) <= 1
