"""skgca: scikit-learn embeddings trained with optimal-transport contrastive losses."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._estimator.embedder import GCAEmbedder
from ._version import __version__, show_versions

if TYPE_CHECKING:  # so that editors and type checkers know them
    from . import encoders, exceptions, inspection, losses, metrics, model_selection, ot, views  # noqa: F401

__all__ = ["SKOPS_TRUSTED", "GCAEmbedder", "__version__", "show_versions"]

# What skops.io.load is to trust beside its own list: the state of the estimator is plain values and arrays.
SKOPS_TRUSTED = ["skgca._estimator.embedder.GCAEmbedder"]

# Modules that ``import skgca`` gives as attributes. Those that the estimator does not need are imported on first use.
_SUBMODULES = ("encoders", "exceptions", "inspection", "losses", "metrics", "model_selection", "ot", "views")


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBMODULES])
