"""Views of feature vectors: noise, missing features, and steps towards a neighbour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from .._utils.config import Configured

__all__ = ["FeatureDropout", "GaussianNoise", "NeighborMixup"]

_BLOCK = 2**22  # most entries of a block of distances, 16 MB in single precision


class _ColumnView(Configured):
    """What the views here share: which columns they may change.

    Columns are the second dimension: features of a batch (n, d), channels of a batch (n, channels, length).
    """

    def __init__(self, numeric: Sequence[bool] | Sequence[int] | Tensor | None) -> None:
        self.numeric = None if numeric is None else _as_mask_or_index(numeric)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"numeric": None if self.numeric is None else self.numeric.tolist()}

    def _columns(self, batch: Tensor) -> Tensor | None:
        """Return the numbers of the columns that may change, None for all.

        Raises
        ------
        ValueError
            If ``numeric`` does not fit the batch.
        """
        if self.numeric is None:
            return None
        n_columns = batch.shape[1]
        if self.numeric.dtype == torch.bool:
            if len(self.numeric) != n_columns:
                raise ValueError(
                    f"numeric is a mask of {len(self.numeric)} columns, but the batch has {n_columns}; "
                    f"give {n_columns} booleans, or the numbers of the columns."
                )
            return self.numeric.nonzero()[:, 0]
        if ((self.numeric < 0) | (self.numeric >= n_columns)).any():
            raise ValueError(f"numeric={self.numeric.tolist()} must hold numbers of columns, 0 to {n_columns - 1}.")
        return self.numeric

    def _only_there(self, batch: Tensor, changed: Tensor) -> Tensor:
        """Take ``changed`` in the columns that may change, and the batch elsewhere, to the bit."""
        columns = self._columns(batch)
        if columns is None:
            return changed
        mask = torch.zeros(batch.shape[1], dtype=torch.bool)
        mask[columns] = True
        mask = mask.view(1, -1, *[1] * (batch.ndim - 2)).to(batch.device)  # (1, d, ...)
        return torch.where(mask, changed, batch)

    def _repr(self, **parameters: object) -> str:
        if self.numeric is not None:
            parameters["numeric"] = self.numeric.tolist()
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in parameters.items())})"


def _as_mask_or_index(numeric: Sequence[bool] | Sequence[int] | Tensor) -> Tensor:
    """Copy to a vector of booleans or whole numbers, on the CPU, where looking at it stops no accelerator."""
    columns = torch.as_tensor(numeric).detach().cpu().clone()
    if columns.numel() == 0:
        columns = columns.bool() if columns.dtype == torch.bool else columns.long()
    if columns.ndim != 1 or columns.is_floating_point() or columns.is_complex():
        raise ValueError(f"numeric={numeric!r} must be a vector: a boolean a column, or numbers of columns as [0, 2].")
    return columns if columns.dtype == torch.bool else columns.long()


def _check_float(view: _ColumnView, batch: Tensor) -> None:
    if not batch.is_floating_point():
        raise ValueError(f"{type(view).__name__} got a batch of {batch.dtype}, which holds no fractions; use float32.")


class GaussianNoise(_ColumnView):
    """Add independent normal noise to every cell.

    Missing cells (NaN) stay missing.

    Parameters
    ----------
    scale : float, default=0.1
        Standard deviation of the noise in units of the batch: of standardised inputs, that of the column.
    numeric : sequence of bool or of int, default=None
        Columns that may change, as a mask or by number, such as those that are not codes of categories. None is all.
        In a batch (n, channels, length) these are channels.

    Raises
    ------
    ValueError
        If ``scale`` is negative or not finite.

    Examples
    --------
    >>> import torch
    >>> from skgca.views import GaussianNoise
    >>> GaussianNoise(0.1, numeric=[0])(torch.ones(2, 2), torch.Generator().manual_seed(0))
    tensor([[1.1541, 1.0000],
            [0.7821, 1.0000]])
    """

    def __init__(self, scale: float = 0.1, *, numeric: Sequence[bool] | Sequence[int] | Tensor | None = None) -> None:
        if not 0 <= scale < float("inf"):
            raise ValueError(f"scale={scale!r} must be finite and at least 0, such as 0.1.")
        super().__init__(numeric)
        self.scale = scale

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "scale": self.scale}

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Return a noisy copy of a batch of floating-point numbers of shape (n, d, ...)."""
        _check_float(self, batch)
        noise = torch.randn(batch.shape, generator=generator, device=batch.device, dtype=batch.dtype)
        return self._only_there(batch, batch + self.scale * noise)

    def __repr__(self) -> str:
        return self._repr(scale=self.scale)


class FeatureDropout(_ColumnView):
    """Set random cells to 0, which is the mean of a standardised column.

    Nothing is scaled up in return: a view is a poorer picture of the row, not an estimate of the same sum. A missing
    cell (NaN) that is dropped becomes 0 as well; one that is not stays missing.

    Parameters
    ----------
    rate : float, default=0.2
        Share of cells to drop, in [0, 1].
    numeric : sequence of bool or of int, default=None
        Columns that may change, as a mask or by number. None is all, codes of categories among them, of which 0 is one.

    Raises
    ------
    ValueError
        If ``rate`` is outside of [0, 1].

    Examples
    --------
    >>> import torch
    >>> from skgca.views import FeatureDropout
    >>> FeatureDropout(0.5)(torch.ones(2, 4), torch.Generator().manual_seed(0))
    tensor([[0., 1., 0., 0.],
            [0., 1., 0., 1.]])
    """

    def __init__(self, rate: float = 0.2, *, numeric: Sequence[bool] | Sequence[int] | Tensor | None = None) -> None:
        if not 0 <= rate <= 1:
            raise ValueError(f"rate={rate!r} must lie in [0, 1], such as 0.2.")
        super().__init__(numeric)
        self.rate = rate

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {**super().get_config(), "rate": self.rate}

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Return a copy of a batch of shape (n, d, ...) with some cells 0."""
        dropped = torch.rand(batch.shape, generator=generator, device=batch.device) < self.rate
        return self._only_there(batch, batch.masked_fill(dropped, 0))

    def __repr__(self) -> str:
        return self._repr(rate=self.rate)


class NeighborMixup(_ColumnView):
    """Move each row towards one of its nearest neighbours.

    A row x becomes x + lam (x_j - x), with j drawn from its ``n_neighbors`` nearest rows and lam uniformly from
    [0, ``share``]: mixup [1]_ without labels, along the data instead of across it. Neighbours are rows of the same
    batch, or after :meth:`fit` rows of a reference, which are nearer where batches are small. One copy of the row
    itself is not its neighbour; further copies are, and give the row back unchanged. A row without neighbours stays.

    Distances are Euclidean over the columns that may change, flattened. A missing cell (NaN) counts as 0 there. Where
    the row or its neighbour has a missing cell, the row keeps its own cell, missing or not.

    In a :class:`~skgca.views.Compose`, it comes first: after another view, a row is no longer the copy of itself in
    the reference, and may become its own neighbour.

    Parameters
    ----------
    n_neighbors : int, default=5
        Neighbours to draw from, at least 1; fewer where there are not as many.
    share : float, default=0.5
        Longest step, as a share of the way to the neighbour, in [0, 1].
    numeric : sequence of bool or of int, default=None
        Columns that may change, as a mask or by number. None is all.

    Raises
    ------
    ValueError
        If ``n_neighbors`` or ``share`` is out of range.

    References
    ----------
    .. [1] H. Zhang, M. Cisse, Y. N. Dauphin, D. Lopez-Paz, "mixup: Beyond empirical risk minimization", ICLR 2018.

    Examples
    --------
    >>> import torch
    >>> from skgca.views import NeighborMixup
    >>> batch = torch.tensor([[0.0], [1.0], [10.0], [12.0]])
    >>> NeighborMixup(1)(batch, torch.Generator().manual_seed(0))
    tensor([[ 0.1537],
            [ 0.6830],
            [10.4901],
            [11.1036]])
    """

    def __init__(
        self,
        n_neighbors: int = 5,
        share: float = 0.5,
        *,
        numeric: Sequence[bool] | Sequence[int] | Tensor | None = None,
    ) -> None:
        if n_neighbors < 1 or n_neighbors != int(n_neighbors):
            raise ValueError(f"n_neighbors={n_neighbors!r} must be a whole number of at least 1, such as 5.")
        if not 0 <= share <= 1:
            raise ValueError(f"share={share!r} must lie in [0, 1], such as 0.5.")
        super().__init__(numeric)
        self.n_neighbors = int(n_neighbors)
        self.share = share
        self._reference: Tensor | None = None

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor.

        Raises
        ------
        ValueError
            If the view was fitted: the rows of the reference are no configuration.
        """
        if self._reference is not None:
            raise ValueError(f"{self!r} was fitted, and its reference is no part of a configuration; make a new one.")
        return {**super().get_config(), "n_neighbors": self.n_neighbors, "share": self.share}

    def fit(self, X: Tensor) -> NeighborMixup:
        """Look for neighbours among the rows of X from now on.

        Parameters
        ----------
        X : Tensor of shape (m, ...)
            Reference rows, standardised as the batches are. It is kept, not copied; on another device than the
            batches it would be copied there at every batch.

        Returns
        -------
        NeighborMixup
            The view itself.

        Raises
        ------
        ValueError
            If X has no rows.
        """
        if len(X) == 0:
            raise ValueError(f"X of shape {tuple(X.shape)} has no rows to be neighbours; give 1 or more.")
        self._columns(X)
        self._reference = X
        return self

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Return a copy of a batch of floating-point numbers of shape (n, d, ...), each row moved.

        Raises
        ------
        ValueError
            If the rows of the reference have another shape.
        """
        _check_float(self, batch)
        reference = batch if self._reference is None else self._reference.to(batch)
        if reference.shape[1:] != batch.shape[1:]:
            raise ValueError(
                f"The rows of the batch have shape {tuple(batch.shape[1:])}, those given to fit have "
                f"{tuple(reference.shape[1:])}; fit on rows such as those of the batch."
            )
        n = len(batch)
        neighbors, n_found = _neighbors(batch, reference, self.n_neighbors, self._columns(batch))
        draws = torch.rand(2, n, generator=generator, device=batch.device)
        pick = (draws[0] * n_found).long().minimum(n_found - 1).clamp(min=0)
        other = reference[neighbors.gather(1, pick[:, None])[:, 0]]
        lam = torch.where(n_found > 0, self.share * draws[1], 0.0).to(batch.dtype)
        moved = batch + lam.view(n, *[1] * (batch.ndim - 1)) * (other - batch)
        return self._only_there(batch, torch.where(moved.isnan(), batch, moved))

    def __repr__(self) -> str:
        return self._repr(n_neighbors=self.n_neighbors, share=self.share)


def _neighbors(rows: Tensor, reference: Tensor, count: int, columns: Tensor | None) -> tuple[Tensor, Tensor]:
    """Find the nearest rows of a reference, less one that equals the row.

    Returns
    -------
    neighbors : Tensor of shape (n, k)
        Row numbers of the reference.
    n_found : Tensor of shape (n,)
        How many of them are neighbours: the first ones.
    """
    rows = _vectors(rows, columns)
    candidates = _nearest(rows, reference, count + 1, columns)  # (n, k)
    # Distances by matrix products are off by rounding; whether two rows are equal is looked up instead.
    found = _vectors(reference[candidates.flatten()], columns).view(*candidates.shape, rows.shape[1])
    equal = (found == rows[:, None]).all(-1)
    itself = equal & (equal.cumsum(1) == 1)
    order = itself.int().argsort(dim=1, stable=True)
    n_found = (candidates.shape[1] - itself.sum(1)).clamp(max=count)
    return candidates.gather(1, order), n_found


def _nearest(rows: Tensor, reference: Tensor, count: int, columns: Tensor | None) -> Tensor:
    """Row numbers of the nearest of a reference (m, ...), nearest first: (n, d) -> (n, min(count, m))."""
    centre = rows.mean(0)  # distances from far away would cancel
    rows = rows - centre
    size = max(1, _BLOCK // max(rows.shape[0], rows.shape[1], 1))
    best, index = rows.new_empty(len(rows), 0), torch.empty(len(rows), 0, dtype=torch.long, device=rows.device)
    for start in range(0, len(reference), size):
        block = _vectors(reference[start : start + size], columns) - centre
        score = block.square().sum(1) - 2 * rows @ block.T  # squared distance, less what is the row's own
        numbers = torch.arange(start, start + len(block), device=rows.device).expand(len(rows), -1)
        best, index = torch.cat([best, score], 1), torch.cat([index, numbers], 1)
        best, kept = best.topk(min(count, best.shape[1]), dim=1, largest=False)
        index = index.gather(1, kept)
    return index


def _vectors(rows: Tensor, columns: Tensor | None) -> Tensor:
    """Flatten the columns that count, missing cells as 0, at least in single precision: (n, ...) -> (n, d)."""
    if columns is not None:
        rows = rows[:, columns.to(rows.device)]
    rows = rows.flatten(1)
    rows = rows if rows.dtype == torch.float64 else rows.float()
    return rows.masked_fill(rows.isnan(), 0)
