"""Encodings of numeric columns: each number becomes several features before the first linear layer.

With these features, a network can learn functions that change quickly along a column. On the data sets measured in
``docs/develop/decisions.md`` they made the embedding worse, so the estimator uses them only if ``numeric_embedding``
names one.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from .._utils.config import Configured

__all__ = ["PeriodicEmbedding", "PiecewiseLinearEncoding"]


class PiecewiseLinearEncoding(Configured, nn.Module):
    """Encode numeric columns by how far each value fills the bins between given edges.

    Use it before a network of your own if the effect of a number changes along its range, such as that of an income or
    a dose. :class:`PeriodicEmbedding` learns its frequencies instead of reading bins.

    Each column becomes one feature per bin: 0 for a value below the bin, 1 for a value above it, and for a value inside
    it the share of the bin that lies below the value, as in Gorishniy et al. [1]_. The first and the last bin continue
    linearly beyond the outer edges, with features below 0 and above 1. A missing value (NaN) is 0 in all bins.

    Equal edges count as one. A column with fewer bins than others has zeros in the remaining features. A column of a
    single value has no bin, so all its features are 0.

    Parameters
    ----------
    edges : Tensor of shape (n_columns, n_bins + 1)
        Edges of the bins of each column, finite and in ascending order.

    Attributes
    ----------
    n_outputs : int
        Number of output features, n_columns times n_bins.

    Raises
    ------
    ValueError
        If ``edges`` has another shape, or is not finite and ascending.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev, A. Babenko, "On embeddings for numerical features in tabular deep learning",
       NeurIPS 2022.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import PiecewiseLinearEncoding
    >>> encoding = PiecewiseLinearEncoding(torch.tensor([[0.0, 1.0, 3.0]]))
    >>> encoding(torch.tensor([[-1.0], [0.5], [2.0], [5.0], [torch.nan]]))
    tensor([[-1.0000,  0.0000],
            [ 0.5000,  0.0000],
            [ 1.0000,  0.5000],
            [ 1.0000,  2.0000],
            [ 0.0000,  0.0000]])
    """

    left: Tensor
    width: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, edges: Tensor) -> None:
        super().__init__()
        if edges.ndim != 2 or edges.shape[1] < 2:
            raise ValueError(
                f"edges has shape {tuple(edges.shape)}; it needs (n_columns, n_bins + 1), such as [[0.0, 1.0]]."
            )
        if not (edges.isfinite().all() and (edges.diff() >= 0).all()):
            raise ValueError(f"edges={edges.tolist()} must be finite and ascending in each row, such as [[0.0, 1.0]].")
        n_columns, n_edges = edges.shape
        self.n_outputs = n_columns * (n_edges - 1)
        edges = _distinct_first(edges)
        width = edges.diff()
        used = width > 0  # (n_columns, n_bins), True for the first bins of each column
        last = used & (used.cumsum(1) == used.sum(1, keepdim=True))
        # Features are clamped to [0, 1], except below the first bin and above the last.
        lowest, highest = torch.zeros_like(width), torch.ones_like(width)
        lowest[:, 0] = -torch.inf
        self.register_buffer("left", edges[:, :-1].contiguous())
        self.register_buffer("width", width.masked_fill(~used, torch.inf))  # so that unused bins give 0
        self.register_buffer("lowest", lowest)
        self.register_buffer("highest", highest.masked_fill(last, torch.inf))

    def get_config(self) -> dict[str, Any]:
        """Return the shape of the edges; a state dict holds the edges."""
        n_columns, n_bins = self.left.shape
        return {"shape": [n_columns, n_bins + 1]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PiecewiseLinearEncoding:
        """Make an encoding without bins, to load a state dict into."""
        return cls(torch.zeros(config["shape"]))

    @classmethod
    def from_quantiles(cls, X: Tensor, n_bins: int) -> PiecewiseLinearEncoding:
        """Make an encoding whose bins contain about equally many rows.

        Parameters
        ----------
        X : Tensor of shape (n, n_columns)
            Training rows. Missing values (NaN) are ignored. A column with only missing values has no bin.
        n_bins : int
            Number of bins per column, at least 1.

        Returns
        -------
        PiecewiseLinearEncoding
            Its edges are the quantiles 0, 1/n_bins, ..., 1 of the columns, interpolated linearly.

        Raises
        ------
        ValueError
            If ``n_bins`` is below 1, or X has no rows, not two dimensions, or infinite values.
        """
        if n_bins < 1:
            raise ValueError(f"n_bins={n_bins!r} must be at least 1, such as 16.")
        if X.ndim != 2 or len(X) == 0:
            raise ValueError(f"X has shape {tuple(X.shape)}; quantiles need (n, n_columns) with at least 1 row.")
        if X.isinf().any():
            columns = X.isinf().any(0).nonzero()[:, 0].tolist()
            raise ValueError(f"Columns {columns} of X hold infinite values; use finite ones, or NaN for missing ones.")
        return cls(_quantiles(X, n_bins))

    def forward(self, batch: Tensor) -> Tensor:
        """Encode numeric columns: (n, n_columns) -> (n, n_columns * n_bins), the bins of a column adjacent."""
        filled = ((batch[..., None] - self.left) / self.width).clamp(self.lowest, self.highest)  # (n, d, n_bins)
        return filled.masked_fill(batch.isnan()[..., None], 0).flatten(1)  # (n, d * n_bins)


def _distinct_first(edges: Tensor) -> Tensor:
    """Move the distinct edges of each row to its beginning and fill the rest with the last: both (d, n_edges)."""
    is_new = torch.cat([torch.zeros_like(edges[:, :1]), edges.diff()], 1) > 0
    place = is_new.cumsum(1)  # equal edges have the same place
    return edges[:, -1:].repeat(1, edges.shape[1]).scatter(1, place, edges)


def _quantiles(X: Tensor, n_bins: int) -> Tensor:
    """Return the quantiles of each column, without its NaN: (n, d) -> (d, n_bins + 1).

    ``torch.nanquantile`` is not used, since it refuses more than 16 million entries.
    """
    ordered = X.sort(dim=0).values.T  # (d, n), NaN last
    n_valid = (~X.isnan()).sum(0)[:, None]  # (d, 1)
    # Positions among the rows in units of 1 / n_bins: these are integers, so a quantile at a row is exactly that row.
    steps = torch.arange(n_bins + 1, device=X.device) * (n_valid - 1).clamp(min=0)  # (d, n_bins + 1)
    below = steps // n_bins
    low, high = ordered.gather(1, below), ordered.gather(1, (steps + n_bins - 1) // n_bins)
    edges = low + (steps % n_bins).to(X.dtype) / n_bins * (high - low)
    # Rounding could lift an edge above `high`, and so above the next edge. A column of NaN gets equal edges.
    return edges.minimum(high).masked_fill(n_valid == 0, 0)


class PeriodicEmbedding(Configured, nn.Module):
    """Encode numeric columns by waves of learned frequencies, followed by a linear layer per column and ReLU.

    Use it before a network of your own if small differences in a number matter, as between coordinates or ages.
    :class:`PiecewiseLinearEncoding` needs no training, but its bins must be chosen.

    This is the embedding "PLR" of Gorishniy et al. [1]_: sine and cosine of 2 pi c x, linear layer, ReLU. A missing
    value (NaN) is 0 in all outputs.

    Parameters
    ----------
    n_columns : int
        Number of numeric columns.
    n_frequencies : int, default=8
        Number of frequencies per column.
    scale : float, default=0.1
        Standard deviation of the initial frequencies c, in waves per unit of the column. The paper searches from 0.01
        to 100. With a larger scale, the outputs distinguish closer values of the column, and are less smooth.
    n_outputs : int, default=8
        Number of output features per column.

    Attributes
    ----------
    n_outputs : int
        Number of output features of all columns together.

    Raises
    ------
    ValueError
        If a size is below 1, or ``scale`` is not finite and above 0.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev, A. Babenko, "On embeddings for numerical features in tabular deep learning",
       NeurIPS 2022.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import PeriodicEmbedding
    >>> PeriodicEmbedding(3, n_outputs=4)(torch.ones(5, 3)).shape
    torch.Size([5, 12])
    """

    def __init__(self, n_columns: int, n_frequencies: int = 8, *, scale: float = 0.1, n_outputs: int = 8) -> None:
        super().__init__()
        for name, value in (("n_columns", n_columns), ("n_frequencies", n_frequencies), ("n_outputs", n_outputs)):
            if value < 1:
                raise ValueError(f"{name}={value!r} must be at least 1, such as 8.")
        if not 0 < scale < math.inf:
            raise ValueError(f"scale={scale!r} must be finite and above 0, such as 0.1.")
        self.n_outputs = n_columns * n_outputs
        self.frequencies = nn.Parameter(scale * torch.randn(n_columns, n_frequencies))
        bound = (2 * n_frequencies) ** -0.5  # 1 / sqrt(number of inputs), as in nn.Linear
        self.weight = nn.Parameter(torch.empty(n_columns, 2 * n_frequencies, n_outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_columns, n_outputs).uniform_(-bound, bound))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor except ``scale``, which only initial weights depend on."""
        n_columns, n_frequencies = self.frequencies.shape
        return {"n_columns": n_columns, "n_frequencies": n_frequencies, "n_outputs": self.bias.shape[1]}

    def forward(self, batch: Tensor) -> Tensor:
        """Encode numeric columns: (n, n_columns) -> (n, n_columns * n_outputs), the outputs of a column adjacent."""
        missing = batch.isnan()[..., None]  # (n, d, 1)
        # NaN is replaced before the waves: otherwise gradients would be NaN, although the outputs are masked.
        phase = 2 * math.pi * self.frequencies * batch.nan_to_num(nan=0.0)[..., None]  # (n, d, n_frequencies)
        waves = torch.cat([phase.sin(), phase.cos()], dim=-1)  # (n, d, 2 * n_frequencies)
        # a product of (n, 2 * n_frequencies) and (2 * n_frequencies, n_outputs) for each column
        outputs = torch.einsum("ndk,dko->ndo", waves, self.weight) + self.bias
        return outputs.relu().masked_fill(missing, 0).flatten(1)
