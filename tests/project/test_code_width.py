"""Code on the pages and in docstrings has lines of at most 88 columns, which fit beside the sidebars of the site."""

import doctest
import inspect
import re

import pytest

from .test_docs import PAGES, ROOT
from .test_docstrings import public_callables

WIDTH = 88
FENCE = r"^( *)```python\n(.*?)^ *```"  # of Markdown


def too_wide(text, where):
    return [f"{where}:{k}: {line}" for k, line in enumerate(text.splitlines(), 1) if len(line) > WIDTH]


def code_of_page(path):
    """Code blocks of a page, everything else as empty lines, so that lines keep their numbers."""
    kept, text = [], path.read_text()
    end = 0
    for block in re.finditer(FENCE, text, re.MULTILINE | re.DOTALL):
        kept += [""] * text.count("\n", end, block.start(2))
        kept += [line.removeprefix(block[1]) for line in block[2].splitlines()]
        end = block.end(2)
    return "\n".join(kept)


def code_of_example(path):
    """Lines of an example without the text of the site: the docstring, and comments from a line "# %%" on."""
    text = path.read_text()
    docstring = re.match(r'(r?""".*?"""\n)', text, re.DOTALL)[1]
    kept, is_text = [""] * docstring.count("\n"), False
    for line in text.removeprefix(docstring).splitlines():
        is_text = line.startswith("#") and (is_text or line.startswith("# %%"))
        kept.append("" if is_text else line)
    return "\n".join(kept)


def doctests(public):
    """Code and outputs of a docstring, as the site shows them."""
    lines = []
    for example in doctest.DocTestParser().get_examples(inspect.getdoc(public) or ""):
        source = example.source.splitlines()
        lines += [f">>> {source[0]}", *(f"... {line}" for line in source[1:]), *example.want.splitlines()]
    return "\n".join(lines)


@pytest.mark.parametrize("path", [ROOT / "README.md", *PAGES], ids=lambda path: str(path.relative_to(ROOT)))
def test_code_of_pages(path):
    found = too_wide(code_of_page(path), path.relative_to(ROOT))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*/*.py")), ids=lambda path: path.name)
def test_examples(path):
    found = too_wide(code_of_example(path), path.relative_to(ROOT))
    assert not found, "\n".join(found)


def test_docstrings():
    found = [line for name, public in public_callables() for line in too_wide(doctests(public), name)]
    assert not found, "\n".join(found)


def test_code_is_found():
    assert "import skgca" in code_of_page(ROOT / "README.md") or "from skgca" in code_of_page(ROOT / "README.md")
    assert "GCAEmbedder(" in code_of_example(ROOT / "examples/start/plot_quickstart.py")
    assert "Optuna proposes" not in code_of_example(ROOT / "examples/losses/search_optuna.py")
    assert ">>> " in doctests(dict(public_callables())[":GCAEmbedder"])
    assert too_wide("x" * (WIDTH + 1), "here")
