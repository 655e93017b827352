"""The examples run as they stand; ``make demo`` runs the one that is not here."""

import re
import runpy
import sys
from pathlib import Path

import pytest
import torch

PATH = Path(__file__).parents[1] / "examples/plot_torch_loop.py"


def test_the_losses_in_a_plain_loop(capsys):
    state = torch.get_rng_state()
    try:
        runpy.run_path(str(PATH))
    finally:
        torch.set_rng_state(state)
    raw, embedded = map(float, re.findall(r"0\.\d+", capsys.readouterr().out))
    assert embedded > raw - 0.02  # it learned something: before training it is some 8 points below


def test_it_is_thirty_lines():
    code = PATH.read_text().split('"""', 2)[2]
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 30


def test_optuna_searches_with_and_without_labels(capsys, monkeypatch):
    pytest.importorskip("optuna")
    monkeypatch.setattr(sys, "argv", ["search_optuna.py", "--trials", "2", "--rows", "150", "--max-epochs", "3"])
    runpy.run_path(str(PATH.with_name("search_optuna.py")), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["with labels", "without labels", "defaults"]
    assert all(float(line.split()[-1]) > 0.6 for line in lines)  # accuracy of ten classes
