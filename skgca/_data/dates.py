"""Columns of dates, durations and times of day, as numbers.

A date becomes elapsed time and a sine and cosine for each cycle in which the column varies: the hour of the day, the
weekday, the day of the year. A duration becomes seconds, and a time of day its cycle alone.

Elapsed time is counted in whole seconds (int64) and a fraction, and turned into a float behind the reference: as one
number, nanoseconds since 1970 would not fit into double precision, and years 1 to 9999 not into nanoseconds.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import Any, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo

import numpy as np

from .._utils.missing import is_missing

__all__ = [
    "TEMPORAL",
    "DateColumn",
    "Temporal",
    "ZonedArray",
    "all_missing",
    "pandas_dates",
    "polars_dates",
    "temporal_type",
    "utc_offsets",
    "warn_of_text",
    "zone_name",
]

Temporal: TypeAlias = Literal["date", "duration", "time"]  # what a column can hold
TEMPORAL: tuple[Temporal, ...] = get_args(Temporal)

_DAY, _QUARTER = 86400, 900  # seconds
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST, _LAST = -62135510400, 253402214400  # of datetime, a day inside its range, so that any zone fits
_LEAP_YEAR = np.cumsum([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30])  # days before each month
_FIXED_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)(?::(\d\d))?")
_WHOLE_MONTHS = ("Y", "M")  # units of numpy that are not of a fixed length
_FINE = ("ms", "us", "ns", "ps", "fs", "as")  # units of numpy that are shorter than a second
_AS_TEXT = re.compile(r"(\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4})([T ]+\d{1,2}:\d\d.*)?")
_MANY, _LOOKED_AT = 32, 100  # texts
_SECOND = np.timedelta64(1, "s")
_UTC = "UTC"


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
    starts = np.asarray(periods.dt.to_timestamp())
    return starts if unit is None else starts.astype(f"M8[{unit}]")


def _unit_of_period(frequency: str) -> str | None:
    """Return numpy's unit for periods of months or days, such as "Q-DEC"; None for shorter ones."""
    return {"A": "M", "Y": "M", "Q": "M", "M": "M", "W": "D", "D": "D", "B": "D", "C": "D"}.get(
        frequency.partition("-")[0].lstrip("0123456789")
    )


def _is_period(value_type: type) -> bool:
    return value_type.__name__ == "Period" and value_type.__module__.startswith("pandas")


def warn_of_text(name: Any, texts: np.ndarray) -> bool:
    """Warn, and return True, if the distinct texts of a column are many, and all that are looked at are dates.

    As categories they say nothing of a new date. A few are left alone: they may be labels, such as days of a survey.
    """
    looked_at = [text for text in texts[:: max(1, len(texts) // _LOOKED_AT)].tolist() if isinstance(text, str)]
    if len(texts) <= _MANY or not looked_at or not all(_AS_TEXT.fullmatch(text.strip()) for text in looked_at):
        return False
    warnings.warn(
        f"Column {name!r} holds dates as text, such as {looked_at[0]!r}, and is read as {len(texts)} categories. "
        f"Convert it by pandas.to_datetime(X[{name!r}]), or name it in categorical_features.",
        stacklevel=2,
    )
    return True


# Zones


def zone_name(zone: Any, column: Any) -> str:
    """Return the name of a zone for a file: as in the zone database, or an offset such as "+02:00".

    Raises
    ------
    ValueError
        If the zone has neither; the message names the column.
    """
    if isinstance(zone, str):
        return zone
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)  # zoneinfo's or pytz'
    if name is not None:
        return str(name)
    offset = zone.utcoffset(None)
    if offset is not None:
        return _UTC if not offset else datetime.fromtimestamp(0, timezone(offset)).isoformat()[19:]
    in_path = re.search(r"zoneinfo/([^']+)", repr(zone))  # dateutil's
    if in_path is not None:
        return in_path[1]
    raise ValueError(
        f"Column {column!r} has the time zone {zone!r}, which has no name; convert it, for example by "
        f"X[{column!r}].dt.tz_convert('UTC')."
    )


def _zone_of_name(name: str) -> tzinfo:
    if name == _UTC:
        return timezone.utc
    fixed = _FIXED_OFFSET.fullmatch(name)
    if fixed is not None:
        sign, *parts = fixed.groups(default="0")
        hours, minutes, seconds = map(int, parts)
        return timezone((-1 if sign == "-" else 1) * timedelta(hours=hours, minutes=minutes, seconds=seconds))
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"The time zone {name!r} is not in the zone database of this machine; pip install tzdata, or convert the "
            "column to UTC."
        ) from error


def utc_offsets(seconds: np.ndarray, zone: str) -> np.ndarray:
    """Return what a zone adds to UTC, in seconds, at each of these seconds since 1970: (n,) -> int64 (n,)."""
    known = _zone_of_name(zone)

    def look_up(starts: np.ndarray) -> np.ndarray:
        instants = (_EPOCH + timedelta(seconds=start) for start in starts.clip(_FIRST, _LAST).tolist())
        offsets = (instant.astimezone(known).utcoffset() or timedelta(0) for instant in instants)
        return np.array([int(offset.total_seconds()) for offset in offsets], dtype=np.int64)

    # One look at each day, and one at each quarter of an hour on the days when clocks change: a look takes as long as
    # some hundred additions.
    days, place = np.unique(seconds // _DAY, return_inverse=True)
    before, after = look_up(days * _DAY), look_up((days + 1) * _DAY)
    offsets: np.ndarray = before[place]
    changes = (before != after)[place]
    if changes.any():
        quarters, place = np.unique(seconds[changes] // _QUARTER, return_inverse=True)
        offsets[changes] = look_up(quarters * _QUARTER)[place]
    return offsets


# Values


@dataclass(frozen=True)
class _Instants:
    """Dates of a column that are not missing, in UTC if there is a zone.

    ``present`` says which rows they are of, (n,). ``seconds`` since 1970 are whole, and ``fractions`` in [0, 1).
    ``zones`` has the zones of the values, None for values without one. ``in_months`` says that they are whole months.
    """

    present: np.ndarray
    seconds: np.ndarray
    fractions: np.ndarray
    zones: frozenset[str | None]
    in_months: bool


def _instants(values: np.ndarray, name: Any) -> _Instants:
    if values.dtype.kind != "M":
        return _instants_of_objects(values, name)
    present = ~np.isnat(values)
    dates = np.asarray(values[present])
    zones = frozenset([getattr(values, "zone", None)] if len(dates) else [])
    return _Instants(present, *_whole_and_fraction(dates), zones, np.datetime_data(dates.dtype)[0] in _WHOLE_MONTHS)


def _instants_of_objects(values: np.ndarray, name: Any) -> _Instants:
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
    return _Instants(present, seconds, fractions, frozenset(zones), in_months)


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


def _seconds(values: np.ndarray, name: Any) -> np.ndarray:
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
                seconds[k] = _seconds(np.array([value]), name)[0]
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


def _clock(values: np.ndarray) -> np.ndarray:
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


# Cycles


def _hour(seconds: np.ndarray, fractions: np.ndarray) -> tuple[np.ndarray, int]:
    return seconds % _DAY + fractions, _DAY


def _weekday(seconds: np.ndarray, fractions: np.ndarray) -> tuple[np.ndarray, int]:
    return (seconds // _DAY + 3) % 7, 7  # 1970 began on a Thursday; Monday is 0


def _day_of_year(seconds: np.ndarray, fractions: np.ndarray) -> tuple[np.ndarray, int]:
    # as in a leap year, so that each day of the calendar has one number: 1 March is day 60 in all years
    days = seconds.astype("M8[s]").astype("M8[D]")
    months = days.astype("M8[M]")
    in_month = (days - months.astype("M8[D]")).astype(np.int64)
    return _LEAP_YEAR[months.astype(np.int64) % 12] + in_month, 366


# By name: wall time in seconds since 1970 and fractions -> the place in the cycle, and how many places there are.
CYCLES: dict[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, int]]] = {
    "hour": _hour,
    "weekday": _weekday,
    "day_of_year": _day_of_year,
}


def _circle(places: np.ndarray, length: int) -> list[np.ndarray]:
    angle = 2 * np.pi / length * places
    return [np.sin(angle), np.cos(angle)]


class DateColumn:
    """What was learned of a column of dates, durations or times of day.

    Parameters
    ----------
    name : object
        Name of the column, for messages.
    held : "date", "duration" or "time"
        What it holds.

    Attributes
    ----------
    reference : int
        First date of training, in whole seconds since 1970. Elapsed time is counted from here.
    zone : str or None
        Zone that cycles are read in: that of the column; None if it has no zone.
    cycles : tuple of str
        Names of the cycles in which the dates vary.
    """

    def __init__(self, name: Any, held: Temporal) -> None:
        self.name = name
        self.held = held
        self.reference = 0
        self.zone: str | None = None
        self.cycles: tuple[str, ...] = ("hour",) if held == "time" else ()
        self._zones: dict[str | None, None] = {}  # in the order in which they are met
        self._ranges: dict[str | None, dict[str, tuple[float, float]]] = {}  # by zone and cycle: first and last place
        self._in_months = True

    def observe(self, values: np.ndarray) -> None:
        """Learn from some values of the column; :meth:`finish` comes after the last ones.

        Raises
        ------
        ValueError
            If some dates have a zone and others none; the message names the column.
        """
        if self.held != "date":
            return
        instants = _instants(values, self.name)
        if not instants.present.any():
            return
        first = int(instants.seconds.min())
        self.reference = min(self.reference, first) if self._zones else first
        self._in_months &= instants.in_months
        self._zones |= dict.fromkeys(sorted(instants.zones, key=str))
        if None in self._zones and len(self._zones) > 1:
            raise ValueError(
                f"Column {self.name!r} holds dates with a time zone and dates without one; convert all of them, for "
                f"example by pandas.to_datetime(X[{self.name!r}], utc=True)."
            )
        # Values of a second zone may follow, and then all are read in UTC. So the ranges in both zones are kept.
        for zone in {next(iter(self._zones)), None if None in self._zones else _UTC}:
            _widen(self._ranges.setdefault(zone, {}), instants, zone)

    def finish(self) -> DateColumn:
        """Decide on the zone and the cycles."""
        if self._zones:
            self.zone = next(iter(self._zones))
            if len(self._zones) > 1:
                warnings.warn(
                    f"Column {self.name!r} holds dates of several time zones, {sorted(map(str, self._zones))[:5]}; "
                    "hours and days are read in UTC. To have them in one zone, convert the column, for example by "
                    f"pandas.to_datetime(X[{self.name!r}], utc=True).dt.tz_convert('Europe/Berlin').",
                    stacklevel=2,
                )
                self.zone = _UTC
            # the weekday on which a month begins says nothing about the month
            left_out = {"hour", "weekday"} if self._in_months else set()
            ranges = self._ranges[self.zone]
            self.cycles = tuple(name for name, (low, high) in ranges.items() if low < high and name not in left_out)
        return self

    def read(self, values: np.ndarray) -> list[np.ndarray]:
        """Return the column as numbers, NaN where missing: the first takes its place, the others are further columns.

        They are named by :meth:`names`, each of shape (n,) in double precision.

        Raises
        ------
        ValueError
            If dates have a zone and those of ``fit`` had none, or the reverse.
        """
        if all_missing(values):  # of any type
            return [np.full(len(values), np.nan)] * len(self.names())
        if self.held == "duration":
            return [_seconds(values, self.name)]
        if self.held == "time":
            return _circle(_clock(values), _DAY)
        instants = _instants(values, self.name)
        if any((zone is None) != (self.zone is None) for zone in instants.zones):
            had, has = ("no time zone", "one") if self.zone is None else (f"the time zone {self.zone!r}", "none")
            remedy = "dt.tz_localize(None)" if self.zone is None else f"dt.tz_localize({self.zone!r})"
            raise ValueError(
                f"Column {self.name!r} had {had} in fit, and now has {has}; convert it, for example by "
                f"X[{self.name!r}].{remedy}."
            )
        elapsed = (instants.seconds - self.reference).astype(np.float64) + instants.fractions
        wall = _wall_seconds(instants, self.zone)
        columns = [elapsed]
        for cycle in self.cycles:
            columns += _circle(*CYCLES[cycle](wall, instants.fractions))
        return [_with_gaps(column, instants.present) for column in columns]

    def names(self) -> list[str]:
        """Return what is added to the name of the column for each array of :meth:`read`."""
        pairs = [f"_{cycle}_{function}" for cycle in self.cycles for function in ("sin", "cos")]
        return pairs if self.held == "time" else ["", *pairs]

    def get_state(self) -> dict[str, Any]:
        """Return what was learned, in plain values."""
        return {"held": self.held, "reference": self.reference, "zone": self.zone, "cycles": list(self.cycles)}

    @classmethod
    def from_state(cls, name: Any, state: dict[str, Any]) -> DateColumn:
        """Make the fitted column whose :meth:`get_state` returned this."""
        column = cls(name, state["held"])
        column.reference, column.zone = state["reference"], state["zone"]
        column.cycles = tuple(state["cycles"])
        return column


def all_missing(values: np.ndarray) -> bool:
    """Whether a column has no value."""
    if values.dtype.kind in "mM":
        return bool(np.isnat(values).all())
    return all(is_missing(value) for value in values)


def _wall_seconds(instants: _Instants, zone: str | None) -> np.ndarray:
    return instants.seconds if zone is None else instants.seconds + utc_offsets(instants.seconds, zone)


def _widen(ranges: dict[str, tuple[float, float]], instants: _Instants, zone: str | None) -> None:
    """Widen the smallest and largest place in each cycle by those of more dates."""
    wall = _wall_seconds(instants, zone)
    for cycle, place_in in CYCLES.items():
        places, _ = place_in(wall, instants.fractions)
        low, high = ranges.get(cycle, (np.inf, -np.inf))
        ranges[cycle] = (min(low, float(places.min())), max(high, float(places.max())))


def _with_gaps(present_values: np.ndarray, present: np.ndarray) -> np.ndarray:
    column = np.full(len(present), np.nan)
    column[present] = present_values
    return column
