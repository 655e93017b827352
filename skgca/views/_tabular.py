"""Views of tables."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from .._utils.config import Configured

__all__ = ["ColumnCorruption"]


class ColumnCorruption(Configured):
    """Replace random cells by the value that a random other row has in the same column.

    Each cell is corrupted with probability ``rate``, as in SCARF [1]_, so a corrupted cell keeps the distribution of
    its column. The other row is drawn from the batch: training batches are random subsets, which makes it a random
    other row of the training data, without a second copy of them on the device. Missing cells (NaN) and codes of
    categories change places like any others.

    Parameters
    ----------
    rate : float or sequence of float of shape (n_features,), default=0.2
        Share of cells to corrupt, in [0, 1]; a sequence gives each column its own.

    Raises
    ------
    ValueError
        If a rate is outside of [0, 1].

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
        rates = torch.as_tensor(rate, dtype=torch.float64)
        if rates.ndim > 1 or not ((rates >= 0) & (rates <= 1)).all():
            raise ValueError(f"rate={rate!r} must lie in [0, 1], such as 0.2.")
        self.rate = rate if rates.ndim == 0 else tuple(rates.tolist())

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"rate": self.rate}

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Return a corrupted copy of a batch of shape (n, n_features); a single row has no other, and stays.

        Raises
        ------
        ValueError
            If there are rates for another number of columns.
        """
        n = len(batch)
        rate = self._rate(batch)
        if n < 2:
            return batch
        corrupt = torch.rand(batch.shape, generator=generator, device=batch.device) < rate
        # 1 to n - 1 rows further on, so never the row itself
        shift = torch.randint(1, n, batch.shape, generator=generator, device=batch.device)
        donor = (torch.arange(n, device=batch.device)[:, None] + shift) % n
        return torch.where(corrupt, batch.gather(0, donor), batch)

    def _rate(self, batch: Tensor) -> Any:
        """Rates to compare draws with: a number, or one for each column in single precision, in which draws are."""
        if not isinstance(self.rate, tuple):
            return self.rate
        if len(self.rate) != batch.shape[1]:
            raise ValueError(f"rate holds {len(self.rate)} shares for {batch.shape[1]} columns; give one a column.")
        return torch.tensor(self.rate, dtype=torch.float32, device=batch.device)

    def __repr__(self) -> str:
        return f"ColumnCorruption(rate={self.rate})"
