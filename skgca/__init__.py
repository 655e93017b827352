"""skgca: scikit-learn embeddings trained with optimal-transport contrastive losses."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._estimator.classifier import GCAClassifier
from ._estimator.cross_embedder import GCACrossEmbedder
from ._estimator.embedder import GCAEmbedder
from ._estimator.map import GCAMap
from ._estimator.regressor import GCARegressor
from ._version import __version__, show_versions

if TYPE_CHECKING:  # editors and type checkers cannot see the lazy imports below
    from . import encoders, exceptions, inspection, losses, metrics, model_selection, ot, views  # noqa: F401

__all__ = [
    "SKOPS_TRUSTED",
    "GCAClassifier",
    "GCACrossEmbedder",
    "GCAEmbedder",
    "GCAMap",
    "GCARegressor",
    "__version__",
    "show_versions",
]

# Types that skops.io.load must trust in addition to its own list. The estimator's state is plain values and arrays.
SKOPS_TRUSTED = [
    "skgca._estimator.classifier.GCAClassifier",
    "skgca._estimator.cross_embedder.GCACrossEmbedder",
    "skgca._estimator.embedder.GCAEmbedder",
    "skgca._estimator.map.GCAMap",
    "skgca._estimator.regressor.GCARegressor",
    "skgca._inference.heads.ForestArrays",
    "skgca._inference.heads.SoftVote",
]

# Modules that are attributes after ``import skgca``. Those that the estimator does not need are imported on first use.
_SUBMODULES = ("encoders", "exceptions", "inspection", "losses", "metrics", "model_selection", "ot", "views")


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBMODULES])
