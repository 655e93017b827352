"""Trainings in double precision, with views that draw nothing: one process and several must agree to rounding."""

import numpy as np
import torch
from skorch.callbacks import Callback

from skgca import GCAEmbedder
from skgca._data import RowDataset
from skgca._estimator.fitting import in_training, prepare
from skgca._estimator.inputs import check_inputs

__all__ = ["assert_close", "assert_close_weights", "data", "first_view", "second_view", "third_view", "train_in_double"]


def first_view(batch, generator):
    return batch + 0.2 * torch.sin(3.0 * batch)


def second_view(batch, generator):
    return 0.9 * batch + 0.1 * torch.cos(2.0 * batch)


def third_view(batch, generator):
    return batch - 0.1 * batch.square().clamp_max(2.0)


def data(n_rows, n_columns=5):
    """Rows, and metadata of all kinds for them."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(n_rows, n_columns)), {
        "y": rng.integers(0, 3, n_rows),
        "sample_weight": rng.uniform(0.5, 2.0, n_rows),
        "sample_group": np.arange(n_rows) // 2,
        "sample_domain": rng.integers(0, 2, n_rows),
    }


class _Keep(Callback):
    """Keeps the gradient of the first step, and the weights after each epoch; fails in the epoch ``fails_in``."""

    def __init__(self, fails_in):
        self.fails_in = fails_in
        self.gradient, self.weights = None, []

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.fails_in:
            raise StopIteration

    def on_grad_computed(self, net, named_parameters, **kwargs):
        if self.gradient is None:
            self.gradient = {
                name: parameter.grad.clone() for name, parameter in named_parameters if parameter.grad is not None
            }

    def on_epoch_end(self, net, **kwargs):
        state = {**net.module_.state_dict(), **{f"loss {k}": v for k, v in net.criterion_.state_dict().items()}}
        self.weights.append({name: value.clone() for name, value in state.items()})


def train_in_double(params, n_rows, reads=(), *, distributed, fails_in=None):
    """Return gradients of the first step, weights after each epoch, and losses, in double precision.

    Parameters
    ----------
    params : dict
        Parameters of the estimator.
    n_rows : int
    reads : sequence of str
        Names of the metadata that are passed.
    distributed : bool
    fails_in : int, default=None
        Epoch in which the training fails, with StopIteration.
    """
    settings = {
        "views": [first_view, second_view],
        "hidden_layer_sizes": (16, 16),
        "n_components": 8,
        "projection_sizes": (8, 8),
        "numeric_embedding": None,
        "max_epochs": 1,
        "batch_size": n_rows,
        "random_state": 0,
        **params,
    }
    estimator = GCAEmbedder(distributed=distributed, **settings)
    X, metadata = data(n_rows)
    given = [
        metadata[name] if name in reads else None for name in ("y", "sample_weight", "sample_domain", "sample_group")
    ]
    with in_training(estimator) as ranks:
        inputs = check_inputs(estimator, X, *given, None, reset=True)
        prepared = prepare(estimator, inputs, continues=False, ranks=ranks)
        keep = _Keep(fails_in)
        prepared.net.callbacks = [*prepared.net.callbacks, keep]
        net = prepared.net.initialize()
        net.module_.double()
        net.criterion_.double()
        net.partial_fit(_in_double(prepared.training), y=None)
    return keep.gradient, keep.weights, [record["train_loss"] for record in net.history]


def _in_double(dataset):
    inputs = [lambda rows, fetch=fetch: fetch(rows).double() for fetch in dataset.inputs]
    return RowDataset(len(dataset), *inputs, **dataset.extras)


def assert_close(found, expected, tolerance):
    """Compare tensors by name; differences are relative to the largest value, or 1."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        difference = float((found[name].double() - value.double()).abs().max())
        assert difference <= tolerance * max(1.0, float(value.double().abs().max())), (name, difference)


def assert_close_weights(found, expected, gradient, tolerance):
    """Compare weights, except what has no gradient but rounding, which AdamW scales up to the size of lr.

    This is a bias in front of a batch normalisation, and the running mean that contains it.
    """
    without = {name for name, value in gradient.items() if value.abs().max() < 1e-12}
    compared = [name for name in expected if name not in without and not name.endswith("running_mean")]
    assert len(compared) > 10
    assert_close({name: found[name] for name in compared}, {name: expected[name] for name in compared}, tolerance)
