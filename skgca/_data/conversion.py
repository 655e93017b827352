"""What X, y and metadata become before they are read: a type that a container takes, or an error with a remedy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from .._utils.optional import import_optional
from .frame_columns import EXACT

__all__ = ["converted", "filled", "is_parquet_path", "plain_values", "tensor_values"]

_SUFFIXES = (".parquet", ".parq", ".pq")


def converted(X: Any) -> Any:
    """Return X unchanged, or converted to a type that can be read.

    Tensors become arrays, or sparse arrays if they are sparse. Masked values of arrays in memory become NaN. Frames of
    narwhals become what they wrap.

    Raises
    ------
    TypeError, ValueError
        If no rows can be read from X, such as from a generator or a Series; the message says what to pass.
    """
    elsewhere = _elsewhere(type(X))
    if elsewhere is not None:
        raise TypeError(f"X is of type {type(X).__module__}.{type(X).__name__}{elsewhere}")
    if hasattr(X, "iloc") and hasattr(X, "columns"):  # a frame, whose columns may have the names that follow
        return X
    if hasattr(X, "to_native"):  # narwhals
        X = X.to_native()
    if hasattr(X, "__arrow_c_stream__") and hasattr(X, "schema") and not hasattr(X, "get_column"):  # not of polars
        pa = import_optional("pyarrow", needed_for="X as an Arrow stream")
        return X if isinstance(X, pa.Table) else pa.table(X)
    if isinstance(X, Tensor):
        return tensor_values(X)
    if isinstance(X, np.ma.MaskedArray):
        # one on disk is filled when its rows are fetched
        return X if isinstance(X.data, np.memmap) else filled(X)
    if isinstance(X, list | tuple) and any(isinstance(row, Tensor | np.ma.MaskedArray) for row in X):
        return [plain_values(row) for row in X]  # numpy would drop the masks, and refuse some tensors
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1 and _holds_stacks(X):
        return np.stack(list(X))
    _refuse(X)
    return X


def _holds_stacks(X: np.ndarray) -> bool:
    """Whether an array of objects holds arrays of one shape and of two axes or more, as a list of images does."""
    shapes = {value.shape if isinstance(value, np.ndarray) else () for value in X}
    return len(shapes) == 1 and len(next(iter(shapes))) > 1


def plain_values(values: Any) -> Any:
    """Return values of rows as they are, except that tensors become arrays and masked values become NaN or None."""
    if isinstance(values, Tensor):
        return tensor_values(values)
    return filled(values) if isinstance(values, np.ma.MaskedArray) else values


def filled(values: np.ma.MaskedArray) -> np.ndarray:
    """Return the values of a masked array, with NaN, NaT or None where they are masked.

    Whole numbers and booleans become floats if any value is masked, or objects if floats do not hold them exactly.

    Raises
    ------
    ValueError
        If pixels of 8 bits are masked: as floats, they would be read in another way than without a mask.
    """
    if values.mask is np.ma.nomask or not np.any(values.mask):
        return np.asarray(values.data)
    kind, mask = values.dtype.kind, np.ma.getmaskarray(values)
    if values.dtype == np.uint8 and values.ndim > 2:
        raise ValueError(
            f"X is a masked array of 8-bit images, of which {int(mask.sum())} values are masked. Images have no "
            "missing values; fill them, for example by X.filled(0)."
        )
    if kind in "Mm":
        return np.where(mask, np.array("NaT", dtype=values.dtype), values.data)
    if kind in "iu" and np.abs(values.compressed().astype(np.float64)).max(initial=0) >= EXACT:
        kind = "O"
    if kind not in "iubfc":
        gaps = np.array(values.data, dtype=object)
        gaps[mask] = None
        return gaps
    gaps = np.array(values.data, dtype=values.dtype if kind in "fc" else np.float64)
    gaps[mask] = np.nan
    return gaps


def tensor_values(tensor: Tensor) -> Any:
    """Return the values of a tensor on any device, with or without gradient, as an array; a sparse one as a csr array.

    Raises
    ------
    TypeError
        If it has no values, or rows of different lengths.
    """
    if tensor.is_nested:
        raise TypeError(
            "X is a nested tensor, whose rows differ in length; torch.nested.to_padded_tensor(X, 0.0) makes an array."
        )
    if tensor.is_meta:
        raise TypeError("X is a tensor on the device 'meta', which has no values; pass one on 'cpu' or 'cuda'.")
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.dtype.is_floating_point and tensor.dtype not in (torch.float16, torch.float32, torch.float64):
        tensor = tensor.float()  # numpy has no bfloat16 and no floats of 8 bits
    if tensor.layout == torch.strided:
        return tensor.numpy()
    if tensor.ndim != 2:
        return tensor.to_dense().numpy()
    entries = tensor.to_sparse_coo().coalesce()
    return scipy.sparse.csr_array((entries.values().numpy(), entries.indices().numpy()), shape=tuple(tensor.shape))


def is_parquet_path(X: Any) -> bool:
    """Whether X is the path of a parquet file, or of a folder."""
    return isinstance(X, str | os.PathLike) and (os.fspath(X).endswith(_SUFFIXES) or os.path.isdir(X))


def _refuse(X: Any) -> None:
    """Raise the error that belongs to a type from which no rows can be read."""
    if scipy.sparse.issparse(X):  # one of its types is a mapping
        return
    if isinstance(X, str | bytes | os.PathLike) and not is_parquet_path(X):
        raise TypeError(
            f"X is {X!r:.200}, but only parquet files and folders of them are read by their path, such as 'X.parquet'; "
            "read other files first, for example by pandas.read_csv."
        )
    remedy = _remedy(X)
    if remedy is not None:
        raise TypeError(f"X is of type {type(X).__name__}{remedy}")


def _elsewhere(cls: type) -> str | None:
    """Return what to pass instead of a value that is on a cluster or not computed yet; None for other classes.

    The class is asked, as columns of a frame may have any name, and instances of dask's Delayed any attribute.
    """
    if hasattr(cls, "mapInPandas"):  # a frame of Spark
        return (
            ", whose rows are on a cluster. fit reads X.toPandas(), or the folder that X.write.parquet wrote; embed "
            "the rows where they are by X.mapInPandas, as docs/guide/clusters.md shows."
        )
    if hasattr(cls, "to_spark") and hasattr(cls, "iloc"):  # a frame of pandas on Spark
        return ", whose rows are on a cluster; pass X.to_pandas(), or embed them by X.to_spark().mapInPandas."
    if hasattr(cls, "map_batches") and hasattr(cls, "take_batch"):  # a Dataset of Ray
        return (
            ", whose rows are on a cluster. fit reads X.to_pandas(), or the folder that X.write_parquet wrote; embed "
            "the rows where they are by X.map_batches, as docs/guide/clusters.md shows."
        )
    if hasattr(cls, "__dask_graph__") and not hasattr(cls, "shape"):  # Delayed, Bag
        return ", which is not computed yet; pass X.compute(), or an array or a frame of dask."
    if hasattr(cls, "add_done_callback"):  # a Future
        return ", whose value is not here; pass X.result()."
    return None


def _remedy(X: Any) -> str | None:
    """Return why a type is refused and what to pass instead; None if it may be read."""
    if isinstance(X, DataLoader):
        takes = "partial_fit(X.dataset)" if isinstance(X.dataset, IterableDataset) else "fit(X.dataset)"
        return (
            f", but batches are drawn by GCAEmbedder; pass the dataset, {takes}. All methods read a map-style Dataset, "
            "with __len__ and __getitem__, and partial_fit also reads an IterableDataset."
        )
    if hasattr(X, "with_format") and not hasattr(X, "__len__"):  # an IterableDataset of Hugging Face
        return (
            ", which can only be read from its start to its end; call partial_fit for each of its batches, as frames."
        )
    if isinstance(X, IterableDataset):
        return (
            ", an IterableDataset, which only partial_fit reads, in one pass. All methods read a map-style Dataset, "
            "with __len__ and __getitem__, or numpy.stack(list(X))."
        )
    if isinstance(X, Iterator):
        return (
            ", which can be read only once. Pass numpy.stack(list(X)) if it gives rows; if it gives tables, call "
            "partial_fit for each."
        )
    if type(X).__name__.endswith("GroupBy"):
        return ", which is not a table. Pass the frame, and the column of the groups as sample_group."
    if hasattr(X, "to_frame") and getattr(X, "ndim", 1) == 1:  # a Series or an Index of pandas, polars or dask
        return (
            ", but a table is needed; X.to_frame() makes a table of one column, and numpy.stack(X) stacks arrays that "
            "its cells hold."
        )
    if isinstance(X, Mapping) or (hasattr(X, "keys") and hasattr(X, "__getitem__") and not hasattr(X, "shape")):
        keys = list(islice(X.keys(), 5))
        shown = f"X[{keys[0]!r}]" if keys else "X[key]"
        return f", with the keys {keys}. Pass one entry, such as {shown}, or pandas.DataFrame(X) if they are columns."
    if isinstance(X, list | tuple) and len(X) and all(map(is_parquet_path, X)):
        return ", and holds paths; pyarrow.dataset.dataset(X) reads them as one table."
    if isinstance(X, list | tuple) and len(X) and isinstance(X[0], Mapping):
        return f", and holds {type(X[0]).__name__} objects; pandas.DataFrame(X) makes a table of them."
    if hasattr(X, "read_row_group") or (hasattr(X, "fragments") and hasattr(X, "files")):  # of pyarrow.parquet
        return "; pass the path of the file or folder, or pyarrow.dataset.dataset(path)."
    if isinstance(X, set | frozenset):
        return ", which has no order; pass a list or an array of rows."
    fields = getattr(getattr(X, "dtype", None), "names", None)
    if fields:
        return f", with the fields {list(fields)[:5]}; pandas.DataFrame(X[:]) makes a table of it."
    if any(isinstance(size, float) for size in getattr(X, "shape", None) or ()):  # dask's arrays of unknown size
        return f", of unknown shape {X.shape}; X.compute_chunk_sizes() finds the shape."
    return None
