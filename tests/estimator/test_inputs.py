"""Mixed tables, images, series, and pairs of measurements through GCAEmbedder."""

import copy
import pickle
import re

import joblib
import kornia.augmentation as K
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from torch import nn

from skgca import GCAEmbedder
from skgca._builders.views import ViewOptions, make_views
from skgca._utils.compat import InvalidParameterError
from skgca.encoders import MLP, ConvEncoder, RotatedComponents, Standardization
from skgca.views import Compose, GaussianNoise, Identity, NeighborMixup

from .. import models
from ..numerics import NETWORK, SINGLE, assert_close, assert_within, error

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "size": RNG.normal(size=60),
        "colour": RNG.choice(["red", "green", "blue"], 60),
        "new": RNG.random(60) < 0.3,
        "grade": pd.Categorical(RNG.choice(list("abc"), 60)),
        "weight": RNG.lognormal(size=60),
    }
)
FRAME.loc[[3, 8], "size"] = np.nan
FRAME.loc[5, "colour"] = None
LABELS = np.where(FRAME["new"], "yes", "no")
IMAGES = RNG.random((40, 12, 12)).astype(np.float32)
COLOURED = RNG.integers(0, 256, (20, 10, 11, 3), dtype=np.uint8)
SERIES = RNG.normal(size=(40, 2, 30))


def quick(**params):
    return models.quick(**{"n_components": 5, "hidden_layer_sizes": None, "max_epochs": 2, "batch_size": 16, **params})


# Tables


def test_a_mixed_frame_in_a_pipeline_and_a_search():
    model = make_pipeline(quick(), LogisticRegression(max_iter=1000))
    assert set(model.fit(FRAME, LABELS).predict(FRAME)) <= {"yes", "no"}
    grid = {"gcaembedder__epsilon": [0.2, 0.5], "gcaembedder__passthrough": [True, False]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(FRAME, LABELS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    # one category is in one fold only
    rare = FRAME.assign(colour=["one"] * 30 + ["two"] * 30)
    assert np.isfinite(cross_val_score(model, rare, LABELS, cv=2, error_score="raise")).all()


def test_passed_through_are_the_columns_as_they_were_read():
    fitted = quick().fit(FRAME)
    embedding = fitted.transform(FRAME)
    names = list(fitted.get_feature_names_out())
    assert names[:5] == [f"gcaembedder{k}" for k in range(5)]
    assert names[5:8] == ["size", "weight", "missingindicator_size"]
    assert names[8:12] == ["colour_blue", "colour_green", "colour_red", "colour_nan"]
    assert names[12:] == ["new_False", "new_True", "grade_a", "grade_b", "grade_c"]
    assert embedding.shape == (60, len(names))
    passed = dict(zip(names, embedding.T, strict=True))
    assert np.array_equal(passed["missingindicator_size"], FRAME["size"].isna())
    assert np.array_equal(passed["colour_red"], FRAME["colour"] == "red")
    assert np.array_equal(passed["colour_nan"], FRAME["colour"].isna())
    assert (passed["size"][[3, 8]] == 0).all()
    assert np.array_equal(np.argsort(passed["weight"]), np.argsort(FRAME["weight"]))
    alone = quick(passthrough=False).fit(FRAME)
    # beside the inputs, the embedding is scaled by one number
    assert_close(
        alone.transform(FRAME) * embedding[:, :5].std() / alone.transform(FRAME).std(), embedding[:, :5], NETWORK
    )
    assert list(alone.get_feature_names_out()) == names[:5]


def test_the_learned_outputs_have_mean_0_and_deviation_1():
    for X, params in [(FRAME, {"passthrough": False}), (IMAGES, {}), (SERIES, {})]:
        embedding = quick(**params).fit_transform(X)
        assert_close(embedding.mean(0), np.zeros(embedding.shape[1]), NETWORK, scale=embedding)
        assert_close(embedding.std(0), np.ones(embedding.shape[1]), NETWORK, scale=embedding)


def test_unseen_categories_and_new_gaps_are_embedded():
    fitted = quick().fit(FRAME)
    strange = FRAME.iloc[:3].assign(colour="violet", weight=np.nan)
    embedding = fitted.transform(strange)
    assert np.isfinite(embedding).all()
    names = list(fitted.get_feature_names_out())
    assert not embedding[:, [names.index(name) for name in names if name.startswith("colour_")]].any()


def test_everything_is_learned_from_the_training_rows_only():
    train, test = FRAME.iloc[:30], FRAME.iloc[30:]
    fitted = quick().fit(train)
    before = fitted.transform(test)
    spoiled = FRAME.copy()
    spoiled.loc[spoiled.index[:30], "size"] = 1e6
    assert np.array_equal(fitted.transform(spoiled.iloc[30:]), before)


def test_frames_of_pandas_and_polars_and_their_outputs_are_alike():
    columns = {name: [None if pd.isna(value) else value for value in values] for name, values in FRAME.items()}
    other = pl.DataFrame({**columns, "grade": pl.Series(columns["grade"], dtype=pl.Categorical)})
    ours = quick().fit(FRAME)
    assert np.array_equal(quick().fit(other).transform(other), ours.transform(FRAME))
    out = quick().set_output(transform="polars").fit_transform(other)
    assert out.columns == list(ours.get_feature_names_out())


def test_many_categories_get_learned_vectors():
    many = pd.DataFrame({"id": [f"k{k % 50}" for k in range(100)], "x": np.arange(100.0)})
    fitted = quick().fit(many)
    assert [tuple(table.weight.shape) for table in fitted.encoder_.stem.embeddings] == [(51, 16)]
    assert list(fitted.get_feature_names_out())[5:] == ["x"]  # not as 50 columns
    before = fitted.encoder_.stem.embeddings[0].weight
    untrained = quick(max_epochs=0).fit(many).encoder_.stem.embeddings[0].weight
    assert not torch.equal(before[1:], untrained[1:])
    assert not before[0].any()  # unknown
    unknown = fitted.transform(pd.DataFrame({"id": ["new"], "x": [3.0]}))
    assert np.isfinite(unknown).all()


def test_corruption_swaps_a_column_whole():
    seen = []

    def spy(batch, generator):
        seen.append(batch)
        return batch

    quick(views=Compose(GaussianNoise(numeric=[0]), spy), max_epochs=1).fit(FRAME)
    batch = torch.cat(seen)
    assert batch.shape[1] == FRAME.shape[1]  # one column each, so what swaps cells swaps categories
    for column in (1, 2, 3):
        assert torch.equal(batch[:, column], batch[:, column].round())
    quick(views="corruption", corruption_rate=1.0).fit(FRAME)


def test_columns_are_held_by_name_and_order():
    fitted = quick().fit(FRAME)
    with pytest.raises(ValueError, match="must be in the same order"):
        fitted.transform(FRAME[FRAME.columns[::-1]])
    with pytest.raises(ValueError, match="seen at fit time, yet now missing"):
        fitted.transform(FRAME.drop(columns="colour"))
    with pytest.raises(ValueError, match="Column 'weight' held number in fit, and now holds text"):
        fitted.transform(FRAME.assign(weight="heavy"))


def test_tags_say_what_is_taken():
    tags = get_tags(GCAEmbedder()).input_tags
    assert tags.allow_nan
    assert tags.categorical
    assert tags.three_d_array


@pytest.mark.parametrize("numeric_embedding", ["periodic", "piecewise_linear"])
@pytest.mark.parametrize("encoder", ["mlp", "resnet_mlp"])
def test_embeddings_of_numbers(numeric_embedding, encoder):
    fitted = quick(numeric_embedding=numeric_embedding, encoder=encoder).fit(FRAME)
    assert np.isfinite(fitted.transform(FRAME)).all()
    assert fitted.encoder_.stem.numeric_encoding is not None
    plain = quick(encoder=encoder).fit(FRAME)
    assert error(plain.transform(FRAME)[:, :5], fitted.transform(FRAME)[:, :5]) > 0.1
    assert np.array_equal(plain.transform(FRAME)[:, 5:], fitted.transform(FRAME)[:, 5:])  # passed through as it was
    only_text = FRAME[["colour", "grade"]]
    assert np.isfinite(quick(numeric_embedding=numeric_embedding).fit(only_text).transform(only_text)).all()


# Images


@pytest.mark.parametrize("encoder", ["auto", "conv", "mlp", "resnet_mlp"])
@pytest.mark.parametrize("views", ["auto", "standard", "geometric", "crop+photometric", "strong", "clean"])
def test_images(encoder, views):
    fitted = quick(encoder=encoder, views=views).fit(IMAGES)
    embedding = fitted.transform(IMAGES)
    assert embedding.shape == (40, 5)
    assert embedding.dtype == np.float32
    assert np.isfinite(embedding).all()
    assert np.array_equal(embedding, clone(fitted).fit(IMAGES).transform(IMAGES))


def test_views_with_a_name_are_made_of_images_that_are_reduced_as_the_encoder_does():
    X = RNG.integers(0, 256, (4, 113, 130, 3), dtype=np.uint8)
    seen = []

    class Seeing(ConvEncoder):  # a subclass may need images as they are
        def forward(self, batch):
            seen.append(tuple(batch.shape[2:]))
            return super().forward(batch)

    def own_view(batch):
        seen.append(tuple(batch.shape[2:]))
        return batch

    default = quick(hidden_layer_sizes=None, max_epochs=1).fit(X)
    assert default.encoder_.body.pooled_size == (57, 65)
    assert np.isfinite(default.transform(X)).all()
    assert np.isfinite(default.score(X))
    with pytest.raises(ValueError, match="X has 57 features, but GCAEmbedder is expecting 113"):
        default.transform(X[:, :57, :65])
    quick(views=own_view, max_epochs=1).fit(X)
    quick(views=["standard", own_view], max_epochs=1).fit(X)
    quick(encoder=Seeing(3, (113, 130), 5), hidden_layer_sizes=None, max_epochs=1).fit(X)
    assert set(seen) == {(113, 130)}


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"views": ["clean", "standard"]}])
def test_training_on_reduced_images_is_training_on_their_means(params):
    X = RNG.random((24, 112, 128, 3)).astype(np.float32)
    means = X.reshape(24, 56, 2, 64, 2, 3).mean((2, 4))
    settings = {"hidden_layer_sizes": None, "max_epochs": 1, "standardize": False, **params}
    large, small = quick(**settings).fit(X), quick(**settings).fit(means)
    for mine, theirs in zip(large.net_.module_.parameters(), small.net_.module_.parameters(), strict=True):
        assert_close(mine, theirs, 1e-3)


def test_layouts_and_flat_rows_embed_alike():
    channels_last = quick().fit(COLOURED)
    expected = channels_last.transform(COLOURED)
    first = np.moveaxis(COLOURED, 3, 1)
    assert np.array_equal(quick().fit(first).transform(first), expected)
    flat = COLOURED.reshape(20, -1)
    assert np.array_equal(quick(image_shape=(10, 11, 3)).fit(flat).transform(flat), expected)
    model = make_pipeline(quick(image_shape=(12, 12)), LogisticRegression())
    assert model.fit(IMAGES.reshape(40, -1), np.arange(40) % 2).score(IMAGES.reshape(40, -1), np.arange(40) % 2) > 0.5


def test_the_embedding_of_an_image_does_not_depend_on_its_company():
    fitted = quick().fit(IMAGES)
    whole = fitted.transform(IMAGES)
    for rows in (slice(0, 1), slice(5, 20), slice(39, None)):
        assert_close(fitted.transform(IMAGES[rows]), whole[rows], NETWORK, scale=whole)


def test_transforms_of_kornia_plug_in():
    state = torch.get_rng_state()
    augment = K.AugmentationSequential(K.RandomAffine(15.0, p=1.0), K.RandomErasing(p=0.5))
    fitted = quick(views=augment).fit(IMAGES)
    assert np.array_equal(fitted.transform(IMAGES), quick(views=copy.deepcopy(augment)).fit(IMAGES).transform(IMAGES))
    assert torch.equal(torch.get_rng_state(), state)
    assert error(fitted.transform(IMAGES), quick(views="clean").fit(IMAGES).transform(IMAGES)) > 0.1


def test_images_in_two_workers_are_those_of_one():
    with joblib.parallel_config("threading", n_jobs=2):
        results = joblib.Parallel()(joblib.delayed(lambda: quick().fit_transform(IMAGES))() for _ in range(4))
    alone = quick().fit_transform(IMAGES)
    assert all(np.array_equal(result, alone) for result in results)


def test_without_kornia_the_error_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "kornia", None)
    monkeypatch.setitem(sys.modules, "kornia.augmentation", None)
    with pytest.raises(ImportError, match=r'pip install "skgca\[image\]"'):
        quick().fit(IMAGES)
    assert np.isfinite(quick(views="clean").fit_transform(IMAGES)).all()


# Series


@pytest.mark.parametrize("views", ["auto", "time", "noise", "dropout", "mixup"])
def test_series(views):
    fitted = quick(views=views).fit(SERIES)
    assert fitted.transform(SERIES).shape == (40, 5)
    assert np.isfinite(fitted.transform(SERIES)).all()
    square = RNG.normal(size=(20, 12, 12))
    assert quick(encoder="conv1d", views=views).fit(square).reader_.kind == "series"


@pytest.mark.parametrize("views", ["auto", "noise", "dropout", "mixup"])
def test_what_views_do_to_series_does_not_depend_on_units(views):
    scale, shift = np.array([1e-3, 50.0]).reshape(2, 1), np.array([7.0, -900.0]).reshape(2, 1)
    series = RNG.normal(size=(40, 2, 24))
    seen = []
    for X in (series, series * scale + shift):
        fitted = quick(views=views, max_epochs=1).fit(X)
        inputs = fitted.reader_.read(X)
        options = ViewOptions.of(fitted.get_params())
        made = make_views(options, fitted.reader_, paired=False, reference=lambda inputs=inputs: inputs)
        seen.append([view.numpy() for view in made(inputs, torch.Generator().manual_seed(0))])
    for plain, scaled in zip(*seen, strict=True):
        assert error(plain, series) > 0.1
        # float32 has seven digits, and a channel whose mean is 7,000 of its deviations has four of them left.
        assert_close((scaled - shift) / scale, plain, 10 * SINGLE, scale=shift / scale)


def test_views_of_series_have_their_units_where_nothing_is_standardised():
    X = 1e-3 * RNG.normal(size=(40, 2, 24))
    fitted = quick(views="noise", standardize=False, max_epochs=1).fit(X)
    inputs = fitted.reader_.read(X)
    made = make_views(ViewOptions.of(fitted.get_params()), fitted.reader_, paired=False, reference=lambda: inputs)
    noise = made(inputs, torch.Generator().manual_seed(0))[0] - inputs
    assert_within(noise.std(), 0.1, 0.01)  # of 1,920 draws


# Pairs


def test_pairs_of_measurements_take_the_place_of_augmentation():
    X, other = RNG.normal(size=(2, 50, 4))
    other = X + 0.1 * other
    seen = []

    def spy(batch, generator):
        seen.append(batch.clone())
        return batch

    plain = quick().fit(X, X_pair=other)
    spied = quick(views=spy).fit(X, X_pair=other)
    assert np.array_equal(plain.transform(X), spied.transform(X))  # "auto" leaves both views as they are
    firsts, seconds = torch.cat(seen[:8:2]), torch.cat(seen[1:8:2])
    reader = plain.reader_
    order = torch.cdist(firsts, reader.read(X)).argmin(1)
    assert torch.equal(firsts, reader.read(X)[order])
    assert torch.equal(seconds, reader.read(other)[order])
    assert not np.array_equal(plain.transform(X), quick().fit(X).transform(X))


def test_pairs_are_routed_and_sliced():
    X, other = RNG.normal(size=(2, 40, 4))
    y = np.arange(40) % 2
    with sklearn.config_context(enable_metadata_routing=True):
        model = make_pipeline(quick().set_fit_request(X_pair=True), LogisticRegression())
        routed = model.fit(X, y, X_pair=other)[:-1].transform(X)
        search = GridSearchCV(model, {"gcaembedder__epsilon": [0.2, 0.5]}, cv=2, error_score="raise")
        search.fit(X, y, X_pair=other)
    assert np.array_equal(routed, quick().fit(X, X_pair=other).transform(X))


def test_rows_of_weight_zero_are_left_out_of_pairs_too():
    X, other = RNG.normal(size=(2, 40, 4))
    weight = np.where(np.arange(40) < 30, 1.0, 0.0)
    fitted = quick().fit(X, sample_weight=weight, X_pair=other)
    assert np.array_equal(fitted.transform(X), quick().fit(X[:30], X_pair=other[:30]).transform(X))


def test_pairs_that_do_not_fit():
    X = RNG.normal(size=(20, 4))
    with pytest.raises(ValueError, match=r"X_pair has shape \(19, 4\), but X has \(20, 4\)"):
        quick().fit(X, X_pair=X[1:])
    with pytest.raises(ValueError, match="X has 3 features, but GCAEmbedder is expecting 4"):
        quick().fit(X, X_pair=X[:, :3])
    with pytest.raises(InvalidParameterError, match="X_pair gives a second view, but 3 views are asked for"):
        quick(n_views=3).fit(X, X_pair=X)


# Views


def test_views_by_name_one_for_each():
    X = RNG.normal(size=(40, 4))
    pair = quick(views=["corruption", "clean"]).fit(X)
    assert [type(view).__name__ for view in pair.net_.views.views] == ["ColumnCorruption", "Identity"]
    assert np.array_equal(pair.transform(X), quick(views=[pair.net_.views.views[0], Identity()]).fit(X).transform(X))


def test_neighbours_are_those_of_the_training_rows_and_the_users_view_stays_as_it_is():
    X = RNG.normal(size=(40, 4))
    view = NeighborMixup(2)
    fitted = quick(views=view).fit(X)
    assert len(fitted.net_.views.views[0]._reference) == 40
    assert view._reference is None
    by_name = quick(views="mixup").fit(FRAME)
    assert by_name.net_.views.views[0].numeric.tolist() == [True, False, False, False, True]


@pytest.mark.parametrize(
    ("X", "params", "message"),
    [
        (FRAME, {"views": "digits"}, r"views='digits' is for images, but X holds a table; use one of \['clean', 'corr"),
        (IMAGES, {"views": "corruption"}, r"views='corruption' is for table, .* images; .*'crop', 'crop\+pho"),
        (IMAGES, {"views": "photo"}, "'views' .*'geometric'"),
        (FRAME, {"encoder": "conv"}, r"encoder='conv' encodes images, but X holds a table; .*image_shape="),
        (SERIES, {"encoder": "resnet18"}, "image|Images"),
        (IMAGES, {"encoder": "resnet18", "hidden_layer_sizes": (8,)}, r"hidden_layer_sizes=\(8,\) has no effect with"),
        (IMAGES, {"dropout": 0.5}, "dropout=0.5 has no effect with encoder='auto' on images"),
        (SERIES, {"normalization": None, "encoder": "conv1d"}, "normalization=None has no effect"),
        (FRAME, {"dropout": 1.0}, r"'dropout' .*\[0.0, 1.0\)"),
        (FRAME, {"numeric_embedding": "fourier"}, r"'numeric_embedding' .*'periodic'"),
        (IMAGES, {"numeric_embedding": "periodic"}, "numeric_embedding='periodic' has no effect on images"),
        (IMAGES, {"categorical_features": [0]}, r"categorical_features=\[0\] has no effect on images"),
    ],
)
def test_what_is_for_other_data_is_refused(X, params, message):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(X)


# Encoders of one's own


class Net(nn.Module):
    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_inputs, 16), nn.Dropout(0.5), nn.ReLU(), nn.Linear(16, n_outputs))

    def forward(self, batch):
        return self.layers(batch)


class Flat(nn.Module):
    def forward(self, batch):
        return batch[:, 0]


def test_an_encoder_by_class_by_callable_and_by_instance():
    state = torch.get_rng_state()
    by_class = quick(encoder=Net).fit(FRAME)
    assert by_class.encoder_.body.layers[0].in_features == 12
    embedding = by_class.transform(FRAME)
    assert np.array_equal(embedding, quick(encoder=Net).fit(FRAME).transform(FRAME))  # dropout draws from random_state
    assert np.array_equal(embedding, quick(encoder=lambda n, k: Net(n, k)).fit(FRAME).transform(FRAME))
    assert torch.equal(torch.get_rng_state(), state)
    instance = Net(12, 7)
    before = copy.deepcopy(instance.state_dict())
    fitted = quick(encoder=instance).fit(FRAME)
    assert fitted.transform(FRAME).shape == (60, 7 + 12)  # as wide as the module
    assert all(torch.equal(value, before[name]) for name, value in instance.state_dict().items())
    assert not torch.equal(fitted.encoder_.body.layers[0].weight, instance.layers[0].weight)
    untrained = quick(encoder=instance, max_epochs=0).fit(FRAME)
    assert torch.equal(untrained.encoder_.body.layers[0].weight, instance.layers[0].weight)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.transform(FRAME), fitted.transform(FRAME))
    assert clone(fitted).get_params()["encoder"] is not instance


def test_an_encoder_of_images_gets_the_channels():
    def small(n_channels, n_outputs):
        return nn.Sequential(
            nn.Conv2d(n_channels, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, n_outputs)
        )

    assert quick(encoder=small).fit(COLOURED).transform(COLOURED).shape == (20, 5)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Flat(), r"The encoder Flat returns \(2,\) for a batch of shape \(2, 12\); it must return \(2, k\)"),
        (lambda n, k: nn.Linear(n, k + 1), "The encoder Linear has 6 outputs, but n_components=5 needs 5"),
        (lambda n, k: "net", "made a str, but a Module is needed"),
        (lambda n, k: nn.Linear(n + 1, k), r"The encoder Linear fails on a batch of shape \(2, 12\)"),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused_before_training(encoder, message):
    with pytest.raises(InvalidParameterError, match=message):
        quick(encoder=encoder).fit(FRAME)


def test_the_encoder_is_all_that_transform_runs():
    fitted = quick().fit(FRAME)
    with torch.no_grad():
        expected = fitted.encoder_(fitted.reader_.read(FRAME)).numpy()
    assert_close(fitted.transform(FRAME), expected, NETWORK)


def test_a_view_that_changes_shape_is_refused_at_the_first_batch():
    with pytest.raises(
        ValueError, match=r"made rows of shape \(1, 6, 6\) from \(1, 12, 12\); it must keep their shape"
    ):
        quick(views=lambda batch, generator: batch[:, :, ::2, ::2]).fit(IMAGES)
    with pytest.raises(ValueError, match=re.escape("it must keep each row")):
        quick(views=lambda batch, generator: batch[::2]).fit(FRAME)


@pytest.mark.cuda
@pytest.mark.parametrize("X", [FRAME, IMAGES, COLOURED, SERIES], ids=["frame", "images", "coloured", "series"])
def test_every_kind_of_data_on_cuda(X, cuda):
    fitted = quick(device=cuda.type).fit(X)
    assert next(fitted.encoder_.parameters()).device.type == cuda.type
    assert np.isfinite(fitted.transform(X)).all()
    assert np.isfinite(fitted.score(X))


@pytest.mark.parametrize("encoder", ["mlp", "resnet_mlp"])
def test_all_layers_of_a_table_are_read_and_only_the_last_of_stacks(encoder):
    whole = quick(encoder=encoder, passthrough=False).fit(FRAME)
    assert isinstance(whole.encoder_.readout, RotatedComponents)
    assert whole.transform(FRAME).shape[1] == whole.n_components
    assert isinstance(quick(encoder=encoder, layers="last").fit(FRAME).encoder_.readout, Standardization)
    for stack in (IMAGES, SERIES):
        assert isinstance(quick(encoder=encoder).fit(stack).encoder_.readout, Standardization)


def test_a_module_of_ones_own_fixes_the_width():
    X = FRAME[["weight"]].to_numpy()
    body = MLP(1, (6,), 7)
    assert quick(encoder=body, passthrough=False).fit(X).transform(X).shape == (60, 7)
    whole = quick(encoder=body, passthrough=False, layers="all", n_components=9).fit(X)
    assert whole.transform(X).shape == (60, 9)


def test_warm_start_may_change_the_number_of_columns():
    model = quick(passthrough=False, n_components="auto", warm_start=True).fit(SERIES[:, 0])
    assert model.transform(SERIES[:, 0]).shape == (40, 60)
    assert model.fit(SERIES[:20, 0]).transform(SERIES[:, 0]).shape == (40, 60)
    assert model.set_params(n_components=128).fit(SERIES[:, 0]).transform(SERIES[:, 0]).shape == (40, 128)


def test_more_rows_keep_more_components():
    rng = np.random.default_rng(0)
    ranks = []
    for n in (24, 400):
        X = rng.normal(size=(n, 4))
        model = quick(passthrough=False, n_components=64, hidden_layer_sizes=(64,), max_epochs=0).fit(X)
        ranks.append(np.linalg.matrix_rank(model.transform(X), tol=1e-3 * n))
    assert ranks[0] == 8
    assert ranks[1] == 64


def test_auto_components():
    rng = np.random.default_rng(0)

    def width(n, d, **params):
        model = GCAEmbedder(passthrough=False, hidden_layer_sizes=(8,), max_epochs=0, random_state=0, **params)
        return model.fit(rng.normal(size=(n, d))).transform(rng.normal(size=(3, d))).shape[1]

    assert width(40, 20) == 40  # twice the columns of the table
    assert 90 <= width(300, 3) <= 110  # one for each of 3 rows, since they fill 3 dimensions
    assert width(2000, 3) == 256
    assert width(40, 200) == 256
    assert width(40, 20, layers="last") == 128
    assert width(40, 20, n_components=5) == 5
    images = GCAEmbedder(max_epochs=0, random_state=0).fit(IMAGES)
    assert images.transform(IMAGES).shape == (40, 128)


@pytest.mark.parametrize(("X", "encoder"), [(IMAGES, "auto"), (FRAME, lambda n, k: torch.nn.Linear(n, k))])
def test_all_layers_need_an_encoder_that_gives_them(X, encoder):
    with pytest.raises(InvalidParameterError, match="layers='all' needs an encoder that returns its activations"):
        quick(encoder=encoder, layers="all").fit(X)
