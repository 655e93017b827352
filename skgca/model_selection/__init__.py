"""Search over parameters as in scikit-learn, where the training of a setting continues from a similar setting."""

from ._labelled import LabelledKFold, LabelledScorer
from ._search import GCASearchCV

__all__ = ["GCASearchCV", "LabelledKFold", "LabelledScorer"]
