"""What is public, and where private names of others may be used; import-linter holds who may import whom."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import skgca

PACKAGE = Path(skgca.__file__).parent
MODULES = {
    ".".join(part for part in path.relative_to(PACKAGE).with_suffix("").parts if part != "__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
PUBLIC_ROOMS = [name for name in MODULES if not any(part.startswith("_") for part in name.split("."))]


def test_private_scikit_learn_and_skorch_names_live_in_compat():
    for room in set(MODULES) - {"_utils.compat"}:
        for node in ast.walk(ast.parse(MODULES[room].read_text())):
            if isinstance(node, ast.ImportFrom) and not node.level and node.module.startswith(("sklearn", "skorch")):
                names = [*node.module.split("."), *(alias.name for alias in node.names)]
                assert not any(name.startswith("_") for name in names), f"{room}: {node.module} is private"


def test_what_a_public_module_lists_is_there_and_documented():
    for room in PUBLIC_ROOMS:
        module = importlib.import_module(f"skgca.{room}".rstrip("."))
        assert sorted(module.__all__) == sorted(set(module.__all__))
        for name in module.__all__:
            public = getattr(module, name)
            if callable(public):
                assert public.__doc__, name


@pytest.fixture(scope="module")
def said_by_a_new_process():
    """What is there after a plain import, in one process for two tests, since torch takes seconds to import."""
    names = [name for name in PUBLIC_ROOMS if name]
    code = f"""
import sys, torch, sklearn, skorch
before = set(sys.modules)
import skgca
slow = {{"matplotlib", "pandas", "polars", "kornia", "IPython", "torch._dynamo", "onnx", "skops"}}
print(sorted(slow & (set(sys.modules) - before)))
print("skgca.inspection" in sys.modules, "skgca.model_selection" in sys.modules)
print([name for name in {names} if getattr(skgca, name) is not sys.modules["skgca." + name]])
print([name for name in {names} if name not in dir(skgca)])
print("matplotlib" in sys.modules, hasattr(skgca, "matplotlib"))
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()


def test_importing_does_not_pull_in_what_is_drawn_or_optional(said_by_a_new_process):
    assert said_by_a_new_process[0] == "[]"


def test_public_modules_are_there_after_a_plain_import(said_by_a_new_process):
    assert said_by_a_new_process[1:] == ["False False", "[]", "[]", "False False"]


def test_versions(capsys):
    skgca.show_versions()
    shown = capsys.readouterr().out
    for name in ("python", "scikit-learn", "torch", "skorch", "numpy", "CUDA"):
        assert name in shown
    assert skgca.__version__ in shown


def test_the_citation_is_of_this_version():
    assert f"version: {skgca.__version__}\n" in (PACKAGE.parent / "CITATION.cff").read_text()
