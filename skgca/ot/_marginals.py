"""What the marginals of a transport plan are held to, and how hard."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, Union

__all__ = ["Marginals", "MarginalsLike"]

_VALID = "'row', 'balanced', a number rho >= 0, or a pair (rho_row, rho_col) of such numbers; inf is allowed"


@dataclass(frozen=True)
class Marginals:
    """How hard the row and the column marginal of a transport plan bind.

    Each strength ``rho`` weighs the penalty ``rho * KL(marginal || prescribed mass)`` of unbalanced optimal
    transport, in units of the cost.

    Parameters
    ----------
    rho_row, rho_col : float
        ``inf`` holds the marginal exactly, ``0`` leaves it free, a number in between relaxes it.

    Raises
    ------
    ValueError
        If a strength is negative, NaN, or not a number.

    Notes
    -----
    A Sinkhorn half step for a relaxed marginal is the hard one raised to the power ``rho / (rho + epsilon)`` [1]_.

    References
    ----------
    .. [1] L. Chizat, G. Peyre, B. Schmitzer, F.-X. Vialard, "Scaling algorithms for unbalanced optimal transport
       problems", Mathematics of Computation 87, 2018.

    Examples
    --------
    >>> from skgca.ot import Marginals
    >>> Marginals.parse("row")
    Marginals(rho_row=inf, rho_col=0.0)
    >>> Marginals.parse((1.0, 0.5)).powers(epsilon=0.5)
    (0.6666666666666666, 0.5)
    """

    rho_row: float
    rho_col: float

    def __post_init__(self) -> None:
        for name in ("rho_row", "rho_col"):
            rho = getattr(self, name)
            if isinstance(rho, bool) or not isinstance(rho, Real) or not float(rho) >= 0:
                raise ValueError(f"marginals hold {name}={rho!r}, which is not a strength; use {_VALID}.")
            object.__setattr__(self, name, float(rho))

    @classmethod
    def parse(cls, spec: MarginalsLike) -> Marginals:
        """Read a user's specification.

        Parameters
        ----------
        spec : Marginals, "row", "balanced", float, or pair of float
            "row" is ``(inf, 0)``, the softmax of InfoNCE; "balanced" is ``(inf, inf)``; one number is both.

        Returns
        -------
        Marginals

        Raises
        ------
        ValueError
            If ``spec`` is none of these.
        """
        if isinstance(spec, Marginals):
            return spec
        if isinstance(spec, str):
            if spec not in _NAMED:
                raise ValueError(f"marginals={spec!r} is not known; use {_VALID}.")
            return cls(*_NAMED[spec])
        if isinstance(spec, (tuple, list)):
            if len(spec) != 2:
                raise ValueError(f"marginals={spec!r} has {len(spec)} entries; use {_VALID}.")
            return cls(spec[0], spec[1])
        return cls(spec, spec)

    def powers(self, epsilon: float) -> tuple[float, float]:
        """Exponents ``phi = rho / (rho + epsilon)`` of the two Sinkhorn half steps, each in [0, 1]."""
        return power(self.rho_row, epsilon), power(self.rho_col, epsilon)

    @property
    def one_sided(self) -> bool:
        """Whether a marginal is free, so that one half step solves for the other."""
        return self.rho_row == 0.0 or self.rho_col == 0.0

    @property
    def relaxed(self) -> bool:
        """Whether a marginal is neither free nor hard, so that its half step depends on epsilon."""
        return any(0.0 < rho < math.inf for rho in (self.rho_row, self.rho_col))


_NAMED = {"row": (math.inf, 0.0), "balanced": (math.inf, math.inf)}
MarginalsLike = Union[Marginals, str, float, tuple[float, float], list[float]]


def power(rho: float, epsilon: Any) -> Any:
    """Exponent of one half step, in [0, 1]; a tensor if epsilon is one and the marginal is relaxed."""
    return 1.0 if math.isinf(rho) else 0.0 if rho == 0.0 else rho / (rho + epsilon)
