"""Images and series: layouts, ranges, and what is refused."""

import numpy as np
import pandas as pd
import pytest
import torch

from skgca._data import ImageReader, Rows, SeriesReader, TableReader, make_reader
from skgca._data import rows as rows_module

from ..numerics import DOUBLE, SINGLE, assert_close

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, size=(6, 3, 8, 10), dtype=np.uint8)  # (n, c, h, w)


def read(X, image_shape=None):
    return ImageReader(image_shape).fit(Rows(X)).read(X)


def test_layouts_are_the_same_images():
    first = read(PIXELS)
    assert first.shape == (6, 3, 8, 10)
    assert first.is_contiguous()
    last = np.moveaxis(PIXELS, 1, 3)
    assert torch.equal(read(last), first)
    assert torch.equal(read(PIXELS.reshape(6, -1), image_shape=(3, 8, 10)), first)
    assert torch.equal(read(last.reshape(6, -1), image_shape=(8, 10, 3)), first)
    assert torch.equal(read(pd.DataFrame(PIXELS.reshape(6, -1)), image_shape=(3, 8, 10)), first)
    grey = PIXELS[:, 0]
    for X, shape in [(grey, None), (grey[:, None], None), (grey[..., None], None), (grey.reshape(6, -1), (8, 10))]:
        assert torch.equal(read(X, shape), first[:, :1])


@pytest.mark.parametrize(
    ("shape", "channels"), [((5, 12, 12), 5), ((12, 12, 5), 5), ((4, 9, 3), 3), ((3, 3, 9, 9), None)]
)
def test_channels_are_the_axis_of_few(shape, channels):
    X = RNG.random((7, *shape))
    if channels is None:
        with pytest.raises(ValueError, match="Found array with dim 5"):
            make_reader(Rows(X), categorical_features=None, standardize=True, image_shape=None)
        return
    if min(shape) < 4 and channels == 3:
        assert read(X).shape == (7, 3, 4, 9)
        return
    assert read(X).shape == (7, channels, 12, 12)


def test_values_end_up_in_zero_to_one():
    whole = read(PIXELS)
    assert_close(whole, PIXELS / 255.0, SINGLE)
    dark = (PIXELS // 4).astype(np.uint8)
    assert_close(read(dark), dark / 255.0, SINGLE)  # 8 bits are 8 bits
    assert torch.equal(read(PIXELS / 512.0), torch.as_tensor(PIXELS / 512.0).float())  # stays
    sixteen = PIXELS.astype(np.float64) * 16
    sixteen -= 40
    low, high = sixteen.min(), sixteen.max()
    assert_close(read(sixteen), (sixteen - low) / (high - low), SINGLE)
    assert read(np.full((3, 8, 8), 7.0)).tolist() == np.zeros((3, 1, 8, 8)).tolist()


@pytest.mark.parametrize("chunk", [1, 2**25])
def test_channels_mean_and_deviation(monkeypatch, chunk):
    monkeypatch.setattr(rows_module, "_CHUNK_BYTES", chunk)
    fitted = ImageReader().fit(Rows(PIXELS))
    assert_close(fitted.mean, (PIXELS / 255).mean((0, 2, 3)), DOUBLE)
    assert_close(fitted.std, (PIXELS / 255).std((0, 2, 3)), DOUBLE)
    series = RNG.normal([[1.0], [50.0]], [[2.0], [0.5]], size=(20, 2, 30))
    of_series = SeriesReader().fit(Rows(series))
    mean, std = series.mean((0, 2)), series.std((0, 2))
    assert_close(of_series.mean, mean, DOUBLE)
    assert_close(of_series.std, std, DOUBLE, scale=mean**2 / std)  # the root of what is left of the mean square
    flat = SeriesReader().fit(Rows(np.ones((5, 2, 6))))
    assert flat.std.tolist() == [1.0, 1.0]


def kind(X, **options):
    options = {"categorical_features": None, "standardize": True, "image_shape": None, **options}
    return type(make_reader(Rows(X), **options))


def test_what_three_dimensions_are():
    assert kind(np.zeros((5, 8, 8))) is ImageReader
    assert kind(np.zeros((5, 8, 9), dtype=np.uint8)) is ImageReader
    assert kind(np.zeros((5, 3, 50))) is SeriesReader
    assert kind(np.zeros((5, 8, 8)), encoded=SeriesReader) is SeriesReader
    assert kind(np.zeros((5, 8, 9)), encoded=ImageReader) is ImageReader
    assert kind(np.zeros((5, 8, 9)), image_shape=(8, 9)) is ImageReader
    assert kind(np.zeros((5, 72))) is TableReader
    assert kind(np.zeros((5, 72)), image_shape=(8, 9)) is ImageReader


BAD = {
    "too few pixels": (np.zeros((4, 3, 3)), None, r"Images of 3 x 3 pixels are too small"),
    "a shape that does not fit": (np.zeros((4, 63)), (8, 8), r"image_shape=\(8, 8\) makes 64 values, but .* have 63"),
    "a shape of one number": (np.zeros((4, 64)), (64,), r"image_shape=\(64,\) must be \(h, w\)"),
    "another shape than that of X": (np.zeros((4, 8, 9)), (9, 8), r"image_shape=\(9, 8\), but X holds images of shape"),
    "NaN": (np.full((4, 8, 8), np.nan), None, r"contains NaN, in the images at \(row, channel, place\) \(0, 0, 0, 0\)"),
    "infinity": (np.full((4, 8, 8), np.inf), None, "contains infinity"),
}


@pytest.mark.parametrize("name", BAD)
def test_images_that_cannot_be_read(name):
    X, image_shape, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        read(X, image_shape)


def test_text_is_no_image():
    with pytest.raises(TypeError, match="images are arrays of numbers"):
        read(np.full((4, 8, 8), "a"))


def test_another_shape_later_is_refused():
    fitted = ImageReader().fit(Rows(PIXELS))
    with pytest.raises(ValueError, match=r"images of shape \(3, 10, 10\), but fit got them of shape \(3, 8, 10\)"):
        fitted.read(np.zeros((2, 3, 10, 10)))
    with pytest.raises(ValueError, match=r"images of shape \(1, 8, 10\)"):
        fitted.read(PIXELS[:, :1])
    with pytest.raises(ValueError, match="length of 2 or more"):
        SeriesReader().fit(Rows(np.zeros((4, 3, 1))))
