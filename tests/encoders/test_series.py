import copy
import pickle

import pytest
import torch
from torch import nn

from skgca.encoders import Conv1dEncoder

from ..numerics import SINGLE, assert_close, error


def series(*shape, seed=3):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def trained(*args, **options):
    """An encoder with weights of its own and running statistics, in evaluation."""
    torch.manual_seed(0)
    encoder = Conv1dEncoder(*args, **options)
    for _ in range(3):
        encoder(series(16, *args[:2]))
    return encoder.eval()


@pytest.mark.parametrize("length", [2, 3, 4, 5, 8, 9, 15, 16, 17, 24, 100])
@pytest.mark.parametrize("kernel_size", [2, 3, 5, 8])
@pytest.mark.parametrize("widths", [(4,), (4, 6, 8, 10)])
def test_any_length_and_gradients_reach_every_parameter(length, kernel_size, widths):
    torch.manual_seed(0)
    encoder = Conv1dEncoder(3, length, 5, widths=widths, kernel_size=kernel_size)
    outputs = encoder(series(16, 3, length))
    assert outputs.shape == (16, 5)
    outputs.square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_each_convolution_halves_the_length():
    encoder, batch = Conv1dEncoder(3, 100, 5), series(4, 3, 100)
    lengths = []
    for layer in encoder.convolutions:
        batch = layer(batch)
        lengths += [batch.shape[1:]] if isinstance(layer, nn.Conv1d) else []
    assert lengths == [(32, 50), (64, 25), (128, 13)]


def test_a_row_is_encoded_alone_as_among_others():
    encoder, batch = trained(3, 40, 5), series(9, 3, 40)
    together = encoder(batch)
    assert_close(torch.cat([encoder(row[None]) for row in batch]), together, SINGLE)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    assert_close(encoder(batch[order]), together[order], SINGLE)
    encoder.train()
    assert error(encoder(batch)[:2], encoder(batch[:2])) > 1e-3  # in training it does depend


def test_where_a_pulse_stands_does_not_matter_in_a_long_series():
    encoder = trained(1, 400, 5)
    at_100, at_260 = torch.zeros(2, 1, 1, 400)
    at_100[0, 0, 100] = at_260[0, 0, 260] = 5.0  # a multiple of all strides apart, and far from the edges
    assert_close(encoder(at_100), encoder(at_260), SINGLE)
    assert error(encoder(at_100), encoder(torch.zeros(1, 1, 400))) > 1e-3


def test_pooled_features_are_the_mean_and_the_maximum():
    encoder, batch = trained(2, 40, 5), series(6, 2, 40)
    features = encoder.convolutions(batch)
    assert features.shape[2] == 5
    expected = encoder.last(torch.stack([features.mean(2), features.max(2).values], 1).flatten(1))
    assert_close(encoder(batch), expected, SINGLE)


@pytest.mark.parametrize(("length", "left", "n_features"), [(8, 1, 128), (9, 2, 256), (16, 2, 256), (17, 3, 256)])
def test_two_steps_or_one_are_kept_as_they_are(length, left, n_features):
    encoder, batch = trained(2, length, 5), series(6, 2, length)
    features = encoder.convolutions(batch)
    assert features.shape[2] == left
    assert encoder.last.in_features == n_features
    if left <= 2:
        assert_close(encoder(batch), encoder.last(features.flatten(1)), SINGLE)


@pytest.mark.parametrize("kernel_size", [2, 3, 5, 8])
@pytest.mark.parametrize("is_training", [False, True])
def test_a_mask_hides_what_is_behind_the_end(kernel_size, is_training):
    encoder = trained(3, 40, 5, kernel_size=kernel_size)
    masked = Conv1dEncoder(**{**encoder.get_config(), "masked": True})
    masked.load_state_dict(encoder.state_dict())
    encoder.train(is_training)
    masked.train(is_training)
    assert masked.get_config() == {**encoder.get_config(), "masked": True}
    batch = series(6, 3, 40)
    assert_close(masked(torch.cat([batch, torch.ones(6, 1, 40)], 1)), encoder(batch), SINGLE)
    behind = torch.cat([batch, torch.ones(6, 1, 40)], 1)
    behind = torch.cat([behind, torch.zeros(6, 4, 23)], 2)
    assert_close(masked(behind), encoder(batch), SINGLE)


def test_copies_and_the_global_generator():
    encoder, batch = trained(2, 30, 5), series(6, 2, 30)
    before = torch.get_rng_state()
    expected = encoder(batch)
    assert torch.equal(torch.get_rng_state(), before)
    for copied in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        assert torch.equal(copied(batch), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 1}, "length=1 is no series; give 2 samples or more"),
        ({"widths": ()}, r"widths=\(\) has no convolution; give one or more, such as \(32, 64, 128\)"),
        ({"kernel_size": 1}, "kernel_size=1 must be at least 2, or samples are skipped; take 5"),
    ],
)
def test_sizes_that_are_too_small_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Conv1dEncoder(**{"n_channels": 2, "length": 10, "n_outputs": 3, **arguments})
