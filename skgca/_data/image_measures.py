"""What the views of images may change, measured on training images without labels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

__all__ = ["FEWEST", "MOST", "colour_agreement", "mirror_objection", "reduced"]

FEWEST, MOST = 100, 512  # images that the measures need, and that they look at
_LARGEST_SIDE = 32  # in pixels; larger images are reduced
_RANK, _N_NEIGHBORS = 10, 5


def reduced(images: Tensor) -> Tensor:
    """Return images (n, c, h, w) with sides of at most 32 pixels, by the means of blocks."""
    height, width = (min(side, _LARGEST_SIDE) for side in images.shape[2:])
    return adaptive_avg_pool2d(images, (height, width))


def mirror_objection(images: Tensor) -> float:
    """Return the share of images whose mirror image is further from the other images than they are themselves.

    It is about a half where the mirror images might as well be images of the data, such as patches of textures. It is
    near 1 where images have a left and a right side in common, such as digits. Brightness, contrast and colour do not
    count. Compared are the distances to the tenth nearest image, since the nearest ones may overlap.

    Parameters
    ----------
    images : Tensor of shape (n, c, h, w)
        More than ten.
    """
    grey = _normalised(images)  # (n, h, w)
    own, mirrored = (_distances(images, grey).fill_diagonal_(torch.inf) for images in (grey, grey.flip(2)))  # (n, n)
    return _share_above(*(distances.kthvalue(_RANK, dim=1).values for distances in (mirrored, own)))


def colour_agreement(images: Tensor) -> float:
    """Return how often the colour of an image is nearer to that of an image of like structure than to any other's.

    It is a half where colours and structure are independent, such as where digits are tinted at random. It is more
    where they go together, as in photographs. The structure is the spectrum of the grey image, which does not depend on
    where things are. The colour is the mean of each channel relative to that of all channels.

    Parameters
    ----------
    images : Tensor of shape (n, c, h, w)
        More than five.
    """
    spectra = torch.fft.rfft2(_normalised(images)).abs().log1p()  # (n, h, w // 2 + 1)
    near = _distances(spectra, spectra).fill_diagonal_(torch.inf).topk(_N_NEIGHBORS, largest=False).indices
    colours = images.double().mean((2, 3))  # (n, c)
    distances = _distances(*[colours - colours.mean(1, keepdim=True)] * 2)
    to_near = distances.gather(1, near)  # (n, 5)
    return float(np.mean([_share_above(distances, column[:, None]) for column in to_near.T]))


def _normalised(images: Tensor) -> Tensor:
    """Return grey images (n, h, w) with mean 0 and deviation 1; images of one value are 0."""
    grey = images.double().mean(1)
    grey = grey - grey.mean((1, 2), keepdim=True)
    deviation = grey.std((1, 2), keepdim=True, correction=0)
    return grey / torch.where(deviation > 1e-6, deviation, 1.0)


def _distances(first: Tensor, second: Tensor) -> Tensor:
    return torch.cdist(first.flatten(1), second.flatten(1), compute_mode="use_mm_for_euclid_dist")


def _share_above(values: Tensor, others: Tensor) -> float:
    """Return the share of values above others; equal ones count half."""
    return float(((values > others).double() + (values == others).double() / 2).mean())
