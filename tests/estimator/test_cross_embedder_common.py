"""scikit-learn's own checks of the cross embedder, with y as the second measurement."""

import pytest
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from .test_cross_embedder import quick

SAMPLE_WEIGHT = (
    "Training in random batches with random views: repeating a row draws other batches and views than weighing it."
)
PAIR = "fit_transform returns both projections, as that of scikit-learn's CCA does, which is excepted by its name."
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": SAMPLE_WEIGHT,
    "check_sample_weight_equivalence_on_sparse_data": SAMPLE_WEIGHT,
    "check_transformer_general": PAIR,
    "check_transformer_data_not_an_array": PAIR,
}


@parametrize_with_checks([quick()], expected_failed_checks=lambda _: EXPECTED_FAILURES)
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", EXPECTED_FAILURES)
def test_only_the_expected_checks_fail(check):
    """An expected failure that starts to pass must be taken off the list."""
    with pytest.raises(AssertionError, match=r"not equivalent to fitting|fit_transform and transform outcomes"):
        getattr(estimator_checks, check)("GCACrossEmbedder", quick())


@pytest.mark.parametrize("check", [name for name, reason in EXPECTED_FAILURES.items() if reason == PAIR])
def test_by_the_name_of_cca_it_passes_them(check):
    getattr(estimator_checks, check)("CCA", quick())
