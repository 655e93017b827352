"""Files, pickles and skops: what comes back embeds as what went in, and nothing else is opened."""

import copy
import io
import itertools
import json
import pickle
import re
import warnings
from functools import cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import scipy.sparse
import sklearn
import skops.io
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from torch import nn

from skgca import SKOPS_TRUSTED, GCAEmbedder
from skgca._data import Rows, TableReader
from skgca._persistence.codec import NotSaved, decode, encode
from skgca._persistence.state import decode_reader, encode_reader
from skgca._utils.compat import InvalidParameterError
from skgca.encoders import MLP
from skgca.exceptions import SavedFileError
from skgca.losses import LearnableEpsilon
from skgca.views import (
    CallableView,
    ColumnCorruption,
    Compose,
    FeatureDropout,
    GaussianNoise,
    Identity,
    ImageAugmentation,
    NeighborMixup,
    TimeCrop,
    TimeJitter,
)

from ..models import quick_to_save as quick
from ..numerics import assert_close

FIXTURES = Path(__file__).parent / "fixtures"
RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(40, 4))
TABLE[::6, 1] = np.nan
IMAGES = RNG.random((20, 8, 8)).astype(np.float32)
COLOURED = RNG.integers(0, 256, (20, 6, 7, 3), dtype=np.uint8)
LARGE = np.random.default_rng(1).integers(0, 256, (6, 113, 130), dtype=np.uint8)  # which the encoder reduces
SERIES = RNG.normal(size=(20, 2, 20)).astype(np.float32)
FRAME = pd.DataFrame(
    {
        "size": TABLE[:, 1],
        "colour": pd.Series(RNG.choice(["red", "green", "blue"], 40)).where(np.arange(40) % 9 > 0, None),
        "new": RNG.random(40) < 0.3,
        "grade": RNG.choice([1.5, 2.5, 7.0], 40),
        "id": [f"k{k % 36}" for k in range(40)],
    }
)


class Net(nn.Module):
    def __init__(self, n_inputs, n_outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_inputs, 6), nn.Dropout(0.2), nn.Tanh(), nn.Linear(6, n_outputs))

    def forward(self, batch):
        return self.layers(batch)


class Shift:
    def __call__(self, batch, generator):
        return batch + 0.1


def same(y):
    return y[:, None] == y


CASES = {
    "numbers": (TABLE, {}),
    "float32": (TABLE.astype(np.float32), {}),
    "frame": (FRAME, {}),
    "named": (FRAME, {"categorical_features": ["colour", "new", "grade", "id"]}),
    "flags": (TABLE, {"categorical_features": np.array([False] * 4)}),
    "objects": (FRAME.to_numpy(dtype=object), {"categorical_features": [1, 2, 4]}),
    "unscaled": (TABLE, {"standardize": False}),
    "resnet_mlp": (TABLE, {"encoder": "resnet_mlp", "dropout": 0.2, "normalization": "layer"}),
    "plain": (TABLE, {"normalization": None, "hidden_layer_sizes": [7, 6]}),
    "periodic": (FRAME, {"numeric_embedding": "periodic"}),
    "piecewise": (FRAME, {"numeric_embedding": "piecewise_linear", "layers": "last", "passthrough": False}),
    "byol": (TABLE, {"loss": "byol", "epsilon": LearnableEpsilon(0.3), "dropout": 0.1}),
    "images": (IMAGES, {}),
    "large images": (LARGE, {"views": "clean", "n_components": 3}),
    "coloured": (COLOURED, {"views": "clean"}),
    "flat": (IMAGES.reshape(20, 64), {"image_shape": (8, 8), "hidden_layer_sizes": (4,)}),
    "resnet18": (COLOURED, {"encoder": "resnet18", "hidden_layer_sizes": None, "max_epochs": 0, "views": "clean"}),
    "mlp of images": (IMAGES, {"encoder": "mlp", "layers": "last"}),
    "series": (SERIES, {}),
    "conv1d": (SERIES[:, :, :4], {"encoder": "conv1d", "hidden_layer_sizes": (3, 3)}),
    "rocket": (SERIES[:, :1], {"dropout": 0.1, "normalization": "layer", "layers": "last"}),
    "mlp of series": (SERIES, {"encoder": "resnet_mlp"}),
    "own views": (TABLE, {"views": [Compose(GaussianNoise(0.2, numeric=[0, 2]), NeighborMixup()), "clean"]}),
    "our class": (TABLE, {"encoder": MLP(5, (6,), 3, activation="gelu")}),
    "marginals": (TABLE, {"loss": "gca_uot", "marginals": (1.0, np.inf), "device": torch.device("cpu")}),
}


@cache
def fit_case(name):
    X, params = CASES[name]
    return quick(**params).fit(X)


def fitted_case(name):
    return fit_case(name), CASES[name][0]


@cache
def trained_on(name):
    """The embedding after two further epochs."""
    fitted, X = fitted_case(name)
    return copy.deepcopy(fitted).set_params(warm_start=True).fit(X).transform(X)


def saved(estimator, path, **options):
    estimator.save(path / "model.safetensors")
    return type(estimator).load(path / "model.safetensors", **options)


def assert_same(loaded, fitted, X):
    """Everything that a fitted estimator offers is as before, to the bit."""
    assert np.array_equal(loaded.transform(X), fitted.transform(X))
    assert loaded.transform(X).dtype == fitted.transform(X).dtype
    assert list(loaded.get_feature_names_out()) == list(fitted.get_feature_names_out())
    for name in ("epsilon_", "n_epochs_", "n_features_in_", "_n_features_out"):
        assert getattr(loaded, name) == getattr(fitted, name)
    assert repr(loaded.history_) == repr(fitted.history_)  # NaN is not equal to itself
    assert list(getattr(loaded, "feature_names_in_", [])) == list(getattr(fitted, "feature_names_in_", []))
    assert type(loaded.net_) is type(fitted.net_)
    assert not loaded.net_.module_.training


def assert_trains_on(loaded, name):
    again = copy.deepcopy(loaded).set_params(warm_start=True).fit(CASES[name][0])
    assert np.array_equal(again.transform(CASES[name][0]), trained_on(name))


# Files


def large_ones_slow(names):
    return [pytest.param(name, marks=pytest.mark.slow) if name == "resnet18" else name for name in names]


@pytest.mark.parametrize("name", large_ones_slow(CASES))
def test_a_file_gives_back_the_embedder(name, tmp_path):
    fitted, X = fitted_case(name)
    custom = {"encoder": fitted.encoder} if name == "our class" else None
    loaded = saved(fitted, tmp_path, custom=custom)
    assert repr(loaded.get_params()) == repr(fitted.get_params())
    assert_same(loaded, fitted, X)
    assert_trains_on(loaded, name)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    once_more = pickle.loads(pickle.dumps(loaded))
    assert np.array_equal(once_more.transform(X), fitted.transform(X))
    assert np.array_equal(saved(loaded, tmp_path, custom=custom).transform(X), fitted.transform(X))


def test_the_same_embedder_makes_the_same_bytes(tmp_path):
    fitted, _ = fitted_case("frame")
    fitted.save(tmp_path / "a")
    fitted.save(tmp_path / "b")
    GCAEmbedder.load(tmp_path / "a").save(tmp_path / "c")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


def test_a_file_holds_weights_json_and_no_training_row(tmp_path):
    fitted, _ = fitted_case("frame")
    fitted.save(tmp_path / "model")
    with safetensors.safe_open(tmp_path / "model", "pt") as file:
        content = json.loads(file.metadata()["skgca"])
        names = set(file.keys())
        rows = content["reference"]["rows"]["objects"][2]
    assert {f"weights.{name}" for name in fitted.net_.module_.state_dict()} <= names
    assert content["format"] == 1
    assert content["versions"]["torch"] == metadata.version("torch")
    assert content["reader"]["names"] == list(FRAME.columns)
    assert content["reader"]["held"] == ["number", "text", "truth", "number", "text"]
    assert len(rows) == 4 * 5
    assert not {value for value in rows if isinstance(value, float)} & set(FRAME["size"])
    assert b"pickle" not in (tmp_path / "model").read_bytes()


def test_output_settings_and_requests_come_back(tmp_path):
    fitted = clone(fitted_case("frame")[0]).set_output(transform="pandas").fit(FRAME)
    with sklearn.config_context(enable_metadata_routing=True):
        fitted.set_fit_request(sample_weight=True, sample_domain="site")
    loaded = saved(fitted, tmp_path)
    pd.testing.assert_frame_equal(loaded.transform(FRAME), fitted.transform(FRAME))
    assert loaded.get_metadata_routing().fit.requests == fitted.get_metadata_routing().fit.requests


def test_further_fitted_attributes_that_are_plain_are_kept(tmp_path):
    fitted = copy.copy(fitted_case("numbers")[0])
    fitted.stop_reason_ = "max_epochs"
    fitted.worst_ = [{"loss": np.nan, "step": np.int64(3)}, (1, None)]
    fitted.scores_ = np.array([1.5, np.inf])
    fitted.object_ = object()
    loaded = saved(fitted, tmp_path)
    assert loaded.stop_reason_ == "max_epochs"
    assert repr(loaded.worst_) == repr(fitted.worst_)
    assert np.array_equal(loaded.scores_, fitted.scores_)
    assert not hasattr(loaded, "object_")


def test_parameters_that_were_set_after_fit_do_not_hinder(tmp_path):
    fitted, X = fitted_case("numbers")
    changed = copy.copy(fitted).set_params(hidden_layer_sizes=(3,), normalization="layer", loss="ince", q=0.5)
    for loaded in (saved(changed, tmp_path), pickle.loads(pickle.dumps(changed))):
        assert np.array_equal(loaded.transform(X), fitted.transform(X))
        assert loaded.hidden_layer_sizes == (3,)


def test_a_loaded_embedder_is_tuned_on_new_rows_of_the_same_columns(tmp_path):
    fitted, _ = fitted_case("frame")
    loaded = saved(fitted, tmp_path).set_params(warm_start=True)
    new = FRAME.sample(frac=0.7, random_state=0)
    before = loaded.transform(FRAME)
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.fit(new.rename(columns={"size": "length"}))
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.fit(new.drop(columns="size"))
    with pytest.raises(ValueError, match="'colour' held text in fit, and now holds number"):
        loaded.fit(new.assign(colour=1.0))
    assert np.array_equal(loaded.transform(FRAME), before)
    loaded.fit(new)
    assert not np.array_equal(loaded.transform(FRAME), before)
    assert loaded.transform(FRAME).shape == before.shape
    array = saved(fitted_case("numbers")[0], tmp_path).set_params(warm_start=True)
    with pytest.raises(ValueError, match="X has 3 features, but GCAEmbedder is expecting 4"):
        array.fit(TABLE[:, :3])


def test_opening_leaves_global_generators_alone(tmp_path):
    fitted, _ = fitted_case("resnet_mlp")
    state = torch.get_rng_state()
    saved(fitted, tmp_path)
    pickle.loads(pickle.dumps(fitted))
    assert torch.equal(torch.get_rng_state(), state)


def test_not_fitted(tmp_path):
    with pytest.raises(NotFittedError):
        quick().save(tmp_path / "model")
    with pytest.raises(NotFittedError):
        quick().export_onnx(tmp_path / "model")


# What a file cannot hold


def test_an_encoder_of_ones_own_is_asked_for_and_gets_its_weights(tmp_path):
    fitted = quick(encoder=Net).fit(TABLE)
    fitted.save(tmp_path / "model")
    with pytest.raises(SavedFileError, match=r"its encoder is .*test_saving.Net, .* load\(path, custom="):
        GCAEmbedder.load(tmp_path / "model")
    for encoder in (Net, lambda n, k: Net(n, k), Net(5, 5)):
        loaded = GCAEmbedder.load(tmp_path / "model", custom={"encoder": encoder})
        assert np.array_equal(loaded.transform(TABLE), fitted.transform(TABLE))
        assert loaded.encoder is encoder
        loaded.set_params(warm_start=True).fit(TABLE)
    with pytest.raises(SavedFileError, match="the weights are not those of the network"):
        GCAEmbedder.load(tmp_path / "model", custom={"encoder": nn.Linear})
    with pytest.raises(SavedFileError, match="embedded differently from when it was saved"):
        GCAEmbedder.load(tmp_path / "model", custom={"encoder": Other})
    with pytest.raises(SavedFileError, match=r"encoder=.* failed when called with \(5, 5\): wrong"):
        GCAEmbedder.load(tmp_path / "model", custom={"encoder": fails})
    with pytest.raises(SavedFileError, match="made a int, but a Module is needed"):
        GCAEmbedder.load(tmp_path / "model", custom={"encoder": lambda n, k: 3})


class Other(Net):
    def forward(self, batch):
        return -self.layers(batch)


def fails(n_inputs, n_outputs):
    raise RuntimeError("wrong")


def test_a_module_as_encoder_is_not_changed(tmp_path):
    instance = Net(5, 7)
    fitted = quick(encoder=instance).fit(TABLE)
    other = Net(5, 7)
    before = copy.deepcopy(other.state_dict())
    loaded = saved(fitted, tmp_path, custom={"encoder": other})
    assert np.array_equal(loaded.transform(TABLE), fitted.transform(TABLE))
    assert all(torch.equal(value, before[name]) for name, value in other.state_dict().items())


@pytest.mark.parametrize(
    ("params", "name", "fit"),
    [
        ({"views": Shift()}, "views", {}),
        ({"views": ["clean", CallableView(nn.Dropout(0.1))]}, "views", {}),
        ({"target": same}, "target", {"y": np.arange(40) % 3}),
        ({"related": same}, "related", {"sample_group": np.arange(40)}),
        ({"random_state": np.random.RandomState(0)}, "random_state", {}),
    ],
)
def test_what_only_training_needs_is_asked_for_by_fit(params, name, fit, tmp_path):
    fitted = quick(**params).fit(TABLE, **fit)
    loaded = saved(fitted, tmp_path)
    assert np.array_equal(loaded.transform(TABLE), fitted.transform(TABLE))
    assert isinstance(loaded.get_params()[name], NotSaved)
    for model in (loaded, clone(loaded), pickle.loads(pickle.dumps(loaded)), saved(loaded, tmp_path)):
        with pytest.raises(InvalidParameterError, match=rf"in {name} was not saved; give it by set_params\({name}="):
            model.fit(TABLE, **fit)
    value = params[name]
    loaded = saved(fitted, tmp_path, custom={name: value})
    assert loaded.get_params()[name] is value
    loaded.fit(TABLE, **fit)


def test_custom_is_only_for_what_the_file_does_not_hold(tmp_path):
    fitted = quick(views=Shift()).fit(TABLE)
    fitted.save(tmp_path / "model")
    with pytest.raises(SavedFileError, match=r"custom gives \['epsilon', 'nothing'\], but .* is \['views'\]"):
        GCAEmbedder.load(tmp_path / "model", custom={"nothing": 1, "epsilon": 2, "views": "clean"})


class Keeps(Net):
    def get_extra_state(self):
        return {"text": "no tensor"}

    def set_extra_state(self, state):
        pass


class Once(Net):
    made = 0

    def __init__(self, n_inputs, n_outputs):
        super().__init__(n_inputs, n_outputs)
        Once.made += 1
        self.sign = -1 if Once.made > 1 else 1

    def forward(self, batch):
        return self.sign * self.layers(batch)


def test_what_could_not_be_opened_is_not_written(tmp_path):
    with pytest.raises(SavedFileError, match=r"keeps 'encoder.body._extra_state', a dict; only tensors"):
        quick(encoder=Keeps).fit(TABLE).save(tmp_path / "model")
    Once.made = 0
    with pytest.raises(SavedFileError, match="cannot be saved, as it could not be opened again: its reference rows"):
        quick(encoder=Once).fit(TABLE).save(tmp_path / "model")
    changed = quick(encoder=Net).fit(TABLE).set_params(encoder="mlp")
    with pytest.raises(
        SavedFileError, match="class or function that the file does not hold, and encoder='mlp' cannot make it"
    ):
        changed.save(tmp_path / "model")
    exchanged = quick(encoder=MLP(5, (6,), 3)).fit(TABLE)
    exchanged.encoder_.body[2] = nn.Tanh()  # no longer what MLP makes
    with pytest.raises(SavedFileError, match="embedded differently from when it was saved"):
        exchanged.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
    assert np.array_equal(pickle.loads(pickle.dumps(exchanged)).transform(TABLE), exchanged.transform(TABLE))


# Files that are not to be opened


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    quick(hidden_layer_sizes=(2,), projection_sizes=(2,), n_components=2, max_epochs=0).fit(TABLE[:, :2]).save(path)
    return path.read_bytes()


def refuse(tmp_path, data, match, **options):
    path = tmp_path / "other.safetensors"
    path.write_bytes(data)
    with pytest.raises(SavedFileError, match=match) as info:
        GCAEmbedder.load(path, **options)
    assert str(path) in str(info.value)


def edited(data, change):
    """Return a file with other JSON and a checksum that fits, as only someone with this code would make it."""
    tensors = safetensors.torch.load(data)
    length = int.from_bytes(data[:8], "little")
    content = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["skgca"])
    change(content, tensors)
    content["sha256"] = "0" * 64
    data = safetensors.torch.save(tensors, {"skgca": json.dumps(content)})
    return data.replace(b"0" * 64, sha256(data).hexdigest().encode(), 1)


def test_every_changed_byte_is_noticed(data, tmp_path):
    path = tmp_path / "changed"
    places = range(0, len(data), max(1, len(data) // 400))
    for place in [*range(64), *places]:
        changed = bytearray(data)
        changed[place] ^= 1 << (place % 8)
        path.write_bytes(changed)
        with pytest.raises(SavedFileError, match="cannot be opened: it is"):
            GCAEmbedder.load(path)


def test_a_file_that_is_cut_off_or_goes_on_is_refused(data, tmp_path):
    for end in [*range(1, 40), *range(40, len(data), len(data) // 50), len(data) - 1]:
        refuse(tmp_path, data[:end], "damaged")
    refuse(tmp_path, data + b"\0", "its checksum does not fit")


def test_what_is_no_file_of_ours_is_refused(data, tmp_path):
    refuse(tmp_path, b"", "it is empty")
    refuse(tmp_path, b"\x80\x05K\x01.", "no safetensors file")
    refuse(tmp_path, pickle.dumps(quick()), "no safetensors file")
    refuse(tmp_path, RNG.bytes(3000), "no safetensors file")
    refuse(tmp_path, safetensors.torch.save({"a": torch.ones(2)}), "GCAEmbedder.save did not write it")
    refuse(tmp_path, safetensors.torch.save({"a": torch.ones(2)}, {"skgca": "[]"}), "damaged")
    refuse(tmp_path, (2).to_bytes(8, "little") + b"{}", "GCAEmbedder.save did not write it")
    deep = b"[" * 100_000
    refuse(tmp_path, len(deep).to_bytes(8, "little") + deep, "no safetensors file")
    refuse(tmp_path, safetensors.torch.save({"a": torch.ones(2)}, {"skgca": "{"}), "damaged")
    with pytest.raises(IsADirectoryError, match=re.escape(str(tmp_path))):
        GCAEmbedder.load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"There is no file '.*nothing'"):
        GCAEmbedder.load(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c, t: c.update(format=2), r"has format 2, written by skgca .*, but skgca .* reads format 1; install"),
        (lambda c, t: c["parameters"].update(shine=3), r"parameters \['shine'\] that skgca .* does not know"),
        (lambda c, t: c["parameters"].update(views={"view": ["Blur", {}]}), "the view 'Blur' is not known"),
        (lambda c, t: c["parameters"].update(q={"pickle": "x"}), "a value of kind 'pickle' is not known"),
        (lambda c, t: c["parameters"].update(q={"scalar": ["object", 1]}), "type 'object' is not known"),
        (lambda c, t: c["network"].update(body={"Net": {}}), "a network of class 'Net' is not known"),
        (lambda c, t: c["reader"].update(kind="sounds"), "data of kind 'sounds' are not known"),
        (lambda c, t: c.update({"class": "Embedder"}), "holds a Embedder, not a GCAEmbedder; use Embedder.load"),
        (lambda c, t: c.pop("network"), "structure is not that of skgca .*: KeyError"),
        (lambda c, t: c["parameters"].update(epsilon={"LearnableEpsilon": [3.0, 1.0, 2.0]}), "0 < low <= start"),
        (lambda c, t: c["attributes"].update(encoder_=3), "structure is not that of skgca"),
        (lambda c, t: c["attributes"].update(transform=3), "no fitted attribute"),
        (lambda c, t: c["attributes"].pop("epsilon_"), "structure is not that of skgca .*: AttributeError"),
        (lambda c, t: t.pop("reference.inputs"), "structure is not that of skgca .*: KeyError"),
        (lambda c, t: t.pop("weights.encoder.readout.mean"), "the weights are not those of the network"),
        (lambda c, t: t["weights.encoder.readout.mean"].add_(1.0), "embedded differently from when it was saved, by"),
        (lambda c, t: t["reader.scaler.robust.mean_"].add_(1.0), "reference rows are read differently"),
        (lambda c, t: t["weights.encoder.readout.mean"].fill_(torch.nan), "cannot be opened"),
    ],
)
def test_a_file_from_the_future_or_by_someone_else_is_refused(change, match, data, tmp_path):
    refuse(tmp_path, edited(data, change), match)


def test_parameters_that_a_file_lacks_are_at_their_defaults(data, tmp_path):
    path = tmp_path / "old"
    path.write_bytes(edited(data, lambda content, tensors: content["parameters"].pop("view_pairs")))
    assert GCAEmbedder.load(path).view_pairs == "all"


class Renamed(GCAEmbedder):
    """Has the parameters of its base."""


def test_a_subclass_opens_its_own_files(tmp_path):
    fitted = Renamed(**quick().get_params()).fit(TABLE)
    assert type(saved(fitted, tmp_path)) is Renamed
    with pytest.raises(SavedFileError, match="holds a Renamed, not a GCAEmbedder"):
        GCAEmbedder.load(tmp_path / "model.safetensors")


def test_writing_is_all_or_nothing(tmp_path, monkeypatch):
    fitted, _ = fitted_case("numbers")
    path = tmp_path / "model"
    fitted.save(path)
    before = path.read_bytes()

    def full(*args):
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space left"):
        fitted_case("byol")[0].save(path)
    monkeypatch.undo()
    assert [other.name for other in tmp_path.iterdir()] == ["model"]
    assert path.read_bytes() == before
    fitted_case("byol")[0].save(str(path))  # replaces
    assert GCAEmbedder.load(str(path)).loss == "byol"
    with pytest.raises(IsADirectoryError, match="is a folder"):
        fitted.save(tmp_path)
    with pytest.raises(FileNotFoundError, match="in a folder that does not exist"):
        fitted.save(tmp_path / "no" / "model")


# Devices


@pytest.fixture
def on_cuda(tmp_path):
    """What a machine with CUDA would leave: the parameter says so. Weights are on the CPU in either form."""
    fitted = copy.copy(fitted_case("numbers")[0]).set_params(device="cuda")
    fitted.save(tmp_path / "model")
    return fitted, tmp_path / "model"


def test_what_was_fitted_on_cuda_opens_on_a_cpu(on_cuda, monkeypatch):
    fitted, path = on_cuda
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = pickle.dumps(fitted)
    for open_it in (lambda: GCAEmbedder.load(path), lambda: pickle.loads(before)):
        with pytest.warns(UserWarning, match="device='cuda', which is not on this machine; it is opened on the CPU"):
            loaded = open_it()
        assert loaded.net_.device == torch.device("cpu")
        assert loaded.device == "cuda"
        assert np.array_equal(loaded.transform(TABLE), fitted.transform(TABLE))
    loaded = GCAEmbedder.load(path, device="cpu")  # without a warning
    assert loaded.device == "cpu"
    for wrong in ("cuda", "nonsense"):
        with pytest.raises(ValueError, match=f"device='{wrong}' is not"):
            GCAEmbedder.load(path, device=wrong)


def test_pickles_hold_arrays_wherever_the_weights_are():
    fitted, _ = fitted_case("byol")
    moved = copy.deepcopy(fitted)
    state = moved.__getstate__()
    assert "net_" not in state
    assert all(type(array) is np.ndarray for array in state["_fitted"]["arrays"].values())


@pytest.mark.cuda
@pytest.mark.parametrize("encoder", ["auto", Net])
def test_weights_on_cuda_go_through_files_and_pickles(encoder, tmp_path, cuda):
    fitted = quick(device=cuda.type, encoder=encoder).fit(TABLE)
    custom = None if encoder == "auto" else {"encoder": encoder}
    for loaded in (saved(fitted, tmp_path, custom=custom), pickle.loads(pickle.dumps(fitted))):
        assert next(loaded.net_.module_.parameters()).device.type == cuda.type
        assert np.array_equal(loaded.transform(TABLE), fitted.transform(TABLE))
    on_cpu = saved(fitted, tmp_path, custom=custom, device="cpu")
    assert_close(on_cpu.transform(TABLE), fitted.transform(TABLE), 1e-3)  # as between processors; CUDA sums in TF32
    assert next(fitted.net_.module_.parameters()).device.type == cuda.type


# Pickles, copies, joblib, skops


def by_joblib(estimator):
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


def by_skops(estimator):
    data = skops.io.dumps(estimator)
    assert set(skops.io.get_untrusted_types(data=data)) <= set(SKOPS_TRUSTED)
    return skops.io.loads(data, trusted=SKOPS_TRUSTED)


WAYS = {
    "pickle": lambda estimator: pickle.loads(pickle.dumps(estimator)),
    "old pickle": lambda estimator: pickle.loads(pickle.dumps(estimator, protocol=2)),
    "deepcopy": copy.deepcopy,
    "cloudpickle": lambda estimator: pickle.loads(cloudpickle.dumps(estimator)),
    "joblib": by_joblib,
    "skops": by_skops,
}


def covering():
    """Each way with one case of each format of a file, and each case with one way, in turn."""
    formats = ("frame", "images", "series", "byol")
    others = [name for name in CASES if name not in (*formats, "our class", "resnet18")]
    return [*itertools.product(WAYS, formats), *zip(itertools.cycle(WAYS), others)]


@pytest.mark.parametrize(("way", "name"), covering())
def test_copies_are_the_same(way, name):
    fitted, X = fitted_case(name)
    other = WAYS[way](fitted)
    assert repr(other.get_params()) == repr(fitted.get_params())
    assert_same(other, fitted, X)
    assert_trains_on(other, name)
    assert set(vars(other)) == set(vars(fitted))


@pytest.mark.parametrize("way", [way for way in WAYS if way != "skops"])
@pytest.mark.parametrize("encoder", [Net, Net(5, 7), MLP(5, (6,), 3, activation="gelu")])
def test_copies_with_an_encoder_of_ones_own(way, encoder):
    fitted = quick(encoder=encoder).fit(TABLE)
    assert_same(WAYS[way](fitted), fitted, TABLE)


def test_cloudpickle_takes_lambdas():
    fitted = quick(encoder=lambda n, k: Net(n, k), views=lambda batch, generator: batch).fit(TABLE)
    assert_same(pickle.loads(cloudpickle.dumps(fitted)), fitted, TABLE)


def test_a_shallow_copy_shares_the_net():
    fitted, _ = fitted_case("numbers")
    other = copy.copy(fitted)
    assert other is not fitted
    assert other.net_ is fitted.net_
    assert other.set_params(lr=0.5).lr != fitted.lr


@pytest.mark.parametrize("way", WAYS)
def test_unfitted_estimators_are_copied(way):
    model = quick(epsilon=LearnableEpsilon(0.3), views=[GaussianNoise(), "clean"], device=torch.device("cpu"))
    assert repr(WAYS[way](model).get_params()) == repr(model.get_params())


@pytest.mark.parametrize("way", WAYS)
def test_arrays_within_parameters_are_copied(way):
    affinity = scipy.sparse.csr_matrix(np.eye(4)[[1, 0, 3, 2]])
    other = WAYS[way](quick(target=affinity)).target
    assert type(other) is scipy.sparse.csr_matrix
    assert (other != affinity).nnz == 0


def test_joblib_may_map_the_weights_into_memory(tmp_path):
    fitted, X = fitted_case("numbers")
    joblib.dump(fitted, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    assert_same(mapped, fitted, X)


def test_a_pickle_holds_neither_optimizer_nor_callbacks():
    fitted, _ = fitted_case("frame")
    n_bytes = sum(value.nbytes for value in fitted.net_.module_.state_dict().values())
    assert len(pickle.dumps(fitted)) < n_bytes + 20_000
    assert len(pickle.dumps(fitted)) < len(pickle.dumps(fitted.net_))


def test_skops_takes_a_pipeline(tmp_path):
    model = make_pipeline(quick(epsilon=LearnableEpsilon(0.3)), LogisticRegression(max_iter=1000))
    model.set_output(transform="default").fit(FRAME, FRAME["new"])
    skops.io.dump(model, tmp_path / "model.skops")
    assert skops.io.get_untrusted_types(file=tmp_path / "model.skops") == ["skgca._estimator.embedder.GCAEmbedder"]
    with pytest.raises(skops.io.exceptions.UntrustedTypesFoundException):
        skops.io.load(tmp_path / "model.skops")
    loaded = skops.io.load(tmp_path / "model.skops", trusted=SKOPS_TRUSTED)
    assert np.array_equal(loaded.predict_proba(FRAME), model.predict_proba(FRAME))


def test_requests_of_metadata_are_copied():
    with sklearn.config_context(enable_metadata_routing=True):
        fitted = copy.copy(fitted_case("numbers")[0]).set_fit_request(sample_weight=True)
        for way in WAYS.values():
            assert way(fitted).get_metadata_routing().fit.requests == fitted.get_metadata_routing().fit.requests
        assert way(fitted).get_metadata_routing().fit.requests["sample_weight"] is True


def test_skops_is_told_what_it_cannot_hold():
    with pytest.raises(TypeError, match=r"skops cannot hold builtins\.list"):
        skops.io.dumps(quick(views=["clean", nn.Dropout(0.1)]))
    for encoder in (Net, Net(5, 7)):
        fitted = quick(encoder=encoder, max_epochs=0).fit(TABLE)
        with pytest.raises(TypeError, match=r"skops cannot hold .*Net, .*; use its method save"):
            skops.io.dumps(fitted)


# Values


@pytest.mark.parametrize(
    "value",
    [
        np.float32(0.1),
        np.int64(-3),
        np.bool_(True),
        np.str_("a"),
        np.arange(6).reshape(2, 3),
        np.arange(3, dtype=">i4"),
        np.array([], dtype=bool),
        np.array(["b", "a"]),
        np.array([["b", None], [1, np.nan]], dtype=object),
        torch.device("cuda:1"),
        Path("some") / "where",
        LearnableEpsilon(1 / 3, 0.1, 7),
        ColumnCorruption(0.3),
        Compose(Identity(), FeatureDropout(0.1, numeric=[True, False])),
        NeighborMixup(3, 0.1, numeric=torch.tensor([1])),
        TimeCrop(0.7),
        TimeJitter(0.2),
        ImageAugmentation("digits"),
        scipy.sparse.csr_matrix(np.eye(3)),
        scipy.sparse.csr_array(np.eye(3)),
        NotSaved("views", "m.View"),
    ],
)
def test_values_come_back(value):
    tensors = {}
    encoded = json.loads(json.dumps(encode(value, tensors, "place"), allow_nan=False))
    tensors = safetensors.torch.load(safetensors.torch.save(tensors))
    again = decode(encoded, tensors)
    assert type(again) is type(value)
    if isinstance(value, np.ndarray):
        assert (again.dtype.kind, again.shape) == (value.dtype.kind, value.shape)
        assert repr(again.tolist()) == repr(value.tolist())
    elif scipy.sparse.issparse(value):
        assert np.array_equal(again.toarray(), value.toarray())
    else:
        assert repr(again) == repr(value)


@pytest.mark.parametrize(
    "value",
    [object(), Shift(), len, {1}, np.random.RandomState(0), nn.ReLU(), 1j, b"a", [1, (object(),)],
     np.array([1j]), np.array(["2020"], dtype="M8[D]"), NeighborMixup().fit(torch.ones(2, 2)), np.longdouble(1)],
)  # fmt: skip
def test_values_of_other_classes_are_not_written(value):
    with pytest.raises(TypeError):
        encode(value, {}, "place")


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
SCALARS = st.floats(width=32).map(np.float32) | st.integers(-(2**63), 2**63 - 1).map(np.int64)
VALUES = st.recursive(
    PLAIN | SCALARS,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)


@given(VALUES)
def test_nested_values_come_back(value):
    text = json.dumps(encode(value, {}, "place"), allow_nan=False)
    assert repr(decode(json.loads(text), {})) == repr(value)  # which tells types, NaN and -0.0 apart


CATEGORIES = st.one_of(
    st.lists(st.text() | st.none(), min_size=1),
    st.lists(st.booleans() | st.none(), min_size=1),
    st.lists(st.floats(allow_infinity=False) | st.none(), min_size=1),
    st.lists(st.integers(-(2**50), 2**50), min_size=1),
)


@given(CATEGORIES, st.text() | st.integers() | st.tuples(st.text(), st.integers()))
def test_categories_come_back(values, name):
    X = np.empty((len(values), 1), dtype=object)
    X[:, 0] = values
    reader = TableReader(categorical_features=[0], standardize=True).fit(Rows(X))
    reader.names = [name]
    tensors = {}
    encoded = json.loads(json.dumps(encode_reader(reader, tensors), allow_nan=False))
    again = decode_reader(encoded, tensors)
    assert repr(again.known_categories) == repr(reader.known_categories)
    assert again.names == reader.names
    assert torch.equal(again.read(X), reader.read(X))


def test_scales_keep_all_their_bits():
    X = RNG.normal(size=(50, 3)) * [1e-8, np.pi, 1e12]
    reader = TableReader(categorical_features=None, standardize=True).fit(Rows(X))
    tensors = {}
    again = decode_reader(json.loads(json.dumps(encode_reader(reader, tensors))), tensors)
    for part in ("robust", "final"):
        for name in ("mean_", "scale_", "var_", "n_samples_seen_"):
            mine, theirs = (getattr(getattr(each.scaler, part), name) for each in (again, reader))
            assert np.array_equal(mine, theirs)
            assert type(mine) is type(theirs)
            assert np.asarray(mine).dtype == np.asarray(theirs).dtype


def test_images_open_without_kornia(tmp_path, monkeypatch):
    fitted = quick(views=ImageAugmentation("digits")).fit(IMAGES)
    fitted.save(tmp_path / "model")
    monkeypatch.setattr("skgca.views._images._kornia", lambda: pytest.fail("asked for kornia"))
    assert np.array_equal(GCAEmbedder.load(tmp_path / "model").transform(IMAGES), fitted.transform(IMAGES))


# Files of earlier versions


def test_the_network_of_version_0_1_for_large_images_opens_and_trains_on(tmp_path, monkeypatch):
    monkeypatch.setattr("skgca.encoders._images.usual_pooling", lambda height, width: (1, 1))
    monkeypatch.setattr("skgca.encoders._images._usual_widths", lambda height, width, n_outputs: (32, 64, 128))
    monkeypatch.setattr("skgca._builders.network.usual_pooling", lambda height, width: (1, 1))
    old = GCAEmbedder(n_components=3, views="clean", max_epochs=1, random_state=0).fit(LARGE)
    old.save(tmp_path / "model")
    monkeypatch.undo()
    loaded = GCAEmbedder.load(tmp_path / "model")
    assert np.array_equal(loaded.transform(LARGE), old.transform(LARGE))
    assert loaded.set_params(warm_start=True).fit(LARGE).encoder_.body.pooling == (1, 1)
    with pytest.raises(ValueError, match="another n_components, hidden_layer_sizes"):
        loaded.set_params(hidden_layer_sizes=(4,)).fit(LARGE)


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.safetensors")), ids=lambda path: path.stem)
def test_files_of_earlier_versions_open(path):
    expected = json.loads(path.with_suffix(".json").read_text())
    rows = expected["rows"]
    is_frame = expected["dtype"] == "frame"
    X = pd.DataFrame(rows) if is_frame else np.array(rows, dtype=expected["dtype"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = GCAEmbedder.load(path)
        embedding = loaded.transform(X)
    assert_close(embedding, expected["embedding"], 1e-3)  # deviations of few rows: float32 divided by small numbers
    assert list(loaded.get_feature_names_out()) == expected["names"]
    loaded.set_params(warm_start=True, max_epochs=1).fit(X)


def test_there_are_files_of_every_kind():
    kinds = {GCAEmbedder.load(path).reader_.kind for path in FIXTURES.glob("*-1.safetensors")}
    assert kinds == {"table", "images", "series"}
    assert all(path.stat().st_size < 32_000 for path in FIXTURES.iterdir() if path.is_file())
