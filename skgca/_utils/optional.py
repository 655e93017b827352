"""Imports of optional packages, which only some functions need."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["import_optional"]


def import_optional(
    name: str, *, needed_for: str, extra: str | None = None, package: str | None = None, instead: str | None = None
) -> ModuleType:
    """Import a module of an optional package.

    Parameters
    ----------
    name : str
        Name of the module, such as "matplotlib.pyplot".
    needed_for : str
        The function that needs it: the subject of the error message.
    extra : str, default=None
        The extra of skgca that installs the package.
    package : str, default=None
        Name of the package for pip. None means the first part of ``name``.
    instead : str, default=None
        What the user can do without the package, as an imperative.

    Raises
    ------
    ImportError
        If the module cannot be imported. The message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = package or name.partition(".")[0]
        requirement = package if extra is None else f'"skgca[{extra}]"'  # quotes, since a shell expands brackets
        remedy = f"install it by: pip install {requirement}" + (f", or {instead}" if instead else "")
        raise ImportError(f"{needed_for} needs {package}; {remedy}") from error
