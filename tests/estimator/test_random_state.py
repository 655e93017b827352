"""The random-number contract."""

import hashlib
import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch

from skgca import GCAEmbedder

PARAMS = {"n_components": 6, "hidden_layer_sizes": (64,), "projection_sizes": (8,), "max_epochs": 3, "batch_size": 200}
X = np.random.default_rng(0).normal(size=(500, 12))


def embed(random_state, **params):
    return GCAEmbedder(**{**PARAMS, **params}, random_state=random_state).fit_transform(X)


SCRIPT = f"""
import hashlib, numpy as np
from skgca import GCAEmbedder
X = np.random.default_rng(0).normal(size=(500, 12))
embedding = GCAEmbedder(**{PARAMS!r}, random_state=3).fit_transform(X)
print(hashlib.sha256(embedding.tobytes()).hexdigest())
"""


@pytest.mark.parametrize("loss", ["gca_ince", "byol"])  # trained by one net, and by the other
def test_an_integer_gives_the_same_bits_on_refit(loss):
    model = GCAEmbedder(**PARAMS, loss=loss, random_state=3)
    assert np.array_equal(model.fit(X).transform(X), model.fit(X).transform(X))
    assert not np.array_equal(embed(3), embed(4))


def test_an_integer_gives_the_same_bits_whatever_threads_torch_had():
    before = torch.get_num_threads()
    results = []
    try:
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            results.append(embed(3))
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_an_integer_gives_the_same_bits_under_any_n_jobs(backend):
    with joblib.parallel_config(backend, n_jobs=2):
        results = joblib.Parallel()(joblib.delayed(embed)(3) for _ in range(4))
    assert all(np.array_equal(result, embed(3)) for result in results)


def embed_images(n_threads):
    images = np.random.default_rng(0).random((60, 8, 8))
    return GCAEmbedder(batch_size=40, max_epochs=2, n_threads=n_threads, random_state=3).fit_transform(images)


def test_a_number_of_threads_gives_the_same_bits_for_images_in_a_worker():
    there = joblib.Parallel(2)(joblib.delayed(embed_images)(2) for _ in range(2))
    assert all(np.array_equal(result, embed_images(2)) for result in there)


def test_an_integer_gives_the_same_bits_in_another_process():
    there = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout
    assert there.strip() == hashlib.sha256(embed(3).tobytes()).hexdigest()


def test_global_generators_are_left_as_found():
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    embed(3)
    embed(3, loss="byol")
    embed(3, dropout=0.3)
    embed(3, dropout=0.3, micro_batch_size=100)
    embed(np.random.RandomState(0))
    assert torch.equal(torch.get_rng_state(), torch_before)
    after = np.random.get_state()  # noqa: NPY002
    assert after[2] == numpy_before[2]
    assert np.array_equal(after[1], numpy_before[1])


def test_global_generators_do_not_matter():
    torch.manual_seed(1)
    first = embed(3)
    torch.manual_seed(2)
    assert np.array_equal(first, embed(3))


def test_a_random_state_instance_moves_on_as_in_scikit_learn():
    rng = np.random.RandomState(3)
    first, second = embed(rng), embed(rng)
    assert not np.array_equal(first, second)
    again = np.random.RandomState(3)
    assert np.array_equal(embed(again), first)
    assert np.array_equal(embed(again), second)


def test_none_draws_from_numpys_global_generator_as_in_scikit_learn():
    np.random.seed(7)  # noqa: NPY002
    first, second = embed(None), embed(None)
    assert not np.array_equal(first, second)
    np.random.seed(7)  # noqa: NPY002
    assert np.array_equal(embed(None), first)


class _Recorded:
    """A view of normal noise that keeps what it draws."""

    def __init__(self):
        self.drawn = []

    def __deepcopy__(self, memo):
        return self

    def __call__(self, batch, generator):
        noise = torch.randn(batch.shape, generator=generator)
        self.drawn.append(noise)
        return batch + noise


@pytest.mark.parametrize(
    "other", [{"dropout": 0.5}, {"layers": "last"}, {"hidden_layer_sizes": (5, 5)}, {"micro_batch_size": 60}]
)
def test_draws_for_one_purpose_leave_those_for_another_as_they_are(other):
    drawn = []
    for params in ({}, other):
        view = _Recorded()
        embed(3, views=view, **params)
        drawn.append(view.drawn)
    assert len(drawn[0]) == len(drawn[1]) > 4
    assert all(torch.equal(first, second) for first, second in zip(*drawn, strict=True))
