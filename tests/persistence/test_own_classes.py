"""Encoders and views from outside of the package, which say what they were made with: fitted, saved and opened."""

import json
import pickle

import numpy as np
import pytest
import safetensors
import skops.io
import torch
from sklearn.base import clone
from torch import nn

from skgca import SKOPS_TRUSTED, GCAEmbedder, encoders
from skgca._builders import network
from skgca._data import TableReader
from skgca._persistence.codec import NotSaved
from skgca._utils.compat import InvalidParameterError
from skgca.exceptions import SavedFileError
from skgca.views import CallableView, Compose, GaussianNoise

from .. import models

X = np.random.default_rng(0).normal(size=(40, 4))


def quick(**params):
    small = {"n_components": 5, "max_epochs": 1, "batch_size": 16}
    return models.quick(**{**small, "hidden_layer_sizes": None, **params})


class Gated(nn.Module):
    """The constructor takes the configuration by keyword."""

    def __init__(self, n_inputs, n_components, width=6):
        super().__init__()
        self.sizes = {"n_inputs": n_inputs, "n_components": n_components, "width": width}
        self.value, self.gate = nn.Linear(n_inputs, width), nn.Linear(n_inputs, width)
        self.last = nn.Linear(width, n_components)

    def forward(self, batch):
        return self.last(self.value(batch) * self.gate(batch).sigmoid())

    def get_config(self):
        return self.sizes


class Rounding:
    """It has ``from_config``, and its arguments have other names."""

    def __init__(self, given):
        self.step = given

    def __call__(self, batch, generator):
        offset = torch.rand(batch.shape[1], generator=generator, device=batch.device)
        return self.step * ((batch / self.step + offset).floor() - offset + 0.5)

    def __repr__(self):
        return f"Rounding({self.step})"

    def get_config(self):
        return {"step": self.step}

    @classmethod
    def from_config(cls, config):
        return cls(config["step"])


class Scaled:
    """Takes one argument, and an array."""

    def __init__(self, factors):
        self.factors = factors

    def __call__(self, batch):
        return batch * torch.as_tensor(self.factors).to(batch)

    def get_config(self):
        return {"factors": self.factors}


def content(path):
    with safetensors.safe_open(path, "pt") as file:
        return json.loads(file.metadata()["skgca"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model"


def assert_opens(fitted, path, custom):
    """What a file gives back embeds with the same bits, has the same parameters, and trains on as the original."""
    opened = GCAEmbedder.load(path, custom=custom)
    assert np.array_equal(opened.transform(X), fitted.transform(X))
    assert repr(opened.get_params()) == repr(fitted.get_params())
    for model in (opened, fitted):
        model.set_params(warm_start=True)
    expected, found = (pickle.loads(pickle.dumps(model)).fit(X).transform(X) for model in (fitted, opened))
    assert np.array_equal(found, expected)
    opened.save(path)
    again = GCAEmbedder.load(path, custom=custom)
    assert np.array_equal(again.transform(X), fitted.transform(X))


@pytest.mark.parametrize("encoder", [Gated, Gated(4, 7, width=3)], ids=["class", "module"])
@pytest.mark.parametrize("key", ["encoder", "Gated"])
def test_an_encoder_that_says_how_it_was_made_opens_by_its_class(encoder, key, path):
    fitted = quick(encoder=encoder).fit(X)
    fitted.save(path)
    with pytest.raises(SavedFileError, match=r"its encoder is .*test_own_classes.Gated, .* load\(path, custom="):
        GCAEmbedder.load(path)
    assert_opens(fitted, path, {key: Gated})


def test_a_class_of_another_name_is_given_by_the_name_in_the_file(path):
    class Renamed(Gated):
        pass

    fitted = quick(encoder=Gated(4, 7, width=3)).fit(X)
    fitted.save(path)
    opened = GCAEmbedder.load(path, custom={"Gated": Renamed})
    assert type(opened.encoder_.body) is type(opened.encoder) is Renamed
    assert np.array_equal(opened.transform(X), fitted.transform(X))


def test_what_an_encoder_is_opened_by_otherwise_still_works(path):
    fitted = quick(encoder=Gated(4, 5)).fit(X)
    fitted.save(path)
    for encoder in (Gated(4, 5), lambda n, k: Gated(n, k)):
        opened = GCAEmbedder.load(path, custom={"encoder": encoder})
        assert opened.encoder is encoder
        assert np.array_equal(opened.transform(X), fitted.transform(X))


def test_an_encoder_that_a_function_made_opens_by_its_class(path):
    fitted = quick(encoder=lambda n, k: Gated(n, k, width=9)).fit(X)
    fitted.save(path)
    opened = GCAEmbedder.load(path, custom={"Gated": Gated})
    assert np.array_equal(opened.transform(X), fitted.transform(X))
    assert isinstance(opened.encoder, NotSaved)
    assert GCAEmbedder.load(path, custom={"encoder": Gated}).encoder is Gated


def test_an_encoder_within_others_opens_by_its_class(path):
    fitted = quick(encoder=nn.Sequential(nn.Flatten(), Gated(4, 7, width=3), nn.ReLU())).fit(X)
    fitted.save(path)
    opened = GCAEmbedder.load(path, custom={"Gated": Gated})
    assert np.array_equal(opened.transform(X), fitted.transform(X))


def test_an_encoder_with_a_name_is_saved(path, monkeypatch):
    """As structure.md says to add one, but for the line in skgca.encoders."""
    make = lambda params, shape, widths: Gated(*shape, params.n_components)  # noqa: E731
    monkeypatch.setitem(network.ENCODERS, "gated", network._Named((TableReader,), make, None))
    monkeypatch.setitem(GCAEmbedder._parameter_constraints, "encoder", [str])
    fitted = quick(encoder="gated").fit(X)
    fitted.save(path)
    with pytest.raises(SavedFileError, match=r"its network has Gated, .* load\(path, custom=\{'Gated'"):
        GCAEmbedder.load(path)
    for key in ("Gated", "encoder"):
        assert_opens(fitted, path, {key: Gated})
        fitted.save(path)


def test_an_encoder_with_a_line_in_the_package_opens_without_help(path, monkeypatch):
    monkeypatch.setattr(encoders, "Gated", Gated, raising=False)
    monkeypatch.setattr(encoders, "__all__", [*encoders.__all__, "Gated"])
    fitted = quick(encoder=Gated(4, 7, width=3)).fit(X)
    fitted.save(path)
    assert np.array_equal(GCAEmbedder.load(path).transform(X), fitted.transform(X))


VIEWS = {
    "alone": Rounding(0.3),
    "beside": [Rounding(0.3), "clean"],
    "within": Compose(GaussianNoise(0.1), Rounding(0.3)),
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("key", ["views", "Rounding"])
def test_a_view_that_says_how_it_was_made_opens_by_its_class(name, key, path):
    fitted = quick(views=VIEWS[name]).fit(X)
    fitted.save(path)
    assert_opens(fitted, path, {key: Rounding})


def test_a_view_of_which_the_class_is_missing_is_asked_for_by_fit(path):
    fitted = quick(views=Rounding(0.3)).fit(X)
    fitted.save(path)
    opened = GCAEmbedder.load(path)
    assert np.array_equal(opened.transform(X), fitted.transform(X))
    with pytest.raises(InvalidParameterError, match=r"Rounding in views was not saved; give it by set_params\(views="):
        opened.fit(X)
    view = Rounding(0.5)
    assert GCAEmbedder.load(path, custom={"views": view}).views is view


def test_several_classes_are_given_by_their_names(path):
    scaled = CallableView(Scaled(np.array([1.0, -1.0, 0.5, 2.0])))
    fitted = quick(encoder=Gated, views=[Rounding(0.3), scaled]).fit(X)
    fitted.save(path)
    custom = {"Gated": Gated, "Rounding": Rounding, "Scaled": Scaled}
    opened = GCAEmbedder.load(path, custom=custom)
    assert np.array_equal(opened.views[1].transform.factors, scaled.transform.factors)
    assert opened.encoder is Gated
    assert np.array_equal(clone(opened).fit(X).transform(X), clone(fitted).fit(X).transform(X))
    assert isinstance(GCAEmbedder.load(path, custom={"Gated": Gated, "Rounding": Rounding}).views, NotSaved)
    wanted = r"custom gives \['Round'\], but .* is \['Gated', 'Rounding', 'Scaled', 'encoder', 'views'\]"
    with pytest.raises(SavedFileError, match=wanted):
        GCAEmbedder.load(path, custom={**custom, "Round": Rounding})


def test_a_file_names_classes_and_holds_no_more_of_them(path):
    quick(encoder=Gated(4, 7, width=3), views=Rounding(0.3)).fit(X).save(path)
    found, module = content(path), __name__
    config = {"n_inputs": 4, "n_components": 7, "width": 3}
    assert found["custom"] == {
        "classes": {"Gated": f"{module}.Gated", "Rounding": f"{module}.Rounding"},
        "parameters": {
            "encoder": {"custom": ["Gated", config]},
            "views": {"custom": ["Rounding", {"step": 0.3}]},
        },
    }
    assert found["network"]["body"] == {
        "own": [4, 7],
        "config": {"Gated": {"n_inputs": 4, "n_components": 7, "width": 3}},
    }
    assert found["parameters"]["views"] == {"not_saved": ["views", f"{module}.Rounding"]}  # as in earlier versions


def test_files_without_classes_of_ones_own_are_as_before(path):
    quick(encoder="mlp", hidden_layer_sizes=(4,)).fit(X).save(path)
    assert "custom" not in content(path)


class Loses(Gated):
    """Its configuration does not make it again."""

    def get_config(self):
        return {"n_inputs": 4, "n_components": 7}


class Refuses(Gated):
    def get_config(self):
        raise RuntimeError("of another library")


class MLP(Gated):
    """Has the name of a class of the package."""


@pytest.mark.parametrize("kind", [Loses, Refuses, MLP])
def test_an_encoder_whose_configuration_is_of_no_use_is_asked_for_itself(kind, path):
    fitted = quick(encoder=kind(4, 7, width=3)).fit(X)
    fitted.save(path)
    assert "config" not in content(path)["network"]["body"]
    opened = GCAEmbedder.load(path, custom={"encoder": kind(4, 7, width=3)})
    assert np.array_equal(opened.transform(X), fitted.transform(X))


def test_a_class_that_fails_is_named(path):
    class Fails(Gated):
        def __init__(self, **config):
            raise RuntimeError("out of order")

    quick(encoder=Gated(4, 7)).fit(X).save(path)
    with pytest.raises(
        SavedFileError, match=r"no Fails can be made of the configuration \{'n_inputs': 4.*out of order"
    ):
        GCAEmbedder.load(path, custom={"Gated": Fails})


def test_pickles_and_skops_hold_what_they_did():
    fitted = quick(encoder=Gated(4, 7), views=Rounding(0.3)).fit(X)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X))
    with pytest.raises(TypeError, match=r"skops cannot hold .*Gated"):
        skops.io.dumps(fitted)
    views = quick(encoder="mlp", views=Compose(GaussianNoise(0.2))).fit(X)
    opened = skops.io.loads(skops.io.dumps(views), trusted=SKOPS_TRUSTED)
    assert repr(opened.views) == repr(views.views)
