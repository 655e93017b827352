"""Displays of a training and of an embedding, in scikit-learn's manner; matplotlib is imported when they are drawn."""

from ._embedding import EmbeddingDisplay
from ._training import TrainingDisplay

__all__ = ["EmbeddingDisplay", "TrainingDisplay"]
