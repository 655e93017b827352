"""Files and graphs of classifiers and regressors."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

from skgca import SKOPS_TRUSTED, GCAClassifier, GCAEmbedder, GCARegressor
from skgca.exceptions import SavedFileError

from ..models import quick

FEW_STEPS = {"n_steps": 8, "cv": 2, "random_state": 0}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"age": rng.normal(size=90), "city": rng.choice(["Oslo", "Bergen", None], 90), "size": rng.normal(size=90)}
    )


def labels_of(frame, names):
    y = np.array(names, dtype=object)[(frame["age"].to_numpy() > 0).astype(int) + (frame["size"].to_numpy() > 1)]
    y[::3] = None
    return y


MODELS = [
    GCAClassifier(quick(), **FEW_STEPS),
    GCAClassifier(quick(), fine_tune=True, **FEW_STEPS),
    GCARegressor(quick(), **FEW_STEPS),
    GCARegressor(quick(), head=LinearRegression(), fine_tune=True, **FEW_STEPS),
]


@pytest.fixture(scope="module", params=range(4))
def model(request, frame):
    values = np.where(np.arange(90) % 3 == 0, np.nan, 100 + 10 * frame["age"])
    y = (
        labels_of(frame, ["young", "old", "large"]),
        labels_of(frame, [3, 7, 7]),
        values,
        np.column_stack([values, values**2]),
    )
    return clone(MODELS[request.param]).fit(frame, y[request.param])


def assert_same(found, model, frame):
    np.testing.assert_array_equal(found.predict(frame), model.predict(frame))
    np.testing.assert_array_equal(found.embedder_.transform(frame), model.embedder_.transform(frame))
    assert found.n_steps_ == model.n_steps_
    assert found.ways_ == model.ways_
    if hasattr(model, "classes_"):
        np.testing.assert_array_equal(found.classes_, model.classes_)
        assert found.classes_.dtype == model.classes_.dtype
        np.testing.assert_array_equal(found.predict_proba(frame), model.predict_proba(frame))


def test_a_file_holds_the_whole_model(model, frame, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(path)
    found = type(model).load(path)
    assert_same(found, model, frame)
    assert found.get_params(deep=False).keys() == model.get_params(deep=False).keys()
    assert found.embedder.get_params() == model.embedder_.get_params()
    assert list(found.feature_names_in_) == list(frame)
    assert not hasattr(clone(found), "embedder_")


def test_a_pickle_holds_the_whole_model(model, frame):
    assert_same(pickle.loads(pickle.dumps(model)), model, frame)


def test_skops_opens_the_whole_model(model, frame):
    skops_io = pytest.importorskip("skops.io")
    assert_same(skops_io.loads(skops_io.dumps(model), trusted=SKOPS_TRUSTED), model, frame)


def test_a_graph_predicts_as_the_model_does(model, frame, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    model.export_onnx(path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    categories = json.loads(session.get_modelmeta().custom_metadata_map["categories"])
    (cities,) = list(categories.values())
    X = np.column_stack(
        [frame["age"], [np.nan if city is None else 1 + cities.index(city) for city in frame["city"]], frame["size"]]
    ).astype(np.float32)
    embedded, output = session.run(None, {"X": X})
    assert session.get_outputs()[0].name == "embedded"
    np.testing.assert_allclose(embedded, model.embedder_.transform(frame), atol=1e-4)
    if hasattr(model, "classes_"):
        np.testing.assert_allclose(output, model.predict_proba(frame), atol=1e-4)
        assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == [str(c) for c in model.classes_]
    else:
        expected = model.predict(frame).reshape(len(frame), -1)
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("head", ["linear", "linear + trees", "linear + self-trained", "linear + self-trained + trees"])
def test_files_and_graphs_hold_all_heads_that_are_chosen(frame, tmp_path, monkeypatch, head):
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(GCAClassifier, "_chosen", lambda *_: ([], 0, head))
    numbers = frame[["age", "size"]]
    model = GCAClassifier(quick(), random_state=0).fit(numbers, labels_of(frame, ["young", "old", "large"]))
    assert len(getattr(model.head_, "members", [model.head_])) == 1 + head.count("+")
    model.save(tmp_path / "model")
    found = GCAClassifier.load(tmp_path / "model")
    assert_same(found, model, numbers)
    assert found.head is None
    assert repr(found.head_) == repr(model.head_)
    model.export_onnx(tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    _, output = session.run(None, {"X": numbers.to_numpy(np.float32)})
    np.testing.assert_allclose(output, model.predict_proba(numbers.astype(np.float32)), atol=1e-4)


def test_files_are_opened_by_the_class_that_wrote_them(model, frame, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(path)
    for other in {GCAClassifier, GCARegressor, GCAEmbedder} - {type(model)}:
        with pytest.raises(SavedFileError, match=f"it holds a {type(model).__name__}; open it by"):
            other.load(path)
    model.embedder_.save(path)
    with pytest.raises(SavedFileError, match="it holds a GCAEmbedder; open it by GCAEmbedder"):
        type(model).load(path)


def test_a_head_that_a_file_cannot_hold(frame, tmp_path):
    y = labels_of(frame, ["a", "b", "b"])
    model = GCAClassifier(quick(), head=RandomForestClassifier(5, random_state=0), fine_tune=False).fit(frame, y)
    for write in (model.save, model.export_onnx):
        with pytest.raises(SavedFileError, match="RandomForestClassifier"):
            write(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert_same(pickle.loads(pickle.dumps(model)), model, frame)


def test_a_damaged_file(model, tmp_path):
    path = tmp_path / "model.safetensors"
    model.save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(SavedFileError, match="damaged"):
        type(model).load(path)


def test_a_head_with_parameters_of_its_own(frame, tmp_path):
    y = labels_of(frame, ["a", "b", "b"])
    model = GCAClassifier(quick(), head=LogisticRegression(C=0.3, max_iter=77), fine_tune=False).fit(frame, y)
    model.save(tmp_path / "model")
    assert GCAClassifier.load(tmp_path / "model").head.get_params() == model.head.get_params()
