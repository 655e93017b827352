"""Training on CUDA: reproducible, with generators left as found, and close to what the CPU computes."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skgca.metrics import alignment_score

from ..models import quick
from ..numerics import TRAINED, assert_close, assert_within

pytestmark = pytest.mark.cuda

X, Y = load_iris(return_X_y=True)
IMAGES = (load_digits().data[:60].reshape(-1, 1, 8, 8) / 16).astype(np.float32)
SERIES = np.random.default_rng(0).normal(size=(60, 2, 24)).astype(np.float32)
FRAME = pd.DataFrame(
    {
        "length": X[:, 0],
        "few": pd.Categorical(Y),
        "many": pd.Categorical(np.arange(150) % 40),  # are embedded
        "day": pd.date_range("2026-01-01", periods=150, freq="9h"),
    }
)
PADDED = np.where(np.arange(24) > 17, np.nan, SERIES)
PADDED[:30] = SERIES[:30]
FITS = {
    "table": (X, {}),
    "frame": (FRAME, {}),
    "images": (IMAGES, {}),
    "series": (SERIES, {}),
    "padded series": (PADDED, {}),
    "byol": (X, {"loss": "byol"}),
    "dropout": (X, {"dropout": 0.3}),
    "dropout of torch": (X, {"encoder": nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.3)), "hidden_layer_sizes": None}),
    "parts": (X, {"micro_batch_size": 15, "dropout": 0.3}),
    "parts of byol": (X, {"micro_batch_size": 15, "loss": "byol"}),
    "mixup": (X, {"views": "mixup"}),
    "two kinds of views": (X, {"views": ["noise", nn.Dropout(0.1)]}),
    "float32": (X, {"precision": "float32"}),
    "early stopping": (X, {"early_stopping": True, "max_epochs": 8, "n_iter_no_change": 2}),
}


def generators(cuda):
    """The states of torch's global generators."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if cuda.type == "cuda" else [])]


@pytest.mark.parametrize("case", FITS)
def test_a_random_state_gives_the_same_fit_and_leaves_the_generators(case, cuda):
    rows, params = FITS[case]
    torch.manual_seed(3)
    before = generators(cuda)
    first, again, other = (
        quick(**{"batch_size": 40, "device": cuda.type, "random_state": seed, **params}).fit(rows) for seed in (0, 0, 1)
    )
    assert all(map(torch.equal, before, generators(cuda)))
    losses, same, others = ([record["loss"] for record in fitted.history_] for fitted in (first, again, other))
    # Some kernels of CUDA add in an order that changes from run to run.
    assert_close(same, losses, TRAINED)
    assert losses != others
    assert np.isfinite(first.transform(rows)).all()


@pytest.mark.parametrize("params", [{}, {"loss": "byol"}, {"micro_batch_size": 15}], ids=["default", "byol", "parts"])
def test_a_fit_learns_what_it_learns_on_the_cpu(params, cuda):
    """Views differ, since each device has random numbers of its own, but the loss falls as far."""
    params = {"batch_size": 40, "max_epochs": 30, **params}
    on_cpu, on_cuda = (quick(**params, device=device).fit(X) for device in ("cpu", cuda.type))
    assert_within(on_cuda.history_[-1]["loss"], on_cpu.history_[-1]["loss"], 0.3)
    apart = [alignment_score(fitted.transform(X), fitted.transform(X[::-1])) for fitted in (on_cpu, on_cuda)]
    assert_within(*apart, 0.3)


@pytest.mark.parametrize("params", [{}, {"loss": "byol"}], ids=["default", "byol"])
def test_parts_of_batches_give_the_steps_of_whole_ones(params, cuda):
    params = {"batch_size": 50, "lr": 1e-4, "precision": "float32", "device": cuda.type, **params}
    whole, parts = quick(**params).fit(X), quick(**params, micro_batch_size=20).fit(X)
    for name in ("loss", "gradient_norm"):
        assert_close(*([record[name] for record in fitted.history_] for fitted in (parts, whole)), TRAINED)


def test_bfloat16_comes_close_to_single_precision(cuda):
    params = {"batch_size": 40, "max_epochs": 10, "device": cuda.type}
    single, half = (quick(**params, precision=precision).fit(X) for precision in ("float32", "bfloat16"))
    losses = [[record["loss"] for record in fitted.history_] for fitted in (single, half)]
    assert losses[0] != losses[1]
    assert_within(*losses, 0.2)  # two to three digits of a loss of about 3
    assert all(weight.dtype == torch.float32 for weight in half.encoder_.parameters())


def test_the_optimizer_is_fused(cuda):
    assert quick(device=cuda.type).fit(X).net_.optimizer_.defaults["fused"]


def test_held_out_rows_end_a_training(cuda):
    fitted = quick(device=cuda.type, early_stopping=True, max_epochs=40, n_iter_no_change=1, tol=10.0).fit(X)
    assert fitted.stop_reason_ == "no_change"
    assert np.isfinite([record["valid_loss"] for record in fitted.history_]).all()


class NaNOnce:
    """A view that breaks one batch."""

    def __init__(self):
        self.calls = 0

    def __call__(self, batch, generator):
        self.calls += 1
        noise = torch.randn(batch.shape, generator=generator, device=batch.device)
        return batch + (torch.inf if self.calls == 5 else 0.1) * noise


@pytest.mark.parametrize("params", [{}, {"loss": "byol"}, {"micro_batch_size": 15}], ids=["default", "byol", "parts"])
def test_a_broken_batch_is_rolled_back(params, cuda, caplog):
    view = NaNOnce()
    with pytest.warns(ConvergenceWarning, match="went back to the last good weights 1 times"):
        fitted = quick(device=cuda.type, batch_size=40, views=view, **params).fit(X)
    assert fitted.net_.guard.n_retries == 1
    assert "The loss became nan" in caplog.text
    assert np.isfinite(fitted.transform(X)).all()


def test_a_stream_continues(cuda):
    stream = quick(device=cuda.type, loss="byol", batch_size=40)
    for part in np.array_split(np.random.default_rng(0).permutation(X), 2):
        stream.partial_fit(part)
    assert np.isfinite(stream.transform(X)).all()


def test_weights_and_labels_and_groups_reach_the_loss(cuda):
    weight, groups = np.r_[np.zeros(10), np.linspace(0.5, 2, 140)], np.arange(150) // 2
    fitted = quick(device=cuda.type, target="labels", batch_size=40)
    fitted.fit(X, Y, sample_weight=weight, sample_group=groups)
    assert np.isfinite([record["loss"] for record in fitted.history_]).all()
