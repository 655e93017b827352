"""Values that a target reads as numbers: dates and durations in seconds, and text that holds numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._utils.missing import is_missing
from .instants import Temporal, durations, instants_of, temporal_type, times_of_day

__all__ = ["are_times", "target_numbers"]


def are_times(values: Any) -> bool:
    """Whether values are dates, times or durations, apart from missing ones."""
    array = np.asarray(values)
    return array.dtype.kind in "OmM" and None not in _temporal_types(array)


def target_numbers(name: str, values: Any, *, from_first: bool = False) -> Any:
    """Return times in seconds, and text as the numbers that it holds; other values as they are.

    Parameters
    ----------
    name : str
        Name of the argument, for messages.
    values : array-like of shape (n,) or (n, k)
        With several columns, each is read on its own.
    from_first : bool, default=False
        Whether seconds count from the first date of a column, not from 1970 in UTC. float64 holds more digits of them.

    Returns
    -------
    ndarray or the values
        float64 with NaN where a value is missing, if there are times or text; else the values.

    Raises
    ------
    ValueError
        If a column holds text that is no number, or several kinds of values.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "OUSTmM" or array.ndim not in (1, 2):  # T: text of varying length, from NumPy 2 on
        return values
    columns = array.reshape(len(array), -1).T
    # of entries of type object, only those that are not numbers are converted here: check_array reads all numbers
    if array.dtype == object and not any(isinstance(v, str | bytes) or temporal_type(type(v)) for v in _known(array)):
        return values
    read = np.stack([_column(name, column, from_first=from_first) for column in columns], axis=1)  # (n, k)
    return read.reshape(array.shape)


def _column(name: str, column: np.ndarray, *, from_first: bool) -> np.ndarray:
    """Return one column as float64 of shape (n,)."""
    held = _temporal_types(column)
    if held == {None}:
        return np.array([np.nan if is_missing(value) else _number(name, value) for value in column.tolist()])
    if len(held) > 1:
        kinds = sorted("other values" if kind is None else f"{kind}s" for kind in held)
        raise ValueError(_mixed(name, f"it holds {' and '.join(kinds)}"))
    if held == {"duration"}:
        return durations(column, name)
    if held == {"time"}:
        return times_of_day(column)
    instants = instants_of(column, name)
    if None in instants.zones and len(instants.zones) > 1:
        raise ValueError(_mixed(name, "it holds dates with and without a zone"))
    # Seconds count as whole numbers up to the difference, so that no digits are lost in the many seconds since 1970.
    origin = instants.seconds.min() if from_first and len(instants.seconds) else 0
    seconds = np.full(len(column), np.nan)
    seconds[instants.present] = (instants.seconds - origin) + instants.fractions
    return seconds


def _temporal_types(column: np.ndarray) -> set[Temporal | None]:
    """Return which kinds of times a column holds; None stands for any other value. {None} if there is no value."""
    if column.dtype.kind in "mM":
        return {"date" if column.dtype.kind == "M" else "duration"}
    return {temporal_type(type(value)) for value in _known(column)} or {None}


def _mixed(name: str, what: str) -> str:
    return (
        f"{name} mixes times with other values, or several kinds of times ({what}); give one kind, such as by "
        "pandas.to_datetime(..., utc=True), or numbers."
    )


def _known(values: np.ndarray) -> list[Any]:
    return [value for value in values.ravel() if not is_missing(value)]


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} holds {value!r}, where numbers are read. Convert your data to numeric values: text by "
            "pandas.to_numeric, dates by pandas.to_datetime, which are read in seconds."
        ) from error
