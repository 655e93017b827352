import numpy as np
import pytest
import torch

from skgca._utils.random import _STREAMS, RandomStreams, seeded_global_generator


def test_the_global_generator_is_put_back():
    before = torch.get_rng_state()
    with seeded_global_generator(3):
        first = torch.rand(4)
    with seeded_global_generator(3):
        second = torch.rand(4)
    assert torch.equal(first, second)
    assert torch.equal(before, torch.get_rng_state())


def test_the_global_generator_is_put_back_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="inside"), seeded_global_generator(3):
        raise RuntimeError("inside")
    assert torch.equal(before, torch.get_rng_state())


def test_streams_differ_by_name_call_and_source():
    sources = [RandomStreams(0), RandomStreams(0, call=1), RandomStreams(1)]
    seeds = [streams.seed(name) for streams in sources for name in _STREAMS]
    assert len(set(seeds)) == len(seeds) == 3 * len(_STREAMS)
    assert all(0 <= seed < 2**63 for seed in seeds)  # what torch.Generator and JSON take
    assert seeds[: len(_STREAMS)] == [RandomStreams(0).seed(name) for name in _STREAMS]


def test_a_stream_is_that_of_numpys_seed_sequence():
    """Pinned, since a change here changes the bits of every fit."""
    (expected,) = np.random.SeedSequence(5, spawn_key=(2, 3)).generate_state(1, np.uint64)
    assert RandomStreams(5, call=2).seed("order") == int(expected) >> 1
    assert _STREAMS[3] == "order"


def test_the_source_is_drawn_from_the_random_state_alone():
    state, same = np.random.RandomState(3), np.random.RandomState(3)
    first, second = RandomStreams.of(state), RandomStreams.of(state)
    assert first == RandomStreams.of(same)
    assert first != second
    assert max(first.entropy, second.entropy) > 2**100


def test_a_stream_of_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="not in tuple"):
        RandomStreams(0).seed("other")
