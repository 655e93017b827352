"""Training over ranks: the gradient and the weights of one process, the same on all ranks."""

import itertools
from unittest.mock import patch

import numpy as np
import pytest
import torch

from skgca.losses import PRESETS, LearnableEpsilon, RelationalTarget, TransportTarget
from skgca.ot import _memory

from ..ranks import on_ranks
from .ranks_net import assert_close, assert_close_weights, first_view, second_view, third_view, train_in_double

NEEDS_Y = {"supcon"}


def _cases(n_rows):
    """Every preset x layout x normalisation x micro-batch."""
    for loss, layout, normalization, micro in itertools.product(
        PRESETS, ("joint", "cross"), ("batch", "layer", None), (None, 7)
    ):
        reads = ("y",) if loss in NEEDS_Y else ()
        params = {"loss": loss, "layout": layout, "normalization": normalization, "micro_batch_size": micro}
        yield params, n_rows, reads


def _uneven_cases():
    """A batch that two ranks share unevenly, in parts of unequal numbers too."""
    return _cases(31)


def _even_cases():
    return _cases(32)


def _other_cases():
    """Weights, groups, domains, labels, targets that read embeddings, several views, a learned epsilon, other costs."""
    for params, reads in (
        ({}, ("sample_weight",)),
        ({}, ("sample_group",)),
        ({"target": "domains", "beta": 0.05}, ("sample_domain",)),
        ({"target": "labels"}, ("y", "sample_weight")),
        ({"target": RelationalTarget(0.2), "micro_batch_size": 7}, ("sample_weight",)),
        ({"target": TransportTarget(0.2, 0.2)}, ("sample_domain",)),
        ({"views": [first_view, second_view, third_view]}, ()),
        ({"views": [first_view, second_view, third_view], "view_pairs": "worst"}, ("sample_weight",)),
        ({"epsilon": LearnableEpsilon(0.3)}, ()),
        ({"epsilon": LearnableEpsilon(0.3), "marginals": 1.0, "micro_batch_size": 4}, ("sample_weight",)),
        ({"cost": "sqeuclidean", "epsilon": 2.0}, ()),
        ({"cost": "student_t", "epsilon": 1.0}, ()),
        ({"sinkhorn_tol": 1e-9, "sinkhorn_n_iter": 500, "sinkhorn_gradient": "implicit"}, ()),
        ({"epsilon": 0.01}, ()),
        ({"loss": "gca_uot", "entropy_weight": 0.1, "marginal_weight": 0.1}, ()),
        ({"loss": "byol", "views": [first_view, second_view, third_view], "micro_batch_size": 11}, ("sample_weight",)),
    ):
        for n_rows in (24, 25):
            yield params, n_rows, reads


def _train_all(rank, cases, distributed=True):
    return [train_in_double(*case, distributed=distributed) for case in cases]


def _train_with_shared_plans(rank, cases):
    """Train where the ranks share the tiles of each plan, as they do in large batches."""
    with patch.object(_memory, "_ALWAYS_KEPT", 0):
        return _train_all(rank, cases)


@pytest.mark.parametrize(
    ("n_ranks", "make_cases", "train"),
    [
        (2, _uneven_cases, _train_all),
        pytest.param(2, _even_cases, _train_all, marks=pytest.mark.slow),
        (2, _other_cases, _train_all),
        (3, _other_cases, _train_all),
        (3, _other_cases, _train_with_shared_plans),
    ],
)
def test_the_gradient_is_that_of_one_process(n_ranks, make_cases, train):
    cases = list(make_cases())
    expected = _train_all(0, cases, distributed=False)
    for of_rank in on_ranks(n_ranks, train, cases, seconds=120):
        for case, (gradient, _, losses), one in zip(cases, of_rank, expected, strict=True):
            try:
                assert_close(gradient, one[0], 1e-10)
                np.testing.assert_allclose(losses, one[2], rtol=1e-11)
            except AssertionError as error:
                raise AssertionError(f"{case}: {error}") from error


WHOLE_FITS = [
    ({"max_epochs": 4, "batch_size": 16}, 70, ()),
    ({"max_epochs": 4, "batch_size": 16, "micro_batch_size": 5}, 70, ()),
    ({"max_epochs": 4, "batch_size": 16, "loss": "byol"}, 70, ()),
    ({"max_epochs": 4, "batch_size": 16, "loss": "byol", "micro_batch_size": 5}, 70, ("sample_weight",)),
    ({"max_epochs": 4, "batch_size": 16, "epsilon": LearnableEpsilon(0.3), "normalization": "layer"}, 70, ()),
    ({"max_epochs": 6, "batch_size": 16, "early_stopping": True, "tol": 0.0, "n_iter_no_change": 2}, 70, ()),
]


def test_a_fit_is_that_of_one_process_and_the_same_on_all_ranks():
    expected = _train_all(0, WHOLE_FITS, distributed=False)
    first, second = on_ranks(2, _train_all, WHOLE_FITS)
    again, _ = on_ranks(2, _train_all, WHOLE_FITS)
    for k, (gradient, weights, losses) in enumerate(expected):
        assert len(first[k][1]) == len(weights) > 1
        for of_epoch, theirs, repeated, one in zip(first[k][1], second[k][1], again[k][1], weights, strict=True):
            for name in one:
                assert torch.equal(of_epoch[name], theirs[name]), name
                assert torch.equal(of_epoch[name], repeated[name]), name
            assert_close_weights(of_epoch, one, gradient, 1e-9)
        np.testing.assert_allclose(first[k][2], losses, rtol=1e-10)
