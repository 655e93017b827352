import pytest
import torch

from skgca.views import ColumnCorruption, MultiView

from ..numerics import assert_within


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_corrupted_cell_takes_the_value_of_another_row_in_its_column():
    n, d = 50, 20
    batch = torch.arange(float(n * d)).reshape(n, d)  # every value is unique and tells its row and column
    view = ColumnCorruption(rate=0.5)(batch, generator())
    changed = view != batch
    assert torch.equal(view.remainder(d), batch.remainder(d))  # same column
    assert torch.equal(changed, (view // d) != (batch // d))  # another row wherever it changed
    assert_within(changed.float().mean(), 0.5, 0.1)  # a share of 1000 draws has a deviation of 0.016


def test_every_other_row_gives_as_often_as_any():
    batch = torch.arange(4.0)[:, None].repeat(1, 30_000)
    view = ColumnCorruption(rate=1.0)(batch, generator())
    for row in range(4):
        shares = torch.stack([(view[row] == donor).float().mean() for donor in range(4)])
        expected = torch.full((4,), 1 / 3)
        expected[row] = 0.0
        assert_within(shares, expected, 0.02)  # shares of 30 000 draws have a deviation of 0.003


@pytest.mark.parametrize(("rate", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_the_ends_of_the_rate(rate, share):
    batch = torch.arange(40.0).reshape(8, 5)
    assert (ColumnCorruption(rate)(batch, generator()) != batch).float().mean() == share


def test_a_single_row_has_no_other():
    batch = torch.ones(1, 3)
    assert torch.equal(ColumnCorruption(1.0)(batch, generator()), batch)


def test_randomness_comes_from_the_generator_alone():
    batch = torch.arange(40.0).reshape(8, 5)
    before = torch.get_rng_state()
    first = ColumnCorruption(0.5)(batch, generator(1))
    assert torch.equal(first, ColumnCorruption(0.5)(batch, generator(1)))
    assert not torch.equal(first, ColumnCorruption(0.5)(batch, generator(2)))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(batch, torch.arange(40.0).reshape(8, 5))


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
def test_a_rate_outside_its_range_is_refused(rate):
    with pytest.raises(ValueError, match=r"rate=.* must lie in \[0, 1\], such as 0.2"):
        ColumnCorruption(rate)


def test_each_view_draws_its_own_random_numbers():
    batch = torch.arange(40.0).reshape(8, 5)
    first, second, third = MultiView(*[ColumnCorruption(0.5)] * 3)(batch, generator())
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)


def test_one_view_has_nothing_to_be_compared_with():
    with pytest.raises(ValueError, match="1 view has nothing to be compared with; give 2 or more"):
        MultiView(ColumnCorruption(0.5))


def test_the_second_view_may_be_another():
    batch = torch.arange(40.0).reshape(8, 5)
    first, second = MultiView(ColumnCorruption(0.5), lambda b, _: b)(batch, generator())
    assert not torch.equal(first, batch)
    assert torch.equal(second, batch)


def test_a_view_that_loses_rows_is_named():
    def half(batch, generator):
        return batch[::2]

    with pytest.raises(ValueError, match=r"half.* made 4 rows of 8; it must keep each row"):
        MultiView(half, half)(torch.ones(8, 2), generator())
