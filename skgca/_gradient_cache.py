"""Batches that go through a network in parts, with the gradient of the whole: gradient caching.

A contrastive loss compares all rows of a batch, so its gradient is not a sum over parts, as of a loss of single rows.
But the network is applied to rows one by one: given the gradient of the loss with respect to the outputs, the gradient
of the parameters is such a sum. So the parts go through the network once without a graph, the loss of all outputs is
differentiated with respect to them, and the parts go through again, each with a graph of its own [1]_.

Batch normalisation breaks this, since its mean and variance are of the whole batch. They are treated as variables:
found one after the other, from the first layer to the last, before the outputs are computed; and differentiated from
the last to the first, before the parameters are. With L calls of batch normalisation, that is L more passes each way.

References
----------
.. [1] L. Gao, Y. Zhang, J. Han, J. Callan, "Scaling deep contrastive learning batch size under memory limited setup",
   RepL4NLP 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ._runtime import seeded_global_generator
from .encoders._mlp import SeededDropout

__all__ = ["CachedForward"]

_SEEDS_APART = 2**20  # from the seed of a dropout in one part to that in the next


class CachedForward:
    """What a function makes of a batch, computed in parts, and its gradient, which is that of the whole batch.

    Dropout draws other masks for each part, and the same ones each time that the part goes through. Running statistics
    of batch normalisation are updated once, as by one call with the whole batch.

    Parameters
    ----------
    function : callable ``(part (k, ...)) -> Tensor (k, ...)``
        Calls ``module``, or parts of it.
    module : Module
        Where batch normalisations and dropouts are looked for. Its mode must not change until :meth:`backward`.
    batch : Tensor of shape (n, ...)
        Rows.
    micro_batch_size : int
        Most rows in a part.
    draws : bool, default=False
        Whether the module draws random numbers from torch's global generators.
    generator : torch.Generator, default=None
        Source of the seeds of those.

    Attributes
    ----------
    outputs : Tensor of shape (n, ...)
        Without a graph.

    Raises
    ------
    ValueError
        If ``micro_batch_size`` is below 1.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        module: nn.Module,
        batch: Tensor,
        micro_batch_size: int,
        *,
        draws: bool = False,
        generator: Generator | None = None,
    ) -> None:
        if micro_batch_size < 1:
            raise ValueError(f"micro_batch_size={micro_batch_size} must be at least 1.")
        self._function = function
        self._parts = batch.split(micro_batch_size)
        self._norms = [layer for layer in module.modules() if _uses_batch_statistics(layer)]
        self._random = _Replay(module, self._parts, generator if draws else None)
        self._statistics: list[_Statistics] = []
        with torch.no_grad():
            outputs = self._first_pass()
            while outputs is None:
                outputs = self._first_pass()
        torch.clear_autocast_cache()  # of weights cast without a graph, which backward is not to meet
        self.outputs = outputs
        for found in self._statistics:
            found.update_running()
        self._random.move_on()

    def backward(self, grad_outputs: Tensor) -> None:
        """Add to the gradients of the parameters what the whole batch would add.

        Parameters
        ----------
        grad_outputs : Tensor of shape (n, ...)
            Gradient of a scalar with respect to ``outputs``.
        """
        grads = grad_outputs.split(len(self._parts[0]))
        for level in range(len(self._statistics) - 1, -1, -1):
            self._differentiate_statistics(level, grads)
        for k, grad in enumerate(grads):
            self._objective(k, grad, _Normalization(self._statistics)).backward()

    def _first_pass(self) -> Tensor | None:
        """Find the statistics of the next batch normalisation; if there is none left, return the outputs."""
        found = _Statistics()
        outputs = []
        for k in range(len(self._parts)):
            try:
                outputs.append(self._run(k, _Normalization(self._statistics, finding=found)))
            except _FoundError:
                continue
        if outputs:
            return torch.cat(outputs)
        self._statistics.append(found.finished())
        return None

    def _differentiate_statistics(self, level: int, grads: tuple[Tensor, ...]) -> None:
        """Find the gradient of the objective with respect to mean and variance of one call, given those of later ones.

        What comes before that call does not depend on them, so a graph is made from there on only.
        """
        found = self._statistics[level]
        leaves = [found.mean.clone().requires_grad_(), found.variance.clone().requires_grad_()]
        total = [torch.zeros_like(leaf) for leaf in leaves]
        for k, grad in enumerate(grads):
            with torch.no_grad():  # until the call, which turns gradients on
                objective = self._objective(k, grad, _Normalization(self._statistics, level=level, leaves=leaves))
            parts = torch.autograd.grad(objective, leaves, allow_unused=True, materialize_grads=True)
            for sums, part in zip(total, parts, strict=True):
                sums += part
        found.adjoint = (total[0], total[1])

    def _objective(self, k: int, grad: Tensor, normalization: _Normalization) -> Tensor:
        """Return what has, in a part, the gradient that the loss has: outputs and statistics times their gradients."""
        output = self._run(k, normalization)
        return sum(normalization.terms, (output * grad).sum())

    def _run(self, k: int, normalization: _Normalization) -> Tensor:
        with _replaced(self._norms, normalization), self._random.of_part(k):
            return self._function(self._parts[k])


class _FoundError(Exception):
    """Ends a pass over a part early: the statistics that it was for have been found."""


class _Statistics:
    """Mean and variance of one call of a batch normalisation, over all parts.

    Attributes
    ----------
    mean, variance : Tensor of shape (n_channels,)
    count : int
        Values of each channel.
    adjoint : tuple of Tensor or None
        Gradient of the loss with respect to both.
    """

    def __init__(self) -> None:
        self.count = 0
        self.adjoint: tuple[Tensor, Tensor] | None = None

    def add(self, layer: _BatchNorm, values: Tensor) -> None:
        """Merge in the values (k, n_channels, ...) of a part, in double precision."""
        self.layer, self._like = layer, values
        values = values.detach().double().transpose(0, 1).flatten(1)  # (n_channels, k ...)
        count = values.shape[1]
        variance, mean = torch.var_mean(values, dim=1, correction=0)
        if not self.count:
            self.count, self.mean, self._squares = count, mean, variance * count
            return
        total = self.count + count
        shift = mean - self.mean
        self._squares += variance * count + shift.square() * (self.count * count / total)
        self.mean = self.mean + shift * (count / total)
        self.count = total

    def finished(self) -> _Statistics:
        """Fix mean and variance, in the precision that the layer computes in."""
        dtype = torch.promote_types(self._like.dtype, torch.float32)
        self.variance = (self._squares / self.count).to(dtype)
        self.mean = self.mean.to(dtype)
        del self._like
        return self

    def update_running(self) -> None:
        """Move the running statistics of the layer, as its own call would."""
        layer = self.layer
        if not layer.training or layer.running_mean is None or layer.running_var is None:
            return
        factor = layer.momentum
        if layer.num_batches_tracked is not None:
            layer.num_batches_tracked.add_(1)
            if factor is None:
                factor = 1 / float(layer.num_batches_tracked)
        unbiased = self.variance * (self.count / max(1, self.count - 1))
        layer.running_mean.lerp_(self.mean.to(layer.running_mean), factor or 0.0)
        layer.running_var.lerp_(unbiased.to(layer.running_var), factor or 0.0)


@dataclass
class _Normalization:
    """What batch normalisations do in one pass over one part: a call takes the next of the statistics.

    Parameters
    ----------
    statistics : list of _Statistics
        Those known, in the order of the calls.
    finding : _Statistics, default=None
        Where the values of the next call go to, after which the pass ends.
    level : int, default=None
        The call whose mean and variance are ``leaves`` of the graph.
    leaves : list of Tensor, default=None
    """

    statistics: list[_Statistics]
    finding: _Statistics | None = None
    level: int | None = None
    leaves: list[Tensor] | None = None

    def __post_init__(self) -> None:
        self.n_calls = 0
        self.terms: list[Tensor] = []

    def __call__(self, layer: _BatchNorm, values: Tensor) -> Tensor:
        """Normalise values of shape (k, n_channels, ...)."""
        call = self.n_calls
        self.n_calls += 1
        if call == len(self.statistics) and self.finding is not None:
            self.finding.add(layer, values)
            raise _FoundError
        found = self.statistics[call]
        mean, variance = found.mean, found.variance
        if call == self.level and self.leaves is not None:
            torch.set_grad_enabled(True)  # the no_grad around the pass puts it back
            mean, variance = self.leaves
        elif found.adjoint is not None:
            self.terms.append(_share(found, values))
        return _normalize(layer, values, mean, variance)


def _share(found: _Statistics, values: Tensor) -> Tensor:
    """Return the part's share of mean and variance, times their gradients.

    The variance moves with the mean in it only in second order, so that counts as fixed.
    """
    assert found.adjoint is not None
    to_mean, to_variance = found.adjoint
    values = values.to(found.mean.dtype).transpose(0, 1).flatten(1)  # (n_channels, k ...)
    mean_share = values.sum(1) / found.count
    variance_share = (values - found.mean[:, None]).square().sum(1) / found.count
    return (to_mean * mean_share).sum() + (to_variance * variance_share).sum()


def _normalize(layer: _BatchNorm, values: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    shape = (-1, *[1] * (values.ndim - 2))  # (n_channels, 1 ...)
    scale = (variance + layer.eps).rsqrt()
    normalized = (values.to(mean.dtype) - mean.view(shape)) * scale.view(shape)
    if layer.weight is not None:
        normalized = normalized * layer.weight.view(shape) + layer.bias.view(shape)
    return normalized.to(values.dtype)


def _uses_batch_statistics(layer: nn.Module) -> bool:
    return isinstance(layer, _BatchNorm) and (layer.training or layer.running_mean is None)


@contextmanager
def _replaced(norms: list[_BatchNorm], normalization: _Normalization) -> Iterator[None]:
    """Let batch normalisations do something else for the block."""
    for layer in norms:
        layer.forward = partial(normalization, layer)
    try:
        yield
    finally:
        for layer in norms:
            del layer.forward


class _Replay:
    """Random numbers of a module: others for each part, and the same each time that a part goes through."""

    def __init__(self, module: nn.Module, parts: tuple[Tensor, ...], generator: Generator | None) -> None:
        dropouts = [layer for layer in module.modules() if isinstance(layer, SeededDropout)]
        self._starts = [(layer, layer.seed.clone()) for layer in dropouts]
        self._n_parts = len(parts)
        self._device = parts[0].device
        self._seeds: list[int] | None = None
        if generator is not None:
            drawn = torch.randint(2**31 - 1, (len(parts),), generator=generator, device=generator.device)
            self._seeds = drawn.tolist()

    @contextmanager
    def of_part(self, k: int) -> Iterator[None]:
        """Draw what belongs to a part."""
        for layer, start in self._starts:
            layer.seed.copy_(start + k * _SEEDS_APART)
        lent: AbstractContextManager = nullcontext()
        if self._seeds is not None:
            lent = seeded_global_generator(self._seeds[k], self._device)
        try:
            with lent:
                yield
        finally:
            self.move_on()

    def move_on(self) -> None:
        """Leave seeds that have not been used."""
        for layer, start in self._starts:
            layer.seed.copy_(start + self._n_parts)
