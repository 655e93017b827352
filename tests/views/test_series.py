import numpy as np
import pytest
import torch

from skgca.views import TimeCrop, TimeJitter

from ..numerics import DOUBLE, SINGLE, assert_close, assert_within


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape):
    return torch.randn(*shape, generator=generator(3), dtype=torch.float64)


def clock(n, length):
    """Series whose value is the time, so that a view tells where it has looked."""
    return torch.arange(length, dtype=torch.float64).expand(n, 2, length)


@pytest.mark.parametrize("view", [TimeJitter(0.0), TimeCrop(1.0)])
@pytest.mark.parametrize("length", [1, 2, 7, 100])
def test_no_displacement_is_no_change(view, length):
    batch = noise(5, 3, length)
    batch[0, 0, length // 2] = torch.nan
    assert np.array_equal(view(batch, generator()), batch, equal_nan=True)


@pytest.mark.parametrize("view", [TimeJitter(0.4), TimeCrop(0.3)])
def test_values_are_numpys_interpolation_at_the_times_that_the_clock_tells(view):
    batch = noise(20, 3, 31)
    times = view(clock(20, 31), generator())[:, 0]
    rows = zip(times, batch, strict=True)
    expected = [[np.interp(at, np.arange(31), channel) for channel in channels] for at, channels in rows]
    assert_close(view(batch, generator()), expected, DOUBLE)


@pytest.mark.parametrize("view", [TimeJitter(0.4), TimeCrop(0.3)])
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


def test_a_missing_value_spreads_to_its_neighbors_at_most():
    batch = torch.zeros(50, 1, 20)
    batch[:, :, 10] = torch.nan
    missing = TimeJitter(0.2)(batch, generator()).isnan().sum(-1)
    assert missing.min() >= 1
    assert missing.max() == 2


@pytest.mark.parametrize("view", [TimeJitter(), TimeCrop()])
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


def test_reprs():
    assert repr(TimeJitter(0.2)) == "TimeJitter(max_shift=0.2)"
    assert repr(TimeCrop(0.5)) == "TimeCrop(low=0.5)"
