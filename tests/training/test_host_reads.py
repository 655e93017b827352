"""A step of training waits for an accelerator once: when it reads the loss and the norm of its gradient, together."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from skorch.callbacks import Callback

from benchmarks._host_reads import host_reads, reads_by_step, summary

from ..models import quick

X, Y = load_iris(return_X_y=True)
SERIES = np.random.default_rng(0).normal(size=(60, 2, 24)).astype(np.float32)
ALL = {"epsilon": 0.2, "batch_size": 40, "max_epochs": 2}
CASES = {
    "table": (X, {}),
    "smallest epsilon without a look at the range": (X, {"epsilon": 0.1}),
    "every view": (X, {"n_views": 3, "view_pairs": "worst"}),
    "noise": (X, {"views": "noise"}),
    "byol": (X, {"loss": "byol"}),
    "penalties": (X, {"loss": "iot_uni"}),
    "parts": (X, {"micro_batch_size": 15}),
    "parts of byol": (X, {"loss": "byol", "micro_batch_size": 15}),
    "bfloat16": (X, {"precision": "bfloat16"}),
    "dropout": (X, {"dropout": 0.2}),
    "early stopping": (X, {"early_stopping": True}),
    "series": (SERIES, {}),
}
CHECK = "skgca/_training/rollback.py"


@pytest.fixture
def as_accelerator(monkeypatch):
    """Train on the CPU by the code of an accelerator."""
    monkeypatch.setattr("skgca._utils.device._READ_FOR_FREE", ())


def of_device(steps):
    """Leave out what skorch reads for its history: that loss is on the CPU, as a test below shows."""
    return [[line for line in step if not line.startswith("skorch/")] for step in steps]


@pytest.mark.parametrize("case", CASES)
def test_a_step_reads_once(case, as_accelerator):
    rows, params = CASES[case]
    steps = of_device(reads_by_step(quick(**{**ALL, **params, "device": "cpu"}), rows))
    assert len(steps) >= 2
    assert all(len(step) == 1 and step[0].startswith(CHECK) for step in steps), summary(steps)


@pytest.mark.cuda
@pytest.mark.parametrize("case", CASES)
def test_a_step_waits_once_on_cuda(case, cuda, as_accelerator):
    rows, params = CASES[case]
    steps = reads_by_step(quick(**{**ALL, **params, "device": cuda.type}), rows)
    if cuda.type == "cpu":
        steps = of_device(steps)
    assert len(steps) >= 2
    assert max(map(len, steps)) == 1, summary(steps)


@pytest.mark.cuda
def test_a_part_with_dropout_waits_once_on_cuda(cuda, as_accelerator):
    """The seeds of the parts are read too, from a generator on the CPU."""
    steps = reads_by_step(quick(**ALL, device=cuda.type, micro_batch_size=15, dropout=0.2), X)
    assert max(map(len, of_device(steps))) == (1 if cuda.type == "cuda" else 2), summary(steps)


def test_a_small_epsilon_is_one_more_read(as_accelerator):
    """Whether scalings stay in range is not known in advance, and decides how the plan is computed."""
    steps = of_device(reads_by_step(quick(**{**ALL, "epsilon": 0.05}, device="cpu"), X))
    assert {len(step) for step in steps} == {2}


class Losses(Callback):
    """Keep the losses that callbacks get."""

    def on_train_begin(self, net, **kwargs):
        self.found = []

    def on_batch_end(self, net, training=False, loss=None, **kwargs):
        if training:
            self.found.append(loss)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_the_loss_that_skorch_records_is_a_number_on_the_cpu(device, cuda):
    losses = Losses()
    fitted = quick(callbacks=[lambda: losses], device=cuda.type if device == "cuda" else device).fit(X)
    assert {(loss.device.type, loss.requires_grad, loss.shape) for loss in losses.found} == {("cpu", False, ())}
    assert np.isfinite([record["loss"] for record in fitted.history_]).all()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_reads_are_found_by_the_line_that_makes_them(device, cuda):
    rows = torch.arange(4.0, device=cuda if device == "cuda" else device)
    with host_reads(rows.device) as places:
        doubled = 2 * rows  # reads nothing
        assert places == []
        float(doubled[1])
        bool((rows > 1).all())
        rows.tolist()
        rows.nonzero()
    assert {place.partition(":")[0] for place in places} == {"tests/training/test_host_reads.py"}
    assert len(set(places)) == 4
