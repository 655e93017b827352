"""Displays of trainings, embeddings and searches in scikit-learn's manner; matplotlib is imported when one is drawn."""

from ._embedding import EmbeddingDisplay
from ._marginal_path import MarginalPathDisplay
from ._training import TrainingDisplay

__all__ = ["EmbeddingDisplay", "MarginalPathDisplay", "TrainingDisplay"]
