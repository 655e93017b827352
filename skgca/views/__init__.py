"""Random views of a batch: callables ``(batch, generator) -> batch``."""

from ._callables import CallableView, as_view
from ._compose import Compose, Identity
from ._features import FeatureDropout, GaussianNoise, NeighborMixup
from ._images import IMAGE_PRESETS, ImageAugmentation
from ._multi import MultiView
from ._series import TimeCrop, TimeJitter
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
    "MultiView",
    "NeighborMixup",
    "TimeCrop",
    "TimeJitter",
    "as_view",
]
