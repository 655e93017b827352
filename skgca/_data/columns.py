"""The columns of a table: what they hold, and their values as numbers or categories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from numbers import Number
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from .._utils.missing import is_missing
from .instants import all_missing, temporal_type

__all__ = ["Content", "as_categories", "as_numbers", "check_order", "content", "holds_nothing", "parse_categorical"]

# truth: booleans; missing: no value at all; the last three as in instants.py
Content: TypeAlias = Literal["number", "truth", "text", "missing", "date", "duration", "time"]

_FROM_DTYPE = "from_dtype"


def check_order(names: Sequence[Any], before: Sequence[Any]) -> None:
    """Raise ValueError if a frame has the columns of ``fit`` in another order."""
    names, before = list(names), list(before)
    if names == before or Counter(names) != Counter(before):  # other columns are for scikit-learn to refuse
        return
    first = next(k for k in range(len(names)) if names[k] != before[k])
    # in scikit-learn's words, which its checks look for
    raise ValueError(
        "The feature names should match those that were passed during fit.\nFeature names must be in the same order as "
        f"they were in fit: column {first} is {names[first]!r}, and was {before[first]!r}. Reorder the columns by "
        f"X[[{', '.join(map(repr, before[:3]))}{', ...' if len(before) > 3 else ''}]]."
    )


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
        "S": "decode it to text: numpy.char.decode(X, 'utf-8')",
    }.get(kind, "turn it into numbers or text")
    raise TypeError(f"Column {name!r} is of type {values.dtype}, which is neither text nor number; {remedy}.")


def holds_nothing(values: np.ndarray) -> bool:
    """Whether a column of floats is NaN in all rows, as frames hold a column of any type that has no value."""
    return values.dtype.kind == "f" and len(values) > 0 and bool(np.isnan(values).all())


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
            shown = repr(value)
            raise TypeError(
                f"Column {name!r} holds {shown if len(shown) <= 80 else shown[:77] + '...'}: an argument must be a "
                f"string or a number, not {value_type.__name__!r}. {_remedy(value_type, name)}"
            )
        examples.setdefault(held, value)
    if len(examples) > 1:
        raise ValueError(_mixture(values, examples, name))
    return next(iter(examples), "missing")


def _mixture(values: np.ndarray, examples: dict[Content, Any], name: Any) -> str:
    """Return the message for a column of objects of several types."""
    shown = " and ".join(f"{value!r} ({held})" for held, value in sorted(examples.items()))
    remedy = f"Convert it to one of them, for example by X[{name!r}].astype(str)."
    if "date" in examples:
        remedy = (
            f"Convert it to dates, for example by pandas.to_datetime(X[{name!r}], errors='coerce'), which leaves gaps "
            "where it finds no date."
        )
    if examples.keys() == {"number", "text"}:
        present = [value for value in values if isinstance(value, str) or not is_missing(value)]
        others = [value for value in present if isinstance(value, str) and not _parses(value)]
        if len(others) < len(present) / 2:  # numbers of a file in which some cells were not read as numbers
            share, odd = int(1000 * (1 - len(others) / len(present))) / 10, sorted(set(others))
            shown_odd = f", all except {', '.join(map(repr, odd[:5]))}" if odd else ""
            remedy = (
                f"{share:g} % of its values are numbers{shown_odd}: pandas.to_numeric(X[{name!r}], errors='coerce') "
                f"makes numbers of them, and NaN of the others; X[{name!r}].astype('category') makes categories of all."
            )
    return f"Column {name!r} mixes types: {shown}. {remedy}"


def _parses(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return False


def _remedy(value_type: type, name: Any) -> str:
    """Return what to do with a column of values of a type that is neither text nor number."""
    if issubclass(value_type, bytes):
        return f"Decode it to text: X[{name!r}].str.decode('utf-8')."
    if issubclass(value_type, complex | np.complexfloating):
        return "Give its real and imaginary parts as two columns."
    if issubclass(value_type, dict):
        return f"Give each of its keys a column: pandas.json_normalize(X[{name!r}])."
    if issubclass(value_type, list | tuple | set | frozenset) or hasattr(value_type, "__array__"):
        return (
            f"Give each of its entries a column: pandas.DataFrame(X[{name!r}].tolist()); or text, for lists that are "
            f"categories: X[{name!r}].astype(str)."
        )
    return f"Turn it into numbers, or into text by X[{name!r}].astype(str), or leave the column out."


def _content_of_type(value_type: type) -> Content | None:
    if issubclass(value_type, str) or hasattr(value_type, "closed_left"):  # an Interval of pandas is a category
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


def as_categories(values: np.ndarray, held: Content, name: Any) -> np.ndarray:
    """Return a column as objects of one type, with None for missing values.

    Numbers are whole numbers or floats of Python. These compare exactly, also beyond 2**53, and 1 equals 1.0.

    Raises
    ------
    ValueError
        If a decimal number has more digits than a float: two of them would become one category.
    """
    converters: dict[Content, Callable[[Any], Any]] = {"truth": bool, "number": _exact_number}
    convert = converters.get(held, str)
    categories = np.empty(len(values), dtype=object)
    try:
        categories[:] = [None if is_missing(value) else convert(value) for value in values.tolist()]
    except _InexactError as error:
        raise ValueError(
            f"Column {name!r} has the category {error.args[0]!r}, which has more digits than a float; convert it to "
            f"text by X[{name!r}].astype(str)."
        ) from error
    return categories


class _InexactError(ValueError):
    """A number that a float of Python cannot hold."""


def _exact_number(value: Any) -> int | float:
    """Return a number as a whole number or a float of Python."""
    if isinstance(value, int | float) and not isinstance(value, np.generic):
        return value
    if isinstance(value, np.generic):
        number: int | float = value.item()
        return number if isinstance(number, int | float) else float(number)  # item of a long double is one too
    if value == int(value):
        return int(value)
    if isinstance(value, Decimal) and Decimal(repr(float(value))) != value:
        raise _InexactError(value)
    return float(value)


def parse_categorical(
    categorical_features: str | ArrayLike | None,
    names: Sequence[Any],
    held: Sequence[Content],
    *,
    is_frame: bool,
    of_categorical_type: Sequence[bool],
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
    of_categorical_type : sequence of bool
        Which columns are of a type for categories.

    Raises
    ------
    ValueError
        If a column is named that is not there, or a column of text or of a categorical type is not among the
        categories.
    """
    typed = np.asarray(of_categorical_type, dtype=bool)
    if isinstance(categorical_features, str) and categorical_features == _FROM_DTYPE:
        from_content = [of_column == "text" or (is_frame and of_column == "truth") for of_column in held]
        return np.array(np.logical_or(typed, from_content))
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
    for name, of_column, is_typed, is_chosen in zip(names, held, typed, chosen, strict=True):
        if of_column == "text" and not is_chosen:
            raise ValueError(f"Column {name!r} holds text; name it in categorical_features, or use 'from_dtype'.")
        if is_typed and not is_chosen:
            raise ValueError(
                f"Column {name!r} is of a categorical type; name it in categorical_features, use 'from_dtype', or "
                f"convert it to numbers, for example by X[{name!r}].astype(float)."
            )
    return chosen
