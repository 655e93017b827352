"""Where the documentation is, to which the HTML of estimators links."""

from __future__ import annotations

import os
from functools import cache
from importlib import metadata

__all__ = ["documentation_url"]

_VARIABLE = "SKGCA_DOCS_URL"  # for a site of your own: that of ``make docs``, or of a company
_LABEL = "documentation"  # in [project.urls] of pyproject.toml


def documentation_url() -> str | None:
    """Return the address of the documentation, without a slash at its end; None if there is none.

    It is the environment variable SKGCA_DOCS_URL, or else the address "Documentation" in the metadata of the package.
    """
    return (os.environ.get(_VARIABLE) or _url_of_package() or "").rstrip("/") or None


@cache
def _url_of_package() -> str | None:
    try:
        entries = metadata.metadata("skgca").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:  # run from a checkout
        return None
    pairs = (entry.partition(",") for entry in entries)  # such as "Documentation, https://example.org"
    return next((url.strip() for label, _, url in pairs if label.strip().lower() == _LABEL), None)
