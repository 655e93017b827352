"""Divergences and targets as objects, also those of users: full classes, callables and modules."""

import copy
import inspect
import pickle
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from skgca import losses
from skgca._utils.config import make_configured
from skgca.losses import (
    AlignmentLoss,
    ContinuousTarget,
    Divergence,
    DomainsTarget,
    KLDivergence,
    LabelsTarget,
    PairsTarget,
    Target,
    TransportCost,
    WeightedSum,
    make_loss,
)
from skgca.losses._targets import TARGETS as BY_NAME

from ..numerics import DOUBLE, assert_close
from .cases import DOMAINS, EVERY_LAYOUT, LABELS, TARGETS, value_and_grad, views

# Divergences


def distance(plan, target):
    return (plan.plan - target.dense(plan.plan.shape)).abs().sum() / 2


class Old:
    """As docs/develop/structure.md showed a divergence in version 0.1.0."""

    def __call__(self, plan, target):
        return distance(plan, target)


@dataclass(frozen=True)
class OldFrozen:
    def __call__(self, plan, target):
        return distance(plan, target)


class OldCost(Old):
    """Has one of the two attributes, as TransportCost had."""

    repels = False


class OldExact(Old):
    @property
    def envelope_exact(self):
        return True


class Full(Divergence):
    repels = False

    def __call__(self, plan, target):
        return distance(plan, target)


class Alike(Old):
    """Has everything that is read of a divergence, without inheriting."""

    repels = False
    envelope_exact = True


class Learned(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, plan, target):
        return self.factor * distance(plan, target)


# Each: whether it repels, and whether the envelope gradient is exact.
OWN = {
    "function": (distance, True, False),
    "old": (Old(), True, False),
    "old and frozen": (OldFrozen(), True, False),
    "old with repels": (OldCost(), False, False),
    "old with envelope_exact": (OldExact(), True, True),
    "full": (Full(), False, False),
    "alike": (Alike(), False, True),
    "module": (Learned(), True, False),
}
EVERY_OWN = pytest.mark.parametrize("name", OWN)


def loss_of(divergence, **settings):
    return AlignmentLoss(**{"epsilon": 0.3, "marginals": "balanced", "divergence": divergence, **settings})


@EVERY_OWN
def test_a_divergence_of_ones_own_is_a_full_one(name):
    own, repels, envelope_exact = OWN[name]
    expected = value_and_grad(loss_of(distance), *views())
    for divergence in (own, WeightedSum((1.0, own))):
        loss = loss_of(divergence)
        assert isinstance(loss.divergence, Divergence)
        assert (loss.repels, loss.divergence.envelope_exact) == (repels, envelope_exact)
        for found, value in zip(value_and_grad(loss, *views()), expected, strict=True):
            assert_close(found, value, DOUBLE)
    assert repr(own) in repr(loss_of(own)) or isinstance(own, nn.Module)


@EVERY_OWN
def test_copies_of_a_loss_with_a_divergence_of_ones_own(name):
    own, repels, _ = OWN[name]
    loss = loss_of(WeightedSum((0.5, own), (1.0, KLDivergence())))
    expected = loss(*views())
    for made in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert torch.equal(made(*views()), expected)
        assert made.repels
    assert pickle.loads(pickle.dumps(loss_of(own))).repels == repels


@EVERY_OWN
def test_the_envelope_gradient_asks_whether_it_is_exact(name):
    own, _, envelope_exact = OWN[name]
    settings = {"gradient": "envelope", "tol": 1e-6}
    if envelope_exact:
        assert loss_of(own, **settings).gradient == "envelope"
        return
    with pytest.raises(ValueError, match="gradient='envelope' is not exact for "):
        loss_of(own, **settings)


def test_a_module_as_divergence_is_a_part_of_the_loss():
    own = Learned()
    loss = loss_of(own)
    assert list(loss.state_dict()) == ["divergence.factor"]
    assert list(loss.parameters()) == [own.factor]
    loss(*views()).backward()
    assert own.factor.grad is not None
    assert not hasattr(own, "repels")  # the user's object is as it was


def test_every_public_divergence_is_a_full_one():
    public = [kind for name in losses.__all__ if inspect.isclass(kind := getattr(losses, name))]
    kinds = [kind for kind in public if Divergence in kind.__mro__ and kind is not Divergence]
    assert len(kinds) == 7
    objects = [WeightedSum((1.0, KLDivergence())) if kind is WeightedSum else kind() for kind in kinds]
    assert {type(one) for one in objects if not one.repels} == {TransportCost}
    assert {type(one) for one in objects if one.envelope_exact} == {KLDivergence, WeightedSum}


def test_a_divergence_that_cannot_be_called_is_refused():
    with pytest.raises(ValueError, match=r"divergence=3 cannot be called; give a divergence, such as KLDivergence\(\)"):
        loss_of(3)


# Targets


def same(values):
    return (values[:, None] == values).double()


class Same(Target):
    def __call__(self, values):
        return same(values)


class SameDomain(DomainsTarget):
    """A subclass without changes."""


OBJECTS = {
    "pairs": PairsTarget(),
    "labels": LabelsTarget(),
    "continuous": ContinuousTarget(0.5),
    "domains": DomainsTarget(0.5, 0.25),
}


@EVERY_LAYOUT
@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_makes_the_loss_that_its_name_does(name, layout):
    target, values = OBJECTS[name], TARGETS[name].values(6)
    named = make_loss("gca_ince", epsilon=0.3, layout=layout, target=name, **target.get_config())
    loss = make_loss("gca_ince", epsilon=0.3, layout=layout, target=target)
    assert loss.target == named.target == target
    for found, expected in zip(
        value_and_grad(loss, *views(), target=values), value_and_grad(named, *views(), target=values), strict=True
    ):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("target", [*OBJECTS.values(), BY_NAME["affinity"]()], ids=BY_NAME)
def test_a_target_is_made_of_its_configuration(target):
    assert set(target.get_config()) == set(inspect.signature(type(target)).parameters)
    assert make_configured(type(target), target.get_config()) == target


@EVERY_LAYOUT
def test_a_target_of_ones_own_is_used_as_a_callable_is(layout):
    weight = torch.linspace(0.0, 2, 12, dtype=torch.float64)  # without the first row
    loss, called = (make_loss("gca_ince", epsilon=0.3, layout=layout, target=target) for target in (Same(), same))
    z_a, z_b = views(n=12)
    value = loss(z_a, z_b, target=LABELS, weight=weight)
    assert torch.equal(value, called(z_a, z_b, target=LABELS, weight=weight))
    assert torch.equal(value, loss(z_a[1:], z_b[1:], target=LABELS[1:], weight=weight[1:]))


def test_a_subclass_is_used_as_its_base_is():
    expected = make_loss("ince", target=DomainsTarget(0.5))(*views(n=12), target=DOMAINS)
    loss = make_loss("ince", target=SameDomain(0.5))
    assert torch.equal(loss(*views(n=12), target=DOMAINS), expected)
    with pytest.raises(ValueError, match=r"SameDomain\(alpha=0.5, beta=0.0\) reads a target; pass target="):
        loss(*views(n=12))


@pytest.mark.parametrize(
    ("values", "message"), [(None, "reads a target; pass target="), (LABELS[:5], "12 rows need 12")]
)
def test_a_target_of_ones_own_needs_values_of_every_row(values, message):
    with pytest.raises(ValueError, match=message):
        make_loss("ince", target=Same())(*views(n=12), target=values)


def test_the_affinity_of_pairs_is_the_identity():
    assert torch.equal(PairsTarget()(LABELS), torch.eye(12))
    _, by_entries = make_loss("ince", target=PairsTarget()).plans(*views(n=12))
    _, by_matrix = make_loss("ince", target=PairsTarget().__call__).plans(*views(n=12), target=LABELS)
    assert_close(by_entries.dense((24, 24)), by_matrix.dense((24, 24)), DOUBLE)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (
            {"reads": "sample_weight"},
            r"reads='sample_weight' of Own is not known; valid are \(None, 'y', 'sample_domain'",
        ),
        ({"encoding": "text"}, r"encoding='text' of Own is not known; valid are \('auto', 'classes', 'centred'\)"),
    ],
)
def test_a_target_class_that_reads_an_unknown_argument_or_encoding_is_refused(attributes, message):
    with pytest.raises(ValueError, match=message):
        type("Own", (Target,), attributes)


@pytest.mark.parametrize(
    ("target", "message"),
    [(LabelsTarget, r"target=LabelsTarget is a class; give .* LabelsTarget\(\)"), (3, r"target=3 is not known; valid")],
)
def test_an_invalid_target_is_refused(target, message):
    with pytest.raises(ValueError, match=message):
        make_loss("ince", target=target)
