"""Choose the rows that early stopping holds out."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from .batches import RowDataset

__all__ = ["hold_out"]


def hold_out(dataset: RowDataset, fraction: float, generator: Generator) -> tuple[RowDataset, RowDataset]:
    """Split rows at random into those to train on and those to hold out.

    All rows of a group go to the same part. Otherwise a held-out row could have a related row among the training rows,
    and the held-out loss would be too low.

    Parameters
    ----------
    dataset : RowDataset
    fraction : float
        Share of the rows to hold out, in (0, 1).
    generator : torch.Generator
        Source of the random choice.

    Raises
    ------
    ValueError
        If either part has fewer than 2 rows.
    """
    n_rows = len(dataset)
    n_wanted = max(2, round(fraction * n_rows))
    groups = dataset.extras.get("related")
    if isinstance(groups, Tensor):
        held_out = _rows_of_some_groups(groups, n_wanted, generator)
    else:
        held_out = torch.randperm(n_rows, generator=generator)[:n_wanted]
    if not 2 <= len(held_out) <= n_rows - 2:
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction} holds out {len(held_out)} of {n_rows} rows, but "
            "each part needs at least 2; give more rows, or another validation_fraction."
        )
    is_held_out = torch.zeros(n_rows, dtype=torch.bool)
    is_held_out[held_out] = True
    return dataset.only((~is_held_out).nonzero()[:, 0]), dataset.only(is_held_out.nonzero()[:, 0])


def _rows_of_some_groups(groups: Tensor, n_wanted: int, generator: Generator) -> Tensor:
    """Draw whole groups until they have at least ``n_wanted`` rows, and return the numbers of these rows."""
    own = len(groups) + torch.arange(len(groups))  # a row without a group, -1, becomes a group of its own
    _, members, sizes = torch.where(groups == -1, own, groups).unique(return_inverse=True, return_counts=True)
    order = torch.randperm(len(sizes), generator=generator)
    n_taken = int((sizes[order].cumsum(0) < n_wanted).sum()) + 1
    return torch.isin(members, order[:n_taken]).nonzero()[:, 0]
