"""Small and odd data, and data that cannot be trained on."""

from functools import partial

import numpy as np
import pytest

from skgca.losses import PRESETS

from .. import models

quick = partial(models.quick, passthrough=False)


def normal(n, d=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def check(model, X):
    """Fit, and hold that training moved the weights and the embedding is finite."""
    y = np.arange(len(X)) % 2 if model.loss == "supcon" else None
    embedding = model.fit(X, y).transform(X)
    assert embedding.shape == (len(X), model.n_components)
    assert np.isfinite(embedding).all()
    assert model.n_epochs_ == model.max_epochs
    untrained = quick(**{**model.get_params(), "max_epochs": 0}).fit(X, y).transform(X)
    assert not np.array_equal(embedding, untrained)


@pytest.mark.parametrize("loss", PRESETS)
@pytest.mark.parametrize("layout", ["joint", "cross"])
@pytest.mark.parametrize(
    ("n", "batch_size"), [(2, 256), (3, 2), (7, 256), (257, 256), (33, 32)], ids=lambda size: str(size)
)
def test_any_number_of_rows_against_any_batch(loss, layout, n, batch_size):
    check(quick(loss=loss, layout=layout, batch_size=batch_size), normal(n))


ODD = {
    "one column": normal(30, 1),
    "constant columns": np.column_stack([normal(30), np.ones(30), np.full(30, 1e8)]),
    "duplicated rows": np.repeat(normal(10), 3, axis=0),
    "float16": normal(30).astype(np.float16),
    "int": (10 * normal(30)).astype(np.int64),
    "bool": normal(30) > 0,
    "Fortran order": np.asfortranarray(normal(30)),
    "strided": normal(60, 8)[::2, ::2],
    "big endian": normal(30).astype(">f8"),
    "large values": 1e30 * normal(30),
    "tiny values": 1e-30 * normal(30),
    "list of lists": normal(30).tolist(),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_data(name):
    check(quick(), ODD[name])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_read_only_data_is_left_as_it_was(dtype):
    X = normal(30).astype(dtype)
    X.flags.writeable = False
    before = X.copy()
    check(quick(standardize=False), X)
    check(quick(), X)
    assert np.array_equal(X, before)


def test_only_constant_columns_embed_all_rows_alike():
    embedding = quick().fit(np.ones((10, 3))).transform(np.ones((10, 3)))
    assert np.isfinite(embedding).all()
    assert (embedding == embedding[0]).all()


def test_rows_far_from_the_training_data_stay_finite():
    X = normal(30)
    model = quick().fit(X)
    for factor in (1e6, 1e30, 1e150):
        with pytest.warns(UserWarning, match="X holds rows far from those that fit got, in 4 of 4 columns"):
            embedding = model.transform(factor * X)
        assert np.isfinite(embedding).all()


BAD = {
    "inf": (np.where(np.eye(4, 3, dtype=bool), np.inf, 1.0), "contains infinity in column 0"),
    "no rows": (np.empty((0, 3)), r"0 sample\(s\).* minimum of 2 is required"),
    "one row": (np.ones((1, 3)), r"1 sample\(s\).* minimum of 2 is required"),
    "no columns": (np.empty((5, 0)), r"0 feature\(s\).* minimum of 1 is required"),
    "complex": (np.ones((4, 3)) * 1j, "Complex data not supported"),
    "ragged": ([[1.0, 2.0], [1.0]], "inhomogeneous|setting an array element with a sequence"),
    "one dimension": (np.ones(5), "Reshape your data"),
    "images of few pixels": (np.ones((5, 2, 2)), r"Images of 2 x 2 pixels are too small.*X.reshape\(len\(X\), -1\)"),
    "five dimensions": (np.ones((5, 2, 2, 2, 2)), r"Found array with dim 5.*tables \(n, columns\)"),
    "numbers as text": (
        np.array([["1.5", "b"], ["2", "d"]]),
        r"Column 0 holds numbers as text, such as .*astype\(float\)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_data_that_cannot_be_trained_on(name):
    X, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        quick().fit(X)


def test_another_width_at_transform_is_refused():
    fitted = quick().fit(normal(30))
    with pytest.raises(ValueError, match="X has 3 features, but GCAEmbedder is expecting 4"):
        fitted.transform(normal(30, 3))
    with pytest.raises(ValueError, match="contains infinity in column 2"):
        fitted.transform(np.where(np.arange(4) == 2, -np.inf, 1.0)[None])


def test_values_too_large_for_float32_name_their_column():
    X = normal(30)
    X[3, 2] = 1e300
    with pytest.raises(ValueError, match=r"X\[3, 2\] = .*1e\+300.* too large for float32; scale column 2"):
        quick(standardize=False).fit(X)


@pytest.mark.parametrize("size", [1e200, 1e308])
def test_values_too_large_to_standardise_name_their_column(size):
    X = normal(30)
    X[:, 1] = size
    X[:9, 1] = -size
    with pytest.raises(ValueError, match=r"Column 1 of X holds values up to 1e\+\d+ in size, too large to standardise"):
        quick().fit(X)


def test_an_embedding_that_overflows_is_refused():
    fitted = quick(standardize=False, hidden_layer_sizes=(256, 256)).fit(normal(30))
    with pytest.raises(ValueError, match=r"embedding of row 1 is not finite.*3e\+38.*standardize=True"):
        fitted.transform(np.vstack([normal(1), np.full((1, 4), 3e38)]))


def test_fit_from_a_read_only_memory_map(tmp_path):
    np.save(tmp_path / "X.npy", normal(50))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    check(quick(), X)
    assert np.array_equal(quick().fit(X).transform(X), quick().fit(normal(50)).transform(normal(50)))
