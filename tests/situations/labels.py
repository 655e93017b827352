"""Situations: labels, values, domains and groups."""

import datetime
import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from sklearn.model_selection import GridSearchCV, KFold, PredefinedSplit, cross_val_score

from skgca._data.effects import check_effects
from skgca.inspection import EmbeddingDisplay
from skgca.inspection._groups import unknown
from skgca.metrics import SCORERS, corrupt_cells, knn_probe_score, linear_probe_score, make_embedding_scorer
from skgca.model_selection import GCASearchCV
from skgca.ot import sinkhorn, sinkhorn_embeddings

from ..models import quick
from ..numerics import DOUBLE, NETWORK, assert_close, assert_within, error
from .registry import situation

X, DIGIT = (part[:300] for part in load_digits(return_X_y=True))
Z = PCA(5, random_state=0).fit_transform(X)
FEW = np.where(np.arange(300) % 3 == 0, DIGIT, -1)  # two of three rows have no label
KNOWN = FEW >= 0
PROBES = {"linear_probe": linear_probe_score, "knn_probe": partial(knn_probe_score, n_neighbors=3)}


def forms_of(labels):
    """The same labels in the containers and with the marks that people use."""
    missing = labels == -1
    numbers = [None if no else int(label) for label, no in zip(labels, missing, strict=True)]
    text = [None if number is None else f"digit {number}" for number in numbers]
    return {
        "floats of -1": labels.astype(float),
        "NaN": np.where(missing, np.nan, labels),
        "list of None": numbers,
        "text and None": text,
        "text and NaN": np.array([np.nan if name is None else name for name in text], dtype=object),
        "text and -1": np.array([-1 if name is None else name for name in text], dtype=object),
        "Int64": pd.Series(numbers, dtype="Int64"),
        "string": pd.Series(text, dtype="string"),
        "category": pd.Series(text, dtype="category"),
        "polars numbers": pl.Series(numbers),
        "polars text": pl.Series(text),
        "a column": pd.DataFrame({"label": labels}),
    }


# Unlabelled rows


@situation("probes of rows of which few have a label, in any form")
def probes_leave_out_unlabelled_rows():
    for name, probe in PROBES.items():
        expected = probe(Z[KNOWN], FEW[KNOWN])
        assert probe(Z, FEW) == expected, name
        for form, labels in forms_of(FEW).items():
            assert probe(Z, labels) == expected, (name, form)
        held_out = probe(Z[:200], FEW[:200], Z_test=Z[200:], y_test=FEW[200:])
        train, test = KNOWN & (np.arange(300) < 200), KNOWN & (np.arange(300) >= 200)
        assert held_out == probe(Z[train], FEW[train], Z_test=Z[test], y_test=FEW[test]), name


@situation("row numbers of splits are those of all rows, labelled or not")
def row_numbers_of_splits():
    rows = np.arange(300)
    expected = linear_probe_score(Z[:150][KNOWN[:150]], FEW[:150][KNOWN[:150]], Z_test=Z[150:], y_test=FEW[150:])
    for split in ((rows[:150], rows[150:]), (rows < 150, rows >= 150)):
        assert linear_probe_score(Z, FEW, cv=[split]) == expected
    assert linear_probe_score(Z, FEW, cv=PredefinedSplit(np.where(rows < 150, -1, 0))) == expected
    with pytest.raises(ValueError, match="Split 0 of cv has no labelled row among its test rows"):
        linear_probe_score(Z, FEW, cv=[(rows, np.flatnonzero(~KNOWN))])


@situation("a search by a probe, with unlabelled rows in each fold")
def searches_leave_out_unlabelled_rows():
    folds, scorer = KFold(2, shuffle=True, random_state=0), make_embedding_scorer(knn_probe_score, inputs="Zy", cv=2)
    found = cross_val_score(PCA(5, random_state=0), X, FEW, scoring=scorer, cv=folds)
    for (train, test), score in zip(folds.split(X), found, strict=True):
        rows = test[KNOWN[test]]
        embedded = PCA(5, random_state=0).fit(X[train]).transform(X[rows])
        assert_close(score, knn_probe_score(embedded, FEW[rows], cv=2), DOUBLE)
    for search in (GridSearchCV, GCASearchCV):
        settings = {"param_grid": {"epsilon": [0.2, 0.5]}, "scoring": scorer, "cv": folds, "error_score": "raise"}
        first, second = (
            search(quick(max_epochs=1), **settings).fit(X, labels).cv_results_["mean_test_score"]
            for labels in (FEW, np.where(KNOWN, FEW, np.nan))
        )
        assert np.array_equal(first, second)


@situation("a scorer of labels by a function of one's own")
def own_measures_get_labelled_rows():
    scorer = make_embedding_scorer(silhouette_score, inputs="Zy")
    expected = scorer(PCA(5, random_state=0).fit(X), X[KNOWN], FEW[KNOWN])
    for labels in (FEW, *forms_of(FEW).values()):
        assert_close(scorer(PCA(5, random_state=0).fit(X), X, labels), expected, DOUBLE, scale=1)
    frames = PCA(5, random_state=0).set_output(transform="pandas").fit(X)
    assert_close(scorer(frames, X, FEW), expected, DOUBLE, scale=1)


@situation("a fold without a label")
def a_fold_without_a_label():
    for scorer in (SCORERS["linear_probe"], SCORERS["knn_probe"], make_embedding_scorer(silhouette_score, inputs="Zy")):
        for labels in (np.full(300, -1), np.full(300, np.nan), [None] * 300):
            with pytest.raises(ValueError, match="y holds no label: all of its 300 entries are -1, None or NaN"):
                scorer(PCA(5).fit(X), X, labels)
    rare = np.where(np.arange(300) < 15, DIGIT, -1)  # one or two rows of each class
    with pytest.raises(ValueError, match="n_splits=5 cannot be greater than the number of members in each class"):
        linear_probe_score(Z, rare)


@situation("values of a regression, some of them unknown, or -1")
def values_of_a_regression():
    values = X[:, 20] - 1  # whole numbers from -1 on
    gaps = np.where(KNOWN, values, np.nan)
    assert (values == -1).any()
    for probe in PROBES.values():
        expected = probe(Z[KNOWN], values[KNOWN], task="regression")
        assert probe(Z, gaps, task="regression") == expected
        assert probe(Z, gaps + 0.5) == probe(Z[KNOWN], values[KNOWN] + 0.5)  # fractions, told by themselves
        with pytest.raises(ValueError, match="y holds no label: all of its 300 entries are None or NaN"):
            probe(Z, np.full(300, np.nan), task="regression")
    own = make_embedding_scorer(lambda Z, y, task: float(np.corrcoef(Z[:, 0], y)[0, 1]), inputs="Zy", task="regression")
    with pytest.raises(ValueError, match="y holds no label: all of its 300 entries are None or NaN"):
        own(PCA(5).fit(X), X, np.full(300, np.nan))
    scorer = make_embedding_scorer(linear_probe_score, inputs="Zy", task="regression")
    expected = linear_probe_score(Z, values, task="regression")
    assert_close(scorer(PCA(5, random_state=0).fit(X), X, values), expected, DOUBLE, scale=1)


@situation("classes of which -1 is one")
def minus_one_as_a_class():
    for labels in (np.where(DIGIT > 4, 1, -1), np.where(DIGIT > 4, 1.0, -1.0), DIGIT % 5 - 2):
        for score in (linear_probe_score, knn_probe_score, lambda Z, y: quick(target="labels").fit(Z, y)):
            with pytest.raises(ValueError, match=r"y holds (one class only, 1|-1 and other negative).*LabelEncoder"):
                score(Z, labels)


@situation("pictures of rows of which few have a label")
def pictures_of_unlabelled_rows():
    for form, labels in forms_of(FEW).items():
        assert unknown(np.asarray(labels).ravel()).tolist() == (~KNOWN).tolist(), form
    assert not unknown(np.array([-1.0, 0.5])).any()  # a measurement
    display = EmbeddingDisplay(Z[:, :2], y=np.where(KNOWN, FEW, -1.0)).plot()
    drawn = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert drawn == ["unknown", *(str(float(k)) for k in range(10))]


# Values

DAYS = 3 * (X @ np.arange(64)).astype(int) % 4001  # as varied as an age in days
DATES = np.datetime64("2021-03-01") + DAYS.astype("m8[D]")
SPREAD = 86400 * float(DAYS.std())


def first_loss(y=None, *, params, **metadata):
    """Mean loss of the first epoch."""
    return quick(**{**params, "max_epochs": 1}).fit(X, y, **metadata).history_[0]["loss"]


@situation("dates, times and durations as y of target='continuous'")
def times_as_values():
    params = {"target": "continuous", "sigma": SPREAD}
    expected = first_loss(DAYS * 86400, params=params)
    assert error(expected, first_loss(params={})) > 0.1
    stamps = pd.Series(DATES.astype("M8[ns]"))
    moments = [stamp.to_pydatetime() for stamp in stamps]
    forms = {
        "days": DATES,
        "nanoseconds": stamps,
        "in a zone": stamps.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
        "Timestamps": list(stamps),
        "datetimes": moments,
        "datetimes in a zone": [moment.replace(tzinfo=datetime.timezone.utc) for moment in moments],
        "dates": [moment.date() for moment in moments],
        "periods": stamps.dt.to_period("D"),
        "durations": stamps - stamps.min(),
        "timedeltas": [datetime.timedelta(days=int(days)) for days in DAYS],
        "Arrow": stamps.astype("timestamp[us][pyarrow]"),
        "polars datetimes": pl.Series(moments),
        "polars dates": pl.Series([moment.date() for moment in moments]),
        "polars durations": pl.Series([datetime.timedelta(days=int(days)) for days in DAYS]),
        "a column": pd.DataFrame({"when": stamps}),
    }
    for values in forms.values():
        assert_close(first_loss(values, params=params), expected, NETWORK)
    gaps = first_loss(np.where(KNOWN, DAYS * 86400.0, np.nan), params=params)
    for form in (stamps.where(KNOWN), np.where(KNOWN, DATES, np.datetime64("NaT")), list(stamps.where(KNOWN))):
        assert_close(first_loss(form, params=params), gaps, NETWORK)


@situation("times that only differ far behind the point")
def precise_times():
    nanoseconds = np.datetime64("2024-01-01T00:00:00", "ns") + DAYS.astype("m8[ns]")
    expected = first_loss(DAYS * 1e-9, params={"target": "continuous", "sigma": SPREAD * 1e-9 / 86400})
    found = first_loss(nanoseconds, params={"target": "continuous", "sigma": SPREAD * 1e-9 / 86400})
    assert_close(found, expected, NETWORK)


@situation("times as y of a callable, and as groups of one")
def times_for_a_callable():
    seen = []

    def same_week(seconds):
        seen.append(seconds)
        return ((seconds[:, None] - seconds).abs() < 7 * 86400).double()

    by_seconds = first_loss(DATES.astype("M8[s]").astype(float), params={"target": same_week})
    by_dates = first_loss(DATES, params={"target": same_week})
    assert by_dates == by_seconds
    assert min(float(seconds.min()) for seconds in seen) > 1.6e9  # since 1970, in double precision
    related = [
        first_loss(params={"related": lambda t: same_week(t) > 0}, sample_group=times)
        for times in (DATES.astype("M8[s]").astype(float), pd.Series(DATES.astype("M8[ns]")))
    ]
    assert related[0] == related[1]
    weeks = DATES.astype("M8[W]")  # as classes, they are compared for equality
    assert first_loss(weeks, params={"target": "labels"}) == first_loss(
        weeks.astype(int) + 1, params={"target": "labels"}
    )
    unknown_weeks = np.where(KNOWN, weeks, np.datetime64("NaT"))
    assert first_loss(unknown_weeks, params={"target": "labels"}) == first_loss(
        np.where(KNOWN, weeks.astype(int) + 1, -1), params={"target": "labels"}
    )


@situation("numbers as text, text and mixed values as y of target='continuous'")
def text_as_values():
    params = {"target": "continuous", "sigma": 500.0}
    expected = first_loss(DAYS, params=params)
    text = [str(days) for days in DAYS]
    for values in (
        text,
        np.array(text),
        np.array(text, dtype=object),
        pd.Series(text, dtype="string"),
        pl.Series(text),
    ):
        assert first_loss(values, params=params) == expected
    moment, aware = datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    cases = {
        "y holds '2021-03-01', where numbers are read.*pandas.to_datetime": ["2021-03-01", *text[1:]],
        "y mixes times with other values": [moment, *DAYS[1:].tolist()],
        "y mixes.*dates and durations": [moment, *[datetime.timedelta(1)] * 299],
        "y mixes.*dates with and without a zone": [moment, *[aware] * 299],
    }
    for message, values in cases.items():
        with pytest.raises(ValueError, match=message):
            first_loss(values, params=params)


@situation("values of more rows than single precision can number")
def values_of_very_many_rows():
    values = torch.zeros(2**24 + 4)
    values[-1] = 1e9  # the only one by which the scale can be told
    with pytest.warns(UserWarning, match="sigma=1 is too small for the values of y"):
        check_effects({"target": values}, target="continuous", sigma=1.0, y=None, domain=None, group=None)


@situation("values of y far larger or smaller than sigma")
def values_of_another_scale():
    cases = {"too small": (DAYS * 1e6, DATES, DAYS + 1e9), "too large": (DAYS * 1e-6, DAYS * 1e-9 + 5.0)}
    for problem, values in cases.items():
        for y in values[: 2 if problem == "too small" else None]:
            with pytest.warns(UserWarning, match=f"sigma=1 is {problem} for the values of y.*set sigma") as caught:
                first_loss(y, params={"target": "continuous"})
            advised = float(str(caught[0].message).rpartition("sigma=")[2].rstrip("."))
            with warnings.catch_warnings():  # the advice is taken without another warning
                warnings.simplefilter("error", UserWarning)
                found = first_loss(y, params={"target": "continuous", "sigma": advised})
            assert error(found, first_loss(params={})) > 0.05
    assert first_loss(DAYS + 1e9, params={"target": "continuous", "sigma": 500.0}) == first_loss(
        DAYS, params={"target": "continuous", "sigma": 500.0}
    )


@situation("values of y that are all equal")
def equal_values():
    for values in (np.full(300, 5.0), np.full(300, DATES[0]), np.where(KNOWN, 2.0, np.nan), np.ones((300, 2))):
        with pytest.raises(ValueError, match=r"y holds one value only for [13]00 of 300 rows"):
            quick(target="continuous").fit(X, values)


# Classes, domains and groups that say nothing

ROW = np.arange(300)


@situation("a class, a domain or a group of its own for each row")
def one_of_each():
    for values in (ROW, ROW.astype(str), ROW * 5 + 3.0):
        with pytest.raises(ValueError, match=r"y holds a class of its own for each of 300 rows.*target='continuous'"):
            quick(target="labels").fit(X, values)
        with pytest.raises(ValueError, match="sample_domain holds a domain of its own for each of 300 rows"):
            quick(target="domains").fit(X, sample_domain=values)
        with pytest.warns(UserWarning, match="sample_group holds a group of its own for each of 300 rows"):
            assert_close(first_loss(params={}, sample_group=values), first_loss(params={}), NETWORK)
    with pytest.warns(UserWarning, match="y holds a class of its own for each of 10 rows.*Label more rows"):
        assert_close(
            first_loss(np.where(ROW < 10, ROW, -1), params={"target": "labels"}), first_loss(params={}), NETWORK
        )


@situation("one domain or group for all rows")
def one_for_all():
    for values in (ROW * 0, ["lab"] * 300, np.where(KNOWN, 3, -1)):
        with pytest.raises(ValueError, match=r"sample_domain holds one domain only for [13]00 of 300 rows"):
            quick(target="domains").fit(X, sample_domain=values)
    with pytest.raises(ValueError, match="sample_group holds one group only"):
        quick().fit(X, sample_group=ROW * 0)


@situation("domains and groups of which -1 is one, as in skada")
def signed_domains():
    for signs in (np.where(KNOWN, 1, -1), np.where(KNOWN, 1.0, -1.0)):
        with pytest.raises(ValueError, match=r"sample_domain holds one domain only.*skada, encode domains from 0"):
            quick(target="domains").fit(X, sample_domain=signs)
        with pytest.warns(UserWarning, match="sample_group holds one group only, and 200 rows of -1"):
            first_loss(params={}, sample_group=signs)
    for domains in ([2, 3, -1], [1, 2, -1]):
        with pytest.warns(UserWarning, match="sample_domain marks 100 rows by -1.*skada, encode domains from 0"):
            first_loss(params={"target": "domains"}, sample_domain=np.array(domains)[ROW % 3])
    for name, params in (("sample_domain", {"target": "domains"}), ("sample_group", {})):
        with pytest.raises(ValueError, match=f"{name} holds -1 and other negative numbers, such as -2"):
            quick(**params).fit(X, **{name: np.array([-1, -2, 3])[ROW % 3]})
        several = np.array([1, -2, 3])[ROW % 3]  # without -1, negative numbers are domains like others
        assert_close(
            first_loss(params=params, **{name: several}), first_loss(params=params, **{name: several + 2}), NETWORK
        )


# Masses


@situation("transport between masses of different totals")
def masses_of_different_totals():
    scores, a, b = -torch.rand(6, 4), torch.full((6,), 1 / 6), torch.full((4,), 0.5)
    message = r"a has a total mass of 1 and b of 2, and no plan has both marginals.*marginals=1.0"
    for tol in (None, 1e-6):
        with pytest.raises(ValueError, match=message):
            sinkhorn(scores, marginals="balanced", epsilon=1.0, b=b, tol=tol)
        with pytest.raises(ValueError, match=message):
            sinkhorn_embeddings(scores, scores[:4], marginals="balanced", epsilon=1.0, a=a, b=b, tol=tol)
    with pytest.raises(ValueError, match=r"a has a total mass of 1 and b of 1.001"):
        sinkhorn(scores, marginals="balanced", epsilon=1.0, a=a, b=b * 0.5005)
    for marginals in ("row", 1.0, (float("inf"), 1.0)):  # these have a solution
        plan = sinkhorn(scores, marginals=marginals, epsilon=1.0, a=a, b=b, tol=1e-5, n_iter=500)
        assert plan.converged, marginals
    for dtype in (torch.float64, torch.float16, torch.bfloat16):  # totals that differ by rounding
        masses = torch.rand(4, generator=torch.Generator().manual_seed(0)).to(dtype)
        plan = sinkhorn(scores, marginals="balanced", epsilon=1.0, a=a, b=masses / masses.sum(), n_iter=500)
        assert_within(plan.row_mass, a, 0.01)


@situation("view scorers on frames of polars and Arrow")
def view_scorers_on_frames():
    rows = slice(0, 60)
    frame = pd.DataFrame(Z[rows], columns=list("abcde")).assign(kind=np.array(list("uvw"))[ROW[rows] % 3])
    frame.loc[::7, "a"] = np.nan
    embedder = quick().fit(frame)
    expected = {name: SCORERS[name](embedder, frame) for name in ("view_retrieval", "view_information", "alignment")}
    table = pl.from_pandas(frame)
    kinds = pl.Enum(["u", "v", "w"])
    forms = [
        table,
        pa.Table.from_pandas(frame),
        *(table.with_columns(kind=pl.col("kind").cast(t)) for t in (kinds, pl.Categorical)),
    ]
    for form in forms:
        corrupted = corrupt_cells(form, 0)
        assert type(corrupted) is type(form)
        assert list(corrupted.schema) == list(form.schema)
        for name, score in expected.items():  # warnings are errors here
            assert_close(SCORERS[name](embedder, form), score, NETWORK)
    one = corrupt_cells(table[:1], 0)
    assert one.equals(table[:1])
