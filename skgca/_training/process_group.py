"""The processes that train one estimator together, each a rank of torch.distributed's default process group.

Each rank passes its part of a batch through the network, and computes the loss of the whole batch::

    rows of a batch --own--> views, network --> own projections --gather--> projections of the batch --> loss
    dL/d(own projections) --> network --> gradients of the parameters --sum--> the same update on every rank

No rank needs the gradient of another rank's projections, since each computes the whole loss. The gradients of the
network are sums over rows, so those of the ranks are added. Batch normalisation uses the statistics of the whole batch
(:mod:`.batch_statistics`). So the result is that of one process, up to rounding.

A rank that fails says so in the store of the group, where the others look while they wait. They then raise an error
that names the cause, instead of waiting for the time limit of the group.
"""

from __future__ import annotations

import functools
import os
import pickle
import time
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.modules.batchnorm import _BatchNorm

from .._utils.compat import InvalidParameterError
from .._version import __version__
from ..exceptions import RankFailedError
from .batch_statistics import BatchStatistics, batch_norms
from .ranks import Ranks

if dist.is_available():
    # Its functions have the default group as a default argument. If they are imported once there is one, as the
    # compiler of torch does late, they keep the group and its threads until the process ends, which then may abort.
    import torch.distributed.nn.functional

__all__ = ["GroupRanks", "joined"]

Value = TypeVar("Value")

_LOOK_EVERY = timedelta(seconds=0.5)  # between looks at the store while a rank waits for others
_FIND_OUT = 2.0  # seconds in which a rank that lost its connection to another finds out why
_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun and its like set


@dataclass
class _Group:
    """What ranks remember of a process group between trainings: how many there were, and their messages."""

    group: Callable[[], Any]  # a weak reference, since a group that is kept alive ends its threads too late
    n_trainings: int = 0
    n_messages: int = 0


_last_group = _Group(lambda: None)


def _default_group() -> _Group:
    global _last_group
    if _last_group.group() is not dist.group.WORLD:
        _last_group = _Group(weakref.ref(dist.group.WORLD))
    return _last_group


class GroupRanks(Ranks):
    """The processes of the default group of torch.distributed.

    Raises
    ------
    RankFailedError
        If another rank did not start a training, or ended the last one in the middle.
    """

    def __init__(self) -> None:
        self.rank, self.n_ranks = dist.get_rank(), dist.get_world_size()
        #: Number of ranks on this machine, which share its memory.
        self.n_local = int(os.environ.get("LOCAL_WORLD_SIZE", self.n_ranks))
        self._group = _default_group()
        self._group.n_trainings += 1
        store: Any = dist.distributed_c10d._get_default_store()
        self._patience: timedelta = store.timeout
        # typed as Any: the stubs of torch know neither the timeout nor that values may be bytes
        self._store: Any = dist.distributed_c10d.PrefixStore(f"skgca/{self._group.n_trainings}", store)

    # What ranks say to each other in the store

    def meet(self) -> None:
        """Wait for all ranks to start the training."""
        met = self._exchange("start", (self._group.n_messages, __version__))
        if len(set(met)) > 1:
            versions = sorted({version for _, version in met})
            raise RankFailedError(
                f"The ranks have different versions of skgca, {versions}; install the same on all machines."
                if len(versions) > 1
                else "An earlier training of this process group ended in the middle on some ranks, and not on others; "
                "start the processes again."
            )

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Tell the other ranks of an error that ends the block."""
        try:
            yield
        except RankFailedError:
            raise
        except dist.DistNetworkError as error:
            raise RankFailedError(
                "Lost the connection to the store of the process group, which rank 0 usually holds, and whose process "
                f"has probably ended: {error}"
            ) from error
        except BaseException as error:
            with suppress(Exception):  # the store may be gone, with the process that holds it
                self._store.set("failed", f"Rank {self.rank} ended with {type(error).__name__}: {error}")
            raise

    def check_same(self, values: Callable[[], dict[str, str]]) -> None:
        own = values()
        # Others may still be reading their rows. A message, unlike the store, breaks if one of their processes ends.
        self.maximum(torch.zeros(1, device=self._device))
        self.before_reading()
        found = self._exchange("values", own)
        for rank, theirs in enumerate(found):
            for name in dict.fromkeys([*found[0], *theirs]):
                if found[0].get(name) != theirs.get(name):
                    raise ValueError(
                        f"distributed=True needs the same {name} on every rank, but rank 0 has "
                        f"{found[0].get(name)} and rank {rank} has {theirs.get(name)}. Pass all rows, and the same "
                        "parameters, on each."
                    )

    def _exchange(self, name: str, value: Value) -> list[Value]:
        """Return the values of all ranks, which are small."""
        self._store.set(f"{name}/{self.rank}", pickle.dumps(value))
        keys = [f"{name}/{rank}" for rank in range(self.n_ranks)]
        ends_at, pause = time.monotonic() + self._patience.total_seconds(), 0.001
        while not self._store.check(keys):
            self._raise_if_failed()
            if time.monotonic() > ends_at:
                missing = [rank for rank, key in enumerate(keys) if not self._store.check([key])]
                raise RankFailedError(
                    f"Waited {self._patience.total_seconds():g} s for ranks {missing}. All ranks must call the same "
                    "methods with distributed=True, in the same order."
                )
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        return [pickle.loads(self._store.get(key)) for key in keys]

    def _raise_if_failed(self) -> None:
        if self._store.check(["failed"]):
            raise RankFailedError(self._store.get("failed").decode())

    # Messages between the ranks, each sent by all of them

    def _finish(self, work: dist.Work, device: torch.device) -> None:
        """Wait for a message. Raise RankFailedError if another rank has failed or left."""
        self._group.n_messages += 1
        if device.type == "cuda":  # its stream waits, and the host only before it reads; see before_reading
            work.wait()
            return
        is_over = False
        while True:
            try:
                work.wait(_LOOK_EVERY)
                return
            except RuntimeError as error:
                if is_over:
                    raise self._lost(error) from error
            # The message may have arrived after the wait ran out of time. The next wait returns then.
            is_over = work.is_completed()
            if not is_over:
                self._raise_if_failed()

    def before_reading(self) -> None:
        """Wait until the host can read from the device. Raise RankFailedError if another rank has failed meanwhile."""
        if self._device.type != "cuda":
            return
        done = torch.cuda.Event()
        done.record(torch.cuda.current_stream(self._device))
        look_at = time.monotonic() + _LOOK_EVERY.total_seconds()
        while not done.query():
            time.sleep(2e-5)
            if time.monotonic() > look_at:
                self._raise_if_failed()
                look_at = time.monotonic() + _LOOK_EVERY.total_seconds()

    def _lost(self, error: RuntimeError) -> RankFailedError:
        """Return an error for a connection that broke, with the reason of the other rank if it gave one."""
        ends_at = time.monotonic() + _FIND_OUT
        while time.monotonic() < ends_at:
            try:
                self._raise_if_failed()
            except RankFailedError as reason:
                return reason
            except RuntimeError:  # the store is gone too
                break
            time.sleep(0.1)
        return RankFailedError(f"Lost the connection to another rank, whose process has probably ended: {error}")

    def _broadcast(self, tensor: Tensor) -> None:
        self._finish(dist.broadcast(tensor, src=0, async_op=True), tensor.device)

    def sum(self, tensor: Tensor) -> Tensor:
        self._finish(dist.all_reduce(tensor, async_op=True), tensor.device)
        return tensor

    def maximum(self, tensor: Tensor) -> Tensor:
        """Take the maximum of a tensor over ranks, in place."""
        self._finish(dist.all_reduce(tensor, dist.ReduceOp.MAX, async_op=True), tensor.device)
        return tensor

    def gathered(self, tensor: Tensor) -> list[Tensor]:
        """Return the tensors of all ranks, which have one shape."""
        found = [torch.empty_like(tensor) for _ in range(self.n_ranks)]
        self._finish(dist.all_gather(found, tensor, async_op=True), tensor.device)
        return found

    # What a training asks of them

    def place(self, device: torch.device) -> torch.device:
        """Return the device of this rank: for "cuda", the GPU of its number on this machine.

        Raises
        ------
        InvalidParameterError
            If the process group cannot send from this device.
        """
        if device.type == "cuda" and device.index is None:
            local = os.environ.get("LOCAL_RANK")
            index = torch.cuda.current_device() if local is None else int(local) % torch.cuda.device_count()
            device = torch.device("cuda", index)
        try:
            dist.group.WORLD._get_backend(device)  # type: ignore[union-attr]
        except RuntimeError as error:
            raise InvalidParameterError(
                f"device={device.type!r} has no backend in the process group, which has {dist.get_backend()!r}; set "
                "device='cpu' for gloo and device='cuda' for nccl, or leave it to distributed=True to make the group."
            ) from error
        self._device = device
        return device

    def same(self, value: Callable[[], Value]) -> Value:
        if self.first:
            result = value()
            content = torch.frombuffer(bytearray(pickle.dumps(result)), dtype=torch.uint8).to(self._device)
            self._broadcast(torch.tensor([len(content)], device=self._device))
            self._broadcast(content)
            return result
        size = torch.zeros(1, dtype=torch.int64, device=self._device)
        self._broadcast(size)
        self.before_reading()
        content = torch.empty(int(size), dtype=torch.uint8, device=self._device)
        self._broadcast(content)
        self.before_reading()
        received: Value = pickle.loads(content.cpu().numpy().tobytes())
        return received

    def make_same(self, tensors: Iterable[Tensor]) -> None:
        tensors = list(tensors)
        with torch.no_grad():
            # as bytes, since backends do not send all types
            own = [tensor.detach().contiguous().flatten().view(torch.uint8) for tensor in tensors]
            sent = torch.cat([part.to(self._device) for part in own])
            self._broadcast(sent)
            for tensor, part in zip(tensors, sent.split([len(part) for part in own]), strict=True):
                tensor.copy_(part.clone().view(tensor.dtype).view_as(tensor))  # a clone is aligned for any type

    def own(self, rows: Tensor) -> Tensor:
        """Return this rank's part of the rows of a batch."""
        return rows.tensor_split(self.n_ranks)[self.rank]

    def gather(self, z: Tensor, n_rows: int) -> Tensor:
        """Return the projections of a whole batch from those of the own rows: (..., n_own, d) -> (..., n_rows, d)."""
        whole: Tensor = _Gather.apply(z, self, n_rows)
        return whole

    def merged(self, statistics: BatchStatistics) -> BatchStatistics:
        mean, variance = statistics.mean, statistics.variance
        # Ranks may have other numbers of values: of rows, and of time steps in a row.
        sent = torch.cat([mean, variance, mean.new_full((1,), float(statistics.n_values))])
        width = len(mean)
        return BatchStatistics.merged(
            [BatchStatistics(statistics.norm, each[-1], each[:width], each[width:-1]) for each in self.gathered(sent)]
        )

    def _sizes(self, n_rows: int) -> list[int]:
        """Return the numbers of rows of a batch that the ranks have."""
        return [len(part) for part in torch.arange(n_rows).tensor_split(self.n_ranks)]

    def sum_gradients(self, parameters: Sequence[Tensor], *, whole: Sequence[Tensor], numbers: Tensor) -> Tensor:
        """Add up the gradients of all ranks, and some numbers with them, in one message.

        Parameters
        ----------
        parameters : sequence of Tensor
            All that the optimizer has; those without ``requires_grad`` are left out.
        whole : sequence of Tensor
            Those among them whose gradients are complete on every rank, such as the parameters of the loss.
        numbers : Tensor of shape (k,)

        Returns
        -------
        Tensor of shape (k,)
            Sums of the numbers.
        """
        for parameter in whole:
            if parameter.grad is not None:
                parameter.grad /= self.n_ranks
        parameters = [parameter for parameter in parameters if parameter.requires_grad]
        # A parameter that some ranks did not use has a gradient if another rank did.
        used = [parameter.grad is not None for parameter in parameters]
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        dtype = functools.reduce(torch.promote_types, [grad.dtype for grad in grads], torch.float32)
        sizes = [*(grad.numel() for grad in grads), len(used), len(numbers)]
        flat = torch.cat(
            [*(g.flatten().to(dtype) for g in grads), numbers.new_tensor(used, dtype=dtype), numbers.to(dtype)]
        )
        *sums, users, totals = self.sum(flat).split(sizes)
        for parameter, grad, total in zip(parameters, grads, sums, strict=True):
            grad.copy_(total.view_as(grad))
            parameter.grad = grad
        if not all(used):
            for parameter, n_users in zip(parameters, users.tolist(), strict=True):
                if not n_users:
                    parameter.grad = None
        of_numbers: Tensor = totals.to(numbers.dtype)
        return of_numbers

    @contextmanager
    def one_batch(self, modules: Iterable[nn.Module]) -> Iterator[None]:
        """Let the batch normalisations of modules use the statistics of the whole batch."""
        norms = [norm for module in modules for norm in batch_norms(module, remedy="distributed=None")]
        for norm in norms:
            # mypy reports an assignment to a method, but here an instance attribute is meant to hide it
            norm.forward = functools.partial(self._normalize, norm)  # type: ignore[method-assign]
        try:
            yield
        finally:
            for norm in norms:
                del norm.forward

    def _normalize(self, norm: _BatchNorm, inputs: Tensor) -> Tensor:
        """Normalise the own rows by the statistics of the rows of all ranks."""
        norm._check_input_dim(inputs)
        merged = self.merged(BatchStatistics.of(norm, inputs.detach()))
        merged.update_running()
        mean, variance = _SharedStatistics.apply(inputs, self, merged)
        normalized: Tensor = BatchStatistics(norm, merged.n_values, mean, variance).normalize(inputs)
        return normalized


class _Gather(Function):
    """``(..., n_own, d) -> (..., n_rows, d)``. The gradient of the own rows is complete on their rank."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, ranks: GroupRanks, n_rows: int) -> Tensor:
        sizes = ranks._sizes(n_rows)
        ctx.start, ctx.size = sum(sizes[: ranks.rank]), sizes[ranks.rank]
        padded = z.new_zeros((*z.shape[:-2], max(sizes), z.shape[-1]))  # all messages have one shape
        padded.narrow(-2, 0, ctx.size).copy_(z)
        parts = ranks.gathered(padded)
        return torch.cat([part.narrow(-2, 0, size) for part, size in zip(parts, sizes, strict=True)], dim=-2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return grad.narrow(-2, ctx.start, ctx.size), None, None


class _SharedStatistics(Function):
    """``inputs of the own rows -> mean and variance of the whole batch``, which affect the loss on each rank."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, ranks: GroupRanks, merged: BatchStatistics) -> tuple[Tensor, Tensor]:
        ctx.ranks, ctx.merged = ranks, merged
        ctx.save_for_backward(inputs)
        return merged.mean.clone(), merged.variance.clone()

    @staticmethod
    def backward(ctx: Any, grad_mean: Tensor, grad_variance: Tensor) -> tuple[Tensor | None, ...]:
        (inputs,) = ctx.saved_tensors
        leaf = ctx.merged.leaf()
        leaf.mean.grad, leaf.variance.grad = ctx.ranks.sum(torch.stack([grad_mean, grad_variance])).unbind()
        return leaf.grad_inputs(inputs), None, None


@contextmanager
def joined(distributed: bool | None, device: Any = "auto") -> Iterator[Ranks]:
    """Train inside the block with the other processes of the group, if ``distributed`` is True.

    Warnings are shown by rank 0 only.

    Parameters
    ----------
    distributed : bool or None
        Parameter of :class:`GCAEmbedder`.
    device : str or torch.device, default="auto"
        Device of the training, on which the backend of a new process group depends.

    Raises
    ------
    InvalidParameterError
        If there is no process group, and the environment does not describe one.
    RankFailedError
        If another rank did not start the training.
    """
    if not distributed:
        if distributed is None:
            _warn_of_group()
        yield Ranks()
        return
    _make_group(device)
    if dist.get_world_size() == 1:
        yield Ranks()
        return
    with ExitStack() as stack:
        ranks = GroupRanks()
        if not ranks.first:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        stack.enter_context(ranks.reporting())
        ranks.meet()
        yield ranks


def _has_group() -> bool:
    return dist.is_available() and dist.is_initialized()


def _warn_of_group() -> None:
    n_ranks = dist.get_world_size() if _has_group() else int(os.environ.get("WORLD_SIZE", 1))
    if n_ranks > 1:
        warnings.warn(
            f"This is one of {n_ranks} processes, and each trains a model of its own. Set distributed=True to train "
            "one model together, or distributed=False to leave out this warning.",
            stacklevel=9,  # the caller of fit
        )


def _make_group(device: Any) -> None:
    """Make a process group from the environment, unless there is one."""
    if _has_group():
        return
    missing = [name for name in _VARIABLES if name not in os.environ]
    if missing or not dist.is_available():
        raise InvalidParameterError(
            "distributed=True needs other processes to train with, but there is no process group of torch.distributed, "
            f"and {missing} are not set in the environment. Start the script by 'torchrun --nproc-per-node=2 "
            "script.py', or call torch.distributed.init_process_group before."
        )
    on_cuda = torch.cuda.is_available() and torch.device("cuda" if device == "auto" else device).type == "cuda"
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_cuda else "gloo")
