import copy
import functools
import pickle
import random

import kornia.augmentation as K
import numpy as np
import pytest
import torch
from torch import nn

from skgca.views import CallableView, ColumnCorruption, MultiView, as_view


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def by_torch(batch):
    return batch + torch.rand(batch.shape)


def by_numpy(batch):
    return batch + torch.from_numpy(np.random.normal(size=batch.shape)).float()  # noqa: NPY002


def by_python(batch):
    return batch + random.random()


def kornia_module():
    return nn.Sequential(K.RandomAffine(20.0, p=1.0), K.RandomElasticTransform((3, 3), (1.0, 1.0), p=1.0))


TRANSFORMS = {
    "torch": by_torch,
    "numpy": by_numpy,
    "python": by_python,
    "kornia": kornia_module(),
    "dropout": nn.Dropout(0.5),
}
each = pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)


def global_states():
    numpy_state = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().tolist(), numpy_state[1].tolist(), numpy_state[2], random.getstate()


@each
def test_a_view_depends_on_its_generator_alone(transform):
    batch, view = torch.rand(4, 1, 8, 8, generator=generator(9)), as_view(transform)
    first = view(batch, generator(1))
    torch.rand(3), np.random.random(3), random.random()  # noqa: NPY002
    before = global_states()
    assert torch.equal(first, view(batch, generator(1)))
    assert global_states() == before
    assert not torch.equal(first, view(batch, generator(2)))


def test_the_global_states_are_put_back_after_an_error():
    def fails(batch):
        raise RuntimeError(by_torch(batch) + by_numpy(batch) + by_python(batch))

    before = global_states()
    with pytest.raises(RuntimeError):
        as_view(fails)(torch.ones(2), generator())
    assert global_states() == before


def test_two_views_of_one_transform_differ():
    first, second = MultiView(*[as_view(nn.Dropout(0.5))] * 2)(torch.ones(4, 10), generator())
    assert not torch.equal(first, second)


def test_a_view_carries_no_gradient():
    assert not as_view(nn.Linear(3, 3))(torch.ones(2, 3), generator()).requires_grad


class Module(nn.Module):
    def forward(self, batch, generator):
        return batch


class Method:
    def view(self, batch, rng):
        return batch

    def transform(self, batch):
        return batch


def with_default(batch, generator=None):
    return batch


def two_and_a_default(batch, rng, strength=1.0):
    return batch


@pytest.mark.parametrize(
    "view",
    [ColumnCorruption(), lambda batch, rng: batch, with_default, two_and_a_default, Module(), Method().view],
    ids=["ours", "lambda", "generator=None", "with a third", "module", "method"],
)
def test_what_takes_a_generator_is_a_view_already(view):
    assert as_view(view) is view


def one_and_a_default(batch, strength=1.0):
    return batch


def keyword_generator(batch, *, generator=None):
    return batch


@pytest.mark.parametrize(
    "transform",
    [
        *TRANSFORMS.values(),
        one_and_a_default,
        keyword_generator,
        lambda *batches: batches[0],
        functools.partial(two_and_a_default, rng=None),
        Method().transform,
        torch.relu,
    ],
)
def test_what_takes_a_batch_only_is_wrapped(transform):
    view = as_view(transform)
    assert isinstance(view, CallableView)
    assert view.transform is transform


@pytest.mark.parametrize("neither", [lambda: 0, lambda a, b, c: a, lambda batch, *, strength: batch])
def test_what_can_be_called_neither_way_is_refused(neither):
    with pytest.raises(ValueError, match=r"lambda.* with arguments \(.*\) cannot make a view"):
        as_view(neither)


def test_copies_and_pickles_make_the_same_view():
    batch, view = torch.rand(3, 1, 8, 8, generator=generator(9)), as_view(kornia_module())
    made = view(batch, generator())
    for other in (copy.deepcopy(view), pickle.loads(pickle.dumps(view))):
        assert torch.equal(other(batch, generator()), made)


def test_the_name_of_a_view_tells_its_transform():
    assert repr(as_view(nn.Dropout(0.5))) == "CallableView(Dropout(p=0.5, inplace=False))"
