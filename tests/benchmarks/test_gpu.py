"""What ``make gpu`` needs of a machine, and that its sections run."""

from argparse import Namespace

import pytest

from benchmarks import _wheels
from benchmarks._gpu import REPORTS, Budget, Device, measure
from benchmarks.gpu import SECTIONS


def test_the_wheels_are_those_that_are_imported_and_what_they_need():
    found = dict(line.split("==") for line in _wheels.requirements())
    assert {"kornia", "numpy", "pytest", "safetensors", "scikit-learn", "skorch", "threadpoolctl"} <= set(found)
    assert {"iniconfig", "joblib", "tabulate"} <= set(found)  # which others need
    assert not {"torch", "sympy", "mypy", "sphinx", "skgca"} & set(found)
    assert all(found[name] == version for name, version in _wheels.pinned().items() if name in found)
    assert _wheels.missing() == []


def test_a_package_that_is_not_here_is_missing_by_its_version_of_the_constraints(monkeypatch):
    version = _wheels.installed
    monkeypatch.setattr(_wheels, "installed", lambda name: None if name in ("kornia", "pluggy") else version(name))
    assert _wheels.missing() == ["kornia"]
    assert f"kornia=={_wheels.pinned()['kornia']}" in _wheels.requirements()


def given(**options):
    return Namespace(
        **{"device": "cpu", "quick": True, "rounds": 1, "sizes": [16], "minutes": 1.0, "what": None, **options}
    )


def test_the_losses_are_timed_and_what_takes_too_long_is_named(capsys):
    measure(given(what=["losses"]))
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("| `") for line in lines) == 18
    REPORTS["losses"][0](given(), Device("cpu"), Budget(-1))
    assert "| `ince` 0.5 | no time |" in capsys.readouterr().out
    assert set(REPORTS) == set(SECTIONS)


@pytest.mark.slow
def test_all_sections_run(capsys):
    measure(given(what=list(SECTIONS)))
    out = capsys.readouterr().out
    for title in ("Steps: reads", "Steps: of default fits", "Precision:", "Losses: time"):
        assert title in out
    assert "| table of 32 columns | default | 2 |" in out
