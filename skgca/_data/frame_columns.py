"""Columns of pandas and polars as arrays, without loss: categories, and whole numbers beside missing values."""

from __future__ import annotations

from typing import Any

import numpy as np

from .instants import pandas_dates, polars_dates

__all__ = ["EXACT", "exact_values", "is_pandas_categorical", "pandas_values", "polars_values"]

EXACT = 2**53  # larger whole numbers are not all exact in double precision


def exact_values(values: Any) -> Any:
    """Return labels, whatever holds them, as objects where numpy would round large whole numbers to floats."""
    if hasattr(values, "columns") and hasattr(values, "iloc") and values.shape[1] == 1:
        values = values.iloc[:, 0]
    if hasattr(values, "iloc") and not hasattr(values, "columns"):
        return pandas_values(values) if is_pandas_categorical(values.dtype) or _is_inexact(values) else values
    if hasattr(values, "null_count") and hasattr(values, "to_list") and values.dtype.is_integer():
        return polars_values(values)
    if isinstance(values, list | tuple) and any(type(value) is int and abs(value) > EXACT for value in values):
        exact = np.empty(len(values), dtype=object)
        exact[:] = values
        return exact
    return values


def is_pandas_categorical(dtype: Any) -> bool:
    """Whether a type of pandas is for categories: its own, or a dictionary of Arrow."""
    return dtype.name == "category" or _is_arrow_dictionary(dtype)


def pandas_values(column: Any) -> np.ndarray:
    """Return a pandas Series as an array (n,); categories become what they stand for."""
    dates = pandas_dates(column)
    if dates is not None:
        return dates
    dtype = column.dtype
    if dtype.name == "category":
        categories = _plain_categories(column.cat.categories)
        codes = np.asarray(column.cat.codes)
        values = np.concatenate([categories, [None]])[codes]  # the code of a missing value is -1: the last entry
    elif _is_arrow_dictionary(dtype) or _is_inexact(column):
        values = column.to_numpy(dtype=object)
    else:
        values = np.asarray(column)
    return np.asarray(values)


def polars_values(column: Any) -> np.ndarray:
    """Return a polars Series as an array (n,)."""
    dates = polars_dates(column)
    if dates is not None:
        return dates
    dtype = column.dtype
    # to_numpy makes a second axis of the entries of an Array or Struct, and floats of whole numbers beside nulls
    if dtype.is_nested() or (dtype.is_integer() and _is_inexact_polars(column)):
        values = np.empty(len(column), dtype=object)
        values[:] = column.to_list()
        return values
    as_numpy: np.ndarray = column.to_numpy()
    return as_numpy


def _is_arrow_dictionary(dtype: Any) -> bool:
    return str(getattr(dtype, "pyarrow_dtype", "")).startswith("dictionary")


def _plain_categories(categories: Any) -> np.ndarray:
    """Return the categories of a pandas column as objects: text, numbers or booleans; others by their text.

    So intervals, timestamps and categories of several types are categories too. They stay as they are if two of them
    have one text.
    """
    if categories.dtype.kind in "iufb":
        return np.array([*categories.tolist()], dtype=object)
    objects = np.empty(len(categories), dtype=object)
    objects[:] = list(categories)
    kinds = {
        "text"
        if isinstance(value, str)
        else "truth"
        if isinstance(value, bool)
        else "number"
        if isinstance(value, int | float | np.number)
        else "other"
        for value in objects
    }
    if kinds <= {"text"} or kinds in ({"truth"}, {"number"}):
        return objects
    texts = np.array([str(value) for value in objects], dtype=object)
    return texts if len(set(texts)) == len(texts) else objects


def _is_inexact(column: Any) -> bool:
    """Whether numpy would round a pandas column: one of large whole numbers with missing values becomes floats."""
    is_nullable_integer = getattr(column.dtype, "kind", "O") in "iu" and not isinstance(column.dtype, np.dtype)
    if not (is_nullable_integer and column.hasnans):
        return False
    present = column.dropna()
    return len(present) > 0 and bool(max(abs(int(present.min())), abs(int(present.max()))) > EXACT)


def _is_inexact_polars(column: Any) -> bool:
    if column.dtype.to_python() is not int or len(column) == column.null_count():
        return False
    is_wide = "128" in str(column.dtype)  # numpy has no such type
    largest = max(abs(column.min()), abs(column.max()))
    return is_wide or (column.null_count() > 0 and largest > EXACT)
