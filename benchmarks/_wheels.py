"""What a machine that has torch and no network needs from elsewhere. Imports nothing that could be missing there.

The list is not kept by hand: it starts from the dependencies of pyproject.toml and from what the tests marked ``cuda``
and the benchmark import, and goes on with what each package says that it needs. Run it where all of them are installed.
"""

import ast
import re
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIRST = ("tests/conftest.py", "benchmarks/gpu.py", "benchmarks/_gpu.py")
EXTRAS = ("image",)  # of pyproject.toml, whose packages are imported when they are used
LEFT_OUT = {"torch"}  # with what torch alone needs


def requirements():
    """Return "name==version" of each package; versions are those of constraints.txt, else those that are here."""
    versions, found, waiting = pinned(), {}, direct()
    while waiting:
        name = waiting.pop()
        if name not in found and name not in LEFT_OUT:
            found[name] = versions.get(name) or installed(name)
            waiting += needed_by(name)
    return [f"{name}=={version}" if version else name for name, version in sorted(found.items())]


def pinned():
    """Versions of constraints.txt by name."""
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    return {normal(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)$", text, re.MULTILINE)}


def direct():
    """Names of the packages that the package, the benchmark and the tests marked ``cuda`` import themselves."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lists = [re.search(rf"^{key} = \[(.*?)\]$", text, re.DOTALL | re.MULTILINE)[1] for key in ("dependencies", *EXTRAS)]
    names = {normal(name) for each in lists for name in re.findall(r'"([\w.-]+)', each)}
    constrained = set(pinned())
    by_module = packages_of_modules()
    for module in imported():
        names |= {normal(name) for name in by_module.get(module, [])[:1]} or {normal(module)} & constrained
    return sorted(names - {"skgca"})


@cache
def packages_of_modules():
    """Names of the packages that are here, by module; it takes seconds, since it reads the lists of all their files."""
    return metadata.packages_distributions()


def imported():
    """Names of the modules from outside that the files import, and that the files of ours import which they import."""
    tests = (path for path in (ROOT / "tests").rglob("test_*.py") if "mark.cuda" in path.read_text(encoding="utf-8"))
    waiting, seen, modules = [*(ROOT / name for name in FIRST), *tests], set(), set()
    while waiting:
        path = waiting.pop()
        if path in seen or not path.exists():
            continue
        seen.add(path)
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            for name, origin in names_in(statement, path):
                waiting += [origin.with_suffix(".py"), origin / "__init__.py"]
                modules |= {name} - {""}
    return modules - set(sys.stdlib_module_names) - {"benchmarks", "skgca", "tests"}


def names_in(statement, path):
    """Pairs of the outermost module that a statement imports, "" for a relative one, and where its file would lie."""
    if isinstance(statement, ast.Import):
        return [(alias.name.partition(".")[0], ROOT / alias.name.replace(".", "/")) for alias in statement.names]
    if not isinstance(statement, ast.ImportFrom):
        return []
    parts = (statement.module or "").split(".")
    folder = path.parents[statement.level - 1] if statement.level else ROOT
    origin = folder.joinpath(*filter(None, parts))
    name = "" if statement.level else parts[0]
    return [(name, origin), *((name, origin / alias.name) for alias in statement.names)]


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def needed_by(name):
    """Names of what an installed package requires on this machine; nothing for one that is not here."""
    try:
        required = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    return [normal(re.match(r"[\w.-]+", line)[0]) for line in required if applies(line)]


def applies(requirement):
    """Whether a requirement holds here, without extras."""
    marker = requirement.partition(";")[2].strip()
    if not marker or "extra" in marker:
        return not marker
    try:
        from packaging.markers import Marker
    except ImportError:
        return True
    return Marker(marker).evaluate()


def missing():
    """Names of packages that are needed and are not here."""
    return [name for name in direct() if installed(name) is None]


def print_wheels():
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    print(f"# What skgca and its tests on CUDA need beside torch, for Python {version} on {sys.platform}.")
    print("# On a machine with network, with the same Python, in an environment of `make test`:")
    print("#     python -m benchmarks.gpu --wheels > wheels.txt")
    print("#     python -m pip download --no-deps --dest wheels --requirement wheels.txt")
    print("# On the machine with the GPU, beside wheels.txt and the folder wheels:")
    print("#     python -m pip install --no-index --find-links wheels/ --no-deps --requirement wheels.txt")
    print("#     make gpu")
    print("\n".join(requirements()))
