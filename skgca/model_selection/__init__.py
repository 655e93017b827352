"""Search over parameters in scikit-learn's manner, with an encoder that is trained on from setting to setting."""

from ._search import GCASearchCV

__all__ = ["GCASearchCV"]
