"""Situations: dates."""

import datetime as dt
import pickle
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from skgca import GCAEmbedder
from skgca.exceptions import SavedFileError
from skgca.views import ColumnCorruption, Compose

from ..models import quick
from ..numerics import SINGLE, assert_close, assert_within
from .registry import situation

N = 400
RNG = np.random.default_rng(0)
WHEN = pd.Series(pd.Timestamp("2022-01-01") + pd.to_timedelta(RNG.integers(0, 2 * 365 * 24 * 3600, N), unit="s"))
OFFICE = ((WHEN.dt.hour > 8) & (WHEN.dt.hour < 18) & (WHEN.dt.weekday < 5)).astype(int)
LATE = WHEN.gt(WHEN.median()).astype(int)
NOISE = RNG.normal(size=(N, 2))
CYCLES = [f"when_{cycle}_{f}" for cycle in ("hour", "weekday", "day_of_year") for f in ("sin", "cos")]


def frame(when=WHEN, **columns):
    return pd.DataFrame({"a": NOISE[: len(when), 0], "when": when, "b": NOISE[: len(when), 1], **columns})


def by_hand(when=WHEN):
    """Return the frame with the date as numbers, in the order in which the package has them."""
    leap_day = pd.to_datetime("2024-" + when.dt.strftime("%m-%d")).dt.dayofyear - 1
    day = (when - when.dt.normalize()).dt.total_seconds() / 86400
    turns = [f(2 * np.pi * t) for t in (day, when.dt.weekday / 7, leap_day / 366) for f in (np.sin, np.cos)]
    return frame((when - when.min()).dt.total_seconds(), **dict(zip(CYCLES, turns, strict=True)))


def passed(X, **params):
    """Return what passes through, by name: the columns as the network sees them."""
    embedder = quick(max_epochs=0, **params).fit(X)
    names = embedder.get_feature_names_out()
    table = pd.DataFrame(embedder.transform(X), columns=names)
    return table[[name for name in names if not name.startswith("gcaembedder")]]


@situation("a date is what its elapsed time and cycles are, given by hand")
def _():
    found, wanted = passed(frame()), passed(by_hand())
    assert list(found) == list(wanted) == ["a", "when", "b", *CYCLES]
    assert_close(found.to_numpy(), wanted.to_numpy(), SINGLE)


@situation("labels depend on hour, weekday and trend of a date")
def _():
    for y in (OFFICE, LATE):
        embedder = GCAEmbedder(16, passthrough=False, max_epochs=5, random_state=0).fit(frame()[:300])
        probe = LogisticRegression(max_iter=1000).fit(embedder.transform(frame()[:300]), y[:300])
        assert_within(probe.score(embedder.transform(frame()[300:]), y[300:]), 1.0, 0.25)  # chance is 0.5 to 0.7


@situation("dates with gaps have an indicator")
def _():
    gaps = WHEN.where(np.arange(N) % 9 > 0)
    table = passed(frame(gaps))
    assert list(table) == ["a", "when", "b", *CYCLES, "missingindicator_when"]
    assert table["missingindicator_when"].tolist() == [float(k % 9 == 0) for k in range(N)]
    assert (table.loc[::9, ["when", *CYCLES]] == 0).all(axis=None)


@situation("dates of pandas, polars, numpy and Python are read alike")
def _():
    wanted = passed(frame()).to_numpy()
    others = {
        "polars": pl.DataFrame({"a": NOISE[:, 0], "when": WHEN, "b": NOISE[:, 1]}),
        "objects": frame(WHEN.astype(object)),
        "an array of objects": frame().to_numpy(dtype=object),
        "lists": [list(row) for row in frame().itertuples(index=False)],
        "seconds": frame(WHEN.astype("M8[s]")),
    }
    for X in others.values():
        assert_close(passed(X).to_numpy(), wanted, SINGLE)


@situation("dates are columns of an array of datetime64")
def _():
    X = np.column_stack([WHEN.to_numpy(), WHEN.to_numpy() + np.timedelta64(36, "h")]).astype("M8[s]")
    embedder = quick().fit(X)
    names = embedder.get_feature_names_out().tolist()
    assert names[6:] == ["x0", "x1", *(f"x{k}{name[4:]}" for k in range(2) for name in CYCLES)]
    assert np.isfinite(embedder.transform(X)).all()


@situation("a zone is that of fit, and another zone is converted")
def _():
    tokyo = WHEN.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
    embedder = quick().fit(frame(tokyo))
    assert_close(passed(frame(tokyo))[CYCLES].to_numpy(), passed(frame(tokyo.dt.tz_localize(None)))[CYCLES], SINGLE)
    for other in (tokyo.dt.tz_convert("America/New_York"), tokyo.dt.tz_convert("UTC").astype(object)):
        assert_close(embedder.transform(frame(other)), embedder.transform(frame(tokyo)), SINGLE)
    with pytest.raises(ValueError, match="Column 'when' had the time zone 'Asia/Tokyo' in fit, and now has none"):
        embedder.transform(frame())


@situation("durations and times of day beside numbers")
def _():
    X = frame((WHEN - WHEN.min()), clock=WHEN.dt.time)
    table = passed(X)
    assert list(table) == ["a", "when", "b", "clock_hour_sin", "clock_hour_cos"]
    assert_close(table["when"], passed(by_hand())["when"], SINGLE)
    assert_close(table["clock_hour_sin"], passed(by_hand())["when_hour_sin"], SINGLE)


@situation("periods of months")
def _():
    months = WHEN.dt.to_period("M")
    assert list(passed(frame(months))) == ["a", "when", "b", "when_day_of_year_sin", "when_day_of_year_cos"]
    assert_close(passed(frame(months))["when"], passed(by_hand(months.dt.to_timestamp()))["when"], SINGLE)


@situation("names of cycles that columns have already")
def _():
    X = frame(WHEN.dt.normalize()).assign(when_weekday_sin=NOISE[:, 0])
    names = quick(max_epochs=0).fit(X).get_feature_names_out().tolist()
    assert len(set(names)) == len(names)
    assert {"when_weekday_sin", "when_weekday_cos"} <= set(names)


@situation("views swap a date with all of its cycles")
def _():
    seen = []

    def record(batch, generator):
        seen.append(batch.clone())
        return batch

    X = frame(city=list("uvwx") * (N // 4))
    rates = ColumnCorruption([0.0, 0.5, 0.0, 0.5])  # one for each column of X
    quick(views=[Compose(rates, record), "clean"], batch_size=N, max_epochs=1).fit(X)
    embedder = quick(max_epochs=0).fit(X)
    rows = {tuple(row): k for k, row in enumerate(embedder.reader_.read(X)[:, [1, *range(4, 10)]].tolist())}
    (batch,) = [batch for batch in seen if len(batch) == N]
    sources = [rows[tuple(row)] for row in batch[:, [1, *range(4, 10)]].tolist()]  # each is the date of one row
    places = {value: k for k, value in enumerate(embedder.reader_.read(X)[:, 0].tolist())}
    moved = [source != places[value] for source, value in zip(sources, batch[:, 0].tolist(), strict=True)]
    assert_within(np.mean(moved), 0.5, 0.15)


@situation("every view of tables takes dates")
def _():
    X = frame(WHEN.where(np.arange(N) % 9 > 0), city=list("uvwx") * (N // 4))
    for name in ("corruption", "noise", "dropout", "mixup"):
        embedder = quick(views=name, numeric_embedding="periodic", max_epochs=1).fit(X)
        assert np.isfinite(embedder.transform(X)).all()
        assert np.isfinite(embedder.score(X))
        inputs = embedder.reader_.read(X)
        seen, _ = embedder.net_.views(inputs, torch.Generator().manual_seed(0))
        changed = (seen != inputs) & ~inputs.isnan()
        assert changed[:, [1, *range(4, 10)]].any(dim=0).all(), name
        if name in ("noise", "mixup"):
            assert not changed[:, 3].any()  # of categories
        else:
            assert set(seen[:, 3].tolist()) <= {0.0, 1.0, 2.0, 3.0, 4.0}
        if name == "dropout":
            assert torch.equal((seen == 0)[:, [1] * 6], (seen == 0)[:, 4:])


@situation("dates are kept by files, pickles and parts of a stream")
def _():
    tokyo = WHEN.dt.tz_localize("Asia/Tokyo")
    X = frame(tokyo, step=WHEN - WHEN.min(), clock=WHEN.dt.time)
    embedder = quick().partial_fit(X[:200])
    learned = embedder.reader_.get_state()["dates"]
    embedder.partial_fit(X[200:])
    assert embedder.reader_.get_state()["dates"] == learned
    wanted = embedder.transform(X)
    with TemporaryDirectory() as folder:
        embedder.save(f"{folder}/model")
        opened = GCAEmbedder.load(f"{folder}/model")
    for other in (opened, pickle.loads(pickle.dumps(embedder))):
        assert_close(other.transform(X), wanted, SINGLE)
        assert other.get_feature_names_out().tolist() == embedder.get_feature_names_out().tolist()
        assert other.reader_.get_state()["dates"] == learned


@situation("dates do not go into an ONNX graph")
def _():
    pytest.importorskip("onnxscript")
    with TemporaryDirectory() as folder, pytest.raises(SavedFileError, match=r"ONNX cannot read .*'when' \(date\)"):
        quick().fit(frame()).export_onnx(f"{folder}/model.onnx")


@situation("a column of dates that fit saw empty, and one that is empty later")
def _():
    nothing = pd.Series([pd.NaT] * N)
    for when in (nothing, nothing.astype(object)):
        embedder = quick().fit(frame(when))
        assert_close(embedder.transform(frame()), embedder.transform(frame(when)), SINGLE)
        later = quick().fit(frame())
        assert np.isfinite(later.transform(frame(when))).all()


@situation("dates written as text")
def _():
    texts = WHEN.dt.strftime("%Y-%m-%d %H:%M")
    with pytest.warns(UserWarning, match=r"Column 'when' holds dates as text.*pandas.to_datetime"):
        quick(max_epochs=0).fit(frame(texts))
    with pytest.raises(ValueError, match=r"Column 'when' held dates in fit.*pandas.to_datetime"):
        quick(max_epochs=0).fit(frame()).transform(frame(texts))


@situation("dates as objects of several kinds")
def _():
    days = pd.Series([value.date() if k % 2 else value for k, value in enumerate(WHEN.dt.normalize())], dtype=object)
    assert_close(passed(frame(days)).to_numpy(), passed(frame(WHEN.dt.normalize())).to_numpy(), SINGLE)
    with pytest.raises(ValueError, match="Column 'when' mixes types"):
        quick().fit(frame(pd.Series([WHEN[0], dt.timedelta(1)] * (N // 2), dtype=object)))


@situation("durations as objects of numpy, in another unit later")
def _():
    hours = RNG.integers(0, 100, N)
    of_hours, of_seconds = (
        frame(pd.Series([np.timedelta64(int(factor * value), unit) for value in hours], dtype=object))
        for unit, factor in (("h", 1), ("s", 3600))
    )
    embedder = quick().fit(of_hours)
    assert embedder.reader_.held == ["number", "duration", "number"]
    assert_close(embedder.transform(of_seconds), embedder.transform(of_hours), SINGLE)
    assert_close(passed(of_hours)["when"], passed(frame(pd.Series(hours)))["when"], SINGLE)
