"""Make the loss and the validation criterion from the parameters of the estimator."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from typing import Any

from .._utils.compat import InvalidParameterError
from ..losses import PRESETS, AlignmentLoss, LearnableEpsilon, Target, default_options, make_loss
from ..ot import Marginals
from .options import Options

__all__ = ["LOSS_OPTIONS", "LossOptions", "effective_target", "make_criterion", "make_yardstick"]


@dataclass(frozen=True)
class _PresetOptions(Options):
    """Parameters that some losses have and others do not; None is the default of the loss."""

    marginals: str | float | tuple[float, float] | None
    sinkhorn_n_iter: int | None
    q: float | None
    lam: float | None
    kl: str | None
    kl_weight: float | None
    rince_weight: float | None
    marginal_weight: float | None
    entropy_weight: float | None
    uniformity_weight: float | None
    sigma: float | None
    alpha: float | None
    beta: float | None


LOSS_OPTIONS = tuple(field.name for field in fields(_PresetOptions))
_SINKHORN = {  # names in make_loss; the estimator needs the prefix, since its tol is that of early stopping
    "sinkhorn_n_iter": "n_iter",
    "sinkhorn_tol": "tol",
    "sinkhorn_gradient": "gradient",
    "sinkhorn_memory_limit": "memory_limit",
}


@dataclass(frozen=True)
class LossOptions(_PresetOptions):
    """Parameters of the estimator that determine its loss."""

    loss: str
    epsilon: float | LearnableEpsilon
    cost: str
    layout: str
    target: object  # a name, a Target, a callable, a matrix or None
    sinkhorn_tol: float | None
    sinkhorn_gradient: str
    sinkhorn_memory_limit: float | None
    ema_decay: float | None  # no option of the loss, but refused if the loss needs no target network


def effective_target(loss: str, target: Any) -> Any:
    """Return the target of an estimator, with the default of the loss in place of None."""
    known = isinstance(loss, str) and loss in PRESETS  # tags are read before fit refuses an unknown loss
    return default_options(loss)["target"] if target is None and known else target


def make_criterion(options: LossOptions, *, last_epsilon: float | None = None) -> AlignmentLoss:
    """Make the loss.

    Parameters
    ----------
    options : LossOptions
    last_epsilon : float, default=None
        Epsilon at the end of the last fit. A learnable epsilon starts from it.

    Raises
    ------
    InvalidParameterError
        If parameters contradict each other, or a parameter has no effect, such as an option of another loss.
    """
    epsilon = options.epsilon
    if isinstance(epsilon, LearnableEpsilon) and last_epsilon is not None:
        epsilon = replace(epsilon, start=min(max(last_epsilon, epsilon.low), epsilon.high))
    target = options.target
    if target is not None and not isinstance(target, str | Target):
        target = "affinity"  # the loss gets the affinity of each batch, from a matrix or a callable of the user
    names = ("cost", "layout", *_SINKHORN, *LOSS_OPTIONS)
    given = {_SINKHORN.get(name, name): getattr(options, name) for name in names}
    try:
        criterion = make_loss(options.loss, epsilon=epsilon, target=target, **given)
    except ValueError as error:
        message = _with_estimators_names(str(error))
        raise InvalidParameterError(f"The loss cannot be made: {message}") from error
    _check_effect(options, criterion)
    return criterion


def _with_estimators_names(message: str) -> str:
    """Put the estimator's names of options into a message. The word "gradient" is an option only before "="."""
    for estimators_name, name in _SINKHORN.items():
        message = re.sub(rf"\b{name}\b" + ("(?==)" if name == "gradient" else ""), estimators_name, message)
    return message


def _check_effect(options: LossOptions, criterion: AlignmentLoss) -> None:
    """Raise InvalidParameterError if one of the parameters that make_loss does not check has no effect."""
    default_marginals = Marginals.parse(default_options(options.loss).get("marginals", criterion.marginals))
    if options.sinkhorn_n_iter is not None and default_marginals.one_sided and criterion.marginals.one_sided:
        raise InvalidParameterError(
            f"sinkhorn_n_iter={options.sinkhorn_n_iter!r} has no effect: loss={options.loss!r} leaves a marginal free, "
            "so half an iteration is exact. Leave sinkhorn_n_iter out."
        )
    if options.ema_decay is not None and criterion.repels:
        raise InvalidParameterError(
            f"ema_decay={options.ema_decay!r} has no effect: loss={options.loss!r} trains without a target network. "
            "Leave ema_decay out, or use loss='byol'."
        )


def make_yardstick(options: LossOptions) -> AlignmentLoss:
    """Make the validation criterion: a loss of held-out rows whose values are comparable between epochs.

    It is the training loss at the initial epsilon, since values at different epsilons cannot be compared. A loss that
    does not repel is smallest if all embeddings are equal. It is replaced by InfoNCE with that epsilon and its target.
    """
    epsilon = options.epsilon.start if isinstance(options.epsilon, LearnableEpsilon) else options.epsilon
    criterion = make_criterion(replace(options, epsilon=epsilon))
    if criterion.repels:
        return criterion
    return make_loss(
        "ince",
        epsilon=epsilon,
        target=criterion.target,
        cost=options.cost,
        layout=options.layout,
        memory_limit=options.sinkhorn_memory_limit,
    )
