"""The scores of a search over epsilon and marginals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..losses import LearnableEpsilon
from ..ot import Marginals
from ._drawing import COLORS, MARKERS, axes_for

__all__ = ["MarginalPathDisplay"]

_APART = 3  # points, 1/72 inch, from line to line
_UNSET = object()  # of a parameter that a setting leaves as it is, where it is not known how that was


@dataclass(frozen=True)
class _Point:
    """A setting: its mean score over the folds and the deviation, and of a halving search its iteration."""

    epsilon: Any
    marginals: Any
    mean: float
    std: float
    iteration: int

    @property
    def learned(self) -> bool:
        return isinstance(self.epsilon, LearnableEpsilon)

    @property
    def x(self) -> float:
        return float(self.epsilon.start if self.learned else self.epsilon)


class MarginalPathDisplay:
    """Scores of a search over epsilon, a line for each value of marginals, with bars for the deviation over folds.

    The lines stand beside each other by a few points, so that their bars can be told apart. Folds differ in what all
    settings share, so bars that overlap do not mean that settings are level.

    Of settings that differ in other parameters, the best is shown. An epsilon that is learned stands at its start, as a
    star. In a halving search each setting has the score of the last iteration that it was in, and is hollow if that
    was not the last of all: it was given less. A setting that failed is left out.

    Parameters
    ----------
    cv_results : dict
        As ``cv_results_`` of :class:`skgca.model_selection.GCASearchCV`,
        :class:`sklearn.model_selection.GridSearchCV` and the like.
    metric : str, default="score"
        Which score, where there are several.
    defaults : dict, default=None
        Parameters of the estimator, for settings that leave ``epsilon`` or ``marginals`` as they are.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Raises
    ------
    ValueError
        If there is no such score, no epsilon among the parameters or more than one, or nothing to show.

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
            Fitted, over ``epsilon`` of an embedder, or of one in a pipeline.
        metric : str, default=None
            Which score, where there are several. None is the one by which ``refit`` chose.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        MarginalPathDisplay

        Raises
        ------
        TypeError
            If it is no search.
        NotFittedError
            If it is not fitted.
        ValueError
            If there is no such score, no epsilon in the grid, or nothing to show.
        """
        if not hasattr(search, "estimator"):
            raise TypeError(
                f"{type(search).__name__} is no search; give a fitted GCASearchCV, GridSearchCV or the like."
            )
        check_is_fitted(search, "cv_results_")
        if metric is None:
            metric = search.refit if search.multimetric_ and isinstance(search.refit, str) else "score"
        return cls(search.cv_results_, metric=metric, defaults=search.estimator.get_params()).plot(ax=ax)

    @classmethod
    def from_cv_results(
        cls, cv_results: Mapping[str, Any], *, metric: str = "score", ax: Any = None
    ) -> MarginalPathDisplay:
        """Draw the scores that a search left.

        Parameters
        ----------
        cv_results : dict
            ``cv_results_`` of a search. A setting that has no epsilon is left out.
        metric : str, default="score"
            Which score, where there are several.
        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        MarginalPathDisplay

        Raises
        ------
        ValueError
            If there is no such score, no epsilon in the grid, or nothing to show.
        """
        return cls(cv_results, metric=metric).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> MarginalPathDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a figure.

        Returns
        -------
        MarginalPathDisplay
        """
        points = self._points()
        last = max(point.iteration for point in points)
        best = max((point for point in points if point.iteration == last), key=lambda point: point.mean)
        (self.ax_,) = axes_for(ax, 1, width=7, height=4.5)
        self.figure_ = self.ax_.figure
        self.ax_.set_xscale("log")
        ranks = sorted({_rank(point.marginals) for point in points})
        for k, rank in enumerate(ranks):
            self._draw([point for point in points if _rank(point.marginals) == rank], k, len(ranks), last)
        ring = {"marker": "o", "s": 190, "facecolors": "none", "edgecolors": "black", "linewidths": 1.5, "zorder": 4}
        beside = self._beside(ranks.index(_rank(best.marginals)), len(ranks))
        self.ax_.scatter([best.x], [best.mean], label="best", transform=beside, **ring)
        if any(point.iteration < last for point in points):
            self.ax_.scatter([], [], facecolors="white", edgecolors="0.3", label="of an earlier iteration")
        ends = [(point.x, point.mean + sign * point.std) for point in points for sign in (-1, 1)]
        self.ax_.update_datalim(ends)  # which matplotlib leaves out where the data are drawn beside their place
        self.ax_.autoscale_view()
        name = "score" if self.metric == "score" else self.metric.replace("_", " ")
        self.ax_.set(xlabel="epsilon", ylabel=f"{name} of held-out rows")
        self.ax_.legend(title="marginals", loc="center left", bbox_to_anchor=(1, 0.5))
        return self

    def _draw(self, points: list[_Point], k: int, n_lines: int, last: int) -> None:
        """Draw what has the same marginals: a line, and what is learned beside it."""
        color, marker, label = COLORS[k % len(COLORS)], MARKERS[k % len(MARKERS)], _label(points[0].marginals)
        common = {"color": color, "capsize": 2, "elinewidth": 0.8, "transform": self._beside(k, n_lines)}
        path = sorted((point for point in points if not point.learned), key=lambda point: point.x)
        if path:
            x, mean, std = ([getattr(point, name) for point in path] for name in ("x", "mean", "std"))
            self.ax_.errorbar(x, mean, yerr=std, marker=marker, label=label, **common)
        early = [point for point in path if point.iteration < last]
        hollow = {"marker": marker, "facecolors": "white", "edgecolors": color, "zorder": 3}
        self.ax_.scatter([p.x for p in early], [p.mean for p in early], transform=common["transform"], **hollow)
        for point in points:
            if point.learned:
                own = {**common, "marker": "*", "markersize": 12, "linestyle": "none"}
                self.ax_.errorbar([point.x], [point.mean], yerr=[point.std], label=f"{label}, epsilon learned", **own)

    def _beside(self, k: int, n_lines: int) -> Any:
        """Return where the data of a line are drawn: some points to the side, so that bars do not hide each other."""
        from matplotlib.transforms import ScaledTranslation

        shift = _APART * (k - (n_lines - 1) / 2) / 72
        return self.ax_.transData + ScaledTranslation(shift, 0, self.figure_.dpi_scale_trans)

    def _points(self) -> list[_Point]:
        """Return the best of the settings with the same epsilon and marginals, where they were scored."""
        results, metric = self.cv_results, self.metric
        if f"mean_test_{metric}" not in results:
            there = sorted(key.removeprefix("mean_test_") for key in results if key.startswith("mean_test_"))
            raise ValueError(f"metric={metric!r} is none of the scores of this search, which are {there}.")
        key = self._epsilon_key()
        epsilon, marginals = self._values(key), self._values(key.removesuffix("epsilon") + "marginals")
        means, stds = results[f"mean_test_{metric}"], results[f"std_test_{metric}"]
        iterations = results.get("iter", np.zeros(len(means), dtype=int))
        best: dict[Any, _Point] = {}
        for k, (mean, std) in enumerate(zip(means, stds, strict=True)):
            if epsilon[k] is _UNSET or not np.isfinite(mean):
                continue
            point = _Point(epsilon[k], marginals[k], float(mean), float(std), int(iterations[k]))
            place = repr(point.epsilon), _rank(point.marginals)
            if place not in best or (point.iteration, point.mean) > (best[place].iteration, best[place].mean):
                best[place] = point
        if not best:
            raise ValueError("There is nothing to show: no setting with an epsilon has a score.")
        return list(best.values())

    def _epsilon_key(self) -> str:
        """Return the name of the parameter epsilon, which may be that of a step."""
        searched = sorted(key.removeprefix("param_") for key in self.cv_results if key.startswith("param_"))
        found = [key for key in searched if key.split("__")[-1] == "epsilon"]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"The search was over {found}, of which only one can be shown.")
        raise ValueError(f"The search was over {searched}, but a path needs epsilon among them.")

    def _values(self, key: str) -> list[Any]:
        """Return the values of a parameter, setting by setting."""
        unset = (self.defaults or {}).get(key, _UNSET)
        return [setting.get(key, unset) for setting in self.cv_results["params"]]


def _rank(marginals: Any) -> tuple[int, float, float, str]:
    """Return what lines are sorted by: the loss's own first, then the harder they bind."""
    if marginals is None or marginals is _UNSET:
        return 0, 0.0, 0.0, _label(marginals)
    read = Marginals.parse(marginals)
    return 1, read.rho_row, read.rho_col, ""


def _label(marginals: Any) -> str:
    if marginals is _UNSET:
        return "not set"
    if marginals is None:
        return "the loss's own"
    if isinstance(marginals, str):
        return marginals
    if isinstance(marginals, (tuple, list)):
        return f"rho=({', '.join(f'{rho:g}' for rho in marginals)})"
    return f"rho={marginals:g}"
