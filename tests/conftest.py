"""Settings that must stand before torch and scipy are imported, markers, and fixtures for all tests."""

import gc
import os
from functools import partial

# One thread a process: pytest-xdist runs as many processes as there are cores, and small matrices gain nothing by more.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
# Without it scikit-learn skips its array API check. scipy reads it when it is first imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import pytest
import torch
from hypothesis import HealthCheck, settings
from sklearn.ensemble import ExtraTreesClassifier

from . import numerics

# The device of tests marked ``cuda``. SKGCA_CUDA=cpu rehearses them where there is none, to find mistakes of their own.
CUDA = os.environ.get("SKGCA_CUDA", "cuda")

# The same examples each time, however slow the machine is; `--hypothesis-profile=explore` draws others, and more.
settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", settings.get_profile("same"), derandomize=False, max_examples=1000)
settings.load_profile("same")


gc.disable()  # until all tests are collected, which makes millions of objects and hardly a cycle


def pytest_collection_finish():
    """Let collections of garbage pass over what importing and collecting made, which takes half a second each time."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items):
    """Mark what compares numbers as ``numerical``; skip what is marked ``cuda`` where there is no CUDA device."""
    for item in items:
        names = vars(item.module) if isinstance(item, pytest.Function) else ()  # a doctest has no module
        if set(numerics.COMPARISONS) & set(names):
            item.add_marker(pytest.mark.numerical)
        if item.get_closest_marker("cuda") and CUDA != "cpu" and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def cuda():
    """The device of tests marked ``cuda``."""
    return torch.device(CUDA)


@pytest.fixture
def few_trees(monkeypatch):
    """Let each forest of ``GCAClassifier`` have 5 trees in place of 100, which scikit-learn takes 65 ms to grow.

    For tests of what does not depend on the number. Others, and the examples of the docstrings, have all.
    """
    few = partial(ExtraTreesClassifier, n_estimators=5)
    monkeypatch.setattr("skgca._estimator.heads.ExtraTreesClassifier", few)


def pytest_sessionfinish():
    """Keep the margins of this process, if they are asked for."""
    numerics.write_margins()
