from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from skgca._utils.missing import is_missing, is_unlabelled

MISSING = [None, float("nan"), np.nan, np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), np.timedelta64("NaT")]
MISSING += [Decimal("NaN"), complex("nan")]
THERE = ["", "nan", "-1", 0, 1.5, True, False, np.bool_(False), np.float32(2), np.int8(3), Decimal(1), float("inf")]
THERE += [datetime(2020, 1, 1), date(2020, 1, 1), pd.Timestamp("2020"), np.str_("a"), np.array([np.nan, 1.0]), (1, 2)]


@pytest.mark.parametrize("value", MISSING, ids=repr)
def test_what_is_missing(value):
    assert is_missing(value) is True
    assert is_unlabelled(value) is True


@pytest.mark.parametrize("value", THERE, ids=repr)
def test_what_is_there(value):
    assert is_missing(value) is False


@pytest.mark.parametrize("value", [-1, -1.0, np.int8(-1), np.float32(-1), Decimal(-1)], ids=repr)
def test_minus_one_is_no_label_but_not_missing(value):
    assert is_unlabelled(value) is True
    assert is_missing(value) is False


@pytest.mark.parametrize("value", ["-1", "", 0, 1, -2, False, 0.5, pd.Timestamp("2020")], ids=repr)
def test_labels(value):
    assert is_unlabelled(value) is False
