"""Checkpoints: the whole state of a training in one file, from which a killed training resumes with the same bits.

A checkpoint file has three parts: a line that names the format, the SHA-256 of the rest, and tensors and plain values
as ``torch.save`` writes them. ``torch.load`` reads these with ``weights_only=True``, so opening a checkpoint runs no
code. A new checkpoint is written to a temporary file, which then replaces the old one in a single step. So an intact
checkpoint exists at all times.

To resume with the same bits, a checkpoint needs weights, optimizer and loss; states of generators and callbacks; the
history; and the number of roll-backs. A checkpoint within an epoch also has the records of the batches done so far,
and the state of the generator of the order of batches at the start of the epoch. When training resumes, the order is
drawn again, and the batches already done are skipped.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from skorch.callbacks import Callback
from skorch.history import History
from torch import Tensor, nn

from .._data import RowDataset, spaced
from .._utils.files import PARTIAL, replace_file
from .._version import __version__
from ..exceptions import CheckpointError

if TYPE_CHECKING:
    from .net import ContrastiveNet

__all__ = ["Checkpoints", "SaveCheckpoints", "checksum_of_rows", "described", "identity"]

_MAGIC = b"skgca checkpoint 2\n"
_DIGEST = hashlib.sha256().digest_size
_HASHED_ROWS = 4096  # rows that are hashed at a time
# Parameters that may change when a training resumes: they say where and how it runs, not what it computes.
_FREE = {
    "callbacks",
    "checkpoint_dir",
    "checkpoint_epochs",
    "checkpoint_minutes",
    "device",
    "distributed",
    "n_threads",
    "resume",
    "sinkhorn_memory_limit",
    "verbose",
}


class Checkpoints:
    """The checkpoint of one training, in a folder of its own.

    Parameters
    ----------
    folder : str or path
        Created if it does not exist.

    Raises
    ------
    CheckpointError
        If the folder cannot be created or written to.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = Path(folder) / "checkpoint.skgca"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for partial in self.path.parent.glob(f"{self.path.name}.*{PARTIAL}"):  # left by a killed training
                partial.unlink()
            with tempfile.TemporaryFile(dir=self.path.parent):
                pass
        except OSError as error:
            raise CheckpointError(
                f"checkpoint_dir={str(folder)!r} cannot be written to: {error}. Name a writable folder."
            ) from error

    def write(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint by a new state. If that fails, the old one stays.

        Raises
        ------
        CheckpointError
            If the state cannot be written, for example on a full disk.
        """
        buffer = io.BytesIO()
        torch.save(_plain(state, "checkpoint"), buffer)
        payload = buffer.getbuffer()
        try:
            replace_file(self.path, _MAGIC, hashlib.sha256(payload).digest(), payload)
        except OSError as error:
            raise CheckpointError(
                f"The checkpoint {self.path} could not be written: {error}. "
                + (
                    "The old one is intact: free disk space, and fit with resume=True."
                    if self.path.exists()
                    else "Free disk space, or name another folder as checkpoint_dir."
                )
            ) from error

    def read(self) -> dict[str, Any] | None:
        """Return the state that was written last, or None if there is none.

        Raises
        ------
        CheckpointError
            If the file is damaged or not a checkpoint of this format.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CheckpointError(f"The checkpoint {self.path} cannot be read: {error}.") from error
        head, digest = content[: len(_MAGIC)], content[len(_MAGIC) : len(_MAGIC) + _DIGEST]
        payload = memoryview(content)[len(_MAGIC) + _DIGEST :]
        if head != _MAGIC and head.startswith(_MAGIC[:17]):
            raise CheckpointError(
                f"{self.path} is a checkpoint of another format, {head.decode(errors='replace').strip()!r}, which "
                f"skgca {__version__} cannot read; resume with the version that wrote it."
            )
        if head != _MAGIC or hashlib.sha256(payload).digest() != digest:
            raise CheckpointError(
                f"{self.path} is damaged, or no checkpoint: {len(content)} bytes that do not match their checksum. "
                "Remove it, or start anew with resume=False."
            )
        state: dict[str, Any] = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        return state

    def matching(self, wanted: dict[str, str]) -> dict[str, Any] | None:
        """Return the state to resume from, or None if there is none yet.

        Parameters
        ----------
        wanted : dict of str
            Identity of the training that resumes, see :func:`identity`.

        Raises
        ------
        CheckpointError
            If the checkpoint belongs to another training; the message names the difference.
        """
        state = self.read()
        if state is None:
            return None
        saved = state["identity"]
        for name in sorted({*wanted, *saved}):
            if wanted.get(name) == saved.get(name):
                continue
            if name == "data":
                raise CheckpointError(
                    f"{self.path} belongs to other data: the rows of X, or their metadata, differ from those that "
                    "training began with. Pass the same data, or start anew with resume=False."
                )
            raise CheckpointError(
                f"{self.path} belongs to a training with {name}={saved.get(name)}, but now it is {wanted.get(name)}. "
                "Set it back, or start anew with resume=False; warm_start=True continues from a fitted estimator."
            )
        return state


class SaveCheckpoints(Callback):
    """Write a checkpoint at intervals of epochs or minutes, and resume from one.

    It must be the last callback, so that a checkpoint contains what the others did in the same epoch.

    Parameters
    ----------
    checkpoints : Checkpoints or None
        None writes nothing, as on all ranks of a distributed training except the first.
    begins_from : dict or None
        State to resume from, as :meth:`Checkpoints.read` returns it.
    header : dict
        Part of each state: the identity of the training and the source of its random numbers.
    every_epochs : int
        Epochs between checkpoints.
    every_minutes : float
        Minutes after which a checkpoint is written in any case, also within an epoch.
    """

    def __init__(
        self,
        checkpoints: Checkpoints | None,
        begins_from: dict[str, Any] | None,
        header: dict[str, Any],
        *,
        every_epochs: int,
        every_minutes: float,
    ) -> None:
        self.checkpoints = checkpoints
        self.begins_from = begins_from
        self.header = header
        self.every_epochs = every_epochs
        self.every_minutes = every_minutes

    def on_train_begin(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Restore the state of the checkpoint."""
        self.written_at_ = time.monotonic()
        if self.begins_from is not None:
            _restore(net, self.begins_from)
        self.epoch_ = len(net.history)
        self.order_ = net.order_state()

    def on_epoch_begin(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Record the state of the generator of the order. If an interrupted epoch resumes, skip the batches done."""
        self.order_ = net.order_state()
        interrupted = (self.begins_from or {}).get("epoch_under_way")
        self.begins_from = None
        if interrupted is not None:
            net.history[-1].update(interrupted)
            net.skip_batches(len(interrupted["batches"]))

    def on_batch_end(self, net: ContrastiveNet, training: bool = False, **kwargs: Any) -> None:
        """Write within an epoch if ``every_minutes`` have passed.

        This happens only after batches where the guard keeps the state too. Otherwise, a roll-back in a resumed
        training would restore another state than in a training without interruption.
        """
        if training and net.keeps_state_after_batch() and self._minutes_are_over():
            self._write(net)

    def on_epoch_end(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Write if enough epochs or minutes have passed."""
        if len(net.history) - self.epoch_ >= self.every_epochs or self._minutes_are_over():
            self.order_ = net.order_state()
            self._write(net, ended=True)

    def on_train_end(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Write a final checkpoint. An interrupted training writes none, so that it resumes from the last one."""
        if net.stop_reason not in (None, "interrupted"):
            self._write(net, ended=True)
        self.header, self.begins_from = {}, None

    def _minutes_are_over(self) -> bool:
        return time.monotonic() - self.written_at_ >= 60 * self.every_minutes

    def _write(self, net: ContrastiveNet, *, ended: bool = False) -> None:
        if self.checkpoints is None:
            return
        history = list(net.history) if ended else list(net.history)[:-1]
        self.checkpoints.write(
            {
                **self.header,
                "net": net.training_state(),
                "guard": net.guard.state_dict(),
                "stop_reason": net.stop_reason,
                "order": self.order_,
                "drawing": net.drawing_states(),
                "history": history,
                "epoch_under_way": None if ended else net.history[-1],
                "callbacks": {name: saved() for name, (saved, _) in _stateful(net).items()},
            }
        )
        self.written_at_, self.epoch_ = time.monotonic(), len(net.history)


def _restore(net: ContrastiveNet, state: dict[str, Any]) -> None:
    net.history = History(state["history"])
    net.load_training_state(state["net"])
    net.guard.load_state_dict(state["guard"])
    net.guard.keep(net, learned=bool(state["history"]) or state["epoch_under_way"] is not None)
    net.stop_reason = state["stop_reason"]
    net.begin_from(state["order"], state["drawing"])
    for name, (_, load) in _stateful(net).items():
        if name in state["callbacks"]:
            load(state["callbacks"][name])


def _stateful(net: ContrastiveNet) -> dict[str, tuple[Callable[[], Any], Callable[[Any], None]]]:
    """Return the functions that save and load the state of each callback that has one, by its name."""
    functions = {}
    for name, callback in net.callbacks_:
        owner = getattr(callback, "lr_scheduler_", None) or callback  # torch's scheduler, in skorch's LRScheduler
        if hasattr(owner, "state_dict") and hasattr(owner, "load_state_dict"):
            functions[name] = (owner.state_dict, owner.load_state_dict)
    return functions


def identity(params: dict[str, Any], dataset: RowDataset, device: torch.device) -> dict[str, str]:
    """Describe what a training computes: its parameters, a checksum of all its rows, and the type of device."""
    return {**described(params), "data": checksum_of_rows(dataset, len(dataset)), "device type": device.type}


def described(params: dict[str, Any]) -> dict[str, str]:
    """Describe the values of the parameters that determine what a training computes."""
    return {name: _described(value) for name, value in params.items() if name not in _FREE}


def checksum_of_rows(dataset: RowDataset, n_rows: int) -> str:
    """Return a checksum of evenly spaced rows of a dataset, with their metadata."""
    digest = hashlib.sha256()
    for rows in torch.from_numpy(spaced(len(dataset), n_rows)).split(_HASHED_ROWS):
        inputs, extras = dataset[rows]
        for name, value in (*enumerate(inputs), *sorted(extras.items())):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.contiguous().numpy().data)
    return digest.hexdigest()


def _described(value: Any) -> str:
    """Describe the value of a parameter by text that is the same for equal values in another process."""
    if isinstance(value, nn.Module):
        return f"{type(value).__qualname__} {_checksum(list(value.state_dict().values()))}"
    if isinstance(value, np.ndarray) and value.dtype != object:
        return f"array {value.shape} {value.dtype} {hashlib.sha256(np.ascontiguousarray(value).data).hexdigest()[:16]}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_described, value))})"
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        code = getattr(value, "__code__", None)
        return f"{value.__qualname__} {_checksum_of_code(code)}" if code is not None else str(value.__qualname__)
    text = repr(value)
    return type(value).__qualname__ if " at 0x" in text else text


def _checksum_of_code(code: CodeType) -> str:
    """Return a checksum of a function's code: two lambdas have the same name."""
    constants: list[Any] = []
    for value in code.co_consts:
        if isinstance(value, CodeType):  # of a function inside, whose repr has an address
            constants.append(_checksum_of_code(value))
        else:  # the order of a set differs from process to process
            constants.append(sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value))
    described = repr((code.co_code, code.co_names, code.co_varnames, constants))
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def _checksum(tensors: list[Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()[:16]


def _plain(value: Any, place: str) -> Any:
    """Return a state as tensors and plain values; numpy scalars become Python scalars.

    Raises
    ------
    CheckpointError
        If it holds anything else, for example in the state of a callback of the user's own.
    """
    if isinstance(value, Tensor) or value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: _plain(entry, f"{place}[{key!r}]") for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(entry, f"{place}[{k}]") for k, entry in enumerate(value))
    raise CheckpointError(
        f"{place} holds a {type(value).__name__}, which a checkpoint cannot hold; return only tensors, numbers "
        "and text from the state_dict of a callback."
    )
