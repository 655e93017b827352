"""What reads the embedding out of an encoder, against float64 NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skgca.encoders import (
    MLP,
    Encoder,
    GroupedComponents,
    ResNetMLP,
    RotatedComponents,
    Standardization,
    TableStem,
    participation_ratio,
)

from ..numerics import DOUBLE, assert_close, assert_within, error, size


def activations(n=60, k=7, seed=0):
    """Correlated columns of very different scale and mean."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, k)) @ rng.normal(size=(k, k)) * np.geomspace(0.01, 100, k) + rng.normal(size=k) * 10
    return torch.from_numpy(rows)


def made(n_outputs, n_kept, k=7, seed=0):
    return RotatedComponents(k, n_outputs, n_kept, seed=seed).double()


def z_scores(rows):
    rows = np.asarray(rows, dtype=np.float64)
    return (rows - rows.mean(0)) / rows.std(0)


def cancelled(rows):
    """Size of the terms that cancel where the mean of a column goes: in units of its deviation, about 500."""
    return (rows.abs().amax(0) / rows.std(0, correction=0)).max().item()


def turned(rows, n_kept):
    """By how much rounding turns the first components: one over the smallest difference between their variances."""
    variances = np.linalg.svd(z_scores(rows), compute_uv=False) ** 2 / len(rows)
    return 1 / -np.diff([*variances, 0.0][: n_kept + 1]).max()


@pytest.mark.parametrize("n_kept", [1, 3, 7, 50])
@pytest.mark.parametrize("n_outputs", [2, 5, 20])
def test_columns_have_mean_zero_and_deviation_one(n_kept, n_outputs):
    rows = activations()
    columns = made(n_outputs, n_kept).fit(rows)(rows)
    assert columns.shape == (60, n_outputs)
    assert_close(columns.mean(0), np.zeros(n_outputs), DOUBLE, scale=cancelled(rows))
    assert_close(columns.std(0, correction=0), np.ones(n_outputs), DOUBLE)


@pytest.mark.parametrize("n_kept", [1, 3, 7])
def test_columns_span_the_first_principal_components(n_kept):
    rows = activations()
    columns = made(20, n_kept).fit(rows)(rows).numpy()
    left, _, _ = np.linalg.svd(z_scores(rows), full_matrices=False)
    components = left[:, :n_kept]
    assert np.linalg.matrix_rank(columns, tol=1e-3) == n_kept
    scale = cancelled(rows) * turned(rows, n_kept)
    assert_close(components @ (components.T @ columns), columns, DOUBLE, scale=scale)


def test_variances_of_components_survive_a_scaler():
    """Without a rotation, standardising the columns would whiten them."""
    rows = activations(n=400, k=12)
    values = np.linalg.svd(z_scores(rows), compute_uv=False)
    found = np.linalg.svd(z_scores(made(3000, 12, 12).fit(rows)(rows)), compute_uv=False)[:12]
    assert_within(found / found[0] * (values[0] / values), np.ones(12), 0.35)  # as random rotations of 3000 do
    assert values[-1] / values[0] < 0.2


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_training_rows_does_not_matter(seed):
    rows = activations(seed=seed)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(rows)))
    first, second = made(6, 4).fit(rows)(rows), made(6, 4).fit(rows[order])(rows)
    gram = first @ first.T
    assert_close(second @ second.T, gram, DOUBLE, scale=size(gram) * cancelled(rows) * turned(rows, 4))


def test_constant_activations_are_left_out():
    rows = activations(k=4)
    padded = torch.cat([rows, torch.full((60, 3), 5.0, dtype=torch.float64)], dim=1)
    with_constant, without = made(6, 4).fit(padded)(padded), made(6, 4, 4).fit(rows)(rows)
    gram = without @ without.T
    scale = size(gram) * cancelled(rows) * turned(rows, 4)
    assert_close(with_constant @ with_constant.T, gram, DOUBLE, scale=scale)


@pytest.mark.parametrize("make", [lambda: RotatedComponents(4, 3, 2), lambda: Standardization(4)])
def test_rows_that_are_all_alike_are_all_zero(make):
    rows = torch.full((5, 4), 3.0)
    assert torch.equal(make().fit(rows)(rows), torch.zeros(5, 3 if isinstance(make(), RotatedComponents) else 4))


def test_the_seed_is_that_of_the_rotation():
    rows = activations()
    first, again, other = (made(6, 4, seed=seed).fit(rows)(rows) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert error(first, other) > 0.1


def test_standardization_is_that_of_numpy():
    rows = activations()
    assert_close(Standardization(7).double().fit(rows)(rows), z_scores(rows), DOUBLE, scale=cancelled(rows))


@pytest.mark.parametrize("make", [lambda: RotatedComponents(7, 6, 4), lambda: Standardization(7)])
def test_single_precision_gives_what_double_does(make):
    rows = activations()
    found = make().fit(rows.float())(rows.float())
    assert found.dtype == torch.float32
    # a rounding of 6e-8 of the rows, and one of their mean
    assert_close(found, make().double().fit(rows)(rows), 1e-6, scale=cancelled(rows))


@pytest.mark.parametrize("cls", [MLP, ResNetMLP])
def test_activations_end_in_the_outputs(cls):
    torch.manual_seed(0)
    body, batch = cls(3, (8, 6, 6), 5).eval(), torch.randn(10, 3)
    layers = body.activations(batch)
    assert [layer.shape[1] for layer in layers] == ([8, 6, 6, 5] if cls is MLP else [8, 8, 5])
    assert torch.equal(layers[-1], body(batch))


def test_activations_of_a_perceptron_are_behind_its_nonlinearity():
    torch.manual_seed(0)
    body, batch = MLP(3, (8, 6), 5).eval(), torch.randn(10, 3)
    layers = body.activations(batch)
    assert torch.equal(layers[0], body[2](body[1](body[0](batch))))
    assert (layers[0] >= 0).all()
    assert (layers[1] >= 0).all()


def test_an_encoder_reads_what_its_readout_asks_for():
    torch.manual_seed(0)
    stem, body = TableStem([0, 0], [False, False]), MLP(2, (6,), 3)
    batch = torch.randn(40, 2)
    last = Encoder(stem, body, Standardization(3)).eval()
    everything = Encoder(stem, body, RotatedComponents(9, 3, 3)).eval()
    assert torch.equal(last.activations(batch), last.features(batch))
    assert torch.equal(everything.features(batch), last.features(batch))
    assert everything.activations(batch).shape == (40, 9)
    everything.readout.fit(everything.activations(batch).detach())
    assert everything(batch).shape == (40, 3)


def test_it_goes_through_state_dict():
    rows = activations()
    readout = made(6, 4).fit(rows)
    fresh = made(6, 4, seed=1)
    fresh.load_state_dict(readout.state_dict())
    assert torch.equal(fresh(rows), readout(rows))


@pytest.mark.parametrize(("n", "d"), [(50, 4), (4, 50), (20, 20)])
def test_participation_ratio_is_that_of_the_variances_by_principal_axes(n, d):
    rows = np.random.default_rng(0).normal(size=(n, d)) * np.geomspace(1, 30, d) + 5
    variances = np.linalg.svd(rows - rows.mean(0), compute_uv=False) ** 2
    expected = variances.sum() ** 2 / (variances**2).sum()
    assert_close(participation_ratio(torch.from_numpy(rows)), expected, DOUBLE)


def test_participation_ratio_counts_dimensions():
    corners = torch.tensor([[a, b, c] for a in (-1.0, 1.0) for b in (-1.0, 1.0) for c in (-1.0, 1.0)])
    assert participation_ratio(corners) == 3
    assert participation_ratio(corners * torch.tensor([1.0, 0.0, 0.0])) == 1
    assert participation_ratio(torch.ones(4, 3)) == 1


# Groups


def by_groups(rows, groups, weights=None):
    """Standardised activations whose groups have the same total variance, times the square of their weight."""
    weights = np.ones(len(groups)) if weights is None else np.array(weights)
    return z_scores(rows) * np.repeat(weights / np.sqrt(groups), groups)


@pytest.mark.parametrize("n_rows", [5, 200])  # fewer than activations, and more
@pytest.mark.parametrize("groups", [(20,), (3, 17), (12, 1, 7)])
def test_groups_of_activations_have_the_same_variance(groups, n_rows):
    rows = torch.from_numpy(np.random.default_rng(3).normal(size=(n_rows, 20)) * np.geomspace(0.1, 10, 20))
    readout = GroupedComponents(groups, 20, 20).double().fit(rows)
    columns, expected = readout(rows).numpy(), by_groups(rows, groups)
    assert columns.shape == (n_rows, 20)
    rank = min(n_rows - 1, 20)
    assert np.linalg.matrix_rank(columns, tol=1e-8 * np.abs(columns).max()) == rank
    found = np.linalg.lstsq(columns, expected, rcond=None)[0]
    assert_close(columns @ found, expected, 1e-8)  # nothing of the activations is lost


@pytest.mark.parametrize("weights", [(), (3.0, 0.5)])
@pytest.mark.parametrize("n_rows", [6, 200])
def test_components_of_groups_are_the_first_principal_ones(n_rows, weights):
    groups, n_kept = (5, 15), 3
    rows = torch.from_numpy(np.random.default_rng(4).normal(size=(n_rows, 20)) @ np.diag(np.geomspace(1, 5, 20)))
    readout = GroupedComponents(groups, 8, n_kept, weights=weights).double().fit(rows)
    scaled = by_groups(rows, groups, weights or None)
    left, _, _ = np.linalg.svd(scaled, full_matrices=False)
    columns = readout(rows).numpy()
    projected = left[:, :n_kept] @ (left[:, :n_kept].T @ columns)
    assert_close(columns, projected, 1e-8)
    assert np.linalg.matrix_rank(columns, tol=1e-8) == n_kept
    assert_close(columns.std(0), np.ones(8), DOUBLE * 100)


def test_one_weight_for_each_group():
    with pytest.raises(ValueError, match=r"weights=\(1,\) must have one number for each of 2 groups"):
        GroupedComponents((2, 4), 3, 3, weights=(1,))


def test_components_of_many_rows_are_those_of_some():
    rows = activations(n=3000)
    found = GroupedComponents((3, 4), 7, 2).double().fit(rows)
    some = GroupedComponents((3, 4), 7, 2).double().fit(rows[::3])
    assert_within(found(rows).std(0, correction=0), 1, 1e-9)  # but the columns are scaled by all
    left, right = (np.linalg.qr(readout(rows).numpy())[0][:, :2] for readout in (found, some))
    assert_within(np.linalg.svd(left.T @ right, compute_uv=False), 1, 0.05)
