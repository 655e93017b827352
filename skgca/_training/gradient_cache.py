"""Gradient caching: the gradient of a batch larger than memory, computed in parts, exact with batch normalisation too.

A contrastive loss compares all rows of a batch, but it sees the network only through its outputs. Two steps are enough:

    1. Run all parts without a graph, and compute the loss and its gradient with respect to the outputs.
    2. Run each part again with a graph, and backpropagate its share of that gradient to the parameters.

Only one part's activations are in memory at a time, at the cost of one more forward pass.

Batch normalisation makes rows depend on each other inside the network too. Take a network with two of them:

    rows -> A -> normalise (s1) -> B -> normalise (s2) -> C -> outputs

s1 and s2 are the mean and variance over the *whole* batch. They are means over rows, so they can be accumulated part by
part. s1 comes first, since s2 depends on it:

    pass 1: each part through A                      -> s1
    pass 2: each part through A, s1, B               -> s2
    pass 3: each part through A, s1, B, s2, C        -> outputs; now the loss and its gradient are computed
    pass 4: pass 3 with a graph; backpropagate the gradient of the outputs to s1 and s2
    pass 5: pass 2 with a graph; backpropagate the gradient of s2 to s1
    pass 6: pass 3 with a graph; backpropagate the gradients of the outputs, of s2 and of s1 to the parameters

With L batch normalisations there are 1 + L passes in each direction. A pass that only needs to reach some statistics
ends at their normalisation, by an exception.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .._utils.random import seeded_global_generator
from .._utils.torch_state import full_precision
from .batch_statistics import BatchStatistics, batch_norms, check_order
from .ranks import Ranks

__all__ = ["CachedForward"]


class CachedForward:
    """Compute outputs of a module for a whole batch, and later gradients, with the activations of one part at a time.

    The outputs are computed without a graph [1]_. Given the gradient of the loss with respect to them, :meth:`backward`
    runs each part again with a graph. Calls of batch normalisation use the statistics of the whole batch: the l-th call
    has s_l = S_l(parameters, s_1, ..., s_{l-1}), a mean over rows. The outputs are F(parameters, s_1, ..., s_L), row by
    row. The docstring of this file lists the passes.

    A batch that is a single part is run once, and its graph is kept.

    Parameters
    ----------
    function : callable ``(part of the batch) -> Tensor (k, ...)``
        Calls ``module``, or parts of it. Except for batch normalisation, each row of its output depends only on the
        same row of the part.
    module : Module
        Holds the batch normalisations. Its parameters and its mode must not change until :meth:`backward`.
    batch : Tensor of shape (n, ...)
        Gets no gradient.
    micro_batch_size : int
        Largest number of rows in a part. Sizes of parts differ by at most one row.
    draws : bool, default=False
        Whether the module draws from torch's global generators, as ``torch.nn.Dropout`` does. They are seeded for each
        part, the same way in each pass over it, and restored afterwards.
    generator : torch.Generator, default=None
        Source of the seeds of the parts. Needed if ``draws``.
    ranks : Ranks, default=None
        The processes of which each has a part of the rows. None is a single process.

    Attributes
    ----------
    outputs : Tensor of shape (n, ...)
        The value of ``function(batch)``, without a graph. Running statistics are updated as by one call for the whole
        batch, and so are other buffers whose updates do not depend on rows.

    Raises
    ------
    ValueError
        If ``micro_batch_size`` is not a whole number of at least 1, ``draws`` has no generator, the function does not
        return one output for each row, or a batch normalisation has a ``forward`` other than torch's.
    RuntimeError
        If parts call batch normalisations in different orders, or the backward pass calls them again.

    Notes
    -----
    Batch normalisation is recognised by its module. If it is a functional call, or inside TorchScript, each part is
    normalised by its own statistics.

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
    _function: Callable[[Tensor], Tensor]
    _parts: tuple[Tensor, ...]
    _norms: _BatchNorms
    _state: _State
    _ranks: Ranks

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        module: nn.Module,
        batch: Tensor,
        micro_batch_size: int,
        *,
        draws: bool = False,
        generator: torch.Generator | None = None,
        ranks: Ranks | None = None,
    ) -> None:
        if not isinstance(micro_batch_size, Integral) or micro_batch_size < 1:
            raise ValueError(f"micro_batch_size={micro_batch_size!r} must be a whole number >= 1, such as 512.")
        if draws and generator is None:
            raise ValueError("generator=None, but draws=True needs one, such as torch.Generator().manual_seed(0).")
        n_parts = max(1, -(-len(batch) // int(micro_batch_size)))
        self._ranks = Ranks() if ranks is None else ranks
        self._function = function
        self._parts = batch.detach().tensor_split(n_parts)
        self._seeds: list[int] | None = None
        if draws and generator is not None:
            self._seeds = torch.randint(2**31 - 1, (n_parts,), generator=generator, device=generator.device).tolist()
        self._single: Tensor | None = None  # outputs with their graph, if there is only one part
        if n_parts == 1 and self._ranks.n_ranks == 1:  # ranks may differ in their number of parts
            with torch.enable_grad(), self._drawing(0):
                self._single = function(self._parts[0])
            self.outputs = self._single.detach()
            return
        self._norms = _BatchNorms(module)
        self._state = _State(module, self._norms.modules)
        self._statistics: list[BatchStatistics] = []
        with torch.no_grad(), self._norms.patched():
            self.outputs = self._forward()
            for statistics in self._statistics:
                statistics.update_running()

    def backward(self, grad_outputs: Tensor) -> None:
        """Add to the gradients of the parameters what ``function(batch).backward(grad_outputs)`` would add.

        Parameters
        ----------
        grad_outputs : Tensor of the shape of the outputs
            Gradient of the loss with respect to the outputs.

        Raises
        ------
        ValueError
            If its shape differs from that of the outputs.
        """
        if grad_outputs.shape != self.outputs.shape:
            raise ValueError(
                f"grad_outputs has shape {tuple(grad_outputs.shape)}; it needs that of the outputs, "
                f"{tuple(self.outputs.shape)}."
            )
        if self._single is not None:
            _backward([self._single], [grad_outputs])
            return
        grads = grad_outputs.detach().tensor_split(len(self._parts))
        leaves = [statistics.leaf() for statistics in self._statistics]
        with torch.enable_grad(), self._norms.patched(), self._state.put_back():
            # The statistics of a call affect the outputs and all later statistics. Therefore the loop goes from the
            # last call to the first: the gradient of each is complete before it is passed on.
            for n_known in range(len(leaves), 0, -1):
                for i, grad in enumerate(grads):
                    self._pull_to_statistics(i, grad, leaves, n_known)
                last = leaves[n_known - 1]
                for statistic in (last.mean, last.variance):
                    assert statistic.grad is not None  # set by leaf()
                    self._ranks.sum(statistic.grad)
            for i, grad in enumerate(grads):
                self._pull_to_parameters(i, grad, leaves)

    def _forward(self) -> Tensor:
        """Compute the statistics of each call in turn, until a pass reaches the outputs; return the outputs."""
        while True:
            outputs, statistics = [], []
            for i in range(len(self._parts)):
                output = self._run(i, self._statistics)
                if output is None:
                    statistics.append(BatchStatistics.of(self._norms.reached, self._norms.inputs[-1]))
                else:
                    outputs.append(output)
            check_order(not (outputs and statistics))
            if outputs:
                # Autocast in older torch caches converted weights, here without a graph. The backward passes must not
                # use these.
                torch.clear_autocast_cache()
                return torch.cat(outputs)
            self._statistics.append(self._ranks.merged(BatchStatistics.merged(statistics)))

    def _pull_to_statistics(self, i: int, grad: Tensor, leaves: list[BatchStatistics], n_known: int) -> None:
        """Backpropagate through part i to the first ``n_known`` statistics.

        The pass starts at the statistics that come next, or at the outputs if all statistics are known.
        """
        known = leaves[:n_known]
        root = self._run(i, known)
        check_order((root is None) == (n_known < len(leaves)))
        if root is None:
            root = self._norms.inputs[-1]
            grad = leaves[n_known].grad_inputs(root)
        _backward([root], [grad], [tensor for leaf in known for tensor in (leaf.mean, leaf.variance)])

    def _pull_to_parameters(self, i: int, grad: Tensor, leaves: list[BatchStatistics]) -> None:
        """Backpropagate the gradients of the outputs and of all statistics of part i to the parameters."""
        outputs = self._run(i, self._statistics, keep=True)
        check_order(outputs is not None)
        assert outputs is not None
        inputs = self._norms.inputs
        through = [leaf.grad_inputs(each) for leaf, each in zip(leaves, inputs, strict=True)]
        _backward([outputs, *inputs], [grad, *through])

    def _run(self, i: int, statistics: list[BatchStatistics], *, keep: bool = False) -> Tensor | None:
        """Run part i and return its outputs, or None if it reaches a call whose statistics are not known."""
        part = self._parts[i]
        self._state.begin_part()
        with self._drawing(i):
            outputs = self._norms.run(self._function, part, statistics, keep=keep)
        if outputs is not None and (outputs.ndim == 0 or len(outputs) != len(part)):
            raise ValueError(
                f"The function returned {tuple(outputs.shape)} for a part of shape {tuple(part.shape)}; it must return "
                f"one output for each of the {len(part)} rows, along the first axis."
            )
        return outputs

    def _drawing(self, i: int) -> AbstractContextManager[None]:
        if self._seeds is None:
            return nullcontext()
        return seeded_global_generator(self._seeds[i], self._parts[i].device)


class _BatchNorms:
    """Make the batch normalisations of a module use the statistics of the whole batch, not those of a part."""

    def __init__(self, module: nn.Module) -> None:
        self.modules = batch_norms(module, remedy="micro_batch_size=None")
        self.inputs: list[Tensor] = []
        self._statistics: list[BatchStatistics] | None = None

    @contextmanager
    def patched(self) -> Iterator[None]:
        """Let the modules normalise through this object inside the block."""
        for norm in self.modules:
            # mypy reports an assignment to a method, but here an instance attribute is meant to hide it
            norm.forward = functools.partial(self._normalize, norm)  # type: ignore[method-assign]
        try:
            yield
        finally:
            for norm in self.modules:
                del norm.forward
            self.inputs = []

    def run(
        self, function: Callable[[Tensor], Tensor], part: Tensor, statistics: list[BatchStatistics], *, keep: bool
    ) -> Tensor | None:
        """Return the outputs of a part, or None if it reached a call whose statistics are not known.

        Afterwards ``inputs`` holds the inputs of the last call, or of all calls with ``keep``, and ``reached`` the
        module whose statistics are missing.
        """
        self._statistics, self._n_calls, self._keep, self.inputs = statistics, 0, keep, []
        try:
            outputs = function(part)
        except _Reached:
            return None
        finally:
            self._statistics = None
        check_order(self._n_calls == len(statistics))
        return outputs

    def _normalize(self, norm: _BatchNorm, inputs: Tensor) -> Tensor:
        if self._statistics is None:
            raise RuntimeError(
                f"The backward pass calls {type(norm).__name__} again, as activation checkpointing does. Leave it out: "
                "micro_batch_size already saves this memory."
            )
        norm._check_input_dim(inputs)
        self.inputs = [*self.inputs, inputs] if self._keep else [inputs]
        self._n_calls += 1
        if self._n_calls > len(self._statistics):
            self.reached = norm
            raise _Reached
        statistics = self._statistics[self._n_calls - 1]
        check_order(statistics.norm is norm)
        return statistics.normalize(inputs)


class _Reached(BaseException):
    """Ends a run at a call whose statistics are not known. A module's own ``except Exception`` does not catch it."""


class _State:
    """The buffers that a call of a module may change, except running statistics. Every part starts from the same."""

    def __init__(self, module: nn.Module, norms: list[Any]) -> None:
        self._buffers = [
            (owner, name, buffer, buffer._version)
            for owner in module.modules()
            if owner not in norms
            for name, buffer in owner.named_buffers(recurse=False)
            if not buffer.is_inference()  # training cannot write to such a buffer
        ]
        self._start = self._values()

    def begin_part(self) -> None:
        """Set the buffers to their values before the first part."""
        self._set(self._start)

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """Restore the buffers after the block to their values before it."""
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
            if now is not buffer or now._version != version:  # most buffers are never written to
                now.copy_(value)


def _backward(roots: list[Tensor], grads: list[Tensor], wanted: list[Tensor] | None = None) -> None:
    """Backpropagate from the roots that have a graph to the wanted leaves, by default to all leaves.

    Autocast is off: each operation keeps the type that autocast gave it in the forward pass.
    """
    pairs = [(root, grad) for root, grad in zip(roots, grads, strict=True) if root.requires_grad]
    if pairs:
        with full_precision(grads[0]):
            torch.autograd.backward([root for root, _ in pairs], [grad for _, grad in pairs], inputs=wanted)
