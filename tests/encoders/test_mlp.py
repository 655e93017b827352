import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from skgca.encoders import MLP, PeriodicEmbedding, PiecewiseLinearEncoding, ResNetMLP

from ..numerics import DOUBLE, SINGLE, assert_close, assert_within, size

NAN = float("nan")
ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "selu": nn.SELU}
NORMALIZATIONS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, None: None}


def rows(*shape, seed=3):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def reached(module, batch):
    """Names of the parameters that get a gradient, of numbers other than 0."""
    module(batch).square().sum().backward()
    gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    return {name for name, gradient in gradients.items() if gradient.isfinite().all() and gradient.any()}


ENCODERS = {
    "mlp": lambda: MLP(4, (8, 6), 3),
    "mlp without normalisation": lambda: MLP(4, (8, 6), 3, normalization=None, activation="silu"),
    "mlp, layer, dropout": lambda: MLP(4, (8, 6), 3, normalization="layer", dropout=0.3, activation="gelu"),
    "residual": lambda: ResNetMLP(4, (8, 6, 5), 3),
    "residual of one size": lambda: ResNetMLP(4, (8,), 3, activation="selu", dropout=0.3),
    "residual without normalisation": lambda: ResNetMLP(4, (8, 6, 5), 3, normalization=None, dropout=0.3),
    "periodic": lambda: PeriodicEmbedding(4, 5, n_outputs=6),
    "piecewise": lambda: PiecewiseLinearEncoding.from_quantiles(rows(30, 4), 5),
}
each_encoder = pytest.mark.parametrize("make", ENCODERS.values(), ids=ENCODERS)


@pytest.mark.parametrize("make", [make for name, make in ENCODERS.items() if name != "piecewise"])
def test_gradients_reach_every_parameter(make):
    torch.manual_seed(0)
    module = make()
    found = reached(module, rows(50, 4))
    linear = [name for name, m in module.named_modules() if isinstance(m, nn.Linear)]
    # batch normalisation takes away the effect of a bias before it; what is left of its gradient is rounding
    normalized = any(isinstance(m, nn.BatchNorm1d) for m in module.modules())
    without_effect = {f"{name}.bias" for name in linear[:-1] if normalized}
    assert found | without_effect == {name for name, _ in module.named_parameters()}


@each_encoder
def test_a_row_is_encoded_alone_as_among_others(make):
    torch.manual_seed(0)
    module = make()
    module(rows(50, 4))
    module.eval()
    batch = rows(9, 4, seed=5)
    together = module(batch)
    assert_close(torch.cat([module(row[None]) for row in batch]), together, SINGLE)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    assert_close(module(batch[order]), together[order], SINGLE)


@each_encoder
def test_pickle_and_copy_go_on_as_the_original(make):
    module = make()
    module(rows(8, 4))
    modules = [module, copy.deepcopy(module), pickle.loads(pickle.dumps(module))]
    for seed in range(2):
        outputs = []
        for each in modules:
            torch.manual_seed(seed)  # dropout draws from the global generator
            outputs.append(each(rows(8, 4)))
        assert all(torch.equal(output, outputs[0]) for output in outputs)


@each_encoder
def test_double_precision(make):
    assert make().double()(rows(8, 4).double()).dtype == torch.float64


def test_the_default_mlp_is_what_it_was():
    torch.manual_seed(0)
    module = MLP(4, (8, 6), 3)
    after = torch.get_rng_state()
    torch.manual_seed(0)
    old = nn.Sequential(
        *(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    )
    assert torch.equal(torch.get_rng_state(), after)
    assert [type(layer) for layer in module] == [type(layer) for layer in old]
    assert module.state_dict().keys() == old.state_dict().keys()
    assert all(torch.equal(value, old.state_dict()[name]) for name, value in module.state_dict().items())


def test_an_mlp_without_hidden_layers_is_linear():
    assert [type(layer) for layer in MLP(4, (), 3, dropout=0.5)] == [nn.Linear]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_parts_of_an_mlp(activation, normalization, dropout):
    module = MLP(4, (8, 6), 3, activation=activation, normalization=normalization, dropout=dropout)
    parts = [nn.Linear, NORMALIZATIONS[normalization], ACTIVATIONS[activation], nn.Dropout if dropout else None]
    parts = [part for part in parts if part]
    assert [type(layer) for layer in module] == [*parts, *parts, nn.Linear]
    assert all(layer.p == dropout for layer in module if isinstance(layer, nn.Dropout))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_parts_of_a_residual_mlp(activation, normalization, dropout):
    module = ResNetMLP(4, (8, 6, 5), 3, activation=activation, normalization=normalization, dropout=dropout)
    norm, act = NORMALIZATIONS[normalization], ACTIVATIONS[activation]
    kinds = [[norm, nn.Linear, act, nn.Dropout if dropout else None, nn.Linear]] * 2
    assert [[type(layer) for layer in block] for block in module.blocks] == [[k for k in kind if k] for kind in kinds]
    assert [type(layer) for layer in module.last] == [k for k in (norm, act, nn.Linear) if k]
    assert [m.out_features for m in module.modules() if isinstance(m, nn.Linear)] == [8, 6, 8, 5, 8, 3]


def test_a_residual_mlp_adds_each_block_to_the_trunk():
    torch.manual_seed(0)
    module = ResNetMLP(4, (8, 6, 5), 3)
    module(rows(50, 4))
    module.eval()
    batch = rows(5, 4, seed=1)
    for block in module.blocks:
        nn.init.zeros_(block[-1].weight)
        nn.init.zeros_(block[-1].bias)
    assert_close(module(batch), module.last(module.first(batch)), SINGLE)
    nn.init.ones_(module.blocks[1][-1].bias)
    assert_close(module(batch), module.last(module.first(batch) + 1), SINGLE)


def test_one_size_is_the_trunk_and_one_block():
    linear = [m for m in ResNetMLP(4, (8,), 3).modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(4, 8), (8, 8), (8, 8), (8, 3)]


@pytest.mark.parametrize("kind", [MLP, ResNetMLP])
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"normalization": "group"}, "normalization='group' is not known; use one of 'batch', 'layer', None"),
        ({"activation": "tanh"}, "activation='tanh' is not known; use one of 'relu', 'gelu', 'silu', 'selu'"),
        ({"dropout": 1.0}, r"dropout=1.0 must lie in \[0, 1\), such as 0.1"),
        ({"dropout": -0.1}, "dropout=-0.1"),
        ({"dropout": NAN}, "dropout=nan"),
    ],
)
def test_unknown_options_are_refused(kind, option, message):
    with pytest.raises(ValueError, match=message):
        kind(4, (8,), 3, **option)


def test_a_residual_mlp_needs_a_trunk():
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(\) has no width for the trunk; give \(128, 256\)"):
        ResNetMLP(4, (), 3)


def oracle_edges(X, n_bins):
    """Distinct quantiles of each column of a float64 table."""
    columns = [column[~np.isnan(column)] for column in X.T]
    grid = np.linspace(0, 1, n_bins + 1)
    return [np.unique(np.quantile(column, grid)) if len(column) else np.zeros(1) for column in columns]


def oracle_encoding(x, edges, n_bins):
    """Piecewise linear encoding of a value by the case distinctions of the paper's equation 1."""
    code = np.zeros(n_bins)
    n_used = len(edges) - 1
    for t in range(0 if np.isnan(x) else n_used):
        low, high = edges[t], edges[t + 1]
        if x < low and t > 0:
            code[t] = 0
        elif x >= high and t < n_used - 1:
            code[t] = 1
        else:
            code[t] = (x - low) / (high - low)
    return code


def quarters(*shape):
    """Values on a coarse grid: many are equal, and no bin is so narrow that rounding of its edges shows. 9 is NaN."""
    numbers = arrays(np.int8, shape, elements=st.integers(-8, 9))
    return numbers.map(lambda numbers: np.where(numbers == 9, NAN, numbers / 4))


@given(data=st.data(), n=st.integers(1, 12), d=st.integers(1, 3), n_bins=st.sampled_from([1, 2, 3, 4, 5, 8]))
def test_piecewise_linear_encoding_is_the_papers(data, n, d, n_bins):
    X = data.draw(quarters(n, d))
    new = data.draw(quarters(5, d)) * 1.5
    encoding = PiecewiseLinearEncoding.from_quantiles(torch.from_numpy(X), n_bins)
    edges = oracle_edges(X, n_bins)
    # Quantiles that are equal but for numpy's rounding would be two edges for it: compare where they are told apart.
    assume(all((np.diff(e) > 1e-9).all() for e in edges))
    expected = [[oracle_encoding(x, e, n_bins) for x, e in zip(row, edges, strict=True)] for row in new]
    found = encoding(torch.from_numpy(new))
    assert encoding.n_outputs == d * n_bins
    # a bin is 1 / 32 wide at least: edges of about 1 over it have an error of some 1e-14
    assert_close(found, np.reshape(expected, (5, d * n_bins)), DOUBLE, scale=max(1.0, size(expected)))


def test_bins_hold_equally_many_rows_and_missing_values_do_not_count():
    X = rows(1000, 2)
    X[::3, 0] = NAN
    encoding = PiecewiseLinearEncoding.from_quantiles(X, 4)
    codes = encoding(X).view(1000, 2, 4)
    for column in range(2):
        present = ~X[:, column].isnan()
        inside = (codes[present, column] > 0).float().mean(0)
        assert_within(inside, [1.0, 0.75, 0.5, 0.25], 0.01)  # the row at an edge is in one of its bins
        assert (codes[~present, column] == 0).all()


@pytest.mark.parametrize("column", [[2.0, 2.0, 2.0], [NAN, NAN, NAN], [2.0, NAN, NAN]])
def test_a_column_of_one_value_has_no_bin_and_gives_no_error(column):
    X = torch.tensor([column, [0.0, 1.0, 2.0]]).T
    encoding = PiecewiseLinearEncoding.from_quantiles(X, 2)
    codes = encoding(torch.tensor([[5.0, 0.5], [-3.0, 3.0]]))
    assert codes.tolist() == [[0.0, 0.0, 0.5, 0.0], [0.0, 0.0, 1.0, 2.0]]


def test_edges_are_kept_in_the_state():
    trained = PiecewiseLinearEncoding.from_quantiles(rows(30, 3), 4)
    loaded = PiecewiseLinearEncoding(torch.arange(5.0).repeat(3, 1))
    assert not torch.equal(loaded(rows(6, 3)), trained(rows(6, 3)))
    loaded.load_state_dict(trained.state_dict())
    assert torch.equal(loaded(rows(6, 3)), trained(rows(6, 3)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: PiecewiseLinearEncoding(torch.ones(3)),
            r"shape \(3,\); it needs \(n_columns, n_bins \+ 1\)",
        ),
        (lambda: PiecewiseLinearEncoding(torch.ones(3, 1)), r"edges has shape \(3, 1\)"),
        (lambda: PiecewiseLinearEncoding(torch.tensor([[1.0, 0.0]])), r"edges=\[\[1.0, 0.0\]\] must be finite and asc"),
        (lambda: PiecewiseLinearEncoding(torch.tensor([[0.0, NAN]])), "must be finite and ascending"),
        (lambda: PiecewiseLinearEncoding.from_quantiles(rows(3, 2), 0), "n_bins=0 must be at least 1, such as 16"),
        (lambda: PiecewiseLinearEncoding.from_quantiles(rows(3), 2), r"X has shape \(3,\)"),
        (lambda: PiecewiseLinearEncoding.from_quantiles(rows(0, 3), 2), r"X has shape \(0, 3\)"),
        (
            lambda: PiecewiseLinearEncoding.from_quantiles(rows(4, 3) / torch.tensor([1, 0, 1]), 2),
            r"Columns \[1\] of X",
        ),
        (lambda: PeriodicEmbedding(0), "n_columns=0 must be at least 1, such as 8"),
        (lambda: PeriodicEmbedding(1, 0), "n_frequencies=0"),
        (lambda: PeriodicEmbedding(1, n_outputs=0), "n_outputs=0"),
        (lambda: PeriodicEmbedding(1, scale=0.0), "scale=0.0 must be finite and above 0, such as 0.1"),
    ],
)
def test_embeddings_of_columns_refuse_what_cannot_work(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_periodic_embedding_by_hand():
    torch.manual_seed(0)
    module = PeriodicEmbedding(3, 5, n_outputs=4).double()
    batch = rows(6, 3).double()
    c, weight, bias = (p.detach().numpy() for p in (module.frequencies, module.weight, module.bias))
    expected = np.zeros((6, 12))
    for i in range(6):
        for j in range(3):
            phase = 2 * np.pi * c[j] * float(batch[i, j])
            waves = np.concatenate([np.sin(phase), np.cos(phase)])
            expected[i, 4 * j : 4 * j + 4] = np.maximum(waves @ weight[j] + bias[j], 0)
    assert_close(module(batch), expected, DOUBLE)
    assert module.n_outputs == 12


@pytest.mark.parametrize("scale", [0.01, 2.0])
def test_frequencies_begin_at_their_scale(scale):
    torch.manual_seed(0)
    frequencies = PeriodicEmbedding(50, 200, scale=scale).frequencies
    # 10 000 draws: their mean and deviation are about 0.01 off
    assert_within(frequencies.std() / scale, 1.0, 0.05)
    assert_within(frequencies.mean() / scale, 0.0, 0.05)


def test_missing_values_are_zero_outputs_and_leave_the_gradient_finite():
    torch.manual_seed(0)
    module = PeriodicEmbedding(2, n_outputs=4)
    batch = rows(6, 2)
    whole = module(batch)
    batch[2, 1] = NAN
    outputs = module(batch)
    assert (outputs[2, 4:] == 0).all()
    outputs = outputs.detach().clone()
    outputs[2, 4:] = whole[2, 4:].detach()
    assert_close(outputs, whole, SINGLE)
    assert reached(module, batch) == {"frequencies", "weight", "bias"}
