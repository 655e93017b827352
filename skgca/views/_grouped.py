"""Base of views that change columns which are derived from one original column, such as a date, together."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .._utils.config import Configured
from .._utils.device import on_device

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["GroupedColumns"]


class GroupedColumns(Configured):
    """Base of views of columns; without groups, each column is a group of its own."""

    _groups: Tensor | None = None

    def for_groups(self, groups: Sequence[int]) -> Self:
        """Return a copy that treats each group of columns as one column, also in arguments that are about columns.

        Parameters
        ----------
        groups : sequence of int of shape (n_features,)
            Number of the group of each column, from 0.
        """
        grouped = copy.copy(self)
        grouped._groups = torch.as_tensor(groups)
        return grouped

    def _n_groups(self, batch: Tensor) -> int:
        return batch.shape[1] if self._groups is None else int(self._groups.max()) + 1

    def _per_column(self, per_group: Tensor) -> Tensor:
        """Repeat the values of groups for each of their columns: (n, n_groups) -> (n, n_features)."""
        return per_group if self._groups is None else per_group[:, on_device(self._groups, per_group.device)]
