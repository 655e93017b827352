"""What ``fit`` reads beside X: labels, domains, groups and affinities, one entry a row.

Each becomes something that a batch fetches from by ``[rows]``: a tensor, or a :class:`Pairwise`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
import torch
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from torch import Tensor

from .._utils.classes import class_codes, fractions_in
from .._utils.missing import is_unlabelled

__all__ = ["Pairwise", "read_metadata", "reads_y"]


class Pairwise:
    """Something between each two rows, fetched for the rows of a batch: (k,) -> (k, k).

    Parameters
    ----------
    fetch : callable ``(rows) -> Tensor (k, k)``
        Gets an integer tensor of shape (k,).
    """

    def __init__(self, fetch: Callable[[Tensor], Tensor]) -> None:
        self.fetch = fetch

    def __getitem__(self, rows: Tensor) -> Tensor:
        return self.fetch(rows)

    def of(self, kept: Tensor) -> Pairwise:
        """Return the part between some of the rows, counted anew from 0."""
        return Pairwise(lambda rows: self.fetch(kept[rows]))


def read_metadata(
    X: np.ndarray,
    kept: np.ndarray,
    *,
    target: Any,
    related: Callable[[Tensor], Any] | None,
    y: Any,
    sample_domain: Any,
    sample_group: Any,
) -> dict[str, Tensor | Pairwise]:
    """Read what the target plan and the relation of rows ask for.

    Parameters
    ----------
    X : ndarray of shape (n, ...)
        The rows that the annotations belong to.
    kept : ndarray of shape (n,), bool
        Which rows will be trained on; the rest is left out of what is returned.
    target : str, callable, array or sparse matrix
        As :class:`GCAEmbedder`, None replaced by what the loss says.
    related : callable or None
        As :class:`GCAEmbedder`.
    y, sample_domain, sample_group : array-like or None
        As ``GCAEmbedder.fit``.

    Returns
    -------
    dict
        Keyword arguments of the loss, before they are fetched for a batch.

    Raises
    ------
    ValueError
        If something is missing, not read, or cannot be read.
    """
    found: dict[str, Tensor | Pairwise] = {}
    if sample_domain is not None and not _is(target, "domains"):
        raise ValueError("sample_domain is given, but only target='domains' reads it. Set that, or leave it out.")
    if related is not None and sample_group is None:
        raise ValueError("related is given, but there is no sample_group for it to read; pass sample_group to fit.")
    if _is(target, "domains"):
        if sample_domain is None:
            raise ValueError("target='domains' reads sample_domain; pass it to fit, one entry a row.")
        found["target"] = _codes("sample_domain", sample_domain, X)
    elif not isinstance(target, str) and not callable(target):
        found["target"] = _affinity(target, len(X))
    elif reads_y(target):
        found["target"] = _target_of_y(target, y, X, kept)
    if sample_group is not None:
        found["related"] = _relation(related, sample_group, X)
    if kept.all():
        return found
    rows = torch.from_numpy(np.flatnonzero(kept))
    return {name: value.of(rows) if isinstance(value, Pairwise) else value[rows] for name, value in found.items()}


def reads_y(target: Any) -> bool:
    """Whether a target plan is made from y."""
    return callable(target) or _is(target, "labels") or _is(target, "continuous")


def _codes(name: str, values: Any, X: np.ndarray) -> Tensor:
    """Return numbers from 0 for the classes that rows belong to, and -1 for those marked -1, None or NaN.

    Raises
    ------
    ValueError
        If they look like measurements, no row belongs to any, or -1 was turned into text.
    """
    values = column_or_1d(values)
    check_consistent_length(X, values)
    codes, classes = class_codes(values)
    if not classes:
        raise ValueError(f"{name} tells nothing: all of its {len(values)} entries are -1, None or NaN.")
    if "-1" in classes:
        raise ValueError(f"{name} holds the text '-1'. Mark rows of no class by None, or name the class otherwise.")
    fractions = fractions_in(values)
    if fractions:
        remedy = {"y": "use target='continuous' for them", "sample_group": "give related= to say which are close"}
        raise ValueError(
            f"{name} holds fractions, such as {fractions[0]}, where classes are read; "
            f"{remedy.get(name, 'cut them into classes')}."
        )
    return torch.from_numpy(codes)


def _is(target: Any, name: str) -> bool:
    return isinstance(target, str) and target == name


def _first_known(values: Any) -> Any:
    return next(value for value in column_or_1d(values).tolist() if not is_unlabelled(value))


def _target_of_y(target: Any, y: Any, X: np.ndarray, kept: np.ndarray) -> Tensor | Pairwise:
    if y is None:  # in the words of scikit-learn
        raise ValueError(
            f"This GCAEmbedder estimator requires y to be passed, but the target y is None: target={target!r} reads it."
        )
    if _is(target, "labels"):
        labels = _codes("y", y, X)
        if labels.max() == 0:
            raise ValueError(
                f"y holds one class only, {_first_known(y)!r}, where target='labels' needs two or more; -1 marks rows "
                "without a class. Encode classes from 0 (sklearn.preprocessing.LabelEncoder), or use target='pairs'."
            )
        return labels
    if callable(target):
        return _between("y", y, X, target)
    values = _numbers("y", y, X).double()
    centre = values[torch.from_numpy(kept)].nanmean(0)
    return (values - centre).float()  # only differences count, of which float32 holds more around 0


def _between(name: str, values: Any, X: np.ndarray, between: Callable[[Tensor], Any]) -> Pairwise:
    """Let a callable say what is between the rows of a batch, from their numbers, or the codes of anything else."""
    read = _numbers if np.asarray(values).dtype.kind in "buif" else _codes
    tensor = read(name, values, X)
    return Pairwise(lambda rows: torch.as_tensor(between(tensor[rows])))


def _numbers(name: str, values: Any, X: np.ndarray) -> Tensor:
    """Read numbers, (n,) or (n, k), as int64 or float64; NaN stands for unknown.

    Raises
    ------
    ValueError
        If they are no numbers, infinite, or all unknown.
    """
    values = check_array(values, ensure_2d=False, dtype="numeric", ensure_all_finite="allow-nan", input_name=name)
    check_consistent_length(X, values)
    values = np.array(values, dtype=np.float64 if values.dtype.kind == "f" else np.int64)
    if np.isnan(values).all():
        raise ValueError(f"{name} tells nothing: all of its {len(values)} entries are NaN.")
    return torch.from_numpy(values)


def _affinity(matrix: Any, n_rows: int) -> Pairwise:
    """Affinity of a batch's rows from that of all, checked here so that nothing is found wrong amid training."""
    matrix = check_array(matrix, accept_sparse="csr", dtype=np.float32, input_name="target", ensure_min_samples=0)
    if matrix.shape != (n_rows, n_rows):
        raise ValueError(
            f"target has shape {matrix.shape}, but {n_rows} rows need an affinity ({n_rows}, {n_rows}). Where fit gets "
            "a part of the rows, as in cross-validation, give a callable, and row numbers as y."
        )
    smallest = matrix.min()
    if smallest < 0:
        raise ValueError(f"target holds an affinity of {smallest}; all must be >= 0.")

    def fetch(rows: Tensor) -> Tensor:
        block = matrix[rows.numpy()][:, rows.numpy()]
        return torch.as_tensor(block.toarray() if scipy.sparse.issparse(block) else block)

    return Pairwise(fetch)


def _relation(related: Callable[[Tensor], Any] | None, groups: Any, X: np.ndarray) -> Tensor | Pairwise:
    if related is not None:
        return _between("sample_group", groups, X, related)
    codes = _codes("sample_group", groups, X)
    if (codes == 0).all():
        raise ValueError(
            f"sample_group holds one group only, {_first_known(groups)!r}, so no row is evidence against another, and "
            "nothing is learned. Leave it out, or give two groups or more."
        )
    return codes
