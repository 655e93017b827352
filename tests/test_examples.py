"""The example for torch users runs as it stands; ``make demo`` runs the other."""

import re
import runpy
from pathlib import Path

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
