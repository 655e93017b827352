"""What stands between the markers of a page is what a benchmark printed, and its statistics are right."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks import _data, _jobs, _statistics, _wheels
from benchmarks import evidence as real
from benchmarks._jobs import Job
from benchmarks._measuring import forked, in_fresh_process

from ..numerics import DOUBLE, assert_close, assert_within


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
    assert found["about"].splitlines()[2] == (
        "| `python -m benchmarks.x --n 3` | Python 3, torch 2; seeds [0] | abc, 2026-01-02 |"
    )


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
    assert_close(_statistics.corrected_t(values, 0.0), stats.ttest_1samp(values, 0.0).pvalue, DOUBLE)
    # by hand: mean 0.5, variance 0.1, and 0.1 * (1 / 5 + 3 / 7) under the root
    t = 0.5 / (0.1 * (1 / 5 + 3 / 7)) ** 0.5
    assert_close(_statistics.corrected_t(values, 3 / 7), 2 * stats.t.sf(t, 4), DOUBLE)
    assert _statistics.corrected_t(-values, 3 / 7) == _statistics.corrected_t(values, 3 / 7)
    assert np.isnan(_statistics.corrected_t([0.3], 0.4))
    assert np.isnan(_statistics.corrected_t([0.2, 0.2, 0.2 + 1e-15], 0.4))
    assert np.isnan(_statistics.corrected_t([0.0, 0.0], 0.4))


def test_holms_correction():
    holm = _statistics.holm
    assert_close(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02], DOUBLE)
    assert_close(holm([0.9, 0.8]), [1.0, 1.0], DOUBLE)
    assert_close(holm([0.02, np.nan, 0.03]), [0.04, np.nan, 0.04], DOUBLE)


def test_differences_are_corrected_for_all_cells_of_a_table():
    big, small = [3.0, 3.1, 2.9, 3.0, 3.0], [0.1, -0.1, 0.1, -0.2, 0.1]
    middle = [0.9, 0.35, 0.45, 0.8, 0.55]
    p, q = (_statistics.p_text(_statistics.corrected_t(values, 0.4)) for values in (middle, small))
    assert 0.025 < float(p) < 0.05  # by itself, and not as one of two or more
    assert _statistics.differences_as_text([[middle, []]], 0.4) == [[f"+0.6 ±\u00a00.2 ({p}*)", ""]]
    assert _statistics.differences_as_text([[middle], [small]], 0.4) == [
        [f"+0.6 ±\u00a00.2 ({p})"],
        [f"+0.0 ±\u00a00.1 ({q})"],
    ]
    assert _statistics.differences_as_text([[big, [1.0]]], 0.4) == [["+3.0 ±\u00a00.1 (<0.001*)", "+1.0"]]
    rows = _statistics.differences_as_text([[middle], [middle]], [0.4, 0.25])  # a share for each row
    found = [float(row[0].split("(")[1].strip("*)")) for row in rows]
    expected = [_statistics.corrected_t(middle, ratio) for ratio in (0.4, 0.25)]
    assert_within(found, expected, 5e-4)  # p values are printed with three digits


def measured(job):
    return {"error": "once"} if (job.method, job.seed) == ("bad", 0) else {"v": job.seed}


def test_jobs_resume_after_a_line_that_was_cut_off(tmp_path):
    given = argparse.Namespace(out=tmp_path / "a.jsonl", jobs=1, report=False)
    jobs = [Job("wine", method, seed) for seed in (0, 1) for method in ("good", "bad")]
    bad, last = jobs[1], jobs[-1]
    found = _jobs.measured(measured, jobs, given)
    assert found == {job: {"error": "once"} if job == bad else {"v": job.seed} for job in jobs}
    given.out.write_text(given.out.read_text()[:-5])  # of the last line
    given.report = True
    assert set(_jobs.measured(measured, jobs, given)) == set(jobs) - {last}
    given.report, again = False, []
    _jobs.measured(lambda job: again.append(job) or {"v": 7}, jobs, given)
    assert again == [bad, last]
    assert _jobs.measured(measured, jobs, given) == {job: {"v": 7 if job in again else job.seed} for job in jobs}


def test_a_record_holds_for_the_same_state_only(monkeypatch):
    keys = {_jobs.key_of(job) for job in (Job("a", "b"), Job("a", "b", 1), Job("a", "b", quick=True), Job("b", "a"))}
    keys |= {_jobs.key_of(Job("a", "b", options=_jobs.options_of(lr=lr))) for lr in (0.1, 0.2)}
    keys |= {_jobs.key_of(Job("a", "b"), protocol=(3,)), _jobs.key_of(Job("a", "b"), packages=("umap-learn",))}
    assert len(keys) == 8
    assert _jobs.key_of(Job("a", "b", options=_jobs.options_of(x=1, y=2))) == _jobs.key_of(
        Job("a", "b", options=_jobs.options_of(y=2, x=1))
    )
    _jobs.state_of.cache_clear()
    monkeypatch.setattr(_jobs, "version", lambda package: "0")
    assert _jobs.key_of(Job("a", "b")) not in keys
    _jobs.state_of.cache_clear()


def failing(kind):
    yield "first"
    if kind == "raises":
        raise ValueError("no")
    if kind == "dies":
        os._exit(3)
    if kind == "hangs":
        time.sleep(60)
    yield "second"


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of Python 3.12, where there are threads
def test_what_a_forked_process_yields_and_how_it_ends():
    assert list(forked(failing, "", limit=30)) == ["first", "second"]
    for kind, error in {"raises": "ValueError: no", "dies": "exit code 3", "hangs": "no result after 1 s"}.items():
        found = forked(failing, kind, limit=1 if kind == "hangs" else 30)
        assert next(found) == "first"
        with pytest.raises((ChildProcessError, TimeoutError), match=error):
            next(found)


def test_a_fresh_process_returns_the_result_or_says_why_not():
    assert in_fresh_process(_wheels.normal, "A_name") == "a-name"
    with pytest.raises(RuntimeError, match="TypeError"):
        in_fresh_process(_wheels.normal, 0.04)


def test_draws_of_labels_are_nested_and_end_where_a_class_does():
    y = np.repeat([0, 1, 2], [30, 8, 40])
    draws = {n: _data.few_of(y, 3, 1, n)[0] for n in (5, 10, 50)}
    assert [np.bincount(y[rows]).tolist() for rows in draws.values()] == [[5, 5, 5], [10, 8, 10], [30, 8, 40]]
    assert set(draws[5]) < set(draws[10]) < set(draws[50])
    assert np.array_equal(draws[10], _data.few_of(y, 3, 2)[0])
