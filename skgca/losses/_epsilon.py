"""Epsilon as something to learn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Union

__all__ = ["Epsilon", "LearnableEpsilon"]


@dataclass(frozen=True)
class LearnableEpsilon:
    """An epsilon that is trained with the encoder, as the temperature of CLIP [1]_.

    Its logarithm is the parameter, and is brought back into the bounds at every step. A loss that falls as epsilon
    does will sit at the lower bound, so that bound is a choice to make.

    Parameters
    ----------
    start : float, default=0.5
        Value to start from, in units of the cost.
    low, high : float, default=0.01, 10.0
        Bounds, with ``0 < low <= start <= high``. CLIP's is 0.01.

    Raises
    ------
    ValueError
        If the numbers are not in that order.

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
