"""Make losses by name, and refuse options that have no effect."""

from __future__ import annotations

import inspect
from typing import Any

from ..ot._marginals import MarginalsLike
from ._alignment import AlignmentLoss
from ._epsilon import Epsilon
from ._presets import PRESETS
from ._targets import TARGETS, TargetLike, make_target, target_options

__all__ = ["default_options", "make_loss"]

_WEIGHT_OF = {"q": "rince_weight", "lam": "rince_weight", "kl": "kl_weight"}  # option -> weight of its term


def make_loss(
    name: str,
    *,
    epsilon: Epsilon = 0.5,
    marginals: MarginalsLike | None = None,
    layout: str = "joint",
    n_iter: int | None = None,
    **options: Any,
) -> AlignmentLoss:
    """Make a loss by its name in :data:`PRESETS`.

    Use it if the name of the loss is a setting of your program. Otherwise, call the function of the loss, such as
    :func:`gca_ince`, whose signature shows its options.

    Parameters
    ----------
    name : str
        A key of :data:`PRESETS`.
    epsilon : float or LearnableEpsilon, default=0.5
        Entropic regularisation in units of the cost. The presets have the same default.
    marginals : Marginals, "row", "balanced", float, or pair of float, default=None
        Which marginals are constrained, and how strongly. None is the default of the loss.
    layout : {"joint", "cross"}, default="joint"
        One plan over both views, or from one view to the other.
    n_iter : int, default=None
        Sinkhorn iterations. None is the default of the loss, mostly 10. If a marginal is free, half an iteration is
        exact, and the number has no effect.
    **options
        Options of the named loss, such as ``q``; ``target``, and the options of a named target, such as ``sigma``; and
        further parameters of :class:`AlignmentLoss`. For each of them, None means the default.

    Returns
    -------
    AlignmentLoss

    Raises
    ------
    ValueError
        If the name or an option is not known, a value is out of range, or an option has no effect on this loss.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import make_loss
    >>> loss = make_loss("gca_ince", epsilon=0.2)
    >>> z_a, z_b = torch.eye(8), torch.eye(8)
    >>> loss(z_a, z_b).shape
    torch.Size([])
    >>> make_loss("ince", q=0.9)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: loss='ince' does not use q=0.9; it is an option of 'gca_rince'...
    """
    if name not in PRESETS:
        raise ValueError(f"loss={name!r} is not known; valid are {sorted(PRESETS)}.")
    options = {"marginals": marginals, "layout": layout, "n_iter": n_iter, **options}
    given = {option: value for option, value in options.items() if value is not None}
    defaults = default_options(name)
    target = given.get("target", defaults["target"])
    options_of_target = {option: given.pop(option) for option in target_options(target) if option in given}
    for option, value in given.items():
        if option not in defaults:
            _refuse(name, option, value, target)
    settings = {**defaults, **given}
    _check_effect(given, settings)
    given["target"] = make_target(target, **options_of_target)  # for an object there are no options
    return PRESETS[name](epsilon=epsilon, **given)


def default_options(name: str) -> dict[str, Any]:
    """Options of a named loss with their defaults, without epsilon and the options of its target.

    Use it to list or check the options of a loss that is given by name. For a single loss, read the documentation of
    its function.

    Parameters
    ----------
    name : str
        A key of :data:`PRESETS`.

    Returns
    -------
    dict

    Examples
    --------
    >>> from skgca.losses import default_options
    >>> default_options("rince")["q"]
    0.6
    """
    preset = inspect.signature(PRESETS[name]).parameters
    common = inspect.signature(AlignmentLoss).parameters
    # If both have an option, such as marginals, the default of the preset counts.
    defaults = {option: p.default for option, p in {**common, **preset}.items() if p.kind is p.KEYWORD_ONLY}
    fixed = {"epsilon", "divergence", *(["marginals"] if "marginals" not in preset else [])}
    return {option: default for option, default in defaults.items() if option not in fixed}


def _refuse(name: str, option: str, value: Any, target: TargetLike) -> None:
    """Raise ValueError for an option that neither the loss nor its target has."""
    users = [repr(other) for other in sorted(PRESETS) if option in default_options(other)]
    if users:
        names = users[0] if len(users) == 1 else f"{', '.join(users[:-1])} and {users[-1]}"
        raise ValueError(f"loss={name!r} does not use {option}={value!r}; it is an option of {names}. Leave it out.")
    if option in _TARGET_OPTIONS and not isinstance(target, str):
        raise ValueError(
            f"target={target!r} does not use {option}={value!r}, which has no effect: an object has its own options. "
            f"Leave {option} out, or use target={_TARGET_OPTIONS[option]!r}."
        )
    if option in _TARGET_OPTIONS:
        raise ValueError(
            f"target={target!r} does not use {option}={value!r}; it is an option of target={_TARGET_OPTIONS[option]!r}."
        )
    raise ValueError(f"{option}={value!r} is no option of loss={name!r}, which has {sorted(default_options(name))}.")


_TARGET_OPTIONS = {option: target for target in TARGETS for option in sorted(target_options(target))}


def _check_effect(given: dict[str, Any], settings: dict[str, Any]) -> None:
    """Raise ValueError if an option belongs to a term of weight 0."""
    for option, weight in _WEIGHT_OF.items():
        if option in given and settings.get(weight, 1.0) == 0.0:
            raise ValueError(
                f"{option}={given[option]!r} has no effect with {weight}=0; give {weight} a value above 0, such as 1.0."
            )
