"""The ONNX graph embeds as ``transform`` does, for every kind of data and every encoder."""

import json
import random
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from skgca._persistence.onnx_graph import _preprocessing
from skgca.exceptions import SavedFileError

from ..models import quick_to_save as quick
from ..numerics import NETWORK, assert_close

onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
RNG = np.random.default_rng(0)
TABLE = RNG.normal(loc=1000, scale=3, size=(60, 5))
TABLE[::7, 2] = np.nan
TABLE[4, 0] = 1e9  # squashed
IMAGES = RNG.random((20, 8, 8)).astype(np.float32)
COLOURED = RNG.integers(0, 256, (20, 8, 9, 3), dtype=np.uint8)
LARGE = np.random.default_rng(1).integers(0, 256, (6, 113, 130), dtype=np.uint8)  # which the encoder reduces
SERIES = RNG.normal(size=(20, 2, 30)).astype(np.float32)
FRAME = pd.DataFrame(
    {
        "size": TABLE[:, 2],
        "colour": RNG.choice(["red", "green", "blue"], 60),
        "new": RNG.random(60) < 0.3,
        "grade": RNG.choice([1.5, 2.5, 7.0], 60),
        "id": [f"k{k % 40}" for k in range(60)],
    }
)
FRAME.loc[[5, 9], "colour"] = None
FRAME.loc[[7, 9], "grade"] = np.nan
CATEGORIES = ["colour", "new", "grade", "id"]


def slow(X, **params):
    return pytest.param(X, params, marks=pytest.mark.slow)


def run(path, X):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (only,) = session.get_inputs()
    return session.run(None, {only.name: np.asarray(X, dtype=np.float32)})[0]


@pytest.mark.parametrize(
    ("X", "params"),
    [
        (TABLE, {}),
        (IMAGES, {}),
        (LARGE, {"views": "clean"}),
        (SERIES, {}),
        (TABLE, {"encoder": lambda n, k: nn.Sequential(nn.Linear(n, 7), nn.Tanh(), nn.Linear(7, k))}),
        slow((TABLE[5:] - 1000) / 3, standardize=False),
        slow(TABLE, encoder="resnet_mlp", normalization="layer", dropout=0.1),
        slow(TABLE, numeric_embedding="periodic"),
        slow(TABLE, numeric_embedding="piecewise_linear", layers="last", passthrough=False),
        slow(COLOURED, views="clean"),
        slow(IMAGES.reshape(20, 64) * 7 - 2, image_shape=(8, 8), views="clean"),
        slow(COLOURED, encoder="resnet18", hidden_layer_sizes=None, views="clean", max_epochs=0),
        slow(COLOURED, encoder="mlp", views="clean"),
        (np.cumsum(SERIES[:, :1], 2), {"passthrough": True}),
        slow(SERIES, encoder="conv1d"),
        slow(SERIES, encoder="resnet_mlp"),
    ],
)
def test_onnxruntime_embeds_raw_values_as_transform_does(X, params, tmp_path):
    X = X.astype(np.float32) if X.dtype != np.uint8 else X
    fitted = quick(**params).fit(X)
    fitted.export_onnx(tmp_path / "model.onnx")
    expected = fitted.transform(X)
    for rows in (slice(None), slice(0, 1), slice(3, 10)):
        assert_close(run(tmp_path / "model.onnx", X[rows]), expected[rows], NETWORK)


def test_large_numbers_are_scaled_in_double_precision(tmp_path):
    X = np.float32(2**23) + RNG.integers(0, 200, (50, 2)).astype(np.float32)
    fitted = quick().fit(X)
    fitted.export_onnx(tmp_path / "model.onnx")
    assert_close(run(tmp_path / "model.onnx", X), fitted.transform(X), NETWORK)


def test_categories_are_looked_up_and_text_takes_the_numbers_in_the_metadata(tmp_path):
    fitted = quick(categorical_features=CATEGORIES).fit(FRAME)
    fitted.export_onnx(tmp_path / "model.onnx")
    metadata = {entry.key: entry.value for entry in onnx.load(tmp_path / "model.onnx").metadata_props}
    assert json.loads(metadata["feature_names"]) == list(FRAME.columns)
    assert json.loads(metadata["output_names"]) == list(fitted.get_feature_names_out())
    categories = json.loads(metadata["categories"])
    assert categories["colour"] == ["blue", "green", "red", None]
    assert set(categories) == {"colour", "id"}
    new = FRAME.copy()
    new.loc[0, ["colour", "id"]] = ["violet", "none"]
    new.loc[1, "grade"] = 3.25  # not seen in fit
    new.loc[2, "id"] = None
    numbers = {
        name: [np.nan if pd.isna(v) else known.index(v) + 1 if v in known else 0 for v in new[name]]
        for name, known in categories.items()
    }
    X = new.assign(**numbers, new=new["new"].astype(float)).to_numpy(dtype=np.float32)
    np.testing.assert_array_equal(
        X[:, [0, 1, 2, 3]], _preprocessing(fitted.reader_).graph_input(new.to_numpy(dtype=object))[:, :4]
    )
    expected = fitted.transform(new.assign(size=new["size"].astype(np.float32).astype(float)))
    assert_close(run(tmp_path / "model.onnx", X), expected, NETWORK)


def test_an_export_leaves_the_surroundings_and_the_estimator_as_they_are(tmp_path, capfd):
    fitted = quick().fit(TABLE)
    before = fitted.transform(TABLE)
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    threads = torch.get_num_threads()
    fitted.export_onnx(tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert capfd.readouterr() == ("", "")
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    assert random.getstate() == states[2]
    assert torch.get_num_threads() == threads
    assert np.array_equal(fitted.transform(TABLE), before)
    onnx.checker.check_model(onnx.load(tmp_path / "model.onnx"), full_check=True)


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named(missing, tmp_path, monkeypatch):
    fitted = quick(max_epochs=0).fit(TABLE)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=rf'needs {missing}; install it by: pip install "skgca\[onnx\]"'):
        fitted.export_onnx(tmp_path / "model.onnx")


def test_a_graph_that_embeds_otherwise_is_not_written(tmp_path, monkeypatch):
    fitted = quick(max_epochs=0).fit(TABLE)
    monkeypatch.setattr("skgca._persistence.onnx_graph.squash", lambda scaled, _: 1.003 * scaled.float())
    with pytest.raises(SavedFileError, match="embeds 4 rows differently from transform"):
        fitted.export_onnx(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


class Counts(nn.Module):
    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.linear = nn.Linear(n_inputs, n_outputs)

    def forward(self, batch):
        rows = [row * (1.0 if float(row.sum()) > 0 else 2.0) for row in batch]
        return self.linear(torch.stack(rows))


def test_an_encoder_that_cannot_be_traced_is_refused(tmp_path):
    fitted = quick(max_epochs=0, encoder=Counts).fit(TABLE)
    with pytest.raises(SavedFileError, match="torch cannot export the encoder to ONNX"):
        fitted.export_onnx(tmp_path / "model.onnx")


def test_categories_that_float32_cannot_tell_apart_are_refused(tmp_path):
    frame = pd.DataFrame({"code": [16777216.0, 16777217.0, 3.0] * 10, "x": np.arange(30.0)})
    fitted = quick(max_epochs=0, categorical_features=["code"]).fit(frame)
    with pytest.raises(SavedFileError, match="'code' has categories that are one number in float32"):
        fitted.export_onnx(tmp_path / "model.onnx")
