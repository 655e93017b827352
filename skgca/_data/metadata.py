"""Metadata of the rows of X: labels, domains, groups and affinities, checked and encoded for the loss.

A target (:class:`skgca.losses.Target`) says by ``reads`` which argument of ``fit`` it needs, and by ``encoding`` in
which form. Each argument becomes something that gives the values of a batch by ``[rows]``: a tensor, or a
:class:`Pairwise`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy.sparse
import torch
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from torch import Tensor

from .._utils.classes import check_minus_one, class_codes, fractions_in
from .._utils.missing import is_unlabelled
from ..losses import AffinityTarget, Target
from ..losses._targets import CallableTarget, make_target
from .frame_columns import exact_values
from .target_values import are_times, target_numbers

__all__ = ["Pairwise", "argument_read", "only_rows", "read_metadata", "reads_y", "shown_target", "target_of"]


class Pairwise:
    """Values between every two rows, fetched for the rows of a batch: (k,) -> (k, k).

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
        """Return the values between some of the rows, which are renumbered from 0."""
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
    """Check and encode what the target and the relation of rows read.

    Parameters
    ----------
    X : ndarray of shape (n, ...)
        The rows that the metadata belong to.
    kept : ndarray of shape (n,), bool
        Rows that are trained on. The others are left out of the result.
    target : str, Target, callable, array or sparse matrix
        Parameter of :class:`GCAEmbedder`; in place of None, the default of the loss.
    related : callable or None
        Parameter of :class:`GCAEmbedder`.
    y, sample_domain, sample_group : array-like or None
        Arguments of ``GCAEmbedder.fit``.

    Returns
    -------
    dict
        Keyword arguments of the loss, from which the values of a batch are fetched.

    Raises
    ------
    ValueError
        If an argument is missing, is not read, or cannot be read.
    """
    reader = target_of(target)
    argument = reader.reads
    if sample_domain is not None and argument != "sample_domain":
        raise ValueError(
            f"sample_domain is given, but target={shown_target(target)} does not read it. Set target='domains' or "
            "another that does, such as TransportTarget(), or leave sample_domain out."
        )
    if related is not None and sample_group is None:
        raise ValueError("related is given, but there is no sample_group for it to read; pass sample_group to fit.")
    encoded: dict[str, Tensor | Pairwise] = {}
    if argument == "affinity":
        encoded["target"] = _affinity(target, len(X))
    elif argument is not None:
        values = {"y": y, "sample_domain": sample_domain}[argument]
        encoded["target"] = _target_values(reader, values, X, kept, shown=shown_target(target))
    if sample_group is not None:
        encoded["related"] = _relation(related, sample_group, X)
    if kept.all():
        return encoded
    rows = torch.from_numpy(np.flatnonzero(kept))
    return only_rows(encoded, rows)


def only_rows(encoded: Mapping[str, Tensor | Pairwise], kept: Tensor) -> dict[str, Tensor | Pairwise]:
    """Return the metadata of some of the rows, by their numbers."""
    return {name: value.of(kept) if isinstance(value, Pairwise) else value[kept] for name, value in encoded.items()}


def argument_read(target: Any) -> str | None:
    """Return what a target reads: "y", "sample_domain", "affinity" if it is a matrix, or None.

    Parameters
    ----------
    target : str, Target, callable, array or sparse matrix
        As for :func:`read_metadata`. An invalid one reads None, since scikit-learn asks for tags before ``fit`` checks.
    """
    try:
        return target_of(target).reads
    except ValueError:
        return None


def reads_y(target: Any) -> bool:
    """Whether a target is made from y."""
    return argument_read(target) == "y"


def target_of(target: Any) -> Target:
    """Return the target that a parameter stands for; a name has default options, which no encoding depends on."""
    return make_target(target) if isinstance(target, str) or callable(target) else AffinityTarget()


def shown_target(target: Any) -> str:
    """Return a target as messages show it."""
    return repr(target) if isinstance(target, str) or callable(target) else "a matrix"


def _target_values(reader: Target, values: Any, X: np.ndarray, kept: np.ndarray, *, shown: str) -> Tensor | Pairwise:
    """Check and encode the argument of ``fit`` that a target reads."""
    argument = str(reader.reads)
    if values is None and argument == "y":  # in the words of scikit-learn, which its checks of estimators look for
        raise ValueError(
            f"This GCAEmbedder estimator requires y to be passed, but the target y is None: target={shown} reads it."
        )
    if values is None:
        raise ValueError(f"target={shown} reads {argument}; pass it to fit, one entry a row.")
    if isinstance(reader, CallableTarget):
        return _between(argument, values, X, reader)
    encoded = _ENCODERS[reader.encoding](argument, values, X)
    if reader.encoding == "classes" and argument == "y" and encoded.max() == 0:
        raise ValueError(
            f"y holds one class only, {_first_known(values)!r}, where target={shown} needs two or more; -1 "
            "marks rows without a class. Encode classes from 0 (sklearn.preprocessing.LabelEncoder), or use "
            "target='pairs'."
        )
    if reader.encoding == "centred":
        # float32 holds more digits of differences around 0. Rows that are left out do not shift the others.
        encoded = encoded.double()
        return (encoded - encoded[torch.from_numpy(kept)].nanmean(0)).float()
    return encoded


def _codes(name: str, values: Any, X: np.ndarray) -> Tensor:
    """Return codes from 0 for the classes of rows, and -1 for rows that are marked -1, None or NaN.

    Raises
    ------
    ValueError
        If values look like measurements, no row belongs to a class, or -1 looks like a class or was converted to text.
    """
    values = column_or_1d(exact_values(values))
    check_consistent_length(X, values)
    codes, classes = class_codes(values)
    if not classes:
        raise ValueError(f"{name} holds no information: all of its {len(values)} entries are -1, None or NaN.")
    if "-1" in classes:
        raise ValueError(f"{name} holds the text '-1'. Mark rows of no class by None, or name the class otherwise.")
    fractions = fractions_in(values)
    if fractions:
        remedy = {"y": "use target='continuous' for them", "sample_group": "give related= to say which are close"}
        raise ValueError(
            f"{name} holds fractions, such as {fractions[0]}, where classes are read; "
            f"{remedy.get(name, 'cut them into classes')}."
        )
    check_minus_one(name, values, classes)
    return torch.from_numpy(codes)


def _first_known(values: Any) -> Any:
    return next(value for value in column_or_1d(values).tolist() if not is_unlabelled(value))


def _numbers_or_codes(name: str, values: Any, X: np.ndarray) -> Tensor:
    """Return numbers as they are, times in seconds since 1970, and the codes of anything else."""
    if are_times(values):
        return _numbers(name, target_numbers(name, values), X)
    encode = _numbers if np.asarray(values).dtype.kind in "buif" else _codes
    return encode(name, values, X)


def _between(name: str, values: Any, X: np.ndarray, between: Callable[[Tensor], Any]) -> Pairwise:
    """Return what a callable makes of the values of a batch.

    It is called here, on the CPU and once for each batch, so that it may index arrays by row numbers. The loss would
    call it for each pair of views, with a tensor on the device of training.
    """
    tensor = _numbers_or_codes(name, values, X)
    return Pairwise(lambda rows: torch.as_tensor(between(tensor[rows])))


def _numbers(name: str, values: Any, X: np.ndarray) -> Tensor:
    """Return numbers, (n,) or (n, k), as int64 or float64, with NaN where unknown.

    Raises
    ------
    ValueError
        If values are not numbers, are infinite, or are all unknown.
    """
    values = check_array(values, ensure_2d=False, dtype="numeric", ensure_all_finite="allow-nan", input_name=name)
    check_consistent_length(X, values)
    values = np.array(values, dtype=np.float64 if values.dtype.kind == "f" else np.int64)
    if np.isnan(values).all():
        raise ValueError(f"{name} holds no information: all of its {len(values)} entries are NaN.")
    return torch.from_numpy(values)


def _measurements(name: str, values: Any, X: np.ndarray) -> Tensor:
    """Return numbers, times in seconds from the first of them, and text as the numbers that it holds."""
    return _numbers(name, target_numbers(name, values, from_first=True), X)


# Encodings that a target can ask for: (name, values, X) -> Tensor (n,) or (n, k)
_ENCODERS: dict[str, Callable[[str, Any, np.ndarray], Tensor]] = {
    "auto": _numbers_or_codes,
    "classes": _codes,
    "centred": _measurements,
}


def _affinity(matrix: Any, n_rows: int) -> Pairwise:
    """Return the affinity of a batch as a block of the affinity of all rows, which is checked before training."""
    if isinstance(matrix, Target):
        raise ValueError(f"target={matrix!r} holds no affinity; pass the matrix itself, target=affinity.")
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
