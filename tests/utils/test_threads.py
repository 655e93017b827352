import threading

import torch
from threadpoolctl import threadpool_info

from skgca._utils.threads import fixed_threads


def test_threads_are_fixed_and_put_back():
    before = torch.get_num_threads()
    other = before + 1
    with fixed_threads(other):
        assert torch.get_num_threads() == other
    assert torch.get_num_threads() == before


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_the_threads_of_blas_are_fixed_too_and_put_back():
    """Its threads spin for a while after each call: a fit on one thread took the processor time of one and a half."""
    before = blas_threads()
    with fixed_threads(1):
        assert blas_threads() == {1}
        with fixed_threads(2):
            assert blas_threads() == {2}
    assert blas_threads() == before
    with fixed_threads("auto"):
        assert blas_threads() == before


def test_threads_are_put_back_by_the_last_of_several_fits():
    before = torch.get_num_threads()
    inside, leave, seen = threading.Event(), threading.Event(), []

    def fit():
        with fixed_threads(before + 2):
            inside.set()
            leave.wait()
            seen.append(torch.get_num_threads())

    other = threading.Thread(target=fit)
    try:
        with fixed_threads(before + 2):
            other.start()
            inside.wait()
        leave.set()
        other.join()
        assert seen == [before + 2]  # the first to leave did not take the setting away from the other
    finally:
        torch.set_num_threads(before)
