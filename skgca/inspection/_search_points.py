"""Read the settings of a search over epsilon and marginals, with their scores, from ``cv_results_``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..losses import LearnableEpsilon
from ..ot import Marginals

__all__ = ["Point", "best_points"]

_UNSET = object()  # for a parameter that a setting does not set, if the value that the estimator has is not known


@dataclass(frozen=True)
class Point:
    """One setting of a search.

    Parameters
    ----------
    epsilon, marginals : object
        The values that the search tried.
    mean, std : float
        Mean and standard deviation of the score over the folds.
    iteration : int
        Iteration of a halving search in which the setting was scored; 0 in other searches.
    """

    epsilon: Any
    marginals: Any
    mean: float
    std: float
    iteration: int

    @property
    def is_learned(self) -> bool:
        """Whether training learns epsilon."""
        return isinstance(self.epsilon, LearnableEpsilon)

    @property
    def x(self) -> float:
        """Epsilon as a number: where it starts, if it is learned."""
        return float(self.epsilon.start if self.is_learned else self.epsilon)

    @property
    def line(self) -> tuple[int, float, float, str]:
        """Key of the line that the point belongs to. Keys sort lines: without marginals first, then by strength."""
        if self.marginals is None or self.marginals is _UNSET:
            return 0, 0.0, 0.0, self.label
        strengths = Marginals.parse(self.marginals)
        return 1, strengths.rho_row, strengths.rho_col, ""

    @property
    def label(self) -> str:
        """The marginals as text."""
        if self.marginals is _UNSET:
            return "not set"
        if self.marginals is None:
            return "default of the loss"
        if isinstance(self.marginals, str):
            return self.marginals
        if isinstance(self.marginals, (tuple, list)):
            return f"rho=({', '.join(f'{rho:g}' for rho in self.marginals)})"
        return f"rho={self.marginals:g}"


def best_points(cv_results: Mapping[str, Any], metric: str, defaults: Mapping[str, Any] | None) -> list[Point]:
    """Return a point for each epsilon and marginals: the best of the settings that differ in other parameters.

    Parameters
    ----------
    cv_results : dict
        ``cv_results_`` of a search.
    metric : str
        Name of the score.
    defaults : dict or None
        Parameters of the estimator, which hold where a setting does not set them.

    Raises
    ------
    ValueError
        If there is no such score, no epsilon among the parameters or more than one, or no setting with a score.
    """
    if f"mean_test_{metric}" not in cv_results:
        scores = sorted(key.removeprefix("mean_test_") for key in cv_results if key.startswith("mean_test_"))
        raise ValueError(f"metric={metric!r} is none of the scores of this search, which are {scores}.")
    key = _epsilon_key(cv_results)
    epsilon = _values(cv_results, key, defaults)
    marginals = _values(cv_results, key.removesuffix("epsilon") + "marginals", defaults)
    means, stds = cv_results[f"mean_test_{metric}"], cv_results[f"std_test_{metric}"]
    iterations = cv_results.get("iter", np.zeros(len(means), dtype=int))
    best: dict[Any, Point] = {}
    for k, (mean, std) in enumerate(zip(means, stds, strict=True)):
        if epsilon[k] is _UNSET or not np.isfinite(mean):  # the score of a failed fit is NaN
            continue
        point = Point(epsilon[k], marginals[k], float(mean), float(std), int(iterations[k]))
        place = repr(point.epsilon), point.line  # repr, since a LearnableEpsilon also has bounds
        # A halving search scores a setting again with more resources: the last iteration counts, not the best one.
        if place not in best or (point.iteration, point.mean) > (best[place].iteration, best[place].mean):
            best[place] = point
    if not best:
        raise ValueError("There is nothing to show: no setting with an epsilon has a score.")
    return list(best.values())


def _epsilon_key(cv_results: Mapping[str, Any]) -> str:
    """Return the name under which the search varied epsilon, such as "gcaembedder__epsilon" in a pipeline."""
    searched = sorted(key.removeprefix("param_") for key in cv_results if key.startswith("param_"))
    keys = [key for key in searched if key.split("__")[-1] == "epsilon"]
    if len(keys) == 1:
        return keys[0]
    if keys:
        raise ValueError(f"The search was over {keys}, but the display shows a search over one epsilon.")
    raise ValueError(f"The search was over {searched}, but the display needs a search over epsilon.")


def _values(cv_results: Mapping[str, Any], key: str, defaults: Mapping[str, Any] | None) -> list[Any]:
    """Return the value of a parameter in each setting."""
    default = (defaults or {}).get(key, _UNSET)
    return [setting.get(key, default) for setting in cv_results["params"]]
