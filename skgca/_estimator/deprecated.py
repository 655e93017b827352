"""Parameters of skgca 0.1 that were renamed or dropped. They still take effect, with a warning; 0.4 will remove them.

To remove them, delete this module and what imports it in ``embedder.py``: the last four parameters with their docstring
and constraints, the ``with deprecated_in_effect`` of three methods, and ``history_frame``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

from skorch.callbacks import GradientNormClipping

from .._training.callbacks import StopWithoutProgress
from .._utils.compat import Hidden, Interval, InvalidParameterError, StrOptions
from .._utils.renamed import RENAMED, UNSET
from .constraints import PARAMETER_CONSTRAINTS, defaults_of

if TYPE_CHECKING:
    from .embedder import GCAEmbedder

__all__ = ["DEPRECATED_CONSTRAINTS", "deprecated_in_effect", "warn_of_history_frame"]

_REMOVED = "and will be removed in 0.4"


@dataclass(frozen=True)
class _Deprecated:
    """A deprecated parameter.

    constraint : list, the valid values; advice : str, the end of the warning; replace : ``(estimator, value) -> dict``,
    the parameters that have the same effect.
    """

    constraint: list[Any]
    advice: str
    replace: Callable[[Any, Any], dict[str, Any]]


def _renamed(old: str, new: str) -> _Deprecated:
    def replace(estimator: GCAEmbedder, value: Any) -> dict[str, Any]:
        if getattr(estimator, new) is not None:
            raise InvalidParameterError(
                f"{old}={value!r} and {new}={getattr(estimator, new)!r} are the same parameter; leave {old} out."
            )
        return {new: value}

    return _Deprecated(PARAMETER_CONSTRAINTS[new], f"use {new} instead.", replace)


def _keeping_last_weights(estimator: GCAEmbedder, restore_best: bool) -> dict[str, Any]:
    if restore_best or not estimator.early_stopping:
        return {}
    stopping = StopWithoutProgress(
        patience=estimator.n_iter_no_change, threshold=estimator.tol, threshold_mode="abs", load_best=False
    )
    # With an EarlyStopping among the callbacks, these two parameters must have their default values.
    defaults = defaults_of(estimator)
    replaced: dict[str, Any] = {name: defaults[name] for name in ("n_iter_no_change", "tol") if name in defaults}
    return {**replaced, "callbacks": [*(estimator.callbacks or []), ("stopping", stopping)]}


def _clipping(estimator: GCAEmbedder, max_norm: float | None) -> dict[str, Any]:
    # first, so that the user's callbacks see the clipped gradients, as in 0.1
    clipping = [] if max_norm is None else [GradientNormClipping(max_norm)]
    return {"callbacks": [*clipping, *(estimator.callbacks or [])]}


_PARAMETERS = {
    **{old: _renamed(old, new) for old, new in RENAMED.items()},
    "restore_best": _Deprecated(
        ["boolean"],
        "early stopping restores the best weights; to keep the last ones, add "
        "skorch.callbacks.EarlyStopping(load_best=False) to callbacks.",
        _keeping_last_weights,
    ),
    "max_grad_norm": _Deprecated(
        [None, Interval(Real, 0, None, closed="neither")],
        "add skorch.callbacks.GradientNormClipping(max_grad_norm) to callbacks instead.",
        _clipping,
    ),
}

DEPRECATED_CONSTRAINTS = {
    name: [Hidden(StrOptions({UNSET})), *parameter.constraint] for name, parameter in _PARAMETERS.items()
}


@contextmanager
def deprecated_in_effect(estimator: GCAEmbedder) -> Iterator[None]:
    """Replace deprecated parameters by current ones inside the block, and warn about each that is set.

    Raises
    ------
    InvalidParameterError
        If a parameter is set under its old name and under its new name.
    """
    before: dict[str, Any] = {}
    try:
        for name, parameter in _PARAMETERS.items():
            value = getattr(estimator, name)
            if isinstance(value, str) and value == UNSET:
                continue
            message = f"{name} is deprecated since 0.2 {_REMOVED}; {parameter.advice}"
            # Level 8 is the user's line: this generator and in_training, with what contextlib calls for them, the
            # method, and scikit-learn's wrapper come before.
            warnings.warn(message, FutureWarning, stacklevel=8)
            replaced = {**parameter.replace(estimator, value), name: UNSET}
            before = {key: getattr(estimator, key) for key in replaced} | before  # what was there first
            estimator.__dict__.update(replaced)
        yield
    finally:
        estimator.__dict__.update(before)


def warn_of_history_frame() -> None:
    """Warn that the method ``history_frame`` is deprecated."""
    warnings.warn(
        f"history_frame is deprecated since 0.2 {_REMOVED}; use pandas.DataFrame(embedder.history_) instead.",
        FutureWarning,
        stacklevel=3,
    )
