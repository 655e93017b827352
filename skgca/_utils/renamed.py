"""Parameters that files, pickles and checkpoints of earlier versions hold under other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["with_current_names"]

_RENAMED = {"n_iter": "sinkhorn_n_iter", "memory_limit": "sinkhorn_memory_limit"}  # in 0.2
# Parameters that 0.2 deprecates, with the value that has no effect.
_DROPPED = {"restore_best": True, "max_grad_norm": None}
_UNSET = "deprecated"


def with_current_names(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters under their current names, without deprecated ones that have no effect.

    Files are written and read through this function. So they do not depend on names that are deprecated today, and
    a later version that no longer knows these can open them.

    Parameters
    ----------
    params : mapping
        Values of parameters: as they are, as JSON, or as text by ``repr``. Other entries are returned as they are.
    """
    current = dict(params)
    for old, new in _RENAMED.items():
        value = current.pop(old, _UNSET)
        if not _is(value, _UNSET):
            # where both names are set, both stay, and fit refuses them
            current[old if current.get(new) is not None else new] = value
    for name, neutral in _DROPPED.items():
        if name in current and (_is(current[name], _UNSET) or _is(current[name], neutral)):
            del current[name]
    return current


def _is(value: Any, expected: Any) -> bool:
    """Whether a value is another one, or the text of it; arrays cannot be compared by ==."""
    return value is expected or (isinstance(value, str) and value in (expected, repr(expected)))
