"""Views of feature vectors: noise, dropped features, and steps towards a neighbour.

These views change columns by arithmetic, which is wrong for codes of categories. So each takes ``numeric``, the columns
that it may change, and returns the other columns bit for bit. Random numbers are drawn for the whole batch, so that the
numbers for a cell do not depend on ``numeric``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from .._utils.device import on_device
from ._grouped import GroupedColumns

__all__ = ["FeatureDropout", "GaussianNoise", "NeighborMixup"]

_BLOCK = 2**22  # most entries of a block of the reference, and of its distances; 16 MB in float32


class _ColumnView(GroupedColumns):
    """Base of the views of this module: keeps which columns may change.

    Columns are the second dimension: features of a batch (n, d), channels of a batch (n, channels, length). If there
    are groups, ``numeric`` is about groups instead of columns.
    """

    def __init__(self, numeric: Sequence[bool] | Sequence[int] | Tensor | None) -> None:
        self.numeric = None if numeric is None else _as_mask_or_index(numeric)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"numeric": None if self.numeric is None else self.numeric.tolist()}

    def _columns(self, batch: Tensor) -> Tensor | None:
        """Return the indices of the columns that may change, None for all.

        Raises
        ------
        ValueError
            If ``numeric`` does not fit the batch.
        """
        if self.numeric is None:
            return None
        n_columns = self._n_groups(batch)
        if self.numeric.dtype == torch.bool:
            if len(self.numeric) != n_columns:
                raise ValueError(
                    f"numeric is a mask of {len(self.numeric)} columns, but the batch has {n_columns}; "
                    f"give {n_columns} booleans, or the numbers of the columns."
                )
            return self._of_groups(self.numeric.nonzero()[:, 0])
        if ((self.numeric < 0) | (self.numeric >= n_columns)).any():
            raise ValueError(f"numeric={self.numeric.tolist()} must hold numbers of columns, 0 to {n_columns - 1}.")
        return self._of_groups(self.numeric)

    def _of_groups(self, chosen: Tensor) -> Tensor:
        """Return the indices of the columns of some groups."""
        return chosen if self._groups is None else torch.isin(self._groups, chosen).nonzero()[:, 0]

    def _in_columns(self, batch: Tensor, changed: Tensor) -> Tensor:
        """Return ``changed`` in the columns that may change, and the batch bit for bit in the others."""
        columns = self._columns(batch)
        if columns is None:
            return changed
        mask = torch.zeros(batch.shape[1], dtype=torch.bool)
        mask[columns] = True
        mask = mask.view(1, -1, *[1] * (batch.ndim - 2))  # (1, d, ...)
        return torch.where(on_device(mask, batch.device), changed, batch)

    def _repr(self, **parameters: object) -> str:
        """Return the constructor call; ``numeric`` is shown only if it was given."""
        if self.numeric is not None:
            parameters["numeric"] = self.numeric.tolist()
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in parameters.items())})"


def _as_mask_or_index(numeric: Sequence[bool] | Sequence[int] | Tensor) -> Tensor:
    """Copy ``numeric`` to a mask (bool) or indices (int64).

    The copy is on the CPU, where checks of its values do not have to wait for an accelerator.
    """
    columns = torch.as_tensor(numeric).detach().cpu().clone()
    if columns.numel() == 0:  # torch reads [] as floats
        columns = columns.bool() if columns.dtype == torch.bool else columns.long()
    if columns.ndim != 1 or columns.is_floating_point() or columns.is_complex():
        raise ValueError(f"numeric={numeric!r} must be a vector: a mask, or numbers of columns such as [0, 2].")
    return columns if columns.dtype == torch.bool else columns.long()


def _check_float(view: _ColumnView, batch: Tensor) -> None:
    """Raise ValueError if a batch cannot hold fractions."""
    if not batch.is_floating_point():
        raise ValueError(f"{type(view).__name__} got a batch of {batch.dtype}, which holds no fractions; use float32.")


class GaussianNoise(_ColumnView):
    """Add independent normal noise to every cell.

    Use it for numbers that were measured with noise, and for series. For categories and for columns of very different
    distributions, use :class:`ColumnCorruption`.

    Missing cells (NaN) stay missing.

    Parameters
    ----------
    scale : float, default=0.1
        Standard deviation of the noise, in units of the batch. If the inputs are standardised, the unit is the
        standard deviation of the column.
    numeric : sequence of bool or of int, default=None
        Columns that may change, as a mask or as indices; leave out columns that hold codes of categories. None means
        all columns. In a batch (n, channels, length), the columns are the channels.

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

    independent_rows = True

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
        return self._in_columns(batch, batch + self.scale * noise)

    def __repr__(self) -> str:
        return self._repr(scale=self.scale)


class FeatureDropout(_ColumnView):
    """Set random cells to 0, which is the mean of a standardised column.

    Use it for features whose columns are alike, such as those of another model, in which any single one may be missing.
    For tables of mixed columns, use :class:`ColumnCorruption`.

    The remaining cells are not scaled up, unlike in ``torch.nn.Dropout``: a view is the row with less information, not
    an estimate of the same sum. A missing cell (NaN) of a table becomes 0 if it is dropped. In a series it stays
    missing, since it may be the end of a shorter one.

    Parameters
    ----------
    rate : float, default=0.2
        Share of cells to drop, in [0, 1].
    numeric : sequence of bool or of int, default=None
        Columns that may change, as a mask or as indices. None means all columns; in a column with codes of
        categories, a dropped cell becomes code 0.

    Raises
    ------
    ValueError
        If ``rate`` is outside [0, 1].

    Examples
    --------
    >>> import torch
    >>> from skgca.views import FeatureDropout
    >>> FeatureDropout(0.5)(torch.ones(2, 4), torch.Generator().manual_seed(0))
    tensor([[0., 1., 0., 0.],
            [0., 1., 0., 1.]])
    """

    independent_rows = True

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
        shape = batch.shape if self._groups is None else (len(batch), self._n_groups(batch))
        draws = torch.rand(shape, generator=generator, device=batch.device, dtype=torch.float32)
        dropped = self._per_column(draws < self.rate)
        if batch.ndim > 2:  # NaN in series may be padding
            dropped = dropped & ~batch.isnan()
        return self._in_columns(batch, batch.masked_fill(dropped, 0))

    def __repr__(self) -> str:
        return self._repr(rate=self.rate)


class NeighborMixup(_ColumnView):
    """Move each row towards one of its nearest neighbours.

    Use it if rows between two neighbours are plausible rows, as for numbers in many dense groups. Categories cannot be
    mixed: for these, use :class:`ColumnCorruption`.

    A row x becomes x + lam (x_j - x). The neighbour j is drawn from the ``n_neighbors`` nearest rows and lam uniformly
    from [0, ``share``]. This is mixup [1]_ without labels and between neighbours only, so that a view stays near the
    data. Neighbours are rows of the same batch or, after :meth:`fit`, rows of a reference; in a large reference,
    neighbours are nearer than in a small batch. The row itself is not its neighbour: one row equal to it is left out.
    Further equal rows are neighbours and leave the row unchanged. A row without neighbours is not changed either.

    Distances are Euclidean over all values in the columns that may change. A missing cell (NaN) counts as 0 in
    distances. Where the row or its neighbour has a missing cell, the row keeps its own cell, missing or not.

    In a :class:`~skgca.views.Compose`, this view should come first. After another view, a row no longer equals its
    copy in the reference, which can then be drawn as a neighbour.

    Parameters
    ----------
    n_neighbors : int, default=5
        Number of neighbours to draw from, at least 1. If there are fewer rows, all are neighbours.
    share : float, default=0.5
        Largest lam, the share of the distance to the neighbour, in [0, 1].
    numeric : sequence of bool or of int, default=None
        Columns that may change, as a mask or as indices. None means all columns.

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

    @property
    def independent_rows(self) -> bool:
        """Whether neighbours are rows of a reference, not of the batch."""
        return self._reference is not None

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor.

        Raises
        ------
        ValueError
            If the view was fitted, since a configuration cannot hold the rows of the reference.
        """
        if self._reference is not None:
            raise ValueError(f"{self!r} was fitted, and a configuration cannot hold its reference; make a new one.")
        return {**super().get_config(), "n_neighbors": self.n_neighbors, "share": self.share}

    def fit(self, X: Tensor) -> NeighborMixup:
        """Use X as the reference in which neighbours are searched.

        Parameters
        ----------
        X : Tensor of shape (m, ...)
            Reference rows, standardised as the batches are. X is kept without a copy. If it is on another device than
            the batches, every call copies it to their device.

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
        self._columns(X)  # raises if numeric does not fit X
        self._reference = X
        return self

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Move each row of a batch of floating-point numbers of shape (n, d, ...), and return the new batch.

        Raises
        ------
        ValueError
            If the batch is not floating-point, or the rows of the reference have another shape.
        """
        _check_float(self, batch)
        reference = batch if self._reference is None else self._reference.to(batch)
        if reference.shape[1:] != batch.shape[1:]:
            raise ValueError(
                f"The rows of the batch have shape {tuple(batch.shape[1:])}, but the rows given to fit have shape "
                f"{tuple(reference.shape[1:])}; fit on rows of the shape {tuple(batch.shape[1:])}."
            )
        n = len(batch)
        neighbors, n_neighbors = _neighbors(batch, reference, self.n_neighbors, self._columns(batch))
        draws = torch.rand(2, n, generator=generator, device=batch.device, dtype=torch.float32)
        # The minimum keeps the index in range however the product is rounded. A row without neighbours picks its first
        # candidate, which is the row itself, and lam is 0.
        pick = (draws[0] * n_neighbors).long().minimum(n_neighbors - 1).clamp(min=0)
        other = reference[neighbors.gather(1, pick[:, None])[:, 0]]  # (n, d, ...)
        lam = torch.where(n_neighbors > 0, self.share * draws[1], 0.0).to(batch.dtype)
        moved = batch + lam.view(n, *[1] * (batch.ndim - 1)) * (other - batch)  # lam as (n, 1, ...)
        # NaN where the row or its neighbour is missing, also for lam = 0, since 0 times NaN is NaN
        return self._in_columns(batch, torch.where(moved.isnan(), batch, moved))

    def __repr__(self) -> str:
        return self._repr(n_neighbors=self.n_neighbors, share=self.share)


def _neighbors(rows: Tensor, reference: Tensor, count: int, columns: Tensor | None) -> tuple[Tensor, Tensor]:
    """Find the nearest rows of a reference, without the first that equals the row.

    Returns
    -------
    neighbors : Tensor of shape (n, k), k = min(count + 1, m)
        Indices into the reference (m, ...). The neighbours come first, the nearest before the others.
    n_neighbors : Tensor of shape (n,)
        The number of neighbours of each row, at most ``count``. Later entries of ``neighbors`` are not to be used.
    """
    rows = _as_vectors(rows, columns)  # (n, d)
    candidates = _nearest(rows, reference, count + 1, columns)  # (n, k); one more, since one may be the row itself
    # Distances from matrix products have rounding errors, so a distance of 0 does not show which rows are equal.
    vectors = _as_vectors(reference[candidates.flatten()], columns).view(*candidates.shape, rows.shape[1])  # (n, k, d)
    equal = (vectors == rows[:, None]).all(-1)
    itself = equal & (equal.cumsum(1) == 1)  # only the first equal row
    order = itself.int().argsort(dim=1, stable=True)  # moves it to the end, and keeps the order of the others
    n_neighbors = (candidates.shape[1] - itself.sum(1)).clamp(max=count)
    return candidates.gather(1, order), n_neighbors


def _nearest(rows: Tensor, reference: Tensor, count: int, columns: Tensor | None) -> Tensor:
    """Return the indices of the nearest rows of a reference (m, ...), nearest first: (n, d) -> (n, min(count, m)).

    The reference is searched block by block, so that memory for distances does not grow with m.
    """
    centre = rows.mean(0)
    rows = rows - centre  # far from the origin, the two terms of the score are large and cancel
    size = max(1, _BLOCK // max(rows.shape[0], rows.shape[1], 1))
    best, index = rows.new_empty(len(rows), 0), torch.empty(len(rows), 0, dtype=torch.long, device=rows.device)
    for start in range(0, len(reference), size):
        block = _as_vectors(reference[start : start + size], columns) - centre  # (size, d)
        # squared distance without the square of the row itself, which does not change the order within a row
        score = block.square().sum(1) - 2 * rows @ block.T  # (n, size)
        block_index = torch.arange(start, start + len(block), device=rows.device).expand(len(rows), -1)
        best, index = torch.cat([best, score], 1), torch.cat([index, block_index], 1)
        best, kept = best.topk(min(count, best.shape[1]), dim=1, largest=False)
        index = index.gather(1, kept)
    return index


def _as_vectors(rows: Tensor, columns: Tensor | None) -> Tensor:
    """Flatten the given columns of rows and set missing cells to 0: (n, ...) -> (n, d) of float32 or float64."""
    if columns is not None:
        rows = rows[:, on_device(columns, rows.device)]
    rows = rows.flatten(1)
    rows = rows if rows.dtype == torch.float64 else rows.float()  # half precision is too coarse for distances
    return rows.masked_fill(rows.isnan(), 0)
