"""What the displays share: axes, colours that colour-blind readers can tell apart, and the embedder of a pipeline."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from .._estimator.pipelines import Located, only_embedder
from .._utils.optional import import_optional

__all__ = ["COLORS", "MARKERS", "axes_for", "embedder_of", "plt"]

# Okabe and Ito, "Color universal design", 2008: eight colours told apart with any colour vision, black last
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#F0E442", "#000000")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "*")  # with the colours, 64 classes


def plt() -> Any:
    """Return matplotlib.pyplot.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    return import_optional("matplotlib.pyplot", needed_for="A display", extra="plot")


def axes_for(ax: Any, n_panels: int, *, width: float, height: float) -> list[Any]:
    """Return axes for some panels: new ones, those given, or some side by side in the place of one.

    Raises
    ------
    ValueError
        If neither one nor as many as there are panels are given.
    """
    if ax is None:
        _, axes = plt().subplots(1, n_panels, figsize=(width, height), layout="constrained", squeeze=False)
        return list(axes[0])
    given = [ax] if hasattr(ax, "plot") else list(ax)
    if len(given) == n_panels:
        return given
    if len(given) != 1:
        raise ValueError(f"ax holds {len(given)} axes, but there are {n_panels} panels; give as many, or one.")
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    outer = given[0]
    outer.set_axis_off()
    grid = GridSpecFromSubplotSpec(1, n_panels, subplot_spec=outer.get_subplotspec(), wspace=0.35)
    return [outer.figure.add_subplot(grid[k]) for k in range(n_panels)]


def embedder_of(estimator: Any) -> Located:
    """Return a fitted GCAEmbedder, the estimator itself or the one in a pipeline, and the names of steps to it.

    Raises
    ------
    TypeError
        If there is none.
    ValueError
        If there are several.
    NotFittedError
        If it is not fitted.
    """
    found = only_embedder(
        estimator, remedy="Pass one that is fitted, such as the step of a pipeline, and rows as they reach that step."
    )
    check_is_fitted(found.embedder)
    return found
