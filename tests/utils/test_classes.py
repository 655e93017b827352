import numpy as np
import pandas as pd
import pytest
import torch

from skgca._data.metadata import read_metadata
from skgca._utils.classes import class_codes, fractions_in, same_class, sorted_classes
from skgca.inspection._groups import groups_of

VALUES = [
    (np.array([3, -1, 5, 3]), [0, -1, 1, 0], [3, 5]),
    (np.array([3.0, np.nan, 5.0, -1.0]), [0, -1, 1, -1], [3.0, 5.0]),
    (np.array(["b", "a", "b", "c"]), [1, 0, 1, 2], ["a", "b", "c"]),
    (np.array(["b", None, 2, "b"], dtype=object), [1, -1, 0, 1], [2, "b"]),
    (np.array([2.0, 1, True, pd.NA], dtype=object), [1, 0, 0, -1], [1, 2.0]),
    (pd.array([1, None, 0, 1], dtype="Int64").to_numpy(dtype=object), [1, -1, 0, 1], [0, 1]),
    (np.array([True, False, True, True]), [1, 0, 1, 1], [False, True]),
]


@pytest.mark.parametrize(("values", "codes", "classes"), VALUES)
def test_classes_are_numbered_in_their_order(values, codes, classes):
    found, names = class_codes(values)
    assert found.tolist() == codes
    assert found.dtype == np.int64
    assert names == classes


@pytest.mark.parametrize(("values", "codes", "classes"), VALUES)
def test_fit_and_inspection_number_them_alike(values, codes, classes):
    none = {"related": None, "sample_domain": None, "sample_group": None}
    read = read_metadata(np.zeros((4, 1)), np.ones(4, dtype=bool), target="labels", y=values, **none)
    assert read["target"].tolist() == codes
    assert groups_of(values).codes.tolist() == codes


def test_rows_of_no_class_alone():
    codes, classes = class_codes(np.array([None, np.nan, -1], dtype=object))
    assert codes.tolist() == [-1, -1, -1]
    assert classes == []


def test_classes_that_cannot_be_compared_are_sorted_by_their_text():
    assert sorted_classes(["b", 3, "a", 10, 3]) == [10, 3, "a", "b"]


def test_fractions_are_told_from_whole_numbers():
    assert fractions_in(np.array([1.0, 0.5, np.nan, np.inf, -1.0, 2.25])) == [0.5, 2.25]
    assert fractions_in(np.array([1, None, np.float32(0.5), "0.5"], dtype=object)) == [0.5]
    assert fractions_in(np.array([1, 2])) == []


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_rows_of_no_class_share_none(kind):
    expected = [[True, False, True, False], [False] * 4, [True, False, True, False], [False, False, False, True]]
    assert same_class(kind([0, -1, 0, 1])).tolist() == expected
