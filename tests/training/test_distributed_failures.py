"""What one rank meets alone: NaN, interrupts, errors, another X. All ranks go on together, or end with the cause."""

import os
import signal
import socket
import time
from contextlib import suppress
from datetime import timedelta

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skgca import GCAEmbedder
from skgca._training.process_group import joined
from skgca.exceptions import RankFailedError, TrainingDivergedError

from ..ranks import on_ranks, outcomes

NETWORK = {"hidden_layer_sizes": (16,), "numeric_embedding": None}
SMALL = {
    "n_components": 8,
    "projection_sizes": (8,),
    "max_epochs": 4,
    "batch_size": 16,
    "random_state": 0,
}


def _rows(n_rows=64):
    return np.random.default_rng(0).normal(size=(n_rows, 4))


def _fit(X=None, **params):
    network = {} if "encoder" in params else NETWORK
    return GCAEmbedder(**{**SMALL, **network, "distributed": True, **params}).fit(_rows() if X is None else X)


def _state(embedder):
    weights = torch.cat([value.double().flatten() for value in embedder.net_.module_.state_dict().values()])
    return weights.numpy(), embedder.history_, embedder.stop_reason_, embedder.n_epochs_


def _assert_alike(first, second):
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_equal(first[1:], second[1:])


class _At(Callback):
    """Calls a function before a batch of an epoch, on one rank."""

    def __init__(self, act, *, rank, epoch, batch=2):
        self.act, self.rank, self.epoch, self.batch = act, rank, epoch, batch

    def on_batch_begin(self, net, training=False, **kwargs):
        place = len(net.history), len(net.history[-1]["batches"])
        if training and net.ranks.rank == self.rank and place == (self.epoch, self.batch):
            self.act()


class _Network(torch.nn.Module):
    """Calls a function on rank 1, between two batch normalisations, in some of its calls in training."""

    def __init__(self, act, calls):
        super().__init__()
        self.first = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8))
        self.second = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.BatchNorm1d(8))
        self.act, self.calls, self.n_calls = act, calls, 0

    def forward(self, batch):
        hidden = self.first(batch)
        self.n_calls += self.training
        if torch.distributed.get_rank() == 1 and self.training and self.n_calls in self.calls:
            hidden = self.act(hidden)
        return self.second(hidden)


def _nan(hidden):
    return hidden * torch.nan


def _fit_with_nan(rank, calls):
    embedder = _fit(encoder=_Network(_nan, calls))
    return _state(embedder), embedder.net_.guard.n_retries


def test_nan_on_one_rank_rolls_all_back():
    (first, n_retries), (second, _) = on_ranks(2, _fit_with_nan, (7, 11))
    _assert_alike(first, second)
    assert n_retries == 2
    assert first[3] == 4
    assert np.isfinite(first[0]).all()


def _raised_by(function, *args):
    found = outcomes(2, function, *args)
    return [error for _, error, _ in found]


def test_nan_from_the_start_ends_all():
    for error in _raised_by(_fit_with_nan, range(1000)):
        assert isinstance(error, TrainingDivergedError), error


def _interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def _interrupt_in_callback():
    raise KeyboardInterrupt


def _fit_with(rank, act, params):
    return _state(_fit(callbacks=[_At(act, rank=1, epoch=2)], **params))


@pytest.mark.parametrize(("act", "reason"), [(_interrupt, "interrupted"), (_interrupt_in_callback, "callback")])
@pytest.mark.parametrize("params", [{}, {"loss": "byol", "micro_batch_size": 5}])
def test_an_interrupt_of_one_rank_stops_all_after_the_same_step(act, reason, params):
    first, second = on_ranks(2, _fit_with, act, params)
    _assert_alike(first, second)
    assert first[2:] == (reason, 1)  # one complete epoch


def _interrupt_twice(hidden):
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
    return hidden


class _InterruptAtBegin(Callback):
    def on_train_begin(self, net, **kwargs):
        if net.ranks.rank == 1:
            raise KeyboardInterrupt


def _fit_interrupted_alone(rank, how):
    params = {"step": {"encoder": _Network(_interrupt_twice, [5])}, "begin": {"callbacks": [_InterruptAtBegin()]}}
    start = time.monotonic()
    try:
        _fit(**params[how])
    except (KeyboardInterrupt, RankFailedError) as error:
        return type(error), str(error), time.monotonic() - start
    return None


@pytest.mark.parametrize("how", ["step", "begin"])
def test_an_interrupt_that_ends_one_rank_at_once_ends_the_others(how):
    first, second = on_ranks(2, _fit_interrupted_alone, how)
    assert second[0] is KeyboardInterrupt
    assert first[:2] == (RankFailedError, "Rank 1 ended with KeyboardInterrupt: ")
    assert first[2] < 30


class _InterruptingView:
    def __init__(self, act):
        self.act, self.n_calls = act, 0

    def __call__(self, batch, generator):
        self.n_calls += 1
        if self.n_calls == 7:
            self.act()
        return batch + 0.1 * torch.randn(batch.shape, generator=generator)


def _handler_after_cost(rank, act):
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises((OSError, KeyboardInterrupt, RankFailedError)):
        GCAEmbedder(**SMALL, **NETWORK, views=_InterruptingView(act), distributed=True).estimate_cost(_rows())
    return signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("act_name", ["_fail", "_interrupt"])
def test_the_handler_of_interrupts_comes_back_if_an_estimate_of_cost_ends_early(act_name):
    assert on_ranks(2, _handler_after_cost, globals()[act_name]) == [True, True]


class _StopAtEpochEnd(Callback):
    def on_epoch_end(self, net, **kwargs):
        if net.ranks.rank == 1 and len(net.history) == 3:
            raise KeyboardInterrupt


def _fit_until_callback(rank):
    return _state(_fit(callbacks=[_StopAtEpochEnd()], max_epochs=6))


def test_a_callback_of_one_rank_stops_all_in_the_same_epoch():
    first, second = on_ranks(2, _fit_until_callback)
    _assert_alike(first, second)
    assert first[2:] == ("callback", 3)


def _fit_until_no_change(rank):
    return _state(_fit(_rows(200), early_stopping=True, tol=0.05, n_iter_no_change=2, max_epochs=40))


def test_early_stopping_ends_all_in_the_same_epoch():
    first, second = on_ranks(2, _fit_until_no_change)
    _assert_alike(first, second)
    assert first[2] == "no_change"
    assert first[3] < 40


def _fail(*args):
    raise OSError("disk of rank 1 is gone")


class _FailingView:
    def __init__(self, rank):
        self.rank, self.n_calls = rank, 0

    def __call__(self, batch, generator):
        self.n_calls += 1
        if torch.distributed.get_rank() == self.rank and self.n_calls == 9:
            raise OSError("disk of rank 1 is gone")
        return batch + 0.1 * torch.randn(batch.shape, generator=generator)


def _fit_failing(rank, how):
    params = {
        "callback": {"callbacks": [_At(_fail, rank=1, epoch=2)]},
        "view": {"views": _FailingView(1)},
        "network": {"encoder": _Network(_fail, [5])},
        "reading": {},
    }[how]
    X = _rows()
    if how == "reading" and rank == 1:
        X[3, 2] = np.inf
    start = time.monotonic()
    try:
        _fit(X, **params)
    except Exception as error:
        return type(error), str(error), time.monotonic() - start
    return None


@pytest.mark.parametrize("how", ["callback", "view", "network", "reading"])
def test_an_error_of_one_rank_ends_all_with_its_cause(how):
    first, second = on_ranks(2, _fit_failing, how)
    kind, message = (ValueError, "infinity") if how == "reading" else (OSError, "disk of rank 1 is gone")
    assert issubclass(second[0], kind)
    assert message in second[1]
    assert first[0] is RankFailedError
    assert first[1].startswith(f"Rank 1 ended with {second[0].__name__}: ")
    assert message in first[1]
    assert max(first[2], second[2]) < 30


def _fit_after_failure(rank):
    _fit_failing(rank, "view")
    try:
        _fit()
    except RankFailedError as error:
        return str(error)
    return None


def test_a_group_that_is_out_of_step_is_not_used_again():
    for message in on_ranks(2, _fit_after_failure):
        assert "start the processes again" in message


def _fit_after_agreed_error(rank):
    for bad in ({"epsilon": -1.0}, {"batch_size": 3}):
        with suppress(ValueError):
            _fit(**bad)
    return _state(_fit())


def test_an_error_of_all_ranks_leaves_the_group_in_step():
    _assert_alike(*on_ranks(2, _fit_after_agreed_error))


def _die():
    os._exit(1)


def _fit_dying(rank):
    start = time.monotonic()
    try:
        _fit(callbacks=[_At(_die, rank=1, epoch=2)])
    except RankFailedError as error:
        return str(error), time.monotonic() - start
    return None


def test_the_end_of_a_process_ends_the_others():
    (value, error, _), _ = outcomes(2, _fit_dying)
    assert error is None
    message, seconds = value
    assert "process has probably ended" in message
    assert seconds < 30


class _DyingRows:
    """Rows that are read from somewhere, by a process that is killed meanwhile on rank 1."""

    shape = (64, 4)
    dtype = np.dtype(float)

    def __len__(self):
        return 64

    def __array__(self, dtype=None, copy=None):
        if torch.distributed.get_rank() == 1:
            os._exit(1)
        return _rows()


def _read_dying(rank):
    start = time.monotonic()
    try:
        _fit(_DyingRows())
    except RankFailedError as error:
        return str(error), time.monotonic() - start
    return None


def test_the_end_of_a_process_that_reads_its_rows_ends_the_others():
    (value, error, _), _ = outcomes(2, _read_dying)
    assert error is None
    message, seconds = value
    assert "process has probably ended" in message
    assert seconds < 30


def _fit_without_store(rank, port):
    """Lose rank 0, which holds the store, before the training begins."""
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    torch.distributed.init_process_group("gloo", init_method=f"tcp://localhost:{port}", rank=rank, world_size=2)
    if rank == 0:
        time.sleep(0.5)
        os._exit(1)
    try:
        _fit()
    except RankFailedError as error:
        return str(error)
    return None


def test_the_end_of_the_process_that_holds_the_store():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    _, (message, error, _) = outcomes(2, _fit_without_store, port)
    assert error is None
    assert "Lost the connection to the store" in message


class _LateMessage:
    """A message that arrives just after the first wait for it ran out of time."""

    n_waits = 0

    def wait(self, timeout):
        assert timeout < timedelta(seconds=5)
        self.n_waits += 1
        if self.n_waits == 1:
            raise RuntimeError("Operation timed out!")

    def is_completed(self):
        return True


def _wait_for_late_message(rank):
    message = _LateMessage()
    with joined(True) as ranks:
        ranks._finish(message, torch.device("cpu"))
    return message.n_waits


def test_a_message_that_arrives_between_two_looks_is_not_lost():
    assert on_ranks(2, _wait_for_late_message) == [2, 2]


def _fit_bad(rank, how):
    X, params = _rows(), {}
    if how == "rows" and rank == 1:
        X = X[::-1]
    if how == "one value" and rank == 1:
        X[5, 1] += 1e-3
    if how == "number of rows" and rank == 1:
        X = X[:40]
    if how == "lr":
        params = {"lr": 1e-3 * (1 + rank)}
    if how == "batch_size":
        params = {"batch_size": 3}
    if how == "partial":
        GCAEmbedder(**SMALL, distributed=True).partial_fit(X[: 40 + 20 * rank])
    _fit(X, **params)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("rows", "the same X and metadata on every rank"),
        ("one value", "the same X and metadata on every rank"),
        ("number of rows", "the same number of rows on every rank, but rank 0 has 64 and rank 1 has 40"),
        ("lr", "the same lr on every rank, but rank 0 has 0.001 and rank 1 has 0.002"),
        ("batch_size", "batch_size=3 makes batches of 2 of the 64 rows, for 2 ranks together"),
        ("partial", "the same number of rows on every rank"),
    ],
)
def test_what_differs_between_ranks_is_named_before_training(how, message):
    errors = _raised_by(_fit_bad, how)
    assert any(isinstance(error, ValueError) for error in errors)
    for error in errors:  # a rank may hear of the other's error before it finds its own, and then tells that
        assert isinstance(error, ValueError | RankFailedError), error
        assert message in str(error)


def _globals_after_fit(rank):
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    handler = signal.getsignal(signal.SIGINT)
    _fit()
    drawn = torch.rand(3).tolist(), np.random.rand(3).tolist()  # noqa: NPY002
    return *drawn, signal.getsignal(signal.SIGINT) is handler


def test_the_global_generators_and_the_handler_of_interrupts_are_left_as_they_were():
    torch.manual_seed(3)
    expected = torch.rand(3).tolist(), np.random.RandomState(3).rand(3).tolist(), True
    assert on_ranks(2, _globals_after_fit) == [expected, expected]
