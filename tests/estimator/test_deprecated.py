"""Parameters of version 0.1: they warn, take effect until 0.4, and are opened under their current names."""

import inspect
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping

from skgca import GCAEmbedder
from skgca._estimator.deprecated import DEPRECATED_CONSTRAINTS
from skgca._utils.compat import InvalidParameterError

from ..models import quick

X, _ = load_iris(return_X_y=True)
FILE = Path(__file__).parents[1] / "persistence" / "fixtures" / "names-1.safetensors"
LAST = {"patience": 3, "threshold": 0.0, "threshold_mode": "abs", "load_best": False}
STOPPING = {"early_stopping": True, "n_iter_no_change": 3, "tol": 0.0, "max_epochs": 300, "lr": 0.02}
STOPPED = {name: value for name, value in STOPPING.items() if name not in ("n_iter_no_change", "tol")}
# What is set, what takes its place, and the end of the warning.
CASES = {
    "n_iter": ({"n_iter": 1}, {"sinkhorn_n_iter": 1}, "use sinkhorn_n_iter instead"),
    "memory_limit": ({"memory_limit": 0}, {"sinkhorn_memory_limit": 0}, "use sinkhorn_memory_limit instead"),
    "max_grad_norm": (
        {"max_grad_norm": 0.3},
        {"callbacks": [GradientNormClipping(0.3)]},
        r"add skorch.callbacks.GradientNormClipping\(max_grad_norm\) to callbacks",
    ),
    "restore_best": (
        {**STOPPING, "restore_best": False},
        {**STOPPED, "callbacks": [EarlyStopping(**LAST)]},
        r"add skorch.callbacks.EarlyStopping\(load_best=False\) to callbacks",
    ),
}


def test_every_deprecated_parameter_has_a_case_and_comes_last():
    assert set(CASES) == set(DEPRECATED_CONSTRAINTS)
    parameters = inspect.signature(GCAEmbedder).parameters
    assert list(parameters)[-len(CASES) :] == list(DEPRECATED_CONSTRAINTS)
    assert {parameters[name].default for name in CASES} == {"deprecated"}


@pytest.mark.parametrize("name", CASES)
def test_it_warns_and_gives_the_bits_of_its_replacement(name):
    old, new, advice = CASES[name]
    model = quick(**old)
    before = model.get_params()
    with pytest.warns(FutureWarning, match=rf"^{name} is deprecated .* will be removed in 0\.4; .*{advice}") as seen:
        model.fit(X)
    assert len(seen) == 1
    assert seen[0].filename == __file__
    assert model.get_params() == before
    expected = quick(**new).fit(X)
    assert np.array_equal(model.transform(X), expected.transform(X))
    assert not np.array_equal(expected.transform(X), quick().fit(X).transform(X)) or name == "memory_limit"


def test_the_replacement_reaches_the_loss():
    with pytest.warns(FutureWarning):
        criterion = quick(n_iter=3, memory_limit=1e6).fit(X).net_.criterion_
    assert (criterion.n_iter, criterion.memory_limit) == (3, 1e6)


@pytest.mark.parametrize("value", [{"restore_best": True}, {"max_grad_norm": None}, {"n_iter": None}])
def test_a_value_without_effect_warns_too(value):
    with pytest.warns(FutureWarning, match=f"{next(iter(value))} is deprecated"):
        model = quick(**value, early_stopping=True).fit(X)
    assert np.array_equal(model.transform(X), quick(early_stopping=True).fit(X).transform(X))


@pytest.mark.parametrize("method", ["fit", "partial_fit", "estimate_cost"])
def test_all_methods_that_train_warn(method):
    model = quick(n_iter=3)
    with pytest.warns(FutureWarning, match="n_iter is deprecated") as seen:
        getattr(model, method)(X)
    assert seen[0].filename == __file__
    assert (model.n_iter, model.sinkhorn_n_iter) == (3, None)


@pytest.mark.parametrize("old", ["n_iter", "memory_limit"])
def test_both_names_are_an_error_and_nothing_is_changed(old):
    model = quick(**{old: 5, f"sinkhorn_{old}": 7})
    before = vars(model).copy()
    message = f"{old}=5 and sinkhorn_{old}=7 are the same parameter; leave {old} out"
    with pytest.warns(FutureWarning), pytest.raises(ValueError, match=message):
        model.fit(X)
    assert vars(model) == before


@pytest.mark.parametrize("bad", [{"n_iter": 0}, {"memory_limit": -1}, {"restore_best": 3}, {"max_grad_norm": 0.0}])
def test_a_bad_value_is_refused(bad):
    with pytest.raises(InvalidParameterError, match=f"'{next(iter(bad))}'"):
        quick(**bad).fit(X)


def test_a_grid_may_have_the_old_name():
    with pytest.warns(FutureWarning, match="n_iter is deprecated"):
        search = GridSearchCV(quick(), {"n_iter": [1, 3]}, cv=2, error_score="raise").fit(X)
    assert search.best_params_["n_iter"] in (1, 3)


# Clipping by the callback


class ClippedAsBefore(Callback):
    """Clip as the net of version 0.1 did."""

    def on_grad_computed(self, net, **kwargs):
        torch.nn.utils.clip_grad_norm_(net._run.learnable, 0.1)


@pytest.mark.parametrize("params", [{}, {"micro_batch_size": 50}, {"loss": "byol", "micro_batch_size": 50}])
def test_the_callback_clips_as_max_grad_norm_did(params):
    clipped = quick(callbacks=[GradientNormClipping(0.1)], **params).fit(X)
    assert np.array_equal(clipped.transform(X), quick(callbacks=[ClippedAsBefore], **params).fit(X).transform(X))
    assert not np.array_equal(clipped.transform(X), quick(**params).fit(X).transform(X))


# A callback that stops


@pytest.mark.parametrize(("name", "value"), [("n_iter_no_change", 3), ("tol", 0.0)])
def test_a_parameter_that_the_callback_overrides_is_refused(name, value):
    model = quick(early_stopping=True, callbacks=[EarlyStopping()], **{name: value})
    with pytest.raises(InvalidParameterError, match=f"{name}={value} has no effect: EarlyStopping among callbacks"):
        model.fit(X)


# Files and pickles


def test_a_file_of_version_0_1_opens_under_the_current_names():
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        model = GCAEmbedder.load(FILE)
        params = model.get_params()
        assert (params["sinkhorn_n_iter"], params["sinkhorn_memory_limit"]) == (7, 1e6)
        assert {params[name] for name in DEPRECATED_CONSTRAINTS} == {"deprecated"}
        assert model.net_.criterion_.n_iter == 7
        clone(model).fit(X)


def saved(model, path):
    model.save(path / "model")
    return GCAEmbedder.load(path / "model")


def pickled(model, path):
    return pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("through", [saved, pickled])
def test_an_embedder_with_old_names_comes_back_with_the_current_ones(through, tmp_path):
    with pytest.warns(FutureWarning):
        model = quick(n_iter=3, restore_best=True, max_grad_norm=0.5).fit(X)
    again = through(model, tmp_path)
    assert (again.sinkhorn_n_iter, again.net_.criterion_.n_iter) == (3, 3)
    assert (again.n_iter, again.restore_best, again.max_grad_norm) == ("deprecated", "deprecated", 0.5)
    assert np.array_equal(again.transform(X), model.transform(X))
    with pytest.warns(FutureWarning, match="max_grad_norm") as seen:  # which has no other name
        refitted = clone(again).fit(X)
    assert len(seen) == 1
    assert np.array_equal(refitted.transform(X), model.transform(X))


def test_files_do_not_mention_what_is_deprecated(tmp_path):
    quick().fit(X).save(tmp_path / "model")
    assert b"deprecated" not in (tmp_path / "model").read_bytes()
    assert b'"n_iter"' not in (tmp_path / "model").read_bytes()


def test_a_pickle_without_the_current_names_opens():
    """As version 0.1 wrote it."""
    model = quick(sinkhorn_n_iter=3).fit(X)
    state = model.__getstate__()
    state["n_iter"] = state.pop("sinkhorn_n_iter")
    del state["sinkhorn_memory_limit"], state["memory_limit"]
    again = GCAEmbedder.__new__(GCAEmbedder)
    again.__setstate__(state)
    assert again.get_params() == model.get_params()
    assert again.net_.criterion_.n_iter == 3


# The method


def test_history_frame_warns():
    model = quick().fit(X)
    with pytest.warns(FutureWarning, match=r"history_frame .* use pandas.DataFrame\(embedder.history_\)") as seen:
        frame = model.history_frame()
    assert seen[0].filename == __file__
    pd.testing.assert_frame_equal(frame, pd.DataFrame(model.history_))
