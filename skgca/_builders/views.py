"""Which views a fit uses: from the parameters of the estimator and what its data are."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

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

__all__ = ["VIEWS", "make_views", "standard_view"]

_ALL = ("table", "images", "series")
_CORRUPTION_RATE = 0.2  # the default of the estimator


def _numeric(reader: Reader) -> list[bool] | None:
    """Columns that noise may be added to; None is all."""
    return (reader.n_categories == 0).tolist() if reader.kind == "table" and reader.n_categories.any() else None


def _image_preset(name: str) -> tuple[tuple[str, ...], Callable[[Any, Reader], Any]]:
    return ("images",), lambda params, reader: ImageAugmentation(name)


# What each name is for, and what makes it.
VIEWS: dict[str, tuple[tuple[str, ...], Callable[[Any, Reader], Any]]] = {
    "clean": (_ALL, lambda params, reader: Identity()),
    "corruption": (("table",), lambda params, reader: ColumnCorruption(params.corruption_rate)),
    "dropout": (("table", "series"), lambda params, reader: FeatureDropout()),
    "mixup": (("table", "series"), lambda params, reader: NeighborMixup(numeric=_numeric(reader))),
    "noise": (("table", "series"), lambda params, reader: GaussianNoise(numeric=_numeric(reader))),
    "time": (("series",), lambda params, reader: Compose(TimeCrop(), TimeJitter(), GaussianNoise())),
    **{name: _image_preset(name) for name in IMAGE_PRESETS},
}


def make_views(params: Any, reader: Reader, *, paired: bool, reference: Callable[[], Tensor]) -> MultiView:
    """Return what makes the views of a batch.

    Parameters
    ----------
    params : GCAEmbedder
        Holds the parameters as attributes.
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
    views, n_views = params.views, params.n_views
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
    made: dict[int, Any] = {}
    for view in views:  # one given twice is fitted once
        if id(view) not in made:
            made[id(view)] = _fitted(_make_view(params, reader, view, paired=paired), reference)
    return MultiView(*(made[id(view)] for view in views))


def standard_view(reader: Reader) -> Any:
    """Return what makes a view where nothing is set, so that embedders are seen through the same."""
    usual = SimpleNamespace(corruption_rate=_CORRUPTION_RATE, standardize=True)
    return _make_view(usual, reader, "auto", paired=False)


def _make_view(params: Any, reader: Reader, view: Any, *, paired: bool) -> Any:
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
    made = make(params, reader)
    return _InDeviations(made, reader) if reader.kind == "series" and params.standardize else made


class _InDeviations:
    """A view that sees series with channels of mean 0 and deviation 1, and gives them back in their own units.

    The network brings channels to a common scale behind the views, so a view that is known by its name, and whose noise
    or distances have a scale, would depend on units otherwise.
    """

    def __init__(self, view: Any, reader: Reader) -> None:
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


def _fitted(view: Any, reference: Callable[[], Tensor]) -> Any:
    """Let a view that learns from data see the training rows; the user's own object stays as it is."""
    return copy.deepcopy(view).fit(reference()) if hasattr(view, "fit") else view
