"""The end of a training in words: how long it was, how far the loss fell, and why it ended."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from skorch.callbacks import EarlyStopping

if TYPE_CHECKING:
    from .net import ContrastiveNet

__all__ = ["duration", "ending"]


def ending(net: ContrastiveNet) -> str:
    """Return one or two sentences on a training that has ended."""
    records = [record for record in net.history if "train_loss" in record]
    if not records:
        return " ".join(["No epoch was trained.", *_why(net, [])])
    n_steps, seconds = (sum(record[name] for record in records) for name in ("n_steps", "seconds"))
    length = f"{_counted(len(records), 'epoch')} ({_counted(n_steps, 'step')}) in {_seconds(seconds)} on {net.device}"
    stopping = _restoring(net)
    kept = records[-1] if stopping is None else records[stopping.best_epoch_ - 1]
    return " ".join([f"Trained for {length}: {_course(records[0], kept)}.", *_why(net, records)])


def duration(seconds: float) -> str:
    """Return a duration in words, to the second."""
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded} s"
    minutes, seconds = divmod(rounded, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"


def _course(first: Any, kept: Any) -> str:
    """Return what became of the loss from the first epoch to the one whose weights are kept."""
    start, end = first["train_loss"], kept["train_loss"]
    named = {"chance": kept.get("loss_by_chance", math.nan), "best": kept.get("loss_at_best", math.nan)}
    levels = ", ".join(f"{name} {round(value, 6):.4g}" for name, value in named.items() if not math.isnan(value))
    levels = f" ({levels})" if levels else ""
    if kept is first:
        return f"the loss was {end:.4g}{levels}"
    return f"the loss {'fell' if end < start else 'rose'} from {start:.4g} to {end:.4g}{levels}"


def _why(net: ContrastiveNet, records: list[Any]) -> list[str]:
    """Return sentences on why training ended, unless it went through all epochs, and on what it went through."""
    stopping = _restoring(net)
    epoch = len(net.history)  # the last one, which may be incomplete
    sentences = {
        "no_change": f"Early stopping ended it after {len(records)} of at most {net.max_epochs} epochs.",
        "callback": f"A callback ended it in epoch {epoch} of {net.max_epochs}.",
        "interrupted": f"It was interrupted in epoch {epoch} of {net.max_epochs}.",
        "diverged": f"It ended in epoch {epoch} of {net.max_epochs}, where the loss or its gradient was not finite.",
    }
    if len(records) == net.max_epochs:
        del sentences["no_change"]  # which ended nothing
    told = [sentences[net.stop_reason]] if net.stop_reason in sentences else []
    if stopping is not None:
        best = records[stopping.best_epoch_ - 1][stopping.monitor]
        name = "held-out loss" if stopping.monitor == "valid_loss" else stopping.monitor
        told.append(f"The weights are those of epoch {stopping.best_epoch_}, whose {name} of {best:.4g} was best.")
    elif net.stop_reason in ("interrupted", "diverged"):
        told.append("The weights are the last good ones.")
    if net.guard.n_retries:
        told.append(
            f"It went back to the last good weights {_counted(net.guard.n_retries, 'time')}, and ended at "
            f"{net.guard.rate:g} of its learning rate."
        )
    return told


def _restoring(net: ContrastiveNet) -> Any:
    """Return the callback of early stopping that restores weights at the end, or None."""
    for _, callback in net.callbacks_:
        if isinstance(callback, EarlyStopping) and callback.load_best and callback.best_epoch_:
            return callback
    return None


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 9.95 else duration(seconds)
