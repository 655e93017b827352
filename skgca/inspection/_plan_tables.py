"""The columns of the tables in a plan report, computed from a :class:`RowPlan`."""

from __future__ import annotations

import math

import numpy as np

from .._utils.classes import same_class
from ._groups import Groups
from ._row_plan import RowPlan

__all__ = ["false_negatives", "in_words", "matches", "refused", "shares_between", "summary"]

Columns = dict[str, np.ndarray]


def matches(plan: RowPlan, n_matches: int) -> Columns:
    """Return the other rows that get the most mass of each row."""
    n = len(plan)
    k = min(n_matches, n - 1)
    others = plan.plan.copy()
    np.fill_diagonal(others, -1.0)  # below any mass, so that a row comes last among its own matches and is cut off
    match = np.argsort(-others, axis=1, kind="stable")[:, :k].ravel()  # (n * k,), row by row
    row = np.repeat(np.arange(n), k)
    return {
        "row": plan.labels[row],
        "rank": np.tile(np.arange(1, k + 1), n),
        "match": plan.labels[match],
        "mass": plan.plan[row, match],
        "own_mass": plan.plan[row, row],
        **_known_of_both(plan, row, match),
    }


def false_negatives(plan: RowPlan, groups: Groups | None, n_pairs: int) -> Columns:
    """Return the pairs of different rows with the most mass beyond the target plan."""
    row, match = np.triu_indices(len(plan), k=1)  # each pair once
    if plan.related is not None:  # the loss lets no mass go between related rows
        is_unrelated = ~plan.related[row, match]
        row, match = row[is_unrelated], match[is_unrelated]
    mass = plan.plan[row, match] + plan.plan[match, row]
    target_mass = plan.target[row, match] + plan.target[match, row]
    mean_mass = float(mass.mean()) if mass.any() else math.nan
    most = np.argsort(target_mass - mass, kind="stable")[:n_pairs]
    row, match, mass, target_mass = row[most], match[most], mass[most], target_mass[most]
    columns = {
        "row": plan.labels[row],
        "match": plan.labels[match],
        "mass": mass,
        "target_mass": target_mass,
        "lift": mass / mean_mass,
        **_known_of_both(plan, row, match),
    }
    if groups is not None:
        first, second = groups.codes[row], groups.codes[match]
        same: np.ndarray = (first == second).astype(object)
        same[(first < 0) | (second < 0)] = None  # a class is not known
        columns["same_class"] = same
    return columns


def shares_between(plan: RowPlan, groups: Groups) -> np.ndarray:
    """Return the share of the mass of each group that goes to each group, (n_groups, n_groups); NaN without mass."""
    is_member = groups.indicators()  # (n, n_groups)
    mass = is_member.T @ plan.plan @ is_member
    sent = mass.sum(axis=1, keepdims=True)
    shares: np.ndarray = np.divide(mass, sent, out=np.full_like(mass, math.nan), where=sent > 0)
    return shares


def refused(plan: RowPlan) -> Columns:
    """Return the rows with less mass than the median row in a relaxed marginal, those of least mass first."""
    # The entropy term raises the mass of all rows above the prescribed mass, and more so among more rows. So a row is
    # compared with the median row, not with the prescribed mass.
    sides = (plan.marginals.rho_row, plan.row_mass), (plan.marginals.rho_col, plan.col_mass)
    losses = [1 - mass / np.median(mass) for rho, mass in sides if 0 < rho < math.inf]
    lost = np.max(losses, axis=0) if losses else np.zeros(len(plan))
    order = np.argsort(-lost, kind="stable")
    order = order[lost[order] > 0]
    columns = {
        "row": plan.labels[order],
        "row_mass": plan.row_mass[order],
        "col_mass": plan.col_mass[order],
        "lost": lost[order],
    }
    return columns if plan.y is None else {**columns, "y": plan.y[order]}


def summary(plan: RowPlan, groups: Groups | None) -> dict[str, float]:
    """Return the figures that describe the plan as a whole."""
    total, sent = plan.plan.sum(), plan.row_mass
    shares = plan.plan[sent > 0] / sent[sent > 0, None]
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=1)  # 0 * log 0 is 0
    figures = {
        "own_share": float(plan.plan.trace() / total),
        **_usual_own_share(plan),
        "own_share_due": float(plan.target.trace() / plan.target.sum()),
        **_own_ranks(plan),
        "effective_matches": float(np.exp(entropy).mean()),
        "mass": float(sent.mean()),
        "marginal_error": plan.marginal_error,
    }
    return figures if groups is None else {**figures, **_share_in_class(plan, groups)}


def _usual_own_share(plan: RowPlan) -> dict[str, float]:
    """Return the share of mass that goes to the own other view by chance, and in a perfect embedding."""
    by_chance = 1 / plan.n_candidates
    figures = {"own_share_by_chance": float(by_chance.mean())}
    if plan.cost == "cosine":
        # Cosine 1 to the own other view, and -1 / (n - 1) to the others: their kernel is smaller by this factor.
        n = len(plan)
        factor = math.exp(-n / (n - 1) / plan.epsilon)
        figures["own_share_at_best"] = float((by_chance / (by_chance + (1 - by_chance) * factor)).mean())
    return figures


def _own_ranks(plan: RowPlan) -> dict[str, float]:
    """Return where the own other view ranks among the candidates of a view, by its mass."""
    if plan.own_ranks is None:
        return {}
    return {
        "own_first": float((plan.own_ranks == 1).mean()),
        "own_rank_mean": float(plan.own_ranks.mean()),
        "own_rank_median": float(np.median(plan.own_ranks)),
        "own_rank_by_chance": float((plan.n_candidates.mean() + 1) / 2),
    }


def in_words(plan: RowPlan, figures: dict[str, float]) -> str:
    """Return sentences on the mass and the rank of the own other view, beside what they usually are."""
    at_best = figures.get("own_share_at_best")
    perfect = "" if at_best is None else f", and {_percent(at_best)} in a perfect embedding"
    told = [
        f"At epsilon {plan.epsilon:.3g}, {_percent(figures['own_share'])} of the mass goes to the other view of the "
        f"same row. By chance it would be {_percent(figures['own_share_by_chance'])}{perfect}."
    ]
    if "own_first" in figures:
        told.append(
            f"For {_percent(figures['own_first'])} of the views, that view gets the most mass of all. Among "
            f"{plan.n_candidates.mean():,.0f} views, its median rank is {figures['own_rank_median']:g} and its "
            f"mean rank {figures['own_rank_mean']:.3g} ({figures['own_rank_by_chance']:.3g} by chance)."
        )
    return " ".join(told)


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%" if share < 0.995 else f"{100 * share:.4g}%"


def _share_in_class(plan: RowPlan, groups: Groups) -> dict[str, float]:
    """Return the share of mass that stays in a class, and the share of pairs that do; nothing if there are no pairs."""
    is_known = groups.codes >= 0
    pairs = is_known[:, None] & is_known & ~np.eye(len(plan), dtype=bool)
    if plan.related is not None:
        pairs &= ~plan.related
    same = pairs & same_class(groups.codes)
    between = plan.plan[pairs].sum()
    if not pairs.any() or between <= 0:
        return {}
    return {
        "same_class": float(plan.plan[same].sum() / between),
        "same_class_by_chance": float(same.sum() / pairs.sum()),
    }


def _known_of_both(plan: RowPlan, row: np.ndarray, match: np.ndarray) -> Columns:
    """Return y and the domain of both rows of each pair, if they are known."""
    columns: Columns = {}
    for name, values in (("y", plan.y), ("domain", plan.domain)):
        if values is not None:
            columns |= {name: values[row], f"{name}_match": values[match]}
    return columns
