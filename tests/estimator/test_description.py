"""The description of an embedder, and where its HTML shows it."""

import copy
import html
import math
import pickle
import re

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr
from torch import nn

from skgca import GCAEmbedder
from skgca._estimator.constraints import PARAMETER_GROUPS
from skgca._estimator.description import description
from skgca.losses import PRESETS, LearnableEpsilon

X, Y = load_iris(return_X_y=True)
SMALL = {"n_components": 6, "hidden_layer_sizes": (16, 8), "projection_sizes": (8,), "max_epochs": 2, "layers": "last"}


def quick(**options):
    return GCAEmbedder(**{**SMALL, "random_state": 0, **options})


def test_before_fit():
    assert description(GCAEmbedder(12, epsilon=0.2, encoder="resnet_mlp")) == {
        "loss": "gca_ince",
        "epsilon": "0.2",
        "marginals": "balanced",
        "encoder": "resnet_mlp 256-256",
        "state": "not fitted",
    }


def test_after_fit():
    model = quick(epsilon=0.2, passthrough=False).fit(X)
    weights = sum(p.numel() for p in model.encoder_.parameters())
    assert weights == 4 * 16 + 16 + 16 * 8 + 8 + 8 * 6 + 6 + 2 * (16 + 8)  # linear layers, and batch normalisations
    about = description(model)
    assert about["encoder"] == f"MLP 4-16-8-6, {weights} weights"
    assert about["state"] == "fitted (2 epochs, max_epochs), 4 -> 6 columns, on cpu"


def test_one_epoch_and_the_best_one():
    assert "fitted (1 epoch, max_epochs)" in description(quick(max_epochs=1).fit(X))["state"]
    model = quick(max_epochs=30, early_stopping=True, n_iter_no_change=2, tol=0.5).fit(X)
    assert model.best_epoch_ < model.n_epochs_ < 30
    assert f"fitted ({model.n_epochs_} epochs, best {model.best_epoch_}, no_change)" in description(model)["state"]


@pytest.mark.parametrize("loss", sorted(PRESETS))
def test_marginals_in_force_are_those_of_the_loss(loss):
    expected = {"ince": "row", "rince": "row", "supcon": "row", "gca_uot": "relaxed (1)", "byol": "none"}
    assert description(GCAEmbedder(loss=loss))["marginals"] == expected.get(loss, "balanced")


@pytest.mark.parametrize(
    ("marginals", "text"),
    [
        ("row", "row"),
        ("balanced", "balanced"),
        (0.5, "relaxed (0.5)"),
        (math.inf, "balanced"),
        ((1, 0.25), "row 1, column 0.25"),
        ((0, math.inf), "row free, column hard"),
        ((math.inf, 2.0), "row hard, column 2"),
    ],
)
def test_marginals_as_given(marginals, text):
    assert description(GCAEmbedder(marginals=marginals))["marginals"] == text


def test_epsilon_that_is_learned_or_was_another():
    model = quick(epsilon=LearnableEpsilon(0.4), max_epochs=3)
    assert description(model)["epsilon"] == "learned from 0.4 on"
    model.fit(X)
    assert description(model)["epsilon"] == f"learned from 0.4 to {model.epsilon_:.3g}"
    model = quick(epsilon=np.float32(0.25)).fit(X)
    assert description(model)["epsilon"] == "0.25"
    assert description(model.set_params(epsilon=0.1))["epsilon"] == "0.1 (0.25 when fitted)"


@pytest.mark.parametrize(
    ("encoder", "text"),
    [
        ("auto", "auto (mlp, conv, rocket)"),
        ("conv", "conv 32-64-128"),
        ("resnet18", "resnet18"),
        (nn.Linear, "Linear"),
        (nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)), "Sequential 4-5-3, 43 weights"),
        (nn.Flatten(), "Flatten, 0 weights"),
        (lambda n_inputs, n_outputs: nn.Linear(n_inputs, n_outputs), "<lambda>"),
    ],
)
def test_encoders_before_fit(encoder, text):
    assert description(GCAEmbedder(encoder=encoder))["encoder"] == text


def test_encoders_of_images():
    images = np.random.default_rng(0).random((12, 8, 8))
    few = {"max_epochs": 0, "random_state": 0, "n_components": 4, "projection_sizes": (8,)}
    for encoder, text in [
        ("conv", "ConvEncoder 1-32-64-128-4, "),
        ("mlp", "MLP 64-256-256-4, "),
        ("resnet18", "ResNet18 of 21 layers, "),
    ]:
        model = GCAEmbedder(encoder=encoder, **few).fit(images)
        assert description(model)["encoder"].startswith(text)


def test_the_parameters_can_be_evaluated():
    for model in (GCAEmbedder(5, epsilon=0.2, marginals=(1.0, 0.5)), quick(epsilon=0.2).fit(X)):
        made = eval(repr(model))
        assert made.get_params() == model.get_params()


def test_the_text_is_scikit_learns_own():
    assert "__repr__" not in vars(GCAEmbedder)
    assert (
        repr(GCAEmbedder(12, epsilon=0.2, max_epochs=1).fit(X))
        == "GCAEmbedder(epsilon=0.2, max_epochs=1, n_components=12)"
    )


BAD = [
    {"epsilon": "foo", "loss": "nope"},
    {"epsilon": None},
    {"epsilon": np.ones(2)},
    {"loss": None, "encoder": 3},
    {"loss": ["gca_ince"]},
    {"encoder": "nope", "hidden_layer_sizes": 7},
    {"encoder": "mlp", "hidden_layer_sizes": "wide"},
    {"marginals": -1},
    {"q": 0.5},
    {"layout": "nope"},
    {"loss": "<q>\n"},
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_no_parameter_makes_it_raise(bad):
    for model in (GCAEmbedder(**bad), quick().fit(X).set_params(**bad)):
        assert re.match("fitted|not fitted", description(model)["state"])
        assert "<q>" not in model._repr_html_()
        assert "<q>" not in make_pipeline(model)._repr_html_()


def test_what_cannot_be_is_said():
    about = description(GCAEmbedder(epsilon="foo", loss="nope", encoder="none"))
    assert about["loss"] == "'nope', which is not known"
    assert about["epsilon"] == "'foo'"
    assert about["marginals"] == "None, invalid together with the other parameters of the loss"
    assert about["encoder"] == "'none', which is not known"


def test_half_an_embedder():
    model = quick().fit(X)
    del model.n_epochs_
    assert description(model)["state"] == "unknown"
    assert "unknown" in model._repr_html_()
    model.net_ = None
    assert description(model)["state"] == "not fitted"


def test_copies_pickles_files_and_streams(tmp_path):
    model = quick(epsilon=LearnableEpsilon(0.4)).fit(X)
    model.save(tmp_path / "model")
    same = [copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for other in (*same, GCAEmbedder.load(tmp_path / "model")):
        assert description(other) == description(model)
    assert description(clone(model))["state"] == "not fitted"
    assert "fitted (1 epoch, " in description(quick().partial_fit(X))["state"]


def test_showing_an_embedder_draws_no_random_numbers():
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    model = quick(loss="gca_rince").fit(X)
    description(model)
    model._repr_html_()
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)


def cells(page):
    table = page[page.index('<div class="skgca-description"') :]
    return dict(re.findall("<tr><th>(.*?)</th><td>(.*?)</td></tr>", table))


def test_html_has_a_table_and_a_caption():
    model = quick(epsilon=0.25, loss="gca_uot").fit(X)
    shown = {name: html.unescape(text) for name, text in cells(model._repr_html_()).items()}
    assert shown == description(model)
    assert "GCAEmbedder" in model._repr_html_()
    bundle = model._repr_mimebundle_()
    assert bundle["text/plain"] == repr(model)
    assert cells(bundle["text/html"]) == cells(model._repr_html_())
    for page in (estimator_html_repr(model), make_pipeline(model, LogisticRegression())._repr_html_()):
        assert '<div class="caption">gca_uot, epsilon 0.25, marginals relaxed (1)</div>' in page
        assert "skgca-description" not in page


def shown_groups(page):
    """Headings of the table of parameters, each with its rows: class, name and text of a parameter."""
    table = page[page.index("<summary>Parameters by group</summary>") :]
    parts = re.split('<tr><th class="group" colspan="2">(.*?)</th></tr>', table)[1:]
    row = '<tr class="(.*?)"><th>(.*?)</th><td>(.*?)</td></tr>'
    return {name: re.findall(row, rows, re.DOTALL) for name, rows in zip(parts[::2], parts[1::2], strict=True)}


def test_html_has_the_parameters_in_the_groups_of_the_docstring():
    model = quick(views=["clean", "corruption"])
    groups = shown_groups(model._repr_html_())
    expected = {name: list(group) for name, group in PARAMETER_GROUPS.items()}
    assert {name: [row[1] for row in rows] for name, rows in groups.items()} == expected
    assert list(groups) == list(expected)
    shown = {name: (kind, html.unescape(text)) for rows in groups.values() for kind, name, text in rows}
    assert shown["views"] == ("user-set", "['clean', 'corruption']")
    assert shown["epsilon"] == ("default", "0.5")
    assert {name for name, (kind, _) in shown.items() if kind == "user-set"} == {*SMALL, "random_state", "views"}


def test_display_as_text():
    with config_context(display="text"):
        assert not hasattr(GCAEmbedder(), "_repr_html_")
        assert list(GCAEmbedder()._repr_mimebundle_()) == ["text/plain"]
