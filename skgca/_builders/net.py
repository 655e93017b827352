"""Make the net, which runs the training, from the parameters of the estimator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from skorch.helper import predefined_split

from .._data import RowDataset
from .._training.cross_net import CrossNet, TwoEncoders
from .._training.distributed_net import DistributedContrastiveNet, DistributedMomentumNet
from .._training.net import ContrastiveNet, MomentumNet
from .._training.process_group import GroupRanks
from .._training.ranks import Ranks
from .._utils.compat import InvalidParameterError
from .._utils.device import FUSED_ON, resolve_precision
from .._utils.random import RandomStreams
from ..encoders import EncoderWithHead
from ..losses import AlignmentLoss
from ..views import MultiView
from .callbacks import Entry
from .options import Options

__all__ = ["NetOptions", "make_net", "resolve_max_epochs"]

_EMA_DECAY = 0.99  # for ema_decay=None
# For max_epochs="auto"; docs/develop/decisions.md has what they cost.
_MOST_EPOCHS = 300  # of few rows
_USUAL_EPOCHS, _MOST_STEPS = 20, 10_000  # of many rows: these epochs, as long as they take no more than these steps


@dataclass(frozen=True)
class NetOptions(Options):
    """Parameters of the estimator that determine the net."""

    view_pairs: str
    batch_size: int
    lr: float
    weight_decay: float
    ema_decay: float | None
    micro_batch_size: int | None
    precision: str
    compile: bool


def make_net(
    options: NetOptions,
    *,
    module: EncoderWithHead | TwoEncoders,
    criterion: AlignmentLoss,
    yardstick: AlignmentLoss,
    views: MultiView,
    draws: bool,
    max_epochs: int,
    n_batches: float,
    callbacks: Sequence[Entry],
    dataset_valid: RowDataset | None,
    random_streams: RandomStreams,
    device: torch.device,
    ranks: Ranks,
) -> ContrastiveNet:
    """Make the net that trains a module.

    Parameters
    ----------
    options : NetOptions
    module : EncoderWithHead or TwoEncoders
    criterion : AlignmentLoss
        Training loss.
    yardstick : AlignmentLoss
        Validation criterion: the loss of held-out rows.
    views : MultiView
    draws : bool
        Whether the module may draw random numbers from torch's global generators, as dropout or a user's encoder does.
    max_epochs : int
    n_batches : float
        Number of batches of an epoch; inf if the number of rows is not known in advance.
    callbacks : sequence of Callback or (str, Callback)
    dataset_valid : RowDataset or None
        Rows that are held out, if any.
    random_streams : RandomStreams
        Source of the order of batches, of the views, and of the random numbers that the module draws.
    device : torch.device
    ranks : Ranks
        The processes that train the net.

    Raises
    ------
    InvalidParameterError
        If ``micro_batch_size`` and ``compile`` are both set.
    """
    if options.micro_batch_size is not None and options.compile:
        raise InvalidParameterError(
            f"compile=True does not work with micro_batch_size={options.micro_batch_size}, which passes batches "
            "through the network in parts; leave one out."
        )
    settings: dict[str, Any] = {
        "views": views,
        "draws": draws,
        "view_pairs": options.view_pairs,
        "random_streams": random_streams,
        "yardstick": yardstick,
        "precision": resolve_precision(options.precision, device),
        "compiled": options.compile,
        "micro_batch_size": options.micro_batch_size,
        "optimizer": torch.optim.AdamW,
        "optimizer__fused": device.type in FUSED_ON,
        "optimizer__weight_decay": options.weight_decay,
        # weight decay would pull a learned epsilon towards 1, whose logarithm is 0
        "optimizer__param_groups": [("log_epsilon", {"weight_decay": 0.0})],
        "lr": options.lr,
        "max_epochs": max_epochs,
        "batch_size": options.batch_size,
        "train_split": None if dataset_valid is None else predefined_split(dataset_valid),
        "callbacks": callbacks,
        "callbacks__print_log": None,
        "verbose": 0,
        "device": device,
    }
    if isinstance(ranks, GroupRanks):
        settings["ranks"] = ranks
    if isinstance(module, TwoEncoders):
        return CrossNet(module, criterion, **settings)
    if criterion.repels:
        kind = DistributedContrastiveNet if isinstance(ranks, GroupRanks) else ContrastiveNet
        return kind(module, criterion, **settings)
    with_target = DistributedMomentumNet if isinstance(ranks, GroupRanks) else MomentumNet
    decay = _EMA_DECAY if options.ema_decay is None else options.ema_decay
    return with_target(module, criterion, ema_decay=decay, n_steps=max_epochs * n_batches, **settings)


def resolve_max_epochs(max_epochs: int | str, *, auto_steps: int, n_batches: int) -> int:
    """Return the number of epochs.

    "auto" makes about ``auto_steps`` steps, or 20 epochs if that is more, but then at most about 10,000 steps. It makes
    at least one epoch, and at most 300. So the more rows there are, the fewer are the epochs, and the more the steps,
    up to the rounding to whole epochs.

    Parameters
    ----------
    max_epochs : int or "auto"
    auto_steps : int
        Number of steps that suffices for few rows, at most 10,000.
    n_batches : int
        Number of batches of an epoch, which is the number of its steps.
    """
    if not isinstance(max_epochs, str):
        return max_epochs
    n_steps = max(auto_steps, min(_USUAL_EPOCHS * n_batches, _MOST_STEPS))
    return min(max(round(n_steps / n_batches), 1), _MOST_EPOCHS)
