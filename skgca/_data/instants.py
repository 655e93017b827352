"""Dates, durations and times of day of any container and type as plain arrays.

A date is counted in whole seconds (int64) and a fraction: as one number, nanoseconds since 1970 would not fit into
double precision, nor the years 1 to 9999 into nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from .._utils.missing import is_missing
from .zones import zone_name

__all__ = [
    "TEMPORAL",
    "Instants",
    "Temporal",
    "ZonedArray",
    "all_missing",
    "durations",
    "instants_of",
    "pandas_dates",
    "polars_dates",
    "temporal_type",
    "times_of_day",
]

Temporal: TypeAlias = Literal["date", "duration", "time"]  # what a column can hold
TEMPORAL: tuple[Temporal, ...] = get_args(Temporal)

_WHOLE_MONTHS = ("Y", "M")  # units of numpy that are not of a fixed length
_FINE = ("ms", "us", "ns", "ps", "fs", "as")  # units of numpy that are shorter than a second
_SECOND = np.timedelta64(1, "s")


class ZonedArray(np.ndarray):
    """Dates in UTC, of a dtype "datetime64[unit]", with the zone that their column is in as attribute ``zone``."""

    zone: str | None

    def __array_finalize__(self, source: Any) -> None:
        """Keep the zone in slices and copies."""
        self.zone = getattr(source, "zone", None)


def temporal_type(value_type: type) -> Temporal | None:
    """Return what a column with values of a class holds; None if they are neither dates nor durations nor times."""
    if issubclass(value_type, date | np.datetime64) or _is_period(value_type):  # datetime and Timestamp are dates
        return "date"
    if issubclass(value_type, timedelta | np.timedelta64):
        return "duration"
    return "time" if issubclass(value_type, time) else None


def pandas_dates(column: Any) -> np.ndarray | None:
    """Return a pandas Series whose type is a zone, a period or an Arrow date as datetime64; None for other types."""
    if isinstance(column.dtype, np.dtype):  # most columns
        return None
    dtype = getattr(column.dtype, "pyarrow_dtype", column.dtype)
    zone = getattr(dtype, "tz", None)
    if zone is not None:
        return _zoned(np.asarray(column.dt.tz_convert("UTC").dt.tz_localize(None)), zone_name(zone, column.name))
    if str(dtype).startswith("period"):
        return _first_instants(column)
    if str(dtype).startswith("date") and dtype is not column.dtype:  # Arrow's date32 and date64
        return np.asarray(column.astype("timestamp[s][pyarrow]")).astype("M8[D]")
    return None


def polars_dates(column: Any) -> np.ndarray | None:
    """Return a polars Series with a zone as datetime64; None for other types, which polars converts itself."""
    zone = getattr(column.dtype, "time_zone", None)
    return None if zone is None else _zoned(column.to_numpy(), zone_name(zone, column.name))


def _zoned(utc: np.ndarray, zone: str) -> ZonedArray:
    zoned = utc.view(ZonedArray)
    zoned.zone = zone
    return zoned


def _first_instants(periods: Any) -> np.ndarray:
    """Return the first instant of each period of a Series; the unit says whether they are whole months or days."""
    frequency = str(periods.dtype).removeprefix("period[").removesuffix("]")
    if frequency == "M":
        return np.asarray(periods.array.asi8.view("M8[M]"))  # exact for all years, unlike to_timestamp
    unit = _unit_of_period(frequency)
    try:
        starts = np.asarray(periods.dt.to_timestamp())
    except ValueError as error:  # pandas' OutOfBoundsDatetime
        raise ValueError(f"Column {periods.name!r} holds a period too far away for pandas: {error}") from error
    return starts if unit is None else starts.astype(f"M8[{unit}]")


def _unit_of_period(frequency: str) -> str | None:
    """Return numpy's unit for periods of months or days, such as "Q-DEC"; None for shorter ones."""
    return {"A": "M", "Y": "M", "Q": "M", "M": "M", "W": "D", "D": "D", "B": "D", "C": "D"}.get(
        frequency.partition("-")[0].lstrip("0123456789")
    )


def _is_period(value_type: type) -> bool:
    return value_type.__name__ == "Period" and value_type.__module__.startswith("pandas")


@dataclass(frozen=True)
class Instants:
    """Dates of a column that are not missing, in UTC if there is a zone.

    ``present`` says which rows they are of, (n,). ``seconds`` since 1970 are whole, and ``fractions`` in [0, 1).
    ``zones`` has the zones of the values, None for values without one. ``in_months`` says that they are whole months.
    """

    present: np.ndarray
    seconds: np.ndarray
    fractions: np.ndarray
    zones: frozenset[str | None]
    in_months: bool


def instants_of(values: np.ndarray, name: Any) -> Instants:
    """Return the dates of a column, which ``name`` is the name of in messages.

    Raises
    ------
    ValueError
        If a zone has no name, or a period is too far away; the message names the column.
    """
    if values.dtype.kind != "M":
        return _of_objects(values, name)
    present = ~np.isnat(values)
    dates = np.asarray(values[present])
    zones = frozenset([getattr(values, "zone", None)] if len(dates) else [])
    return Instants(present, *_whole_and_fraction(dates), zones, np.datetime_data(dates.dtype)[0] in _WHOLE_MONTHS)


def _of_objects(values: np.ndarray, name: Any) -> Instants:
    present = np.array([not is_missing(value) for value in values], dtype=bool)
    dates: list[np.datetime64] = []
    zones: set[str | None] = set()
    names: dict[int, str] = {}  # of zones, by the identity of their objects: naming takes time, and they are few
    for value in values[present]:
        zone = value.tzinfo if isinstance(value, datetime) else None
        if zone is None:
            zones.add(None)
        else:
            if id(zone) not in names:
                names[id(zone)] = zone_name(zone, name)
            zones.add(names[id(zone)])
            value = value.astimezone(timezone.utc).replace(tzinfo=None)
        dates.append(_as_datetime64(value, name))
    seconds, fractions = np.empty(len(dates), dtype=np.int64), np.empty(len(dates))
    types = [value.dtype for value in dates]
    for dtype in set(types):  # each in its unit: numpy's common unit can overflow
        chosen = np.array([other == dtype for other in types])
        of_type = np.array([value for value in dates if value.dtype == dtype], dtype=dtype)
        seconds[chosen], fractions[chosen] = _whole_and_fraction(of_type)
    in_months = bool(types) and all(np.datetime_data(dtype)[0] in _WHOLE_MONTHS for dtype in types)
    return Instants(present, seconds, fractions, frozenset(zones), in_months)


def _as_datetime64(value: Any, name: Any) -> np.datetime64:
    """Return a date without a zone in its own unit: a Timestamp may have nanoseconds, and a date no hours."""
    if isinstance(value, np.datetime64):
        return value
    if _is_period(type(value)):
        try:
            start: np.datetime64 = value.to_timestamp().to_datetime64()
        except ValueError as error:  # pandas' OutOfBoundsDatetime
            raise ValueError(f"Column {name!r} holds the period {value}, too far away for pandas: {error}") from error
        unit = _unit_of_period(value.freqstr)
        return start if unit is None else start.astype(f"M8[{unit}]")
    if hasattr(value, "to_datetime64"):  # pandas.Timestamp
        value = value.to_datetime64()
    instant: np.datetime64 = np.datetime64(value)
    return instant


def _whole_and_fraction(dates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split datetime64 values into whole seconds since 1970 and fractions of a second."""
    unit, _ = np.datetime_data(dates.dtype)
    whole = dates.astype("M8[s]")  # rounds down, also before 1970
    fractions = np.zeros(len(dates))
    if unit in _FINE:
        fine = dates.astype(f"M8[{unit}]")  # its own unit, without a multiple as in "M8[25ms]"
        fractions = (fine - whole.astype(fine.dtype)) / _SECOND
    return whole.astype(np.int64), fractions


def durations(values: np.ndarray, name: Any) -> np.ndarray:
    """Return durations in seconds, NaN where missing.

    Raises
    ------
    ValueError
        If they are in months, years or no unit; the message names the column.
    """
    if values.dtype.kind == "O":
        seconds = np.full(len(values), np.nan)
        for k, value in enumerate(values):
            if not is_missing(value):
                value = value.to_timedelta64() if hasattr(value, "to_timedelta64") else np.timedelta64(value)
                seconds[k] = durations(np.array([value]), name)[0]
        return seconds
    unit = np.datetime_data(values.dtype)[0]
    if unit in (*_WHOLE_MONTHS, "generic"):
        of_what = {"Y": "years", "M": "months"}.get(unit, "no unit")
        raise ValueError(
            f"Column {name!r} holds durations of {of_what}, which are no number of seconds; convert it, for example by "
            "X.astype('timedelta64[D]') of days, or to whole numbers."
        )
    converted: np.ndarray = values / _SECOND  # NaT becomes NaN
    return converted


def times_of_day(values: np.ndarray) -> np.ndarray:
    """Return times of day in seconds since midnight, NaN where missing."""
    return np.array(
        [
            np.nan
            if is_missing(value)
            else 3600 * value.hour + 60 * value.minute + value.second + value.microsecond / 1e6
            for value in values
        ],
        dtype=np.float64,
    )


def all_missing(values: np.ndarray) -> bool:
    """Whether a column has no value."""
    if values.dtype.kind in "mM":
        return bool(np.isnat(values).all())
    return all(is_missing(value) for value in values)
