"""Find the embedder in a pipeline."""

from __future__ import annotations

from typing import Any, NamedTuple

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from .embedder import GCAEmbedder

__all__ = ["Located", "all_embedders", "only_embedder", "rows_at", "spelled"]


class Located(NamedTuple):
    """An embedder, and the names of the steps that lead to it; ``steps`` is empty if it is the estimator itself."""

    steps: tuple[str, ...]
    embedder: GCAEmbedder


def all_embedders(estimator: Any, *, frozen: bool = True) -> list[Located]:
    """Return all embedders in an estimator, in the order of its steps. Pipelines may be nested.

    Parameters
    ----------
    estimator : object
        An embedder, a pipeline, or any other object, for which the list is empty.
    frozen : bool, default=True
        Whether to include embedders within a ``FrozenEstimator``.
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
    """Return the only embedder in an estimator.

    Parameters
    ----------
    estimator, frozen
        As in :func:`all_embedders`.
    remedy : str
        Last sentence of the error, which says what the caller accepts.

    Raises
    ------
    TypeError
        If there is no embedder.
    ValueError
        If there are several embedders.
    """
    located = all_embedders(estimator, frozen=frozen)
    kind = type(estimator).__name__
    if not located:
        steps = f"; its steps are {[name for name, _ in estimator.steps]}" if isinstance(estimator, Pipeline) else ""
        raise TypeError(f"{kind} is no GCAEmbedder, nor a pipeline with one{steps}. {remedy}")
    if len(located) > 1:
        places = " and ".join(spelled(steps) for steps, _ in located)
        raise ValueError(f"{kind} has {len(located)} embedders, {places}. {remedy}")
    return located[0]


def rows_at(estimator: Any, steps: tuple[str, ...], X: Any) -> Any:
    """Return the input of a step: X, transformed by the fitted steps before it."""
    for name in steps:
        pipeline = _thawed(estimator)
        position = list(pipeline.named_steps).index(name)
        X = pipeline[:position].transform(X) if position else X
        estimator = pipeline[name]
    return X


def spelled(steps: tuple[str, ...]) -> str:
    """Return the Python expression of a step: ``estimator['outer']['inner']``."""
    return "estimator" + "".join(f"[{name!r}]" for name in steps)


def _thawed(estimator: Any) -> Any:
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator
