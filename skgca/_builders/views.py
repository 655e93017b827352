"""Make the views of a fit from the parameters of the estimator and the kind of data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

from torch import Generator, Tensor

from .._data import READERS, ImageReader, Reader, SeriesReader, TableReader
from .._utils.compat import InvalidParameterError
from .._utils.device import on_device
from ..views import (
    IMAGE_PRESETS,
    ColumnCorruption,
    Compose,
    FeatureDropout,
    GaussianNoise,
    Identity,
    ImageAugmentation,
    MagnitudeScaling,
    MultiView,
    NeighborMixup,
    TimeWarp,
    as_view,
)
from ..views._multi import View, independent_rows
from .options import Options

__all__ = ["VIEWS", "ViewOptions", "has_names_only", "make_views", "standard_view"]

_ALL = tuple(READERS.values())
_Make: TypeAlias = "Callable[[Reader, dict[str, float]], View]"


@dataclass(frozen=True)
class ViewOptions(Options):
    """Parameters of the estimator that determine its views."""

    views: str | Callable[..., Tensor] | Sequence[str | Callable[..., Tensor]]
    n_views: int | None
    corruption_rate: float
    standardize: bool


def _image_preset(name: str) -> tuple[tuple[type[Reader], ...], _Make]:
    return (ImageReader,), lambda reader, corruption: ImageAugmentation(name)


# For each name: the readers of the data that the view accepts, and a function (reader, options of ColumnCorruption) ->
# view. Noise is added to numeric columns only.
VIEWS: dict[str, tuple[tuple[type[Reader], ...], _Make]] = {
    "clean": (_ALL, lambda reader, corruption: Identity()),
    "corruption": ((TableReader,), lambda reader, corruption: ColumnCorruption(**corruption)),
    "dropout": ((TableReader, SeriesReader), lambda reader, corruption: FeatureDropout()),
    "mixup": ((TableReader, SeriesReader), lambda reader, corruption: NeighborMixup(numeric=_numeric_columns(reader))),
    "noise": ((TableReader, SeriesReader), lambda reader, corruption: GaussianNoise(numeric=_numeric_columns(reader))),
    "time": ((SeriesReader,), lambda reader, corruption: Compose(TimeWarp(), MagnitudeScaling(), GaussianNoise(0.05))),
    **{name: _image_preset(name) for name in IMAGE_PRESETS},
}


def make_views(options: ViewOptions, reader: Reader, *, paired: bool, reference: Callable[[], Tensor]) -> MultiView:
    """Return the object that makes the views of a batch.

    Parameters
    ----------
    options : ViewOptions
    reader : Reader
        Fitted.
    paired : bool
        Whether ``X_pair`` gives a measured second view. "auto" then leaves both views unchanged.
    reference : callable ``() -> Tensor (m, ...)``
        Returns training rows, for views that have a ``fit``.

    Raises
    ------
    InvalidParameterError
        If a view is for another kind of data, or the parameters disagree about the number of views.
    """
    views, n_views = options.views, options.n_views
    if isinstance(views, list | tuple):
        if len(views) < 2 or not all(isinstance(view, str) or callable(view) for view in views):
            raise InvalidParameterError(f"views={views!r} must hold two views or more, each a name or a callable.")
        if n_views is not None and n_views != len(views):
            raise InvalidParameterError(f"n_views={n_views}, but views holds {len(views)}; leave n_views out.")
    else:
        views = cast("list[str | Callable[..., Tensor]]", [views] * (2 if n_views is None else n_views))
    if paired and len(views) != 2:
        raise InvalidParameterError(f"X_pair gives a second view, but {len(views)} views are asked for; use two.")
    corruption = {"rate": options.corruption_rate}
    fitted: dict[int, View] = {}  # by the id of the given view
    for view in views:  # a view that is given twice is fitted once
        if id(view) not in fitted:
            new = _make_view(view, reader, paired=paired, standardize=options.standardize, corruption=corruption)
            fitted[id(view)] = _fitted(new, reference)
    return MultiView(*(fitted[id(view)] for view in views))


def has_names_only(views: object) -> bool:
    """Whether a parameter ``views`` holds no callable of the user's own."""
    return all(isinstance(view, str) for view in (views if isinstance(views, list | tuple) else [views]))


def standard_view(reader: Reader) -> View:
    """Return the view "auto" with default options, so that different embedders are scored by the same view."""
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
        valid = sorted(name for name, (accepted, _) in VIEWS.items() if isinstance(reader, accepted))
        raise InvalidParameterError(
            f"views={view!r} is for {' or '.join(kind.kind for kind in kinds)}, but X holds {reader.noun}; use one of "
            f"{valid}."
        )
    new, units = _grouped(make(reader, corruption), reader), reader.view_units
    return _InDeviations(new, *units) if standardize and units is not None else new


def _grouped(view: View, reader: Reader) -> View:
    """Return a view that changes columns which are derived from one original column together, if it can."""
    groups = reader.column_groups
    return view if groups is None or not hasattr(view, "for_groups") else view.for_groups(groups)


def _numeric_columns(reader: Reader) -> list[bool] | None:
    """Return which original columns are numbers, for views of groups: they are the first columns."""
    numeric, groups = reader.numeric_columns, reader.column_groups
    return numeric if numeric is None or groups is None else numeric[: max(groups) + 1]


class _InDeviations:
    """Apply a view to standardised channels, with mean 0 and deviation 1, and convert its result to their own units.

    The network standardises the channels of series, but only after the views. Without this class, the noise or the
    distances of a view would have a scale that depends on the units.
    """

    def __init__(self, view: View, mean: Tensor, std: Tensor) -> None:
        self.view = view
        self.mean, self.std = mean, std  # (channels, 1)

    @property
    def independent_rows(self) -> bool:
        return independent_rows(self.view)

    def fit(self, X: Tensor) -> _InDeviations:
        if hasattr(self.view, "fit"):
            mean, std = self.mean.to(X), self.std.to(X)
            self.view.fit((X - mean) / std)
        return self

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        mean, std = (on_device(each.to(batch.dtype), batch.device) for each in (self.mean, self.std))  # (channels, 1)
        return self.view((batch - mean) / std, generator) * std + mean

    def __repr__(self) -> str:
        return repr(self.view)


def _fitted(view: View, reference: Callable[[], Tensor]) -> View:
    """Return a view, or if it has a ``fit``, a copy fitted to training rows; the user's object stays unchanged."""
    return copy.deepcopy(view).fit(reference()) if hasattr(view, "fit") else view
