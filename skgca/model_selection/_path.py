"""The way through a grid: which settings share a training, which go on from which, and the walk itself."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from .._builders.loss import LOSS_OPTIONS, LossOptions, make_criterion
from .._estimator.embedder import GCAEmbedder
from .._estimator.pipelines import only_embedder, spelled
from .._utils.compat import fit_and_score
from ..losses import LearnableEpsilon
from ..ot import Marginals

__all__ = ["WARM", "Place", "Stage", "make_paths", "walk"]

# What may change along a path: what is learned, but not how long or how fast, nor by which network. The path goes once
# through the values of the first, and back and forth through those of each other one, within those before it.
WARM = ("loss", "epsilon", *LOSS_OPTIONS, "layout", "corruption_rate")

_REMEDY = (
    "GCASearchCV takes a GCAEmbedder, or a Pipeline with one among its steps; others must be fitted, each in a "
    "FrozenEstimator. GridSearchCV takes anything."
)


@dataclass(frozen=True)
class Variant:
    """A setting of the grid: its number, all its parameters, and those of steps behind the embedder."""

    number: int
    setting: dict[str, Any]
    later: dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """One training of the embedder, by the parameters ``warm``, and the settings that share it."""

    warm: dict[str, Any]
    variants: list[Variant]


@dataclass(frozen=True)
class Place:
    """Where the embedder is: by itself, or a step of a pipeline.

    position : of the step, None without a pipeline; names : of all steps; prefix : of the embedder's parameters.
    """

    position: int | None
    names: tuple[str, ...]
    prefix: str

    @classmethod
    def of(cls, estimator: Any) -> Place:
        """Find the embedder; those that are frozen do not count.

        Raises
        ------
        TypeError
            If there is none, or it is in a pipeline within a pipeline.
        ValueError
            If there are several.
        """
        found = only_embedder(estimator, remedy=_REMEDY, frozen=False).steps
        if not found:
            return cls(None, (), "")
        if len(found) > 1:
            raise TypeError(
                f"The embedder is {spelled(found)}, in a pipeline within a pipeline, where GCASearchCV cannot train it "
                "on. Put all steps into one pipeline, or use GridSearchCV."
            )
        names = tuple(name for name, _ in estimator.steps)
        return cls(names.index(found[0]), names, f"{found[0]}__")

    def is_later(self, name: str) -> bool:
        """Whether a parameter is one of a step behind the embedder, or that step itself."""
        return self.position is not None and name.partition("__")[0] in self.names[self.position + 1 :]

    def check(self, estimator: Any, setting: dict[str, Any]) -> None:
        """Raise ValueError if a setting replaces the embedder, or has a parameter that does not exist."""
        replaces = {"steps", self.prefix.removesuffix("__")} & set(setting)
        if self.position is not None and replaces:
            raise ValueError(
                f"param_grid has {min(replaces)!r}, which puts something else in the place of the embedder, so that "
                f"there is nothing to go on from. Search over its parameters, such as {self.prefix + 'epsilon'!r}, or "
                "use GridSearchCV."
            )
        clone(estimator).set_params(**clone(setting, safe=False))

    def embedder(self, estimator: Any) -> GCAEmbedder:
        """Return the embedder of an estimator."""
        return estimator if self.position is None else estimator.steps[self.position][1]

    def before(self, estimator: Any) -> list[tuple[str, Any]]:
        """Return the fitted steps before the embedder, so that they are not fitted again."""
        steps = [] if self.position is None else estimator.steps[: self.position]
        return [(name, FrozenEstimator(step) if hasattr(step, "fit") else step) for name, step in steps]

    def assembled(self, estimator: Any, before: list[tuple[str, Any]], embedder: Any) -> Any:
        """Return a clone of an estimator with fitted steps at its beginning, and with another embedder."""
        if self.position is None:
            return embedder
        pipeline = clone(estimator).set_params(memory=None)  # which would clone the embedder
        pipeline.steps[: self.position + 1] = [*before, (self.names[self.position], embedder)]
        return pipeline


def make_paths(estimator: Any, candidates: list[dict[str, Any]]) -> list[list[Stage]]:
    """Sort the settings of a grid into paths, along each of which one encoder is trained on.

    Settings that differ in anything but :data:`WARM` and later steps are on paths of their own.

    Parameters
    ----------
    estimator : GCAEmbedder or Pipeline
    candidates : list of dict
        Settings.

    Returns
    -------
    list of list of Stage

    Raises
    ------
    TypeError, ValueError
        If there is no embedder or several, or a setting replaces it, or has a parameter that does not exist.
    """
    place = Place.of(estimator)
    for setting in candidates:
        place.check(estimator, setting)
    known = estimator.get_params()
    warm_names = [place.prefix + name for name in WARM]
    warm_names = [name for name in warm_names if any(name in setting for setting in candidates)]

    def value(variant: Variant, name: str) -> Any:
        return variant.setting.get(name, known[name])

    def network(variant: Variant) -> Hashable:
        others = set(variant.setting) - set(variant.later) - set(warm_names)
        return tuple((name, _identity(variant.setting[name])) for name in sorted(others))

    def snake(variants: list[Variant], names: list[str]) -> list[list[Variant]]:
        """Walk back and forth, so that neighbours differ in one parameter, by one step."""
        if not names:
            return [variants]
        groups = _grouped(variants, lambda variant: _rank(names[0], value(variant, names[0])))
        legs = [snake(groups[rank], names[1:]) for rank in sorted(groups)]
        return [stop for k, leg in enumerate(legs) for stop in (leg[::-1] if k % 2 else leg)]

    variants = [
        Variant(number, setting, {name: setting[name] for name in setting if place.is_later(name)})
        for number, setting in enumerate(candidates)
    ]
    paths = [snake(group, warm_names) for group in _grouped(variants, network).values()]
    return [[Stage({name: value(stop[0], name) for name in warm_names}, stop) for stop in path] for path in paths]


def walk(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    path: list[Stage],
    warm_epochs: float,
    split_progress: tuple[int, int],
    n_candidates: int,
    **options: Any,
) -> dict[int, dict[str, Any]]:
    """Train along a path on one fold, and score each setting.

    A setting whose training fails is passed by: the next one goes on from the last that was trained.

    Parameters
    ----------
    estimator : GCAEmbedder or Pipeline
        Cloned.
    X, y
        All rows.
    path : list of Stage
    warm_epochs : int or float
        Epochs of each training but the first, or their share of its epochs.
    split_progress : tuple of int
        Number of the fold, and of folds.
    n_candidates : int
    **options
        As of scikit-learn's ``_fit_and_score``.

    Returns
    -------
    dict
        What that function returns, by the number of the setting.
    """
    walker = _Walker(estimator, warm_epochs)
    results: dict[int, dict[str, Any]] = {}
    for stage in path:
        for variant in stage.variants:
            model, parameters = walker.next_model(stage, variant)
            progress = {"split_progress": split_progress, "candidate_progress": (variant.number, n_candidates)}
            results[variant.number] = fit_and_score(model, X, y, parameters=parameters, **progress, **options)
            walker.arrive(stage, model)
    return results


class _Walker:
    """What is carried along a path: the last embedder that was trained, and the fitted steps before it."""

    def __init__(self, estimator: Any, warm_epochs: float) -> None:
        self.estimator = estimator
        self.warm_epochs = warm_epochs
        self.place = Place.of(estimator)
        self.embedder: GCAEmbedder | None = None
        self.stage: Stage | None = None  # that it was trained for
        self.before: list[tuple[str, Any]] = []
        self.n_full = 0  # epochs of a training from the start
        self.starts_anew = True

    def next_model(self, stage: Stage, variant: Variant) -> tuple[Any, dict[str, Any]]:
        """Return the estimator to fit for a setting, and the parameters that it is still to get."""
        if stage is self.stage:  # only later steps are left to fit
            return self.place.assembled(self.estimator, self.before, _Trained(self.embedder)), variant.later
        following = None if self.embedder is None else self._following(stage)
        self.starts_anew = following is None
        if following is None:
            return clone(self.estimator), variant.setting
        return self.place.assembled(self.estimator, self.before, following), {**stage.warm, **variant.later}

    def arrive(self, stage: Stage, model: Any) -> None:
        """Take the embedder of a fitted model along, unless it was not trained."""
        embedder = self.place.embedder(model)
        net = getattr(embedder, "net_", None)
        if net is None or (self.embedder is not None and net is self.embedder.net_):
            return
        if self.starts_anew:
            self.before, self.n_full = self.place.before(model), net.max_epochs
        self.embedder, self.stage = embedder, stage

    def _following(self, stage: Stage) -> GCAEmbedder | None:
        """Return a copy of the last embedder that will be trained on; None if a loss needs another network."""
        share = self.warm_epochs
        n_epochs = share if isinstance(share, Integral) else max(1, round(share * self.n_full))
        own = {name.removeprefix(self.place.prefix): value for name, value in stage.warm.items()}
        following = copy.copy(self.embedder)
        following.set_params(**clone(own, safe=False), warm_start=True, max_epochs=min(n_epochs, self.n_full))
        try:
            criterion = make_criterion(LossOptions.of(vars(following)))
        except (TypeError, ValueError):  # which its fit will tell of
            return following
        has_predictor = following.net_.module_.predictor is not None
        return None if has_predictor is criterion.repels else following


class _Trained(FrozenEstimator):
    """An embedder that is fitted already. In contrast to its base it can be by itself, without y."""

    def fit(self, X: Any, y: Any = None, **params: Any) -> _Trained:
        """Do nothing."""
        return self

    def set_params(self, **params: Any) -> _Trained:
        """Do nothing; there are none to set."""
        return self


def _grouped(variants: Iterable[Variant], key: Callable[[Variant], Any]) -> dict[Any, list[Variant]]:
    groups: dict[Any, list[Variant]] = {}
    for variant in variants:
        groups.setdefault(key(variant), []).append(variant)
    return groups


def _rank(name: str, value: Any) -> tuple[int, tuple[float, ...], str]:
    """Return what values are sorted by: numbers fall, so that epsilon does; marginals bind harder and harder."""
    text = repr(value)
    if name.endswith("marginals"):
        try:
            marginals = Marginals.parse(value)
        except ValueError:
            return 1, (), text
        return 0, (marginals.rho_row, marginals.rho_col), ""
    number = value.start if isinstance(value, LearnableEpsilon) else value
    return (0, (-float(number),), "" if number is value else text) if isinstance(number, Real) else (1, (), text)


def _identity(value: Any) -> Hashable:
    """Return what equal values have in common; values that cannot be hashed are told apart."""
    try:
        hash(value)
    except TypeError:
        return id(value)
    return type(value), value
