"""Which views a fit uses: from the parameters of the estimator and what its data are."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Generator, Tensor

from .._data import Reader
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

_ALL = ("table", "images", "series")
_Make: TypeAlias = "Callable[[Reader, dict[str, float]], View]"


@dataclass(frozen=True)
class ViewOptions(Options):
    """Parameters of the estimator that make its views."""

    views: str | Callable[..., Tensor] | Sequence[str | Callable[..., Tensor]]
    n_views: int | None
    corruption_rate: float
    standardize: bool


def _numeric(reader: Reader) -> list[bool] | None:
    """Columns that noise may be added to; None is all."""
    return (reader.n_categories == 0).tolist() if reader.kind == "table" and reader.n_categories.any() else None


def _image_preset(name: str) -> tuple[tuple[str, ...], _Make]:
    return ("images",), lambda reader, corruption: ImageAugmentation(name)


# The kinds of data that each name is for, and what makes its view: of the reader, and of options of ColumnCorruption.
VIEWS: dict[str, tuple[tuple[str, ...], _Make]] = {
    "clean": (_ALL, lambda reader, corruption: Identity()),
    "corruption": (("table",), lambda reader, corruption: ColumnCorruption(**corruption)),
    "dropout": (("table", "series"), lambda reader, corruption: FeatureDropout()),
    "mixup": (("table", "series"), lambda reader, corruption: NeighborMixup(numeric=_numeric(reader))),
    "noise": (("table", "series"), lambda reader, corruption: GaussianNoise(numeric=_numeric(reader))),
    "time": (("series",), lambda reader, corruption: Compose(TimeCrop(), TimeJitter(), GaussianNoise())),
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
        Whether two views were measured; "auto" then leaves them as they are.
    reference : callable ``() -> Tensor (m, ...)``
        Training rows, for views that have a ``fit``.

    Raises
    ------
    InvalidParameterError
        If a view is for other data, or their number is not what was asked for.
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
        views = [views] * (2 if n_views is None else n_views)
    if paired and len(views) != 2:
        raise InvalidParameterError(f"X_pair measures a second view, but there are to be {len(views)} views; use two.")
    corruption = {"rate": options.corruption_rate}
    made: dict[int, View] = {}
    for view in views:  # one given twice is fitted once
        if id(view) not in made:
            new = _make_view(view, reader, paired=paired, standardize=options.standardize, corruption=corruption)
            made[id(view)] = _fitted(new, reference)
    return MultiView(*(made[id(view)] for view in views))


def standard_view(reader: Reader) -> View:
    """Return the view "auto" as its class makes it by default, so that all embedders are compared by the same."""
    return _make_view("auto", reader, paired=False, standardize=True, corruption={})


def _make_view(
    view: str | Callable[..., Tensor], reader: Reader, *, paired: bool, standardize: bool, corruption: dict[str, float]
) -> View:
    if not isinstance(view, str):
        return as_view(view)
    if view == "auto":
        view = "clean" if paired else _auto(reader)
    if view not in VIEWS:
        raise InvalidParameterError(f"views={view!r} is not known; valid are {sorted(VIEWS)}, and callables.")
    kinds, make = VIEWS[view]
    if reader.kind not in kinds:
        valid = sorted(name for name, (others, _) in VIEWS.items() if reader.kind in others)
        what = "a table" if reader.kind == "table" else reader.kind
        raise InvalidParameterError(
            f"views={view!r} is for {' or '.join(kinds)}, but X holds {what}; use one of {valid}."
        )
    made = make(reader, corruption)
    return _InDeviations(made, reader) if reader.kind == "series" and standardize else made


class _InDeviations:
    """A view that sees series with channels of mean 0 and deviation 1, and gives them back in their own units.

    The network brings channels to a common scale behind the views, so a view that is known by its name, and whose noise
    or distances have a scale, would depend on units otherwise.
    """

    def __init__(self, view: View, reader: Reader) -> None:
        self.view = view
        self.mean, self.std = (torch.as_tensor(of, dtype=torch.float32)[:, None] for of in (reader.mean, reader.std))

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


def _auto(reader: Reader) -> str:
    if reader.kind == "images":
        return "standard" if reader.image_shape[0] > 1 else "digits"  # of one channel, few may be mirrored
    return {"table": "corruption", "series": "time"}[reader.kind]


def _fitted(view: View, reference: Callable[[], Tensor]) -> View:
    """Let a view that learns from data see the training rows; the user's own object stays as it is."""
    return copy.deepcopy(view).fit(reference()) if hasattr(view, "fit") else view
