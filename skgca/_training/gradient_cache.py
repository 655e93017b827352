"""The gradient of a batch larger than memory, part by part: gradient caching, exact through batch normalisation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .._utils.random import seeded_global_generator

__all__ = ["CachedForward"]


class CachedForward:
    """Outputs of a module for a whole batch, and later its gradient, holding the activations of one part at a time.

    A contrastive loss compares all rows of a batch, but knows the module by its outputs alone. So the outputs are found
    without a graph, the loss gives their gradient, and each part is run again, with a graph, to carry that gradient on
    to the parameters [1]_.

    Batch normalisation makes rows depend on each other inside the module as well. Let s_1, ..., s_L be the mean and
    variance that its calls take, in their order, of the whole batch. Then s_l = S_l(parameters, s_1, ..., s_{l-1}) is
    a mean over rows, and the outputs F(parameters, s_1, ..., s_L) are a function of one row each: both may be
    found part by part. The forward is S_1, ..., S_L, F, a pass over all parts each, that for S_l no further than call
    l. The backward is this chain in reverse: F, S_L, ..., S_2 give the gradients of the statistics, and a last pass
    with all of these gives that of the parameters. So there are 1 + L passes each way, and 1 each where L is 0.

    A batch of a single part is run as it is, once, and its graph kept.

    Parameters
    ----------
    function : callable ``(part of the batch) -> Tensor (k, ...)``
        Calls ``module``, or parts of it. But for batch normalisation, a row of what it gives depends on the same row of
        the part, and on no other.
    module : Module
        Whose batch normalisations are looked for. Its parameters and its mode must stay until
        :meth:`backward`.
    batch : Tensor of shape (n, ...)
        It gets no gradient.
    micro_batch_size : int
        Rows of a part at most. Parts differ by one row at most.
    draws : bool, default=False
        Whether the module draws from torch's global generators, as ``torch.nn.Dropout`` does. They are seeded for each
        part, the same way in each pass over it, and restored afterwards.
    generator : torch.Generator, default=None
        Gives a seed for each part if the module draws.

    Attributes
    ----------
    outputs : Tensor of shape (n, ...)
        What ``function(batch)`` gives, without a graph. Running statistics have moved on as by that call. So have other
        buffers if they depend on no row.

    Raises
    ------
    ValueError
        If ``micro_batch_size`` is no whole number of at least 1, ``draws`` has no generator, the outputs are not one a
        row, or a batch normalisation has a forward of its own.
    RuntimeError
        If parts call batch normalisations in different orders, or the backward pass calls them again.

    Notes
    -----
    Batch normalisation is known by its module. Where it is a functional call, or within TorchScript, a part is
    normalised by itself.

    References
    ----------
    .. [1] L. Gao, Y. Zhang, J. Han, J. Callan, "Scaling deep contrastive learning batch size under memory limited
       setup", RepL4NLP 2021.

    Examples
    --------
    >>> import torch
    >>> from skgca._training.gradient_cache import CachedForward
    >>> module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    >>> cached = CachedForward(module, module, torch.rand(10, 3), micro_batch_size=4)
    >>> outputs = cached.outputs.requires_grad_()
    >>> outputs.square().sum().backward()
    >>> cached.backward(outputs.grad)
    >>> module[0].weight.grad.shape
    torch.Size([4, 3])
    """

    outputs: Tensor

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        module: nn.Module,
        batch: Tensor,
        micro_batch_size: int,
        *,
        draws: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        if not isinstance(micro_batch_size, Integral) or micro_batch_size < 1:
            raise ValueError(f"micro_batch_size={micro_batch_size!r} must be a whole number from 1 on, such as 512.")
        if draws and generator is None:
            raise ValueError("generator=None, but draws=True needs one, such as torch.Generator().manual_seed(0).")
        n_parts = max(1, -(-len(batch) // int(micro_batch_size)))
        self._function = function
        self._parts = batch.detach().tensor_split(n_parts)
        self._seeds: list[int] | None = None
        if draws and generator is not None:
            self._seeds = torch.randint(2**31 - 1, (n_parts,), generator=generator, device=generator.device).tolist()
        self._whole: Tensor | None = None
        if n_parts == 1:
            with torch.enable_grad(), self._drawing(0):
                self._whole = function(self._parts[0])
            self.outputs = self._whole.detach()
            return
        self._norms = _BatchNorms(module)
        self._state = _State(module, self._norms.modules)
        self._statistics: list[_Statistics] = []
        with torch.no_grad(), self._norms.patched():
            self.outputs = self._forward()
            for statistics in self._statistics:
                statistics.update_running()

    def backward(self, grad_outputs: Tensor) -> None:
        """Add to the gradients of the parameters what ``function(batch).backward(grad_outputs)`` would.

        Parameters
        ----------
        grad_outputs : Tensor of the shape of the outputs
            Their gradient.

        Raises
        ------
        ValueError
            If its shape is another.
        """
        if grad_outputs.shape != self.outputs.shape:
            raise ValueError(
                f"grad_outputs has shape {tuple(grad_outputs.shape)}; it needs that of the outputs, "
                f"{tuple(self.outputs.shape)}."
            )
        if self._whole is not None:
            _backward([self._whole], [grad_outputs])
            return
        grads = grad_outputs.detach().tensor_split(len(self._parts))
        leaves = [statistics.leaf() for statistics in self._statistics]
        with torch.enable_grad(), self._norms.patched(), self._state.put_back():
            # The statistics of a call act on the outputs and on later calls: from the last on, their gradients are
            # complete when they are passed on.
            for n_known in range(len(leaves), 0, -1):
                for i, grad in enumerate(grads):
                    self._pull_to_statistics(i, grad, leaves, n_known)
            for i, grad in enumerate(grads):
                self._pull_to_parameters(i, grad, leaves)

    def _forward(self) -> Tensor:
        """Find the statistics of one call after the other, until a pass goes through; return its outputs."""
        while True:
            outputs, statistics = [], []
            for i in range(len(self._parts)):
                found = self._run(i, self._statistics)
                if found is None:
                    statistics.append(_Statistics.of(self._norms.reached, self._norms.inputs[-1]))
                else:
                    outputs.append(found)
            _check_order(not (outputs and statistics))
            if outputs:
                # Autocast of older torch keeps weights that it cast, here without a graph, for the backward to meet.
                torch.clear_autocast_cache()
                return torch.cat(outputs)
            self._statistics.append(_Statistics.merged(statistics))

    def _pull_to_statistics(self, i: int, grad: Tensor, leaves: list[_Statistics], n_known: int) -> None:
        """Pass the gradient of the next statistics, or else of the outputs, of part i on to those that are known."""
        known = leaves[:n_known]
        root = self._run(i, known)
        _check_order((root is None) == (n_known < len(leaves)))
        if root is None:
            root = self._norms.inputs[-1]
            grad = leaves[n_known].grad_inputs(root)
        _backward([root], [grad], [tensor for leaf in known for tensor in (leaf.mean, leaf.variance)])

    def _pull_to_parameters(self, i: int, grad: Tensor, leaves: list[_Statistics]) -> None:
        """Pass the gradients of the outputs and of all statistics of part i on."""
        outputs = self._run(i, self._statistics, keep=True)
        _check_order(outputs is not None)
        inputs = self._norms.inputs
        through = [leaf.grad_inputs(each) for leaf, each in zip(leaves, inputs, strict=True)]
        _backward([outputs, *inputs], [grad, *through])

    def _run(self, i: int, statistics: list[_Statistics], *, keep: bool = False) -> Tensor | None:
        """Run part i as far as the statistics go: return its outputs, or None if a further call was reached."""
        part = self._parts[i]
        self._state.begin_part()
        with self._drawing(i):
            outputs = self._norms.run(self._function, part, statistics, keep=keep)
        if outputs is not None and (outputs.ndim == 0 or len(outputs) != len(part)):
            raise ValueError(
                f"The function made {tuple(outputs.shape)} of a part of shape {tuple(part.shape)}; it must give a row "
                f"for each of the {len(part)}, along the first axis."
            )
        return outputs

    def _drawing(self, i: int) -> AbstractContextManager[None]:
        if self._seeds is None:
            return nullcontext()
        return seeded_global_generator(self._seeds[i], self._parts[i].device)


@dataclass(frozen=True)
class _Statistics:
    """Mean and variance (n_channels,) of what one call of a batch normalisation gets, n_values a channel."""

    norm: _BatchNorm
    n_values: int
    mean: Tensor
    variance: Tensor

    @classmethod
    def of(cls, norm: _BatchNorm, inputs: Tensor) -> _Statistics:
        """Find those of a part."""
        values = inputs.to(_parameter_dtype(inputs))
        rest = [axis for axis in range(values.ndim) if axis != 1]
        mean = values.mean(rest)
        variance = (values - _by_channel(mean, values)).square_().mean(rest)  # a tenth of the time of torch.var
        exact = torch.float32 if inputs.device.type == "mps" else torch.float64  # MPS has no double precision
        return cls(norm, values.numel() // values.shape[1], mean.to(exact), variance.to(exact))

    @classmethod
    def merged(cls, parts: list[_Statistics]) -> _Statistics:
        """Merge those of all parts: the variances within them and that of their means."""
        norm, n_values = parts[0].norm, sum(part.n_values for part in parts)
        _check_order(all(part.norm is norm for part in parts))
        means = torch.stack([part.mean for part in parts])
        variances = torch.stack([part.variance for part in parts])
        share = means.new_tensor([part.n_values / n_values for part in parts])[:, None]
        mean = (share * means).sum(0)
        return cls(norm, n_values, mean, (share * (variances + (means - mean).square())).sum(0))

    def leaf(self) -> _Statistics:
        """Copy with gradients, 0 to begin with."""
        mean, variance = (tensor.clone().requires_grad_() for tensor in (self.mean, self.variance))
        mean.grad, variance.grad = torch.zeros_like(mean), torch.zeros_like(variance)
        return _Statistics(self.norm, self.n_values, mean, variance)

    def normalize(self, inputs: Tensor) -> Tensor:
        """Do to a part what the batch normalisation does to the whole batch.

        Torch's kernel takes statistics as constants. For those of a leaf, it is given a scale and a shift besides that
        are 1 and 0, and whose gradients are the ones of the statistics.
        """
        norm, dtype = self.norm, _parameter_dtype(inputs)
        mean, variance = self.mean.detach().to(dtype), self.variance.detach().to(dtype)
        scale, shift = (None if each is None else each.to(dtype) for each in (norm.weight, norm.bias))
        if self.mean.requires_grad:
            deviation = (self.variance + norm.eps).sqrt()
            one, zero = (
                (deviation.detach() / deviation).to(dtype),
                ((self.mean.detach() - self.mean) / deviation).to(dtype),
            )
            scale, zero = (one, zero) if scale is None else (one * scale, zero * scale)
            shift = zero if shift is None else zero + shift
        return F.batch_norm(inputs, mean, variance, scale, shift, training=False, eps=norm.eps)

    def grad_inputs(self, inputs: Tensor) -> Tensor:
        """Gradient of the loss by the inputs of a part, on the way through the statistics."""
        of_channel = (self.mean.grad / self.n_values, 2 * self.variance.grad / self.n_values, self.mean.detach())
        shift, slope, mean = (_by_channel(each.to(_parameter_dtype(inputs)), inputs) for each in of_channel)
        # The variance goes by the mean too, but its derivative by that is 0 where it is the mean.
        return (shift + slope * (inputs.detach() - mean)).to(inputs.dtype)

    def update_running(self) -> None:
        """Move the running statistics on, as a call in training does."""
        norm = self.norm
        if not (norm.training and norm.track_running_stats):
            return
        factor = 0.0 if norm.momentum is None else norm.momentum
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
            if norm.momentum is None:
                factor = 1.0 / float(norm.num_batches_tracked)
        unbiased = self.variance * (self.n_values / (self.n_values - 1))
        for running, now in ((norm.running_mean, self.mean), (norm.running_var, unbiased)):
            if running is not None:
                running.mul_(1 - factor).add_(now.to(running), alpha=factor)


class _BatchNorms:
    """The batch normalisations of a module that use the statistics of a batch, to be told those of the whole one."""

    # those of classes that do no more than torch's; SyncBatchNorm is one of them in a single process
    _KNOWN = (_BatchNorm.forward, nn.SyncBatchNorm.forward)

    def __init__(self, module: nn.Module) -> None:
        self.modules = [
            norm
            for norm in module.modules()
            if isinstance(norm, _BatchNorm) and (norm.training or norm.running_mean is None)
        ]
        for norm in self.modules:
            if type(norm).forward not in self._KNOWN or "forward" in vars(norm):
                raise ValueError(
                    f"{type(norm).__name__} has a forward of its own; what that makes of a whole batch cannot be found "
                    "part by part. Use a batch normalisation of torch, or micro_batch_size=None."
                )
        self.inputs: list[Tensor] = []
        self._statistics: list[_Statistics] | None = None

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Let the modules ask this object in the block."""
        for norm in self.modules:
            norm.forward = functools.partial(self._normalize, norm)  # the instance's, before that of its class
        try:
            yield
        finally:
            for norm in self.modules:
                del norm.forward
            self.inputs = []

    def run(
        self, function: Callable[[Tensor], Tensor], part: Tensor, statistics: list[_Statistics], *, keep: bool
    ) -> Tensor | None:
        """Return what the function makes of a part, or None if it called more often than there are statistics.

        ``inputs`` are then those of the last call, or those of all calls to be kept; ``reached`` is the module that
        was called.
        """
        self._statistics, self._n_calls, self._keep, self.inputs = statistics, 0, keep, []
        try:
            outputs = function(part)
        except _Reached:
            return None
        finally:
            self._statistics = None
        _check_order(self._n_calls == len(statistics))
        return outputs

    def _normalize(self, norm: _BatchNorm, inputs: Tensor) -> Tensor:
        if self._statistics is None:
            raise RuntimeError(
                f"The backward pass calls {type(norm).__name__} again, as checkpointing does. Leave checkpointing out: "
                "micro_batch_size saves that memory already."
            )
        norm._check_input_dim(inputs)
        self.inputs = [*self.inputs, inputs] if self._keep else [inputs]
        self._n_calls += 1
        if self._n_calls > len(self._statistics):
            self.reached = norm
            raise _Reached
        statistics = self._statistics[self._n_calls - 1]
        _check_order(statistics.norm is norm)
        return statistics.normalize(inputs)


class _Reached(BaseException):
    """Ends a run at a call whose statistics are not known; no ``except Exception`` of a module's own catches it."""


class _State:
    """The buffers that a call of a module changes, except running statistics; all runs of parts begin with the same."""

    def __init__(self, module: nn.Module, norms: list[Any]) -> None:
        self._buffers = [
            (owner, name, buffer, buffer._version)
            for owner in module.modules()
            if owner not in norms
            for name, buffer in owner.named_buffers(recurse=False)
            if not buffer.is_inference()  # which no training can write to
        ]
        self._start = self._values()

    def begin_part(self) -> None:
        """Bring back the buffers as they were before the first part."""
        self._set(self._start)

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """Leave all as it was before the block."""
        before = self._values()
        try:
            yield
        finally:
            self._set(before)

    def _values(self) -> list[Tensor]:
        return [getattr(owner, name).clone() for owner, name, *_ in self._buffers]

    @torch.no_grad()
    def _set(self, values: list[Tensor]) -> None:
        for (owner, name, buffer, version), value in zip(self._buffers, values, strict=True):
            now = getattr(owner, name)
            if now is not buffer or now._version != version:  # most have never been written to
                now.copy_(value)


def _backward(roots: list[Tensor], grads: list[Tensor], wanted: list[Tensor] | None = None) -> None:
    """Add to the gradients of some leaves, by default all, those of the roots that have a graph.

    Autocast is off: the operations keep the types that it gave them in the forward.
    """
    pairs = [(root, grad) for root, grad in zip(roots, grads, strict=True) if root.requires_grad]
    device = grads[0].device.type
    off = torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()
    if pairs:
        with off:
            torch.autograd.backward([root for root, _ in pairs], [grad for _, grad in pairs], inputs=wanted)


def _by_channel(values: Tensor, inputs: Tensor) -> Tensor:
    """Shape (n_channels,) for inputs (n, n_channels, ...)."""
    return values.view(-1, *[1] * (inputs.ndim - 2))


def _parameter_dtype(inputs: Tensor) -> torch.dtype:
    """Type that statistics of some inputs have in torch: half precision does for values only."""
    return torch.promote_types(inputs.dtype, torch.float32)


def _check_order(same: bool) -> None:
    if not same:
        raise RuntimeError(
            "Parts of a batch call batch normalisations in different orders, so these have no statistics of the whole "
            "batch. Make the calls the same for all rows, or use micro_batch_size=None."
        )
