"""Views of images, made of transforms of kornia.

A preset lists the transforms for images of one shape. The presets differ in which changes keep the meaning of an image.
"geometric" is for signs: a flipped or strongly cropped digit can be another digit, so it warps the image and changes
its strokes instead. "crop" is for photographs and textures, of which a mirrored part still shows the same.
"photometric" changes colours and brightness, and nothing else. "strong" can hide most of an image, to test robustness.
All transforms draw new random numbers for each image.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any, TypeAlias

import torch
from torch import Generator, Tensor
from torch.nn.functional import max_pool2d

from .._utils.config import Configured
from .._utils.device import reading_is_free
from .._utils.optional import import_optional
from .._utils.random import seeded_by

__all__ = ["IMAGE_PRESETS", "ImageAugmentation"]

_MIN_SIZE_OF_STROKES = 16  # height and width in pixels; in smaller images, a wider stroke can make another digit

_Transform: TypeAlias = "Callable[[Tensor], Tensor]"
_Preset: TypeAlias = "Callable[[ModuleType, int, int, int], list[_Transform]]"

# A preset is a function of kornia.augmentation (K) and of the shape (c, h, w) of an image. It returns the transforms in
# the order in which they are applied. Changing their order or number changes the random numbers of all that follow.


def _standard(K: ModuleType, c: int, h: int, w: int) -> list[_Transform]:
    return [_crop(K, h, w, smallest=0.2), K.RandomHorizontalFlip(), *_colours(K, c), _blur(K, h, w)]


def _crop_and_flip(K: ModuleType, c: int, h: int, w: int) -> list[_Transform]:
    return [_crop(K, h, w, smallest=0.08), K.RandomHorizontalFlip()]


def _photometric(K: ModuleType, c: int, h: int, w: int) -> list[_Transform]:
    # Most images lose their colours: whatever the rest keep, views must also match without them. There is no
    # jitter of hues, which takes most of the time of a view and gained less.
    if c == 3:
        return [_for_some(0.8, K.ColorJitter(0.3, 0.3, 0.3, 0.0)), K.RandomGrayscale(p=0.8)]
    return _colours(K, c)


def _geometric(K: ModuleType, c: int, h: int, w: int) -> list[_Transform]:
    # No separate crop: a scale above 1 and the translation move parts of the image out of the frame.
    warp = K.RandomAffine(20.0, translate=(0.1, 0.1), scale=(0.75, 1.25), shear=(-15.0, 15.0, -15.0, 15.0), p=1.0)
    erase = K.RandomErasing(scale=(0.02, 0.2), ratio=(0.5, 2.0), p=0.5)
    return [warp, *([_change_strokes] if min(h, w) >= _MIN_SIZE_OF_STROKES else []), erase]


def _change_strokes(images: Tensor) -> Tensor:
    """Make the strokes of each image (n, c, h, w) thicker or thinner, by a random amount of up to 0.7 of a pixel.

    A pixel moves towards the largest value of the 3 x 3 pixels around it (thicker) or the smallest (thinner).
    """
    step = 1.4 * torch.rand(len(images), 1, 1, 1, device=images.device) - 0.7
    largest = max_pool2d(images, 3, stride=1, padding=1)
    smallest = -max_pool2d(-images, 3, stride=1, padding=1)
    return images + step.abs() * (torch.where(step > 0, largest, smallest) - images)


def _strong(K: ModuleType, c: int, h: int, w: int) -> list[_Transform]:
    return [
        _crop(K, h, w, smallest=0.08),
        K.RandomHorizontalFlip(),
        *_colours(K, c),
        K.RandomBrightness((0.4, 1.6), p=0.8),  # kornia adds (factor - 1) and does not multiply
        K.RandomErasing(scale=(0.1, 0.5), ratio=(0.3, 3.3), p=0.8),
    ]


def _crop(K: ModuleType, h: int, w: int, *, smallest: float) -> _Transform:
    """Return a crop to a share of the area between ``smallest`` and 1, resized to h x w."""
    # kornia before 0.9 cannot resize a box of a single pixel. With an area of at least 3 and a ratio of at least 3/4,
    # boxes are 2 pixels wide and high or more.
    smallest = max(smallest, 3 / (h * w))
    # "resample" warps all images in one call; the default "slice" resizes one by one.
    crop: _Transform = K.RandomResizedCrop((h, w), scale=(smallest, 1.0), cropping_mode="resample")
    return crop


def _colours(K: ModuleType, c: int) -> list[_Transform]:
    """Return a jitter of colours for three channels, otherwise one of brightness and contrast."""
    if c == 3:
        return [_for_some(0.8, K.ColorJitter(0.4, 0.4, 0.4, 0.1)), K.RandomGrayscale(p=0.2)]
    return [K.RandomBrightness((0.8, 1.2), p=0.8), K.RandomContrast((0.6, 1.4), p=0.8)]


def _blur(K: ModuleType, h: int, w: int) -> _Transform:
    # The kernel is about a tenth of the image as in SimCLR, of odd size as kornia requires. Size 1 would not blur.
    kernel = tuple(max(3, round(size / 10) // 2 * 2 + 1) for size in (h, w))
    return _for_some(0.5, K.RandomGaussianBlur(kernel, (0.1, 2.0), p=1.0))


def _for_some(share: float, transform: _Transform) -> _Transform:
    """Return a transform that changes each image with a probability of ``share``.

    kornia's own ``p`` computes the transform for all images first. This saves the time for the others, which counts
    for the slowest transforms. An accelerator would have to wait to know how many there are.
    """

    def change(images: Tensor) -> Tensor:
        is_chosen = torch.rand(len(images), device=images.device) < share
        if not reading_is_free(images.device):
            return torch.where(is_chosen[:, None, None, None], transform(images), images)
        chosen = is_chosen.nonzero()[:, 0]
        return images.index_copy(0, chosen, transform(images[chosen])) if len(chosen) else images

    return change


def _one_after_the_other(*presets: _Preset) -> _Preset:
    return lambda K, c, h, w: [transform for preset in presets for transform in preset(K, c, h, w)]


IMAGE_PRESETS: dict[str, _Preset] = {
    "geometric": _geometric,
    "crop": _crop_and_flip,
    "photometric": _photometric,
    "geometric+photometric": _one_after_the_other(_geometric, _photometric),
    "crop+photometric": _one_after_the_other(_crop_and_flip, _photometric),
    "strong": _strong,
    # Names of earlier versions, which stay valid.
    "digits": _geometric,
    "standard": _standard,
}


class ImageAugmentation(Configured):
    """Augment images by crops, warps, changes of colour and erasures, which are drawn for each image.

    Use it for images. For transforms of your own, such as a module of kornia, use :class:`CallableView`.

    Needs kornia: ``pip install "skgca[image]"``.

    Parameters
    ----------
    preset : str, default="standard"
        Which transforms are applied.

        - "geometric" is for images that mean something else when they are flipped, such as digits and letters: rotate,
          scale, shear and shift in one warp, make strokes thicker or thinner in images of at least 16 x 16 pixels, and
          erase a rectangle. "digits" is an earlier name of it.
        - "crop" is for photographs and textures: crop to at least 8 % of the area and resize back, flip left to right.
        - "photometric" changes no shapes: change brightness, contrast and saturation of most images, and turn most
          of them grey. Images that do not have three channels get a jitter of brightness and contrast.
        - "geometric+photometric" and "crop+photometric" apply the one after the other.
        - "standard" follows SimCLR [1]_: crop to at least 20 % of the area and resize back, flip left to right, jitter
          colours and hues, turn some images grey, blur. It was the default for colour images in version 0.1.
        - "strong" is for tests of robustness and follows the extreme views of GCA [2]_: crop to at least 8 % of the
          area, flip, jitter colours, brighten or darken strongly, and erase up to half of the image.

    Raises
    ------
    ImportError
        If kornia is not installed.
    ValueError
        If ``preset`` is not one of these names.

    References
    ----------
    .. [1] T. Chen, S. Kornblith, M. Norouzi, G. Hinton, "A simple framework for contrastive learning of visual
       representations", ICML 2020.
    .. [2] Z. Chen, C.-H. Lin, R. Liu, J. Xiao, E. L. Dyer, "Your contrastive learning problem is secretly a
       distribution alignment problem", NeurIPS 2024.

    Examples
    --------
    >>> import torch
    >>> from skgca.views import ImageAugmentation
    >>> images = torch.rand(2, 1, 28, 28)
    >>> ImageAugmentation("geometric")(images, torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 28, 28])
    """

    independent_rows = True

    def __init__(self, preset: str = "standard") -> None:
        self._set_preset(preset)
        _kornia()  # fail now rather than in the first batch

    def _set_preset(self, preset: str) -> None:
        if preset not in IMAGE_PRESETS:
            raise ValueError(f"preset={preset!r} is not one of {sorted(IMAGE_PRESETS)}.")
        self.preset = preset

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return {"preset": self.preset}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ImageAugmentation:
        """Make a view without importing kornia: files must open where kornia is not installed."""
        view = cls.__new__(cls)
        view._set_preset(**config)
        return view

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Return an augmented copy of a batch of images.

        Parameters
        ----------
        batch : Tensor of shape (n, c, h, w)
            Images with values in [0, 1]; h and w are at least 4.
        generator : torch.Generator
            Source of all random numbers, on the device of the batch.

        Returns
        -------
        Tensor of shape (n, c, h, w)
            Images with values in [0, 1].
        """
        with torch.no_grad(), seeded_by(generator):  # which lets one thread at a time use the transforms
            for transform in _transforms(self.preset, *batch.shape[1:]):
                batch = transform(batch)
        return batch.clamp(0.0, 1.0)

    def __repr__(self) -> str:
        return f"ImageAugmentation({self.preset!r})"


@lru_cache(maxsize=16)
def _transforms(preset: str, c: int, h: int, w: int) -> list[_Transform]:
    """Return the transforms of a preset for images of one shape.

    A view does not hold them: kornia's modules store the parameters of their last call, which copies and pickles of a
    view would carry along.
    """
    return IMAGE_PRESETS[preset](_kornia(), c, h, w)


def _kornia() -> ModuleType:
    """Import kornia when it is first used; ImportError with the command to install it."""
    return import_optional("kornia.augmentation", needed_for="ImageAugmentation", extra="image")
