"""skgca: scikit-learn embeddings trained with optimal-transport contrastive losses."""

from ._embedder import GCAEmbedder
from ._version import __version__, show_versions

__all__ = ["GCAEmbedder", "__version__", "show_versions"]
