"""The distributions build, hold what they should, and work where nothing else of this checkout is.

``SKGCA_DIST`` names a folder to build into, as ``make dist`` does; without it a temporary one is used.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import skgca

from .installed import data
from .test_snippets import PAGES

ROOT = Path(__file__).parents[2]
VERSION = skgca.__version__
MODULES = {path.relative_to(ROOT).as_posix() for path in (ROOT / "skgca").rglob("*.py")} | {"skgca/py.typed"}
BESIDE = {
    "CHANGELOG.md",
    "CITATION.cff",
    "LICENSE",
    "MANIFEST.in",
    "PKG-INFO",
    "README.md",
    "pyproject.toml",
    "setup.cfg",
}

pytestmark = pytest.mark.slow


def run(*command, **options):
    """Return what a command prints; what it said is shown where it fails."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Source distribution, the wheel built from it, and what was said meanwhile."""
    # From a copy, since setuptools writes beside the sources, and puts into an sdist what an earlier one listed.
    source = tmp_path_factory.mktemp("source") / "skgca"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "*.egg-info", "build", "dist", "__pycache__"))
    folder = Path(os.environ.get("SKGCA_DIST") or tmp_path_factory.mktemp("dist")).absolute()
    said = run(sys.executable, "-m", "build", "--outdir", folder, source)
    return folder / f"skgca-{VERSION}.tar.gz", folder / f"skgca-{VERSION}-py3-none-any.whl", said


def test_nothing_is_deprecated_and_the_metadata_are_valid(built):
    *paths, said = built
    assert "eprecat" not in said.replace("deprecated.py", "")  # the name of a module
    assert run(sys.executable, "-m", "twine", "--no-color", "check", "--strict", *paths).count("PASSED") == 2


def test_the_metadata_say_what_is_needed(built):
    with zipfile.ZipFile(built[1]) as wheel:
        found = Parser().parsestr(wheel.read(f"skgca-{VERSION}.dist-info/METADATA").decode())
    assert found["Version"] == VERSION
    assert found["License-Expression"] == "BSD-3-Clause"
    assert found["Requires-Python"] == ">=3.10"
    needed = {need for need in found.get_all("Requires-Dist") if ";" not in need}
    assert {need.split(">=")[0] for need in needed} == {
        "numpy",
        "safetensors",
        "scikit-learn",
        "scipy",
        "skorch",
        "threadpoolctl",
        "torch",
        "tqdm",
    }


def test_the_wheel_holds_the_package_alone(built):
    with zipfile.ZipFile(built[1]) as wheel:
        held = set(wheel.namelist())
    info = {name for name in held if name.startswith(f"skgca-{VERSION}.dist-info/")}
    assert held - info == MODULES
    assert f"skgca-{VERSION}.dist-info/licenses/LICENSE" in info


def test_the_source_distribution_holds_what_builds_the_wheel_and_no_more(built):
    with tarfile.open(built[0]) as sdist:
        held = {name.removeprefix(f"skgca-{VERSION}/") for name in (m.name for m in sdist.getmembers() if m.isfile())}
    assert {name for name in held if not name.startswith("skgca.egg-info/")} == MODULES | BESIDE


def test_the_installed_wheel_fits_each_kind_of_data_and_runs_the_readme(built, tmp_path):
    venv.create(tmp_path / "clean", with_pip=True)
    python = tmp_path / "clean" / ("Scripts" if os.name == "nt" else "bin") / "python"
    constraints = ("--constraint", ROOT / "constraints.txt")
    run(python, "-m", "pip", "install", "--quiet", *constraints, f"skgca[image] @ {built[1].as_uri()}", "pandas")
    run(python, "-m", "pip", "check")
    # -I: neither the folder of the script nor that of the process nor PYTHONPATH is looked into
    said = run(
        *(python, "-I", Path(__file__).with_name("installed.py")), input=json.dumps(PAGES["README.md"]), cwd=tmp_path
    )
    assert [line for line in data() if f"{line} (" not in said] == []
    assert f"{len(PAGES['README.md'])} snippets" in said
