import pytest
import torch

from skgca._utils.random import seeded_global_generator


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
