"""Checkpoints: all of a training's state in one file, so that a training that was killed goes on as if it had not been.

The file is a line that names the format, the SHA-256 of what follows, and what ``torch.save`` makes of tensors and
plain values, which ``torch.load`` reads with ``weights_only=True``, so that opening it runs no code. It is written
beside the old one and takes its place at once.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from skorch.callbacks import Callback
from skorch.history import History
from torch import Tensor, nn

from .._data import RowDataset
from .._utils.files import PARTIAL, replace_file
from .._utils.renamed import with_current_names
from .._version import __version__
from ..exceptions import CheckpointError

if TYPE_CHECKING:
    from .net import ContrastiveNet

__all__ = ["Checkpoints", "SaveCheckpoints", "identity"]

_MAGIC = b"skgca checkpoint 1\n"
_DIGEST = hashlib.sha256().digest_size
_HASHED_ROWS = 4096  # at a time
# Parameters that may change when a training is resumed: they say where and how long it runs, not what it computes.
_FREE = {
    "callbacks",
    "checkpoint_dir",
    "checkpoint_epochs",
    "checkpoint_minutes",
    "device",
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
        Made if it is not there.

    Raises
    ------
    CheckpointError
        If the folder cannot be made, or written to.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.path = Path(folder) / "checkpoint.skgca"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for partial in self.path.parent.glob(f"{self.path.name}.*{PARTIAL}"):  # of one that was killed
                partial.unlink()
            with tempfile.TemporaryFile(dir=self.path.parent):
                pass
        except OSError as error:
            raise CheckpointError(
                f"checkpoint_dir={str(folder)!r} cannot be written to: {error}. Name a folder that can."
            ) from error

    def write(self, state: dict[str, Any]) -> None:
        """Put a state in the place of the last one, which stays if that fails.

        Raises
        ------
        CheckpointError
            If it cannot be written, as on a full disk.
        """
        buffer = io.BytesIO()
        torch.save(_plain(state, "checkpoint"), buffer)
        payload = buffer.getbuffer()
        try:
            replace_file(self.path, _MAGIC, hashlib.sha256(payload).digest(), payload)
        except OSError as error:
            raise CheckpointError(
                f"The checkpoint {self.path} could not be written: {error}. "
                + ("The one before it is intact: make room, and fit with resume=True." if self.path.exists() else "")
            ) from error

    def read(self) -> dict[str, Any] | None:
        """Return the state that was written last, None if there is none.

        Raises
        ------
        CheckpointError
            If the file is not whole, or not a checkpoint of this format.
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
                f"{self.path} is a checkpoint of another format, {head.decode(errors='replace').strip()!r}, where this "
                f"is skgca {__version__}; resume with the version that wrote it."
            )
        if head != _MAGIC or hashlib.sha256(payload).digest() != digest:
            raise CheckpointError(
                f"{self.path} is damaged, or no checkpoint: {len(content)} bytes that do not match their checksum. "
                "Take it away, or start anew with resume=False."
            )
        return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)

    def matching(self, wanted: dict[str, str]) -> dict[str, Any] | None:
        """Return the state to go on from, None if there is none yet.

        Parameters
        ----------
        wanted : dict of str
            The identity of the training, see :func:`identity`.

        Raises
        ------
        CheckpointError
            If the checkpoint is of another training; the message says in what.
        """
        state = self.read()
        if state is None:
            return None
        found = with_current_names(state["identity"])  # as another version may have named them
        for name in sorted({*wanted, *found}):
            if wanted.get(name) == found.get(name):
                continue
            if name == "data":
                raise CheckpointError(
                    f"{self.path} is of other data: the rows of X, or what goes with them, are not those that the "
                    "training began with. Give it the same, or start anew with resume=False."
                )
            raise CheckpointError(
                f"{self.path} is of a training with {name}={found.get(name)}, but now it is {wanted.get(name)}. Set it "
                "back, or start anew with resume=False; warm_start=True goes on from a fitted estimator."
            )
        return state


class SaveCheckpoints(Callback):
    """Write a checkpoint every so many epochs or minutes, and begin from one. It is to be the last callback.

    Parameters
    ----------
    checkpoints : Checkpoints
    begins_from : dict or None
        A state that was written.
    header : dict
        What a state holds beside the net's: its identity, and the seeds.
    every_epochs : int
        Epochs from one to the next.
    every_minutes : float
        Minutes after which one is written even amid an epoch, where states are kept.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
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
        """Bring the net to where the checkpoint was written."""
        self.written_at_ = time.monotonic()
        if self.begins_from is not None:
            _restore(net, self.begins_from)
        self.epoch_ = len(net.history)
        self.order_ = net.order_state()

    def on_epoch_begin(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Note the order that the epoch's batches are drawn from; go on amid an epoch that was broken off."""
        self.order_ = net.order_state()
        broken_off = (self.begins_from or {}).get("epoch_under_way")
        self.begins_from = None
        if broken_off is not None:
            net.history[-1].update(broken_off)
            net.skip_batches(len(broken_off["batches"]))

    def on_batch_end(self, net: ContrastiveNet, training: bool = False, **kwargs: Any) -> None:
        """Write amid an epoch, if it is time and the state was kept, so that a retry goes back to the same one."""
        if training and net.keeps_state_after_batch() and self._minutes_are_over():
            self._write(net)

    def on_epoch_end(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Write if it is time."""
        if len(net.history) - self.epoch_ >= self.every_epochs or self._minutes_are_over():
            self.order_ = net.order_state()
            self._write(net, ended=True)

    def on_train_end(self, net: ContrastiveNet, **kwargs: Any) -> None:
        """Write that training ended; one that was interrupted goes on from the checkpoint before."""
        if net.stop_reason not in (None, "interrupted"):
            self._write(net, ended=True)
        self.header, self.begins_from = {}, None

    def _minutes_are_over(self) -> bool:
        return time.monotonic() - self.written_at_ >= 60 * self.every_minutes

    def _write(self, net: ContrastiveNet, *, ended: bool = False) -> None:
        history = list(net.history) if ended else list(net.history)[:-1]
        self.checkpoints.write(
            {
                **self.header,
                "net": net.training_state(),
                "guard": net.guard.state_dict(),
                "stop_reason": net.stop_reason,
                "order": self.order_,
                "views": net.views_state(),
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
    net.begin_from(state["order"], state["views"])
    for name, (_, load) in _stateful(net).items():
        if name in state["callbacks"]:
            load(state["callbacks"][name])


def _stateful(net: ContrastiveNet) -> dict[str, tuple[Callable[[], Any], Callable[[Any], None]]]:
    """Return how the state of each callback that has one is saved and loaded, by the callback's name."""
    found = {}
    for name, callback in net.callbacks_:
        owner = getattr(callback, "lr_scheduler_", None) or callback  # skorch's schedulers keep torch's there
        if hasattr(owner, "state_dict") and hasattr(owner, "load_state_dict"):
            found[name] = (owner.state_dict, owner.load_state_dict)
    return found


def identity(params: dict[str, Any], dataset: RowDataset, device: torch.device) -> dict[str, str]:
    """Describe what a training computes: its parameters, its data by a checksum of all rows, and the kind of device."""
    current = with_current_names(params)
    described = {name: _described(value) for name, value in current.items() if name not in _FREE}
    digest = hashlib.sha256()
    for rows in torch.arange(len(dataset)).split(_HASHED_ROWS):
        inputs, beside = dataset[rows]
        for name, value in (*enumerate(inputs), *sorted(beside.items())):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.contiguous().numpy())
    return {**described, "data": digest.hexdigest(), "device type": device.type}


def _described(value: Any) -> str:
    """Describe the value of a parameter, so that equal ones are described alike in another process."""
    if isinstance(value, nn.Module):
        return f"{type(value).__qualname__} {_checksum(list(value.state_dict().values()))}"
    if isinstance(value, np.ndarray) and value.dtype != object:
        return f"array {value.shape} {value.dtype} {hashlib.sha256(np.ascontiguousarray(value)).hexdigest()[:16]}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_described, value))})"
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return value.__qualname__
    text = repr(value)
    return type(value).__qualname__ if " at 0x" in text else text


def _checksum(tensors: list[Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy())
    return digest.hexdigest()[:16]


def _plain(value: Any, place: str) -> Any:
    """Return tensors and plain values only, numpy's scalars as Python's.

    Raises
    ------
    CheckpointError
        If there is anything else, such as in the state of a callback of the user's own.
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
        f"{place} holds a {type(value).__name__}, which a checkpoint does not take; give tensors, numbers and text in "
        "the state_dict of a callback."
    )
