"""Random views of a batch: callables ``(batch, generator) -> batch``."""

from ._compose import Compose, Identity
from ._features import FeatureDropout, GaussianNoise, NeighborMixup
from ._multi import MultiView
from ._series import TimeCrop, TimeJitter
from ._tabular import ColumnCorruption

__all__ = [
    "ColumnCorruption",
    "Compose",
    "FeatureDropout",
    "GaussianNoise",
    "Identity",
    "MultiView",
    "NeighborMixup",
    "TimeCrop",
    "TimeJitter",
]
