"""skgca: scikit-learn embeddings trained with optimal-transport contrastive losses."""

from ._version import __version__, show_versions

__all__ = ["__version__", "show_versions"]
