"""Order the settings of a grid into paths, along which one encoder is trained from setting to setting.

A setting is one combination of values in the grid. Settings that differ only in steps after the embedder share one
training, which is a :class:`Stage`. A path is a list of stages. Each continues the training of the previous one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from .._builders.loss import LOSS_OPTIONS
from .._estimator.embedder import GCAEmbedder
from .._estimator.pipelines import only_embedder, spelled
from ..losses import LearnableEpsilon
from ..ot import Marginals

__all__ = ["Place", "Stage", "Variant", "make_paths"]

# Parameters that may change along a path. They change what is learned, but not the network, nor the number of epochs or
# the learning rate, so that a training can continue from the weights of another. The order counts: a path goes once
# through the values of the first parameter, and for each of them through the values of the next, back and forth.
_WARM = ("loss", "epsilon", *LOSS_OPTIONS, "layout", "corruption_rate")

_REMEDY = (
    "GCASearchCV takes a GCAEmbedder, or a Pipeline with one among its steps; others must be fitted, each in a "
    "FrozenEstimator. GridSearchCV takes anything."
)


@dataclass(frozen=True)
class Variant:
    """One setting of the grid.

    Parameters
    ----------
    number : int
        Position of the setting in the grid.
    setting : dict
        All its parameters.
    later : dict
        The parameters among them that belong to steps after the embedder.
    """

    number: int
    setting: dict[str, Any]
    later: dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """One training of the embedder.

    Parameters
    ----------
    warm : dict
        Values of the parameters that change along the path.
    variants : list of Variant
        The settings that share the training.
    """

    warm: dict[str, Any]
    variants: list[Variant]


@dataclass(frozen=True)
class Place:
    """Where the embedder is in an estimator: it is the estimator, or a step of a pipeline.

    Parameters
    ----------
    position : int or None
        Position of the step; None without a pipeline.
    names : tuple of str
        Names of all steps.
    prefix : str
        Prefix of the parameters of the embedder, such as "gcaembedder__".
    """

    position: int | None
    names: tuple[str, ...]
    prefix: str

    @classmethod
    def of(cls, estimator: Any) -> Place:
        """Find the embedder that is to be trained; frozen ones do not count.

        Raises
        ------
        TypeError
            If there is no embedder, or it is in a pipeline within a pipeline.
        ValueError
            If there are several embedders.
        """
        steps = only_embedder(estimator, remedy=_REMEDY, frozen=False).steps
        if not steps:
            return cls(None, (), "")
        if len(steps) > 1:
            raise TypeError(
                f"The embedder is {spelled(steps)}, in a pipeline within a pipeline, where GCASearchCV cannot continue "
                "its training. Put all steps into one pipeline, or use GridSearchCV."
            )
        names = tuple(name for name, _ in estimator.steps)
        return cls(names.index(steps[0]), names, f"{steps[0]}__")

    def is_later(self, name: str) -> bool:
        """Whether a parameter belongs to a step after the embedder, or is such a step."""
        return self.position is not None and name.partition("__")[0] in self.names[self.position + 1 :]

    def check(self, estimator: Any, setting: dict[str, Any]) -> None:
        """Raise ValueError if a setting replaces the embedder, or sets a parameter that does not exist."""
        replaced = {"steps", self.prefix.removesuffix("__")} & set(setting)
        if self.position is not None and replaced:
            raise ValueError(
                f"param_grid has {min(replaced)!r}, which replaces the embedder, so that its training cannot continue. "
                "Search over parameters of the embedder, such as "
                f"{self.prefix + 'epsilon'!r}, or use GridSearchCV."
            )
        # If a parameter does not exist, this fails now, and not after hours of training.
        clone(estimator).set_params(**clone(setting, safe=False))

    def embedder(self, estimator: Any) -> GCAEmbedder:
        """Return the embedder of an estimator."""
        embedder: GCAEmbedder = estimator if self.position is None else estimator.steps[self.position][1]
        return embedder

    def before(self, estimator: Any) -> list[tuple[str, Any]]:
        """Return the fitted steps before the embedder, frozen, so that they are not fitted again."""
        steps = [] if self.position is None else estimator.steps[: self.position]
        # A step may also be None or "passthrough", which cannot be frozen.
        return [(name, FrozenEstimator(step) if hasattr(step, "fit") else step) for name, step in steps]

    def assembled(self, estimator: Any, before: list[tuple[str, Any]], embedder: Any) -> Any:
        """Return a clone of an estimator, with its embedder and the steps before it replaced by the given ones."""
        if self.position is None:
            return embedder
        pipeline = clone(estimator).set_params(memory=None)  # with a memory, fit would clone the embedder
        pipeline.steps[: self.position + 1] = [*before, (self.names[self.position], embedder)]
        return pipeline


def make_paths(estimator: Any, candidates: list[dict[str, Any]]) -> list[list[Stage]]:
    """Order the settings of a grid into paths.

    Settings share a path if they differ only in parameters that may change along it, and in steps behind the embedder.

    Parameters
    ----------
    estimator : GCAEmbedder or Pipeline
    candidates : list of dict
        The settings.

    Returns
    -------
    list of list of Stage

    Raises
    ------
    TypeError, ValueError
        If there is no embedder or several, or a setting replaces it or sets a parameter that does not exist.
    """
    place = Place.of(estimator)
    for setting in candidates:
        place.check(estimator, setting)
    defaults = estimator.get_params()
    searched = {name for setting in candidates for name in setting}
    warm_names = [place.prefix + name for name in _WARM if place.prefix + name in searched]
    variants = [
        Variant(number, setting, {name: setting[name] for name in setting if place.is_later(name)})
        for number, setting in enumerate(candidates)
    ]
    groups = _grouped(variants, lambda variant: _network_key(variant, warm_names))
    paths = [_back_and_forth(group, warm_names, defaults) for group in groups.values()]
    # All variants of a stage have the same values of the warm parameters, so these are read from the first one.
    return [
        [Stage({name: _value(stop[0], name, defaults) for name in warm_names}, stop) for stop in path] for path in paths
    ]


def _back_and_forth(variants: list[Variant], names: list[str], defaults: dict[str, Any]) -> list[list[Variant]]:
    """Order variants so that neighbours on the path differ in one parameter, by one step.

    Returns a list for each training on the path, with the variants that share it. ``names`` are the parameters that
    change along the path, the slowest first.
    """
    if not names:
        return [variants]
    groups = _grouped(variants, lambda variant: _rank(names[0], _value(variant, names[0], defaults)))
    legs = [_back_and_forth(groups[rank], names[1:], defaults) for rank in sorted(groups)]
    # Every second leg is walked backwards, so that the next leg starts where the last one ended.
    return [stop for k, leg in enumerate(legs) for stop in (leg[::-1] if k % 2 else leg)]


def _value(variant: Variant, name: str, defaults: dict[str, Any]) -> Any:
    return variant.setting.get(name, defaults[name])


def _network_key(variant: Variant, warm_names: list[str]) -> Hashable:
    """Return a key that is equal for variants on the same path: the parameters that need a training from the start."""
    others = set(variant.setting) - set(variant.later) - set(warm_names)
    return tuple((name, _identity(variant.setting[name])) for name in sorted(others))


def _grouped(variants: Iterable[Variant], key: Callable[[Variant], Any]) -> dict[Any, list[Variant]]:
    groups: dict[Any, list[Variant]] = {}
    for variant in variants:
        groups.setdefault(key(variant), []).append(variant)
    return groups


def _rank(name: str, value: Any) -> tuple[int, tuple[float, ...], str]:
    """Return the key that sorts the values of a parameter along a path.

    Numbers descend: a large epsilon is easier to train. Marginals ascend from free to held. Everything else is sorted
    by its text, and comes last.
    """
    text = repr(value)
    if name.endswith("marginals"):
        try:
            marginals = Marginals.parse(value)
        except ValueError:  # None, the default of the loss
            return 1, (), text
        return 0, (marginals.rho_row, marginals.rho_col), ""
    number = value.start if isinstance(value, LearnableEpsilon) else value
    if not isinstance(number, Real):
        return 1, (), text
    return 0, (-float(number),), "" if number is value else text  # learnable ones may differ in more than their start


def _identity(value: Any) -> Hashable:
    """Return a key that is equal for equal values of the same type, and for the same object if it has no hash."""
    try:
        hash(value)
    except TypeError:
        return id(value)
    return type(value), value  # 1, 1.0 and True are equal, but not the same setting
