"""The columns of a table: what they hold, and their values as numbers or categories.

A column holds "number", "truth" (booleans) or "text", or "missing" if all its values are missing.
"""

from __future__ import annotations

from numbers import Number
from typing import Any

import numpy as np

from .._utils.missing import is_missing
from .rows import is_frame

__all__ = ["as_categories", "as_numbers", "column_names", "columns", "content", "parse_categorical"]

_FROM_DTYPE = "from_dtype"


def column_names(X: Any) -> list[Any]:
    """Return the columns' names, or their numbers where they have none."""
    return list(X.columns) if is_frame(X) else list(range(X.shape[1]))


def columns(X: Any) -> list[np.ndarray]:
    """Return the columns of an array or a frame as arrays; one of pandas' categories as an array of objects."""
    if not is_frame(X):
        return list(X.T)
    if hasattr(X, "iloc"):
        return [_of_pandas(X.iloc[:, k]) for k in range(X.shape[1])]
    return [X.get_column(name).to_numpy() for name in X.columns]


def _of_pandas(column: Any) -> np.ndarray:
    return np.asarray(column.astype(object) if column.dtype.name == "category" else column)


def content(values: np.ndarray, name: Any) -> str:
    """Tell what a column holds.

    Raises
    ------
    TypeError
        If it is neither text nor number.
    ValueError
        If it mixes them.
    """
    kind = values.dtype.kind
    if kind in "iuf":
        return "number"
    if kind == "b":
        return "truth"
    if kind in "UT":
        return "text"
    if kind == "O":
        return _content_of_objects(values, name)
    remedy = {
        "M": "turn it into numbers, such as days since a date, or parts of the date",
        "m": "turn it into numbers, such as seconds",
        "c": "give its real and imaginary parts as two columns",
        "S": "decode it to text",
    }.get(kind, "turn it into numbers or text")
    raise TypeError(f"Column {name!r} is of type {values.dtype}, which is neither text nor number; {remedy}.")


def _content_of_objects(values: np.ndarray, name: Any) -> str:
    found: dict[str, Any] = {}
    types: dict[type, str] = {}
    for value in values:
        kind = type(value)
        if kind not in types:
            types[kind] = _content_of_type(kind)
        label = types[kind]
        if label != "text" and is_missing(value):
            continue
        if label == "other":
            # in scikit-learn's words, which its checks look for
            raise TypeError(
                f"Column {name!r} holds {value!r}: an argument must be a string or a number, not {kind.__name__!r}."
            )
        found.setdefault(label, value)
    if len(found) > 1:
        shown = " and ".join(f"{value!r} ({label})" for label, value in sorted(found.items()))
        raise ValueError(
            f"Column {name!r} mixes types: {shown}. Convert it to one of them, as by X[{name!r}].astype(str)."
        )
    return next(iter(found), "missing")


def _content_of_type(kind: type) -> str:
    if issubclass(kind, str):
        return "text"
    if issubclass(kind, bool | np.bool_):
        return "truth"
    return "number" if issubclass(kind, Number) and not issubclass(kind, complex) else "other"


def as_numbers(values: np.ndarray) -> np.ndarray:
    """Return a column of numbers, truth or nothing as float64, NaN where missing."""
    if values.dtype.kind != "O":
        return values.astype(np.float64, copy=False)
    return np.array([np.nan if is_missing(value) else value for value in values], dtype=np.float64)


def as_categories(values: np.ndarray, held: str) -> np.ndarray:
    """Return a column as objects of one type each, NaN where missing, so that 1 and 1.0 are one category."""
    convert = {"text": str, "truth": bool}.get(held, float)
    return np.array([np.nan if is_missing(value) else convert(value) for value in values.tolist()], dtype=object)


def parse_categorical(categorical_features: Any, names: list[Any], held: list[str], *, framed: bool) -> np.ndarray:
    """Return which columns are categories, as a boolean array.

    Parameters
    ----------
    categorical_features : "from_dtype", array-like of bool, int or str, or None
        As in scikit-learn's HistGradientBoostingClassifier.
    names : list
        Names of the columns, or numbers.
    held : list of str
        What the columns hold.
    framed : bool
        Whether they come from a data frame; columns of numbers or truth in an array are numbers.

    Raises
    ------
    ValueError
        If a column is named that is not there, or text is not among the categories.
    """
    of_dtype = np.array([what == "text" or (framed and what == "truth") for what in held])
    if isinstance(categorical_features, str) and categorical_features == _FROM_DTYPE:
        return of_dtype
    chosen = np.zeros(len(names), dtype=bool)
    wanted = np.asarray([] if categorical_features is None else categorical_features)
    if wanted.dtype.kind == "b" and len(wanted) != len(names):
        raise ValueError(f"categorical_features is a mask of {len(wanted)}, but X has {len(names)} columns.")
    if wanted.dtype.kind == "b":
        chosen = wanted.copy()
    elif wanted.dtype.kind in "iu":
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < len(names)):
            raise ValueError(f"categorical_features={wanted.tolist()} must lie in 0 to {len(names) - 1}.")
        chosen[wanted] = True
    elif len(wanted):
        unknown = [name for name in wanted.tolist() if name not in names]
        if unknown:
            raise ValueError(f"categorical_features names {unknown}, but the columns are {names[:20]}.")
        chosen[[names.index(name) for name in wanted.tolist()]] = True
    left = [name for name, text, is_chosen in zip(names, held, chosen, strict=True) if text == "text" and not is_chosen]
    if left:
        raise ValueError(f"Column {left[0]!r} holds text; name it in categorical_features, or use 'from_dtype'.")
    return chosen
