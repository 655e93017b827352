"""scikit-learn's own checks of classifiers and regressors."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skgca import GCAClassifier, GCARegressor

from ..models import quick

pytestmark = pytest.mark.usefixtures("few_trees")

SAMPLE_WEIGHT = (
    "Training in random batches with random views: repeating a row draws other batches and views than weighing it."
)
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": SAMPLE_WEIGHT,
    "check_sample_weight_equivalence_on_sparse_data": SAMPLE_WEIGHT,
    "check_classifiers_classes": "-1 marks rows without a label, as in sklearn.semi_supervised, which is excepted.",
}
# The network computes in single precision. On some processors the embedding of a row differs by one rounding, 1.2e-7,
# if the row stands elsewhere in X; the check allows 1e-7.
EXPECTED_FAILURES["check_methods_sample_order_invariance"] = "Rounding in single precision, on some processors."
FEW_STEPS = {"n_steps": 8, "cv": 2, "random_state": 0}
ESTIMATORS = [GCAClassifier(quick(), **FEW_STEPS), GCARegressor(quick(), **FEW_STEPS)]


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda _: EXPECTED_FAILURES)
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", ["check_sample_weight_equivalence_on_dense_data", "check_classifiers_classes"])
def test_only_the_expected_checks_fail(name):
    with pytest.raises((AssertionError, ValueError), match=r"not equivalent to fitting|y holds one class only"):
        getattr(estimator_checks, name)("GCAClassifier", ESTIMATORS[0])


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_order_of_rows_changes_nothing_but_rounding(estimator):
    X, y = make_blobs(60, random_state=0)
    order = np.random.default_rng(0).permutation(60)
    model = estimator.fit(X, y)
    for method in ("predict", "predict_proba", "decision_function"):
        if hasattr(model, method):
            of_rows = getattr(model, method)
            np.testing.assert_allclose(of_rows(X)[order], of_rows(X[order]), rtol=1e-5, atol=1e-6)
