"""What X is converted to before its rows are fetched."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from skgca._data.conversion import converted, filled, plain_values


@pytest.mark.parametrize(
    ("values", "fill", "dtype"),
    [
        (np.array([1.0, 2.0], dtype=np.float32), np.nan, np.float32),
        (np.array([1, 2]), np.nan, np.float64),
        (np.array([True, False]), np.nan, np.float64),
        (np.array([2**60, 2**60 + 1]), None, object),
        (np.array(["a", "b"]), None, object),
        (np.array(["2020-01-01", "2021-01-01"], dtype="M8[D]"), np.datetime64("NaT"), "M8[D]"),
    ],
)
def test_masked_values_become_gaps_of_the_type(values, fill, dtype):
    gaps = filled(np.ma.array(values, mask=[False, True]))
    assert gaps.dtype == dtype
    assert gaps[0] == values[0]
    assert gaps[1] is None if fill is None else gaps[1] != gaps[1]
    assert np.array_equal(filled(np.ma.array(values)), values)
    assert filled(np.ma.array(values)).dtype == values.dtype


def test_values_of_rows_are_left_alone_unless_they_are_tensors_or_masked():
    values = [1, 2, None]
    assert plain_values(values) is values
    assert plain_values(None) is None
    assert isinstance(plain_values(torch.ones(3, requires_grad=True)), np.ndarray)
    assert np.isnan(plain_values(np.ma.array([1.0, 2.0], mask=[True, False]))[0])


def test_arrays_and_frames_are_not_copied():
    for X in (np.ones((3, 2)), scipy.sparse.csr_array(np.eye(3)), [[1, 2], [3, 4]]):
        assert converted(X) is X


def test_sparse_tensors_keep_their_values_and_places():
    dense = np.array([[0.0, 1.0], [2.0, 0.0], [0.0, 0.0]])
    found = converted(torch.from_numpy(dense).to_sparse())
    assert scipy.sparse.issparse(found)
    assert np.array_equal(found.toarray(), dense)


def test_a_frame_with_a_column_of_any_name_is_a_frame():
    frame = pd.DataFrame({"schema": [1.0], "keys": [2.0], "files": [3.0], "fragments": [4.0]})
    assert converted(frame) is frame
