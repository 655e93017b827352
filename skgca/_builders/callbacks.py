"""Make the callbacks of a training from the parameters of the estimator."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from torch import Tensor

from .._training.callbacks import StopWithoutProgress, WarnUnconverged, copied_callback, warmup_cosine
from .._training.levels import RecordLevels
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
    verbose: int


def make_callbacks(
    options: CallbackOptions,
    *,
    changed: Container[str],
    n_steps: int,
    measured: tuple[Tensor, ...],
    steady: bool = False,
    shown: bool = True,
) -> list[Entry]:
    """Return the callbacks of a training, including those of the user.

    Parameters
    ----------
    options : CallbackOptions
    changed : container of str
        Names of the estimator's parameters that differ from their defaults.
    n_steps : int
        Number of steps of the whole training.
    measured : tuple of Tensor of shape (m, ...)
        Rows that the measures of ``history_`` are computed on; one tensor, or one for each measured view.
    steady : bool, default=False
        Whether the learning rate is constant and training does not stop early, as in ``partial_fit``.
    shown : bool, default=True
        Whether this process shows the progress of the training.

    Raises
    ------
    InvalidParameterError
        If ``callbacks`` does not hold skorch callbacks, or if one of them overrides a parameter that was set.
    """
    user_entries = _user_entries(options.callbacks)
    unnamed = [entry[1] if isinstance(entry, tuple) else entry for entry in user_entries]
    schedule = next((callback for callback in unnamed if isinstance(callback, LRScheduler)), None)
    stopping = next((callback for callback in unnamed if isinstance(callback, EarlyStopping)), None)
    entries: list[Entry] = [
        ("measures", Measures(measured, always=options.early_stopping)),
        ("levels", RecordLevels()),
        ("progress", Progress(int(options.verbose), n_steps, shown=shown, concludes=not steady)),
    ]
    if schedule is not None:
        _check_not_set(options, ("warmup_fraction",), changed, schedule, does="sets the rate")
    elif not steady:
        entries.append(("schedule", warmup_cosine(n_steps, options.warmup_fraction)))
    # The user's callbacks run after the measures, so that they can read these in the history. They run before our early
    # stopping, so that they see the last epoch too.
    entries += user_entries
    if options.early_stopping and stopping is not None:
        _check_not_set(options, ("n_iter_no_change", "tol"), changed, stopping, does="decides when training stops")
    elif options.early_stopping and not steady:
        entries.append(("stopping", _early_stopping(options)))
    return [*entries, ("unconverged", WarnUnconverged())]


def _early_stopping(options: CallbackOptions) -> StopWithoutProgress:
    # like MLPClassifier, early stopping restores the best weights
    return StopWithoutProgress(
        patience=options.n_iter_no_change, threshold=options.tol, threshold_mode="abs", load_best=True
    )


def _check_not_set(
    options: CallbackOptions, names: Sequence[str], changed: Container[str], callback: Callback, *, does: str
) -> None:
    """Raise InvalidParameterError if a parameter was set that a callback of the user overrides."""
    for name in names:
        if name in changed:
            raise InvalidParameterError(
                f"{name}={getattr(options, name)!r} has no effect: {type(callback).__name__} among callbacks {does}. "
                f"Leave {name} or the callback out."
            )


def _user_entries(callbacks: Sequence[object] | None) -> list[Entry]:
    """Return copies of the user's callbacks, so that ``fit`` leaves the parameter unchanged.

    Callbacks without a name are named by skorch.
    """
    entries: list[Entry] = []
    for entry in callbacks or []:
        name, callback = entry if isinstance(entry, tuple) and len(entry) == 2 else (None, entry)
        copied = callback() if callable(callback) and not isinstance(callback, Callback) else copied_callback(callback)
        if not isinstance(copied, Callback):
            raise InvalidParameterError(
                f"callbacks holds {entry!r}, which is no callback; it must hold skorch callbacks, such as "
                "skorch.callbacks.EpochScoring(...), callables that return one, or pairs (name, callback)."
            )
        entries.append(copied if name is None else (name, copied))
    return entries
