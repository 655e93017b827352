"""Which views a fit uses: from the parameters of the estimator and its kind of data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from torch import Generator, Tensor

from .._data import READERS, ImageReader, Reader, SeriesReader, TableReader
from .._utils.compat import InvalidParameterError
from ..views import (
    IMAGE_PRESETS,
    ColumnCorruption,
    Compose,
    FeatureDropout,
    GaussianNoise,
    Identity,
    ImageAugmentation,
    MultiView,
    NeighborMixup,
    TimeCrop,
    TimeJitter,
    as_view,
)
from ..views._multi import View
from .options import Options

__all__ = ["VIEWS", "ViewOptions", "make_views", "standard_view"]

_ALL = tuple(READERS.values())
_Make: TypeAlias = "Callable[[Reader, dict[str, float]], View]"


@dataclass(frozen=True)
class ViewOptions(Options):
    """Parameters of the estimator that make its views."""

    views: str | Callable[..., Tensor] | Sequence[str | Callable[..., Tensor]]
    n_views: int | None
    corruption_rate: float
    standardize: bool


def _image_preset(name: str) -> tuple[tuple[type[Reader], ...], _Make]:
    return (ImageReader,), lambda reader, corruption: ImageAugmentation(name)


# For each name, the kinds of data that it is for, and what makes its view: from the reader, and options of
# ColumnCorruption. Noise is added to columns of numbers only.
VIEWS: dict[str, tuple[tuple[type[Reader], ...], _Make]] = {
    "clean": (_ALL, lambda reader, corruption: Identity()),
    "corruption": ((TableReader,), lambda reader, corruption: ColumnCorruption(**corruption)),
    "dropout": ((TableReader, SeriesReader), lambda reader, corruption: FeatureDropout()),
    "mixup": ((TableReader, SeriesReader), lambda reader, corruption: NeighborMixup(numeric=_numeric_columns(reader))),
    "noise": ((TableReader, SeriesReader), lambda reader, corruption: GaussianNoise(numeric=_numeric_columns(reader))),
    "time": ((SeriesReader,), lambda reader, corruption: Compose(TimeCrop(), TimeJitter(), GaussianNoise())),
    **{name: _image_preset(name) for name in IMAGE_PRESETS},
}


def make_views(options: ViewOptions, reader: Reader, *, paired: bool, reference: Callable[[], Tensor]) -> MultiView:
    """Return what makes the views of a batch.

    Parameters
    ----------
    options : ViewOptions
    reader : Reader
        Fitted.
    paired : bool
        Whether two views were measured; "auto" then leaves both unchanged.
    reference : callable ``() -> Tensor (m, ...)``
        Returns training rows, for views that have a ``fit``.

    Raises
    ------
    InvalidParameterError
        If a view is for other data, or the number of views is not the one that was asked for.
    """
    views, n_views = options.views, options.n_views
    if isinstance(views, list | tuple):
        if len(views) < 2 or not all(isinstance(view, str) or callable(view) for view in views):
            raise InvalidParameterError(
                f"views={views!r} must hold two views or more, names or callables, one for each."
            )
        if n_views is not None and n_views != len(views):
            raise InvalidParameterError(f"n_views={n_views}, but views holds {len(views)}; leave n_views out.")
    else:
        views = cast("list[str | Callable[..., Tensor]]", [views] * (2 if n_views is None else n_views))
    if paired and len(views) != 2:
        raise InvalidParameterError(f"X_pair measures a second view, but there are to be {len(views)} views; use two.")
    corruption = {"rate": options.corruption_rate}
    made: dict[int, View] = {}
    for view in views:  # a view that is given twice is fitted once
        if id(view) not in made:
            new = _make_view(view, reader, paired=paired, standardize=options.standardize, corruption=corruption)
            made[id(view)] = _fitted(new, reference)
    return MultiView(*(made[id(view)] for view in views))


def standard_view(reader: Reader) -> View:
    """Return the view "auto" with default options, so that all embedders are compared by the same view."""
    return _make_view("auto", reader, paired=False, standardize=True, corruption={})


def _make_view(
    view: str | Callable[..., Tensor], reader: Reader, *, paired: bool, standardize: bool, corruption: dict[str, float]
) -> View:
    if not isinstance(view, str):
        return _grouped(as_view(view), reader)
    if view == "auto":
        view = "clean" if paired else reader.auto_views
    if view not in VIEWS:
        raise InvalidParameterError(f"views={view!r} is not known; valid are {sorted(VIEWS)}, and callables.")
    kinds, make = VIEWS[view]
    if not isinstance(reader, kinds):
        valid = sorted(name for name, (others, _) in VIEWS.items() if isinstance(reader, others))
        raise InvalidParameterError(
            f"views={view!r} is for {' or '.join(kind.kind for kind in kinds)}, but X holds {reader.noun}; use one of "
            f"{valid}."
        )
    made, units = _grouped(make(reader, corruption), reader), reader.view_units
    return _InDeviations(made, *units) if standardize and units is not None else made


def _grouped(view: View, reader: Reader) -> View:
    """Return a view that changes columns which are derived from one original column together, if it can."""
    groups = reader.column_groups
    return view if groups is None or not hasattr(view, "for_groups") else view.for_groups(groups)


def _numeric_columns(reader: Reader) -> list[bool] | None:
    """Return which original columns are numbers, for views of groups: they are the first columns."""
    numeric, groups = reader.numeric_columns, reader.column_groups
    return numeric if numeric is None or groups is None else numeric[: max(groups) + 1]


class _InDeviations:
    """A view that sees channels with mean 0 and deviation 1, and returns them in their own units.

    The network standardises the channels of series behind the views. A view whose noise or distances have a scale would
    otherwise depend on units.
    """

    def __init__(self, view: View, mean: Tensor, std: Tensor) -> None:
        self.view = view
        self.mean, self.std = mean, std  # (channels, 1)

    def fit(self, X: Tensor) -> _InDeviations:
        if hasattr(self.view, "fit"):
            mean, std = self.mean.to(X), self.std.to(X)
            self.view.fit((X - mean) / std)
        return self

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        mean, std = self.mean.to(batch), self.std.to(batch)  # (channels, 1)
        return self.view((batch - mean) / std, generator) * std + mean

    def __repr__(self) -> str:
        return repr(self.view)


def _fitted(view: View, reference: Callable[[], Tensor]) -> View:
    """Fit a copy of a view that learns from data to the training rows; the user's own object stays unchanged."""
    return copy.deepcopy(view).fit(reference()) if hasattr(view, "fit") else view
