"""The HTML of reports: well formed, escaped, and without colours that only one theme can show."""

from html.parser import HTMLParser

import pandas as pd
import pytest

from skgca._estimator.cost import CostEstimate
from skgca._utils.html import STYLE, figures, report, section

VOID = {"br", "hr", "img", "input"}


class Checker(HTMLParser):
    """Fails at a tag that is closed in the wrong order, and collects the text."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def text_of(page):
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    return " ".join(checker.text)


def test_reports_are_well_formed_and_escaped():
    evil = "<script>alert('&')</script>"
    table = pd.DataFrame({"a": [evil]}).to_html(border=0)
    page = report(evil, figures([(evil, evil, evil)]), section(evil, evil, table))
    assert "<script" not in page
    assert text_of(page).count(evil) == 7


def test_style_suits_light_and_dark_notebooks():
    for wrong in ("white", "black", "#fff", "#000"):
        assert wrong not in STYLE
    assert "color: inherit" in STYLE
    braces = STYLE.count("{"), STYLE.count("}")
    assert braces[0] == braces[1] > 10


def test_cost_estimate():
    estimate = CostEstimate(seconds=12.34, bytes=5 * 2**20, n_epochs=30, n_steps=1200, seconds_per_step=0.01)
    text = text_of(estimate._repr_html_())
    for part in ("12.3 s", "5 MiB", "30", "1,200", "at most, of 10 ms each"):
        assert part in text


@pytest.mark.parametrize("rows", [[], [("a", "1", "b")]])
def test_tables_of_any_length(rows):
    assert figures(rows).count("<tr>") == len(rows)
