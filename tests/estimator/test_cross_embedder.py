"""GCACrossEmbedder: two kinds of measurement in one space, by the interface of scikit-learn's CCA."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skgca import SKOPS_TRUSTED, GCACrossEmbedder, GCAEmbedder
from skgca._training.net import ContrastiveNet
from skgca._utils.compat import InvalidParameterError
from skgca.exceptions import SavedFileError
from skgca.losses import PRESETS

from ..models import quick as quick_embedder

SMALL = {"n_components": 6, "max_epochs": 3, "random_state": 0}


def side(**params):
    """Return an embedder of small sizes, with the parameters that a side may have."""
    sizes = {} if params.get("encoder") in ("conv", "rocket") else {"hidden_layer_sizes": (16,)}
    return GCAEmbedder(**{"n_components": 8, **sizes, **params})


def quick(**params):
    """Return a cross embedder that trains in a fraction of a second."""
    return GCACrossEmbedder(**{"embedder": side(), "embedder_y": side(), **SMALL, **params})


@pytest.fixture(scope="module")
def pairs():
    """Two linear measurements of four numbers, with noise: tables of 5 and of 7 columns."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(90, 4))
    X, Y = (hidden @ rng.normal(size=(4, width)) + 0.1 * rng.normal(size=(90, width)) for width in (5, 7))
    return X, Y


@pytest.fixture(scope="module")
def fitted(pairs):
    return quick().fit(*pairs)


@pytest.fixture(scope="module")
def halves():
    """The upper half of digits as images, and their lower half as a table."""
    images = load_digits().images[:1000]
    return images[:, :4], images[:, 4:].reshape(1000, -1)


# The interface of CCA


def test_both_measurements_are_directions_in_one_space(pairs, fitted):
    X, Y = pairs
    Z_x, Z_y = fitted.transform(X, Y)
    assert Z_x.shape == Z_y.shape == (90, 6)
    assert Z_x.dtype == Z_y.dtype == np.float64
    for Z in (Z_x, Z_y):
        np.testing.assert_allclose(np.linalg.norm(Z, axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(fitted.transform(X), Z_x)
    np.testing.assert_array_equal(fitted.transform_y(Y), Z_y)
    assert fitted.transform(X.astype(np.float32)).dtype == np.float32
    assert [fitted.n_features_in_, fitted.embedder_y_.n_features_in_] == [5, 7]


def test_fit_transform_is_that_of_cca(pairs, fitted):
    for one, other in zip(quick().fit_transform(*pairs), fitted.transform(*pairs), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_measurement_is_found_among_rows_that_were_held_out(halves):
    images, table = halves
    model = GCACrossEmbedder(GCAEmbedder(image_shape=(4, 8), hidden_layer_sizes=(8, 16)), max_epochs=12, random_state=0)
    model.fit(images[:800].reshape(800, -1), table[:800])
    X, Y = images[800:].reshape(200, -1), table[800:]
    assert model.score(X, Y) > 20 / 200  # by chance 1 / 200
    Z_x, Z_y = model.transform(X, Y)
    near = (Z_x @ Z_y.T).argmax(axis=1) == np.arange(200), (Z_x @ Z_y.T).argmax(axis=0) == np.arange(200)
    assert model.score(X, Y) == pytest.approx(np.mean(near))


def test_the_score_is_at_chance_for_rows_of_another_order(halves):
    images, table = halves
    model = quick(max_epochs=5).fit(images[:200].reshape(200, -1), table[:200])
    assert model.score(images[200:].reshape(800, -1), np.roll(table[200:], 100, axis=0)) < 10 / 800


def test_columns_have_names(pairs, fitted):
    assert fitted.get_feature_names_out().tolist() == [f"gcacrossembedder{k}" for k in range(6)]
    frame, Z_y = quick().set_output(transform="pandas").fit(*pairs).transform(*pairs)
    assert list(frame) == list(fitted.get_feature_names_out())
    assert isinstance(Z_y, np.ndarray)  # as of CCA


def test_it_works_in_a_pipeline_and_a_search(pairs):
    X, Y = pairs
    model = Pipeline([("scale", StandardScaler()), ("cross", quick())]).fit(X, Y)
    assert model.transform(X).shape == (90, 6)
    assert model.score(X, Y) == model[-1].score(model[0].transform(X), Y)
    search = GridSearchCV(model, {"cross__epsilon": [0.1, 0.5], "cross__embedder_y__hidden_layer_sizes": [(8,)]}, cv=2)
    search.fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_parameters_of_embedders_that_are_none():
    model = GCACrossEmbedder().set_params(embedder_y__encoder="resnet_mlp")
    assert model.embedder is None
    assert model.embedder_y.encoder == "resnet_mlp"
    assert clone(model).get_params()["embedder__encoder"] == "auto"


# Any two kinds of data


def mixed(n_rows):
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "age": np.where(rng.random(n_rows) < 0.2, np.nan, rng.normal(size=n_rows)),
            "ward": pd.Categorical(rng.choice(["A", "B"], n_rows)),
            "text": rng.choice(["low", "high"], n_rows),
        }
    )


KINDS = {
    "table": (lambda rng: rng.normal(size=(40, 3)), side()),
    "frame": (lambda rng: mixed(40), side()),
    "images": (lambda rng: rng.integers(0, 256, (40, 8, 8), dtype=np.uint8), side(encoder="conv", views="clean")),
    "series": (lambda rng: rng.normal(size=(40, 2, 12)), side(encoder="conv1d", hidden_layer_sizes=None)),
    "lists of series": (
        lambda rng: [rng.normal(size=(1, 20 + k % 5)) for k in range(40)],
        side(encoder="rocket", hidden_layer_sizes=None),
    ),
}


@pytest.mark.parametrize(("first", "second"), [*zip(KINDS, [*KINDS][1:], strict=False), ("series", "table")])
def test_any_two_kinds_of_data(first, second):
    rng = np.random.default_rng(0)
    (make_x, of_x), (make_y, of_y) = KINDS[first], KINDS[second]
    X, Y = make_x(rng), make_y(rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nothing is to be learned
        model = quick(embedder=of_x, embedder_y=of_y, max_epochs=1).fit(X, Y)
    Z_x, Z_y = model.transform(X, Y)
    assert Z_x.shape == Z_y.shape == (40, 6)
    assert np.isfinite([Z_x, Z_y]).all()
    assert len(np.unique(Z_y.round(4), axis=0)) > 1


@pytest.mark.parametrize(
    "as_given", [list, np.asarray, pd.Series, lambda values: pd.Series(values, name="value"), lambda v: v[:, None]]
)
def test_one_value_for_each_row_is_a_table_of_one_column(pairs, as_given):
    X, Y = pairs
    values = as_given(Y[:, 0])
    model = quick().fit(X, values)
    assert model.embedder_y_.n_features_in_ == 1
    np.testing.assert_array_equal(model.transform_y(values), quick().fit(X, Y[:, :1]).transform_y(Y[:, :1]))


def test_the_embedders_of_the_sides_are_fitted(pairs, fitted):
    X, Y = pairs
    assert fitted.embedder_.transform(X).shape[0] == fitted.embedder_y_.transform(Y).shape[0] == 90
    np.testing.assert_allclose(fitted.embedder_y_.transform(Y)[:3], fitted.embedder_y_.reference_[:3], rtol=1e-5)
    assert fitted.embedder_.outlier_score(X).shape == (90,)


# Views


def test_auto_changes_tables_and_leaves_images_as_they_are(monkeypatch):
    seen = []
    monkeypatch.setattr(
        ContrastiveNet, "make_views", lambda self, x, make=ContrastiveNet.make_views: seen.append((x, make(self, x)))
    )
    rng = np.random.default_rng(0)
    with pytest.raises(TypeError):  # the spy returns nothing
        quick(embedder=side(encoder="conv")).fit(rng.random((40, 8, 8)), rng.random((40, 6)))
    inputs, views = seen[0]
    assert torch.equal(inputs[0], views[0])
    assert not torch.equal(inputs[1], views[1])


# Random numbers, weights, rows


def test_the_same_bits_and_no_trace_in_the_global_generators(pairs, fitted):
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    expected = np.random.random(2), torch.rand(2)  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    again = quick(embedder=side(dropout=0.2)).fit(*pairs)
    np.testing.assert_array_equal(np.random.random(2), expected[0])  # noqa: NPY002
    assert torch.equal(torch.rand(2), expected[1])
    np.testing.assert_array_equal(quick().fit(*pairs).transform(pairs[0]), fitted.transform(pairs[0]))
    assert not np.array_equal(again.transform(pairs[0]), fitted.transform(pairs[0]))
    other = quick(random_state=1).fit(*pairs)
    assert not np.array_equal(other.transform(pairs[0]), fitted.transform(pairs[0]))


def test_the_encoders_of_equal_measurements_start_from_other_weights(pairs):
    model = quick(max_epochs=0).fit(pairs[0], pairs[0])
    Z_x, Z_y = model.transform(pairs[0], pairs[0])
    assert not np.allclose(Z_x, Z_y)


def test_a_pair_of_weight_zero_is_left_out(pairs):
    X, Y = pairs
    weight = np.where(np.arange(90) % 3 == 0, 0.0, 2.0)
    kept = weight > 0
    expected = quick().fit(X[kept], Y[kept]).transform(X, Y)
    for one, other in zip(quick().fit(X, Y, sample_weight=weight).transform(X, Y), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    heavier = quick().fit(X, Y, sample_weight=np.where(np.arange(90) < 45, 5.0, 1.0))
    assert not np.allclose(heavier.transform(X), quick().fit(X, Y).transform(X))


def test_pairs_count_and_not_the_rows_of_either_side(pairs):
    X, Y = pairs
    order = np.random.default_rng(0).permutation(90)
    wide = side(views="clean", hidden_layer_sizes=(64,))
    model = quick(embedder=wide, embedder_y=wide, max_epochs=40, lr=0.02)
    assert model.fit(X, Y).score(X, Y) > 0.5
    assert model.fit(X, Y[order]).score(X, Y) < 0.1
    assert model.fit(X[order], Y[order]).score(X, Y) > 0.5


# Copies, pickles and files


def test_copies_and_pickles_embed_the_same(pairs, fitted):
    for other in (copy.copy(fitted), copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        for one, same in zip(other.transform(*pairs), fitted.transform(*pairs), strict=True):
            np.testing.assert_array_equal(one, same)


def test_skops_holds_it(pairs, fitted):
    skops_io = pytest.importorskip("skops.io")
    opened = skops_io.loads(skops_io.dumps(fitted), trusted=SKOPS_TRUSTED)
    for one, same in zip(opened.transform(*pairs), fitted.transform(*pairs), strict=True):
        np.testing.assert_array_equal(one, same)


def test_a_file_holds_both_sides(pairs, tmp_path):
    X = pd.DataFrame(pairs[0], columns=list("abcde"))
    model = quick(loss="rince", q=0.3, embedder_y=side(dropout=0.1)).fit(X, pairs[1])
    model.save(tmp_path / "model")
    opened = GCACrossEmbedder.load(tmp_path / "model")
    for one, same in zip(opened.transform(X, pairs[1]), model.transform(X, pairs[1]), strict=True):
        np.testing.assert_array_equal(one, same)
    assert [record["loss"] for record in opened.history_] == [record["loss"] for record in model.history_]
    assert opened.feature_names_in_.tolist() == list("abcde")
    assert {name: str(value) for name, value in opened.get_params().items()} == {
        name: str(value) for name, value in model.get_params().items()
    }
    again = clone(opened).fit(X, pairs[1])
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    with pytest.raises(SavedFileError, match=r"use GCACrossEmbedder\.load"):
        GCAEmbedder.load(tmp_path / "model")
    quick_embedder().fit(X).save(tmp_path / "embedder")
    with pytest.raises(SavedFileError, match="it holds a GCAEmbedder"):
        GCACrossEmbedder.load(tmp_path / "embedder")
    with pytest.raises(SavedFileError, match=r"custom has \['encoder'\]"):
        GCACrossEmbedder.load(tmp_path / "model", custom={"encoder": torch.nn.Identity})


def own_encoder(n_inputs, n_outputs):
    return torch.nn.Sequential(torch.nn.Linear(n_inputs, 8), torch.nn.Tanh(), torch.nn.Linear(8, n_outputs))


def test_a_file_of_an_encoder_of_ones_own_needs_it_again(pairs, tmp_path):
    model = quick(embedder_y=GCAEmbedder(n_components=4, encoder=own_encoder)).fit(*pairs)
    model.save(tmp_path / "model")
    with pytest.raises(SavedFileError, match="encoder"):
        GCACrossEmbedder.load(tmp_path / "model")
    opened = GCACrossEmbedder.load(tmp_path / "model", custom={"embedder_y": {"encoder": own_encoder}}, device="cpu")
    np.testing.assert_array_equal(opened.transform_y(pairs[1]), model.transform_y(pairs[1]))
    assert opened.device == "cpu"


# Errors


@pytest.mark.parametrize("loss", [name for name in PRESETS if name not in ("byol", "supcon")])
def test_every_loss_of_pairs_trains(pairs, loss):
    model = quick(loss=loss, max_epochs=2).fit(*pairs)
    assert np.isfinite(model.history_[-1]["loss"])
    assert model.epsilon_ == pytest.approx(0.15)


@pytest.mark.parametrize("loss", ["byol", "supcon"])
def test_losses_that_need_more_than_pairs_are_refused(pairs, loss):
    with pytest.raises(InvalidParameterError, match=f"loss='{loss}' .*use one of .*'gca_ince'.*'rince'"):
        quick(loss=loss).fit(*pairs)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda X, Y: (X, None), ValueError, "requires y to be passed"),
        (lambda X, Y: (X, Y[:50]), ValueError, "inconsistent numbers of samples"),
        (lambda X, Y: (X[:1], Y[:1]), ValueError, "minimum of 2 is required by GCACrossEmbedder"),
        (lambda X, Y: (np.where(X > 1, np.inf, X), Y), ValueError, "X"),
        (lambda X, Y: (X, np.where(Y > 1, np.inf, Y)), ValueError, "y"),
        (lambda X, Y: (X, Y + 1j), ValueError, "Complex data"),
    ],
)
def test_data_that_cannot_be_trained_on(pairs, monkeypatch, change, error, message):
    monkeypatch.setattr(ContrastiveNet, "fit", lambda *args, **kwargs: pytest.fail("trained"))
    with pytest.raises(error, match=message):
        quick().fit(*change(*pairs))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss": "nonsense"}, "loss"),
        ({"embedder": side(loss="rince")}, "embedder has loss='rince', which has no effect.*GCACrossEmbedder"),
        ({"embedder_y": side(early_stopping=True)}, "embedder_y has early_stopping=True, which has no effect"),
        ({"embedder_y": side(projection_sizes=(3,))}, "embedder_y has projection_sizes="),
        ({"embedder": side(views=["noise", "clean"])}, "X has one view"),
        ({"embedder": StandardScaler()}, "embedder"),
        ({"loss": "ince", "q": 0.5}, "does not use q=0.5"),
        ({"n_components": 0}, "n_components"),
        ({"embedder_y": side(encoder="conv1d", hidden_layer_sizes=None)}, "but y holds"),
        ({"embedder_y": side(views="time")}, "but y holds"),
    ],
)
def test_parameters_that_cannot_be_trained_with(pairs, monkeypatch, params, message):
    monkeypatch.setattr(ContrastiveNet, "fit", lambda *args, **kwargs: pytest.fail("trained"))
    model = quick(**params)
    with pytest.raises(InvalidParameterError, match=message):
        model.fit(*pairs)
    assert not hasattr(model, "embedder_")


def test_other_columns_are_refused_by_the_name_of_their_side(pairs, fitted):
    X, Y = pairs
    with pytest.raises(ValueError, match="X has 4 features, but GCACrossEmbedder is expecting 5"):
        fitted.transform(X[:, :4], Y)
    with pytest.raises(ValueError, match="y has 4 features, but GCACrossEmbedder is expecting 7"):
        fitted.transform(X, Y[:, :4])
    with pytest.raises(ValueError, match="y has 5 features"):
        fitted.transform_y(X)
    with pytest.raises(NotFittedError):
        quick().transform(X)


def test_a_column_named_x_keeps_its_name_in_a_message(pairs):
    frame = pd.DataFrame({"X": pairs[0][:, 0], "other": "a"})
    model = quick().fit(pairs[0], frame)
    with pytest.raises(ValueError, match="now missing:\n- X\n"):
        model.transform_y(frame[["other"]])


def test_warnings_name_their_side():
    rng = np.random.default_rng(0)
    with pytest.warns(UserWarning, match="^y is read as series of 12 channels and 2 steps"):
        quick(embedder_y=side(encoder="auto", hidden_layer_sizes=None), max_epochs=0).fit(
            rng.normal(size=(20, 3)), rng.normal(size=(20, 12, 2))
        )


def test_a_failed_fit_leaves_the_estimator_as_it_was(pairs):
    model = quick().fit(*pairs)
    before = model.transform(pairs[0])
    with pytest.raises(ValueError, match="inconsistent"):
        model.fit(pairs[0], pairs[1][:20])
    np.testing.assert_array_equal(model.transform(pairs[0]), before)
