"""The only place for private or version-dependent imports from scikit-learn and skorch.

Everything here has no public name in scikit-learn 1.6 to 1.9, or moved between those versions. If an upgrade breaks a
private name, this is the file to change.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _clone_parametrized as clone_parametrized
from sklearn.base import _fit_context
from sklearn.model_selection._validation import _fit_and_score as fit_and_score
from sklearn.model_selection._validation import _insert_error_scores as insert_error_scores
from sklearn.model_selection._validation import _warn_or_raise_about_fit_failures as report_failures
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._missing import is_pandas_na
from sklearn.utils._param_validation import HasMethods, Hidden, Interval, InvalidParameterError, StrOptions
from sklearn.utils._param_validation import validate_params as _validate_params
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_method_params as check_method_params
from sklearn.utils.validation import _check_sample_weight

from .documentation import documentation_url

try:
    from sklearn.utils._repr_html.estimator import _VisualBlock as VisualBlock
except ImportError:  # scikit-learn 1.6
    from sklearn.utils._estimator_html_repr import _VisualBlock as VisualBlock

__all__ = [
    "DocumentationLinkMixin",
    "HasMethods",
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

Function = TypeVar("Function", bound=Callable[..., Any])

# The option is there from scikit-learn 1.9 on.
_REFUSES_ALL_ZERO = "allow_all_zero_weights" in inspect.signature(_check_sample_weight).parameters


def check_sample_weight(sample_weight: ArrayLike | None, X: np.ndarray) -> np.ndarray:
    """Return the weights of the rows of X as float64, checked to be finite, >= 0 and not all zero."""
    options = {"allow_all_zero_weights": False} if _REFUSES_ALL_ZERO else {}
    weight: np.ndarray = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True, **options)
    if not weight.any():  # versions before 1.9 accept zeros
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weight


# scikit-learn's decorators are not typed, and would make the functions that they decorate untyped too.


def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Function], Function]:
    """Return scikit-learn's decorator of ``fit``, which checks the parameters of the estimator."""
    decorator: Callable[[Function], Function] = _fit_context(
        prefer_skip_nested_validation=prefer_skip_nested_validation
    )
    return decorator


def validate_params(
    constraints: Mapping[str, Any], *, prefer_skip_nested_validation: bool
) -> Callable[[Function], Function]:
    """Return scikit-learn's decorator of functions, which checks their arguments."""
    decorator: Callable[[Function], Function] = _validate_params(
        constraints, prefer_skip_nested_validation=prefer_skip_nested_validation
    )
    return decorator


class DocumentationLinkMixin:
    """Lets the HTML of an estimator link to its page, by the names that scikit-learn reads.

    Without a :func:`documentation_url` there is no link, as one that leads nowhere would be worse. Subclasses that
    users write have no page and no link.
    """

    @property
    def _doc_link_module(self) -> str:
        return "skgca" if documentation_url() else ""  # no module has the second name

    @property
    def _doc_link_template(self) -> str:
        # scikit-learn fills in the public module and the name; sphinx's autosummary names its pages like this
        return f"{documentation_url()}/api/generated/{{estimator_module}}.{{estimator_name}}.html"
