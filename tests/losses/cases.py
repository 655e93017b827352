"""The presets under test, as a table with the properties of each, and helpers of all tests of losses."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest
import torch

from skgca.losses import make_loss

from ..numerics import DOUBLE, assert_close, error, size
from ..reference import losses as reference

FEW = 1e-13  # sums of about ten terms in another order
# The affinity of a target plan is scaled until the errors of its row and column masses are at most 1e-12, or 1e-5 in
# single precision. The errors of its entries are a few times larger.
SCALED, SCALED_SINGLE = 5e-11, 1e-4

INF = math.inf
LAYOUTS = ("joint", "cross")
ROW, BALANCED, FREE = (INF, 0.0), (INF, INF), (0.0, 0.0)


@dataclass(frozen=True)
class Target:
    """What a target reads, for up to 12 rows, and the affinity (n, n) that it must make from it."""

    values: Callable
    affinity: Callable


LABELS = torch.tensor([0, 1, 0, -1, 1, 0, 2, -1, 2, 2, 1, 0])
DOMAINS = torch.tensor([0, 0, 1, -1, 1, 0, 1, 1, 0, -1, 2, 2])
NUMBERS = torch.tensor([[0.1, 2], [1.3, 1], [0.4, 1.5], [torch.nan, 0], [-0.7, 1], [0.2, 2]], dtype=torch.float64)
NUMBERS = torch.cat([NUMBERS, 1.5 - 0.5 * NUMBERS])

TARGETS = {
    "pairs": Target(lambda n: None, lambda n: np.eye(n)),
    "labels": Target(lambda n: LABELS[:n], lambda n: reference.label_affinity(LABELS[:n].numpy())),
    "continuous": Target(lambda n: NUMBERS[:n], lambda n: reference.continuous_affinity(NUMBERS[:n].numpy(), 0.7)),
    "domains": Target(lambda n: DOMAINS[:n], lambda n: reference.domain_affinity(DOMAINS[:n].numpy(), 0.25, 0.0625)),
}


@dataclass(frozen=True)
class Case:
    """A preset with options.

    oracle: its divergence, from tests/reference/losses.py. rho, n_iter: marginals and iterations that it must have.
    target: name of its target. free_pair: whether a batch of one pair costs nothing, at any distance of its views.
    repels: whether it keeps rows apart. entropic: whether a term P log P makes the influence of a row of small weight w
    proportional to w log w rather than w.
    """

    preset: str
    oracle: Callable
    rho: tuple = BALANCED
    n_iter: int = 10
    options: Mapping = field(default_factory=dict)
    target: str = "pairs"
    free_pair: bool = False
    repels: bool = True
    entropic: bool = False

    @property
    def tolerance(self):
        """Tolerance of a comparison with the oracle."""
        return DOUBLE if self.target == "pairs" else SCALED

    def loss(self, *, epsilon=0.2, **settings):
        return make_loss(self.preset, epsilon=epsilon, **{**self.options, **settings})

    def reads(self, n):
        """Keyword arguments of a call with n rows."""
        values = TARGETS[self.target].values(n)
        return {} if values is None else {"target": values}

    def expected(self, z_a, z_b, **settings):
        """Value of the oracle; ``settings`` are those of ``reference.solve``."""
        settings = {"epsilon": 0.2, "rho": self.rho, "n_iter": self.n_iter, **settings}
        affinity = TARGETS[self.target].affinity(z_a.shape[-2])
        return reference.alignment(z_a, z_b, divergence=self.oracle, affinity=affinity, **settings)


_EVERY_TERM = {"marginals": (0.7, 1.3), "kl_weight": 0.8, "rince_weight": 0.3, "q": 0.9, "lam": 0.1}
_EVERY_TERM |= {"marginal_weight": 0.5, "entropy_weight": 0.2}

CASES = {
    "ince": Case("ince", reference.kl, ROW, free_pair=True),
    "rince": Case("rince", reference.rince, ROW),
    "gca_ince": Case("gca_ince", reference.kl, free_pair=True),
    "gca_rince": Case("gca_rince", reference.rince),
    "gca_uot": Case("gca_uot", reference.kl, (1.0, 1.0)),
    "byol": Case("byol", reference.transport_cost, FREE, repels=False),
    "iot": Case("iot", reference.kl, n_iter=100, free_pair=True),
    "iot_uni": Case(
        "iot_uni",
        reference.weighted_sum((1.0, reference.kl), (0.1, reference.uniformity_penalty)),
        n_iter=100,
        free_pair=True,
    ),
    "supcon": Case("supcon", reference.kl, ROW, target="labels", free_pair=True),
    # Other paths through the same presets
    "gca_uot of every term": Case(
        "gca_uot",
        reference.weighted_sum(
            (0.8, reference.kl),
            (0.3, partial(reference.rince, q=0.9, lam=0.1)),
            (0.5, reference.marginal_penalty),
            (0.2, reference.entropy_penalty),
        ),
        (0.7, 1.3),
        options=_EVERY_TERM,
        entropic=True,
    ),
    "gca_uot of rows": Case("gca_uot", reference.kl_rows, (1.0, 1.0), options={"kl": "rows"}, free_pair=True),
    "free gca_uot": Case("gca_uot", reference.kl, FREE, options={"marginals": 0.0}),
    "free rince": Case("rince", reference.rince, FREE, options={"marginals": 0.0}),
    "relaxed gca_rince": Case(
        "gca_rince",
        partial(reference.rince, q=1.0, lam=0.5),
        (0.4, INF),
        options={"marginals": (0.4, INF), "q": 1.0, "lam": 0.5},
    ),
    "balanced supcon": Case("supcon", reference.kl, options={"marginals": "balanced"}, target="labels", free_pair=True),
    "continuous gca_rince": Case(
        "gca_rince", reference.rince, options={"target": "continuous", "sigma": 0.7}, target="continuous"
    ),
    "domains ince": Case(
        "ince",
        reference.kl,
        ROW,
        options={"target": "domains", "alpha": 0.25, "beta": 0.0625},  # powers of 2: the affinity is float32
        target="domains",
        free_pair=True,
    ),
    "labelled byol": Case(
        "byol", reference.transport_cost, FREE, options={"target": "labels"}, target="labels", repels=False
    ),
    "labelled iot_uni": Case(
        "iot_uni",
        reference.weighted_sum((1.0, reference.kl), (2.0, reference.uniformity_penalty)),
        n_iter=30,
        options={"target": "labels", "uniformity_weight": 2.0, "n_iter": 30},
        target="labels",
        free_pair=True,
    ),
}

# Cases differ in their marginals, which the solver reads, their target and their divergence. These cases have all kinds
# of each, but not all combinations. They are for laws that a combination obeys if its parts do.
KINDS = [
    "ince",
    "byol",
    "gca_uot of every term",
    "gca_uot of rows",
    "relaxed gca_rince",
    "continuous gca_rince",
    "domains ince",
    "labelled iot_uni",
]

EVERY_CASE = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
EVERY_KIND = pytest.mark.parametrize("case", [CASES[name] for name in KINDS], ids=KINDS)
EVERY_LAYOUT = pytest.mark.parametrize("layout", LAYOUTS)


def views(n=6, d=4, seed=0, dtype=torch.float64, noise=0.3):
    """Two views of n rows, which require gradients."""
    generator = torch.Generator().manual_seed(seed)
    z_a = torch.randn(n, d, generator=generator, dtype=torch.float64)
    z_b = z_a + noise * torch.randn(n, d, generator=generator, dtype=torch.float64)
    return z_a.to(dtype).requires_grad_(), z_b.to(dtype).requires_grad_()


def leaf(z):
    """The same values as a new leaf."""
    return z.detach().clone().requires_grad_()


def value_and_grad(loss, z_a, z_b, **kwargs):
    """Value of a loss, and its gradients with respect to both views."""
    value = loss(z_a, z_b, **kwargs)
    return value.detach(), *torch.autograd.grad(value, (z_a, z_b))


def scales(terms):
    """Sizes of a value, at least 1 since it is a sum of logarithms, and of its gradients, the same for all of them."""
    value, *gradients = terms
    return max(size(value), 1.0), *[max(map(size, gradients))] * len(gradients)


def assert_alike(found, expected, tolerance=DOUBLE, *, terms=None):
    """Assert that a value and its gradients are equal up to rounding.

    ``terms``: a value and gradients of the size of what was added up, where it may nearly cancel in the expected ones.
    """
    larger = map(max, scales(expected), scales(expected if terms is None else terms))
    for x, y, scale in zip(found, expected, larger, strict=True):
        assert_close(x, y, tolerance, scale=scale)


def assert_nothing(found, terms):
    """Assert that a value and its gradients are zero up to the rounding of their terms."""
    assert_alike(found, [torch.zeros_like(t) for t in found], FEW, terms=terms)


def distance(found, expected):
    """Distance of two values and their gradients, relative to their size."""
    return max(error(x, y) / scale for x, y, scale in zip(found, expected, scales(expected), strict=True))


def terms_of(z_a, z_b, epsilon):
    """Size of the terms of a loss with cosines: a score of 1 / epsilon, and the gradients of a row's share in the mean.

    Those of its score with another unit vector are 1 / (|z| epsilon). They cancel where rows are told apart.
    """
    shortest = float(torch.cat([z_a, z_b]).detach().norm(dim=1).min())
    gradient = 1 / (len(z_a) * epsilon * shortest)
    return 1 / epsilon, gradient, gradient


def oracle_value_and_grad(function, z_a, z_b):
    """Value and gradients of a function of two NumPy arrays."""
    return reference.value_and_gradients(function, z_a.detach().numpy(), z_b.detach().numpy())
