import io
import math
import pickle

import pytest
import torch
from torch import nn

from skgca.encoders import ConvEncoder, ResNet18
from skgca.encoders._images import mean_of_blocks

from ..numerics import SINGLE, assert_close, error

# Each makes its encoder for images of a shape (c, h, w), small enough for tests.
ENCODERS = {
    "conv": lambda c, h, w: ConvEncoder(c, (h, w), 7, widths=(4, 6, 8)),
    "conv of one layer": lambda c, h, w: ConvEncoder(c, (h, w), 7, widths=(4,)),
    "conv of reduced images": lambda c, h, w: ConvEncoder(c, (h, w), 7, widths=(4, 6), pooling=(2, 1)),
    "resnet": lambda c, h, w: ResNet18(c, 7, width=4),
}
encoders = pytest.mark.parametrize("make", ENCODERS.values(), ids=ENCODERS)


def images(n, *shape, seed=0):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(seed))


def seeded(make, *shape):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make(*shape)


@encoders
@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 8, 8), (3, 9, 13), (1, 28, 28), (2, 5, 64), (3, 32, 32)])
def test_images_become_vectors(make, shape):
    encoder = seeded(make, *shape)
    assert encoder(images(3, *shape)).shape == (3, 7)


@encoders
def test_the_gradient_reaches_every_parameter(make):
    encoder = seeded(make, 2, 8, 9)
    encoder(images(5, 2, 8, 9)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@encoders
def test_in_evaluation_a_row_does_not_depend_on_the_others(make):
    encoder = seeded(make, 1, 8, 8)
    encoder(images(40, 1, 8, 8))
    encoder.eval()
    batch = images(64, 1, 8, 8, seed=1)
    with torch.inference_mode():
        assert_close(encoder(batch)[:32], encoder(batch[:32]), SINGLE)


@encoders
def test_weights_round_trip(make):
    trained, fresh = seeded(make, 1, 8, 8), make(1, 8, 8)
    trained(images(40, 1, 8, 8))  # moves the running statistics
    stream = io.BytesIO()
    torch.save(trained.state_dict(), stream)
    stream.seek(0)
    fresh.load_state_dict(torch.load(stream))
    batch = images(5, 1, 8, 8, seed=1)
    expected = trained.eval()(batch)
    assert torch.equal(fresh.eval()(batch), expected)
    assert torch.equal(pickle.loads(pickle.dumps(trained))(batch), expected)


def test_the_convolutional_encoder_is_what_it_says():
    encoder = seeded(lambda: ConvEncoder(3, (28, 20), 10, widths=(5, 6)))
    by_hand = nn.Sequential(
        nn.Conv2d(3, 5, 3, 2, 1, bias=False),
        nn.BatchNorm2d(5),
        nn.ReLU(),
        nn.Conv2d(5, 6, 3, 2, 1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(6 * 7 * 5, 10),
    )
    by_hand.load_state_dict(encoder.state_dict())
    batch = images(4, 3, 28, 20)
    assert_close(encoder(batch), by_hand(batch), SINGLE)


def test_where_something_is_matters_to_the_convolutional_encoder():
    encoder = seeded(ENCODERS["conv"], 1, 16, 16).eval()
    corner = torch.zeros(1, 1, 16, 16)
    corner[..., :4, :4] = 1.0
    assert error(encoder(corner), encoder(corner.flip(3))) > 1e-3


@pytest.mark.parametrize("size", [(3, 28), (28, 3), (1, 1)])
def test_images_too_small_are_refused_by_their_size(size):
    with pytest.raises(ValueError, match=rf"{size[0]} x {size[1]} pixels are too small .* need 4 x 4 at least"):
        ConvEncoder(1, size, 7)


SIZES = [(4, 4), (8, 8), (28, 28), (32, 32), (64, 64), (65, 65), (96, 32), (107, 107), (108, 108), (113, 130)]
LARGE = [(224, 224), (512, 512), (1000, 40), (40, 1000), (4, 5000), (2000, 3000)]


def n_weights(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("n_outputs", [2, 128, 512])
@pytest.mark.parametrize("n_channels", [1, 3, 4, 12])
@pytest.mark.parametrize("size", [*SIZES, *LARGE], ids=str)
def test_by_default_the_weights_stay_below_two_millions(size, n_channels, n_outputs):
    with torch.device("meta"):  # no weights are drawn
        encoder = ConvEncoder(n_channels, size, n_outputs)
    assert n_weights(encoder) < 2_000_000
    assert math.prod(encoder.pooled_size) <= 4 * 72**2 + max(size)  # and so does the time


@pytest.mark.parametrize("n_channels", [1, 12])
@pytest.mark.parametrize("size", [(65, 65), (96, 32), (113, 130), (224, 224), (1000, 40), (4, 500)], ids=str)
def test_large_images_become_vectors_too(size, n_channels):
    encoder = seeded(ConvEncoder, n_channels, size, 7).eval()
    batch = images(2, n_channels, *size)
    with torch.inference_mode():
        encoded = encoder(batch)
        assert encoded.shape == (2, 7)
        reduced = mean_of_blocks(batch, encoder.pooling)
        assert reduced.shape[2:] == encoder.pooled_size
        assert torch.equal(encoder(reduced), encoded)  # reduced images are not reduced again


@pytest.mark.parametrize("size", [(4, 4), (8, 8), (28, 28), (32, 32), (64, 64), (32, 96)], ids=str)
def test_images_of_usual_size_get_the_network_of_version_0_1(size):
    encoder = ConvEncoder(3, size, 128)
    assert (encoder.pooling, encoder.widths) == ((1, 1), (32, 64, 128))
    assert list(encoder.get_config()) == ["n_channels", "image_size", "n_outputs", "widths"]


def test_a_configuration_of_version_0_1_makes_its_network():
    encoder = ConvEncoder.from_config({"n_channels": 3, "image_size": [224, 224], "n_outputs": 5, "widths": [4, 6]})
    assert encoder[-1].in_features == 6 * 56 * 56
    assert isinstance(encoder[0], nn.Conv2d)


def test_blocks_at_the_border_are_smaller():
    batch = torch.arange(15.0).reshape(1, 1, 3, 5)
    assert mean_of_blocks(batch, (2, 2)).tolist() == [[[[3.0, 5.0, 6.5], [10.5, 12.5, 14.0]]]]


@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_where_something_is_in_a_large_image_matters(corner):
    encoder = seeded(ConvEncoder, 1, (224, 224), 7).eval()
    batch = torch.zeros(2, 1, 224, 224)
    batch[0, :, 112 * corner[0] :][..., :112, 112 * corner[1] :][..., :112] = 1.0
    batch[1, :, 56:168, 56:168] = 1.0
    assert error(*encoder(batch)) > 1e-3


def test_resnet18_has_the_parameters_it_is_known_for():
    # https://github.com/kuangliu/pytorch-cifar: 11.17 million for 3 channels and 10 classes
    assert sum(parameter.numel() for parameter in ResNet18(3, 10).parameters()) == 11_173_962


def test_resnet18_halves_the_image_three_times():
    encoder = ResNet18(3, 10, width=4)
    assert encoder.stem(images(2, 3, 32, 32)).shape == (2, 4, 32, 32)
    assert encoder.blocks(encoder.stem(images(2, 3, 32, 32))).shape == (2, 32, 4, 4)
    assert [name for name, module in encoder.named_modules() if isinstance(module, nn.MaxPool2d)] == []


def test_a_block_adds_its_shortcut():
    block = ResNet18(1, 5, width=4).blocks[0]
    nn.init.zeros_(block.residual[-1].weight)  # the residual is zero: what is left is ReLU of the input
    batch = images(2, 4, 6, 6) - 0.5
    assert torch.equal(block(batch), batch.relu())
