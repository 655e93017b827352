"""skgca: scikit-learn embeddings trained with optimal-transport contrastive losses."""

from ._estimator.embedder import GCAEmbedder
from ._version import __version__, show_versions

__all__ = ["SKOPS_TRUSTED", "GCAEmbedder", "__version__", "show_versions"]

# What skops.io.load is to trust beside its own list: the state of the estimator is plain values and arrays.
SKOPS_TRUSTED = ["skgca._estimator.embedder.GCAEmbedder"]
