"""What the pages of docs/ say of the code and the tests is so."""

import math
import re
from pathlib import Path

import pytest

from skgca.losses import PRESETS, default_options, make_loss

ROOT = Path(__file__).parents[2]
PAGES = ["docs/method.md", "docs/coming_from.md", "docs/faq.md"]


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_are_there(page):
    named = re.findall(r"`((?:tests|skgca|examples|docs)/[\w/.]+)`", text_of(page))
    assert [path for path in named if not (ROOT / path).exists()] == []


def rows_of_the_family():
    """Name, marginals, iterations and divergence of each loss, as the table of docs/method.md has them."""
    section = text_of("docs/method.md").split("## The family")[1].split("\n## ")[0]
    return {
        cells[1].split("`")[1]: cells[2:5]
        for cells in ([cell.strip() for cell in line.split("|")] for line in section.splitlines())
        if len(cells) == 7 and cells[1].startswith("`") and cells[1] != "`loss`"
    }


def test_the_family_is_the_registry():
    assert list(rows_of_the_family()) == list(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_row_of_the_family_is_its_preset(name):
    marginals, iterations, divergence = rows_of_the_family()[name]
    loss = make_loss(name, epsilon=0.5)
    strengths = [
        math.inf if number == r"\infty" else float(number)
        for number in re.search(r"\$\((\S+), (\S+)\)\$", marginals).groups()
    ]
    assert strengths == [loss.marginals.rho_row, loss.marginals.rho_col]
    if loss.marginals.one_sided:
        assert iterations == ("none" if strengths == [0.0, 0.0] else "half a step")
    else:
        assert int(iterations.split()[0]) == loss.n_iter
    for word, part in {"KL": "KLDivergence", "RINCE": "RINCEDivergence", "cost": "TransportCost"}.items():
        offered = name == "gca_uot" and word == "RINCE"  # at a weight of 0
        assert offered or (word in divergence) == (part in repr(loss.divergence))


def test_documented_defaults_of_options_are_the_actual_ones():
    section = text_of("docs/method.md").split("## What each setting means")[1].split("\n## ")[0]
    default = {line.split("|")[1].strip(): line.split("|")[-2].strip() for line in section.splitlines() if "|" in line}
    rince, uot = default_options("rince"), default_options("gca_uot")
    assert [default["`q`"], default["`lam`"]] == [str(rince["q"]), str(rince["lam"])]
    assert default["`kl_weight`, `rince_weight`"] == f"{uot['kl_weight']:g}, {uot['rince_weight']:g}"
    assert default["`marginal_weight`"] == f"{uot['marginal_weight']:g}"
    assert default["`entropy_weight`"] == f"{uot['entropy_weight']:g}"
    assert default["`uniformity_weight`"] == str(default_options("iot_uni")["uniformity_weight"])
    assert (
        default["`sinkhorn_n_iter`"]
        == f"{default_options('gca_ince')['n_iter']}; `iot` {default_options('iot')['n_iter']}"
    )
