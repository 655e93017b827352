"""What the report says of a plan, counted anew and planted."""

import math
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

from skgca import GCAEmbedder
from skgca.inspection import PlanReport, plan_of_rows, plan_report
from skgca.inspection._row_plan import _own_ranks
from skgca.losses import make_loss
from skgca.ot import Marginals

from ..numerics import DOUBLE, assert_close
from .models import HELD_OUT, NAMES, PAIR, TRAIN, X, Y, fitted, fitted_to_pairs, row_plan, small

INF = math.inf


PLAN = row_plan(
    [[0.5, 0.2, 0.1, 0.2], [0.3, 0.6, 0.1, 0.0], [0.0, 0.1, 0.7, 0.2], [0.2, 0.1, 0.1, 0.6]],
    labels=np.array(["p", "q", "r", "s"]),
    y=np.array([0, 0, 1, -1]),
)


def test_matches_by_hand():
    matches = PlanReport(PLAN, n_matches=2).matches
    assert matches[["row", "rank", "match"]].to_numpy().tolist() == [
        ["p", 1, "q"],
        ["p", 2, "s"],
        ["q", 1, "p"],
        ["q", 2, "r"],
        ["r", 1, "s"],
        ["r", 2, "q"],
        ["s", 1, "p"],
        ["s", 2, "q"],
    ]
    assert matches["mass"].tolist() == [0.2, 0.2, 0.3, 0.1, 0.2, 0.1, 0.2, 0.1]
    assert matches["own_mass"].tolist() == [0.5, 0.5, 0.6, 0.6, 0.7, 0.7, 0.6, 0.6]
    assert matches["y_match"].tolist() == [0, -1, 0, 1, -1, 0, 0, 0]
    assert len(PlanReport(PLAN, n_matches=9).matches) == 4 * 3


def test_false_negatives_by_hand():
    found = PlanReport(PLAN, n_pairs=3).false_negatives
    assert found[["row", "match"]].to_numpy().tolist() == [["p", "q"], ["p", "s"], ["r", "s"]]
    assert_close(found["mass"], [0.5, 0.4, 0.3], DOUBLE)
    assert_close(found["lift"], np.array([0.5, 0.4, 0.3]) / (1.6 / 6), DOUBLE)
    assert found["same_class"].tolist() == [True, pd.NA, pd.NA]


def test_what_the_target_plan_asks_for_is_no_false_negative():
    target = np.eye(4)
    target[:2, :2] = 0.5
    wanted = row_plan(PLAN.plan, target=target)
    found = PlanReport(wanted, n_pairs=6).false_negatives
    assert found[["row", "match"]].to_numpy().tolist()[-1] == [0, 1]
    assert found["target_mass"].iloc[-1] == 1.0


def test_classes_domains_and_summary_by_hand():
    report = PlanReport(row_plan(PLAN.plan, y=PLAN.y, domain=np.array(["b", "a", "a", "b"])))
    assert_close(report.classes, [[1.6 / 1.8, 0.2 / 1.8], [0.1 / 0.8, 0.7 / 0.8]], DOUBLE)
    assert_close(report.domains, [[1.5 / 2.0, 0.5 / 2.0], [0.5 / 2.0, 1.5 / 2.0]], DOUBLE)
    assert report.domains.index.tolist() == ["a", "b"]
    assert (report.classes.index.name, report.classes.columns.name) == ("y from", "y to")
    assert_close(report.summary["own_share"], 0.6, DOUBLE)
    assert report.summary["own_share_due"] == 1.0
    assert_close(report.summary["mass"], 1.0, DOUBLE)
    assert_close(report.summary["same_class"], 0.5 / 0.8, DOUBLE)
    assert_close(report.summary["same_class_by_chance"], 2 / 6, DOUBLE)
    shares = [row[row > 0] for row in PLAN.plan]
    entropies = [-(share * np.log(share)).sum() for share in shares]
    assert_close(report.summary["effective_matches"], np.exp(entropies).mean(), DOUBLE)


def test_related_pairs_are_no_chance():
    related = np.zeros((4, 4), dtype=bool)
    related[0, 2] = related[2, 0] = True
    summary = PlanReport(row_plan(PLAN.plan * ~related, y=PLAN.y, related=related)).summary
    assert_close(summary["same_class"], 0.5 / 0.7, DOUBLE)
    assert_close(summary["same_class_by_chance"], 2 / 4, DOUBLE)


def test_refused_by_hand():
    plan = np.diag([2.0, 1.0, 3.0, 2.0, 4.0])
    plan[1, 2] = 0.5
    rows = PlanReport(row_plan(plan, marginals=Marginals(0.5, INF))).refused
    assert rows["row"].tolist() == [1]
    assert rows["lost"].tolist() == [0.25]  # 1.5, where the median row has 2
    columns = PlanReport(row_plan(plan, marginals=Marginals(0.0, 2.0))).refused
    assert columns["row"].tolist() == [1]
    assert columns["lost"].tolist() == [0.5]
    both = PlanReport(row_plan(plan, marginals=Marginals(0.5, 2.0), y=np.array(list("abcde")))).refused
    assert both.iloc[0].tolist() == [1, 1.5, 1.0, 0.5, "b"]


@pytest.mark.parametrize("held", [(INF, INF), (INF, 0.0), (0.0, 0.0)])
def test_marginals_that_are_not_relaxed_refuse_nothing(held):
    refused = PlanReport(row_plan(np.diag([1.0, 2.0, 3.0]), marginals=Marginals(*held))).refused
    assert refused.columns.tolist() == ["row", "row_mass", "col_mass", "lost"]
    assert len(refused) == 0


@cache
def paired_model():
    """Fit on pairs of rows that no others are like."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 24))
    settings = {"loss": "gca_uot", "epsilon": 0.1, "max_epochs": 60, "hidden_layer_sizes": (64,)}
    model = small(**settings, n_components=32, projection_sizes=(64,))
    return model.fit(rows, X_pair=rows + 0.1 * rng.normal(size=rows.shape))


def test_twins_are_the_likeliest_false_negatives():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(100, 24))
    pairs = rows + 0.1 * rng.normal(size=rows.shape)
    rows[90:], pairs[90:] = rows[:10], pairs[:10]
    found = plan_report(paired_model(), rows, X_pair=pairs).false_negatives
    assert {*zip(found["row"].head(10), found["match"].head(10), strict=True)} == {(k, 90 + k) for k in range(10)}
    assert found["lift"].iloc[9] > 2 * found["lift"].iloc[10]


def test_pairs_that_do_not_belong_together_are_refused():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(100, 24))
    pairs = rows + 0.1 * rng.normal(size=rows.shape)
    pairs[90:] = rng.normal(size=(10, 24))
    refused = plan_report(paired_model(), rows, X_pair=pairs).refused
    assert set(refused["row"].head(10)) == set(range(90, 100))
    assert refused["lost"].iloc[9] > 1.2 * refused["lost"].iloc[10]


def test_related_rows_are_no_false_negatives():
    groups = np.arange(75) // 5
    report = plan_report(fitted(), X[HELD_OUT], Y[HELD_OUT], sample_group=groups, n_pairs=10_000)
    found = report.false_negatives
    assert len(found) == 75 * 74 / 2 - 15 * 10
    assert not (groups[found["row"]] == groups[found["match"]]).any()
    assert_close(found["mass"].mean(), (found["mass"] / found["lift"]).mean(), DOUBLE)


def test_permuted_rows_permute_the_report():
    order = np.random.default_rng(0).permutation(75)
    plan = plan_of_rows(fitted_to_pairs(), X[HELD_OUT], Y[HELD_OUT], X_pair=PAIR[HELD_OUT])
    # The plan itself permuted, not the rows that the network sees: the ranks of near ones would hang on its rounding.
    permuted = replace(
        plan, plan=plan.plan[np.ix_(order, order)], target=plan.target[np.ix_(order, order)], y=plan.y[order]
    )
    first, other = PlanReport(plan), PlanReport(permuted)
    moved = other.matches.assign(row=order[other.matches["row"]], match=order[other.matches["match"]])
    moved = moved.sort_values(["row", "rank"], ignore_index=True)
    pd.testing.assert_frame_equal(moved, first.matches, check_exact=True)
    assert all(one.identical(same) for one, same in zip(other.classes.axes, first.classes.axes, strict=True))
    assert_close(other.classes, first.classes, DOUBLE)
    ends = ["row", "match"]
    pairs = np.sort(order[other.false_negatives[ends].to_numpy()], axis=1)
    assert pairs.tolist() == first.false_negatives[ends].to_numpy().tolist()


def test_the_report_of_a_model_agrees_with_its_plan():
    model, beside = fitted(loss="gca_uot"), {"sample_domain": Y[HELD_OUT] % 2, "random_state": 3}
    plan = plan_of_rows(model, X[HELD_OUT], NAMES[HELD_OUT], **beside)
    report = plan_report(model, X[HELD_OUT], NAMES[HELD_OUT], **beside)
    np.testing.assert_array_equal(report.plan.plan, plan.plan)
    assert_close(report.classes.sum(axis=1), np.ones(3), DOUBLE)
    assert_close(report.domains.sum(axis=1), np.ones(2), DOUBLE)
    sent = plan.plan[NAMES[HELD_OUT] == "setosa"]
    expected = sent[:, NAMES[HELD_OUT] == "virginica"].sum() / sent.sum()
    assert_close(report.classes.loc["setosa", "virginica"], expected, DOUBLE)
    assert len(report.matches) == 75 * 5
    assert len(report.false_negatives) == 100


def test_numbers_make_no_classes():
    report = plan_report(fitted(), X[HELD_OUT], X[HELD_OUT, 0])
    assert report.classes is None
    assert report.domains is None
    assert "same_class" not in report.false_negatives
    assert report.matches["y"].iloc[0] == X[1, 0]
    assert "same_class" not in report.summary


def test_as_text_and_as_html():
    report = plan_report(fitted(), X[HELD_OUT], NAMES[HELD_OUT])
    assert repr(report).startswith(
        "PlanReport of 75 rows (loss gca_ince, epsilon 0.5, marginals balanced, layout joint"
    )
    assert "matches 375 x 7, false_negatives 100 x 8, classes 3 x 3, refused 0 x 5" in repr(report)
    shown = report._repr_html_()
    for name in ("matches", "false_negatives", "classes", "refused"):
        assert f"<summary>{name}</summary>" in shown
    assert "<summary>domains</summary>" not in shown
    assert report.in_words in repr(report)
    assert report.in_words in shown
    assert "The first 10 of 375." in shown
    assert shown.count("<table") == shown.count("</table>") == 4  # figures, and all tables but the empty one


def test_html_escapes_what_comes_from_the_data():
    evil = "<script>alert('&')</script>"
    frame = pd.DataFrame(X, index=[f"{evil}{k}" for k in range(150)])
    frame.columns = list("abcd")
    model = small().fit(frame[TRAIN])
    names = np.where(Y == 1, evil, "b")
    shown = plan_report(model, frame[HELD_OUT], names[HELD_OUT], sample_domain=names[HELD_OUT])._repr_html_()
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") > 20  # in labels, in classes, and in both heads


def test_what_is_wrong_is_said(monkeypatch):
    for wrong in ({"n_matches": 0}, {"n_pairs": 0}):
        with pytest.raises(ValueError, match="=0 must be 1 or more"):
            plan_report(fitted(), X, **wrong)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas, or use plan_of_rows"):
        plan_report(fitted(), X)


# What is usual at an epsilon


@pytest.mark.parametrize("layout", ["joint", "cross"])
def test_own_share_by_chance_and_at_best_are_those_of_a_loss(layout):
    n = 6
    loss = make_loss("gca_ince", epsilon=0.3, layout=layout)
    orthogonal, equal = torch.eye(2 * n).double().split(n), torch.eye(n).double() - 1 / n
    by_chance, at_best = (
        float(loss.plan(*views).log_plan_shifted(n if layout == "joint" else 0).exp().sum())
        for views in (orthogonal, (equal, equal))
    )
    figures = PlanReport(row_plan(np.eye(n), layout=layout, epsilon=0.3)).summary
    assert_close(figures["own_share_by_chance"], by_chance, DOUBLE)
    assert_close(figures["own_share_at_best"], at_best, DOUBLE)
    assert "own_share_at_best" not in PlanReport(row_plan(np.eye(n), cost="sqeuclidean")).summary
    assert "own_first" not in figures  # the ranks of views are not known of such a plan


def test_related_rows_are_no_candidates():
    related = np.zeros((4, 4), dtype=bool)
    related[0, 1] = related[1, 0] = True
    assert row_plan(np.eye(4), related=related, layout="joint").n_candidates.tolist() == [5, 5, 7, 7]
    assert row_plan(np.eye(4), related=related, layout="cross").n_candidates.tolist() == [3, 3, 4, 4]


@pytest.mark.parametrize("layout", ["joint", "cross"])
def test_ranks_of_the_own_view(layout):
    n, n_views = 5, 2 if layout == "joint" else 1
    log_plan = np.random.default_rng(0).normal(size=(n * n_views, n * n_views))
    np.fill_diagonal(log_plan, -np.inf if layout == "joint" else np.diag(log_plan))
    expected = [
        [1 + sum(log_plan[v * n + i] > log_plan[v * n + i, ((v + 1) % n_views) * n + i]) for i in range(n)]
        for v in range(n_views)
    ]
    assert _own_ranks(torch.from_numpy(log_plan), n).tolist() == expected
    assert _own_ranks(torch.zeros(n, n), n).tolist() == [[(n + 1) / 2] * n]  # equal masses


def test_a_training_moves_the_figures_from_chance_to_the_best():
    options = {"max_epochs": 30, "epsilon": 0.2, "random_state": 0, "hidden_layer_sizes": (64,)}
    before, after = (
        plan_report(GCAEmbedder(**{**options, **other}).fit(X[TRAIN]), X[HELD_OUT]) for other in ({"max_epochs": 0}, {})
    )
    for report in (before, after):
        figures = report.summary
        assert figures["own_share_by_chance"] < figures["own_share"] < figures["own_share_at_best"] < 1
        assert 1 <= figures["own_rank_mean"] < figures["own_rank_by_chance"] == 75
        assert 0 <= figures["own_first"] <= 1
    assert after.summary["own_share"] > 2 * before.summary["own_share"]
    for part in ("At epsilon 0.2, ", "% of the mass goes", "it would be 0.67%", "Among 149 views", "75 by chance"):
        assert part in after.in_words
