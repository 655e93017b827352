"""Displays of a training and of an embedding, in scikit-learn's manner, and a report on how stable an embedding is.

matplotlib is imported when something is drawn, pandas when a report is made.
"""

from ._embedding import EmbeddingDisplay
from ._stability import StabilityReport, stability_report
from ._training import TrainingDisplay

__all__ = ["EmbeddingDisplay", "StabilityReport", "TrainingDisplay", "stability_report"]
