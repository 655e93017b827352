"""Random views of a batch; contrastive training compares two views of the same row.

A view is a callable ``(batch, generator) -> batch``. It keeps the rows in their order, does not write to the batch that
it is given, and draws random numbers only from the generator, which is on the device of the batch. The classes here
have no random state of their own, so they can be copied, pickled, and saved by their configuration.
"""

from ._callables import CallableView, as_view
from ._compose import Compose, Identity
from ._features import FeatureDropout, GaussianNoise, NeighborMixup
from ._images import IMAGE_PRESETS, ImageAugmentation
from ._multi import MultiView
from ._series import MagnitudeScaling, TimeCrop, TimeJitter, TimeWarp
from ._tabular import ColumnCorruption

__all__ = [
    "IMAGE_PRESETS",
    "CallableView",
    "ColumnCorruption",
    "Compose",
    "FeatureDropout",
    "GaussianNoise",
    "Identity",
    "ImageAugmentation",
    "MagnitudeScaling",
    "MultiView",
    "NeighborMixup",
    "TimeCrop",
    "TimeJitter",
    "TimeWarp",
    "as_view",
]
