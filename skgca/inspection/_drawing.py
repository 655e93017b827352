"""What the displays share: colours, markers, axes for the panels, and the embedder in a pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._estimator.pipelines import Located, only_embedder
from .._utils.optional import import_optional

__all__ = ["COLORS", "MARKERS", "MOST_STYLES", "axes_for", "embedder_of", "plt", "styles"]

# Okabe and Ito, "Color universal design", 2008: eight colours that readers with any colour vision can tell apart.
# Black comes last, since it stands out most.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#000000")
# Twelve more for up to 20 classes, each as far from all others as possible in the space Oklab, for usual vision and for
# deuteranopia (Machado et al., 2009).
_MORE_COLORS = (
    "#5A3C00",
    "#A500FF",
    "#690087",
    "#0000FF",
    "#3CD200",
    "#B4005A",
    "#FF3CFF",
    "#004B69",
    "#876969",
    "#0FF0B4",
    "#8778F0",
    "#FF0069",
)
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")
MOST_STYLES = len(COLORS) * len(MARKERS)


def styles(n: int) -> list[dict[str, Any]]:
    """Return a colour and a marker for each of up to 64 classes; no two classes share a colour.

    Up to 8 classes have the colours of :data:`COLORS`, and circles. Up to 20 have further colours, and a new marker
    after each eight classes. More have a continuous scale of colours, in which neighbours differ by their markers.
    """
    if n <= len(COLORS) + len(_MORE_COLORS):
        colors: Any = (*COLORS, *_MORE_COLORS)[:n]
        return [{"color": color, "marker": MARKERS[k // len(COLORS)]} for k, color in enumerate(colors)]
    colors = plt().get_cmap("turbo")(np.linspace(0, 1, n))
    return [{"color": tuple(color), "marker": MARKERS[k % len(MARKERS)]} for k, color in enumerate(colors)]


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
