"""The Python snippets of the pages of docs/ run; test_dist.py runs that of the README, from the installed wheel."""

import re
from pathlib import Path
from unittest.mock import patch

import pytest
from sklearn.datasets import load_iris

from skgca.losses import PRESETS

from ..local_clusters import IGNORED_WARNINGS, needs_java, needs_packages

ROOT = Path(__file__).parents[2]
BUILT = {"_build", "auto_examples", "generated"}  # by sphinx
PATHS = [path.relative_to(ROOT) for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]]


def snippets(path):
    return re.findall(r"```python\n(.*?)```", (ROOT / path).read_text(), re.DOTALL)


PAGES = {path.as_posix(): snippets(path) for path in PATHS if not BUILT & set(path.parts)}


QUICK = "docs/develop/structure.md"
README = "README.md"  # takes 20 s, and is run once, by test_dist.py
LANDING = "docs/index.md"  # has the snippet of README.md
CLUSTERS = "docs/guide/clusters.md"  # has a test of its own
LAUNCHED = "docs/guide/distributed.md"  # scripts, which tests/clusters/test_launchers.py starts


RUN = [page for page, found in PAGES.items() if found and page not in (README, LANDING, CLUSTERS, LAUNCHED)]


@pytest.mark.parametrize(
    "page", [page if page == QUICK else pytest.param(page, marks=pytest.mark.slow) for page in RUN]
)
def test_the_snippets_of_a_page_run_in_their_order(page):
    names = {"__name__": "snippets"}
    with patch.dict(PRESETS):  # to which one page adds a loss
        for snippet in PAGES[page]:
            exec(snippet, names)
    if "model" in names:
        X, y = load_iris(return_X_y=True)
        assert names["model"].set_params(gcaembedder__max_epochs=20).fit(X, y).score(X, y) > 0.8


def test_the_landing_page_has_the_snippet_of_the_readme():
    assert PAGES[LANDING] == PAGES[README]


@pytest.mark.slow
@IGNORED_WARNINGS
def test_the_snippets_on_clusters_run_in_their_order():
    needs_packages()
    names = {"__name__": "snippets"}
    try:
        for snippet in PAGES[CLUSTERS]:
            if "pyspark" in snippet:  # the last one, for which a machine without java is skipped
                needs_java()
            exec(snippet, names)
    finally:
        close_clusters(names)


def close_clusters(names):
    """Close what the snippets started, if one of them failed before it did."""
    for name, method in {"client": "close", "cluster": "close", "ray": "shutdown", "spark": "stop"}.items():
        if name in names:
            getattr(names[name], method)()


def test_there_are_snippets():
    assert len(PAGES[README]) == 1
    assert len(PAGES["docs/guide/inputs.md"]) == 6


def test_to_add_something_takes_less_than_twenty_lines():
    assert len(PAGES["docs/develop/structure.md"]) == 3
    for snippet in PAGES["docs/develop/structure.md"]:
        assert sum(bool(line.strip()) for line in snippet.splitlines()) < 20
