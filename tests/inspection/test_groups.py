import numpy as np
import pandas as pd
import pytest

from skgca.inspection._groups import groups_of


@pytest.mark.parametrize(
    ("values", "codes", "names"),
    [
        (np.array([3, -1, 5, 3]), [0, -1, 1, 0], [3, 5]),
        (np.array([3.0, np.nan, 5.0, -1.0]), [0, -1, 1, -1], [3.0, 5.0]),
        (np.array(["b", "a", "b", "-1"]), [2, 1, 2, 0], ["-1", "a", "b"]),
        (np.array(["b", None, 2, "b"], dtype=object), [1, -1, 0, 1], [2, "b"]),
        (pd.array([1, None, 0, 1], dtype="Int64").to_numpy(dtype=object), [1, -1, 0, 1], [0, 1]),
        (np.array([True, False, True]), [1, 0, 1], [False, True]),
    ],
)
def test_groups_of_all_kinds_of_values(values, codes, names):
    groups = groups_of(values)
    assert groups.codes.tolist() == codes
    assert groups.names == names
    assert groups.indicators().sum(axis=1).tolist() == [float(code >= 0) for code in codes]


@pytest.mark.parametrize("values", [None, np.array([0.5, 1.0, -1.0]), np.array([-1, -1]), np.array([np.nan, np.nan])])
def test_measurements_and_nothing_are_no_groups(values):
    assert groups_of(values) is None
