import itertools

import numpy as np
import pytest
import torch

from skgca.views import MagnitudeScaling, TimeCrop, TimeJitter, TimeWarp

from ..numerics import DOUBLE, SINGLE, assert_close, assert_within


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape):
    return torch.randn(*shape, generator=generator(3), dtype=torch.float64)


def clock(n, length):
    """Series whose value is the time, so that a view tells where it has looked."""
    return torch.arange(length, dtype=torch.float64).expand(n, 2, length)


@pytest.mark.parametrize("view", [TimeJitter(0.0), TimeCrop(1.0), MagnitudeScaling(0.0)])
@pytest.mark.parametrize("length", [1, 2, 7, 100])
def test_no_displacement_is_no_change(view, length):
    batch = noise(5, 3, length)
    batch[0, 0, length // 2] = torch.nan
    assert np.array_equal(view(batch, generator()), batch, equal_nan=True)


@pytest.mark.parametrize("view", [TimeJitter(0.4), TimeCrop(0.3), TimeWarp(0.3, 0.2, strength=0.5)])
def test_values_are_numpys_interpolation_at_the_times_that_the_clock_tells(view):
    batch = noise(20, 3, 31)
    times = view(clock(20, 31), generator())[:, 0]
    rows = zip(times, batch, strict=True)
    expected = [[np.interp(at, np.arange(31), channel) for channel in channels] for at, channels in rows]
    assert_close(view(batch, generator()), expected, DOUBLE)


@pytest.mark.parametrize("view", [TimeJitter(0.4), TimeCrop(0.3), TimeWarp(0.3, 0.2, strength=0.5)])
def test_channels_move_together_and_rows_apart(view):
    made = view(clock(20, 31), generator())
    assert torch.equal(made[:, 0], made[:, 1])
    assert len({tuple(row) for row in made[:, 0].tolist()}) == 20


@pytest.mark.parametrize("max_shift", [0.1, 0.5])
def test_shifts_are_uniform_up_to_the_share_of_the_length(max_shift):
    n, length = 5000, 40
    times = TimeJitter(max_shift)(clock(n, length), generator())[:, 0]
    middle = times[:, length // 2] - length // 2
    expected = torch.linspace(-max_shift * length, max_shift * length, n, dtype=torch.float64)
    # Kolmogorov-Smirnov, far beyond 0.1 %; clamped at the edges, which half a length brings within reach of the middle
    assert_within(middle.sort().values, expected.clamp(max=length - 1 - length // 2), 0.04 * max_shift * length)
    steps = times.diff(dim=1)
    inside = (times[:, 1:] < length - 1) & (times[:, :-1] > 0)
    assert_close(steps[inside], torch.ones_like(steps[inside]), SINGLE, scale=times)
    assert 0 <= times.min() < times.max() <= length - 1


@pytest.mark.parametrize("low", [0.2, 0.6])
def test_windows_are_uniform_in_size_and_in_place(low):
    n, length = 5000, 41
    times = TimeCrop(low)(clock(n, length), generator())[:, 0]
    share = (times[:, -1] - times[:, 0]) / (length - 1)
    # Kolmogorov-Smirnov, beyond 0.1 %
    assert_within(share.sort().values, torch.linspace(low, 1, n), 0.03)
    place = times[:, 0] / ((1 - share) * (length - 1))
    assert_within(place.sort().values, torch.linspace(0, 1, n), 0.03)
    assert_within(torch.corrcoef(torch.stack([share, place]))[0, 1], 0.0, 0.05)  # drawn apart; its deviation is 0.014
    steps = times.diff(dim=1)
    assert_close(steps, steps[:, :1].expand_as(steps), SINGLE, scale=times)
    assert 0 <= times.min() < times.max() <= length - 1


@pytest.mark.parametrize("length", [1, 2, 7, 100])
def test_a_warp_without_crop_shift_and_change_of_speed_changes_nothing_but_rounding(length):
    batch = noise(5, 3, length)
    assert_close(TimeWarp(1.0, 0.0, strength=0.0)(batch, generator()), batch, 1e2 * SINGLE)


@pytest.mark.parametrize("n_pieces", [1, 2, 5])
def test_time_runs_forward_at_one_speed_in_each_piece(n_pieces):
    n, length = 2000, 101
    times = TimeWarp(1.0, 0.0, strength=0.3, n_pieces=n_pieces)(clock(n, length), generator())[:, 0]
    assert_close(times[:, 0], torch.zeros(n), SINGLE, scale=length)
    assert_close(times[:, -1], torch.full((n,), length - 1.0), SINGLE)
    knots = torch.linspace(0, length - 1, n_pieces + 1).round().long()
    for first, last in itertools.pairwise(knots):
        steps = times[:, first : last + 1].diff(dim=1)
        assert (steps > 0).all()
        assert_within(steps[:, 1:-1], steps[:, 1:2].expand_as(steps[:, 1:-1]), 1e-4)
    if n_pieces > 1:
        speeds = times[:, knots].diff(dim=1)
        # the logarithm of the ratio of two speeds has the variance of both
        ratios = (speeds[:, 0] / speeds[:, 1]).log()
        assert_within(ratios.std(), 0.3 * 2**0.5, 0.05)
        assert_within(ratios.mean(), 0.0, 0.05)


def test_windows_of_a_warp_are_cropped_and_shifted():
    n, length = 5000, 101
    plain, shifted = (
        TimeWarp(0.5, shift, strength=0.0)(clock(n, length), generator())[:, 0] / (length - 1) for shift in (0.0, 0.2)
    )
    share = plain[:, -1] - plain[:, 0]
    assert_within(share.sort().values, torch.linspace(0.5, 1, n), 0.03)
    assert_within((plain[:, 0] / (1 - share)).sort().values, torch.linspace(0, 1, n), 0.03)
    inside = (shifted > 0).all(1) & (shifted < 1).all(1)
    shifts = (shifted - plain)[inside]
    assert_within(shifts, shifts[:, :1].expand_as(shifts), 1e-4)
    assert -0.2 <= shifts.min() < -0.1
    assert 0.1 < shifts.max() <= 0.2


def test_views_of_padded_series_keep_their_length():
    batch = noise(50, 2, 30)
    own = torch.arange(50) % 30 + 1
    batch = batch.masked_fill((torch.arange(30) >= own[:, None])[:, None], torch.nan)
    for view in (TimeWarp(0.5, 0.2, strength=0.5), MagnitudeScaling(0.5)):
        assert torch.equal(view(batch, generator()).isnan(), batch.isnan())


def test_magnitudes_are_scaled_by_a_normal_logarithm():
    made = MagnitudeScaling(0.5)(torch.full((3000, 2, 4), 3.0, dtype=torch.float64), generator())
    factors = (made / 3).log()
    assert torch.equal(made, made[:, :, :1].expand_as(made))
    assert_within(factors[:, :, 0].mean(0), 0.0, 0.04)
    assert_within(factors[:, :, 0].std(0), 0.5, 0.04)
    assert_within(torch.corrcoef(factors[:, :, 0].T)[0, 1], 0.0, 0.08)


def test_a_missing_value_spreads_to_its_neighbors_at_most():
    batch = torch.zeros(50, 1, 20)
    batch[:, :, 10] = torch.nan
    missing = TimeJitter(0.2)(batch, generator()).isnan().sum(-1)
    assert missing.min() >= 1
    assert missing.max() == 2


@pytest.mark.parametrize("view", [TimeJitter(), TimeCrop(), TimeWarp(), MagnitudeScaling()])
@pytest.mark.parametrize("batch", [torch.ones(4, 3), torch.ones(4, 1, 3, 3), torch.ones(4, 1, 3, dtype=torch.long)])
def test_what_is_no_series_is_refused(view, batch):
    name = type(view).__name__
    with pytest.raises(ValueError, match=rf"{name} takes floating-point batches \(n, channels, length\), not .*shape"):
        view(batch, generator())


@pytest.mark.parametrize("max_shift", [-0.1, 1.1, float("nan")])
def test_a_shift_out_of_range_is_refused(max_shift):
    with pytest.raises(ValueError, match=r"max_shift=.* must lie in \[0, 1\], such as 0.1"):
        TimeJitter(max_shift)


@pytest.mark.parametrize("low", [0.0, 1.1, float("nan")])
def test_a_window_out_of_range_is_refused(low):
    with pytest.raises(ValueError, match=r"low=.* must lie in \(0, 1\], such as 0.6"):
        TimeCrop(low)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 0.0}, r"low=0.0 must lie in \(0, 1\], such as 0.9"),
        ({"max_shift": 1.5}, r"max_shift=1.5 must lie in \[0, 1\], such as 0.05"),
        ({"strength": -0.1}, "strength=-0.1 must be finite and at least 0, such as 0.2"),
        ({"n_pieces": 0}, "n_pieces=0 must be at least 1, such as 4"),
    ],
)
def test_a_warp_out_of_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TimeWarp(**arguments)


@pytest.mark.parametrize("std", [-0.1, float("inf"), float("nan")])
def test_a_scaling_out_of_range_is_refused(std):
    with pytest.raises(ValueError, match=r"std=.* must be finite and at least 0, such as 0.1"):
        MagnitudeScaling(std)


def test_reprs():
    assert repr(TimeWarp(0.8)) == "TimeWarp(low=0.8, max_shift=0.05, strength=0.2, n_pieces=4)"
    assert repr(MagnitudeScaling(0.2)) == "MagnitudeScaling(std=0.2)"
    assert repr(TimeJitter(0.2)) == "TimeJitter(max_shift=0.2)"
    assert repr(TimeCrop(0.5)) == "TimeCrop(low=0.5)"
