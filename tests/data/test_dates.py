"""Columns of dates, durations and times of day: what is read, in which zone, and what is refused."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from skgca._data import Rows, TableReader
from skgca._data.zones import utc_offsets, zone_name
from skgca._persistence.sample_rows import example_rows
from skgca._persistence.state import decode_reader, encode_reader

from ..numerics import DOUBLE, SINGLE, assert_close

# 40 dates over seven weeks, with hours, a change of clocks in Europe, and a gap
WHEN = pd.Series(pd.date_range("2024-03-20 22:15:30.250", periods=40, freq="31h"), name="when")
WHEN[3] = pd.NaT
BERLIN = WHEN.dt.tz_localize("Europe/Berlin")
STEPS = WHEN - WHEN[0]
CLOCK = WHEN.dt.time


def reader(X, *, standardize=False, categorical_features="from_dtype"):
    return TableReader(categorical_features=categorical_features, standardize=standardize).fit(Rows(X))


def frame(when):
    return pd.DataFrame({"a": np.arange(40.0), "when": when, "c": list("uv") * 20})


def read(when):
    fitted = reader(frame(when))
    return fitted.dates[1], fitted.read(frame(when)).numpy()


def by_hand(when):
    """Return elapsed seconds and the three cycles of dates in wall time, computed by pandas."""
    first = when.min().floor("s")
    hour = (when - when.dt.normalize()).dt.total_seconds() / 86400
    leap_day = pd.to_datetime("2024-" + when.dt.strftime("%m-%d")).dt.dayofyear - 1
    cycles = [hour, when.dt.weekday / 7, leap_day / 366]
    turns = [function(2 * np.pi * cycle) for cycle in cycles for function in (np.sin, np.cos)]
    return np.column_stack([(when - first).dt.total_seconds(), *turns])


def test_a_date_is_elapsed_time_and_the_sine_and_cosine_of_its_cycles():
    column, table = read(WHEN)
    assert column.cycles == ("hour", "weekday", "day_of_year")
    assert np.isnan(table[3, [1, *range(3, 9)]]).all()
    assert_close(np.delete(table[:, [1, *range(3, 9)]], 3, 0), np.delete(by_hand(WHEN), 3, 0), SINGLE)


SAME = {
    "microseconds": WHEN.astype("M8[us]"),
    "milliseconds": WHEN.astype("M8[ms]"),
    "timestamps as objects": WHEN.astype(object),
    "datetimes": pd.Series([None if pd.isna(value) else value.to_pydatetime() for value in WHEN], dtype=object),
    "numpy's as objects": pd.Series(list(WHEN.to_numpy()), dtype=object),
}


@pytest.mark.parametrize("name", SAME)
def test_every_container_of_dates_is_read_alike(name):
    assert_close(np.nan_to_num(read(SAME[name])[1]), np.nan_to_num(read(WHEN)[1]), SINGLE)


def test_types_of_arrow_are_read_as_those_of_numpy():
    pairs = [
        (WHEN.astype("timestamp[us][pyarrow]"), WHEN),
        (BERLIN.astype("timestamp[us, tz=Europe/Berlin][pyarrow]"), BERLIN),
        (WHEN.dt.date.astype("date32[pyarrow]"), WHEN.dt.date),
        (WHEN.dt.date.astype(pd.ArrowDtype(pa.date64())), WHEN.dt.date),
        (STEPS.astype("duration[ms][pyarrow]"), STEPS),
        (CLOCK.astype(pd.ArrowDtype(pa.time64("us"))), CLOCK),
    ]
    for of_arrow, of_numpy in pairs:
        column, table = read(of_arrow)
        wanted_column, wanted = read(of_numpy)
        assert column.get_state() == wanted_column.get_state()
        assert_close(np.nan_to_num(table), np.nan_to_num(wanted), SINGLE)


def test_types_of_polars_are_read_as_those_of_pandas():
    nothing = {
        name: [None if pd.isna(v) else v for v in values] for name, values in [("d", WHEN.dt.date), ("t", CLOCK)]
    }
    zoned = pl.Series(WHEN).dt.replace_time_zone("Europe/Berlin")
    of_polars = pl.DataFrame({"when": WHEN, "zoned": zoned, "step": STEPS, **nothing})
    of_pandas = pd.DataFrame({"when": WHEN, "zoned": BERLIN, "step": STEPS, "d": WHEN.dt.date, "t": CLOCK})
    left, right = reader(of_polars), reader(of_pandas)
    assert left.get_state()["dates"] == right.get_state()["dates"]
    assert left.dates[1].zone == "Europe/Berlin"
    assert_close(left.read(of_polars).nan_to_num(), right.read(of_pandas).nan_to_num(), SINGLE)


@pytest.mark.parametrize(
    ("when", "cycles"),
    [
        (WHEN.dt.normalize(), ("weekday", "day_of_year")),
        (WHEN.dt.date, ("weekday", "day_of_year")),
        (pd.Series(pd.date_range("2024-05-06", periods=40, freq="20min")), ("hour",)),
        (pd.Series(pd.date_range("2024-05-06 10:00", periods=40, freq="7D")), ("day_of_year",)),
        (pd.Series(pd.to_datetime([f"{year}-03-01" for year in range(1980, 2020)])).dt.to_period("Y"), ()),
        (pd.Series([pd.Timestamp("2024-05-06 10:00")] * 40), ()),
        (pd.Series(pd.period_range("2020-01", periods=40, freq="M")), ("day_of_year",)),
        (pd.Series(pd.period_range("2020-01", periods=40, freq="Q")), ("day_of_year",)),
        (pd.Series(pd.period_range("2020-01", periods=40, freq="M")).astype(object), ("day_of_year",)),
        (pd.Series(pd.period_range("2020-01-01", periods=40, freq="h")), ("hour", "weekday", "day_of_year")),
        (pd.Series(pd.period_range("2020-01-01", periods=40, freq="D")), ("weekday", "day_of_year")),
    ],
)
def test_cycles_without_variation_are_left_out(when, cycles):
    column, table = read(when)
    assert column.cycles == cycles
    assert table.shape == (40, 3 + 2 * len(cycles))


def test_the_same_day_of_each_year_is_one_place_in_the_cycle():
    days = pd.Series(pd.to_datetime([f"{year}-03-01 12:00" for year in range(1980, 2020)]))
    assert read(days)[0].cycles == ("weekday",)


def test_durations_are_seconds_and_times_of_day_a_cycle():
    column, table = read(STEPS)
    assert (column.held, column.names()) == ("duration", [""])
    assert_close(np.delete(table[:, 1], 3), np.delete(STEPS.dt.total_seconds().to_numpy(), 3), SINGLE)
    column, table = read(CLOCK)
    assert column.names() == ["_hour_sin", "_hour_cos"]
    assert_close(np.nan_to_num(table[:, [1, 3]]), np.nan_to_num(read(WHEN)[1][:, 3:5]), SINGLE)


@pytest.mark.parametrize(
    "values", [[np.timedelta64(k, "h") for k in range(40)], [dt.timedelta(hours=k) for k in range(40)]]
)
def test_durations_as_objects_keep_their_unit(values):
    assert read(pd.Series(values, dtype=object))[1][:, 1].tolist() == [3600.0 * k for k in range(40)]


@pytest.mark.parametrize("unit", ["Y", "M", "D", "h", "s", "ms", "ns"])
def test_arrays_of_dates_of_any_unit(unit):
    X = np.arange(-20, 20).astype(f"M8[{unit}]").reshape(20, 2)
    fitted = reader(X)
    table = fitted.read(X).double().numpy()
    elapsed = (X - X.astype("M8[s]").min(axis=0)) / np.timedelta64(1, "s") if unit not in "YM" else None
    if elapsed is None:
        days = X.astype("M8[D]")
        elapsed = (days - days.min(axis=0)) / np.timedelta64(1, "s")
    assert_close(table[:, :2], elapsed, SINGLE)
    # elapsed time is scaled in double precision, where it has its nanoseconds
    assert (reader(X, standardize=True).read(X)[:, 0].diff() > 0).all()


def test_arrays_of_durations_and_an_array_without_a_date():
    X = np.array([[1, 2], [3, "NaT"]], dtype="m8[m]")
    assert_close(reader(X).read(X).nan_to_num(nan=-1.0), [[60.0, 120.0], [180.0, -1.0]], SINGLE)
    with pytest.raises(ValueError, match="Column 0 holds durations of years"):
        reader(np.ones((3, 2), dtype="m8[Y]"))
    nothing = np.full((3, 2), np.datetime64("NaT"))
    assert reader(nothing).held == ["missing", "missing"]
    assert reader(nothing).read(nothing).isnan().all()


def test_dates_too_far_away_for_nanoseconds():
    when = pd.Series(
        [dt.date(1, 1, 1), dt.date(2024, 2, 29), dt.datetime(9999, 12, 31, 23, 59), None] * 10, dtype=object
    )
    column, table = read(when)
    assert column.reference == int(np.datetime64("0001-01-01", "s").astype(np.int64))
    assert_close(
        table[2, 1], (np.datetime64("9999-12-31T23:59", "s") - np.datetime64("0001-01-01", "s")).astype(float), SINGLE
    )
    assert np.isfinite(np.delete(table, slice(3, None, 4), axis=0)).all()


def test_months_of_all_years_and_quarters_of_those_that_pandas_holds():
    months = pd.Series(pd.PeriodIndex(["0100-01", "9999-12"] * 20, freq="M"))
    assert_close(
        read(months)[1][1, 1], (np.datetime64("9999-12", "s") - np.datetime64("0100-01", "s")).astype(float), SINGLE
    )
    quarters = pd.Series(pd.PeriodIndex(["0100Q1", "9999Q4"] * 20, freq="Q"), name="when")
    for far in (quarters, quarters.astype(object)):
        if pd.Timestamp(1).unit == "ns":
            with pytest.raises(ValueError, match=r"Column 'when' holds .*period .*too far away for pandas"):
                reader(frame(far))


# Zones


def test_cycles_are_those_of_the_clock_on_the_wall_and_elapsed_time_is_not():
    column, table = read(BERLIN)
    assert column.zone == "Europe/Berlin"
    wall = np.delete(by_hand(WHEN), 3, 0)
    assert_close(np.delete(table[:, 3:9], 3, 0), wall[:, 1:], SINGLE)
    # the night of 31 March has 23 hours
    assert_close(np.delete(table[:, 1], 3), np.where(wall[:, 0] > 10.2 * 86400, wall[:, 0] - 3600, wall[:, 0]), SINGLE)


def test_other_zones_are_converted_to_that_of_fit():
    fitted = reader(frame(BERLIN))
    wanted = fitted.read(frame(BERLIN)).nan_to_num()
    for zone in ("UTC", "Asia/Kathmandu", dt.timezone(dt.timedelta(hours=-3))):
        assert_close(fitted.read(frame(BERLIN.dt.tz_convert(zone))).nan_to_num(), wanted, SINGLE)
        assert_close(fitted.read(frame(BERLIN.dt.tz_convert(zone).astype(object))).nan_to_num(), wanted, SINGLE)


def test_dates_with_and_without_a_zone_are_not_mixed():
    mixed = pd.Series([WHEN[0], BERLIN[1]] * 20, dtype=object)
    with pytest.raises(ValueError, match="Column 'when' holds dates with a time zone and dates without one"):
        reader(frame(mixed))
    with pytest.raises(ValueError, match="Column 'when' had no time zone in fit, and now has one"):
        reader(frame(WHEN)).read(frame(BERLIN))
    with pytest.raises(ValueError, match="Column 'when' had the time zone 'Europe/Berlin' in fit, and now has none"):
        reader(frame(BERLIN)).read(frame(WHEN))
    for nothing in (pd.Series([pd.NaT] * 40), pd.Series([None] * 40, dtype=object)):
        assert reader(frame(BERLIN)).read(frame(nothing))[:, [1, 3, 4]].isnan().all()


def test_several_zones_are_read_in_utc_with_a_warning():
    summer, winter = (dt.timezone(dt.timedelta(hours=hours)) for hours in (2, 1))
    offsets = pd.Series([winter if k < 20 else summer for k in range(40)])
    when = pd.Series(
        [pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(hours=31 * k) for k in range(40)], dtype=object
    )
    mixed = pd.Series([value.tz_convert(zone) for value, zone in zip(when, offsets, strict=True)], dtype=object)
    with pytest.warns(UserWarning, match="Column 'when' holds dates of several time zones"):
        column, table = read(mixed)
    assert column.zone == "UTC"
    wanted = read(when)[1]  # no warning
    assert_close(table, wanted, SINGLE)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_offsets_are_those_of_the_zone_database(zone):
    seconds = np.random.default_rng(0).integers(-(10**9), 2 * 10**9, 2000)
    around = np.array([dt.datetime(2024, 3, 31, 1, tzinfo=dt.timezone.utc).timestamp()]) + np.arange(-9000, 9000, 900)
    seconds = np.concatenate([seconds, around.astype(np.int64)])
    known = ZoneInfo(zone)
    wanted = [dt.datetime.fromtimestamp(s, known).utcoffset().total_seconds() for s in seconds.tolist()]
    assert utc_offsets(seconds, zone).tolist() == wanted


def test_names_of_zones():
    pytz = pytest.importorskip("pytz")
    assert zone_name(ZoneInfo("Asia/Tokyo"), "when") == zone_name(pytz.timezone("Asia/Tokyo"), "when") == "Asia/Tokyo"
    assert zone_name(dt.timezone.utc, "when") == zone_name(pytz.utc, "when") == "UTC"
    assert zone_name(dt.timezone(dt.timedelta(hours=-3, minutes=-30)), "when") == "-03:30"
    assert utc_offsets(np.array([0]), "-03:30").tolist() == [-12600]

    class Unnamed(dt.tzinfo):
        def utcoffset(self, when):
            return None

    with pytest.raises(ValueError, match=r"Column 'when' has the time zone .* which has no name"):
        zone_name(Unnamed(), "when")
    with pytest.raises(ValueError, match="'Mars/Base' is not in the zone database"):
        utc_offsets(np.array([0]), "Mars/Base")


# Other checks


def test_types_that_change_are_refused_by_name():
    fitted = reader(frame(WHEN))
    with pytest.raises(ValueError, match=r"Column 'when' held dates in fit, and now holds text.*to_datetime"):
        fitted.read(frame(WHEN.astype(str)))
    with pytest.raises(ValueError, match="Column 'when' held date in fit, and now holds duration"):
        fitted.read(frame(STEPS))
    with pytest.raises(ValueError, match=r"Column 'a' held number in fit, and now holds date, such as .*2024"):
        fitted.read(frame(WHEN).assign(a=WHEN))
    with pytest.raises(ValueError, match=r"Column 'when' mixes types.*errors='coerce'"):
        reader(frame(pd.Series([WHEN[0], "unknown"] * 20, dtype=object)))
    with pytest.raises(ValueError, match="categorical_features names column 'when', which holds dates"):
        reader(frame(WHEN), categorical_features=["when", "c"])
    numbers = np.ones((4, 2))
    with pytest.raises(ValueError, match="Column 0 held date in fit, and now holds number"):
        reader(np.ones((4, 2), dtype="M8[D]")).read(numbers)


def test_many_dates_as_text_are_warned_of():
    texts = pd.Series(pd.date_range("2024-01-01", periods=40)).dt.strftime("%d.%m.%Y")
    with pytest.warns(UserWarning, match=r"Column 'when' holds dates as text, such as '01.01.2024'.*to_datetime"):
        reader(frame(texts))
    reader(frame(texts), categorical_features=["when", "c"])  # no warning, as pytest makes an error of each
    reader(frame(list(texts[:20]) * 2))
    reader(frame([f"10.1.{k % 35}" for k in range(40)]))  # versions


CASES = {
    "dates": WHEN,
    "zone": BERLIN,
    "durations": STEPS,
    "times": CLOCK,
    "months": WHEN.dt.to_period("M"),
    "gap": WHEN[:0],
}


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_a_file_keeps_how_dates_are_read_and_makes_up_rows(name, standardize):
    X = frame(CASES[name].reindex(range(40)))
    fitted = reader(X, standardize=standardize)
    tensors = {}
    again = decode_reader(encode_reader(fitted, tensors), tensors)
    assert set(vars(again)) == set(vars(fitted))
    assert again.input_shape == fitted.input_shape
    assert_close(again.read(X).nan_to_num(), fitted.read(X).nan_to_num(), DOUBLE)
    rows = example_rows(fitted)
    inputs = again.read(rows)
    assert tuple(inputs.shape[1:]) == fitted.input_shape
    assert inputs[-1, 1].isnan()
    assert len(inputs[:-1, 1].unique()) > 1 or name == "gap"
