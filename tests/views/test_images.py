import copy
import pickle
import random
import sys

import kornia.augmentation as K
import numpy as np
import pytest
import torch

from skgca._utils.random import seeded_by
from skgca.views import IMAGE_PRESETS, ImageAugmentation
from skgca.views._images import _change_strokes

from ..numerics import SINGLE, assert_close

presets = pytest.mark.parametrize("preset", sorted(IMAGE_PRESETS))


def generator(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def images(n=6, c=1, h=28, w=28):
    return torch.rand(n, c, h, w, generator=generator(99))


def global_draws():
    """What the global generators would give next."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    return torch.get_rng_state().tolist(), numpy_state[1].tolist(), numpy_state[2], python_state


@presets
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (1, 28, 28), (3, 32, 32), (2, 9, 13), (4, 64, 31), (3, 4, 4)])
def test_a_view_has_the_shape_and_range_of_its_images(preset, shape):
    batch = images(5, *shape)
    before = batch.clone()
    view = ImageAugmentation(preset)(batch, generator())
    assert view.shape == batch.shape
    assert view.dtype == batch.dtype
    assert 0 <= view.min() < view.max() <= 1
    assert torch.equal(batch, before)  # the images themselves stay as they are
    assert not torch.equal(view, batch)


@presets
def test_each_image_gets_random_numbers_of_its_own(preset):
    batch = images(1, c=3).expand(40, -1, -1, -1)
    view = ImageAugmentation(preset)(batch, generator())
    n_different = len(torch.unique(view.flatten(1), dim=0))
    assert n_different == 40 if preset != "photometric" else 30 < n_different < 40  # some keep their colours


@presets
def test_a_view_depends_on_its_generator_alone(preset):
    batch, view = images(c=3), ImageAugmentation(preset)
    torch.manual_seed(1)
    first = view(batch, generator(1))
    torch.manual_seed(2)
    before = global_draws()
    assert torch.equal(first, view(batch, generator(1)))
    assert global_draws() == before
    assert not torch.equal(first, view(batch, generator(2)))


def test_the_generator_moves_on():
    source, view = generator(), ImageAugmentation("geometric")
    assert not torch.equal(view(images(), source), view(images(), source))


def mirrored_share(preset):
    """Share of images, dark but for a bright left half, that come out brighter on the right."""
    batch = torch.zeros(400, 1, 16, 16)
    batch[..., :8] = 1.0
    view = ImageAugmentation(preset)(batch, generator())
    left, right = view[..., :8].sum((1, 2, 3)), view[..., 8:].sum((1, 2, 3))
    return (right > left).float().mean()


def test_digits_are_not_flipped_and_photographs_are():
    for preset in ("geometric", "geometric+photometric", "photometric"):
        assert mirrored_share(preset) < 0.02  # a large erasure on the left can look like it
    for preset in ("crop", "crop+photometric", "standard"):
        assert mirrored_share(preset) > 0.3
    assert mirrored_share("strong") > 0.2


def test_earlier_names_stay():
    batch = images(c=3)
    assert torch.equal(*(ImageAugmentation(name)(batch, generator()) for name in ("geometric", "digits")))
    names = [type(step).__name__ for step in IMAGE_PRESETS["standard"](K, 1, 28, 28)]
    assert names[:4] == ["RandomResizedCrop", "RandomHorizontalFlip", "RandomBrightness", "RandomContrast"]


def grey_share(preset):
    """Share of images of one colour that come out grey, and their largest deviation within an image."""
    colours = torch.rand(400, 3, 1, 1, generator=generator(5)).expand(-1, -1, 12, 12)
    view = ImageAugmentation(preset)(colours, generator())
    return (view.std(1).amax((1, 2)) < 1e-4).float().mean(), view.std((2, 3)).max()


def test_photometric_changes_colours_and_nothing_else():
    share, deviation = grey_share("photometric")
    assert 0.74 < share < 0.86
    assert deviation < 1e-4
    for preset in ("geometric+photometric", "crop+photometric"):
        assert 0.74 < grey_share(preset)[0] < 0.9  # an erased or emptied image is grey too
    for preset in ("geometric", "crop"):
        assert grey_share(preset)[0] < 0.1
    bars = torch.zeros(1, 3, 8, 8)
    bars[..., 2:5] = 0.5
    view = ImageAugmentation("photometric")(bars.expand(50, -1, -1, -1), generator())
    assert view[..., [0, 1, 5, 6, 7]].std(3).max() < 1e-4  # where it was one value, it still is
    assert (view[..., 3] > view[..., 6]).all()


def test_strokes_of_digits_become_thicker_or_thinner():
    batch = torch.zeros(300, 1, 20, 20)
    batch[..., 3:17, 9:12] = 1.0
    with seeded_by(generator()):
        ink = _change_strokes(batch).sum((1, 2, 3)) / batch.sum((1, 2, 3))
    # 14 x 3 pixels lie within 16 x 5 and around 12 x 1: at 0.7 of the way, that much more or less ink
    most, least = 1 + 0.7 * (16 * 5 / (14 * 3) - 1), 1 - 0.7 * (1 - 12 / (14 * 3))
    assert most - 0.1 < ink.max() <= most
    assert least <= ink.min() < least + 0.1
    assert 0.4 < (ink > 1).float().mean() < 0.6
    assert torch.equal(_change_strokes(torch.ones(5, 1, 20, 20)), torch.ones(5, 1, 20, 20))


def test_strokes_of_small_images_stay():
    def names(side):
        return [getattr(step, "__name__", "") for step in IMAGE_PRESETS["geometric"](K, 1, side, side)]

    assert "_change_strokes" in names(16)
    assert "_change_strokes" not in names(15)


def test_colours_change_where_there_are_colours():
    grey = images(200, 1, 8, 8).expand(-1, 3, -1, -1)
    red = grey * torch.tensor([1.0, 0.0, 0.0])[:, None, None]
    view = ImageAugmentation("standard")
    hues = view(red, generator()).mean((2, 3))
    assert (hues[:, 1:].amax(1) > 0.02).float().mean() > 0.4  # jitter of the hue and loss of colour add the others
    assert_close(*view(grey, generator()).mean((2, 3))[:, :2].T, SINGLE)  # grey has no hue to change


def test_strong_erases_more_than_the_others():
    white = torch.ones(200, 1, 32, 32)
    dark = {preset: (ImageAugmentation(preset)(white, generator()) == 0).float().mean() for preset in IMAGE_PRESETS}
    assert dark["standard"] == dark["crop"] == 0 < dark["geometric"] < dark["strong"]  # a warp leaves dark corners too


@presets
def test_copies_and_pickles_make_the_same_view(preset):
    batch, view = images(), ImageAugmentation(preset)
    made = view(batch, generator())
    for other in (copy.deepcopy(view), pickle.loads(pickle.dumps(view)), eval(repr(view))):
        assert torch.equal(other(batch, generator()), made)


def test_an_unknown_preset_lists_those_that_are_known():
    with pytest.raises(
        ValueError, match=r"preset='photo' is not one of \['crop', 'crop\+photometric', .*'geometric', "
    ):
        ImageAugmentation("photo")


def test_without_kornia_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia.augmentation", None)
    with pytest.raises(ImportError, match=r'pip install "skgca\[image\]"'):
        ImageAugmentation()


@pytest.mark.cuda
@presets
def test_a_view_is_made_on_the_device_of_its_images(preset, cuda):
    source = generator(1, cuda)
    first = ImageAugmentation(preset)(images().to(cuda), source)
    assert first.device.type == cuda.type
    assert torch.equal(first, ImageAugmentation(preset)(images().to(cuda), generator(1, cuda)))
    assert not torch.equal(first, ImageAugmentation(preset)(images().to(cuda), source))
