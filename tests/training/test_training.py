"""What a training shows of itself, when it ends, and what keeps it from ending on NaN."""

import copy
import logging
import math
import pickle
import re
import signal
from contextlib import nullcontext
from functools import partial
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping
from torch import nn

from skgca import GCAEmbedder
from skgca._training.ending import duration
from skgca._training.monitoring import COLUMNS, Measures
from skgca._utils.compat import InvalidParameterError
from skgca.exceptions import CollapseWarning, TrainingDivergedError
from skgca.losses import LearnableEpsilon, make_loss
from skgca.metrics import alignment_score, effective_rank, uniformity_score

from .. import models
from ..numerics import DOUBLE, NETWORK, SINGLE, TRAINED, assert_close, assert_within

X, Y = load_iris(return_X_y=True)
quick = partial(models.quick, max_epochs=4, batch_size=32)


class Spy(Callback):
    """Keep what a net sees, and what it looked like."""

    def __init__(self):
        self.trained_on, self.held_out, self.norms, self.nets = [], [], [], []

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        (self.trained_on if training else self.held_out).append(batch[0][0])

    def on_grad_computed(self, net, named_parameters, **kwargs):
        grads = [p.grad for _, p in named_parameters if p.grad is not None]
        self.norms.append(float(torch.stack([g.norm() for g in grads]).norm()))

    def on_epoch_end(self, net, **kwargs):
        self.nets.append(copy.deepcopy(net.module_).eval())


def spied(model):
    return next(callback for _, callback in model.net_.callbacks_ if isinstance(callback, Spy))


# Progress


def test_silence_and_lines(capsys):
    quick().fit(X)
    assert capsys.readouterr() == ("", "")
    quick(verbose=1, early_stopping=True).fit(X)
    out, err = capsys.readouterr()
    assert err == ""
    number = r"-?\d+(\.\d+)?(e-\d+)?"
    line = (
        rf"epoch \d/4: loss {number}, held out {number}, alignment {number}, lr {number}, {number} s, {number} s left"
    )
    first, *lines, last = out.splitlines()
    assert first.startswith("Loss of an embedding ")
    assert last.startswith("Trained for 4 epochs (")
    assert len(lines) == 4
    assert all(re.fullmatch(line, each) for each in lines), lines


def test_a_bar(capsys):
    quick(verbose=2).fit(X)
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["Loss", "Trained"]
    assert "epoch 4/4: loss" in err
    assert "20/20" in err  # steps


def test_the_log_of_a_service(caplog, capsys):
    with caplog.at_level(logging.INFO, logger="skgca"):
        quick().fit(X)
    assert [record.levelname for record in caplog.records] == ["INFO"] * 6
    assert caplog.messages[-2].startswith("epoch 4/4: loss ")
    assert caplog.messages[-1].startswith("Trained for 4 epochs (20 steps) in ")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (61, "1 min 01 s"), (7325, "2 h 02 min")])
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_the_history_is_a_table():
    model = quick(early_stopping=True, callbacks=[GradientNormClipping(0.5)]).fit(X)
    frame = pd.DataFrame(model.history_)
    assert tuple(frame.columns) == COLUMNS == tuple(model.history_[0])
    assert frame["epoch"].tolist() == [1, 2, 3, 4]
    assert np.isfinite(frame).all(axis=None)
    assert (frame["seconds"] > 0).all()
    assert (frame["loss_at_best"] < frame["loss"]).all()
    assert (frame["gradient_norm"] > 0.5).any()  # before it is cut
    assert quick(max_epochs=0).fit(X).history_ == []


def test_without_held_out_rows_their_loss_is_nan_and_measures_are_sparse():
    frame = pd.DataFrame(quick(max_epochs=20, batch_size=150).fit(X).history_)  # one step an epoch
    assert frame["valid_loss"].isna().all()
    measured = frame["alignment"].notna()
    assert np.flatnonzero(measured).tolist() == [19]  # the last; else every 100 steps
    frame = pd.DataFrame(quick(max_epochs=50).fit(X).history_)
    assert np.flatnonzero(frame["effective_rank"].notna()).tolist() == [19, 39, 49]


def test_measures_are_those_of_the_projections():
    model = quick(loss="gca_ince", sinkhorn_n_iter=1).fit(X)
    net, last = model.net_, model.history_[-1]
    views = net.views(model.reader_.read(X), net.random_streams.generator("fixed_views"))
    with torch.no_grad():
        projected = net.module_.eval()(torch.cat(views)).unflatten(0, (2, 150))
    assert_close(last["alignment"], alignment_score(*projected), SINGLE, scale=4.0)  # squared distances of unit vectors
    assert_close(last["uniformity"], uniformity_score(projected[0]), SINGLE)
    assert_close(last["effective_rank"], effective_rank(projected[0]), NETWORK)
    plan = make_loss("gca_ince", epsilon=0.5, n_iter=1).plan(*projected)
    off = (plan.plan.sum(1) - plan.a).abs().sum() + (plan.plan.sum(0) - plan.b).abs().sum()
    assert_close(last["marginal_error"], off, SINGLE, scale=1.0)  # masses of total 1
    assert off > 1e-3


def test_measuring_changes_nothing(monkeypatch):
    measured = quick().fit(X)
    monkeypatch.setattr(Measures, "on_epoch_end", lambda self, net, **kwargs: None)
    assert np.array_equal(quick().fit(X).transform(X), measured.transform(X))


def test_measures_are_of_256_rows_at_most_and_let_go_of_them(monkeypatch):
    seen = []
    measure = Measures._measure
    monkeypatch.setattr(Measures, "_measure", lambda self, net: seen.append(self.inputs) or measure(self, net))
    many = np.random.default_rng(0).normal(size=(700, 4))
    model = quick(max_epochs=1, standardize=False).fit(many)
    assert [len(inputs[0]) for inputs in seen] == [256]
    assert np.isin(seen[0][0].numpy()[:, 0], many[:, 0].astype(np.float32)).all()
    assert dict(model.net_.callbacks_)["measures"].inputs == ()


# Warnings of a training that was in vain


def test_a_stuck_loss_is_told():
    model = quick(corruption_rate=1.0, max_epochs=40)  # both views are strangers to the row
    with pytest.warns(ConvergenceWarning, match=r"stuck at 4\.\d+, the value of an uninformative .*weaker"):
        model.fit(X)


def test_a_collapse_is_told():
    with pytest.warns(CollapseWarning, match=r"effective rank of 1.00 of 8.*check that the rows of X differ"):
        quick(max_epochs=40).fit(np.ones((150, 4)))


def test_neither_is_told_of_a_training_that_learned_or_hardly_began():
    quick(max_epochs=40).fit(X)  # warnings are errors here
    quick(max_epochs=10).fit(np.ones((150, 4)))


# Stopping


def test_early_stopping_ends_and_keeps_the_best():
    params = {"early_stopping": True, "n_iter_no_change": 3, "tol": 0.0, "max_epochs": 300, "lr": 0.02}
    model = quick(**params, callbacks=[Spy]).fit(X)
    losses = pd.DataFrame(model.history_)["valid_loss"]
    assert model.stop_reason_ == "no_change"
    assert model.n_epochs_ == model.best_epoch_ + 3 < 300
    assert losses.idxmin() + 1 == model.best_epoch_
    for name, value in spied(model).nets[model.best_epoch_ - 1].state_dict().items():
        if "readout" not in name:
            assert torch.equal(value, model.net_.module_.state_dict()[name])
    rule = {"patience": 3, "threshold": 0.0, "threshold_mode": "abs"}
    others = {name: value for name, value in params.items() if name not in ("n_iter_no_change", "tol")}
    last = quick(**others, callbacks=[EarlyStopping(**rule, load_best=False)]).fit(X)
    assert (last.best_epoch_, last.stop_reason_) == (model.best_epoch_, "callback")
    assert last.n_epochs_ == model.n_epochs_
    assert not np.array_equal(last.transform(X), model.transform(X))


def test_tol_is_a_fall_of_the_loss():
    model = quick(early_stopping=True, n_iter_no_change=2, tol=100.0).fit(X)
    assert (model.n_epochs_, model.best_epoch_, model.stop_reason_) == (3, 1, "no_change")


def test_too_few_epochs_for_early_stopping_are_warned_of_unless_they_were_set(monkeypatch):
    monkeypatch.setattr("skgca._builders.net._MOST_EPOCHS", 3)
    stopping = {"early_stopping": True, "n_iter_no_change": 3}
    with pytest.warns(UserWarning, match=r"max_epochs='auto' makes 3 epochs .* n_iter_no_change=3 epochs") as caught:
        quick(max_epochs="auto", **stopping).fit(X)
    assert caught[0].filename == __file__
    quick(max_epochs=3, **stopping).fit(X)  # warnings are errors here
    quick(max_epochs="auto", early_stopping=True, callbacks=[EarlyStopping(patience=2)]).fit(X)
    quick(max_epochs="auto", early_stopping=True, n_iter_no_change=2).fit(X)


def test_without_early_stopping_all_rows_are_trained_on():
    model = quick(callbacks=[Spy], standardize=False).fit(X)
    assert sum(map(len, spied(model).trained_on)) == 4 * 150
    assert spied(model).held_out == []
    assert (model.best_epoch_, model.stop_reason_) == (4, "max_epochs")


@pytest.mark.parametrize("fraction", [0.1, 0.31, 0.97])
def test_held_out_rows_are_held_out(fraction):
    rows = np.arange(300.0).reshape(150, 2)
    model = quick(early_stopping=True, validation_fraction=fraction, callbacks=[Spy], standardize=False).fit(rows)
    spy = spied(model)
    trained_on = {float(value) for batch in spy.trained_on for value in batch[:, 0]}
    held_out = {float(value) for batch in spy.held_out for value in batch[:, 0]}
    assert len(held_out) == round(fraction * 150)
    assert not held_out & trained_on
    assert held_out | trained_on == set(rows[:, 0])


def test_rows_to_hold_out_must_be_enough_and_leave_enough():
    with pytest.raises(
        ValueError, match=r"validation_fraction=0.1 holds out 2 of 3 rows, but each part needs at least 2"
    ):
        quick(early_stopping=True).fit(X[:3])
    assert quick(early_stopping=True).fit(X[:4]).n_epochs_ == 4


@pytest.mark.parametrize("size", [1, 2, 7])
def test_groups_are_held_out_whole(size):
    rows, groups = np.arange(300.0).reshape(150, 2), np.random.default_rng(0).permutation(150) // size
    groups[:20] = -1  # of no group
    model = quick(early_stopping=True, validation_fraction=0.2, callbacks=[Spy], standardize=False)
    # groups of one row do not change the loss
    with pytest.warns(UserWarning, match="a group of its own for each") if size == 1 else nullcontext():
        model.fit(rows, sample_group=groups)
    held_out = np.isin(rows[:, 0], torch.cat([batch[:, 0] for batch in spied(model).held_out]).numpy())
    assert 30 <= held_out.sum() < 30 + size
    known = groups != -1
    assert not set(groups[held_out & known]) & set(groups[~held_out & known])
    assert sum(map(len, spied(model).trained_on)) == 4 * (~held_out).sum()


def test_groups_too_large_to_hold_out_are_refused():
    with pytest.raises(ValueError, match=r"holds out (149|150) of 150 rows, but each part needs at least 2"):
        quick(early_stopping=True, validation_fraction=0.99).fit(X, sample_group=np.minimum(np.arange(150), 1))


def test_what_goes_with_rows_is_held_out_with_them():
    groups, weight = np.arange(150) // 3, np.linspace(0, 1, 150)
    model = quick(early_stopping=True, target="labels").fit(X, Y, sample_group=groups, sample_weight=weight)
    assert model.n_epochs_ == 4
    affinity = (Y[:, None] == Y).astype(float)
    assert quick(early_stopping=True, target=affinity).fit(X).n_epochs_ == 4
    assert quick(early_stopping=True).fit(X, X_pair=X + 0.1).n_epochs_ == 4


@pytest.mark.parametrize("loss", ["byol", "gca_ince"])
def test_the_held_out_loss_is_comparable_between_epochs(loss):
    """Of a loss that would be least in a collapse, it is InfoNCE; of a learned epsilon, that of the start."""
    model = quick(loss=loss, epsilon=LearnableEpsilon(0.4), lr=0.05, early_stopping=True, callbacks=[Spy]).fit(X)
    assert loss == "byol" or abs(model.epsilon_ - 0.4) > 1e-3
    yardstick = make_loss("ince" if loss == "byol" else loss, epsilon=0.4)
    net, (batch, *_) = model.net_, spied(model).held_out
    views = net.views(batch, net.random_streams.generator("fixed_views"))
    for module, record in zip(spied(model).nets, model.history_, strict=True):
        with torch.no_grad():
            expected = yardstick(*module(torch.cat(views)).unflatten(0, (2, len(batch))))
        assert_close(record["valid_loss"], expected, NETWORK)


# NaN


class BlowsUp(nn.Module):
    """An encoder that gives infinite values, or an infinite gradient, in some of its calls in training."""

    def __init__(self, calls, *, gradient=False):
        super().__init__()
        self.layer = nn.Linear(4, 6)
        self.calls = set(calls)
        self.gradient = gradient
        self.n_calls = 0
        self.seen = []  # weights at each call

    def forward(self, batch):
        out = self.layer(batch)
        if not self.training:
            return out
        self.n_calls += 1
        self.seen.append(self.layer.weight.detach().clone())
        if self.n_calls not in self.calls:
            return out
        if not self.gradient:
            return out * torch.inf
        out.register_hook(lambda grad: grad * torch.inf)
        return out


def blowing_up(calls, **params):
    gradient = params.pop("gradient", False)
    return quick(encoder=BlowsUp(calls, gradient=gradient), hidden_layer_sizes=None, **params)


@pytest.mark.parametrize("gradient", [False, True])
def test_a_step_that_blows_up_is_taken_back(gradient, caplog):
    """Calls count from 1; there are 5 batches an epoch."""
    model = blowing_up([7, 13], gradient=gradient, callbacks=[Spy])
    with pytest.warns(
        ConvergenceWarning, match=r"went back to the last good weights 2 times.* ended at 0.25 of lr=0.002"
    ):
        model.fit(X)
    what = "gradient" if gradient else "loss"
    assert re.match(rf"The {what} became (nan|inf) in epoch 2 with lr=0.002; back.*lr=0.001", caplog.messages[0])
    assert model.n_epochs_ == 4
    assert np.isfinite(model.transform(X)).all()
    rates = pd.DataFrame(model.history_)["lr"] / pd.DataFrame(quick(callbacks=[Spy]).fit(X).history_)["lr"]
    assert_close(rates, [1, 0.5, 0.25, 0.25], DOUBLE)


def test_going_back_is_to_the_weights_of_the_last_epoch():
    with pytest.warns(ConvergenceWarning, match="went back"):
        body = blowing_up([8]).fit(X).encoder_.body
    at_the_start_of_epoch_2, at_the_blow, again = body.seen[5], body.seen[7], body.seen[8]
    assert torch.equal(again, at_the_start_of_epoch_2)
    assert not torch.equal(at_the_blow, again)


@pytest.mark.parametrize("loss", ["gca_ince", "byol"])
def test_an_encoder_that_keeps_blowing_up_ends_training_with_the_last_good_weights(loss):
    model = blowing_up(range(17, 10_000), max_epochs=30, loss=loss, callbacks=[Spy])
    message = r"stopped being finite in epoch 4; training went back .* 5 times.*weights are those of 3 epochs"
    with pytest.warns(ConvergenceWarning, match=message):
        model.fit(X)
    assert (model.n_epochs_, model.stop_reason_) == (3, "diverged")
    assert np.isfinite(model.transform(X)).all()
    kept = spied(model).nets[-1].state_dict()
    for name, value in model.net_.module_.state_dict().items():
        if "readout" not in name:
            assert torch.equal(value, kept[name]), name


def test_the_best_weights_are_kept_where_they_are_known():
    model = blowing_up(range(23, 10_000), max_epochs=30, early_stopping=True, lr=0.3, callbacks=[Spy])
    with pytest.warns(ConvergenceWarning, match="and then ended"):
        model.fit(X)
    losses = pd.DataFrame(model.history_)["valid_loss"]
    assert model.best_epoch_ == losses.idxmin() + 1
    kept = spied(model).nets[model.best_epoch_ - 1].encoder.body.layer.weight
    assert torch.equal(model.encoder_.body.layer.weight, kept)


def test_an_encoder_that_blows_up_from_the_start_is_an_error():
    model = quick().fit(X)
    before = model.transform(X)
    model.set_params(encoder=BlowsUp(range(10_000)), hidden_layer_sizes=None)
    with pytest.raises(TrainingDivergedError, match="5 retries, each at half the rate, did not help"):
        model.fit(X)
    assert np.array_equal(model.transform(X), before)


def test_amid_a_long_epoch_little_is_lost():
    rows = np.random.default_rng(0).normal(size=(500, 4))
    model = blowing_up(range(231, 10_000), batch_size=2, max_epochs=1)
    with pytest.warns(ConvergenceWarning, match="weights are those of 0 epochs"):
        model.fit(rows)
    untrained = blowing_up([], batch_size=2, max_epochs=0).fit(rows)
    moved = model.encoder_.body.layer.weight - untrained.encoder_.body.layer.weight
    assert moved.abs().max() > 0.01  # 200 steps of it


# Interrupts


class Pressed(nn.Module):
    """An encoder amid whose 13th step, in epoch 3, Ctrl-C is pressed."""

    def __init__(self):
        super().__init__()
        self.layer, self.n_calls = nn.Linear(4, 6), 0

    def forward(self, batch):
        self.n_calls += self.training
        if self.training and self.n_calls == 13:
            signal.raise_signal(signal.SIGINT)
        return self.layer(batch)


@pytest.fixture
def heeded():
    """Ctrl-C raises KeyboardInterrupt, in a process too that a shell started in the background, where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize("early_stopping", [False, True])
def test_ctrl_c_ends_training_with_a_usable_estimator(early_stopping):
    model = quick(encoder=Pressed(), hidden_layer_sizes=None, max_epochs=50, early_stopping=early_stopping)
    with pytest.warns(UserWarning, match="interrupted after 2 of 50 epochs; the embedder has the weights learned"):
        model.fit(X)
    assert (model.n_epochs_, model.stop_reason_) == (2, "interrupted")
    assert np.isfinite(model.transform(X)).all()


def test_a_callback_may_end_training():
    class Enough(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    model = quick(callbacks=[Enough], max_epochs=50).fit(X)  # without a warning
    assert (model.n_epochs_, model.stop_reason_) == (3, "callback")


# Precision, clipping, compiling


def test_bfloat16_trains_and_embeds_in_single_precision():
    rows = load_digits().data[:300]
    single, half = (GCAEmbedder(max_epochs=10, random_state=0, precision=p).fit(rows) for p in ("float32", "bfloat16"))
    assert all(p.dtype == torch.float32 for p in half.encoder_.parameters())
    losses = [pd.DataFrame(model.history_)["loss"].to_numpy() for model in (single, half)]
    assert_within(*losses, 0.1)  # bfloat16 has two to three digits
    assert not np.array_equal(*losses)
    auto = GCAEmbedder(max_epochs=10, random_state=0).fit(rows)
    if not torch.cuda.is_available():
        assert np.array_equal(auto.transform(rows), single.transform(rows))


@pytest.mark.cuda
def test_auto_is_bfloat16_on_cuda_devices_that_have_it(cuda):
    model = quick(device=cuda.type).fit(X)
    has_it = cuda.type == "cuda" and torch.cuda.get_device_capability()[0] >= 8
    assert model.net_.precision == (torch.bfloat16 if has_it else torch.float32)
    assert np.isfinite(model.transform(X)).all()
    assert quick(device=cuda.type).estimate_cost(X).bytes > 0


def test_gradients_are_no_longer_than_asked():
    model = quick(callbacks=[GradientNormClipping(0.3), Spy]).fit(X)
    assert_close(max(spied(model).norms), 0.3, 10 * SINGLE)  # torch adds 1e-6 to the norm it divides by
    assert max(spied(quick(callbacks=[Spy]).fit(X)).norms) > 0.3


def test_compiled_is_the_same_training(monkeypatch):
    """By a backend that runs the graph as it is, since a compiler may not be here."""
    compile_, used = torch.compile, []

    def eager(function, **options):
        used.append(function)
        return compile_(function, backend="eager", **options)

    monkeypatch.setattr(torch, "compile", eager)
    model = quick(compile=True).fit(X)
    assert len(used) == 1
    assert_close(model.transform(X), quick().fit(X).transform(X), TRAINED)
    with pytest.raises(InvalidParameterError, match="compile=True does not work with micro_batch_size=8"):
        model.set_params(micro_batch_size=8).fit(X)


class ThreadsSeen(nn.Linear):
    """An encoder that keeps the number of threads of its passes."""

    seen: ClassVar[list[int]] = []

    def forward(self, batch):
        self.seen.append(torch.get_num_threads())
        return super().forward(batch)


@pytest.mark.parametrize(
    ("n_threads", "occupied", "expected"), [("auto", 1, 1), ("auto", 2, 2), ("auto", 5, 3), (2, 1, 2), (2, 5, 2)]
)
@pytest.mark.parametrize("train", ["fit", "partial_fit", "estimate_cost"])
def test_large_batches_run_on_more_threads_unless_a_number_is_given(train, n_threads, occupied, expected, monkeypatch):
    # an encoder of 4 x 6 weights multiplies 24 times for a row
    monkeypatch.setattr("skgca._utils.threads._FOR_A_THREAD", 40 * 24 / (occupied + 0.5))
    monkeypatch.setattr(ThreadsSeen, "seen", [])
    encoder = ThreadsSeen(4, 6)
    model = GCAEmbedder(encoder=encoder, n_components=6, n_threads=n_threads, batch_size=40, max_epochs=1)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        getattr(model, train)(X)
        trained = ThreadsSeen.seen.copy()
        if train != "estimate_cost":
            ThreadsSeen.seen.clear()
            pickle.loads(pickle.dumps(model)).transform(X)
            assert ThreadsSeen.seen[-1] == expected
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert set(trained[-5:]) == {expected}


def test_what_a_row_takes_is_counted_in_multiplications():
    image = GCAEmbedder(max_epochs=0).fit(np.random.default_rng(0).random((20, 8, 8))).encoder_
    table = GCAEmbedder(max_epochs=0, hidden_layer_sizes=(10,), n_components=7).fit(X).encoder_
    for encoder, rows in ((image, torch.rand(3, 1, 8, 8)), (table, torch.rand(3, 4))):
        encoder.train()
        encoder.body[0].eval()
        before = {name: value.clone() for name, value in encoder.state_dict().items()}
        encoder.count_operations(rows)
        assert [module.training for module in encoder.body][:2] == [False, True]
        assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    # each output pixel of a 3 x 3 convolution takes 9 products a channel; strides of 2 leave 4 x 4, 2 x 2 and 1 x 1
    assert image.n_operations == 9 * (16 * 32 + 4 * 32 * 64 + 64 * 128) + 128 * 128
    assert table.n_operations == 4 * 10 + 10 * 7


# What it will take


def test_the_cost_is_told_before_training(tmp_path):
    model = quick(max_epochs=7, checkpoint_dir=tmp_path / "none", callbacks=[Spy])
    cost = model.estimate_cost(X)
    assert (cost.n_epochs, cost.n_steps) == (7, 35)
    assert cost.seconds >= 35 * cost.seconds_per_step > 0
    assert re.fullmatch(r"35 steps in about \d+ s, with about \d+ MiB", str(cost))
    assert not (tmp_path / "none").exists()
    assert not [name for name in vars(model) if name.endswith("_")]  # it is not fitted
    assert quick(max_epochs=0).estimate_cost(X).n_steps == 0


def test_the_cost_in_bytes_is_what_a_step_keeps():
    rows = np.random.default_rng(0).normal(size=(2048, 16))
    costs = [GCAEmbedder(batch_size=size).estimate_cost(rows).bytes for size in (128, 512, 2048)]
    weights = sum(v.nbytes for v in GCAEmbedder(max_epochs=0).fit(rows).net_.module_.state_dict().values())
    plan = 4 * 4096**2 / 2  # the half of it that is kept, since it is symmetric
    activations = 4096 * 4 * (4 * 256 + 2 * 128 + 4 * 128)  # hidden twice, before and after batch normalisation
    assert costs[2] > plan + activations / 2 + 4 * weights
    assert costs[2] < 2 * (plan + activations + 7 * weights)
    assert costs == sorted(costs)


def test_the_cost_of_what_cannot_be_fitted_is_the_same_error():
    with pytest.raises(ValueError, match="infinity"):
        quick().estimate_cost(np.full((9, 2), np.inf))
    with pytest.raises(InvalidParameterError, match="sinkhorn_n_iter=3 has no effect"):
        quick(loss="ince", sinkhorn_n_iter=3).estimate_cost(X)


def test_a_fit_that_fails_leaves_the_number_of_features():
    model = quick().fit(X)
    with pytest.raises(ValueError, match="infinity"):
        model.fit(np.full((9, 2), np.inf))
    assert model.n_features_in_ == 4
    assert math.isfinite(model.transform(X).sum())
    with pytest.raises(ValueError, match="not on this machine"):
        model.set_params(device="cuda:77").fit(X[:, :2])
    assert model.n_features_in_ == 4


def test_records_of_batches_are_kept_for_one_epoch():
    model = quick(batch_size=32, early_stopping=True).fit(X)
    history = model.net_.history
    assert [len(record["batches"]) for record in history[:-1]] == [0] * (len(history) - 1)
    assert len(history[-1]["batches"]) > 4
    norms = [batch["grad_norm"] for batch in history[-1]["batches"] if "grad_norm" in batch]
    assert_close(model.history_[-1]["gradient_norm"], np.mean(norms), DOUBLE)
    assert history[-1]["n_steps"] == len(norms)
