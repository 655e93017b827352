"""GCARegressor: predicts numbers from few labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.utils import check_array, column_or_1d

from .._utils.compat import fit_context
from .few_labels import FewLabels, labelled_only
from .fine_tuning import Task, regression
from .heads import GivenHead, Heads

__all__ = ["GCARegressor"]


class GCARegressor(RegressorMixin, FewLabels):
    """Regressor for few labels: learns an embedding of all rows, and predicts from those with a value.

    Use it to predict numbers if they are known for few of many rows. For classes, use :class:`GCAClassifier`. If all
    rows have a value, fit an ordinary regressor, alone or after a :class:`GCAEmbedder` in a pipeline.

    See :class:`GCAClassifier`, from which it differs in the head and in its loss, the squared error.

    Parameters
    ----------
    embedder : GCAEmbedder, default=None
        As in :class:`GCAClassifier`.
    head : regressor, default=None
        Fitted to the embeddings of the rows with a value, which are standardised. None is ``Ridge()``.
    fine_tune, n_steps, lr, cv, random_state, verbose
        As in :class:`GCAClassifier`.

    Attributes
    ----------
    embedder_ : GCAEmbedder
        Fitted embedder, after fine-tuning if there was any.
    head_ : regressor
        Fitted head, which predicts standardised values.
    mean_, scale_ : ndarray of shape () or (k,)
        Mean and deviation of the values.
    n_steps_ : int
        Number of steps of fine-tuning; 0 if the encoder was left as it was.
    ways_ : list of dict
        Mean squared error of held-out rows with and without fine-tuning, in units of ``scale_ ** 2``, as in
        :class:`GCAClassifier`; empty if nothing was compared.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of features seen during ``fit``. Defined only if X was a data frame whose column names are all strings.

    See Also
    --------
    GCAClassifier : The same for classes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from skgca import GCARegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> few = np.where(np.arange(len(y)) % 8 == 0, y, np.nan)
    >>> model = GCARegressor(random_state=0, fine_tune=False)
    >>> model = model.set_params(embedder__max_epochs=20)
    >>> model.fit(X, few).predict(X[:3]).shape
    (3,)
    """

    def _default_head(self) -> Any:
        return Ridge()

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        sample_domain: ArrayLike | None = None,
        sample_group: ArrayLike | None = None,
    ) -> GCARegressor:
        """Learn the embedding from all rows, and the head from the rows with a value.

        Parameters
        ----------
        X : as in :meth:`GCAEmbedder.fit`
            All rows, with and without a value.
        y : array-like of shape (n_samples,) or (n_samples, k)
            Values. NaN marks rows without one.
        sample_weight, sample_domain, sample_group
            As in :meth:`GCAClassifier.fit`.

        Returns
        -------
        GCARegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If y has no value, or holds an infinite one.
        """
        fitted: GCARegressor = self._fit(X, y, sample_weight, sample_domain=sample_domain, sample_group=sample_group)
        return fitted

    def _read_labels(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        y = check_array(y, ensure_2d=False, dtype=np.float64, ensure_all_finite="allow-nan", input_name="y")
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        known = ~np.isnan(y) if y.ndim == 1 else ~np.isnan(y).any(axis=1)
        if not known.any():
            raise ValueError("y holds no value: all of its entries are NaN. Give some rows a value.")
        self.mean_ = y[known].mean(axis=0)
        deviation = y[known].std(axis=0)
        self.scale_ = np.where(deviation > 0, deviation, 1.0)
        return (y - self.mean_) / self.scale_, known

    def _heads(self, seed: int) -> Heads:
        return GivenHead(self._part("head"))

    def _task(self) -> Task:
        return regression()

    def _folds(self, y: np.ndarray, seed: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        n_splits = min(self.cv, len(y) // 2)
        return list(KFold(n_splits, shuffle=True, random_state=seed).split(y)) if n_splits >= 2 else []

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict values.

        Parameters
        ----------
        X : as in :meth:`GCAEmbedder.transform`

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, k)
        """
        Z = self._embed(X)
        predicted: np.ndarray = self.head_.predict(Z) * self.scale_ + self.mean_
        return predicted

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the coefficient of determination on rows with a value.

        Parameters
        ----------
        X : as in :meth:`GCAEmbedder.transform`
        y : array-like of shape (n_samples,) or (n_samples, k)
            Values. Rows of NaN are left out.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float

        Warns
        -----
        UserWarning
            If rows were left out.
        """
        X, y, sample_weight = labelled_only(X, y, sample_weight, measured=True)
        return float(super().score(X, y, sample_weight))
