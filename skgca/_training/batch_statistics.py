"""The mean and variance by which a batch normalisation normalises, computed and differentiated by parts of a batch.

The parts are those of ``micro_batch_size`` (:mod:`.gradient_cache`), or those of the ranks of a training
(:mod:`.ranks`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .._utils.device import on_device

__all__ = ["BatchStatistics", "batch_norms", "check_order"]

# methods ``forward`` that compute torch's batch normalisation; SyncBatchNorm's does so in a single process
_KNOWN = (_BatchNorm.forward, nn.SyncBatchNorm.forward)


def batch_norms(module: nn.Module, *, remedy: str) -> list[_BatchNorm]:
    """Return the batch normalisations of a module that use the statistics of the batch.

    Raises
    ------
    ValueError
        If one has a ``forward`` other than torch's; the message ends with the remedy.
    """
    norms = [
        norm
        for norm in module.modules()
        if isinstance(norm, _BatchNorm) and (norm.training or norm.running_mean is None)
    ]
    for norm in norms:
        if type(norm).forward not in _KNOWN or "forward" in vars(norm):
            raise ValueError(
                f"{type(norm).__name__} has a forward of its own, whose result for a whole batch cannot be "
                f"computed part by part. Use a batch normalisation of torch, or {remedy}."
            )
    return norms


@dataclass(frozen=True)
class BatchStatistics:
    """Mean and variance (n_channels,) of the inputs of one batch normalisation call, over n_values in each channel.

    The number of values is a scalar tensor if it came from other ranks, so that the host need not wait for it.
    """

    norm: _BatchNorm
    n_values: int | Tensor
    mean: Tensor
    variance: Tensor

    @classmethod
    def of(cls, norm: _BatchNorm, inputs: Tensor) -> BatchStatistics:
        """Compute the statistics of a part."""
        values = inputs.to(_parameter_dtype(inputs))
        rest = [axis for axis in range(values.ndim) if axis != 1]
        mean = values.mean(rest)
        variance = (values - _by_channel(mean, values)).square_().mean(rest)  # ten times as fast as torch.var
        exact = torch.float32 if inputs.device.type == "mps" else torch.float64  # MPS has no double precision
        return cls(norm, values.numel() // values.shape[1], mean.to(exact), variance.to(exact))

    @classmethod
    def merged(cls, parts: list[BatchStatistics]) -> BatchStatistics:
        """Merge the statistics of all parts; the variance is that within the parts plus that of their means."""
        norm, n_values = parts[0].norm, sum(part.n_values for part in parts)
        check_order(all(part.norm is norm for part in parts))
        means = torch.stack([part.mean for part in parts])
        variances = torch.stack([part.variance for part in parts])
        shares = [torch.as_tensor(part.n_values / n_values, dtype=means.dtype) for part in parts]
        share = on_device(torch.stack(shares), means.device)[:, None]
        mean = (share * means).sum(0)
        return cls(norm, n_values, mean, (share * (variances + (means - mean).square())).sum(0))

    def leaf(self) -> BatchStatistics:
        """Return a copy that collects gradients, which start at 0."""
        mean, variance = (tensor.clone().requires_grad_() for tensor in (self.mean, self.variance))
        mean.grad, variance.grad = torch.zeros_like(mean), torch.zeros_like(variance)
        return BatchStatistics(self.norm, self.n_values, mean, variance)

    def normalize(self, inputs: Tensor) -> Tensor:
        """Normalise a part by the statistics of the whole batch.

        torch's kernel treats given statistics as constants. If their gradients are needed, it also gets a scale of
        value 1 and a shift of value 0 that are functions of the statistics: scale = sigma0 / sigma and
        shift = (mean0 - mean) / sigma, with the detached values mean0 and sigma0. The gradients flow through these.
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
        """Return the gradient of the loss with respect to the inputs of a part, through the statistics.

        With n values in a channel, d mean / d x = 1 / n and d variance / d x = 2 (x - mean) / n.
        """
        assert self.mean.grad is not None  # set by leaf()
        assert self.variance.grad is not None
        of_channel = (self.mean.grad / self.n_values, 2 * self.variance.grad / self.n_values, self.mean.detach())
        shift, slope, mean = (_by_channel(each.to(_parameter_dtype(inputs)), inputs) for each in of_channel)
        # The variance also depends on x through the mean, but its derivative with respect to the mean is 0.
        return (shift + slope * (inputs.detach() - mean)).to(inputs.dtype)

    def update_running(self) -> None:
        """Update the running statistics, as a call in training does."""
        norm = self.norm
        if not (norm.training and norm.track_running_stats):
            return
        factor = 0.0 if norm.momentum is None else norm.momentum
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
            if norm.momentum is None:
                factor = 1.0 / float(norm.num_batches_tracked)
        # torch normalises by the biased variance, but keeps the unbiased one for evaluation
        unbiased = self.variance * (self.n_values / (self.n_values - 1))
        for running, now in ((norm.running_mean, self.mean), (norm.running_var, unbiased)):
            if running is not None:
                running.mul_(1 - factor).add_(now.to(running), alpha=factor)


def _by_channel(values: Tensor, inputs: Tensor) -> Tensor:
    """Reshape (n_channels,) to (n_channels, 1, ...), which broadcasts with inputs (n, n_channels, ...)."""
    return values.view(-1, *[1] * (inputs.ndim - 2))


def _parameter_dtype(inputs: Tensor) -> torch.dtype:
    """Return the dtype in which torch computes statistics: that of the inputs, but at least float32."""
    return torch.promote_types(inputs.dtype, torch.float32)


def check_order(same: bool) -> None:
    if not same:
        raise RuntimeError(
            "Parts of a batch call batch normalisations in different orders, so there are no statistics of the whole "
            "batch. Make the calls the same for all rows, or use micro_batch_size=None."
        )
