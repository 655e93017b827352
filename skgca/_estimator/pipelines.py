"""Where in a pipeline the embedder is."""

from __future__ import annotations

from typing import Any, NamedTuple

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from .embedder import GCAEmbedder

__all__ = ["Located", "all_embedders", "only_embedder", "rows_at", "spelled"]


class Located(NamedTuple):
    """An embedder, and the names of the steps that lead to it: none if it is the estimator itself."""

    steps: tuple[str, ...]
    embedder: GCAEmbedder


def all_embedders(estimator: Any, *, frozen: bool = True) -> list[Located]:
    """Return the embedders that an estimator is or holds, in the order of its steps; pipelines may be nested.

    Parameters
    ----------
    estimator : object
        Of any kind.
    frozen : bool, default=True
        Whether those within a ``FrozenEstimator`` count.
    """
    if frozen:
        estimator = _thawed(estimator)
    if isinstance(estimator, GCAEmbedder):
        return [Located((), estimator)]
    if not isinstance(estimator, Pipeline):
        return []
    return [
        Located((name, *steps), embedder)
        for name, step in estimator.steps
        for steps, embedder in all_embedders(step, frozen=frozen)
    ]


def only_embedder(estimator: Any, *, remedy: str, frozen: bool = True) -> Located:
    """Return the one embedder that an estimator is or holds.

    Parameters
    ----------
    estimator, frozen
        As in :func:`all_embedders`.
    remedy : str
        A sentence on what the caller takes, for the error.

    Raises
    ------
    TypeError
        If there is none.
    ValueError
        If there are several.
    """
    found = all_embedders(estimator, frozen=frozen)
    kind = type(estimator).__name__
    if not found:
        steps = f"; its steps are {[name for name, _ in estimator.steps]}" if isinstance(estimator, Pipeline) else ""
        raise TypeError(f"{kind} is no GCAEmbedder, nor a pipeline with one{steps}. {remedy}")
    if len(found) > 1:
        places = " and ".join(spelled(steps) for steps, _ in found)
        raise ValueError(f"{kind} has {len(found)} embedders, {places}. {remedy}")
    return found[0]


def rows_at(estimator: Any, steps: tuple[str, ...], X: Any) -> Any:
    """Return rows as they reach a step, transformed by the fitted steps before it."""
    for name in steps:
        pipeline = _thawed(estimator)
        position = list(pipeline.named_steps).index(name)
        X = pipeline[:position].transform(X) if position else X
        estimator = pipeline[name]
    return X


def spelled(steps: tuple[str, ...]) -> str:
    """Return how a step is written in Python: ``estimator['outer']['inner']``."""
    return "estimator" + "".join(f"[{name!r}]" for name in steps)


def _thawed(estimator: Any) -> Any:
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator
