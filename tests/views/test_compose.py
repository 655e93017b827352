import pytest
import torch

from skgca.views import Compose, FeatureDropout, GaussianNoise, Identity, MultiView, NeighborMixup


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def add_one(batch, generator):
    return batch + 1


def double(batch, generator):
    return batch * 2


def test_views_follow_each_other_in_their_order():
    assert Compose(add_one, double)(torch.ones(1, 1), generator()) == 4
    assert Compose(double, add_one)(torch.ones(1, 1), generator()) == 3
    assert Compose(add_one, Compose(double, double), add_one)(torch.ones(1, 1), generator()) == 9


def test_all_draw_from_the_one_generator():
    noise, dropout, batch = GaussianNoise(0.5), FeatureDropout(0.5), torch.ones(20, 4)
    one = generator()
    assert torch.equal(Compose(noise, dropout)(batch, generator()), dropout(noise(batch, one), one))


@pytest.mark.parametrize("view", [Identity(), Compose(), Compose(Identity(), Identity())])
def test_no_change_draws_nothing(view):
    batch, drawn_from = torch.ones(3, 2), generator()
    before = drawn_from.get_state()
    assert view(batch, drawn_from) is batch
    assert torch.equal(drawn_from.get_state(), before)


def test_reprs_nest():
    view = Compose(GaussianNoise(0.2), Compose(Identity(), FeatureDropout(numeric=[0])), Identity())
    text = "Compose(GaussianNoise(scale=0.2), Compose(Identity(), FeatureDropout(rate=0.2, numeric=[0])), Identity())"
    assert repr(view) == text


@pytest.mark.parametrize("wrong", ["noise", [Identity()]])
def test_what_is_no_view_is_refused(wrong):
    with pytest.raises(TypeError, match=r"is not callable; give views one by one, as in Compose\(Identity\(\)\)"):
        Compose(wrong)


def test_a_composed_view_that_loses_rows_is_named():
    def half(batch, generator):
        return batch[::2]

    with pytest.raises(ValueError, match=r"Compose\(.*half.*, Identity\(\)\) made 2 rows of 4"):
        MultiView(Identity(), Compose(half, Identity()))(torch.ones(4, 2), generator())


def test_views_that_learn_see_the_training_rows():
    X = torch.arange(6.0)[:, None]
    view = Compose(NeighborMixup(1), Identity()).fit(X)
    assert view.views[0]._reference is X
