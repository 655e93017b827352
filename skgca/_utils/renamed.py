"""Parameters that files and pickles of earlier versions hold under other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["RENAMED", "UNSET", "with_current_names"]

RENAMED = {"n_iter": "sinkhorn_n_iter", "memory_limit": "sinkhorn_memory_limit"}  # in 0.2
# Parameters that 0.2 deprecates, with the value that has no effect.
_DROPPED = {"restore_best": True, "max_grad_norm": None}
UNSET = "deprecated"  # value of a deprecated parameter that is not set


def with_current_names(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters under their current names, without deprecated ones that have no effect.

    Files are written and read through this function. So they do not depend on names that are deprecated today, and
    a later version that no longer knows these can open them.

    Parameters
    ----------
    params : mapping
        Values of parameters, as they are or as JSON. Other entries are returned as they are.
    """
    current = dict(params)
    for old, new in RENAMED.items():
        value = current.pop(old, UNSET)
        if not _is(value, UNSET):
            # where both names are set, both stay, and fit refuses them
            current[old if current.get(new) is not None else new] = value
    for name, neutral in _DROPPED.items():
        if name in current and (_is(current[name], UNSET) or _is(current[name], neutral)):
            del current[name]
    return current


def _is(value: Any, expected: Any) -> bool:
    """Whether a value is another one; arrays cannot be compared by ==."""
    return value is expected or (isinstance(value, str) and value == expected)
