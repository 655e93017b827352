"""Metadata that would have no effect: refused, or warned of, before training."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._utils.classes import class_codes, marked_minus_one
from ..losses import ContinuousTarget
from .metadata import shown_target, target_of
from .rows import spaced
from .target_values import are_times

__all__ = ["check_effects"]

_N_TRIED = 512  # rows on which the scale of values is tried
_STACKLEVEL = 6  # of warnings: from the line that calls fit
# Values are not used if the affinities of all other values with a row sum to less than this, where its own pair has 1,
# or if affinities differ from 1 by less than this on average.
_NEGLIGIBLE = 0.01


def check_effects(
    encoded: Mapping[str, Any], *, target: Any, sigma: float | None, y: Any, domain: Any, group: Any
) -> None:
    """Raise ValueError, or warn, if the target or the groups say nothing about the rows.

    Parameters
    ----------
    encoded : dict
        What :func:`read_metadata` returned for the rows that are trained on.
    target : str, Target, callable, array or sparse matrix
        Parameter of :class:`GCAEmbedder`.
    sigma : float or None
        Parameter of :class:`GCAEmbedder`. None is that of the target.
    y, domain, group : array-like or None
        ``y``, ``sample_domain`` and ``sample_group`` as given.
    """
    reader, shown = target_of(target), shown_target(target)
    values, related = encoded.get("target"), encoded.get("related")
    if isinstance(values, Tensor) and reader.encoding == "classes":
        if reader.reads == "y":
            _check_labels(values, shown)
        else:
            _check_domains(values, shown, domain)
    elif isinstance(values, Tensor) and reader.encoding == "centred":
        _check_values(values, shown)
        if isinstance(reader, ContinuousTarget):
            unit = " seconds" if are_times(y) else ""
            _warn_of_scale(values, reader.sigma if sigma is None else sigma, unit=unit)
    if isinstance(related, Tensor):
        _check_groups(related, group)


def _check_labels(codes: Tensor, shown: str) -> None:
    n_classes, n_known = _counts(codes)
    if 2 < n_known == n_classes:  # of two rows, more cannot be asked
        message = (
            f"y holds a class of its own for each of {n_known} rows, so no two rows match, and target={shown} is the "
            "same as target='pairs'. "
        )
        if n_known == len(codes):
            raise ValueError(message + "If y holds values or times, use target='continuous'; leave out row numbers.")
        warnings.warn(message + "Label more rows, or leave target out.", stacklevel=_STACKLEVEL)


def _check_domains(codes: Tensor, shown: str, domain: Any) -> None:
    n_classes, n_known = _counts(codes)
    needs = f"but target={shown} needs domains that several rows share, such as the hospital or the device of each row."
    if n_classes < 2:
        raise ValueError(
            f"sample_domain holds one domain only for {n_known} of {len(codes)} rows, {needs} -1, None and NaN mark "
            "rows of no domain. If -1 is a domain, as the target domain is in skada, encode domains from 0."
        )
    if n_classes == n_known:
        raise ValueError(f"sample_domain holds a domain of its own for each of {n_known} rows, {needs}")
    # Some number domains from 1, and give those of the target a negative sign, as skada does.
    values = np.asarray(domain).ravel()
    n_marked = int(marked_minus_one(values).sum())
    if n_marked >= int(codes[codes >= 0].bincount().min()) and all(
        isinstance(value, Number) and value >= 1  # type: ignore[operator]
        for value in class_codes(values)[1]
    ):
        warnings.warn(
            f"sample_domain marks {n_marked} rows by -1, which means that they have no domain. If -1 is a domain, as "
            "the target domain is in skada, encode domains from 0. If not, mark these rows by None or NaN.",
            stacklevel=_STACKLEVEL,
        )


def _check_groups(codes: Tensor, group: Any) -> None:
    n_classes, n_known = _counts(codes)
    if n_classes == n_known:
        warnings.warn(
            f"sample_group holds a group of its own for each of {n_known} rows, so no rows are related, and it has no "
            "effect. Give the subject, document or session that rows share, or leave it out.",
            stacklevel=_STACKLEVEL,
        )
    elif n_classes == 1 and (n_marked := int(marked_minus_one(np.asarray(group).ravel()).sum())):
        warnings.warn(
            f"sample_group holds one group only, and {n_marked} rows of -1, which means that they have no group. If -1 "
            "is a group, encode groups from 0; if not, mark these rows by None or NaN.",
            stacklevel=_STACKLEVEL,
        )


def _counts(codes: Tensor) -> tuple[int, int]:
    """Return the number of classes, and of rows that have one."""
    known = codes[codes >= 0]
    return len(known.unique()), len(known)


def _check_values(values: Tensor, shown: str) -> None:
    """Raise ValueError if all known rows of values (n,) or (n, k) are equal."""
    known = _known_rows(values)
    if len(known) and bool((known == known[0]).all()):
        raise ValueError(
            f"y holds one value only for {len(known)} of {len(values)} rows, where target={shown} needs several; give "
            "values that differ, or use target='pairs'."
        )


def _warn_of_scale(values: Tensor, sigma: float, *, unit: str) -> None:
    """Warn if sigma is so far from the distances of values that the target does not depend on them."""
    known = _known_rows(values)
    tried = known[torch.from_numpy(spaced(len(known), _N_TRIED))]
    distance = torch.cdist(tried, tried, compute_mode="donot_use_mm_for_euclid_dist")
    # Rows of equal values match with any sigma, as rows of one class do.
    distance = distance[distance > 0]
    if not len(distance) or not sigma > 0:  # the loss refuses such a sigma
        return
    affinity = torch.exp(-distance / sigma)
    if float(affinity.sum()) / len(tried) < _NEGLIGIBLE:  # of a row; its own pair has 1
        problem = "too small for the values of y: rows of different values do not match, however close"
    elif float(affinity.mean()) > 1 - _NEGLIGIBLE:
        problem = "too large for the values of y: all rows match alike, however far apart"
    else:
        return
    median = float(distance.median())
    warnings.warn(
        f"sigma={sigma:g} is {problem}. The median distance of two values is {median:.3g}{unit}; set sigma to a "
        f"quarter of it, sigma={median / 4:.2g}.",
        stacklevel=_STACKLEVEL,
    )


def _known_rows(values: Tensor) -> Tensor:
    """Return the rows without NaN of values (n,) or (n, k): -> (n_known, k)."""
    columns = values[:, None] if values.ndim == 1 else values
    return columns[~columns.isnan().any(1)].float()
