"""What the displays share: colours, markers, axes for the panels, and the embedder in a pipeline."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from .._estimator.pipelines import Located, only_embedder
from .._utils.optional import import_optional

__all__ = ["COLORS", "MARKERS", "axes_for", "embedder_of", "plt"]

# Okabe and Ito, "Color universal design", 2008: eight colours that readers with any colour vision can tell apart.
# Black comes last, since it stands out most.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#000000")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")  # with the colours, 64 classes


def plt() -> Any:
    """Return matplotlib.pyplot, which is imported only when something is drawn.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    return import_optional("matplotlib.pyplot", needed_for="A display", extra="plot")


def axes_for(ax: Any, n_panels: int, *, width: float, height: float) -> list[Any]:
    """Return one axes for each panel.

    Parameters
    ----------
    ax : None, matplotlib Axes or sequence of Axes
        None makes a figure. One axes is divided into panels side by side. A sequence has one axes for each panel.
    n_panels : int
    width, height : float
        Size of a new figure in inches.

    Raises
    ------
    ValueError
        If ``ax`` has neither one axes nor ``n_panels`` of them.
    """
    if ax is None:
        _, axes = plt().subplots(1, n_panels, figsize=(width, height), layout="constrained", squeeze=False)
        return list(axes[0])
    given = [ax] if hasattr(ax, "plot") else list(ax)
    if len(given) == n_panels:
        return given
    if len(given) != 1:
        raise ValueError(f"ax holds {len(given)} axes, but there are {n_panels} panels; give {n_panels} axes, or one.")
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    # The given axes keeps its place in the figure, and the panels are drawn on top of it: hide its frame and ticks.
    outer = given[0]
    outer.set_axis_off()
    grid = GridSpecFromSubplotSpec(1, n_panels, subplot_spec=outer.get_subplotspec(), wspace=0.35)
    return [outer.figure.add_subplot(grid[k]) for k in range(n_panels)]


def embedder_of(estimator: Any) -> Located:
    """Return the fitted embedder that an estimator is or holds, and the names of the steps that lead to it.

    Raises
    ------
    TypeError, ValueError
        As in :func:`only_embedder`.
    NotFittedError
        If the embedder is not fitted.
    """
    located = only_embedder(
        estimator,
        remedy="Pass one that is fitted, such as a step of the pipeline, and rows that earlier steps transformed.",
    )
    check_is_fitted(located.embedder)
    return located
