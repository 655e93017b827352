"""The loss, and the net that trains, from the parameters of the estimator."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from skorch.callbacks import Callback, LRScheduler
from skorch.helper import predefined_split
from torch import Tensor

from .._data import RowDataset
from .._training.callbacks import StopWithoutProgress, WarnUnconverged, copied_callback, warmup_cosine
from .._training.monitoring import Measures, Progress
from .._training.net import ContrastiveNet, MomentumNet
from .._utils.compat import InvalidParameterError
from .._utils.device import resolve_precision
from ..encoders import EncoderWithHead
from ..losses import PRESETS, AlignmentLoss, LearnableEpsilon, default_options, make_loss
from ..ot import Marginals
from ..views import MultiView

__all__ = [
    "LOSS_OPTIONS",
    "effective_target",
    "make_callbacks",
    "make_criterion",
    "make_net",
    "make_yardstick",
    "resolve_max_epochs",
]

# Parameters of the estimator that a loss may or may not have, under the same name; None takes the loss's default.
LOSS_OPTIONS = (
    "marginals",
    "n_iter",
    "q",
    "lam",
    "kl",
    "kl_weight",
    "rince_weight",
    "marginal_weight",
    "entropy_weight",
    "uniformity_weight",
    "sigma",
    "alpha",
    "beta",
)
_EMA_DECAY = 0.99
_WARMUP_FRACTION = 0.1  # the default of the estimator
_AUTO_STEPS = {"table": 2000, "images": 800, "series": 2000}  # of max_epochs="auto"


def effective_target(loss: str, target: Any) -> Any:
    """Target plan of an estimator; None is what the loss says."""
    known = isinstance(loss, str) and loss in PRESETS  # a wrong one is refused elsewhere
    return default_options(loss)["target"] if target is None and known else target


def make_criterion(params: Any, last_epsilon: float | None = None) -> AlignmentLoss:
    """Make the loss.

    Parameters
    ----------
    params : GCAEmbedder
        Holds the parameters as attributes.
    last_epsilon : float, default=None
        Where a learnable epsilon goes on from.

    Raises
    ------
    InvalidParameterError
        For what no constraint of one parameter can say, such as an option that the loss does not use.
    """
    epsilon = params.epsilon
    if isinstance(epsilon, LearnableEpsilon) and last_epsilon is not None:
        epsilon = replace(epsilon, start=min(max(last_epsilon, epsilon.low), epsilon.high))
    try:
        criterion = make_loss(
            params.loss,
            epsilon=epsilon,
            target="affinity" if params.target is not None and not isinstance(params.target, str) else params.target,
            cost=params.cost,
            layout=params.layout,
            tol=params.sinkhorn_tol,
            gradient=params.sinkhorn_gradient,
            memory_limit=params.memory_limit,
            **{option: getattr(params, option) for option in LOSS_OPTIONS},
        )
    except ValueError as error:
        raise InvalidParameterError(f"GCAEmbedder cannot make its loss: {error}") from error
    _check_effect(params, criterion)
    return criterion


def _check_effect(params: Any, criterion: AlignmentLoss) -> None:
    """Raise InvalidParameterError if something was set that changes nothing; make_loss sees to its own options."""
    own_marginals = Marginals.parse(default_options(params.loss).get("marginals", criterion.marginals))
    if params.n_iter is not None and own_marginals.one_sided and criterion.marginals.one_sided:
        raise InvalidParameterError(
            f"n_iter={params.n_iter!r} has no effect: loss={params.loss!r} leaves a marginal free, which half a step "
            "solves exactly. Leave n_iter out."
        )
    if params.ema_decay is not None and criterion.repels:
        raise InvalidParameterError(
            f"ema_decay={params.ema_decay!r} has no effect: loss={params.loss!r} trains without a target network, "
            "which 'byol' has. Leave it out."
        )


def make_net(
    params: Any,
    module: EncoderWithHead,
    criterion: AlignmentLoss,
    views: MultiView,
    *,
    max_epochs: int,
    n_batches: float,
    callbacks: list[Any],
    dataset_valid: RowDataset | None = None,
    seed: int,
    device: torch.device,
) -> ContrastiveNet:
    """Make the net that trains a module, in epochs of so many batches.

    Raises
    ------
    InvalidParameterError
        If the parameters of training do not go together.
    """
    if params.micro_batch_size is not None and params.compile:
        raise InvalidParameterError(
            f"compile=True does not go with micro_batch_size={params.micro_batch_size}, which goes through "
            "the network in parts; leave one out."
        )
    settings = {
        "views": views,
        "draws": not isinstance(params.encoder, str),  # a module of the user's own may hold torch's dropout
        "view_pairs": params.view_pairs,
        "seed": seed,
        "yardstick": make_yardstick(params),
        "precision": resolve_precision(params.precision, device),
        "compiled": params.compile,
        "max_grad_norm": float("inf") if params.max_grad_norm is None else params.max_grad_norm,
        "micro_batch_size": params.micro_batch_size,
        "optimizer": torch.optim.AdamW,
        "optimizer__weight_decay": params.weight_decay,
        # decay would pull epsilon towards 1
        "optimizer__param_groups": [("log_epsilon", {"weight_decay": 0.0})],
        "lr": params.lr,
        "max_epochs": max_epochs,
        "batch_size": params.batch_size,
        "train_split": None if dataset_valid is None else predefined_split(dataset_valid),
        "callbacks": callbacks,
        "callbacks__print_log": None,
        "verbose": 0,
        "device": device,
    }
    if criterion.repels:
        return ContrastiveNet(module, criterion, **settings)
    decay = _EMA_DECAY if params.ema_decay is None else params.ema_decay
    return MomentumNet(module, criterion, ema_decay=decay, n_steps=max_epochs * n_batches, **settings)


def make_callbacks(params: Any, *, n_steps: int, measured: tuple[Tensor, ...], steady: bool = False) -> list[Any]:
    """Return what training does besides stepping, the user's callbacks among it.

    Parameters
    ----------
    params : GCAEmbedder
        Holds the parameters as attributes.
    n_steps : int
        Steps of the whole training.
    measured : tuple of Tensor of shape (m, ...)
        Rows to measure the embedding by, once or once for each measured view.
    steady : bool, default=False
        Whether the rate stays as it is, and training goes on to its end.

    Raises
    ------
    InvalidParameterError
        If ``callbacks`` does not hold skorch callbacks.
    """
    own = _own_callbacks(params.callbacks)
    made: list[Any] = [
        ("measures", Measures(measured, always=params.early_stopping)),
        ("progress", Progress(int(params.verbose), n_steps)),
    ]
    unnamed = [entry[1] if isinstance(entry, tuple) else entry for entry in own]
    schedules = [callback for callback in unnamed if isinstance(callback, LRScheduler)]
    if schedules and params.warmup_fraction != _WARMUP_FRACTION:
        raise InvalidParameterError(
            f"warmup_fraction={params.warmup_fraction!r} has no effect: {type(schedules[0]).__name__} among callbacks "
            "sets the rate. Leave one out."
        )
    if not schedules and not steady:
        made.append(("schedule", warmup_cosine(n_steps, params.warmup_fraction)))
    made += own
    if params.early_stopping and not steady:
        stopping = StopWithoutProgress(
            patience=params.n_iter_no_change,
            threshold=params.tol,
            threshold_mode="abs",
            load_best=params.restore_best,
        )
        made.append(("stopping", stopping))
    return [*made, ("unconverged", WarnUnconverged())]


def _own_callbacks(callbacks: Any) -> list[Any]:
    """Return copies of the user's callbacks, so that a fit leaves the parameter as it is; skorch names the nameless."""
    own = []
    for entry in callbacks or []:
        name, callback = entry if isinstance(entry, tuple) and len(entry) == 2 else (None, entry)
        is_made = isinstance(callback, Callback) or not callable(callback)
        made = copied_callback(callback) if is_made else callback()
        if not isinstance(made, Callback):
            raise InvalidParameterError(
                f"callbacks holds {entry!r}, which is no callback; it must hold skorch callbacks, such as "
                "skorch.callbacks.EpochScoring(...), what makes one when called, or pairs (name, callback)."
            )
        own.append(made if name is None else (name, made))
    return own


def make_yardstick(params: Any) -> AlignmentLoss:
    """Make the loss of held-out rows, whose values are comparable between epochs.

    That is the loss itself with the epsilon of the start; for one that repels nothing, which would be least where all
    embeddings are equal, it is InfoNCE with that epsilon.
    """
    epsilon = params.epsilon.start if isinstance(params.epsilon, LearnableEpsilon) else params.epsilon
    fixed = SimpleNamespace(**{**params.get_params(deep=False), "epsilon": epsilon})
    criterion = make_criterion(fixed)
    if criterion.repels:
        return criterion
    return make_loss("ince", epsilon=epsilon, cost=params.cost, layout=params.layout, memory_limit=params.memory_limit)


def resolve_max_epochs(params: Any, kind: str, n_batches: int) -> int:
    """Return how many epochs of so many batches to train, on a table, images or series."""
    if params.max_epochs != "auto":
        return params.max_epochs
    return min(max(round(_AUTO_STEPS[kind] / n_batches), 20), 300)
