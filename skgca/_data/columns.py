"""The columns of a table: what they hold, and their values as numbers or categories."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Number
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from .._utils.missing import is_missing
from .instants import all_missing, temporal_type

__all__ = ["Content", "as_categories", "as_numbers", "content", "parse_categorical"]

# truth: booleans; missing: no value at all; the last three as in instants.py
Content: TypeAlias = Literal["number", "truth", "text", "missing", "date", "duration", "time"]

_FROM_DTYPE = "from_dtype"


def content(values: np.ndarray, name: Any) -> Content:
    """Tell what a column holds.

    Parameters
    ----------
    values : ndarray of shape (n,)
    name : object
        Name of the column, for messages.

    Raises
    ------
    TypeError
        If it is neither text, number, date, duration nor time of day.
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
    if kind in "mM":
        return "missing" if all_missing(values) else "date" if kind == "M" else "duration"
    remedy = {
        "c": "give its real and imaginary parts as two columns",
        "S": "decode it to text",
    }.get(kind, "turn it into numbers or text")
    raise TypeError(f"Column {name!r} is of type {values.dtype}, which is neither text nor number; {remedy}.")


def _content_of_objects(values: np.ndarray, name: Any) -> Content:
    examples: dict[Content, Any] = {}
    known: dict[type, Content | None] = {}  # columns have few types and many values
    for value in values:
        value_type = type(value)
        if value_type not in known:
            known[value_type] = _content_of_type(value_type)
        held = known[value_type]
        if held != "text" and is_missing(value):
            continue
        if held is None:
            # in scikit-learn's words, which its checks look for
            raise TypeError(
                f"Column {name!r} holds {value!r}: an argument must be a string or a number, not "
                f"{value_type.__name__!r}."
            )
        examples.setdefault(held, value)
    if len(examples) > 1:
        shown = " and ".join(f"{value!r} ({held})" for held, value in sorted(examples.items()))
        if "date" in examples:
            raise ValueError(
                f"Column {name!r} mixes types: {shown}. Convert it to dates, for example by "
                f"pandas.to_datetime(X[{name!r}], errors='coerce'), which leaves gaps where it finds no date."
            )
        raise ValueError(
            f"Column {name!r} mixes types: {shown}. Convert it to one of them, for example by X[{name!r}].astype(str)."
        )
    return next(iter(examples), "missing")


def _content_of_type(value_type: type) -> Content | None:
    if issubclass(value_type, str):
        return "text"
    if issubclass(value_type, bool | np.bool_):
        return "truth"
    temporal = temporal_type(value_type)  # before numbers, since numpy's timedelta64 is an integer by its class
    if temporal is not None:
        return temporal
    return "number" if issubclass(value_type, Number) and not issubclass(value_type, complex) else None


def as_numbers(values: np.ndarray) -> np.ndarray:
    """Return a column of numbers or truth, or one without a value, as float64 with NaN for missing values."""
    if values.dtype.kind != "O":
        return values.astype(np.float64, copy=False)
    return np.array([np.nan if is_missing(value) else value for value in values], dtype=np.float64)


def as_categories(values: np.ndarray, held: Content) -> np.ndarray:
    """Return a column as objects of one type, with NaN for missing values, so that 1 and 1.0 are one category."""
    convert: type = {"text": str, "truth": bool}.get(held, float)
    return np.array([np.nan if is_missing(value) else convert(value) for value in values.tolist()], dtype=object)


def parse_categorical(
    categorical_features: str | ArrayLike | None, names: Sequence[Any], held: Sequence[Content], *, is_frame: bool
) -> np.ndarray:
    """Return which columns are categories, as a boolean array.

    Parameters
    ----------
    categorical_features : "from_dtype", array-like of bool, int or str, or None
        As in scikit-learn's HistGradientBoostingClassifier.
    names : sequence
        Names of the columns, or numbers.
    held : sequence of str
        What the columns hold.
    is_frame : bool
        Whether they come from a data frame, where "from_dtype" takes truth for categories; in an array it is numbers.

    Raises
    ------
    ValueError
        If a column is named that is not there, or text is not among the categories.
    """
    if isinstance(categorical_features, str) and categorical_features == _FROM_DTYPE:
        return np.array([of_column == "text" or (is_frame and of_column == "truth") for of_column in held])
    chosen = np.zeros(len(names), dtype=bool)
    wanted = np.asarray([] if categorical_features is None else categorical_features)
    if wanted.dtype.kind == "b":
        if len(wanted) != len(names):
            raise ValueError(f"categorical_features is a mask of {len(wanted)}, but X has {len(names)} columns.")
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
    for name, of_column, is_chosen in zip(names, held, chosen, strict=True):
        if of_column == "text" and not is_chosen:
            raise ValueError(f"Column {name!r} holds text; name it in categorical_features, or use 'from_dtype'.")
    return chosen
