"""The plan report: which rows the embedding confuses with one another, as tables.

The tables are computed from the transport plan of some rows, which :func:`plan_of_rows` returns. Without any label, a
user learns which rows match, which pairs training may push apart by mistake, and which rows match nothing. With y or
domains, the report also tells how classes or domains mix.
"""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._utils.html import figures, report, section
from .._utils.optional import import_optional
from ._groups import Groups, groups_of
from ._plan_tables import false_negatives, in_words, matches, refused, shares_between, summary
from ._row_plan import RowPlan, plan_of_rows

__all__ = ["PlanReport", "plan_report"]

_SHOWN = 10  # number of rows of a long table in HTML
_FIGURES = {  # the figures of the summary, each with the text next to it in HTML
    "own_share": "share of all mass that goes to the other view of the same row",
    "own_share_by_chance": "the same share by chance: in an embedding that does not distinguish rows",
    "own_share_at_best": "the same share of a perfect embedding, at this epsilon",
    "own_share_due": "the same share in the target plan",
    "own_first": "share of the views that send the most mass to the other view of their row",
    "own_rank_mean": "mean rank of that view, by its mass",
    "own_rank_median": "median of the same rank",
    "own_rank_by_chance": "mean of the same rank by chance",
    "effective_matches": "number of rows that the mass of a row is spread over",
    "mass": "mean mass of a row; 1 is prescribed",
    "marginal_error": "distance of the marginals from those of the solution, as a share of the prescribed mass",
    "same_class": "share of the mass between different rows that stays in one class",
    "same_class_by_chance": "share of the pairs of different rows that are of one class",
}
_EXPLAINED = {  # the tables of the report, each with the text above it in HTML
    "matches": "The other rows that get the most mass of each row. own_mass goes to the other view of the row itself.",
    "false_negatives": (
        "The pairs of different rows with the most mass beyond the target plan. Training pushes these rows apart, but "
        "they may be alike. lift is the mass of a pair, divided by the mean mass of a pair."
    ),
    "classes": (
        "The share of the mass of each class (left) that goes to each class (top). It includes the mass that goes to "
        "the other view of the row itself."
    ),
    "domains": (
        "The share of the mass of each domain (left) that goes to each domain (top). It includes the mass that goes to "
        "the other view of the row itself."
    ),
    "refused": (
        "The rows with less mass than the median row. Relaxed marginals leave little mass to rows that match nothing "
        "well. lost is the share of the median mass that the row lacks."
    ),
}


class PlanReport:
    """Tables of a transport plan: which rows match, and where mass goes that should not go there.

    Use it to find rows that the embedding confuses, as tables. To draw the plan instead, use
    :class:`TransportPlanDisplay`.

    A row that the embedding confuses with another sends mass to it. So the plan tells which rows are alike to the
    embedding, and comparing it with the target plan tells which pairs training pushes apart. All tables are computed
    from the plan; y and domains, where they are known, only add classes and domains to it. The unit of mass is the mass
    that the loss prescribes for a row, see :class:`RowPlan`. Rows have their labels in the index of a pandas data
    frame, else their positions in X.

    Read ``in_words`` or ``summary`` first. "own_share" lies between "own_share_by_chance" and "own_share_at_best". The
    latter is well below 1 at a large epsilon, which spreads the mass of any embedding. If "own_share" is close to it,
    or "own_first" close to 1, rows find their own other view, and there is little confusion. If not, ``matches`` shows
    for each row where its mass goes instead. Check the first
    pairs of ``false_negatives`` by hand, above all pairs of a high "lift", and the first rows of ``refused``. In a
    notebook, the report shows all tables with an explanation of each.

    Parameters
    ----------
    plan : RowPlan
        From :func:`plan_of_rows`.
    n_matches : int, default=5
        Number of matches of each row.
    n_pairs : int, default=100
        Number of pairs in ``false_negatives``.

    Attributes
    ----------
    matches : DataFrame
        The other rows that get the most mass of each row: "row", "rank" from 1, "match", "mass", and "own_mass", which
        goes to the other view of the row itself. Where they are known, also "y" and "y_match", "domain" and
        "domain_match".
    false_negatives : DataFrame
        The pairs of different, unrelated rows with the most mass beyond the target plan, in descending order: "row",
        "match", "mass" in both directions, "target_mass", and "lift", which is the mass divided by the mean mass of
        such a pair. With classes, also "y", "y_match" and "same_class", which is missing if a class is not known.
    classes, domains : DataFrame or None
        Share of the mass of each class (or domain) that goes to each class; every line sums to 1. Rows without a class
        are left out. None if there are no classes.
    refused : DataFrame
        The rows with less mass than the median row in a relaxed marginal, in ascending order: "row", "row_mass",
        "col_mass", "lost" as a share of the median mass, and "y" where it is known. Empty if no marginal is relaxed.
    summary : dict
        - "own_share": share of all mass that goes from a row to its own other view.
        - "own_share_by_chance": the same share in an embedding that does not distinguish rows, in which all candidates
          of a view get the same mass.
        - "own_share_at_best": the same share of a perfect embedding of n rows, with cosine 1 between the views of a row
          and -1 / (n - 1) between rows. Left out for a cost other than the cosine.
        - "own_share_due": the same share in the target plan.
        - "own_first", "own_rank_mean", "own_rank_median": share of the views that send the most mass to the other view
          of their row, and rank of that view among all candidates, from 1; see :class:`RowPlan`.
          "own_rank_by_chance": the mean rank by chance.
        - "effective_matches": number of rows that the mass of a row is spread over, which is the exponential of its
          entropy; mean over rows.
        - "mass": mean mass of a row.
        - "marginal_error": marginal error of the plan.
        - "same_class", with classes: of the mass between different, unrelated rows of known class, the share that stays
          in one class.
        - "same_class_by_chance": the share of such pairs that are of one class.
    in_words : str
        The figures on the own view as sentences.

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
        pd = _pandas()
        self.plan = plan
        classes, domains = groups_of(plan.y), groups_of(plan.domain)
        self.matches = pd.DataFrame(matches(plan, n_matches))
        self.false_negatives = pd.DataFrame(false_negatives(plan, classes, n_pairs))
        if classes is not None:  # a boolean that may be missing
            self.false_negatives["same_class"] = self.false_negatives["same_class"].astype("boolean")
        self.classes = None if classes is None else _square_table(plan, classes, "y")
        self.domains = None if domains is None else _square_table(plan, domains, "domain")
        self.refused = pd.DataFrame(refused(plan))
        self.summary = summary(plan, classes)
        self.in_words = in_words(plan, self.summary)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {table.shape[0]} x {table.shape[1]}" for name, table in self._tables().items())
        values = [f"{name} {value:.3g}" for name, value in self.summary.items()]
        lines = [self.in_words, ", ".join(values), f"tables: {sizes}"]
        return "\n  ".join([f"PlanReport of {len(self.plan)} rows ({self.plan.settings})", *lines])

    def _repr_html_(self) -> str:
        settings = f"{self.plan.settings}; target plan: {self.plan.target_name}"
        rows = [(name, f"{value:.3g}", _FIGURES[name]) for name, value in self.summary.items()]
        parts = [f'<p class="note">{escape(settings)}</p><p>{escape(self.in_words)}</p>', figures(rows)]
        for name, table in self._tables().items():
            is_square = name in ("classes", "domains")  # cut by max_rows and max_cols in the middle, not at the end
            shown = table if is_square else table.head(_SHOWN)
            cut = "" if is_square or len(table) <= _SHOWN else f" The first {_SHOWN} of {len(table)}."
            options = {"max_rows": 2 * _SHOWN, "max_cols": 2 * _SHOWN, "float_format": "{:.3g}".format, "border": 0}
            body = shown.to_html(index=is_square, escape=True, **options) if len(table) else "<p>None.</p>"
            parts.append(section(name, _EXPLAINED[name] + cut, body))
        return report(f"Plan of {len(self.plan)} rows", *parts)

    def _tables(self) -> dict[str, Any]:
        tables = {name: getattr(self, name) for name in _EXPLAINED}
        return {name: table for name, table in tables.items() if table is not None}


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
    """Report which rows match in the transport plan of some rows, and where mass goes that should not go there.

    Use it to find wrong labels, duplicates and rows that the embedding confuses. To draw the plan, use
    :class:`TransportPlanDisplay`.

    :class:`PlanReport` explains the tables and how to read them. Needs pandas.

    Parameters
    ----------
    estimator, X, y, X_pair, sample_domain, sample_group
        As in :func:`plan_of_rows`. ``y`` and ``sample_domain`` also give the tables of classes and of domains, unless
        they have fractions.
    n_matches, n_pairs
        As in :class:`PlanReport`.
    max_rows, random_state
        As in :func:`plan_of_rows`.

    Returns
    -------
    PlanReport

    Raises
    ------
    ImportError
        If pandas is not installed.
    TypeError, ValueError
        As in :func:`plan_of_rows`; and if ``n_matches`` or ``n_pairs`` is less than 1.

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
    _pandas()  # before the plan, which takes time
    metadata = {"X_pair": X_pair, "sample_domain": sample_domain, "sample_group": sample_group}
    plan = plan_of_rows(estimator, X, y, **metadata, max_rows=max_rows, random_state=random_state)
    return PlanReport(plan, n_matches=n_matches, n_pairs=n_pairs)


def _pandas() -> Any:
    return import_optional("pandas", needed_for="plan_report", instead="use plan_of_rows, which gives arrays.")


def _square_table(plan: RowPlan, groups: Groups, name: str) -> Any:
    pd = _pandas()
    sender, receiver = (
        pd.Index(groups.names, name=f"{name} {end}", tupleize_cols=False)  # a class may be a tuple
        for end in ("from", "to")
    )
    return pd.DataFrame(shares_between(plan, groups), index=sender, columns=receiver)
