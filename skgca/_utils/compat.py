"""The only home of private or version-dependent imports from scikit-learn and skorch.

Everything here has no public name in scikit-learn 1.6 to 1.9, or moved between those versions. When an upgrade breaks
something of theirs, this is the file to mend.
"""

import inspect

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _clone_parametrized as clone_parametrized
from sklearn.base import _fit_context as fit_context
from sklearn.model_selection._validation import _fit_and_score as fit_and_score
from sklearn.model_selection._validation import _insert_error_scores as insert_error_scores
from sklearn.model_selection._validation import _warn_or_raise_about_fit_failures as report_failures
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._missing import is_pandas_na
from sklearn.utils._param_validation import Hidden, Interval, InvalidParameterError, StrOptions, validate_params
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_method_params as check_method_params
from sklearn.utils.validation import _check_sample_weight

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock as VisualBlock
except ImportError:  # scikit-learn 1.6
    from sklearn.utils._estimator_html_repr import _VisualBlock as VisualBlock

__all__ = [
    "Hidden",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "VisualBlock",
    "check_feature_names_in",
    "check_method_params",
    "check_sample_weight",
    "clone_parametrized",
    "fit_and_score",
    "fit_context",
    "insert_error_scores",
    "is_pandas_na",
    "report_failures",
    "safe_indexing",
    "validate_params",
]

_REFUSES_ALL_ZERO = "allow_all_zero_weights" in inspect.signature(_check_sample_weight).parameters


def check_sample_weight(sample_weight: ArrayLike | None, X: np.ndarray) -> np.ndarray:
    """Return the weights of the rows of X as float64, checked to be finite, >= 0 and not all zero."""
    options = {"allow_all_zero_weights": False} if _REFUSES_ALL_ZERO else {}
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True, **options)
    if not weight.any():  # versions before 1.9 let this pass
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight
