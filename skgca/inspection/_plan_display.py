"""The transport plan between rows as a picture: which rows the embedding confuses, and which attract too much mass.

The display is drawn from the plan that :func:`plan_of_rows` computes. The target plan next to it shows where training
wants the mass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._drawing import COLORS, axes_for
from ._groups import Groups, groups_of, unknown
from ._row_plan import RowPlan, plan_of_rows

__all__ = ["TransportPlanDisplay"]

_SORTS = ("auto", "y", "domain", None)
_LEAST_NAMED = 1 / 36  # a group with a smaller share of the rows has no room for its name
_ROOM = 40  # number of characters that fit side by side below a panel
_LONGEST_NAME = 20  # number of characters; longer names are cut
_LEAST_SHARE = 1e-3  # of the mean mass of a cell: smaller masses all have the darkest colour


class TransportPlanDisplay:
    """Three panels: where the mass of each row goes, where the target plan wants it, and how much mass each row has.

    Use it to see which rows a plan confuses, for up to a few hundred rows. For tables with the rows by name, use
    :func:`plan_report`.

    The first panel is the plan: the mass that goes from the row on the left to the row below. The second panel is the
    target plan, in the same logarithmic colours. The diagonal is the mass that goes to the other view of the row
    itself. Bright cells elsewhere are pairs of rows that the embedding confuses. The third panel has the mass that
    leaves each row and the mass that reaches it, with a line at the prescribed mass of 1. If column marginals are not
    held, rows far to the right attract mass of many other rows.

    Parameters
    ----------
    plan : RowPlan
        From :func:`plan_of_rows`.
    sort_by : {"auto", "y", "domain"}, default="auto"
        How rows are sorted: "auto" sorts by domain, then by y, as far as they are known. None keeps the order of X.

    Attributes
    ----------
    plan : RowPlan
    order_ : ndarray of shape (n,)
        The row of the plan that is drawn at each place.
    axes_ : list of matplotlib Axes
        The three panels.
    ax_ : matplotlib Axes
        The panel of the plan.
    figure_ : matplotlib Figure

    See Also
    --------
    plan_report : Tables computed from the plan.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgca import GCAEmbedder
    >>> from skgca.inspection import TransportPlanDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = GCAEmbedder(max_epochs=5, random_state=0).fit(X[::2])
    >>> display = TransportPlanDisplay.from_estimator(embedder, X[1::2], y[1::2])
    >>> [ax.get_xlabel() for ax in display.axes_]
    ['to row, by y', 'to row, by y', 'mass (prescribed: 1)']
    """

    def __init__(self, plan: RowPlan, *, sort_by: str | None = "auto") -> None:
        self.plan = plan
        self.sort_by = sort_by

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: Any = None,
        *,
        X_pair: ArrayLike | None = None,
        sample_domain: ArrayLike | None = None,
        sample_group: ArrayLike | None = None,
        sort_by: str | None = "auto",
        max_rows: int = 200,
        random_state: int | np.random.RandomState | None = 0,
        ax: Any = None,
    ) -> TransportPlanDisplay:
        """Compute the plan of some rows, best held-out ones, and draw it.

        Parameters
        ----------
        estimator, X, y, X_pair, sample_domain, sample_group
            As in :func:`plan_of_rows`.
        sort_by : {"auto", "y", "domain"}, default="auto"
            As in :class:`TransportPlanDisplay`.
        max_rows : int, default=200
            If X has more rows, this many are drawn at random, so that a row is not thinner than a pixel.
        random_state : int, RandomState instance or None, default=0
            As in :func:`plan_of_rows`.
        ax : matplotlib Axes or sequence of three, default=None
            Axes to draw on. One is divided into three panels. None makes a new figure.

        Returns
        -------
        TransportPlanDisplay

        Raises
        ------
        TypeError, ValueError
            As in :func:`plan_of_rows`; and if ``sort_by`` is not known, or names something that is not given.
        """
        _check_sort(sort_by, y, sample_domain)  # before the plan, which takes time
        metadata = {"X_pair": X_pair, "sample_domain": sample_domain, "sample_group": sample_group}
        plan = plan_of_rows(estimator, X, y, **metadata, max_rows=max_rows, random_state=random_state)
        return cls(plan, sort_by=sort_by).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> TransportPlanDisplay:
        """Draw the three panels.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of three, default=None
            Axes to draw on. One is divided into three panels. None makes a new figure.

        Returns
        -------
        TransportPlanDisplay
        """
        _check_sort(self.sort_by, self.plan.y, self.plan.domain)
        keys = self._keys()
        self.order_ = _order(len(self.plan), keys)
        self.axes_ = axes_for(ax, 3, width=14, height=4.6)
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        drawn = self._plot_plans()
        by = f", by {', then '.join(name for name, _ in keys)}" if keys else ""
        settings = f"epsilon {self.plan.epsilon:.3g}, marginals {self.plan.held}"
        titles = (f"Plan of loss {self.plan.loss}\n{settings}", f"Target plan\n{self.plan.target_name}")
        for panel, title in zip(self.axes_[:2], titles, strict=True):
            panel.set(xlabel=f"to row{by}", ylabel=f"from row{by}", title=title)
        self._plot_mass(self.axes_[2], by)
        groups = groups_of(keys[0][1]) if keys else None
        if groups is not None:
            self._mark_groups(groups)
        self.figure_.colorbar(drawn, ax=self.axes_[:2], label="mass (prescribed for a row: 1)", extend="min", pad=0.02)
        if ax is None:  # a figure of its own has room beside the last panel, where the legend hides no points
            self.axes_[2].legend(loc="center left", bbox_to_anchor=(1, 0.5))
            self.figure_.get_layout_engine().set(wspace=0.06)
        else:
            self.axes_[2].legend()
        return self

    def _keys(self) -> list[tuple[str, np.ndarray]]:
        """Return the names and values that rows are sorted by, the most important first."""
        columns = {"domain": self.plan.domain, "y": self.plan.y}
        wanted = {"auto": ("domain", "y"), "domain": ("domain",), "y": ("y",), None: ()}[self.sort_by]
        return [(name, values) for name in wanted if (values := columns[name]) is not None]

    def _plot_plans(self) -> Any:
        """Draw the plan and the target plan in the same colours, and return an image that a colour bar can explain."""
        from matplotlib.colors import LogNorm

        plans = [matrix[np.ix_(self.order_, self.order_)] for matrix in (self.plan.plan, self.plan.target)]
        mean = self.plan.plan.sum() / len(self.plan) ** 2
        least = self.plan.plan[self.plan.plan > 0].min(initial=mean)
        # Colours start at the least mass, unless it is tiny: then most colours would go to masses that do not matter.
        start = max(least, _LEAST_SHARE * mean)
        norm = LogNorm(start, max(plan.max() for plan in plans))
        for panel, plan in zip(self.axes_, plans, strict=False):
            # 0 has no logarithm, so it gets a value below the first colour, which the colour bar shows as "less".
            drawn = panel.imshow(np.maximum(plan, start / 2), norm=norm, cmap="cividis", aspect="auto")
        return drawn

    def _plot_mass(self, ax: Any, by: str) -> None:
        places = np.arange(len(self.plan))
        sent, reached = self.plan.row_mass[self.order_], self.plan.col_mass[self.order_]
        ax.axvline(1.0, color="0.4", linestyle=":", label="prescribed")
        # Rings lie below dots: where both marginals are held, each ring is around its dot.
        ax.scatter(sent, places, s=5, color=COLORS[0], label="leaves the row", zorder=2)
        ax.scatter(reached, places, s=18, facecolor="none", edgecolor=COLORS[1], label="reaches the row", zorder=1.5)
        ax.set(xlabel="mass (prescribed: 1)", ylabel=f"row{by}", ylim=(len(self.plan) - 0.5, -0.5))
        ax.set_xlim(0, 1.15 * max(1.0, sent.max(), reached.max()))
        ax.set_title(f"Mass\nmarginal error {self.plan.marginal_error:.2g}")

    def _mark_groups(self, groups: Groups) -> None:
        """Draw lines between groups, and name the groups that are large enough."""
        codes = groups.codes[self.order_]  # ascending, but for unknown rows (-1), which come last
        starts = np.flatnonzero(np.diff(codes, prepend=codes[0] - 1))
        sizes = np.diff(starts, append=len(codes))
        wide = sizes >= _LEAST_NAMED * len(codes)
        names = [_short(groups.names[code]) if code >= 0 else "unknown" for code in codes[starts[wide]]]
        ticks = (starts + (sizes - 1) / 2)[wide]
        room = _ROOM * sizes[wide] / len(codes)
        upright = any(len(name) > most for name, most in zip(names, room, strict=True))
        *maps, mass_panel = self.axes_
        for panel in maps:
            panel.set_xticks(ticks, names, rotation=90 if upright else 0)
        for bound in starts[1:] - 0.5:
            mass_panel.axhline(bound, color="0.8", linewidth=0.6, zorder=1)
            for panel in maps:
                panel.axhline(bound, color="white", linewidth=0.6)
                panel.axvline(bound, color="white", linewidth=0.6)
        for panel in self.axes_:  # rows are at the same height in all panels, so only the first one names them
            panel.set_yticks(ticks, names if panel is self.ax_ else [""] * len(names))


def _short(name: Any) -> str:
    text = str(name)
    text = text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1].rstrip()}\u2026"
    return text.replace("$", r"\$")  # matplotlib would read a formula between two of them


def _check_sort(sort_by: Any, y: Any, domain: Any) -> None:
    if sort_by not in _SORTS:
        raise ValueError(f"sort_by={sort_by!r} is not known; use one of {list(_SORTS)}.")
    missing = {"y": y is None, "domain": domain is None}
    if missing.get(sort_by, False):
        needed = "sample_domain" if sort_by == "domain" else "y, one entry a row"
        raise ValueError(f"sort_by={sort_by!r} needs {needed}; pass it, or leave sort_by out.")


def _order(n: int, keys: list[tuple[str, np.ndarray]]) -> np.ndarray:
    """Return the rows sorted by the first key, and rows of equal value by the next; unknown values come last."""
    ranks = []
    for _, values in keys:
        groups = groups_of(values)
        if groups is not None:
            ranks.append(np.where(groups.codes < 0, len(groups.names), groups.codes))
        else:
            is_unknown = unknown(values)
            ranks.append(np.array([np.inf if no else v for v, no in zip(values, is_unknown, strict=True)], float))
    return np.lexsort((np.arange(n), *ranks[::-1]))  # lexsort sorts by its last key first
