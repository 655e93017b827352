import math

import numpy as np
import pytest
import torch

from skgca.views import ColumnCorruption, Compose, FeatureDropout, GaussianNoise, Identity, NeighborMixup

from ..numerics import SINGLE, assert_close, assert_within

NAN = math.nan


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rows(*shape, seed=3):
    return torch.randn(*shape, generator=generator(seed))


@pytest.mark.parametrize("scale", [0.1, 2.0])
def test_noise_is_normal_of_the_scale(scale):
    noise = (GaussianNoise(scale)(torch.full((2000, 50), 3.0), generator()) - 3) / scale
    # 100 000 draws: deviations of 0.003 and less
    assert_within(noise.mean(), 0.0, 0.01)
    assert_within(noise.std(), 1.0, 0.01)
    assert_within((noise.abs() <= 1).float().mean(), 0.6827, 0.01)


def test_noise_of_scale_zero_is_no_noise():
    batch = rows(6, 4)
    assert torch.equal(GaussianNoise(0.0)(batch, generator()), batch)


def test_noise_leaves_missing_cells_missing():
    batch = rows(6, 4)
    batch[2, 1] = NAN
    assert torch.equal(GaussianNoise()(batch, generator()).isnan(), batch.isnan())


@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_dropped_cells_are_zero_and_the_others_untouched(rate):
    batch = rows(500, 40)
    view = FeatureDropout(rate)(batch, generator())
    dropped = view == 0
    assert torch.equal(view[~dropped], batch[~dropped])
    assert_within(dropped.float().mean(), rate, 0.02)
    # cell by cell, not whole rows or columns: shares of 500 and of 40 draws, with deviations of up to 0.02 and 0.08
    assert_within(dropped.float().mean(0), rate, 0.12)
    assert_within(dropped.float().mean(1), rate, 0.35)


def test_a_missing_cell_may_be_dropped():
    batch = torch.full((1, 1000), NAN)
    view = FeatureDropout(0.5)(batch, generator())
    assert_within(view.isnan().float().mean(), 0.5, 0.1)
    assert (view[~view.isnan()] == 0).all()


@pytest.mark.parametrize("view", [GaussianNoise, FeatureDropout, NeighborMixup])
@pytest.mark.parametrize("shape", [(20, 4), (20, 4, 6)])
@pytest.mark.parametrize(
    "numeric",
    [[1, 3], [3, 1], (False, True, False, True), torch.tensor([1, 3]), np.array([False, True, False, True])],
    ids=repr,
)
def test_only_numeric_columns_change(view, shape, numeric):
    batch = rows(*shape)
    batch[:, [0, 2]] = batch[:, [0, 2]].round().abs()
    changed = view(numeric=numeric)(batch, generator()) != batch
    assert changed.transpose(0, 1).flatten(1).any(1).tolist() == [False, True, False, True]


@pytest.mark.parametrize("view", [GaussianNoise, FeatureDropout, NeighborMixup])
@pytest.mark.parametrize("numeric", [[], [False] * 4])
def test_no_numeric_column_is_no_change(view, numeric):
    batch = rows(20, 4)
    assert torch.equal(view(numeric=numeric)(batch, generator()), batch)


@pytest.mark.parametrize("view", [GaussianNoise, FeatureDropout, NeighborMixup])
def test_numeric_that_does_not_fit_is_refused(view):
    with pytest.raises(ValueError, match="numeric is a mask of 2 columns, but the batch has 4; give 4 booleans"):
        view(numeric=[True, False])(rows(5, 4), generator())
    with pytest.raises(ValueError, match=r"numeric=\[4\] must hold numbers of columns, 0 to 3"):
        view(numeric=[4])(rows(5, 4), generator())
    with pytest.raises(ValueError, match=r"numeric=\[0.5\] must be a vector"):
        view(numeric=[0.5])
    with pytest.raises(ValueError, match="must be a vector"):
        view(numeric=torch.ones(2, 2, dtype=torch.bool))


@pytest.mark.parametrize("view", [GaussianNoise, NeighborMixup])
def test_whole_numbers_hold_no_fractions(view):
    with pytest.raises(ValueError, match=rf"{view.__name__} got a batch of torch.int64, .* use float32"):
        view()(torch.ones(4, 2, dtype=torch.long), generator())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianNoise(-1.0), "scale=-1.0 must be finite and at least 0, such as 0.1"),
        (lambda: GaussianNoise(math.inf), "scale=inf"),
        (lambda: GaussianNoise(NAN), "scale=nan"),
        (lambda: FeatureDropout(1.5), r"rate=1.5 must lie in \[0, 1\], such as 0.2"),
        (lambda: NeighborMixup(0), "n_neighbors=0 must be a whole number of at least 1, such as 5"),
        (lambda: NeighborMixup(2.5), "n_neighbors=2.5"),
        (lambda: NeighborMixup(share=1.1), r"share=1.1 must lie in \[0, 1\], such as 0.5"),
        (lambda: NeighborMixup().fit(torch.ones(0, 3)), r"X of shape \(0, 3\) has no rows"),
        (lambda: NeighborMixup(numeric=[5]).fit(torch.ones(2, 3)), "0 to 2"),
        (lambda: NeighborMixup().fit(torch.ones(2, 3))(torch.ones(4, 2), generator()), r"shape \(2,\), .* \(3,\)"),
    ],
)
def test_what_cannot_work_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_reprs():
    assert repr(GaussianNoise(0.2)) == "GaussianNoise(scale=0.2)"
    assert repr(FeatureDropout(0.3, numeric=torch.tensor([2, 0]))) == "FeatureDropout(rate=0.3, numeric=[2, 0])"
    view = NeighborMixup(3, numeric=[True, False]).fit(torch.ones(4, 2))
    assert repr(view) == "NeighborMixup(n_neighbors=3, share=0.5, numeric=[True, False])"


def oracle_neighbors(batch, reference, k):
    """Sets of the k nearest, in float64, NaN as 0, less the first at distance zero."""
    batch, reference = (np.nan_to_num(t.double().flatten(1).numpy()) for t in (batch, reference))
    distance = np.linalg.norm(batch[:, None] - reference[None], axis=2)
    for row in distance:
        zero = np.flatnonzero(row == 0)
        if len(zero):
            row[zero[0]] = np.inf
    order = np.argsort(distance, axis=1, kind="stable")
    return [[j for j in row[:k] if distance[i, j] < np.inf] for i, row in enumerate(order)]


def which_neighbors(view, batch, reference, draws=200):
    """The neighbours that rows were moved to, each on the way to it by no more than the share."""
    moved = torch.stack([view(batch, generator(seed)) for seed in range(draws)]).flatten(2).double()
    batch, reference = batch.flatten(1).double(), reference.flatten(1).double()
    step = (moved - batch)[:, :, None]  # (draws, n, 1, d)
    way = reference - batch[:, None]  # (n, m, d)
    length = way.norm(dim=2)
    lam = (step * way).sum(3) / length.square().clamp(min=1e-30)  # (draws, n, m)
    off = (step - lam[..., None] * way).norm(dim=3).masked_fill(length == 0, torch.inf)
    nearest = off.argmin(2)  # (draws, n)
    assert_close(off.amin(2), torch.zeros(nearest.shape), SINGLE, scale=batch)
    gone = (lam * length).gather(2, nearest[..., None])
    most = (view.share * length).expand(lam.shape).gather(2, nearest[..., None])
    assert_close(gone, gone.clamp(min=torch.zeros(()), max=most), SINGLE, scale=batch)
    return [set(numbers.tolist()) for numbers in nearest.T]


@pytest.mark.parametrize("shape", [(9, 4), (9, 2, 5)])
@pytest.mark.parametrize("k", [1, 3, 20])
def test_mixup_moves_rows_towards_each_of_their_nearest_in_the_batch(shape, k):
    batch = rows(*shape)
    expected = oracle_neighbors(batch, batch, k)
    assert which_neighbors(NeighborMixup(k), batch, batch) == [set(row) for row in expected]
    assert all(i not in row for i, row in enumerate(expected))


@pytest.mark.parametrize("block", [1, 40, 2**22])
def test_mixup_finds_neighbors_in_a_reference_of_which_some_rows_are_the_batch(block, monkeypatch):
    monkeypatch.setattr("skgca.views._features._BLOCK", block)
    reference = rows(25, 4)
    batch = torch.cat([reference[[3, 20, 7]], rows(3, 4, seed=4)])
    expected = oracle_neighbors(batch, reference, 3)
    assert which_neighbors(NeighborMixup(3).fit(reference), batch, reference) == [set(row) for row in expected]


def test_neighbors_far_from_the_origin_where_products_of_rows_cancel():
    start = torch.arange(50.0) + 5000
    batch = torch.stack([start, start + 0.25], 1).reshape(-1, 1)  # pairs, 0.25 within and 0.75 between
    moved = NeighborMixup(1, share=1.0)(batch, generator())
    assert torch.equal(moved.floor(), batch.floor())
    assert (moved - moved.floor() <= 0.25).all()
    assert (moved != batch).float().mean() > 0.9


def test_lam_is_uniform_up_to_the_share_and_every_neighbor_equally_likely():
    batch = torch.zeros(30_000, 1)
    reference = torch.tensor([[1.0], [-1.0], [0.0], [3.0]])
    moved = NeighborMixup(2, share=0.4).fit(reference)(batch, generator())[:, 0]
    assert_within((moved > 0).float().mean(), 0.5, 0.01)  # a share of 30 000 draws has a deviation of 0.003
    assert_within(moved[moved > 0].mean() + moved[moved < 0].mean(), 0.0, 0.01)  # the step does not tell the neighbour
    lam = moved.abs().sort().values
    assert_within(lam, torch.linspace(0, 0.4, len(lam)), 0.4 * 0.02)  # Kolmogorov-Smirnov, far beyond 0.1 %


def test_a_second_copy_is_a_neighbor_and_gives_the_row_back():
    view = NeighborMixup(2, share=1.0).fit(torch.tensor([[1.0], [1.0], [5.0]]))
    moved = view(torch.ones(4000, 1), generator())
    assert_within((moved == 1).float().mean(), 0.5, 0.03)  # a share of 4000 draws has a deviation of 0.008
    assert moved.max() > 4.9


def test_share_zero_is_no_move():
    batch = rows(8, 3)
    assert torch.equal(NeighborMixup(share=0.0)(batch, generator()), batch)


def test_a_row_without_neighbors_stays():
    batch = rows(1, 3)
    assert torch.equal(NeighborMixup()(batch, generator()), batch)
    assert torch.equal(NeighborMixup().fit(batch.clone())(batch, generator()), batch)
    assert not torch.equal(NeighborMixup().fit(batch + 1)(batch, generator()), batch)


def test_codes_of_categories_do_not_count_in_the_distance():
    batch = torch.tensor([[0.0, 900.0], [0.1, 0.0], [5.0, 900.0], [5.1, 0.0]])
    for seed in range(20):
        moved = NeighborMixup(1, numeric=[0])(batch, generator(seed))
        assert (moved[:2, 0] <= 0.1).all()
        assert (moved[2:, 0] >= 5.0).all()


def test_missing_cells_count_as_zero_and_keep_the_rows_own_cell():
    batch = torch.tensor([[NAN, 1.0], [0.5, 1.2], [40.0, NAN], [41.0, 0.2]])
    moved = NeighborMixup(1)(batch, generator())
    assert moved[0, 0].isnan()  # its own missing cell
    assert 1.0 < moved[0, 1] <= 1.1  # towards row 1, which is nearest to (0, 1)
    assert moved[1, 0] == 0.5  # the neighbour's missing cell leaves its own
    assert 1.1 <= moved[1, 1] < 1.2
    assert moved[2, 1].isnan()
    assert 40.0 < moved[2, 0] <= 40.5
    assert moved[3, 1] == 0.2


def test_a_row_with_missing_cells_is_still_found_to_be_its_own_copy():
    reference = torch.tensor([[NAN, 1.0], [0.5, 2.0], [9.0, 9.0]])
    moved = NeighborMixup(1, share=1.0).fit(reference)(reference[:1].clone(), generator())
    assert moved[0, 0].isnan()
    assert 1.0 < moved[0, 1] < 2.0


def test_equal_rates_by_column_corrupt_as_one_rate():
    batch = torch.arange(400.0).reshape(40, 10)
    just_above_a_draw = torch.rand(1, generator=generator()).item() + 1e-9  # and equal to it in single precision
    for rate in (0.0, 0.2, 0.7, 1.0, just_above_a_draw):
        one, each = ColumnCorruption(rate), ColumnCorruption([rate] * 10)
        assert torch.equal(one(batch, generator()), each(batch, generator()))


def test_each_column_is_corrupted_at_its_rate():
    batch = torch.arange(4000.0)[:, None].repeat(1, 3)
    view = ColumnCorruption(np.array([0.0, 0.3, 1.0]))
    shares = (view(batch, generator()) != batch).float().mean(0)
    assert_within(shares, [0.0, 0.3, 1.0], 0.03)  # of 4000 draws, with a deviation of 0.007
    assert shares[0] == 0
    assert shares[2] == 1
    assert repr(view) == "ColumnCorruption(rate=(0.0, 0.3, 1.0))"


def test_one_rate_corrupts_the_bits_that_it_always_has():
    """Fixed results of the release before rates by column."""
    batch = torch.arange(12.0).reshape(4, 3)
    corrupted = [[3.0, 1.0, 8.0], [0.0, 7.0, 5.0], [3.0, 7.0, 5.0], [9.0, 7.0, 8.0]]
    assert ColumnCorruption(0.5)(batch, generator()).tolist() == corrupted


@pytest.mark.parametrize("rate", [[0.2, 1.5], [NAN], [[0.2]]])
def test_rates_by_column_out_of_range_are_refused(rate):
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], such as 0.2"):
        ColumnCorruption(rate)


def test_rates_for_other_columns_are_refused():
    with pytest.raises(ValueError, match="rate holds 2 values for 3 columns; give one per column"):
        ColumnCorruption([0.1, 0.2])(rows(4, 3), generator())


def test_missing_cells_are_swapped_like_any_others():
    batch = torch.tensor([[NAN], [1.0]])
    view = ColumnCorruption(1.0)(batch, generator())
    assert view[0] == 1.0
    assert view[1].isnan()


# Groups of columns

GROUPS = [0, 1, 2, 1, 1]


@pytest.mark.parametrize(
    "view", [ColumnCorruption(0.5), ColumnCorruption([0.2, 0.9, 0.5]), FeatureDropout(0.5)], ids=repr
)
def test_columns_of_a_group_change_together(view):
    grouped = Compose(Identity(), view).for_groups(GROUPS)
    batch = torch.arange(1.0, 201)[:, None] * torch.tensor([1.0, 1, 1, 10, 100])
    seen = grouped(batch, generator())
    of_row = seen / torch.tensor([1.0, 1, 1, 10, 100])  # number of the row that each value is of; 0 if dropped
    assert torch.equal(of_row[:, [1, 1]], of_row[:, [3, 4]])
    changed = seen != batch
    assert 0 < changed[:, 1].sum() < 200
    assert not torch.equal(changed[:, 0], changed[:, 1])
    # the columns that come first see the random numbers that they would see without groups
    assert torch.equal(seen[:, :3], view(batch[:, :3], generator()))
    assert view.get_config() == grouped.views[1].get_config()
    assert view(batch[:, :3], generator()).shape == (200, 3)  # the view itself is unchanged


@pytest.mark.parametrize("numeric", [[0, 1], [True, True, False]])
def test_numeric_names_groups(numeric):
    batch = rows(50, 5)
    for view in (
        GaussianNoise(1.0, numeric=numeric),
        FeatureDropout(1.0, numeric=numeric),
        NeighborMixup(numeric=numeric),
    ):
        changed = (view.for_groups(GROUPS)(batch, generator()) != batch).any(dim=0)
        assert changed.tolist() == [True, True, False, True, True]
    with pytest.raises(ValueError, match="0 to 2"):
        GaussianNoise(numeric=[3]).for_groups(GROUPS)(batch, generator())
    with pytest.raises(ValueError, match="rate holds 5 values for 3 columns"):
        ColumnCorruption([0.1] * 5).for_groups(GROUPS)(batch, generator())
