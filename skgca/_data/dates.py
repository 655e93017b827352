"""Columns of dates, durations and times of day, as numbers.

A date becomes elapsed time and a sine and cosine for each cycle in which the column varies: the hour of the day, the
weekday, the day of the year. A duration becomes seconds, and a time of day its cycle alone.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .instants import Instants, Temporal, all_missing, durations, instants_of, times_of_day
from .zones import DAY, UTC, utc_offsets

__all__ = ["DateColumn", "warn_of_text"]

_LEAP_YEAR = np.cumsum([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30])  # days before each month
_AS_TEXT = re.compile(r"(\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./]\d{4})([T ]+\d{1,2}:\d\d.*)?")
_MANY, _LOOKED_AT = 32, 100  # texts


def _hour(seconds: np.ndarray, fractions: np.ndarray) -> tuple[np.ndarray, int]:
    return seconds % DAY + fractions, DAY


def _weekday(seconds: np.ndarray, fractions: np.ndarray) -> tuple[np.ndarray, int]:
    return (seconds // DAY + 3) % 7, 7  # 1970 began on a Thursday; Monday is 0


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
        instants = instants_of(values, self.name)
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
        for zone in {next(iter(self._zones)), None if None in self._zones else UTC}:
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
                self.zone = UTC
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
            return [durations(values, self.name)]
        if self.held == "time":
            return _circle(times_of_day(values), DAY)
        instants = instants_of(values, self.name)
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


def _wall_seconds(instants: Instants, zone: str | None) -> np.ndarray:
    return instants.seconds if zone is None else instants.seconds + utc_offsets(instants.seconds, zone)


def _widen(ranges: dict[str, tuple[float, float]], instants: Instants, zone: str | None) -> None:
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


def warn_of_text(name: Any, texts: Sequence[Any]) -> bool:
    """Warn, and return True, if the distinct texts of a column are many, and all that are looked at are dates.

    As categories they say nothing of a new date. A few are left alone: they may be labels, such as days of a survey.
    """
    looked_at = [text for text in texts[:: max(1, len(texts) // _LOOKED_AT)] if isinstance(text, str)]
    if len(texts) <= _MANY or not looked_at or not all(_AS_TEXT.fullmatch(text.strip()) for text in looked_at):
        return False
    warnings.warn(
        f"Column {name!r} holds dates as text, such as {looked_at[0]!r}, and is read as {len(texts)} categories. "
        f"Convert it by pandas.to_datetime(X[{name!r}]), or name it in categorical_features.",
        stacklevel=2,
    )
    return True
