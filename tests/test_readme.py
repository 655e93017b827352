"""Every Python snippet of the README runs."""

import re
from pathlib import Path

import pytest
from sklearn.datasets import load_iris

SNIPPETS = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[1] / "README.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_runs(snippet):
    names = {}
    exec(snippet, names)
    if "model" in names:
        X, y = load_iris(return_X_y=True)
        assert names["model"].set_params(gcaembedder__max_epochs=20).fit(X, y).score(X, y) > 0.8


def test_there_are_snippets():
    assert len(SNIPPETS) == 2
