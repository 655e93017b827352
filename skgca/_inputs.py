"""Numeric tables to float32 tensors, and batches of them by index."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

__all__ = [
    "EvenBatches",
    "RowDataset",
    "fit_scaler",
    "shuffled_batches",
    "standardized",
    "to_float32",
]

# Standardised inputs beyond this are far outside of any training data (n rows hold none beyond sqrt(n)), and are
# brought back to it, so that float32 products in the encoder cannot overflow.
_INPUT_LIMIT = 1e4


def to_float32(X: np.ndarray) -> Tensor:
    """Copy a finite array of shape (n, n_features) to a contiguous float32 tensor.

    Raises
    ------
    ValueError
        If a value is too large for float32; the message names its column.
    """
    with np.errstate(over="ignore"):
        X32 = np.array(X, dtype=np.float32, order="C")  # a copy, since a tensor cannot guard a read-only array
    overflow = ~np.isfinite(X32)
    if overflow.any():
        row, column = np.argwhere(overflow)[0]
        raise ValueError(
            f"X[{row}, {column}] = {X[row, column]!r} is too large for float32; scale column {column} "
            "(standardize=True, or a StandardScaler before) or take its logarithm."
        )
    return torch.from_numpy(X32)


def fit_scaler(X: np.ndarray) -> StandardScaler:
    """Learn to standardise the columns of X.

    Raises
    ------
    ValueError
        If the squares of a column overflow; the message names it.
    """
    with np.errstate(all="ignore"):
        scaler = StandardScaler().fit(_in_float64(X))
    overflow = ~np.isfinite(scaler.mean_) | ~np.isfinite(scaler.scale_)
    if overflow.any():
        column = overflow.argmax()
        raise ValueError(
            f"Column {column} of X holds values up to {np.abs(X[:, column]).max():.3g} in size, too large to "
            f"standardise; divide column {column} by a constant, or take its logarithm."
        )
    return scaler


def standardized(X: np.ndarray, scaler: StandardScaler | None) -> Tensor:
    """Copy X to a float32 tensor, through the scaler if there is one."""
    if scaler is None:
        return to_float32(X)
    return to_float32(np.clip(scaler.transform(_in_float64(X)), -_INPUT_LIMIT, _INPUT_LIMIT))


def _in_float64(X: np.ndarray) -> np.ndarray:
    """Return X in double precision, in which float32 rows are standardised too: both types then train alike."""
    return X.astype(np.float64, copy=False)


class RowDataset(Dataset):
    """Rows and what belongs to them, fetched a whole batch at a time.

    Parameters
    ----------
    X : Tensor of shape (n, ...)
        Inputs.
    **extras : Tensor of shape (n, ...) or Pairwise
        What the loss takes beside the embeddings, by name, such as the weight of the rows; anything that is fetched for
        some rows by ``[rows]``.
    """

    def __init__(self, X: Tensor, **extras: Any) -> None:
        self.X = X
        self.extras = extras

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the inputs and the extras of some rows."""
        return self.X[rows], {name: value[rows] for name, value in self.extras.items()}


class EvenBatches(Sampler):
    """Random batches that differ in size by one row at most.

    Cutting n rows into batches of exactly ``batch_size`` leaves a last batch that may be of one row, which has nothing
    to be contrasted with, or must be dropped, which with fewer rows than a batch drops everything. Here all rows are in
    a batch, once, and every batch has two rows or more.

    Parameters
    ----------
    n_rows : int
        Number of rows, at least 2.
    batch_size : int
        Most rows in a batch, at least 2. Where an odd row would be left alone, one batch takes it on top.
    generator : torch.Generator
        Source of the order.
    """

    def __init__(self, n_rows: int, batch_size: int, generator: Generator) -> None:
        self.n_rows = n_rows
        self.n_batches = max(1, min(-(-n_rows // batch_size), n_rows // 2))
        self.generator = generator

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Tensor]:
        return iter(torch.randperm(self.n_rows, generator=self.generator).tensor_split(self.n_batches))


def shuffled_batches(dataset: RowDataset, *, batch_size: int, generator: Generator) -> DataLoader:
    """Return a loader of :class:`EvenBatches` that indexes the dataset once a batch."""
    sampler = EvenBatches(len(dataset), batch_size, generator)
    # The loader draws a seed of its own even without workers: from our generator, or it would be the global one.
    return DataLoader(dataset, sampler=sampler, batch_size=None, generator=generator)
