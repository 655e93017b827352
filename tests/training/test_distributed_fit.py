"""Estimators over ranks: one embedder, checkpoints for any number of ranks, partial_fit, cost, process groups."""

import os
import pickle
import subprocess
import sys
import warnings
from contextlib import suppress

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from skgca import GCAEmbedder
from skgca._training.batch_statistics import BatchStatistics
from skgca._training.process_group import joined
from skgca._utils.compat import InvalidParameterError

from ..ranks import on_ranks, outcomes
from .ranks_net import assert_close_weights, first_view, second_view, train_in_double

SMALL = {
    "hidden_layer_sizes": (16,),
    "n_components": 8,
    "projection_sizes": (8,),
    "numeric_embedding": None,
    "max_epochs": 4,
    "batch_size": 16,
    "random_state": 0,
}
FIXED_VIEWS = {"views": [first_view, second_view]}


def _rows(n_rows=70):
    return np.random.default_rng(0).normal(size=(n_rows, 5))


def _weights(embedder):
    return {name: value.clone() for name, value in embedder.net_.module_.state_dict().items()}


def _assert_same_weights(first, second):
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


# One embedder on all ranks


def _fit_and_embed(rank, params):
    embedder = GCAEmbedder(**{**SMALL, "distributed": True, **params}).fit(_rows())
    return _weights(embedder), embedder.transform(_rows()), embedder.reference_, embedder.history_, embedder.epsilon_


@pytest.mark.parametrize("params", [{"random_state": None}, {"dropout": 0.2}, {"loss": "byol", "n_views": 3}])
def test_all_ranks_return_the_same_embedder(params):
    first, second, third = on_ranks(3, _fit_and_embed, params)
    for other in (second, third):
        _assert_same_weights(first[0], other[0])
        np.testing.assert_equal(first[1:], other[1:])


def test_the_same_number_of_ranks_gives_the_same_bits():
    first, again = on_ranks(2, _fit_and_embed, {}), on_ranks(2, _fit_and_embed, {})
    _assert_same_weights(first[0][0], again[0][0])
    np.testing.assert_array_equal(first[0][1], again[0][1])


def _fit_images(rank):
    X, _ = load_digits(return_X_y=True)
    images = X[:64].reshape(-1, 8, 8)
    embedder = GCAEmbedder(max_epochs=2, batch_size=32, random_state=0, distributed=True).fit(images)
    return _weights(embedder), embedder.transform(images[:4])


def test_images_are_trained_on_over_ranks():
    first, second = on_ranks(2, _fit_images)
    _assert_same_weights(first[0], second[0])
    assert np.isfinite(first[1]).all()


class _OwnEncoder(torch.nn.Module):
    """Its initial weights differ from rank to rank."""

    def __init__(self, seed):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 8))
            self.unused = torch.nn.Linear(2, 2)

    def forward(self, batch):
        return self.layers(batch)


def _fit_own_encoder(rank):
    params = {name: value for name, value in SMALL.items() if name not in ("hidden_layer_sizes", "numeric_embedding")}
    return _weights(GCAEmbedder(**params, encoder=_OwnEncoder(rank), distributed=True).fit(_rows()))


def test_training_starts_from_the_weights_of_the_first_rank():
    first, second = on_ranks(2, _fit_own_encoder)
    _assert_same_weights(first, second)
    unused = next(name for name in first if name.endswith("unused.weight"))
    assert torch.equal(first[unused], _OwnEncoder(0).unused.weight)  # no gradient, so no update either


class _Buffers(torch.nn.Module):
    """Buffers of types that gloo does not send, one that is not in the state, and a state that is no tensor."""

    def __init__(self, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("projection", torch.randn(5, 8, generator=generator), persistent=False)
        self.register_buffer("mask", torch.ones(3, dtype=torch.bool))
        self.register_buffer("number", torch.tensor(seed, dtype=torch.int16))
        self.layer = torch.nn.Linear(8, 8)

    def get_extra_state(self):
        return {"version": 1}

    def set_extra_state(self, state):
        pass

    def forward(self, batch):
        return self.layer(batch @ self.projection)


def _fit_buffers(rank):
    params = {name: value for name, value in SMALL.items() if name not in ("hidden_layer_sizes", "numeric_embedding")}
    embedder = GCAEmbedder(**params, encoder=_Buffers(rank), distributed=True).fit(_rows())
    return embedder.transform(_rows()), {name: value.clone() for name, value in embedder.net_.module_.named_buffers()}


def test_all_buffers_are_those_of_the_first_rank():
    (embedding, first), (other, second) = on_ranks(2, _fit_buffers)
    _assert_same_weights(first, second)
    projection = next(value for name, value in first.items() if name.endswith("projection"))
    assert torch.equal(projection, _Buffers(0).projection)
    np.testing.assert_array_equal(embedding, other)


class _Frozen(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = torch.nn.Linear(5, 1000).requires_grad_(False)
        self.layer = torch.nn.Linear(1000, 8)

    def forward(self, batch):
        return self.layer(self.backbone(batch))


class _Sizes(Callback):
    """Keeps the largest number of values that a sum over ranks sends."""

    largest = 0

    def on_train_begin(self, net, **kwargs):
        sums = net.ranks.sum

        def counted(tensor):
            _Sizes.largest = max(_Sizes.largest, tensor.numel())
            return sums(tensor)

        net.ranks.sum = counted


def _sent_with_frozen(rank):
    params = {name: value for name, value in SMALL.items() if name not in ("hidden_layer_sizes", "numeric_embedding")}
    embedder = GCAEmbedder(**params, encoder=_Frozen(), callbacks=[_Sizes()], distributed=True).fit(_rows())
    weights = list(embedder.net_.module_.parameters())
    trained = [weight for weight in weights if weight.requires_grad]
    return _Sizes.largest - sum(weight.numel() for weight in trained), len(trained)


def test_gradients_of_frozen_weights_are_not_sent():
    for n_others, n_trained in on_ranks(2, _sent_with_frozen):
        assert n_others == n_trained + 4  # whether each is used, the loss, and three reasons to stop


def _merged_statistics(rank):
    """Merge the statistics of 4 rows, which have 6 time steps on rank 0 and 3 on rank 1."""
    series = torch.arange(72.0).reshape(4, 3, 6)
    own = series[:2] if rank == 0 else series[2:, :, :3]
    with joined(True) as ranks:
        ranks.place(torch.device("cpu"))
        merged = ranks.merged(BatchStatistics.of(torch.nn.BatchNorm1d(3), own))
    values = torch.cat([series[:2].movedim(1, 0).flatten(1), series[2:, :, :3].movedim(1, 0).flatten(1)], dim=1)
    return float(merged.n_values), merged.mean.numpy(), merged.variance.numpy(), values.double().numpy()


def test_batch_normalisation_counts_series_of_unequal_length_by_their_values():
    for n_values, mean, variance, values in on_ranks(2, _merged_statistics):
        assert n_values == values.shape[1] == 18
        np.testing.assert_allclose(mean, values.mean(axis=1))
        np.testing.assert_allclose(variance, values.var(axis=1))


def _draw_after_fit(rank):
    generator = np.random.RandomState(0)
    GCAEmbedder(**{**SMALL, "random_state": generator}, distributed=True).fit(_rows())
    return generator.randint(2**30)


def test_a_random_state_of_the_user_moves_on_all_ranks():
    first, second = on_ranks(2, _draw_after_fit)
    assert first == second


def _warnings_of_fit(rank):
    embedder = GCAEmbedder(**{**SMALL, "sinkhorn_tol": 1e-12, "sinkhorn_n_iter": 2, "distributed": True})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        embedder.fit(_rows())
    return [str(warning.message) for warning in caught]


def test_only_the_first_rank_warns():
    first, second = on_ranks(2, _warnings_of_fit)
    assert "transport plans missed sinkhorn_tol" in first[0]
    assert not second


# Checkpoints


class _Die(Callback):
    """Ends the process as a kill does."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 4:
            os._exit(9)


def _train(rank, folder, distributed, dies, views):
    embedder = GCAEmbedder(
        **{**SMALL, **views, "max_epochs": 6},
        checkpoint_dir=folder,
        checkpoint_epochs=1,
        resume=True,
        callbacks=[_Die()] if dies else None,
        distributed=distributed,
    )
    return _weights(embedder.fit(_rows()))


def test_a_killed_training_resumes_with_the_same_bits(tmp_path):
    whole, _ = on_ranks(2, _train, str(tmp_path / "whole"), True, False, {})
    killed = outcomes(2, _train, str(tmp_path / "killed"), True, True, {})
    assert all("exit code 9" in text for _, _, text in killed)
    first, second = on_ranks(2, _train, str(tmp_path / "killed"), True, False, {})
    _assert_same_weights(whole, first)
    _assert_same_weights(whole, second)


def _train_to_failure(rank, params, fails_in):
    with suppress(StopIteration):
        train_in_double(params, 70, distributed=True, fails_in=fails_in)


def test_a_training_resumes_on_another_number_of_ranks(tmp_path):
    params = {"max_epochs": 6, "batch_size": 16, "resume": True, "checkpoint_epochs": 1}
    whole, moved = ({**params, "checkpoint_dir": str(tmp_path / name)} for name in ("whole", "moved"))
    gradient, weights, losses = train_in_double(whole, 70, distributed=False)
    with pytest.raises(StopIteration):
        train_in_double(moved, 70, distributed=False, fails_in=3)
    on_ranks(2, _train_to_failure, moved, 5)
    _, found, all_losses = train_in_double(moved, 70, distributed=False)
    assert len(found) == 2  # epochs 5 and 6
    np.testing.assert_allclose(all_losses, losses, rtol=1e-9)
    assert_close_weights(found[-1], weights[-1], gradient, 1e-9)


def _resume_from_other_data(rank, folder):
    params = {**SMALL, **FIXED_VIEWS, "max_epochs": 6}
    try:
        GCAEmbedder(**params, checkpoint_dir=folder, resume=True, distributed=True).fit(_rows()[::-1])
    except Exception as error:
        return str(error)


def test_an_error_of_the_checkpoint_reaches_all_ranks(tmp_path):
    _train(0, str(tmp_path), None, False, FIXED_VIEWS)
    for message in on_ranks(2, _resume_from_other_data, str(tmp_path)):
        assert "belongs to other data" in message


# partial_fit and estimate_cost


class _Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(_rows(90).astype(np.float32))


def _fit_parts(rank, loss):
    embedder = GCAEmbedder(**SMALL, loss=loss, distributed=True)
    for part in np.split(_rows(120), 3):
        embedder.partial_fit(part)
    embedder.partial_fit(_Stream())
    return _weights(embedder), embedder.transform(_rows()), embedder.n_epochs_


@pytest.mark.parametrize("loss", ["gca_ince", "byol"])
def test_partial_fit_over_ranks(loss):
    first, second = on_ranks(2, _fit_parts, loss)
    _assert_same_weights(first[0], second[0])
    np.testing.assert_equal(first[1:], second[1:])


def _pickle_between_parts(rank):
    embedder = GCAEmbedder(**SMALL, distributed=True).partial_fit(_rows())
    opened = pickle.loads(pickle.dumps(embedder))
    return embedder.transform(_rows()), opened.transform(_rows()), opened.partial_fit(_rows()).transform(_rows())


def test_a_pickle_between_calls_of_partial_fit():
    first, second = on_ranks(2, _pickle_between_parts)
    np.testing.assert_array_equal(first[0], first[1])
    np.testing.assert_array_equal(first[2], second[2])


def _change_in_partial_fit(rank, before, after):
    embedder = GCAEmbedder(**SMALL, distributed=before).partial_fit(_rows())
    try:
        embedder.set_params(distributed=after).partial_fit(_rows())
    except InvalidParameterError as error:
        return str(error)


@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True)])
def test_partial_fit_does_not_change_the_number_of_processes(before, after):
    for message in on_ranks(2, _change_in_partial_fit, before, after):
        assert "first call of partial_fit" in message


def _fit_again(rank):
    embedder = GCAEmbedder(**SMALL, distributed=True, warm_start=True).fit(_rows())
    return _weights(embedder.fit(_rows())), len(embedder.history_)


def test_warm_start_over_ranks():
    first, second = on_ranks(2, _fit_again)
    _assert_same_weights(first[0], second[0])


def _cost(rank):
    embedder = GCAEmbedder(**SMALL, distributed=True)
    estimate = embedder.estimate_cost(_rows())
    return estimate, _weights(embedder.fit(_rows()))


def test_the_cost_is_estimated_alike_on_all_ranks():
    (first, weights), (second, _) = on_ranks(2, _cost)
    assert first == second
    assert first.n_steps == 4 * 5
    _assert_same_weights(weights, on_ranks(2, _fit_and_embed, {})[0][0])


# Process groups


def _fit_alone(rank, distributed):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        embedder = GCAEmbedder(**SMALL, distributed=distributed).fit(_rows())
    return _weights(embedder), [(str(warning.message), warning.filename) for warning in caught]


def test_without_distributed_each_process_trains_alone_and_none_warns():
    expected, _ = _fit_alone(0, None)
    for weights, messages in on_ranks(2, _fit_alone, None):
        _assert_same_weights(weights, expected)
        ((message, filename),) = messages
        assert message.startswith("This is one of 2 processes, and each trains a model of its own. Set distributed=")
        assert filename == __file__
    for weights, messages in on_ranks(2, _fit_alone, False):
        _assert_same_weights(weights, expected)
        assert not messages


def test_a_group_of_one_is_a_single_process():
    ((weights, messages),) = on_ranks(1, _fit_alone, True)
    _assert_same_weights(weights, _fit_alone(0, None)[0])
    assert not messages


def test_no_group_and_no_environment_for_one():
    with pytest.raises(InvalidParameterError, match="torchrun --nproc-per-node=2"):
        GCAEmbedder(**SMALL, distributed=True).fit(_rows())


def test_the_environment_of_a_launcher_without_a_group_warns(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.warns(UserWarning, match="one of 4 processes"):
        GCAEmbedder(**SMALL).fit(_rows())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GCAEmbedder(**SMALL, distributed=False).fit(_rows())


def _fit_on(rank, device):
    try:
        GCAEmbedder(**SMALL, distributed=True, device=device).fit(_rows())
    except InvalidParameterError as error:
        return str(error)


def test_a_device_that_the_group_cannot_send_from():
    for message in on_ranks(2, _fit_on, "meta"):
        assert "device='meta' has no backend in the process group, which has 'gloo'" in message


LETS_GO = """
import gc, sys, weakref
import numpy as np
import torch.distributed as dist
from skgca import GCAEmbedder

dist.init_process_group("gloo", store=dist.FileStore(sys.argv[1], 1), rank=0, world_size=1)
GCAEmbedder(max_epochs=1, distributed=True).fit(np.random.default_rng(0).normal(size=(40, 3)))
group = weakref.ref(dist.group.WORLD)
dist.destroy_process_group()
gc.collect()
assert group() is None
"""


@pytest.mark.slow
def test_nothing_keeps_a_process_group_that_was_destroyed(tmp_path):
    """In a new process: torch imports its compiler in the first training, whose functions may hold the group."""
    subprocess.run([sys.executable, "-c", LETS_GO, str(tmp_path / "store")], check=True)
