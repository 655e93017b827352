"""Data as people have them: each situation is read rightly, or refused by name with a remedy."""

import pytest

from . import containers, dates, labels, stacks, tables, torch_state  # noqa: F401 (they register their situations)
from .registry import SITUATIONS


@pytest.mark.parametrize("name", SITUATIONS)
def test_situation(name):
    SITUATIONS[name]()
