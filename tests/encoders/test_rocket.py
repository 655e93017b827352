"""Fixed convolution kernels against float64 NumPy, and the perceptron behind them."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skgca.encoders import ConvolutionKernels, RocketEncoder

from ..numerics import DOUBLE, NETWORK, SINGLE, assert_close, assert_gradient, assert_within, error

KERNELS = [np.where(np.isin(np.arange(9), taps), 2.0, -1.0) for taps in itertools.combinations(range(9), 3)]


def series(*shape, seed=3, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def fitted(n_channels=1, length=40, *, double=False, **options):
    """Kernels in evaluation, fitted to random series."""
    torch.manual_seed(0)
    kernels = ConvolutionKernels(n_channels, length, **options)
    rows = series(30, n_channels, length, seed=5)
    if kernels.masked:
        rows = torch.cat([rows, torch.ones(30, 1, length)], 1)
    kernels.fit(rows).eval()
    return kernels.double() if double else kernels


def trained(n_channels=1, length=40, n_outputs=5, **options):
    """An encoder with running statistics, in evaluation."""
    torch.manual_seed(0)
    encoder = RocketEncoder(n_channels, length, n_outputs, hidden_layer_sizes=(16, 12), **options)
    encoder.fit(series(30, n_channels, length, seed=5))
    for _ in range(3):
        encoder(series(16, n_channels, length))
    return encoder.eval()


def shares_by_definition(kernels, values):
    """The features of one series (n_channels, length) without padding, tap by tap, before they are standardised."""
    values = np.asarray(values, dtype=np.float64)
    length = values.shape[1]
    n_groups = kernels.subsets.shape[1]
    slope, offset = (part.double().flatten(1).numpy() for part in (kernels.slope, kernels.offset))
    places = np.arange(0, length, kernels.stride)
    found = np.empty((kernels.n_dilations, len(KERNELS)))
    for k, dilation in enumerate(kernels.dilations):
        for number, weights in enumerate(KERNELS):
            subset = kernels.subsets[k, number // (len(KERNELS) // n_groups)].numpy()
            mixed = subset @ values
            response = np.zeros(len(places))
            for tap, weight in zip(range(-4, 5), weights, strict=True):
                at = places + tap * dilation
                read = mixed[np.clip(at, 0, length - 1)]
                response += weight * (read if k % 2 == 0 else np.where((at >= 0) & (at < length), read, 0.0))
            found[k, number] = np.clip(slope[k, number] * response + offset[k, number], 0, 1).mean()
    return found.ravel()


# The features


@settings(max_examples=40)
@given(
    n_channels=st.integers(1, 5),
    length=st.integers(2, 40),
    n_dilations=st.integers(1, 4),
    n_places=st.integers(1, 50),
    seed=st.integers(0, 99),
)
def test_features_are_those_of_the_definition(n_channels, length, n_dilations, n_places, seed):
    kernels = fitted(n_channels, length, double=True, n_dilations=n_dilations, n_places=n_places)
    batch = series(2, n_channels, length, seed=seed, dtype=torch.float64)
    expected = [shares_by_definition(kernels, row) for row in batch]
    assert_close(kernels.shares(batch), expected, DOUBLE, scale=kernels.offset)
    standardised = (np.array(expected) - kernels.mean.numpy()) / kernels.deviation.numpy()
    assert_close(kernels(batch), standardised, DOUBLE, scale=kernels.offset / kernels.deviation.min())


def test_long_series_are_read_before_their_channels_are_mixed_and_it_makes_no_difference():
    kernels = fitted(3, 300, double=True, n_dilations=2, n_places=20)  # 15 places of 9 taps are fewer than 300 samples
    batch = series(2, 3, 300, dtype=torch.float64)
    assert_close(kernels.shares(batch), [shares_by_definition(kernels, row) for row in batch], DOUBLE, scale=100)


def test_there_are_84_different_kernels_whose_weights_add_to_zero():
    weights = fitted(7).kernels.view(-1, 9)
    assert len({tuple(row) for row in weights.tolist()}) == 84
    assert torch.equal(weights.sum(1), torch.zeros(84))
    assert set(weights.unique().tolist()) == {-1.0, 2.0}


@pytest.mark.parametrize(("length", "n_dilations"), [(2, 3), (9, 5), (150, 11), (257, 6), (1000, 1), (10_000, 11)])
def test_dilations_grow_from_one_to_a_window_of_the_series(length, n_dilations):
    dilations = ConvolutionKernels(1, length, n_dilations=n_dilations).dilations
    assert len(dilations) == n_dilations
    assert dilations[0] == 1
    assert dilations == sorted(dilations)
    if n_dilations > 1:
        assert dilations[-1] == max(1, (length - 1) // 8)


@pytest.mark.parametrize(("length", "n_places"), [(40, 40), (40, 39), (41, 20), (500, 64), (7, 256)])
def test_at_most_so_many_places_are_looked_at(length, n_places):
    kernels = ConvolutionKernels(1, length, n_places=n_places, n_training_places=10).eval()
    looked_at = len(range(0, length, kernels.stride))
    assert n_places / 2 < looked_at <= n_places or looked_at == length <= n_places
    assert len(range(0, length, kernels.train().stride)) <= 10


def test_half_of_the_places_of_training_rows_are_above_a_bias_on_average():
    kernels = fitted(length=100)
    shares = kernels.shares(series(30, 1, 100, seed=5)).mean(0)  # the rows it was fitted to
    # one less the share of each quantile, and those are spread evenly over [0, 1]
    assert_within(shares.sort().values, torch.linspace(0, 1, len(shares)), 0.03)


def test_features_of_training_rows_are_standardised():
    rows = series(30, 2, 60, seed=5)
    features = fitted(2, 60)(rows).double()
    assert_close(features.mean(0), torch.zeros(924), NETWORK, scale=1)
    deviations = features.std(0, correction=0)
    assert deviations.max() < 1 + NETWORK
    assert (deviations > 1 - NETWORK).float().mean() > 0.9  # those of hardly varying features are not blown up


def test_no_feature_jumps_where_a_response_is_rounded():
    kernels = fitted(length=60)
    flat = torch.zeros(1, 1, 60)
    for change in (1e-6, 1e-5):
        moved = flat + change * series(1, 1, 60)
        assert_within(kernels(moved), kernels(flat), change * 1e6)
    wave = series(8, 1, 60)
    assert_within(kernels.double()(wave.double()), fitted(length=60)(wave), 1e-3)


def test_an_offset_changes_only_features_that_read_zeros_beyond_the_ends():
    kernels, batch = fitted(length=50, double=True), series(4, 1, 50, dtype=torch.float64)
    plain, raised = (kernels.shares(rows).view(4, 11, 84) for rows in (batch, batch + 5))
    assert_close(raised[:, ::2], plain[:, ::2], DOUBLE, scale=1e3)
    assert error(raised[:, 1::2], plain[:, 1::2]) > 0.01


def test_reversal_in_time_reverses_the_kernels():
    kernels = fitted(length=50, double=True, n_dilations=3)
    batch = series(4, 1, 50, dtype=torch.float64)
    mirrored = [next(j for j, other in enumerate(KERNELS) if (other == weights[::-1]).all()) for weights in KERNELS]
    kernels.slope[:], kernels.offset[:] = 2.0, 0.5
    forward, backward = (kernels.shares(rows).view(4, 3, 84) for rows in (batch, batch.flip(2)))
    assert_close(backward, forward[:, :, mirrored], DOUBLE, scale=10)
    assert error(backward, forward) > 0.01


def test_where_a_pulse_stands_does_not_matter_far_from_the_ends():
    kernels = fitted(length=400, n_dilations=3, n_places=400)
    kernels.dilations = [1, 2, 4]
    at_100, at_261 = torch.zeros(2, 1, 1, 400)
    at_100[0, 0, 100] = at_261[0, 0, 261] = 5.0
    assert_close(kernels(at_100), kernels(at_261), NETWORK)
    assert error(kernels(at_100), kernels(torch.zeros(1, 1, 400))) > 1e-3


# Channels


@pytest.mark.parametrize("n_channels", [1, 2, 3, 5, 9, 20, 200])
def test_subsets_of_channels(n_channels):
    torch.manual_seed(1)
    subsets = ConvolutionKernels(n_channels, 30).subsets
    sizes = subsets.sum(2)
    assert 1 <= sizes.min() <= sizes.max() <= min(n_channels, 9)
    if n_channels > 1:
        assert sizes.min() < sizes.max()
        often = subsets.sum((0, 1))
        assert often.min() >= 1  # each channel is read
        assert often.max() - often.min() <= 3 + 0.2 * often.max()  # about equally often


def test_the_order_of_channels_does_not_matter_beside_that_of_the_subsets():
    kernels, batch = fitted(4, 30), series(5, 4, 30)
    expected = kernels(batch)
    order = torch.tensor([2, 0, 3, 1])
    kernels.subsets = kernels.subsets[:, :, order]
    assert_close(kernels(batch[:, order]), expected, NETWORK)
    assert error(kernels(batch), expected) > 0.01


# Unequal lengths


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_a_mask_hides_what_is_behind_the_end(is_training, n_channels):
    encoder = trained(n_channels, 40)
    masked = RocketEncoder(**{**encoder.get_config(), "masked": True})
    masked.load_state_dict(encoder.state_dict())
    encoder.train(is_training)
    masked.train(is_training)
    assert masked.get_config() == {**encoder.get_config(), "masked": True}
    for length in (1, 5, 40):
        batch = series(6, n_channels, length)
        inside = torch.cat([batch, torch.ones(6, 1, length)], 1)
        expected = encoder(batch)
        assert_close(masked(inside), expected, NETWORK)
        longer = torch.cat([inside, torch.zeros(6, n_channels + 1, 23)], 2)
        assert_close(masked(longer), expected, NETWORK)


def test_biases_come_from_what_is_inside():
    rows = series(30, 1, 40, seed=5)
    padded = torch.cat([torch.cat([rows, torch.ones(30, 1, 40)], 1), torch.zeros(30, 2, 200)], 2)
    masked, plain = (ConvolutionKernels(1, 40, masked=has_mask) for has_mask in (True, False))
    masked.fit(padded)
    plain.fit(rows)
    for name, value in plain.state_dict().items():
        assert_close(masked.state_dict()[name], value, NETWORK)


# Odd series


@pytest.mark.parametrize("length", range(2, 10))
def test_short_series(length):
    encoder = trained(2, length)
    batch = series(6, 2, length)
    assert encoder(batch).shape == (6, 5)
    assert encoder(batch).isfinite().all()
    assert error(encoder(batch)[:3], encoder(batch)[3:]) > 1e-3


@pytest.mark.parametrize(
    "rows", [torch.zeros(8, 2, 30), torch.full((8, 2, 30), 3.3), series(1, 2, 30).expand(8, 2, 30)]
)
def test_rows_that_do_not_vary(rows):
    kernels = ConvolutionKernels(2, 30).fit(rows).eval()
    assert kernels(rows).isfinite().all()
    assert_within(kernels(rows), 0, 1e-2)
    assert kernels(series(4, 2, 30)).isfinite().all()


@pytest.mark.parametrize("n_rows", [1, 2, 65, 1100])
def test_any_number_of_rows_to_fit_to(n_rows):
    kernels = ConvolutionKernels(1, 12, n_dilations=2).fit(series(n_rows, 1, 12))
    assert all(value.isfinite().all() for value in kernels.state_dict().values())


# As a module


def test_a_row_is_encoded_alone_as_among_others():
    encoder, batch = trained(3, 40), series(9, 3, 40)
    together = encoder(batch)
    assert_close(torch.cat([encoder(row[None]) for row in batch]), together, NETWORK)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    assert_close(encoder(batch[order]), together[order], NETWORK)


def test_gradients_reach_the_perceptron_and_the_series():
    torch.manual_seed(0)
    encoder = RocketEncoder(2, 30, 3, hidden_layer_sizes=(8,), n_dilations=2).fit(series(20, 2, 30)).double()
    encoder(series(16, 2, 30, dtype=torch.float64)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    encoder.eval()
    encoder.kernels.slope[:], encoder.kernels.offset[:] = 0.01, 0.5  # no end of a ramp is near
    assert_gradient(encoder, series(1, 2, 30, dtype=torch.float64).requires_grad_())


def test_activations_are_those_of_each_layer():
    encoder, batch = trained(1, 40), series(6, 1, 40)
    values, features, first, second, outputs = encoder.activations(batch)
    assert torch.equal(values, encoder.segments(batch))
    assert torch.equal(features, encoder.kernels(batch))
    assert torch.equal(outputs, encoder(batch))
    assert (first.shape, second.shape) == ((6, 16), (6, 12))


def test_half_precision_leaves_the_features_as_they_are():
    kernels, batch = fitted(2, 40), series(6, 2, 40)
    expected = kernels(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(kernels(batch), expected)


def test_copies_the_global_generator_and_the_mode():
    encoder, batch = trained(2, 30), series(6, 2, 30)
    before = torch.get_rng_state()
    expected = encoder(batch)
    assert torch.equal(torch.get_rng_state(), before)
    for copied in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        assert torch.equal(copied(batch), expected)
    assert not encoder.kernels.fit(batch).training
    assert encoder.train().kernels.fit(batch).training


def test_other_sizes_and_options():
    encoder = RocketEncoder(2, 30, 4, hidden_layer_sizes=(7,), dropout=0.2, normalization="layer", n_dilations=3)
    again = RocketEncoder.from_config(encoder.get_config())
    assert repr(again) == repr(encoder)
    assert [layer.shape[1] for layer in encoder.activations(series(3, 2, 30))] == [60, 252, 7, 4]


@pytest.mark.parametrize(("length", "n_segments"), [(2, 2), (32, 32), (33, 17), (100, 25), (1000, 32)])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_segments_are_means_at_the_same_times_in_all_series(length, n_segments, n_channels):
    encoder = RocketEncoder(n_channels, length, 4, n_dilations=1)
    batch = series(5, n_channels, length, dtype=torch.float64)
    step = -(-length // n_segments)
    whole = np.zeros((5, n_channels, n_segments * step))
    whole[:, :, :length] = batch
    expected = whole.reshape(5, n_channels * n_segments, step).mean(2)
    assert_close(encoder.segments(batch), expected, DOUBLE)
    # of series that are longer or shorter than those of fit, those times count that these had
    longer = torch.cat([batch, series(5, n_channels, 3 * step, dtype=torch.float64)], 2)
    assert_close(encoder.segments(longer)[:, : n_segments - 1], expected[:, : n_segments - 1], DOUBLE)
    assert encoder.segments(batch[:, :, :1]).shape == expected.shape


def test_of_very_many_channels_there_are_no_segments():
    assert RocketEncoder(600, 10, 4, n_dilations=1).segments(series(5, 600, 10)).shape == (5, 0)


def test_a_compiled_graph_does_the_same():
    encoder, batch = trained(2, 40), series(6, 2, 40)
    traced = torch.export.export(encoder, (batch,), dynamic_shapes={"batch": {0: torch.export.Dim("n")}}).module()
    assert_close(traced(batch), encoder(batch), SINGLE)
    assert_close(traced(batch[:3]), encoder(batch[:3]), NETWORK)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 1}, "length=1 is no series; give 2 samples or more"),
        ({"n_channels": 0}, "n_channels=0 must be at least 1"),
        ({"n_dilations": 0}, "n_dilations=0 must be at least 1"),
        ({"n_places": 0}, "n_places=0 must be at least 1"),
        ({"n_training_places": -1}, "n_training_places=-1 must be at least 1"),
    ],
)
def test_sizes_that_are_too_small_are_refused(arguments, message):
    for cls, more in ((ConvolutionKernels, {}), (RocketEncoder, {"n_outputs": 3})):
        with pytest.raises(ValueError, match=message):
            cls(**{"n_channels": 2, "length": 10, **more, **arguments})
