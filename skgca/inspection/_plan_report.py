"""What a plan says of rows, as tables: matches, likely false negatives, classes, domains, and what was refused."""

from __future__ import annotations

import html
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._utils.classes import same_class
from .._utils.optional import import_optional
from ._groups import Groups, groups_of
from ._row_plan import RowPlan, plan_of_rows

__all__ = ["PlanReport", "plan_report"]

_SHOWN = 10  # rows of each table in HTML
_TABLES = {
    "matches": "To which other rows the most mass of a row goes. own_mass goes to the other view of the row itself.",
    "false_negatives": (
        "Pairs of rows that get the most mass beyond what the target plan asks for: training pushes them apart, and "
        "they may be alike. lift is their mass over that of a pair if all mass between rows were spread evenly."
    ),
    "classes": "Which share of the mass of a class (left) goes to rows of each class, own views among them.",
    "domains": "Which share of the mass of a domain (left) goes to rows of each domain, own views among them.",
    "refused": (
        "Rows to which relaxed marginals leave less mass than to the median row, as they match nothing well. lost is "
        "the share that is missing."
    ),
}


class PlanReport:
    """Tables that say what the transport plan of some rows holds. In a notebook it shows itself.

    Masses are in units of what is due to a row, see :class:`RowPlan`. Rows go by their labels in the index of a pandas
    data frame, else by their positions in X.

    Parameters
    ----------
    plan : RowPlan
        From :func:`plan_of_rows`.
    n_matches : int, default=5
        Matches of each row.
    n_pairs : int, default=100
        Most likely false negatives.

    Attributes
    ----------
    matches : DataFrame
        For each row its best matches among the others: "row", "rank" from 1, "match", "mass", the row's "own_mass"
        that goes to its own other view, and "y" and "y_match", "domain" and "domain_match" where they are known.
    false_negatives : DataFrame
        Pairs of rows by the mass beyond what the target plan asks for, most first: "row", "match", "mass" both ways,
        "target_mass", "lift" over an even spread of all mass between rows, and with classes "y", "y_match" and
        "same_class", which is missing where a class is not known.
    classes, domains : DataFrame or None
        Share of the mass of a class (or domain) that goes to each; a row of the table sums to 1. Rows of no class are
        left out. None where there are none.
    refused : DataFrame
        Rows to which relaxed marginals give less mass than to the median row, least first: "row", "row_mass",
        "col_mass", "lost", and "y" where it is known. Empty where no marginal is relaxed.
    summary : dict
        "own_share", share of all mass that goes to rows' own other views, and "own_share_due", that of the target plan;
        "effective_matches", mean over rows of the exponential of the entropy of where their mass goes, in rows;
        "mass", mean mass of a row; "marginal_error". With classes, "same_class", share of the mass between different
        rows of known class that stays in one, and "same_class_by_chance", the share of such pairs of rows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgca import GCAEmbedder
    >>> from skgca.inspection import PlanReport, plan_of_rows
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = GCAEmbedder(max_epochs=5, random_state=0).fit(X[::2])
    >>> report = PlanReport(plan_of_rows(embedder, X[1::2], y[1::2]), n_matches=3)
    >>> len(report.matches)
    225
    >>> report.summary["same_class"] > report.summary["same_class_by_chance"]
    True
    """

    def __init__(self, plan: RowPlan, *, n_matches: int = 5, n_pairs: int = 100) -> None:
        for name, value in (("n_matches", n_matches), ("n_pairs", n_pairs)):
            if value < 1:
                raise ValueError(f"{name}={value!r} must be 1 or more.")
        self.plan = plan
        groups, domains = groups_of(plan.y), groups_of(plan.domain)
        pd = _pandas()
        self.matches = pd.DataFrame(_matches(plan, n_matches))
        self.false_negatives = pd.DataFrame(_false_negatives(plan, groups, n_pairs))
        if groups is not None:
            self.false_negatives["same_class"] = self.false_negatives["same_class"].astype("boolean")
        self.classes = None if groups is None else _between(pd, plan.plan, groups, "y")
        self.domains = None if domains is None else _between(pd, plan.plan, domains, "domain")
        self.refused = pd.DataFrame(_refused(plan))
        self.summary = _summary(plan, groups)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {table.shape[0]} x {table.shape[1]}" for name, table in self._tables().items())
        lines = [f"{name} {value:.3g}" for name, value in self.summary.items()]
        return f"PlanReport of {len(self.plan)} rows ({self.plan.settings})\n  {', '.join(lines)}\n  tables: {sizes}"

    def _repr_html_(self) -> str:
        figures = "".join(f"<tr><th>{name}</th><td>{value:.3g}</td></tr>" for name, value in self.summary.items())
        parts = [
            f"<h3>Plan of {len(self.plan)} rows</h3>",
            f"<p>{html.escape(self.plan.settings)}; target plan: {html.escape(self.plan.target_name)}</p>",
            f'<table border="1" class="dataframe">{figures}</table>',
        ]
        for name, table in self._tables().items():
            indexed = name in ("classes", "domains")
            shown = table if indexed else table.head(_SHOWN)
            cut = "" if indexed or len(table) <= _SHOWN else f" The first {_SHOWN} of {len(table)}."
            options = {"max_rows": 2 * _SHOWN, "max_cols": 2 * _SHOWN, "float_format": "{:.3g}".format}
            body = shown.to_html(index=indexed, escape=True, **options) if len(table) else "<p>None.</p>"
            parts.append(f"<h4>{name}</h4><p>{_TABLES[name]}{cut}</p>{body}")
        return f"<div>{''.join(parts)}</div>"

    def _tables(self) -> dict[str, Any]:
        found = {name: getattr(self, name) for name in _TABLES}
        return {name: table for name, table in found.items() if table is not None}


def plan_report(
    estimator: Any,
    X: ArrayLike,
    y: Any = None,
    *,
    X_pair: ArrayLike | None = None,
    sample_domain: ArrayLike | None = None,
    sample_group: ArrayLike | None = None,
    n_matches: int = 5,
    n_pairs: int = 100,
    max_rows: int = 1000,
    random_state: int | np.random.RandomState | None = 0,
) -> PlanReport:
    """Tell what the transport plan of rows says: who matches whom, and where mass goes that ought not.

    Parameters
    ----------
    estimator, X, y, X_pair, sample_domain, sample_group, max_rows, random_state
        As in :func:`plan_of_rows`. ``y`` and ``sample_domain`` that are no fractions also name classes and domains.
    n_matches : int, default=5
        Matches of each row.
    n_pairs : int, default=100
        Most likely false negatives.

    Returns
    -------
    PlanReport

    Raises
    ------
    ImportError
        If pandas is not installed.
    TypeError, ValueError
        As in :func:`plan_of_rows`.

    See Also
    --------
    TransportPlanDisplay : The plan as a picture.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgca import GCAEmbedder
    >>> from skgca.inspection import plan_report
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = GCAEmbedder(max_epochs=5, random_state=0).fit(X[::2])
    >>> report = plan_report(embedder, X[1::2], y[1::2])
    >>> list(report.matches.columns)
    ['row', 'rank', 'match', 'mass', 'own_mass', 'y', 'y_match']
    >>> report.classes.shape
    (3, 3)
    """
    _pandas()  # before anything is computed
    beside = {"X_pair": X_pair, "sample_domain": sample_domain, "sample_group": sample_group}
    plan = plan_of_rows(estimator, X, y, **beside, max_rows=max_rows, random_state=random_state)
    return PlanReport(plan, n_matches=n_matches, n_pairs=n_pairs)


def _pandas() -> Any:
    return import_optional("pandas", needed_for="plan_report", instead="use plan_of_rows, which gives arrays.")


def _matches(plan: RowPlan, n_matches: int) -> dict[str, Any]:
    n = len(plan)
    k = min(n_matches, n - 1)
    others = plan.plan.copy()
    np.fill_diagonal(others, -1.0)  # last in the order
    match = np.argsort(-others, axis=1, kind="stable")[:, :k].ravel()
    row = np.repeat(np.arange(n), k)
    return {
        "row": plan.labels[row],
        "rank": np.tile(np.arange(1, k + 1), n),
        "match": plan.labels[match],
        "mass": plan.plan[row, match],
        "own_mass": plan.plan[row, row],
        **_named_pairs(plan, row, match),
    }


def _false_negatives(plan: RowPlan, groups: Groups | None, n_pairs: int) -> dict[str, Any]:
    row, match = np.triu_indices(len(plan), k=1)
    if plan.related is not None:
        may = ~plan.related[row, match]
        row, match = row[may], match[may]
    mass = plan.plan[row, match] + plan.plan[match, row]
    target_mass = plan.target[row, match] + plan.target[match, row]
    even = float(mass.mean()) if mass.any() else math.nan
    most = np.argsort(target_mass - mass, kind="stable")[:n_pairs]
    row, match, mass, target_mass = row[most], match[most], mass[most], target_mass[most]
    found = {
        "row": plan.labels[row],
        "match": plan.labels[match],
        "mass": mass,
        "target_mass": target_mass,
        "lift": mass / even,
        **_named_pairs(plan, row, match),
    }
    if groups is not None:
        first, second = groups.codes[row], groups.codes[match]
        known = (first >= 0) & (second >= 0)
        found["same_class"] = [
            bool(same) if there else None for same, there in zip(first == second, known, strict=True)
        ]
    return found


def _named_pairs(plan: RowPlan, row: np.ndarray, match: np.ndarray) -> dict[str, np.ndarray]:
    """Return y and domain of both rows of a pair, as far as they are known."""
    found = {}
    for name, values in (("y", plan.y), ("domain", plan.domain)):
        if values is not None:
            found |= {name: values[row], f"{name}_match": values[match]}
    return found


def _between(pd: Any, plan: np.ndarray, groups: Groups, name: str) -> Any:
    """Return which share of the mass of each group goes to each."""
    member = groups.indicators()  # (n, k)
    mass = member.T @ plan @ member
    sent = mass.sum(axis=1, keepdims=True)
    shares = np.divide(mass, sent, out=np.full_like(mass, math.nan), where=sent > 0)
    index = [pd.Index(groups.names, name=f"{name} {end}", tupleize_cols=False) for end in ("from", "to")]
    return pd.DataFrame(shares, index=index[0], columns=index[1])


def _refused(plan: RowPlan) -> dict[str, Any]:
    # in units of the median row: entropy lifts the mass of all rows above what is due, the more so the more there are
    relaxed = [0 < rho < math.inf for rho in (plan.marginals.rho_row, plan.marginals.rho_col)]
    sides = [mass for mass, is_relaxed in zip((plan.row_mass, plan.col_mass), relaxed, strict=True) if is_relaxed]
    lost = np.max([1 - mass / np.median(mass) for mass in sides], axis=0) if sides else np.zeros(len(plan))
    order = np.argsort(-lost, kind="stable")
    order = order[lost[order] > 0]
    found = {
        "row": plan.labels[order],
        "row_mass": plan.row_mass[order],
        "col_mass": plan.col_mass[order],
        "lost": lost[order],
    }
    return found if plan.y is None else {**found, "y": plan.y[order]}


def _summary(plan: RowPlan, groups: Groups | None) -> dict[str, float]:
    total, sent = plan.plan.sum(), plan.row_mass
    shares = plan.plan[sent > 0] / sent[sent > 0, None]
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=1)
    found = {
        "own_share": float(plan.plan.trace() / total),
        "own_share_due": float(plan.target.trace() / plan.target.sum()),
        "effective_matches": float(np.exp(entropy).mean()),
        "mass": float(sent.mean()),
        "marginal_error": plan.marginal_error,
    }
    if groups is None:
        return found
    known = groups.codes >= 0
    pairs = known[:, None] & known & ~np.eye(len(plan), dtype=bool)
    if plan.related is not None:
        pairs &= ~plan.related
    same = pairs & same_class(groups.codes)
    between = plan.plan[pairs].sum()
    if pairs.any() and between > 0:
        found["same_class"] = float(plan.plan[same].sum() / between)
        found["same_class_by_chance"] = float(same.sum() / pairs.sum())
    return found
