"""Every bad argument is a ValueError that names it, and what would work."""

import math

import pytest
import torch

from skgca.losses import AlignmentLoss, KLDivergence
from skgca.ot import sinkhorn, sinkhorn_embeddings

from ..numerics import SINGLE, assert_close

NAN, INF = math.nan, math.inf


def _with(value, at=(0, 0)):
    matrix = torch.zeros(3, 4)
    matrix[at] = value
    return matrix


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": _with(NAN)}, "scores holds NaN"),
        ({"scores": _with(INF)}, r"scores holds NaN or \+inf"),
        ({"scores": _with(-INF, 1)}, "every entry of row 1 masked"),
        ({"scores": _with(-INF, (slice(None), 2))}, "every entry of column 2 masked"),
        ({"scores": torch.zeros(3)}, r"scores must be .* got shape \(3,\)"),
        ({"scores": torch.zeros(3, 4, dtype=torch.int64)}, "torch.int64"),
        ({"scores": torch.zeros(0, 4)}, r"got shape \(0, 4\)"),
        ({"a": torch.ones(4)}, r"a has shape \(4,\).*need \(3,\)"),
        ({"b": torch.ones(3)}, r"b has shape \(3,\).*need \(4,\)"),
        ({"a": torch.tensor([1.0, -1.0, 1.0])}, "a must hold finite masses.*-1"),
        ({"a": torch.tensor([1.0, NAN, 1.0])}, "a must hold finite masses"),
        ({"b": torch.zeros(4)}, "b sums to zero"),
        ({"n_iter": 0}, "n_iter=0"),
        ({"n_iter": 2.0}, "n_iter=2.0"),
        ({"tol": 0.0}, "tol=0.0"),
        ({"tol": NAN}, "tol=nan"),
        ({"epsilon": 0.0}, "epsilon=0.0"),
        ({"epsilon": INF}, "epsilon=inf"),
        ({"marginals": -1.0}, "rho_row=-1.0"),
        ({"marginals": "col"}, "marginals='col'"),
        ({"gradient": "exact"}, "gradient='exact'.*unrolled"),
        ({"gradient": "implicit"}, "give a tol"),
        ({"anneal_from": 0.1}, "anneal_from=0.1"),
        ({"anneal_from": NAN}, "anneal_from=nan"),
    ],
)
def test_sinkhorn_names_a_bad_argument(changes, message):
    arguments = {"scores": torch.zeros(3, 4), "marginals": "balanced", "epsilon": 0.5} | changes
    with pytest.raises(ValueError, match=message):
        sinkhorn(arguments.pop("scores"), **arguments)


def test_mass_that_the_mask_leaves_nowhere_to_go_is_named():
    scores = _with(-INF, (0, slice(1, None)))
    b = torch.tensor([0.0, 1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match=r"a\[0\] is above 0.*in b"):
        sinkhorn(scores, marginals=1.0, epsilon=0.5, b=b)
    assert_close(sinkhorn(scores, marginals="row", epsilon=0.5, b=b).mass, 1.0, SINGLE)  # b is not read


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"z_a": _with(NAN)}, "z_a holds NaN or inf"),
        ({"z_b": _with(INF)}, "z_b holds NaN or inf"),
        ({"z_a": torch.zeros(3)}, r"z_a must be .* got shape \(3,\)"),
        ({"z_b": torch.zeros(3, 5)}, "z_a has 4 columns and z_b 5"),
        ({"z_a": torch.zeros(1, 4), "z_b": None}, "z_a has 1 row"),
        ({"z_b": None, "a": torch.eye(3)[0], "b": torch.eye(3)[0]}, "b gives mass to one row only"),
        ({"cost": "manhattan"}, "cost='manhattan'.*cosine"),
        ({"a": torch.ones(5)}, r"a has shape \(5,\)"),
    ],
)
def test_sinkhorn_embeddings_names_a_bad_argument(changes, message):
    arguments = {"z_a": torch.ones(3, 4), "z_b": torch.ones(3, 4), "marginals": "balanced", "epsilon": 0.5} | changes
    with pytest.raises(ValueError, match=message):
        sinkhorn_embeddings(arguments.pop("z_a"), arguments.pop("z_b"), **arguments)


@pytest.mark.parametrize("epsilon", [0.5, 1e-3])
@pytest.mark.parametrize("bad", [NAN, INF])
def test_a_loss_of_embeddings_that_are_not_finite_is_nan_for_the_training_loop_to_see(bad, epsilon):
    loss = AlignmentLoss(epsilon=epsilon, marginals="balanced", divergence=KLDivergence())
    z = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    z[2, 1] = bad
    assert math.isnan(loss(z, torch.ones(4, 4)).item())


@pytest.mark.parametrize("rho", [1.0, "balanced", "row"])
def test_rows_of_zeros_have_cosine_zero_and_a_finite_gradient(rho):
    z = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    z[1] = 0.0
    z.requires_grad_()
    loss = AlignmentLoss(epsilon=0.2, marginals=rho, divergence=KLDivergence())(*z.chunk(2))
    loss.backward()
    assert bool(torch.isfinite(loss))
    assert bool(torch.isfinite(z.grad).all())


@pytest.mark.parametrize("weight", [[0.0, 0.0], [1.0, -0.5], [1.0, NAN], [INF, 1.0]])
def test_a_loss_names_bad_weights(weight):
    loss = AlignmentLoss(epsilon=0.2, marginals=1.0, divergence=KLDivergence())
    with pytest.raises(ValueError, match="weight must hold finite values"):
        loss(torch.eye(2), torch.eye(2), weight=torch.tensor(weight))
