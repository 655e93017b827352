import io
import pickle

import pytest
import torch
from torch import nn

from skgca.encoders import ConvEncoder, ResNet18

from ..numerics import SINGLE, assert_close, error

# Each makes its encoder for images of a shape (c, h, w), small enough for tests.
ENCODERS = {
    "conv": lambda c, h, w: ConvEncoder(c, (h, w), 7, widths=(4, 6, 8)),
    "conv of one layer": lambda c, h, w: ConvEncoder(c, (h, w), 7, widths=(4,)),
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
