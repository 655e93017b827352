"""The loss, and the net that trains, from the parameters of the estimator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from ._callbacks import WarnUnconverged, warmup_cosine
from ._compat import InvalidParameterError
from ._inputs import EvenBatches
from ._net import ContrastiveNet, MomentumNet
from .encoders import EncoderWithHead
from .losses import PRESETS, AlignmentLoss, LearnableEpsilon, default_options, make_loss
from .ot import Marginals
from .views import MultiView

__all__ = ["effective_target", "make_criterion", "make_net"]

# Parameters of the estimator that a loss may or may not have, under the same name; None takes the loss's default.
_LOSS_OPTIONS = (
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
_AUTO_STEPS = {"table": 2000, "images": 800, "series": 2000}  # of max_epochs="auto"


def effective_target(loss: str, target: Any) -> Any:
    """Target plan of an estimator; None is what the loss says."""
    return default_options(loss)["target"] if target is None and loss in PRESETS else target


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
            **{option: getattr(params, option) for option in _LOSS_OPTIONS},
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
    kind: str,
    n_rows: int,
    *,
    seed: int,
    device: torch.device,
) -> ContrastiveNet:
    """Make the net that trains a module, on so many rows of a table, images or series."""
    n_batches = len(EvenBatches(n_rows, params.batch_size, generator=torch.Generator()))
    max_epochs = _auto_epochs(kind, n_batches) if params.max_epochs == "auto" else params.max_epochs
    settings = {
        "views": views,
        "draws": not isinstance(params.encoder, str),  # a module of the user's own may hold torch's dropout
        "view_pairs": params.view_pairs,
        "seed": seed,
        "optimizer": torch.optim.AdamW,
        "optimizer__weight_decay": params.weight_decay,
        # decay would pull epsilon towards 1
        "optimizer__param_groups": [("log_epsilon", {"weight_decay": 0.0})],
        "lr": params.lr,
        "max_epochs": max_epochs,
        "batch_size": params.batch_size,
        "train_split": None,
        "callbacks": [
            ("schedule", warmup_cosine(max_epochs * n_batches, params.warmup_fraction)),
            ("unconverged", WarnUnconverged()),
        ],
        "verbose": int(params.verbose),
        "device": device,
    }
    if criterion.repels:
        return ContrastiveNet(module, criterion, **settings)
    decay = _EMA_DECAY if params.ema_decay is None else params.ema_decay
    return MomentumNet(module, criterion, ema_decay=decay, n_steps=max_epochs * n_batches, **settings)


def _auto_epochs(kind: str, n_batches: int) -> int:
    return min(max(round(_AUTO_STEPS[kind] / n_batches), 20), 300)
