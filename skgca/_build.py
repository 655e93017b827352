"""What ``fit`` makes from the parameters of the estimator: the loss, the module, and the net that trains it."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from ._callbacks import WarnUnconverged, warmup_cosine
from ._compat import InvalidParameterError
from ._inputs import EvenBatches
from ._net import ContrastiveNet, MomentumNet
from ._runtime import seeded_global_generator
from .encoders import MLP, EncoderWithHead
from .losses import PRESETS, AlignmentLoss, LearnableEpsilon, default_options, make_loss
from .ot import Marginals
from .views import ColumnCorruption, MultiView

__all__ = ["effective_target", "last_module", "make_criterion", "make_module", "make_net"]

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
_AUTO_STEPS = 2000  # of max_epochs="auto"


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


def make_module(params: Any, n_features: int, *, with_predictor: bool, seed: int) -> EncoderWithHead:
    """Make the encoder and its heads, with random weights."""
    encoder, head = _architecture(params, n_features)
    with seeded_global_generator(seed):  # torch initialises weights from its global generator
        module = EncoderWithHead(
            MLP(encoder[0], encoder[1:-1], encoder[-1]),
            nn.Sequential(nn.ReLU(), MLP(head[0], head[1:-1], head[-1])),
        )
        if with_predictor:  # as deep and wide as the projection head
            module.predictor = MLP(head[-1], head[1:-1], head[-1])
    return module


def last_module(params: Any, *, with_predictor: bool) -> EncoderWithHead:
    """Copy the module of the last fit, so that one which fails leaves it as it was.

    Raises
    ------
    ValueError
        If the parameters now ask for another architecture.
    """
    module = copy.deepcopy(params.net_.module_)
    fresh = make_module(params, params.n_features_in_, with_predictor=with_predictor, seed=0)
    if [p.shape for p in module.parameters()] != [p.shape for p in fresh.parameters()]:
        raise ValueError(
            "warm_start=True cannot continue with another n_components, hidden_layer_sizes or projection_sizes than "
            "the last fit had, nor change between a loss with a predictor and one without; set them back, or fit with "
            "warm_start=False."
        )
    return module


def make_net(
    params: Any, module: EncoderWithHead, criterion: AlignmentLoss, n_rows: int, *, seed: int, device: torch.device
) -> ContrastiveNet:
    """Make the net that trains a module."""
    n_batches = len(EvenBatches(n_rows, params.batch_size, generator=torch.Generator()))
    max_epochs = _auto_epochs(n_batches) if params.max_epochs == "auto" else params.max_epochs
    settings = {
        "views": MultiView(*_views(params)),
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


def _views(params: Any) -> list[Any]:
    """Return what makes each view of a batch."""
    views, n_views = params.views, params.n_views
    if not callable(views) and not isinstance(views, str):
        views = list(views)
        if not all(callable(view) for view in views) or len(views) < 2:
            raise InvalidParameterError(f"views={views!r} must hold two callables or more, one for each view.")
        if n_views is not None and n_views != len(views):
            raise InvalidParameterError(f"n_views={n_views}, but views holds {len(views)}; leave n_views out.")
        return views
    view = views if callable(views) else ColumnCorruption(params.corruption_rate)
    return [view] * (2 if n_views is None else n_views)


def _architecture(params: Any, n_features: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Widths of the encoder and of the head, input to output."""
    widths = {}
    for name in ("hidden_layer_sizes", "projection_sizes"):
        widths[name] = tuple(np.ravel(getattr(params, name)).tolist())
        if not all(isinstance(width, int) and width >= 1 for width in widths[name]):
            raise InvalidParameterError(
                f"{name}={getattr(params, name)!r} must hold whole numbers of at least 1, such as (256, 256)."
            )
    if not widths["projection_sizes"]:
        raise InvalidParameterError("projection_sizes is empty; it needs the width of the output, such as (128,).")
    encoder = (n_features, *widths["hidden_layer_sizes"], params.n_components)
    return encoder, (params.n_components, *widths["projection_sizes"])


def _auto_epochs(n_batches: int) -> int:
    return min(max(round(_AUTO_STEPS / n_batches), 20), 300)
