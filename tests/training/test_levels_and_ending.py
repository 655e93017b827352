"""What a training tells of its loss and of its end."""

import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from skgca import GCACrossEmbedder, GCAEmbedder, GCAMap
from skgca.losses import LearnableEpsilon, make_loss
from skgca.losses._levels import loss_levels

from .. import models
from ..numerics import DOUBLE, assert_close

X, Y = load_iris(return_X_y=True)
quick = partial(models.quick, max_epochs=4, batch_size=32)


def told(model, capsys, *args, **metadata):
    """First and last line that a fit shows."""
    model.set_params(verbose=1).fit(*(args or (X,)), **metadata)
    first, *_, last = capsys.readouterr().out.splitlines()
    return first, last


class Interrupt(Callback):
    """Ctrl-C in an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_begin(self, net, training=False, **kwargs):
        if len(net.history) == self.epoch:
            net.stop("interrupted")


class Stop(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt


class NotFinite(nn.Linear):
    """NaN from some step on."""

    def __init__(self, good_steps):
        super().__init__(4, 6)
        self.left = good_steps

    def forward(self, batch):
        self.left -= self.training
        return super().forward(batch) if self.left >= 0 else super().forward(batch) * torch.nan


# Levels


def test_levels_are_means_over_batches_of_two_sizes():
    frame = pd.DataFrame(quick(loss="ince", epsilon=0.3).fit(X[:101]).history_)  # batches of 26, 25, 25 and 25 rows
    sizes = [len(part) for part in np.array_split(np.arange(101), 4)]
    of_size = [loss_levels(make_loss("ince", epsilon=0.3), n) for n in sizes]
    assert_close(frame["loss_by_chance"], np.full(4, np.average([x.by_chance for x in of_size], weights=sizes)), DOUBLE)
    assert_close(frame["loss_at_best"], np.full(4, np.average([x.at_best for x in of_size], weights=sizes)), DOUBLE)


def test_an_untrained_network_has_the_loss_of_chance_at_a_large_epsilon():
    record = quick(loss="ince", epsilon=20.0, lr=1e-12, max_epochs=1).fit(X).history_[0]
    assert record["loss"] == pytest.approx(record["loss_by_chance"], rel=0.01)


def test_a_learned_epsilon_moves_the_levels():
    frame = pd.DataFrame(quick(epsilon=LearnableEpsilon(0.5), lr=0.05).fit(X).history_)
    assert frame["loss_by_chance"].nunique() == 1  # of a hard marginal
    assert frame["loss_at_best"].nunique() == 4


def test_two_encoders_and_a_map_have_levels_of_the_cross_layout():
    cross = GCACrossEmbedder(max_epochs=1, batch_size=50, random_state=0).fit(X[:100, :2], X[:100, 2:])
    assert cross.history_[0]["loss_by_chance"] == pytest.approx(np.log(50))
    fitted_map = GCAMap(hidden_layer_sizes=(8,), max_epochs=1, batch_size=50, random_state=0).fit(X[:100])
    record = fitted_map.map_.history_[0]
    assert record["loss_by_chance"] == pytest.approx(np.log(50))
    assert np.isnan(record["loss_at_best"])  # distances have no bound


UNKNOWN = {
    "weights": ({}, {"sample_weight": np.arange(150) + 1.0}, "it depends on the sample_weight of the rows in a batch"),
    "groups": ({}, {"sample_group": np.arange(150) // 2}, "it depends on the sample_group of the rows in a batch"),
    "labels": ({"target": "labels"}, {}, r"which rows of a batch match under target=LabelsTarget\(\)"),
    "byol": ({"loss": "byol"}, {}, "This loss does not compare rows with each other, so it has no chance level"),
    "open": ({"loss": "gca_uot", "cost": "sqeuclidean"}, {}, "the costs, which these marginals, epsilon or cost leave"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_levels_are_said_to_be_unknown(name, capsys):
    options, metadata, text = UNKNOWN[name]
    model = quick(**options)
    first, last = told(model, capsys, X, Y, **metadata)
    assert re.search(text, first), first
    assert "chance" not in last
    assert pd.DataFrame(model.history_)[["loss_by_chance", "loss_at_best"]].isna().all(axis=None)


# The end


def test_the_first_line_and_a_full_training(capsys):
    first, last = told(quick(), capsys)
    number = r"\d\.\d+"
    assert re.fullmatch(
        rf"Loss of an embedding that does not distinguish rows: {number} \(chance\)\. Lowest possible loss: {number} "
        r"\(best\)\. Batches of 30 rows, epsilon 0\.5\.",
        first,
    )
    assert re.fullmatch(
        rf"Trained for 4 epochs \(20 steps\) in {number} s on cpu: the loss fell from {number} to {number} "
        rf"\(chance {number}, best {number}\)\.",
        last,
    )
    first, last = told(quick(loss="gca_uot", max_epochs=1), capsys)
    assert "best" not in first
    assert re.search(rf"1 epoch \(5 steps\) .*: the loss was {number} \(chance {number}\)\.$", last)


def test_a_best_loss_of_nearly_zero_is_told_as_zero(capsys):
    assert told(quick(epsilon=0.01), capsys)[1].endswith(", best 0).")


def test_early_stopping_tells_of_the_weights_that_it_restores(capsys):
    model = quick(max_epochs=30, early_stopping=True, n_iter_no_change=2, tol=0.5)
    last = told(model, capsys)[1]
    kept = model.history_[model.best_epoch_ - 1]
    assert f"to {kept['loss']:.4g} (" in last or model.best_epoch_ == 1
    assert last.endswith(
        f"Early stopping ended it after {model.n_epochs_} of at most 30 epochs. The weights are those of epoch "
        f"{model.best_epoch_}, whose held-out loss of {kept['valid_loss']:.4g} was best."
    )
    at_the_end = quick(max_epochs=3, early_stopping=True, n_iter_no_change=2, tol=0.5)
    assert "Early stopping" not in told(at_the_end, capsys)[1]
    assert at_the_end.stop_reason_ == "no_change"
    last = told(quick(early_stopping=True, callbacks=[EarlyStopping(load_best=False)]), capsys)[1]
    assert "The weights" not in last


def test_an_interrupt_and_a_callback(capsys):
    with pytest.warns(UserWarning, match="interrupted after 2 of 4"):
        last = told(quick(callbacks=[Interrupt(3)]), capsys)[1]
    assert "Trained for 2 epochs (10 steps)" in last
    assert last.endswith("It was interrupted in epoch 3 of 4. The weights are the last good ones.")
    with pytest.warns(UserWarning, match="interrupted after 0 of 4"):
        last = told(quick(callbacks=[Interrupt(1)]), capsys)[1]
    assert last.startswith("No epoch was trained. It was interrupted in epoch 1 of 4.")
    assert told(quick(callbacks=[Stop]), capsys)[1].endswith("A callback ended it in epoch 2 of 4.")


def test_a_rolled_back_training(capsys):
    with pytest.warns(ConvergenceWarning, match="and then ended"):
        last = told(quick(encoder=NotFinite(12), hidden_layer_sizes=None), capsys)[1]
    assert "It ended in epoch 3 of 4, where the loss or its gradient was not finite." in last
    assert last.endswith("It went back to the last good weights 5 times, and ended at 0.03125 of its learning rate.")


def test_passes_of_partial_fit_tell_of_no_end(capsys):
    model = GCAEmbedder(verbose=1, random_state=0).partial_fit(X).partial_fit(X)
    starts = [line.split()[0] for line in capsys.readouterr().out.splitlines() if not line.startswith("X is read")]
    assert starts == ["Loss", "epoch", "epoch"]
    assert model.history_[1]["loss_by_chance"] == model.history_[0]["loss_by_chance"]
