"""Options of make_loss: those that it accepts, documents and refuses."""

import inspect
import itertools
import math
import re

import pytest
import torch

from skgca.losses import (
    PRESETS,
    AlignmentLoss,
    ContinuousTarget,
    DomainsTarget,
    KLDivergence,
    LearnableEpsilon,
    RINCEDivergence,
    WeightedSum,
    make_loss,
    multiview_loss,
)

from .cases import CASES, EVERY_CASE, EVERY_KIND, views

# What is documented

DOCUMENTED = [
    *PRESETS.values(),
    make_loss,
    multiview_loss,
    AlignmentLoss,
    ContinuousTarget,
    DomainsTarget,
    KLDivergence,
    LearnableEpsilon,
    RINCEDivergence,
]


def documented_defaults(thing):
    """Parameters that a docstring gives a default, as text: ``q, lam : float, default=0.6, 0.01`` gives two."""
    found = {}
    section = inspect.getdoc(thing).partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    for names, default in re.findall(r"^(\w+(?:, \w+)*) : .*default=(.*)$", section, flags=re.MULTILINE):
        values = default.split(", ")
        found.update(zip(names.split(", "), itertools.cycle(values), strict=False))
        assert len(values) in (1, len(names.split(", ")))
    return found


@pytest.mark.parametrize("thing", DOCUMENTED, ids=lambda thing: thing.__name__)
def test_the_documented_defaults_are_the_actual_ones(thing):
    parameters = inspect.signature(thing).parameters.values()
    actual = {p.name: p.default for p in parameters if p.default is not p.empty}
    shown = {name: f'"{value}"' if isinstance(value, str) else str(value) for name, value in actual.items()}
    assert documented_defaults(thing) == shown
    assert shown


# What is taken


@EVERY_CASE
def test_none_stands_for_the_default(case):
    """So a grid of parameters may hold None for every option, also for options of other losses."""
    own = inspect.signature(PRESETS[case.preset]).parameters
    common = inspect.signature(AlignmentLoss).parameters
    options = {name for name in {**own, **common} if name not in ("epsilon", "divergence", "settings")}
    nothing = dict.fromkeys(options - set(case.options))
    assert repr(case.loss(**nothing)) == repr(case.loss())
    others = dict.fromkeys({"q", "lam", "kl", "sigma", "alpha", "uniformity_weight"} - set(case.options))
    assert repr(case.loss(**others)) == repr(case.loss())


@pytest.mark.parametrize("name", PRESETS)
def test_the_preset_itself_has_the_same_defaults(name):
    assert repr(PRESETS[name](epsilon=0.25)) == repr(make_loss(name, epsilon=0.25))
    assert repr(PRESETS[name]()) == repr(make_loss(name))
    assert PRESETS[name]().epsilon == make_loss(name).epsilon == 0.5


@pytest.mark.parametrize(
    ("name", "options", "part", "value"),
    [
        ("rince", {"q": 0.9, "lam": 0.2}, "divergence", RINCEDivergence(0.9, 0.2)),
        ("gca_rince", {"q": 0.9}, "divergence", RINCEDivergence(0.9, 0.01)),
        ("gca_ince", {"n_iter": 3}, "n_iter", 3),
        ("iot", {"n_iter": 3}, "n_iter", 3),
        ("ince", {"marginals": "balanced", "n_iter": 3}, "n_iter", 3),
        ("gca_ince", {"tol": 1e-6}, "tol", 1e-6),
        ("gca_uot", {"cost": "student_t"}, "cost", "student_t"),
        ("gca_uot", {"tol": 1e-6, "gradient": "implicit"}, "gradient", "implicit"),
        ("byol", {"memory_limit": 1e6}, "memory_limit", 1e6),
        ("supcon", {"target": "continuous", "sigma": 0.3}, "target", ContinuousTarget(0.3)),
        ("ince", {"target": "domains", "alpha": 0.3, "beta": 0.1}, "target", DomainsTarget(0.3, 0.1)),
        ("ince", {"target": "domains", "alpha": 0.3}, "target", DomainsTarget(0.3)),
    ],
)
def test_an_option_arrives(name, options, part, value):
    assert getattr(make_loss(name, epsilon=0.5, **options), part) == value


@pytest.mark.parametrize(
    ("options", "weight", "divergence"),
    [
        ({"kl": "rows"}, 1.0, KLDivergence("rows")),
        ({"kl_weight": 3.0}, 3.0, KLDivergence()),
        ({"rince_weight": 0.02, "q": 0.9, "kl_weight": 0.0}, 0.02, RINCEDivergence(0.9)),
    ],
)
def test_the_terms_of_gca_uot_are_what_was_asked_for(options, weight, divergence):
    assert make_loss("gca_uot", epsilon=0.5, **options).divergence.terms == [(weight, divergence)]


# What is refused

NO_EFFECT = [
    ("ince", {"q": 0.9}, r"'ince' does not use q=0.9; it is an option of 'gca_rince', 'gca_uot' and 'rince'"),
    ("gca_ince", {"lam": 0.1}, r"'gca_ince' does not use lam=0.1"),
    ("ince", {"kl": "rows"}, r"'ince' does not use kl='rows'; it is an option of 'gca_uot'. Leave it out"),
    ("iot", {"uniformity_weight": 0.5}, r"it is an option of 'iot_uni'"),
    ("byol", {"marginals": "row"}, r"'byol' does not use marginals='row'"),
    ("ince", {"sigma": 0.5}, r"target='pairs' does not use sigma=0.5; it is an option of target='continuous'"),
    ("supcon", {"sigma": 0.5}, r"target='labels' does not use sigma=0.5"),
    ("ince", {"target": "domains", "sigma": 0.5}, r"target='domains' does not use sigma"),
    ("ince", {"target": "continuous", "alpha": 0.5}, r"does not use alpha=0.5; .* target='domains'"),
    ("ince", {"target": DomainsTarget(), "beta": 0.5}, r"does not use beta=0.5"),
    ("gca_uot", {"q": 0.9}, r"q=0.9 has no effect with rince_weight=0"),
    ("gca_uot", {"lam": 0.1, "rince_weight": 0.0}, r"lam=0.1 has no effect with rince_weight=0"),
    ("gca_uot", {"kl": "rows", "kl_weight": 0.0, "rince_weight": 1.0}, r"kl='rows' has no effect with kl_weight=0"),
]

BAD_VALUES = [
    ("foo", {}, r"loss='foo' is not known; valid are \['byol', 'gca_ince', .*'supcon'\]"),
    ("ince", {"foo": 1}, r"foo=1 is no option of loss='ince', which has \['cost', .*'tol'\]"),
    ("ince", {"divergence": 1}, r"divergence=1 is no option of"),
    ("ince", {"epsilon": 0.0}, r"epsilon=0.0 must be a finite number above 0"),
    ("ince", {"epsilon": math.nan}, r"epsilon=nan must be"),
    ("ince", {"epsilon": math.inf}, r"epsilon=inf must be"),
    ("gca_ince", {"n_iter": 0}, r"n_iter=0 must be a whole number of at least 1"),
    ("gca_ince", {"n_iter": 2.5}, r"n_iter=2.5 must be a whole number"),
    ("gca_ince", {"n_iter": True}, r"n_iter=True must be a whole number"),
    ("gca_ince", {"tol": 0.0}, r"tol=0.0 must be above 0"),
    ("ince", {"layout": "diagonal"}, r"layout='diagonal' is not known; valid are \['cross', 'joint'\]"),
    ("ince", {"cost": "foo"}, r"cost='foo' is not known; valid are \['cosine', 'sqeuclidean', 'student_t'\]"),
    ("ince", {"target": "foo"}, r"target='foo' is not known; valid are \['affinity', .*'pairs'\], or a callable"),
    ("ince", {"gradient": "foo"}, r"gradient='foo' is not known; valid are \['envelope', 'implicit', 'unrolled'\]"),
    ("gca_ince", {"marginals": "colum"}, r"marginals='colum' is not known; use 'row', 'balanced'"),
    ("gca_ince", {"marginals": (1.0, -2.0)}, r"rho_col=-2.0, which is not a strength"),
    ("gca_ince", {"marginals": (1.0, 2.0, 3.0)}, r"has 3 entries"),
    ("rince", {"q": 0.0}, r"q=0.0 must lie in \(0, 1\]"),
    ("rince", {"q": 1.5}, r"q=1.5 must lie in \(0, 1\]"),
    ("gca_rince", {"q": math.nan}, r"q=nan must lie in \(0, 1\]"),
    ("rince", {"lam": 0.0}, r"lam=0.0 must be above 0"),
    ("gca_uot", {"rince_weight": 1.0, "lam": -1.0}, r"lam=-1.0 must be above 0"),
    ("gca_uot", {"kl": "columns"}, r"kl='columns' is not known; valid are 'mass' and 'rows'"),
    ("gca_uot", {"kl_weight": -1.0}, r"weight -1.0 of KLDivergence.* must be a finite number of at least 0"),
    ("gca_uot", {"marginal_weight": math.inf}, r"weight inf of MarginalPenalty\(\)"),
    ("gca_uot", {"entropy_weight": math.nan}, r"weight nan of EntropyPenalty\(\)"),
    ("gca_uot", {"kl_weight": 0.0}, r"Every term of the loss has weight 0"),
    ("iot_uni", {"uniformity_weight": -0.1}, r"weight -0.1 of UniformityPenalty\(\)"),
    ("ince", {"target": "continuous", "sigma": 0.0}, r"sigma=0.0 must be above 0"),
    ("ince", {"target": "continuous", "sigma": math.nan}, r"sigma=nan must be above 0"),
    ("ince", {"target": "domains", "alpha": -0.1}, r"alpha=-0.1 must be at least 0"),
    ("ince", {"target": "domains", "beta": -0.1}, r"beta=-0.1 must be at least 0"),
    ("gca_uot", {"gradient": "envelope", "tol": 1e-6}, r"gradient='envelope' is exact for hard and free"),
    ("gca_rince", {"gradient": "envelope", "tol": 1e-6}, r"not exact for RINCEDivergence"),
    ("gca_ince", {"gradient": "implicit"}, r"exact only at the solution; give a tol"),
]


@pytest.mark.parametrize(("name", "options", "message"), [*NO_EFFECT, *BAD_VALUES])
def test_a_bad_setting_names_the_value_and_what_would_do(name, options, message):
    with pytest.raises(ValueError, match=message):
        make_loss(name, **{"epsilon": 0.5, **options})


def test_every_preset_is_among_the_valid_names():
    with pytest.raises(ValueError, match="is not known") as raised:
        make_loss("foo", epsilon=0.5)
    assert str(sorted(PRESETS)) in str(raised.value)


def test_a_sum_of_nothing_is_refused():
    with pytest.raises(ValueError, match="give one of them a weight above 0"):
        WeightedSum()


BAD_BATCHES = [
    ({"z_b": torch.ones(4, 2)}, r"one shape \(n, d\) with n >= 1; got \(3, 2\) and \(4, 2\)"),
    ({"z_b": torch.ones(3, 1)}, r"got \(3, 2\) and \(3, 1\)"),
    ({"z_a": torch.ones(0, 2), "z_b": torch.ones(0, 2)}, r"n >= 1; got \(0, 2\)"),
    ({"z_a": torch.ones(3), "z_b": torch.ones(3)}, r"one shape"),
    ({"z_a": torch.ones(3, 2, 1), "z_b": torch.ones(3, 2, 1)}, r"got \(3, 2, 1\)"),
    ({"weight": torch.ones(2)}, r"weight has shape \(2,\); 3 pairs need \(3,\)"),
    ({"weight": torch.ones(3, 1)}, r"weight has shape \(3, 1\)"),
    ({"weight": -torch.ones(3)}, r"weight must hold finite values >= 0, not all zero; its smallest is -1.0"),
    ({"weight": torch.tensor([1.0, torch.nan, 1.0])}, r"weight must hold finite values"),
    ({"weight": torch.tensor([1.0, torch.inf, 1.0])}, r"weight must hold finite values"),
    ({"weight": torch.zeros(3)}, r"not all zero; its smallest is 0.0"),
    ({"target": torch.ones(4)}, r"target has 4 entries; 3 rows need 3|'pairs' reads no target"),
    ({"related": torch.ones(4)}, r"related has shape \(4,\)"),
]


@pytest.mark.parametrize("name", ["ince", "supcon"])  # one that reads no target, one that does
@pytest.mark.parametrize(("batch", "message"), BAD_BATCHES)
def test_a_bad_batch_is_refused(name, batch, message):
    good = {"z_a": torch.ones(3, 2), "z_b": torch.ones(3, 2), **CASES[name].reads(3)}
    with pytest.raises(ValueError, match=message):
        CASES[name].loss()(**{**good, **batch})


@EVERY_KIND
def test_a_target_is_read_or_refused(case):
    values = {} if case.reads(6) else {"target": torch.zeros(6)}
    with pytest.raises(ValueError, match=r"reads no target|reads a target; pass target="):
        case.loss()(*views(), **values)


@pytest.mark.parametrize("name", PRESETS)
def test_every_loss_takes_a_number_of_iterations(name):
    """A loop over the presets may set it, also for losses on which it has no effect."""
    assert make_loss(name, epsilon=0.5, n_iter=7).n_iter == 7
