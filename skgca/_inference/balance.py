"""How large the embedding is beside the inputs that pass through with it.

A penalised linear model of [embedding, inputs] relies on the block that has more variance. The embedding of a table has
up to a hundred times the variance of the inputs, and more effective dimensions. That is right where rows form groups,
since an encoder learns from rows without labels how columns depend on each other. If the columns do not depend on each
other, or only linearly, the embedding says nothing about classes that the inputs do not say, and a model of few or
noisy rows fits their noise in it. Therefore the scale of the embedding depends on how well columns are predicted from
each other beyond a linear model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn import config_context
from sklearn.linear_model import Ridge
from sklearn.tree import ExtraTreeRegressor
from torch import Tensor

from .._data.rows import spaced
from ..encoders import participation_ratio

__all__ = ["DependenceEstimate", "embedding_scale", "nonlinear_dependence"]

_ENOUGH = 0.05  # nonlinear dependence from which on the embedding keeps its scale
_MOST_ROWS, _MOST_TARGETS, _MOST_PREDICTORS = 1000, 8, 32  # from which the dependence is estimated
_TRAINING_SHARE = 2 / 3
_N_TREES = 10


class DependenceEstimate:
    """The :func:`nonlinear_dependence` of a growing sample, which is estimated anew once the sample has doubled.

    An estimate takes as long as ten steps of training, too long for each call of ``partial_fit``.
    """

    def __init__(self) -> None:
        self._n_rows = 0
        self._value = 0.0

    def of(self, inputs: np.ndarray, columns: Sequence[int]) -> float:
        """Return the dependence of a sample (n, d), or that of an earlier one of more than n / 2 rows."""
        if len(inputs) >= 2 * self._n_rows:
            self._value, self._n_rows = nonlinear_dependence(inputs, columns), len(inputs)
        return self._value


def embedding_scale(
    embedding: Tensor, inputs: Tensor, columns: Sequence[int], estimate: DependenceEstimate | None = None
) -> float:
    """Return the factor, at most 1, by which an embedding is multiplied beside inputs.

    Without nonlinear dependence among the inputs, the factor is such that the embedding has no more variance than the
    inputs, neither in all nor for each effective dimension. With a dependence of 0.05 or more it is 1. In between it is
    interpolated on a logarithmic scale.

    Parameters
    ----------
    embedding : Tensor of shape (n, k)
        Embeddings of training rows.
    inputs : Tensor of shape (n, d)
        What passes through, of the same rows.
    columns : sequence of int, of shape (d,)
        Number of the column of X from which each input is made.
    estimate : DependenceEstimate, default=None
        Estimate of earlier samples of these inputs, if there were any.
    """
    if not inputs.shape[1]:
        return 1.0  # columns of many categories do not pass through
    variance, of_inputs = (float(block.double().var(dim=0, correction=0).sum()) for block in (embedding, inputs))
    if variance <= of_inputs or of_inputs == 0:
        return 1.0
    dimensions = participation_ratio(inputs) / participation_ratio(embedding)
    ratio = of_inputs / variance * min(1.0, dimensions)
    dependence = (estimate or DependenceEstimate()).of(inputs.numpy(), columns)
    return float(ratio ** (0.5 * max(0.0, 1 - dependence / _ENOUGH)))


def nonlinear_dependence(inputs: np.ndarray, columns: Sequence[int]) -> float:
    """Return how well columns are predicted from the others beyond a linear model, from 0 (not at all) to 1.

    A ridge regression predicts a column from others, and extremely randomised trees predict its residuals. The result
    is by how much the trees raise the share of the variance that is explained on other rows, the median of up to eight
    columns. It is estimated from up to 1,000 rows.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
    columns : sequence of int, of shape (d,)
        Inputs of the same number, such as the one-hot columns of a category, are predicted together.
    """
    random = np.random.RandomState(0)  # the estimate does not depend on the random_state of the estimator
    rows = random.permutation(spaced(len(inputs), _MOST_ROWS))
    table = inputs[rows].astype(np.float64)
    varying = table.std(axis=0) > 0
    table, source = table[:, varying], np.asarray(columns)[varying]
    n_training = int(_TRAINING_SHARE * len(rows))
    sources = np.unique(source)
    if len(sources) < 2 or not 0 < n_training < len(rows):
        return 0.0
    shares = []
    for target in sources[spaced(len(sources), _MOST_TARGETS)]:
        others = random.permutation(np.flatnonzero(source != target))[:_MOST_PREDICTORS]
        shares.append(_explained(table[:, others], table[:, source == target], n_training))
    return float(np.median(shares))


def _explained(predictors: np.ndarray, target: np.ndarray, n_training: int) -> float:
    """Return by how much trees raise the share of a target (n, m) that a linear model explains, on the last rows."""
    linear = Ridge(alpha=0.01).fit(predictors[:n_training], target[:n_training])
    residuals = target - linear.predict(predictors).reshape(target.shape)
    known, held_out = residuals[:n_training], residuals[n_training:]
    seeds = np.random.RandomState(0).randint(np.iinfo(np.int32).max, size=_N_TREES)
    # ExtraTreesRegressor would go through joblib, whose backend may be that of a cluster
    trees = [ExtraTreeRegressor(min_samples_leaf=3, random_state=int(seed)) for seed in seeds]
    # rows as trees read them, and no checks: to check them and the parameters takes longer than to grow a small tree
    read, asked = (np.ascontiguousarray(rows, dtype=np.float32) for rows in np.split(predictors, [n_training]))
    with config_context(skip_parameter_validation=True):
        found = [tree.fit(read, known, check_input=False).predict(asked, check_input=False) for tree in trees]
    left = held_out - np.mean(found, axis=0).reshape(held_out.shape)
    of_target = target[n_training:] - target[:n_training].mean(axis=0)
    total, linear_rest, rest = (float(np.square(errors).sum()) for errors in (of_target, held_out, left))
    return max(0.0, min(total, linear_rest) - rest) / total if total > 0 else 0.0
