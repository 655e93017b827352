"""Packages that only some functions need."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["import_optional"]


def import_optional(
    name: str, *, needed_for: str, extra: str | None = None, package: str | None = None, instead: str | None = None
) -> ModuleType:
    """Import a module of a package that need not be installed.

    Parameters
    ----------
    name : str
        Of the module, such as "matplotlib.pyplot".
    needed_for : str
        What needs it, as the subject of the error.
    extra : str, default=None
        The extra of skgca that brings the package.
    package : str, default=None
        Name by which pip knows it. None is the first part of ``name``.
    instead : str, default=None
        What works without it, as an imperative.

    Raises
    ------
    ImportError
        If it cannot be imported. The message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = package or name.partition(".")[0]
        wanted = package if extra is None else f'"skgca[{extra}]"'
        remedy = f"install it by: pip install {wanted}" + (f", or {instead}" if instead else "")
        raise ImportError(f"{needed_for} needs {package}; {remedy}") from error
