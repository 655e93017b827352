"""Values that a target reads as numbers: dates and durations in seconds, and text that holds numbers."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from typing import Any

import numpy as np

from .._utils.missing import is_missing

__all__ = ["are_times", "as_numbers"]

_TIMES = (date, time, timedelta, np.datetime64, np.timedelta64)  # a datetime is a date, and pandas' Timestamp is both


def are_times(values: Any) -> bool:
    """Whether values are dates, times or durations, apart from missing ones."""
    array = np.asarray(values)
    if array.dtype.kind in "mM":
        return True
    known = _known(array) if array.dtype == object else []
    return bool(known) and all(_is_time(value) for value in known)


def as_numbers(name: str, values: Any, *, from_first: bool = False) -> Any:
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
    if array.dtype == object and not any(isinstance(v, str | bytes) or _is_time(v) for v in _known(array)):
        return values
    read = np.stack([_column(name, column, from_first=from_first) for column in columns], axis=1)  # (n, k)
    return read.reshape(array.shape)


def _column(name: str, column: np.ndarray, *, from_first: bool) -> np.ndarray:
    """Return one column as float64 of shape (n,)."""
    if column.dtype.kind not in "mM":
        known = _known(column)
        n_times = sum(_is_time(value) for value in known)
        if n_times == 0:
            return np.array([np.nan if is_missing(value) else _number(name, value) for value in column.tolist()])
        try:
            if n_times < len(known):
                raise TypeError("not all of its values are times")
            _check_zones(known)
            scalars = {type(_scalar(value)) for value in known}
            if len(scalars) > 1:
                raise TypeError("dates and durations")
            missing = scalars.pop()("NaT")
            column = np.array([missing if is_missing(value) else _scalar(value) for value in column])
        except TypeError as error:
            raise ValueError(
                f"{name} mixes times with other values, or several kinds of times ({error}); give one kind, such as by "
                "pandas.to_datetime(..., utc=True), or numbers."
            ) from error
    is_known = ~np.isnat(column)
    if column.dtype.kind == "M":
        column = column.astype("M8[D]") if np.datetime_data(column.dtype)[0] in "YMW" else column
        origin = column[is_known].min() if from_first and is_known.any() else np.datetime64(0, "s")
        # the difference is exact, so that nanoseconds are not lost in the many seconds since 1970
        column = column - origin
    seconds: np.ndarray = column / np.timedelta64(1, "s")
    return seconds


def _known(values: np.ndarray) -> list[Any]:
    return [value for value in values.ravel() if not is_missing(value)]


def _is_time(value: Any) -> bool:
    return isinstance(value, _TIMES) or hasattr(value, "to_timestamp")  # as pandas' Period has


def _check_zones(known: list[Any]) -> None:
    """Raise TypeError if some dates have a zone and others have none."""
    if len({value.tzinfo is None for value in known if isinstance(value, datetime)}) > 1:
        raise TypeError("dates with and without a zone")


def _scalar(value: Any) -> np.datetime64 | np.timedelta64:
    """Return one time as a scalar of numpy: dates in UTC, the time of a day as the duration since midnight."""
    scalar: np.datetime64 | np.timedelta64
    if hasattr(value, "to_timestamp"):  # a Period: its start
        value = value.to_timestamp()
    if isinstance(value, time):
        value = timedelta(hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond)
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(timezone.utc).replace(tzinfo=None)
    if isinstance(value, date):
        scalar = value.to_datetime64() if hasattr(value, "to_datetime64") else np.datetime64(value)  # of a Timestamp
    elif isinstance(value, timedelta):
        scalar = value.to_timedelta64() if hasattr(value, "to_timedelta64") else np.timedelta64(value)
    else:
        scalar = value
    return scalar


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} holds {value!r}, where numbers are read. Convert your data to numeric values: text by "
            "pandas.to_numeric, dates by pandas.to_datetime, which are read in seconds."
        ) from error
