"""The scores of a search over epsilon and marginals: which settings are good, and how much the choice matters.

The display is drawn from ``cv_results_`` of a search. It shows whether the best epsilon lies inside the grid or at its
end, and whether marginals matter more than the deviation over folds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.utils.validation import check_is_fitted

from ._drawing import MARKERS, axes_for, styles
from ._search_points import Point, best_points

__all__ = ["MarginalPathDisplay"]

_APART = 3  # distance between neighbouring lines, in points of 1/72 inch
_MOST_TICKS = 8  # with more values of epsilon, the axis has ticks at round numbers


class MarginalPathDisplay:
    """Scores of a search over epsilon, with a line for each value of marginals.

    Use it after a search over ``epsilon`` or ``marginals``, to see whether the best setting is better than its
    neighbours. For other parameters, read ``cv_results_``.

    The bars show the standard deviation over folds. Lines are shifted sideways by a few points, so that their bars do
    not hide each other. All settings are scored on the same folds, some of which are harder than others. So two
    settings may differ significantly although their bars overlap.

    Among settings that differ in other parameters, the best one is shown. A learned epsilon is a star at its starting
    value. In a halving search, a setting has the score of the last iteration that it took part in. Its marker is hollow
    if other settings were scored in a later iteration, with more resources. Settings without a score are left out.

    Parameters
    ----------
    cv_results : dict
        ``cv_results_`` of a :class:`skgca.model_selection.GCASearchCV`,
        :class:`sklearn.model_selection.GridSearchCV` or the like.
    metric : str, default="score"
        Name of the score to show, if the search has several.
    defaults : dict, default=None
        Parameters of the estimator, for settings that do not set ``epsilon`` or ``marginals``.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Raises
    ------
    ValueError
        If there is no such score, no epsilon among the parameters or more than one, or no setting with a score.

    See Also
    --------
    sklearn.model_selection.ValidationCurveDisplay : Training and test scores over one parameter.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skgca import GCAEmbedder
    >>> from skgca.inspection import MarginalPathDisplay
    >>> from skgca.model_selection import GCASearchCV
    >>> grid = {"epsilon": [0.2, 0.5, 1.0], "marginals": ["row", "balanced"]}
    >>> embedder = GCAEmbedder(max_epochs=4, random_state=0)
    >>> search = GCASearchCV(embedder, grid, cv=2).fit(load_iris().data)
    >>> MarginalPathDisplay.from_estimator(search).ax_.get_xlabel()
    'epsilon'
    """

    def __init__(
        self, cv_results: Mapping[str, Any], *, metric: str = "score", defaults: Mapping[str, Any] | None = None
    ) -> None:
        self.cv_results = cv_results
        self.metric = metric
        self.defaults = defaults

    @classmethod
    def from_estimator(cls, search: Any, *, metric: str | None = None, ax: Any = None) -> MarginalPathDisplay:
        """Draw the scores of a fitted search.

        Parameters
        ----------
        search : GCASearchCV, GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV or the like
            Fitted, over ``epsilon`` of an embedder or of an embedder in a pipeline.
        metric : str, default=None
            Name of the score to show, if the search has several. None is the score by which ``refit`` chose.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        MarginalPathDisplay

        Raises
        ------
        TypeError
            If ``search`` is no search.
        NotFittedError
            If it is not fitted.
        ValueError
            If there is no such score, no epsilon in the grid, or no setting with a score.
        """
        if not hasattr(search, "estimator"):
            raise TypeError(
                f"{type(search).__name__} is no search; pass a fitted GCASearchCV, GridSearchCV or the like."
            )
        check_is_fitted(search, "cv_results_")
        if metric is None:
            metric = search.refit if search.multimetric_ and isinstance(search.refit, str) else "score"
        return cls(search.cv_results_, metric=metric, defaults=search.estimator.get_params()).plot(ax=ax)

    @classmethod
    def from_cv_results(
        cls, cv_results: Mapping[str, Any], *, metric: str = "score", ax: Any = None
    ) -> MarginalPathDisplay:
        """Draw the scores in ``cv_results_``.

        Parameters
        ----------
        cv_results : dict
            ``cv_results_`` of a search. Settings without an epsilon are left out.
        metric : str, default="score"
            Name of the score to show, if the search has several.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        MarginalPathDisplay

        Raises
        ------
        ValueError
            If there is no such score, no epsilon in the grid, or no setting with a score.
        """
        return cls(cv_results, metric=metric).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> MarginalPathDisplay:
        """Draw the scores.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        MarginalPathDisplay
        """
        points = best_points(self.cv_results, self.metric, self.defaults)
        last = max(point.iteration for point in points)
        (self.ax_,) = axes_for(ax, 1, width=7, height=4.5)
        self.figure_ = self.ax_.figure
        self.ax_.set_xscale("log")
        lines = sorted({point.line for point in points})
        for k, line in enumerate(lines):
            self._plot_line([point for point in points if point.line == line], k, len(lines), last)
        best = max((point for point in points if point.iteration == last), key=lambda point: point.mean)
        ring = {"marker": "o", "s": 190, "facecolors": "none", "edgecolors": "black", "linewidths": 1.5, "zorder": 4}
        at_line = self._shifted(lines.index(best.line), len(lines))
        self.ax_.scatter([best.x], [best.mean], label="best", transform=at_line, **ring)
        if any(point.iteration < last for point in points):  # an empty plot, for the legend
            hollow = {"facecolors": "white", "edgecolors": "0.3"}
            self.ax_.scatter([], [], label="scored in an earlier iteration", **hollow)
        self._fit_axes(points)
        name = "score" if self.metric == "score" else self.metric.replace("_", " ")
        self.ax_.set(xlabel="epsilon", ylabel=f"{name} of held-out rows")
        self.ax_.legend(title="marginals", loc="center left", bbox_to_anchor=(1, 0.5))
        return self

    def _plot_line(self, points: list[Point], k: int, n_lines: int, last: int) -> None:
        """Draw the points of the same marginals: a line through the fixed epsilons, and a star for each learned one."""
        style, label = styles(n_lines)[k], points[0].label
        color, marker = style["color"], MARKERS[k % len(MARKERS)]
        common = {"color": color, "capsize": 2, "elinewidth": 0.8, "transform": self._shifted(k, n_lines)}
        fixed = sorted((point for point in points if not point.is_learned), key=lambda point: point.x)
        if fixed:
            x, mean, std = ([getattr(point, name) for point in fixed] for name in ("x", "mean", "std"))
            self.ax_.errorbar(x, mean, yerr=std, marker=marker, label=label, **common)
        early = [point for point in fixed if point.iteration < last]
        hollow = {"marker": marker, "facecolors": "white", "edgecolors": color, "zorder": 3}
        self.ax_.scatter([p.x for p in early], [p.mean for p in early], transform=common["transform"], **hollow)
        for point in points:
            if point.is_learned:
                star = {**common, "marker": "*", "markersize": 12, "linestyle": "none"}
                self.ax_.errorbar([point.x], [point.mean], yerr=[point.std], label=f"{label}, epsilon learned", **star)

    def _shifted(self, k: int, n_lines: int) -> Any:
        """Return the transform that draws line k some points to the side, so that bars do not hide each other."""
        from matplotlib.transforms import ScaledTranslation

        shift = _APART * (k - (n_lines - 1) / 2) / 72  # in inches; the lines are centred on epsilon
        return self.ax_.transData + ScaledTranslation(shift, 0, self.figure_.dpi_scale_trans)

    def _fit_axes(self, points: list[Point]) -> None:
        """Set limits that contain all bars, and ticks at the values of epsilon."""
        from matplotlib.ticker import FuncFormatter, LogLocator

        # matplotlib leaves out data that are drawn by a transform of their own.
        self.ax_.update_datalim([(point.x, point.mean + sign * point.std) for point in points for sign in (-1, 1)])
        self.ax_.autoscale_view()
        values = sorted({point.x for point in points})
        if len(values) <= _MOST_TICKS:
            self.ax_.set_xticks(values)
        else:
            self.ax_.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        self.ax_.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))  # 0.2, not 2 x 10^-1
        self.ax_.minorticks_off()
