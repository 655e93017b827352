"""Views of images, by kornia."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import max_pool2d

from .._utils.config import Configured
from .._utils.optional import import_optional
from .._utils.random import seeded_by

__all__ = ["IMAGE_PRESETS", "ImageAugmentation"]

_LEAST_SIZE_OF_STROKES = 16  # pixels; in smaller images, one pixel more is another digit

# Each preset makes its transforms for images of a shape (c, h, w); K is kornia.augmentation. All draw for each image.


def _standard(K: ModuleType, c: int, h: int, w: int) -> list[nn.Module]:
    return [_crop(K, h, w, smallest=0.2), K.RandomHorizontalFlip(), *_colours(K, c), _blur(K, h, w)]


def _digits(K: ModuleType, c: int, h: int, w: int) -> list[Callable[[Tensor], Tensor]]:
    # One warp does it all: above 1 the scale crops, and so does the translation.
    warp = K.RandomAffine(20.0, translate=(0.1, 0.1), scale=(0.75, 1.25), shear=(-15.0, 15.0, -15.0, 15.0), p=1.0)
    erase = K.RandomErasing(scale=(0.02, 0.2), ratio=(0.5, 2.0), p=0.5)
    return [warp, *([_other_stroke] if min(h, w) >= _LEAST_SIZE_OF_STROKES else []), erase]


def _other_stroke(images: Tensor) -> Tensor:
    """Make strokes thicker or thinner: up to 0.7 of the way to the largest or smallest of the 3 x 3 pixels around."""
    step = 1.4 * torch.rand(len(images), 1, 1, 1, device=images.device) - 0.7
    largest = max_pool2d(images, 3, stride=1, padding=1)
    smallest = -max_pool2d(-images, 3, stride=1, padding=1)
    return images + step.abs() * (torch.where(step > 0, largest, smallest) - images)


def _strong(K: ModuleType, c: int, h: int, w: int) -> list[nn.Module]:
    return [
        _crop(K, h, w, smallest=0.08),
        K.RandomHorizontalFlip(),
        *_colours(K, c),
        K.RandomBrightness((0.4, 1.6), p=0.8),  # kornia adds the factor - 1
        K.RandomErasing(scale=(0.1, 0.5), ratio=(0.3, 3.3), p=0.8),
    ]


def _crop(K: ModuleType, h: int, w: int, *, smallest: float) -> nn.Module:
    # Boxes are two pixels wide or more, at ratios from 3/4: kornia before 0.9 cannot resize one of a single pixel.
    smallest = max(smallest, 3 / (h * w))
    return K.RandomResizedCrop((h, w), scale=(smallest, 1.0), cropping_mode="resample")


def _colours(K: ModuleType, c: int) -> list[nn.Module]:
    """Jitter of colours where there are three channels, else of what any number of channels has."""
    if c == 3:
        return [K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8), K.RandomGrayscale(p=0.2)]
    return [K.RandomBrightness((0.8, 1.2), p=0.8), K.RandomContrast((0.6, 1.4), p=0.8)]


def _blur(K: ModuleType, h: int, w: int) -> nn.Module:
    # A kernel of about a tenth of the image as in SimCLR, odd, and 3 at least, below which it would do nothing.
    kernel = tuple(max(3, round(size / 10) // 2 * 2 + 1) for size in (h, w))
    return K.RandomGaussianBlur(kernel, (0.1, 2.0), p=0.5)


IMAGE_PRESETS = {"standard": _standard, "digits": _digits, "strong": _strong}


class ImageAugmentation(Configured):
    """Random crops, warps, colours and erasures of images, each image by its own random numbers.

    Needs kornia: ``pip install "skgca[image]"``.

    Parameters
    ----------
    preset : {"standard", "digits", "strong"}, default="standard"
        What is done to an image.

        - "standard" is for photographs, after SimCLR [1]_: crop to 20 % of the area or more and resize back, flip left
          to right, change colours (of one channel: brightness and contrast), drop them, blur.
        - "digits" is for what means something else when flipped, such as digits and letters: rotate, scale, shear and
          shift in one warp, from 16 x 16 pixels on make strokes thicker or thinner, and erase a rectangle.
        - "strong" is for trials of robustness, after the extreme views of GCA [2]_: crop to 8 % or more, flip, change
          colours, brighten or darken much, erase up to half.

    Raises
    ------
    ImportError
        If kornia is not installed.
    ValueError
        If there is no such preset.

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
    >>> ImageAugmentation("digits")(images, torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 28, 28])
    """

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
        """Make a view without looking for kornia, which only training needs."""
        view = cls.__new__(cls)
        view._set_preset(**config)
        return view

    def __call__(self, batch: Tensor, generator: Generator) -> Tensor:
        """Return changed copies of the images of a batch.

        Parameters
        ----------
        batch : Tensor of shape (n, c, h, w)
            Images with values in [0, 1], h and w at least 4.
        generator : torch.Generator
            Source of all random numbers, on the device of the batch.

        Returns
        -------
        Tensor of shape (n, c, h, w)
            Images with values in [0, 1].
        """
        # Made anew each time, in half a millisecond: kornia's modules keep their last random numbers.
        transforms = IMAGE_PRESETS[self.preset](_kornia(), *batch.shape[1:])
        with torch.no_grad(), seeded_by(generator):
            for transform in transforms:
                batch = transform(batch)
        return batch.clamp(0.0, 1.0)

    def __repr__(self) -> str:
        return f"ImageAugmentation({self.preset!r})"


def _kornia() -> ModuleType:
    return import_optional("kornia.augmentation", needed_for="ImageAugmentation", extra="image")
