"""Views of numeric tables."""

import torch
from torch import Generator, Tensor

__all__ = ["ColumnCorruption"]


class ColumnCorruption:
    """Replace random cells by the value that a random other row has in the same column.

    Each cell is corrupted with probability ``rate``, as in SCARF [1]_, so a corrupted cell keeps the distribution of
    its column. The other row is drawn from the batch: training batches are random subsets, which makes it a random
    other row of the training data, without a second copy of them on the device.

    Parameters
    ----------
    rate : float, default=0.2
        Share of cells to corrupt, in [0, 1].

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
    """

    def __init__(self, rate: float = 0.2) -> None:
        if not 0 <= rate <= 1:
            raise ValueError(f"rate={rate!r} must lie in [0, 1], such as 0.2.")
        self.rate = rate

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Return a corrupted copy of a batch of shape (n, n_features); a single row has no other, and stays."""
        n = len(batch)
        if n < 2:
            return batch
        corrupt = torch.rand(batch.shape, generator=generator, device=batch.device) < self.rate
        # 1 to n - 1 rows further on, so never the row itself
        shift = torch.randint(1, n, batch.shape, generator=generator, device=batch.device)
        donor = (torch.arange(n, device=batch.device)[:, None] + shift) % n
        return torch.where(corrupt, batch.gather(0, donor), batch)

    def __repr__(self) -> str:
        return f"ColumnCorruption(rate={self.rate})"
