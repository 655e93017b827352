"""The pages hang together: each is in a toctree, links lead somewhere, and the reference names all that is public."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

from .test_structure import PUBLIC_ROOMS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BUILT = {"_build", "auto_examples", "generated"}  # by sphinx
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if not BUILT & set(path.parts)]
LINKED = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *PAGES]
EXAMPLES = sorted((ROOT / "examples").glob("*/*.py"))


def toctree(page):
    """Files that the toctrees of a page name."""
    for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.splitlines():
            if line and not line.startswith(":"):
                yield (page.parent / f"{line}.md").resolve()


def links(page):
    """Targets of the relative links and pictures of a page, those in code left out."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"src=\"([^\"]+)\"", text):
        if not re.match(r"[a-z]+:|#", target):
            yield target.partition("#")[0]


def test_every_page_is_reached_by_toctrees():
    reached, left = set(), [DOCS / "index.md"]
    while left:
        page = left.pop()
        reached.add(page)
        if page.exists():
            left += set(toctree(page)) - reached
    reached.discard(DOCS / "auto_examples/index.md")  # sphinx-gallery makes it
    assert reached == set(PAGES)


def test_links_lead_to_files():
    for page in LINKED:
        for target in links(page):
            path = (page.parent / target).resolve()
            if path.is_relative_to(DOCS / "auto_examples") and path.name != "index.rst":  # made by sphinx-gallery
                path = ROOT / "examples" / path.relative_to(DOCS / "auto_examples").with_suffix(".py")
            assert path.exists() or path.name == "index.rst", f"{page}: {target}"


def test_links_are_found():
    assert "structure.md" not in list(links(DOCS / "develop/structure.md"))
    assert "decisions.md" in list(links(DOCS / "develop/structure.md"))


def words(page):
    """Number of words of a page that a reader sees, code among them, without its tables."""
    lines = page.read_text().splitlines()
    return sum(len(line.split()) for line in lines if not line.startswith(("|", "<!--")))


def test_the_pages_have_at_most_30_000_words():
    assert 10_000 < sum(map(words, LINKED)) <= 30_000


@pytest.mark.parametrize("folder", ["guide", "evidence"])
def test_each_page_has_a_picture_in_its_first_half(folder):
    for page in sorted((DOCS / folder).glob("*.md")):
        if page.name != "index.md":
            pictures = re.findall(r"^```\{plot\} /(pictures/\w+\.py)\n:alt: .+\n\n", page.read_text(), re.MULTILINE)
            assert pictures, page
            assert page.read_text().index(pictures[0]) < len(page.read_text()) / 2, page
            assert all((DOCS / picture).exists() for picture in pictures), page


def test_each_picture_is_on_a_page():
    shown = {
        name for page in PAGES for name in re.findall(r"^```\{plot\} (?:/|\.\./)?(\S+)", page.read_text(), re.MULTILINE)
    }
    modules = {"pictures/style.py", "pictures/tables.py"}  # which the others import
    assert {path.relative_to(DOCS).as_posix() for path in (DOCS / "pictures").glob("*.py")} == shown | modules


def test_the_gallery_has_an_order():
    ordered = re.findall(r"\"(\w+\.py)\"", (DOCS / "conf.py").read_text())
    assert {path.name for path in EXAMPLES} <= set(ordered), "add it to docs/conf.py"


def test_the_reference_has_all_that_is_public():
    for room in PUBLIC_ROOMS:
        page = (DOCS / "api" / f"{room or 'skgca'}.md").read_text()
        listed = re.findall(r"^   (\w+)$", page, re.MULTILINE) + re.findall(r"^\.\. data:: (\w+)$", page, re.MULTILINE)
        assert sorted(listed) == sorted(importlib.import_module(f"skgca.{room}".rstrip(".")).__all__), room


def public_objects():
    for room in PUBLIC_ROOMS:
        module = importlib.import_module(f"skgca.{room}".rstrip("."))
        for name in module.__all__:
            public = getattr(module, name)
            is_exception = inspect.isclass(public) and issubclass(public, Exception)
            if (inspect.isclass(public) or inspect.isfunction(public)) and not is_exception:
                yield f"{room}:{name}", public


def test_what_is_public_has_an_example():
    for name, public in public_objects():
        assert re.search(r"^Examples\n-{8}\n(?:.*\n)*?>>> ", inspect.getdoc(public), re.MULTILINE), name
