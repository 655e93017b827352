"""Time zones: their names, as files keep them, and what they add to UTC."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

__all__ = ["DAY", "UTC", "utc_offsets", "zone_name"]

UTC = "UTC"
DAY, _QUARTER = 86400, 900  # seconds
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST, _LAST = -62135510400, 253402214400  # of datetime, a day inside its range, so that any zone fits
_FIXED_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)(?::(\d\d))?")


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
        return UTC if not offset else datetime.fromtimestamp(0, timezone(offset)).isoformat()[19:]
    in_path = re.search(r"zoneinfo/([^']+)", repr(zone))  # dateutil's
    if in_path is not None:
        return in_path[1]
    raise ValueError(
        f"Column {column!r} has the time zone {zone!r}, which has no name; convert it, for example by "
        f"X[{column!r}].dt.tz_convert('UTC')."
    )


def _zone_of_name(name: str) -> tzinfo:
    if name == UTC:
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
    days, place = np.unique(seconds // DAY, return_inverse=True)
    before, after = look_up(days * DAY), look_up((days + 1) * DAY)
    offsets: np.ndarray = before[place]
    changes = (before != after)[place]
    if changes.any():
        quarters, place = np.unique(seconds[changes] // _QUARTER, return_inverse=True)
        offsets[changes] = look_up(quarters * _QUARTER)[place]
    return offsets
