"""What training does besides stepping, from the parameters of the estimator."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from skorch.callbacks import Callback, LRScheduler
from torch import Tensor

from .._training.callbacks import StopWithoutProgress, WarnUnconverged, copied_callback, warmup_cosine
from .._training.monitoring import Measures, Progress
from .._utils.compat import InvalidParameterError
from .options import Options

__all__ = ["CallbackOptions", "make_callbacks"]

Entry: TypeAlias = "Callback | tuple[str, Callback]"


@dataclass(frozen=True)
class CallbackOptions(Options):
    """Parameters of the estimator that make its callbacks."""

    callbacks: Sequence[object] | None
    warmup_fraction: float
    early_stopping: bool
    n_iter_no_change: int
    tol: float
    restore_best: bool
    verbose: int


def make_callbacks(
    options: CallbackOptions,
    *,
    changed: Container[str],
    n_steps: int,
    measured: tuple[Tensor, ...],
    steady: bool = False,
) -> list[Entry]:
    """Return the callbacks of a training, including those of the user.

    Parameters
    ----------
    options : CallbackOptions
    changed : container of str
        Names of the estimator's parameters that differ from their defaults.
    n_steps : int
        Steps of the whole training.
    measured : tuple of Tensor of shape (m, ...)
        Rows to measure the embedding by, once or once for each measured view.
    steady : bool, default=False
        Whether the learning rate is constant and training does not end early.

    Raises
    ------
    InvalidParameterError
        If ``callbacks`` does not hold skorch callbacks.
    """
    own = _own_callbacks(options.callbacks)
    made: list[Entry] = [
        ("measures", Measures(measured, always=options.early_stopping)),
        ("progress", Progress(int(options.verbose), n_steps)),
    ]
    unnamed = [entry[1] if isinstance(entry, tuple) else entry for entry in own]
    schedules = [callback for callback in unnamed if isinstance(callback, LRScheduler)]
    if schedules and "warmup_fraction" in changed:
        raise InvalidParameterError(
            f"warmup_fraction={options.warmup_fraction!r} has no effect: {type(schedules[0]).__name__} among callbacks "
            "sets the rate. Leave one out."
        )
    if not schedules and not steady:
        made.append(("schedule", warmup_cosine(n_steps, options.warmup_fraction)))
    made += own
    if options.early_stopping and not steady:
        stopping = StopWithoutProgress(
            patience=options.n_iter_no_change,
            threshold=options.tol,
            threshold_mode="abs",
            load_best=options.restore_best,
        )
        made.append(("stopping", stopping))
    return [*made, ("unconverged", WarnUnconverged())]


def _own_callbacks(callbacks: Sequence[object] | None) -> list[Entry]:
    """Return copies of the user's callbacks, so that a fit leaves the parameter unchanged; skorch names the unnamed."""
    own: list[Entry] = []
    for entry in callbacks or []:
        name, callback = entry if isinstance(entry, tuple) and len(entry) == 2 else (None, entry)
        made = callback() if callable(callback) and not isinstance(callback, Callback) else copied_callback(callback)
        if not isinstance(made, Callback):
            raise InvalidParameterError(
                f"callbacks holds {entry!r}, which is no callback; it must hold skorch callbacks, such as "
                "skorch.callbacks.EpochScoring(...), what makes one when called, or pairs (name, callback)."
            )
        own.append(made if name is None else (name, made))
    return own
