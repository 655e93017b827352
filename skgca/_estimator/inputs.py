"""What ``fit`` gets, checked as far as that needs no look at every value of X."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .._builders.loss import effective_target
from .._data import Rows, check_rows
from .._data.conversion import plain_values
from .._data.effects import check_effects
from .._data.metadata import read_metadata
from .._utils.compat import InvalidParameterError, check_sample_weight

if TYPE_CHECKING:
    from .embedder import GCAEmbedder

__all__ = ["FitInputs", "check_inputs", "check_pair"]

_MOST_PASSED = 1000  # columns of a sparse table that may be appended to the embedding


@dataclass(frozen=True)
class FitInputs:
    """The rows that are trained on, which are those of weight above 0, and their metadata.

    measured : the rows of X, and those of X_pair if there is one; extras : what the loss reads for each row, by the
    names of its arguments; n_neighbors: if not None, the second view of a row is one of so many nearest rows.
    """

    measured: list[Rows]
    extras: dict[str, Any]
    n_neighbors: int | None = None

    def __len__(self) -> int:
        return len(self.measured[0])


def check_inputs(
    estimator: GCAEmbedder,
    X: Any,
    y: Any,
    sample_weight: Any,
    sample_domain: Any,
    sample_group: Any,
    X_pair: Any,
    *,
    reset: bool,
) -> FitInputs:
    """Check the arguments of ``fit``; ``reset`` is whether X may have other columns than in the last fit.

    Raises
    ------
    TypeError, ValueError
        If something cannot be trained on.
    """
    rows = check_rows(estimator, X, reset=reset, min_rows=2)
    if rows.is_sparse and estimator.passthrough is True and rows.shape[1] > _MOST_PASSED:
        raise InvalidParameterError(
            f"passthrough=True would append the {rows.shape[1]} columns of a sparse X to each embedding, as dense "
            "numbers; leave it at 'auto', which appends no columns of sparse tables, or pass X.toarray()."
        )
    pair = None if X_pair is None else check_pair(estimator, X_pair, rows)
    y, sample_weight, sample_domain, sample_group = map(plain_values, (y, sample_weight, sample_domain, sample_group))
    # X may be a frame, or on disk: lengths are compared with an array of as many zeros, which takes no memory.
    length = np.broadcast_to(0.0, len(rows))
    weight = check_sample_weight(sample_weight, length)
    kept = weight > 0
    if kept.sum() < 2:
        raise ValueError(f"sample_weight leaves {kept.sum()} row with weight above 0; at least 2 are needed.")
    target = effective_target(estimator.loss, estimator.target)
    extras = read_metadata(
        length,
        kept,
        target=target,
        related=estimator.related,
        y=y,
        sample_domain=sample_domain,
        sample_group=sample_group,
    )
    check_effects(extras, target=target, sigma=estimator.sigma, y=y, domain=sample_domain, group=sample_group)
    measured = [rows] if pair is None else [rows, pair]
    if not kept.all():
        measured, weight = [source.only(np.flatnonzero(kept)) for source in measured], weight[kept]
    if not (weight == weight[0]).all():  # equal weights change nothing, and would cost time in each step
        extras["weight"] = torch.as_tensor(weight, dtype=torch.float32)
    return FitInputs(measured, extras)


def check_pair(estimator: GCAEmbedder, X_pair: Any, rows: Rows) -> Rows:
    """Check the second measurement of each row.

    Raises
    ------
    TypeError, ValueError
        If it has other columns than X, or another shape; the message names X_pair.
    """
    try:
        pair = check_rows(estimator, X_pair, reset=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"X_pair is not a second measurement of X: {error}") from error
    if pair.shape != rows.shape:
        raise ValueError(
            f"X_pair has shape {pair.shape}, but X has {rows.shape}; row i of one must be another view of row i of "
            "the other."
        )
    parts = pair.part_sizes
    if parts is not None and len(parts) > 1 and (rows.part_sizes is None or list(parts) != list(rows.part_sizes)):
        raise ValueError(
            f"X_pair is read in {len(parts)} parts that are not those of X, so rows of one batch would be scattered; "
            "write X and X_pair with the same row groups or partitions."
        )
    return pair
