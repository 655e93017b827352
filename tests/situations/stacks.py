"""Situations: images and series in other units, layouts, lengths and ranges than those one thinks of first."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale

from skgca import GCAEmbedder
from skgca._data import ImageReader, Rows, SeriesReader, make_reader
from skgca._data.conversion import converted
from skgca._data.ranges import bulk
from skgca._estimator.description import description
from skgca.exceptions import SavedFileError
from skgca.views import FeatureDropout, TimeCrop, TimeJitter

from .. import models
from ..numerics import NETWORK, SINGLE, assert_close
from .registry import situation

SERIES_SIZES = {"encoder": "rocket", "hidden_layer_sizes": (8, 8), "max_epochs": 2}
DIGITS = load_digits()
EIGHT_BITS = (15 * DIGITS.images[:150]).astype(np.uint8)


def quick(**params):
    """A small embedder of images, whose views need no kornia; or of series."""
    return models.quick(**{"hidden_layer_sizes": (8, 8), "views": lambda batch: batch.flip(0).flip(0), **params})


def series(n=60, channels=2, length=40, seed=0):
    """Waves of three frequencies, and their classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, size=n)
    phase = 6 * rng.random((n, channels, 1))
    waves = np.sin((1 + y[:, None, None]) * np.linspace(0, 6, length) + phase)
    return waves + 0.2 * rng.normal(size=waves.shape), y


def unequal(n=40, seed=0):
    """Series of 15 to 40 steps."""
    X, y = series(n, seed=seed)
    lengths = np.random.default_rng(seed).integers(15, 41, size=n)
    lengths[0] = 40
    return [x[:, :length] for x, length in zip(X, lengths, strict=True)], y


def padded(rows, length=None):
    """Series of unequal lengths as one array that ends in NaN."""
    length = length or max(row.shape[1] for row in rows)
    return np.stack([np.pad(row, [(0, 0), (0, length - row.shape[1])], constant_values=np.nan) for row in rows])


def read(X, **options):
    options = {"categorical_features": None, "standardize": True, "image_shape": None, **options}
    rows = Rows(X)
    reader = make_reader(rows, **options).fit(rows)
    return reader, reader.read(rows.take(slice(0, len(rows))))


def standardized(X, **options):
    """What the network gets."""
    reader, inputs = read(X, **options)
    return reader.make_stem(standardize=True)(inputs)


def no_warning(function, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        return function(*args)


# Tiny units and large offsets


@situation("series in tesla (1e-13), in large numbers, or with a large offset")
def _():
    X, _ = series()
    expected = standardized(X)
    for unit in (1e-13, 1e-30, 1e-40, 1e30, 1e60, np.array([[1e-13], [1.0]])):
        assert_close(standardized(unit * X), expected, SINGLE)
    for offset in (1e6, 1e8, 1.7e9, np.array([[-1e8], [0.0]])):
        assert_close(standardized(X + offset), expected, NETWORK)  # an offset of 1e9 leaves 7 digits of the values
    own_units = read(X + 1e8)[0].make_stem(standardize=False)(read(X + 1e8)[1])
    assert_close(own_units, X + 1e8, SINGLE)  # standardize=False leaves the offset


@situation("a constant channel stays finite")
def _():
    X, _ = series()
    X[:, 1] = 1e8 + 0.3
    inputs = standardized(X)
    assert_close(inputs[:, :1], standardized(X[:, :1]), SINGLE)
    assert torch.equal(inputs[:, 1], inputs[:1, 1, :1].expand(60, 40))
    assert inputs[:, 1].abs().max() <= 8  # the step of single precision at 1e8


@situation("the deviation of channels is exact over chunks, whatever their mean")
def _():
    X, _ = series(200)
    rows = Rows(1e8 + X.cumsum(axis=0))  # the mean drifts from chunk to chunk
    rows.chunk_size = lambda: 7
    fitted = SeriesReader().fit(rows)
    assert_close(fitted.std * fitted.span, (1e8 + X.cumsum(axis=0)).std(axis=(0, 2)), 1e-9)


@situation("images of tiny or huge numbers, or with a large offset, are read as those in [0, 1]")
def _():
    X = DIGITS.images[:50]
    plain = read(X)[1]
    for other in (1e-7 * X, 1e-30 * X, 1e30 * X, X + 1e6, X + 1e9, X * 1e-9 + 0.5):
        assert_close(read(other)[1], plain, NETWORK)
    assert torch.equal(plain[:, 0], torch.as_tensor(X / 16).float())  # ordinary images keep their bits
    assert torch.equal(read(X / 16)[1], plain)


@situation("bands of different units, as temperature beside reflectance")
def _():
    X = np.random.default_rng(0).random((30, 5, 8, 8)) * 0.4
    mixed = X.copy()
    mixed[:, 4] = 290 + 20 * X[:, 4]
    inputs = read(mixed)[1]
    assert -1e-5 <= inputs.min() <= inputs.max() <= 1 + 1e-5  # up to rounding of 290 in single precision
    assert_close(standardized(mixed), standardized(X), NETWORK)
    assert inputs[:, :4].std() > 0.1  # not squeezed by the range of the temperatures
    assert torch.equal(read(X)[1], torch.as_tensor(X).float())


@situation("columns of a table with the offset of timestamps, or in tiny units")
def _():
    X = np.random.default_rng(0).normal(size=(60, 3))
    expected = read(X)[1]
    for other in (X + 1.7e9, 1e-3 * X + 1.7e9, 1e-13 * X, 1e-200 * X):
        assert_close(read(other)[1], expected, 1e-3)  # 1e-3 of 1.7e9 leaves 4 digits


# Rows in other units than those of fit


@situation("images of 8 bits, then the same divided by 255, and the reverse")
def _():
    whole, fractions = EIGHT_BITS, (EIGHT_BITS / 255).astype(np.float32)
    for first in (whole, fractions):
        model = no_warning(quick().fit, first[:100])
        expected = model.transform(first)
        for other in (whole, fractions, fractions.astype(np.float64)):
            assert_close(no_warning(model.transform, other), expected, NETWORK)
            assert_close(no_warning(model.transform, other[7:8]), expected[7:8], NETWORK)
            assert_close(no_warning(model.outlier_score, other), model.outlier_score(first), 1e-2)
            assert_close(no_warning(model.score, other), model.score(first), 1e-2)
    continued = no_warning(quick().fit(whole).partial_fit, fractions)
    assert_close(continued.transform(whole), quick().fit(whole).partial_fit(whole).transform(whole), 0.05)


@situation("images of 8 bits or in [0, 1], then the same in [-1, 1] or standardised")
def _():
    fractions = EIGHT_BITS / 255
    others = (2 * fractions - 1, torch.tensor(2 * fractions - 1).float(), (fractions - fractions.mean()) / 0.4)
    for first in (EIGHT_BITS, fractions):
        model = quick().fit(first[:100])
        for other in others:
            for method in (model.transform, model.score, model.outlier_score):
                with pytest.warns(UserWarning, match="X holds images far from those that fit got"):
                    method(other)
        resized = fractions - 0.1 * (fractions == 0)  # undershoot beside edges
        no_warning(model.transform, resized)
    model = quick().fit(others[0])  # negative values in fit
    no_warning(model.transform, others[0][:50])


@situation("an array of objects that holds images or series of one size")
def _():
    waves = series()[0]
    for plain in (EIGHT_BITS, DIGITS.images[:60], waves):
        objects = np.empty(len(plain), dtype=object)
        objects[:] = list(plain)
        assert_close(read(converted(objects))[1], read(plain)[1], 0.0)
        assert Rows(converted(objects)).dtype == plain.dtype
    model = quick().fit(DIGITS.images[:60])
    objects[:] = list(DIGITS.images[:60])
    assert_close(model.transform(objects), model.transform(DIGITS.images[:60]), NETWORK)


@situation("images of 8 bits, then the same numbers as floats or whole numbers of another type")
def _():
    model = quick().fit(EIGHT_BITS)
    for dtype in (np.float32, np.float64, np.int64, np.uint16):
        assert_close(no_warning(model.transform, EIGHT_BITS.astype(dtype)), model.transform(EIGHT_BITS), NETWORK)
    model = quick().fit(DIGITS.images[:100])
    small = DIGITS.images[:100].astype(np.uint8)
    assert_close(no_warning(model.transform, small), model.transform(DIGITS.images[:100]), NETWORK)


@situation("masks of 0 and 1 in any type")
def _():
    X = DIGITS.images[:80] > 7
    types = (bool, np.uint8, np.int64, np.float64)
    for first in (bool, np.float64, np.int64):
        model = quick().fit(X.astype(first))
        for other in types:
            assert_close(no_warning(model.transform, X.astype(other)), model.transform(X.astype(first)), NETWORK)


OTHER_UNITS = {
    "images 0 to 255 as floats, then in [0, 1]": (EIGHT_BITS.astype(float), EIGHT_BITS / 255),
    "images in [0, 1], then 0 to 255 as floats": (EIGHT_BITS / 255, EIGHT_BITS.astype(float)),
    "images of 16 bits, then of 8": (257 * EIGHT_BITS.astype(np.uint16), EIGHT_BITS),
    "images of 16 bits, then in [0, 1]": (100 * EIGHT_BITS.astype(np.int16), EIGHT_BITS / 255),
    "digits divided by 16, then divided by 255": (DIGITS.images[:150] / 16, DIGITS.images[:150].astype(np.uint8)),
    "series in volt, then in millivolt": (series()[0], 1e3 * series()[0]),
    "series in millivolt, then in volt": (1e3 * series()[0], series()[0]),
    "series of which one channel changed its unit": (series()[0], np.array([[1.0], [1e-3]]) * series()[0]),
    "series in Celsius, then in Kelvin": (series()[0], 273 + series()[0]),
    "tables, then standardised": (DIGITS.data[:60, 2:6] + 50, scale(DIGITS.data[:60, 2:6])),
    "tables, then not standardised": (scale(DIGITS.data[:60, 2:6]), DIGITS.data[:60, 2:6] + 50),
    "tables, then a thousandth": (DIGITS.data[:60, 2:6] + 50, (DIGITS.data[:60, 2:6] + 50) / 1000),
    "tables, then a thousandfold": (DIGITS.data[:60, 2:6], DIGITS.data[:60, 2:6] * 1000),
}


def warns_of(name):
    def check():
        first, other = OTHER_UNITS[name]
        model = quick(views="clean", max_epochs=1).fit(first)
        no_warning(model.transform, first)
        for method in (model.transform, model.score, model.outlier_score, model.partial_fit):
            with pytest.warns(UserWarning, match=r"far from those that fit got.*units"):
                method(other)
        with pytest.warns(UserWarning, match="far from those that fit got"):
            quick(views="clean", max_epochs=1).fit(first, X_pair=other)

    return check


for _name in OTHER_UNITS:
    situation(f"other units than in fit: {_name}")(warns_of(_name))


@situation("images in [0, 1], then of 16 bits, are refused")
def _():
    model = quick().fit(EIGHT_BITS / 255)
    with pytest.raises(ValueError, match=r"X holds uint16 up to 61\d+, but fit got images in \[0, 1\]; divide X by"):
        model.transform(257 * EIGHT_BITS.astype(np.uint16))


@situation("no warning of rows like those of fit, one by one, few, blank, dark or bright")
def _():
    for X in (EIGHT_BITS, DIGITS.images[:150], EIGHT_BITS / 255, series(150)[0], DIGITS.data[:150]):
        model = quick(views="clean", max_epochs=1).fit(X[:75])
        for rows in (X[75:], *np.split(X[75:], 15), *X[75:85, None].reshape(10, 1, *X.shape[1:])):
            no_warning(model.transform, rows)
    model = quick(max_epochs=1).fit(EIGHT_BITS[:75])
    for factor in (0, 0.3, 1.5):
        no_warning(model.transform, (factor * EIGHT_BITS[75:]).clip(0, 255).astype(np.uint8))


@situation("no warning where folds of a sorted table hold other classes")
def _():
    X, y = load_iris(return_X_y=True)
    for values in (X, scale(X)):
        for one in range(3):
            model = models.quick(max_epochs=1).fit(values[y == one])
            for other in range(3):
                no_warning(model.transform, values[y == other])


# Layouts of images


@situation("images of 30 bands and 9 x 9 pixels, and other layouts that equal sides or few channels tell")
def _():
    rng = np.random.default_rng(0)
    for channels, height, width in (
        (30, 9, 9),
        (5, 9, 9),
        (1, 9, 12),
        (3, 9, 12),
        (4, 9, 12),
        (12, 64, 80),
        (12, 4, 4),
    ):
        X = rng.random((6, channels, height, width))
        last = np.moveaxis(X, 1, 3)
        for other, image_shape in (
            (X, None),
            (last, None),
            (X.reshape(6, -1), X.shape[1:]),
            (last.reshape(6, -1), last.shape[1:]),
            (X, X.shape[1:]),
            (last, last.shape[1:]),
            (X, (height, width)),
            (last, (height, width)),
        ):
            inputs = no_warning(ImageReader(image_shape).fit, Rows(other)).read(other)
            assert torch.equal(inputs, torch.as_tensor(X).float()), (X.shape, other.shape, image_shape)


@situation("images whose sizes do not tell where the channels are: a warning, and image_shape decides")
def _():
    X = np.random.default_rng(0).random((6, 30, 9, 12))
    for other in (X, np.moveaxis(X, 1, 3)):
        with pytest.warns(UserWarning, match="may have their channels first or last; they are read as"):
            ImageReader().fit(Rows(other))
        fitted = no_warning(ImageReader((9, 12)).fit, Rows(other))
        assert torch.equal(fitted.read(other), torch.as_tensor(X).float())
    with pytest.warns(UserWarning, match=r"read as 8 channels of 8 x 8 pixels. If that is wrong, move"):
        ImageReader().fit(Rows(X[:, :8, :8, :8]))


# Images or series


@situation("series as (n, time, channels): a warning that names the transpose")
def _():
    X, _ = series()
    with pytest.warns(UserWarning, match=r"40 channels and 2 steps.*np.swapaxes\(X, 1, 2\)"):
        models.quick(encoder="conv1d").fit(np.swapaxes(X, 1, 2))
    no_warning(models.quick(**SERIES_SIZES).fit, X)


@situation("three axes that can be images or series: a warning says what they were read as, and how to say otherwise")
def _():
    rng = np.random.default_rng(0)
    waves = rng.normal(size=(50, 20, 20)).cumsum(axis=2)
    doubtful = {
        r"series of 20 channels and 30 steps. If they are images, use image_shape=\(20, 30\)": rng.random((8, 20, 30)),
        "images of 20 x 20 pixels. If they are series .*, use encoder='rocket'": waves,
        "images of 5 x 60 pixels. If they are series .*, use encoder='rocket'": (9 * rng.random((8, 5, 60))).astype(
            "B"
        ),
    }
    for message, X in doubtful.items():
        with pytest.warns(UserWarning, match=message):
            read(X)
        no_warning(lambda X=X: read(X, encoded=SeriesReader))
        no_warning(lambda X=X: read(X, image_shape=X.shape[1:]))
    for X in (DIGITS.images[:50], EIGHT_BITS, series()[0], series(channels=6, length=100)[0], rng.random((8, 1, 40))):
        no_warning(read, X)


@situation("the description and verbose say what X was read as")
def _():
    image = quick(max_epochs=1).fit(DIGITS.images[:40])
    assert "images of 8 x 8 pixels and 1 channel -> 6 columns" in description(image)["state"]
    model = models.quick(**SERIES_SIZES).fit(series()[0])
    assert "series of 2 channels and 40 steps" in model._repr_html_inner()
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skgca._estimator.fitting.tqdm.write", said.append)
        models.quick(verbose=1, **SERIES_SIZES).fit(unequal()[0])
    assert said[0] == "X is read as series of 2 channels and up to 40 steps."


# Values far from the others


@situation("one hot pixel, or a fill value, does not set the range of images")
def _():
    X, rng = DIGITS.images[:100], np.random.default_rng(0)
    hot = rng.random(X.shape) < 0.02
    one = np.zeros(X.shape, dtype=bool)
    one[3, 2, 2] = True
    fill = rng.random(X.shape) < 0.2
    for mask, value in [(one, 1000), (one, 1e36), (hot, 5000), (fill, -9999.0), (fill, -3.4e38), (fill, 1.7e308)]:
        for unit in (1, 1 / 16):
            reader, inputs = read(np.where(mask, value, unit * X))
            expected = np.where(mask, 1.0 if value > 0 else 0.0, X / 16)
            assert_close(inputs, expected[:, None], SINGLE)
            assert_close(reader.mean, [expected.mean()], SINGLE)
            assert_close(reader.std, [expected.std()], SINGLE)
    sixteen = (200 * X).astype(np.uint16)
    sixteen[3, 2, 2] = 65535
    assert_close(read(sixteen)[1], np.where(one, 1, sixteen / 3200)[:, None], SINGLE)
    both = np.where(one, 1e6, np.where(fill, -9999.0, X))
    assert_close(read(both)[1], np.where(one, 1, np.where(fill, 0, X / 16))[:, None], SINGLE)


@situation("a hot pixel of a later image is clipped, and the images train as without it")
def _():
    X, y = DIGITS.images[:300].copy(), DIGITS.target[:300]
    X[5, 0, 0] = 1e5
    model = quick(max_epochs=4, n_components=32).fit(X[:200])
    probe = LogisticRegression(max_iter=1000).fit(model.transform(X[:200]), y[:200])
    later = X[200:].copy()
    later[:, 0, 0] = 1e6
    assert probe.score(no_warning(model.transform, later), y[200:]) > 0.6  # 0.1 before
    assert model.reader_.read(later).max() <= 1


@situation("a hot sensor or a fill value does not set the scale of series")
def _():
    X, _ = series()
    fill = np.random.default_rng(0).random(X.shape) < 0.1
    filled = np.where(fill, -9999, X)
    inputs = standardized(filled)
    lowest = np.where(fill, np.inf, X).min(axis=(0, 2))[:, None]
    assert_close(inputs, standardized(np.where(fill, lowest, X)), SINGLE)


@situation("ordinary images and series have no values that are cut off")
def _():
    rng = np.random.default_rng(0)
    cells = rng.normal(100, 3, size=20_000)
    cells[:400] = rng.uniform(100, 4000, size=400)
    for values in (
        rng.normal(size=20_000),
        rng.exponential(size=20_000),
        rng.lognormal(size=20_000),
        rng.poisson(0.1, size=20_000).astype(float),
        (rng.random(20_000) < 0.01).astype(float),  # binary, sparse
        rng.choice([0.0, 1.0, 2.0, 255.0], size=20_000),  # labels
        np.where(rng.random(20_000) < 0.05, 1, 0) + rng.normal(0, 0.02, size=20_000),
        cells,
        DIGITS.data.ravel(),
    ):
        assert bulk(values) == (values.min(), values.max())
    assert bulk(np.append(cells, 1e6)) == (cells.min(), cells.max())


# Unequal lengths and gaps


def in_all_forms(rows):
    """Series of unequal lengths as the libraries hold them."""
    column = [pd.Series(range(len(rows))).astype(object) for _ in rows[0]]
    nested = pd.DataFrame({f"dim_{k}": [pd.Series(row[k]) for row in rows] for k, _ in enumerate(column)})
    keys = [(k, step) for k, row in enumerate(rows) for step in range(row.shape[1])]
    index = pd.MultiIndex.from_tuples(keys, names=["instances", "timepoints"])
    objects = np.empty(len(rows), dtype=object)
    objects[:] = rows
    cells = np.empty((len(rows), len(rows[0])), dtype=object)
    for k, row in enumerate(rows):
        cells[k, 0], cells[k, 1] = row
    return {
        "list of arrays": rows,
        "tuple of arrays": tuple(rows),
        "list of tensors": [torch.as_tensor(row) for row in rows],
        "array of objects": objects,
        "array of cells": cells,
        "nested frame": nested,
        "frame of instances and time points": pd.DataFrame(np.concatenate([row.T for row in rows]), index=index),
        "list of frames": [pd.DataFrame(row.T, columns=["a", "b"]) for row in rows],
        "array that ends in NaN": padded(rows),
    }


@situation("series of unequal lengths, in the forms of aeon and sktime")
def _():
    rows, _ = unequal()
    expected = None
    for name, X in in_all_forms(rows).items():
        model = no_warning(models.quick(**SERIES_SIZES).fit, X)
        assert model.n_features_in_ == 2
        embedding = model.transform(X)
        expected = embedding if expected is None else expected
        assert np.array_equal(embedding, expected), name


@situation("series in an array of objects: tensors of any type and masked arrays are read as in a list")
def _():
    rows, _ = unequal()
    masked = [np.ma.masked_where(row > 1, row) for row in rows]
    for series_of_one_type in ([torch.as_tensor(row).to(torch.bfloat16) for row in rows], masked):
        objects = np.empty(len(rows), dtype=object)
        for k, row in enumerate(series_of_one_type):
            objects[k] = row
        model = models.quick(**SERIES_SIZES).fit(series_of_one_type)
        expected = model.transform(series_of_one_type)
        assert np.array_equal(models.quick(**SERIES_SIZES).fit(objects).transform(objects), expected)
        assert not np.allclose(models.quick(**SERIES_SIZES).fit(rows).transform(rows), expected)


@situation("the embedding of a series does not depend on the longest series beside it")
def _():
    rows, _ = unequal()
    model = models.quick(**{**SERIES_SIZES, "encoder": "conv1d"}).fit(rows)
    expected = model.transform(rows)
    for k in (0, 3, 8):
        assert_close(model.transform(rows[k][None]), expected[k : k + 1], NETWORK)
    assert_close(model.transform(padded(rows, length=90)), expected, NETWORK)
    longer = [*rows, series(1, length=77)[0][0]]
    assert_close(model.transform(longer)[:-1], expected, NETWORK)
    # as the same weights encode a series of that length alone, without a mask
    body, stem = model.encoder_.body, model.encoder_.stem
    alone = stem(torch.as_tensor(rows[3][None]).float())[:, :-1]
    with torch.no_grad():
        features = body.convolutions(alone)
        alone = body.last(torch.cat([features.mean(2), features.amax(2)], 1))
        assert_close(model.encoder_.readout(alone), expected[3:4], NETWORK)


@situation("training on series does not depend on how far they are padded")
def _():
    rows, _ = unequal()
    first = models.quick(**SERIES_SIZES, views="clean").fit(padded(rows)).transform(rows)
    second = models.quick(**SERIES_SIZES, views="clean").fit(padded(rows, length=120)).transform(rows)
    assert_close(second, first, 0.02)  # sums of other lengths round differently in each step


@situation("views keep to the length of each series")
def _():
    rows, _ = unequal()
    batch = torch.as_tensor(padded(rows))
    for view in (TimeCrop(0.3), TimeJitter(0.5), FeatureDropout(0.5)):
        made = view(batch, torch.Generator().manual_seed(0))
        assert torch.equal(made.isnan(), batch.isnan())
    steps = torch.arange(40.0).expand(1, 1, 40).clone()
    steps[:, :, 20:] = torch.nan
    for seed in range(20):
        made = TimeCrop(0.5)(steps, torch.Generator().manual_seed(seed))
        assert made[0, 0, 19] >= 9  # the window is at least half of 20 steps, and ends within them
        assert made[0, 0, :20].max() <= 19
        assert TimeJitter(0.5)(steps, torch.Generator().manual_seed(seed))[0, 0, :20].isfinite().all()


@situation("series with gaps are interpolated, and an indicator says where")
def _():
    X, _ = series()
    gaps = np.random.default_rng(0).random(X.shape) < 0.1
    gaps[:, 1] = False
    holed = np.where(gaps, np.nan, X)
    stem_of_X, inputs = standardized(X), standardized(holed)
    assert inputs.shape == (60, 3, 40)
    assert torch.equal(inputs[:, 2], torch.as_tensor(gaps[:, 0]).float())
    reader, _ = read(holed)
    channel = pd.DataFrame(holed[:, 0].T).interpolate(limit_direction="both").to_numpy().T
    assert_close(inputs[:, 0], (channel - reader.mean[0]) / reader.std[0], SINGLE)
    assert_close(inputs[:, 1], stem_of_X[:, 1], SINGLE)
    complete, _ = read(X)
    assert complete.read(holed).isfinite().all()  # gaps that fit did not see are interpolated too
    assert torch.equal(complete.read(X), torch.as_tensor(X).float())


@situation("gaps and unequal lengths: save, load, score, outliers, partial_fit, views and other encoders")
def _():
    rows, _ = unequal()
    rows[2][1, 3:6] = np.nan
    model = models.quick(**SERIES_SIZES).fit(rows)
    embedding = model.transform(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        model.save(path)
        opened = GCAEmbedder.load(path)
        assert np.array_equal(opened.transform(rows), embedding)
        with pytest.raises(SavedFileError, match="Series of unequal lengths cannot be exported to ONNX"):
            model.export_onnx(path)
    assert np.isfinite(model.score(rows))
    assert np.isfinite(model.outlier_score(rows)).all()
    model.partial_fit([*rows, series(1, length=64)[0][0]]).partial_fit(rows)
    assert np.isfinite(model.transform(rows)).all()
    for options in (
        {"views": "dropout"},
        {"views": "noise"},
        {"views": "mixup"},
        {"encoder": "mlp"},
        {"standardize": False},
    ):
        other = models.quick(**{**SERIES_SIZES, "max_epochs": 1, **options}).fit(rows)
        assert np.isfinite(other.transform(rows)).all()
    flat = models.quick(encoder="mlp", max_epochs=1).fit(rows)
    with pytest.raises(ValueError, match="up to 64 steps, but fit got 40 at most"):
        flat.transform([*rows, series(1, length=64)[0][0]])


@situation("series of unequal lengths: the classes are found")
def _():
    rows, y = unequal(160)
    model = models.quick(encoder="conv1d", hidden_layer_sizes=(16, 16), n_components=16, max_epochs=8).fit(rows[:100])
    probe = LogisticRegression(max_iter=1000).fit(model.transform(rows[:100]), y[:100])
    assert probe.score(model.transform(rows[100:]), y[100:]) > 0.7


BAD_SERIES = {
    "images of different sizes": (
        [np.ones((8, 9)), np.ones((9, 8))],
        r"\(8, 9\), \(9, 8\).*images must be of one size",
    ),
    "colour images of different sizes": ([np.ones((8, 9, 3)), np.ones((9, 8, 3))], r"\(8, 9, 3\), .*of one size"),
    "series that begin with time": ([np.ones((8, 2)), np.ones((9, 2))], r"use \[series.T for series in X\]"),
    "an empty series": ([np.ones((2, 8)), np.ones((2, 0))], "Series 1 of X is empty"),
    "a series of NaN": ([np.ones((2, 8)), np.full((2, 5), np.nan)], "Series 1 of X holds no value"),
    "8-bit images of one height": ([np.ones((28, 28), "B"), np.ones((28, 30), "B")], "images must be of one size"),
    "text": ([np.full((2, 8), "a"), np.ones((2, 5))], "Series 0 of X holds <U1, but series are arrays of numbers"),
    "an infinite value": ([np.ones((2, 8)), np.full((2, 5), np.inf)], "contains infinity"),
}


@situation("series and images of unequal sizes that cannot be read are refused by name")
def _():
    for X, message in BAD_SERIES.values():
        with pytest.raises((TypeError, ValueError), match=message):
            models.quick(**SERIES_SIZES).fit(X)
    with pytest.raises(ValueError, match=r"series \(channels, length\); images must be of one size"):
        quick(image_shape=(8, 9)).fit([np.ones((8, 9)), np.ones((8, 7))])
    rows, _ = unequal()
    with pytest.raises(ValueError, match=r"series of shape \(2, 30\), but fit got them of shape \(2, 40\)"):
        models.quick(**SERIES_SIZES).fit(series()[0]).transform([row[:, :30] for row in rows])
    X = series()[0]
    with pytest.raises(ValueError, match=r"rows of \(40, 1\); if the steps come first, use np.swapaxes\(X, 1, 2\)"):
        models.quick(**SERIES_SIZES).fit(X[:, :1].swapaxes(1, 2))
    X[:, 1] = np.nan
    with pytest.raises(ValueError, match=r"Channel 1 of X holds no value in any row; leave it out: numpy.delete"):
        models.quick(**SERIES_SIZES).fit(X)


# Errors that name the remedy


@situation("flat series with encoder='conv1d', flat colour images, and a second measurement of another shape")
def _():
    X = np.random.default_rng(0).random((20, 192))
    with pytest.raises(ValueError, match=r"X\[:, None\] turns them into series of one channel"):
        models.quick(encoder="conv1d").fit(X)
    with pytest.raises(ValueError, match=r"3 times as many; use image_shape=\(3, 8, 8\) .* or image_shape=\(8, 8, 3\)"):
        quick(image_shape=(8, 8)).fit(X)
    with pytest.raises(ValueError, match="X_pair is not a second measurement of X: X has 191 features"):
        models.quick().fit(X, X_pair=X[:, 1:])
    frame = pd.DataFrame(X[:, :3], columns=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"X_pair is not a second measurement of X: [\s\S]*feature names"):
        models.quick().fit(frame, X_pair=frame[["b", "a", "c"]])
