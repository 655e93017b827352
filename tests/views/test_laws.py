"""Laws that every view keeps, whatever it does."""

import copy
import pickle

import pytest
import torch

from skgca.views import (
    ColumnCorruption,
    Compose,
    FeatureDropout,
    GaussianNoise,
    Identity,
    MagnitudeScaling,
    MultiView,
    NeighborMixup,
    TimeCrop,
    TimeJitter,
    TimeWarp,
)

TABLE, SERIES = (12, 5), (12, 3, 20)


def reference(shape):
    return torch.randn(30, *shape[1:], generator=torch.Generator().manual_seed(7))


# name: (view, shape of its batch, whether a row's view depends on the other rows)
VIEWS = {
    "corruption": (ColumnCorruption(0.5), TABLE, True),
    "corruption by column": (ColumnCorruption([0.5, 0.9, 0.2, 0.5, 0.5]), TABLE, True),
    "corruption of groups": (ColumnCorruption([0.5, 0.9, 0.2]).for_groups([0, 1, 2, 1, 1]), TABLE, True),
    "noise": (GaussianNoise(0.5), TABLE, False),
    "noise on some columns": (GaussianNoise(0.5, numeric=[0, 3]), TABLE, False),
    "noise on series": (GaussianNoise(0.5), SERIES, False),
    "dropout": (FeatureDropout(0.5), TABLE, False),
    "dropout of groups": (FeatureDropout(0.5).for_groups([0, 1, 2, 1, 1]), TABLE, False),
    "dropout on series": (FeatureDropout(0.5, numeric=[True, False, True]), SERIES, False),
    "mixup": (NeighborMixup(), TABLE, True),
    "mixup of series": (NeighborMixup(), SERIES, True),
    "mixup with a reference": (NeighborMixup().fit(reference(TABLE)), TABLE, False),
    "shift": (TimeJitter(0.3), SERIES, False),
    "crop": (TimeCrop(0.3), SERIES, False),
    "warp": (TimeWarp(0.8, 0.1, strength=0.3, n_pieces=3), SERIES, False),
    "scaling": (MagnitudeScaling(0.3), SERIES, False),
    "composed": (Compose(TimeJitter(0.3), GaussianNoise(0.5), Identity()), SERIES, False),
}
each_view = pytest.mark.parametrize(("view", "shape", "reads_others"), VIEWS.values(), ids=VIEWS)


def batch_of(shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(3)).to(dtype)


def generator(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


@each_view
def test_randomness_comes_from_the_generator_alone(view, shape, reads_others):
    batch = batch_of(shape)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = view(batch, generator(1))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(1)
    assert torch.equal(first, view(batch, generator(1)))
    assert not torch.equal(first, view(batch, generator(2)))


@each_view
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_shape_and_dtype_stay_and_the_batch_is_not_written_to(view, shape, reads_others, dtype):
    batch = batch_of(shape, dtype)
    kept = batch.clone()
    made = view(batch, generator())
    assert made.shape == batch.shape
    assert made.dtype == dtype
    assert torch.equal(batch, kept)
    assert not torch.equal(made, batch)
    assert made.isfinite().all()


@each_view
def test_a_row_comes_from_its_own_row(view, shape, reads_others):
    batch, others = batch_of(shape), batch_of(shape)
    others[1:] = torch.randn(others[1:].shape, generator=generator(9))
    first, second = (view(rows, generator())[0] for rows in (batch, others))
    assert torch.equal(first, second) != reads_others
    assert getattr(view, "independent_rows", False) != reads_others


@each_view
def test_views_drawn_in_one_call_are_views_of_the_rows_in_their_order(view, shape, reads_others):
    batch = batch_of(shape)
    made = MultiView(view, view, view)(batch, generator())
    assert [each.shape for each in made] == [batch.shape] * 3
    if reads_others:
        expected = MultiView(view, Compose(view), view)(batch, generator())  # not the same object: one by one
    else:
        expected = view(batch.repeat(3, *[1] * (batch.ndim - 1)), generator()).split(len(batch))
    for one, other in zip(made, expected, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(made[0], made[1])


@each_view
def test_a_copy_and_a_pickle_do_the_same(view, shape, reads_others):
    batch = batch_of(shape)
    made = view(batch, generator())
    for copied in (copy.deepcopy(view), pickle.loads(pickle.dumps(view))):
        assert repr(copied) == repr(view)
        assert torch.equal(copied(batch, generator()), made)


@each_view
@pytest.mark.parametrize("n", [0, 1])
def test_no_row_and_a_single_row(view, shape, reads_others, n):
    batch = batch_of(shape)[:n]
    assert view(batch, generator()).shape == batch.shape


@each_view
@pytest.mark.cuda
def test_on_cuda(view, shape, reads_others, cuda):
    batch = batch_of(shape).to(cuda)
    made = view(batch, generator(device=cuda))
    assert made.device == batch.device
    assert torch.equal(made, view(batch, generator(device=cuda)))
    assert not torch.equal(made, batch)
