"""What stands between the markers of a page is what a benchmark printed, and its statistics are right."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks import _records, _statistics
from benchmarks import evidence as real


@pytest.fixture
def evidence(tmp_path, monkeypatch):
    monkeypatch.setattr(real, "ROOT", tmp_path)
    return real


def result(output):
    return {"key": {"command": ["x", "--n", "3"]}, "date": "2026-01-02", "commit": "abc", "output": output}


OUTPUT = """Python 3, torch 2; seeds [0]

First, all labels

| a | b |
|---|---|
| 1 | 2 |

Second

| c |
|---|
| 3 |
"""


def test_tables_are_found_by_the_line_above_them(evidence):
    found = evidence.tables_of(result(OUTPUT))
    assert found["First, all labels"] == "| a | b |\n|---|---|\n| 1 | 2 |"
    assert found["Second"] == "| c |\n|---|\n| 3 |"
    assert found["about"] == "`python -m benchmarks.x --n 3`: Python 3, torch 2; seeds [0]; code at abc; 2026-01-02."


def page(tmp_path, text):
    (tmp_path / "docs").mkdir(exist_ok=True)
    (tmp_path / "README.md").write_text("nothing\n")
    path = tmp_path / "docs/page.md"
    path.write_text(text)
    return path


def test_a_table_is_put_between_its_markers_and_nothing_else_changes(evidence, tmp_path):
    text = "before\n\n<!-- evidence: search: Second -->\nold\n<!-- /evidence -->\n\nafter | no table\n"
    path = page(tmp_path, text)
    assert evidence.write({"search": result(OUTPUT)}) == [Path("docs/page.md")]
    new = path.read_text()
    assert new == text.replace("old\n", "\n| c |\n|---|\n| 3 |\n\n")
    assert evidence.write({"search": result(OUTPUT)}) == []
    assert evidence.write({"search": None}) == []
    assert path.read_text() == new


def test_what_no_stage_has_is_named(evidence, tmp_path):
    page(
        tmp_path,
        "<!-- evidence: search: Third -->\n<!-- /evidence -->\n<!-- evidence: nix: A -->\n<!-- /evidence -->\n",
    )
    wrong = evidence.unknown({"search": result(OUTPUT)})
    assert len(wrong) == 2
    assert "'Third'" in wrong[0]
    assert "Second" in wrong[0]
    assert "'nix'" in wrong[1]


def test_a_result_holds_for_its_command_and_versions_only(evidence, tmp_path, monkeypatch):
    stage = evidence.STAGES["search"]
    kept = {**result(OUTPUT), "key": stage.key(False)}
    (tmp_path / "search.json").write_text(json.dumps(kept))
    assert evidence.result_of("search", tmp_path, False) == kept
    assert evidence.result_of("search", tmp_path, True) is None  # its quick form
    assert evidence.result_of("outliers", tmp_path, False) is None
    monkeypatch.setattr(evidence, "version", lambda package: "0")
    assert evidence.result_of("search", tmp_path, False) is None


def test_the_pages_ask_for_stages_that_are_there():
    asked = [block for path in real.pages() for block in real.blocks(path.read_text())]
    assert {stage for stage, _ in asked} == set(real.STAGES)
    for path in real.pages():
        text = path.read_text()
        assert text.count("<!-- evidence: ") == text.count("<!-- /evidence -->") == len(real.blocks(text)), path


def test_the_corrected_t_test():
    values = np.array([0.3, 0.9, 0.1, 0.7, 0.5])
    assert _statistics.corrected_t(values, 0.0) == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue, rel=1e-12)
    # by hand: mean 0.5, variance 0.1, and 0.1 * (1 / 5 + 3 / 7) under the root
    t = 0.5 / (0.1 * (1 / 5 + 3 / 7)) ** 0.5
    assert _statistics.corrected_t(values, 3 / 7) == pytest.approx(2 * stats.t.sf(t, 4), rel=1e-12)
    assert _statistics.corrected_t(-values, 3 / 7) == _statistics.corrected_t(values, 3 / 7)
    assert np.isnan(_statistics.corrected_t([0.3], 0.4))
    assert np.isnan(_statistics.corrected_t([0.2, 0.2, 0.2 + 1e-15], 0.4))
    assert np.isnan(_statistics.corrected_t([0.0, 0.0], 0.4))


def test_holms_correction():
    holm = _statistics.holm
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1.0, 1.0])
    np.testing.assert_allclose(holm([0.02, np.nan, 0.03]), [0.04, np.nan, 0.04])


def test_differences_are_corrected_for_all_cells_of_a_table():
    big, small = [3.0, 3.1, 2.9, 3.0, 3.0], [0.1, -0.1, 0.1, -0.2, 0.1]
    middle = [0.9, 0.35, 0.45, 0.8, 0.55]
    p, q = (_statistics.p_text(_statistics.corrected_t(values, 0.4)) for values in (middle, small))
    assert 0.025 < float(p) < 0.05  # by itself, and not as one of two or more
    assert _statistics.differences_as_text([[middle, []]], 0.4) == [[f"+0.6 ± 0.2 ({p}*)", ""]]
    assert _statistics.differences_as_text([[middle], [small]], 0.4) == [[f"+0.6 ± 0.2 ({p})"], [f"+0.0 ± 0.1 ({q})"]]
    assert _statistics.differences_as_text([[big, [1.0]]], 0.4) == [["+3.0 ± 0.1 (<0.001*)", "+1.0"]]
    rows = _statistics.differences_as_text([[middle], [middle]], [0.4, 0.25])  # a share for each row
    assert [float(row[0].split("(")[1].strip("*)")) for row in rows] == [
        pytest.approx(_statistics.corrected_t(middle, ratio), abs=5e-4) for ratio in (0.4, 0.25)
    ]


def test_records_go_on_after_a_line_that_was_cut_off(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"key": "x", "v": 1}\n{"key": "y", "v"')
    assert list(_records.read(path)) == ["x"]

    class Job:
        def __init__(self, key):
            self.key = key

    _records.run_missing(keyed, [Job("x"), Job("y")], path, 1)
    assert {key: record["v"] for key, record in _records.read(path).items()} == {"x": 1, "y": 2}


def keyed(job):
    return {"key": job.key, "v": 2}
