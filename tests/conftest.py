"""Settings that must stand before scipy is imported, and fixtures for all tests."""

import os

import pytest
import torch

# Without it scikit-learn skips its array API check. scipy reads it when it is first imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")


def pytest_collection_modifyitems(items):
    """Skip what is marked ``cuda`` where there is no CUDA device."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
