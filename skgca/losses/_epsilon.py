"""Learnable epsilon."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Union

__all__ = ["Epsilon", "LearnableEpsilon"]


@dataclass(frozen=True)
class LearnableEpsilon:
    """An epsilon that is trained together with the encoder, as the temperature of CLIP is [1]_.

    Use it if you do not want to choose epsilon. A number, such as the default of 0.5, is simpler, and is comparable
    between trainings.

    The parameter is log epsilon. It is clamped to the bounds at every step. If a loss decreases with epsilon, training
    ends at the lower bound, which is then the choice that matters.

    Parameters
    ----------
    start : float, default=0.5
        Initial value, in units of the cost.
    low, high : float, default=0.01, 10.0
        Bounds, with ``0 < low <= start <= high``. The lower bound of CLIP is 0.01.

    Raises
    ------
    ValueError
        If the values are not in this order.

    References
    ----------
    .. [1] A. Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021.

    Examples
    --------
    >>> from skgca.losses import LearnableEpsilon, make_loss
    >>> loss = make_loss("ince", epsilon=LearnableEpsilon(0.2))
    >>> [name for name, _ in loss.named_parameters()]
    ['log_epsilon']
    """

    start: float = 0.5
    low: float = 0.01
    high: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.start <= self.high < math.inf:
            raise ValueError(
                f"{self!r} needs finite numbers with 0 < low <= start <= high, such as LearnableEpsilon(0.5, 0.01, 10)."
            )


Epsilon = Union[float, LearnableEpsilon]
