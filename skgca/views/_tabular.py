"""The default view of tables: cells corrupted with values of other rows.

A view of a table should stay a plausible row. Values that are taken from the same column of another row have the
distribution of that column, whatever its scale, its gaps and its categories are; noise or zeros would not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from .._utils.device import on_device
from ._grouped import GroupedColumns

__all__ = ["ColumnCorruption"]


class ColumnCorruption(GroupedColumns):
    """Replace random cells with the value that a random other row has in the same column.

    Use it for tables, whose columns may have different types and distributions; it is their default. If all columns are
    alike, as in features from another model, :class:`GaussianNoise` and :class:`FeatureDropout` are alternatives.

    Each cell is corrupted with probability ``rate``, as in SCARF [1]_. Every cell gets another row of its own, so a
    corrupted cell has the distribution of its column, but not the dependence between columns. The other row is drawn
    from the batch. Since training batches are random subsets, it is a random other row of the training data, and no
    second copy of the data is needed on the device. Missing cells (NaN) and codes of categories are exchanged like
    other values.

    Parameters
    ----------
    rate : float or sequence of float of shape (n_features,), default=0.2
        Share of cells to corrupt, in [0, 1]. A sequence gives one rate for each column, or each original column of a
        table with dates.

    Raises
    ------
    ValueError
        If a rate is outside [0, 1].

    References
    ----------
    .. [1] D. Bahri, H. Jiang, Y. Tay, D. Metzler, "SCARF: Self-supervised contrastive learning using random feature
       corruption", ICLR 2022.

    Examples
    --------
    >>> import torch
    >>> from skgca.views import ColumnCorruption
    >>> batch = torch.arange(3.0)[:, None].repeat(1, 2)
    >>> ColumnCorruption(rate=1.0)(batch, torch.Generator().manual_seed(0))
    tensor([[2., 2.],
            [0., 0.],
            [1., 0.]])
    >>> ColumnCorruption(rate=[1.0, 0.0])(batch, torch.Generator().manual_seed(0))
    tensor([[2., 0.],
            [0., 1.],
            [1., 2.]])
    """

    def __init__(self, rate: float | Sequence[float] = 0.2) -> None:
        rates = torch.as_tensor(rate, dtype=torch.float64, device="cpu")
        if rates.ndim > 1 or not ((rates >= 0) & (rates <= 1)).all():
            raise ValueError(f"rate={rate!r} must lie in [0, 1], such as 0.2.")
        self.rate = rate if rates.ndim == 0 else tuple(rates.tolist())

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"rate": self.rate}

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Return a corrupted copy of a batch of shape (n, n_features); a batch of a single row is returned unchanged.

        Raises
        ------
        ValueError
            If ``rate`` is a sequence and its length is not n_features, or not the number of groups.
        """
        n = len(batch)
        n_groups = self._n_groups(batch)
        rate = self._rate(n_groups, batch)
        if n < 2:
            return batch
        corrupt = torch.rand(n, n_groups, generator=generator, device=batch.device, dtype=torch.float32) < rate
        # A donor for every cell, also those that stay: a gather of fixed shape needs no synchronisation with the
        # device, and the number of draws does not depend on their values. The donor is 1 to n - 1 rows further,
        # cyclically, so it is never the row itself and every other row is equally likely.
        shift = torch.randint(1, n, (n, n_groups), generator=generator, device=batch.device)
        corrupt, shift = self._per_column(corrupt), self._per_column(shift)
        donor = (torch.arange(n, device=batch.device)[:, None] + shift) % n  # (n, n_features), numbers of rows
        return torch.where(corrupt, batch.gather(0, donor), batch)

    def _rate(self, n_groups: int, batch: Tensor) -> Any:
        """Return the rates to compare draws with: a number, or a tensor of shape (n_groups,)."""
        if not isinstance(self.rate, tuple):
            return self.rate
        if len(self.rate) != n_groups:
            raise ValueError(f"rate holds {len(self.rate)} values for {n_groups} columns; give one per column.")
        # float32 as the draws; float64 would promote all draws, which some accelerators cannot do
        return on_device(torch.tensor(self.rate, dtype=torch.float32), batch.device)

    def __repr__(self) -> str:
        return f"ColumnCorruption(rate={self.rate})"
