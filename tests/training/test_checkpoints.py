"""Checkpoints: a training that was broken off goes on with the same bits; what cannot be gone on from is refused."""

import multiprocessing
import os
import time
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from torch import nn

from skgca._training.checkpoints import Checkpoints, _plain
from skgca._utils.compat import InvalidParameterError
from skgca.exceptions import CheckpointError, TrainingDivergedError
from skgca.losses import LearnableEpsilon

from .. import models
from ..numerics import TRAINED, assert_close

X, Y = load_iris(return_X_y=True)
quick = partial(models.quick, max_epochs=6, batch_size=32)


def without_seconds(history):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history]


class Break(Callback):
    """End the process, as far as a test can without one: at a batch that counts from 1 over the whole training."""

    def __init__(self, at):
        self.at = at

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            done = sum(record["n_steps"] for record in list(net.history)[:-1])
            done += sum("grad_norm" in batch for batch in net.history[-1]["batches"])
            if done == self.at:
                raise RuntimeError("broken off")


def assert_same(resumed, whole):
    assert np.array_equal(resumed.transform(X), whole.transform(X))
    assert len(resumed.history_) == len(whole.history_)
    np.testing.assert_equal(without_seconds(resumed.history_), without_seconds(whole.history_))
    assert (resumed.stop_reason_, resumed.best_epoch_) == (whole.stop_reason_, whole.best_epoch_)
    assert resumed.epsilon_ == whole.epsilon_


VARIANTS = {
    "default": {},
    "byol": {"loss": "byol"},
    "learnable epsilon": {"epsilon": LearnableEpsilon(0.5)},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2, "tol": 0.05, "max_epochs": 12},
    "dropout": {"dropout": 0.3},
    "dropout of torch": {
        "encoder": nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.2)),
        "hidden_layer_sizes": None,
    },
    "labels": {"target": "labels"},
    "another schedule": {"callbacks": [LRScheduler("StepLR", step_size=2, gamma=0.5)]},
}


@pytest.mark.parametrize("at", [1, 5, 13, 29])
@pytest.mark.parametrize("params", VARIANTS.values(), ids=VARIANTS)
def test_resumed_is_uninterrupted(tmp_path, params, at):
    whole = quick(**params).fit(X, Y)
    params = {**params, "checkpoint_dir": tmp_path, "checkpoint_epochs": 1}
    own = params.pop("callbacks", [])
    with pytest.raises(RuntimeError, match="broken off"):
        quick(**params, callbacks=[*own, Break(at)]).fit(X, Y)
    assert_same(quick(**params, callbacks=own, resume=True).fit(X, Y), whole)


@pytest.mark.cuda
@pytest.mark.parametrize("params", [{}, {"loss": "byol"}, {"dropout": 0.3}], ids=["default", "byol", "dropout"])
def test_resumed_is_uninterrupted_on_cuda(tmp_path, params, cuda):
    params = {**params, "device": cuda.type, "checkpoint_dir": tmp_path, "checkpoint_epochs": 1}
    with pytest.raises(RuntimeError, match="broken off"):
        quick(**params, callbacks=[Break(13)]).fit(X)
    if cuda.type != "cpu":
        with pytest.raises(CheckpointError, match="device type=cuda, but now it is cpu"):
            quick(**{**params, "device": "cpu"}, resume=True).fit(X)
    resumed = quick(**params, resume=True).fit(X)
    whole = quick(**{**params, "checkpoint_dir": tmp_path / "whole"}).fit(X)
    assert_close(resumed.transform(X), whole.transform(X), TRAINED)


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(5)])
def test_a_resumed_training_has_the_seeds_of_the_first(tmp_path, random_state):
    params = {"checkpoint_dir": tmp_path, "checkpoint_epochs": 1, "random_state": random_state}
    first = quick(**params).fit(X)
    assert np.array_equal(quick(**params, resume=True).fit(X).transform(X), first.transform(X))


def test_amid_an_epoch(tmp_path):
    many = np.random.default_rng(0).normal(size=(300, 4))
    params = {"batch_size": 2, "max_epochs": 2, "checkpoint_dir": tmp_path, "checkpoint_minutes": 0.0}
    with pytest.raises(RuntimeError, match="broken off"):
        quick(**params, callbacks=[Break(150 + 120)]).fit(many)
    state = Checkpoints(tmp_path).read()
    assert len(state["history"]) == 1
    assert len(state["epoch_under_way"]["batches"]) == 100  # kept every 100
    resumed = quick(**params, resume=True).fit(many)
    whole = quick(batch_size=2, max_epochs=2).fit(many)
    assert np.array_equal(resumed.transform(many), whole.transform(many))
    np.testing.assert_equal(without_seconds(resumed.history_), without_seconds(whole.history_))


def test_a_finished_training_is_there_at_once(tmp_path):
    params = {"checkpoint_dir": tmp_path, "early_stopping": True, "n_iter_no_change": 1, "tol": 10.0}
    whole = quick(**params).fit(X)
    assert whole.stop_reason_ == "no_change"
    never = quick(**params, resume=True, callbacks=[Break(whole.n_epochs_ * 5 + 1), Break(1)])
    assert_same(never.fit(X), whole)


def test_a_resumed_training_goes_back_to_the_same_weights(tmp_path):
    """The rate that was halved, and the retries that were used up, are in the checkpoint."""

    def blow_up(batch, generator):
        return batch * (float("inf") if torch.rand((), generator=generator) < 0.04 else 1.0)

    # a random state that blows up both before and after the break
    params = {"views": blow_up, "random_state": 7, "checkpoint_dir": tmp_path, "checkpoint_epochs": 1}
    with pytest.warns(ConvergenceWarning, match="not finite in some steps"):
        whole = quick(views=blow_up, random_state=7).fit(X)
    with pytest.raises(RuntimeError, match="broken off"):
        quick(**params, callbacks=[Break(18)]).fit(X)
    before = Checkpoints(tmp_path).read()["guard"]["n_retries"]
    with pytest.warns(ConvergenceWarning, match="not finite in some steps"):
        resumed = quick(**params, resume=True).fit(X)
    assert 0 < before < resumed.net_.guard.n_retries == whole.net_.guard.n_retries
    assert_same(resumed, whole)


def fit_in_a_process(folder, out):
    """Train in a process that may be killed; what it learned goes to a file."""
    torch.set_num_threads(1)
    X = load_digits().data[:500]
    model = quick(max_epochs=40, checkpoint_dir=folder, checkpoint_epochs=1, resume=True, early_stopping=True)
    embedding = model.fit(X).transform(X)
    np.save(out, embedding)


@pytest.mark.parametrize("n_kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_any_moment_and_resumed_is_uninterrupted(tmp_path, n_kills):
    """SIGKILL, at random moments from the start of the process on."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["skgca"])

    def start(folder, out):
        process = context.Process(target=fit_in_a_process, args=(folder, out))
        process.start()
        return process

    whole = tmp_path / "whole.npy"
    began = time.monotonic()
    process = start(tmp_path / "whole", whole)
    process.join()
    seconds = time.monotonic() - began
    rng = np.random.default_rng(0)
    kills = 0
    epochs = []
    resumed = tmp_path / "resumed.npy"
    checkpoints = Checkpoints(tmp_path / "resumed")

    def done():
        state = checkpoints.read()
        return 0 if state is None else len(state["history"])

    while kills < n_kills:
        further = int(rng.integers(4))  # epochs that it may still make: a slow machine does not kill all at the start
        goal = done() + further
        process = start(tmp_path / "resumed", resumed)
        while process.is_alive() and done() < goal:
            time.sleep(0.01)
        process.join(timeout=rng.uniform(0, 0.05 if further else 0.3) * seconds)
        if process.is_alive():
            process.kill()
            process.join()
            kills += 1
        else:  # it was quick: begin anew
            assert process.exitcode == 0
            assert np.array_equal(np.load(resumed), np.load(whole))
            checkpoints.path.unlink()
        epochs.append(done())
    process = start(tmp_path / "resumed", resumed)
    process.join()
    assert process.exitcode == 0
    assert np.array_equal(np.load(resumed), np.load(whole))
    assert len(set(epochs)) > min(n_kills // 3, 3)  # the kills came at different stages


# What cannot be gone on from


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0.1}, r"training with lr=0.002, but now it is 0.1. Set it back, or start anew with resume=False"),
        ({"max_epochs": 9}, "training with max_epochs=6, but now it is 9"),
        ({"random_state": 1}, "random_state=0, but now it is 1"),
        ({"epsilon": LearnableEpsilon()}, "epsilon=0.5, but now it is LearnableEpsilon"),
        ({"encoder": nn.Linear(4, 6), "hidden_layer_sizes": None}, "encoder='auto', but now it is Linear"),
    ],
)
def test_other_parameters_are_refused(tmp_path, change, message):
    model = quick(checkpoint_dir=tmp_path).fit(X)
    before, content = model.transform(X), Checkpoints(tmp_path).path.read_bytes()
    with pytest.raises(CheckpointError, match=message):
        model.set_params(resume=True, **change).fit(X)
    assert np.array_equal(model.transform(X), before)
    assert Checkpoints(tmp_path).path.read_bytes() == content


@pytest.mark.parametrize(
    "given",
    [
        {"X": X + 1e-3},
        {"X": X[:-1]},
        {"X": np.vstack([X[1:], X[:1]])},
        {"X": X, "sample_weight": np.arange(150) + 1},
        {"X": X, "sample_group": np.arange(150) // 2},
    ],
    ids=["values", "rows", "order", "weights", "groups"],
)
def test_other_data_is_refused(tmp_path, given):
    model = quick(checkpoint_dir=tmp_path, standardize=False).fit(X)
    before = model.transform(X)
    with pytest.raises(CheckpointError, match="belongs to other data"):
        model.set_params(resume=True).fit(**given)
    assert np.array_equal(model.transform(X), before)


def test_what_does_not_change_the_result_may_change(tmp_path):
    whole = quick(checkpoint_dir=tmp_path).fit(X)
    moved = os.path.join(tmp_path, ".")
    other = quick(
        checkpoint_dir=moved, verbose=0, checkpoint_epochs=3, sinkhorn_memory_limit=1e9, resume=True, device="cpu"
    )
    assert_same(other.fit(X), whole)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "other"])
def test_a_damaged_file_is_refused_and_left(tmp_path, damage):
    quick(checkpoint_dir=tmp_path).fit(X)
    path = Checkpoints(tmp_path).path
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    content = {"truncated": content[:-100], "flipped": content, "empty": b"", "other": b"PK\3\4" + content}[damage]
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"is damaged, or no checkpoint: {len(content)} bytes"):
        quick(checkpoint_dir=tmp_path, resume=True).fit(X)
    assert path.read_bytes() == content
    quick(checkpoint_dir=tmp_path).fit(X)  # writes a new one
    quick(checkpoint_dir=tmp_path, resume=True).fit(X)


def test_a_file_of_a_later_format_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.path.write_bytes(b"skgca checkpoint 3\n" + bytes(100))
    with pytest.raises(CheckpointError, match="another format, 'skgca checkpoint 3'"):
        quick(checkpoint_dir=tmp_path, resume=True).fit(X)


def test_a_full_disk_is_an_error_that_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    model = quick().fit(X)
    before, path = model.transform(X), Checkpoints(tmp_path).path

    def full(descriptor):
        if path.exists():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    model.set_params(checkpoint_dir=tmp_path, checkpoint_epochs=2)
    with pytest.raises(
        CheckpointError, match=r"could not be written: .*No space left.* intact: free disk space, and fit with r"
    ):
        model.fit(X)
    assert np.array_equal(model.transform(X), before)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.skgca"]
    assert len(Checkpoints(tmp_path).read()["history"]) == 2
    monkeypatch.undo()
    assert_same(model.set_params(resume=True).fit(X), quick().fit(X))


def test_a_folder_that_cannot_be_written_to_is_found_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "folder"):
        with pytest.raises(CheckpointError, match=r"checkpoint_dir=.* cannot be written to: .*Name a writable folder"):
            quick(checkpoint_dir=folder).fit(X)


def test_what_a_killed_process_left_half_written_is_cleared(tmp_path):
    half = tmp_path / "checkpoint.skgca.123.partial"
    half.write_bytes(b"half")
    quick(checkpoint_dir=tmp_path, resume=True).fit(X)
    assert not half.exists()


def test_resume_needs_a_folder():
    with pytest.raises(InvalidParameterError, match="resume=True needs a checkpoint_dir to resume from"):
        quick(resume=True).fit(X)


def test_checkpoints_come_every_so_many_epochs_or_minutes(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(Checkpoints, "write", lambda self, state: written.append(len(state["history"])))
    quick(checkpoint_dir=tmp_path, max_epochs=7, checkpoint_epochs=3).fit(X)
    assert written == [3, 6, 7]
    written.clear()
    quick(checkpoint_dir=tmp_path, max_epochs=3, checkpoint_epochs=100, checkpoint_minutes=0.0).fit(X)
    assert written == [1, 2, 3, 3]  # each epoch, and the end


def test_only_plain_values_are_written():
    plain = {"a": [1, (2.5, None)], "t": torch.ones(2), "n": np.float64(3)}
    assert _plain(plain, "state") == {"a": [1, (2.5, None)], "t": plain["t"], "n": 3.0}
    with pytest.raises(CheckpointError, match=r"state\['a'\]\[1\] holds a set, which a checkpoint cannot hold"):
        _plain({"a": [1, {2}]}, "state")


def test_a_diverged_training_writes_nothing_wrong(tmp_path):
    model = quick(checkpoint_dir=tmp_path, views=lambda batch, generator: batch * float("inf"))
    with pytest.raises(TrainingDivergedError):
        model.fit(X)
    assert not Checkpoints(tmp_path).path.exists()


def test_callbacks_that_have_a_state_are_resumed(tmp_path):
    params = {"early_stopping": True, "validation_fraction": 0.2, "checkpoint_dir": tmp_path, "checkpoint_epochs": 1}
    with pytest.raises(RuntimeError, match="broken off"):
        quick(**params, callbacks=[Counter(), EarlyStopping(patience=50), Break(14)]).fit(X)
    resumed = quick(**params, resume=True, callbacks=[Counter()]).fit(X)
    assert dict(resumed.net_.callbacks_)["Counter"].seen_ == 6


class Counter(Callback):
    def initialize(self):
        self.seen_ = 0
        return self

    def on_epoch_end(self, net, **kwargs):
        self.seen_ += 1

    def state_dict(self):
        return {"seen": self.seen_}

    def load_state_dict(self, state):
        self.seen_ = state["seen"]


def test_another_function_as_parameter_is_another_training(tmp_path):
    params = {"checkpoint_dir": tmp_path, "checkpoint_epochs": 1}
    views = [lambda batch: batch + 0.0, lambda batch: batch * 2.0, lambda batch: batch + 0.0]
    with pytest.raises(RuntimeError, match="broken off"):
        quick(**params, views=views[0], callbacks=[Break(13)]).fit(X)
    with pytest.raises(CheckpointError, match=r"belongs to a training with views=.*lambda"):
        quick(**params, views=views[1], resume=True).fit(X)
    assert quick(**params, views=views[2], resume=True).fit(X).n_epochs_ == 6  # the same code elsewhere
