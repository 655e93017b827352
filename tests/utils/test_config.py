"""Every public encoder and view says what it was made with, and is made of that again."""

import inspect
import json

import pytest
import torch
from torch import nn

from skgca import encoders, views
from skgca._persistence.codec import classes_of
from skgca._utils.config import Configured, make_configured
from skgca.encoders import (
    MLP,
    ChannelStem,
    Conv1dEncoder,
    ConvEncoder,
    ConvolutionKernels,
    Encoder,
    EncoderWithHead,
    GroupedComponents,
    PeriodicEmbedding,
    PiecewiseLinearEncoding,
    ResNet18,
    ResNetMLP,
    RocketEncoder,
    RotatedComponents,
    Standardization,
    TableStem,
)
from skgca.views import (
    CallableView,
    ColumnCorruption,
    Compose,
    FeatureDropout,
    GaussianNoise,
    Identity,
    ImageAugmentation,
    MagnitudeScaling,
    MultiView,
    NeighborMixup,
    TimeCrop,
    TimeJitter,
    TimeWarp,
)

TABLE = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
IMAGES = torch.rand(6, 2, 8, 9, generator=torch.Generator().manual_seed(0))
SERIES = torch.rand(6, 3, 20, generator=torch.Generator().manual_seed(0))

# Each class: objects of it with other arguments than the defaults, and a batch for them.
MODULES = {
    "MLP": ([MLP(4, (8, 7), 3, dropout=0.1, normalization="layer", activation="selu"), MLP(4, [], 3)], TABLE),
    "ChannelStem": ([ChannelStem([0.1, 0.2], [1.0, 2.0], 2)], IMAGES),
    "Conv1dEncoder": ([Conv1dEncoder(3, 20, 5, widths=(4, 6), kernel_size=4)], SERIES),
    "ConvEncoder": (
        [ConvEncoder(2, (8, 9), 5, widths=(4, 6), pooling=(1, 2)), ConvEncoder(2, (8, 9), 5, widths=(4, 6))],
        IMAGES,
    ),
    "Encoder": (
        [
            Encoder(ChannelStem([0.1] * 3, [1.0] * 3, 1), nn.Flatten(), Standardization(60)),
            Encoder(
                ChannelStem([0.1] * 3, [1.0] * 3, 1, has_gaps=[True, False, True], masked=True),
                nn.Flatten(),
                Standardization(120),  # 3 channels, 2 indicators and a mask, of 20 steps
            ),
        ],
        SERIES,
    ),
    "EncoderWithHead": (
        [EncoderWithHead(Encoder(TableStem([0] * 4, [False] * 4), MLP(4, (), 3), Standardization(3)), MLP(3, (), 2))],
        TABLE,
    ),
    "PeriodicEmbedding": ([PeriodicEmbedding(4, 3, scale=2.0, n_outputs=5)], TABLE),
    "PiecewiseLinearEncoding": ([PiecewiseLinearEncoding.from_quantiles(TABLE, 3)], TABLE),
    "ResNet18": ([ResNet18(2, 5, width=4)], IMAGES),
    "ResNetMLP": ([ResNetMLP(4, (8,), 3, normalization=None), ResNetMLP(4, (8, 7, 6), 3, dropout=0.2)], TABLE),
    "RotatedComponents": ([RotatedComponents(4, 3, 2, seed=5).fit(TABLE)], TABLE),
    "GroupedComponents": ([GroupedComponents([3, 1], 3, 2, seed=5, weights=[2.0, 1.0]).fit(TABLE)], TABLE),
    "ConvolutionKernels": (
        [ConvolutionKernels(3, 20, n_dilations=2, n_places=7, n_training_places=5).fit(SERIES)],
        SERIES,
    ),
    "RocketEncoder": (
        [
            RocketEncoder(3, 20, 5, hidden_layer_sizes=(4,), dropout=0.1, normalization="layer", n_dilations=2),
            RocketEncoder(2, 20, 5, n_dilations=1, n_places=7, n_training_places=5, masked=True),
        ],
        SERIES,
    ),
    "Standardization": ([Standardization(4).fit(TABLE)], TABLE),
    "TableStem": (
        [
            TableStem([0, 3, 0, 40], [True, False, False, False], PeriodicEmbedding(2)),
            TableStem(torch.tensor([0, 3, 0, 40]), [True, True, False, False]),
        ],
        TABLE.abs().round(),
    ),
}
VIEWS = {
    "CallableView": ([CallableView(nn.Dropout(0.5))], TABLE),
    "ColumnCorruption": ([ColumnCorruption(0.4), ColumnCorruption([0.1, 0.9, 0.5, 0.0])], TABLE),
    "Compose": ([Compose(), Compose(GaussianNoise(0.3), FeatureDropout(0.4))], TABLE),
    "FeatureDropout": ([FeatureDropout(0.4, numeric=[0, 2])], TABLE),
    "GaussianNoise": ([GaussianNoise(0.3), GaussianNoise(0.3, numeric=[True, False, True, True])], TABLE),
    "TimeWarp": ([TimeWarp(0.8, 0.1, strength=0.3, n_pieces=3)], SERIES),
    "MagnitudeScaling": ([MagnitudeScaling(0.3)], SERIES),
    "Identity": ([Identity()], TABLE),
    "ImageAugmentation": ([ImageAugmentation("digits")], IMAGES[:, :1]),
    "MultiView": ([MultiView(Identity(), GaussianNoise(0.3))], TABLE),
    "NeighborMixup": ([NeighborMixup(2, 0.3, numeric=torch.tensor([0, 1]))], TABLE),
    "TimeCrop": ([TimeCrop(0.3)], SERIES),
    "TimeJitter": ([TimeJitter(0.3)], SERIES),
}


@pytest.mark.parametrize(("package", "cases"), [(encoders, MODULES), (views, VIEWS)])
def test_every_public_class_is_tried(package, cases):
    assert set(cases) == set(classes_of(package))
    assert all(issubclass(kind, Configured) for kind in classes_of(package).values())


def plain(config):
    """Bring a configuration through JSON; parts are themselves."""
    parts = {key: value for key, value in config.items() if not is_plain(value)}
    rest = {key: value for key, value in config.items() if key not in parts}
    return {**json.loads(json.dumps(rest, allow_nan=False)), **parts}


def is_plain(value):
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_made_of_its_configuration_and_takes_the_weights(name):
    modules, batch = MODULES[name]
    for module in modules:
        made = type(module).from_config(plain(module.get_config()))
        assert type(made) is type(module)
        assert repr(made) == repr(module)
        assert made.get_config() == module.get_config()
        made.load_state_dict(module.state_dict())
        assert torch.equal(made.eval()(batch), module.eval()(batch))


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_made_of_its_configuration(name):
    objects, batch = VIEWS[name]
    for view in objects:
        made = type(view).from_config(plain(view.get_config()))
        results = [each(batch, torch.Generator().manual_seed(0)) for each in (view, made)]
        expected, found = (torch.stack(result) if isinstance(result, tuple) else result for result in results)
        assert torch.equal(found, expected)


@pytest.mark.parametrize("name", [*MODULES, *VIEWS])
def test_a_configuration_has_arguments_of_the_constructor(name):
    (first, *_), _ = {**MODULES, **VIEWS}[name]
    parameters = inspect.signature(type(first)).parameters
    wanted = {"PeriodicEmbedding": set(parameters) - {"scale"}, "PiecewiseLinearEncoding": {"shape"}}
    assert set(first.get_config()) == wanted.get(name, set(parameters))


def test_a_fitted_reference_is_no_configuration():
    with pytest.raises(ValueError, match=r"NeighborMixup\(n_neighbors=5, share=0.5\) was fitted"):
        NeighborMixup().fit(TABLE).get_config()


class Plain:
    def __init__(self, size):
        self.size = size


class Squared(Plain):
    @classmethod
    def from_config(cls, config):
        return cls(config["size"] ** 2)


def test_a_class_without_from_config_is_called_by_keyword():
    assert make_configured(Plain, {"size": 3}).size == 3
    assert make_configured(Squared, {"size": 3}).size == 9
