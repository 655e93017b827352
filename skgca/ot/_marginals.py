"""How strongly the marginals of a transport plan are enforced.

Let a be the prescribed row mass and r the row mass of the plan. Unbalanced transport adds the penalty
``rho_row * KL(r || a)`` to the cost. The half step of Sinkhorn sees rho only through its power phi::

    marginal    strength           row mass at the solution        power phi = rho / (rho + epsilon)
    --------    ---------------    ----------------------------    ---------------------------------
    hard        rho = inf          r = a                           1
    relaxed     0 < rho < inf      r = a * exp(-f epsilon / rho)   between 0 and 1
    free        rho = 0            any                             0: f stays 0, no half step runs

Columns likewise. If one marginal is free, its potential stays 0, so one half step of the other is the solution.
Hard rows and free columns give the softmax of InfoNCE.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, Union

__all__ = ["Marginals", "MarginalsLike"]

_VALID = "'row', 'balanced', a number rho >= 0, or a pair (rho_row, rho_col) of such numbers; inf is allowed"


@dataclass(frozen=True)
class Marginals:
    """How strongly the row marginal and the column marginal of a transport plan are enforced.

    Use it to read the marginals of a plan or a loss, or to parse them in code of your own. Arguments named
    ``marginals`` also take a name, a number or a pair.

    Each strength ``rho`` is the weight of the penalty ``rho * KL(marginal || prescribed mass)`` of unbalanced optimal
    transport, in units of the cost.

    Parameters
    ----------
    rho_row, rho_col : float
        ``inf`` makes the marginal hard, ``0`` leaves it free, and a number in between relaxes it.

    Raises
    ------
    ValueError
        If a strength is negative, NaN, or not a number.

    Notes
    -----
    The Sinkhorn half step of a relaxed marginal is that of a hard one, raised to the power ``rho / (rho + epsilon)``
    [1]_.

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
            # NaN fails `>= 0`. True and False are numbers in Python, but never meant as a strength.
            if isinstance(rho, bool) or not isinstance(rho, Real) or not float(rho) >= 0:
                raise ValueError(f"marginals hold {name}={rho!r}, which is not a strength; use {_VALID}.")
            object.__setattr__(self, name, float(rho))  # the dataclass is frozen

    @classmethod
    def parse(cls, spec: MarginalsLike) -> Marginals:
        """Turn a user's specification into strengths.

        Parameters
        ----------
        spec : Marginals, "row", "balanced", float, or pair of float
            "row" means ``(inf, 0)``, the softmax of InfoNCE. "balanced" means ``(inf, inf)``. A number is the strength
            of both marginals.

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
        """Whether a marginal is free, so that one half step is the solution."""
        return self.rho_row == 0.0 or self.rho_col == 0.0

    @property
    def relaxed(self) -> bool:
        """Whether a marginal is neither free nor hard, so that its half step depends on epsilon."""
        return any(0.0 < rho < math.inf for rho in (self.rho_row, self.rho_col))


_NAMED = {"row": (math.inf, 0.0), "balanced": (math.inf, math.inf)}
MarginalsLike = Union[Marginals, str, float, tuple[float, float], list[float]]


def power(rho: float, epsilon: Any) -> Any:
    """Exponent of one half step, in [0, 1]. It is a tensor if epsilon is a tensor and the marginal is relaxed."""
    # inf / (inf + epsilon) would be NaN.
    return 1.0 if math.isinf(rho) else 0.0 if rho == 0.0 else rho / (rho + epsilon)
