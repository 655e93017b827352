"""The sets of colour images: what is drawn, and that training and test rows share no pixels."""

import numpy as np
import pytest

from benchmarks import images


@pytest.fixture
def numbered(monkeypatch):
    """Two images whose pixels are numbers of their own, in place of those of scikit-image."""
    pixels = np.arange(2 * 200 * 300).reshape(2, 200, 300)
    monkeypatch.setattr(images, "pictures", lambda names: list(pixels))
    return pixels


@pytest.mark.parametrize("size", [24, 64])
def test_patches_of_training_and_test_rows_share_no_pixels(numbered, size):
    X, y, X_test, y_test = images.patches((), size, np.random.default_rng(0))
    assert X.shape == X_test.shape == (images.N_ROWS, size, size)
    assert not set(X.ravel()) & set(X_test.ravel())
    for rows, labels in ((X, y), (X_test, y_test)):
        assert (rows.min((1, 2)) // numbered[0].size == labels).all()  # the label is the image
        assert set(labels) == {0, 1}


@pytest.mark.parametrize("name", ["digits-8", "mnist-28"])
def test_tints_are_those_of_an_image_and_not_of_its_class(name):
    X, y, X_test, _ = images.split_of(name, 5)
    assert X.dtype == X_test.dtype == (np.uint8 if name in images.UINT8 else np.float32)
    assert X.shape[0] == X_test.shape[0] == images.N_ROWS
    assert X.shape[3] == 3
    dark = X.min((1, 2)) / X.max()
    assert np.corrcoef(dark[:, 0], y)[0, 1] == pytest.approx(0, abs=0.15)
    assert np.corrcoef(dark[:, 0], dark[:, 1])[0, 1] == pytest.approx(0, abs=0.15)
