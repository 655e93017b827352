"""Names of the output columns, each of them once."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["output_names"]


def output_names(prefix: str, n_learned: int, passed: Sequence[str]) -> list[str]:
    """Return the names of the columns of the embedding, then those of the passthrough columns.

    Names repeat if the input has columns such as "s" with the category "u", and "s_u", or if it is the output of
    another embedder. A repeated name of a passthrough column gets a number, and so does the prefix of the embedding.

    Parameters
    ----------
    prefix : str
        Name of the columns of the embedding, before their number.
    n_learned : int
        Number of columns of the embedding.
    passed : sequence of str
        Names of the passthrough columns; the first of two equal names is left unchanged.
    """
    unique = _numbered(passed)
    taken, number, start = set(unique), 1, prefix
    while any(f"{start}{k}" in taken for k in range(n_learned)):
        number += 1
        start = f"{prefix}_{number}_"
    return [f"{start}{k}" for k in range(n_learned)] + unique


def _numbered(names: Sequence[str]) -> list[str]:
    """Return names of which each that stood before has "_2", "_3" and so on appended, whichever is free."""
    taken, seen, unique = set(names), set(), []
    for name in names:
        number, free = 1, name
        while free in seen or (number > 1 and free in taken):
            number += 1
            free = f"{name}_{number}"
        seen.add(free)
        unique.append(free)
    return unique
