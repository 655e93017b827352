"""The transport plan of some rows as a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._drawing import COLORS, axes_for
from ._groups import Groups, groups_of, unknown
from ._row_plan import RowPlan, plan_of_rows

__all__ = ["TransportPlanDisplay"]

_SORTS = ("auto", "y", "domain", None)
_NAMED_SHARE = 1 / 36  # of all rows, least share of a group for which a panel has room to name it
_ROOM = 40  # characters that fit side by side under a panel
_LONGEST = 20  # characters of a name, beyond which it is cut
_LEAST_SHARE = 1e-3  # of an even spread, the least mass that has a colour of its own


class TransportPlanDisplay:
    """Where the mass of each row goes, where it ought to go, and how much of it there is.

    The first panel is the plan, from rows to columns, the second the target plan, in the same logarithmic colours. The
    diagonal is the mass that goes to a row's own other view. Bright cells off the diagonal are rows that the embedding
    takes for one another. The third panel has the mass that leaves and reaches each row, beside what is due to it.

    Parameters
    ----------
    plan : RowPlan
        From :func:`plan_of_rows`.
    sort_by : {"auto", "y", "domain"}, default="auto"
        What rows are sorted by, "auto" by domain, then by y, as far as they are known. None leaves their order.

    Attributes
    ----------
    plan : RowPlan
    order_ : ndarray of shape (n,)
        Which row of the plan stands at each place.
    axes_ : list of matplotlib Axes
        Of the three panels.
    ax_ : matplotlib Axes
        Of the plan.
    figure_ : matplotlib Figure

    See Also
    --------
    plan_report : What the plan says, as tables.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgca import GCAEmbedder
    >>> from skgca.inspection import TransportPlanDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = GCAEmbedder(max_epochs=5, random_state=0).fit(X[::2])
    >>> display = TransportPlanDisplay.from_estimator(embedder, X[1::2], y[1::2])
    >>> [ax.get_xlabel() for ax in display.axes_]
    ['to row, by y', 'to row, by y', 'mass, 1 is due']
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
        """Compute the plan of rows, mostly held-out ones, and draw.

        Parameters
        ----------
        estimator, X, y, X_pair, sample_domain, sample_group, random_state
            As in :func:`plan_of_rows`.
        sort_by : {"auto", "y", "domain"}, default="auto"
            What rows are sorted by; see :class:`TransportPlanDisplay`.
        max_rows : int, default=200
            Of more rows, a random part is drawn, so that a row is no thinner than a dot.
        ax : matplotlib Axes or sequence of three, default=None
            Where to draw; one is divided. None makes a figure.

        Returns
        -------
        TransportPlanDisplay

        Raises
        ------
        TypeError, ValueError
            As in :func:`plan_of_rows`; and if ``sort_by`` is not known, or names what is not given.
        """
        _check_sort(sort_by, y, sample_domain)
        beside = {"X_pair": X_pair, "sample_domain": sample_domain, "sample_group": sample_group}
        plan = plan_of_rows(estimator, X, y, **beside, max_rows=max_rows, random_state=random_state)
        return cls(plan, sort_by=sort_by).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> TransportPlanDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of three, default=None
            Where to draw; one is divided. None makes a figure.

        Returns
        -------
        TransportPlanDisplay
        """
        _check_sort(self.sort_by, self.plan.y, self.plan.domain)
        keys = self._keys()
        self.order_ = _order(len(self.plan), keys)
        self.axes_ = axes_for(ax, 3, width=13, height=4.6)
        self.ax_ = self.axes_[0]
        self.figure_ = self.ax_.figure
        drawn = self._plot_plans()
        by = f", by {keys[0][0]}" if keys else ""
        held = f"epsilon {self.plan.epsilon:.3g}, marginals {self.plan.held}"
        titles = (f"Plan of loss {self.plan.loss}\n{held}", f"Target plan\n{self.plan.target_name}")
        for panel, title in zip(self.axes_[:2], titles, strict=True):
            panel.set(xlabel=f"to row{by}", ylabel=f"from row{by}", title=title)
        self._plot_mass(self.axes_[2], by)
        groups = groups_of(keys[0][1]) if keys else None
        if groups is not None:
            self._mark_groups(groups)
        self.figure_.colorbar(drawn, ax=self.axes_[:2], label="mass, 1 is due to a row", extend="min", pad=0.02)
        if ax is None:
            self.figure_.get_layout_engine().set(wspace=0.06)
        return self

    def _keys(self) -> list[tuple[str, np.ndarray]]:
        """Return by what rows are sorted, the most important first."""
        known = {"domain": self.plan.domain, "y": self.plan.y}
        wanted = {"auto": ("domain", "y"), "domain": ("domain",), "y": ("y",), None: ()}[self.sort_by]
        return [(name, known[name]) for name in wanted if known[name] is not None]

    def _plot_plans(self) -> Any:
        from matplotlib.colors import LogNorm

        plans = [matrix[np.ix_(self.order_, self.order_)] for matrix in (self.plan.plan, self.plan.target)]
        even = self.plan.plan.sum() / len(self.plan) ** 2
        least = self.plan.plan[self.plan.plan > 0].min(initial=even)
        norm = LogNorm(max(least, _LEAST_SHARE * even), max(plan.max() for plan in plans))
        for panel, plan in zip(self.axes_, plans, strict=False):
            drawn = panel.imshow(np.maximum(plan, norm.vmin / 2), norm=norm, cmap="cividis", aspect="auto")
        return drawn

    def _plot_mass(self, ax: Any, by: str) -> None:
        places = np.arange(len(self.plan))
        sent, reached = self.plan.row_mass[self.order_], self.plan.col_mass[self.order_]
        ax.axvline(1.0, color="0.4", linestyle=":", label="due")
        ax.scatter(sent, places, s=5, color=COLORS[0], label="leaves the row", zorder=2)
        ax.scatter(reached, places, s=18, facecolor="none", edgecolor=COLORS[1], label="reaches it", zorder=1.5)
        ax.set(xlabel="mass, 1 is due", ylabel=f"row{by}", ylim=(len(self.plan) - 0.5, -0.5))
        ax.set_xlim(0, 1.15 * max(1.0, sent.max(), reached.max()))
        ax.set_title(f"Mass\nmarginal error {self.plan.marginal_error:.1e}")
        ax.legend()

    def _mark_groups(self, groups: Groups) -> None:
        """Draw bounds between groups, and name those that there is room for."""
        codes = groups.codes[self.order_]
        starts = np.flatnonzero(np.diff(codes, prepend=codes[0] - 1))
        sizes = np.diff(starts, append=len(codes))
        wide = sizes >= _NAMED_SHARE * len(codes)
        names = [_short(groups.names[code]) if code >= 0 else "unknown" for code in codes[starts[wide]]]
        ticks = (starts + (sizes - 1) / 2)[wide]
        room = _ROOM * sizes[wide] / len(codes)
        upright = any(len(name) > most for name, most in zip(names, room, strict=True))
        *maps, of_mass = self.axes_
        for panel in maps:
            panel.set_xticks(ticks, names, rotation=90 if upright else 0)
        for bound in starts[1:] - 0.5:
            of_mass.axhline(bound, color="0.8", linewidth=0.6, zorder=1)
            for panel in maps:
                panel.axhline(bound, color="white", linewidth=0.6)
                panel.axvline(bound, color="white", linewidth=0.6)
        for panel in self.axes_:  # rows stand at the same height in all, so that the first alone needs their names
            panel.set_yticks(ticks, names if panel is self.ax_ else [""] * len(names))


def _short(name: Any) -> str:
    text = str(name)
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1].rstrip()}\u2026"
    return text.replace("$", r"\$")  # which matplotlib would read as a formula


def _check_sort(sort_by: Any, y: Any, domain: Any) -> None:
    if sort_by not in _SORTS:
        raise ValueError(f"sort_by={sort_by!r} is not known; use one of {list(_SORTS)}.")
    missing = {"y": y is None, "domain": domain is None}
    if missing.get(sort_by, False):
        needed = "sample_domain" if sort_by == "domain" else "y, one entry a row"
        raise ValueError(f"sort_by={sort_by!r} needs {needed}; pass it, or leave sort_by out.")


def _order(n: int, keys: list[tuple[str, np.ndarray]]) -> np.ndarray:
    """Sort rows by the first key, and among equals by the next; what is not known comes last."""
    ranks = []
    for _, values in keys:
        groups = groups_of(values)
        if groups is not None:
            ranks.append(np.where(groups.codes < 0, len(groups.names), groups.codes))
        else:
            ranks.append(np.array([np.inf if no else v for v, no in zip(values, unknown(values), strict=True)], float))
    return np.lexsort((np.arange(n), *ranks[::-1]))
