"""The target plan of a batch: where the mass of each row should go, from an affinity of the rows.

An affinity becomes a plan in three steps, here for labels 0, 0, 1 in the joint layout:

    affinity of rows           of views, n to 2n               scaled to the marginals
                               (self pairs have none)
      1 1 0                      0 1 0 1 1 0                   1/18 in rows 1, 2, 4 and 5: three matches
      1 1 0       --repeat-->    1 0 0 1 1 0     --scale-->    1/6  in rows 3 and 6: the pair of row 3
      0 0 1                      0 0 0 0 0 1                   each row sums to its mass, 1/6
                                 ...

A view without any match is matched with the other view of its row. If only the row marginal is held, scaling divides
each row. If columns are held too, it is a matrix scaling as in Sinkhorn, without a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..ot import TransportPlan, sinkhorn

__all__ = ["TargetPlan", "scaled_plan"]

_SCALING_STEPS = 200
_SCALING_TOL = {torch.float32: 1e-5, torch.float64: 1e-12}  # relative to the mass of each row


@dataclass(frozen=True)
class TargetPlan:
    """A target plan, stored as a full matrix or by its non-zero entries.

    Use it to read the target plan in a :class:`Divergence` of your own. To choose which rows should match, use a
    :class:`Target`.

    Parameters
    ----------
    mass : Tensor of shape (k,) or (n, m)
        Mass of the entries, >= 0. Over each row it sums to the prescribed mass of that row.
    rows, cols : Tensor of shape (k,), integer, default=None
        Positions of the entries; None for a full matrix.
    shift : int, default=None
        Replaces ``rows`` and ``cols``: row i has one entry, in column ``(i + shift) % n`` of n, with mass above 0.

    Examples
    --------
    >>> import torch
    >>> from skgca.losses import TargetPlan
    >>> target = TargetPlan(
    ...     torch.tensor([0.5, 0.5]), rows=torch.tensor([0, 1]), cols=torch.tensor([1, 0])
    ... )
    >>> target.dense((2, 2))
    tensor([[0.0000, 0.5000],
            [0.5000, 0.0000]])
    """

    mass: Tensor
    rows: Tensor | None = None
    cols: Tensor | None = None
    shift: int | None = None

    def log_plan(self, plan: TransportPlan) -> Tensor:
        """Log of a transport plan at the entries, in the shape of ``mass``, and 0 at entries without mass.

        At entries without mass, log P may be -inf, and its product with a mass of 0 would be NaN.
        """
        if self.shift is not None:
            return plan.log_plan_shifted(self.shift)
        if self.rows is None or self.cols is None:
            return plan.log_plan.masked_fill(self.mass == 0, 0.0)
        return plan.log_plan_at(self.rows, self.cols).masked_fill(self.mass == 0, 0.0)

    def of_rows(self, values: Tensor) -> Tensor:
        """Take the value of each entry's row from values (n,): -> (k,), or (n, 1) for a full matrix."""
        if self.shift is not None:
            return values
        return values[:, None] if self.rows is None else values.index_select(0, self.rows)

    def of_cols(self, values: Tensor) -> Tensor:
        """Take the value of each entry's column from values (m,): -> (k,), or (1, m) for a full matrix."""
        if self.shift is not None:
            return values.roll(-self.shift)
        return values[None, :] if self.cols is None else values.index_select(0, self.cols)

    def dense(self, shape: tuple[int, int]) -> Tensor:
        """Return the plan as a matrix of this shape."""
        if self.shift is not None:
            rows = torch.arange(len(self.mass), device=self.mass.device)
            return self.mass.new_zeros(shape).index_put((rows, (rows + self.shift) % len(rows)), self.mass)
        if self.rows is None or self.cols is None:
            return self.mass
        return self.mass.new_zeros(shape).index_put((self.rows, self.cols), self.mass)


@torch.no_grad()
def scaled_plan(
    affinity: Tensor,
    *,
    shift: int,
    row_mass: Tensor,
    n_rows: int,
    two_sided: bool,
    excluded: Tensor | None = None,
) -> TargetPlan:
    """Turn the affinity of a batch into its target plan, with the given marginals if its zeros allow them.

    Each pair of views gets the affinity of their rows, times the product of their masses. Self pairs and entries that
    the transport plan excludes get 0. A view without any match is then matched with the other view of its row. If
    columns are held, this also applies to a view that is not the match of any view.

    Parameters
    ----------
    affinity : Tensor of shape (n, n)
        With the dtype and the device of ``row_mass``.
    shift, row_mass, n_rows, two_sided, excluded
        As in :meth:`skgca.losses.Target.plan`.

    Returns
    -------
    TargetPlan

    Raises
    ------
    ValueError
        If the affinity has another shape, or an entry that is negative or not finite.
    """
    _check_affinity(affinity, n_rows)
    if len(row_mass) == 2 * n_rows:
        affinity = affinity.repeat(2, 2).fill_diagonal_(0.0)  # (2n, 2n): both views of each row, no self pairs
    if excluded is not None:
        affinity = affinity.masked_fill(excluded, 0.0)
    unmatched = affinity.sum(1) == 0
    if two_sided:  # a column without an entry could not receive its mass
        unmatched = unmatched | (affinity.sum(0) == 0)
    rows = torch.arange(len(row_mass), device=row_mass.device)
    place = (rows, (rows + shift) % len(row_mass))  # of the other view of each row
    affinity = affinity.index_put(place, torch.where(unmatched, 1.0, affinity[place]))
    # Rows with more weight get more mass as matches. The factor makes the mean weight 1, so that entries keep their
    # magnitude.
    affinity = affinity * torch.outer(row_mass, row_mass) * len(row_mass) ** 2
    return TargetPlan(_scaled(affinity, row_mass, two_sided=two_sided))


def _scaled(affinity: Tensor, mass: Tensor, *, two_sided: bool) -> Tensor:
    """Scale an affinity so that rows sum to their mass, and if both marginals are held, columns too."""
    tol = _SCALING_TOL[mass.dtype]
    plan = affinity * (mass / affinity.sum(1))[:, None]
    if not two_sided or _error(plan.sum(0), mass) <= tol:
        return plan
    if torch.equal(affinity, affinity.T):
        plan = _scaled_symmetrically(affinity, mass, tol=tol)
        if _error(plan.sum(0), mass) <= tol:
            return plan
    # The affinity is not symmetric, or its zeros allow no exact solution: use Sinkhorn, from rows with the right sums.
    return sinkhorn(plan.log(), marginals="balanced", epsilon=1.0, n_iter=_SCALING_STEPS, tol=tol, a=mass, b=mass).plan


def _scaled_symmetrically(affinity: Tensor, mass: Tensor, *, tol: float) -> Tensor:
    """Scale rows and columns of a symmetric affinity by the same vector.

    If positive pairs dominate, this converges in a few steps, while alternating steps of Sinkhorn need thousands.
    """
    scale = (mass / affinity.sum(1)).sqrt()
    for _ in range(_SCALING_STEPS):
        sums = affinity @ scale
        if _error(scale * sums, mass) <= tol:
            break
        # The geometric mean of the old scale and mass / sums: the latter alone would oscillate between two vectors.
        scale = (scale * mass / sums).sqrt()
    return affinity * torch.outer(scale, scale)


def _error(reached: Tensor, mass: Tensor) -> float:
    """Largest relative error of the mass; relative, so that rows of little weight are exact too."""
    return float((reached / mass - 1.0).abs().max())


def _check_affinity(affinity: Tensor, n_rows: int) -> None:
    if affinity.shape != (n_rows, n_rows):
        raise ValueError(f"The affinity has shape {tuple(affinity.shape)}; {n_rows} rows need ({n_rows}, {n_rows}).")
    if not bool((torch.isfinite(affinity) & (affinity >= 0)).all()):
        raise ValueError(f"The affinity must hold finite values >= 0; its smallest is {float(affinity.min())}.")
