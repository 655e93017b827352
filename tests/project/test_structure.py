"""The house plan: who may import whom, and what is public."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import skgca

PACKAGE = Path(skgca.__file__).parent

# A module imports only from lines above its own.
ROOMS = [
    "exceptions",
    "_version",
    "_compat",
    "_runtime",
    "_files",
    "metrics._checks",
    "metrics._geometry",
    "metrics._information",
    "metrics._neighbors",
    "metrics._consistency",
    "metrics._probes",
    "metrics._scorers",
    "metrics",
    "ot._costs",
    "ot._marginals",
    "ot._scores",
    "ot._memory",
    "ot._kernel",
    "ot._scaling",
    "ot._log_domain",
    "ot._implicit",
    "ot._gradient",
    "ot._plan",
    "ot._sinkhorn",
    "ot",
    "losses._epsilon",
    "losses._targets",
    "losses._divergences",
    "losses._alignment",
    "losses._presets",
    "losses._factory",
    "losses._multiview",
    "losses",
    "views._multi",
    "views._tabular",
    "views._callables",
    "views._images",
    "views._features",
    "views._series",
    "views._compose",
    "views",
    "encoders._mlp",
    "encoders._series",
    "encoders._stems",
    "encoders._readout",
    "encoders._head",
    "encoders._images",
    "encoders",
    "_gradient_cache",
    "_outliers",
    "_inputs._rows",
    "_inputs._batches",
    "_inputs._columns",
    "_inputs._scaling",
    "_inputs._tables",
    "_inputs._stacks",
    "_inputs",
    "_guard",
    "_momentum",
    "_net",
    "_callbacks",
    "_monitoring",
    "_checkpoints",
    "_annotations",
    "_architecture",
    "_augmentation",
    "_parameters",
    "_embed",
    "_scoring",
    "_build",
    "_fitting",
    "_cost",
    "_coding",
    "_blueprint",
    "_examples",
    "_state",
    "_saving",
    "_onnx",
    "_description",
    "_embedder",
    "model_selection._path",
    "model_selection._search",
    "model_selection",
    "inspection._drawing",
    "inspection._groups",
    "inspection._embedding",
    "inspection._plans",
    "inspection._report",
    "inspection._marginal_path",
    "inspection._training",
    "inspection._agreement",
    "inspection._stability",
    "inspection._transport",
    "inspection",
    "",
]
PUBLIC_ROOMS = [room for room in ROOMS if not room.rpartition(".")[2].startswith("_")]


def room_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {room_of(path): path for path in PACKAGE.rglob("*.py")}


def imports(room):
    """Rooms that a module imports from, whether by ``from .x import y`` or ``from . import x``."""
    path = MODULES[room]
    package = path.parent.relative_to(PACKAGE).parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = ".".join((*base, *(node.module.split(".") if node.module else ())))
            names = [f"{target}.{alias.name}".strip(".") for alias in node.names]
            yield from (name if name in MODULES else target for name in names)
        elif isinstance(node, ast.Import):
            assert not any(alias.name.startswith("skgca") for alias in node.names), f"{path}: import relatively"


def test_every_module_has_its_room():
    assert sorted(MODULES) == sorted(ROOMS)


def test_imports_point_only_upward():
    for room in ROOMS:
        for target in imports(room):
            assert ROOMS.index(target) < ROOMS.index(room), f"{room} imports {target}, which lies below it"


def test_private_scikit_learn_and_skorch_names_live_in_compat():
    for room in set(ROOMS) - {"_compat"}:
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


def test_importing_does_not_pull_in_what_is_drawn_or_optional():
    code = """
import sys, torch, sklearn, skorch
before = set(sys.modules)
import skgca
slow = {"matplotlib", "pandas", "polars", "kornia", "IPython", "torch._dynamo", "onnx", "skops"}
print(sorted(slow & (set(sys.modules) - before)))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_versions(capsys):
    skgca.show_versions()
    shown = capsys.readouterr().out
    for name in ("python", "scikit-learn", "torch", "skorch", "numpy", "CUDA"):
        assert name in shown
    assert skgca.__version__ in shown


def test_the_citation_is_of_this_version():
    assert f"version: {skgca.__version__}\n" in (PACKAGE.parent / "CITATION.cff").read_text()
