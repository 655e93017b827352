"""What stands before the body of an encoder: from what a reader gives to what a body takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._utils.config import Configured

__all__ = ["ChannelStem", "TableStem"]

_ONE_HOT_UP_TO = 32  # categories; a column of more gets a learned vector for each
_EMBEDDING_SIZE = 16


class TableStem(Configured, nn.Module):
    """From one column for each original column to the features that enter the network.

    Numbers that are missing become 0, which is their median, with an indicator beside them where training rows missed
    some. Categories become one-hot vectors, which the first linear layer turns into learned ones, or learned vectors at
    once where there are many. A category that was not seen in training is all zeros.

    Parameters
    ----------
    n_categories : sequence of int
        Categories of each column, 0 for a column of numbers.
    has_missing : sequence of bool
        Which columns of numbers get an indicator.
    numeric_encoding : Module, default=None
        (n, n_numbers) -> (n, n_outputs), with that attribute: what numbers enter as. None leaves them.

    Attributes
    ----------
    n_features : int
        Width of the output.
    n_plain : int
        Width of what :meth:`plain` gives.

    Examples
    --------
    A column of numbers with gaps, and one of three categories, numbered from 1:

    >>> import torch
    >>> from skgca.encoders import TableStem
    >>> stem = TableStem([0, 3], has_missing=[True, False])
    >>> stem(torch.tensor([[0.5, 1.0], [torch.nan, 3.0], [-0.5, 0.0]]))
    tensor([[ 0.5000,  0.0000,  1.0000,  0.0000,  0.0000],
            [ 0.0000,  1.0000,  0.0000,  0.0000,  1.0000],
            [-0.5000,  0.0000,  0.0000,  0.0000,  0.0000]])
    """

    def __init__(
        self,
        n_categories: Sequence[int],
        has_missing: Sequence[bool],
        numeric_encoding: nn.Module | None = None,
    ) -> None:
        super().__init__()
        sizes = torch.as_tensor(n_categories)
        self.n_categories = sizes.tolist()
        self.has_missing = torch.as_tensor(has_missing, dtype=torch.bool).tolist()
        few = (sizes > 0) & (sizes <= _ONE_HOT_UP_TO)
        self._index("numbers", sizes == 0)
        self._index("indicated", torch.as_tensor(has_missing, dtype=torch.bool) & (sizes == 0))
        self._index("few", few)
        self._index("many", sizes > _ONE_HOT_UP_TO)
        # a column of k categories has k + 1 slots, of which the first is for those unknown, and is left out
        slots = sizes[few] + 1
        starts = slots.cumsum(0) - slots
        self.register_buffer("starts", starts, persistent=False)
        known = torch.ones(int(slots.sum()), dtype=torch.bool)
        known[starts] = False
        self.register_buffer("known", known.nonzero()[:, 0], persistent=False)
        self.n_slots = len(known)
        many = sizes[sizes > _ONE_HOT_UP_TO].tolist()
        self.embeddings = nn.ModuleList([nn.Embedding(size + 1, _EMBEDDING_SIZE, padding_idx=0) for size in many])
        self.numeric_encoding = numeric_encoding
        self.n_plain = len(self.numbers) + len(self.indicated) + len(self.known)
        encoded = len(self.numbers) if numeric_encoding is None else numeric_encoding.n_outputs
        self.n_features = self.n_plain - len(self.numbers) + encoded + _EMBEDDING_SIZE * len(many)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {
            "n_categories": list(self.n_categories),
            "has_missing": list(self.has_missing),
            "numeric_encoding": self.numeric_encoding,
        }

    def forward(self, batch: Tensor) -> Tensor:
        """Return the features of a batch: (n, n_columns) -> (n, n_features)."""
        numbers, rest = self._parts(batch)
        if self.numeric_encoding is not None:
            numbers = self.numeric_encoding(numbers)
        learned = [
            embed(batch[:, column].long()) for embed, column in zip(self.embeddings, self.many.tolist(), strict=True)
        ]
        parts = [numbers, *rest, *learned]
        return torch.cat(parts, dim=1) if len(parts) > 1 else numbers

    def plain(self, batch: Tensor) -> Tensor:
        """Return what needs no learning: numbers, indicators and one-hot columns, (n, n_columns) -> (n, n_plain)."""
        numbers, rest = self._parts(batch)
        return torch.cat([numbers, *rest], dim=1)

    def _parts(self, batch: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Numbers without gaps (n, n_numbers), and indicators and one-hot columns, where there are some."""
        numbers = batch if len(self.numbers) == batch.shape[1] else batch[:, self.numbers]
        rest = []
        if len(self.indicated):
            rest.append(batch[:, self.indicated].isnan().to(batch.dtype))
        if len(self.few):
            slots = batch[:, self.few].long() + self.starts
            one_hot = batch.new_zeros(batch.shape[0], self.n_slots).scatter_(1, slots, 1.0)
            rest.append(one_hot[:, self.known])
        return numbers.nan_to_num(nan=0.0), rest

    def _index(self, name: str, mask: Tensor) -> None:
        """Keep the numbers of some columns; they are no weights, and move with the module."""
        self.register_buffer(name, mask.nonzero()[:, 0], persistent=False)


class ChannelStem(Configured, nn.Module):
    """Standardise the channels of images or series by fixed numbers, after the views, which know values in [0, 1].

    Parameters
    ----------
    mean, std : sequence of float, of shape (n_channels,)
        What is subtracted, then divided by.
    n_dimensions : int
        Places that follow the channel axis: 2 for images, 1 for series.

    Examples
    --------
    >>> import torch
    >>> from skgca.encoders import ChannelStem
    >>> stem = ChannelStem([0.5], [0.25], n_dimensions=2)
    >>> stem(torch.ones(1, 1, 1, 3))
    tensor([[[[2., 2., 2.]]]])
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], n_dimensions: int) -> None:
        super().__init__()
        shape = (-1, *[1] * n_dimensions)
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32).view(shape))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32).view(shape))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        mean, std = self.mean.flatten().tolist(), self.std.flatten().tolist()
        return {"mean": mean, "std": std, "n_dimensions": self.mean.ndim - 1}

    def forward(self, batch: Tensor) -> Tensor:
        """Standardise a batch: (n, c, ...) -> (n, c, ...)."""
        return (batch - self.mean) / self.std

    def plain(self, batch: Tensor) -> Tensor:
        """Return the standardised values in rows: (n, c, ...) -> (n, k)."""
        return self(batch).flatten(1)
