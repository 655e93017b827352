"""Streams: rows that come in parts."""

import copy
import math
import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression

from skgca import GCAEmbedder
from skgca._estimator.streaming import RowSample
from skgca._utils.compat import InvalidParameterError
from skgca._utils.random import RandomStreams
from skgca.exceptions import TrainingDivergedError

from .. import models
from ..numerics import SINGLE, assert_close

X, Y = load_iris(return_X_y=True)
quick = partial(models.quick, batch_size=32)
PARTS = np.array_split(np.random.default_rng(0).permutation(150), 3)


def streamed(model, n_passes=1):
    for _ in range(n_passes):
        for part in PARTS:
            model.partial_fit(X[part], Y[part])
    return model


@pytest.mark.parametrize("loss", ["gca_ince", "byol", "supcon"])
def test_an_integer_gives_the_same_bits(loss):
    first, second = (streamed(quick(loss=loss)) for _ in range(2))
    assert np.array_equal(first.transform(X), second.transform(X))
    assert first.n_epochs_ == len(first.history_) == 3
    assert not np.array_equal(streamed(quick(loss=loss, random_state=1)).transform(X), first.transform(X))


def test_global_generators_are_left_as_found():
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    streamed(quick())
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_the_rate_is_steady_and_the_optimizer_goes_on():
    model = quick(lr=1e-3)
    steps = []
    for part in PARTS:
        model.partial_fit(X[part])
        states = model.net_.optimizer_.state.values()
        steps.append({int(state["step"]) for state in states})
    assert [record["lr"] for record in model.history_] == [1e-3] * 3
    assert steps == [{2}, {4}, {6}]  # batches of 25 rows
    model.set_params(lr=5e-4, batch_size=10).partial_fit(X[:50])
    assert model.history_[-1]["lr"] == 5e-4
    assert {int(state["step"]) for state in model.net_.optimizer_.state.values()} == {11}


def test_each_call_draws_other_views_and_another_order():
    seen = []

    def view(batch, generator):
        seen.append((batch.clone(), float(torch.rand((), generator=generator))))
        return batch

    model = quick(views=view, standardize=False)
    for _ in range(2):
        model.partial_fit(X[:30])
    (first, draw, *_), (second, other, *_) = seen[0], seen[len(seen) // 2]
    assert draw != other
    assert not torch.equal(first, second)
    assert torch.equal(first.sort(0).values, second.sort(0).values)


def test_a_stream_learns():
    """Of five passes over digits in parts, against the encoder as it was made."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:1000], y[:1000]

    def accuracy(model):
        embedding = model.set_params(passthrough=False).transform(X)[:, : model.n_components]
        return LogisticRegression(max_iter=2000).fit(embedding[:100], y[:100]).score(embedding[100:], y[100:])

    params = {"n_components": 16, "layers": "last", "passthrough": False, "random_state": 0, "views": "corruption"}
    untrained = GCAEmbedder(**params, max_epochs=0).fit(X)
    model = GCAEmbedder(**params)
    for _ in range(5):
        for start in range(0, 1000, 250):
            model.partial_fit(X[start : start + 250])
    assert accuracy(model) > accuracy(untrained) + 0.05


def test_after_fit_it_goes_on_from_there():
    fitted = quick(max_epochs=3).fit(X)
    encoder = copy.deepcopy(fitted.encoder_)
    fitted.set_params(lr=1e-12).partial_fit(X)
    for name, parameter in fitted.encoder_.named_parameters():
        assert_close(parameter, dict(encoder.named_parameters())[name], SINGLE)
    assert fitted.n_epochs_ == 1
    fresh = quick(max_epochs=3).fit(X)
    assert np.array_equal(fitted.set_params(lr=2e-3).fit(X).transform(X), fresh.transform(X))  # fit begins anew
    assert fitted.partial_fit(X).n_epochs_ == 1


def test_warm_start_goes_on_from_a_stream():
    model = streamed(quick())
    before = [p.clone() for p in model.encoder_.parameters()]
    model.set_params(warm_start=True, max_epochs=1, lr=1e-12).fit(X)
    for parameter, other in zip(model.encoder_.parameters(), before, strict=True):
        assert_close(parameter, other, SINGLE)


def test_a_pickled_stream_goes_on_as_the_original():
    for loss in ("gca_ince", "byol"):
        model = quick(loss=loss).partial_fit(X[:100])
        other = pickle.loads(pickle.dumps(model))
        assert np.array_equal(model.partial_fit(X[100:]).transform(X), other.partial_fit(X[100:]).transform(X))


@pytest.mark.parametrize("loss", ["gca_ince", "byol"])
def test_a_saved_stream_goes_on_with_a_new_optimizer(loss, tmp_path):
    model = quick(loss=loss).partial_fit(X[:100])
    model.save(tmp_path / "stream")
    other = GCAEmbedder.load(tmp_path / "stream")
    assert np.array_equal(other.transform(X), model.transform(X))
    other.set_params(lr=1e-12).partial_fit(X[100:])
    assert other.n_epochs_ == 1
    for parameter, before in zip(other.encoder_.parameters(), model.encoder_.parameters(), strict=True):
        assert_close(parameter, before, SINGLE)


def test_parameters_are_looked_at_in_every_call():
    model = quick().partial_fit(X)
    with pytest.raises(InvalidParameterError, match="'lr' parameter of GCAEmbedder must be"):
        model.set_params(lr=-1.0).partial_fit(X)


def test_scales_and_categories_are_those_of_the_first_part():
    frame = pd.DataFrame({"number": np.arange(60.0), "text": ["a", "b", "c"] * 20})
    model = quick().partial_fit(frame[frame["text"] != "c"])
    reader = model.reader_
    width = model.transform(frame).shape[1]
    model.partial_fit(frame)
    assert model.reader_ is reader
    assert model.transform(frame).shape[1] == width == 6 + 1 + 2


@pytest.mark.parametrize("loss", ["gca_ince", "byol"])
def test_other_columns_are_refused_and_nothing_is_lost(loss):
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = quick(loss=loss).partial_fit(frame)
    before = model.transform(frame)
    with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing"):
        model.partial_fit(frame[["a", "b", "c"]])
    with pytest.raises(ValueError, match="feature names should match"):
        model.partial_fit(frame[list("abdc")])
    with pytest.raises(ValueError, match="infinity"):
        model.partial_fit(frame.replace(frame.iloc[0, 0], np.inf))
    assert np.array_equal(model.transform(frame), before)
    with pytest.raises(ValueError, match="minimum of 2 is required"):
        model.partial_fit(frame[:1])
    other = quick(loss=loss).partial_fit(frame)
    assert np.array_equal(model.partial_fit(frame).transform(frame), other.partial_fit(frame).transform(frame))


def test_a_part_that_blows_up_is_an_error_and_the_stream_goes_on():
    blow = []
    model = quick(views=lambda batch, generator: batch * (math.inf if blow else 1.0)).partial_fit(X)
    before = {name: value.clone() for name, value in model.net_.module_.state_dict().items()}
    embedding = model.transform(X)
    blow.append(1)
    with pytest.raises(TrainingDivergedError):
        model.partial_fit(X)
    for name, value in model.net_.module_.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert np.array_equal(model.transform(X), embedding)
    blow.clear()
    assert model.partial_fit(X).n_epochs_ == 2


@pytest.mark.parametrize("params", [{"early_stopping": True}, {"checkpoint_dir": "somewhere"}])
def test_what_has_no_effect_is_refused(params):
    with pytest.raises(InvalidParameterError, match=f"{next(iter(params))}=.* has no effect in partial_fit"):
        quick(**params).partial_fit(X)


def test_rows_stay_in_the_sample_with_equal_chances():
    """Of 30 parts of 1,000 rows, 2,048 stay: of each part about 68."""
    sample = RowSample(RandomStreams(0))
    for part in range(30):
        rows = sample.add(torch.full((1000, 1), float(part)))
    assert rows.shape == (2048, 1)
    counts = torch.bincount(rows[:, 0].long(), minlength=30)
    assert counts.min() > 35  # four deviations below
    assert counts.max() < 105
    few = RowSample(RandomStreams(0))
    few.add(torch.ones(3, 2))
    assert few.add(torch.zeros(2, 2)).tolist() == [[1, 1]] * 3 + [[0, 0]] * 2
