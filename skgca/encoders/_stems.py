"""Stems, the first part of an encoder: they turn the output of a reader into the input of a body.

Views come before the stem, since they change whole cells and pixels. Therefore a table has one column for each original
column until the stem: a view that exchanges cells must not split a category into one-hot columns. Likewise images keep
values in [0, 1], which views of images expect, until the stem standardises them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._utils.config import Configured

__all__ = ["ChannelStem", "TableStem"]

_MAX_ONE_HOT = 32  # categories; columns with more categories are embedded
_EMBEDDING_SIZE = 16


class TableStem(Configured, nn.Module):
    """Turn a table with one column for each original column into the features that enter the network.

    Use it as the first part of an :class:`Encoder` for tables that have categories or gaps. For images and series, use
    :class:`ChannelStem`.

    A missing number (NaN) becomes 0, the mean of a standardised column. A numeric column that had gaps in training also
    gets an indicator, which is 1 where the value is missing. A column of up to 32 categories becomes one-hot columns,
    which the first linear layer of the body maps to learned vectors. A column of more categories is embedded here, with
    a learned vector of 16 entries for each category, or, for more than ``max_vectors`` categories, with the sum of two
    vectors that it shares with others. A category that was not seen in training has code 0 and becomes
    zeros. The features are ordered: numbers, indicators, one-hot columns, embeddings.

    Parameters
    ----------
    n_categories : sequence of int
        Number of categories of each column, 0 for a numeric column.
    has_missing : sequence of bool
        Which numeric columns get an indicator.
    numeric_encoding : Module, default=None
        Encodes the numeric columns after gaps are filled, (n, n_numbers) -> (n, n_outputs), and has an attribute
        ``n_outputs``. None means that the numbers themselves are features.
    max_vectors : int, default=None
        Number of categories of a column up to which each has a vector of its own. None means any number.

    Attributes
    ----------
    n_features : int
        Number of features that :meth:`forward` returns.
    n_plain : int
        Number of features that :meth:`plain` returns.

    Examples
    --------
    A numeric column with gaps, and a column of three categories with the codes 1 to 3:

    >>> import torch
    >>> from skgca.encoders import TableStem
    >>> stem = TableStem([0, 3], has_missing=[True, False])
    >>> stem(torch.tensor([[0.5, 1.0], [torch.nan, 3.0], [-0.5, 0.0]]))
    tensor([[ 0.5000,  0.0000,  1.0000,  0.0000,  0.0000],
            [ 0.0000,  1.0000,  0.0000,  0.0000,  1.0000],
            [-0.5000,  0.0000,  0.0000,  0.0000,  0.0000]])
    """

    numbers: Tensor  # indices of numeric columns
    indicated: Tensor  # indices of numeric columns with an indicator
    few: Tensor  # indices of columns of categories that become one-hot
    slot_starts: Tensor
    known_slots: Tensor
    n_features: int
    n_plain: int

    def __init__(
        self,
        n_categories: Sequence[int],
        has_missing: Sequence[bool],
        numeric_encoding: nn.Module | None = None,
        *,
        max_vectors: int | None = None,
    ) -> None:
        super().__init__()
        sizes, missing = torch.as_tensor(n_categories), torch.as_tensor(has_missing, dtype=torch.bool)
        self.n_categories, self.has_missing = sizes.tolist(), missing.tolist()
        few, many = (sizes > 0) & (sizes <= _MAX_ONE_HOT), sizes > _MAX_ONE_HOT
        self._register_indices("numbers", sizes == 0)
        self._register_indices("indicated", missing & (sizes == 0))
        self._register_indices("few", few)
        self._many = many.nonzero()[:, 0].tolist()  # columns of categories that are embedded
        # All one-hot columns are made by one scatter into a row of slots. A column of k categories has k + 1 slots, for
        # the codes 0 to k. The slot of code 0, the unknown categories, is not among the known slots and is dropped.
        slots = sizes[few] + 1
        slot_starts = slots.cumsum(0) - slots
        self.register_buffer("slot_starts", slot_starts, persistent=False)
        is_known = torch.ones(int(slots.sum()), dtype=torch.bool)
        is_known[slot_starts] = False
        self._register_indices("known_slots", is_known)
        self.n_slots = len(is_known)
        self.max_vectors = max_vectors
        self.embeddings = nn.ModuleList([_vectors(size, max_vectors) for size in sizes[many].tolist()])
        self.numeric_encoding = numeric_encoding
        self.n_plain = len(self.numbers) + len(self.indicated) + len(self.known_slots)
        n_encoded: Any = len(self.numbers) if numeric_encoding is None else numeric_encoding.n_outputs
        self.n_features = self.n_plain - len(self.numbers) + n_encoded + _EMBEDDING_SIZE * len(self._many)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            "n_categories": list(self.n_categories),
            "has_missing": list(self.has_missing),
            "numeric_encoding": self.numeric_encoding,
            "max_vectors": self.max_vectors,
        }

    def forward(self, batch: Tensor) -> Tensor:
        """Return the features of a batch: (n, n_columns) -> (n, n_features)."""
        numbers, rest = self._parts(batch)
        if self.numeric_encoding is not None:
            numbers = self.numeric_encoding(numbers)
        embedded = [embed(batch[:, column].long()) for embed, column in zip(self.embeddings, self._many, strict=True)]
        parts = [numbers, *rest, *embedded]
        return torch.cat(parts, dim=1) if len(parts) > 1 else numbers  # a table of numbers needs no copy

    def plain(self, batch: Tensor) -> Tensor:
        """Return numbers, indicators and one-hot columns, without learned parts: (n, n_columns) -> (n, n_plain)."""
        numbers, rest = self._parts(batch)
        return torch.cat([numbers, *rest], dim=1)

    def plain_sources(self, n_plain: int) -> list[int]:
        """Return the number of the column of the table from which each column of :meth:`plain` is made."""
        one_hot = [column for column in self.few.tolist() for _ in range(self.n_categories[column])]
        return [*self.numbers.tolist(), *self.indicated.tolist(), *one_hot]

    def _parts(self, batch: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the numbers (n, n_numbers) with gaps filled, and a list of indicators and one-hot columns."""
        numbers = batch if len(self.numbers) == batch.shape[1] else batch[:, self.numbers]
        rest = []
        if len(self.indicated):
            rest.append(batch[:, self.indicated].isnan().to(batch.dtype))
        if len(self.few):
            slots = batch[:, self.few].long() + self.slot_starts  # (n, n_few)
            one_hot = batch.new_zeros(batch.shape[0], self.n_slots).scatter_(1, slots, 1.0)
            rest.append(one_hot[:, self.known_slots])
        return numbers.nan_to_num(nan=0.0), rest

    def _register_indices(self, name: str, mask: Tensor) -> None:
        """Keep where a mask is True as a buffer: it moves with the module, and a state dict does not hold it."""
        self.register_buffer(name, mask.nonzero()[:, 0], persistent=False)


class _SharedVectors(nn.Module):
    """A vector for each of many categories, the sum of two: (n,) codes from 1 -> (n, 16); code 0 becomes zeros.

    The optimizer updates every vector in each step, so that one for each of 100,000 categories would take more time
    than the rest of the network. k categories are numbered as the cells of a square, and have a vector for their row
    and one for their column of it: the "quotient-remainder trick" of H.-J. M. Shi et al., "Compositional embeddings
    using complementary partitions for memory-efficient recommendation systems", KDD 2020.
    """

    def __init__(self, n_categories: int) -> None:
        super().__init__()
        self.side = math.isqrt(n_categories - 1) + 1  # the square has n_categories cells or more
        self.rows = _own_vectors(self.side)
        self.columns = _own_vectors(self.side)

    def forward(self, codes: Tensor) -> Tensor:
        is_known = (codes > 0).long()
        cell = (codes - 1).clamp(min=0)
        row, column = cell.div(self.side, rounding_mode="floor"), cell % self.side
        vectors: Tensor = self.rows((row + 1) * is_known) + self.columns((column + 1) * is_known)
        return vectors


def _vectors(n_categories: int, max_vectors: int | None) -> nn.Module:
    is_shared = max_vectors is not None and n_categories > max_vectors
    return _SharedVectors(n_categories) if is_shared else _own_vectors(n_categories)


def _own_vectors(n_categories: int) -> nn.Embedding:
    # padding_idx keeps the vector of code 0 at zero, and training does not change it
    return nn.Embedding(n_categories + 1, _EMBEDDING_SIZE, padding_idx=0)


class ChannelStem(Configured, nn.Module):
    """Standardise the channels of images or series with a given mean and standard deviation.

    Use it as the first part of an :class:`Encoder` for images or series. For tables, use :class:`TableStem`.

    Series may have gaps (NaN). A gap is interpolated between its neighbours in time, and channels that had gaps in
    training also get an indicator channel, which is 1 in gaps. Shorter series are padded with NaN in all channels up to
    the end: padding becomes 0 in all channels, and the last channel is a mask, which is 1 within each series.

    Parameters
    ----------
    mean, std : sequence of float, of shape (n_channels,)
        Mean and standard deviation of each channel.
    n_dimensions : int
        Number of axes after the channel axis: 2 for images, 1 for series.
    has_gaps : sequence of bool, default=()
        Which channels of series get an indicator. Empty means none, and that there are no gaps.
    masked : bool, default=False
        Whether series are padded.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import ChannelStem
    >>> stem = ChannelStem([0.5], [0.25], n_dimensions=2)
    >>> stem(torch.ones(1, 1, 1, 3))
    tensor([[[[2., 2., 2.]]]])
    >>> stem = ChannelStem([0.0], [1.0], 1, has_gaps=[True], masked=True)
    >>> stem(torch.tensor([[[1.0, torch.nan, 2.0, torch.nan]]]))
    tensor([[[1.0000, 1.5000, 2.0000, 0.0000],
             [0.0000, 1.0000, 0.0000, 0.0000],
             [1.0000, 1.0000, 1.0000, 0.0000]]])
    """

    mean: Tensor
    std: Tensor
    gapped: Tensor

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        n_dimensions: int,
        *,
        has_gaps: Sequence[bool] = (),
        masked: bool = False,
    ) -> None:
        super().__init__()
        shape = (-1, *[1] * n_dimensions)  # (n_channels, 1, ...), which broadcasts over a batch
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32).view(shape))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32).view(shape))
        self.has_gaps, self.masked = [bool(has) for has in has_gaps], masked
        gapped = torch.as_tensor(self.has_gaps, dtype=torch.bool).nonzero()[:, 0]
        self.register_buffer("gapped", gapped, persistent=False)

    @property
    def n_outputs(self) -> int:
        """Number of channels that :meth:`forward` returns."""
        return self.mean.numel() + len(self.gapped) + self.masked

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        mean, std = self.mean.flatten().tolist(), self.std.flatten().tolist()
        config = {"mean": mean, "std": std, "n_dimensions": self.mean.ndim - 1}
        return {**config, "has_gaps": list(self.has_gaps), "masked": self.masked}

    def forward(self, batch: Tensor) -> Tensor:
        """Standardise a batch: (n, c, ...) -> (n, n_outputs, ...)."""
        standardized = (batch - self.mean) / self.std
        if not (self.masked or self.has_gaps):
            return standardized
        missing = batch.isnan()
        known = (~missing).any(1, keepdim=True)  # (n, 1, length)
        inside = known.flip(2).cummax(2).values.flip(2) if self.masked else torch.ones_like(known)
        parts = [fill_gaps(standardized) * inside, (missing & inside)[:, self.gapped].to(batch.dtype)]
        return torch.cat([*parts, inside.to(batch.dtype)] if self.masked else parts, dim=1)

    def plain(self, batch: Tensor) -> Tensor:
        """Return the standardised values as rows: (n, c, ...) -> (n, k)."""
        standardized: Tensor = self(batch)[:, : self.mean.numel()]
        return standardized.flatten(1)

    def plain_sources(self, n_plain: int) -> list[int]:
        """Return the number of the value of a row from which each column of :meth:`plain` is made: its own."""
        return list(range(n_plain))


def fill_gaps(series: Tensor) -> Tensor:
    """Interpolate missing values (NaN) linearly in time, each channel by itself: (n, channels, length) -> the same.

    Before the first and after the last value of a channel, that value is repeated. A channel without a value is 0.
    """
    length = series.shape[2]
    steps = torch.arange(length, device=series.device)
    known = ~series.isnan()
    before = torch.where(known, steps, -1).cummax(2).values  # the last known step, -1 if there is none
    after = torch.where(known, steps, length).flip(2).cummin(2).values.flip(2)
    left, right = series.gather(2, before.clamp(min=0)), series.gather(2, after.clamp(max=length - 1))
    left, right = torch.where(before < 0, right, left), torch.where(after == length, left, right)
    share = ((steps - before) / (after - before).clamp(min=1)).to(series.dtype).clamp(0, 1)
    return torch.where(known, series, left + share * (right - left)).nan_to_num(nan=0.0)
